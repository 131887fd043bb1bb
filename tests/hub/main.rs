//! Black-box tests: everything here goes through the public protocol of a running hub, on SQLite and on PostgreSQL.
//!
//! PostgreSQL is found by `HXA_TEST_POSTGRES_URL` (any database on a server where databases may be created). Without it
//! that half prints a note and does not run; with `CI=true` its absence is a failure.

#![deny(dead_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::too_many_lines,
    reason = "tests state what must hold and stop where it does not"
)]

mod harness;

/// The Rust client: its calls, what it repeats, its event stream, and the verification of webhook requests.
mod client {
    mod calls;
    mod events;
    mod retries;
    mod routes;
    mod webhooks;
}

/// Who may do what: logins, sessions, tokens and what they make, permissions and reading rights.
mod auth {
    mod identity;
    mod lineage;
    mod outliving;
    mod permissions;
    mod reading_rights;
    mod redis_sessions;
    mod sessions;
    mod token_rotation;
}

/// One tenant among many: shares, budgets, and whom a slow or greedy one affects.
mod fairness {
    mod lookups;
    mod reads;
    mod shares;
    mod sockets;
    mod webhooks;
    mod writes;
}

/// A feature of its own, wired into a hub.
mod feature;

/// Uploading files, reading them back, and links to them.
mod files {
    mod links;
    mod uploads;
}

/// Input made to do harm: what it may cost in memory and time.
mod hostile {
    mod answers;
    pub mod bodies;
    mod frames;
    mod uploads;
    mod webhooks;
}

/// Keys of agents: REST, the command line, and the running hub behind it.
mod keys {
    mod control_socket;
    mod rest;
    mod setup_key;
}

/// Direct messages, channels, the inbox, catch-up and search.
mod messages {
    mod catchup;
    pub mod direct;
    mod search;
}

/// What an operator meets: command line, configuration, health, logs, databases, backup and upgrades.
mod operations {
    mod admin;
    mod backup;
    mod behind_proxy;
    mod cli;
    mod database_settings;
    mod health;
    mod import;
    mod layouts;
    mod logging;
    mod migrations;
    mod one_hub;
    mod postgres_tls;
    pub mod readiness;
    mod retention;
    pub mod slow_log;
    mod sql_scripts;
    mod upgrade;
}

/// Organisations and the bots in them.
mod orgs {
    mod bots;
    mod names;
}

/// The people of organisations: accounts, logins, roles, and their commands.
mod people {
    mod accounts;
    mod command_line;
    pub mod logins;
    mod rights;
}

/// The pages for people.
mod portal {
    mod browser;
    mod pages;
}

/// What all routes have in common: the OpenAPI document, CORS, refusals, idempotency keys, and the paths before 1.1.
mod protocol {
    mod bad_input;
    mod cors;
    mod docs;
    mod idempotency;
    mod openapi;
    mod v0;
}

/// Faults: crashes, hangs, full disks, bad networks, jumping clocks, overload and random input.
mod reliability {
    mod actor_death;
    mod clock_jumps;
    mod database_faults;
    mod disk_full;
    mod durability;
    mod fuzz;
    mod graceful_stop;
    mod kills;
    pub mod linearizable;
    pub mod network_faults;
    mod overload;
    pub mod power_cut;
    mod slow_peers;
    mod soak;
    mod sync_order;
}

/// Coordination requests: agents ask, people decide, streams tell.
mod requests {
    mod access;
    mod bodies;
    mod bounds;
    mod chain;
    mod crashes;
    mod deadlines;
    mod fallbacks;
    mod import;
    mod life;
    mod lists;
    mod notices;
    mod races;
    mod roles;
    mod sdk;
    mod slack;
    mod stream;
    mod walk;
}

/// What must not be possible for anybody: by fields, ids, headers, limits, races or the log.
mod security {
    mod fields;
    mod http;
    mod limits;
    mod logs;
    mod objects;
    pub mod races;
}

/// The WebSocket: connections, frames, operations, events, resuming and presence.
mod sockets {
    pub mod connections;
    mod events;
    mod frames;
    mod mirror;
    mod operation_fields;
    mod operations;
    mod presence;
    mod presence_storm;
    mod resume;
}

/// Threads: their fields, status, participants, messages and artifacts.
mod threads {
    mod artifacts;
    mod messages;
    mod participants;
    mod rest;
    mod status;
}

/// Webhooks: delivery, receivers that misbehave, and settings.
mod webhooks {
    pub mod delivery;
    mod receivers;
    mod settings;
}
