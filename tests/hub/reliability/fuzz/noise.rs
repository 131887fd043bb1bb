//! Random values with a grudge: JSON, texts and bytes that are nearly right, or at the edge of something.

use serde_json::{Map, Value, json};

/// A stream of random values that follows from its seed.
pub struct Noise {
    state: u64,
    /// Words that mean something to the hub, such as ids; they turn up among the random texts.
    pub words: Vec<String>,
}

/// Texts that have broken programs before.
const TEXTS: [&str; 34] = [
    "",
    " ",
    "\u{0}",
    "a\u{0}b",
    "null",
    "undefined",
    "NaN",
    "-1",
    "1e309",
    "9223372036854775808",
    "true",
    "{}",
    "[",
    "\\",
    "\"",
    "'; DROP TABLE bots; --",
    "%00",
    "%",
    "../../etc/passwd",
    "C:\\con",
    "\r\nSet-Cookie: a=b",
    "\u{1b}[31m",
    "\u{feff}",
    "\u{202e}gnp.exe",
    "\u{10ffff}",
    "e\u{301}",
    "👩‍👩‍👧‍👦",
    "@all @所有人 @",
    "application/json",
    "active",
    "closed",
    "*",
    "https://10.0.0.1/x",
    "data:image/png;base64,AAAA",
];

/// Names of fields that the hub reads somewhere.
const KEYS: [&str; 40] = [
    "type",
    "ref",
    "content",
    "parts",
    "content_type",
    "metadata",
    "reply_to",
    "to",
    "channel_id",
    "thread_id",
    "bot_id",
    "topic",
    "tags",
    "participants",
    "context",
    "permission_policy",
    "visibility",
    "join_policy",
    "status",
    "close_reason",
    "label",
    "artifact_key",
    "artifact_type",
    "title",
    "language",
    "url",
    "mime_type",
    "expected_revision",
    "client_id",
    "epoch",
    "since_seq",
    "name",
    "scopes",
    "expires_in",
    "reusable",
    "webhook_url",
    "agent_id",
    "secret",
    "invite",
    "__proto__",
];

impl Noise {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, words: Vec::new() }
    }

    /// Splitmix64.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    pub fn word(&mut self) -> String {
        let words = std::mem::take(&mut self.words);
        let word = words.get(self.below(words.len())).cloned().unwrap_or_default();
        self.words = words;
        word
    }

    pub fn text(&mut self) -> String {
        match self.below(10) {
            0..=2 => self.word(),
            3..=5 => (*self.pick(&TEXTS)).to_owned(),
            6 => {
                let piece = (*self.pick(&TEXTS)).to_owned();
                piece.repeat(self.below(300))
            }
            7 => {
                let (a, b) = (self.word(), (*self.pick(&TEXTS)).to_owned());
                a + &b
            }
            _ => (0..self.below(24)).map(|_| self.character()).collect(),
        }
    }

    fn character(&mut self) -> char {
        let code = match self.below(4) {
            0 => self.below(0x80),
            1 => self.below(0x500),
            2 => self.below(0x1_0000),
            _ => self.below(0x11_0000),
        };
        u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
    }

    fn number(&mut self) -> Value {
        match self.below(8) {
            0 => json!(0),
            1 => json!(-1),
            2 => json!(i64::MIN),
            3 => json!(u64::MAX),
            4 => json!(1e308),
            5 => json!(-0.0),
            6 => json!(self.below(100)),
            _ => json!(self.next() as f64 / 7.0),
        }
    }

    /// Any JSON, at most `depth` levels deep.
    pub fn json(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.once_in(2)),
            2 => self.number(),
            3 | 4 => Value::String(self.text()),
            5 => (0..self.below(5)).map(|_| self.json(depth - 1)).collect(),
            _ => Value::Object(self.object(depth - 1)),
        }
    }

    pub fn object(&mut self, depth: usize) -> Map<String, Value> {
        (0..self.below(6)).map(|_| (self.key(), self.json(depth))).collect()
    }

    fn key(&mut self) -> String {
        if self.once_in(5) { self.text() } else { (*self.pick(&KEYS)).to_owned() }
    }

    /// The value with something in it changed, dropped or added.
    pub fn mutated(&mut self, mut value: Value) -> Value {
        for _ in 0..=self.below(2) {
            self.mutate(&mut value);
        }
        value
    }

    fn mutate(&mut self, value: &mut Value) {
        match value {
            Value::Object(map) if !self.once_in(12) => {
                let keys: Vec<String> = map.keys().cloned().collect();
                match self.below(6) {
                    0 => {
                        let (key, new) = (self.key(), self.json(3));
                        map.insert(key, new);
                    }
                    1 if !keys.is_empty() => drop(map.remove(self.pick(&keys))),
                    _ if !keys.is_empty() => {
                        let key = self.pick(&keys).clone();
                        self.mutate(&mut map[&key]);
                    }
                    _ => {}
                }
            }
            Value::Array(items) if !self.once_in(6) && !items.is_empty() => {
                let at = self.below(items.len());
                match self.below(4) {
                    0 => drop(items.remove(at)),
                    1 => items.push(items[at].clone()),
                    _ => self.mutate(&mut items[at]),
                }
            }
            Value::String(text) if self.once_in(3) => {
                let more = self.text();
                text.push_str(&more);
            }
            other => *other = self.json(3),
        }
    }

    /// The text with some of its bytes changed.
    pub fn garbled(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = self.next() as u8,
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at, *self.pick(b"{}[]\",:\\\0\xff\xc3 0eE-\n")),
            }
        }
        bytes
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.next() as u8).collect()
    }

    /// The text so that it can stand in a query or path; sometimes with escapes that are broken.
    pub fn escaped(&mut self, text: &str) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let mut escaped = String::new();
        for byte in text.bytes() {
            match byte {
                byte if is_plain(byte) => escaped.push(char::from(byte)),
                byte => escaped.push_str(&format!("%{byte:02x}")),
            }
        }
        if self.once_in(20) {
            escaped.push_str(self.pick::<&str>(&["%", "%zz", "%ff", "%c3", "+", "%2f", "%2e%2e"]));
        }
        escaped
    }
}
