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

mod actor_death;
mod admin;
mod artifacts;
mod backup;
mod bad_input;
mod behind_proxy;
mod bots;
mod catchup;
mod cli;
mod clock_jumps;
mod cors;
mod database_faults;
mod database_settings;
mod disk_full;
mod docs;
mod durability;
mod events;
mod fair_lookups;
mod fair_reads;
mod fair_shares;
mod fair_sockets;
mod fair_webhooks;
mod fair_writes;
mod feature;
mod file_links;
mod files;
mod frames;
mod fuzz;
mod graceful_stop;
mod health;
mod hostile_answers;
mod hostile_bodies;
mod hostile_frames;
mod hostile_uploads;
mod hostile_webhooks;
mod idempotency;
mod identity;
mod import;
mod kills;
mod layouts;
mod lineage;
mod linearizable;
mod logging;
mod messages;
mod migrations;
mod mirror;
mod names;
mod network_faults;
mod one_hub;
mod openapi;
mod operation_fields;
mod operations;
mod outliving;
mod overload;
mod participants;
mod permissions;
mod postgres_tls;
mod power_cut;
mod presence;
mod presence_storm;
mod readiness;
mod reading_rights;
mod redis_sessions;
mod resume;
mod retention;
mod search;
mod security_fields;
mod security_http;
mod security_limits;
mod security_logs;
mod security_objects;
mod security_races;
mod sessions;
mod slow_log;
mod slow_peers;
mod soak;
mod sockets;
mod sql_scripts;
mod status;
mod sync_order;
mod thread_messages;
mod threads;
mod token_rotation;
mod upgrade;
mod v0;
mod webhook_receivers;
mod webhook_settings;
mod webhooks;
