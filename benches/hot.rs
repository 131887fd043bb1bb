//! What every message passes: taking it out of its frame, scanning it for mentions, making its event, queueing it for a socket, committing it.
//!
//! `cargo bench --bench hot [filter]`; the figures are per call unless an items counter says otherwise.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot set itself up has nothing to say")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;
use hxa_connect::domain::cursor::Cursor;
use hxa_connect::domain::ids::{BotId, MessageId, ThreadId};
use hxa_connect::domain::{artifact, mentions};
use hxa_connect::hub::fanout::event::{Audience, Event, EventLog, LogLimits};
use hxa_connect::store::metrics::Metrics;
use hxa_connect::store::rows::ThreadMessageRow;
use hxa_connect::store::{Backend, Commit, Store, StoreConfig, Write};
use hxa_connect::web::ws::decoder::{Bounds, Decoder, Incoming};
use hxa_connect::web::ws::frame::Frame;
use serde::Serialize;

fn main() {
    divan::main();
}

const TEXT: &str =
    "The build is green again, but the second test took 40 s. Could you have a look at it today, please? ";

/// A message of this many bytes that mentions two bots.
fn content(bytes: usize) -> String {
    format!("{}@alice and @bob", TEXT.repeat(bytes / TEXT.len() + 1).chars().take(bytes).collect::<String>())
}

/// Sixteen messages that came together, out of their frames and read as JSON.
#[divan::bench(args = [100, 10_000])]
fn messages_of_a_chunk(bencher: Bencher, bytes: usize) {
    let op = serde_json::json!({"type": "send_thread_message", "ref": 7, "thread_id": ThreadId::at(0), "content": content(bytes)});
    let text = op.to_string();
    let mut frame = vec![0x81, 0xfe];
    frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    let chunk = Bytes::from(frame.repeat(16));
    let mut decoder = Decoder::new(Bounds { message_bytes: 1_200_000, frames_per_second: 1000 });
    bencher.counter(ItemsCount::new(16_usize)).bench_local(|| {
        decoder.feed(chunk.clone());
        let mut read = 0;
        while let Some(Incoming::Text(text)) = decoder.decode().unwrap() {
            read += Frame::parse(&text).unwrap().fields.len();
        }
        read
    });
}

#[divan::bench(args = [100, 10_000])]
fn mentions_of_a_message(bencher: Bencher, bytes: usize) {
    let (alice, text) = (BotId::at(0), content(bytes));
    let known = |name: &str| (name == "alice").then(|| (alice, Arc::from("alice")));
    bencher.bench(|| mentions::scan(divan::black_box(&text), known));
}

#[divan::bench]
fn repair_of_lenient_json(bencher: Bencher) {
    let text = "```json\n{'name': 'report', \"items\": [1, 2, 3,], done: True,}\n```";
    bencher.with_inputs(|| text.to_owned()).bench_values(artifact::repair_json);
}

#[divan::bench]
fn cursor_there_and_back(bencher: Bencher) {
    let cursor = Cursor::new(1_795_000_000_000, ThreadId::at(0).to_string());
    bencher.bench(|| Cursor::decode(&divan::black_box(&cursor).encode()));
}

/// A message's event: serialized once, numbered, kept for those who resume.
#[divan::bench]
fn event_of_a_message(bencher: Bencher) {
    #[derive(Serialize)]
    struct Fields<'a> {
        r#type: &'static str,
        thread_id: ThreadId,
        message: &'a ThreadMessageRow,
    }
    let thread = ThreadId::at(0);
    let row = message(thread, BotId::at(0), 0);
    let mut log = EventLog::new(LogLimits { events: 4096, bytes: 8 << 20 });
    let bots: Arc<[BotId]> = Arc::from(vec![BotId::at(0), BotId::at(1)]);
    bencher.bench_local(|| {
        let frame = Fields { r#type: "thread_message", thread_id: row.thread_id, message: &row };
        let audience = Audience::Members { bots: bots.clone(), topic: thread.uuid() };
        log.append(Event::tagged("thread_message", &frame, audience))
    });
}

fn message(thread: ThreadId, sender: BotId, at: i64) -> ThreadMessageRow {
    ThreadMessageRow {
        thread_id: thread,
        created_at: at,
        id: MessageId::at(at),
        sender_id: Some(sender.to_string()),
        content: content(100),
        content_type: "text".to_owned(),
        parts: None,
        metadata: None,
        mentions: None,
        mention_all: false,
        reply_to_id: None,
        via_socket: true,
    }
}

/// Durable commits of a thousand messages that are in the queue together, over this many threads.
#[divan::bench(args = [1, 100, 1000], sample_count = 20, sample_size = 1)]
fn commits_of_1000_messages(bencher: Bencher, threads: usize) {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        backend: Backend::Sqlite(folder.path().join("bench.db")),
        catalogue: hxa_connect::store::Catalogue::default(),
        takeover: Duration::ZERO,
        readers: 1,
        writers: 1,
        batch_rows: 512,
        queue: 20_000,
        pool_timeout: Duration::from_secs(5),
        patience: Duration::from_secs(600),
        around_batch: |complete| complete(),
        slow_query: Duration::MAX,
        slow_commit: Duration::MAX,
    };
    let store = Store::open(&config, &Arc::new(Metrics::new())).unwrap();
    let threads: Vec<ThreadId> = (0..threads).map(|_| ThreadId::at(0)).collect();
    let sender = BotId::at(0);
    let mut clock = 0;
    bencher.counter(ItemsCount::new(1000_usize)).bench_local(|| {
        let waiting = Arc::new(AtomicUsize::new(1000));
        let here = std::thread::current();
        for thread in threads.iter().cycle().take(1000) {
            clock += 1;
            let (waiting, here) = (waiting.clone(), here.clone());
            let row = Arc::new(message(*thread, sender, clock));
            store.submit(Commit::new(0, vec![Write::ThreadMessage(row)], move |outcome| {
                outcome.unwrap();
                if waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                    here.unpark();
                }
            }));
        }
        while waiting.load(Ordering::Acquire) > 0 {
            std::thread::park();
        }
    });
}
