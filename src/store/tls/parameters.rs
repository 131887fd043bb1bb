//! Translates a database URL of other programs to the parameters of PostgreSQL's own client library.
//!
//! Hosting providers hand out URLs made for their tools: with a trailing newline, with the settings of a connection
//! pool, with a schema, or with a TLS mode that libpq names differently. Parameters with a meaning here are kept or
//! translated; those about the other program's own behaviour are ignored; anything else is refused by its name, never
//! by its value.

use super::settings::{decode, encode};

/// What libpq understands and a hub may use; those about TLS are judged elsewhere.
const KNOWN: [&str; 29] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "options",
    "passfile",
    "password",
    "port",
    "require_auth",
    "requirepeer",
    "requiressl",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// What other programs tell themselves: sizes of their pools, their caches, their way of preparing statements.
const OF_OTHERS: [&str; 19] = [
    "binary_parameters",
    "connection_limit",
    "default_query_exec_mode",
    "description_cache_capacity",
    "max_idle_connection_lifetime",
    "pgbouncer",
    "pool_max_conns",
    "pool_min_conns",
    "pool_mode",
    "pool_size",
    "pool_timeout",
    "prepareThreshold",
    "prepared_statements",
    "preferQueryMode",
    "schema_search_path",
    "single_use_connections",
    "socket_timeout",
    "statement_cache_capacity",
    "statement_cache_size",
];

/// The URL in libpq's words.
///
/// # Errors
/// With the name of a parameter that nobody here understands.
pub fn understood(url: &str) -> Result<String, String> {
    let url = url.trim();
    let Some((start, query)) = url.split_once('?') else { return Ok(url.to_owned()) };
    let mut words = Words::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        words.take(name, value)?;
    }
    let mut pairs = words.pairs;
    if words.is_unverified {
        // libpq verifies by a certificate that is named, whatever the mode.
        pairs.retain(|(name, _)| name != "sslrootcert");
    }
    if let Some(schema) = words.schema {
        let path = format!("-c search_path={schema}");
        match pairs.iter_mut().find(|(name, _)| name == "options") {
            Some((_, value)) => *value = format!("{value}%20{}", encode(&path)),
            None => pairs.push(("options".to_owned(), encode(&path))),
        }
    }
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(if query.is_empty() { start.to_owned() } else { format!("{start}?{}", query.join("&")) })
}

#[derive(Default)]
struct Words {
    pairs: Vec<(String, String)>,
    schema: Option<String>,
    is_unverified: bool,
}

impl Words {
    fn take(&mut self, name: &str, raw: &str) -> Result<(), String> {
        let value = decode(raw);
        match name {
            "sslmode" if value == "no-verify" => self.set_unverified(),
            "ssl" => self.set_ssl(&value)?,
            "sslaccept" => match value.as_str() {
                "strict" => self.set("sslmode", "verify-full"),
                "accept_invalid_certs" => self.set_unverified(),
                _ => return Err(refused(name)),
            },
            "uselibpqcompat" => {}
            "schema" | "currentSchema" | "search_path" => self.schema = Some(schema(name, &value)?),
            "encoding" | "charset" | "characterEncoding" | "client_encoding" => {
                let is_utf8 = matches!(value.to_lowercase().as_str(), "" | "auto" | "utf8" | "utf-8" | "unicode");
                if !is_utf8 {
                    return Err(format!("{name} in the database URL must be UTF8, which the hub speaks"));
                }
            }
            "statement_timeout" | "options_statement_timeout" => {
                return Err(format!(
                    "{name} in the database URL is a setting of the hub: database.statement_timeout_ms"
                ));
            }
            name if OF_OTHERS.contains(&name) => {}
            // Later ones count, as with libpq; those about TLS are judged where TLS is.
            name if KNOWN.contains(&name) || name.starts_with("ssl") => {
                self.pairs.push((name.to_owned(), raw.to_owned()))
            }
            _ => return Err(refused(name)),
        }
        Ok(())
    }

    fn set_ssl(&mut self, value: &str) -> Result<(), String> {
        match value {
            "true" | "1" | "require" | "on" | "" => self.set("sslmode", "require"),
            "no-verify" => self.set_unverified(),
            "false" | "0" | "disable" | "off" => self.set("sslmode", "disable"),
            "prefer" | "allow" | "verify-ca" | "verify-full" => self.set("sslmode", value),
            _ => return Err(refused("ssl")),
        }
        Ok(())
    }

    fn set_unverified(&mut self) {
        self.is_unverified = true;
        self.set("sslmode", "require");
    }

    /// Sets what another word stands for, unless the word itself is there: whoever writes both means the plainer one.
    fn set(&mut self, name: &str, value: &str) {
        if !self.pairs.iter().any(|(known, _)| known == name) {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
    }
}

fn schema(name: &str, value: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        let mut bytes = part.trim().bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if value.split(',').all(is_name) {
        let parts: Vec<&str> = value.split(',').map(str::trim).collect();
        return Ok(parts.join(","));
    }
    Err(format!("{name} in the database URL is not the name of a schema (letters, digits and _)"))
}

fn refused(name: &str) -> String {
    let name: String = name.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
    format!("\"{name}\" in the database URL is not understood with that value, or not at all; leave it out")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_programs_words_are_understood() {
        for (written, meant) in [
            ("postgres://h/d", "postgres://h/d"),
            (" postgres://h/d\n", "postgres://h/d"),
            ("postgres://h/d?pgbouncer=true&connection_limit=1", "postgres://h/d"),
            ("postgres://h/d?sslmode=no-verify", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?sslmode=require&uselibpqcompat=true", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?ssl=true", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?sslaccept=strict", "postgres://h/d?sslmode=verify-full"),
            ("postgres://h/d?sslmode=require&sslaccept=accept_invalid_certs", "postgres://h/d?sslmode=require"),
            ("postgres://h/d?schema=public", "postgres://h/d?options=-c%20search_path%3Dpublic"),
            (
                "postgres://h/d?options=-c%20geqo%3Doff&schema=app",
                "postgres://h/d?options=-c%20geqo%3Doff%20-c%20search_path%3Dapp",
            ),
            (
                "postgres://h/d?connect_timeout=5&application_name=x%20y",
                "postgres://h/d?connect_timeout=5&application_name=x%20y",
            ),
            ("postgres://h/d?channel_binding=prefer", "postgres://h/d?channel_binding=prefer"),
            ("postgres://a,b/d?target_session_attrs=read-write", "postgres://a,b/d?target_session_attrs=read-write"),
            ("postgres://h/d?charset=utf8", "postgres://h/d"),
        ] {
            assert_eq!(understood(written).as_deref(), Ok(meant), "{written}");
        }
    }

    #[test]
    fn what_nobody_understands_is_named_without_its_value() {
        for (written, name) in [
            ("postgres://h/d?colour=hunter2", "colour"),
            ("postgres://h/d?replication=database&x=hunter2", "replication"),
            ("postgres://h/d?schema=a;hunter2", "schema"),
            ("postgres://h/d?sslaccept=hunter2", "sslaccept"),
            ("postgres://h/d?client_encoding=latin1", "client_encoding"),
            ("postgres://h/d?statement_timeout=5", "database.statement_timeout_ms"),
        ] {
            let told = understood(written).unwrap_err();
            assert!(told.contains(name) && !told.contains("hunter2"), "{told}");
        }
    }
}
