//! The log: one line per event, for people (`text`) or for machines (`json`).
//!
//! A message is readable on its own; figures and ids travel as `key=value` pairs (`log::info!(org = id; "…")`).
//! Whatever a client can influence is escaped here, so that no value can start a new line or control a terminal.
//! Tokens, secrets and bodies are never logged anywhere. `RUST_LOG` refines the configured level per module. Logging
//! never blocks: lines wait in a bounded buffer (`sink`), and each place in the code has a rate limit (`rate`).

mod rate;
mod sink;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use env_logger::{Builder, Target};
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Record};
use serde_json::{Map, Value as Json, json};

use hxa_hub::config::{LogConfig, LogFormat, LogLevel};
use hxa_store::clock;

pub use sink::{dropped, flush};

/// Starts logging; to be called once, by the binary. Panics are logged from then on, too.
///
/// # Errors
/// When a logger is already installed, or no thread can be started for it.
pub fn init(config: &LogConfig) -> Result<(), Box<dyn std::error::Error>> {
    let level = filter(config.level);
    let mut builder = Builder::new();
    // Dependencies at debug level bury the hub's own lines, and what the server says of its start the hub says better.
    builder.filter_level(level.min(LevelFilter::Info)).filter_module(OURS, level);
    builder.filter_module("actix_server", level.min(LevelFilter::Warn)).parse_default_env();
    let out: Box<dyn Write + Send> = match config.format {
        LogFormat::Text => {
            builder.format(|out, record| out.write_all(text_line(record, clock::now()).as_bytes()));
            Box::new(io::stderr())
        }
        LogFormat::Json => {
            let process = Process::this();
            builder.format(move |out, record| out.write_all(process.json_line(record, clock::now()).as_bytes()));
            Box::new(io::stdout())
        }
    };
    let logger = builder.target(Target::Pipe(Box::new(sink::start(out)?))).build();
    let most = logger.filter();
    log::set_boxed_logger(Box::new(rate::Rated::new(logger)))?;
    log::set_max_level(most);
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// The line of a panic; the default hook would bypass the log and block on standard error.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    log::error!(at = place; "panicked: {}", text.unwrap_or("no text"));
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Debug => LevelFilter::Debug,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Error => LevelFilter::Error,
    }
}

/// `2026-01-31T12:00:00.000Z INFO  store::writer message key=value "key"="with space"`.
fn text_line(record: &Record<'_>, now: SystemTime) -> String {
    let time = DateTime::<Utc>::from(now).to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut line = format!("{time} {:<5} {} ", record.level(), part(record.target()));
    push_escaped(&mut line, &record.args().to_string(), false);
    let mut pairs = TextPairs(&mut line);
    // The visitor below never fails.
    let _ = record.key_values().visit(&mut pairs);
    line.push('\n');
    line
}

/// What the names of the hub's crates begin with.
const OURS: &str = "hxa_";

/// The module without what all have in common; the program itself is the hub.
fn part(target: &str) -> &str {
    match target.strip_prefix(OURS) {
        None => target,
        Some("connect") => "hub",
        Some(part) => part.strip_prefix("connect::").unwrap_or(part),
    }
}

/// Writes pairs behind a text line.
struct TextPairs<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push(' ');
        push_escaped(self.0, key.as_str(), false);
        self.0.push('=');
        let text = value.to_string();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '"' || c == '=') {
            self.0.push('"');
            push_escaped(self.0, &text, true);
            self.0.push('"');
        } else {
            push_escaped(self.0, &text, false);
        }
        Ok(())
    }
}

/// Appends `text` with everything escaped that could break a line, steer a terminal or reorder what is read.
fn push_escaped(line: &mut String, text: &str, is_quoted: bool) {
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '"' | '\\' if is_quoted => line.extend(['\\', c]),
            c if c.is_control() || is_invisible(c) => {
                // Writing into a String never fails.
                let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
            }
            c => line.push(c),
        }
    }
}

/// Line separators and the marks that change the direction of text.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What every JSON line says about the process.
struct Process {
    pid: u32,
    hostname: String,
}

impl Process {
    fn this() -> Self {
        let hostname =
            ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| std::fs::read_to_string(path).ok());
        let hostname = hostname.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned());
        Self { pid: std::process::id(), hostname }
    }

    fn json_line(&self, record: &Record<'_>, now: SystemTime) -> String {
        let time =
            now.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let mut line = Map::new();
        line.insert("level".to_owned(), json!(severity(record.level())));
        line.insert("time".to_owned(), json!(time));
        line.insert("pid".to_owned(), json!(self.pid));
        line.insert("hostname".to_owned(), json!(self.hostname));
        line.insert("component".to_owned(), json!(component(record.target())));
        line.insert("msg".to_owned(), json!(record.args().to_string()));
        // The visitor below never fails.
        let _ = record.key_values().visit(&mut JsonPairs(&mut line));
        let mut text = Json::Object(line).to_string();
        text.push('\n');
        text
    }
}

/// Levels as numbers, as log viewers of JSON lines expect them.
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 50,
        Level::Warn => 40,
        Level::Info => 30,
        Level::Debug => 20,
        Level::Trace => 10,
    }
}

/// The part of the hub a line comes from.
fn component(target: &str) -> &str {
    let part = part(target);
    let mut path = part.split("::");
    match (path.next().unwrap_or(part), path.next()) {
        ("store", _) => "db",
        ("web", Some("ws")) => "ws",
        ("web", _) => "routes",
        ("hub", Some("webhooks")) => "webhook",
        (first, _) => first,
    }
}

/// Adds pairs to a JSON line; a pair never replaces a field of the line itself.
struct JsonPairs<'a>(&'a mut Map<String, Json>);

impl<'kvs> VisitSource<'kvs> for JsonPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut key = key.to_string();
        while self.0.contains_key(&key) {
            key.push('_');
        }
        self.0.insert(key, to_json(&value));
        Ok(())
    }
}

fn to_json(value: &Value<'_>) -> Json {
    if let Some(on) = value.to_bool() {
        json!(on)
    } else if let Some(number) = value.to_u64() {
        json!(number)
    } else if let Some(number) = value.to_i64() {
        json!(number)
    } else if let Some(number) = value.to_f64() {
        json!(number)
    } else {
        Json::String(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PAIRS: &[(&str, &str)] = &[("org", "o1"), ("name", "two words"), ("msg", "a\"b")];

    fn render(target: &str, level: Level, message: &str, pairs: &[(&str, &str)], json: bool) -> String {
        let now = UNIX_EPOCH + Duration::from_millis(1_769_860_800_123);
        let process = Process { pid: 7, hostname: "h".into() };
        let line = |record: Record<'_>| if json { process.json_line(&record, now) } else { text_line(&record, now) };
        line(Record::builder().target(target).level(level).args(format_args!("{message}")).key_values(&pairs).build())
    }

    #[test]
    fn text_lines_carry_time_level_part_message_and_pairs() {
        assert_eq!(
            render("hxa_store::writer", Level::Info, "batch done", PAIRS, false),
            "2026-01-31T12:00:00.123Z INFO  store::writer batch done org=o1 name=\"two words\" msg=\"a\\\"b\"\n"
        );
    }

    #[test]
    fn json_lines_keep_their_own_fields() {
        assert_eq!(
            render("hxa_store::writer", Level::Warn, "batch \"late\"", PAIRS, true),
            "{\"level\":40,\"time\":1769860800123,\"pid\":7,\"hostname\":\"h\",\"component\":\"db\",\
             \"msg\":\"batch \\\"late\\\"\",\"org\":\"o1\",\"name\":\"two words\",\"msg_\":\"a\\\"b\"}\n"
        );
    }

    #[test]
    fn numbers_and_booleans_stay_what_they_are() {
        let pairs =
            [("n", Value::from(3_u64)), ("i", Value::from(-3_i64)), ("f", Value::from(0.5)), ("b", Value::from(true))];
        let mut line = Map::new();
        kv::Source::visit(&pairs.as_slice(), &mut JsonPairs(&mut line)).unwrap();
        assert_eq!(Json::Object(line).to_string(), r#"{"n":3,"i":-3,"f":0.5,"b":true}"#);
    }

    /// A client once could write lines of its own through a bot name with a line break in it; no value may.
    #[test]
    fn nothing_a_client_sends_starts_a_line_or_steers_the_terminal() {
        let evil = "x\r\n2026 ERROR forged\u{1b}[31m\u{9b}2J\u{2028}\u{202e}\0\t";
        for json in [false, true] {
            let line = render("hxa_web::ws", Level::Debug, evil, &[("name", evil), (evil, "v")], json);
            assert_eq!(line.matches(['\n', '\r']).count(), 1, "{line:?}");
            assert!(line.ends_with('\n') && !line.contains(['\u{1b}', '\0', '\t']), "{line:?}");
        }
        let text = render("t", Level::Debug, evil, &[], false);
        assert!(text.contains(r"x\r\n2026 ERROR forged\u{1b}[31m\u{9b}2J\u{2028}\u{202e}\u{0}\t"), "{text:?}");
    }

    #[test]
    fn components_name_the_part_of_the_hub() {
        let cases = [
            ("hxa_web::ws::session", "ws"),
            ("hxa_hub::webhooks::flight", "webhook"),
            ("hxa_hub::thread", "hub"),
            ("hxa_web::bots", "routes"),
            ("hxa_connect", "hub"),
            ("hxa_connect::serve", "serve"),
            ("actix_server::server", "actix_server"),
        ];
        for (target, expected) in cases {
            assert_eq!(component(target), expected);
        }
    }
}
