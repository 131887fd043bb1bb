//! Versioned artifacts of a thread: adding, new versions, lists and the lenient reading of JSON.

use crate::harness::*;

on_both_databases! {
    add_and_list,
    new_versions,
    inherited_fields,
    refuses_bad_fields,
    key_rules,
    lenient_json,
    downgraded_json_is_tried_again,
    parallel_updates_number_without_gaps,
    parallel_adds_have_one_winner,
}

async fn add_and_list(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let full = json!({
        "artifact_key": "plan.md", "type": "markdown", "title": "Plan", "content": "# Plan", "language": "en",
        "url": "https://e.com", "mime_type": "text/markdown",
    });
    let artifact = ada.artifact_add(&thread, full).await.ok();
    insta::assert_json_snapshot!("artifact", shape(&artifact));
    assert_eq!(artifact["contributor_id"], ada.id.as_str());
    let bare = bob.artifact_add(&thread, json!({"artifact_key": "bare"})).await.ok();
    insta::assert_json_snapshot!("artifact_bare", shape(&bare));
    assert_eq!(ada.artifacts(&thread).await.ok(), json!([artifact, bare]));
    ada.artifact_add(&thread, json!({"artifact_key": "bare"})).await.refused(409, "CONFLICT");
    let read = ada.thread_get(&thread).await.ok();
    assert_eq!((&read["revision"], &read["last_activity_at"]), (&json!(1), &bare["created_at"]));
    let audit = org.audit("artifact.add").await;
    assert_eq!(audit[1]["target_id"], artifact["id"]);
    insta::assert_json_snapshot!("artifact_audit", shape(&audit[1]));
    let missed: Vec<_> = bob.missed().await.into_iter().filter(|e| e["type"] == "thread_artifact_added").collect();
    insta::assert_json_snapshot!("catchup_artifact", shape(&json!(missed)), { "[].count" => "[count]" });
}

async fn new_versions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    for key in ["a", "b"] {
        ada.artifact_add(&thread, json!({"artifact_key": key, "content": "1"})).await.ok();
    }
    let second = bob.artifact_update(&thread, "a", json!({"content": "2"})).await.ok();
    assert_eq!((&second["version"], &second["contributor_id"]), (&json!(2), &json!(bob.id)));
    let listed = ada.artifacts(&thread).await.ok();
    assert_eq!((listed.all("artifact_key"), listed.all("content")), (vec!["b", "a"], vec!["1", "2"]), "updated last");
    let versions = ada.versions(&thread, "a").await.ok();
    assert_eq!((versions.all("content"), &versions[1]), (vec!["1", "2"], &second));
    assert_ne!(versions[0]["id"], versions[1]["id"]);
    assert_eq!(ada.versions(&thread, "unknown").await.ok(), json!([]));
    ada.versions(&thread, "bad%20key").await.invalid();
    ada.artifact_update(&thread, "unknown", json!({"content": "c"})).await.missing();
    assert_eq!(org.audit("artifact.update").await[0]["detail"]["version"], 2);
}

async fn inherited_fields(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let add = json!({"artifact_key": "k", "type": "code", "title": "T", "language": "rust", "url": "u", "mime_type": "m", "content": "1"});
    ada.artifact_add(&thread, add).await.ok();
    let ignored = json!({"content": "", "type": "text", "language": "c", "url": "v", "mime_type": "n"});
    let second = ada.artifact_update(&thread, "k", ignored).await.ok();
    let fields = ["type", "title", "language", "url", "mime_type", "content"].map(|key| second[key].clone());
    assert_eq!(fields, [json!("code"), json!("T"), json!("rust"), json!("u"), json!("m"), json!("")]);
    assert_eq!(ada.artifact_update(&thread, "k", json!({"content": "3", "title": "U"})).await["title"], "U");
    assert_eq!(ada.artifact_update(&thread, "k", json!({"content": "4", "title": null})).await["title"], json!(null));
}

async fn refuses_bad_fields(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let mut bad = vec![json!({}), json!({"artifact_key": null}), json!({"artifact_key": 7})];
    bad.extend([json!("video"), json!("TEXT"), json!("")].map(|kind| json!({"artifact_key": "k", "type": kind})));
    for field in ["title", "content", "language", "url", "mime_type"] {
        bad.extend([json!(7), json!([]), json!({})].map(|value| json!({"artifact_key": "k", field: value})));
    }
    bad.push(json!({"artifact_key": "k", "content": "nul\u{0}"}));
    for body in bad {
        ada.artifact_add(&thread, body).await.invalid();
    }
    assert_eq!(ada.artifact_add(&thread, json!({"artifact_key": "k", "type": 7})).await["type"], "text");
    for body in [json!({}), json!({"content": null}), json!({"content": 7}), json!({"content": "c", "title": 7})] {
        ada.artifact_update(&thread, "k", body).await.invalid();
    }
    ada.artifact_update(&thread, "bad%20key", json!({"content": "c"})).await.invalid();
    assert_eq!(ada.versions(&thread, "k").await.list().len(), 1);
}

async fn key_rules(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    for good in ["a", "A-z_0.9~", &"k".repeat(128)] {
        ada.artifact_add(&thread, json!({"artifact_key": good})).await.ok();
        ada.artifact_update(&thread, good, json!({"content": "c"})).await.ok();
    }
    for bad in ["", "a b", "a/b", "ä", "a\n", "a?", "🎉", "a%20b"] {
        ada.artifact_add(&thread, json!({"artifact_key": bad})).await.invalid();
    }
}

async fn lenient_json(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let kept = ["{\"a\":1}", "[1, 2]", "7", "null", "\"text\"", " {\n\"a\" : 1 } "];
    let repaired = [
        ("{\"a\":1,}", json!({"a": 1})),
        ("[1,2, ]", json!([1, 2])),
        ("{'a': 'b'}", json!({"a": "b"})),
        ("{'a': ['b', 'c',],}", json!({"a": ["b", "c"]})),
        ("{'say': '\"hi\"'}", json!({"say": "\"hi\""})),
    ];
    let hopeless = ["", "{a: 1}", "// no\n{}", "NaN", "{\"a\":", "plain text"];
    let add = |n: usize, content: &str| {
        let call =
            ada.artifact_add(&thread, json!({"artifact_key": format!("k{n}"), "type": "json", "content": content}));
        async move { call.await.ok() }
    };
    for (n, content) in kept.into_iter().enumerate() {
        let artifact = add(n, content).await;
        let got = (&artifact["type"], &artifact["content"], &artifact["format_warning"]);
        assert_eq!(got, (&json!("json"), &json!(content), &json!(false)), "row {n}: {content}");
    }
    for (n, (content, meaning)) in repaired.into_iter().enumerate() {
        let artifact = add(100 + n, content).await;
        assert_eq!((&artifact["type"], &artifact["format_warning"]), (&json!("json"), &json!(false)), "{content}");
        assert_eq!(serde_json::from_str::<Value>(&artifact.text("content")).unwrap(), meaning, "row {n}: {content}");
    }
    for (n, content) in hopeless.into_iter().enumerate() {
        let artifact = add(200 + n, content).await;
        let got = (&artifact["type"], &artifact["content"], &artifact["format_warning"]);
        assert_eq!(got, (&json!("text"), &json!(content), &json!(true)), "row {n}: {content}");
    }
    let strings = add(300, "{\"a\": \"x, }\", 'b': 'it, ]',}").await;
    let meaning: Value = serde_json::from_str(&strings.text("content")).unwrap();
    assert_eq!(meaning, json!({"a": "x, }", "b": "it, ]"}), "a repair never changes what strings say");
    let none = ada.artifact_add(&thread, json!({"artifact_key": "none", "type": "json"})).await.ok();
    assert_eq!(
        (&none["type"], &none["content"], &none["format_warning"]),
        (&json!("json"), &json!(null), &json!(false))
    );
}

async fn downgraded_json_is_tried_again(hub: TestHub) {
    let [ada] = hub.with_org("a").await.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    ada.artifact_add(&thread, json!({"artifact_key": "k", "type": "json", "content": "broken"})).await.ok();
    let fixed = ada.artifact_update(&thread, "k", json!({"content": "{\"a\":1,}"})).await.ok();
    assert_eq!((&fixed["type"], &fixed["format_warning"]), (&json!("json"), &json!(false)));
    let broken = ada.artifact_update(&thread, "k", json!({"content": "{"})).await.ok();
    assert_eq!(
        (&broken["type"], &broken["content"], &broken["format_warning"]),
        (&json!("text"), &json!("{"), &json!(true))
    );
    assert_eq!(ada.artifact_update(&thread, "k", json!({"content": "[]"})).await["type"], "json");
}

/// Parallel updates used to collide on the version number and fail with the database's own words.
async fn parallel_updates_number_without_gaps(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
    let updates = (0..30).map(|n| {
        let call = [&ada, &bob][n % 2].artifact_update(&thread, "k", json!({"content": n.to_string()}));
        async move { call.await.ok().int("version") }
    });
    let mut versions = futures_util::future::join_all(updates).await;
    versions.sort_unstable();
    assert_eq!(versions, (2..=31).collect::<Vec<i64>>());
    let listed: Vec<i64> = ada.versions(&thread, "k").await.list().iter().map(|v| v.int("version")).collect();
    assert_eq!(listed, (1..=31).collect::<Vec<i64>>());
}

async fn parallel_adds_have_one_winner(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let adds = (0..10).map(|n| {
        let call = [&ada, &bob][n % 2].artifact_add(&thread, json!({"artifact_key": "k"}));
        async move { call.await.status }
    });
    let mut statuses = futures_util::future::join_all(adds).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![409; 9]].concat());
}
