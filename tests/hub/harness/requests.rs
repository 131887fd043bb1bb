//! Coordination requests as a test sees them: one verb per route, and the event stream.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Caller, DEADLINE, Fields};

/// The smallest request to a responder; tests add fields to it.
pub fn question(responder: &str) -> Value {
    json!({
        "intent": "APPROVAL", "urgency": "HIGH", "context_package": {"summary": "Deploy?"},
        "timeout_policy": {"timeout_seconds": 600, "fallback": "BLOCK"}, "routing_hints": {"responder_id": responder},
    })
}

/// The same with other fields.
pub fn question_with(responder: &str, fields: Value) -> Value {
    let mut question = question(responder);
    for (key, value) in fields.as_object().unwrap() {
        question[key] = value.clone();
    }
    question
}

impl Caller {
    /// A key of an agent, which an admin makes.
    pub async fn key(&self, agent: &str, allow_respond: bool) -> Caller {
        let made = self.post("/api/org/keys", json!({"agent_id": agent, "allow_respond": allow_respond})).await;
        Caller::bearer(&self.hub, &made.status(201).text("key"))
    }

    pub fn ask(&self, body: Value) -> Call {
        self.post("/v1/requests", body)
    }

    /// A new request to `dora`; its id.
    pub async fn asked(&self) -> String {
        self.ask(question("dora")).await.status(201).text("request_id")
    }

    pub fn request(&self, id: &str) -> Call {
        self.get(format!("/v1/requests/{id}"))
    }

    pub fn request_within(&self, id: &str, seconds: u32) -> Call {
        self.get(format!("/v1/requests/{id}?wait={seconds}"))
    }

    pub fn requests(&self, query: &str) -> Call {
        self.get(format!("/v1/requests{query}"))
    }

    /// The ids of a list, in its order.
    pub async fn request_ids(&self, query: &str) -> Vec<String> {
        ids(&self.requests(query).await.ok()["requests"], "request_id")
    }

    pub fn cancel(&self, id: &str) -> Call {
        self.delete(format!("/v1/requests/{id}"))
    }

    pub fn respond(&self, id: &str, data: Value) -> Call {
        self.post(format!("/v1/requests/{id}/respond"), json!({"response_data": data}))
    }

    pub fn approve(&self, id: &str) -> Call {
        self.respond(id, json!({"decision": "approved"}))
    }

    pub fn acknowledge(&self, id: &str) -> Call {
        self.call("POST", &format!("/v1/requests/{id}/ack"))
    }

    pub fn request_audit(&self, query: &str) -> Call {
        self.get(format!("/v1/audit{query}"))
    }

    /// The kinds of a request's audit events, oldest first.
    pub async fn steps(&self, id: &str) -> Vec<String> {
        ids(&self.request_audit(&format!("?request_id={id}")).await.ok()["events"], "event_type")
    }

    /// Opens the event stream, which must work.
    pub async fn stream(&self, query: &str) -> EventStream {
        let response = self.get(format!("/v1/events{query}")).open().await;
        assert_eq!(response.status(), 200, "{:?}", response.text().await);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        EventStream { response, buffer: String::new() }
    }

    /// Opens the event stream, past its greeting.
    pub async fn listen(&self, query: &str) -> EventStream {
        let mut stream = self.stream(query).await;
        assert_eq!(stream.next().await.kind, "connected");
        stream
    }

    /// A ticket for one stream.
    pub async fn stream_ticket(&self) -> String {
        self.call("POST", "/v1/events/ticket").await.ok().text("ticket")
    }
}

fn ids(rows: &Value, key: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row.text(key)).collect()
}

/// An open event stream.
pub struct EventStream {
    response: reqwest::Response,
    buffer: String,
}

/// An event of the stream.
#[derive(Debug, Clone)]
pub struct StreamEvent {
    pub id: String,
    pub kind: String,
    pub data: Value,
}

impl StreamEvent {
    /// The request and the state that it tells of.
    pub fn change(&self) -> (String, String) {
        assert_eq!(self.kind, "state_change", "{self:?}");
        (self.data.text("request_id"), self.data.text("state"))
    }
}

impl EventStream {
    /// The next event, which must come soon.
    pub async fn next(&mut self) -> StreamEvent {
        let event = tokio::time::timeout(DEADLINE, self.event()).await.expect("an event in time");
        event.expect("an event before the end")
    }

    /// The states that are told next, all of one request.
    pub async fn states(&mut self, id: &str, count: usize) -> Vec<String> {
        let mut states = Vec::new();
        for _ in 0..count {
            let (request, state) = self.next().await.change();
            assert_eq!(request, id);
            states.push(state);
        }
        states
    }

    /// Nothing comes for a while.
    pub async fn is_silent(&mut self) {
        let waited = tokio::time::timeout(Duration::from_millis(300), self.event()).await;
        assert!(waited.is_err(), "{waited:?}");
    }

    /// The hub ends the stream soon.
    pub async fn ends(&mut self) {
        let end = async { while self.event().await.is_some() {} };
        tokio::time::timeout(DEADLINE, end).await.expect("the stream's end");
    }

    async fn event(&mut self) -> Option<StreamEvent> {
        loop {
            while let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                if let Some(event) = read(&block) {
                    return Some(event);
                }
            }
            let piece = self.response.chunk().await.ok().flatten()?;
            self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

fn read(block: &str) -> Option<StreamEvent> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).unwrap();
    Some(StreamEvent { id: field("id").unwrap_or_default().to_owned(), kind: field("event")?.to_owned(), data })
}
