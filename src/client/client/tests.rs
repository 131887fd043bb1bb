//! Requests and responses, against a server that answers as it is told.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::login::Login;
use crate::messages::NewMessage;

/// A server with a base path that gives these answers, one per connection; and what it was asked.
async fn served(answers: &[(&str, Value)]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/base", listener.local_addr().unwrap());
    let answers: Vec<String> = answers
        .iter()
        .map(|(head, body)| {
            let body = body.to_string();
            format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        })
        .collect();
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !is_complete(&request) {
                stream.read_buf(&mut request).await.unwrap();
            }
            requests.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, server)
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    header(head, "content-length").is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn header<'r>(request: &'r str, name: &str) -> Option<&'r str> {
    request.lines().find_map(|line| line.split_once(": ").filter(|(found, _)| *found == name).map(|(_, value)| value))
}

fn builder(url: &str) -> ClientBuilder {
    Client::builder(url).token("bot_x").use_proxy(false)
}

fn sent() -> Value {
    let message = json!({"id": "m", "channel_id": "c", "sender_id": "s", "content": "hi", "content_type": "text", "created_at": 1});
    json!({"channel_id": "c", "message": message})
}

#[test]
fn addresses_keep_the_base_path_and_name_one_route() {
    let client = Client::new("https://hub.example/base/", "bot_x").unwrap();
    let url = client.url(&["api", "threads", "a/b?c", "messages"]).unwrap();
    assert_eq!(url.as_str(), "https://hub.example/base/api/threads/a%2Fb%3Fc/messages");
    for odd in ["", ".", ".."] {
        assert!(client.url(&["api", "bots", odd]).is_err(), "{odd:?}");
    }
    assert!(Client::new("ftp://hub.example", "t").is_err() && Client::new("hub", "t").is_err());
    assert!(Client::new("http://h", "a\nb").is_err());
    assert!(!format!("{client:?}").contains("bot_x"), "the token is not shown");
}

#[test]
fn queries_leave_out_what_is_not_given() {
    let mut url = Url::parse("http://h/").unwrap();
    write_query(&mut url, &json!({"q": "a b", "limit": 5, "cursor": null})).unwrap();
    assert_eq!(url.query(), Some("q=a+b&limit=5"));
}

#[tokio::test]
async fn a_creating_call_is_retried_under_one_key() {
    let busy = json!({"error": "busy", "code": "UNAVAILABLE"});
    let (url, server) = served(&[("503 Busy", busy), ("201 Created\r\nidempotency-replayed: true", sent())]).await;
    let created = builder(&url).build().unwrap().send("bob", "hi").await.unwrap();
    assert!(created.replayed);
    let requests = server.await.unwrap();
    let keys: Vec<_> = requests.iter().map(|request| header(request, "idempotency-key").unwrap()).collect();
    assert!(keys[0] == keys[1] && !keys[0].is_empty(), "{keys:?}");
    assert!(requests.iter().all(|request| request.starts_with("POST /base/api/send HTTP/1.1\r\n")), "{requests:?}");
}

#[tokio::test]
async fn an_exhausted_rate_is_waited_for_if_so_configured() {
    let limited = || ("429 Too Many Requests", json!({"error": "slow down", "code": "RATE_LIMITED", "retry_after": 0}));
    let (url, server) = served(&[limited(), limited(), ("201 Created", sent())]).await;
    let key = NewMessage { idempotency_key: Some("k".to_owned()), ..NewMessage::from("hi") };
    let error = builder(&url).build().unwrap().send("bob", key.clone()).await.unwrap_err();
    assert!(error.is_code("RATE_LIMITED"), "{error:?}");
    assert!(!builder(&url).wait_for_rate(true).build().unwrap().send("bob", key).await.unwrap().replayed);
    assert!(server.await.unwrap().iter().all(|request| header(request, "idempotency-key") == Some("k")));
}

#[tokio::test]
async fn a_hub_that_asks_for_a_long_pause_is_not_retried() {
    let (url, server) = served(&[("503 Busy\r\nretry-after: 120", json!("no object"))]).await;
    let error = builder(&url).build().unwrap().me().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
    assert_eq!(error.to_string(), "the hub answered 503");
    assert_eq!(server.await.unwrap().len(), 1);
}

#[tokio::test]
async fn lists_are_read_to_their_end() {
    let more = "200 OK\r\nlink: </base/api/orgs?after=2>; rel=\"next\"";
    let (url, server) = served(&[(more, json!([1, 2])), ("200 OK", json!([3]))]).await;
    assert_eq!(builder(&url).build().unwrap().request_list("/api/orgs").await.unwrap(), [1, 2, 3]);
    assert!(server.await.unwrap()[1].starts_with("GET /base/api/orgs?after=2 HTTP/1.1\r\n"));
    let (url, _) = served(&[(more, json!([1])), (more, json!([1]))]).await;
    let error = builder(&url).build().unwrap().request_list("/api/orgs").await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "a list without end: {error:?}");
}

#[tokio::test]
async fn a_session_sends_its_cookie_and_the_origin_of_the_hub() {
    let session = json!({"session": {"role": "super_admin", "expires_at": 1}});
    let (url, server) =
        served(&[("200 OK\r\nset-cookie: hxa_session=abc; Path=/; HttpOnly", session), ("200 OK", json!([]))]).await;
    let login = Login::SuperAdmin { admin_secret: "s".to_owned() };
    let (admin, _) = Client::builder(&url).use_proxy(false).build().unwrap().log_in(&login).await.unwrap();
    assert!(admin.orgs().await.unwrap().is_empty());
    let request = server.await.unwrap().remove(1);
    assert_eq!(header(&request, "cookie"), Some("hxa_session=abc"));
    assert_eq!(header(&request, "origin"), url.strip_suffix("/base"));
}

#[tokio::test]
async fn secrets_do_not_follow_redirects() {
    let (url, server) = served(&[("302 Found\r\nlocation: http://127.0.0.1:1/", json!(null))]).await;
    let error = builder(&url).build().unwrap().me().await.unwrap_err();
    assert_eq!(error.api().map(|refusal| (refusal.status, refusal.code.as_str())), Some((302, "")));
    assert_eq!(server.await.unwrap().len(), 1);
}
