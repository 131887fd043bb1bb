//! A hub behind a reverse proxy: under a base path, under a public name, and believing only the proxy it was told of.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    every_path_works_with_the_base_path_and_without with under_a_path,
    people_come_from_the_configured_domain with under_a_name,
    the_named_proxy_is_believed with behind_this_machine,
}

fn under_a_path(config: &mut Config) {
    config.server.base_path = "/connect".parse().unwrap();
}

fn under_a_name(config: &mut Config) {
    under_a_path(config);
    config.server.domain = Some("hub.example.com".to_owned());
}

fn behind_this_machine(config: &mut Config) {
    config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
}

async fn every_path_works_with_the_base_path_and_without(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    for path in ["/health", "/api/version", "/API/me/", "/openapi.json", "/v0/api/channels"] {
        let bare = ada.get(path).await;
        let prefixed = ada.get(format!("/connect{path}")).await;
        assert_eq!((bare.status, prefixed.status), (200, 200), "{path}");
    }
    ada.post("/connect/api/send", json!({"to": "bob", "content": "c"})).await.ok();
    assert_eq!(bob.get("/connect/api/inbox?since=0").await.list().len(), 1);
    for path in ["/connectx/api/version", "/connect/connect/api/version", "/api/connect/version"] {
        ada.get(path).await.missing();
    }
    for path in ["/ws", "/connect/ws", "/v0/ws", "/connect/v0/ws"] {
        let mut socket = Socket::try_connect(&hub, &format!("{path}?ticket={}", ada.ws_ticket().await)).await.unwrap();
        socket.send(&json!({"type": "ping"})).await;
        socket.next("pong").await;
    }
    let mut old = Socket::try_connect(&hub, &format!("/connect/v0/ws?token={}", ada.secret())).await.unwrap();
    old.send(&json!({"type": "ping"})).await;
    old.next("pong").await;
    let login = json!({"type": "bot", "token": ada.secret()});
    let login = hub.anonymous().post("/connect/api/auth/login", login).await;
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("; Path=/; "), "the cookie is for both ways in: {cookie}");
    let skill = hub.anonymous().get("/connect/skill.md").await.text;
    assert!(skill.contains(&format!("{}/connect/api/auth/register", hub.url())), "{skill}");
}

/// What a browser shows is the public name, whatever name the proxy asks the hub by.
async fn people_come_from_the_configured_domain(hub: TestHub) {
    let anonymous = hub.anonymous();
    let login = json!({"type": "super_admin", "admin_secret": ADMIN_SECRET});
    let reply = anonymous.post("/api/auth/login", login).await;
    let admin = Caller::cookie(&hub, &reply.session_cookie());
    let create = |origin: &str| admin.post("/connect/api/orgs", json!({"name": "a"})).header("origin", origin);
    for origin in ["https://hub.example.com", "http://hub.example.com", "https://hub.example.com:8443"] {
        create(origin).await.ok();
    }
    for origin in [hub.url(), "https://hub.example.com.evil.example", "https://evil.example", "null"] {
        create(origin).await.refused(403, "CSRF_ERROR");
    }
    let skill = anonymous.get("/skill.md").await.text;
    assert!(skill.contains("https://hub.example.com/connect/api/auth/register"), "{skill}");
}

/// Of the addresses in `X-Forwarded-For` the last one counts, which the proxy itself wrote.
async fn the_named_proxy_is_believed(hub: TestHub) {
    let org = hub.with_org("a").await;
    let public = |call: Call| call.header("x-forwarded-host", "hub.example.com").header("x-forwarded-proto", "https");
    let skill = public(hub.anonymous().get("/skill.md")).await.text;
    assert!(skill.contains("https://hub.example.com/api/auth/register"), "{skill}");
    let settings = || org.settings(json!({"message_ttl_days": 3}));
    public(settings().header("origin", "https://hub.example.com")).await.ok();
    public(settings().header("origin", hub.url())).await.refused(403, "CSRF_ERROR");
    let login = json!({"type": "org_admin", "org_id": org.id, "org_secret": org.secret});
    let forged = hub.anonymous().post("/api/auth/login", login).header("x-forwarded-for", "203.0.113.1, 198.51.100.7");
    forged.await.ok();
    assert_eq!(org.audit("auth.login").await[0]["detail"]["ip"], "198.51.100.7");
    let wrong = json!({"type": "org_admin", "org_id": org.id, "org_secret": "wrong"});
    let from = |address: &str| {
        hub.anonymous()
            .post("/api/auth/login", wrong.clone())
            .header("x-forwarded-for", format!("203.0.113.1, {address}"))
    };
    for _ in 0..5 {
        from("198.51.100.8").await.status(401);
    }
    from("198.51.100.8").await.refused(429, "RATE_LIMITED");
    from("198.51.100.9").await.refused(401, "INVALID_CREDENTIALS");
}
