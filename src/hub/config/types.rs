//! The types of settings that are more than a number or a text.
//!
//! Each is parsed once, at startup, so that the rest of the hub never handles raw text: secrets that cannot be printed
//! by accident, networks, the base path, the CORS rule and the few enumerations.
//! [`SettingValue`](super::value::SettingValue) defines how each is read from an environment variable, a flag or the
//! file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use subtle::ConstantTimeEq;

/// A text that must not be seen: it prints as `***` and cannot be serialized.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; the result must not reach a log line, an answer or an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares in time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self::new(secret)
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self::new(secret)
    }
}

/// A network: an address and how many of its leading bits count. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr(IpNet);

impl Cidr {
    /// True for a network that everybody's address lies in.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.0.prefix_len() == 0
    }

    /// True when `address` lies in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("\"{text}\" is not a network such as 10.0.0.0/8, ::1/128 or a single address");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| expected())?)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| expected())?;
        match prefix {
            Some(prefix) => IpNet::new(address, prefix).map(Self).map_err(|_| expected()),
            None => Ok(Self(address.into())),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The path under which a reverse proxy serves the hub: empty, or `/hub` with a leading and no trailing slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// The path as it is prepended to another path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BasePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.trim().trim_matches('/');
        if path.is_empty() {
            return Ok(Self::default());
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        if !path.chars().all(allowed) || path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(format!("\"{text}\" is not a path such as /hub (letters, digits, - . _ ~ and single slashes)"));
        }
        Ok(Self(format!("/{path}")))
    }
}

impl fmt::Display for BasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which web origins browsers may call the hub from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// No other origin than the hub's own.
    #[default]
    None,
    /// Every origin.
    Any,
    /// Exactly these, compared as text.
    List(Vec<String>),
}

impl CorsOrigins {
    /// Builds the rule from single entries: none, exactly `*`, or origins.
    ///
    /// # Errors
    /// When an entry is not an origin (`https://host` with an optional port).
    pub fn from_entries(entries: Vec<String>) -> Result<Self, String> {
        match entries.as_slice() {
            [] => return Ok(Self::None),
            [only] if only == "*" => return Ok(Self::Any),
            _ => {}
        }
        entries.into_iter().map(parse_origin).collect::<Result<_, _>>().map(Self::List)
    }

    /// The entries it was built from.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::Any => vec!["*".to_owned()],
            Self::List(origins) => origins.clone(),
        }
    }
}

/// Browsers send scheme, host and port and nothing else, so anything more could never match.
fn parse_origin(text: String) -> Result<String, String> {
    let origin = text.strip_suffix('/').unwrap_or(&text);
    match url::Url::parse(origin) {
        Ok(url) if url.has_host() && url.origin().ascii_serialization() == origin => Ok(origin.to_owned()),
        _ => Err(format!("\"{text}\" is not an origin such as https://app.example.com; \"*\" must stand alone")),
    }
}

/// Declares a closed choice once: variant, the word for it, other words that mean the same.
macro_rules! choice {
    ($(#[doc = $type_doc:literal])+ $name:ident { $($(#[$meta:meta])* $variant:ident = $word:literal $(| $alias:literal)*),+ $(,)? }) => {
        $(#[doc = $type_doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$meta])* $variant,)+
        }

        impl $name {
            /// The accepted words, as documentation says them.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word for this choice.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word $(| $alias)* => Ok(Self::$variant),)+
                    _ => Err(format!("\"{text}\" is not one of {}", Self::WORDS.join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

choice! {
    /// Where login sessions are kept.
    SessionStore {
        /// In the hub's own database, whichever that is.
        Sql = "sql" | "sqlite" | "postgres" | "postgresql",
        /// In Redis, shared by several hubs.
        Redis = "redis",
    }
}

choice! {
    /// The least important lines that are logged.
    LogLevel {
        /// Every operation.
        Debug = "debug",
        /// What an operator wants to know.
        Info = "info",
        /// What may need a look.
        Warn = "warn" | "warning",
        /// What failed.
        Error = "error",
    }
}

choice! {
    /// The header in which trusted proxies tell where a request came from.
    ProxyHeader {
        /// The first of the others that the request has.
        Auto = "auto",
        /// `X-Forwarded-For`, to which each proxy appends.
        XForwardedFor = "x-forwarded-for",
        /// `Forwarded`, to which each proxy appends.
        Forwarded = "forwarded",
        /// `X-Real-IP`, which the nearest proxy sets.
        XRealIp = "x-real-ip",
    }
}

choice! {
    /// Whether people answer requests without logging in.
    OpenPortal {
        /// They log in.
        Closed = "false",
        /// Whoever reaches the hub answers; it listens on its own machine only.
        OnThisMachine = "true",
        /// Whoever reaches the hub answers, wherever they are.
        Anywhere = "i-trust-this-network",
    }
}

choice! {
    /// How a log line looks.
    LogFormat {
        /// A readable line: time, level, part, message, `key=value` pairs.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_print_themselves() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert!(secret.matches("correct horse"));
        assert!(!secret.matches("correct hors") && !secret.matches("Correct horse") && !secret.matches(""));
    }

    #[test]
    fn networks_contain_their_addresses_only() {
        let holds = |net: &str, ip: &str| net.parse::<Cidr>().unwrap().contains(ip.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.1.2") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.168.1.7", "192.168.1.7") && !holds("192.168.1.7", "192.168.1.8"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1") && holds("fd00::/8", "fdff::1") && !holds("fd00::/8", "fe80::1"));
        assert!(holds("127.0.0.0/8", "::ffff:127.0.0.1"));
        for bad in ["10.0.0.0/33", "::1/129", "10.0.0/8", "example.com", "10.0.0.0/", "/8", ""] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn base_paths_are_normalised() {
        let path = |text: &str| text.parse::<BasePath>().map(|path| path.to_string());
        assert_eq!(path("hub/"), Ok("/hub".into()));
        assert_eq!(path(" /a/b/ "), Ok("/a/b".into()));
        assert_eq!(path("/"), Ok(String::new()));
        for bad in ["/a//b", "/a/../b", "https://x/hub", "/a?b", "/a b"] {
            assert!(path(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn cors_accepts_origins_or_a_single_star() {
        let cors =
            |entries: &[&str]| CorsOrigins::from_entries(entries.iter().map(|&entry| entry.to_owned()).collect());
        assert_eq!(cors(&[]), Ok(CorsOrigins::None));
        assert_eq!(cors(&["*"]), Ok(CorsOrigins::Any));
        let list = vec!["https://a.example".to_owned(), "http://localhost:3000".to_owned()];
        assert_eq!(cors(&["https://a.example/", "http://localhost:3000"]), Ok(CorsOrigins::List(list)));
        for bad in [&["*", "https://a.example"][..], &["a.example"], &["https://a.example/x"], &["null"]] {
            assert!(cors(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn choices_know_their_words() {
        assert_eq!("SQLite".parse(), Ok(SessionStore::Sql));
        assert_eq!("REDIS".parse(), Ok(SessionStore::Redis));
        assert_eq!("verbose".parse::<LogLevel>(), Err("\"verbose\" is not one of debug, info, warn, error".into()));
    }
}
