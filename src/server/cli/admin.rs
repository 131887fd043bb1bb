//! The interface of `hxa-connect admin`; `src/server/admin.rs` executes the commands.
//!
//! Lifetimes are in seconds everywhere here, whatever unit the protocol has for them.

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::keys::KeyCommand;

/// Command and target of `hxa-connect admin`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct AdminArguments {
    /// The command
    #[command(subcommand)]
    pub command: AdminCommand,
    /// URL of a running hub to use; without it the command uses the hub that runs on this machine, or the configured
    /// database while there is none
    #[arg(long, value_name = "URL", global = true)]
    pub url: Option<String>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands by resource.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
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
    /// People of an organisation
    #[command(subcommand)]
    Person(PersonCommand),
    /// Keys with which agents ask people
    #[command(subcommand)]
    Key(KeyCommand),
    /// Invite codes, with which anyone can create an organisation
    #[command(subcommand)]
    Invite(InviteCommand),
    /// Statistics of the hub
    Stats,
}

/// Commands about organisations.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
pub enum BotCommand {
    /// List all bots, by name; through a running hub with HXA_CONNECT_ORG_SECRET
    List {
        /// The organisation's id, or its name without --url
        #[arg(long)]
        org: String,
    },
}

/// The bot whose tokens are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct Owner {
    /// The organisation's id or name; not needed with --url
    #[arg(long)]
    pub org: Option<String>,
    /// The bot's id or name; not needed with --url, where HXA_CONNECT_BOT_TOKEN identifies the bot
    #[arg(long)]
    pub bot: Option<String>,
}

/// Commands about scoped tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
pub enum TokenCommand {
    /// Create a scoped token; it is shown once
    Issue {
        /// Its bot
        #[command(flatten)]
        owner: Owner,
        /// Its scopes: full, read, thread, message, profile, coordinate
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
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
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

/// The organisation whose people are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct OrgOption {
    /// The organisation's id or name; the only one if omitted. With --url its id, and HXA_CONNECT_ORG_SECRET
    #[arg(long)]
    pub org: Option<String>,
}

/// Commands about people.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
pub enum PersonCommand {
    /// Create a person; its one-time login link is shown
    Add {
        /// Its handle, by which it is addressed; it never changes
        handle: String,
        /// Its role: admin, coordinator, responder, auditor or viewer
        #[arg(long)]
        role: String,
        /// Its name in lists; the handle if omitted
        #[arg(long)]
        name: Option<String>,
        /// The id of its user in Slack
        #[arg(long, value_name = "USER")]
        slack: Option<String>,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// List all, oldest first
    List {
        /// Their organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Disable a person: its sessions end and it cannot log in
    Disable {
        /// Its handle
        handle: String,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Enable a person that was disabled
    Enable {
        /// Its handle
        handle: String,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Create a one-time login link; the one of before ends
    Link {
        /// Its handle
        handle: String,
        /// End the password too, so that the person can set another one
        #[arg(long)]
        reset_password: bool,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Change a person's role; its sessions end
    Role {
        /// Its handle
        handle: String,
        /// The role: admin, coordinator, responder, auditor or viewer
        role: String,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Set a person's user in Slack, or take it away
    Slack {
        /// Its handle
        handle: String,
        /// The id of the user; none if omitted
        user: Option<String>,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
    /// Delete a person
    Remove {
        /// Its handle
        handle: String,
        /// Its organisation
        #[command(flatten)]
        org: OrgOption,
    },
}

impl PersonCommand {
    /// The organisation that is meant.
    #[must_use]
    pub const fn org(&self) -> &OrgOption {
        match self {
            Self::Add { org, .. }
            | Self::List { org }
            | Self::Disable { org, .. }
            | Self::Enable { org, .. }
            | Self::Link { org, .. }
            | Self::Role { org, .. }
            | Self::Slack { org, .. }
            | Self::Remove { org, .. } => org,
        }
    }
}
