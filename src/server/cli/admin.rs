//! The shape of `hxa-connect admin`: what an operator can do from a shell. `src/server/admin.rs` carries it out.
//!
//! Lifetimes are in seconds everywhere here, whatever unit the protocol has for them.

use clap::{Args, Subcommand};

/// What to do, and where.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AdminArguments {
    /// What to do
    #[command(subcommand)]
    pub command: AdminCommand,
    /// Do it through the running hub at this URL; without it the configured database is used directly
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Print the answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Of what.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AdminCommand {
    /// Organisations
    #[command(subcommand)]
    Org(OrgCommand),
    /// Bots of an organisation
    #[command(subcommand)]
    Bot(BotCommand),
    /// Scoped tokens of a bot
    #[command(subcommand)]
    Token(TokenCommand),
    /// Invite codes, with which strangers can make an organisation
    #[command(subcommand)]
    Invite(InviteCommand),
    /// How much the hub holds
    Stats,
}

/// What can be done with organisations.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OrgCommand {
    /// Make one; its secret is shown once
    Create {
        /// Its name
        name: String,
    },
    /// List all, oldest first
    List,
    /// Let nobody of it in any more; its sockets close and its usable tickets end
    Suspend {
        /// Its id or name
        org: String,
    },
    /// Let a suspended one in again
    #[command(alias = "activate")]
    Reinstate {
        /// Its id or name
        org: String,
    },
}

/// What can be done with bots.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum BotCommand {
    /// List all, by name; through a running hub with HXA_CONNECT_ORG_SECRET
    List {
        /// The organisation's id, or its name without --url
        #[arg(long)]
        org: String,
    },
}

/// Whose tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Owner {
    /// The organisation's id or name; not needed with --url
    #[arg(long)]
    pub org: Option<String>,
    /// The bot's id or name; not needed with --url, where HXA_CONNECT_BOT_TOKEN says which bot it is
    #[arg(long)]
    pub bot: Option<String>,
}

/// What can be done with scoped tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenCommand {
    /// Make one; it is shown once
    Issue {
        /// Whose it is
        #[command(flatten)]
        owner: Owner,
        /// What it covers: full, read, thread, message, profile
        #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// A note
        #[arg(long)]
        label: Option<String>,
        /// Seconds until it ends; without it it does not
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
    /// List all, newest first
    List {
        /// Whose they are
        #[command(flatten)]
        owner: Owner,
    },
    /// End one; what was opened with it ends too
    Revoke {
        /// Whose it is
        #[command(flatten)]
        owner: Owner,
        /// Its id
        id: String,
    },
}

/// What can be done with invite codes.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum InviteCommand {
    /// Make one
    Create {
        /// How many organisations it can open; 0 is without limit
        #[arg(long, value_name = "N", default_value_t = 1)]
        max_uses: i32,
        /// Seconds until it ends; 0 is never, 90 days without it
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
        /// A note
        #[arg(long)]
        label: Option<String>,
    },
    /// List all, newest first
    List,
    /// End one
    Revoke {
        /// Its id
        id: String,
    },
}
