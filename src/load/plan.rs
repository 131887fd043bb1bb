//! The plan of a scenario: what it works on, who does what, and for how long.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::recorder::Recorder;
use crate::run::Job;
use crate::setup::Responder;

/// The plan of a scenario, as `runner` executes it.
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Its sizes, for the report.
    pub setting: Map<String, Value>,
    /// What it works on and checks.
    pub recorder: Recorder,
    /// Jobs of each bot's socket; a bot with an empty list only listens.
    pub socket_jobs: Vec<Vec<Job>>,
    /// Jobs of each REST connection.
    pub rest_jobs: Vec<Vec<Job>>,
    /// Whose changes of requests are listened to, one entry for each event stream.
    pub listeners: Vec<usize>,
    /// Whom requests ask.
    pub responder: Responder,
    /// Operations per second of an open loop.
    pub rate: Option<f64>,
    /// Shares of kinds of jobs in an open loop; empty: all jobs alike.
    pub shares: Vec<(f64, Vec<Job>)>,
    /// Length of the window.
    pub duration: Duration,
    /// Operations to stop after.
    pub budget: Option<u64>,
    /// Whether the recorder does not change while it runs.
    pub is_static: bool,
    /// When the recorder's data began, if before this plan (milliseconds since the epoch).
    pub data_since: Option<i64>,
    /// Whether further sockets come and go.
    pub has_churn: bool,
}

impl Plan {
    /// A closed-loop plan without anything to do.
    pub fn new(name: &str, recorder: Recorder, duration: Duration) -> Self {
        Self {
            name: name.to_owned(),
            setting: Map::new(),
            recorder,
            socket_jobs: Vec::new(),
            rest_jobs: Vec::new(),
            listeners: Vec::new(),
            responder: Responder::default(),
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
