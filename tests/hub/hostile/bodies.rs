//! What strangers and members send costs no more memory and time than is configured, and whoever is merely slow or
//! unusual gets what it asked for.

use std::time::{Duration, Instant};

use hxa_connect::hub::config::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::*;

on_both_databases! {
    bodies_without_a_credential_are_small,
    other_content_types_are_named,
    a_byte_order_mark_is_ignored,
    no_nul_reaches_the_database,
    the_parser_answers_in_json with impatient,
    only_what_stops_is_given_up with impatient,
    forwarded_addresses_neither_hide_nor_lock_out with behind_this_machine,
}

fn impatient(config: &mut Config) {
    config.server.patience_seconds = 2;
}

fn behind_this_machine(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
}

pub const MIB: usize = 1 << 20;

/// What came back on a raw connection.
struct Raw {
    status: u16,
    head: String,
    body: Value,
}

pub async fn connect(hub: &TestHub) -> TcpStream {
    TcpStream::connect(hub.address()).await.unwrap()
}

/// Reads until the hub closes.
pub async fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(4 * DEADLINE, stream.read_to_end(&mut answer)).await.expect("the hub closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn parsed(answer: &str) -> Raw {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    Raw { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

/// The last answer to these bytes.
async fn last_answer(hub: &TestHub, bytes: &[u8]) -> Raw {
    let mut stream = connect(hub).await;
    let _ = stream.write_all(bytes).await;
    let answer = read_all(&mut stream).await;
    let last = answer.rfind("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    parsed(&answer[last..])
}

/// A login of a MiB was read to its end, and a thousand of them at once held a GB.
async fn bodies_without_a_credential_are_small(hub: TestHub) {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let (big, mut open) = (json!({"type": "bot", "token": "t", "filler": "f".repeat(100_000)}), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, about) in methods.as_object().unwrap() {
            if path == "/slack/interactions" {
                // Only read with the headers of a fresh signature; what is refused then is told in the tests of Slack.
                continue;
            }
            let needs_none = about["security"].as_array().is_some_and(|all| all.iter().any(|one| one == &json!({})));
            if needs_none && about.get("requestBody").is_some() {
                hub.anonymous().call(&method.to_uppercase(), path).json(&big).await.refused(413, "PAYLOAD_TOO_LARGE");
                open.push(path.clone());
            }
        }
    }
    for known in ["/api/auth/login", "/api/auth/register", "/api/register", "/api/platform/orgs", "/v0/api/auth/login"]
    {
        assert!(open.iter().any(|path| path == known), "{known} is not among {open:?}");
    }
    for path in ["/v0/api/register", "/API/Auth/Login/", "/v0/api/platform/orgs"] {
        hub.anonymous().post(path, big.clone()).await.refused(413, "PAYLOAD_TOO_LARGE");
    }
    let org = hub.with_org("a").await;
    let long = "m".repeat(15_000);
    let rich = json!({"org_secret": org.secret, "name": "rich", "bio": "b".repeat(1000), "metadata": {"m": long}, "protocols": {"p": long}});
    org.register(rich).await.ok();
}

async fn other_content_types_are_named(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let login = "{\"type\":\"bot\",\"token\":\"t\"}";
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"] {
        let told = hub.anonymous().call("POST", "/api/auth/login").raw(kind, login).await.invalid();
        let sentence = told["error"].as_str().unwrap();
        assert!(sentence.contains("content type") && sentence.contains(kind), "{sentence}");
    }
    let told = ada.call("POST", "/api/send").raw("text/xml", "<a/>").await.invalid();
    assert!(told["error"].as_str().unwrap().contains("text/xml"), "{told}");
    let bare =
        "POST /api/auth/login HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}".to_owned();
    let told = last_answer(&hub, bare.as_bytes()).await;
    assert!(told.body["error"].as_str().unwrap().contains("none was given"), "{}", told.body);
    let told = ada.post("/api/send", json!({})).await.invalid();
    assert!(!told["error"].as_str().unwrap().contains("content type"), "{told}");
    // Whoever needs no body may send any.
    let thread = ada.thread("t", &[]).await;
    bob.call("POST", &format!("/api/threads/{}/join", thread.id())).raw("text/plain", "x").await.ok();
}

async fn a_byte_order_mark_is_ignored(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let body = "\u{feff}{\"to\":\"bob\",\"content\":\"c\"}";
    ada.call("POST", "/api/send").raw("application/json", body).await.ok();
    ada.call("POST", "/v0/api/send").raw("application/json", body).await.ok();
    ada.call("POST", "/api/send").raw("application/json", format!("\u{feff}{body}")).await.invalid();
}

/// PostgreSQL cannot store a NUL, and fails when it is asked for one.
async fn no_nul_reaches_the_database(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let callers = [(*ada).clone(), (*org).clone(), hub.super_admin().await.clone(), hub.anonymous()];
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let mut filled = path.clone();
            while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
                // Whoever asks about an organisation gets past that, to what is named in it.
                let is_org = path.contains("tombstones") && &filled[from..=to] == "{org_id}";
                filled.replace_range(from..=to, if is_org { &org.id } else { "a%00b" });
            }
            let names =
                ["q", "since", "before", "cursor", "status", "type", "limit", "name", "bot_id", "action", "tag"];
            let query: String = names.map(|name| format!("&{name}=a%00b")).concat();
            let query = format!("?{query}");
            for caller in &callers {
                let reply = caller.call(&method.to_uppercase(), &format!("{filled}{query}")).json(&json!({})).await;
                assert!(reply.status < 500, "{method} {path}: {} {}", reply.status, reply.text);
            }
        }
    }
    // The first bot has meanwhile done everything that a bot may do to itself.
    let bob = org.bot("bob").await;
    for id in ["%00", "a%00", "%2500"] {
        let reply = bob.get(format!("/api/bots/{id}")).await;
        assert!([400, 404].contains(&reply.status), "{id}: {}", reply.text);
    }
}

/// The opening of an upload whose body is said to be a MiB, up to the first byte of its file.
pub fn upload_opening(bot: &Bot, length: usize) -> String {
    format!(
        "POST /api/files/upload HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\ncontent-length: {length}\r\n\
         content-type: multipart/form-data; boundary=x\r\n\r\n--x\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\ncontent-type: text/plain\r\n\r\n",
        bot.secret()
    )
}

/// Requests that no route sees were answered with a bare status.
async fn the_parser_answers_in_json(hub: TestHub) {
    let get = "GET /health HTTP/1.1\r\nhost: h\r\n\r\n";
    for (bytes, status, code) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("GET / HTTP/1.1\r\nhost: h\r\nbad header\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("POST /api/send HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("POST /api/send HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400, "VALIDATION_ERROR"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}".to_owned(), 400, "VALIDATION_ERROR"),
        (format!("{get}{get}GARBAGE\r\n\r\n"), 400, "VALIDATION_ERROR"),
        (
            format!("GET /health HTTP/1.1\r\nhost: h\r\nx-long: {}\r\n\r\n", "x".repeat(60_000)),
            431,
            "HEADERS_TOO_LARGE",
        ),
        (format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", "x".repeat(300_000)), 431, "HEADERS_TOO_LARGE"),
        ("GET /health HTTP/1.1\r\nhost: h\r\nx-slow: ".to_owned(), 408, "REQUEST_TIMEOUT"),
        (format!("{get}GET /health HTTP/1.1\r\nhost:"), 408, "REQUEST_TIMEOUT"),
    ] {
        let told = last_answer(&hub, bytes.as_bytes()).await;
        assert_eq!(
            (told.status, &told.body["code"]),
            (status, &json!(code)),
            "{bytes:.60}: {} {}",
            told.head,
            told.body
        );
        assert!(
            told.head.contains("x-request-id: ") && told.head.contains("application/json"),
            "{bytes:.60}: {}",
            told.head
        );
    }
    let mut silent = connect(&hub).await;
    assert_eq!(read_all(&mut silent).await, "", "who says nothing hears nothing");
    // Behind an answer to HEAD, which announces a body that does not come.
    let told = last_answer(&hub, format!("HEAD{}GARBAGE\r\n\r\n", get.trim_start_matches("GET")).as_bytes()).await;
    assert_eq!((told.status, &told.body["code"]), (400, &json!("VALIDATION_ERROR")));
    // A long head and many requests on one connection are nothing special.
    let fine = format!("GET /health HTTP/1.1\r\nhost: h\r\nx-long: {}\r\n\r\n", "x".repeat(20_000));
    let told = last_answer(
        &hub,
        format!("{fine}{fine}{fine}GET /health HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").as_bytes(),
    )
    .await;
    assert_eq!(told.status, 200);
}

/// A body that took longer than fifteen seconds was cut, however steadily it came.
async fn only_what_stops_is_given_up(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let body = json!({"to": "bob", "content": "c", "filler": "f".repeat(60_000)}).to_string();
    let head = format!(
        "POST /api/send HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        ada.secret(),
        body.len()
    );
    let (mut steady, began) = (connect(&hub).await, Instant::now());
    for piece in [head.as_bytes(), body.as_bytes()].concat().chunks(3000) {
        steady.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(parsed(&read_all(&mut steady).await).status, 200);
    assert!(began.elapsed() > Duration::from_secs(4), "that is twice the patience");
    let mut stops = connect(&hub).await;
    stops.write_all(head.as_bytes()).await.unwrap();
    stops.write_all(&body.as_bytes()[..30_000]).await.unwrap();
    let told = parsed(&read_all(&mut stops).await);
    assert_eq!((told.status, &told.body["code"]), (408, &json!("REQUEST_TIMEOUT")), "{}", told.body);
    let mut trickles = connect(&hub).await;
    trickles.write_all(upload_opening(&ada, 100_000).as_bytes()).await.unwrap();
    let (mut answer, began) = (vec![0; 4096], Instant::now());
    let read = loop {
        assert!(began.elapsed() < 4 * DEADLINE, "a byte now and then keeps an upload open");
        match tokio::time::timeout(Duration::from_millis(300), trickles.read(&mut answer)).await {
            Ok(read) => break read.unwrap(),
            Err(_) => trickles.write_all(b"c").await.unwrap(),
        }
    };
    assert!(String::from_utf8_lossy(&answer[..read]).starts_with("HTTP/1.1 408"));
}

/// One entry that was no address made a client count as its proxy, and lock out everybody behind it.
async fn forwarded_addresses_neither_hide_nor_lock_out(hub: TestHub) {
    let org = hub.with_org("a").await;
    let wrong = json!({"type": "org_admin", "org_id": org.id, "org_secret": "wrong"});
    let login = |header: &'static str, value: &str| {
        hub.anonymous().post("/api/auth/login", wrong.clone()).header(header, value)
    };
    let hidden =
        ["unknown, 198.51.100.1", "_x, 198.51.100.1:4711", "garbage,198.51.100.1", "6.6.6.6, 198.51.100.1, 127.0.0.1"];
    for forged in hidden {
        login("x-forwarded-for", forged).await.status(401);
    }
    login("x-forwarded-for", "\", [::ffff:198.51.100.1]:80").await.status(401);
    login("x-forwarded-for", "198.51.100.1").await.refused(429, "RATE_LIMITED");
    let seen: Vec<_> = org.audit("auth.login_failed").await.iter().map(|row| row["detail"]["ip"].clone()).collect();
    assert!(seen.iter().all(|ip| ip == "198.51.100.1"), "{seen:?}");
    login("x-forwarded-for", "198.51.100.2").await.status(401);
    login("forwarded", "for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https").await.status(401);
    assert_eq!(org.audit("auth.login_failed").await[0]["detail"]["ip"], "2001:db8::7");
    login("x-real-ip", "198.51.100.3").await.status(401);
    assert_eq!(org.audit("auth.login_failed").await[0]["detail"]["ip"], "198.51.100.3");
}

const CONNECTIONS: usize = 400;
/// What one connection may hold before anything is counted: a head, a window of a body, and the buffers of both.
const PER_CONNECTION: usize = 192 * 1024;
const BODIES: usize = 32 * MIB;

/// Half requests of strangers, and half bodies of a member, as many as there are connections.
#[test]
fn half_requests_cost_what_is_configured() {
    at_once(&[|| block_on(half_requests(Db::Sqlite)), || block_on(half_requests(Db::Postgres))]);
}

async fn half_requests(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let bodies = BODIES.to_string();
    let env = [("HXA_CONNECT_SERVER_BODIES_BYTES", bodies.as_str()), ("HXA_CONNECT_SERVER_PATIENCE_SECONDS", "20")];
    let process = ProcessHub::with_env(database, &env).await;
    let hub = &process.hub;
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let other = hub.with_org("b").await.bot("other").await;
    let (before, mut held) = (process.memory(), Vec::new());
    const LOGIN: &str = "POST /api/auth/login HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n";
    let login = |length: usize| format!("{LOGIN}content-length: {length}\r\n\r\n");
    let chunked = format!("{LOGIN}transfer-encoding: chunked\r\n\r\nfffff\r\n");
    let send = format!(
        "POST /api/send HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 1000000\r\n\r\n",
        ada.secret()
    );
    let page = "GET /skill.md HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n";
    let openings = [
        login(1_000_000),
        login(60_000),
        chunked,
        send,
        page.to_owned(),
        "GET /health HTTP/1.1\r\nhost: h\r\nx-long: ".to_owned(),
    ];
    let most = [900_000, 59_000, 900_000, 900_000, 900_000, 30_000];
    let mut slowest = Duration::ZERO;
    for n in 0..CONNECTIONS {
        let mut stream = connect(hub).await;
        let kind = n % openings.len();
        // Nested lists take most memory once they are parsed, but these never are.
        let filler = "[0],".repeat(most[kind] / 4);
        let sending = async {
            let _ = stream.write_all(openings[kind].as_bytes()).await;
            let _ = stream.write_all(filler.as_bytes()).await;
        };
        let _ = tokio::time::timeout(Duration::from_millis(50), sending).await;
        held.push(stream);
        if n % 20 == 0 {
            let asked = Instant::now();
            other.me().await.ok();
            let filler = "f".repeat(20_000);
            other.patch("/api/me/profile", json!({"bio": "b", "filler": filler})).await.ok();
            slowest = slowest.max(asked.elapsed());
        }
    }
    let grown = process.memory().saturating_sub(before);
    let allowed = BODIES + CONNECTIONS * PER_CONNECTION;
    assert!(grown < allowed, "the hub grew by {grown} bytes; {allowed} are allowed");
    chaos::figure(
        "R24",
        &format!(
            "{db}: {CONNECTIONS} incomplete requests of strangers and a member: memory grew by {} (at most {} for bodies); \
             slowest two requests of another organisation {}",
            chaos::size(grown),
            chaos::size(BODIES),
            chaos::span(slowest)
        ),
    );
    let what = format!("{CONNECTIONS} incomplete requests of strangers and a member");
    chaos::attack(db, &what, Some(grown), &format!("slowest two requests {}", chaos::span(slowest)));
    drop(held);
    bob.send(&ada, "c").await.ok();
}

/// What parses into many times its size is counted as what it will be.
#[test]
fn bodies_are_counted_as_what_they_become() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let process = ProcessHub::with_env(database, &[("HXA_CONNECT_SERVER_BODIES_BYTES", "33554432")]).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        let before = process.memory();
        let nested = format!("{{\"to\":\"bob\",\"content\":\"c\",\"x\":[{}0]}}", "[0],".repeat(250_000));
        let sends = (0..32).map(|_| ada.call("POST", "/api/send").raw("application/json", nested.clone()).attempt());
        for reply in futures_util::future::join_all(sends).await.into_iter().flatten() {
            assert!([404, 429, 503].contains(&reply.status), "{}", reply.text);
        }
        let grown = process.memory().saturating_sub(before);
        assert!(grown < 96 * MIB, "32 bodies of a MiB took {grown} bytes");
        chaos::figure("R24", &format!("32 nested bodies of 1 MB at once: memory grew by {}", chaos::size(grown)));
    });
}

/// A download ends when its client does not read, and goes on as long as it does.
#[test]
fn downloads_wait_for_whoever_reads() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let process = ProcessHub::on(database).await;
        let hub = &process.hub;
        let ada = hub.with_org("a").await.bot("ada").await;
        let url = ada.upload("f.txt", &"c".repeat(40 * MIB)).await.ok().text("url");
        let get = format!(
            "GET {url} HTTP/1.1\r\nhost: h\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            ada.secret()
        );
        let files = process.open_files();
        let (mut stalls, mut slow) = (connect(hub).await, connect(hub).await);
        stalls.write_all(get.as_bytes()).await.unwrap();
        slow.write_all(get.as_bytes()).await.unwrap();
        let (began, mut taken, mut piece) = (Instant::now(), 0, vec![0; 256 * 1024]);
        while began.elapsed() < Duration::from_secs(45) {
            taken += slow.read(&mut piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let left = || async { process.open_files() };
        let until = Instant::now();
        while left().await > files + 3 {
            assert!(until.elapsed() < Duration::from_secs(60), "a download that nobody reads stays open");
            taken += slow.read(&mut piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut rest = Vec::new();
        slow.read_to_end(&mut rest).await.unwrap();
        assert!(taken + rest.len() > 40 * MIB, "only {} bytes came to who reads slowly", taken + rest.len());
        drop(stalls);
    });
}
