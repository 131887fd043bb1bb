//! What is asked of lists: filters and pages, from the query string.
//!
//! A value that cannot be is refused, with the words that can; so is a key given twice. Unknown keys are ignored.

use super::faults::{Faults, quoted};
use super::fields::fault_of_text;
use super::words::{AuditKind, Intent, State, Urgency};
use super::{limits, times};
use hxa_domain::cursor::Cursor;

/// Which requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Of the agent of this name.
    pub agent_id: Option<String>,
    /// In one of these states; all when empty.
    pub states: Vec<State>,
    /// For this.
    pub intent: Option<Intent>,
    /// Of this urgency.
    pub urgency: Option<Urgency>,
    /// That ask this responder now.
    pub responder_id: Option<String>,
    /// With this trace.
    pub trace_id: Option<String>,
    /// Submitted at or after this time, ms.
    pub since: Option<i64>,
    /// Submitted before this time, ms.
    pub until: Option<i64>,
}

/// Which audit events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilters {
    /// Of this request; a text that is no id finds nothing.
    pub request_id: Option<String>,
    /// That tell one of these.
    pub event_type: Option<AuditKind>,
    /// Of this actor.
    pub actor: Option<String>,
    /// At or after this time, ms.
    pub since: Option<i64>,
    /// Before this time, ms.
    pub until: Option<i64>,
}

/// Which part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows; 0 to [`limits::LIST_MAX`].
    pub limit: i64,
    /// After so many rows.
    pub offset: i64,
    /// After this row.
    pub cursor: Option<Cursor>,
}

/// The parameters of a query.
struct Reader {
    pairs: Vec<(String, String)>,
    faults: Faults,
}

impl Reader {
    fn of(query: &str) -> Self {
        Self { pairs: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(), faults: Faults::none() }
    }

    /// The only value of a key.
    fn text(&mut self, key: &str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(given, _)| given == key).map(|(_, value)| value);
        let first = values.next()?.clone();
        let fault = match values.next() {
            Some(_) => Some("Must be given once".to_owned()),
            None => fault_of_text(&first, limits::NAME_UNITS),
        };
        match fault {
            None => Some(first),
            Some(fault) => {
                self.faults.add(key, fault);
                None
            }
        }
    }

    fn word<T: Copy>(&mut self, key: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let text = self.text(key)?;
        self.word_in(key, &text, all, word)
    }

    fn word_in<T: Copy>(&mut self, key: &str, text: &str, all: &[T], word: fn(T) -> &'static str) -> Option<T> {
        let found = all.iter().copied().find(|one| word(*one) == text);
        if found.is_none() {
            let legal: Vec<&str> = all.iter().map(|one| word(*one)).collect();
            self.faults.add(key, format!("Expected {}, received {}", legal.join(", "), quoted(text)));
        }
        found
    }

    /// Words of a list with commas between.
    fn words<T: Copy>(&mut self, key: &str, all: &[T], word: fn(T) -> &'static str) -> Vec<T> {
        let text = self.text(key).unwrap_or_default();
        let parts = text.split(',').filter(|_| !text.is_empty());
        parts.filter_map(|part| self.word_in(key, part, all, word)).collect()
    }

    /// A time in ISO 8601 or in ms.
    fn time(&mut self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        let time = times::parse(&text);
        if time.is_none() {
            self.faults.add(key, format!("Expected a time in ISO 8601 or in milliseconds, received {}", quoted(&text)));
        }
        time
    }

    /// A whole number from 0 on; digits beyond every number are the largest.
    fn count(&mut self, key: &str) -> Option<i64> {
        let text = self.text(key)?;
        if !text.bytes().all(|digit| digit.is_ascii_digit()) {
            self.faults.add(key, format!("Expected a whole number from 0 on, received {}", quoted(&text)));
            return None;
        }
        Some(text.parse().unwrap_or(i64::MAX))
    }

    fn page(&mut self, default: i64) -> Page {
        let limit = self.count("limit").unwrap_or(default).min(limits::LIST_MAX);
        let has_offset = self.pairs.iter().any(|(key, _)| key == "offset");
        let offset = self.count("offset").unwrap_or(0);
        if offset > limits::OFFSET_MAX {
            self.faults.add("offset", format!("Must be at most {}; use the cursor", limits::OFFSET_MAX));
        }
        let cursor = self.text("cursor").and_then(|text| {
            let cursor = Cursor::decode(&text);
            match (&cursor, has_offset) {
                (None, _) => self.faults.add("cursor", "Expected the cursor of a page before"),
                (_, true) => self.faults.add("cursor", "Cannot be given together with offset"),
                _ => {}
            }
            cursor
        });
        Page { limit, offset, cursor }
    }
}

impl Filters {
    /// Reads a query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(query: &str) -> Result<(Self, Page), Faults> {
        let mut reader = Reader::of(query);
        let filters = Self {
            agent_id: reader.text("agent_id"),
            states: reader.words("state", State::ALL, State::as_str),
            intent: reader.word("intent", Intent::ALL, Intent::as_str),
            urgency: reader.word("urgency", Urgency::ALL, Urgency::as_str),
            responder_id: reader.text("responder_id"),
            trace_id: reader.text("trace_id"),
            since: reader.time("since"),
            until: reader.time("until"),
        };
        let page = reader.page(limits::LIST_DEFAULT);
        reader.faults.or((filters, page))
    }
}

impl AuditFilters {
    /// Reads a query string.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(query: &str) -> Result<(Self, Page), Faults> {
        let mut reader = Reader::of(query);
        let filters = Self {
            request_id: reader.text("request_id"),
            event_type: reader.word("event_type", AuditKind::ALL, AuditKind::as_str),
            actor: reader.text("actor"),
            since: reader.time("since"),
            until: reader.time("until"),
        };
        let page = reader.page(limits::AUDIT_DEFAULT);
        reader.faults.or((filters, page))
    }
}

#[cfg(test)]
mod tests;
