//! Lists of requests and of audit events: filters, order, pages.

use std::slice;

use crate::harness::*;

on_both_databases! {
    filters_are_exact_and_all_must_match,
    pages_reach_every_row,
    the_policy_says_what_may_approve_itself,
}

async fn filters_are_exact_and_all_must_match(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let one = ada
        .ask(question_with("dora", json!({"trace_id": "t1", "urgency": "LOW"})))
        .await
        .status(201)
        .text("request_id");
    let two = ada.ask(question_with("emil", json!({"intent": "REVIEW"}))).await.status(201).text("request_id");
    let three = bob.ask(question_with("Dora", json!({"trace_id": "t1"}))).await.status(201).text("request_id");
    ada.cancel(&two).await.ok();
    let cases: [(&str, &[&String]); 12] = [
        ("", &[&three, &two, &one]),
        ("?agent_id=ada", &[&two, &one]),
        ("?agent_id=Ada", &[]),
        ("?state=PENDING_RESPONSE", &[&three, &one]),
        ("?state=CANCELLED,PENDING_RESPONSE", &[&three, &two, &one]),
        ("?intent=REVIEW", &[&two]),
        ("?urgency=LOW", &[&one]),
        ("?responder_id=dora", &[&three, &one]),
        ("?trace_id=t1&agent_id=ada", &[&one]),
        ("?since=2100-01-01", &[]),
        ("?until=2100-01-01T00:00:00Z&since=0", &[&three, &two, &one]),
        ("?limit=0", &[]),
    ];
    for (query, expected) in cases {
        assert_eq!(org.request_ids(query).await.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    assert_eq!(ada.request_ids("?responder_id=dora").await, slice::from_ref(&one), "an agent sees its own");
    let events = org.request_audit("?event_type=CR_CANCELLED").await.ok();
    assert_eq!((&events["total"], &events["events"][0]["actor"]), (&json!(1), &json!("ada")));
    assert_eq!(events["events"][0]["actor_type"], "AGENT");
    assert_eq!(ada.steps(&one).await, ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE"]);
    assert_eq!(bob.request_audit("").await.ok()["total"], 3, "of its own requests");
}

async fn pages_reach_every_row(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut all = Vec::new();
    for _ in 0..7 {
        all.insert(0, ada.asked().await);
    }
    let (mut read, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = org.requests(&query).await.ok();
        assert_eq!(page["total"], 7);
        read.extend(page["requests"].as_array().unwrap().iter().map(|row| row.text("request_id")));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(read, all);
    assert_eq!(org.request_ids("?limit=2&offset=5").await, all[5..]);
    let first = org.request_audit("?limit=4").await.ok();
    let rest = org.request_audit(&format!("?limit=1000&cursor={}", first.text("next_cursor"))).await.ok();
    let seqs: Vec<i64> = [&first, &rest]
        .iter()
        .flat_map(|page| page["events"].as_array().unwrap())
        .map(|event| event["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}

async fn the_policy_says_what_may_approve_itself(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let auto = |urgency: &str| {
        let timeout = json!({"timeout_seconds": 60, "fallback": "AUTO_APPROVE"});
        question_with("dora", json!({"urgency": urgency, "timeout_policy": timeout}))
    };
    ada.ask(auto("CRITICAL")).await.status(201);
    assert_eq!(ada.get("/v1/policy").await.ok()["auto_approve"]["urgencies"].as_array().unwrap().len(), 4);
    let policy = json!({"auto_approve": {"urgencies": ["LOW"]}});
    ada.call("PUT", "/v1/policy").json(&policy).await.forbidden();
    org.call("PUT", "/v1/policy").json(&json!({"auto_approve": {"urgencies": ["low"]}})).await.invalid();
    org.call("PUT", "/v1/policy").json(&json!({})).await.invalid();
    let set = org.call("PUT", "/v1/policy").json(&policy).await.ok();
    assert_eq!(set["auto_approve"]["urgencies"], json!(["LOW"]));
    assert_eq!(set, ada.get("/v1/policy").await.ok());
    ada.ask(auto("CRITICAL")).await.forbidden();
    ada.ask(auto("LOW")).await.status(201);
    ada.ask(question("dora")).await.status(201);
}
