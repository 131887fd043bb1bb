//! Replacing a bot's primary token: what ends, what lives on, and who may.

use crate::harness::*;

on_both_databases! {
    the_old_token_ends_at_once,
    the_old_token_lives_on_for_its_grace,
    sockets_and_sessions_of_the_old_token_end,
    who_may_rotate,
    one_of_two_rotations_wins,
}

fn rotate(bot: &Bot, body: Value) -> Call {
    bot.post("/api/me/rotate-token", body)
}

fn with_new(bot: &Bot, rotated: &Value) -> Bot {
    bot.by(Caller::bearer(&bot.hub, &rotated.text("token")))
}

async fn the_old_token_ends_at_once(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let scoped = ada.scoped(&["read"]).await;
    let ticket = ada.ws_ticket().await;
    let rotated = rotate(&ada, json!({})).await.ok();
    assert_eq!(shape(&rotated), json!({"bot_id": "[uuid]", "old_token_expires_at": null, "token": "[bot token]"}));
    let new = with_new(&ada, &rotated);
    assert_eq!(new.me().await.ok()["id"], ada.id.as_str());
    ada.me().await.refused(401, "INVALID_TOKEN");
    scoped.me().await.ok();
    let mut late = Socket::connect(&hub, &format!("?ticket={ticket}")).await;
    assert_eq!(late.closed().await, 4001, "a ticket holds no right of its own");
    hub.anonymous().post("/api/auth/login", json!({"type": "bot", "token": ada.secret()})).await.status(401);
    let audit = org.audit("bot.token_rotate").await;
    assert_eq!((audit.len(), &audit[0]["target_id"]), (1, &json!(ada.id)));
    assert!(!audit[0].to_string().contains(&rotated.text("token")));
    let again = with_new(&ada, &rotate(&new, json!({"grace_seconds": 0})).await.ok());
    new.me().await.refused(401, "INVALID_TOKEN");
    again.me().await.ok();
}

async fn the_old_token_lives_on_for_its_grace(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    ada.me().await.ok();
    let rotated = rotate(&ada, json!({"grace_seconds": 2})).await.ok();
    let new = with_new(&ada, &rotated);
    let until = rotated.int("old_token_expires_at");
    assert!((1..=2000).contains(&(until - now_ms())), "{rotated}");
    ada.me().await.ok();
    new.me().await.ok();
    let mut socket = ada.socket().await;
    rotate(&ada, json!({})).await.forbidden();
    let kept = new.get("/api/me/tokens").await.list();
    assert_eq!((kept.len(), &kept[0]["scopes"], &kept[0]["expires_at"]), (1, &json!(["full"]), &json!(until)));
    assert_eq!(socket.closed().await, 4001, "when the grace is over");
    eventually(|| async { ada.me().await.status }, |status| *status == 401).await;
    // Grace can be cut short.
    let newest = with_new(&ada, &rotate(&new, json!({"grace_seconds": 86_400})).await.ok());
    let kept = newest.get("/api/me/tokens").await.list();
    newest.delete(format!("/api/me/tokens/{}", kept[0].text("id"))).await.ok();
    new.me().await.refused(401, "INVALID_TOKEN");
    for bad in [json!(-1), json!(86_401), json!(1.5), json!("1"), json!(true), json!([])] {
        rotate(&newest, json!({ "grace_seconds": bad })).await.invalid();
    }
    newest.me().await.ok();
}

async fn sockets_and_sessions_of_the_old_token_end(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let scoped = ada.scoped(&["read"]).await;
    let human = ada.human("Ann").await;
    let other = Caller::login(&hub, json!({"type": "bot", "token": scoped.secret()})).await.0;
    let (mut own, mut of_scoped, mut of_human, mut of_bob) =
        (ada.socket().await, scoped.socket().await, human.socket().await, bob.socket().await);
    let rotated = rotate(&ada, json!({"grace_seconds": 60})).await.ok();
    assert_eq!((own.closed().await, of_human.closed().await), (4001, 4001));
    human.me().await.refused(401, "AUTH_REQUIRED");
    other.get("/api/me").await.ok();
    ada.me().await.ok();
    of_scoped.drain().await;
    of_bob.drain().await;
    let mut again = with_new(&ada, &rotated).socket().await;
    again.drain().await;
}

async fn who_may_rotate(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for scope in ["read", "thread", "message", "profile"] {
        rotate(&ada.scoped(&[scope]).await, json!({})).await.refused(403, "INSUFFICIENT_SCOPE");
    }
    let ending = ada.post("/api/me/tokens", json!({"scopes": ["full"], "expires_in": 60_000})).await.ok();
    rotate(&with_new(&ada, &ending), json!({})).await.forbidden();
    let human = ada.human("Ann").await;
    let rotated = rotate(&human, json!({})).await.ok();
    human.me().await.refused(401, "AUTH_REQUIRED");
    // It would get a token that does not end with it.
    rotate(&with_new(&ada, &rotated).scoped(&["full"]).await, json!({})).await.forbidden();
}

async fn one_of_two_rotations_wins(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let replies = futures_util::future::join_all((0..8).map(|_| async { rotate(&ada, json!({})).await })).await;
    let mut winners = Vec::new();
    for reply in replies {
        match reply.status {
            200 => winners.push(reply.ok()),
            401 => drop(reply.refused(401, "INVALID_TOKEN")),
            _ => drop(reply.refused(409, "CONFLICT")),
        }
    }
    assert_eq!(winners.len(), 1);
    with_new(&ada, &winners[0]).me().await.ok();
}
