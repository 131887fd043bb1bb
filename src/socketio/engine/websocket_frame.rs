//! Frames of a WebSocket, as a server sends them: whole and without a mask (RFC 6455 §5.2).

use bytes::{BufMut, BytesMut};

use crate::wire::Frame;

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const FINAL_CLOSE: u8 = 0x88;

/// Appends a frame.
pub(super) fn put_frame(out: &mut BytesMut, frame: &Frame) {
    match frame {
        Frame::Text(text) => put(out, FINAL_TEXT, text.as_bytes()),
        Frame::Binary(bytes) => put(out, FINAL_BINARY, bytes),
    }
}

/// Appends a close frame with this code.
pub(super) fn put_close(out: &mut BytesMut, code: u16) {
    put(out, FINAL_CLOSE, &code.to_be_bytes());
}

fn put(out: &mut BytesMut, head: u8, payload: &[u8]) {
    out.reserve(payload.len() + 10);
    out.put_u8(head);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            // A length in memory fits 64 bits.
            out.put_u64(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        }
    }
    out.put_slice(payload);
}
