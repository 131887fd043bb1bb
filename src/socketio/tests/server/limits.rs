//! Every limit, met.

use std::time::Duration;

use hxa_socketio::{AckError, CloseReason, Config};
use tokio::time::sleep;

use crate::http::request;
use crate::under_test::{Server, calm};
use crate::websocket::WebSocket;

#[tokio::test]
async fn a_body_that_is_too_large_closes_its_session() {
    let server = Server::socket(Config { max_payload: 1000, ..calm() });
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, &format!("4{}", "a".repeat(1000))).await.status, 413);
    assert_eq!(server.poll(&sid).await.status, 400);
    assert_eq!(server.stats().closes[&CloseReason::TooLarge], 1);
    server.until_empty().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_closes_its_session() {
    let server = Server::socket(Config { max_payload: 1000, ..calm() });
    let mut socket = server.connect().await;
    let message = |size| format!(r#"42["message","{}"]"#, "a".repeat(size));
    socket.send(&message(900)).await;
    assert!(socket.message().await.len() > 900);
    socket.send(&message(1000)).await;
    assert_eq!(socket.closed().await, Some(1009));
    server.until_logged("/ payload too large").await;
    server.until_empty().await;
}

#[tokio::test]
async fn attachments_together_are_limited() {
    let server = Server::socket(Config { max_payload: 1000, ..calm() });
    let mut socket = server.connect().await;
    let item = |number| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    socket.send(&format!(r#"452-["message",{},{}]"#, item(0), item(1))).await;
    socket.send_binary(&[0; 600]).await;
    socket.send_binary(&[0; 600]).await;
    assert_eq!(socket.closed().await, Some(1009));
    server.until_empty().await;
}

#[tokio::test]
async fn packets_of_a_payload_are_limited() {
    let server = Server::socket(Config { packets_per_payload: 10, ..calm() });
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, &["6"; 10].join("\u{1e}")).await.body, "ok");
    assert_eq!(server.post(&sid, &["6"; 11].join("\u{1e}")).await.status, 400);
    server.until_empty().await;
}

#[tokio::test]
async fn excess_events_are_acknowledged_but_not_processed() {
    let server = Server::socket(Config { events_per_second: 1, event_burst: 5, ..calm() });
    // The connection itself is one of the burst.
    let mut socket = server.connect().await;
    for id in 0..10 {
        socket.send(&format!(r#"42{id}["message-with-ack",{id}]"#)).await;
    }
    for id in 0..4 {
        assert_eq!(socket.message().await, format!("43{id}[{id}]"));
    }
    for id in 4..10 {
        assert_eq!(socket.message().await, format!(r#"43{id}[{{"error":"slow down","event":"message-with-ack"}}]"#));
    }
    assert_eq!((server.stats().events_in, server.stats().limited), (4, 6));
    sleep(Duration::from_millis(1100)).await;
    socket.send(r#"42["message"]"#).await;
    assert_eq!(socket.message().await, r#"42["message-back"]"#);
}

#[tokio::test]
async fn endless_connecting_closes_the_session() {
    let server = Server::socket(Config { events_per_second: 1, event_burst: 5, ..calm() });
    let mut socket = server.open_websocket().await;
    for _ in 0..6 {
        socket.send("40/nowhere").await;
    }
    assert_eq!(socket.closed().await, Some(1008));
}

#[tokio::test]
async fn sessions_are_limited() {
    let server = Server::socket(Config { sessions: 2, ..calm() });
    let (first, sid) = (server.open_websocket().await, server.open_polling().await);
    assert_eq!(server.get(&server.url("transport=polling")).await.status, 503);
    assert!(WebSocket::try_open(server.address, &server.url("transport=websocket")).await.is_none());
    assert_eq!(server.stats().refused, 2);
    drop(first);
    assert_eq!(server.post(&sid, "1").await.body, "ok");
    server.until_empty().await;
    server.open_polling().await;
}

#[tokio::test]
async fn sessions_of_a_client_are_limited() {
    let server = Server::built(Config { sessions_per_client: 1, ..calm() }, |builder| {
        builder.client_key(|request| request.headers().get("x-client").unwrap().to_str().unwrap().to_owned())
    });
    let path = server.url("transport=polling");
    for (client, status) in [("ada", 200), ("ada", 429), ("bob", 200), ("bob", 429)] {
        let answer = request(server.address, "GET", &path, &format!("x-client: {client}\r\n"), "").await;
        assert_eq!(answer.status, status, "{client}");
    }
}

#[tokio::test]
async fn handshakes_are_limited() {
    let server = Server::socket(Config { handshakes_per_second: 1, handshake_burst: 3, ..calm() });
    for status in [200, 200, 200, 429] {
        assert_eq!(server.get(&server.url("transport=polling")).await.status, status);
    }
}

#[tokio::test]
async fn sockets_of_a_namespace_are_limited() {
    let server = Server::socket(Config { sockets_per_namespace: 1, ..calm() });
    let first = server.connect().await;
    let mut second = server.open_websocket().await;
    second.send("40/custom,").await;
    assert!(second.message().await.starts_with("40/custom,"));
    second.message().await;
    second.send("40").await;
    assert_eq!(second.closed().await, Some(1013));
    drop(first);
    server.until_empty().await;
    server.connect().await;
}

#[tokio::test]
async fn acknowledgements_that_are_waited_for_are_limited() {
    let server = Server::socket(Config { pending_acks: 3, ..calm() });
    let _socket = server.connect().await;
    let asked = server.io().of("/").sockets().remove(0);
    let waiting: Vec<_> = (0..3).map(|_| asked.emit_with_ack("q", &(), Duration::from_secs(60))).collect();
    assert!(matches!(asked.emit_with_ack("q", &(), Duration::from_secs(60)).await, Err(AckError::TooMany)));
    drop(waiting);
    let late = asked.emit_with_ack("q", &(), Duration::from_millis(10)).await;
    assert!(matches!(late, Err(AckError::Timeout)));
}

#[tokio::test]
async fn what_waits_for_a_poll_is_limited() {
    let server = Server::socket(Config { queued_bytes: 100_000, ..calm() });
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, "40").await.body, "ok");
    assert_eq!(server.post(&sid, r#"42["flood-me"]"#).await.body, "ok");
    assert_eq!(server.poll(&sid).await.status, 400);
    server.until_logged("/ outbound queue full").await;
    server.until_empty().await;
}

#[tokio::test]
async fn a_slow_reader_is_closed_and_others_are_not_affected() {
    use std::os::fd::AsFd;
    // What a server does that can reach its connections.
    let server = Server::built(Config { queued_bytes: 2_000_000, ..calm() }, |builder| {
        builder.cutter(|request| {
            let stream = request.conn_data::<std::net::TcpStream>()?.as_fd().try_clone_to_owned().ok()?;
            let stream = std::net::TcpStream::from(stream);
            Some(Box::new(move || drop(stream.shutdown(std::net::Shutdown::Both))))
        })
    });
    let (mut slow, mut other) = (server.connect().await, server.connect().await);
    slow.send(r#"42["join","slow"]"#).await;
    server.until("it is in the room", |_| !server.io().of("/").to("slow").sockets().is_empty()).await;
    let text = "x".repeat(100_000);
    let mut sent = 0;
    while server.io().of("/").to("slow").emit("n", &text).unwrap() == 1 {
        sent += 1;
        assert!(sent < 1000, "the queue has no end");
        sleep(Duration::from_millis(1)).await;
    }
    server.until_logged("/ outbound queue full").await;
    assert_eq!(server.stats().closes[&CloseReason::QueueFull], 1);
    other.send(r#"42["message"]"#).await;
    assert_eq!(other.message().await, r#"42["message-back"]"#);
    // The connection that is not read is cut, though its client still holds it.
    server.until("it is cut", |stats| stats.sessions == 1 && stats.websockets == 1).await;
    drop(slow);
}
