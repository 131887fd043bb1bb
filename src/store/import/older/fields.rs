//! One row of an older server, parsed leniently: usable values are kept, all others are reported.
//!
//! A row is skipped only if it could not be found or would be orphaned; invalid values fall back to the most
//! restrictive setting.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use serde_json::{Map, Value};

use super::super::target::Parent;
use hxa_domain::ids::{MessageId, NotAnId};
use hxa_domain::secrets;

/// Why a row is left out.
pub type Skip = &'static str;

/// Which of the things that a page refers to the target holds.
pub type Known = HashMap<Parent, HashSet<String>>;

/// What JSON text has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Anything.
    Any,
    /// A list.
    List,
    /// An object.
    Object,
}

/// A row.
pub struct Fields<'k> {
    map: Map<String, Value>,
    known: &'k Known,
    changes: Vec<&'static str>,
}

impl<'k> Fields<'k> {
    /// A row whose references are looked up here.
    pub fn new(map: Map<String, Value>, known: &'k Known) -> Self {
        Self { map, known, changes: Vec::new() }
    }

    /// Notes that the row is not quite what it was.
    pub fn changed(&mut self, why: &'static str) {
        self.changes.push(why);
    }

    /// What was noted.
    pub fn into_changes(self) -> Vec<&'static str> {
        self.changes
    }

    /// Whether the source has this column at all.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Text; numbers and structures as the text they are written as.
    pub fn text(&mut self, key: &str) -> Option<String> {
        let text = match self.map.get(key)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if text.contains('\0') {
            self.changed("NUL characters are removed, which PostgreSQL cannot hold");
            return Some(text.replace('\0', ""));
        }
        Some(text)
    }

    /// Text that has to be there.
    pub fn required(&mut self, key: &str, why: Skip) -> Result<String, Skip> {
        self.text(key).ok_or(why)
    }

    /// The row's own id.
    pub fn id<T: FromStr<Err = NotAnId>>(&mut self) -> Result<T, Skip> {
        let id = self.text("id").unwrap_or_default();
        id.parse().map_err(|_| "its id is no UUID, so nobody could ask for it")
    }

    /// A whole number; fractions are cut off.
    pub fn int(&mut self, key: &str) -> Option<i64> {
        match self.map.get(key)? {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.parse().ok(),
            Value::Bool(flag) => Some(i64::from(*flag)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A whole number of 32 bits within limits.
    pub fn small(&mut self, key: &str, least: i32, default: i32) -> i32 {
        let Some(number) = self.int(key) else { return default };
        i32::try_from(number.clamp(i64::from(least), i64::from(i32::MAX))).unwrap_or(default)
    }

    /// A positive number of 32 bits, or none.
    pub fn days(&mut self, key: &str) -> Option<i32> {
        self.int(key).and_then(|days| i32::try_from(days).ok()).filter(|days| *days > 0)
    }

    /// A time that has to be there.
    pub fn time(&mut self, key: &str) -> i64 {
        self.int(key).unwrap_or_else(|| {
            self.changed("a time is missing; it is the beginning of time now");
            0
        })
    }

    /// A switch; absent is off.
    pub fn flag(&mut self, key: &str) -> bool {
        self.int(key).is_some_and(|number| number != 0)
    }

    /// JSON text as it is, if it holds what it has to.
    pub fn json(&mut self, key: &str, shape: Shape) -> Option<String> {
        let text = self.text(key).filter(|text| !text.is_empty())?;
        let fits = match serde_json::from_str::<Value>(&text) {
            Ok(Value::Array(_)) => shape != Shape::Object,
            Ok(Value::Object(_)) => shape != Shape::List,
            Ok(_) => shape == Shape::Any,
            Err(_) => false,
        };
        if !fits {
            // What stood there was shown as nothing before, too.
            self.changed("JSON that cannot be read is dropped");
            return None;
        }
        Some(text)
    }

    /// What a word stands for, or the default with a note.
    pub fn word<T>(&mut self, key: &str, parse: fn(&str) -> Option<T>, default: T, why: &'static str) -> T {
        let Some(word) = self.text(key) else { return default };
        parse(&word).unwrap_or_else(|| {
            self.changed(why);
            default
        })
    }

    /// What the row belongs to.
    pub fn parent<T: FromStr>(&mut self, key: &str, parent: Parent, why: Skip) -> Result<T, Skip> {
        self.text(key).filter(|id| self.knows(parent, id)).and_then(|id| id.parse().ok()).ok_or(why)
    }

    /// What the row refers to, if that is still there.
    pub fn reference<T: FromStr>(&mut self, key: &str, parent: Parent, why: &'static str) -> Option<T> {
        let id = self.text(key)?;
        let found = if self.knows(parent, &id) { id.parse().ok() } else { None };
        if found.is_none() {
            self.changed(why);
        }
        found
    }

    fn knows(&self, parent: Parent, id: &str) -> bool {
        self.known.get(&parent).is_some_and(|known| known.contains(id))
    }

    /// The hash of a secret: as stored, or made now where very old servers kept the secret itself.
    pub fn hash(&mut self, key: &str) -> Result<String, Skip> {
        let stored = self.text(key).filter(|text| !text.is_empty()).ok_or("it has no secret")?;
        if stored.len() == 64 && stored.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(stored);
        }
        self.changed("a secret stored in clear is hashed now; it goes on working");
        Ok(secrets::secret_hash(&stored))
    }
}

/// Whether a text is an id that clients can name.
pub fn is_id(text: &str) -> bool {
    MessageId::parse(text).is_some()
}

fn whole(number: f64) -> Option<i64> {
    // Beyond 2^53 a float names no exact number anyway.
    let fits = number.is_finite() && number.abs() < 9_007_199_254_740_992.0;
    fits.then(|| format!("{:.0}", number.trunc()).parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(known: &Known, value: Value) -> Fields<'_> {
        let Value::Object(map) = value else { panic!("an object") };
        Fields::new(map, known)
    }

    #[test]
    fn what_can_be_read_is_read() {
        let known = Known::new();
        let mut row = fields(&known, json!({"a": "x\u{0}y", "n": 5.9, "t": "7", "j": "[1]", "b": "{", "h": "secret"}));
        assert_eq!(row.text("a").as_deref(), Some("xy"));
        assert_eq!((row.int("n"), row.int("t"), row.int("none")), (Some(5), Some(7), None));
        assert_eq!(row.json("j", Shape::List).as_deref(), Some("[1]"));
        assert_eq!((row.json("j", Shape::Object), row.json("b", Shape::Any)), (None, None));
        assert_eq!(row.hash("h").unwrap(), secrets::secret_hash("secret"));
        assert_eq!(row.into_changes().len(), 4);
    }

    #[test]
    fn hashes_stay_as_they_are() {
        let known = Known::new();
        let hash = secrets::secret_hash("x");
        let mut row = fields(&known, json!({"h": hash.clone(), "e": ""}));
        assert_eq!(row.hash("h").unwrap(), hash);
        assert!(row.hash("e").is_err() && row.into_changes().is_empty());
    }
}
