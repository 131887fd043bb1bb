//! How frames are assembled, and which are refused.

use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { message_bytes: 1000, frames_per_second: 1000 };
const MASK: [u8; 4] = [0x6d, 0xb6, 0xb2, 0x80];

/// A client's frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, u64::try_from(payload.len()).unwrap());
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => head.push(0x80 | short),
        (_, Ok(length)) => {
            head.push(0xfe);
            head.extend(length.to_be_bytes());
        }
        _ => {
            head.push(0xff);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend(MASK);
    head
}

fn all(bounds: Bounds, bytes: &[u8], chunk: usize) -> (Vec<Incoming>, Option<Broken>) {
    let (mut decoder, mut found) = (Decoder::new(bounds), Vec::new());
    for chunk in bytes.chunks(chunk.max(1)) {
        decoder.feed(Bytes::copy_from_slice(chunk));
        loop {
            match decoder.decode() {
                Ok(Some(incoming)) => found.push(incoming),
                Ok(None) => break,
                Err(broken) => return (found, Some(broken)),
            }
        }
    }
    (found, None)
}

fn broken(bytes: &[u8]) -> Option<Broken> {
    all(BOUNDS, bytes, usize::MAX).1
}

fn text(text: &str) -> Incoming {
    Incoming::Text(text.to_owned())
}

#[test]
fn messages_come_whole_however_they_are_cut() {
    let long = "ä".repeat(400);
    let mut bytes = frame(0x81, b"");
    bytes.extend(frame(0x81, b"one"));
    bytes.extend(frame(0x01, &long.as_bytes()[..401]));
    bytes.extend(frame(0x89, b"there?"));
    bytes.extend(frame(0x00, b""));
    bytes.extend(frame(0x80, &long.as_bytes()[401..]));
    bytes.extend(frame(0x8a, b"yes"));
    bytes.extend(frame(0x82, &[0xff, 0]));
    bytes.extend(frame(0x88, &[3, 232, b'!']));
    let expected = vec![
        text(""),
        text("one"),
        Incoming::Ping(b"there?".to_vec()),
        text(&long),
        Incoming::Pong,
        Incoming::Binary(vec![0xff, 0]),
        Incoming::Close(Some(1000)),
    ];
    for chunk in [1, 2, 3, 5, 7, 11, 64, 1000, usize::MAX] {
        assert_eq!(all(BOUNDS, &bytes, chunk), (expected.clone(), None), "in chunks of {chunk}");
    }
}

#[test]
fn a_length_is_judged_before_a_byte_of_it_has_come() {
    for length in [1001, 65_536, 1 << 40, 1 << 63, u64::MAX] {
        assert_eq!(broken(&head(0x81, length)), Some(Broken::TooLarge), "{length}");
    }
    assert_eq!(broken(&head(0x81, 1000)), None);
    let mut fragments = frame(0x01, &[b'x'; 600]);
    fragments.extend(head(0x80, 401));
    assert_eq!(broken(&fragments), Some(Broken::TooLarge));
    let mut decoder = Decoder::new(Bounds { message_bytes: 1 << 30, ..BOUNDS });
    decoder.feed(Bytes::from(head(0x81, 1 << 30)));
    assert_eq!(decoder.decode(), Ok(None));
    assert_eq!(decoder.message.unwrap().bytes.capacity(), 0, "a promise takes no memory");
}

#[test]
fn room_grows_with_what_comes_and_not_past_the_end() {
    let bounds = Bounds { message_bytes: 1_000_000, frames_per_second: 1_000_000 };
    let whole = frame(0x81, &vec![b'x'; 900_000]);
    let mut fragments = frame(0x01, b"");
    for _ in 0..900 {
        fragments.extend(frame(0x00, &[b'x'; 1000]));
    }
    for bytes in [whole, fragments] {
        let mut decoder = Decoder::new(bounds);
        for chunk in bytes.chunks(10_000) {
            decoder.feed(Bytes::copy_from_slice(chunk));
            let _ = decoder.decode().unwrap();
            let (length, room) = decoder.message.as_ref().map_or((0, 0), |m| (m.bytes.len(), m.bytes.capacity()));
            let most = if length < 32 * 1024 { 3 * length } else { 1_000_000 };
            assert!(room <= most, "{room} for {length}");
        }
    }
}

#[test]
fn what_breaks_the_protocol() {
    let mut unmasked = frame(0x81, b"a");
    unmasked[1] &= 0x7f;
    let two_texts = [frame(0x01, b"a"), frame(0x81, b"b")].concat();
    let cases = [
        unmasked,
        two_texts,
        frame(0xc1, b"a"),
        frame(0xa1, b"a"),
        frame(0x91, b"a"),
        frame(0x83, b"a"),
        frame(0x8b, b"a"),
        frame(0x80, b"a"),
        frame(0x00, b"a"),
        frame(0x09, b"a"),
        frame(0x08, b""),
        frame(0x89, &[0; 126]),
        frame(0x8a, &[0; 126]),
        frame(0x88, &[0; 126]),
        frame(0x88, &[3]),
        frame(0x88, &[0, 0]),
        frame(0x88, &[3, 237]),
    ];
    for bytes in cases {
        assert_eq!(broken(&bytes), Some(Broken::Protocol), "{bytes:02x?}");
    }
}

#[test]
fn texts_are_utf8_over_all_their_fragments() {
    assert_eq!(broken(&frame(0x81, &[b'a', 0xff])), Some(Broken::NotText));
    assert_eq!(broken(&[frame(0x01, "€".as_bytes()), frame(0x80, &[0x80])].concat()), Some(Broken::NotText));
    assert_eq!(broken(&[frame(0x01, &[0xe2, 0x82]), frame(0x80, b"")].concat()), Some(Broken::NotText));
    assert_eq!(broken(&[frame(0x01, &[0xe2, 0x82]), frame(0x80, &[0xac])].concat()), None);
    assert_eq!(broken(&frame(0x88, &[3, 232, 0xff])), Some(Broken::NotText));
}

#[test]
fn frames_that_are_no_message_are_rated() {
    let bounds = Bounds { message_bytes: 1 << 20, frames_per_second: 10 };
    for first in [0x89, 0x8a] {
        let flood = frame(first, b"").repeat(1000);
        let (found, broken) = all(bounds, &flood, usize::MAX);
        assert_eq!(broken, Some(Broken::TooMany));
        assert!((100..200).contains(&found.len()), "{} of a second's 10", found.len());
    }
    let empty = [frame(0x01, b""), frame(0x00, b"").repeat(1000)].concat();
    assert_eq!(all(bounds, &empty, usize::MAX).1, Some(Broken::TooMany));
    let large = [frame(0x01, b""), frame(0x00, &[b'x'; 1024]).repeat(1000), frame(0x80, b"")].concat();
    assert_eq!(all(bounds, &large, usize::MAX).1, None);
    assert_eq!(
        all(bounds, &frame(0x81, b"x").repeat(1000), usize::MAX).0.len(),
        1000,
        "messages are charged elsewhere"
    );
}

proptest! {
    #[test]
    fn what_was_cut_into_fragments_comes_out_whole(
        sent in proptest::collection::vec((any::<bool>(), ".{0,60}", 1usize..40, any::<bool>()), 0..12),
        chunk in 1usize..300,
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for (is_text, content, size, has_ping) in sent {
            let pieces: Vec<&[u8]> = content.as_bytes().chunks(size).collect();
            for (at, piece) in pieces.iter().enumerate() {
                let kind = if at > 0 { 0 } else if is_text { 1 } else { 2 };
                let last = if at + 1 == pieces.len() { 0x80 } else { 0 };
                bytes.extend(frame(last | kind, piece));
                if has_ping && last == 0 {
                    bytes.extend(frame(0x89, piece));
                    expected.push(Incoming::Ping(piece.to_vec()));
                }
            }
            match (pieces.is_empty(), is_text) {
                (true, _) => {}
                (false, true) => expected.push(Incoming::Text(content)),
                (false, false) => expected.push(Incoming::Binary(content.into_bytes())),
            }
        }
        prop_assert_eq!(all(BOUNDS, &bytes, chunk), (expected, None));
    }

    #[test]
    fn noise_ends_in_an_error_or_in_waiting(bytes in proptest::collection::vec(any::<u8>(), 0..400), chunk in 1usize..50) {
        let (_, broken) = all(BOUNDS, &bytes, chunk);
        prop_assert_eq!(broken, all(BOUNDS, &bytes, usize::MAX).1);
    }
}
