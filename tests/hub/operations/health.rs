//! Whether the hub is up, what it says about itself, and that its description is complete.

use crate::harness::*;

on_both_databases! {
    health,
    liveness_and_readiness,
    version_and_legacy_stubs,
    metrics,
    openapi_lists_every_route,
    agents_find_what_to_read,
}

async fn health(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let _sockets = [ada.socket().await, ada.socket().await];
    let health = hub.anonymous().get("/health").await.ok();
    assert_eq!(
        health.keys(),
        ["connected_bots", "connected_clients", "db", "sse_clients", "status", "timestamp", "uptime_ms"]
    );
    assert_eq!((&health["status"], &health["db"], &health["connected_bots"]), (&json!("ok"), &json!("ok"), &json!(1)));
    assert_eq!(health["connected_clients"], 2);
    let detailed = Caller::bearer(&hub, ADMIN_SECRET).get("/health").await.ok();
    let ws = &detailed["ws"];
    assert_eq!(ws.keys(), ["by_age", "by_bot", "by_type", "not_alive", "reconnect_rate_5m", "ws_metrics"]);
    assert_eq!((&ws["by_type"]["bot_token"], &ws["by_bot"][0]["count"]), (&json!(2), &json!(2)));
    assert!(ada.get("/health").await.ok().get("ws").is_none(), "details are for the admin secret only");
}

async fn liveness_and_readiness(hub: TestHub) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(hub.anonymous().get(path).await.status, 200, "{path}");
    }
}

async fn version_and_legacy_stubs(hub: TestHub) {
    let nobody = hub.anonymous();
    let version = nobody.get("/api/version").await.ok();
    // SDKs compare what they read as the server's version with the one that brought what they need.
    let number = |text: String| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
    for path in ["/", "/api/version", "/api/health", "/api/config/get"] {
        let about = nobody.get(path).await.ok();
        assert_eq!((&about["server"], &about["compat"]), (&json!("hxa-connect"), &about["version"]), "{path}");
        assert!(number(about.text("version")) >= vec![1, 4, 0], "{path}: {about}");
        assert_eq!(about["hub_version"], env!("CARGO_PKG_VERSION"), "{path}");
    }
    assert!(version.is_object());
    let presence = nobody.get("/api/system-presence").await.ok();
    assert!((presence.int("presence_ts") - now_ms()).abs() < 60_000, "{presence}");
}

async fn metrics(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let _socket = ada.socket().await;
    ada.send(&bob, "counted").await.ok();
    let metrics = hub.anonymous().get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    let names: Vec<&str> = metrics.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("hub_")), "{names:?}");
    insta::assert_snapshot!("metric_names", names.join("\n"));
    for secret in [ada.secret(), &ada.id, "counted"] {
        assert!(!metrics.text.contains(secret), "{secret} is in the metrics");
    }
}

async fn openapi_lists_every_route(hub: TestHub) {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(
                operation["summary"].is_string() || operation["description"].is_string(),
                "{method} {path} says nothing"
            );
            assert!(operation["responses"].is_object(), "{method} {path} answers nothing");
            routes.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes.sort_unstable();
    insta::assert_snapshot!("routes", routes.join("\n"));
}

/// `/llms.txt` leads to documents that are there, and names every route.
async fn agents_find_what_to_read(hub: TestHub) {
    let index = hub.anonymous().get("/llms.txt").await;
    assert_eq!((index.status, index.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert!(index.text.starts_with("# HXA Connect\n\n> ") && !index.text.contains("{{"), "{}", index.text);
    for link in index.text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        hub.anonymous().get(link.strip_prefix(hub.url()).unwrap()).await.status(200);
    }
    let document = hub.anonymous().get("/openapi.json").await.ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let line = format!("- `{} {path}`: {}", method.to_uppercase(), operation.text("summary"));
            assert!(index.text.contains(&line), "{line}");
        }
    }
}
