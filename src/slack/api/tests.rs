//! Tests of the client against a server that answers as it is told.

use std::sync::{Arc, Mutex, Once};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::blocks::Button;

const TOKEN: &str = "xoxb-planted-token-7193";
/// For servers that answer, on machines that do much else.
const PATIENT: Timeouts = Timeouts { connect: Duration::from_secs(20), total: Duration::from_secs(20) };
const SHORT: Timeouts = Timeouts { connect: Duration::from_millis(500), total: Duration::from_millis(800) };

/// A server that gives each connection the same bytes, and then what else it is told.
struct Fake {
    base: String,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone)]
struct Request {
    head: String,
    body: Value,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What follows the answer.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Hang,
    /// Bytes without end.
    Flood,
}

impl Fake {
    async fn start(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/api", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, told) = (answer.into(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), then, told.clone()));
            }
        });
        Self { base, requests, task }
    }

    fn api(&self) -> Api {
        Api::new(&self.base, TOKEN, PATIENT).unwrap()
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: Vec<u8>, then: Then, requests: Arc<Mutex<Vec<Request>>>) {
    let request = read_request(&mut stream).await;
    requests.lock().unwrap().push(request);
    stream.write_all(&answer).await.unwrap();
    match then {
        Then::Close => {}
        Then::Hang => std::future::pending().await,
        Then::Flood => while stream.write_all(&[b' '; 65536]).await.is_ok() {},
    }
}

async fn read_request(stream: &mut TcpStream) -> Request {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "it ended early");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let request = Request { head: head.to_owned(), body: Value::Null };
        if body.len() == request.header("content-length").unwrap().parse::<usize>().unwrap() {
            return Request { body: serde_json::from_str(body).unwrap(), ..request };
        }
    }
}

fn http(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn message() -> Message {
    Message::new("text", vec![Block::section("section"), Block::actions("b", [Button::new("Yes", "yes", "r1")])])
}

async fn post_to(answer: impl Into<Vec<u8>>, then: Then) -> Outcome {
    Fake::start(answer, then).await.api().post_message("C1", &message()).await
}

async fn post_for(status: u16, headers: &str, body: &str) -> Outcome {
    post_to(http(status, headers, body), Then::Close).await
}

fn temporary<T>(why: Trouble) -> Outcome<T> {
    Outcome::Temporary { why }
}

const OK: &str = r#"{"ok":true,"channel":"C9","ts":"1700000000.000100","message":{"text":"text"}}"#;

fn posted() -> Posted {
    Posted { channel: "C9".to_owned(), ts: "1700000000.000100".to_owned() }
}

#[tokio::test]
async fn messages_are_posted_and_changed() {
    let fake = Fake::start(http(200, "", OK), Then::Close).await;
    assert_eq!(fake.api().post_message("C1", &message()).await, Outcome::Sent(posted()));
    assert_eq!(fake.api().update(&posted(), &Message::new("over", Vec::new())).await, Outcome::Sent(posted()));
    let [post, update] = fake.requests().try_into().unwrap();
    assert!(post.head.starts_with("POST /api/chat.postMessage HTTP/1.1"), "{}", post.head);
    assert!(update.head.starts_with("POST /api/chat.update HTTP/1.1"), "{}", update.head);
    for request in [&post, &update] {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
        assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
    }
    let blocks = serde_json::to_value(message().blocks()).unwrap();
    let wanted = json!({ "channel": "C1", "text": "text", "blocks": blocks, "parse": "none", "link_names": false,
        "unfurl_links": false, "unfurl_media": false });
    assert_eq!(post.body, wanted);
    let wanted = json!({ "channel": "C9", "ts": "1700000000.000100", "text": "over", "blocks": [], "parse": "none",
        "link_names": false });
    assert_eq!(update.body, wanted);
}

#[tokio::test]
async fn a_base_may_end_with_a_slash() {
    let fake = Fake::start(http(200, "", OK), Then::Close).await;
    let api = Api::new(&format!(" {}/ ", fake.base), &format!(" {TOKEN}\n"), PATIENT).unwrap();
    assert_eq!(api.post_message("C1", &message()).await, Outcome::Sent(posted()));
    let request = fake.requests().remove(0);
    assert!(request.head.starts_with("POST /api/chat.postMessage "), "{}", request.head);
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
}

#[tokio::test]
async fn refusals_are_final_and_named() {
    for code in ["channel_not_found", "invalid_auth", "not_in_channel"] {
        let answer = json!({ "ok": false, "error": code }).to_string();
        assert_eq!(post_for(200, "", &answer).await, Outcome::permanent(code));
        assert_eq!(post_for(403, "", &answer).await, Outcome::permanent(code));
    }
    assert_eq!(post_for(200, "", r#"{"ok":false}"#).await, Outcome::permanent("unknown_error"));
    assert_eq!(post_for(200, "", r#"{"ok":false,"error":"<b>no</b>"}"#).await, Outcome::permanent("unknown_error"));
    assert_eq!(post_for(404, "", "<html>").await, Outcome::permanent("http_404"));
}

#[tokio::test]
async fn what_is_of_the_moment_is_temporary() {
    for status in [500, 502, 503, 504, 408, 425] {
        assert_eq!(post_for(status, "", r#"{"ok":false,"error":"x"}"#).await, temporary(Trouble::Status(status)));
    }
    let answer = r#"{"ok":false,"error":"internal_error"}"#;
    assert_eq!(post_for(200, "", answer).await, temporary(Trouble::Code("internal_error".to_owned())));
}

#[tokio::test]
async fn rate_limits_tell_how_long() {
    let limited = |seconds| Outcome::RateLimited { retry_after: Duration::from_secs(seconds) };
    let body = r#"{"ok":false,"error":"ratelimited"}"#;
    assert_eq!(post_for(429, "retry-after: 7\r\n", body).await, limited(7));
    assert_eq!(post_for(429, "", "").await, limited(30));
    assert_eq!(post_for(200, "", body).await, limited(30));
    // The header is all that matters.
    let endless = "HTTP/1.1 429 X\r\nretry-after: 3\r\ncontent-length: 999999999\r\n\r\n";
    assert_eq!(post_to(endless, Then::Hang).await, limited(3));
}

#[tokio::test]
async fn what_is_no_answer_of_slack_is_told() {
    let half = r#"{"ok":true,"channel":"C1"}"#;
    let odd = r#"{"ok":true,"channel":"C1\u0000","ts":"1.2"}"#;
    for body in ["", "null", "[]", "ok", "{", "{}", r#"{"ok":"yes"}"#, r#"{"ok":true}"#, half, odd, &"[".repeat(5000)] {
        assert_eq!(post_for(200, "", body).await, temporary(Trouble::Unreadable), "{body}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read() {
    let flood = "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n{\"ok\":true";
    assert_eq!(post_to(flood, Then::Flood).await, temporary(Trouble::TooLarge));
    let endless = "HTTP/1.1 200 OK\r\n\r\n{\"ok\":true";
    assert_eq!(post_to(endless, Then::Flood).await, temporary(Trouble::TooLarge));
}

#[tokio::test]
async fn a_server_that_hangs_is_left() {
    for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"ok\":true"] {
        let fake = Fake::start(start, Then::Hang).await;
        let api = Api::new(&fake.base, TOKEN, SHORT).unwrap();
        let began = Instant::now();
        assert_eq!(api.post_message("C1", &message()).await, temporary(Trouble::Unanswered), "{start}");
        assert!(began.elapsed() >= SHORT.connect && began.elapsed() < PATIENT.total, "{:?}", began.elapsed());
    }
    assert_eq!(post_to("", Then::Close).await, temporary(Trouble::Unanswered));
    assert_eq!(post_to("no HTTP\r\n\r\n", Then::Close).await, temporary(Trouble::Unanswered));
    assert!(Trouble::Unanswered.may_have_arrived());
}

#[tokio::test]
async fn a_server_that_is_not_there_has_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/api", listener.local_addr().unwrap());
    drop(listener);
    let outcome = Api::new(&base, TOKEN, PATIENT).unwrap().post_message("C1", &message()).await;
    assert_eq!(outcome, temporary(Trouble::Unreachable));
    assert!(!Trouble::Unreachable.may_have_arrived());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Fake::start(http(200, "", OK), Then::Close).await;
    for status in [301, 302, 307, 308] {
        let location = format!("location: {}/chat.postMessage\r\n", elsewhere.base);
        assert_eq!(post_for(status, &location, "").await, Outcome::permanent(&format!("http_{status}")));
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn clicks_are_answered_without_the_token() {
    for body in ["ok", r#"{"ok":true}"#, ""] {
        let fake = Fake::start(http(200, "", body), Then::Close).await;
        let url = fake.base.replace("/api", "/actions/T1/secret");
        assert_eq!(fake.api().respond(&url, Reply::Private, &message()).await, Outcome::Sent(()));
        assert_eq!(fake.api().respond(&url, Reply::Replace, &message()).await, Outcome::Sent(()));
        let [private, replace] = fake.requests().try_into().unwrap();
        assert!(private.head.starts_with("POST /actions/T1/secret "), "{}", private.head);
        assert_eq!((private.header("authorization"), replace.header("authorization")), (None, None));
        assert_eq!(private.body["response_type"], "ephemeral");
        assert_eq!(private.body["replace_original"], false);
        assert_eq!(replace.body["replace_original"], true);
        assert!(replace.body.get("response_type").is_none());
    }
}

#[tokio::test]
async fn answers_to_clicks_fail_as_calls_do() {
    let cases = [
        (http(404, "", "expired_url\n"), Outcome::permanent("expired_url")),
        (http(404, "", r#"{"ok":false,"error":"used_url"}"#), Outcome::permanent("used_url")),
        (http(200, "", r#"{"ok":false,"error":"invalid_blocks"}"#), Outcome::permanent("invalid_blocks")),
        (http(500, "", "x"), temporary(Trouble::Status(500))),
        (http(429, "retry-after: 2\r\n", ""), Outcome::RateLimited { retry_after: Duration::from_secs(2) }),
    ];
    for (answer, wanted) in cases {
        let fake = Fake::start(answer, Then::Close).await;
        assert_eq!(fake.api().respond(&fake.base, Reply::Private, &message()).await, wanted);
    }
}

#[tokio::test]
async fn addresses_from_outside_are_not_called() {
    let (fake, elsewhere) = (Fake::start(OK, Then::Close).await, Fake::start(OK, Then::Close).await);
    let with_user = fake.base.replace("http://", "http://user:password@");
    let bad = [
        &elsewhere.base,
        &with_user,
        "",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com:444/x",
        "https://hooks.slack.com.evil.example/x",
        "https://user@hooks.slack.com/x",
        "file:///etc/passwd",
    ];
    for url in bad {
        let outcome = fake.api().respond(url, Reply::Private, &message()).await;
        assert_eq!(outcome, Outcome::permanent("foreign_response_url"), "{url}");
    }
    assert!(elsewhere.requests().is_empty() && fake.requests().is_empty());
    for good in ["https://hooks.slack.com/actions/T1/1/x", "https://hooks.slack-gov.com/x", fake.base.as_str()] {
        assert!(fake.api().is_slacks(&Url::parse(good).unwrap()), "{good}");
    }
}

#[test]
fn settings_are_checked() {
    let refusal = |base: &str, token: &str| Api::new(base, token, Timeouts::DEFAULT).err();
    for good in
        [BASE, "https://proxy.example:8443/slack/", "http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"]
    {
        assert_eq!(refusal(good, TOKEN), None, "{good}");
    }
    for bad in [
        "",
        "slack.com/api",
        "ftp://slack.com",
        "https://user:pw@slack.com",
        "https://slack.com/?a",
        "https://slack.com/#a",
        "data:x",
    ] {
        assert_eq!(refusal(bad, TOKEN), Some(Unusable::Base), "{bad}");
    }
    for bad in ["http://slack.com/api", "http://10.0.0.1/", "http://localhost.example/"] {
        assert_eq!(refusal(bad, TOKEN), Some(Unusable::Plain), "{bad}");
    }
    for bad in ["", "  ", "xoxb a", "xoxb\r\nx: y", "xoxb-é"] {
        assert_eq!(refusal(BASE, bad), Some(Unusable::Token), "{bad}");
    }
}

/// Keeps everything that any library says.
struct Log(Mutex<String>);

static LOG: Log = Log(Mutex::new(String::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        *self.0.lock().unwrap() += &format!("{}: {}\n", record.target(), record.args());
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn secrets_are_neither_shown_nor_logged() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::set_logger(&LOG).unwrap());
    log::set_max_level(log::LevelFilter::Trace);
    let fake = Fake::start(http(200, "", r#"{"ok":false,"error":"invalid_auth"}"#), Then::Close).await;
    let url = fake.base.replace("/api", "/actions/planted-address-2251");
    let outcome = fake.api().post_message("C1", &message()).await;
    let answered = fake.api().respond(&url, Reply::Private, &message()).await;
    let shown = format!("{:?} {outcome:?} {answered:?} {:?}", fake.api(), Api::new("http://x", TOKEN, SHORT));
    let logged = LOG.0.lock().unwrap().clone();
    assert!(logged.contains("reqwest"), "the library does log: {logged}");
    for secret in ["planted-token", "planted-address"] {
        assert!(!shown.contains(secret) && !logged.contains(secret), "{shown}\n{logged}");
    }
}
