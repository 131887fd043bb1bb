//! Which other web origins a hub lets in: preflights, and what answers tell browsers.

use hxa_connect::hub::config::{Config, CorsOrigins};

use crate::harness::*;

on_both_databases! {
    every_origin_is_let_in_by_a_star with any_origin,
    listed_origins_are_let_in with two_origins,
    other_origins_learn_nothing_by_default,
}

fn any_origin(config: &mut Config) {
    config.server.cors_origins = CorsOrigins::Any;
}

fn two_origins(config: &mut Config) {
    config.server.cors_origins = CorsOrigins::List(vec!["https://a.example".into(), "https://b.example".into()]);
}

const ALLOWED: &str = "access-control-allow-origin";

fn preflight(hub: &TestHub, origin: &str) -> Call {
    let call = hub.anonymous().call("OPTIONS", "/api/me/profile").header("origin", origin);
    call.header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "X-Org-Id, content-type")
}

/// Clients compare the list of methods as text: it always has this order.
fn assert_preflight(reply: &Reply) {
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET,HEAD,PUT,PATCH,POST,DELETE"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("X-Org-Id, content-type"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    assert!(reply.header("x-request-id").is_some());
}

async fn every_origin_is_let_in_by_a_star(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for origin in ["https://any.example", "null"] {
        let reply = preflight(&hub, origin).await;
        assert_preflight(&reply);
        assert_eq!(reply.header(ALLOWED), Some("*"), "{origin}");
        let reply = ada.me().header("origin", origin).await;
        assert_eq!(reply.header(ALLOWED), Some("*"), "{origin}");
        assert!(reply.header("access-control-expose-headers").unwrap().contains("Retry-After"), "{origin}");
        assert_eq!(reply.header("access-control-allow-credentials"), None, "{origin}");
        reply.ok();
    }
    let bare = hub.anonymous().call("OPTIONS", "/anywhere").await;
    assert_eq!((bare.status, bare.header(ALLOWED)), (204, Some("*")), "also one that asks for nothing");
    let refused = hub.anonymous().get("/api/me").header("origin", "https://any.example").await;
    assert_eq!(refused.header(ALLOWED), Some("*"), "a script may read why it was refused");
    refused.refused(401, "AUTH_REQUIRED");
}

/// A preflight of another origin is answered as well, and lacks the one header that lets it in.
async fn listed_origins_are_let_in(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let origins = [
        ("https://a.example", true),
        ("https://b.example", true),
        ("https://c.example", false),
        ("http://a.example", false),
        ("https://a.example:8443", false),
        ("https://a.example.evil.example", false),
        ("null", false),
    ];
    for (origin, is_listed) in origins {
        let allowed = is_listed.then_some(origin);
        let reply = preflight(&hub, origin).await;
        assert_preflight(&reply);
        assert_eq!(reply.header(ALLOWED), allowed, "{origin}");
        let reply = ada.me().header("origin", origin).await;
        assert_eq!((reply.header(ALLOWED), reply.header("vary")), (allowed, Some("Origin")), "{origin}");
        assert_eq!(reply.header("access-control-expose-headers").is_some(), is_listed, "{origin}");
        reply.ok();
    }
    assert_eq!(ada.me().await.header(ALLOWED), None);
}

async fn other_origins_learn_nothing_by_default(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    preflight(&hub, "https://a.example").await.refused(401, "AUTH_REQUIRED");
    let reply = ada.me().header("origin", "https://a.example").await;
    assert_eq!((reply.header(ALLOWED), reply.header("vary")), (None, None));
    reply.ok();
}
