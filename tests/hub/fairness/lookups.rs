//! Hosts of webhooks whose name servers never answer: they cost their organisation its own changes, and nobody else
//! anything.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hxa_connect::hub::hub::Effects;

use crate::harness::*;

/// Nobody answers for hosts under `.silent`; all others are found at once.
fn scripted(host: &str) -> io::Result<Vec<IpAddr>> {
    while host.ends_with(".silent") {
        std::thread::park();
    }
    Ok(vec![IpAddr::from([8, 8, 8, 8])])
}

/// The look-ups used to run on the threads that read files, half a minute each.
fn silent_name_servers_starve_nobody(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let effects = Effects { look_up: scripted, ..Effects::of_system() };
    run_with(effects, &database, &[], |hub, _| async move {
        let (org, other) = (hub.with_org("attacker").await, hub.with_org("other").await);
        let bots = org.bots(["ada", "bob", "cleo", "dora"]).await;
        let ada = other.bot("ada").await;
        let file = ada.upload("f.txt", "uploaded").await.ok().text("url");
        let under_way = AtomicUsize::new(0);
        let changes = (0..600).map(|n| {
            let (bot, under_way) = (&bots[n % bots.len()], &under_way);
            async move {
                under_way.fetch_add(1, Ordering::Relaxed);
                let url = format!("https://h{n}.silent/");
                let reply = bot.patch("/api/me/webhook", json!({"webhook_url": url})).await;
                under_way.fetch_sub(1, Ordering::Relaxed);
                reply
            }
        });
        let neighbour = async {
            while under_way.load(Ordering::Relaxed) < 100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let mut slowest = Duration::ZERO;
            for n in 0..20 {
                let start = Instant::now();
                assert_eq!(ada.get(&file).await.text, "uploaded");
                let hook = json!({"webhook_url": format!("https://h{n}.example/")});
                ada.patch("/api/me/webhook", hook).await.ok();
                slowest = slowest.max(start.elapsed());
            }
            let fields = json!({"ticket": other.ticket, "name": "bob", "webhook_url": "https://new.example/"});
            other.register(fields).await.ok();
            assert!(under_way.load(Ordering::Relaxed) > 0, "all of this happened while nobody answered");
            slowest
        };
        let (replies, slowest) = tokio::join!(join_all(changes), neighbour);
        let refused = replies.iter().filter(|reply| reply.body["code"] == "RATE_LIMITED").count();
        for reply in &replies {
            let is_expected = match reply.status {
                400 => reply.text.contains("cannot be resolved"),
                429 => reply.body["retry_after"].is_u64(),
                _ => false,
            };
            assert!(is_expected, "{}: {}", reply.status, reply.text);
        }
        let metrics = hub.anonymous().get("/metrics").await.text;
        assert!(metrics.contains("hub_rate_limited_total{limit=\"webhook_changes\"}"), "{metrics}");
        let took = chaos::span(slowest);
        let what = "600 changes of webhooks with unresponsive name servers";
        chaos::attack(db, what, None, &format!("slowest {took}"));
        chaos::figure(
            "R25",
            &format!(
                "{db}: 600 webhooks with unresponsive name servers ({refused} refused): another tenant's download and change at most {took}"
            ),
        );
    });
}

#[test]
fn sqlite() {
    silent_name_servers_starve_nobody(Db::Sqlite);
}

#[test]
fn postgres() {
    silent_name_servers_starve_nobody(Db::Postgres);
}
