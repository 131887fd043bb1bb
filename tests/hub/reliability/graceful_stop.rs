//! A stop under load: what was acknowledged stays, live sockets hear why, stalled ones hold up nothing, and webhooks go
//! on after the start.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::future::join_all;
use reqwest::Body;

use crate::harness::*;
use crate::webhooks::delivery::hooked;

/// On each database.
const CYCLES: usize = 5;
const WRITERS: usize = 4;
const STALLED: usize = 100;
/// Of the upload that is under way when the signal comes.
const PIECES: usize = 20;

#[test]
fn stops_under_load_lose_nothing() {
    at_once(&[|| block_on(stops_under_load(Db::Sqlite)), || block_on(stops_under_load(Db::Postgres))]);
}

async fn stops_under_load(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let env = [
        ("HXA_CONNECT_WEBHOOKS_ALLOW", "127.0.0.1"),
        ("HXA_CONNECT_WEBHOOKS_RETRY_MS", "50"),
        ("HXA_CONNECT_WEBHOOKS_PAUSE_MS", "50"),
        ("HXA_CONNECT_WEBHOOKS_PROBE_MS", "50"),
        ("HXA_CONNECT_SOCKETS_PER_BOT", "500"),
    ];
    let mut process = ProcessHub::with_env(database, &env).await;
    let (org, receiver) = (process.hub.with_org("a").await, Receiver::start());
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let hooked = hooked(&org, "hooked", &receiver).await;
    let (mut total, mut slowest) = (0, Duration::ZERO);
    let cycles = chaos::times(CYCLES);
    for cycle in 0..cycles {
        receiver.always(Answer::Status(503));
        let thread = ada.thread(&format!("cycle {cycle}"), &[&bob]).await;
        ada.send(&hooked, &cycle.to_string()).await.ok();
        let mut stalled = Vec::new();
        for _ in 0..STALLED {
            stalled.push(bob.socket().await.into_stream());
        }
        let mut live = bob.socket().await;
        let writers = join_all((0..WRITERS).map(|n| {
            let (ada, thread) = (&ada, &thread);
            async move {
                let say = |at: usize| {
                    let content = format!("{n}.{at}");
                    json!({"type": "send_thread_message", "thread_id": thread["id"], "content": content})
                };
                ada.socket().await.acked_until_stopped(say).await
            }
        }));
        // Comes in pieces, most of them after the signal.
        let pieces = futures_util::stream::iter(upload_in_pieces()).then(async |piece| {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok::<_, std::io::Error>(piece)
        });
        let upload =
            bob.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", Body::wrap_stream(pieces));
        let (signal, code) = if cycle % 2 == 0 { ("TERM", 1001) } else { ("QUIT", 1012) };
        let stop = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            process.signal(signal);
            Instant::now()
        };
        let (acked, since, closed, uploaded) = tokio::join!(writers, stop, live.closed(), upload.answered());
        let file = uploaded.ok().text("url");
        assert_eq!(closed, code, "a live socket hears why");
        let status = process.exited(Duration::from_secs(30)).await;
        assert!(status.success(), "{status}");
        slowest = slowest.max(since.elapsed());
        drop(stalled);
        process.start().await;
        assert_eq!(bob.get(&file).await.text, "0123456789".repeat(PIECES), "what was being uploaded is there");
        let stored = ada.message_ids(&thread).await;
        for id in acked.iter().flatten() {
            assert!(stored.contains(id), "{id} was acknowledged and is lost");
            total += 1;
        }
        receiver.always(Answer::Status(200));
        receiver.took(cycle + 1).await;
    }
    let said: Vec<String> = receiver.taken().iter().map(Post::said).collect();
    assert_eq!(said, (0..cycles).map(|n| n.to_string()).collect::<Vec<_>>(), "webhooks in retry go on");
    chaos::figure(
        "R15",
        &format!(
            "{db}: {cycles} stops with {STALLED} stalled sockets, an upload and a webhook in retry, {total} acknowledged and none \
             lost, finished within {}",
            chaos::span(slowest)
        ),
    );
}

fn upload_in_pieces() -> Vec<String> {
    let head =
        "--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\ncontent-type: text/plain\r\n\r\n";
    let mut pieces = vec![head.to_owned()];
    pieces.extend(std::iter::repeat_n("0123456789".to_owned(), PIECES));
    pieces.push("\r\n--x--\r\n".to_owned());
    pieces
}
