//! What is an answer to what.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::create::read_create;
use crate::rules::ids::RequestId;
use crate::rules::machine::{Opening, submit};
use hxa_domain::ids::{BotId, OrgId};

fn request(extra: &Value) -> Request {
    let mut body = json!({
        "intent": "DECISION", "urgency": "LOW", "context_package": {"summary": "s"},
        "timeout_policy": {"timeout_seconds": 10, "fallback": "BLOCK"}, "routing_hints": {"responder_id": "dora"},
    });
    body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    let opening =
        Opening { id: RequestId::at(1), org: OrgId::random(), agent: BotId::random(), agent_id: Arc::from("ada") };
    submit(opening, read_create(body).unwrap(), 1).request
}

fn check(request: &Request, data: Value) -> Result<Verdict, Vec<String>> {
    let Value::Object(data) = data else { panic!("{data}") };
    check_answer(request, &data).map_err(|faults| faults.all().iter().map(|fault| fault.path.clone()).collect())
}

fn at(path: &str) -> Result<Verdict, Vec<String>> {
    Err(vec![path.to_owned()])
}

#[test]
fn the_body_names_whoever_the_credential_does_not() {
    let body = json!({"response_data": {"decision": "approved"}, "responded_by": "dora", "x": 1});
    assert_eq!(read_answer(body, Naming::Body).unwrap().responded_by.as_deref(), Some("dora"));
    let faults = read_answer(json!({}), Naming::Body).unwrap_err();
    let told: Vec<_> = faults.all().iter().map(|fault| (fault.path.as_str(), fault.message.as_str())).collect();
    assert_eq!(told, [("response_data", "Required"), ("responded_by", "Required")]);
    assert!(read_answer(json!({"response_data": {}}), Naming::Credential).is_ok());
    for name in ["", "system:auto_approve", "Slack:dora", "a\u{0}"] {
        assert!(read_answer(json!({"response_data": {}, "responded_by": name}), Naming::Body).is_err(), "{name}");
    }
    assert!(read_answer(json!({"response_data": {}, "responded_by": "slackbot"}), Naming::Body).is_ok());
    for data in
        [json!(null), json!([]), json!("x"), json!({"a": "\u{0}"}), json!({"a": "x".repeat(limits::JSON_BYTES)})]
    {
        assert!(read_answer(json!({"response_data": data}), Naming::Credential).is_err());
    }
}

#[test]
fn approvals_say_yes_or_no() {
    let request = request(&json!({"intent": "APPROVAL"}));
    assert_eq!(check(&request, json!({"decision": "approved"})), Ok(Verdict::Approved));
    assert_eq!(check(&request, json!({"decision": "rejected", "comment": "no", "x": 1})), Ok(Verdict::Rejected));
    for bad in [json!({}), json!({"decision": "maybe"}), json!({"decision": true}), json!({"decision": null})] {
        assert_eq!(check(&request, bad), at("response_data.decision"));
    }
    assert_eq!(check(&request, json!({"decision": "approved", "comment": 5})), at("response_data.comment"));
    assert_eq!(check(&request, json!({"decision": "approved", "edited": "x"})), at("response_data.edited"));
}

#[test]
fn proposals_are_edited_where_it_is_offered() {
    let schema = json!({"type": "structured", "json_schema": {"type": "object", "required": ["to"]}});
    let free = request(&json!({"intent": "APPROVAL", "allow_edit": true}));
    assert_eq!(check(&free, json!({"decision": "approved", "edited": "other"})), Ok(Verdict::Approved));
    assert_eq!(check(&free, json!({"decision": "rejected", "edited": "other"})), at("response_data.edited"));
    let formed = request(&json!({"intent": "APPROVAL", "allow_edit": true, "response_schema": schema}));
    assert_eq!(check(&formed, json!({"decision": "approved"})), Ok(Verdict::Approved));
    assert_eq!(check(&formed, json!({"decision": "approved", "edited": {"to": "b"}})), Ok(Verdict::Approved));
    assert_eq!(check(&formed, json!({"decision": "approved", "edited": {}})), at("response_data.edited"));
    let quorum = json!({"responder_id": "dora", "quorum": {"of": ["dora"], "need": 1}});
    let several = request(&json!({"intent": "APPROVAL", "allow_edit": true, "routing_hints": quorum}));
    assert_eq!(check(&several, json!({"decision": "approved", "edited": "x"})), at("response_data.edited"));
    assert_eq!(check(&several, json!({"decision": "approved", "comment": "x".repeat(9000)})), at("response_data"));
}

#[test]
fn an_approval_with_a_form_satisfies_it_unless_it_rejects() {
    let options = json!([{"key": "a", "label": "A"}, {"key": "b", "label": "B"}]);
    let choice = request(&json!({"intent": "APPROVAL", "response_schema": {"type": "choice", "options": options}}));
    assert_eq!(check(&choice, json!({"decision": "rejected"})), Ok(Verdict::Rejected));
    assert_eq!(check(&choice, json!({"decision": "approved", "choice": "a"})), Ok(Verdict::Approved));
    assert_eq!(check(&choice, json!({"choice": "b"})), Ok(Verdict::Chosen(vec!["b".to_owned()])));
    assert_eq!(check(&choice, json!({"decision": "approved"})), at("response_data.decision"));
    assert_eq!(check(&choice, json!({"decision": "approved", "choice": "c"})), at("response_data.choice"));
}

#[test]
fn notifications_are_acknowledged() {
    let request = request(&json!({"intent": "NOTIFICATION"}));
    for good in [
        json!({}),
        json!({"acknowledged": true}),
        json!({"ack": true, "comment": "seen"}),
        json!({"decision": "acknowledged"}),
    ] {
        assert_eq!(check(&request, good), Ok(Verdict::Given));
    }
    for bad in [json!({"decision": "approved"}), json!({"acknowledged": false}), json!({"acknowledged": true, "x": {}})]
    {
        assert_eq!(check(&request, bad), at("response_data"));
    }
}

#[test]
fn choices_name_an_option() {
    let options = json!([{"key": "pg", "label": "PostgreSQL"}, {"key": "my", "label": "MySQL"}]);
    let one = request(&json!({"response_schema": {"type": "choice", "options": options}}));
    for field in ["choice", "decision", "selected", "value", "answer", "option", "whatever"] {
        let mut data = json!({"comment": "because"});
        data[field] = json!("pg");
        assert_eq!(check(&one, data), Ok(Verdict::Chosen(vec!["pg".to_owned()])), "{field}");
    }
    assert_eq!(check(&one, json!({"choice": "PostgreSQL"})), at("response_data.choice"));
    assert_eq!(check(&one, json!({"choice": ["pg"]})), at("response_data.choice"));
    assert_eq!(check(&one, json!({"choice": null})), at("response_data.choice"));
    assert_eq!(check(&one, json!({"text": "x"})), at("response_data.choice"));
    assert_eq!(check(&one, json!({})), at("response_data.choice"));
}

#[test]
fn several_may_be_chosen_where_it_is_offered() {
    let options = json!([{"key": "pg", "label": "P"}, {"key": "my", "label": "M"}]);
    let several = request(&json!({"response_schema": {"type": "choice", "options": options, "multiple": true}}));
    let both = Ok(Verdict::Chosen(vec!["my".to_owned(), "pg".to_owned()]));
    assert_eq!(check(&several, json!({"choice": ["pg", "my"]})), both);
    assert_eq!(check(&several, json!({"choices": ["my", "pg"]})), both);
    assert_eq!(check(&several, json!({"picked": ["my", "pg"]})), both);
    assert_eq!(check(&several, json!({"choice": "pg"})), Ok(Verdict::Chosen(vec!["pg".to_owned()])));
    assert_eq!(check(&several, json!({"choice": []})), at("response_data.choice"));
    assert_eq!(check(&several, json!({"choice": ["pg", "x"]})), at("response_data.choice.1"));
    assert_eq!(check(&several, json!({"choice": ["pg", "pg"]})), at("response_data.choice.1"));
    assert_eq!(check(&several, json!({"choice": ["pg", 5]})), at("response_data.choice.1"));
}

#[test]
fn structured_answers_satisfy_their_schema() {
    let schema = json!({
        "type": "object", "required": ["amount"], "additionalProperties": false,
        "properties": {"amount": {"type": "integer", "minimum": 1}, "tags": {"type": "array", "items": {"type": "string"}}},
    });
    let request = request(&json!({"response_schema": {"type": "structured", "json_schema": schema}}));
    assert_eq!(check(&request, json!({"amount": 5, "tags": ["a"]})), Ok(Verdict::Given));
    assert_eq!(check(&request, json!({"amount": 0})), at("response_data.amount"));
    assert_eq!(check(&request, json!({"amount": 1, "tags": ["a", 1]})), at("response_data.tags.1"));
    assert_eq!(check(&request, json!({})), at("response_data"));
    assert_eq!(check(&request, json!({"amount": "5", "x": 1})).unwrap_err().len(), 2);
}

#[test]
fn everything_else_is_free() {
    for extra in
        [json!({}), json!({"response_schema": {"type": "text"}}), json!({"response_schema": {"type": "structured"}})]
    {
        assert_eq!(check(&request(&extra), json!({"text": "anything"})), Ok(Verdict::Given));
        assert_eq!(check(&request(&extra), json!({})), Ok(Verdict::Given));
    }
}

proptest! {
    #[test]
    fn any_answer_can_be_checked(key in "[a-z]{0,12}", text in any::<String>(), number in any::<f64>()) {
        let options = json!([{"key": "a", "label": "A"}]);
        for extra in [
            json!({"intent": "APPROVAL", "allow_edit": true}), json!({"intent": "NOTIFICATION"}),
            json!({"response_schema": {"type": "choice", "options": options, "multiple": true}}),
        ] {
            let request = request(&extra);
            for value in [json!(text), json!(number), json!([text, null]), json!({"edited": text})] {
                let _ = check_answer(&request, json!({&key: value}).as_object().unwrap());
                let _ = check_answer(&request, json!({"decision": value, "choice": [value]}).as_object().unwrap());
            }
        }
        let _ = read_answer(json!({&key: text}), Naming::Body);
    }
}
