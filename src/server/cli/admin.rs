//! The interface of `hxa-connect admin`; `src/server/admin.rs` executes the commands.
//!
//! Lifetimes are in seconds everywhere here, whatever unit the protocol has for them.

use clap::{Args, Subcommand};

/// Command and target of `hxa-connect admin`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AdminArguments {
    /// The command
    #[command(subcommand)]
    pub command: AdminCommand,
    /// URL of a running hub to use; without it the command uses the configured database directly
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands by resource.
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
    /// Invite codes, with which anyone can create an organisation
    #[command(subcommand)]
    Invite(InviteCommand),
    /// Statistics of the hub
    Stats,
}

/// Commands about organisations.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OrgCommand {
    /// Create an organisation; its secret is shown once
    Create {
        /// Its name
        name: String,
    },
    /// List all organisations, oldest first
    List,
    /// Suspend an organisation: its requests are refused, its sockets close and its usable tickets end
    Suspend {
        /// Its id or name
        org: String,
    },
    /// Reinstate a suspended organisation
    #[command(alias = "activate")]
    Reinstate {
        /// Its id or name
        org: String,
    },
}

/// Commands about bots.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum BotCommand {
    /// List all bots, by name; through a running hub with HXA_CONNECT_ORG_SECRET
    List {
        /// The organisation's id, or its name without --url
        #[arg(long)]
        org: String,
    },
}

/// The bot whose tokens are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Owner {
    /// The organisation's id or name; not needed with --url
    #[arg(long)]
    pub org: Option<String>,
    /// The bot's id or name; not needed with --url, where HXA_CONNECT_BOT_TOKEN identifies the bot
    #[arg(long)]
    pub bot: Option<String>,
}

/// Commands about scoped tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum TokenCommand {
    /// Create a scoped token; it is shown once
    Issue {
        /// Its bot
        #[command(flatten)]
        owner: Owner,
        /// Its scopes: full, read, thread, message, profile
        #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
        scopes: Vec<String>,
        /// A note
        #[arg(long)]
        label: Option<String>,
        /// Lifetime in seconds; unlimited if omitted
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
    /// List all, newest first
    List {
        /// Their bot
        #[command(flatten)]
        owner: Owner,
    },
    /// Revoke a token; everything opened with it ends too
    Revoke {
        /// Its bot
        #[command(flatten)]
        owner: Owner,
        /// Its id
        id: String,
    },
}

/// Commands about invite codes.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum InviteCommand {
    /// Create an invite code
    Create {
        /// Number of organisations it can create; 0 means unlimited
        #[arg(long, value_name = "N", default_value_t = 1)]
        max_uses: i32,
        /// Lifetime in seconds; 0 means unlimited, 90 days if omitted
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
        /// A note
        #[arg(long)]
        label: Option<String>,
    },
    /// List all, newest first
    List,
    /// Revoke an invite code
    Revoke {
        /// Its id
        id: String,
    },
}
