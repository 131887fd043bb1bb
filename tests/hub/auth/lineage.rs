//! What a token makes ends with it, and lasts no longer than it: tokens and what those make in turn, sessions, sockets,
//! tickets of both kinds, links; and what a scoped token may not make at all, because it would stay.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    tokens_end_with_the_token_that_made_them,
    a_token_made_by_a_session_ends_with_the_token_of_the_session,
    sockets_and_sessions_of_descendants_end,
    a_revoked_token_makes_nothing_more,
    what_a_token_makes_ends_when_it_expires,
    registration_tickets_end_with_the_token_that_made_them,
    what_would_stay_needs_more_than_a_token_that_ends with loopback_webhooks,
    links_do_not_outlive_the_token_that_made_them with absolute_links,
    rotation_can_end_every_scoped_token,
    a_scope_that_a_token_lacks_is_not_in_its_children,
}

fn loopback_webhooks(config: &mut Config) {
    config.webhooks.allow = vec!["127.0.0.1".to_owned()];
}

fn absolute_links(config: &mut Config) {
    config.files.absolute_links = true;
}

/// A scoped token made by this credential: its id, and the bot that comes with it.
async fn made_by(bot: &Bot, body: Value) -> (String, Bot) {
    let token = bot.post("/api/me/tokens", body).await.ok();
    (token.id(), bot.by(Caller::bearer(&bot.hub, &token.text("token"))))
}

async fn full(bot: &Bot) -> (String, Bot) {
    made_by(bot, json!({"scopes": ["full"]})).await
}

/// A `full` token made by a token outlived the one that made it: whoever had stolen one made itself another in time.
async fn tokens_end_with_the_token_that_made_them(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let (parent, by_parent) = full(&ada).await;
    let (_, child) = full(&by_parent).await;
    let (_, grandchild) = full(&child).await;
    let (_, other) = full(&ada).await;
    for warm in [&by_parent, &child, &grandchild, &other] {
        warm.me().await.ok();
    }
    ada.delete(format!("/api/me/tokens/{parent}")).await.ok();
    for gone in [&by_parent, &child, &grandchild] {
        gone.me().await.refused(401, "INVALID_TOKEN");
    }
    other.me().await.ok();
    assert_eq!(ada.get("/api/me/tokens").await.list().len(), 1, "what is gone is not listed");
    // One in the middle takes only what came after it.
    let (_, first) = full(&other).await;
    let (second_id, second) = full(&first).await;
    let (_, third) = full(&second).await;
    first.delete(format!("/api/me/tokens/{second_id}")).await.ok();
    for gone in [&second, &third] {
        gone.me().await.refused(401, "INVALID_TOKEN");
    }
    for stays in [&other, &first] {
        stays.me().await.ok();
    }
}

async fn a_token_made_by_a_session_ends_with_the_token_of_the_session(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let (parent, by_parent) = full(&ada).await;
    let (_, child) = full(&by_parent.human("Ann").await).await;
    let (_, of_owner) = full(&ada.human("Ben").await).await;
    ada.delete(format!("/api/me/tokens/{parent}")).await.ok();
    child.me().await.refused(401, "INVALID_TOKEN");
    of_owner.me().await.ok();
}

pub async fn sockets_and_sessions_of_descendants_end(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let (parent, by_parent) = full(&ada).await;
    let (_, child) = full(&by_parent).await;
    let human = child.human("Ann").await;
    let (_, of_human) = full(&human).await;
    let ticket = of_human.ws_ticket().await;
    let mut sockets = [child.socket().await, human.socket().await, of_human.socket().await];
    let mut own = ada.socket().await;
    let again = child.human("Ben").await;
    again.me().await.ok();
    ada.delete(format!("/api/me/tokens/{parent}")).await.ok();
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4001);
    }
    for gone in [&human, &again] {
        gone.me().await.refused(401, "AUTH_REQUIRED");
    }
    let mut late = Socket::connect(&hub, &format!("?ticket={ticket}")).await;
    assert_eq!(late.closed().await, 4001);
    bob.send(&ada, "still there").await.ok();
    own.next("message").await;
}

async fn a_revoked_token_makes_nothing_more(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    for round in 0..6 {
        let (parent, thief) = full(&boss).await;
        let revoke = boss.delete(format!("/api/me/tokens/{parent}"));
        let body = json!({"scopes": ["full"]});
        let (revoked, token, ticket) =
            tokio::join!(async { revoke.await.ok() }, async { thief.post("/api/me/tokens", body).await }, async {
                thief.post("/api/org/tickets", json!({"reusable": true, "expires_in": 0})).await
            },);
        assert_eq!(revoked, json!({"ok": true}));
        match token.status {
            200 => {
                let child = boss.by(Caller::bearer(&hub, &token.ok().text("token")));
                child.me().await.refused(401, "INVALID_TOKEN");
            }
            _ => drop(token.refused(401, "INVALID_TOKEN")),
        }
        if ticket.status == 200 {
            let name = format!("late{round}");
            org.register(json!({"ticket": ticket["ticket"], "name": name})).await.refused(401, "INVALID_TICKET");
        } else {
            ticket.refused(401, "INVALID_TOKEN");
        }
    }
    assert_eq!(boss.get("/api/me/tokens").await.list(), Vec::<Value>::new());
}

async fn what_a_token_makes_ends_when_it_expires(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["full"], "expires_in": 3_000})).await.ok();
    let until = token.int("expires_at");
    let parent = ada.by(Caller::bearer(&hub, &token.text("token")));
    let mut made = Vec::new();
    let mut maker = parent.clone();
    for asked in
        [json!({"scopes": ["full"]}), json!({"scopes": ["full"], "expires_in": 9_000_000}), json!({"scopes": ["full"]})]
    {
        let child = maker.post("/api/me/tokens", asked).await.ok();
        assert!(child.int("expires_at") <= until, "{child}");
        maker = ada.by(Caller::bearer(&hub, &child.text("token")));
        made.push(maker.clone());
    }
    let login = json!({"type": "bot", "token": maker.secret()});
    let (human, session) = Caller::login(&hub, login).await;
    assert!(session.int("expires_at") <= until, "{session}");
    let mut sockets = [maker.socket().await, human.socket().await];
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 4001);
    }
    for gone in made {
        eventually(|| async { gone.me().await.status }, |status| *status == 401).await;
    }
    human.get("/api/me").await.refused(401, "AUTH_REQUIRED");
}

async fn registration_tickets_end_with_the_token_that_made_them(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    let ticket = |by: &Bot, seconds: i64| by.post("/api/org/tickets", json!({"reusable": true, "expires_in": seconds}));
    let (parent, by_parent) = full(&boss).await;
    let (_, child) = full(&by_parent).await;
    let (of_boss, of_child) = (ticket(&boss, 0).await.ok(), ticket(&child, 0).await.ok());
    assert_eq!((of_boss.int("expires_at"), of_child.int("expires_at")), (0, 0));
    org.register(json!({"ticket": of_child["ticket"], "name": "ada"})).await.ok();
    boss.delete(format!("/api/me/tokens/{parent}")).await.ok();
    org.register(json!({"ticket": of_child["ticket"], "name": "bob"})).await.refused(401, "INVALID_TICKET");
    org.register(json!({"ticket": of_boss["ticket"], "name": "bob"})).await.ok();
    // One that ends makes none that lasts longer, whatever is asked for.
    let token = boss.post("/api/me/tokens", json!({"scopes": ["full"], "expires_in": 60_000})).await.ok();
    let until = token.int("expires_at");
    let ending = boss.by(Caller::bearer(&hub, &token.text("token")));
    for (asked, expected) in [(0, until), (86_400, until)] {
        assert_eq!(ticket(&ending, asked).await.ok().int("expires_at"), expected, "asked for {asked}");
    }
    assert!(ticket(&ending, 1).await.ok().int("expires_at") < until);
    let by_session = ticket(&ending.human("Ann").await, 0).await.ok();
    assert_eq!(by_session.int("expires_at"), until);
}

async fn what_would_stay_needs_more_than_a_token_that_ends(hub: TestHub) {
    let org = hub.with_org("a").await;
    let boss = org.admin_bot("boss").await;
    let receiver = Receiver::start();
    let hook = |by: &Bot| by.patch("/api/me/webhook", json!({"webhook_url": receiver.url()}));
    let (_, ending) = made_by(&boss, json!({"scopes": ["full"], "expires_in": 60_000})).await;
    let (_, lasting) = full(&boss).await;
    let (_, child) = full(&ending).await;
    for caller in [&ending, &child, &ending.human("Ann").await] {
        hook(caller).await.forbidden();
        caller.post("/api/me/webhook/secret", json!({})).await.forbidden();
        caller.post("/api/me/rotate-token", json!({})).await.forbidden();
        caller.post("/api/org/rotate-secret", json!({})).await.forbidden();
    }
    for caller in [&lasting, &lasting.human("Ann").await] {
        caller.post("/api/me/rotate-token", json!({})).await.forbidden();
        caller.post("/api/org/rotate-secret", json!({})).await.forbidden();
    }
    hook(&lasting).await.ok();
    lasting.post("/api/me/webhook/secret", json!({})).await.ok();
    // What takes away stays possible.
    ending.patch("/api/me/webhook", json!({"webhook_url": null})).await.ok();
    boss.post("/api/org/rotate-secret", json!({})).await.ok();
    boss.human("Ben").await.post("/api/me/rotate-token", json!({})).await.ok();
}

async fn links_do_not_outlive_the_token_that_made_them(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let url = ada.upload("a.txt", "hello").await.ok().text("url");
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = bob.socket().await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["full"], "expires_in": 60_000})).await.ok();
    let ending = ada.by(Caller::bearer(&hub, &token.text("token")));
    let file = json!({"type": "file", "url": url, "name": "a.txt", "mime_type": "text/plain"});
    let message = json!({"content": "see", "parts": [file]});
    for (sender, is_bounded) in [(&ada, false), (&ending, true)] {
        sender.message(&thread, message.clone()).await.ok();
        let link = socket.next("thread_message").await["message"]["parts"][0].text("url");
        let end: i64 = link.split("exp=").nth(1).unwrap().split('&').next().unwrap().parse().unwrap();
        assert_eq!(end <= token.int("expires_at") / 1000, is_bounded, "{link}");
    }
}

async fn rotation_can_end_every_scoped_token(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let (_, token) = full(&ada).await;
    let (_, child) = full(&token).await;
    let mut socket = child.socket().await;
    for bad in [json!(1), json!("yes"), json!([])] {
        ada.post("/api/me/rotate-token", json!({"revoke_tokens": bad})).await.invalid();
    }
    let body = json!({"revoke_tokens": true, "grace_seconds": 60});
    let rotated = ada.post("/api/me/rotate-token", body).await.ok();
    assert_eq!(socket.closed().await, 4001);
    for gone in [&token, &child] {
        gone.me().await.refused(401, "INVALID_TOKEN");
    }
    ada.me().await.ok();
    let new = ada.by(Caller::bearer(&hub, &rotated.text("token")));
    let kept = new.get("/api/me/tokens").await.list();
    assert_eq!(kept.len(), 1, "the old primary token, for its grace");
    let (_, of_old) = full(&ada).await;
    new.delete(format!("/api/me/tokens/{}", kept[0].text("id"))).await.ok();
    of_old.me().await.refused(401, "INVALID_TOKEN");
}

/// Only `full` makes tokens, so a child can have no scope that its maker lacks, and a person's session neither.
async fn a_scope_that_a_token_lacks_is_not_in_its_children(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for scope in ["read", "thread", "message", "profile"] {
        let scoped = ada.scoped(&[scope]).await;
        for caller in [&scoped, &scoped.human("Ann").await] {
            caller.post("/api/me/tokens", json!({"scopes": [scope]})).await.refused(403, "INSUFFICIENT_SCOPE");
            caller.post("/api/me/rotate-token", json!({})).await.refused(403, "INSUFFICIENT_SCOPE");
            caller.patch("/api/me/webhook", json!({"webhook_url": null})).await.refused(403, "INSUFFICIENT_SCOPE");
        }
    }
    let all = ada.scoped(&["read", "thread", "message", "profile"]).await;
    all.post("/api/me/tokens", json!({"scopes": ["full"]})).await.refused(403, "INSUFFICIENT_SCOPE");
}
