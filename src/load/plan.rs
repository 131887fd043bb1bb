//! What a scenario wants to be played.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::book::Book;
use crate::run::Job;

/// What a scenario wants to be played.
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its sizes, for the report.
    pub setting: Map<String, Value>,
    /// What it plays on.
    pub book: Book,
    /// Jobs of each bot's socket; a bot with an empty list only listens.
    pub players: Vec<Vec<Job>>,
    /// Jobs of each REST connection.
    pub clerks: Vec<Vec<Job>>,
    /// Operations per second of an open loop.
    pub rate: Option<f64>,
    /// Shares of kinds of jobs in an open loop; empty: all jobs alike.
    pub shares: Vec<(f64, Vec<Job>)>,
    /// Length of the window.
    pub duration: Duration,
    /// Operations to stop after.
    pub budget: Option<u64>,
    /// Whether the book does not change while it runs.
    pub is_static: bool,
    /// When the book's data began, if before this plan (milliseconds since the epoch).
    pub data_since: Option<i64>,
    /// Whether further sockets come and go.
    pub has_churn: bool,
}

impl Plan {
    /// A closed-loop plan without anything to do.
    pub fn new(name: &str, book: Book, duration: Duration) -> Self {
        Self {
            name: name.to_owned(),
            setting: Map::new(),
            book,
            players: Vec::new(),
            clerks: Vec::new(),
            rate: None,
            shares: Vec::new(),
            duration,
            budget: None,
            is_static: false,
            data_since: None,
            has_churn: false,
        }
    }

    /// Notes a size.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.setting.insert(name.to_owned(), value.into());
        self
    }
}
