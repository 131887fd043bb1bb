//! Conformance of a Socket.IO server: 32 cases of the protocol, and some more.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::shared_cases::shared_cases;
use crate::under_test::{Server, calm, config};

shared_cases!(Server::socket(config()));

/// Connects with this packet and expects these answers, the first with a socket's id instead of `SID`.
async fn connects(packet: &str, answer: &str, auth: &str) {
    let server = Server::socket(config());
    let mut socket = server.open_websocket().await;
    socket.send(packet).await;
    let text = socket.message().await;
    let (prefix, suffix) = answer.split_once("SID").unwrap();
    let sid = text.strip_prefix(prefix).and_then(|text| text.strip_suffix(suffix)).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(sid.len(), 20);
    assert_eq!(socket.message().await, auth);
}

#[tokio::test]
async fn the_main_namespace_is_connected() {
    connects("40", r#"40{"sid":"SID"}"#, r#"42["auth",{}]"#).await;
}

#[tokio::test]
async fn the_main_namespace_is_connected_with_a_payload() {
    connects(r#"40{"token":"123"}"#, r#"40{"sid":"SID"}"#, r#"42["auth",{"token":"123"}]"#).await;
}

#[tokio::test]
async fn a_custom_namespace_is_connected() {
    connects("40/custom,", r#"40/custom,{"sid":"SID"}"#, r#"42/custom,["auth",{}]"#).await;
}

#[tokio::test]
async fn a_custom_namespace_is_connected_with_a_payload() {
    let (answer, auth) = (r#"40/custom,{"sid":"SID"}"#, r#"42/custom,["auth",{"token":"abc"}]"#);
    connects(r#"40/custom,{"token":"abc"}"#, answer, auth).await;
}

/// Clients that begin to listen for an event when they are connected lost one that came with the answer.
#[tokio::test]
async fn what_follows_a_connection_comes_a_moment_later() {
    let server = Server::socket(calm());
    let mut socket = server.open_websocket().await;
    socket.send("40").await;
    assert!(socket.text().await.starts_with("40{"));
    let connected = Instant::now();
    assert_eq!(socket.text().await, r#"42["auth",{}]"#);
    assert!(connected.elapsed() >= Duration::from_millis(5));
    let sent = Instant::now();
    for _ in 0..20 {
        socket.send(r#"42["message"]"#).await;
        assert_eq!(socket.text().await, r#"42["message-back"]"#);
    }
    assert!(sent.elapsed() < Duration::from_millis(100), "only once");
}

#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let server = Server::socket(config());
    let mut socket = server.open_websocket().await;
    socket.send("40/random").await;
    assert_eq!(socket.message().await, r#"44/random,{"message":"Invalid namespace"}"#);
}

#[tokio::test]
async fn a_malformed_first_packet_closes_the_session() {
    for text in ["4abc", "40[]", "40\"abc\"", "44\"no\"", "4"] {
        let server = Server::socket(config());
        let mut socket = server.open_websocket().await;
        socket.send(text).await;
        socket.closed().await;
        server.until_empty().await;
    }
}

#[tokio::test]
async fn a_session_without_a_namespace_is_closed() {
    let server = Server::socket(hxa_socketio::Config { connect_timeout: Duration::from_millis(1000), ..calm() });
    let (opened, mut socket) = (Instant::now(), server.open_websocket().await);
    socket.closed().await;
    assert!(opened.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn the_main_namespace_is_disconnected() {
    let server = Server::socket(config());
    let mut socket = server.connect().await;
    socket.send("41").await;
    socket.send(r#"42["message","message to a namespace that is left"]"#).await;
    // The session goes on without a namespace.
    for _ in 0..4 {
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
    }
    assert_eq!(*server.log.lock(), ["/ client namespace disconnect"]);
}

#[tokio::test]
async fn a_custom_namespace_is_disconnected() {
    let server = Server::socket(config());
    let mut socket = server.connect_with("40/custom,", "/custom,").await;
    socket.send("40").await;
    assert!(socket.message().await.starts_with("40{"));
    socket.message().await;
    socket.send("41/custom").await;
    socket.send(r#"42["message","to the other"]"#).await;
    assert_eq!(socket.message().await, r#"42["message-back","to the other"]"#);
    assert_eq!(*server.log.lock(), ["/custom client namespace disconnect"]);
}

#[tokio::test]
async fn text_is_sent_both_ways() {
    let server = Server::socket(config());
    let mut socket = server.connect().await;
    socket.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(socket.message().await, r#"42["message-back",1,"2",{"3":[true]}]"#);
}

const BINARY: &str = r#"{"_placeholder":true,"num":0},{"in":{"_placeholder":true,"num":1}}"#;

#[tokio::test]
async fn bytes_are_sent_both_ways() {
    let server = Server::socket(config());
    let mut socket = server.connect().await;
    socket.send(&format!(r#"452-["message",{BINARY}]"#)).await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(socket.message().await, format!(r#"452-["message-back",{BINARY}]"#));
    assert_eq!((socket.binary().await, socket.binary().await), (vec![1, 2, 3], vec![4, 5, 6]));
}

#[tokio::test]
async fn text_is_acknowledged() {
    let server = Server::socket(config());
    let mut socket = server.connect().await;
    socket.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#).await;
    assert_eq!(socket.message().await, r#"43456[1,"2",{"3":[false]}]"#);
}

#[tokio::test]
async fn bytes_are_acknowledged() {
    let server = Server::socket(config());
    let mut socket = server.connect_with("40/custom,", "/custom,").await;
    socket.send(&format!(r#"452-/custom,789["message-with-ack",{BINARY}]"#)).await;
    socket.send_binary(&[1, 2, 3]).await;
    socket.send_binary(&[4, 5, 6]).await;
    assert_eq!(socket.message().await, format!("462-/custom,789[{BINARY}]"));
    assert_eq!((socket.binary().await, socket.binary().await), (vec![1, 2, 3], vec![4, 5, 6]));
}

/// A connected session is closed by each of these packets, and another one is not.
async fn closes(packets: &[&str]) {
    let server = Server::socket(calm());
    let mut other = server.connect().await;
    for packet in packets {
        let mut socket = server.connect().await;
        socket.send(packet).await;
        assert_eq!(socket.closed().await, Some(1002), "{packet}");
    }
    other.send(r#"42["message"]"#).await;
    assert_eq!(other.message().await, r#"42["message-back"]"#);
    server.until("the others are gone", |stats| stats.sessions == 1 && stats.sockets == 1).await;
    server.until_logged("/ parse error").await;
}

#[tokio::test]
async fn an_unknown_type_closes_the_session() {
    closes(&["4abc", "47", "4-"]).await;
}

#[tokio::test]
async fn an_invalid_payload_closes_the_session() {
    closes(&["42{}", "42[]", "42[{}]", "42", "42[\"a\"", r#"42["connect"]"#, "43[]", "431{}", r#"42["a"]b"#]).await;
}

#[tokio::test]
async fn an_invalid_acknowledgement_id_closes_the_session() {
    closes(&[r#"42abc["message-with-ack",1]"#, r#"4299999999999999999999999["message-with-ack",1]"#]).await;
}

#[tokio::test]
async fn invalid_attachments_close_the_session() {
    closes(&[r#"45["a"]"#, r#"45x-["a"]"#, r#"4511-["a"]"#, r#"451-["a",{"_placeholder":true,"num":5}]"#]).await;
    let server = Server::socket(calm());
    let mut stray = server.connect().await;
    stray.send_binary(&[1]).await;
    stray.closed().await;
    let mut pending = server.connect().await;
    pending.send(r#"451-["a",{"_placeholder":true,"num":0}]"#).await;
    pending.send(r#"42["message"]"#).await;
    pending.closed().await;
    server.until_empty().await;
}

#[tokio::test]
async fn a_second_connection_to_a_namespace_closes_the_session() {
    let server = Server::socket(calm());
    let mut socket = server.connect().await;
    socket.send("40").await;
    socket.closed().await;
    server.until_logged("/ duplicate connect").await;
    server.until_empty().await;
}

#[tokio::test]
async fn everything_works_over_polling() {
    let server = Server::socket(calm());
    let sid = server.open_polling().await;
    assert_eq!(server.post(&sid, "40/custom,").await.body, "ok");
    let body = server.poll(&sid).await.body;
    let packets: Vec<_> = body.split('\u{1e}').collect();
    assert!(packets[0].starts_with("40/custom,{\"sid\":\""), "{body}");
    assert_eq!(packets[1], r#"42/custom,["auth",{}]"#);
    let sent = "451-/custom,7[\"message-with-ack\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID";
    assert_eq!(server.post(&sid, sent).await.body, "ok");
    assert_eq!(server.poll(&sid).await.body, "461-/custom,7[{\"_placeholder\":true,\"num\":0}]\u{1e}bAQID");
    let waiting = tokio::spawn({
        let (address, path) = (server.address, server.polling(&sid));
        async move { crate::http::request(address, "GET", &path, "", "").await }
    });
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.io().of("/custom").emit("news", &("a", 1)).unwrap(), 1);
    assert_eq!(waiting.await.unwrap().body, r#"42/custom,["news","a",1]"#);
}
