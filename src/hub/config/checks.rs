//! Checks of single settings beyond their type.
//!
//! A value that cannot be intended is refused here, by its name and with what is accepted: a hub that starts and then
//! refuses every browser, or stores its data in an unexpected place, costs more than one that does not start.

use std::net::IpAddr;
use std::path::Path;

use super::types::Secret;
use hxa_domain::address::AllowList;

/// Longest pause between two attempts of a webhook, a day.
const LONGEST_PAUSE_MS: u64 = 86_400_000;
/// Attempts of one round; more would only be a round that never ends.
const MOST_PAUSES: usize = 20;

/// Hosts that webhooks may reach.
pub fn allow_list(entries: &[String]) -> Result<(), String> {
    AllowList::parse(entries.iter().map(String::as_str)).map(|_| ())
}

/// An address or a name to listen on, without a port.
pub fn listen_host(host: &str) -> Result<(), String> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if bare.parse::<IpAddr>().is_ok() || is_host_name(host) {
        return Ok(());
    }
    Err(format!(
        "\"{host}\" is not an address to listen on, such as 127.0.0.1, 0.0.0.0 (all), :: or localhost; the port is a setting of \
         its own"
    ))
}

/// One public host name, as browsers name it in `Origin`.
pub fn host_name(domain: &Option<String>) -> Result<(), String> {
    match domain {
        Some(domain) if domain.contains([',', ';', ' ']) => {
            Err(format!("\"{domain}\" is more than one host name; the hub has one, such as connect.example.com"))
        }
        Some(domain) if is_host_name(domain) => Ok(()),
        Some(domain) => Err(format!("\"{domain}\" is not a host name such as connect.example.com{}", hint(domain))),
        None => Ok(()),
    }
}

fn hint(domain: &str) -> &'static str {
    if domain.starts_with("*.") || domain.starts_with('.') {
        " (it is compared as it is, so a name that stands for many would match nothing)"
    } else if !domain.is_ascii() {
        " (browsers name it in ASCII, as xn--…)"
    } else if domain.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
        " (without a port, which is not compared; a public port goes into public_url)"
    } else {
        ""
    }
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_v6 = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    is_v6.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
        || (text.len() <= 253 && text.split('.').all(is_label))
}

/// A public URL of http or https.
pub fn http_url(text: &Option<String>) -> Result<(), String> {
    let Some(text) = text else { return Ok(()) };
    let is_plain = |url: &url::Url| {
        matches!(url.scheme(), "http" | "https")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.host_str().is_some_and(|host| !host.contains([',', '*']))
    };
    match url::Url::parse(text) {
        Ok(url) if is_plain(&url) => Ok(()),
        _ => Err(format!("\"{text}\" is not a URL such as https://connect.example.com/hub")),
    }
}

/// Where Slack's API is: the token must not be readable on the way.
pub fn slack_base(text: &str) -> Result<(), String> {
    let is_here = |url: &url::Url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url::Url::parse(text) {
        Ok(url) if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() => {}
        Ok(url) if url.scheme() == "https" || (url.scheme() == "http" && is_here(&url)) => return Ok(()),
        _ => {}
    }
    Err(format!("\"{text}\" is not an https URL such as https://slack.com/api, nor an http URL on this machine"))
}

/// Anything but PostgreSQL is refused: taking a mistyped URL for "use SQLite" would start an empty hub.
pub fn postgres_url(secret: &Option<Secret>) -> Result<(), String> {
    has_scheme(secret, &["postgres://", "postgresql://"], "leave it out to use SQLite")?;
    secret.as_ref().map_or(Ok(()), |secret| hxa_store::tls::check(secret.expose()))
}

/// The URL of one Redis server.
pub fn redis_url(secret: &Option<Secret>) -> Result<(), String> {
    has_scheme(secret, &["redis://", "rediss://"], "leave it out to keep sessions in the database")?;
    let Some(secret) = secret else { return Ok(()) };
    let is_good = |url: &url::Url| {
        let database = url.path().trim_matches('/');
        url.host_str().is_some_and(|host| !host.is_empty() && !host.contains(','))
            && (database.is_empty() || database.parse::<u32>().is_ok())
    };
    match url::Url::parse(secret.expose().trim()) {
        Ok(url) if is_good(&url) => Ok(()),
        _ => {
            Err("the value (not shown) is not the URL of one server, such as redis://:password@host:6379/0".to_owned())
        }
    }
}

/// The value may hold a password, so the message must not repeat it.
fn has_scheme(secret: &Option<Secret>, schemes: &[&str], otherwise: &str) -> Result<(), String> {
    match secret {
        Some(secret) if !schemes.iter().any(|scheme| secret.expose().trim_start().starts_with(scheme)) => {
            Err(format!("the value (not shown) does not start with {}; {otherwise}", schemes.join(" or ")))
        }
        _ => Ok(()),
    }
}

/// What names of keys begin with.
pub fn key_prefix(prefix: &str) -> Result<(), String> {
    if prefix.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!(
            "\"{}\" has spaces or control characters, which no key of Redis should",
            prefix.escape_debug()
        ));
    }
    Ok(())
}

/// A folder, as the operating system means it and not a shell, a URL or SQLite.
pub fn folder(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let Some(text) = path.to_str() else { return Err(format!("\"{shown}\" is not a path in UTF-8")) };
    let problem = if text.trim().is_empty() {
        "is empty; name a folder, such as /var/lib/hxa-connect"
    } else if text.contains("://") || text.starts_with("file:") || text.starts_with(":memory:") {
        "is not a folder; a database elsewhere is named by database.url"
    } else if text.starts_with('~') || text.contains("$") || text.contains('%') && cfg!(windows) {
        "is written for a shell, and nobody has put in what it stands for; write the path out"
    } else if text.chars().any(char::is_control) {
        "has control characters, such as a line end"
    } else if path.is_file() {
        "is a file; name its folder"
    } else {
        return Ok(());
    };
    Err(format!("\"{}\" {problem}", text.escape_debug()))
}

/// Pauses between the attempts of a webhook.
pub fn pauses(pauses: &[u64]) -> Result<(), String> {
    if pauses.len() > MOST_PAUSES {
        return Err(format!("{} pauses are too many; accepted are up to {MOST_PAUSES}", pauses.len()));
    }
    match pauses.iter().find(|pause| !(1..=LONGEST_PAUSE_MS).contains(*pause)) {
        Some(pause) => Err(format!("{pause} is out of range; accepted are 1 to {LONGEST_PAUSE_MS}")),
        None => Ok(()),
    }
}

/// As [`folder`], for the setting's own type.
pub fn data_folder(path: &Path) -> Result<(), String> {
    folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_one_host_name() {
        let told = |text: &str| host_name(&Some(text.to_owned()));
        for good in ["connect.example.com", "localhost", "10.0.0.1", "[::1]", "a_b.example", "EXAMPLE.com"] {
            assert_eq!(told(good), Ok(()), "{good}");
        }
        for bad in [
            "a,b",
            "a.example, b.example",
            "https://a.example",
            "a.example:8443",
            "a.example/hub",
            "*.example.com",
            ".example.com",
            "a.example.",
            "-a.example",
            "bücher.example",
            "user@a.example",
            "a..b",
            "",
        ] {
            assert!(told(bad).is_err(), "{bad} was accepted");
        }
        assert!(told("a,b").unwrap_err().contains("more than one"));
    }

    #[test]
    fn slack_is_called_securely() {
        for good in ["https://slack.com/api", "http://127.0.0.1:8080", "http://[::1]/api", "http://localhost:1"] {
            assert_eq!(slack_base(good), Ok(()), "{good}");
        }
        for bad in ["http://slack.com/api", "ftp://localhost", "slack.com", "", "https://u@h/api", "https://h/api?x=1"]
        {
            assert!(slack_base(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn a_folder_is_a_folder() {
        for good in ["./data", "/var/lib/hub", "data", "C:\\hub", "/srv/größe"] {
            assert_eq!(folder(Path::new(good)), Ok(()), "{good}");
        }
        for bad in
            ["", " ", "~/data", "$HOME/data", "${DATA}", "file:/x", "sqlite:///x", ":memory:", "/x\n", "/dev/null/.."]
        {
            let refused = folder(Path::new(bad));
            assert!(refused.is_err() || bad == "/dev/null/..", "{bad} was accepted");
        }
    }

    #[test]
    fn what_is_listened_on_has_no_port() {
        for good in ["0.0.0.0", "::", "[::1]", "localhost", "hub-1.internal"] {
            assert_eq!(listen_host(good), Ok(()), "{good}");
        }
        for bad in ["0.0.0.0:4800", "http://localhost", "*", "", "localhost:4800"] {
            assert!(listen_host(bad).is_err(), "{bad} was accepted");
        }
    }

    #[test]
    fn pauses_are_some_and_not_endless() {
        assert_eq!(pauses(&[1000, 5000]), Ok(()));
        assert_eq!(pauses(&[]), Ok(()));
        assert!(pauses(&[0]).is_err() && pauses(&[LONGEST_PAUSE_MS + 1]).is_err() && pauses(&[1; 21]).is_err());
    }

    #[test]
    fn redis_is_one_server() {
        let told = |text: &str| redis_url(&Some(Secret::new(text)));
        for good in ["redis://localhost", "rediss://:pw@h:6380/2", "redis://h:6379\n"] {
            assert_eq!(told(good), Ok(()), "{good}");
        }
        for bad in ["redis://", "redis://a,b", "redis://h/x", "http://h"] {
            assert!(told(bad).is_err(), "{bad} was accepted");
        }
    }
}
