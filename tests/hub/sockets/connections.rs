//! The socket itself: tickets, handshake, frames, refs, subscriptions, liveness and close codes.

use hxa_connect::hub::config::Config;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Error, Message};

use crate::harness::*;

on_both_databases! {
    tickets,
    tickets_are_single_use,
    handshake_refusals_come_as_close_codes,
    path_must_be_ws,
    the_first_subprotocol_is_taken,
    pending_and_rejected_bots,
    ping_and_refs,
    frames_of_every_shape,
    bad_frames_do_not_end_the_socket,
    oversized_messages_close_with_1009,
    pipelined_ops_are_answered_in_order,
    a_human_and_an_admin_on_the_socket,
    subscriptions,
    subscription_limit,
    nothing_is_lost_right_after_open,
    logout_closes_the_session_sockets,
    deletion_closes_the_bot_sockets,
    suspension_closes_every_socket_of_the_org,
    destruction_closes_every_socket_of_the_org,
    secret_rotation_closes_admin_sockets,
    a_revoked_token_loses_its_socket,
    sockets_are_limited_per_bot_and_organisation with few_sockets,
    silent_peers_are_dropped with short_heartbeat,
    talking_peers_stay with short_heartbeat,
}

async fn tickets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let ticket = ada.ws_ticket().await;
    assert!(ticket.len() == 48 && ticket.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{ticket}");
    for caller in [&*org, &*ada.human("Ann").await, &*ada.scoped(&["profile"]).await] {
        caller.ws_ticket().await;
    }
    let ask = |caller: &Caller| caller.call("POST", "/api/ws-ticket");
    ada.call("POST", "/api/ws-ticket").raw("application/json", "{\"ignored\": true}").await.ok();
    org.call("POST", "/api/ws-ticket").without("origin").await.refused(403, "CSRF_ERROR");
    ask(hub.super_admin().await).await.forbidden();
    ask(&hub.anonymous()).await.refused(401, "AUTH_REQUIRED");
    ask(&Caller::bearer(&hub, "bot_unknown")).await.refused(401, "INVALID_TOKEN");
    ask(&ada).header("x-org-id", NOBODY).await.refused(403, "ORG_MISMATCH");
}

async fn tickets_are_single_use(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let ticket = ada.ws_ticket().await;
    let query = format!("?ticket={ticket}");
    let redeem = || async {
        let mut socket = Socket::connect(&hub, &query).await;
        socket.send(&json!({"type": "ping"})).await;
        tokio::select! { _ = socket.next("pong") => 0, code = tokio::time::sleep(DEADLINE) => { let () = code; 1 } }
    };
    assert_eq!(redeem().await, 0);
    let again =
        futures_util::future::join_all((0..10).map(|_| async { Socket::connect(&hub, &query).await.closed().await }));
    assert_eq!(again.await, [4001; 10]);
}

async fn handshake_refusals_come_as_close_codes(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for query in ["", "?ticket=", "?ticket=unknown", &format!("?token={}", ada.secret())] {
        assert_eq!(Socket::connect(&hub, query).await.closed().await, 4001, "{query}");
    }
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    let ticket = Caller::bearer(&hub, &token.text("token")).ws_ticket().await;
    ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
    assert_eq!(Socket::connect(&hub, &format!("?ticket={ticket}")).await.closed().await, 4001, "revoked in between");
    let ticket = ada.ws_ticket().await;
    ada.delete("/api/me").await.ok();
    assert_eq!(Socket::connect(&hub, &format!("?ticket={ticket}")).await.closed().await, 4001, "deleted in between");
}

async fn path_must_be_ws(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for (path, status) in [("/ws/", 400), ("/socket", 400), ("/api/ws", 400), ("/", 200)] {
        let ticket = ada.ws_ticket().await;
        match Socket::try_connect(&hub, &format!("{path}?ticket={ticket}")).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), status, "{path}"),
            Err(other) => panic!("{path}: {other}"),
            Ok(_) => panic!("{path} is no socket"),
        }
    }
}

/// Browsers give a connection up on which none of the subprotocols that they offered was taken.
async fn the_first_subprotocol_is_taken(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for ticket in [ada.ws_ticket().await, "unknown".to_owned()] {
        let url = format!("{}/ws?ticket={ticket}", hub.url().replacen("http", "ws", 1));
        let offer = ClientRequestBuilder::new(url.parse().unwrap()).with_sub_protocol("v2").with_sub_protocol("v1");
        let (_, answer) = tokio_tungstenite::connect_async(offer).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "v2", "{ticket}");
    }
}

async fn pending_and_rejected_bots(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let ticket = ada.ws_ticket().await;
    let mut socket = ada.socket().await;
    org.patch(format!("/api/org/bots/{}/status", ada.id), json!({"status": "rejected"})).await.ok();
    assert_eq!(socket.closed_with_reason().await, (4403, "bot_rejected".to_owned()));
    let mut late = Socket::connect(&hub, &format!("?ticket={ticket}")).await;
    assert_eq!(late.closed_with_reason().await, (4403, "bot_rejected".to_owned()));
    let refused = ada.call("POST", "/api/ws-ticket").await.refused(403, "BOT_NOT_ACTIVE");
    assert_eq!(refused["join_status"], "rejected");
    org.patch(format!("/api/org/bots/{}/status", ada.id), json!({"status": "active"})).await.ok();
    ada.socket().await.quiet().await;
}

async fn ping_and_refs(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    ada.send(&bob, "the channel is there").await.ok();
    let mut socket = ada.socket().await;
    socket.send(&json!({"type": "ping", "ref": "r"})).await;
    assert_eq!(socket.next("pong").await, json!({"type": "pong", "ref": "r"}));
    socket.send(&json!({"type": "ping"})).await;
    assert_eq!(socket.next("pong").await, json!({"type": "pong"}), "no ref where none was sent");
    for reference in [json!("text"), json!(7), json!({"a": 1}), json!(true), json!([1])] {
        socket.send(&json!({"type": "send_dm", "to": "bob", "content": "c", "ref": reference})).await;
        let events = socket.events(2).await;
        assert_eq!(
            (&events[0]["type"], &events[1]["type"]),
            (&json!("message"), &json!("ack")),
            "{reference}: events come before the ack"
        );
        assert_eq!(events[1]["ref"], reference, "{reference}");
        socket.send(&json!({"type": "send_dm", "to": "nobody", "content": "c", "ref": reference})).await;
        assert_eq!(socket.next("error").await["ref"], reference, "{reference}");
    }
    socket.drain().await;
    for absent in [json!(null), json!(""), json!(0), json!(false)] {
        socket.send(&json!({"type": "send_dm", "to": "bob", "content": "c", "ref": absent})).await;
        let events = socket.drain().await;
        let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        assert!(!kinds.contains(&"ack"), "no ref, no ack: {kinds:?}");
        socket.send(&json!({"type": "send_dm", "to": "nobody", "content": "c", "ref": absent})).await;
        assert!(socket.next("error").await.get("ref").is_none(), "{absent}");
    }
}

async fn frames_of_every_shape(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    ada.send(&bob, "the channel is there").await.ok();
    let mut socket = ada.socket().await;
    let ping = "{\"type\": \"ping\", \"filler\": \"🎉 text\"}";
    socket.send_message(Message::binary(ping.as_bytes().to_vec())).await;
    socket.next("pong").await;
    for size in [1, 7, ping.len()] {
        socket.send_fragmented(ping, size).await;
        socket.next("pong").await;
    }
    let long = "字".repeat(60_000);
    let op = json!({"type": "send_dm", "to": "bob", "content": long, "ref": "big"}).to_string();
    socket.send_fragmented(&op, 4_096).await;
    assert_eq!(socket.next("ack").await["ref"], "big");
    assert_eq!(socket.next("message").await["message"]["content"], long);
    socket.send_message(Message::Ping("are you there".into())).await;
    socket.quiet().await;
}

async fn bad_frames_do_not_end_the_socket(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut socket = ada.socket().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{{\"type\":\"send_dm\",\"to\":\"bob\",\"content\":\"c\",\"x\":{deep}}}");
    let unparseable = [
        "",
        " ",
        "{",
        "nonsense",
        "{\"type\":\"ping\"} trailing",
        "\"\\ud800\"",
        "{\"type\": \"\\ud800\"}",
        "\u{0}",
        &deep,
        &deep_object,
    ];
    for text in unparseable {
        socket.send_message(Message::text(text)).await;
        let error = socket.next("error").await;
        assert_eq!((&error["code"], error.get("ref")), (&json!("VALIDATION_ERROR"), None), "{error}");
    }
    socket.send_message(Message::binary(vec![0xff, 0xfe, 0x00])).await;
    assert_eq!(socket.next("error").await["code"], "VALIDATION_ERROR");
    for shape in ["null", "[]", "7", "\"text\"", "{}", "{\"type\": 7}", "{\"type\": null}"] {
        socket.send_message(Message::text(shape)).await;
        assert!(socket.next("error").await["code"].is_string(), "{shape}");
    }
    socket.op(json!({"type": "fly"})).await.refused("UNKNOWN_OP");
    socket.op(json!({"type": "SEND_DM"})).await.refused("UNKNOWN_OP");
    socket.op(json!({"type": "send_dm", "to": "bob", "content": "still alive"})).await.ack();
}

async fn oversized_messages_close_with_1009(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut socket = ada.socket().await;
    let large = json!({"type": "ping", "filler": "x".repeat(1_000_000)}).to_string();
    socket.send_message(Message::text(large)).await;
    socket.next("pong").await;
    let huge = "x".repeat(20 * 1024 * 1024);
    let _ = tokio::time::timeout(DEADLINE, socket.send_message(Message::text(huge))).await;
    let code = socket.closed().await;
    assert!([1009, 1006].contains(&code), "closed with {code}");
}

async fn pipelined_ops_are_answered_in_order(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let (mut sender, mut reader) = (ada.socket().await, bob.socket().await);
    let mut refs = Vec::new();
    for n in 0..100 {
        refs.push(
            sender
                .start(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": n.to_string()}))
                .await,
        );
    }
    for reference in &refs {
        sender.answer(reference).await.unwrap().ack();
    }
    let mut contents = Vec::new();
    for _ in 0..100 {
        contents.push(reader.next("thread_message").await["message"].text("content"));
    }
    let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(contents, expected);
    let history: Vec<String> =
        ada.messages(&thread, "?limit=200").await.list().iter().map(|m| m.text("content")).collect();
    assert_eq!(history, expected);
}

async fn a_human_and_an_admin_on_the_socket(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut human = ada.human("Ann").await.socket().await;
    human.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.refused("DM_SEND_BLOCKED");
    human.op(json!({"type": "send_thread_message", "thread_id": thread["id"], "content": "c"})).await.ack();
    let said = bob.messages(&thread, "").await.list().remove(0);
    assert_eq!(said["metadata"]["provenance"]["authored_by"], "human", "a human is marked on every path");
    let mut admin = org.socket().await;
    admin.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.refused("FORBIDDEN");
    let mut reader = ada.scoped(&["read"]).await.socket().await;
    reader.op(json!({"type": "send_dm", "to": "bob", "content": "c"})).await.refused("INSUFFICIENT_SCOPE");
    ada.say(&thread, "all sockets of a participant hear").await.ok();
    for socket in [&mut human, &mut reader] {
        assert_eq!(socket.next("thread_message").await["thread_id"], thread["id"]);
    }
}

async fn subscriptions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (thread, unwatched) = (ada.thread("t", &[]).await, ada.thread("u", &[]).await);
    let channel = ada.send(&bob, "c").await.ok()["channel_id"].clone();
    let mut admin = org.socket().await;
    admin.drain().await;
    admin.send(&json!({"type": "subscribe", "thread_id": thread["id"]})).await;
    admin.send(&json!({"type": "subscribe", "thread_id": thread["id"], "channel_id": channel})).await;
    assert!(admin.drain().await.is_empty(), "a subscription without ref is not acknowledged");
    ada.say(&thread, "watched").await.ok();
    ada.say(&unwatched, "unwatched").await.ok();
    ada.send(&bob, "watched").await.ok();
    let events = admin.events(2).await;
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&json!("thread_message"), &json!("message")));
    admin.quiet().await;
    admin.send(&json!({"type": "unsubscribe", "thread_id": thread["id"], "channel_id": channel})).await;
    admin.drain().await;
    ada.say(&thread, "no more").await.ok();
    ada.send(&bob, "no more").await.ok();
    admin.quiet().await;
    let mut bot = ada.socket().await;
    bot.send(&json!({"type": "subscribe", "thread_id": thread["id"]})).await;
    let error = bot.next("error").await;
    assert!(error.text("message").contains("org admin"), "{error}");
}

async fn subscription_limit(hub: TestHub) {
    let org = hub.with_org("a").await;
    let mut admin = org.socket().await;
    for n in 0..100 {
        admin.send(&json!({"type": "subscribe", "thread_id": format!("t{n}")})).await;
    }
    assert!(admin.drain().await.is_empty());
    admin.send(&json!({"type": "subscribe", "thread_id": "one too many"})).await;
    let message = admin.next("error").await.text("message");
    assert!(message.contains("limit") && message.contains("100"), "{message}");
    admin.send(&json!({"type": "unsubscribe", "thread_id": "t5"})).await;
    admin.send(&json!({"type": "subscribe", "thread_id": "fits again"})).await;
    assert!(admin.drain().await.is_empty());
}

/// Events caused right after the client saw the socket open must reach it, and never with the 101 in one segment.
async fn nothing_is_lost_right_after_open(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for n in 0..20 {
        let mut socket = bob.socket().await;
        ada.send(&bob, &n.to_string()).await.ok();
        assert_eq!(socket.next("message").await["message"]["content"], n.to_string());
        socket.close().await;
    }
}

pub async fn logout_closes_the_session_sockets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let (one, two) = (ada.human("Ann").await, ada.human("Ben").await);
    let (mut first, mut second, mut token) = (one.socket().await, two.socket().await, ada.socket().await);
    one.post("/api/auth/logout", json!({})).await.ok();
    assert_eq!(first.closed().await, 4002);
    second.quiet().await;
    let sessions = org.get("/api/org/sessions").await.ok();
    let ben = sessions.items("items").iter().find(|s| s["owner_name"] == "Ben").unwrap();
    org.delete(format!("/api/org/sessions/{}", ben.text("ref"))).await.ok();
    assert_eq!(second.closed().await, 4002);
    token.quiet().await;
}

async fn deletion_closes_the_bot_sockets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (mut own, mut human, mut other) =
        (ada.socket().await, ada.human("Ann").await.socket().await, bob.socket().await);
    other.drain().await;
    org.delete(format!("/api/bots/{}", ada.id)).await.ok();
    assert_eq!((own.closed().await, human.closed().await), (4002, 4002));
    assert_eq!(other.next("bot_offline").await["bot"], json!({"id": ada.id, "name": "ada"}));
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), other.next("bot_offline")).await;
    assert!(more.is_err(), "offline is said once");
}

async fn suspension_closes_every_socket_of_the_org(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ada = org.bot("ada").await;
    let (mut bot, mut admin, mut foreign) =
        (ada.socket().await, org.socket().await, other.bot("bob").await.socket().await);
    let (bot_ticket, admin_ticket) = (ada.ws_ticket().await, org.ws_ticket().await);
    hub.super_admin().await.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    assert_eq!((bot.closed().await, admin.closed().await), (4100, 4100));
    for (what, ticket) in [("bot", bot_ticket), ("admin", admin_ticket)] {
        assert_eq!(Socket::connect(&hub, &format!("?ticket={ticket}")).await.closed().await, 4100, "{what}");
    }
    ada.call("POST", "/api/ws-ticket").await.refused(403, "ORG_SUSPENDED");
    foreign.quiet().await;
}

async fn destruction_closes_every_socket_of_the_org(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let (mut bot, mut admin) = (ada.socket().await, org.socket().await);
    hub.super_admin().await.delete(format!("/api/orgs/{}", org.id)).await.status(204);
    assert_eq!((bot.closed().await, admin.closed().await), (4101, 4101));
    ada.me().await.refused(401, "INVALID_TOKEN");
}

async fn secret_rotation_closes_admin_sockets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let (mut bot, mut admin) = (ada.socket().await, org.socket().await);
    org.post("/api/org/rotate-secret", json!({})).await.ok();
    assert_eq!(admin.closed().await, 4002);
    bot.quiet().await;
}

async fn a_revoked_token_loses_its_socket(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["message"]})).await.ok();
    let mut scoped = Caller::bearer(&hub, &token.text("token")).socket().await;
    let mut primary = ada.socket().await;
    ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
    let started = std::time::Instant::now();
    let code = scoped.closed().await;
    assert!([4001, 4002].contains(&code), "closed with {code}");
    assert!(started.elapsed().as_millis() < 1000);
    primary.quiet().await;
    let short = ada.post("/api/me/tokens", json!({"scopes": ["message"], "expires_in": 300})).await.ok();
    let mut expiring = Caller::bearer(&hub, &short.text("token")).socket().await;
    let code = expiring.closed().await;
    assert!([4001, 4002].contains(&code), "closed with {code}");
}

fn short_heartbeat(config: &mut Config) {
    config.sockets.heartbeat_seconds = 1;
}

/// A peer that answers no ping is dropped; it never reads, so it learns of it when it looks again.
async fn silent_peers_are_dropped(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut watcher = bob.socket().await;
    let silent = ada.socket().await.into_stream();
    watcher.next("bot_online").await;
    assert_eq!(watcher.next("bot_offline").await["bot"]["name"], "ada");
    drop(silent);
}

async fn talking_peers_stay(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut socket = ada.socket().await;
    for _ in 0..12 {
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        socket.quiet().await;
    }
}

fn few_sockets(config: &mut Config) {
    config.sockets.per_bot = 2;
    config.sockets.per_org = 3;
}

async fn sockets_are_limited_per_bot_and_organisation(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (_first, second) = (ada.socket().await, ada.socket().await);
    let refused = async |caller: &Caller| {
        let query = format!("?ticket={}", caller.ws_ticket().await);
        Socket::connect(&hub, &query).await.closed_with_reason().await
    };
    assert_eq!(refused(&ada).await, (1013, "too many sockets of this bot".to_owned()));
    let _third = bob.socket().await;
    let full = (1013, "too many sockets of this organisation".to_owned());
    assert_eq!([refused(&bob).await, refused(&org).await], [full.clone(), full]);
    let mut elsewhere = hub.with_org("b").await.bot("cleo").await.socket().await;
    elsewhere.send(&json!({"type": "ping"})).await;
    elsewhere.next("pong").await;
    second.close().await;
    let connected = || async { hub.anonymous().get("/health").await.ok().int("connected_clients") };
    eventually(connected, |count| *count == 3).await;
    let mut admin = org.socket().await;
    admin.send(&json!({"type": "ping"})).await;
    admin.next("pong").await;
}
