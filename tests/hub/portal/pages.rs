//! The pages that the hub serves: their headers, how browsers keep them, under a base path, and nothing besides them.

use std::io::Read;

use hxa_connect::hub::config::{Config, OpenPortal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

on_both_databases! {
    the_page_comes_with_its_headers_and_needs_no_credential,
    files_are_kept_for_good_by_their_hash,
    files_are_compressed_for_those_who_take_it,
    nothing_else_is_served,
    no_path_leads_elsewhere,
    pages_work_under_a_base_path with under_a_path,
    pages_can_be_switched_off with switched_off,
    an_open_portal_says_so with open,
    pages_are_counted_by_their_place,
}

fn under_a_path(config: &mut Config) {
    config.server.base_path = "/hub".parse().unwrap();
}

fn switched_off(config: &mut Config) {
    config.server.dashboard = false;
}

fn open(config: &mut Config) {
    config.coordination.open_portal = OpenPortal::OnThisMachine;
}

/// The addresses that a page names, as they are in it.
fn files_of(page: &str) -> Vec<String> {
    let names = page.split('"').filter(|part| part.contains("/portal/a/"));
    names.map(str::to_owned).collect()
}

async fn page(hub: &TestHub) -> String {
    let reply = hub.anonymous().get("/portal/").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.text
}

async fn the_page_comes_with_its_headers_and_needs_no_credential(hub: TestHub) {
    let anonymous = hub.anonymous();
    for path in ["/portal/", "/portal/login?code=x", "/portal/history"] {
        let reply = anonymous.get(path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")), "{path}");
        let policy = reply.header("content-security-policy").unwrap().to_owned();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.split("; ").any(|part| part == rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("  "), "{path}: {policy}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        assert!(!reply.text.contains("{{"), "{}", reply.text);
        assert!(reply.text.contains("<html lang="));
        let tag = reply.etag();
        let again = anonymous.get(path).if_none_match(&tag).await;
        assert_eq!((again.status, again.text.as_str(), again.etag()), (304, "", tag));
        assert!(again.header("content-security-policy").is_some());
    }
    let setup = anonymous.get("/portal/config.json").await;
    assert_eq!(setup.header("cache-control"), Some("no-cache"));
    assert_eq!(setup.ok(), json!({ "open_portal": false, "dashboard": false }));
    let moved = hub.http().get(format!("{}/portal?responder_id=dora", hub.url()));
    let moved = hub.http().execute(moved.build().unwrap()).await.unwrap();
    assert_eq!(moved.url().path(), "/portal/");
    assert_eq!(moved.url().query(), Some("responder_id=dora"));
    let head = anonymous.call("HEAD", "/portal/").await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

async fn files_are_kept_for_good_by_their_hash(hub: TestHub) {
    let files = files_of(&page(&hub).await);
    let kinds = [
        (".js?", "text/javascript"),
        (".css?", "text/css"),
        (".svg?", "image/svg+xml"),
        (".json?", "application/json"),
    ];
    for (end, kind) in kinds {
        let file = files.iter().find(|file| file.contains(end)).unwrap_or_else(|| panic!("no {end} in {files:?}"));
        let reply = hub.anonymous().get(file).await;
        assert_eq!(reply.status, 200, "{file}");
        assert!(reply.header("content-type").unwrap().starts_with(kind), "{file}");
        assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"), "{file}");
        let tag = reply.etag();
        let again = hub.anonymous().get(file).if_none_match(&tag).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{file}");
        // Without the hash, or with that of another version, it is asked for again each time.
        let (bare, hash) = file.split_once('?').unwrap();
        assert_eq!(hash.len(), "h=".len() + 32, "{file}");
        for address in [bare.to_owned(), format!("{bare}?h=0123456789abcdef0123456789abcdef"), format!("{bare}?h=")] {
            let reply = hub.anonymous().get(&address).await;
            assert_eq!(
                (reply.status, reply.header("cache-control"), reply.etag()),
                (200, Some("no-cache"), tag.clone()),
                "{address}"
            );
        }
    }
    let licences = hub.anonymous().get("/portal/a/licenses.txt").await;
    assert!(licences.text.contains("preact") && licences.text.contains("MIT"), "{}", licences.text);
}

async fn files_are_compressed_for_those_who_take_it(hub: TestHub) {
    let file = files_of(&page(&hub).await).into_iter().find(|file| file.contains(".js?")).unwrap();
    let plain = hub.anonymous().get(&file).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("accept-encoding")));
    let address = format!("{}{file}", hub.url());
    let reply = hub.http().get(&address).header("accept-encoding", "br;q=1.0, gzip;q=0.8").send().await.unwrap();
    assert_eq!(reply.headers()["content-encoding"], "gzip");
    assert_eq!(reply.headers()["vary"], "accept-encoding");
    assert_ne!(reply.headers()["etag"].to_str().unwrap(), plain.etag(), "other bytes have another tag");
    let tag = reply.headers()["etag"].to_str().unwrap().to_owned();
    let packed = reply.bytes().await.unwrap();
    assert!(packed.len() * 2 < plain.text.len(), "{} of {}", packed.len(), plain.text.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    assert!(text == plain.text, "the compressed file is another one");
    let known =
        hub.http().get(&address).header("accept-encoding", "gzip").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let refused = hub.http().get(&address).header("accept-encoding", "gzip;q=0").send().await.unwrap();
    assert!(refused.headers().get("content-encoding").is_none());
}

async fn nothing_else_is_served(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    for path in ["/portal/a/absent.js", "/portal/a/portal.html", "/portal/a/"] {
        let reply = ada.get(path).await;
        assert!(!path.ends_with("js") || reply.header("content-security-policy").is_some(), "{path}");
        reply.missing();
    }
    for path in ["/portal/x", "/portal/login/", "/portals/", "/dashboard", "/admin", "/org", "/ui/"] {
        ada.get(path).await.missing();
        hub.anonymous().get(path).await.refused(401, "AUTH_REQUIRED");
    }
    for method in ["POST", "PUT", "DELETE"] {
        ada.call(method, "/portal/").await.missing();
    }
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let described = document["paths"].as_object().unwrap().keys().any(|path| path.starts_with("/portal"));
    assert!(!described, "pages are not in the document");
}

/// Raw requests, because clients tidy paths up before they send them.
async fn no_path_leads_elsewhere(hub: TestHub) {
    let escapes = [
        "/portal/a/../../Cargo.toml",
        "/portal/a/..%2f..%2f..%2fCargo.toml",
        "/portal/a/%2e%2e/%2e%2e/Cargo.toml",
        "/portal/a/..\\..\\Cargo.toml",
        "/portal/a//etc/passwd",
        "/portal/a/%2fetc%2fpasswd",
        "/portal/a/portal.js%00.txt",
        "/portal/a/portal.js/../../../x",
    ];
    for path in escapes {
        let mut stream = tokio::net::TcpStream::connect(hub.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: hub.example\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["400", "401", "404"].contains(&status), "{path}: {answer}");
        assert!(!answer.contains("[workspace]") && !answer.contains("root:"), "{path}: {answer}");
    }
}

async fn pages_work_under_a_base_path(hub: TestHub) {
    let anonymous = hub.anonymous();
    for path in ["/hub/portal/", "/portal/"] {
        let page = anonymous.get(path).await.text;
        assert!(page.contains("data-base=\"/hub\""), "{page}");
        let files = files_of(&page);
        assert!(files.len() >= 5 && files.iter().all(|file| file.starts_with("/hub/portal/a/")), "{files:?}");
        for file in files {
            assert_eq!(anonymous.get(&file).await.status, 200, "{file}");
        }
    }
    let bare = hub.http().get(format!("{}/hub/portal", hub.url())).send().await.unwrap();
    assert_eq!(bare.url().path(), "/hub/portal/");
}

async fn pages_can_be_switched_off(hub: TestHub) {
    for path in ["/portal", "/portal/", "/portal/login", "/portal/config.json", "/portal/a/portal.js"] {
        hub.anonymous().get(path).await.missing();
    }
    assert_eq!(hub.anonymous().get("/livez").await.status, 200);
}

async fn an_open_portal_says_so(hub: TestHub) {
    let setup = hub.anonymous().get("/portal/config.json").await.ok();
    assert_eq!(setup, json!({ "open_portal": true, "dashboard": false }));
}

async fn pages_are_counted_by_their_place(hub: TestHub) {
    page(&hub).await;
    hub.anonymous().get("/portal/a/portal.js").await;
    let metrics = hub.anonymous().get("/metrics").await.text;
    let lines: Vec<&str> = metrics.lines().filter(|line| line.contains("/portal")).collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("\"GET /portal\"")), "{lines:?}");
}
