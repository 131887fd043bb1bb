//! A client of the age before 1.1: the same requests under `/v0`, sockets by token.

use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;

use super::{Call, Caller, Socket};

/// Somebody whose client is that old.
pub struct OldClient {
    caller: Caller,
}

impl Caller {
    /// The same caller with an old client.
    pub fn old(&self) -> OldClient {
        OldClient { caller: self.clone() }
    }
}

impl OldClient {
    pub fn call(&self, method: &str, path: &str) -> Call {
        self.caller.call(method, &format!("/v0{path}"))
    }

    pub fn get(&self, path: impl AsRef<str>) -> Call {
        self.call("GET", path.as_ref())
    }

    pub fn post(&self, path: impl AsRef<str>, body: Value) -> Call {
        self.call("POST", path.as_ref()).json(&body)
    }

    pub fn patch(&self, path: impl AsRef<str>, body: Value) -> Call {
        self.call("PATCH", path.as_ref()).json(&body)
    }

    /// As clients did before there were tickets.
    pub async fn socket(&self) -> Socket {
        let path = format!("/v0/ws?token={}", self.caller.secret());
        self.try_socket(&path).await.expect("the upgrade was refused")
    }

    /// As clients did since.
    pub async fn ticket_socket(&self) -> Socket {
        let ticket = self.call("POST", "/api/ws-ticket").await.ok()["ticket"].clone();
        let path = format!("/v0/ws?ticket={}", ticket.as_str().unwrap());
        self.try_socket(&path).await.expect("the upgrade was refused")
    }

    /// A handshake at any path.
    pub async fn try_socket(&self, path: &str) -> Result<Socket, Error> {
        Socket::try_connect(&self.caller.hub, path).await
    }
}
