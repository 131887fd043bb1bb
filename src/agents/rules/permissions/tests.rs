//! Tests of requests, claims and decisions.

use proptest::prelude::*;

use super::*;

fn state() -> Value {
    json!({"requests": {
        "b": {"tool": "Bash", "arguments": {}, "createdAt": 20},
        "a": {"tool": "AskUserQuestion", "arguments": {}},
        "c": {"tool": "Edit", "createdAt": 10},
        "bad": {"arguments": {}},
        "worse": 5,
    }})
}

fn claude() -> Kind {
    Kind::of_metadata(&json!({}))
}

#[test]
fn the_oldest_request_is_first() {
    let all = pending(&state(), 15);
    let ids: Vec<(&str, i64)> = all.iter().map(|one| (one.id.as_str(), one.since)).collect();
    assert_eq!(ids, [("c", 10), ("a", 15), ("b", 20)]);
    assert_eq!(kinds(&all), [RequestKind::Permission, RequestKind::Input]);
    assert_eq!(kinds(&all[..1]), [RequestKind::Permission]);
    assert!(pending(&Value::Null, 0).is_empty() && pending(&json!({"requests": []}), 0).is_empty());
}

#[test]
fn a_state_that_web_clients_refuse_is_not_served() {
    let completed = json!({"tool": "Bash", "arguments": {}, "status": "approved", "completedAt": 5});
    let good = json!({
        "controlledByUser": false, "later": 1,
        "requests": {"a": {"tool": "Bash", "createdAt": null}}, "completedRequests": {"b": completed},
    });
    assert_eq!(served_of_agent(&good), &good);
    assert_eq!(served_of_agent(&json!({})), &json!({}));
    for bad in [
        state(),
        json!("x"),
        json!({"controlledByUser": "yes"}),
        json!({"requests": []}),
        json!({"requests": {"a": {"tool": "Bash", "createdAt": "now"}}}),
        json!({"completedRequests": {"a": {"tool": "Bash", "status": "maybe"}}}),
    ] {
        assert_eq!(served_of_agent(&bad), &Value::Null, "{bad}");
    }
}

#[test]
fn only_the_first_decides() {
    let mut claims = Claims::default();
    assert_eq!(claims.claim(&state(), true, "x"), Claim::NotFound);
    assert_eq!(claims.claim(&state(), false, "a"), Claim::Refused(RefusalCode::SessionInactive));
    assert_eq!(claims.claim(&state(), true, "a"), Claim::Granted);
    assert_eq!(claims.claim(&state(), true, "a"), Claim::Refused(RefusalCode::AlreadyDecided));
    assert_eq!(claims.claim(&state(), true, "b"), Claim::Granted);
    claims.release("b");
    assert_eq!(claims.claim(&state(), true, "b"), Claim::Granted);
    // The agent took the decision and still lists the request; then it lists it no more.
    claims.settle(&state(), "a");
    assert_eq!(claims.claim(&state(), true, "a"), Claim::Refused(RefusalCode::AlreadyDecided));
    let after = json!({"requests": {"b": {"tool": "Bash"}}});
    claims.follow(&after);
    assert_eq!(claims.claim(&after, true, "a"), Claim::NotFound);
    // An id that comes again is another request.
    assert_eq!(claims.claim(&state(), true, "a"), Claim::Granted);
}

#[test]
fn an_agent_that_comes_back_is_asked_again() {
    let mut claims = Claims::default();
    claims.claim(&state(), true, "a");
    claims.claim(&state(), true, "b");
    claims.settle(&state(), "a");
    claims.agent_left();
    assert_eq!(claims.claim(&state(), true, "a"), Claim::Granted);
    assert_eq!(claims.claim(&state(), true, "b"), Claim::Refused(RefusalCode::AlreadyDecided));
}

#[test]
fn params_have_what_was_given() {
    let body = json!({"mode": "acceptEdits", "allowTools": ["Bash"], "answers": {"q": ["x"], "r": {"answers": []}}});
    let draft = DecisionDraft::read_approval(body, claude()).unwrap();
    let wanted = json!({
        "id": "r1", "approved": true, "mode": "acceptEdits", "allowTools": ["Bash"],
        "answers": {"q": ["x"], "r": {"answers": []}},
    });
    assert_eq!(draft.params("r1"), wanted);
    let draft = DecisionDraft::read_approval(Value::Null, claude()).unwrap();
    assert_eq!(draft.params("r1"), json!({"id": "r1", "approved": true}));
    let draft = DecisionDraft::read_denial(json!({"decision": "abort"})).unwrap();
    assert_eq!(draft.params("r1"), json!({"id": "r1", "approved": false, "decision": "abort"}));
}

#[test]
fn bad_decisions_are_refused() {
    for bad in [
        json!({"mode": "read-only"}),
        json!({"mode": "x"}),
        json!({"decision": "maybe"}),
        json!({"allowTools": "Bash"}),
        json!({"allowTools": [5]}),
        json!({"answers": {"q": "x"}}),
        json!({"answers": []}),
        json!([]),
    ] {
        assert!(DecisionDraft::read_approval(bad.clone(), claude()).is_err(), "{bad}");
    }
    assert!(DecisionDraft::read_denial(json!({"decision": 1})).is_err());
}

proptest! {
    /// In any order of events each request has one decision at a time, and is decided once while the agent lists it.
    #[test]
    fn requests_are_decided_once(steps in proptest::collection::vec((0_u8..4, 0_u8..3), 0..60)) {
        let mut claims = Claims::default();
        let mut listed: Map<String, Value> = Map::new();
        let mut open: Vec<String> = Vec::new();
        let mut decided: Vec<String> = Vec::new();
        for (what, which) in steps {
            let id = which.to_string();
            let state = json!({ "requests": listed });
            match what {
                0 => drop(listed.insert(id.clone(), json!({"tool": "t"}))),
                1 => match claims.claim(&state, true, &id) {
                    Claim::Granted => {
                        prop_assert!(listed.contains_key(&id) && !open.contains(&id) && !decided.contains(&id));
                        open.push(id);
                    }
                    Claim::NotFound => prop_assert!(!listed.contains_key(&id)),
                    Claim::Refused(_) => prop_assert!(open.contains(&id) || decided.contains(&id)),
                },
                2 if open.contains(&id) => {
                    open.retain(|one| *one != id);
                    claims.settle(&state, &id);
                    if listed.contains_key(&id) {
                        decided.push(id);
                    }
                }
                _ => {
                    listed.remove(&id);
                    decided.retain(|one| *one != id);
                    claims.follow(&json!({ "requests": listed }));
                }
            }
        }
    }
}
