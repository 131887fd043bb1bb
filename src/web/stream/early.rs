//! Responses that the HTTP parser sends by itself, before any route is called: recognised by the headers they lack, and
//! replaced by JSON with a code and a request id like every other error.

use std::time::Duration;

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use memchr::memchr;

use crate::request_id;
use crate::route_table::UNMATCHED;
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_hub::hub::Hub;

/// Every answer of the hub's own has it.
const OWN: &[u8] = b"x-request-id: ";

/// Why a connection ends without a route having been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The parser could not read the request and answers with this status.
    Unreadable(u16),
    /// The head is longer than it may be.
    HeadTooLarge,
    /// The head stopped arriving.
    Slow,
}

impl Fault {
    /// The whole answer, as it goes on the wire. `opening` is how the request began.
    pub fn answer(self, hub: &Hub, opening: [u8; 16]) -> Vec<u8> {
        let refusal = self.refusal(hub, opening);
        let (status, id) = (refusal.status_code(), request_id::new());
        let id = id.to_str().unwrap_or_default();
        hub.metrics().request(UNMATCHED, status.as_u16(), Duration::ZERO);
        hub.metrics().limited("unreadable");
        log::debug!(request_id = id, status = status.as_u16(); "cannot parse a request");
        let body = refusal.body().to_string();
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\
             x-content-type-options: nosniff\r\nx-request-id: {id}\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default(),
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    }

    fn refusal(self, hub: &Hub, opening: [u8; 16]) -> ApiError {
        let most = hub.config().server.max_head_bytes;
        match self {
            Self::HeadTooLarge | Self::Unreadable(431) => {
                let message = format!("The request line and headers are too long (at most {most} bytes)");
                ApiError::new(ErrorCode::HeadersTooLarge, message)
            }
            Self::Slow | Self::Unreadable(408) => {
                ApiError::new(ErrorCode::RequestTimeout, "The request stopped arriving; send it again")
            }
            Self::Unreadable(status) if status >= 500 => ApiError::internal(),
            Self::Unreadable(_) => ApiError::validation(spoken(opening)),
        }
    }
}

/// What is wrong with a request that began like this.
fn spoken(opening: [u8; 16]) -> &'static str {
    match opening {
        [0x16, 3, ..] => "This port speaks plain HTTP, and the request is TLS; use http:// or a proxy that ends TLS",
        [b'P', b'R', b'I', b' ', b'*', b' ', b'H', b'T', b'T', b'P', b'/', b'2', ..] => {
            "This port speaks HTTP/1.1, and the request is HTTP/2"
        }
        _ => {
            "The request is not valid HTTP/1.1: its request line, a header, Content-Length or Transfer-Encoding cannot be read"
        }
    }
}

/// What comes next on a connection that is written to.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// So many bytes belong to answers of the hub's own.
    Answers(usize),
    /// An answer of the parser's own.
    Fault(Fault),
    /// The answer after which another protocol is spoken.
    Opens,
}

/// One answer at the beginning of some bytes.
enum ParserAnswer {
    /// Of the hub, so long; `closes` when it is the last, `is_final` when it is the answer to a request.
    Own {
        length: u64,
        closes: bool,
        is_final: bool,
    },
    Fault(Fault),
    Opens,
    /// Nothing that can be told apart; all bytes are passed on.
    Unclear,
}

/// What `bytes` are, of which the first `left` still belong to the answer before. `is_head` tells of each answer that comes
/// whether it is one to a HEAD request.
pub fn next(bytes: &[u8], left: u64, is_head: impl Fn(usize) -> bool) -> Next {
    let (mut at, mut answers) = (usize::try_from(left).unwrap_or(usize::MAX), 0_usize);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match read(rest, is_head(answers)) {
            ParserAnswer::Own { length, is_final, .. } => {
                at = at.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                answers = answers.saturating_add(usize::from(is_final));
            }
            ParserAnswer::Fault(fault) if at == 0 => return Next::Fault(fault),
            ParserAnswer::Opens if at == 0 => return Next::Opens,
            ParserAnswer::Fault(_) | ParserAnswer::Opens => return Next::Answers(at),
            ParserAnswer::Unclear => return Next::Answers(bytes.len()),
        }
    }
    Next::Answers(bytes.len())
}

/// What has become of answers once some of their bytes are written.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the answer under way that are not.
    pub left: u64,
    /// Answers that were begun.
    pub answers: usize,
    /// Whether the last one ends the connection.
    pub is_last: bool,
}

/// Follows the answers in `bytes`, of which the first `written` are written now; the rest as in [`next`].
pub fn after(written: usize, bytes: &[u8], left: u64, is_head: impl Fn(usize) -> bool) -> Written {
    let count = u64::try_from(written).unwrap_or(u64::MAX);
    let (mut end, mut so_far) = (left, Written::default());
    while end < count {
        let Some(rest) = usize::try_from(end).ok().and_then(|at| bytes.get(at..)) else { break };
        match read(rest, is_head(so_far.answers)) {
            ParserAnswer::Own { length, closes, is_final } => {
                end = end.saturating_add(length);
                so_far.answers = so_far.answers.saturating_add(usize::from(is_final));
                so_far.is_last |= closes;
            }
            ParserAnswer::Fault(_) | ParserAnswer::Opens | ParserAnswer::Unclear => return so_far,
        }
    }
    so_far.left = end.saturating_sub(count);
    so_far
}

fn read(bytes: &[u8], is_head: bool) -> ParserAnswer {
    let Some(head) = Head::read(bytes) else { return ParserAnswer::Unclear };
    match head.status {
        101 => return ParserAnswer::Opens,
        100..=199 => return ParserAnswer::Own { length: head.length, closes: false, is_final: false },
        400.. if !head.is_own => return ParserAnswer::Fault(Fault::Unreadable(head.status)),
        _ => {}
    }
    if head.is_in_chunks {
        return ParserAnswer::Unclear;
    }
    let body = if is_head || matches!(head.status, 204 | 304) { 0 } else { head.content_length };
    ParserAnswer::Own { length: head.length.saturating_add(body), closes: head.closes, is_final: true }
}

/// What is needed of an answer's head, in which names are in small letters. Every answer passes here, so its lines are
/// gone through once.
#[derive(Default)]
struct Head {
    status: u16,
    length: u64,
    content_length: u64,
    is_in_chunks: bool,
    closes: bool,
    is_own: bool,
}

impl Head {
    /// None unless all of it is there.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut head = Self { status: status(line(&mut rest)?)?, ..Self::default() };
        loop {
            let line = line(&mut rest)?;
            match line.first() {
                None => break,
                Some(b'c') => {
                    head.closes |= line == b"connection: close";
                    if let Some(value) = line.strip_prefix(b"content-length: ") {
                        head.content_length = number(value);
                    }
                }
                Some(b't') => head.is_in_chunks |= line.starts_with(b"transfer-encoding: "),
                Some(b'x') => head.is_own |= line.starts_with(OWN),
                Some(_) => {}
            }
        }
        head.length = u64::try_from(bytes.len().saturating_sub(rest.len())).unwrap_or(u64::MAX);
        Some(head)
    }
}

/// Takes a line off the middleware, without its end.
fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = memchr(b'\n', rest)?;
    let line = rest.get(..end)?.strip_suffix(b"\r")?;
    *rest = rest.get(end.saturating_add(1)..)?;
    Some(line)
}

fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    StatusCode::from_u16(status).ok().map(|status| status.as_u16())
}

fn number(value: &[u8]) -> u64 {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |sum: u64, digit| sum.saturating_mul(10).saturating_add(u64::from(digit.saturating_sub(b'0'))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OWN_ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-request-id: a\r\n\r\nhello";
    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: x\r\n\r\n";

    fn next(bytes: &[u8], left: u64) -> Next {
        super::next(bytes, left, |_| false)
    }

    fn after(written: &[u8], bytes: &[u8], left: u64) -> (u64, bool) {
        let Written { left, is_last, .. } = super::after(written.len(), bytes, left, |_| false);
        (left, is_last)
    }

    fn length(bytes: &[u8]) -> u64 {
        u64::try_from(bytes.len()).unwrap()
    }

    #[test]
    fn answers_to_head_have_no_body() {
        let head: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nx-request-id: a\r\n\r\n";
        let all = [head, OWN_ANSWER, head, BARE].concat();
        let is_head = |answer| answer % 2 == 0;
        let own = all.len() - BARE.len();
        assert_eq!(super::next(&all, 0, is_head), Next::Answers(own));
        let written = super::after(own, &all, 0, is_head);
        assert_eq!(written, Written { left: 0, answers: 3, is_last: false });
    }

    #[test]
    fn answers_of_the_parser_lack_a_request_id() {
        assert_eq!(next(BARE, 0), Next::Fault(Fault::Unreadable(400)));
        assert_eq!(next(&[OWN_ANSWER, BARE].concat(), 0), Next::Answers(OWN_ANSWER.len()));
        assert_eq!(next(&[b"lo", BARE].concat(), 2), Next::Answers(2));
        assert_eq!(next(&[OWN_ANSWER, OWN_ANSWER].concat(), 0), Next::Answers(2 * OWN_ANSWER.len()));
        assert_eq!(next(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n", 0), Next::Opens);
        let refused = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nx-request-id: a\r\n\r\n{}";
        assert_eq!(next(refused, 0), Next::Answers(refused.len()));
    }

    /// A file may hold the very bytes of such an answer.
    #[test]
    fn what_stands_in_a_body_is_no_answer() {
        assert_eq!(next(BARE, 1000), Next::Answers(BARE.len()));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-request-id: a\r\n\r\n", BARE.len());
        let whole = [head.as_bytes(), BARE].concat();
        assert_eq!(next(&whole, 0), Next::Answers(whole.len()));
        assert_eq!(after(&whole[..head.len()], &whole, 0), (length(BARE), false));
    }

    #[test]
    fn the_last_answer_says_so() {
        let last =
            b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\nconnection: close\r\nx-request-id: a\r\n\r\n{}";
        assert_eq!(after(last, last, 0), (0, true));
        assert_eq!(after(&last[..10], last, 0), (length(last) - 10, true));
        assert_eq!(after(OWN_ANSWER, OWN_ANSWER, 0), (0, false));
        let none = b"HTTP/1.1 304 Not Modified\r\ncontent-length: 500\r\nx-request-id: a\r\n\r\n";
        assert_eq!(after(none, none, 0), (0, false));
    }

    #[test]
    fn other_protocols_are_named() {
        let opening = |text: &[u8]| {
            let mut opening = [0; 16];
            opening.iter_mut().zip(text).for_each(|(place, byte)| *place = *byte);
            spoken(opening)
        };
        assert!(opening(b"\x16\x03\x01\x02").contains("TLS"));
        assert!(opening(b"PRI * HTTP/2.0\r\n").contains("HTTP/2"));
        assert!(opening(b"GET / HTTP/9.9").contains("HTTP/1.1"));
    }

    proptest! {
        /// However writes are cut, the end of each answer is found.
        #[test]
        fn answers_are_followed_through_cut_writes(cuts in proptest::collection::vec(1usize..40, 1..30)) {
            let all = [OWN_ANSWER, OWN_ANSWER, OWN_ANSWER].concat();
            let (mut left, mut at) = (0, 0);
            for cut in cuts {
                let rest = &all[at..];
                if rest.is_empty() { break }
                prop_assert_eq!(next(rest, left), Next::Answers(rest.len()));
                let written = &rest[..cut.min(rest.len())];
                left = after(written, rest, left).0;
                at += written.len();
            }
            let answers_left = length(&all[at..]);
            prop_assert_eq!(left, answers_left % length(OWN_ANSWER));
        }
    }
}
