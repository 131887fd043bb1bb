//! Configuration: flags, environment, file, defaults.
//!
//! `table` declares every setting once; this file merges the sources (flags, then environment, then file, then default)
//! into one [`Config`] and reports all invalid values together. Nothing else in the hub reads the environment (except
//! the log's `RUST_LOG`), and there is no global: the [`Config`] is passed where it is needed.

mod checks;
mod environment;
mod file;
mod first_start;
mod print;
mod table;
mod types;
mod value;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hxa_domain::file_links::LinkKey;
use hxa_domain::pace::Pacing;

pub use first_start::make as make_admin_secret;
pub use print::{default_file, effective};
pub use table::{
    AREAS, ActorsConfig, Area, AuthConfig, Config, DatabaseConfig, FilesConfig, LogConfig, MessagesConfig,
    ResumeConfig, SETTINGS, ServerConfig, Setting, SlackConfig, SocketsConfig, WebhooksConfig,
};
pub use types::{BasePath, Cidr, CorsOrigins, LogFormat, LogLevel, OpenPortal, ProxyHeader, Secret, SessionStore};

/// The file that is read when none is named and it exists.
pub const DEFAULT_FILE: &str = "config/hxa-connect.toml";

/// A shorter admin secret can be guessed.
const ADMIN_SECRET_CHARS: usize = 16;
/// One that is even shorter is guessed in no time; what older set-ups use has nine.
const LEAST_SECRET_CHARS: usize = 8;

/// What the command line says: flags by name, and the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Values of flags that were given, by flag name without dashes.
    pub values: HashMap<String, String>,
    /// Files that hold secrets, by the flag that names them.
    pub secret_files: HashMap<String, PathBuf>,
    /// The file named by `--config`.
    pub file: Option<PathBuf>,
}

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The flag of this name.
    Flag(&'static str),
    /// The environment variable of this name.
    Environment(String),
    /// This file.
    File(PathBuf),
    /// The default.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A configuration that can be run with.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What an operator should hear although the hub can start; to be logged once the log works.
    pub warnings: Vec<String>,
    origins: HashMap<String, Origin>,
}

impl Loaded {
    /// Where the value of `setting` came from.
    #[must_use]
    pub fn origin(&self, setting: &Setting) -> &Origin {
        self.origins.get(&setting.name()).unwrap_or(&Origin::Default)
    }
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence each: where, what, and what would be right.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot be used")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Merges the flags, this process's environment and the file, and checks the result.
    ///
    /// # Errors
    /// With every problem that was found, when there is one.
    pub fn load(flags: &Flags) -> Result<Loaded, ConfigError> {
        let (environment, problems) = environment::of_process();
        Self::merged(flags, &environment, problems)
    }

    /// The same with an environment given by the caller.
    ///
    /// # Errors
    /// With every problem that was found, when there is one.
    pub fn load_with(flags: &Flags, environment: &HashMap<String, String>) -> Result<Loaded, ConfigError> {
        Self::merged(flags, environment, Vec::new())
    }

    fn merged(
        flags: &Flags,
        environment: &HashMap<String, String>,
        problems: Vec<String>,
    ) -> Result<Loaded, ConfigError> {
        let mut merge = Merge { problems, ..Merge::default() };
        merge.apply_file(flags.file.as_deref());
        merge.apply_environment(environment);
        merge.apply_flags(flags);
        merge.finish()
    }

    /// What cannot work, one sentence each; empty when the hub can start.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.auth.admin_secret.is_none() && !self.server.dev_mode && !self.auth.make_admin_secret {
            problems.push(
                "no admin secret: set HXA_CONNECT_ADMIN_SECRET to at least 16 random characters \
                 (openssl rand -hex 32), --make-admin-secret to have one made, or DEV_MODE=true to try things out"
                    .to_owned(),
            );
        }
        if self.has_admin_secret_below(LEAST_SECRET_CHARS) && !self.server.dev_mode {
            problems.push(format!(
                "the admin secret is shorter than {LEAST_SECRET_CHARS} characters; take at least {ADMIN_SECRET_CHARS} random \
                 ones (openssl rand -hex 32)"
            ));
        }
        if self.auth.session_store == SessionStore::Redis && self.auth.redis_url.is_none() {
            problems.push("SESSION_STORE=redis needs REDIS_URL, such as redis://localhost:6379".to_owned());
        }
        if self.coordination.open_portal == OpenPortal::OnThisMachine && !is_loopback(&self.server.host) {
            problems.push(format!(
                "coordination.open_portal lets whoever reaches the hub answer requests, and the hub listens on {}: listen on \
                 127.0.0.1, or set it to \"{}\"",
                self.server.host,
                OpenPortal::Anywhere
            ));
        }
        // An organisation's events get a quarter of it, and JSON written anew may be several times as long.
        let largest = self.server.max_body_bytes.max(self.sockets.max_frame_bytes);
        if self.sockets.waiting_bytes / 16 < largest {
            problems.push(format!(
                "sockets.waiting_bytes must be at least 16 times server.max_body_bytes and sockets.max_frame_bytes, so that the \
                 largest event can be told: {} is less than 16 * {largest}",
                self.sockets.waiting_bytes
            ));
        }
        if self.files.absolute_links && self.files.link_secret.is_none() && self.auth.admin_secret.is_none() {
            problems.push("absolute file links need a key to sign them: set HXA_CONNECT_FILES_LINK_SECRET".to_owned());
        }
        problems
    }

    /// What works but deserves a look, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.has_admin_secret_below(ADMIN_SECRET_CHARS) {
            warnings
                .push(format!("the admin secret is shorter than {ADMIN_SECRET_CHARS} characters and can be guessed"));
        }
        if self.server.dev_mode {
            warnings.push("development mode is on: this hub must not be reachable by strangers".to_owned());
        }
        if self.coordination.open_portal != OpenPortal::Closed {
            warnings.push(
                "coordination.open_portal is on: whoever reaches this hub answers requests in any name".to_owned(),
            );
        }
        if self.auth.redis_url.is_some() && self.auth.session_store == SessionStore::Sql {
            warnings.push("REDIS_URL is set but not used; SESSION_STORE=redis would use it".to_owned());
        }
        if self.slack.bot_token.is_some() && self.slack.signing_secret.is_none() {
            warnings.push(
                "SLACK_BOT_TOKEN is set without SLACK_SIGNING_SECRET: messages in Slack have no buttons, and what is clicked there is refused"
                    .to_owned(),
            );
        }
        if self.slack.signing_secret.is_some() && self.slack.bot_token.is_none() {
            warnings.push("SLACK_SIGNING_SECRET is set without SLACK_BOT_TOKEN: nothing is sent to Slack".to_owned());
        }
        warnings.extend(self.contradictions());
        warnings
    }

    fn has_admin_secret_below(&self, chars: usize) -> bool {
        self.auth.admin_secret.as_ref().is_some_and(|secret| secret.expose().chars().count() < chars)
    }

    /// Settings that are good each by itself and say different things together.
    fn contradictions(&self) -> Vec<String> {
        let (server, mut found) = (&self.server, Vec::new());
        let public = server.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        if let (Some(public), Some(domain)) = (&public, &server.domain)
            && public.host_str().is_some_and(|host| !host.eq_ignore_ascii_case(domain))
        {
            found.push(format!(
                "public_url ({}) and domain ({domain}) name different hosts: browsers are let in from {domain} only",
                public.host_str().unwrap_or_default()
            ));
        }
        let base_path = server.base_path.as_str();
        if let Some(public) = &public
            && !base_path.is_empty()
            && !public.path().trim_end_matches('/').ends_with(base_path)
        {
            found.push(format!("public_url does not end in base_path ({base_path}); links leave that out"));
        }
        if server.trusted_proxies.iter().any(|network| network.is_everybody()) {
            found.push(
                "trusted_proxies names the whole internet: every client chooses the address it is seen by".to_owned(),
            );
        }
        if self.files.max_file_size_mb > self.files.upload_mb_per_day {
            found.push(
                "files.max_file_size_mb is more than files.upload_mb_per_day: no such file can be uploaded".to_owned(),
            );
        }
        if self.sockets.max_frame_bytes < self.messages.max_length {
            found.push(
                "sockets.max_frame_bytes is less than messages.max_length: such messages pass by REST only".to_owned(),
            );
        }
        found
    }

    /// The SQLite database file; used when no database URL is set.
    #[must_use]
    pub fn sqlite_path(&self) -> PathBuf {
        self.database.data_dir.join("hxa-connect.db")
    }

    /// What is asked of clients that send and take in bytes.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        let server = &self.server;
        let patience = Duration::from_secs(server.patience_seconds);
        Pacing { patience, bytes_per_second: server.slowest_bytes_per_second }
    }

    /// The key of links that work without a token, if the hub can have one.
    #[must_use]
    pub fn link_key(&self) -> Option<LinkKey> {
        let configured = self.files.link_secret.as_ref().map(Secret::expose);
        LinkKey::of(configured, self.auth.admin_secret.as_ref().map(Secret::expose))
    }

    /// The URL under which clients reach the hub, without a trailing slash: `public_url`, else made from `domain` and
    /// `base_path`, else this machine's own `port`, which is the port really bound.
    #[must_use]
    pub fn base_url(&self, port: u16) -> String {
        let base_path = &self.server.base_path;
        match (&self.server.public_url, &self.server.domain) {
            (Some(url), _) => url.strip_suffix('/').unwrap_or(url).to_owned(),
            (None, Some(domain)) => format!("https://{domain}{base_path}"),
            (None, None) => format!("http://localhost:{port}{base_path}"),
        }
    }
}

/// Whether a host to listen on is this machine alone.
fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A configuration on its way from its sources.
#[derive(Default)]
struct Merge {
    config: Config,
    origins: HashMap<String, Origin>,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Merge {
    fn apply_file(&mut self, named: Option<&Path>) {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let outcome = file::apply(&mut self.config, path, &text);
                self.problems.extend(outcome.problems);
                self.origins.extend(outcome.set.iter().map(|setting| (setting.name(), Origin::File(path.to_owned()))));
            }
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => self.problems.push(format!("{}: cannot be read: {error}", path.display())),
        }
    }

    fn apply_environment(&mut self, environment: &HashMap<String, String>) {
        for setting in SETTINGS {
            if let Some((variable, text)) = self.find_variable(setting, environment) {
                self.apply_variable(setting, variable, &text);
            }
        }
        self.warnings.extend(environment::foreign(environment));
        let mut unknown: Vec<&String> = environment.keys().filter(|name| is_unknown(name)).collect();
        unknown.sort();
        // An orchestrator's variables are not about this hub, whatever the service is called.
        unknown.retain(|name| !environment::is_of_orchestrator(name));
        self.warnings.extend(
            unknown.into_iter().map(|name| format!("environment variable {name} names no setting and is ignored")),
        );
    }

    /// The first of the setting's variables that is set to something; for a secret also the file that one names.
    fn find_variable(&mut self, setting: &Setting, environment: &HashMap<String, String>) -> Option<(String, String)> {
        for &name in setting.env {
            let given = environment.get(name).filter(|text| !text.trim().is_empty());
            if let Some(text) = given.filter(|text| !environment::is_service_link(name, text)) {
                return Some((name.to_owned(), text.clone()));
            }
            if given.is_some() {
                self.warnings
                    .push(format!("{name} is the address of a service, set by an orchestrator, and is ignored"));
            }
            let file_name = format!("{name}_FILE");
            let path = environment.get(&file_name).filter(|path| setting.is_secret && !path.is_empty());
            match path.map(std::fs::read_to_string) {
                Some(Ok(text)) => return Some((file_name, text.trim_end().to_owned())),
                Some(Err(error)) => self.problems.push(format!("{file_name}: the file cannot be read: {error}")),
                None => {}
            }
        }
        None
    }

    fn apply_variable(&mut self, setting: &Setting, variable: String, text: &str) {
        let taken_for = (setting.read_env)(text);
        if taken_for.is_none_or(|taken_for| !taken_for.eq_ignore_ascii_case(text.trim())) {
            let meaning = taken_for.unwrap_or("the default");
            self.warnings.push(format!("{variable}={text} is taken for {meaning}"));
        }
        let Some(text) = taken_for else { return };
        self.set(setting, text, &variable, Origin::Environment(variable.clone()));
    }

    fn apply_flags(&mut self, flags: &Flags) {
        for setting in SETTINGS {
            if let Some(text) = flags.values.get(setting.flag) {
                if setting.is_secret && is_telling(text) {
                    self.warnings.push(format!(
                        "everybody on this machine can read --{} in the list of processes; use --{} or {}_FILE",
                        setting.flag,
                        setting.file_flag,
                        setting.env.first().copied().unwrap_or_default()
                    ));
                }
                self.set(setting, text, &format!("--{}", setting.flag), Origin::Flag(setting.flag));
            }
            if let Some(path) = flags.secret_files.get(setting.file_flag) {
                self.apply_secret_file(setting, path, flags.values.contains_key(setting.flag));
            }
        }
    }

    fn apply_secret_file(&mut self, setting: &Setting, path: &Path, is_given_twice: bool) {
        let flag = format!("--{}", setting.file_flag);
        match std::fs::read_to_string(path) {
            _ if is_given_twice => self.problems.push(format!("{flag} and --{} exclude each other", setting.flag)),
            Ok(text) if text.trim().is_empty() => self.problems.push(format!("{flag}: {} is empty", path.display())),
            Ok(text) => self.set(setting, text.trim_end(), &flag, Origin::Flag(setting.file_flag)),
            Err(error) => self.problems.push(format!("{flag}: {} cannot be read: {error}", path.display())),
        }
    }

    fn set(&mut self, setting: &Setting, text: &str, place: &str, origin: Origin) {
        match (setting.set_text)(&mut self.config, text) {
            Ok(()) => {
                self.origins.insert(setting.name(), origin);
            }
            Err(problem) => self.problems.push(format!("{place}: {problem}")),
        }
    }

    fn finish(mut self) -> Result<Loaded, ConfigError> {
        self.apply_dev_mode();
        self.apply_kept_secret();
        self.problems.extend(self.config.problems());
        if !self.problems.is_empty() {
            return Err(ConfigError { problems: self.problems });
        }
        self.warnings.extend(self.config.warnings());
        Ok(Loaded { config: self.config, warnings: self.warnings, origins: self.origins })
    }

    /// The secret that an earlier start has made.
    fn apply_kept_secret(&mut self) {
        if self.config.auth.admin_secret.is_some() {
            return;
        }
        let data_dir = &self.config.database.data_dir;
        match first_start::kept(data_dir) {
            Ok(Some(secret)) => {
                self.origins.insert("auth.admin_secret".to_owned(), Origin::File(first_start::place(data_dir)));
                self.config.auth.admin_secret = Some(secret);
            }
            Ok(None) => {}
            Err(problem) => self.problems.push(problem),
        }
    }

    /// Development mode moves three defaults; what was set explicitly stays.
    fn apply_dev_mode(&mut self) {
        if !self.config.server.dev_mode {
            return;
        }
        if !self.origins.contains_key("server.host") {
            self.config.server.host = "127.0.0.1".to_owned();
        }
        if !self.origins.contains_key("server.cors_origins") {
            self.config.server.cors_origins = CorsOrigins::Any;
        }
        if !self.origins.contains_key("log.level") {
            self.config.log.level = LogLevel::Debug;
        }
    }
}

/// Whether a URL has a password in it.
#[must_use]
pub fn gives_password_away(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| {
        rest.contains("password=") || rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

/// Whether a secret on the command line gives something away: of a URL only the password does.
fn is_telling(text: &str) -> bool {
    gives_password_away(text) || (!text.is_empty() && !text.contains("://"))
}

/// True for a variable with our prefix that names no setting: most likely a typing mistake.
fn is_unknown(name: &str) -> bool {
    let is_known = |setting: &Setting| {
        setting
            .env
            .iter()
            .any(|&known| known == name || (setting.is_secret && name.strip_suffix("_FILE") == Some(known)))
    };
    name.starts_with("HXA_CONNECT_") && !SETTINGS.iter().any(is_known)
}

#[cfg(test)]
mod tests;
