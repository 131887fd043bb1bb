//! Who is online: what sockets do to it, and who is told.

use crate::harness::*;

on_both_databases! {
    online_and_offline,
    several_sockets_of_one_bot,
    humans_do_not_make_a_bot_online,
    the_bot_itself_is_not_told,
    other_organisations_are_not_told,
    quick_reconnects_end_online,
    last_seen,
}

async fn is_online(watcher: &Bot, bot: &Bot, expected: bool) {
    let ask = || async { watcher.get(format!("/api/bots/{}", bot.id)).await.ok()["online"].clone() };
    eventually(ask, |online| *online == expected).await;
}

async fn online_and_offline(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [x, y] = org.bots(["x", "y"]).await;
    let (mut bot, mut admin) = (y.socket().await, org.socket().await);
    let mut human = y.human("Ann").await.socket().await;
    let socket = x.socket().await;
    for watcher in [&mut bot, &mut admin, &mut human] {
        let event = watcher.next("bot_online").await;
        assert_eq!(event.keys(), ["bot", "epoch", "seq", "type"]);
        assert_eq!(event["bot"], json!({"id": x.id, "name": "x"}));
    }
    is_online(&y, &x, true).await;
    socket.close().await;
    for watcher in [&mut bot, &mut admin, &mut human] {
        assert_eq!(watcher.next("bot_offline").await["bot"]["name"], "x");
    }
    is_online(&y, &x, false).await;
    let again = x.socket().await;
    drop(again);
    assert_eq!(bot.next("bot_offline").await["bot"]["name"], "x", "also when the peer just vanishes");
}

async fn several_sockets_of_one_bot(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    let mut watcher = y.socket().await;
    let (one, two) = (x.socket().await, x.scoped(&["read"]).await.socket().await);
    watcher.next("bot_online").await;
    one.close().await;
    is_online(&y, &x, true).await;
    two.close().await;
    watcher.next("bot_offline").await;
    let third = x.socket().await;
    watcher.next("bot_online").await;
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), watcher.next("bot_offline")).await;
    assert!(more.is_err(), "one offline for two sockets");
    drop(third);
}

async fn humans_do_not_make_a_bot_online(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    let mut watcher = y.socket().await;
    let human = x.human("Ann").await.socket().await;
    is_online(&y, &x, false).await;
    let token = x.socket().await;
    assert_eq!(watcher.next("bot_online").await["bot"]["name"], "x", "the human came first and does not count");
    token.close().await;
    watcher.next("bot_offline").await;
    human.close().await;
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), watcher.next("bot_offline")).await;
    assert!(more.is_err());
}

async fn the_bot_itself_is_not_told(hub: TestHub) {
    let x = hub.with_org("a").await.bot("x").await;
    let (mut human, mut first) = (x.human("Ann").await.socket().await, x.socket().await);
    x.socket().await.close().await;
    for own in [&mut human, &mut first] {
        let told = tokio::time::timeout(std::time::Duration::from_millis(100), own.next("bot_online")).await;
        assert!(told.is_err());
    }
}

async fn other_organisations_are_not_told(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let mut foreign = other.bot("f").await.socket().await;
    org.bot("x").await.socket().await.close().await;
    for kind in ["bot_online", "bot_offline"] {
        let told = tokio::time::timeout(std::time::Duration::from_millis(50), foreign.next(kind)).await;
        assert!(told.is_err());
    }
}

/// Online and offline used to be written by racing tasks, so a quick reconnect could end up offline.
async fn quick_reconnects_end_online(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    for _ in 0..10 {
        drop(x.socket().await);
    }
    let last = x.socket().await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    is_online(&y, &x, true).await;
    last.close().await;
    is_online(&y, &x, false).await;
}

async fn last_seen(hub: TestHub) {
    let [x, y] = hub.with_org("a").await.bots(["x", "y"]).await;
    let seen = y.get(format!("/api/bots/{}", x.id)).await.ok();
    assert_eq!(seen["last_seen_at"], seen["created_at"]);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    x.socket().await.close().await;
    let ask = || async { y.get(format!("/api/bots/{}", x.id)).await.ok() };
    eventually(ask, |bot| bot.int("last_seen_at") > bot.int("created_at")).await;
}
