//! What an application does with the sockets of a namespace.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::reason::CloseReason;
use crate::socket::{EmitError, Socket};
use crate::wire::{Args, ToArgs};

/// The application of a namespace.
///
/// Its methods are called by the session's thread, in the order of the session's packets, and keep that thread from
/// other work: what takes time belongs elsewhere, for example into an actor that gets a message here. If a method
/// panics, the session is closed and nothing else happens.
pub trait Handler: Send + Sync + 'static {
    /// A client wants to connect. What is sent to the socket before this returns follows the answer.
    ///
    /// # Errors
    /// If the client must not connect. It does not try again by itself.
    fn connect(&self, socket: &Socket, auth: &Auth) -> Result<Accept, ConnectError>;

    /// An event has come.
    fn event(&self, socket: &Socket, event: Event);

    /// A socket that was accepted has ended; it can send nothing more.
    fn disconnect(&self, _socket: &Socket, _reason: CloseReason) {}

    /// An event has come that exceeds the rate of the session and is not processed. What is returned acknowledges it, if
    /// the client wants that.
    fn limited(&self, _socket: &Socket, _event: &str) -> Args {
        json!({ "error": "rate_limited" }).to_args().unwrap_or_default()
    }
}

/// What a client said when it connected to a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth(Option<String>);

impl Auth {
    pub(crate) fn new(json: Option<String>) -> Self {
        Self(json)
    }

    /// The JSON text of an object; `None` if the client said nothing.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// A JSON object, empty if the client said nothing.
    #[must_use]
    pub fn value(&self) -> Value {
        self.get().unwrap_or_else(|_| Value::Object(Map::new()))
    }

    /// The object as a type of the application.
    ///
    /// # Errors
    /// If it is not of that type.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.raw().unwrap_or("{}"))
    }
}

/// A client may connect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    pub(crate) fields: Map<String, Value>,
}

impl Accept {
    /// With nothing but the socket's id in the answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With another field in the answer. Clients of the npm package ignore those they do not know.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}

/// A client must not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectError {
    message: String,
    data: Option<Value>,
}

impl ConnectError {
    /// For this reason.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// With further data, which clients have as `error.data`.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Value>) -> Self {
        self.data = Some(data.into());
        self
    }

    pub(crate) fn json(&self) -> String {
        match &self.data {
            Some(data) => json!({ "message": self.message, "data": data }).to_string(),
            None => json!({ "message": self.message }).to_string(),
        }
    }
}

/// An event of a client.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub args: Args,
    /// How to acknowledge it, if the client wants that.
    pub ack: Option<Reply>,
}

/// Acknowledges one event of a client. It may be kept and sent to other threads.
#[derive(Debug)]
#[must_use = "the client waits for it"]
pub struct Reply {
    socket: Socket,
    id: u64,
}

impl Reply {
    pub(crate) fn new(socket: Socket, id: u64) -> Self {
        Self { socket, id }
    }

    /// Acknowledges the event.
    ///
    /// # Errors
    /// If the arguments do not serialize, or the socket is disconnected, or is now because its client reads too slowly.
    pub fn send(self, args: &(impl ToArgs + ?Sized)) -> Result<(), EmitError> {
        Ok(self.socket.send_ack(self.id, &args.to_args()?)?)
    }
}
