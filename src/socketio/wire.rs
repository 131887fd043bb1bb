//! The two protocols as bytes: Engine.IO packets and payloads, and above them Socket.IO packets.
//!
//! Pure: no input or output, no clock, no state but the packet that is being assembled. No input panics, and every
//! size that a peer chooses is bounded by [`Limits`].

pub mod args;
pub mod engine;
pub mod json;
pub mod packet;

pub use args::{Args, ToArgs};
pub use engine::{EnginePacket, Frame};
pub use packet::{Decoder, Packet};

/// Bounds of what is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep arrays and objects may be nested in a packet.
    pub depth: usize,
    /// Binary attachments of one packet.
    pub attachments: usize,
    /// Bytes of one packet with its attachments.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, attachments: 10, bytes: 5 * 1024 * 1024 }
    }
}

/// Why bytes are not a packet. It ends the session that sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An empty packet.
    #[error("the packet is empty")]
    Empty,
    /// A packet type that the protocol does not have.
    #[error("the packet type is unknown")]
    Type,
    /// Bytes that are not UTF-8 where text is expected.
    #[error("the text is not UTF-8")]
    Text,
    /// A binary packet of a payload that is not base64.
    #[error("the binary packet is not base64")]
    Base64,
    /// More packets in a payload than allowed.
    #[error("the payload has too many packets")]
    TooManyPackets,
    /// An acknowledgement id that is missing or not a number.
    #[error("the acknowledgement id is invalid")]
    AckId,
    /// A payload that is not JSON, or JSON of the wrong shape.
    #[error("the payload of the packet is invalid")]
    Payload,
    /// JSON that is nested too deep.
    #[error("the payload of the packet is nested too deep")]
    Depth,
    /// A number of attachments that is missing, too large, or not what the payload refers to.
    #[error("the attachments of the packet are invalid")]
    Attachments,
    /// A packet that is larger than allowed.
    #[error("the packet is too large")]
    TooLarge,
    /// Text where an attachment is expected, or an attachment where none is.
    #[error("the packet is out of sequence")]
    Sequence,
}

#[cfg(test)]
mod tests;
