//! The command line: subcommands, and one flag for every setting of the configuration.
//!
//! This module only declares the interface, so that tests can check the help; `main.rs` executes the commands. A new command is
//! a variant of [`Command`] and an arm in `main.rs`; a new setting appears automatically.

mod admin;
mod keys;

use std::ops::Deref;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, value_parser};

pub use self::admin::{
    AdminArguments, AdminCommand, BotCommand, InviteCommand, OrgCommand, OrgOption, Owner, PersonCommand, TokenCommand,
};
pub use self::keys::{KeyCommand, NewKeyArguments, SetupKeyArguments};
use hxa_hub::config::{DEFAULT_FILE, Flags, SETTINGS, Setting};
use hxa_requests::rules::times;

/// Self-hosted realtime messaging hub for AI agents and the people who work with them
#[derive(Debug, Clone, Parser)]
#[command(name = "hxa-connect", version, after_help = "Every setting has a flag; --help lists them.")]
pub struct Cli {
    /// The command; runs the hub if omitted.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Settings given as flags.
    #[command(flatten)]
    pub flags: SettingFlags,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the hub (the default)
    Serve,
    /// Migrate the database and list the applied migrations
    Migrate {
        /// Only list the pending migrations
        #[arg(long)]
        dry_run: bool,
    },
    /// Import another database into the configured one
    Import(ImportArguments),
    /// Back up the database and the uploaded files to a new folder, while the hub runs
    Backup {
        /// The folder to create; an existing one must be empty
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// Verify a backup and restore it; the hub must be stopped
    Restore {
        /// The folder of the backup
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
        /// Overwrite existing data: SQLite and files are renamed, tables in PostgreSQL are replaced
        #[arg(long)]
        force: bool,
    },
    /// Manage organisations, keys, tokens and invite codes
    Admin(AdminArguments),
    /// Verify or export the audit chains of coordination requests, while the hub runs or not
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Create an API key for an agent, or list or revoke keys; works while the hub runs and while it does not
    SetupKey(SetupKeyArguments),
    /// Show live statistics of a running hub
    Top {
        /// URL of the hub
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4800")]
        url: String,
        /// Seconds between updates
        #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = value_parser!(u64).range(1..=3600))]
        every: u64,
        /// Print the statistics once as plain text
        #[arg(long)]
        once: bool,
    },
    /// Run a sample conversation of three bots on a hub in a temporary folder
    Demo {
        /// Keep the hub running after the conversation
        #[arg(long)]
        keep: bool,
    },
    /// Check or print the configuration without starting the hub
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document of the REST interface
    Openapi,
}

/// Source and options of an import.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct ImportArguments {
    /// SQLite file or postgres:// URL of the source: a server up to 1.7.2, a hub of this version, or the hcp.db of a Human
    /// Coordination Plane
    #[arg(long, value_name = "FILE|URL")]
    pub from: String,
    /// The data folder with the uploaded files; without it only their rows are imported
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// Delete all data in the configured database before the import
    #[arg(long)]
    pub force: bool,
    /// Only read, check and count
    #[arg(long)]
    pub dry_run: bool,
    /// The organisation, by id or name, that an hcp.db is added to; without it the only one, or a new one named "default"
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,
    /// Let the keys of an hcp.db also answer requests, in any name, as they did
    #[arg(long)]
    pub allow_respond: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Commands about the audit of coordination requests.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// Verify that no audit row was edited, removed or inserted; exits with 1 and names the first that was
    Verify {
        /// Only this organisation, by its id or name
        #[arg(long, value_name = "ORG")]
        org: Option<String>,
    },
    /// Print audit events as lines of JSON, oldest first
    Export(AuditExport),
}

/// Which audit events are exported.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct AuditExport {
    /// Only those of this organisation, by its id or name
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,
    /// Only those from this time on: ISO 8601, a date alone (in UTC), or milliseconds
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<i64>,
    /// Only those before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<i64>,
}

/// A time as on the wire, in ms.
fn time(text: &str) -> Result<i64, &'static str> {
    times::parse(text).ok_or("takes ISO 8601 with a zone, a date such as 2026-01-31, or milliseconds")
}

/// Commands about the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Check whether the hub would start with these settings
    Check,
    /// Print the effective settings and their sources; secrets are masked
    Print {
        /// Print the commented file of all defaults instead
        #[arg(long)]
        default: bool,
    },
}

/// The argument of `--config`.
const FILE: &str = "config";

/// One flag for each setting, in the form that clap fills.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags(Flags);

impl Deref for SettingFlags {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.0
    }
}

impl Args for SettingFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = Arg::new(FILE)
            .long(FILE)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(format!("Configuration file [default: {DEFAULT_FILE}, if it exists]"))
            .global(true);
        let secrets = SETTINGS.iter().filter(|setting| setting.is_secret);
        command.arg(file).args(SETTINGS.iter().map(argument)).args(secrets.map(file_argument))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        if let Some(file) = matches.get_one::<PathBuf>(FILE) {
            self.0.file = Some(file.clone());
        }
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.flag) {
                self.0.values.insert(setting.flag.to_owned(), value.clone());
            }
            if setting.is_secret
                && let Some(path) = matches.get_one::<PathBuf>(setting.file_flag)
            {
                self.0.secret_files.insert(setting.file_flag.to_owned(), path.clone());
            }
        }
        Ok(())
    }
}

/// A flag that names the file of a secret, so that the secret itself is not in the process list.
fn file_argument(setting: &'static Setting) -> Arg {
    let variable = setting.env.first().copied().unwrap_or_default();
    Arg::new(setting.file_flag)
        .long(setting.file_flag)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help(format!("File with the value of --{} [env: {variable}_FILE]", setting.flag))
        .help_heading(setting.area)
        .hide_short_help(true)
        .global(true)
}

/// A setting as a flag. Values are parsed when all sources are merged, so that all errors have the same form.
fn argument(setting: &'static Setting) -> Arg {
    let doc: Vec<&str> = setting.doc.iter().map(|line| line.trim()).collect();
    let argument = Arg::new(setting.flag)
        .long(setting.flag)
        .value_name(if setting.is_switch { "BOOL" } else { "VALUE" })
        .help(format!("{} [env: {}]", doc.join(" ").trim_end_matches('.'), setting.env.join(", ")))
        .help_heading(setting.area)
        .hide_short_help(true)
        .action(ArgAction::Set)
        .global(true);
    if setting.is_switch {
        argument.num_args(0..=1).require_equals(true).default_missing_value("true")
    } else {
        argument
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_taken_before_and_after_the_command() {
        for line in [
            "hxa-connect --port 1 --dev-mode",
            "hxa-connect serve --port 1 --dev-mode",
            "hxa-connect --port 1 serve --dev-mode",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.flags.values.get("port").map(String::as_str), Some("1"), "{line}");
            assert_eq!(cli.flags.values.get("dev-mode").map(String::as_str), Some("true"), "{line}");
            assert_eq!(cli.flags.values.len(), 2, "{line}");
        }
        let cli = parse("hxa-connect config print --dev-mode=false --config x.toml").unwrap();
        assert_eq!(cli.command, Some(Command::Config(ConfigCommand::Print { default: false })));
        assert_eq!(cli.flags.file, Some(PathBuf::from("x.toml")));
        assert_eq!(cli.flags.values.get("dev-mode").map(String::as_str), Some("false"));
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["hxa-connect --prot 1", "hxa-connect dance", "hxa-connect config", "hxa-connect --port"] {
            assert!(parse(line).is_err(), "{line} was accepted");
        }
    }

    #[test]
    fn the_long_help_names_every_setting() {
        let help = Cli::command().render_long_help().to_string();
        for setting in SETTINGS {
            assert!(help.contains(&format!("--{}", setting.flag)), "--{} is missing", setting.flag);
            assert!(setting.env.iter().all(|variable| help.contains(variable)), "{:?} is missing", setting.env);
        }
    }
}
