//! Why a session, or a socket on it, has ended.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// Why a session, or a socket on it, has ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum CloseReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl CloseReason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason in words.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

reasons! {
    /// The client closed the session by a packet.
    ClientClose => "client close",
    /// The connection was lost, or closed by the client.
    TransportClose => "transport close",
    /// The connection broke the rules of its transport.
    TransportError => "transport error",
    /// A ping was not answered in time.
    PingTimeout => "ping timeout",
    /// A packet was malformed.
    ParseError => "parse error",
    /// A packet or payload was larger than allowed.
    TooLarge => "payload too large",
    /// A poll began while another one was waiting.
    DuplicatePoll => "duplicate poll",
    /// A POST request began while another one was being read.
    DuplicatePost => "duplicate post",
    /// No namespace was connected in time.
    ConnectTimeout => "connect timeout",
    /// A namespace was connected twice.
    DuplicateConnect => "duplicate connect",
    /// More connections to namespaces than the rate of events allows.
    TooManyConnects => "too many connects",
    /// The namespace has as many sockets as it may.
    NamespaceFull => "namespace full",
    /// More bytes were waiting for the client than allowed.
    QueueFull => "outbound queue full",
    /// A handler of the application panicked.
    HandlerPanic => "handler panic",
    /// The server closed the session.
    ServerClose => "server close",
    /// The server is shutting down.
    ServerShutdown => "server shutdown",
    /// The client left the namespace; its session goes on.
    ClientDisconnect => "client namespace disconnect",
    /// The server disconnected the socket; its session goes on.
    ServerDisconnect => "server namespace disconnect",
}

impl fmt::Display for CloseReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
