//! The event stream: who gets what, in which order, from where on, and when it ends.

use std::time::Duration;

use hxa_connect::hub::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

on_both_databases! {
    every_state_is_told_in_order,
    each_gets_what_it_may_see_and_asked_for,
    a_client_goes_on_where_it_was,
    a_client_that_missed_too_much_hears_of_it with short,
    tickets_open_one_stream,
    streams_end_with_their_credential,
    streams_are_counted_and_bounded with few,
    a_stopping_hub_ends_its_streams,
    a_client_that_does_not_read_is_cut_and_hears_of_the_gap with short,
}

const BEGIN: [&str; 3] = ["SUBMITTED", "ROUTING", "PENDING_RESPONSE"];

async fn every_state_is_told_in_order(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut stream = ada.stream("").await;
    let connected = stream.next().await;
    assert_eq!((connected.kind.as_str(), connected.data.text("client_id").len()), ("connected", 26));
    let id = ada.asked().await;
    let first = stream.next().await;
    assert_eq!(first.change(), (id.clone(), "SUBMITTED".to_owned()));
    assert_eq!((&first.data["agent_id"], &first.data["responder_id"]), (&json!("ada"), &json!("dora")));
    assert_eq!(
        first.data.keys(),
        ["agent_id", "at", "intent", "request_id", "responder_id", "state", "timeout_at", "urgency"]
    );
    assert_eq!(stream.states(&id, 2).await, BEGIN[1..]);
    org.approve(&id).await.ok();
    ada.request(&id).await.ok();
    assert_eq!(stream.states(&id, 2).await, ["RESPONDED", "DELIVERED"]);
    let other = ada.asked().await;
    ada.cancel(&other).await.ok();
    assert_eq!(stream.states(&other, 4).await, [BEGIN[0], BEGIN[1], BEGIN[2], "CANCELLED"]);
    let timeout = json!({"timeout_seconds": 1, "fallback": "ESCALATE", "escalation_responder_id": "emil"});
    let third = ada.ask(question_with("dora", json!({"timeout_policy": timeout}))).await.status(201).text("request_id");
    assert_eq!(stream.states(&third, 3).await, BEGIN);
    assert_eq!(stream.states(&third, 4).await, ["ESCALATED", "ROUTING", "PENDING_RESPONSE", "TIMED_OUT"]);
    stream.is_silent().await;
}

async fn each_gets_what_it_may_see_and_asked_for(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut silent = [
        bob.listen("").await,
        other.listen("").await,
        ada.listen("?agent_id=bob").await,
        ada.listen("?responder_id=emil").await,
        org.listen("?agent_id=ada&responder_id=emil").await,
    ];
    let mut told = [
        ada.listen("").await,
        org.listen("").await,
        org.listen("?agent_id=ada").await,
        org.listen("?responder_id=DORA").await,
    ];
    let id = ada.asked().await;
    for stream in &mut told {
        assert_eq!(stream.states(&id, 3).await, BEGIN);
    }
    for stream in &mut silent {
        stream.is_silent().await;
    }
    let mut emil = org.listen("?responder_id=emil").await;
    org.post(format!("/v1/requests/{id}/reassign"), json!({"responder_id": "emil"})).await.ok();
    let [_, _, _, dora] = &mut told;
    let (lost, got) = (dora.next().await, emil.next().await);
    assert_eq!((lost.change(), lost.data.text("responder_id")), (got.change(), "emil".to_owned()), "both hear of it");
    org.approve(&id).await.ok();
    assert_eq!(emil.states(&id, 1).await, ["RESPONDED"]);
    dora.is_silent().await;
}

async fn a_client_goes_on_where_it_was(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut stream = ada.stream("").await;
    let greeting = stream.next().await;
    let one = ada.asked().await;
    let at = stream.next().await;
    drop(stream);
    let two = ada.asked().await;
    let from = |id: String| {
        let ada = ada.clone();
        async move {
            let response = ada.get("/v1/events").header("last-event-id", &id).open().await;
            assert_eq!(response.status(), 200);
            drop(response);
            ada.listen(&format!("?last_event_id={id}")).await
        }
    };
    let mut again = from(at.id.clone()).await;
    assert_eq!(again.states(&one, 2).await, BEGIN[1..]);
    assert_eq!(again.states(&two, 3).await, BEGIN);
    again.is_silent().await;
    let mut whole = from(greeting.id).await;
    assert_eq!(whole.states(&one, 3).await, BEGIN);
    for unknown in ["x", "0123456789ab-1", "999"] {
        let mut stream = from(unknown.to_owned()).await;
        let gap = stream.next().await;
        assert_eq!((gap.kind.as_str(), &gap.data["reason"]), ("gap", &json!("unknown")), "{unknown}");
        assert_ne!(gap.id, "", "from here on it goes on");
        stream.is_silent().await;
    }
}

fn short(config: &mut Config) {
    config.resume.log_events = 10;
}

async fn a_client_that_missed_too_much_hears_of_it(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut stream = ada.stream("").await;
    let at = stream.next().await.id;
    for _ in 0..4 {
        ada.asked().await;
    }
    let mut again = ada.listen(&format!("?last_event_id={at}")).await;
    let gap = again.next().await;
    assert_eq!((gap.kind.as_str(), &gap.data["reason"]), ("gap", &json!("old")));
    let id = ada.asked().await;
    assert_eq!(again.states(&id, 3).await, BEGIN);
}

async fn tickets_open_one_stream(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let ticket = ada.stream_ticket().await;
    let mut stream = hub.anonymous().listen(&format!("?ticket={ticket}")).await;
    let id = ada.asked().await;
    assert_eq!(stream.states(&id, 3).await, BEGIN);
    hub.anonymous().get(format!("/v1/events?ticket={ticket}")).await.refused(401, "INVALID_TICKET");
    let later = ada.stream_ticket().await;
    ada.post("/api/me/rotate-token", json!({})).await.ok();
    hub.anonymous().get(format!("/v1/events?ticket={later}")).await.refused(401, "INVALID_TOKEN");
    stream.ends().await;
    let socket = hub.anonymous().get(format!("/ws?ticket={}", org.stream_ticket().await)).await;
    assert_ne!(socket.status, 101, "it opens nothing else");
}

async fn streams_end_with_their_credential(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let key = ada.post("/api/me/tokens", json!({"scopes": ["full"]})).await.ok();
    let (scoped, human) = (ada.by(Caller::bearer(&hub, &key.text("token"))), ada.human("Ann").await);
    let (mut of_key, mut own, mut of_human) = (scoped.listen("").await, ada.listen("").await, human.listen("").await);
    ada.delete(format!("/api/me/tokens/{}", key.id())).await.ok();
    of_key.ends().await;
    let id = ada.asked().await;
    assert_eq!(own.states(&id, 3).await, BEGIN, "others go on");
    human.post("/api/auth/logout", json!({})).await.ok();
    of_human.ends().await;
    let mut of_bob = bob.listen("").await;
    bob.delete("/api/me").await.ok();
    of_bob.ends().await;
    let mut of_admin = org.listen("").await;
    hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    own.ends().await;
    of_admin.ends().await;
    let brief = json!({"scopes": ["full"], "expires_in": 1500});
    hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "active"})).await.ok();
    let key = ada.post("/api/me/tokens", brief).await.ok();
    let mut of_brief = Caller::bearer(&hub, &key.text("token")).listen("").await;
    of_brief.ends().await;
}

fn few(config: &mut Config) {
    config.coordination.streams_per_member = 2;
    config.coordination.streams_per_org = 3;
}

async fn streams_are_counted_and_bounded(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let clients = || async { hub.anonymous().get("/health").await.ok()["sse_clients"].clone() };
    let ada_streams = [ada.listen("").await, ada.listen("").await];
    let refused = ada.get("/v1/events").await;
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.refused(429, "RATE_LIMITED")["scope"], "principal");
    let _bobs = bob.listen("").await;
    assert_eq!(bob.get("/v1/events").await.refused(429, "RATE_LIMITED")["scope"], "organisation");
    assert_eq!(clients().await, 3);
    let head = ada.call("HEAD", "/v1/events").await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    drop(ada_streams);
    eventually(clients, |clients| *clients == 1).await;
    ada.listen("").await;
    let health = hub.anonymous().get("/health").await.ok();
    assert!(health.text("timestamp").ends_with('Z'), "{health}");
}

async fn a_stopping_hub_ends_its_streams(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut stream = ada.listen("").await;
    // The hub stops when the test is over; until then the stream stays open. That it stops at all is what is tested: the
    // harness fails when it does not.
    tokio::spawn(async move { stream.ends().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A peer that opens a stream and reads nothing.
async fn a_client_that_does_not_read_is_cut_and_hears_of_the_gap(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut peer = socket.connect(hub.address().parse().unwrap()).await.unwrap();
    let head = format!("GET /v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\r\n", ada.secret());
    peer.write_all(head.as_bytes()).await.unwrap();
    let mut other = ada.listen("").await;
    let reader = tokio::spawn(async move {
        let mut count = 0;
        while count < 3000 {
            other.next().await;
            count += 1;
        }
    });
    for _ in 0..1000 {
        ada.asked().await;
    }
    tokio::time::timeout(Duration::from_secs(30), reader).await.expect("whoever reads gets everything").unwrap();
    let mut received = Vec::new();
    let read = tokio::time::timeout(DEADLINE, peer.read_to_end(&mut received)).await;
    assert!(read.is_ok(), "it was cut: {} bytes came", received.len());
    let events = String::from_utf8_lossy(&received).matches("event: state_change").count();
    assert!((1..3000).contains(&events), "{events}");
    let clients = || async { hub.anonymous().get("/health").await.ok()["sse_clients"].clone() };
    eventually(clients, |clients| *clients == 0).await;
}
