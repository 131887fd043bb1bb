//! A webhook's settings: where it may lead, what is wanted, its secrets, and what an admin sees of its deliveries.

use hxa_connect::hub::config::Config;

use super::delivery::{
    SECRET, ada_to_hooked_bob, calm, deliveries, hooked, numbers, patient, quick, said, until_degraded,
};
use crate::harness::*;

on_both_databases! {
    delivered_events_can_be_sent_again with quick,
    admins_look_through_deliveries with quick,
    only_wanted_events_are_sent with quick,
    secrets_are_replaced_with_an_overlap with quick,
    a_webhook_moves_and_ends with patient,
    private_places_are_refused,
    webhook_fields_are_checked with quick,
}

async fn delivered_events_can_be_sent_again(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    ada.send(&bob, "0").await.ok();
    let first = receiver.took(1).await.remove(0);
    eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 1).await;
    let path = |bot: &str, id: &str| format!("/api/org/bots/{bot}/webhook/deliveries/{id}/replay");
    org.post(path(&bob.id, first.header("x-hub-delivery")), json!({})).await.ok();
    assert_eq!(receiver.took(2).await[1].header("x-hub-delivery"), first.header("x-hub-delivery"));
    org.post(path(&bob.id, NOBODY), json!({})).await.missing();
    org.post(path(&bob.id, "%00"), json!({})).await.missing();
    org.post(path(&ada.id, first.header("x-hub-delivery")), json!({})).await.missing();
    let other = hub.with_org("b").await;
    other.post(path(&bob.id, first.header("x-hub-delivery")), json!({})).await.missing();
    bob.post(path(&bob.id, first.header("x-hub-delivery")), json!({})).await.forbidden();
}

async fn admins_look_through_deliveries(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    for n in 0..5 {
        ada.send(&bob, &n.to_string()).await.ok();
    }
    eventually(|| deliveries(&org, &bob, "?status=delivered"), |done| done.len() == 5).await;
    let path = format!("/api/org/bots/{}/webhook/deliveries", bob.id);
    let mut ids = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let reply = org.get(format!("{path}{query}")).await;
        assert!(!reply.text.contains(SECRET) && !reply.text.contains("127.0.0.1"), "{}", reply.text);
        let page = reply.ok();
        ids.extend(page["items"].all("id").iter().map(|id| (*id).to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let posted: Vec<String> = receiver.posts().iter().map(|post| post.header("x-hub-delivery").to_owned()).collect();
    assert_eq!(ids.iter().rev().cloned().collect::<Vec<_>>(), posted);
    org.get(format!("{path}?status=lost")).await.invalid();
    org.get(format!("{path}?cursor=xx")).await.invalid();
    bob.get(&path).await.forbidden();
    hub.with_org("b").await.get(&path).await.missing();
}

async fn only_wanted_events_are_sent(hub: TestHub) {
    let (org, receiver) = (hub.with_org("a").await, Receiver::start());
    let ada = org.bot("ada").await;
    let fields = json!({
        "ticket": org.ticket, "name": "bob", "webhook_url": receiver.url(), "webhook_events": ["thread_message"],
    });
    let bob = org.bot_from(fields).await;
    let thread = ada.thread("t", &[&bob]).await;
    ada.send(&bob, "dm").await.ok();
    ada.say(&thread, "said").await.ok();
    let posts = receiver.took(1).await;
    assert_eq!(posts[0].said(), "said");
    for header in ["authorization", "x-hub-timestamp", "x-hub-signature-256"] {
        assert!(!posts[0].headers.contains_key(header), "{header} without a secret");
    }
    let changed = bob.patch("/api/me/webhook", json!({"webhook_events": ["message", "message"]})).await.ok();
    assert_eq!(changed["webhook_events"], json!(["message"]));
    ada.say(&thread, "unheard").await.ok();
    ada.send(&bob, "heard").await.ok();
    assert_eq!(said(&receiver.took(2).await), ["said", "heard"]);
    bob.patch("/api/me/webhook", json!({"webhook_events": null})).await.ok();
    ada.thread_patch(&thread, json!({"topic": "u"})).await.ok();
    assert_eq!(receiver.took(3).await[2].body["type"], "thread_updated");
}

async fn secrets_are_replaced_with_an_overlap(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let own = json!({"secret": "second-secret", "overlap_seconds": 60});
    let rotated = bob.post("/api/me/webhook/secret", own).await.ok();
    assert!(rotated.get("secret").is_none() && rotated["old_secret_until"].is_i64(), "{rotated}");
    ada.send(&bob, "0").await.ok();
    let post = receiver.took(1).await.remove(0);
    assert_eq!(post.header("authorization"), "Bearer second-secret");
    assert!(post.is_signed("x-hub-signature-256", "second-secret"));
    assert!(post.is_signed("x-hub-signature-256-old", SECRET), "a receiver that knows only the old one can go on");
    let rotated = bob.post("/api/me/webhook/secret", json!({"overlap_seconds": 0})).await.ok();
    let secret = rotated.text("secret");
    ada.send(&bob, "1").await.ok();
    let post = receiver.took(2).await.remove(1);
    assert!(post.is_signed("x-hub-signature-256", &secret));
    assert!(!post.headers.contains_key("x-hub-signature-256-old"));
    let shown = bob.get("/api/me/webhook").await;
    let trail = format!("{:?}", org.audit("bot.webhook_rotate").await);
    for secret in [SECRET, "second-secret", &secret] {
        assert!(!shown.text.contains(secret) && !trail.contains(secret), "{secret}: a secret is shown");
    }
    let without = org.bot("without").await;
    without.post("/api/me/webhook/secret", json!({})).await.missing();
    bob.scoped(&["read", "profile"]).await.post("/api/me/webhook/secret", json!({})).await.status(403);
}

async fn a_webhook_moves_and_ends(hub: TestHub) {
    let (org, old, new) = (hub.with_org("a").await, Receiver::start(), Receiver::start());
    let ada = org.bot("ada").await;
    let bob = hooked(&org, "bob", &old).await;
    old.always(Answer::Status(500));
    ada.send(&bob, "0").await.ok();
    ada.send(&bob, "1").await.ok();
    until_degraded(&ada, "bob").await;
    let moved = bob.patch("/api/me/webhook", json!({"webhook_url": new.url()})).await.ok();
    assert_eq!((&moved["webhook_url"], &moved["has_secret"]), (&json!(new.url()), &json!(true)));
    assert_eq!(said(&new.took(2).await), numbers(0..2), "what waited goes to the new place");
    assert_eq!(old.posts().len(), 1);
    new.always(Answer::Status(500));
    ada.send(&bob, "2").await.ok();
    until_degraded(&ada, "bob").await;
    let ended = bob.patch("/api/me/webhook", json!({"webhook_url": null})).await.ok();
    assert_eq!((&ended["webhook_url"], &ended["has_secret"]), (&json!(null), &json!(false)));
    ada.send(&bob, "3").await.ok();
    let listed = eventually(|| deliveries(&org, &bob, "?status=dead"), |dead| dead.len() == 1).await;
    assert_eq!(listed[0]["last_error"], "the bot has no webhook");
    calm().await;
    assert_eq!(new.posts().len(), 3);
    assert_eq!(deliveries(&org, &bob, "?status=pending").await.len(), 0);
}

async fn private_places_are_refused(hub: TestHub) {
    let org = hub.with_org("a").await;
    let bob = org.bot("bob").await;
    let trap = Receiver::start();
    let port = trap.url().rsplit(':').next().unwrap().split('/').next().unwrap().to_owned();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "0.0.0.0",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[2001:db8::1]",
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "169.254.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "user@127.0.0.1",
        "user:pw@example.com",
        "example.com@127.0.0.1",
        "[::ffff:10.0.0.1]",
        "[::ffff:169.254.169.254]",
        "127.255.255.254",
        "127.000.000.001",
        "0x7f.0x0.0x0.0x1",
        "0X7F000001",
        "017700000001.",
        "127.0.1",
        "０x7f.1",
        "127.0.0.1\\@example.com",
        "127.0.0.1#@example.com",
        "127.0.0.1%00.example.com",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::a00:1]",
        "[2002:a9fe:a9fe::]",
        "[2001:0:7f00:1::]",
        "[3fff::1]",
        "[5f00::1]",
        "[fd00:ec2::254]",
        "[fe80::1%25eth0]",
        "0.1.2.3",
        "10.0.0.1.",
        "172.20.10.5",
        "192.168.255.255",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "198.19.255.255",
        "233.252.0.1",
        "metadata.google.internal",
        "no-such-host.invalid",
    ];
    assert!(hosts.len() >= 85, "{}", hosts.len());
    let urls = hosts.iter().map(|host| format!("https://{host}:{port}/"));
    let schemes = [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "//127.0.0.1/",
        "ws://example.com/",
        "dict://127.0.0.1:11211/",
        "ldap://127.0.0.1/",
    ];
    let odd = [
        "javascript:alert(1)",
        "data:text/plain,x",
        "https://",
        "https:///x",
        "not a url",
        "https://[::1",
        "https://a b/",
    ];
    for url in urls.chain(schemes.iter().chain(&odd).map(|url| (*url).to_owned())) {
        org.register(json!({"ticket": org.ticket, "name": "cleo", "webhook_url": url})).await.invalid();
        bob.patch("/api/me/webhook", json!({"webhook_url": url})).await.invalid();
    }
    assert!(trap.posts().is_empty());
    assert_eq!(bob.get("/api/me/webhook").await.ok()["webhook_url"], json!(null));
}

async fn webhook_fields_are_checked(hub: TestHub) {
    let (org, receiver) = (hub.with_org("a").await, Receiver::start());
    let bob = hooked(&org, "bob", &receiver).await;
    for bad in [
        json!({}),
        json!({"webhook_url": 7}),
        json!({"webhook_url": "x".repeat(2049)}),
        json!({"webhook_events": "message"}),
        json!({"webhook_events": ["bot_online"]}),
    ] {
        bob.patch("/api/me/webhook", bad).await.invalid();
    }
    for bad in [
        json!({"secret": 7}),
        json!({"secret": "a\nb"}),
        json!({"overlap_seconds": -1}),
        json!({"overlap_seconds": "1"}),
    ] {
        bob.post("/api/me/webhook/secret", bad).await.invalid();
    }
    let shown = bob.get("/api/me/webhook").await.ok();
    assert_eq!(
        shown,
        json!({"webhook_url": receiver.url(), "webhook_events": null, "has_secret": true, "old_secret_until": null})
    );
    let by_admin = org.get(format!("/api/bots/{}", bob.id)).await;
    assert!(!by_admin.text.contains("webhook"), "{}", by_admin.text);
}

/// A hub that trusts this machine, by address and by name.
fn trusting(config: &mut Config) {
    patient(config);
    config.webhooks.allow = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
}

/// The same hub when its operator trusts nobody any more; plain HTTP alone is no reason to refuse.
fn distrustful(config: &mut Config) {
    patient(config);
    config.webhooks.allow = Vec::new();
    config.server.dev_mode = true;
}

/// Where a webhook leads is judged again at each use, not only when it is given.
fn a_place_that_is_trusted_no_more_is_not_visited(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let receiver = Receiver::start();
    let names = [("bob", receiver.url().to_owned()), ("cleo", receiver.url().replace("127.0.0.1", "localhost"))];
    let token = std::cell::RefCell::new(String::new());
    let (names, receiver, token) = (&names, &receiver, &token);
    run_on_database(&database, &[trusting], |hub| async move {
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        for (name, url) in names {
            org.bot_from(json!({"ticket": org.ticket, "name": name, "webhook_url": url})).await;
            ada.send_body(json!({"to": name, "content": "trusted"})).await.ok();
        }
        assert_eq!(said(&receiver.took(2).await), ["trusted", "trusted"]);
        ada.secret().clone_into(&mut token.borrow_mut());
    });
    run_on_database(&database, &[distrustful], |hub| async move {
        let ada = Caller::bearer(&hub, &token.borrow());
        for (name, _) in names {
            ada.post("/api/send", json!({"to": name, "content": "not any more"})).await.ok();
            until_degraded(&ada, name).await;
        }
        calm().await;
        assert_eq!(receiver.posts().len(), 2);
    });
}

mod trusted_no_more {
    use super::{Db, a_place_that_is_trusted_no_more_is_not_visited};

    #[test]
    fn sqlite() {
        a_place_that_is_trusted_no_more_is_not_visited(Db::Sqlite);
    }

    #[test]
    fn postgres() {
        a_place_that_is_trusted_no_more_is_not_visited(Db::Postgres);
    }
}
