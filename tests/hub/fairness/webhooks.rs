//! Receivers that hang: they use up what their organisation may have in flight, and others have theirs.

use std::time::{Duration, Instant};

use hxa_connect::hub::config::Config;

use crate::harness::*;
use crate::webhooks::delivery::{hooked, numbers, quick, said};

on_both_databases! {
    hanging_receivers_leave_room_for_others with crowded,
}

/// Requests hang for as long as the test runs, and few fit.
fn crowded(config: &mut Config) {
    quick(config);
    config.webhooks.timeout_ms = 60_000;
    config.webhooks.answer_ms = 60_000;
    config.webhooks.in_flight_bytes = 16 * 1024 * 1024;
}

async fn hanging_receivers_leave_room_for_others(hub: TestHub) {
    let (org, other) = (hub.with_org("attacker").await, hub.with_org("other").await);
    let (hanging, well) = (Receiver::start(), Receiver::start());
    hanging.always(Answer::Silence);
    let ada = org.bot("ada").await;
    let mut others = Vec::new();
    for n in 0..15 {
        let url = json!({"ticket": org.ticket, "name": format!("bot{n}"), "webhook_url": hanging.url(), "webhook_events": ["thread_message"]});
        others.push(org.bot_from(url).await);
    }
    let text = "x".repeat(60_000);
    for n in 0..12 {
        let thread = ada.thread(&n.to_string(), &others.iter().collect::<Vec<_>>()).await;
        ada.say(&thread, &text).await.ok();
    }
    eventually(|| async { hanging.posts().len() }, |posts| *posts > 50).await;
    let (cleo, bob) = (other.bot("cleo").await, hooked(&other, "bob", &well).await);
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let start = Instant::now();
        cleo.send(&bob, &n.to_string()).await.ok();
        well.took(n + 1).await;
        slowest = slowest.max(start.elapsed());
    }
    assert_eq!(said(&well.taken()), numbers(0..20));
    let posts = hanging.posts().len();
    // 16 KiB and 60 kB each: an organisation gets half of 16 MiB.
    assert!(posts < 115, "{posts} of 180 requests are in flight");
    let took = chaos::span(slowest);
    chaos::figure(
        "R25",
        &format!(
            "{posts} of 180 requests hanging at one organisation's receivers: another tenant's webhook at most {took} after its event"
        ),
    );
}
