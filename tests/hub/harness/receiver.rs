//! A webhook's receiver: a small HTTP server that answers as it is told and remembers what it was sent.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hxa_connect::domain::webhook::is_genuine;
use serde_json::Value;

use super::{eventually, now_ms};

/// How a receiver answers a request.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// With `Retry-After`.
    Later(u16, &'static str),
    /// As many thoughts, then 200.
    Thinks(Duration),
    /// A status line, and then a header that never ends, slowly.
    Trickle,
    /// Headers without end.
    Headers,
    /// 302 to this place.
    Redirect(String),
    /// 200 with a body that never ends.
    Endless,
    /// Takes the request and says nothing.
    Silence,
    /// Cuts the connection.
    Cut,
}

/// A request that was received.
#[derive(Debug, Clone)]
pub struct Post {
    pub line: String,
    pub headers: HashMap<String, String>,
    pub text: String,
    pub body: Value,
    pub answer: Answer,
}

impl Post {
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    /// Whether a header's signature is by this secret, fresh, and over exactly what came.
    pub fn is_signed(&self, header: &str, secret: &str) -> bool {
        let timestamp = self.headers.get("x-hub-timestamp").map_or("", String::as_str);
        self.headers.get(header).is_some_and(|given| is_genuine(secret, timestamp, &self.text, given, now_ms()))
    }

    /// The text of the message it tells of.
    pub fn said(&self) -> String {
        self.body["message"]["content"].as_str().unwrap_or_else(|| panic!("no message: {}", self.text)).to_owned()
    }

    pub fn is_taken(&self) -> bool {
        matches!(self.answer, Answer::Status(200..=299) | Answer::Thinks(_) | Answer::Endless)
    }

    /// Whether it was received whole, so that the hub cannot know whether it was taken.
    pub fn may_be_taken(&self) -> bool {
        self.is_taken() || matches!(self.answer, Answer::Silence)
    }
}

#[derive(Default)]
struct State {
    posts: Vec<Post>,
    script: VecDeque<Answer>,
    by_text: HashMap<String, Answer>,
    otherwise: Option<Answer>,
    answered: usize,
}

/// The server; it runs until the test's process ends.
#[derive(Clone)]
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = receiver.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = state.clone();
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The next requests are answered like this, those after them by [`Self::always`].
    pub fn then(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.lock().unwrap().script.extend(answers);
    }

    /// Requests that tell of a message with this text are answered like this from now on.
    pub fn on(&self, text: &str, answer: Answer) {
        self.state.lock().unwrap().by_text.insert(text.to_owned(), answer);
    }

    /// How many requests were answered, or left to themselves.
    pub fn answered(&self) -> usize {
        self.state.lock().unwrap().answered
    }

    /// Every request without an answer of its own is answered like this.
    pub fn always(&self, answer: Answer) {
        self.state.lock().unwrap().otherwise = Some(answer);
    }

    /// Everything received so far.
    pub fn posts(&self) -> Vec<Post> {
        self.state.lock().unwrap().posts.clone()
    }

    /// What was taken.
    pub fn taken(&self) -> Vec<Post> {
        self.posts().into_iter().filter(Post::is_taken).collect()
    }

    /// Waits until this many were taken; returns them.
    pub async fn took(&self, count: usize) -> Vec<Post> {
        eventually(|| async { self.taken().len() }, |taken| *taken >= count).await;
        self.taken()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(post) = read(&mut reader, state) {
        let answer = post.answer.clone();
        state.lock().unwrap().posts.push(post);
        let goes_on = reply(&stream, &answer);
        state.lock().unwrap().answered += 1;
        if !goes_on {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>, state: &Mutex<State>) -> Option<Post> {
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
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(": "));
    let headers: HashMap<String, String> =
        headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let mut state = state.lock().unwrap();
    let by_text = body["message"]["content"].as_str().and_then(|text| state.by_text.get(text).cloned());
    let answer = by_text.or_else(|| state.script.pop_front()).or_else(|| state.otherwise.clone());
    let answer = answer.unwrap_or(Answer::Status(200));
    Some(Post { line: lines.swap_remove(0), headers, text, body, answer })
}

/// Answers; false when the connection is over.
fn reply(mut stream: &TcpStream, answer: &Answer) -> bool {
    let head = match answer {
        Answer::Status(status) => format!("HTTP/1.1 {status} Word\r\ncontent-length: 2\r\n\r\nok"),
        Answer::Redirect(to) => format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"),
        Answer::Later(status, when) => {
            format!("HTTP/1.1 {status} Word\r\nretry-after: {when}\r\ncontent-length: 0\r\n\r\n")
        }
        Answer::Thinks(time) => {
            std::thread::sleep(*time);
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        Answer::Trickle | Answer::Headers => "HTTP/1.1 200 OK\r\nx: ".to_owned(),
        Answer::Endless => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        Answer::Silence => {
            std::thread::sleep(Duration::from_secs(20));
            return false;
        }
        Answer::Cut => return false,
    };
    if stream.write_all(head.as_bytes()).is_err() {
        return false;
    }
    let (chunk, pause) = match answer {
        Answer::Endless => (format!("{:x}\r\n{}\r\n", 4096, "x".repeat(4096)), None),
        Answer::Trickle => ("x".to_owned(), Some(Duration::from_millis(50))),
        Answer::Headers => (format!("{}\r\nx: ", "x".repeat(4096)), None),
        _ => return true,
    };
    while stream.write_all(chunk.as_bytes()).is_ok() {
        std::thread::sleep(pause.unwrap_or_default());
    }
    false
}
