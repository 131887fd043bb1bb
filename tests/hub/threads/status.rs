//! The status machine of threads and the permission policy that guards it.

use crate::harness::*;

on_both_databases! {
    status_machine,
    status_fields,
    terminal_threads_only_reopen,
    policy_by_initiator_and_label,
    policy_falls_back_to_the_organisation,
    manage_is_for_the_initiator_by_default,
    concurrent_transitions_have_one_winner,
}

const STATES: [&str; 5] = ["active", "blocked", "reviewing", "resolved", "closed"];

/// The whole transition table of the protocol.
fn may_go(from: &str, to: &str) -> bool {
    match from {
        "active" => to != "active",
        "blocked" | "resolved" | "closed" => to == "active",
        _ => ["active", "resolved", "closed"].contains(&to),
    }
}

async fn status_machine(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada] = org.bots(["ada"]).await;
    org.settings(json!({"threads_per_hour_per_bot": 1000})).await.ok();
    for from in STATES {
        for to in STATES {
            let thread = ada.thread("t", &[]).await;
            if from != "active" {
                ada.status(&thread, from).await.ok();
            }
            let before = ada.thread_get(&thread).await.ok();
            let reply = ada.status(&thread, to).await;
            if may_go(from, to) {
                let after = reply.ok();
                assert_eq!(
                    (&after["status"], after.int("revision")),
                    (&json!(to), before.int("revision") + 1),
                    "{from} -> {to}"
                );
                assert_eq!(after["resolved_at"].is_i64(), to == "resolved", "{from} -> {to}");
                assert_eq!(after["close_reason"].is_string(), to == "closed", "{from} -> {to}");
            } else {
                reply.refused(400, "INVALID_TRANSITION");
                assert_eq!(ada.thread_get(&thread).await.ok(), before, "{from} -> {to} changed something");
            }
        }
    }
}

async fn status_fields(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let resolved = bob.status(&thread, "resolved").await.ok();
    assert_eq!((&resolved["resolved_at"], &resolved["close_reason"]), (&resolved["updated_at"], &json!(null)));
    assert_eq!(resolved["last_activity_at"], thread["last_activity_at"], "a change is no activity");
    let active = ada.thread_patch(&thread, json!({"status": "active", "topic": " again "})).await.ok();
    assert_eq!((&active["resolved_at"], &active["topic"]), (&json!(null), &json!("again")));
    for reason in ["manual", "timeout", "error"] {
        let closed = ada.thread_patch(&thread, json!({"status": "closed", "close_reason": reason})).await.ok();
        assert_eq!((&closed["close_reason"], &closed["resolved_at"]), (&json!(reason), &json!(null)), "{reason}");
        assert_eq!(ada.status(&thread, "active").await["close_reason"], json!(null), "{reason}");
    }
    let audit = org.audit("thread.status_changed").await;
    assert_eq!(audit.len(), 8);
    insta::assert_json_snapshot!("status_audit", shape(&audit[1]));
    for bot in [&ada, &bob] {
        let events: Vec<_> = bot.missed().await.into_iter().filter(|e| e["type"] == "thread_status_changed").collect();
        assert_eq!(events.len(), 8, "everybody is told, the actor too");
        insta::assert_json_snapshot!("catchup_status", shape(&events[0]));
        assert_eq!(events[0]["by"], bob.id.as_str());
    }
}

async fn terminal_threads_only_reopen(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for status in ["resolved", "closed"] {
        let thread = ada.thread("t", &[&bob]).await;
        ada.artifact_add(&thread, json!({"artifact_key": "k"})).await.ok();
        ada.status(&thread, status).await.ok();
        let refused = [
            ada.say(&thread, "c").await,
            ada.artifact_add(&thread, json!({"artifact_key": "l"})).await,
            ada.artifact_update(&thread, "k", json!({"content": "c"})).await,
            ada.thread_patch(&thread, json!({"topic": "t"})).await,
            ada.invite(&thread, &bob).await,
            ada.remove(&thread, &bob.id).await,
            bob.leave(&thread).await,
            bob.join(&thread).await,
        ];
        for reply in refused {
            reply.refused(409, "THREAD_CLOSED");
        }
        bob.messages(&thread, "").await.ok();
        bob.artifacts(&thread).await.ok();
        bob.status(&thread, "active").await.ok();
        ada.say(&thread, "open again").await.ok();
    }
}

async fn policy_by_initiator_and_label(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let policy = json!({"resolve": ["lead"], "close": ["initiator"], "invite": ["*"], "remove": [], "write": ["lead", "initiator"]});
    let thread = ada.thread_create(json!({"topic": "t", "permission_policy": policy})).await.ok();
    ada.invite_body(&thread, json!({"bot_id": "bob", "label": "lead"})).await.ok();
    bob.invite(&thread, &cleo).await.ok();
    cleo.say(&thread, "c").await.refused(403, "WRITE_PERMISSION_DENIED");
    cleo.artifact_add(&thread, json!({"artifact_key": "k"})).await.refused(403, "WRITE_PERMISSION_DENIED");
    bob.say(&thread, "c").await.ok();
    ada.say(&thread, "c").await.ok();
    ada.remove(&thread, &cleo.id).await.forbidden();
    cleo.leave(&thread).await.ok();
    bob.status(&thread, "closed").await.forbidden();
    ada.status(&thread, "resolved").await.forbidden();
    bob.status(&thread, "resolved").await.ok();
    ada.status(&thread, "active").await.ok();
    ada.status(&thread, "closed").await.ok();
}

async fn policy_falls_back_to_the_organisation(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let without = ada.thread("t", &[&bob]).await;
    let with = ada.thread_create(json!({"topic": "t", "participants": ["bob"], "permission_policy": {}})).await.ok();
    org.settings(json!({"default_thread_permission_policy": {"write": ["initiator"], "resolve": ["initiator"]}}))
        .await
        .ok();
    bob.say(&without, "c").await.refused(403, "WRITE_PERMISSION_DENIED");
    bob.status(&without, "resolved").await.forbidden();
    bob.say(&with, "its own policy, even an empty one, is used alone").await.ok();
    ada.say(&without, "c").await.ok();
    org.settings(json!({"default_thread_permission_policy": null})).await.ok();
    bob.say(&without, "c").await.ok();
    assert_eq!(org.audit("thread.write_denied").await.len(), 1);
}

async fn manage_is_for_the_initiator_by_default(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    for fields in [json!({"visibility": "members"}), json!({"join_policy": "open"}), json!({"permission_policy": null})]
    {
        bob.thread_patch(&thread, fields.clone()).await.forbidden();
        ada.thread_patch(&thread, fields).await.ok();
    }
    ada.thread_patch(&thread, json!({"permission_policy": {"manage": ["*"]}})).await.ok();
    bob.thread_patch(&thread, json!({"visibility": "public"})).await.ok();
    ada.thread_patch(&thread, json!({"permission_policy": {"manage": []}})).await.ok();
    ada.thread_patch(&thread, json!({"visibility": "members"})).await.forbidden();
    bob.thread_patch(&thread, json!({"topic": "free for every participant"})).await.ok();
}

async fn concurrent_transitions_have_one_winner(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for _ in 0..5 {
        let thread = ada.thread("t", &[&bob]).await;
        let racers = (0..8).map(|n| {
            let status = if n % 2 == 0 { "resolved" } else { "closed" };
            let call = [&ada, &bob][n / 4].status(&thread, status).if_match(1);
            async move { call.await.status }
        });
        let mut statuses = futures_util::future::join_all(racers).await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200);
        assert!(statuses[1..].iter().all(|status| [400, 409].contains(status)), "{statuses:?}");
        assert_eq!(ada.thread_get(&thread).await["revision"], 2);
    }
}
