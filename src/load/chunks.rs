//! Decodes a chunked HTTP body that never ends, piece by piece as it arrives.

use crate::error::{LoadError, Result};

/// A chunk above this is a fault of the peer.
const MAX_CHUNK: usize = 64 << 20;
/// A line before a chunk above this, too.
const MAX_LINE: usize = 1024;

/// Where the decoder stands.
#[derive(Debug, Default)]
enum State {
    /// In the line before a chunk; what was read of it.
    #[default]
    Size,
    /// In a chunk, of which so many bytes are left.
    Data(usize),
    /// Behind a chunk, before so many bytes of a line's end.
    End(usize),
    /// Behind the last chunk.
    Over,
}

/// The decoder; see the module.
#[derive(Debug, Default)]
pub struct Chunks {
    state: State,
    line: Vec<u8>,
}

impl Chunks {
    /// Whether the last chunk has come.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Appends what this piece holds of the body.
    pub fn decode(&mut self, mut piece: &[u8], body: &mut Vec<u8>) -> Result<()> {
        while !piece.is_empty() {
            let taken = match self.state {
                State::Over => return Ok(()),
                State::Size => self.read_size(piece)?,
                State::Data(left) => {
                    let part = piece.get(..left).unwrap_or(piece);
                    body.extend_from_slice(part);
                    self.state = if part.len() == left { State::End(2) } else { State::Data(left - part.len()) };
                    part.len()
                }
                State::End(left) => {
                    self.state = if left > 1 { State::End(left - 1) } else { State::Size };
                    1
                }
            };
            piece = piece.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// How many bytes of this piece belong to the line.
    fn read_size(&mut self, piece: &[u8]) -> Result<usize> {
        let end = piece.iter().position(|byte| *byte == b'\n');
        let part = piece.get(..end.map_or(piece.len(), |end| end + 1)).unwrap_or(piece);
        self.line.extend_from_slice(part);
        if self.line.len() > MAX_LINE {
            return Err(LoadError::protocol("a chunk's size without an end"));
        }
        if end.is_some() {
            let text = String::from_utf8_lossy(&self.line).into_owned();
            let size = usize::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16).ok();
            let size = size.filter(|size| *size <= MAX_CHUNK);
            let size = size.ok_or_else(|| LoadError::protocol(format!("chunk size {text:?}")))?;
            self.line.clear();
            self.state = if size == 0 { State::Over } else { State::Data(size) };
        }
        Ok(part.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_are_one_body() {
        let encoded = b"4\r\n{\"a\"\r\n4;x=y\r\n: 2}\r\n0\r\n\r\n";
        for size in 1..=encoded.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            encoded.chunks(size).for_each(|piece| chunks.decode(piece, &mut body).unwrap());
            assert_eq!((body.as_slice(), chunks.is_over()), (&b"{\"a\": 2}"[..], true), "{size}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["xyz\r\n", "fffffffff\r\n", "\r\n"] {
            assert!(Chunks::default().decode(text.as_bytes(), &mut Vec::new()).is_err(), "{text:?}");
        }
    }
}
