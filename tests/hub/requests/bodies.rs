//! Bodies and queries that make no sense: a refusal that tells where, never a 500.

use crate::harness::*;

on_both_databases! {
    faults_are_told_with_their_paths,
    bodies_of_all_kinds,
    queries_of_all_kinds,
    answers_must_be_what_was_asked_for,
}

async fn faults_are_told_with_their_paths(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let refused = ada.ask(json!({"intent": "approval", "context_package": {"detail": 1}})).await.invalid();
    assert_eq!(refused["error"], "Validation error");
    assert_eq!(refused["details"]["formErrors"], json!([]));
    let fields = refused["details"]["fieldErrors"].as_object().unwrap();
    let mut named: Vec<&str> = fields.keys().map(String::as_str).collect();
    named.sort_unstable();
    assert_eq!(named, ["context_package", "intent", "routing_hints", "timeout_policy", "urgency"]);
    let paths: Vec<String> = refused["faults"].as_array().unwrap().iter().map(|fault| fault.text("path")).collect();
    for path in ["intent", "context_package.summary", "context_package.detail"] {
        assert!(paths.contains(&path.to_owned()), "{path}: {refused}");
    }
    let needed = [
        (
            json!({"timeout_policy": {"timeout_seconds": 1, "fallback": "ESCALATE"}}),
            "timeout_policy.escalation_responder_id",
        ),
        (json!({"routing_hints": {"responder_id": "dora", "channel": "slack"}}), "routing_hints.slack_channel_id"),
    ];
    for (fields, path) in needed {
        let refused = ada.ask(question_with("dora", fields)).await.invalid();
        assert_eq!(refused["faults"][0]["path"], path, "{refused}");
    }
}

async fn bodies_of_all_kinds(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let text = question("dora").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let refused = ada.call("POST", "/v1/requests").raw(kind, text.clone()).await.invalid();
        assert_eq!(refused["error"], "Validation error", "{kind}");
        assert_eq!(refused["details"]["formErrors"].as_array().unwrap().len(), 1, "{kind}");
    }
    ada.call("POST", "/v1/requests").raw("application/json; charset=utf-8", text).await.status(201);
    for body in ["{", "[]", "7", "null", "\"x\"", "{\"a\": \"\\ud800\"}"] {
        let refused = ada.call("POST", "/v1/requests").raw("application/json", body).await.invalid();
        assert_eq!(refused["error"], "Validation error", "{body}");
    }
    ada.call("POST", "/v1/requests").await.invalid();
    ada.ask(json!({"x": "y".repeat(10 << 20)})).await.refused(413, "PAYLOAD_TOO_LARGE");
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let body = question("dora").to_string().replace("\"Deploy?\"", &format!("\"s\",\"metadata\":{deep}"));
    ada.call("POST", "/v1/requests").raw("application/json", body).await.invalid();
    let nested = (0..100).fold(json!(1), |inner, _| json!({"a": inner}));
    let odd = [
        json!({"timeout_policy": {"timeout_seconds": 1e308, "fallback": "BLOCK"}}),
        json!({"timeout_policy": {"timeout_seconds": 9_007_199_254_740_993_u64, "fallback": "BLOCK"}}),
        json!({"timeout_policy": {"timeout_seconds": 31_536_001, "fallback": "BLOCK"}}),
        json!({"timeout_policy": {"timeout_seconds": 1.5, "fallback": "BLOCK"}}),
        json!({"timeout_policy": {"timeout_seconds": 0, "fallback": "BLOCK"}}),
        json!({"context_package": {"summary": ""}}),
        json!({"context_package": {"summary": "a\u{0}b"}}),
        json!({"context_package": {"summary": "s", "metadata": {"k": "a\u{0}b"}}}),
        json!({"context_package": {"summary": "s", "metadata": []}}),
        json!({"context_package": {"summary": "s", "metadata": nested}}),
        json!({"routing_hints": {"responder_id": ""}}),
        json!({"trace_id": null}),
        json!({"response_schema": {"type": "choice"}}),
        json!({"response_schema": {"type": "structured", "json_schema": {"type": "nothing"}}}),
    ];
    for fields in odd {
        ada.ask(question_with("dora", fields.clone())).await.refused(400, "VALIDATION_ERROR");
    }
    ada.ask(question_with("dora", json!({"": 1, "unknown": {"a": []}}))).await.status(201);
}

async fn queries_of_all_kinds(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    ada.asked().await;
    let values = ["", "-1", "1.9", "1e309", "9223372036854775808", "NaN", "%00", "%ff", "'", "x".repeat(5000).as_str()]
        .map(str::to_owned);
    let lists = [
        (
            "/v1/requests",
            vec![
                "agent_id",
                "state",
                "intent",
                "urgency",
                "responder_id",
                "trace_id",
                "since",
                "until",
                "limit",
                "offset",
                "cursor",
            ],
        ),
        ("/v1/audit", vec!["request_id", "event_type", "actor", "since", "until", "limit", "offset", "cursor"]),
    ];
    for (path, keys) in lists {
        for key in keys {
            for value in &values {
                let reply = ada.get(format!("{path}?{key}={value}")).await;
                assert!([200, 400].contains(&reply.status), "{path}?{key}={value}: {}", reply.text);
            }
            let twice = ada.get(format!("{path}?{key}=1&{key}=2")).await;
            assert_eq!(twice.status, 400, "{path}?{key}: {}", twice.text);
        }
        for limit in ["-1", "1.9", "x"] {
            ada.get(format!("{path}?limit={limit}")).await.invalid();
        }
        ada.get(format!("{path}?limit=999999999999999999999")).await.ok();
    }
    let refused = ada.requests("?state=pending").await.invalid();
    assert!(refused["faults"][0].text("message").contains("PENDING_RESPONSE"), "{refused}");
    ada.get("/v1/events?agent_id=a&agent_id=b").await.invalid();
}

async fn answers_must_be_what_was_asked_for(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "required": ["n"]});
    let options = json!([{"key": "a", "label": "A"}, {"key": "b", "label": "B"}]);
    let cases = [
        (
            json!({}),
            vec![json!({}), json!({"decision": "maybe"}), json!({"decision": "approved", "edited": {}})],
            json!({"decision": "rejected"}),
        ),
        (
            json!({"intent": "DECISION", "response_schema": {"type": "choice", "options": options}}),
            vec![json!({"choice": "c"}), json!({"choice": ["a", "b"]})],
            json!({"choice": "b"}),
        ),
        (
            json!({"intent": "INPUT", "response_schema": {"type": "structured", "json_schema": schema}}),
            vec![json!({}), json!({"n": 6}), json!({"n": "1"})],
            json!({"n": 5}),
        ),
        (json!({"intent": "NOTIFICATION"}), vec![json!({"text": 1, "x": 2})], json!({"acknowledged": true})),
    ];
    for (fields, bad, good) in cases {
        let id = ada.ask(question_with("dora", fields)).await.status(201).text("request_id");
        for data in bad {
            let refused = org.respond(&id, data.clone()).await.invalid();
            assert!(refused["faults"][0].text("path").starts_with("response_data"), "{data}: {refused}");
        }
        for body in
            [json!({}), json!({"response_data": null}), json!({"response_data": []}), json!({"response_data": "x"})]
        {
            org.post(format!("/v1/requests/{id}/respond"), body).await.invalid();
        }
        org.respond(&id, good.clone()).await.ok();
        assert_eq!(ada.request(&id).await.ok()["response_data"], good);
    }
}
