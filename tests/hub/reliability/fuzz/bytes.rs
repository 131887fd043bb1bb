//! Requests as no HTTP library sends them: what a proxy in front might read otherwise than the hub is refused and the
//! connection ends; random damage to a good request never costs more than that connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Noise, Patient, on_patients, roomy_org, scaled};
use crate::harness::*;

on_patients! { damaged_requests, smuggled_requests }

async fn damaged_requests(patient: &Patient, mut noise: Noise) -> usize {
    let org = roomy_org(patient.hub()).await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    noise.words = vec![ada.id.clone(), bob.id.clone(), "chunked".into(), "Content-Length: 3".into()];
    let cases = scaled(1_500);
    for _ in 0..cases {
        let body = json!({"to": "bob", "content": noise.text()}).to_string();
        let good = format!(
            "POST /api/send HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{}: {}\r\n\r\n{body}",
            ada.secret(),
            body.len(),
            noise.pick(&["X-A", "Transfer-Encoding", "Cookie", "Expect", "Connection", "Upgrade", "Host"]),
            noise.text()
        );
        let damaged = noise.garbled(&good);
        let answer = exchange(patient.hub(), &damaged).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{}\n{answer}", String::from_utf8_lossy(&damaged));
    }
    cases
}

/// The answers to these bytes, after which nothing more is sent.
async fn exchange(hub: &TestHub, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(hub.address()).await.unwrap();
    // A hub that has refused may not read on.
    let _ = stream.write_all(request).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(2 * DEADLINE, stream.read_to_end(&mut answer)).await;
    assert!(end.is_ok(), "no end after {}", String::from_utf8_lossy(request));
    String::from_utf8_lossy(&answer).into_owned()
}

/// Framing that a proxy in front of the hub could understand in another way.
async fn smuggled_requests(patient: &Patient, _: Noise) -> usize {
    let [ada, _bob] = roomy_org(patient.hub()).await.bots(["ada", "bob"]).await;
    let corpus = [
        ("both", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("both, other order", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
        ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
        ("two equal lengths", "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
        ("a list of lengths", "Content-Length: 0, 0\r\n\r\n"),
        ("signed length", "Content-Length: +5\r\n\r\nhello"),
        ("negative length", "Content-Length: -5\r\n\r\nhello"),
        ("hexadecimal length", "Content-Length: 0x5\r\n\r\nhello"),
        ("length with a fraction", "Content-Length: 5.0\r\n\r\nhello"),
        ("empty length", "Content-Length: \r\n\r\n"),
        ("length with a space inside", "Content-Length: 1 0\r\n\r\nhellohello"),
        ("huge length", "Content-Length: 99999999999999999999999\r\n\r\nhello"),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("chunked, identity", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        ("identity", "Transfer-Encoding: identity\r\n\r\n"),
        ("unknown coding", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ("vertical tab", "Transfer-Encoding: \u{b}chunked\r\n\r\n0\r\n\r\n"),
        ("space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ("space before the colon of the length", "Content-Length : 5\r\n\r\nhello"),
        ("folded line", "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
        ("folded length", "Content-Length:\r\n 5\r\n\r\nhello"),
        ("bare carriage return", "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n"),
        ("NUL in a value", "X-A: a\u{0}b\r\nContent-Length: 0\r\n\r\n"),
        ("no name", ": b\r\nContent-Length: 0\r\n\r\n"),
        ("no colon", "X-A\r\nContent-Length: 0\r\n\r\n"),
    ];
    for (what, rest) in corpus {
        assert_eq!(statuses(&ada, "ws-ticket", rest).await, ["400"], "{what}");
    }
    let bodies = [
        ("bad chunk size", "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
        ("negative chunk size", "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n"),
        ("huge chunk size", "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        ("chunk longer than said", "Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n"),
        ("no end of a chunk", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n"),
    ];
    for (what, rest) in bodies {
        // The end of the connection may overtake the refusal.
        let statuses = statuses(&ada, "send", rest).await;
        assert!(statuses.is_empty() || statuses == ["400"], "{what}: {statuses:?}");
    }
    corpus.len() + bodies.len()
}

/// The statuses of all answers to a request that is followed by another.
async fn statuses(ada: &Bot, route: &str, rest: &str) -> Vec<String> {
    let head = format!(
        "POST /api/{route} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n",
        ada.secret()
    );
    let answer =
        exchange(&ada.hub, format!("{head}{rest}GET /api/me HTTP/1.1\r\nHost: smuggled\r\n\r\n").as_bytes()).await;
    answer.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}
