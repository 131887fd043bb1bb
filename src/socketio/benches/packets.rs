//! Packets read and written, payloads of polls, and over real connections: echoes, and broadcasts to a room.
//!
//! `cargo bench -p hxa-socketio [filter]`; the figures are per call unless an items counter says otherwise.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot set itself up has nothing to say"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use actix_web::{App, HttpServer};
use bytes::Bytes;
use bytestring::ByteString;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use hxa_socketio::wire::engine::{decode_payload, encode_payload};
use hxa_socketio::wire::packet::encode_event;
use hxa_socketio::wire::{Decoder, Frame, Limits};
use hxa_socketio::{Accept, Args, Auth, Config, ConnectError, Event, Handler, Socket, SocketIo, ToArgs};

fn main() {
    divan::main();
}

/// An event whose JSON has about this many bytes.
fn event(bytes: usize) -> ByteString {
    let text = "The build is green again. ".repeat(bytes / 26 + 1);
    let data = serde_json::json!({ "sid": "0123456789abcdef", "time": 1_700_000_000_000_u64, "text": text });
    format!("2/cli,17{}", serde_json::json!(["message", data])).into()
}

fn args(bytes: usize) -> Args {
    serde_json::json!([{ "text": "x".repeat(bytes), "n": 1 }]).to_args().unwrap()
}

#[divan::bench(args = [100, 10_000, 1_000_000])]
fn decode(bencher: Bencher, bytes: usize) {
    let text = event(bytes);
    let mut decoder = Decoder::new(Limits::default());
    bencher.counter(BytesCount::new(text.len())).bench_local(|| decoder.text(&text));
}

#[divan::bench]
fn decode_with_an_attachment(bencher: Bencher) {
    let text = ByteString::from(r#"51-/cli,17["message",{"_placeholder":true,"num":0}]"#);
    let bytes = Bytes::from(vec![7; 1000]);
    let mut decoder = Decoder::new(Limits::default());
    bencher.bench_local(|| {
        decoder.text(&text).unwrap();
        decoder.binary(bytes.clone())
    });
}

#[divan::bench(args = [100, 10_000, 1_000_000])]
fn encode(bencher: Bencher, bytes: usize) {
    let args = args(bytes);
    bencher.counter(BytesCount::new(bytes)).bench(|| encode_event("/cli", Some(17), "message", &args));
}

#[divan::bench(args = [1, 100])]
fn payload(bencher: Bencher, packets: usize) {
    let frame = Frame::Text(ByteString::from(["4", &*event(100)].concat()));
    let frames: Vec<_> = std::iter::repeat_n([frame, Frame::Binary(vec![7; 30].into())], packets).flatten().collect();
    bencher.counter(ItemsCount::new(frames.len())).bench(|| {
        let body = encode_payload(&frames);
        decode_payload(body.into(), 1000)
    });
}

struct Room;

impl Handler for Room {
    fn connect(&self, socket: &Socket, _: &Auth) -> Result<Accept, ConnectError> {
        socket.join("room");
        Ok(Accept::new())
    }

    fn event(&self, socket: &Socket, event: Event) {
        let _ = socket.emit(&event.name, &event.args);
    }
}

fn serve() -> (SocketIo, SocketAddr) {
    let config = Config { handshakes_per_second: 0, events_per_second: 0, queued_bytes: 1 << 30, ..Config::default() };
    let io = SocketIo::builder(config).namespace("/", Room).build();
    let (started, starting) = mpsc::channel();
    let served = io.clone();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                let io = served.clone();
                App::new().configure(move |service| io.routes(service))
            });
            let server = server.workers(1).tcp_nodelay(true).disable_signals().bind(("127.0.0.1", 0)).unwrap();
            started.send(server.addrs()).unwrap();
            server.run().await.unwrap();
        });
    });
    (io, starting.recv().unwrap().remove(0))
}

/// A connected client.
fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let handshake = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: \
                     websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).unwrap();
    stream.write_all(&masked("40")).unwrap();
    stream
}

/// A short text as a client's frame.
fn masked(text: &str) -> Vec<u8> {
    let size = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | size, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// A client that counts the bytes it receives.
fn join(address: SocketAddr, received: Arc<AtomicUsize>) {
    let mut stream = connect(address);
    thread::spawn(move || {
        let mut buffer = [0; 16_384];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            received.fetch_add(count, Ordering::Relaxed);
        }
    });
}

/// Events of one client that come back to it, so many at a time.
#[divan::bench(args = [1, 64])]
fn echo(bencher: Bencher, events: usize) {
    let (io, address) = serve();
    let mut stream = connect(address);
    while io.of("/").sockets().is_empty() {
        thread::yield_now();
    }
    thread::sleep(std::time::Duration::from_millis(200));
    // What came with the connection.
    let mut buffer = vec![0; 65_536];
    let _ = stream.read(&mut buffer).unwrap();
    let text = r#"42["message",{"sid":"0123456789abcdef","time":1700000000000,"thinking":false}]"#;
    let (sent, answer) = (masked(text).repeat(events), (text.len() + 2) * events);
    bencher.counter(ItemsCount::new(events)).bench_local(|| {
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut buffer[..answer]).unwrap();
    });
}

/// Events of 100 bytes until all clients have them: 50 at a time to a room of 100.
#[divan::bench(sample_size = 1, sample_count = 30)]
fn broadcast(bencher: Bencher) {
    const CLIENTS: usize = 100;
    const EVENTS: usize = 50;
    let (io, address) = serve();
    let received = Arc::<AtomicUsize>::default();
    for _ in 0..CLIENTS {
        join(address, received.clone());
    }
    while io.of("/").to("room").sockets().len() < CLIENTS {
        thread::yield_now();
    }
    thread::sleep(std::time::Duration::from_millis(200));
    let args = args(80);
    let frame = match encode_event("/", None, "n", &args).remove(0) {
        Frame::Text(text) if text.len() < 126 => text.len() + 2,
        _ => 0,
    };
    bencher.counter(ItemsCount::new(CLIENTS * EVENTS)).bench_local(|| {
        let until = received.load(Ordering::Relaxed) + CLIENTS * EVENTS * frame;
        for _ in 0..EVENTS {
            io.of("/").to("room").emit("n", &args).unwrap();
        }
        while received.load(Ordering::Relaxed) < until {
            thread::yield_now();
        }
    });
}
