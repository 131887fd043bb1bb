//! WebSocket frames, byte by byte: fragments, control frames, broken ones, and the end of a connection.

use std::cell::Cell;
use std::time::Duration;

use hxa_socketio::{CloseReason, Config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::under_test::{Server, calm, config};

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const PING: u8 = 9;
const FINAL: u8 = 0x80;

/// A WebSocket with a new session, behind its open packet.
async fn open(server: &Server) -> TcpStream {
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.url("transport=websocket")
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"}") {
        received.push(stream.read_u8().await.unwrap());
    }
    stream
}

/// A short frame, masked by zeros.
fn frame(head: u8, payload: &[u8]) -> Vec<u8> {
    let size = u8::try_from(payload.len()).unwrap();
    assert!(size < 126);
    [&[head, 0x80 | size, 0, 0, 0, 0], payload].concat()
}

/// What comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut received)).await;
    assert!(ended.is_ok(), "the connection stays open");
    received
}

#[tokio::test]
async fn fragments_are_put_together() {
    let server = Server::engine(calm());
    let mut stream = open(&server).await;
    // A control frame may come in between.
    for (head, payload) in [(TEXT, "4he"), (CONTINUATION, ""), (FINAL | PING, "p"), (FINAL | CONTINUATION, "llo")] {
        stream.write_all(&frame(head, payload.as_bytes())).await.unwrap();
    }
    stream.write_all(&frame(BINARY, &[1])).await.unwrap();
    stream.write_all(&frame(FINAL | CONTINUATION, &[2])).await.unwrap();
    let mut received = [0; 14];
    stream.read_exact(&mut received).await.unwrap();
    assert_eq!(&received, b"\x8a\x01p\x81\x064hello\x82\x02\x01\x02"[..14].as_ref());
}

#[tokio::test]
async fn fragments_together_are_limited() {
    let server = Server::engine(Config { max_payload: 1000, ..calm() });
    let mut stream = open(&server).await;
    stream.write_all(&frame(TEXT, &[b'4'; 100])).await.unwrap();
    for _ in 0..10 {
        let _ = stream.write_all(&frame(CONTINUATION, &[b'a'; 100])).await;
    }
    rest(&mut stream).await;
    assert_eq!(server.stats().closes[&CloseReason::TooLarge], 1);
    server.until_empty().await;
}

#[tokio::test]
async fn broken_frames_close_their_session() {
    let broken: [&[u8]; 6] = [
        // No mask, an unknown opcode, a reserved bit, a continuation of nothing, a length that nothing has, no UTF-8.
        &[0x81, 1, b'4'],
        &[0x83, 0x80, 0, 0, 0, 0],
        &[0xc1, 0x80, 0, 0, 0, 0],
        &[0x80, 0x80, 0, 0, 0, 0],
        &[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0x81, 0x82, 0, 0, 0, 0, b'4', 0xff],
    ];
    let server = Server::engine(calm());
    for bytes in broken {
        let mut stream = open(&server).await;
        stream.write_all(bytes).await.unwrap();
        server.until(&format!("{bytes:x?} closes"), |stats| stats.sessions == 0).await;
        rest(&mut stream).await;
    }
    server.until_empty().await;
}

#[tokio::test]
async fn the_connection_ends_soon_after_the_close_frame() {
    let server = Server::engine(calm());
    let mut stream = open(&server).await;
    // The close frame that follows is not answered.
    stream.write_all(&frame(FINAL | TEXT, b"1")).await.unwrap();
    assert_eq!(rest(&mut stream).await, [0x88, 2, 0x03, 0xe8]);
    server.until_empty().await;
}

#[tokio::test]
async fn a_client_that_never_reads_costs_a_bounded_amount() {
    let server = Server::engine(config());
    let mut stream = open(&server).await;
    // Each is sent back, and nobody takes it; so that at last no more is read, not even pongs.
    let message = frame(FINAL | TEXT, &[b'4'; 120]).repeat(1000);
    let sent = Cell::new(0_usize);
    let sending = async {
        while stream.write_all(&message).await.is_ok() {
            sent.set(sent.get() + message.len());
        }
    };
    tokio::select! {
        () = sending => {}
        () = server.until("it is closed", |stats| stats.sessions == 0) => {}
    }
    assert!(sent.get() < 50_000_000, "{} {:?}", sent.get(), server.stats());
    assert_eq!(server.stats().closes[&CloseReason::PingTimeout], 1, "{:?}", server.stats());
    drop(stream);
    server.until_empty().await;
}
