//! What stays of an identity when something it rests on goes away: a role, a status, a place in a thread, an organisation.
//! The table "Revocation and its effects" of PROTOCOL.md, row by row; tokens are in `lineage`, reading in `reading_rights`.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    a_role_that_is_taken_away_takes_its_tickets_along,
    a_rejected_bot_leaves_nothing_that_works,
    a_deleted_bot_leaves_nothing_that_works,
    a_renamed_bot_is_not_its_old_name,
    who_was_removed_repeats_only_what_it_did_itself,
    a_thread_that_becomes_private_forgets_who_waited,
    links_open_nothing_while_their_organisation_is_suspended with absolute_links,
    scoped_tokens_leave_sockets_for_the_primary_token with eight_sockets,
    a_person_who_logs_out_leaves_what_the_bot_made,
}

fn absolute_links(config: &mut Config) {
    config.files.absolute_links = true;
}

fn eight_sockets(config: &mut Config) {
    config.sockets.per_bot = 8;
}

async fn ticket(by: &Bot) -> Value {
    by.post("/api/org/tickets", json!({"reusable": true, "expires_in": 0})).await.ok()["ticket"].clone()
}

/// An admin bot that was demoted could still let in whom it liked.
async fn a_role_that_is_taken_away_takes_its_tickets_along(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [boss, other] = [org.admin_bot("boss").await, org.admin_bot("other").await];
    let (of_boss, of_other) = (ticket(&boss).await, ticket(&other).await);
    org.register(json!({"ticket": of_boss, "name": "early"})).await.ok();
    let mut socket = boss.socket().await;
    org.patch(format!("/api/org/bots/{}/role", boss.id), json!({"auth_role": "member"})).await.ok();
    org.register(json!({"ticket": of_boss, "name": "late"})).await.refused(401, "INVALID_TICKET");
    org.register(json!({"ticket": of_other, "name": "ada"})).await.ok();
    org.register(json!({"ticket": org.ticket, "name": "bob"})).await.ok();
    boss.get("/api/org/tickets").await.forbidden();
    socket.op(json!({"type": "thread_create", "topic": "still a bot"})).await.ack();
    // The same again is no change of rights.
    org.patch(format!("/api/org/bots/{}/role", other.id), json!({"auth_role": "admin"})).await.ok();
    org.register(json!({"ticket": of_other, "name": "more"})).await.ok();
}

async fn a_rejected_bot_leaves_nothing_that_works(hub: TestHub) {
    let org = hub.with_org("a").await;
    let (boss, ada) = (org.admin_bot("boss").await, org.bot("ada").await);
    let of_boss = ticket(&boss).await;
    let fields = json!({"topic": "t", "visibility": "public", "join_policy": "approval"});
    let thread = ada.thread_create(fields).await.ok();
    let request = boss.join(&thread).await.status(202).text("request_id");
    let (scoped, human) = (boss.scoped(&["read"]).await, boss.human("Ann").await);
    let late = boss.ws_ticket().await;
    let mut socket = boss.socket().await;
    let set = |status: &str| org.patch(format!("/api/org/bots/{}/status", boss.id), json!({"status": status}));
    set("rejected").await.ok();
    assert_eq!(socket.closed().await, 4403);
    assert_eq!(Socket::connect(&hub, &format!("?ticket={late}")).await.closed().await, 4403);
    for caller in [&boss, &scoped, &human] {
        caller.me().await.refused(403, "BOT_NOT_ACTIVE");
    }
    org.register(json!({"ticket": of_boss, "name": "late"})).await.refused(401, "INVALID_TICKET");
    ada.decide(&thread, &request, "approve").await.refused(400, "BOT_NOT_ACTIVE");
    set("active").await.ok();
    for caller in [&boss, &scoped, &human] {
        caller.me().await.ok();
    }
    ada.decide(&thread, &request, "approve").await.ok();
}

async fn a_deleted_bot_leaves_nothing_that_works(hub: TestHub) {
    let org = hub.with_org("a").await;
    let (boss, ada) = (org.admin_bot("boss").await, org.bot("ada").await);
    let of_boss = ticket(&boss).await;
    let fields = json!({"topic": "t", "visibility": "public", "join_policy": "approval"});
    let thread = ada.thread_create(fields).await.ok();
    let request = boss.join(&thread).await.status(202).text("request_id");
    let scoped = boss.scoped(&["full"]).await;
    let child = scoped.scoped(&["full"]).await;
    let late = child.ws_ticket().await;
    let mut sockets = [boss.socket().await, child.socket().await];
    ada.send(&boss, "kept").await.ok();
    boss.delete("/api/me").await.ok();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4002);
    }
    assert_eq!(Socket::connect(&hub, &format!("?ticket={late}")).await.closed().await, 4001);
    for caller in [&boss, &scoped, &child] {
        caller.me().await.refused(401, "INVALID_TOKEN");
    }
    org.register(json!({"ticket": of_boss, "name": "late"})).await.refused(401, "INVALID_TICKET");
    org.register(json!({"ticket": org.ticket, "name": "boss"})).await.refused(409, "NAME_TOMBSTONED");
    ada.decide(&thread, &request, "approve").await.missing();
    assert_eq!(ada.join_requests(&thread).await.ok().to_string().matches(&boss.id).count(), 0);
    ada.send_body(json!({"to": boss.id, "content": "c"})).await.missing();
    ada.send_body(json!({"to": "boss", "content": "c"})).await.missing();
}

async fn a_renamed_bot_is_not_its_old_name(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut socket = bob.socket().await;
    bob.patch("/api/me/name", json!({"name": "bob2"})).await.ok();
    ada.send_body(json!({"to": "bob", "content": "to the old name"})).await.missing();
    let new = org.bot("bob").await;
    let mut of_new = new.socket().await;
    ada.send_body(json!({"to": "bob", "content": "to whoever is called so now"})).await.ok();
    of_new.next("message").await;
    assert!(socket.drain().await.iter().all(|event| event["type"] != "message"));
    ada.send(&bob, "by id").await.ok();
    socket.next("message").await;
}

async fn who_was_removed_repeats_only_what_it_did_itself(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let fields = json!({"topic": "t", "participants": [bob.id], "visibility": "members"});
    let thread = ada.thread_create(fields).await.ok();
    let say = |text: &str, key: &str| bob.say(&thread, text).header("idempotency-key", key);
    let said = say("mine", "one").await.ok();
    let mut socket = bob.socket().await;
    ada.remove(&thread, &bob.id).await.ok();
    let again = say("mine", "one").await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.ok(), said, "its own answer of before, and nothing that came later");
    say("new", "two").await.missing();
    let frame =
        json!({"type": "send_thread_message", "thread_id": thread.id(), "content": "new", "client_id": "three"});
    socket.op(frame).await.refused("NOT_FOUND");
    bob.messages(&thread, "").await.missing();
    let missed = bob.missed().await;
    assert!(missed.iter().all(|event| event["type"] != "thread_message_summary"), "{missed:?}");
}

async fn a_thread_that_becomes_private_forgets_who_waited(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let fields = json!({"topic": "t", "visibility": "public", "join_policy": "approval"});
    let thread = ada.thread_create(fields).await.ok();
    let request = bob.join(&thread).await.status(202).text("request_id");
    let mut sockets = [bob.socket().await, cleo.socket().await];
    ada.thread_patch(&thread, json!({"visibility": "private"})).await.ok();
    ada.say(&thread, "secret").await.ok();
    assert_eq!(sockets[0].next("thread_join_resolved").await["status"], "rejected");
    for socket in &mut sockets {
        assert!(socket.drain().await.is_empty());
    }
    ada.decide(&thread, &request, "approve").await.missing();
    for outsider in [&bob, &cleo] {
        outsider.thread_get(&thread).await.missing();
        outsider.join(&thread).await.missing();
        assert!(outsider.threads("?scope=org").await.ok().items("items").is_empty());
    }
}

/// Whoever held a link could read files of an organisation that nobody could use any more.
async fn links_open_nothing_while_their_organisation_is_suspended(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let url = ada.upload("a.txt", "hello").await.ok().text("url");
    let mut socket = bob.socket().await;
    let file = json!({"type": "file", "url": url, "name": "a.txt", "mime_type": "text/plain"});
    ada.send_body(json!({"to": bob.id, "content": "see", "parts": [file]})).await.ok();
    let link = socket.next("message").await["message"]["parts"][0].text("url");
    let path = &link[link.find("/api/files/").unwrap()..];
    assert_eq!(hub.anonymous().get(path).await.text, "hello");
    let root = hub.super_admin().await;
    let set = |status: &str| root.patch(format!("/api/orgs/{}", org.id), json!({"status": status}));
    set("suspended").await.ok();
    hub.anonymous().get(path).await.refused(403, "ORG_SUSPENDED");
    ada.get(&url).await.refused(403, "ORG_SUSPENDED");
    set("active").await.ok();
    assert_eq!(hub.anonymous().get(path).await.text, "hello");
    root.delete(format!("/api/orgs/{}", org.id)).await.status(204);
    hub.anonymous().get(path).await.refused(401, "AUTH_REQUIRED");
}

/// A token that may do next to nothing shut its owner out by holding all sockets of the bot.
async fn scoped_tokens_leave_sockets_for_the_primary_token(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let profile = ada.scoped(&["profile"]).await;
    let human = profile.human("Ann").await;
    let mut held = Vec::new();
    for n in 0..7 {
        held.push(if n % 2 == 0 { profile.socket().await } else { human.socket().await });
    }
    for caller in [&profile, &human] {
        assert_eq!(caller.socket().await.closed().await, 1013);
    }
    let mut own = ada.socket().await;
    own.drain().await;
    assert_eq!(ada.socket().await.closed().await, 1013, "eight are the most");
}

async fn a_person_who_logs_out_leaves_what_the_bot_made(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let human = ada.human("Ann").await;
    let token = human.scoped(&["read"]).await;
    let mut socket = human.socket().await;
    let ticket = human.ws_ticket().await;
    human.post("/api/auth/logout", json!({})).await.ok();
    assert_eq!(socket.closed().await, 4002);
    assert_eq!(Socket::connect(&hub, &format!("?ticket={ticket}")).await.closed().await, 4002);
    human.me().await.refused(401, "AUTH_REQUIRED");
    token.me().await.ok();
}
