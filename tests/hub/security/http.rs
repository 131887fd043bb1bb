//! What every answer and every route has in common: content types, methods, whom a browser may act for, what a proxy may say.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

on_both_databases! {
    every_body_has_a_type_and_a_charset,
    methods_that_are_not_listed_do_nothing,
    changes_by_cookie_need_the_own_origin,
    forged_proxy_headers_change_nothing,
    answers_name_no_software,
    hostile_file_names_stay_names,
    refusals_by_a_rate_say_which,
}

/// All routes with their methods, ids filled in by something absent.
async fn inventory(hub: &TestHub) -> Vec<(String, String)> {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let parts = path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        routes.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    routes
}

async fn every_body_has_a_type_and_a_charset(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let file = upload(&ada, "f.txt").await.ok();
    let mut routes = inventory(&hub).await;
    routes.retain(|(_, path)| !["/api/auth/logout", "/api/me"].contains(&path.as_str()));
    routes.push(("GET".into(), format!("/api/files/{}", file.id())));
    routes.push(("GET".into(), "/nowhere".into()));
    for (method, path) in routes {
        for caller in [&hub.anonymous(), &*ada as &Caller, &*org] {
            let reply = caller.call(&method, &path).await;
            let kind = reply.header("content-type").unwrap_or_default().to_lowercase();
            let is_text = kind.starts_with("text/") || kind.starts_with("application/json");
            assert!(reply.text.is_empty() || !is_text || kind.contains("charset=utf-8"), "{method} {path}: {kind:?}");
            assert!(reply.text.is_empty() || !kind.is_empty(), "{method} {path} has no type");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{method} {path}");
        }
    }
}

/// Clients were written against 404 for a known path with another method, so that is what they get; TRACE echoes nothing.
async fn methods_that_are_not_listed_do_nothing(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let routes = inventory(&hub).await;
    let paths: BTreeSet<&String> = routes.iter().map(|(_, path)| path).collect();
    for path in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            if routes.iter().any(|(known, at)| known == method && at == path) {
                continue;
            }
            ada.call(method, path).await.missing();
            assert!([401, 404].contains(&hub.anonymous().call(method, path).await.status), "{method} {path}");
        }
        let trace = hub.anonymous().call("TRACE", path).header("x-echo", "planted").await;
        assert_eq!((trace.status, trace.text.contains("planted")), (405, false), "TRACE {path}");
    }
}

/// Every changing route, by a cookie from elsewhere: refused before anything is looked at. With a token there is nothing
/// for another site to ride on, and reading is harmless.
async fn changes_by_cookie_need_the_own_origin(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let human = ada.human("Ann").await;
    let url = url::Url::parse(hub.url()).unwrap();
    let port = url.port().unwrap();
    let strangers = [
        "null".to_owned(),
        "https://evil.example".to_owned(),
        format!("http://127.0.0.1.evil.example:{port}"),
        format!("http://evil.example:{port}"),
        "http://127.0.0.2".to_owned(),
        "file://".to_owned(),
        "http://".to_owned(),
        "127.0.0.1".to_owned(),
        format!("http://127.0.0.1@evil.example:{port}"),
        String::new(),
    ];
    for (method, path) in inventory(&hub).await {
        // Slack signs what it sends, with a secret that no browser has.
        if method == "GET" || path == "/slack/interactions" {
            continue;
        }
        // A registration or found organisation is nobody's session, and neither is a login to a ticket.
        for caller in [&*human as &Caller, &*org] {
            let without = caller.call(&method, &path).without("origin").await;
            without.refused(403, "CSRF_ERROR");
            for origin in &strangers {
                caller.call(&method, &path).header("origin", origin).await.refused(403, "CSRF_ERROR");
            }
        }
    }
    ada.patch("/api/me/profile", json!({"bio": "b"})).header("origin", "https://evil.example").await.ok();
    human.patch("/api/me/profile", json!({"bio": "b"})).await.ok();
}

/// Nobody is a trusted proxy here, so what a client says of its address and of the hub's name counts for nothing.
async fn forged_proxy_headers_change_nothing(hub: TestHub) {
    let org = hub.with_org("a").await;
    let forged = [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=203.0.113.7;host=evil.example;proto=https"),
        ("x-real-ip", "203.0.113.7"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-url", "/api/orgs"),
        ("x-rewrite-url", "/api/orgs"),
        ("x-http-method-override", "DELETE"),
    ];
    for path in ["/", "/skill.md", "/openapi.json", "/api/version"] {
        let plain = hub.anonymous().get(path).await;
        for (name, value) in forged {
            let reply = hub.anonymous().get(path).header(name, value).await;
            assert_eq!((reply.status, &reply.text), (200, &plain.text), "{path} with {name}");
        }
    }
    org.settings(json!({"message_ttl_days": 3}))
        .header("origin", "https://evil.example")
        .header("x-forwarded-host", "evil.example")
        .await
        .refused(403, "CSRF_ERROR");
    let wrong = json!({"type": "org_admin", "org_id": org.id, "org_secret": "wrong"});
    for n in 0..5 {
        let login = hub.anonymous().post("/api/auth/login", wrong.clone());
        login
            .header("x-forwarded-for", format!("203.0.113.{n}"))
            .header("x-real-ip", format!("203.0.113.{n}"))
            .await
            .status(401);
    }
    let locked = hub.anonymous().post("/api/auth/login", wrong).header("x-forwarded-for", "203.0.113.99").await;
    locked.refused(429, "RATE_LIMITED");
    let trail = org.audit("auth.login_failed").await;
    assert!(trail.iter().all(|row| !row.to_string().contains("203.0.113")), "{trail:?}");
}

async fn answers_name_no_software(hub: TestHub) {
    for (method, path) in inventory(&hub).await {
        let reply = hub.anonymous().call(&method, &path).await;
        for header in ["server", "x-powered-by", "via", "x-aspnet-version"] {
            assert_eq!(reply.header(header), None, "{method} {path}");
        }
        assert!(!reply.text.contains("actix") && !reply.text.contains("diesel"), "{method} {path}: {}", reply.text);
    }
}

async fn upload(ada: &Bot, name: &str) -> Reply {
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"".to_vec();
    body.extend(name.as_bytes());
    body.extend(b"\"\r\nContent-Type: text/plain\r\n\r\nc\r\n--b--\r\n");
    ada.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=b", body).await
}

/// Names never leave their folder, never end their header, and come back as what they are.
async fn hostile_file_names_stay_names(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let names = [
        ("../../etc/passwd", "passwd"),
        ("..\\\\..\\\\windows\\\\win.ini", "win.ini"),
        ("/absolute/path.txt", "path.txt"),
        ("..", "file"),
        (".htaccess", ".htaccess"),
        ("a\u{0}b.txt", "ab.txt"),
        ("tab\there.txt", "tabhere.txt"),
        ("gnp.\u{202e}exe.txt", "gnp.exe.txt"),
        ("Grüße 🎉.txt", "Grüße 🎉.txt"),
        ("semi;colon.txt", "semi;colon.txt"),
        ("per%22cent.txt", "per%22cent.txt"),
        ("apo'strophe.txt", "apo'strophe.txt"),
        ("<img src=x onerror=alert(1)>.txt", "<img src=x onerror=alert(1)>.txt"),
        ("CON", "CON"),
        ("$(id).txt", "$(id).txt"),
    ];
    for (given, kept) in names {
        let reply = upload(&ada, given).await;
        if reply.status == 400 && given.contains(char::is_control) {
            // Headers do not hold control characters.
            continue;
        }
        let file = reply.ok();
        assert_eq!(file["name"], kept, "{given:?}");
        let reply = ada.get(format!("/api/files/{}", file.id())).await;
        let disposition = reply.header("content-disposition").unwrap().to_owned();
        let extended = disposition.strip_prefix("attachment; filename*=UTF-8''").unwrap();
        assert!(
            extended.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~%".contains(&byte)),
            "{disposition}"
        );
        let decoded: Vec<(String, String)> =
            url::form_urlencoded::parse(format!("n={}", extended.replace('+', "%2B")).as_bytes())
                .into_owned()
                .collect();
        assert_eq!(decoded[0].1, kept, "{given:?}");
        assert_eq!(
            (reply.text.as_str(), reply.header("content-security-policy")),
            ("c", Some("default-src 'none'")),
            "{given:?}"
        );
    }
}

/// Refusals of uploads and logins carry the same headers as those of messages.
async fn refusals_by_a_rate_say_which(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(
        json!({"file_upload_mb_per_day_per_bot": 1, "messages_per_minute_per_bot": 1, "threads_per_hour_per_bot": 1}),
    )
    .await
    .ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    ada.send(&bob, "1").await.ok();
    ada.thread("t", &[]).await;
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\nContent-Type: text/plain\r\n\r\n{}\r\n--b--\r\n",
        "x".repeat(1_100_000)
    );
    let upload = ada.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=b", body).await;
    let wrong = json!({"type": "org_admin", "org_id": org.id, "org_secret": "wrong"});
    for _ in 0..5 {
        hub.anonymous().post("/api/auth/login", wrong.clone()).await.status(401);
    }
    let refusals = [
        (ada.send(&bob, "2").await, "1;w=60"),
        (ada.thread_create(json!({"topic": "t"})).await, "1;w=3600"),
        (upload, "1;w=86400"),
        (hub.anonymous().post("/api/auth/login", wrong).await, "5;w=900"),
    ];
    for (reply, policy) in refusals {
        assert_eq!(reply.header("ratelimit-policy"), Some(policy), "{}", reply.what);
        assert_eq!(reply.header("ratelimit-remaining"), Some("0"), "{}", reply.what);
        let seconds = |name: &str| reply.header(name).unwrap_or_default().parse::<i64>().unwrap();
        assert!((seconds("ratelimit-reset") - seconds("retry-after")).abs() <= 1, "{}", reply.what);
        reply.refused(429, "RATE_LIMITED");
    }
}

/// HTTP/1.0 without a host, absolute targets and hosts with an account: none of them makes the hub speak for another.
#[test]
fn odd_targets_are_answered_or_refused() {
    run(Db::Sqlite, &[], |hub| async move {
        for request in [
            "GET http://evil.example/skill.md HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n",
            "GET /skill.md HTTP/1.1\r\nHost: evil.example@good.example\r\nConnection: close\r\n\r\n",
            "GET /skill.md HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n",
            "GET //evil.example/skill.md HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n",
            "GET /skill.md HTTP/1.0\r\n\r\n",
        ] {
            let mut stream = tokio::net::TcpStream::connect(hub.address()).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            assert!(!answer.contains("evil.example") && !answer.contains("<script>"), "{request}: {answer}");
            assert!(!answer.starts_with("HTTP/1.1 5"), "{request}: {answer}");
        }
    });
}
