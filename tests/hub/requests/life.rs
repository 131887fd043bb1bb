//! A request from the agent to a person and back.

use std::time::{Duration, Instant};

use crate::harness::*;

on_both_databases! {
    an_answer_reaches_the_agent,
    only_the_agents_own_get_delivers,
    an_answer_can_be_acknowledged,
    a_read_waits_for_the_answer,
    a_request_can_be_cancelled_while_it_is_open,
    a_request_asked_twice_is_one,
    a_thread_waits_for_the_answer,
}

async fn an_answer_reaches_the_agent(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let asked = ada.ask(question("dora")).await.status(201);
    let id = asked.text("request_id");
    let readme = [
        "request_id",
        "agent_id",
        "intent",
        "urgency",
        "state",
        "context_package",
        "response_schema",
        "timeout_policy",
        "routing_hints",
        "trace_id",
        "idempotency_key",
        "responder_id",
        "response_data",
        "responded_by",
        "responded_at",
        "submitted_at",
        "updated_at",
        "timeout_at",
        "delivered_at",
    ];
    assert_eq!(asked.as_object().unwrap().keys().take(19).collect::<Vec<_>>(), readme);
    assert_eq!((&asked["state"], &asked["agent_id"]), (&json!("SUBMITTED"), &json!("ada")));
    assert_eq!(asked["routing_hints"], json!({"responder_id": "dora", "channel": "portal"}));
    assert!(id.len() == 26 && asked.text("submitted_at").ends_with('Z'), "{asked}");
    assert_eq!(ada.request(&id).await.ok()["state"], "PENDING_RESPONSE");
    let done = org.respond(&id, json!({"decision": "approved", "comment": "LGTM"})).await.ok();
    assert_eq!(done, json!({"status": "responded", "request_id": id}));
    let read = ada.request(&id).await.ok();
    assert_eq!((&read["state"], &read["response_data"]["comment"]), (&json!("DELIVERED"), &json!("LGTM")));
    assert_eq!(read["delivered_at"], read["updated_at"]);
    assert_eq!(ada.request(&id).await.ok(), read, "it can be read again");
    let steps = ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE", "CR_RESPONDED", "CR_DELIVERED"];
    assert_eq!(ada.steps(&id).await, steps);
    let lower = id.to_lowercase();
    assert_eq!(ada.request(&lower).await.ok()["request_id"], id.as_str(), "in any case");
}

async fn only_the_agents_own_get_delivers(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let id = ada.asked().await;
    org.approve(&id).await.ok();
    let head = ada.call("HEAD", &format!("/v1/requests/{id}")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    ada.call("HEAD", &format!("/v1/requests/{id}?wait=1")).await.ok();
    bob.request(&id).await.missing();
    assert_eq!(org.request(&id).await.ok()["state"], "RESPONDED");
    assert_eq!(ada.human("Ann").await.request(&id).await.ok()["state"], "RESPONDED", "a person behind the bot");
    assert_eq!(ada.requests("").await.ok()["requests"][0]["state"], "RESPONDED");
    assert_eq!(ada.request(&id).await.ok()["state"], "DELIVERED");
}

async fn an_answer_can_be_acknowledged(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let id = ada.asked().await;
    let refused = ada.acknowledge(&id).await.refused(409, "INVALID_TRANSITION");
    assert!(refused.text("error").contains("PENDING_RESPONSE"), "{refused}");
    org.approve(&id).await.ok();
    bob.acknowledge(&id).await.missing();
    org.acknowledge(&id).await.forbidden();
    for _ in 0..2 {
        assert_eq!(ada.acknowledge(&id).await.ok(), json!({"status": "delivered", "request_id": id}));
    }
    assert_eq!(ada.steps(&id).await.last().unwrap(), "CR_DELIVERED");
}

async fn a_read_waits_for_the_answer(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let id = ada.asked().await;
    let started = Instant::now();
    assert_eq!(ada.request_within(&id, 1).await.ok()["state"], "PENDING_RESPONSE");
    assert!(started.elapsed() >= Duration::from_millis(900), "{:?}", started.elapsed());
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        org.approve(&id).await.ok();
    };
    let (started, waiting) = (Instant::now(), ada.request_within(&id, 30));
    let (read, ()) = tokio::join!(async { waiting.await.ok() }, later);
    assert_eq!(read["state"], "DELIVERED");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    for wait in ["61", "-1", "1.5", "x", ""] {
        let refused = ada.get(format!("/v1/requests/{id}?wait={wait}")).await.invalid();
        assert_eq!(refused["faults"][0]["path"], "wait", "{wait}");
    }
    assert_eq!(ada.request_within(&id, 30).await.ok()["state"], "DELIVERED", "there is nothing to wait for");
}

async fn a_request_can_be_cancelled_while_it_is_open(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let id = ada.asked().await;
    bob.cancel(&id).await.missing();
    // As the original client does it.
    let done = ada.cancel(&id).header("content-type", "application/json").await.ok();
    assert_eq!(done, json!({"status": "cancelled", "request_id": id}));
    let refused = ada.cancel(&id).await.refused(409, "INVALID_TRANSITION");
    assert_eq!(refused["error"], "Cannot cancel CR in state CANCELLED");
    let refused = org.approve(&id).await.refused(409, "INVALID_TRANSITION");
    assert_eq!(refused["error"], "Cannot respond to CR in state CANCELLED");
    let other = ada.asked().await;
    org.approve(&other).await.ok();
    assert_eq!(ada.cancel(&other).await.refused(409, "INVALID_TRANSITION")["state"], "RESPONDED");
    let third = ada.asked().await;
    org.cancel(&third).await.ok();
    assert_eq!(ada.request(&third).await.ok()["state"], "CANCELLED");
}

async fn a_request_asked_twice_is_one(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let keyed = question_with("dora", json!({"idempotency_key": "k"}));
    let first = ada.ask(keyed.clone()).await.status(201).text("request_id");
    let again = ada.ask(keyed.clone()).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let again = again.ok();
    assert_eq!((again.text("request_id"), &again["state"]), (first.clone(), &json!("PENDING_RESPONSE")));
    let other = question_with("emil", json!({"idempotency_key": "k"}));
    ada.ask(other).await.refused(409, "IDEMPOTENCY_MISMATCH");
    assert_ne!(bob.ask(keyed.clone()).await.status(201).text("request_id"), first, "keys belong to the agent");
    ada.cancel(&first).await.ok();
    assert_eq!(ada.ask(keyed).await.ok()["state"], "CANCELLED");
    ada.ask(question_with("dora", json!({"idempotency_key": ""}))).await.invalid();
    let pair = question_with("dora", json!({"idempotency_key": "pair"}));
    for round in 0..20 {
        let mut body = pair.clone();
        body["idempotency_key"] = json!(format!("pair {round}"));
        let (one, two) = tokio::join!(ada.ask(body.clone()).answered(), ada.ask(body).answered());
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 201], "{} {}", one.text, two.text);
        assert_eq!(one["request_id"], two["request_id"]);
    }
}

async fn a_thread_waits_for_the_answer(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (own, other) = (ada.thread("own", &[]).await, bob.thread("other", &[]).await);
    let refused = ada.ask(question_with("dora", json!({"thread_id": other["id"]}))).await.invalid();
    assert_eq!(refused["faults"][0]["path"], "thread_id");
    let asked = ada.ask(question_with("dora", json!({"thread_id": own["id"]}))).await.status(201);
    let is = |status: &'static str| {
        let (ada, own) = (ada.clone(), own.clone());
        eventually(move || ada.thread_get(&own).answered(), move |thread| thread["status"] == status)
    };
    is("blocked").await;
    org.approve(&asked.text("request_id")).await.ok();
    is("active").await;
    let told = ada.all_messages(&own).await;
    assert_eq!(told[0]["metadata"]["coordination_request"]["request_id"], asked["request_id"], "{told:?}");
}
