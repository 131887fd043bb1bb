//! Frames that no client sends, as fast as the connection takes them: they cost the hub no more memory than it is
//! configured for, and no other tenant waits for them.
//!
//! The hub is a process of its own, so that its memory can be told from the attackers'.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::harness::*;

/// Attackers at a time.
const CONNECTIONS: usize = 4;
/// The limit of a frame; as the hub is configured by default.
const FRAME: usize = 1_200_000;
/// What one attacker sends at most, and for how long it tries.
const BYTES: usize = 24 * 1024 * 1024;
const TIME: Duration = Duration::from_millis(2500);
/// What the hub's other work may add meanwhile: buffers of the connections, and what an allocator keeps.
const SLACK: usize = 24 * 1024 * 1024;

/// Promise R24: bytes that come first, and those that come again and again.
struct Attack {
    what: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
}

fn attacks() -> Vec<Attack> {
    let attack = |what, first: Vec<u8>, again: Vec<u8>| Attack { what, first, again };
    let spaces = client_frame(0x81, &[b"{\"type\":\"x\"", &vec![b' '; 1_100_000][..], b"}"].concat());
    let values =
        client_frame(0x81, format!("{{\"type\":\"send_dm\",\"content\":[{}0]}}", "0,".repeat(590_000)).as_bytes());
    let few_values =
        client_frame(0x81, format!("{{\"type\":\"send_dm\",\"to\":[{}0]}}", "[],".repeat(20_000)).as_bytes());
    vec![
        attack("an announced length of 2^40", frame_head(0x81, 1 << 40), vec![b' '; 64 * 1024]),
        attack("a message of maximum size, never finished", frame_head(0x81, FRAME as u64), vec![b' '; 64 * 1024]),
        attack("empty pongs", Vec::new(), client_frame(0x8a, b"").repeat(10_000)),
        attack("pings", Vec::new(), client_frame(0x89, &[0; 125]).repeat(500)),
        attack("empty fragments", client_frame(0x01, b""), client_frame(0x00, b"").repeat(10_000)),
        attack("endless fragments", client_frame(0x01, b""), client_frame(0x00, &[b' '; 1024]).repeat(60)),
        attack("tiny texts", Vec::new(), client_frame(0x81, b"{}").repeat(8000)),
        attack("operations", Vec::new(), client_frame(0x81, b"{\"type\":\"ping\",\"ref\":1}").repeat(2000)),
        attack("large texts", Vec::new(), spaces),
        attack("many values", Vec::new(), values),
        attack("many small values", Vec::new(), few_values),
    ]
}

#[test]
fn frames_cost_no_more_than_their_limit() {
    block_on(hostile(Db::Sqlite));
    block_on(hostile(Db::Postgres));
}

async fn hostile(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let process = ProcessHub::on(database).await;
    let hub = &process.hub;
    let attackers = hub.with_org("a").await;
    let neighbours = hub.with_org("b").await;
    neighbours.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = neighbours.bots(["ada", "bob"]).await;
    // What the hub allocates once is not what this is about.
    let warm_up = attacks().remove(0);
    join_all((0..CONNECTIONS).map(|_| attack(hub, String::new(), &warm_up))).await;
    let (mut writer, mut reader) = (ada.socket().await, bob.socket().await);
    let (mut most, mut worst, mut slowest) = (0, "", Duration::ZERO);
    for with_ticket in [false, true] {
        for (n, hostile) in attacks().into_iter().enumerate() {
            let mut tickets = vec![NOBODY.to_owned(); CONNECTIONS];
            if with_ticket {
                // One that has not used its rate up.
                let mallory = attackers.bot(&format!("mallory{n}")).await;
                tickets = join_all((0..CONNECTIONS).map(|_| mallory.ws_ticket())).await;
            }
            let before = process.memory();
            let over = Cell::new(false);
            let attack = async {
                join_all(tickets.into_iter().map(|ticket| attack(hub, ticket, &hostile))).await;
                over.set(true);
            };
            let (peak, wait, ()) =
                futures_util::future::join3(peak(&process, &over), talk(&mut writer, &mut reader, &bob, &over), attack)
                    .await;
            let grown = peak.saturating_sub(before);
            let allowed = CONNECTIONS * 2 * FRAME + SLACK;
            let who = if with_ticket { "a member" } else { "a stranger" };
            let what = format!("{CONNECTIONS} connections of {who}: {}", hostile.what);
            chaos::attack(db, &what, Some(grown), &format!("slowest {}", chaos::span(wait)));
            assert!(
                grown < allowed,
                "{} (ticket: {with_ticket}): {grown} bytes more; {allowed} are allowed",
                hostile.what
            );
            if grown > most {
                (most, worst) = (grown, hostile.what);
            }
            slowest = slowest.max(wait);
        }
    }
    let sent = chaos::size(CONNECTIONS * BYTES);
    let reached = format!(
        "{db}: {} kinds of hostile frames, {CONNECTIONS} connections, up to {sent}: at most {} more memory ({worst}); slowest \
         message of another organisation {}",
        2 * attacks().len(),
        chaos::size(most),
        chaos::span(slowest)
    );
    chaos::figure("R24", &reached);
}

/// Sends until the hub has enough of it, everything is sent or the time is over. It reads nothing.
async fn attack(hub: &TestHub, ticket: String, attack: &Attack) {
    let mut stream = Wire::open(hub, &ticket).await.into_stream();
    let flood = async {
        if stream.write_all(&attack.first).await.is_err() {
            return;
        }
        let mut sent = 0;
        while sent < BYTES && stream.write_all(&attack.again).await.is_ok() {
            sent += attack.again.len();
        }
    };
    // That the hub takes no more is what is hoped for.
    let _ = timeout(TIME, flood).await;
    sleep(Duration::from_millis(100)).await;
}

/// The most memory the hub has until it is over.
async fn peak(process: &ProcessHub, over: &Cell<bool>) -> usize {
    let mut peak = 0;
    while !over.get() {
        peak = peak.max(process.memory());
        sleep(Duration::from_millis(10)).await;
    }
    peak
}

/// Talks until it is over; the longest time from a message to its being heard.
async fn talk(writer: &mut Socket, reader: &mut Socket, to: &Bot, over: &Cell<bool>) -> Duration {
    let mut slowest = Duration::ZERO;
    while slowest.is_zero() || !over.get() {
        let since = Instant::now();
        writer.op(json!({"type": "send_dm", "to": to.id, "content": "still there?"})).await.ack();
        reader.next("message").await;
        writer.next("message").await;
        slowest = slowest.max(since.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    slowest
}
