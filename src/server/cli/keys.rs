//! The interface of the commands about agents' keys: `hxa-connect admin key` and `hxa-connect setup-key`.

use clap::{Args, Subcommand, value_parser};
use serde::{Deserialize, Serialize};

/// Commands about agents' keys.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand, Serialize, Deserialize)]
pub enum KeyCommand {
    /// Create a key, and the agent's bot if there is none; the key is shown once
    Create(NewKeyArguments),
    /// List all, newest first
    List {
        /// The organisation's id or name; its id with --url, where HXA_CONNECT_ORG_SECRET is needed
        #[arg(long)]
        org: Option<String>,
    },
    /// Revoke a key; it ends at once
    Revoke {
        /// Its id
        id: String,
        /// The organisation's id or name; its id with --url, where HXA_CONNECT_ORG_SECRET is needed
        #[arg(long)]
        org: Option<String>,
    },
}

/// A key to create.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
pub struct NewKeyArguments {
    /// The agent: a bot's name or id
    pub agent_id: String,
    /// A note
    #[arg(long)]
    pub label: Option<String>,
    /// The organisation's id or name; not needed where there is only one. Its id with --url, where HXA_CONNECT_ORG_SECRET
    /// is needed
    #[arg(long)]
    pub org: Option<String>,
    /// Let the key answer requests too
    #[arg(long)]
    pub allow_respond: bool,
    /// Lifetime in seconds; unlimited if omitted
    #[arg(long, value_name = "SECONDS", value_parser = value_parser!(u32).range(1..))]
    pub expires_in: Option<u32>,
}

/// What `setup-key` is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SetupKeyArguments {
    /// The agent: a bot's name or id; the bot is made if there is none [default: default-agent]
    #[arg(conflicts_with_all = ["list", "revoke"])]
    pub agent_id: Option<String>,
    /// A note [default: "Default API Key"]
    #[arg(conflicts_with_all = ["list", "revoke"])]
    pub label: Option<String>,
    /// The organisation's id or name; without it the only one, or a new one named "default"
    #[arg(long)]
    pub org: Option<String>,
    /// Let the key answer requests too
    #[arg(long, conflicts_with_all = ["list", "revoke"])]
    pub allow_respond: bool,
    /// Lifetime in seconds; unlimited if omitted
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = value_parser!(u32).range(1..),
        conflicts_with_all = ["list", "revoke"],
    )]
    pub expires_in: Option<u32>,
    /// List all keys instead, newest first
    #[arg(long, conflicts_with = "revoke")]
    pub list: bool,
    /// Revoke the key with this id instead
    #[arg(long, value_name = "ID")]
    pub revoke: Option<String>,
}
