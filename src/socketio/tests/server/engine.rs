//! Conformance of a bare Engine.IO server: 24 cases of the protocol, and some more.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::http::{begin, finish};
use crate::shared_cases::shared_cases;
use crate::under_test::{Server, calm, config};

shared_cases!(Server::engine(config()));

#[tokio::test]
async fn polling_carries_one_packet() {
    let server = Server::engine(config());
    let sid = server.open_polling().await;
    let answer = server.post(&sid, "4hello").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    assert_eq!(server.poll(&sid).await.body, "4hello");
}

#[tokio::test]
async fn polling_carries_several_packets() {
    let server = Server::engine(config());
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, "4test1\u{1e}4test2\u{1e}4test3").await.body, "ok");
    assert_eq!(server.poll(&sid).await.body, "4test1\u{1e}4test2\u{1e}4test3");
}

#[tokio::test]
async fn polling_carries_text_and_bytes() {
    let server = Server::engine(config());
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, "4test\u{1e}bAQIDBA==").await.body, "ok");
    assert_eq!(server.poll(&sid).await.body, "4test\u{1e}bAQIDBA==");
}

#[tokio::test]
async fn polling_ends_with_a_malformed_packet() {
    for body in ["abc", "", "b!", "0{}", "2", "4a\u{1e}", "4a\u{1e}x"] {
        let server = Server::engine(config());
        let sid = server.open_polling().await;
        let posted = server.post(&sid, body).await;
        // Some are only known to be wrong by the session, which has read the request.
        assert!(posted.status == 400 || ["0{}", "2"].contains(&body), "{body}: {posted:?}");
        assert_eq!(server.poll(&sid).await.status, 400, "{body}");
        server.until_empty().await;
    }
}

#[tokio::test]
async fn polling_ends_with_a_second_poll() {
    let server = Server::engine(config());
    let sid = server.open_polling().await;
    let first = begin(server.address, "GET", &server.polling(&sid), "", "").await;
    sleep(Duration::from_millis(30)).await;
    assert_eq!(server.poll(&sid).await.status, 400);
    let first = finish(first).await;
    assert_eq!((first.status, first.body.as_str()), (200, "1"));
    assert_eq!(server.poll(&sid).await.status, 400);
}

#[tokio::test]
async fn polling_ends_with_a_second_post() {
    let server = Server::engine(calm());
    let sid = server.open_polling().await;
    // Its body never ends.
    let head = format!("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n4a", server.polling(&sid));
    let mut unfinished = tokio::net::TcpStream::connect(server.address).await.unwrap();
    unfinished.write_all(head.as_bytes()).await.unwrap();
    server.until("its body is awaited", |stats| stats.requests == 1).await;
    assert_eq!(server.post(&sid, "4b").await.status, 400);
    assert_eq!(server.poll(&sid).await.status, 400);
    drop(unfinished);
    server.until_empty().await;
}

#[tokio::test]
async fn polling_ends_with_a_dropped_poll() {
    let server = Server::engine(calm());
    let sid = server.open_polling().await;
    let poll = begin(server.address, "GET", &server.polling(&sid), "", "").await;
    server.until("the poll waits", |stats| stats.requests == 1).await;
    drop(poll);
    server.until_empty().await;
}

#[tokio::test]
async fn websocket_carries_text() {
    let server = Server::engine(config());
    let mut socket = server.open_websocket().await;
    socket.send("4hello").await;
    assert_eq!(socket.text().await, "4hello");
}

#[tokio::test]
async fn websocket_carries_bytes() {
    let server = Server::engine(config());
    let mut socket = server.open_websocket().await;
    socket.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(socket.binary().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn websocket_ends_with_a_malformed_packet() {
    for text in ["abc", "", "0{}", "2probe"] {
        let server = Server::engine(config());
        let mut socket = server.open_websocket().await;
        socket.send(text).await;
        assert_eq!(socket.closed().await, Some(1002), "{text}");
        server.until_empty().await;
    }
}

#[tokio::test]
async fn messages_wait_for_the_upgrade() {
    let server = Server::engine(calm());
    let sid = server.open_polling().await;
    let mut socket = server.open_candidate(&sid).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(server.post(&sid, "4one\u{1e}bAQ==\u{1e}4two").await.body, "ok");
    assert_eq!(server.poll(&sid).await.body, "6");
    socket.send("5").await;
    socket.send("4three").await;
    assert_eq!(socket.text().await, "4one");
    assert_eq!(socket.binary().await, [1]);
    assert_eq!((socket.text().await, socket.text().await), ("4two".to_owned(), "4three".to_owned()));
}

#[tokio::test]
async fn an_upgrade_that_is_not_made_times_out() {
    let server = Server::engine(hxa_socketio::Config { upgrade_timeout: Duration::from_millis(200), ..calm() });
    let sid = server.open_polling().await;
    let (mut silent, mut probing) = (server.open_candidate(&sid).await, server.open_candidate(&sid).await);
    probing.send("2probe").await;
    assert_eq!(probing.text().await, "3probe");
    silent.closed().await;
    probing.closed().await;
    // The session has its own timer.
    sleep(Duration::from_millis(100)).await;
    assert_eq!(server.post(&sid, "4still here").await.body, "ok");
    assert_eq!(server.poll(&sid).await.body, "4still here");
}

#[tokio::test]
async fn many_messages_keep_their_order() {
    let server = Server::engine(calm());
    let mut socket = server.open_websocket().await;
    for number in 0..2000 {
        socket.send(&format!("4{number}")).await;
    }
    for number in 0..2000 {
        assert_eq!(socket.text().await, format!("4{number}"));
    }
}

#[tokio::test]
async fn messages_of_every_length_arrive_whole() {
    let server = Server::engine(calm());
    let mut socket = server.open_websocket().await;
    for length in [0, 1, 124, 125, 126, 65_534, 65_535, 65_536, 70_000, 999_000] {
        let text = format!("4{}", "a".repeat(length));
        socket.send(&text).await;
        assert!(socket.text().await == text, "{length}");
    }
}
