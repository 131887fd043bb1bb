//! Times and limits of a server, with their defaults.

use std::time::Duration;

use crate::wire::Limits;

/// Times and limits of a server. Rates of zero are no limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The path of all requests, which are served with and without its last slash. Default: `/socket.io/`.
    pub path: String,
    /// Time from the handshake, and from each pong, to the next ping. Default: 25 s.
    pub ping_interval: Duration,
    /// Time in which a ping must be answered. Default: 20 s.
    pub ping_timeout: Duration,
    /// Time in which a WebSocket must take over a session that it was opened for. Default: 10 s.
    pub upgrade_timeout: Duration,
    /// Time in which a session must connect to a namespace. Default: 45 s.
    pub connect_timeout: Duration,
    /// Time in which the body of a POST request must arrive. Default: 30 s.
    pub post_timeout: Duration,
    /// Largest WebSocket message, body of a POST request, and packet with its attachments, in bytes. Clients are told.
    /// Default: 5 MiB.
    pub max_payload: usize,
    /// Packets in the body of one POST request. Clients heed [`max_payload`](Self::max_payload) alone, and send at once what
    /// they have kept while they were not connected. Default: 100,000.
    pub packets_per_payload: usize,
    /// How deep arrays and objects may be nested in a packet. Default: 64; JSON parsers end at 128.
    pub json_depth: usize,
    /// Binary attachments of one packet. Default: 10.
    pub attachments: usize,
    /// Bytes that may wait for one session; with more it is closed as
    /// [`QueueFull`](crate::CloseReason::QueueFull). Default: 8 MiB.
    pub queued_bytes: usize,
    /// Sessions in all; further handshakes are refused with status 503. Default: 10,000.
    pub sessions: usize,
    /// Sessions of one client key; further handshakes are refused with status 429. Default: 1,000.
    pub sessions_per_client: usize,
    /// Sockets of one namespace; a session that connects beyond is closed. Default: 10,000.
    pub sockets_per_namespace: usize,
    /// Handshakes per second of one client key; more are refused with status 429. Default: 50.
    pub handshakes_per_second: u32,
    /// Handshakes that one client key may make at once. Default: 200.
    pub handshake_burst: u32,
    /// Events per second of one session; more are answered by
    /// [`Handler::limited`](crate::Handler::limited). Default: 100.
    pub events_per_second: u32,
    /// Events that one session may send at once. Default: 200.
    pub event_burst: u32,
    /// Acknowledgements that may be waited for from one socket. Default: 1,000.
    pub pending_acks: usize,
}

impl Default for Config {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            path: "/socket.io/".to_owned(),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(20),
            upgrade_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(45),
            post_timeout: Duration::from_secs(30),
            max_payload: limits.bytes,
            packets_per_payload: 100_000,
            json_depth: limits.depth,
            attachments: limits.attachments,
            queued_bytes: 8 * 1024 * 1024,
            sessions: 10_000,
            sessions_per_client: 1000,
            sockets_per_namespace: 10_000,
            handshakes_per_second: 50,
            handshake_burst: 200,
            events_per_second: 100,
            event_burst: 200,
            pending_acks: 1000,
        }
    }
}

impl Config {
    /// The bounds of the packets of a session.
    pub(crate) fn wire_limits(&self) -> Limits {
        Limits { depth: self.json_depth, attachments: self.attachments, bytes: self.max_payload }
    }
}
