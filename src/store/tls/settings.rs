//! Parsing the TLS settings of a PostgreSQL URL, by libpq's names and meanings.
//!
//! Pure: no network, no files. The URL is split by libpq's own rules (the user ends at the first `@` before a `/`), and
//! joined again without the TLS settings, once for the relay's socket and once for a plain connection. A setting that
//! cannot be honoured is refused rather than ignored, and no text repeats the URL, because it contains the password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How much the URL asks of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Without TLS, unless the server refuses that.
    Allow,
    /// With TLS if the server has it.
    Prefer,
    /// Encrypted; the server is checked only when `sslrootcert` says against what.
    Require,
    /// The certificate must be signed by a known authority.
    VerifyCa,
    /// It must also be for the host name of the URL.
    VerifyFull,
}

/// Where the known authorities come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// None are named.
    Unset,
    /// Those of this machine and of the web.
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

/// The server of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name that the certificate must be for.
    pub host: String,
    /// Where to connect instead of looking the name up (`hostaddr`).
    pub address: Option<String>,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} port {}", self.host, self.port)
    }
}

/// What the relay does for TCP in libpq's place, by libpq's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// For reaching the server and the handshake.
    pub connect: Duration,
    /// Unacknowledged data for longer than this ends the connection; zero leaves it to the kernel.
    pub unacknowledged: Duration,
    /// Silence after which the kernel asks whether the server is still there; `None` turns that off.
    pub keepalive: Option<Duration>,
}

/// Everything that a TLS connection needs.
#[derive(Clone)]
pub struct TlsSettings {
    /// How much is asked for.
    pub mode: Mode,
    /// The server.
    pub server: Server,
    /// Whom to believe.
    pub roots: Roots,
    /// Files of the client's certificate and its key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Refuse TLS 1.2.
    pub only_tls13: bool,
    /// Tell the server the name it is reached by.
    pub send_name: bool,
    /// Limits of the TCP connection.
    pub patience: Patience,
    parts: Parts,
}

/// What to do for a URL.
pub enum Plan {
    /// Hand it to libpq as it is.
    Plain,
    /// Connect by these settings.
    Tls(Box<TlsSettings>),
}

/// A URL in pieces, as they were written.
#[derive(Clone)]
struct Parts {
    scheme: String,
    /// User and password with the `@`, or nothing.
    user: String,
    host: String,
    /// The database with its `/`, or nothing.
    path: String,
    query: Vec<(String, String)>,
}

/// Decides what a URL asks for.
///
/// # Errors
/// When it asks for TLS in a way that cannot be honoured.
pub fn plan(url: &str) -> Result<Plan, String> {
    let Some(parts) = Parts::of(url) else { return Ok(Plan::Plain) };
    let Some(mode) = parts.mode()? else { return Ok(Plan::Plain) };
    parts.refuse_unknown()?;
    let host = parts.setting("host").unwrap_or_else(|| parts.host_and_port().0);
    if host.starts_with('/') || host.starts_with('@') {
        // As with libpq: nobody listens in on a unix socket, so TLS is not used on one.
        return Ok(Plan::Plain);
    }
    Ok(Plan::Tls(Box::new(TlsSettings {
        server: parts.server(host)?,
        roots: parts.roots(mode)?,
        mode: if parts.setting("sslrootcert").as_deref() == Some("system") { Mode::VerifyFull } else { mode },
        client: parts.client()?,
        only_tls13: parts.only_tls13()?,
        send_name: parts.setting("sslsni").as_deref() != Some("0"),
        patience: parts.patience()?,
        parts,
    })))
}

/// See [`super::without_password`].
pub fn without_password(url: &str) -> (String, Option<String>) {
    let Some(mut parts) = Parts::of(url) else { return (url.to_owned(), None) };
    let in_query = parts.setting("password");
    parts.query.retain(|(key, _)| key != "password");
    let user = parts.user.strip_suffix('@').unwrap_or_default().to_owned();
    let in_user = user.split_once(':').map(|(name, password)| (name.to_owned(), decode(password)));
    if let Some((name, _)) = &in_user {
        parts.user = format!("{name}@");
    }
    let query: Vec<String> = parts.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let bare = format!("{}://{}{}{}{mark}{}", parts.scheme, parts.user, parts.host, parts.path, query.join("&"));
    (bare, in_query.or(in_user.map(|(_, password)| password)))
}

impl TlsSettings {
    /// The URL for libpq to reach the server through a socket in `folder`.
    pub fn through(&self, folder: &Path) -> String {
        let place = format!("host={}&port={SOCKET_PORT}", encode(&folder.to_string_lossy()));
        self.parts.rebuild("", &place, &["host", "hostaddr", "port"])
    }

    /// The URL for libpq to reach the server itself, without TLS.
    pub fn without_tls(&self) -> String {
        self.parts.rebuild(&self.parts.host, "", &[])
    }
}

/// libpq makes the name of a unix socket out of a port number; this one is as good as any.
pub const SOCKET_PORT: u16 = 1;

impl Parts {
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let user_end = rest.find(['@', '/']).filter(|at| rest.get(*at..).is_some_and(|rest| rest.starts_with('@')));
        let (user, rest) = rest.split_at(user_end.map_or(0, |at| at.saturating_add(1)));
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Some(Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            host: host.to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        })
    }

    /// The last value of a setting, decoded; empty counts as not given.
    fn setting(&self, key: &str) -> Option<String> {
        let found = self.query.iter().rev().find(|(name, _)| name == key);
        found.map(|(_, value)| decode(value)).filter(|value| !value.is_empty())
    }

    fn mode(&self) -> Result<Option<Mode>, String> {
        let old_names =
            self.setting("requiressl").as_deref() == Some("1") || self.setting("ssl").as_deref() == Some("true");
        let mode = self.setting("sslmode").or_else(|| old_names.then(|| "require".to_owned()));
        match mode.as_deref() {
            // The root certificate `system` makes no sense without verification, and libpq knows it as a mode.
            None if self.setting("sslrootcert").as_deref() == Some("system") => Ok(Some(Mode::VerifyFull)),
            None | Some("disable") => Ok(None),
            Some("allow") => Ok(Some(Mode::Allow)),
            Some("prefer") => Ok(Some(Mode::Prefer)),
            Some("require") => Ok(Some(Mode::Require)),
            Some("verify-ca") => Ok(Some(Mode::VerifyCa)),
            Some("verify-full") => Ok(Some(Mode::VerifyFull)),
            Some(other) => {
                Err(format!("sslmode={other} is not one of disable, allow, prefer, require, verify-ca and verify-full"))
            }
        }
    }

    /// Leaving out a setting that is meant to protect would be worse than not connecting.
    fn refuse_unknown(&self) -> Result<(), String> {
        for (key, value) in &self.query {
            let is_met = match key.as_str() {
                "ssl"
                | "sslmode"
                | "sslrootcert"
                | "sslcert"
                | "sslkey"
                | "sslsni"
                | "sslcompression"
                | "ssl_min_protocol_version" => true,
                "sslnegotiation" => value == "postgres",
                "sslcertmode" => value == "allow",
                "channel_binding" => value != "require",
                other => !other.starts_with("ssl"),
            };
            if !is_met {
                // The value of one of them is a password.
                return Err(format!("{key} in the database URL is not supported with that value, or not at all"));
            }
        }
        Ok(())
    }

    fn host_and_port(&self) -> (String, Option<String>) {
        let (host, port) = match self.host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => self.host.split_once(':').map_or((self.host.as_str(), None), |(host, port)| (host, Some(port))),
        };
        (decode(host), port.filter(|port| !port.is_empty()).map(decode))
    }

    fn server(&self, host: String) -> Result<Server, String> {
        let address = self.setting("hostaddr");
        if host.is_empty() && address.is_none() {
            return Err("TLS to PostgreSQL needs the host in the database URL".to_owned());
        }
        let port = self.setting("port").or_else(|| self.host_and_port().1).unwrap_or_else(|| "5432".to_owned());
        if [&host, &port, address.as_ref().unwrap_or(&host)].iter().any(|part| part.contains(',')) {
            return Err("TLS to PostgreSQL works with one host in the database URL, not with several".to_owned());
        }
        let port = port.parse().map_err(|_| format!("\"{port}\" in the database URL is not a port"))?;
        Ok(Server { host: if host.is_empty() { address.clone().unwrap_or_default() } else { host }, address, port })
    }

    fn roots(&self, mode: Mode) -> Result<Roots, String> {
        match (self.setting("sslrootcert").as_deref(), mode) {
            (Some("system"), Mode::Allow | Mode::Prefer | Mode::Require | Mode::VerifyCa) => Err(
                "sslrootcert=system trusts many authorities and needs sslmode=verify-full, which looks at the name too"
                    .to_owned(),
            ),
            (Some("system"), Mode::VerifyFull) | (None, Mode::VerifyFull) => Ok(Roots::System),
            (Some(file), _) => Ok(Roots::File(PathBuf::from(file))),
            (None, Mode::VerifyCa) => {
                Err("sslmode=verify-ca needs sslrootcert, the file of your certificate authority: everybody can get a \
                 certificate of a public one, so with those only sslmode=verify-full proves anything"
                    .to_owned())
            }
            (None, Mode::Allow | Mode::Prefer | Mode::Require) => Ok(Roots::Unset),
        }
    }

    fn client(&self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        match (self.setting("sslcert"), self.setting("sslkey")) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((PathBuf::from(cert), PathBuf::from(key)))),
            _ => Err("sslcert and sslkey in the database URL go together".to_owned()),
        }
    }

    fn only_tls13(&self) -> Result<bool, String> {
        match self.setting("ssl_min_protocol_version").as_deref() {
            None | Some("TLSv1" | "TLSv1.1" | "TLSv1.2") => Ok(false),
            Some("TLSv1.3") => Ok(true),
            Some(other) => Err(format!("ssl_min_protocol_version={other} is not a version of TLS")),
        }
    }

    fn patience(&self) -> Result<Patience, String> {
        let number = |key: &str, default: u64| match self.setting(key) {
            Some(text) => text.trim().parse().map_err(|_| format!("{key} in the database URL is not a number")),
            None => Ok(default),
        };
        let connect = match number("connect_timeout", 0)? {
            0 => NO_LIMIT,
            seconds => Duration::from_secs(seconds),
        };
        let idle = Duration::from_secs(number("keepalives_idle", 0)?.max(1));
        let keepalive = (number("keepalives", 1)? == 1).then_some(idle);
        let unacknowledged = Duration::from_millis(number("tcp_user_timeout", 0)?);
        Ok(Patience { connect, unacknowledged, keepalive })
    }

    /// The URL with another place, without TLS and without what was settled already.
    fn rebuild(&self, host: &str, place: &str, without: &[&str]) -> String {
        let is_kept = |key: &str| {
            !(key.starts_with("ssl") || matches!(key, "requiressl" | "channel_binding") || without.contains(&key))
        };
        let kept = self.query.iter().filter(|(key, _)| is_kept(key)).map(|(key, value)| format!("{key}={value}"));
        let place = Some(place.to_owned()).filter(|place| !place.is_empty());
        let query: Vec<String> = place.into_iter().chain(["sslmode=disable".to_owned()]).chain(kept).collect();
        let path = if self.path.is_empty() { "/" } else { self.path.as_str() };
        format!("{}://{}{host}{path}?{}", self.scheme, self.user, query.join("&"))
    }
}

/// `connect_timeout=0` waits for ever; a day is as good and needs no case of its own.
const NO_LIMIT: Duration = Duration::from_secs(86_400);

/// Percent-decoding as libpq does it: `+` stays what it is, and what is no code stays too.
pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(code.unwrap_or(b'%'));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn encode(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-._".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests;
