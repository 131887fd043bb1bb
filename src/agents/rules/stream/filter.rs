//! Who gets which event.

use std::sync::Arc;

use hxa_domain::query::Query;
use serde_json::Value;

use crate::rules::faults::{Fault, quoted};
use crate::rules::fields::{Fields, checked};
use crate::rules::limits;
use crate::rules::words::Visibility;

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// A session.
    Session(Arc<str>),
    /// A machine.
    Machine(Arc<str>),
    /// Streams of pages that are visible.
    Visible,
    /// Every stream.
    Everyone,
}

/// What a stream wants. It only ever gets events of its own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Everything.
    pub all: bool,
    /// Events of this session.
    pub session_id: Option<String>,
    /// Events of this machine.
    pub machine_id: Option<String>,
}

impl Filter {
    /// Whether a stream gets an event.
    #[must_use]
    pub fn wants(&self, topic: &Topic, visibility: Visibility) -> bool {
        match topic {
            Topic::Session(id) => self.all || self.session_id.as_deref() == Some(id),
            Topic::Machine(id) => self.all || self.machine_id.as_deref() == Some(id),
            Topic::Visible => visibility == Visibility::Visible,
            Topic::Everyone => true,
        }
    }
}

/// How a stream is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamQuery {
    /// What it wants.
    pub filter: Filter,
    /// Whether somebody looks at the page.
    pub visibility: Visibility,
    /// The last event that it got.
    pub last_event_id: Option<String>,
}

impl StreamQuery {
    /// Reads `all`, `sessionId`, `machineId`, `visibility` and `lastEventId`; the header `Last-Event-ID` wins.
    ///
    /// # Errors
    /// An id is none, or the visibility is not known.
    pub fn read(query: &Query, last_event_id: Option<&str>) -> Result<Self, Fault> {
        let id = |key: &str| query.filled(key).map(|text| checked(key, text.to_owned(), limits::ID_UNITS)).transpose();
        let visibility = match query.filled("visibility") {
            None => Visibility::Hidden,
            Some(text) => Visibility::parse(text).ok_or_else(|| {
                let accepted = Visibility::accepted();
                Fault::new("visibility", format!("Expected one of {accepted}, received {}", quoted(text)))
            })?,
        };
        let all = matches!(query.get("all"), Some("true" | "1"));
        let filter = Filter { all, session_id: id("sessionId")?, machine_id: id("machineId")? };
        let last_event_id = last_event_id.filter(|text| !text.is_empty()).or_else(|| query.filled("lastEventId"));
        Ok(Self { filter, visibility, last_event_id: last_event_id.map(str::to_owned) })
    }
}

/// Reads the body by which a page says whether somebody looks at it: `{subscriptionId, visibility}`.
///
/// # Errors
/// A field is missing or wrong.
pub fn read_visibility(body: Value) -> Result<(String, Visibility), Fault> {
    let mut fields = Fields::of(body)?;
    let subscription = fields.id("subscriptionId")?;
    let visibility = fields.word("visibility", Visibility::parse, &Visibility::accepted())?;
    Ok((subscription, visibility.ok_or_else(|| Fault::new("visibility", "Required"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> StreamQuery {
        StreamQuery::read(&Query::parse(text), None).unwrap()
    }

    #[test]
    fn streams_get_what_they_want() {
        let (session, machine) = (Topic::Session("s".into()), Topic::Machine("m".into()));
        let gets = |text: &str| {
            let StreamQuery { filter, visibility, .. } = read(text);
            [&session, &machine, &Topic::Visible, &Topic::Everyone].map(|topic| filter.wants(topic, visibility))
        };
        assert_eq!(gets("all=true&visibility=visible"), [true, true, true, true]);
        assert_eq!(gets("all=1"), [true, true, false, true]);
        assert_eq!(gets("all=yes"), [false, false, false, true]);
        assert_eq!(gets("sessionId=s"), [true, false, false, true]);
        assert_eq!(gets("sessionId=t&machineId=m"), [false, true, false, true]);
        assert_eq!(gets(""), [false, false, false, true]);
    }

    #[test]
    fn pages_say_whether_they_are_seen() {
        let body = serde_json::json!({"subscriptionId": "u", "visibility": "visible"});
        assert_eq!(read_visibility(body), Ok(("u".to_owned(), Visibility::Visible)));
        assert!(read_visibility(serde_json::json!({"subscriptionId": "u"})).is_err());
        assert!(read_visibility(serde_json::json!({"subscriptionId": "u", "visibility": "x"})).is_err());
    }

    #[test]
    fn the_header_wins_over_the_query() {
        let query = Query::parse("lastEventId=q");
        assert_eq!(StreamQuery::read(&query, Some("h")).unwrap().last_event_id.as_deref(), Some("h"));
        assert_eq!(StreamQuery::read(&query, Some("")).unwrap().last_event_id.as_deref(), Some("q"));
        assert!(StreamQuery::read(&Query::parse("visibility=x"), None).is_err());
        assert!(StreamQuery::read(&Query::parse("sessionId=%00"), None).is_err());
    }
}
