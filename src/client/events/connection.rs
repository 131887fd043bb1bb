//! One socket: opened, read, and closed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::client::Client;
use crate::error::{Error, Result};

/// Any kind of byte stream.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Bytes for S {}

/// An open socket.
pub struct Connection {
    stream: WebSocketStream<Box<dyn Bytes>>,
    patience: Duration,
}

/// A frame of the hub.
pub enum Frame {
    /// A frame of the protocol.
    Json(Value),
    /// A ping or pong.
    Control,
}

impl Connection {
    /// Opens a socket of the hub with this query.
    pub async fn open(client: &Client, query: &[(&str, &str)]) -> Result<Self> {
        let patience = client.timeout();
        let mut url = client.url(&["ws"])?;
        url.query_pairs_mut().extend_pairs(query);
        let stream = timeout(patience, connect(client, url)).await.unwrap_or(Err(Error::Timeout))?;
        Ok(Self { stream, patience })
    }

    /// The next frame, or why the socket ended; [`Error::Closed`] with any code when the hub closed it. Cancel-safe.
    pub async fn next(&mut self) -> Result<Frame> {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => frame(text.as_bytes()),
            Some(Ok(Message::Binary(bytes))) => frame(&bytes),
            Some(Ok(Message::Close(Some(close)))) => {
                Err(Error::Closed { code: close.code.into(), reason: close.reason.as_str().to_owned() })
            }
            Some(Ok(Message::Close(None))) | None => Err(Error::network("the socket was closed without a code")),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Frame::Control),
            Some(Err(error)) => Err(Error::network(error)),
        }
    }

    /// Sends a frame.
    pub async fn send(&mut self, text: String) -> Result<()> {
        let sending = timeout(self.patience, self.stream.send(Message::text(text)));
        match sending.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::network(error)),
            Err(_) => Err(Error::Timeout),
        }
    }

    /// Closes the socket, without waiting for the hub for more than a second.
    pub async fn close(mut self) {
        if let Ok(Err(error)) = timeout(Duration::from_secs(1), self.stream.close(None)).await {
            log::debug!(error:% = error; "the socket was gone before it was closed");
        }
    }
}

fn frame(bytes: &[u8]) -> Result<Frame> {
    let read = serde_json::from_slice(bytes).map(Frame::Json);
    read.map_err(|error| Error::Protocol(format!("a frame that cannot be read: {error}")))
}

async fn connect(client: &Client, mut url: Url) -> Result<WebSocketStream<Box<dyn Bytes>>> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(Error::network)?;
    tcp.set_nodelay(true).map_err(Error::network)?;
    let is_secure = url.scheme() == "https";
    let bytes: Box<dyn Bytes> = if is_secure { Box::new(secured(client, tcp, host).await?) } else { Box::new(tcp) };
    // The schemes are of the same kind, so this cannot fail.
    let _ = url.set_scheme(if is_secure { "wss" } else { "ws" });
    let (stream, _) = client_async(url.as_str(), bytes).await.map_err(Error::network)?;
    Ok(stream)
}

/// TLS with the roots that REST calls trust, too.
async fn secured(client: &Client, tcp: TcpStream, host: String) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for der in client.roots() {
        roots.add(CertificateDer::from(der.as_slice())).map_err(Error::network)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(Error::network)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host).map_err(Error::network)?;
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(Error::network)
}
