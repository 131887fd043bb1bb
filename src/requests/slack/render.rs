//! Messages of requests: what Slack is told of a request as it is now, and what a click on a message of ours answers.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::messages::{self, Asked, Buttons, Click, Ended};
use super::rows::{Row, What};
use crate::rules::{Intent, Request, SchemaKind, State};
use hxa_slack::Message;

/// How messages look on this hub.
#[derive(Debug, Clone)]
pub struct Look {
    /// The URL of the hub, without a slash at its end.
    pub base: String,
    /// Whether clicks reach the hub.
    pub has_buttons: bool,
}

/// What a message needs of a request, read once.
struct Texts {
    id: String,
    summary: String,
    detail: Option<String>,
    labels: Vec<String>,
    portal: String,
}

impl Look {
    /// What a message says now; `rows` are those of its request.
    #[must_use]
    pub fn message(&self, request: &Request, row: &Row, rows: &[Row]) -> Message {
        let responder = if row.what == What::Ask { row.name.as_str() } else { &request.responder_id };
        let texts = self.texts(request, responder);
        let asked = asked(request, &texts, self.has_buttons);
        if !request.state.is_open() {
            let by = rows.iter().find(|row| row.what == What::Over).map_or("", |row| &row.name);
            return over(request, &asked, by);
        }
        let to = row.name.as_str();
        match row.what {
            What::Ask => messages::ask(&asked),
            What::Reassigned => messages::over(&asked, Ended::Reassigned { to }),
            What::Delegated => messages::over(&asked, Ended::Delegated { to }),
            What::Over => over(request, &asked, to),
        }
    }

    /// What takes the place of a message whose request has ended.
    #[must_use]
    pub fn ended(&self, request: &Request) -> Message {
        let texts = self.texts(request, &request.responder_id);
        over(request, &asked(request, &texts, false), "")
    }

    fn texts(&self, request: &Request, responder: &str) -> Texts {
        let context = request.context.value();
        let text = |key: &str| context.get(key).and_then(Value::as_str).map(str::to_owned);
        let id = request.id.to_string();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("responder_id", responder)
            .append_pair("request_id", &id)
            .finish();
        Texts {
            summary: text("summary").unwrap_or_default(),
            detail: text("detail"),
            labels: labels(request),
            portal: format!("{}/portal/?{query}", self.base),
            id,
        }
    }
}

fn asked<'r>(request: &'r Request, texts: &'r Texts, has_buttons: bool) -> Asked<'r> {
    Asked {
        id: &texts.id,
        intent: request.intent.as_str(),
        urgency: request.urgency.as_str(),
        agent: &request.agent_id,
        summary: &texts.summary,
        detail: texts.detail.as_deref(),
        buttons: match form(request) {
            _ if !has_buttons => Buttons::None,
            Some(ByClick::Options) => Buttons::Options(&texts.labels),
            Some(ByClick::Decision) => Buttons::Approval,
            None => Buttons::None,
        },
        portal: &texts.portal,
    }
}

fn over(request: &Request, asked: &Asked<'_>, by: &str) -> Message {
    let (decision, comment) = decided(request);
    let answered_by = request.responded_by.as_deref().unwrap_or_default();
    let ended = match request.state {
        State::Cancelled => Ended::Cancelled { by },
        State::TimedOut => Ended::TimedOut { fallback: request.timeout.fallback.as_str() },
        _ => Ended::Decided { decision: &decision, by: answered_by, comment: comment.as_deref() },
    };
    messages::over(asked, ended)
}

/// What was decided, in words, and what was said besides.
fn decided(request: &Request) -> (String, Option<String>) {
    let data = request.response_data.as_ref().map(|data| data.value()).unwrap_or_default();
    let text = |key: &str| data.get(key).and_then(Value::as_str);
    let options = request.response_schema.as_ref().map(|schema| schema.options()).unwrap_or_default();
    let label =
        |key: &str| options.iter().find(|option| option.key == key).map_or(key, |option| &option.label).to_owned();
    let decision = match (text("decision"), data.get("choice"), text("text")) {
        (Some(decision), ..) => label(decision),
        (None, Some(Value::String(key)), _) => label(key),
        (None, Some(Value::Array(keys)), _) => {
            let labels: Vec<String> = keys.iter().filter_map(Value::as_str).map(label).collect();
            labels.join(", ")
        }
        (None, _, Some(text)) => text.to_owned(),
        _ if request.intent == Intent::Notification => "acknowledged".to_owned(),
        _ => "see the portal".to_owned(),
    };
    (decision, text("comment").map(str::to_owned))
}

/// What one click can answer.
enum ByClick {
    /// Approve or reject.
    Decision,
    /// One of the options.
    Options,
}

fn form(request: &Request) -> Option<ByClick> {
    let kind = request.response_schema.as_ref().map(|schema| schema.kind);
    match kind {
        Some(SchemaKind::Choice) if !labels(request).is_empty() => Some(ByClick::Options),
        // To approve needs the form, unless it describes the proposal.
        Some(SchemaKind::Structured) if !request.allow_edit => None,
        _ if request.intent == Intent::Approval => Some(ByClick::Decision),
        _ => None,
    }
}

/// The labels of options of which one is chosen.
fn labels(request: &Request) -> Vec<String> {
    let schema = request.response_schema.as_ref().filter(|schema| !schema.is_multiple());
    schema.map(|schema| schema.options().iter().map(|option| option.label.clone()).collect()).unwrap_or_default()
}

/// The answer that a click gives; `None` when the request offers no such button.
#[must_use]
pub fn answer(request: &Request, click: Click) -> Option<Map<String, Value>> {
    let data = match (click, form(request)?) {
        (Click::Approve, ByClick::Decision) => json!({ "decision": "approved" }),
        (Click::Reject, ByClick::Decision) => json!({ "decision": "rejected" }),
        (Click::Option(place), ByClick::Options) => {
            let options = request.response_schema.as_ref().map(|schema| schema.options()).unwrap_or_default();
            json!({ "choice": options.get(place)?.key })
        }
        _ => return None,
    };
    data.as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Input;
    use crate::samples::{NOW, Sample, approval, dora};

    fn look() -> Look {
        Look { base: "https://hub.example".to_owned(), has_buttons: true }
    }

    fn row(what: What, name: &str) -> Row {
        Row {
            seq: 1,
            what,
            of_seq: None,
            name: name.to_owned(),
            standing: super::super::rows::Standing::Waiting,
            channel: None,
            ts: None,
            error: None,
            due_at: NOW,
            queued_at: NOW,
            failures: 0,
        }
    }

    fn text(message: &Message) -> String {
        serde_json::to_string(message).unwrap()
    }

    fn choice() -> Value {
        let options = json!([{"key": "b", "label": "Blue"}, {"key": "g", "label": "Green"}]);
        json!({"intent": "DECISION", "response_schema": {"type": "choice", "options": options}})
    }

    #[test]
    fn clicks_answer_what_was_offered_and_nothing_else() {
        let mut sample = Sample::new();
        let approval = sample.ask(&json!({"intent": "APPROVAL"})).request;
        let answer_of = |request: &Request, click| answer(request, click).map(Value::Object);
        assert_eq!(answer_of(&approval, Click::Approve), Some(json!({"decision": "approved"})));
        assert_eq!(answer_of(&approval, Click::Reject), Some(json!({"decision": "rejected"})));
        assert_eq!(answer_of(&approval, Click::Option(0)), None);
        let choice = sample.ask(&choice()).request;
        assert_eq!(answer_of(&choice, Click::Option(1)), Some(json!({"choice": "g"})));
        assert_eq!(answer_of(&choice, Click::Option(2)), None);
        assert_eq!(answer_of(&choice, Click::Approve), None);
        let notice = sample.ask(&json!({"intent": "NOTIFICATION"})).request;
        assert_eq!(answer_of(&notice, Click::Approve), None);
    }

    #[test]
    fn a_message_says_how_the_request_is_when_it_is_sent() {
        let mut sample = Sample::new();
        let kept = sample.ask(&json!({"intent": "APPROVAL"}));
        let ask = row(What::Ask, "dora & emil");
        let message = text(&look().message(&kept.request, &ask, &[]));
        assert!(message.contains("hcp_approve") && message.contains("responder_id=dora+%26+emil"), "{message}");
        let without = Look { has_buttons: false, ..look() };
        assert!(!text(&without.message(&kept.request, &ask, &[])).contains("hcp_approve"));
        let moved = text(&look().message(&kept.request, &row(What::Reassigned, "emil"), &[]));
        assert!(moved.contains("*Reassigned* to emil") && !moved.contains("hcp_approve"), "{moved}");
        let answered = sample.happen(&kept, approval("dora"), &dora());
        let late = text(&look().message(&answered.request, &ask, &[]));
        assert!(late.contains("*Answered:* approved by dora") && !late.contains("hcp_approve"), "{late}");
        let other = sample.ask(&json!({"intent": "APPROVAL"}));
        let cancelled = sample.happen(&other, Input::Cancel, &dora());
        let over = row(What::Over, "ada");
        let message = text(&look().message(&cancelled.request, &ask, &[ask.clone(), over]));
        assert!(message.contains("*Cancelled* by ada"), "{message}");
    }
}
