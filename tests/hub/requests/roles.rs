//! What people may do with requests, by their roles.

use crate::harness::*;

on_both_databases! {
    a_responder_answers_what_is_addressed_to_them,
    coordinators_act_on_all_and_auditors_on_none,
    a_request_is_reassigned_and_delegated,
    a_name_that_nobody_has_waits_for_its_person,
    a_quorum_decides_as_soon_as_it_can,
}

const APPROVED: &str = "approved";
const REJECTED: &str = "rejected";

fn decision(decision: &str) -> Value {
    json!({ "decision": decision })
}

fn of_three(need: u32) -> Value {
    question_with(
        "dora",
        json!({"routing_hints": {
            "responder_id": "dora", "quorum": {"of": ["dora", "emil", "finn"], "need": need},
        }}),
    )
}

async fn a_responder_answers_what_is_addressed_to_them(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let (dora, emil) = (org.person("dora", "responder").await, org.person("emil", "responder").await);
    let id = ada.asked().await;
    assert_eq!(dora.request_ids("").await, std::slice::from_ref(&id));
    assert_eq!(dora.request(&id).await.ok()["state"], "PENDING_RESPONSE");
    assert_eq!(emil.request_ids("").await, [""; 0]);
    for call in [emil.request(&id), emil.approve(&id), emil.cancel(&id)] {
        call.await.missing();
    }
    dora.cancel(&id).await.forbidden();
    dora.post(format!("/v1/requests/{id}/reassign"), json!({"responder_id": "emil"})).await.forbidden();
    dora.ask(question("dora")).await.forbidden();
    // Whatever the body says, the answer is theirs who gave it.
    let body = json!({"response_data": decision(APPROVED), "responded_by": "emil"});
    dora.post(format!("/v1/requests/{id}/respond"), body).await.ok();
    let read = dora.request(&id).await.ok();
    assert_eq!(
        (&read["state"], &read["responded_by"]),
        (&json!("RESPONDED"), &json!("dora")),
        "a look delivers nothing"
    );
    assert_eq!(dora.approve(&id).await.refused(409, "INVALID_TRANSITION")["state"], "RESPONDED");
    let answered = dora.request_ids("?state=RESPONDED").await;
    assert_eq!(answered, std::slice::from_ref(&id), "what was answered stays in sight");
    assert_eq!(ada.request(&id).await.ok()["state"], "DELIVERED");
    // Names of people are one in any case of letters.
    let id = ada.ask(question("DORA")).await.status(201).text("request_id");
    dora.approve(&id).await.ok();
}

async fn coordinators_act_on_all_and_auditors_on_none(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ada = org.bot("ada").await;
    let carl = org.person("carl", "coordinator").await;
    let (gail, vera) = (org.person("gail", "auditor").await, org.person("vera", "viewer").await);
    let stranger = other.person("carl", "coordinator").await;
    let [first, second] = [ada.asked().await, ada.asked().await];
    for reader in [&carl, &gail] {
        assert_eq!(reader.request_ids("").await.len(), 2);
        assert_eq!(reader.request(&first).await.ok()["responder_id"], "dora");
        assert_eq!(reader.steps(&first).await, ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE"]);
    }
    gail.approve(&first).await.forbidden();
    gail.cancel(&first).await.forbidden();
    for blind in [&vera, &stranger] {
        assert_eq!(blind.request_ids("").await, [""; 0]);
        for call in [blind.request(&first), blind.approve(&first), blind.cancel(&first)] {
            call.await.missing();
        }
        assert_eq!(blind.steps(&first).await, [""; 0]);
    }
    carl.approve(&first).await.ok();
    carl.cancel(&second).await.ok();
    let answered = ada.request(&first).await.ok();
    assert_eq!((&answered["state"], &answered["responded_by"]), (&json!("DELIVERED"), &json!("carl")));
    let last = carl.request_audit(&format!("?request_id={second}")).await.ok();
    let last = last["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["event_type"], &last["actor"], &last["actor_type"]),
        (&json!("CR_CANCELLED"), &json!("carl"), &json!("HUMAN"))
    );
}

async fn a_request_is_reassigned_and_delegated(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let carl = org.person("carl", "coordinator").await;
    let (dora, emil) = (org.person("dora", "responder").await, org.person("emil", "responder").await);
    let reassign = |by: &Caller, id: &str, to: Value| {
        by.post(format!("/v1/requests/{id}/reassign"), json!({ "responder_id": to }))
    };
    let delegate = |by: &Caller, id: &str, until: Value| {
        by.post(format!("/v1/requests/{id}/delegate"), json!({"responder_id": "emil", "until": until}))
    };
    let id = ada.asked().await;
    for bad in [json!(""), json!(7), Value::Null] {
        reassign(&carl, &id, bad).await.invalid();
    }
    assert_eq!(reassign(&carl, &id, json!("emil")).await.ok()["responder_id"], "emil");
    dora.approve(&id).await.missing();
    assert_eq!(dora.request_ids("").await, [""; 0]);
    emil.approve(&id).await.ok();
    reassign(&carl, &id, json!("dora")).await.refused(409, "INVALID_TRANSITION");
    assert!(ada.steps(&id).await.contains(&"CR_REASSIGNED".to_owned()));

    let id = ada.asked().await;
    for bad in [json!("soon"), json!(1), json!("2020-01-01T00:00:00Z"), Value::Null] {
        delegate(&dora, &id, bad).await.invalid();
    }
    emil.request(&id).await.missing();
    delegate(&emil, &id, json!(now_ms() + 60_000)).await.missing();
    let given = delegate(&dora, &id, json!(now_ms() + 60_000)).await.ok();
    assert_eq!((&given["responder_id"], &given["delegated_to"]), (&json!("dora"), &json!("emil")));
    for either in [&dora, &emil] {
        assert_eq!(either.request_ids("?state=PENDING_RESPONSE").await, std::slice::from_ref(&id));
    }
    emil.respond(&id, decision(REJECTED)).await.ok();
    assert_eq!(dora.request(&id).await.ok()["responded_by"], "emil");
    assert!(ada.steps(&id).await.contains(&"CR_DELEGATED".to_owned()));

    // Only for a time.
    let id = ada.asked().await;
    delegate(&dora, &id, json!(now_ms() + 300)).await.ok();
    let sees = async || emil.request_ids("?state=PENDING_RESPONSE").await;
    eventually(sees, |seen| seen.is_empty()).await;
    emil.approve(&id).await.missing();
    dora.approve(&id).await.ok();
}

async fn a_name_that_nobody_has_waits_for_its_person(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let carl = org.person("carl", "coordinator").await;
    let id = ada.ask(question("zoe")).await.status(201).text("request_id");
    assert_eq!(carl.request_ids("?responder_id=zoe").await, std::slice::from_ref(&id));
    let zoe = org.person("Zoe", "responder").await;
    assert_eq!(zoe.request_ids("").await, std::slice::from_ref(&id), "handed over");
    zoe.approve(&id).await.ok();
    assert_eq!(ada.request(&id).await.ok()["responded_by"], "Zoe");
}

async fn a_quorum_decides_as_soon_as_it_can(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut three = Vec::new();
    for handle in ["dora", "emil", "finn", "gwen"] {
        three.push(org.person(handle, "responder").await);
    }
    let ask = async |need| ada.ask(of_three(need)).await.status(201).text("request_id");
    let state = async |id: &str| org.request(id).await.ok().text("state");

    let id = ask(2).await;
    three[3].approve(&id).await.missing();
    three[0].approve(&id).await.ok();
    assert_eq!(state(&id).await, "PENDING_RESPONSE");
    three[0].approve(&id).await.refused(409, "INVALID_TRANSITION");
    three[1].respond(&id, decision(REJECTED)).await.ok();
    assert_eq!(state(&id).await, "PENDING_RESPONSE");
    three[2].approve(&id).await.ok();
    let decided = ada.request(&id).await.ok();
    assert_eq!((&decided["state"], &decided["response_data"]["decision"]), (&json!("DELIVERED"), &json!(APPROVED)));
    assert_eq!(decided["response_data"]["votes"].as_array().unwrap().len(), 3);

    // Two of three are out of reach after the second rejection.
    let id = ask(2).await;
    three[0].respond(&id, decision(REJECTED)).await.ok();
    three[2].respond(&id, decision(REJECTED)).await.ok();
    assert_eq!(org.request(&id).await.ok()["response_data"]["decision"], REJECTED);
    three[1].approve(&id).await.refused(409, "INVALID_TRANSITION");

    for bad in [json!({"of": [], "need": 1}), json!({"of": ["dora"], "need": 2}), json!({"of": ["dora"], "need": 0})] {
        let fields = json!({"routing_hints": {"responder_id": "dora", "quorum": bad}});
        ada.ask(question_with("dora", fields)).await.invalid();
    }
}
