//! Who hears of a request besides its stream: the agent's sockets and webhook, and its thread.

use crate::harness::*;
use crate::webhooks::delivery::quick;

on_both_databases! {
    sockets_hear_of_states,
    webhooks_hear_of_states with quick,
    a_thread_is_blocked_while_anybody_waits,
    a_thread_that_has_ended_stays_so,
    only_who_takes_part_has_a_thread_wait,
    a_deleted_bot_leaves_nothing_open,
}

async fn sockets_hear_of_states(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (mut own, mut other) = (ada.socket().await, bob.socket().await);
    let mut narrow = ada.scoped(&["message"]).await.socket().await;
    let id = ada.asked().await;
    let event = own.next("coordination_request").await;
    assert_eq!((&event["request_id"], &event["state"]), (&json!(id), &json!("PENDING_RESPONSE")));
    assert!(event["seq"].is_u64() && event.get("context_package").is_none(), "{event}");
    org.respond(&id, json!({"decision": "rejected", "comment": "no"})).await.ok();
    let event = own.next("coordination_request").await;
    assert_eq!((&event["state"], &event["response_data"]["comment"]), (&json!("RESPONDED"), &json!("no")));
    ada.request(&id).await.ok();
    assert_eq!(own.next("coordination_request").await["state"], "DELIVERED");
    let second = ada.asked().await;
    own.next("coordination_request").await;
    ada.cancel(&second).await.ok();
    assert_eq!(own.next("coordination_request").await["state"], "CANCELLED");
    for socket in [&mut other, &mut narrow] {
        let heard = socket.drain().await;
        assert!(heard.iter().all(|event| event["type"] != "coordination_request"), "{heard:?}");
    }
}

async fn webhooks_hear_of_states(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let receiver = Receiver::start();
    let kinds = ["request.submitted", "request.responded", "request.delivered", "request.cancelled"];
    let fields = json!({"webhook_url": receiver.url(), "webhook_secret": "s3cret", "webhook_events": kinds});
    ada.patch("/api/me/webhook", fields).await.ok();
    let mut socket = ada.socket().await;
    let id = ada.asked().await;
    org.approve(&id).await.ok();
    ada.request(&id).await.ok();
    let posts = receiver.took(3).await;
    let told: Vec<(String, String)> =
        posts.iter().map(|post| (post.body["type"].to_string(), post.body["state"].to_string())).collect();
    let quoted = |text: &str| format!("\"{text}\"");
    let expected =
        [("request.submitted", "SUBMITTED"), ("request.responded", "RESPONDED"), ("request.delivered", "DELIVERED")];
    assert_eq!(told, expected.map(|(kind, state)| (quoted(kind), quoted(state))));
    assert!(posts.iter().all(|post| post.body["request_id"] == id.as_str()));
    let heard = socket.drain().await;
    assert!(heard.iter().all(|event| !event["type"].as_str().unwrap().starts_with("request.")), "{heard:?}");
}

async fn status(bot: &Bot, thread: &Value) -> String {
    bot.thread_get(thread).await.ok().text("status")
}

async fn comes_to(bot: &Bot, thread: &Value, wanted: &str) {
    eventually(async || status(bot, thread).await, |status| status == wanted).await;
}

fn in_thread(thread: &Value) -> Value {
    question_with("dora", json!({"thread_id": thread["id"]}))
}

async fn a_thread_is_blocked_while_anybody_waits(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("release", &[&bob]).await;
    let mut socket = bob.socket().await;
    let one = ada.ask(in_thread(&thread)).await.status(201).text("request_id");
    comes_to(&bob, &thread, "blocked").await;
    let changed = socket.next("thread_status_changed").await;
    assert_eq!((&changed["from"], &changed["to"]), (&json!("active"), &json!("blocked")));
    let two = bob.ask(in_thread(&thread)).await.status(201).text("request_id");
    org.respond(&one, json!({"decision": "approved", "comment": "go"})).await.ok();
    let said = socket.next("thread_message").await;
    let message = &said["message"];
    assert_eq!(message["metadata"]["coordination_request"]["request_id"], one.as_str());
    assert!(message["content"].as_str().unwrap().contains("go") && message["sender_id"].is_null(), "{message}");
    assert_eq!(status(&bob, &thread).await, "blocked", "another one waits");
    bob.cancel(&two).await.ok();
    comes_to(&bob, &thread, "active").await;
    let timeout = json!({"thread_id": thread["id"], "timeout_policy": {"timeout_seconds": 1, "fallback": "BLOCK"}});
    let three = ada.ask(question_with("dora", timeout)).await.status(201).text("request_id");
    comes_to(&bob, &thread, "blocked").await;
    comes_to(&bob, &thread, "active").await;
    let messages = bob.all_messages(&thread).await;
    let named: Vec<&str> = messages
        .iter()
        .rev()
        .filter_map(|one| one["metadata"]["coordination_request"]["request_id"].as_str())
        .collect();
    assert_eq!(named, [&one, &two, &three], "each is told of once");
}

async fn a_thread_that_has_ended_stays_so(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("release", &[]).await;
    let id = ada.ask(in_thread(&thread)).await.status(201).text("request_id");
    comes_to(&ada, &thread, "blocked").await;
    ada.status(&thread, "active").await.ok();
    ada.status(&thread, "resolved").await.ok();
    org.approve(&id).await.ok();
    ada.request(&id).await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(status(&ada, &thread).await, "resolved");
    assert_eq!(ada.all_messages(&thread).await.len(), 0);
}

async fn only_who_takes_part_has_a_thread_wait(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("release", &[]).await;
    let refused = bob.ask(in_thread(&thread)).await.invalid();
    assert_eq!(refused["faults"][0]["path"], "thread_id");
    bob.ask(in_thread(&json!({"id": NOBODY}))).await.invalid();
    ada.ask(question_with("dora", json!({"thread_id": "x"}))).await.invalid();
    assert_eq!(status(&ada, &thread).await, "active");
}

async fn a_deleted_bot_leaves_nothing_open(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut stream = org.listen("?agent_id=ada").await;
    let (open, answered, other) = (ada.asked().await, ada.asked().await, bob.asked().await);
    org.approve(&answered).await.ok();
    stream.states(&open, 3).await;
    stream.states(&answered, 4).await;
    org.delete(format!("/api/bots/{}", ada.id)).await.ok();
    assert_eq!(stream.states(&open, 1).await, ["CANCELLED"]);
    assert_eq!(org.request(&open).await.ok()["state"], "CANCELLED");
    assert_eq!(org.request(&answered).await.ok()["state"], "RESPONDED");
    assert_eq!(org.request(&other).await.ok()["state"], "PENDING_RESPONSE");
    org.approve(&open).await.refused(409, "INVALID_TRANSITION");
    let last = org.request_audit(&format!("?request_id={open}")).await.ok();
    let last = last["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["event_type"], &last["actor_type"]), (&json!("CR_CANCELLED"), &json!("SYSTEM")));
    eventually(async || hub.metric("hub_requests_open").await, |open| *open == 1.0).await;
}
