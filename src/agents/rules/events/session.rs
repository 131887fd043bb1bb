//! The events of sessions.

use hxa_domain::limits::fits_json;
use serde_json::Value;

use crate::rules::config::ConfigDraft;
use crate::rules::faults::Fault;
use crate::rules::fields::Fields;
use crate::rules::limits;
use crate::rules::messages::cut::cut_content;
use crate::rules::words::{ControlMode, EndReason};

/// A message of the agent's.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageDraft {
    /// The session.
    pub sid: String,
    /// The content.
    pub content: Value,
    /// The client's own id: a repeated message is stored once.
    pub local_id: Option<String>,
    /// When the client made it.
    pub created_at: Option<i64>,
}

impl MessageDraft {
    pub(super) fn read(payload: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        let sid = fields.id("sid")?;
        let mut content = parsed_if_text(fields.need("message")?);
        // First cut, then measured: the long output of a tool does not make a message too large.
        cut_content(&mut content);
        let local_id = fields.optional_text("localId", limits::LOCAL_ID_UNITS)?;
        let created_at = fields.optional_time("createdAt")?;
        if !fits_json(&content, limits::CONTENT_BYTES) {
            let most = limits::CONTENT_BYTES;
            return Err(Fault::new("message", format!("Must not be larger than {most} bytes of JSON")));
        }
        Ok(Self { sid, content, local_id, created_at })
    }
}

/// A message may be the text of its JSON: older clients encrypted it. A text that is no JSON is the content itself.
fn parsed_if_text(message: Value) -> Value {
    match message {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

/// When something was made: as the client says, but not before 1970 and not later than now.
#[must_use]
pub fn origin_time(created_at: Option<i64>, now: i64) -> i64 {
    created_at.map_or(now, |time| time.max(0).min(now))
}

/// A heartbeat. What it says of its time is for people alone; the hub goes by its own clock.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionAlive {
    /// The session.
    pub sid: String,
    /// The client's time.
    pub time: i64,
    /// Whether the agent works on something.
    pub thinking: Option<bool>,
    /// Who controls it.
    pub mode: Option<ControlMode>,
    /// How it is set.
    pub config: ConfigDraft,
}

impl SessionAlive {
    pub(super) fn read(payload: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        Ok(Self {
            sid: fields.id("sid")?,
            time: fields.time("time")?,
            thinking: fields.flag("thinking")?,
            mode: fields.word("mode", ControlMode::parse, &ControlMode::accepted())?,
            config: ConfigDraft::read(&mut fields)?,
        })
    }
}

/// The session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEnd {
    /// The session.
    pub sid: String,
    /// The client's time.
    pub time: i64,
    /// Why.
    pub reason: Option<EndReason>,
}

impl SessionEnd {
    pub(super) fn read(payload: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        let (sid, time) = (fields.id("sid")?, fields.time("time")?);
        let reason = fields.word("reason", EndReason::parse, &EndReason::accepted())?;
        Ok(Self { sid, time, reason })
    }

    /// Whether prompts that still wait count as invoked: the agent will not take them. A cleared session goes on with an
    /// agent that will.
    #[must_use]
    pub fn stamps_queued(&self) -> bool {
        self.reason != Some(EndReason::Cleared)
    }
}

/// The agent took prompts from its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// The session.
    pub sid: String,
    /// The prompts.
    pub local_ids: Vec<String>,
    /// Whether the time is over in which a prompt keeps the session thinking.
    pub clears_thinking_grace: bool,
    /// Whether the prompts went into a running turn; web clients show it.
    pub steered: Option<bool>,
}

impl Consumed {
    pub(super) fn read(payload: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(payload)?;
        Ok(Self {
            sid: fields.id("sid")?,
            local_ids: fields.ids("localIds", limits::LOCAL_IDS)?,
            clears_thinking_grace: fields.flag("clearQueuedThinkingGrace")?.unwrap_or(false),
            steered: fields.flag("steered")?,
        })
    }
}
