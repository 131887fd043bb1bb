//! One row of an `hcp.db`: values are read as they are, and what becomes different is noted.

use serde_json::{Map, Value};

use crate::rules::{fault_of_text, limits, times};

/// Why a row is left out.
pub type Skip = &'static str;

/// A row.
pub struct Fields {
    row: Map<String, Value>,
    changes: Vec<&'static str>,
}

impl Fields {
    /// A row of the source.
    pub const fn new(row: Map<String, Value>) -> Self {
        Self { row, changes: Vec::new() }
    }

    /// Notes that the row is not quite what it was.
    pub fn changed(&mut self, why: &'static str) {
        self.changes.push(why);
    }

    /// What was noted.
    pub fn changes(&self) -> &[&'static str] {
        &self.changes
    }

    /// A text that is there.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.row.get(key)?.as_str()
    }

    /// Whether something is there.
    pub fn has(&self, key: &str) -> bool {
        self.row.get(key).is_some_and(|value| !value.is_null())
    }

    /// A name that has to be there: of an agent, a responder, whoever has answered.
    pub fn name(&self, key: &str, why: Skip) -> Result<&str, Skip> {
        self.text(key).filter(|name| fault_of_text(name, limits::NAME_UNITS).is_none()).ok_or(why)
    }

    /// JSON that may be there.
    pub fn json(&self, key: &str, why: Skip) -> Result<Option<Value>, Skip> {
        if !self.has(key) {
            return Ok(None);
        }
        let text = self.text(key).ok_or(why)?;
        serde_json::from_str(text).map(Some).map_err(|_| why)
    }

    /// A time, ms; those beyond what four digits of a year can say are none.
    pub fn time(&self, key: &str) -> Option<i64> {
        times::parse(self.text(key)?).filter(|ms| (0..=times::LATEST).contains(ms))
    }

    /// A count that the query made.
    pub fn count(&self, key: &str) -> i64 {
        self.row.get(key).and_then(Value::as_i64).unwrap_or(0)
    }
}
