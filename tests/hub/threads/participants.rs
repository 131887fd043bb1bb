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
    let [x, y] = org.bots(["x", "y"]).await;
    let thread = x.thread("t", &[]).await;
    let joined = y.join(&thread).await.ok();
    assert_eq!((&joined["status"], joined["joined_at"].is_i64()), (&json!("joined"), true));
    assert_eq!(y.join(&thread).await.ok(), json!({"status": "already_joined"}));
    let read = y.thread_get(&thread).await.ok();
    assert_eq!((&read["revision"], read["participants"].all("name")), (&json!(2), vec!["x", "y"]));
    assert_eq!(org.audit("thread.join").await.len(), 1);
    y.scoped(&["message", "read"]).await.join(&thread).await.refused(403, "INSUFFICIENT_SCOPE");
    let members = x.thread_create(json!({"topic": "t", "visibility": "members"})).await.ok();
    assert_eq!(y.join(&members).await["status"], "joined", "members hides the content, it does not shut the door");
}

async fn join_by_approval(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let thread = x.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let asked = y.join(&thread).await.status(202);
    let request = asked.text("request_id");
    assert_eq!(asked["status"], "pending");
    assert_eq!(y.join(&thread).await.refused(409, "ALREADY_REQUESTED")["request_id"], request.as_str());
    y.thread_get(&thread).await.refused(403, "JOIN_REQUIRED");
    let listed = x.join_requests(&thread).await.list();
    insta::assert_json_snapshot!("join_request", shape(&listed[0]));
    let approved = x.decide(&thread, &request, "approve").await.ok();
    assert_eq!((&approved["status"], approved["joined_at"].is_i64()), (&json!("approved"), true));
    assert_eq!(y.thread_get(&thread).await["revision"], 2);
    x.decide(&thread, &request, "approve").await.missing();
    x.decide(&thread, &request, "reject").await.missing();

    let second = z.join(&thread).await.status(202).text("request_id");
    assert_eq!(y.decide(&thread, &second, "reject").await.ok(), json!({"status": "rejected"}));
    assert!(x.join_requests(&thread).await.list().is_empty());
    z.thread_get(&thread).await.refused(403, "JOIN_REQUIRED");
    let third = z.join(&thread).await.status(202).text("request_id");
    assert_ne!(second, third, "a rejected bot may ask again");
    x.status(&thread, "resolved").await.ok();
    assert_eq!(x.join_requests(&thread).await.list().len(), 1, "readable on a finished thread");
    x.decide(&thread, &third, "approve").await.refused(409, "THREAD_CLOSED");
    x.decide(&thread, &third, "reject").await.ok();
    for (action, rows) in [("thread.join_requested", 3), ("thread.join_approved", 1), ("thread.join_rejected", 2)] {
        assert_eq!(org.audit(action).await.len(), rows, "{action}");
    }
    insta::assert_json_snapshot!("join_approved_audit", shape(&org.audit("thread.join_approved").await[0]));
}

async fn join_is_refused(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [x, y] = org.bots(["x", "y"]).await;
    let foreigner = other.bot("f").await;
    let private = x.thread_create(json!({"topic": "t", "visibility": "private"})).await.ok();
    let shut = x.thread_create(json!({"topic": "t", "join_policy": "invite_only"})).await.ok();
    y.join(NOBODY).await.missing();
    y.join(&private).await.missing();
    foreigner.join(&shut).await.missing();
    y.join(&shut).await.refused(403, "INVITE_ONLY");
    assert_eq!(x.join(&private).await.ok()["status"], "already_joined");
    x.status(&shut, "closed").await.ok();
    y.join(&shut).await.refused(409, "THREAD_CLOSED");
}

async fn join_requests_are_for_those_who_may_decide(hub: TestHub) {
    let [x, y, z] = hub.with_org("a").await.bots(["x", "y", "z"]).await;
    let policy = json!({"manage": ["initiator"], "invite": ["initiator"]});
    let body = json!({"topic": "t", "participants": ["y"], "join_policy": "approval", "permission_policy": policy});
    let thread = x.thread_create(body).await.ok();
    let request = z.join(&thread).await.status(202).text("request_id");
    y.join_requests(&thread).await.forbidden();
    y.decide(&thread, &request, "approve").await.forbidden();
    y.decide(&thread, &request, "reject").await.forbidden();
    z.join_requests(&thread).await.refused(403, "JOIN_REQUIRED");
    z.decide(&thread, &request, "approve").await.refused(403, "JOIN_REQUIRED");
    x.scoped(&["read"]).await.join_requests(&thread).await.refused(403, "INSUFFICIENT_SCOPE");
    let elsewhere = x.thread("u", &[]).await;
    x.decide(&elsewhere, &request, "approve").await.missing();
    x.decide(&thread, NOBODY, "approve").await.missing();
    x.decide(&thread, "junk", "reject").await.missing();
    x.decide(&thread, &request, "approve").await.ok();
}

async fn closing_the_door_rejects_pending_requests(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    for change in [json!({"join_policy": "invite_only"}), json!({"visibility": "private"})] {
        let thread = x.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
        let request = y.join(&thread).await.status(202).text("request_id");
        x.thread_patch(&thread, change.clone()).await.ok();
        assert!(x.join_requests(&thread).await.list().is_empty(), "{change}");
        x.decide(&thread, &request, "approve").await.missing();
    }
}

async fn an_invite_resolves_a_pending_request_sensibly(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    let thread = x.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let request = y.join(&thread).await.status(202).text("request_id");
    x.invite(&thread, &y).await.ok();
    let reply = x.decide(&thread, &request, "approve").await;
    assert!([200, 404].contains(&reply.status), "{}", reply.text);
    let read = x.thread_get(&thread).await.ok();
    assert_eq!((&read["participant_count"], &read["revision"]), (&json!(2), &json!(2)));
}

async fn invite(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let thread = x.thread("t", &[]).await;
    let row = x.invite_body(&thread, json!({"bot_id": "y", "label": "reviewer"})).await.ok();
    assert_eq!((row.keys(), &row["label"]), (vec!["bot_id", "joined_at", "label", "thread_id"], &json!("reviewer")));
    assert_eq!(x.invite_body(&thread, json!({"bot_id": y.id})).await.ok(), row, "unchanged when already in");
    x.invite_body(&thread, json!({"bot_id": "y", "label": "other"})).await.refused(409, "ALREADY_PARTICIPANT");
    x.invite_body(&thread, json!({"bot_id": "y", "label": null})).await.refused(409, "ALREADY_PARTICIPANT");
    assert_eq!(y.invite_body(&thread, json!({"bot_id": "z", "label": null})).await["label"], json!(null));
    assert_eq!(z.thread_get(&thread).await["revision"], 3);
    let missed = z.missed().await;
    assert_eq!((missed.len(), &missed[0]["type"], &missed[0]["inviter"]), (1, &json!("thread_invited"), &json!(y.id)));
    let audit = org.audit("thread.invite").await;
    assert_eq!(audit[0]["detail"], json!({"invited_bot_id": z.id, "invited_bot_name": "z"}));
}

async fn invite_refuses(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let foreigner = other.bot("f").await;
    org.settings(json!({"join_approval_required": true})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": "waiting"})).await.ok();
    let policy = json!({"invite": ["initiator"]});
    let thread = x.thread_create(json!({"topic": "t", "participants": ["y"], "permission_policy": policy})).await.ok();
    y.invite_body(&thread, json!({"bot_id": 7})).await.forbidden();
    z.invite(&thread, &z).await.refused(403, "JOIN_REQUIRED");
    for body in [
        json!({}),
        json!({"bot_id": null}),
        json!({"bot_id": 7}),
        json!({"bot_id": "z", "label": 7}),
        json!({"bot_id": "z", "label": []}),
    ] {
        x.invite_body(&thread, body).await.invalid();
    }
    for nobody in ["nobody", NOBODY, &foreigner.id, "f"] {
        x.invite_body(&thread, json!({"bot_id": nobody})).await.missing();
    }
    x.invite_body(&thread, json!({"bot_id": "waiting"})).await.refused(400, "BOT_NOT_ACTIVE");
    assert_eq!(x.thread_get(&thread).await["revision"], 1);
}

async fn remove_and_leave(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let thread = x
        .thread_create(
            json!({"topic": "t", "participants": ["y", "z"], "permission_policy": {"remove": ["initiator"]}}),
        )
        .await
        .ok();
    y.remove(&thread, "z").await.forbidden();
    y.remove(&thread, "nobody").await.missing();
    assert_eq!(x.remove(&thread, "z").await.ok(), json!({"ok": true}));
    x.remove(&thread, &z.id).await.missing();
    z.leave(&thread).await.refused(403, "JOIN_REQUIRED");
    let removed: Vec<_> = z.missed().await.into_iter().filter(|e| e["type"] == "thread_participant_removed").collect();
    insta::assert_json_snapshot!("catchup_removed", shape(&json!(removed)));
    assert_eq!(removed[0]["removed_by"], x.id.as_str());
    x.leave(&thread).await.ok();
    assert_eq!(y.thread_get(&thread).await["initiator_id"], x.id.as_str(), "leaving does not change who began it");
    assert_eq!(y.thread_get(&thread).await["revision"], 3);
    y.leave(&thread).await.invalid();
    let audit = org.audit("thread.remove_participant").await;
    assert_eq!(audit.len(), 2);
    assert_eq!(audit[1]["detail"], json!({"removed_bot_id": z.id, "removed_bot_name": "z", "removed_by": x.id}));
}

/// Two leavers used to be able to leave a thread behind without anybody in it.
async fn leaving_races_never_empty_a_thread(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    for _ in 0..10 {
        let thread = x.thread("t", &[&y]).await;
        let (one, two) =
            futures_util::future::join(x.leave(&thread).into_future(), y.leave(&thread).into_future()).await;
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
    }
}

async fn deletion_of_a_bot(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y] = org.bots(["x", "y"]).await;
    let shared = x.thread("shared", &[&y]).await;
    let alone = x.thread("alone", &[]).await;
    x.say(&shared, "mine").await.ok();
    x.artifact_add(&shared, json!({"artifact_key": "k", "content": "c"})).await.ok();
    x.delete("/api/me").await.ok();
    let read = y.thread_get(&shared).await.ok();
    assert_eq!((&read["initiator_id"], read["participants"].all("name")), (&json!(null), vec!["y"]));
    let message = y.messages(&shared, "").await.list().remove(0);
    assert_eq!((&message["sender_id"], &message["sender_name"]), (&json!(null), &json!("unknown")));
    assert_eq!(y.artifacts(&shared).await.list()[0]["contributor_id"], json!(null));
    y.thread_patch(&shared, json!({"visibility": "members"})).await.forbidden();
    y.say(&shared, "still works").await.ok();
    let closed = org.get(format!("/api/org/threads/{}", alone.id())).await.ok();
    assert_eq!((&closed["status"], &closed["close_reason"]), (&json!("closed"), &json!("manual")));
    assert_eq!(closed["last_activity_at"], alone["last_activity_at"], "a dead thread does not top the lists");
}

async fn labels_change(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let thread = x
        .thread_create(json!({"topic": "t", "participants": ["y"],
        "permission_policy": {"write": ["author"], "manage": ["initiator", "editor"]}}))
        .await
        .ok();
    let relabel =
        |by: &Bot, bot: &str, body: Value| by.patch(format!("/api/threads/{}/participants/{bot}", thread.id()), body);
    y.say(&thread, "c").await.refused(403, "WRITE_PERMISSION_DENIED");
    relabel(&y, "y", json!({"label": "author"})).await.forbidden();
    let mut socket = y.socket().await;
    let row = relabel(&x, "y", json!({"label": "author"})).await.ok();
    assert_eq!((&row["bot_id"], &row["label"]), (&json!(y.id), &json!("author")));
    let event = socket.next("thread_updated").await;
    assert_eq!((&event["changes"], &event["thread"]["revision"]), (&json!(["participants"]), &json!(2)));
    y.say(&thread, "c").await.ok();
    let participants = x.thread_get(&thread).await.ok()["participants"].clone();
    assert_eq!(participants[1]["label"], "author");
    // The same label again changes nothing.
    relabel(&x, &y.id, json!({"label": "author"})).await.ok();
    socket.drain().await;
    assert_eq!(x.thread_get(&thread).await["revision"], 2);
    relabel(&x, "y", json!({"label": "editor"})).await.ok();
    relabel(&y, "y", json!({"label": null})).await.ok();
    relabel(&y, "y", json!({"label": "editor"})).await.forbidden();
    assert_eq!(x.thread_get(&thread).await["revision"], 4);
    let changed = org.audit("thread.label_changed").await;
    assert_eq!(changed.len(), 3);
    assert_eq!(changed[0]["detail"], json!({"bot_id": y.id, "from": "editor", "to": null}));
    for bad in [json!({}), json!({"label": 1}), json!({"label": "a".repeat(129)})] {
        relabel(&x, "y", bad).await.invalid();
    }
    relabel(&x, "z", json!({"label": "a"})).await.missing();
    relabel(&x, "nobody", json!({"label": "a"})).await.missing();
    relabel(&z, "z", json!({"label": "a"})).await.refused(403, "JOIN_REQUIRED");
    x.status(&thread, "closed").await.ok();
    relabel(&x, "y", json!({"label": "a"})).await.refused(409, "THREAD_CLOSED");
}

/// Otherwise whoever may invite could take the thread over by a bot of its own.
async fn nobody_invites_with_rights_it_lacks(hub: TestHub) {
    let [x, y, z, lead] = hub.with_org("a").await.bots(["x", "y", "z", "lead"]).await;
    let policy = json!({"manage": ["lead"], "write": ["author"], "close": ["*"]});
    let thread = x.thread_create(json!({"topic": "t", "participants": ["y"], "permission_policy": policy})).await.ok();
    let invite = |by: &Bot, label: &str| by.invite_body(&thread, json!({"bot_id": "z", "label": label}));
    for label in ["lead", "author"] {
        invite(&y, label).await.forbidden();
    }
    let mut socket = y.socket().await;
    let frame = json!({"type": "thread_invite", "thread_id": thread["id"], "bot_id": "z", "label": "lead"});
    socket.op(frame).await.refused("FORBIDDEN");
    assert_eq!(x.thread_get(&thread).await["revision"], 1);
    assert_eq!(invite(&y, "guest").await.ok()["label"], "guest", "a label without rights");
    z.leave(&thread).await.ok();
    // The one who began the thread brings its policy to life, and managers work by it.
    x.invite_body(&thread, json!({"bot_id": "lead", "label": "lead"})).await.ok();
    assert_eq!(invite(&lead, "author").await.ok()["label"], "author");
    z.say(&thread, "c").await.ok();
    z.leave(&thread).await.ok();
    lead.thread_patch(&thread, json!({"permission_policy": null})).await.ok();
    assert_eq!(invite(&y, "lead").await.ok()["label"], "lead", "labels grant nothing without a policy");
}

/// The row of a person's removal names nobody, as admins' tools have always read it.
async fn a_removal_in_the_audit_trail(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y, z] = org.bots(["x", "y", "z"]).await;
    let admin = org.admin_bot("boss").await;
    let thread = x.thread("t", &[&y, &z]).await;
    let path = |bot: &str| format!("/api/org/threads/{}/participants/{bot}", thread.id());
    org.delete(path("y")).await.ok();
    admin.delete(path("z")).await.ok();
    let rows = org.audit("thread.remove_participant").await;
    assert_eq!((&rows[0]["bot_id"], &rows[0]["detail"]["removed_by"]), (&json!(admin.id), &json!(admin.id)));
    let by = format!("org:{}", org.id);
    assert_eq!((&rows[1]["bot_id"], &rows[1]["detail"]["removed_by"]), (&json!(null), &json!(by)));
}
