//! Which web pages may use the server.

use crate::http::request;
use crate::under_test::{Server, calm};

#[tokio::test]
async fn other_origins_are_refused() {
    let server = Server::socket(calm());
    let path = server.url("transport=polling");
    for method in ["GET", "POST", "OPTIONS"] {
        let answer = request(server.address, method, &path, "origin: https://evil.example\r\n", "").await;
        let refused = serde_json::json!({ "code": 4, "message": "Origin not allowed" });
        assert_eq!((answer.status, answer.json()), (403, refused), "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(server.stats().sessions, 0);
}

#[tokio::test]
async fn the_own_origin_is_allowed() {
    let server = Server::socket(calm());
    let origin = format!("http://{}", server.address);
    let answer =
        request(server.address, "GET", &server.url("transport=polling"), &format!("origin: {origin}\r\n"), "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin.as_str()));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn an_application_decides_about_origins() {
    let server = Server::built(calm(), |builder| builder.origin(|_, origin| origin == "https://app.example"));
    let headers = "origin: https://app.example\r\naccess-control-request-headers: x-one, content-type\r\n";
    let path = server.url("transport=polling");
    let preflight = request(server.address, "OPTIONS", &path, headers, "").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, POST"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("x-one, content-type"));
    // Refusals can be read by the page as well.
    let refused = request(server.address, "GET", &server.polling("unknown"), headers, "").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (400, Some("https://app.example")));
    let own = format!("origin: http://{}\r\n", server.address);
    assert_eq!(request(server.address, "GET", &path, &own, "").await.status, 403);
    // Programs send no such header.
    assert_eq!(request(server.address, "GET", &path, "", "").await.status, 200);
}
