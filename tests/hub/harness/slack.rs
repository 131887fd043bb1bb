//! A fake Slack: it answers calls of its API as it is told, channel by channel, and remembers them; and it clicks buttons.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use hxa_connect::domain::secrets::{hex, hmac_sha256};
use hxa_connect::hub::config::Config;
use serde_json::{Value, json};

use super::{Call, TestHub, eventually, now_ms};

pub const SLACK_TOKEN: &str = "xoxb-test-token";
/// The new signing secret and the one before.
pub const SLACK_SECRETS: [&str; 2] = ["new-signing-secret", "old-signing-secret"];

/// How a call is answered.
#[derive(Debug, Clone, Copy)]
pub enum SlackAnswer {
    Taken,
    /// 429 with `Retry-After`.
    Later(&'static str),
    Status(u16),
    /// 200 with `ok: false`.
    Error(&'static str),
    /// Cuts the connection, after the message was taken.
    Cut,
}

/// A call of the API, or of a response URL.
#[derive(Debug, Clone)]
pub struct SlackCall {
    pub method: String,
    pub authorization: String,
    pub body: Value,
    pub is_taken: bool,
}

impl SlackCall {
    /// All its texts and buttons as they were sent.
    pub fn text(&self) -> String {
        self.body["blocks"].to_string()
    }

    /// The actions of its buttons.
    pub fn buttons(&self) -> Vec<String> {
        let blocks = self.body["blocks"].as_array().unwrap();
        let actions = blocks.iter().filter(|block| block["type"] == "actions");
        let elements = actions.flat_map(|block| block["elements"].as_array().unwrap());
        elements.map(|element| element["action_id"].as_str().unwrap().to_owned()).collect()
    }
}

#[derive(Default)]
struct State {
    calls: HashMap<String, Vec<SlackCall>>,
    scripts: HashMap<String, VecDeque<SlackAnswer>>,
    always: HashMap<String, SlackAnswer>,
    posted: u64,
}

/// The server; it runs until the test's process ends.
#[derive(Clone)]
pub struct FakeSlack {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// A channel of one test.
pub struct SlackChannel {
    slack: FakeSlack,
    pub id: String,
}

impl FakeSlack {
    /// The one of all tests, which a hub's configuration can name.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<FakeSlack> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slack = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = slack.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        slack
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn channel(&self) -> SlackChannel {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let id = format!("C{:09}", NUMBER.fetch_add(1, Ordering::Relaxed));
        SlackChannel { slack: self.clone(), id }
    }
}

/// A hub that posts there.
pub fn on_slack(config: &mut Config) {
    config.slack.bot_token = Some(SLACK_TOKEN.into());
    config.slack.signing_secret = Some(SLACK_SECRETS.join(",").into());
    config.slack.api_base = FakeSlack::shared().url();
    config.server.public_url = Some("https://hub.example".to_owned());
}

impl SlackChannel {
    /// The next calls are answered like this.
    pub fn then(&self, answers: impl IntoIterator<Item = SlackAnswer>) {
        self.slack.state.lock().unwrap().scripts.entry(self.id.clone()).or_default().extend(answers);
    }

    /// Calls without an answer of their own are answered like this.
    pub fn always(&self, answer: SlackAnswer) {
        self.slack.state.lock().unwrap().always.insert(self.id.clone(), answer);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<SlackCall> {
        self.slack.state.lock().unwrap().calls.get(&self.id).cloned().unwrap_or_default()
    }

    /// Those that were taken.
    pub fn taken(&self) -> Vec<SlackCall> {
        self.calls().into_iter().filter(|call| call.is_taken).collect()
    }

    /// Waits until so many were taken; returns them.
    pub async fn took(&self, count: usize) -> Vec<SlackCall> {
        eventually(|| async { self.taken().len() }, |taken| *taken >= count).await;
        self.taken()
    }

    /// `routing_hints` to a responder by this channel.
    pub fn hints(&self, responder: &str) -> Value {
        json!({"responder_id": responder, "channel": "slack", "slack_channel_id": self.id})
    }

    /// What Slack sends when a user clicks.
    pub fn click(&self, user: (&str, &str), action: &str, request: &str) -> Value {
        json!({
            "type": "block_actions",
            "user": {"id": user.0, "name": user.1, "team_id": "T1"},
            "actions": [{"action_id": action, "block_id": format!("hcp_actions_{request}"), "value": request}],
            "channel": {"id": self.id},
            "container": {"message_ts": "1.0001"},
            "response_url": format!("{}/respond/{}", self.slack.url(), self.id),
        })
    }
}

/// The body of an interaction.
pub fn slack_form(payload: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish()
}

/// A request as Slack sends it, signed with a secret at a time in seconds.
pub fn signed_by(hub: &TestHub, secret: &str, at: i64, body: &str) -> Call {
    let mac = hmac_sha256(secret.as_bytes(), format!("v0:{at}:{body}").as_bytes());
    let call = hub.anonymous().call("POST", "/slack/interactions");
    let call = call.raw("application/x-www-form-urlencoded", body.to_owned());
    call.header("x-slack-request-timestamp", at.to_string()).header("x-slack-signature", format!("v0={}", hex(&mac)))
}

/// A request as Slack sends it now.
pub fn from_slack(hub: &TestHub, payload: &Value) -> Call {
    signed_by(hub, SLACK_SECRETS[0], now_ms() / 1000, &slack_form(&payload.to_string()))
}

fn serve(stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some((path, authorization, body)) = read(&mut reader) {
        let method = path.trim_start_matches('/').to_owned();
        let channel =
            method.strip_prefix("respond/").map_or_else(|| body["channel"].as_str().unwrap().to_owned(), str::to_owned);
        let (answer, number) = {
            let mut state = state.lock().unwrap();
            let scripted = state.scripts.get_mut(&channel).and_then(VecDeque::pop_front);
            let answer = scripted.or_else(|| state.always.get(&channel).copied()).unwrap_or(SlackAnswer::Taken);
            let is_taken = matches!(answer, SlackAnswer::Taken | SlackAnswer::Cut);
            state.calls.entry(channel.clone()).or_default().push(SlackCall {
                method,
                authorization,
                body: body.clone(),
                is_taken,
            });
            state.posted += 1;
            (answer, state.posted)
        };
        let ts = body["ts"].as_str().map_or_else(|| format!("{number}.0001"), str::to_owned);
        if !reply(stream, answer, &json!({"ok": true, "channel": channel, "ts": ts})) {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Value)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found =
            lines.iter().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let path = lines[0].split(' ').nth(1).unwrap().to_owned();
    Some((path, header("authorization"), serde_json::from_slice(&body).unwrap()))
}

/// Answers; false when the connection is over.
fn reply(mut stream: &TcpStream, answer: SlackAnswer, taken: &Value) -> bool {
    let (status, header, body) = match answer {
        SlackAnswer::Taken => (200, String::new(), taken.to_string()),
        SlackAnswer::Later(seconds) => (429, format!("retry-after: {seconds}\r\n"), String::new()),
        SlackAnswer::Status(status) => (status, String::new(), String::new()),
        SlackAnswer::Error(code) => (200, String::new(), json!({"ok": false, "error": code}).to_string()),
        SlackAnswer::Cut => return false,
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} Word\r\ncontent-type: application/json\r\n{header}content-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).is_ok()
}
