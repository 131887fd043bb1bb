//! Who takes part in a thread: joining, join requests, invitations, removal and leaving.

use crate::harness::*;

on_both_databases! {
    join_an_open_thread,
    join_by_approval,
    join_is_refused,
    join_requests_are_for_those_who_may_decide,
    closing_the_door_rejects_pending_requests,
    an_invite_resolves_a_pending_request_sensibly,
    invite,
    invite_refuses,
    remove_and_leave,
    leaving_races_never_empty_a_thread,
    deletion_of_a_bot,
    labels_change,
    nobody_invites_with_rights_it_lacks,
    a_removal_in_the_audit_trail,
}

async fn join_an_open_thread(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await;
    let joined = bob.join(&thread).await.ok();
    assert_eq!((&joined["status"], joined["joined_at"].is_i64()), (&json!("joined"), true));
    assert_eq!(bob.join(&thread).await.ok(), json!({"status": "already_joined"}));
    let read = bob.thread_get(&thread).await.ok();
    assert_eq!((&read["revision"], read["participants"].all("name")), (&json!(2), vec!["ada", "bob"]));
    assert_eq!(org.audit("thread.join").await.len(), 1);
    bob.scoped(&["message", "read"]).await.join(&thread).await.refused(403, "INSUFFICIENT_SCOPE");
    let members = ada.thread_create(json!({"topic": "t", "visibility": "members"})).await.ok();
    assert_eq!(bob.join(&members).await["status"], "joined", "members hides the content, it does not shut the door");
}

async fn join_by_approval(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let asked = bob.join(&thread).await.status(202);
    let request = asked.text("request_id");
    assert_eq!(asked["status"], "pending");
    assert_eq!(bob.join(&thread).await.refused(409, "ALREADY_REQUESTED")["request_id"], request.as_str());
    bob.thread_get(&thread).await.refused(403, "JOIN_REQUIRED");
    let listed = ada.join_requests(&thread).await.list();
    insta::assert_json_snapshot!("join_request", shape(&listed[0]));
    let approved = ada.decide(&thread, &request, "approve").await.ok();
    assert_eq!((&approved["status"], approved["joined_at"].is_i64()), (&json!("approved"), true));
    assert_eq!(bob.thread_get(&thread).await["revision"], 2);
    ada.decide(&thread, &request, "approve").await.missing();
    ada.decide(&thread, &request, "reject").await.missing();

    let second = cleo.join(&thread).await.status(202).text("request_id");
    assert_eq!(bob.decide(&thread, &second, "reject").await.ok(), json!({"status": "rejected"}));
    assert!(ada.join_requests(&thread).await.list().is_empty());
    cleo.thread_get(&thread).await.refused(403, "JOIN_REQUIRED");
    let third = cleo.join(&thread).await.status(202).text("request_id");
    assert_ne!(second, third, "a rejected bot may ask again");
    ada.status(&thread, "resolved").await.ok();
    assert_eq!(ada.join_requests(&thread).await.list().len(), 1, "readable on a finished thread");
    ada.decide(&thread, &third, "approve").await.refused(409, "THREAD_CLOSED");
    ada.decide(&thread, &third, "reject").await.ok();
    for (action, rows) in [("thread.join_requested", 3), ("thread.join_approved", 1), ("thread.join_rejected", 2)] {
        assert_eq!(org.audit(action).await.len(), rows, "{action}");
    }
    insta::assert_json_snapshot!("join_approved_audit", shape(&org.audit("thread.join_approved").await[0]));
}

async fn join_is_refused(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let foreigner = other.bot("finn").await;
    let private = ada.thread_create(json!({"topic": "t", "visibility": "private"})).await.ok();
    let shut = ada.thread_create(json!({"topic": "t", "join_policy": "invite_only"})).await.ok();
    bob.join(NOBODY).await.missing();
    bob.join(&private).await.missing();
    foreigner.join(&shut).await.missing();
    bob.join(&shut).await.refused(403, "INVITE_ONLY");
    assert_eq!(ada.join(&private).await.ok()["status"], "already_joined");
    ada.status(&shut, "closed").await.ok();
    bob.join(&shut).await.refused(409, "THREAD_CLOSED");
}

async fn join_requests_are_for_those_who_may_decide(hub: TestHub) {
    let [ada, bob, cleo] = hub.with_org("a").await.bots(["ada", "bob", "cleo"]).await;
    let policy = json!({"manage": ["initiator"], "invite": ["initiator"]});
    let body = json!({"topic": "t", "participants": ["bob"], "join_policy": "approval", "permission_policy": policy});
    let thread = ada.thread_create(body).await.ok();
    let request = cleo.join(&thread).await.status(202).text("request_id");
    bob.join_requests(&thread).await.forbidden();
    bob.decide(&thread, &request, "approve").await.forbidden();
    bob.decide(&thread, &request, "reject").await.forbidden();
    cleo.join_requests(&thread).await.refused(403, "JOIN_REQUIRED");
    cleo.decide(&thread, &request, "approve").await.refused(403, "JOIN_REQUIRED");
    ada.scoped(&["read"]).await.join_requests(&thread).await.refused(403, "INSUFFICIENT_SCOPE");
    let elsewhere = ada.thread("u", &[]).await;
    ada.decide(&elsewhere, &request, "approve").await.missing();
    ada.decide(&thread, NOBODY, "approve").await.missing();
    ada.decide(&thread, "junk", "reject").await.missing();
    ada.decide(&thread, &request, "approve").await.ok();
}

async fn closing_the_door_rejects_pending_requests(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for change in [json!({"join_policy": "invite_only"}), json!({"visibility": "private"})] {
        let thread = ada.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
        let request = bob.join(&thread).await.status(202).text("request_id");
        ada.thread_patch(&thread, change.clone()).await.ok();
        assert!(ada.join_requests(&thread).await.list().is_empty(), "{change}");
        ada.decide(&thread, &request, "approve").await.missing();
    }
}

async fn an_invite_resolves_a_pending_request_sensibly(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let request = bob.join(&thread).await.status(202).text("request_id");
    ada.invite(&thread, &bob).await.ok();
    let reply = ada.decide(&thread, &request, "approve").await;
    assert!([200, 404].contains(&reply.status), "{}", reply.text);
    let read = ada.thread_get(&thread).await.ok();
    assert_eq!((&read["participant_count"], &read["revision"]), (&json!(2), &json!(2)));
}

async fn invite(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada.thread("t", &[]).await;
    let row = ada.invite_body(&thread, json!({"bot_id": "bob", "label": "reviewer"})).await.ok();
    assert_eq!((row.keys(), &row["label"]), (vec!["bot_id", "joined_at", "label", "thread_id"], &json!("reviewer")));
    assert_eq!(ada.invite_body(&thread, json!({"bot_id": bob.id})).await.ok(), row, "unchanged when already in");
    ada.invite_body(&thread, json!({"bot_id": "bob", "label": "other"})).await.refused(409, "ALREADY_PARTICIPANT");
    ada.invite_body(&thread, json!({"bot_id": "bob", "label": null})).await.refused(409, "ALREADY_PARTICIPANT");
    assert_eq!(bob.invite_body(&thread, json!({"bot_id": "cleo", "label": null})).await["label"], json!(null));
    assert_eq!(cleo.thread_get(&thread).await["revision"], 3);
    let missed = cleo.missed().await;
    assert_eq!(
        (missed.len(), &missed[0]["type"], &missed[0]["inviter"]),
        (1, &json!("thread_invited"), &json!(bob.id))
    );
    let audit = org.audit("thread.invite").await;
    assert_eq!(audit[0]["detail"], json!({"invited_bot_id": cleo.id, "invited_bot_name": "cleo"}));
}

async fn invite_refuses(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let foreigner = other.bot("finn").await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": "waiting"})).await.ok();
    let policy = json!({"invite": ["initiator"]});
    let thread =
        ada.thread_create(json!({"topic": "t", "participants": ["bob"], "permission_policy": policy})).await.ok();
    bob.invite_body(&thread, json!({"bot_id": 7})).await.forbidden();
    cleo.invite(&thread, &cleo).await.refused(403, "JOIN_REQUIRED");
    for body in [
        json!({}),
        json!({"bot_id": null}),
        json!({"bot_id": 7}),
        json!({"bot_id": "cleo", "label": 7}),
        json!({"bot_id": "cleo", "label": []}),
    ] {
        ada.invite_body(&thread, body).await.invalid();
    }
    for nobody in ["nobody", NOBODY, &foreigner.id, "f"] {
        ada.invite_body(&thread, json!({"bot_id": nobody})).await.missing();
    }
    ada.invite_body(&thread, json!({"bot_id": "waiting"})).await.refused(400, "BOT_NOT_ACTIVE");
    assert_eq!(ada.thread_get(&thread).await["revision"], 1);
}

async fn remove_and_leave(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada
        .thread_create(
            json!({"topic": "t", "participants": ["bob", "cleo"], "permission_policy": {"remove": ["initiator"]}}),
        )
        .await
        .ok();
    bob.remove(&thread, "cleo").await.forbidden();
    bob.remove(&thread, "nobody").await.missing();
    assert_eq!(ada.remove(&thread, "cleo").await.ok(), json!({"ok": true}));
    ada.remove(&thread, &cleo.id).await.missing();
    cleo.leave(&thread).await.refused(403, "JOIN_REQUIRED");
    let removed: Vec<_> =
        cleo.missed().await.into_iter().filter(|e| e["type"] == "thread_participant_removed").collect();
    insta::assert_json_snapshot!("catchup_removed", shape(&json!(removed)));
    assert_eq!(removed[0]["removed_by"], ada.id.as_str());
    ada.leave(&thread).await.ok();
    assert_eq!(bob.thread_get(&thread).await["initiator_id"], ada.id.as_str(), "leaving does not change who began it");
    assert_eq!(bob.thread_get(&thread).await["revision"], 3);
    bob.leave(&thread).await.invalid();
    let audit = org.audit("thread.remove_participant").await;
    assert_eq!(audit.len(), 2);
    assert_eq!(
        audit[1]["detail"],
        json!({"removed_bot_id": cleo.id, "removed_bot_name": "cleo", "removed_by": ada.id})
    );
}

/// Two leavers used to be able to leave a thread behind without anybody in it.
async fn leaving_races_never_empty_a_thread(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for _ in 0..10 {
        let thread = ada.thread("t", &[&bob]).await;
        let (one, two) =
            futures_util::future::join(ada.leave(&thread).into_future(), bob.leave(&thread).into_future()).await;
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
}

async fn deletion_of_a_bot(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let shared = ada.thread("shared", &[&bob]).await;
    let alone = ada.thread("alone", &[]).await;
    ada.say(&shared, "mine").await.ok();
    ada.artifact_add(&shared, json!({"artifact_key": "k", "content": "c"})).await.ok();
    ada.delete("/api/me").await.ok();
    let read = bob.thread_get(&shared).await.ok();
    assert_eq!((&read["initiator_id"], read["participants"].all("name")), (&json!(null), vec!["bob"]));
    let message = bob.messages(&shared, "").await.list().remove(0);
    assert_eq!((&message["sender_id"], &message["sender_name"]), (&json!(null), &json!("unknown")));
    assert_eq!(bob.artifacts(&shared).await.list()[0]["contributor_id"], json!(null));
    bob.thread_patch(&shared, json!({"visibility": "members"})).await.forbidden();
    bob.say(&shared, "still works").await.ok();
    let closed = org.get(format!("/api/org/threads/{}", alone.id())).await.ok();
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("manual")));
    assert_eq!(closed["last_activity_at"], alone["last_activity_at"], "a dead thread does not top the lists");
}

async fn labels_change(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let thread = ada
        .thread_create(json!({"topic": "t", "participants": ["bob"],
        "permission_policy": {"write": ["author"], "manage": ["initiator", "editor"]}}))
        .await
        .ok();
    let relabel =
        |by: &Bot, bot: &str, body: Value| by.patch(format!("/api/threads/{}/participants/{bot}", thread.id()), body);
    bob.say(&thread, "c").await.refused(403, "WRITE_PERMISSION_DENIED");
    relabel(&bob, "bob", json!({"label": "author"})).await.forbidden();
    let mut socket = bob.socket().await;
    let row = relabel(&ada, "bob", json!({"label": "author"})).await.ok();
    assert_eq!((&row["bot_id"], &row["label"]), (&json!(bob.id), &json!("author")));
    let event = socket.next("thread_updated").await;
    assert_eq!((&event["changes"], &event["thread"]["revision"]), (&json!(["participants"]), &json!(2)));
    bob.say(&thread, "c").await.ok();
    let participants = ada.thread_get(&thread).await.ok()["participants"].clone();
    assert_eq!(participants[1]["label"], "author");
    // The same label again changes nothing.
    relabel(&ada, &bob.id, json!({"label": "author"})).await.ok();
    socket.drain().await;
    assert_eq!(ada.thread_get(&thread).await["revision"], 2);
    relabel(&ada, "bob", json!({"label": "editor"})).await.ok();
    relabel(&bob, "bob", json!({"label": null})).await.ok();
    relabel(&bob, "bob", json!({"label": "editor"})).await.forbidden();
    assert_eq!(ada.thread_get(&thread).await["revision"], 4);
    let changed = org.audit("thread.label_changed").await;
    assert_eq!(changed.len(), 3);
    assert_eq!(changed[0]["detail"], json!({"bot_id": bob.id, "from": "editor", "to": null}));
    for bad in [json!({}), json!({"label": 1}), json!({"label": "a".repeat(129)})] {
        relabel(&ada, "bob", bad).await.invalid();
    }
    relabel(&ada, "cleo", json!({"label": "a"})).await.missing();
    relabel(&ada, "nobody", json!({"label": "a"})).await.missing();
    relabel(&cleo, "cleo", json!({"label": "a"})).await.refused(403, "JOIN_REQUIRED");
    ada.status(&thread, "closed").await.ok();
    relabel(&ada, "bob", json!({"label": "a"})).await.refused(409, "THREAD_CLOSED");
}

/// Otherwise whoever may invite could take the thread over by a bot of its own.
async fn nobody_invites_with_rights_it_lacks(hub: TestHub) {
    let [ada, bob, cleo, lead] = hub.with_org("a").await.bots(["ada", "bob", "cleo", "lead"]).await;
    let policy = json!({"manage": ["lead"], "write": ["author"], "close": ["*"]});
    let thread =
        ada.thread_create(json!({"topic": "t", "participants": ["bob"], "permission_policy": policy})).await.ok();
    let invite = |by: &Bot, label: &str| by.invite_body(&thread, json!({"bot_id": "cleo", "label": label}));
    for label in ["lead", "author"] {
        invite(&bob, label).await.forbidden();
    }
    let mut socket = bob.socket().await;
    let frame = json!({"type": "thread_invite", "thread_id": thread["id"], "bot_id": "cleo", "label": "lead"});
    socket.op(frame).await.refused("FORBIDDEN");
    assert_eq!(ada.thread_get(&thread).await["revision"], 1);
    assert_eq!(invite(&bob, "guest").await.ok()["label"], "guest", "a label without rights");
    cleo.leave(&thread).await.ok();
    // The one who began the thread brings its policy to life, and managers work by it.
    ada.invite_body(&thread, json!({"bot_id": "lead", "label": "lead"})).await.ok();
    assert_eq!(invite(&lead, "author").await.ok()["label"], "author");
    cleo.say(&thread, "c").await.ok();
    cleo.leave(&thread).await.ok();
    lead.thread_patch(&thread, json!({"permission_policy": null})).await.ok();
    assert_eq!(invite(&bob, "lead").await.ok()["label"], "lead", "labels grant nothing without a policy");
}

/// The row of a person's removal names nobody, as admins' tools have always read it.
async fn a_removal_in_the_audit_trail(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let admin = org.admin_bot("boss").await;
    let thread = ada.thread("t", &[&bob, &cleo]).await;
    let path = |bot: &str| format!("/api/org/threads/{}/participants/{bot}", thread.id());
    org.delete(path("bob")).await.ok();
    admin.delete(path("cleo")).await.ok();
    let rows = org.audit("thread.remove_participant").await;
    assert_eq!((&rows[0]["bot_id"], &rows[0]["detail"]["removed_by"]), (&json!(admin.id), &json!(admin.id)));
    let by = format!("org:{}", org.id);
    assert_eq!((&rows[1]["bot_id"], &rows[1]["detail"]["removed_by"]), (&json!(null), &json!(by)));
}
