//! Answers as large as somebody can make them: every list stops at its bound and can be read to its end all the same, and
//! clients that ask for much and read nothing take no more memory than is configured.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::chaos::{attack, figure, size, span};
use crate::harness::*;

on_both_databases! {
    artifacts_come_in_answers_of_a_bounded_size with small_answers,
    messages_come_in_answers_of_a_bounded_size with small_answers,
    threads_come_in_answers_of_a_bounded_size with small_answers,
    bots_come_in_answers_of_a_bounded_size with small_answers,
    large_answers_are_tagged_and_translated with small_answers,
}

const BOUND: usize = 1024 * 1024;

fn small_answers(config: &mut hxa_connect::hub::config::Config) {
    config.server.max_answer_bytes = BOUND;
}

/// Every array of a list, read to its end by the links in the answers.
async fn walk(caller: &Caller, path: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut path) = (Vec::new(), path.to_owned());
    loop {
        let reply = caller.get(&path).await;
        assert!(reply.text.len() <= BOUND + 2, "{path}: {} bytes", reply.text.len());
        let link = reply.header("link").map(str::to_owned);
        assert_eq!(reply.header("x-has-more"), link.as_ref().map(|_| "true"), "{path}");
        pages.push(reply.list());
        let Some(link) = link else { return pages };
        let (url, parameters) = link.split_once(';').unwrap();
        assert_eq!(parameters.trim(), "rel=\"next\"");
        let url = url.trim_start_matches('<').trim_end_matches('>');
        path = url.strip_prefix(caller.hub.url()).unwrap_or_else(|| panic!("{url} is elsewhere")).to_owned();
        assert!(!pages.last().unwrap().is_empty() && pages.len() < 100, "{path} gets nowhere");
    }
}

/// A field of every row of some pages, and that there was more than one page.
fn told(pages: &[Vec<Value>], field: &str) -> Vec<String> {
    assert!(pages.len() > 1, "everything fitted into one answer");
    pages.iter().flatten().map(|row| row.text(field)).collect()
}

/// A page that was cut: its rows, and where it goes on.
fn page_of(reply: Reply, list: &str) -> (Vec<Value>, Value) {
    assert!(reply.text.len() <= BOUND + 200, "{} bytes", reply.text.len());
    let body = reply.ok();
    (body.items(list).clone(), body)
}

/// One bot stored 400 artifacts of 1 MiB, and a list of them was one answer of 419 MB.
async fn artifacts_come_in_answers_of_a_bounded_size(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada] = org.bots(["ada"]).await;
    let thread = ada.thread("t", &[]).await;
    let content = "c".repeat(300_000);
    for n in 0..8 {
        ada.artifact_add(&thread, json!({"artifact_key": format!("k{n}"), "content": content})).await.ok();
    }
    ada.artifact_update(&thread, "k0", json!({"content": "newest"})).await.ok();
    let keys = ["k1", "k2", "k3", "k4", "k5", "k6", "k7", "k0"];
    let id = thread.text("id");
    assert_eq!(told(&walk(&ada, &format!("/api/threads/{id}/artifacts")).await, "artifact_key"), keys);
    assert_eq!(told(&walk(&org, &format!("/api/org/threads/{id}/artifacts")).await, "artifact_key"), keys);

    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let path = format!("/api/org/threads/{id}/artifacts?limit=100&cursor={cursor}");
        let (rows, page) = page_of(org.get(path).await, "items");
        seen.extend(rows.iter().map(|row| row.text("artifact_key")));
        if page["has_more"] == false {
            break;
        }
        cursor = page.text("next_cursor");
    }
    assert_eq!(seen, ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"]);

    for _ in 0..6 {
        ada.artifact_update(&thread, "k1", json!({"content": content})).await.ok();
    }
    let pages = walk(&ada, &format!("/api/threads/{id}/artifacts/k1/versions")).await;
    let versions: Vec<i64> = pages.iter().flatten().map(|row| row.int("version")).collect();
    assert_eq!((pages.len() > 1, versions), (true, (1..=7).collect()));

    // A row that alone is larger than an answer is answered alone.
    let huge = "h".repeat(1_040_000);
    ada.artifact_add(&thread, json!({"artifact_key": "huge", "content": huge, "title": "t".repeat(4000)})).await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "last", "content": "l"})).await.ok();
    let mut after = ada.get(format!("/api/threads/{id}/artifacts/huge/versions")).await.list();
    assert_eq!(after.remove(0).text("content").len(), huge.len());
}

/// Pages of 200 messages of 320 KB, and replies, which repeat what they reply to.
async fn messages_come_in_answers_of_a_bounded_size(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let long = "m".repeat(60_000);
    let (mut said, mut sent) = (Vec::new(), Vec::new());
    for n in 0..12 {
        let content = format!("{n} {long}");
        said.push(ada.say(&thread, &content).await.ok().text("id"));
        sent.push(ada.send(&bob, &content).await.ok());
    }
    for _ in 0..24 {
        said.push(ada.message(&thread, json!({"content": "r", "reply_to": said[0]})).await.ok().text("id"));
    }
    let (id, channel) = (thread.text("id"), sent[0].text("channel_id"));
    let sent: Vec<String> = sent.iter().map(|sent| sent["message"].text("id")).collect();
    let lists = [
        (&*ada, format!("/api/threads/{id}/messages?limit=200"), &said),
        (&*org, format!("/api/org/threads/{id}/messages?limit=200"), &said),
        (&*bob, format!("/api/channels/{channel}/messages?limit=200"), &sent),
    ];
    for (caller, path, expected) in &lists {
        // Each page has its oldest first, and the pages go back in time.
        let mut pages = walk(caller, path).await;
        pages.reverse();
        assert_eq!(&told(&pages, "id"), *expected, "{path}");
    }
    let newest_first = |ids: &[String]| ids.iter().rev().cloned().collect::<Vec<_>>();
    let paged = [
        (&*ada, format!("/api/threads/{id}/messages?limit=200&cursor="), "items", &said),
        (&*org, format!("/api/org/threads/{id}/messages?limit=200&before="), "messages", &said),
        (&*bob, format!("/api/channels/{channel}/messages?limit=200&before="), "messages", &sent),
    ];
    for (caller, path, list, expected) in &paged {
        let (mut last, mut seen) = (NOBODY.to_owned(), Vec::new());
        for _ in 0..100 {
            let (rows, page) = page_of(caller.get(format!("{path}{last}")).await, list);
            seen.extend(rows.iter().map(|row| row.text("id")));
            last = seen.last().unwrap().clone();
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(seen, newest_first(expected), "{path}");
    }
    let (mut since, mut seen) = (0, Vec::new());
    while seen.len() < sent.len() {
        let reply = bob.inbox(since).await;
        assert!(reply.text.len() <= BOUND + 2, "{} bytes", reply.text.len());
        let rows = reply.list();
        since = rows.last().unwrap().int("created_at");
        seen.extend(rows.iter().map(|row| row.text("id")));
    }
    assert_eq!(seen, sent);
    assert_eq!(told(&walk(&bob, "/api/inbox?since=0").await, "id"), sent);

    let found = org.get("/api/org/search?q=mmmm").await;
    assert!(found.text.len() <= BOUND + 20_000, "{} bytes", found.text.len());
}

async fn threads_come_in_answers_of_a_bounded_size(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"threads_per_hour_per_bot": 1000})).await.ok();
    let [ada] = org.bots(["ada"]).await;
    let context = json!({"c": "\"".repeat(32_000)});
    let mut expected = Vec::new();
    for n in 0..14 {
        let thread = ada.thread_create(json!({"topic": format!("t{n}"), "context": context})).await.ok();
        expected.insert(0, thread.text("id"));
    }
    // The list that was an array goes on as a page, as it always did with a cursor.
    let first = ada.threads("").await;
    assert!(first.text.len() <= BOUND + 2 && first.header("x-has-more") == Some("true"));
    let link = first.header("link").unwrap().to_owned();
    let mut seen: Vec<String> = first.list().iter().map(|row| row.text("id")).collect();
    let mut path = link.trim_start_matches('<').split('>').next().unwrap().replace(hub.url(), "");
    while !path.is_empty() {
        let (rows, page) = page_of(ada.get(&path).await, "items");
        seen.extend(rows.iter().map(|row| row.text("id")));
        let next = page.get("next_cursor").map(|cursor| format!("/api/threads?cursor={}", cursor.as_str().unwrap()));
        path = next.unwrap_or_default();
    }
    assert_eq!(seen, expected);
    assert_eq!(told(&walk(&org, "/api/org/threads?offset=0&limit=100").await, "id"), expected);

    let (mut cursor, mut seen) = (String::new(), Vec::new());
    for _ in 0..100 {
        let reply = ada.workspace(&format!("?thread_limit=100&thread_cursor={cursor}")).await;
        assert!(reply.text.len() <= BOUND, "{} bytes", reply.text.len());
        let threads = reply.ok()["threads"].clone();
        seen.extend(threads.items("items").iter().map(|row| row.text("id")));
        if threads["has_more"] == false {
            break;
        }
        cursor = threads.text("next_cursor");
    }
    assert_eq!(seen, expected);
}

async fn bots_come_in_answers_of_a_bounded_size(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.admin_bot("ada").await;
    let metadata = json!({"m": "d".repeat(16_000)});
    let mut names = vec!["ada".to_owned()];
    for n in 0..210 {
        let name = format!("b{n:03}");
        org.bot_from(json!({"ticket": org.ticket, "name": name, "metadata": metadata})).await;
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(told(&walk(&ada, "/api/bots").await, "name"), names);
    assert_eq!(told(&walk(&org, "/api/bots").await, "name"), names);
    names.retain(|name| name != "ada");
    assert_eq!(told(&walk(&ada, "/api/peers").await, "name"), names);
    assert_eq!(told(&walk(&ada, "/api/bots?status=offline&q=&role=").await, "name").len(), 211);
    let (rows, page) = page_of(org.get("/api/bots?limit=200").await, "items");
    assert!(rows.len() < 200 && page["has_more"] == true && page["next_cursor"] == rows.last().unwrap()["id"]);
    assert_eq!(walk(&ada, "/api/me/tokens").await, [Vec::<Value>::new()]);
}

/// What is done with every byte of a large answer is done on another thread; it must be the same as for a small one.
async fn large_answers_are_tagged_and_translated(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    for _ in 0..4 {
        ada.message(&thread, json!({"content": "m".repeat(60_000), "metadata": {"a": 1}})).await.ok();
    }
    let path = format!("/api/threads/{}/messages", thread.text("id"));
    let first = ada.get(&path).await;
    assert!(first.text.len() > 256 * 1024);
    let tag = first.etag();
    assert!(tag.starts_with("W/\""), "{tag}");
    let known = ada.get(&path).if_none_match(&tag).await;
    assert_eq!((known.status, known.text.len(), known.etag()), (304, 0, tag.clone()));
    let head = ada.call("HEAD", &path).await;
    assert_eq!((head.status, head.etag(), head.text.len()), (200, tag.clone(), 0));
    assert_eq!(head.header("content-length").unwrap(), first.text.len().to_string());
    let old = ada.old().get(&path).await;
    assert_ne!(old.etag(), tag);
    assert_eq!(old.list()[0]["metadata"], "{\"a\":1}");
    assert_eq!(first.list()[0]["metadata"], json!({"a": 1}));
}

#[test]
fn hostile_readers_take_no_more_than_their_share_sqlite() {
    block_on(hostile_readers(Db::Sqlite));
}

#[test]
fn hostile_readers_take_no_more_than_their_share_postgres() {
    block_on(hostile_readers(Db::Postgres));
}

/// One answer here: more than the kernel takes in for a client that does not read.
const ANSWER: usize = 4 * BOUND;
/// What may be under way here.
const IN_FLIGHT: usize = 32 * BOUND;
/// Requests at once, all of one bot, that are sent and never read.
const GREEDY: usize = 40;

/// How an answer begins; the rest is never read.
async fn beginning(mut stream: TcpStream) -> (TcpStream, String) {
    let mut head = [0; 2048];
    let read = tokio::time::timeout(Duration::from_secs(120), stream.read(&mut head)).await;
    let text = String::from_utf8_lossy(&head[..read.expect("an answer").unwrap()]).into_owned();
    (stream, text)
}

/// Forty requests for everything, whose answers nobody reads.
async fn hostile_readers(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let (bound, in_flight) = (ANSWER.to_string(), IN_FLIGHT.to_string());
    let env = [
        ("HXA_CONNECT_SERVER_MAX_ANSWER_BYTES", bound.as_str()),
        ("HXA_CONNECT_SERVER_ANSWERS_IN_FLIGHT_BYTES", in_flight.as_str()),
    ];
    let process = ProcessHub::with_env(database, &env).await;
    let (greedy, other) = (process.hub.with_org("greedy").await, process.hub.with_org("other").await);
    greedy.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada] = greedy.bots(["ada"]).await;
    let [bob, cleo] = other.bots(["bob", "cleo"]).await;
    let thread = ada.thread("t", &[]).await;
    let content = "c".repeat(1_000_000);
    for n in 0..48 {
        ada.artifact_add(&thread, json!({"artifact_key": format!("k{n}"), "content": content})).await.ok();
    }
    bob.send(&cleo, "hello").await.ok();
    let path = format!("/api/threads/{}/artifacts", thread.text("id"));
    // What readers and their connections keep of one answer is not what this is about.
    for _ in 0..4 {
        join_all((0..8).map(|_| async { ada.get(&path).await })).await;
    }
    let before = process.memory();

    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: hub\r\nauthorization: Bearer {}\r\naccept-encoding: identity\r\n\r\n",
        ada.secret()
    );
    let ask = async || {
        // With little room of its own, so that the answer stays with the hub and not with the kernel.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let mut stream = socket.connect(process.hub.address().parse().unwrap()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let streams = join_all((0..GREEDY).map(|_| ask())).await;
    let is_over = Cell::new(false);
    let heads = async {
        let heads = join_all(streams.into_iter().map(beginning)).await;
        is_over.set(true);
        heads
    };
    let watch = async {
        let (mut slowest, mut grown) = (Duration::ZERO, 0);
        while !is_over.get() {
            let asked = Instant::now();
            cleo.inbox(0).await.list();
            slowest = slowest.max(asked.elapsed());
            grown = grown.max(process.memory().saturating_sub(before));
        }
        (slowest, grown)
    };
    let (heads, (slowest, grown)) = join(heads, watch).await;
    // Those who were refused were told so in words.
    let mut refused = 0;
    for (_, text) in &heads {
        if text.starts_with("HTTP/1.1 429") {
            assert!(text.contains("ANSWERS_PENDING") && text.to_lowercase().contains("retry-after: 1"), "{text}");
            refused += 1;
        } else {
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
    }
    assert!(refused > GREEDY / 2, "{refused} of {GREEDY} were refused");
    // Beside what is counted each reader writes one answer and has its rows, and the allocator keeps some of it.
    let most = IN_FLIGHT + 4 * 4 * ANSWER + 64 * BOUND;
    assert!(grown <= most, "{grown} bytes for what nobody reads, at most {most}");
    drop(heads);
    eventually(async || ada.get(&path).await.status, |status| *status == 200).await;
    let what = format!(
        "{db}: {GREEDY} unread responses of 4 MiB: +{}, another tenant's slowest read {}",
        size(grown),
        span(slowest)
    );
    figure("R24", &what);
    let what = format!("{GREEDY} responses of 4 MiB that nobody reads");
    attack(db, &what, Some(grown), &format!("slowest {}", span(slowest)));
}
