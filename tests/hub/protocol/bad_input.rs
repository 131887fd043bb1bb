//! Hostile input over HTTP: whatever comes, a coded refusal goes back and the hub lives on.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

on_both_databases! {
    malformed_json,
    content_types,
    body_limit,
    hostile_text_is_kept_or_refused,
    hostile_ids,
    paths_that_are_no_text,
    hostile_queries,
    wrong_types_everywhere,
    foreign_and_absent_look_the_same,
    raw_http,
    transport_conventions,
    errors_have_one_shape,
}

async fn malformed_json(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let deep = format!("{{\"to\":\"bob\",\"content\":\"c\",\"x\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let bad = [
        "{",
        "",
        " ",
        "null",
        "7",
        "\"text\"",
        "true",
        "{\"to\": }",
        "{'to': 'bob'}",
        "{\"to\":\"bob\",}",
        "{\"a\":1} {\"b\":2}",
        "\u{feff}",
        "{\"content\":\"\\ud800\",\"to\":\"bob\"}",
        "{\"content\":\"\\x\"}",
        "NaN",
        &deep,
    ];
    for body in bad {
        if body.trim().is_empty() {
            continue;
        }
        ada.call("POST", "/api/send").raw("application/json", body.to_owned()).await.invalid();
    }
    ada.call("POST", "/api/send")
        .raw("application/json", vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}'])
        .await
        .invalid();
    hub.anonymous().call("POST", "/api/auth/login").raw("application/json", "{").await.invalid();
    ada.call("POST", "/api/send").raw("application/json", "[]").await.invalid();
    let million: String = (0..60_000).map(|n| format!("\"k{n}\":{n},")).collect();
    ada.call("POST", "/api/send")
        .raw("application/json", format!("{{{million}\"to\":\"bob\",\"content\":\"many keys\"}}"))
        .await
        .ok();
    ada.me().await.ok();
}

async fn content_types(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let body = "{\"to\":\"bob\",\"content\":\"c\"}";
    for json in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        ada.call("POST", "/api/send").raw(json, body).await.ok();
    }
    for other in ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"] {
        ada.call("POST", "/api/send").raw(other, body).await.invalid();
    }
    ada.call("POST", "/api/send").await.invalid();
    let thread = ada.thread("t", &[]).await;
    ada.call("POST", &format!("/api/threads/{}/join", thread.id())).await.ok();
    ada.call("POST", "/api/ws-ticket").await.ok();
}

async fn body_limit(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let body = |len: usize| {
        let empty = json!({"to": "bob", "content": "c", "filler": ""}).to_string().len();
        json!({"to": "bob", "content": "c", "filler": "f".repeat(len - empty)})
    };
    ada.send_body(body(1_048_576)).await.ok();
    ada.send_body(body(1_048_577)).await.refused(413, "PAYLOAD_TOO_LARGE");
    ada.send_body(body(8 << 20)).await.refused(413, "PAYLOAD_TOO_LARGE");
    ada.me().await.ok();
}

async fn hostile_text_is_kept_or_refused(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    for text in [
        "'; DROP TABLE messages; --",
        "${jndi:ldap://e}",
        "\u{1}\u{7f}\u{85}\u{2028}\u{feff}",
        "e\u{301} vs é",
        "\u{10ffff}\u{fffd}",
        "%00%2e%2e",
        "<img src=x onerror=alert(1)>",
        "line\r\nSet-Cookie: a=b",
    ] {
        assert_eq!(ada.send(&bob, text).await["message"]["content"], text, "{text:?}");
        assert_eq!(ada.say(&thread, text).await["content"], text, "{text:?}");
        assert_eq!(
            ada.thread_patch(&thread, json!({"topic": format!("t{text}t")})).await["topic"],
            format!("t{text}t"),
            "{text:?}"
        );
    }
    let nul = "a\u{0}b";
    let refused = [
        ada.send(&bob, nul).await,
        ada.say(&thread, nul).await,
        ada.message(&thread, json!({"content": "c", "metadata": {"k": nul}})).await,
        ada.message(&thread, json!({"content": "c", "content_type": nul})).await,
        ada.message(&thread, json!({"content": "c", "parts": [{"type": "text", "content": nul}]})).await,
        ada.thread_patch(&thread, json!({"topic": nul})).await,
        ada.thread_patch(&thread, json!({"context": nul})).await,
        ada.thread_create(json!({"topic": nul})).await,
        ada.thread_create(json!({"topic": "t", "tags": [nul]})).await,
        ada.artifact_add(&thread, json!({"artifact_key": "k", "content": nul})).await,
        ada.artifact_add(&thread, json!({"artifact_key": "k", "title": nul})).await,
        ada.patch("/api/me/profile", json!({"bio": nul})).await,
        ada.post("/api/me/tokens", json!({"scopes": ["read"], "label": nul})).await,
    ];
    for reply in refused {
        reply.invalid();
    }
}

const HOSTILE: [&str; 12] = [
    "not-an-id",
    "0",
    "-1",
    "..%2f..%2fetc",
    "%00",
    "%ff",
    "'%20OR%201=1",
    "%F0%9F%8E%89",
    "null",
    "undefined",
    "a%0d%0ab",
    "%25",
];

async fn hostile_ids(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("t", &[]).await.id();
    let long = "a".repeat(4000);
    for id in HOSTILE.into_iter().chain([long.as_str()]) {
        for path in [
            format!("/api/threads/{id}"),
            format!("/api/threads/{id}/messages"),
            format!("/api/channels/{id}"),
            format!("/api/channels/{id}/messages"),
            format!("/api/bots/{id}"),
            format!("/api/bots/{id}/profile"),
            format!("/api/bots/{id}/channels"),
        ] {
            let reply = ada.get(&path).await;
            // A bot hears the same of every channel that is not its own.
            let absent = if path.starts_with("/api/channels/") { 403 } else { 404 };
            assert!([400, absent].contains(&reply.status), "{path}: {}", reply.text);
            assert!(reply["code"].is_string(), "{path}: {}", reply.text);
        }
        let decided = ada.decide(&thread, id, "approve").await;
        assert!([400, 404].contains(&decided.status), "{}", decided.text);
        let removed = ada.remove(&thread, id).await;
        assert!([400, 404].contains(&removed.status), "{}", removed.text);
        let versions = ada.versions(&thread, id).await;
        assert!([200, 400].contains(&versions.status), "{}", versions.text);
    }
}

/// Ids that are no text used to be looked for. Strangers still learn nothing but that they are strangers.
async fn paths_that_are_no_text(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    for id in ["%", "%2", "%zz", "%ff", "%C3%28"] {
        for path in [format!("/api/bots/{id}"), format!("/api/threads/{id}/messages"), format!("/{id}")] {
            ada.get(&path).await.invalid();
            hub.anonymous().get(&path).await.refused(401, "AUTH_REQUIRED");
        }
        let path = format!("/api/orgs/{id}");
        hub.super_admin().await.delete(&path).await.invalid();
        hub.anonymous().delete(&path).await.refused(401, "AUTH_REQUIRED");
    }
    ada.get("/api/bots/%C3%A4").await.missing();
}

async fn hostile_queries(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await.id();
    let channel = ada.send(&bob, "c").await.ok().text("channel_id");
    let values = [
        "",
        "-1",
        "1e309",
        "9223372036854775808",
        "NaN",
        "Infinity",
        "%00",
        "%ff",
        "'",
        "1;2",
        "%F0%9F%8E%89",
        "eyJ0IjoxfQ",
        "e30",
    ];
    let routes = [
        (format!("/api/threads/{thread}/messages"), vec!["limit", "before", "since", "cursor"]),
        (format!("/api/channels/{channel}/messages"), vec!["limit", "before", "since"]),
        ("/api/threads".into(), vec!["status", "q", "cursor", "limit", "scope"]),
        ("/api/inbox".into(), vec!["since"]),
        ("/api/me/catchup".into(), vec!["since", "cursor", "limit"]),
        ("/api/me/workspace".into(), vec!["dm_limit", "thread_limit", "dm_cursor", "thread_cursor"]),
        ("/api/bots".into(), vec!["role", "tag", "status", "q", "cursor", "limit"]),
    ];
    for (path, names) in routes {
        for name in names {
            for value in values {
                let reply = ada.get(format!("{path}?{name}={value}")).await;
                assert!(reply.status < 500, "{path}?{name}={value}: {} {}", reply.status, reply.text);
            }
        }
        let twice = ada.get(format!("{path}?limit=1&limit=2&x[y]=z&%5B%5D=1&&=")).await;
        assert!(twice.status < 500, "{path}: {}", twice.text);
    }
}

/// Every field of every write, given as every wrong type: never a 5xx.
async fn wrong_types_everywhere(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 100_000, "threads_per_hour_per_bot": 100_000})).await.ok();
    let [ada, _bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[]).await.id();
    let routes = [
        ("POST", "/api/send".to_owned(), json!({"to": "bob", "content": "c", "content_type": "t", "parts": []})),
        (
            "POST",
            "/api/threads".into(),
            json!({"topic": "t", "tags": [], "participants": [], "channel_id": null, "context": "", "permission_policy": {}, "visibility": "public", "join_policy": "open"}),
        ),
        (
            "PATCH",
            format!("/api/threads/{thread}"),
            json!({"topic": "t", "context": "", "permission_policy": {}, "visibility": "public", "join_policy": "open"}),
        ),
        (
            "POST",
            format!("/api/threads/{thread}/messages"),
            json!({"content": "c", "content_type": "t", "parts": [], "metadata": {}, "reply_to": null}),
        ),
        ("POST", format!("/api/threads/{thread}/participants"), json!({"bot_id": "bob", "label": "l"})),
        (
            "POST",
            format!("/api/threads/{thread}/artifacts"),
            json!({"artifact_key": "k", "type": "json", "title": "t", "content": "c", "language": "l", "url": "u", "mime_type": "m"}),
        ),
        ("PATCH", "/api/me/profile".into(), json!({"bio": "b", "tags": [], "protocols": {}, "version": "1"})),
        ("POST", "/api/me/tokens".into(), json!({"scopes": ["read"], "label": "l", "expires_in": 1000})),
    ];
    let wrong = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!([[]]),
        json!([null]),
        json!({}),
        json!({"a": {"b": []}}),
    ];
    for (method, path, good) in routes {
        for field in good.as_object().unwrap().keys() {
            for value in &wrong {
                let mut body = good.clone();
                body[field] = value.clone();
                let reply = ada.call(method, &path).json(&body).await;
                assert!(reply.status < 500, "{method} {path} {body}: {}", reply.text);
                assert!(reply.status < 400 || reply["code"].is_string(), "{method} {path} {body}: {}", reply.text);
            }
        }
    }
}

/// What belongs to another organisation is refused exactly like what never existed.
async fn foreign_and_absent_look_the_same(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let ada = org.bot("ada").await;
    let [finn, gwen] = other.bots(["finn", "gwen"]).await;
    let thread = finn.thread_create(json!({"topic": "t", "join_policy": "approval"})).await.ok();
    let request = gwen.join(&thread).await.status(202).text("request_id");
    let token = finn.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    let mine = ada.thread("mine", &[]).await.id();
    let routes = |thread: &str, bot: &str, request: &str, token: &str| {
        vec![
            ("GET", format!("/api/threads/{thread}"), json!({})),
            ("PATCH", format!("/api/threads/{thread}"), json!({"topic": "t"})),
            ("POST", format!("/api/threads/{thread}/join"), json!({})),
            ("GET", format!("/api/threads/{thread}/join-requests"), json!({})),
            ("POST", format!("/api/threads/{thread}/join-requests/{request}/approve"), json!({})),
            ("POST", format!("/api/threads/{thread}/join-requests/{request}/reject"), json!({})),
            ("POST", format!("/api/threads/{mine}/join-requests/{request}/approve"), json!({})),
            ("POST", format!("/api/threads/{thread}/participants"), json!({"bot_id": "ada"})),
            ("POST", format!("/api/threads/{mine}/participants"), json!({"bot_id": bot})),
            ("DELETE", format!("/api/threads/{thread}/participants/ada"), json!({})),
            ("DELETE", format!("/api/threads/{mine}/participants/{bot}"), json!({})),
            ("GET", format!("/api/threads/{thread}/messages"), json!({})),
            ("POST", format!("/api/threads/{thread}/messages"), json!({"content": "c"})),
            ("GET", format!("/api/threads/{thread}/artifacts"), json!({})),
            ("POST", format!("/api/threads/{thread}/artifacts"), json!({"artifact_key": "k"})),
            ("PATCH", format!("/api/threads/{thread}/artifacts/k"), json!({"content": "c"})),
            ("GET", format!("/api/threads/{thread}/artifacts/k/versions"), json!({})),
            ("GET", format!("/api/bots/{bot}"), json!({})),
            ("GET", format!("/api/bots/{bot}/channels"), json!({})),
            ("POST", "/api/send".into(), json!({"to": bot, "content": "c"})),
            ("DELETE", format!("/api/me/tokens/{token}"), json!({})),
        ]
    };
    let foreign = routes(&thread.id(), &finn.id, &request, &token.id());
    let absent = routes(NOBODY, NOBODY, NOBODY, NOBODY);
    for ((method, path, body), (_, absent_path, absent_body)) in foreign.into_iter().zip(absent) {
        let one = ada.call(method, &path).json(&body).await;
        let two = ada.call(method, &absent_path).json(&absent_body).await;
        assert_eq!((one.status, &one.text), (two.status, &two.text), "{method} {path}");
        assert!([400, 404].contains(&one.status), "{method} {path}: {}", one.text);
        // Whether the server reads an unwanted body to its end, and so keeps the connection, depends on its arrival.
        let names = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        let headers = |reply: &Reply| names(reply).into_iter().filter(|name| name != "connection").collect::<Vec<_>>();
        assert_eq!(headers(&one), headers(&two), "{method} {path}");
    }
    assert_eq!(finn.thread_get(&thread).await["revision"], 1);
}

/// Bytes that no HTTP library would send.
async fn raw_http(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let auth = format!("Authorization: Bearer {}", ada.secret());
    let requests = [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GARBAGE\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET /api/me HTTP/1.1\r\nHost: h\r\n{auth}\r\nContent-Length: -1\r\n\r\n"),
        format!("POST /api/send HTTP/1.1\r\nHost: h\r\n{auth}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        format!("POST /api/send HTTP/1.1\r\nHost: h\r\n{auth}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!("GET /api/me HTTP/1.1\r\nHost: h\r\n{auth}\r\nX-Long: {}\r\n\r\n", "x".repeat(200_000)),
        format!("GET /api/{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100_000)),
        format!("GET /api/%zz HTTP/1.1\r\nHost: h\r\n{auth}\r\nConnection: close\r\n\r\n"),
        format!("TRACE /api/me HTTP/1.1\r\nHost: h\r\n{auth}\r\nConnection: close\r\n\r\n"),
    ];
    for request in requests {
        let mut stream = tokio::net::TcpStream::connect(hub.address()).await.unwrap();
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("an answer or a close");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.starts_with("HTTP/1.1 5"), "{request:.60}: {answer}");
    }
    ada.me().await.ok();
}

async fn transport_conventions(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let me = ada.me().await;
    assert_eq!(me.header("content-type"), Some("application/json; charset=utf-8"));
    for path in ["/API/ME", "/api/me/", "/Api/Me/", "/api/%6de"] {
        assert_eq!(ada.get(path).await.ok(), me.body, "{path}");
    }
    let head = ada.call("HEAD", "/api/me").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    let tag = me.etag();
    assert!(tag.starts_with("W/\""));
    assert_eq!(ada.me().if_none_match(&tag).await.status, 304);
    for (method, path) in [("POST", "/api/me"), ("DELETE", "/api/inbox"), ("PUT", "/api/threads"), ("GET", "/api/send")]
    {
        ada.call(method, path).await.missing();
    }
    let refused = hub.anonymous().get("/api/me").await;
    assert_eq!(refused.header("content-type"), Some("application/json; charset=utf-8"));
}

async fn errors_have_one_shape(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    insta::assert_json_snapshot!("error_not_found", ada.thread_get(NOBODY).await.missing());
    insta::assert_json_snapshot!("error_validation", ada.thread_create(json!({})).await.invalid());
    insta::assert_json_snapshot!("error_auth", hub.anonymous().get("/api/me").await.refused(401, "AUTH_REQUIRED"));
}
