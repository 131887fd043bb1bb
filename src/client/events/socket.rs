//! Operations over the socket of an event stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::retry;

/// The operations that take an idempotency key, and so may be retried.
const KEYED: [&str; 6] = ["send", "send_dm", "send_thread_message", "thread_create", "artifact_add", "artifact_update"];

/// The answer to an operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Ack {
    /// Its `result`, as the protocol's table of operations describes it.
    pub result: Value,
    /// Whether an earlier operation with the same `client_id` had taken effect.
    pub replayed: bool,
}

/// An operation to be sent.
#[derive(Debug)]
pub struct Operation {
    pub reference: u64,
    pub text: String,
    pub repeats: bool,
    pub reply: oneshot::Sender<Result<Ack>>,
}

/// Sends operations over the socket of an event stream; from [`Events::socket`](crate::Events::socket).
///
/// Cloning is cheap. Operations on one conversation take effect in the order in which they were started.
#[derive(Debug, Clone)]
pub struct Socket {
    operations: mpsc::Sender<Operation>,
    last: Arc<AtomicU64>,
    timeout: Duration,
    tries: u32,
}

impl Socket {
    pub(super) fn new(operations: mpsc::Sender<Operation>, client: &Client) -> Self {
        Self { operations, last: Arc::default(), timeout: client.timeout(), tries: client.tries() }
    }

    /// Sends an operation and waits for its answer. `fields` is an object with the operation's fields.
    ///
    /// An operation that creates something gets a `client_id` if it has none; it is sent again after the socket is lost and
    /// after errors that may pass, and takes effect once. Others fail with [`Error::Network`] when the socket is lost before
    /// the answer. While there is no socket, operations wait for one.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// use serde_json::json;
    ///
    /// let events = client.events();
    /// let ack = events.socket().op("send_dm", json!({ "to": "bob", "content": "Lunch?" })).await?;
    /// println!("{}", ack.result["message_id"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Api`] with status 0 when the hub refuses; [`Error::Timeout`] when no answer comes within the client's
    /// timeout; [`Error::Network`] when the stream has ended.
    pub async fn op(&self, kind: &str, fields: Value) -> Result<Ack> {
        let Value::Object(mut fields) = fields else {
            return Err(Error::Protocol("the fields of an operation are an object".to_owned()));
        };
        let repeats = KEYED.contains(&kind);
        if repeats && !fields.contains_key("client_id") {
            fields.insert("client_id".to_owned(), json!(Uuid::new_v4()));
        }
        let mut failed = 0;
        loop {
            let error = match self.ask(kind, fields.clone(), repeats).await {
                Ok(ack) => return Ok(ack),
                Err(error) => error,
            };
            failed += 1;
            match retry::before_next(&error, failed, self.tries, rand::random()) {
                Some(pause) if repeats && error.api().is_some() => tokio::time::sleep(pause).await,
                _ => return Err(error),
            }
        }
    }

    /// Pings the hub.
    ///
    /// # Errors
    /// As [`Socket::op`].
    pub async fn ping(&self) -> Result<()> {
        self.op("ping", json!({})).await.map(drop)
    }

    async fn ask(&self, kind: &str, mut fields: Map<String, Value>, repeats: bool) -> Result<Ack> {
        let reference = self.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        fields.insert("type".to_owned(), kind.into());
        fields.insert("ref".to_owned(), reference.into());
        let (reply, answer) = oneshot::channel();
        let operation = Operation { reference, text: Value::Object(fields).to_string(), repeats, reply };
        let ended = || Error::network("the event stream has ended");
        let asked = async {
            self.operations.send(operation).await.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        };
        tokio::time::timeout(self.timeout, asked).await.unwrap_or(Err(Error::Timeout))
    }
}
