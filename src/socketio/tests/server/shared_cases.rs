//! What Engine.IO demands of every session: cases that a bare server and a Socket.IO server are held to alike.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::http::{begin, finish, request};
use crate::under_test::Server;
use crate::websocket::WebSocket;

/// A test of each case for one kind of server.
macro_rules! shared_cases {
    ($server:expr) => {
        $crate::shared_cases::shared_cases! {
            $server,
            polling_opens_a_session,
            polling_demands_version_four,
            polling_demands_a_known_transport,
            polling_demands_get_or_post,
            websocket_opens_a_session,
            websocket_demands_version_four,
            websocket_demands_a_known_transport,
            polling_has_a_heartbeat,
            polling_ends_without_a_pong,
            websocket_has_a_heartbeat,
            websocket_ends_without_a_pong,
            polling_is_closed_by_the_client,
            websocket_is_closed_by_the_client,
            websocket_takes_over,
            requests_after_the_upgrade_are_refused,
            a_second_websocket_is_closed,
            an_upgrade_dismisses_other_candidates,
            a_poll_right_after_the_upgrade_is_refused,
            polls_end_while_a_websocket_probes,
            a_failed_probe_leaves_the_session_polling,
        }
    };
    ($server:expr, $($case:ident,)+) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::shared_cases::$case(&$server).await;
            }
        )+
    };
}
pub(crate) use shared_cases;

pub async fn polling_opens_a_session(server: &Server) {
    let answer = server.get(&server.url("transport=polling")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=UTF-8"));
    let open: serde_json::Value = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
    let keys: Vec<_> = open.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert_eq!(open["sid"].as_str().unwrap().len(), 20);
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!((&open["pingInterval"], &open["pingTimeout"]), (&300.into(), &200.into()));
    assert_eq!(open["maxPayload"], 1_000_000);
}

pub async fn polling_demands_version_four(server: &Server) {
    for query in ["transport=polling", "EIO=abc&transport=polling", "EIO=3&transport=polling"] {
        let answer = server.get(&format!("{}?{query}", server.path)).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &5.into()), "{query}");
    }
}

pub async fn polling_demands_a_known_transport(server: &Server) {
    for query in ["", "transport=", "transport=abc"] {
        let answer = server.get(&server.url(query)).await;
        let refused = serde_json::json!({ "code": 0, "message": "Transport unknown" });
        assert_eq!((answer.status, answer.json()), (400, refused), "{query}");
    }
}

pub async fn polling_demands_get_or_post(server: &Server) {
    for method in ["POST", "PUT", "DELETE"] {
        let answer = request(server.address, method, &server.url("transport=polling"), "", "").await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &2.into()), "{method}");
    }
    let sid = server.open_polling().await;
    let answer = request(server.address, "PUT", &server.polling(&sid), "", "").await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &2.into()));
    let answer = server.poll("unknown").await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &1.into()));
}

pub async fn websocket_opens_a_session(server: &Server) {
    let mut socket = WebSocket::open(server.address, &server.url("transport=websocket")).await;
    let open: serde_json::Value = serde_json::from_str(socket.text().await.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!([]));
    assert_eq!((&open["pingInterval"], &open["pingTimeout"]), (&300.into(), &200.into()));
}

pub async fn websocket_demands_version_four(server: &Server) {
    for query in ["transport=websocket", "EIO=abc&transport=websocket"] {
        assert!(WebSocket::try_open(server.address, &format!("{}?{query}", server.path)).await.is_none());
    }
}

pub async fn websocket_demands_a_known_transport(server: &Server) {
    for query in ["", "transport=abc", "transport=websocket&sid=unknown"] {
        assert!(WebSocket::try_open(server.address, &server.url(query)).await.is_none());
    }
    // And the transport demands a WebSocket.
    let answer = server.get(&server.url("transport=websocket")).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &3.into()));
}

pub async fn polling_has_a_heartbeat(server: &Server) {
    let sid = server.open_polling().await;
    for _ in 0..3 {
        assert_eq!(server.poll(&sid).await.body, "2");
        assert_eq!(server.post(&sid, "3").await.body, "ok");
    }
}

pub async fn polling_ends_without_a_pong(server: &Server) {
    let sid = server.open_polling().await;
    sleep(Duration::from_millis(500)).await;
    assert_eq!(server.poll(&sid).await.status, 400);
    server.until_empty().await;
}

pub async fn websocket_has_a_heartbeat(server: &Server) {
    let mut socket = server.open_websocket().await;
    let opened = Instant::now();
    for _ in 0..3 {
        assert_eq!(socket.text().await, "2");
        socket.send("3").await;
        // A pong that nobody has asked for changes nothing.
        socket.send("3").await;
    }
    assert!(opened.elapsed() >= Duration::from_millis(850), "the first ping comes after the interval");
}

pub async fn websocket_ends_without_a_pong(server: &Server) {
    let mut socket = server.open_websocket().await;
    socket.closed().await;
    server.until_empty().await;
}

pub async fn polling_is_closed_by_the_client(server: &Server) {
    let sid = server.open_polling().await;
    let waiting = begin(server.address, "GET", &server.polling(&sid), "", "").await;
    sleep(Duration::from_millis(30)).await;
    assert_eq!(server.post(&sid, "1").await.body, "ok");
    let ended = finish(waiting).await;
    assert_eq!((ended.status, ended.body.as_str()), (200, "6"));
    assert_eq!(server.poll(&sid).await.status, 400);
    server.until_empty().await;
}

pub async fn websocket_is_closed_by_the_client(server: &Server) {
    let mut socket = server.open_websocket().await;
    socket.send("1").await;
    socket.closed().await;
    server.until_empty().await;
}

/// A session that polls is now on the WebSocket.
async fn upgraded(server: &Server) -> (String, WebSocket) {
    let sid = server.open_polling().await;
    let mut socket = server.open_candidate(&sid).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    socket.send("5").await;
    (sid, socket)
}

/// Whether the session answers: in both kinds of server by its heartbeat.
async fn assert_lives(socket: &mut WebSocket) {
    assert_eq!(socket.text().await, "2");
    socket.send("3").await;
}

pub async fn websocket_takes_over(server: &Server) {
    let (_, mut socket) = upgraded(server).await;
    assert_lives(&mut socket).await;
    assert_lives(&mut socket).await;
}

pub async fn requests_after_the_upgrade_are_refused(server: &Server) {
    let (sid, mut socket) = upgraded(server).await;
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.poll(&sid).await.status, 400);
    assert_eq!(server.post(&sid, "4test").await.status, 400);
    assert_lives(&mut socket).await;
}

pub async fn a_second_websocket_is_closed(server: &Server) {
    let (sid, mut socket) = upgraded(server).await;
    // It need not even probe.
    let mut second = server.open_candidate(&sid).await;
    let opened = Instant::now();
    second.closed().await;
    assert!(opened.elapsed() < Duration::from_millis(500));
    assert_lives(&mut socket).await;
}

pub async fn an_upgrade_dismisses_other_candidates(server: &Server) {
    let sid = server.open_polling().await;
    let (mut socket, mut second) = (server.open_candidate(&sid).await, server.open_candidate(&sid).await);
    socket.send("2probe").await;
    socket.send("5").await;
    assert_eq!(socket.text().await, "3probe");
    second.closed().await;
    assert_lives(&mut socket).await;
}

/// The client does not wait for the answer to its probe, and the poll may arrive in between.
pub async fn a_poll_right_after_the_upgrade_is_refused(server: &Server) {
    for _ in 0..20 {
        let sid = server.open_polling().await;
        let mut socket = server.open_candidate(&sid).await;
        socket.send("2probe").await;
        socket.send("5").await;
        assert_eq!(server.poll(&sid).await.status, 400);
    }
}

pub async fn polls_end_while_a_websocket_probes(server: &Server) {
    let sid = server.open_polling().await;
    let waiting = begin(server.address, "GET", &server.polling(&sid), "", "").await;
    sleep(Duration::from_millis(30)).await;
    let mut socket = server.open_candidate(&sid).await;
    socket.send("2probe").await;
    assert_eq!(socket.text().await, "3probe");
    assert_eq!(finish(waiting).await.body, "6");
    assert_eq!(server.poll(&sid).await.body, "6");
    // Another one may not probe as well.
    let mut second = server.open_candidate(&sid).await;
    second.send("2probe").await;
    second.closed().await;
    socket.send("5").await;
    assert_lives(&mut socket).await;
}

pub async fn a_failed_probe_leaves_the_session_polling(server: &Server) {
    let sid = server.open_polling().await;
    let mut wrong = server.open_candidate(&sid).await;
    wrong.send("4hello").await;
    wrong.closed().await;
    let mut given_up = server.open_candidate(&sid).await;
    given_up.send("2probe").await;
    assert_eq!(given_up.text().await, "3probe");
    drop(given_up);
    // Until the server knows, polls end at once.
    let mut polled = server.poll(&sid).await.body;
    while polled == "6" {
        polled = server.poll(&sid).await.body;
    }
    assert_eq!(polled, "2");
    assert_eq!(server.post(&sid, "3").await.body, "ok");
}
