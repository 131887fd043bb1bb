//! What applications build on: rooms, broadcasts, acknowledgements in both directions, several namespaces, refusals.

use std::time::Duration;

use hxa_socketio::{AckError, EmitError};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::under_test::{Server, calm};
use crate::websocket::WebSocket;

#[tokio::test]
async fn an_application_refuses_with_data() {
    let server = Server::socket(calm());
    let mut socket = server.open_websocket().await;
    socket.send(r#"40/custom,{"refuse":true}"#).await;
    assert_eq!(socket.message().await, r#"44/custom,{"message":"Not allowed","data":{"code":7}}"#);
    assert_eq!(server.stats().sockets, 0);
    // It may try again with something else, and was never told of as disconnected.
    socket.send("40/custom,").await;
    assert!(socket.message().await.starts_with("40/custom,{"));
    assert!(server.log.lock().is_empty());
}

/// A session in a room of `/`.
async fn in_room(server: &Server, room: &str) -> WebSocket {
    server.connect_with(&format!("40{}", json!({ "room": room })), "").await
}

async fn assert_silent(socket: &mut WebSocket) {
    socket.send(r#"421["message-with-ack"]"#).await;
    assert_eq!(socket.message().await, "431[]");
}

#[tokio::test]
async fn a_room_receives_what_one_of_it_says() {
    let server = Server::socket(calm());
    let (mut ada, mut bob) = (in_room(&server, "x").await, in_room(&server, "x").await);
    let (mut cleo, mut custom) = (in_room(&server, "y").await, server.connect_with("40/custom,", "/custom,").await);
    ada.send(r#"42["say","x",{"b":1,"a":[2]}]"#).await;
    assert_eq!(bob.message().await, r#"42["said",{"b":1,"a":[2]}]"#);
    bob.send(r#"42["leave","x"]"#).await;
    bob.send(r#"42["join","y"]"#).await;
    bob.send(r#"42["say","x","only ada is there"]"#).await;
    assert_eq!(ada.message().await, r#"42["said","only ada is there"]"#);
    cleo.send(r#"42["say","y",1]"#).await;
    assert_eq!(bob.message().await, r#"42["said",1]"#);
    for socket in [&mut ada, &mut bob, &mut cleo] {
        assert_silent(socket).await;
    }
    custom.send(r#"42/custom,["message"]"#).await;
    assert_eq!(custom.message().await, r#"42/custom,["message-back"]"#);
}

#[tokio::test]
async fn the_server_reaches_rooms_without_some() {
    let server = Server::socket(calm());
    let (mut ada, mut bob) = (in_room(&server, "x").await, in_room(&server, "x").await);
    let mut cleo = in_room(&server, "y").await;
    let all = server.io().of("/").sockets();
    assert_eq!(all.len(), 3);
    let excluded = all.iter().find(|socket| socket.is_in("y")).unwrap();
    assert_eq!(server.io().of("/").to("x").emit("n", &1).unwrap(), 2);
    assert_eq!(server.io().of("/").except(excluded.id()).emit("n", &2).unwrap(), 2);
    assert_eq!(server.io().of("/").to(excluded.id()).to("x").except("x").emit("n", &3).unwrap(), 1);
    assert_eq!(server.io().of("/").to("empty").emit("n", &4).unwrap(), 0);
    assert!(matches!(server.io().of("/nowhere").emit("n", &5), Err(EmitError::UnknownNamespace)));
    for socket in [&mut ada, &mut bob] {
        assert_eq!((socket.message().await, socket.message().await), (r#"42["n",1]"#.into(), r#"42["n",2]"#.into()));
    }
    assert_eq!(cleo.message().await, r#"42["n",3]"#);
    drop((ada, bob, cleo));
    server.until_empty().await;
    assert_eq!(server.io().of("/").to("x").emit("n", &6).unwrap(), 0);
}

#[tokio::test]
async fn broadcasts_keep_the_order_of_each_session() {
    let server = Server::socket(calm());
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(in_room(&server, "x").await);
    }
    let io = server.io().clone();
    let sender = std::thread::spawn(move || {
        for number in 0..500 {
            assert_eq!(io.of("/").to("x").emit("n", &number).unwrap(), 10);
        }
    });
    for socket in &mut sockets {
        for number in 0..500 {
            assert_eq!(socket.message().await, format!(r#"42["n",{number}]"#));
        }
    }
    sender.join().unwrap();
}

#[tokio::test]
async fn a_client_acknowledges() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    socket.send(r#"42["ask-me"]"#).await;
    assert_eq!(socket.message().await, r#"421["question","how","many"]"#);
    // Not asked for, or in another namespace: without a meaning.
    socket.send("439[1]").await;
    socket.send("43/custom,1[1]").await;
    socket.send(r#"461-1["ok",{"_placeholder":true,"num":0}]"#).await;
    socket.send_binary(&[1, 2]).await;
    server.until_logged(r#"answered "ok" [b"\x01\x02"]"#).await;
    assert_eq!(server.stats().pending_acks, 0);
}

#[tokio::test]
async fn an_acknowledgement_that_does_not_come_times_out() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    socket.send(r#"42["ask-me",100]"#).await;
    assert!(socket.message().await.starts_with("421["));
    assert_eq!(server.stats().pending_acks, 1);
    server.until_logged("the client did not acknowledge in time").await;
    socket.send("431[1]").await;
    assert_silent(&mut socket).await;
    assert_eq!(server.stats().pending_acks, 0);
}

#[tokio::test]
async fn acknowledgements_fail_when_their_socket_ends() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    let asked = server.io().of("/").sockets().remove(0);
    socket.send(r#"42["ask-me"]"#).await;
    socket.message().await;
    let begun = Instant::now();
    let other = asked.emit_with_ack("question", &(), Duration::from_secs(60));
    drop(socket);
    assert!(matches!(other.await, Err(AckError::Disconnected)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    server.until_logged("the socket is disconnected").await;
    assert!(matches!(asked.emit_with_ack("late", &(), Duration::ZERO).await, Err(AckError::Disconnected)));
    server.until_empty().await;
}

#[tokio::test]
async fn an_acknowledgement_may_be_given_up() {
    let server = Server::socket(calm());
    let _socket = server.connect().await;
    let asked = server.io().of("/").sockets().remove(0);
    drop(asked.emit_with_ack("question", &(), Duration::from_secs(60)));
    assert_eq!(server.stats().pending_acks, 0);
}

#[tokio::test]
async fn namespaces_of_one_session_are_apart() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    socket.send(r#"40/custom,{"n":1}"#).await;
    assert!(socket.message().await.starts_with("40/custom,{"));
    assert_eq!(socket.message().await, r#"42/custom,["auth",{"n":1}]"#);
    socket.send(r#"42/custom,["disconnect-me"]"#).await;
    assert_eq!(socket.message().await, "41/custom,");
    server.until_logged("/custom server namespace disconnect").await;
    // Late packets of the client mean nothing, and it may come back.
    socket.send(r#"42/custom,["message"]"#).await;
    socket.send("40/custom,").await;
    assert!(socket.message().await.starts_with("40/custom,{"));
    socket.message().await;
    assert_silent(&mut socket).await;
    assert_eq!((server.stats().sessions, server.stats().sockets), (1, 2));
    socket.send(r#"42["close-me"]"#).await;
    socket.closed().await;
    server.until_empty().await;
    let mut log = server.log.lock().clone();
    log.sort();
    assert_eq!(log, ["/ server close", "/custom server close", "/custom server namespace disconnect"]);
}

#[tokio::test]
async fn what_was_sent_before_a_close_still_arrives() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    let other = server.io().of("/").sockets().remove(0);
    for number in 0..100 {
        other.emit("n", &number).unwrap();
    }
    other.close();
    for number in 0..100 {
        assert_eq!(socket.message().await, format!(r#"42["n",{number}]"#));
    }
    assert_eq!(socket.closed().await, Some(1000));
}

#[tokio::test]
async fn closing_all_ends_transports_and_refuses_handshakes() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    let sid = server.open_polling().await;
    let waiting = tokio::spawn({
        let (address, path) = (server.address, server.polling(&sid));
        async move { crate::http::request(address, "GET", &path, "", "").await }
    });
    server.until("the poll waits", |stats| stats.requests == 1).await;
    sleep(Duration::from_millis(20)).await;
    server.io().close_all();
    // No packet 41, after which clients would stay away.
    assert_eq!(socket.closed().await, Some(1001));
    assert_eq!(waiting.await.unwrap().body, "1");
    let answer = server.get(&server.url("transport=polling")).await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (503, Some("Server is shutting down")));
    assert!(WebSocket::try_open(server.address, &server.url("transport=websocket")).await.is_none());
    server.until_logged("/ server shutdown").await;
    server.until_empty().await;
}
