//! Who may do what, what strangers hear, and how wrong keys are slowed down.

use std::slice;

use hxa_connect::hub::config::{Config, OpenPortal};

use crate::harness::*;

on_both_databases! {
    agents_see_and_change_their_own,
    agents_do_not_answer,
    one_key_does_everything_if_it_may_respond,
    strangers_hear_the_original_words,
    wrong_keys_are_slowed_down_and_right_ones_never,
    an_open_portal_answers_in_any_name with open,
}

async fn agents_see_and_change_their_own(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let fay = other.bot("fay").await;
    let id = ada.asked().await;
    let hidden = bob.request(&id).await;
    assert_eq!(hidden["error"], "Not found");
    hidden.missing();
    for stranger in [&*bob, &*fay, &*other] {
        stranger.request(&id).await.missing();
        stranger.cancel(&id).await.missing();
        assert_eq!(stranger.request_ids("").await, [""; 0]);
        assert_eq!(stranger.steps(&id).await, [""; 0]);
    }
    for absent in ["01KBD3T6W8QGNYB5ZKQ3V0M1XE", "x", "%20"] {
        ada.request(absent).await.missing();
        ada.cancel(absent).await.missing();
        org.approve(absent).await.missing();
    }
    assert_eq!(ada.request_ids("").await, slice::from_ref(&id));
    assert_eq!(org.request_ids("").await, [id]);
    hub.super_admin().await.requests("").await.forbidden();
    org.ask(question("dora")).await.forbidden();
}

async fn agents_do_not_answer(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let id = ada.asked().await;
    ada.approve(&id).await.forbidden();
    bob.approve(&id).await.missing();
    ada.scoped(&["read"]).await.request(&id).await.refused(403, "INSUFFICIENT_SCOPE");
    ada.post(format!("/v1/requests/{id}/reassign"), json!({"responder_id": "emil"})).await.forbidden();
    assert_eq!(ada.request(&id).await.ok()["state"], "PENDING_RESPONSE");
    let moved = org.post(format!("/v1/requests/{id}/reassign"), json!({"responder_id": "emil"})).await.ok();
    assert_eq!((&moved["responder_id"], &moved["routing_hints"]["responder_id"]), (&json!("emil"), &json!("dora")));
    org.post(format!("/v1/requests/{id}/reassign"), json!({})).await.invalid();
    assert_eq!(ada.steps(&id).await.last().unwrap(), "CR_REASSIGNED");
    let named = json!({"response_data": {"decision": "approved"}, "responded_by": "mallory"});
    org.post(format!("/v1/requests/{id}/respond"), named).await.ok();
    assert_ne!(ada.request(&id).await.ok()["responded_by"], "mallory", "the credential says who answers");
}

/// The flow of the original README.
async fn one_key_does_everything_if_it_may_respond(hub: TestHub) {
    let org = hub.with_org("a").await;
    let (plain, responding) = (org.key("ada", false).await, org.key("bob", true).await);
    let (own, other) = (responding.asked().await, plain.asked().await);
    plain.approve(&other).await.forbidden();
    plain.approve(&own).await.missing();
    let body = json!({"response_data": {"decision": "approved"}, "responded_by": "ops-lead"});
    responding.approve(&own).await.invalid();
    for name in ["", "system:auto_approve", "slack:dora"] {
        let mut body = body.clone();
        body["responded_by"] = json!(name);
        responding.post(format!("/v1/requests/{own}/respond"), body).await.invalid();
    }
    responding.post(format!("/v1/requests/{own}/respond"), body.clone()).await.ok();
    assert_eq!(responding.request(&own).await.ok()["responded_by"], "ops-lead");
    responding.post(format!("/v1/requests/{other}/respond"), body).await.ok();
    responding.request(&other).await.missing();
    assert_eq!(plain.request(&other).await.ok()["responded_by"], "ops-lead", "any request of the organisation");
    plain.get("/api/me").await.refused(403, "INSUFFICIENT_SCOPE");
    let mut stream = plain.listen("").await;
    let ticket = plain.stream_ticket().await;
    let third = plain.asked().await;
    assert_eq!(stream.next().await.change().0, third);
    hub.anonymous().listen(&format!("?ticket={ticket}")).await;
}

async fn strangers_hear_the_original_words(hub: TestHub) {
    let nobody = hub.anonymous();
    let routes = ["/v1/requests", "/v1/requests/x", "/v1/audit", "/v1/events", "/v1/policy"];
    for path in routes {
        let refused = nobody.get(path).await;
        assert_eq!(refused["error"], "Missing or invalid Authorization header", "{path}");
        refused.refused(401, "AUTH_REQUIRED");
        let refused = nobody.get(path).header("authorization", "Basic abc").await;
        assert_eq!(refused["error"], "Missing or invalid Authorization header", "{path}");
        let refused = Caller::bearer(&hub, "hcp_0000").get(path).await;
        assert_eq!(refused["error"], "Invalid API key", "{path}");
        refused.refused(401, "INVALID_TOKEN");
    }
    nobody.ask(question("dora")).await.refused(401, "AUTH_REQUIRED");
    nobody.get("/v1/events?ticket=x").await.refused(401, "INVALID_TICKET");
}

async fn wrong_keys_are_slowed_down_and_right_ones_never(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut refused = 0;
    for n in 0..300 {
        let reply = Caller::bearer(&hub, &format!("hcp_{n:064x}")).requests("").await;
        assert!([401, 429].contains(&reply.status), "{}", reply.text);
        refused += u32::from(reply.status == 429);
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some());
        }
    }
    assert!(refused > 100, "{refused}");
    for n in 0..3 {
        assert_eq!(Caller::bearer(&hub, &format!("nothing {n}")).requests("").await.status, 429, "of whatever form");
        assert_eq!(hub.anonymous().get(format!("/v1/events?ticket={n}")).await.status, 429);
    }
    assert_eq!(ada.request_ids("").await, [""; 0], "a key that is known");
    let bob = org.bot("bob").await;
    assert_eq!(bob.scoped(&["full"]).await.request_ids("").await, [""; 0], "one that was never seen");
}

fn open(config: &mut Config) {
    config.coordination.open_portal = OpenPortal::OnThisMachine;
}

async fn an_open_portal_answers_in_any_name(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let nobody = hub.anonymous();
    let mut stream = nobody.listen("?responder_id=dora").await;
    let id = ada.asked().await;
    assert_eq!(stream.states(&id, 3).await, ["SUBMITTED", "ROUTING", "PENDING_RESPONSE"]);
    assert_eq!(nobody.request_ids("?responder_id=dora&state=PENDING_RESPONSE").await, slice::from_ref(&id));
    nobody.respond(&id, json!({"decision": "approved"})).await.invalid();
    let body = json!({"response_data": {"decision": "approved"}, "responded_by": "dora"});
    nobody.post(format!("/v1/requests/{id}/respond"), body.clone()).header("host", "evil.example").await.forbidden();
    nobody.post(format!("/v1/requests/{id}/respond"), body).await.ok();
    assert_eq!(ada.request(&id).await.ok()["responded_by"], "dora");
    nobody.ask(question("dora")).await.forbidden();
    nobody.call("POST", "/v1/events/ticket").await.forbidden();
    let refused = Caller::bearer(&hub, "hcp_0000").requests("").await;
    refused.refused(401, "INVALID_TOKEN");
}
