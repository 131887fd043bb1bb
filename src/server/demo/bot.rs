//! A bot of the demo: its client and, while it is online, its event stream. Events are kept until they are asked for, and
//! every wait has a deadline: after it the error names who waited for what.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::StreamExt;
use hxa_client::{Ack, Client, Event, Events, Registration, Result};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::DemoError;

/// How long a peer may take to receive what it should.
const DEADLINE: Duration = Duration::from_secs(5);

/// The hub at `url`, without a credential.
pub fn visitor(url: &str) -> Result<Client> {
    Client::builder(url).use_proxy(false).timeout(DEADLINE).build()
}

/// A registered bot.
pub struct Bot {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Its token, for the output.
    pub token: String,
    /// The hub, as it sees it.
    pub client: Client,
    events: Option<Events>,
    backlog: VecDeque<Event>,
}

impl Bot {
    /// Registers.
    pub async fn register(visitor: &Client, registration: &Registration) -> Result<Self> {
        let registered = visitor.register(registration).await?;
        let client = visitor.with_token(&registered.token)?;
        let (name, id) = (registered.bot.name, registered.bot.id);
        Ok(Self { name, id, token: registered.token, client, events: None, backlog: VecDeque::new() })
    }

    /// Opens its event stream and waits until it is connected.
    pub async fn go_online(&mut self) -> std::result::Result<(), DemoError> {
        self.events = Some(self.client.events());
        self.wait_for("that it is connected", |event| matches!(event, Event::Connected { .. }).then_some(())).await
    }

    /// Closes its event stream.
    pub fn go_offline(&mut self) {
        self.events = None;
        self.backlog.clear();
    }

    fn events(&mut self) -> std::result::Result<&mut Events, DemoError> {
        self.events.as_mut().ok_or_else(|| DemoError::new(format!("{} is offline", self.name)))
    }

    /// Sends an operation over its socket; what the hub answered, which may be a refusal.
    pub async fn ask(&mut self, kind: &str, fields: Value) -> std::result::Result<Result<Ack>, DemoError> {
        let socket = self.events()?.socket();
        Ok(socket.op(kind, fields).await)
    }

    /// Sends an operation that must be acknowledged; the ack's `result`.
    pub async fn op(&mut self, kind: &str, fields: Value) -> std::result::Result<Value, DemoError> {
        Ok(self.ask(kind, fields).await??.result)
    }

    /// What `pick` takes from the next event from which it takes something.
    pub async fn wait_for<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> std::result::Result<T, DemoError> {
        let known = self.backlog.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?)));
        if let Some((at, found)) = known {
            self.backlog.remove(at);
            return Ok(found);
        }
        let until = Instant::now() + DEADLINE;
        loop {
            let event = match timeout_at(until, self.events()?.next()).await {
                Ok(Some(event)) => event?,
                Ok(None) => return Err(DemoError::new(format!("{} heard no more before {what}", self.name))),
                Err(_) => {
                    let seen = std::mem::take(&mut self.backlog);
                    return Err(DemoError::new(format!("{} did not hear {what} in time, only {seen:?}", self.name)));
                }
            };
            match pick(&event) {
                Some(found) => return Ok(found),
                None => self.backlog.push_back(event),
            }
        }
    }

    /// The next direct message with this text; who sent it.
    pub async fn wait_for_message(&mut self, content: &str) -> std::result::Result<String, DemoError> {
        self.wait_for(&format!("the message {content:?}"), |event| match event {
            Event::Message { message, sender_name, .. } if message.content == content => Some(sender_name.clone()),
            _ => None,
        })
        .await
    }

    /// The next message with this text in a thread; whom it mentions.
    pub async fn wait_for_thread_message(&mut self, content: &str) -> std::result::Result<Vec<String>, DemoError> {
        self.wait_for(&format!("the thread message {content:?}"), |event| match event {
            Event::ThreadMessage { message, .. } if message.content == content => {
                Some(message.mentions.iter().map(|mention| mention.name.clone()).collect())
            }
            _ => None,
        })
        .await
    }
}
