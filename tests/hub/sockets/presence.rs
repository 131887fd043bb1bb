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
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (mut bot, mut admin) = (bob.socket().await, org.socket().await);
    let mut human = bob.human("Ann").await.socket().await;
    let socket = ada.socket().await;
    for watcher in [&mut bot, &mut admin, &mut human] {
        let event = watcher.next("bot_online").await;
        assert_eq!(event.keys(), ["bot", "epoch", "seq", "type"]);
        assert_eq!(event["bot"], json!({"id": ada.id, "name": "ada"}));
    }
    is_online(&bob, &ada, true).await;
    socket.close().await;
    for watcher in [&mut bot, &mut admin, &mut human] {
        assert_eq!(watcher.next("bot_offline").await["bot"]["name"], "ada");
    }
    is_online(&bob, &ada, false).await;
    let again = ada.socket().await;
    drop(again);
    assert_eq!(bot.next("bot_offline").await["bot"]["name"], "ada", "also when the peer just vanishes");
}

async fn several_sockets_of_one_bot(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut watcher = bob.socket().await;
    let (one, two) = (ada.socket().await, ada.scoped(&["read"]).await.socket().await);
    watcher.next("bot_online").await;
    one.close().await;
    is_online(&bob, &ada, true).await;
    two.close().await;
    watcher.next("bot_offline").await;
    let third = ada.socket().await;
    watcher.next("bot_online").await;
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), watcher.next("bot_offline")).await;
    assert!(more.is_err(), "one offline for two sockets");
    drop(third);
}

async fn humans_do_not_make_a_bot_online(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut watcher = bob.socket().await;
    let human = ada.human("Ann").await.socket().await;
    is_online(&bob, &ada, false).await;
    let token = ada.socket().await;
    assert_eq!(watcher.next("bot_online").await["bot"]["name"], "ada", "the human came first and does not count");
    token.close().await;
    watcher.next("bot_offline").await;
    human.close().await;
    let more = tokio::time::timeout(std::time::Duration::from_millis(100), watcher.next("bot_offline")).await;
    assert!(more.is_err());
}

async fn the_bot_itself_is_not_told(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let (mut human, mut first) = (ada.human("Ann").await.socket().await, ada.socket().await);
    ada.socket().await.close().await;
    for own in [&mut human, &mut first] {
        let told = tokio::time::timeout(std::time::Duration::from_millis(100), own.next("bot_online")).await;
        assert!(told.is_err());
    }
}

async fn other_organisations_are_not_told(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let mut foreign = other.bot("finn").await.socket().await;
    org.bot("ada").await.socket().await.close().await;
    for kind in ["bot_online", "bot_offline"] {
        let told = tokio::time::timeout(std::time::Duration::from_millis(50), foreign.next(kind)).await;
        assert!(told.is_err(), "{kind}");
    }
}

/// Online and offline used to be written by racing tasks, so a quick reconnect could end up offline.
async fn quick_reconnects_end_online(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    for _ in 0..10 {
        drop(ada.socket().await);
    }
    let last = ada.socket().await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    is_online(&bob, &ada, true).await;
    last.close().await;
    is_online(&bob, &ada, false).await;
}

async fn last_seen(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let seen = bob.get(format!("/api/bots/{}", ada.id)).await.ok();
    assert_eq!(seen["last_seen_at"], seen["created_at"]);
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    ada.socket().await.close().await;
    let ask = || async { bob.get(format!("/api/bots/{}", ada.id)).await.ok() };
    eventually(ask, |bot| bot.int("last_seen_at") > bot.int("created_at")).await;
}
