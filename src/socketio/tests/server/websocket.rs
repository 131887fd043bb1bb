//! A WebSocket client that shows each frame.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Nothing on this machine takes so long.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct WebSocket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    pub async fn try_open(to: SocketAddr, path: &str) -> Option<Self> {
        connect_async(format!("ws://{to}{path}")).await.ok().map(|(stream, _)| Self(stream))
    }

    pub async fn open(to: SocketAddr, path: &str) -> Self {
        Self::try_open(to, path).await.expect("the handshake is accepted")
    }

    pub async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.0.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    /// The next frame; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<Message> {
        match timeout(PATIENCE, self.0.next()).await.expect("a frame or the end") {
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(message)) => Some(message),
        }
    }

    pub async fn text(&mut self) -> String {
        self.next().await.expect("a frame").into_text().unwrap().to_string()
    }

    /// The next text that is no ping.
    pub async fn message(&mut self) -> String {
        loop {
            let text = self.text().await;
            if text != "2" {
                return text;
            }
            self.send("3").await;
        }
    }

    pub async fn binary(&mut self) -> Vec<u8> {
        match self.next().await.expect("a frame") {
            Message::Binary(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end, and gives the close code if there was a close frame.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("the end of the connection") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}
