//! What happens when nobody answers in time, and who wins when two things happen at once.

use std::time::{Duration, Instant};

use crate::harness::*;

on_both_databases! {
    each_fallback_does_what_it_says,
    an_answer_is_late_from_the_deadline_on,
    one_of_two_answers_wins,
}

/// A request that waits a second.
fn brief(fallback: &str, fields: Value) -> Value {
    let mut timeout = json!({"timeout_seconds": 1, "fallback": fallback});
    for (key, value) in fields.as_object().unwrap() {
        timeout[key] = value.clone();
    }
    question_with("dora", json!({"timeout_policy": timeout}))
}

async fn each_fallback_does_what_it_says(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let cases = [
        (
            "AUTO_APPROVE",
            json!({}),
            "DELIVERED",
            json!({"decision": "approved", "auto": true}),
            json!("system:auto_approve"),
        ),
        (
            "AUTO_REJECT",
            json!({}),
            "DELIVERED",
            json!({"decision": "rejected", "auto": true}),
            json!("system:auto_reject"),
        ),
        ("BLOCK", json!({}), "TIMED_OUT", json!(null), json!(null)),
        ("FAIL", json!({}), "TIMED_OUT", json!(null), json!(null)),
        ("SKIP", json!({}), "TIMED_OUT", json!(null), json!(null)),
        ("ESCALATE", json!({"escalation_responder_id": "emil"}), "TIMED_OUT", json!(null), json!(null)),
    ];
    let mut ids = Vec::new();
    for (fallback, fields, ..) in &cases {
        ids.push(ada.ask(brief(fallback, fields.clone())).await.status(201).text("request_id"));
    }
    let started = Instant::now();
    for (id, (fallback, _, state, data, by)) in ids.iter().zip(&cases) {
        let decided = ada.request_within(id, 10).await.ok();
        assert_eq!(
            (&decided["state"], &decided["response_data"], &decided["responded_by"]),
            (&json!(state), data, by),
            "{fallback}"
        );
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let steps = ada.steps(ids.last().unwrap()).await;
    assert_eq!(steps.iter().filter(|step| *step == "CR_ESCALATED").count(), 1, "{steps:?}");
}

async fn an_answer_is_late_from_the_deadline_on(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let id = ada.ask(brief("BLOCK", json!({}))).await.status(201).text("request_id");
    tokio::time::sleep(Duration::from_millis(1001)).await;
    let refused = org.approve(&id).await.refused(409, "INVALID_TRANSITION");
    assert!(refused.text("error").starts_with("Cannot respond to CR in state "), "{refused}");
    assert_eq!(ada.request(&id).await.ok()["state"], "TIMED_OUT");
}

async fn one_of_two_answers_wins(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    for round in 0..40 {
        let id = ada.asked().await;
        let answer = || org.approve(&id).answered();
        let (one, two) = if round % 2 == 0 {
            tokio::join!(answer(), answer())
        } else {
            tokio::join!(answer(), ada.cancel(&id).answered())
        };
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{} {}", one.text, two.text);
        let loser = if one.status == 409 { &one } else { &two };
        assert!(["RESPONDED", "CANCELLED"].contains(&loser["state"].as_str().unwrap()), "{}", loser.text);
        assert_eq!(ada.steps(&id).await.len(), 4);
    }
}
