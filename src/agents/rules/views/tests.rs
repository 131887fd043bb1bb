//! Tests of views: their exact shape, since clients check it.

use hxa_domain::query::Query;
use proptest::prelude::*;
use serde_json::{Map, Value, json, to_value};

use super::*;
use crate::rules::config::{ConfigDraft, RuntimeConfig};
use crate::rules::events::Health;
use crate::rules::fields::Fields;
use crate::rules::liveness::{Input, Liveness};
use crate::rules::names::Namespace;
use crate::rules::records::{Machine, Session};
use crate::rules::versioned::Versioned;
use crate::rules::words::Scope;

fn session(id: &str, updated_at: i64) -> Session {
    Session {
        id: id.to_owned(),
        namespace: Namespace::default_name(),
        seq: 3,
        created_at: 1,
        updated_at,
        metadata: Versioned::first(json!({"path": "/p", "host": "h", "flavor": "codex", "codexSessionId": "c"})),
        agent_state: Versioned::first(Value::Null),
        config: RuntimeConfig::default(),
        liveness: Liveness::stored(Scope::Session, 5, 0),
    }
}

fn waiting(mut session: Session, requests: usize) -> Session {
    let requests: Map<String, Value> = (0..requests)
        .map(|n| (format!("r{n}"), json!({"tool": if n == 0 { "ExitPlanMode" } else { "Bash" }, "createdAt": n})))
        .collect();
    session.agent_state = Versioned::first(json!({ "requests": requests }));
    session
}

#[test]
fn a_session_has_every_field() {
    let mut one = session("s", 9);
    one.config.permission_mode = crate::rules::flavors::PermissionMode::parse("yolo");
    let wanted = json!({
        "id": "s", "namespace": "default", "seq": 3, "createdAt": 1, "updatedAt": 9, "pinned": false,
        "globalPinned": false, "active": false, "activeAt": 5,
        "metadata": {"path": "/p", "host": "h", "flavor": "codex", "codexSessionId": "c"}, "metadataVersion": 1,
        "agentState": null, "agentStateVersion": 1, "thinking": false, "thinkingAt": 0,
        "activeTurnStartedAt": null, "backgroundTaskCount": 0, "todosUpdatedAt": null, "teamStateUpdatedAt": null,
        "model": null, "modelReasoningEffort": null, "effort": null, "serviceTier": null, "permissionMode": "yolo",
    });
    assert_eq!(to_value(SessionView::of(&one)).unwrap(), wanted);
    one.metadata = Versioned::first(json!({"path": "/p"}));
    assert_eq!(to_value(SessionView::of(&one)).unwrap()["metadata"], Value::Null);
}

#[test]
fn a_summary_shows_the_oldest_requests() {
    let one = waiting(session("s", 9), 7);
    let summary = to_value(SummaryView::of(&one)).unwrap();
    assert_eq!(summary["pendingRequestsCount"], 7);
    assert_eq!(summary["pendingRequestKinds"], json!(["permission", "input"]));
    assert_eq!(summary["pendingRequests"].as_array().unwrap().len(), 5);
    assert_eq!(summary["pendingRequests"][0], json!({"id": "r0", "kind": "input", "tool": "ExitPlanMode", "since": 0}));
    assert_eq!(summary["metadata"], json!({"path": "/p", "flavor": "codex", "agentSessionId": "c"}));
    let keys: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = "id active thinking activeAt updatedAt pinned globalPinned metadata metadataVersion agentStateVersion \
                  todosUpdatedAt todoProgress pendingRequestsCount pendingRequestKinds pendingRequests \
                  backgroundTaskCount futureScheduledMessageCount nextScheduledAt model modelReasoningEffort effort";
    assert_eq!(keys, wanted.split_whitespace().collect::<Vec<_>>());
    assert_eq!(summary["todoProgress"], Value::Null);
}

#[test]
fn lists_show_first_what_needs_attention() {
    let mut active = session("active", 1);
    active.liveness.step(Input::Alive { thinking: None, changes: false }, 100);
    let all = [session("old", 5), session("new", 8), waiting(session("asks", 2), 1), active];
    let ids = |text: &str| -> Vec<&str> {
        let summaries = all.iter().map(SummaryView::of).collect();
        list(summaries, ListQuery::read(&Query::parse(text))).iter().map(|summary| summary.id).collect()
    };
    assert_eq!(ids(""), ["active", "asks", "new", "old"]);
    assert_eq!(ids("order=updatedAt&limit=3"), ["new", "old", "asks"]);
    assert_eq!(ids("limit=0"), ["active"]);
    assert_eq!(ids("limit=9999&order=x").len(), 4);
    assert_eq!(ids("limit=x").len(), 4);
}

#[test]
fn machines_are_told_whole_or_off() {
    let mut machine = Machine {
        id: "m".to_owned(),
        namespace: Namespace::default_name(),
        seq: 1,
        created_at: 1,
        updated_at: 2,
        metadata: Versioned::first(json!({"host": "h", "capabilities": ["later"]})),
        runner_state: Versioned::first(Value::Null),
        health: Health::read(json!({"collectedAt": 5, "cpuCount": 8})),
        liveness: Liveness::stored(Scope::Machine, 0, 0),
    };
    assert_eq!(machine::told_of(&machine), json!({"active": false}));
    machine.liveness.step(Input::Alive { thinking: None, changes: false }, 100);
    let wanted = json!({
        "id": "m", "namespace": "default", "seq": 1, "createdAt": 1, "updatedAt": 2, "active": true, "activeAt": 100,
        "metadata": {"host": "h", "capabilities": ["later"]}, "metadataVersion": 1, "runnerState": null,
        "runnerStateVersion": 1, "health": {"collectedAt": 5, "cpuCount": 8},
    });
    assert_eq!(machine::told_of(&machine), wanted);
}

#[test]
fn patches_have_the_allowed_keys_alone() {
    let mut one = session("s", 9);
    one.liveness.step(Input::Alive { thinking: Some(true), changes: false }, 100);
    let given = json!({"permissionMode": "yolo", "model": "m", "collaborationMode": "c", "copilotAgentMode": "a"});
    let changed = one.config.apply(ConfigDraft::read(&mut Fields::of(given).unwrap()).unwrap());
    let patch = SessionPatch::new()
        .alive(&one.liveness, &one.config)
        .settings(changed)
        .updated_at(9)
        .metadata(&one.metadata)
        .agent_state(&one.agent_state)
        .json();
    assert!(patch.as_object().unwrap().keys().all(|key| patch::KEYS.contains(&key.as_str())), "{patch}");
    assert_eq!((&patch["active"], &patch["activeTurnStartedAt"]), (&json!(true), &json!(100)));
    assert_eq!(patch["agentState"], json!({"version": 1, "value": null}));
    assert_eq!(patch["metadata"]["value"]["path"], "/p");
    let patch = SessionPatch::new().inactive().json();
    assert_eq!(patch, json!({"active": false, "thinking": false, "activeTurnStartedAt": null}));
    assert!(SessionPatch::new().settings(Map::from_iter([("unknown".to_owned(), json!(1))])).is_empty());
}

proptest! {
    /// The order of a list does not depend on the order of what it is made of, and nothing is lost.
    #[test]
    fn the_order_is_total(updated in proptest::collection::vec((0_i64..4, 0_usize..3), 0..12), shift in 0_usize..12) {
        let all: Vec<Session> =
            updated.iter().enumerate().map(|(n, (at, requests))| waiting(session(&n.to_string(), *at), *requests)).collect();
        let order = |text: &str, shift: usize| -> Vec<String> {
            let mut summaries: Vec<SummaryView<'_>> = all.iter().map(SummaryView::of).collect();
            let middle = shift.min(summaries.len());
            summaries.rotate_left(middle);
            list(summaries, ListQuery::read(&Query::parse(text))).iter().map(|summary| summary.id.to_owned()).collect()
        };
        for text in ["", "order=updatedAt"] {
            prop_assert_eq!(order(text, 0), order(text, shift));
            prop_assert_eq!(order(text, 0).len(), all.len());
        }
    }
}
