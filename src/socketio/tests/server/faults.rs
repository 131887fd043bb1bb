//! Handlers that panic, and clients that vanish in the middle of everything.

use std::time::Duration;

use hxa_socketio::CloseReason;
use tokio::time::sleep;

use crate::http::begin;
use crate::under_test::{Server, calm};

#[tokio::test]
async fn a_panic_closes_its_session_only() {
    let server = Server::socket(calm());
    let (mut other, mut socket) = (server.connect().await, server.connect().await);
    socket.send(r#"42["panic"]"#).await;
    assert_eq!(socket.closed().await, Some(1011));
    server.until_logged("/ handler panic").await;
    let mut connecting = server.open_websocket().await;
    connecting.send(r#"40{"panic":true,"room":"x"}"#).await;
    connecting.closed().await;
    other.send(r#"42["message"]"#).await;
    assert_eq!(other.message().await, r#"42["message-back"]"#);
    server.until("only one is left", |stats| stats.sessions == 1 && stats.sockets == 1).await;
    assert_eq!(server.stats().closes[&CloseReason::HandlerPanic], 2);
    drop(other);
    server.until_empty().await;
}

#[tokio::test]
async fn a_panic_over_polling_closes_its_session_only() {
    let server = Server::socket(calm());
    let sid = server.open_polling().await;
    server.post(&sid, "40\u{1e}42[\"panic\"]\u{1e}42[\"message\"]").await;
    assert_eq!(server.poll(&sid).await.status, 400);
    server.until_empty().await;
    server.connect().await;
}

/// Leaves in one of many ways.
async fn vanish(server: &Server, number: usize) {
    match number % 10 {
        0 => {
            // In a poll.
            let sid = server.open_polling().await;
            let poll = begin(server.address, "GET", &server.polling(&sid), "", "").await;
            sleep(Duration::from_millis(5)).await;
            drop(poll);
        }
        1 => {
            // In the body of a POST request, and of no poll.
            let sid = server.open_polling().await;
            let head = "transfer-encoding: chunked\r\nx: y\r\n";
            drop(begin(server.address, "POST", &server.polling(&sid), head, "").await);
        }
        2 => {
            // Before the probe.
            let sid = server.open_polling().await;
            drop(server.open_candidate(&sid).await);
        }
        3 => {
            // After the probe.
            let sid = server.open_polling().await;
            let mut socket = server.open_candidate(&sid).await;
            socket.send("2probe").await;
            assert_eq!(socket.text().await, "3probe");
        }
        4 => {
            // With the upgrade, and messages behind it.
            let sid = server.open_polling().await;
            let mut socket = server.open_candidate(&sid).await;
            socket.send("2probe").await;
            socket.send("5").await;
            socket.send("40").await;
        }
        5 => {
            // While the server waits for an acknowledgement.
            let mut socket = server.connect().await;
            socket.send(r#"42["ask-me"]"#).await;
            socket.message().await;
        }
        6 => {
            // With an acknowledgement on the way.
            let mut socket = server.connect().await;
            socket.send(r#"421["message-with-ack","x"]"#).await;
        }
        7 => {
            // With half a packet.
            let mut socket = server.connect_with(r#"40{"room":"x"}"#, "").await;
            socket.send(r#"452-["message",{"_placeholder":true,"num":0}]"#).await;
            socket.send_binary(&[1]).await;
        }
        8 => {
            // Before anything.
            drop(server.open_websocket().await);
        }
        _ => {
            // With a frame that is not a frame.
            use tokio::io::AsyncWriteExt;
            let mut socket = server.connect_with("40/custom,", "/custom,").await;
            let tokio_tungstenite::MaybeTlsStream::Plain(stream) = socket.0.get_mut() else { return };
            stream.write_all(&[0xff; 20]).await.unwrap();
        }
    }
}

#[tokio::test]
async fn clients_that_vanish_leave_nothing_behind() {
    // Those who are in no request and no WebSocket are only missed by the heartbeat.
    let server = Server::socket(hxa_socketio::Config { ping_interval: Duration::from_secs(2), ..calm() });
    for number in 0..200 {
        vanish(&server, number).await;
    }
    server.until_empty().await;
    assert!(server.io().of("/").sockets().is_empty() && server.io().of("/custom").sockets().is_empty());
    let stats = server.stats();
    assert_eq!(stats.opened, stats.closes.values().sum::<u64>(), "{stats:?}");
}

#[tokio::test]
async fn any_bytes_leave_the_server_alive() {
    let server = Server::socket(calm());
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let alphabet: Vec<char> = "0123456789/,-[]{}\"abcu\\_:\u{1e}é".chars().collect();
    for _ in 0..100 {
        let mut socket = server.connect().await;
        for _ in 0..20 {
            let length = next() % 30;
            let mut text = String::from("4");
            for _ in 0..length {
                text.push(alphabet[usize::try_from(next()).unwrap() % alphabet.len()]);
            }
            use futures_util::SinkExt;
            // It may have been closed for what was sent before.
            let _ = socket.0.send(tokio_tungstenite::tungstenite::Message::text(text)).await;
        }
    }
    server.until_empty().await;
    server.connect().await;
}
