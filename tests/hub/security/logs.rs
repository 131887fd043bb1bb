//! What the log tells: no secret at any level, and no line that a client wrote.

use crate::harness::*;

/// A process that logs all it can, used by everybody with every credential there is.
#[test]
fn the_log_keeps_secrets_and_its_lines() {
    for format in ["text", "json"] {
        block_on(one_day(format));
    }
}

/// Starts a line, turns the terminal red, moves the cursor and reverses what follows.
const EVIL: &str = "evil\r\n2026-01-01T00:00:00.000Z ERROR hub forged line\u{1b}[31m\u{9b}2J\u{202e}\u{2028}";

async fn one_day(format: &str) {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let env = [
        ("HXA_CONNECT_LOG_LEVEL", "debug"),
        ("HXA_CONNECT_LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("HXA_CONNECT_FILES_LINK_SECRET", "planted-link-secret-0123456789"),
    ];
    let process = ProcessHub::with_env(database, &env).await;
    let hub = &process.hub;
    let org = hub.with_org("a").await;
    let fields = json!({
        "ticket": org.ticket, "name": "ada", "webhook_url": "https://127.0.0.9.nip.invalid/planted-path", "webhook_secret": "planted-hook",
    });
    let ada = match org.register(fields).await {
        reply if reply.status == 200 => Bot::new(hub, &reply.ok()),
        _ => org.bot("ada").await,
    };
    let bob = org.admin_bot("bob").await;
    let scoped = ada.scoped(&["read"]).await;
    let human = ada.human(EVIL).await;
    let ticket = ada.ws_ticket().await;
    let mut socket = Socket::connect(hub, &format!("?ticket={ticket}")).await;
    let code = hub.invite_code(json!({"label": EVIL})).await;
    let rotated = bob.post("/api/me/rotate-token", json!({"grace_seconds": 60})).await.ok().text("token");
    let dora = org.person("dora", "admin").await.with_password("planted-password").await;
    let secret = org.post("/api/org/rotate-secret", json!({})).await.ok();
    ada.send_body(json!({"to": "bob", "content": "planted-content"})).await.ok();
    dora.log_in("planted-password").await.ok();
    dora.log_in("planted-wrong").await.status(401);
    let emil = dora.post("/api/org/people", json!({"handle": "emil", "display_name": EVIL, "role": "viewer"})).await;
    let path = format!("/api/org/people/{}/link", emil.status(201).id());
    let link = dora.post(path, json!({})).await.status(201).text("code");
    evil_requests(hub, &ada, &mut socket).await;
    human.post("/api/auth/logout", json!({})).await.ok();
    socket.close().await;
    let mut secrets = vec![
        ada.secret(),
        bob.secret(),
        scoped.secret(),
        human.secret(),
        (*org).secret(),
        &org.secret,
        &org.ticket,
        &ticket,
        &code,
        &rotated,
        "planted-hook",
        "planted-path",
        "planted-content",
        "planted-link-secret",
        "planted-wrong",
        "planted-password",
        "test-admin-secret",
        "$argon2id$",
        dora.secret(),
        &link,
    ];
    secrets.extend(secret["org_secret"].as_str());
    let log = process.log();
    assert!(log.contains("request") && log.lines().count() > 30, "a log at the lowest level: {log}");
    for secret in secrets {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in {line:?}");
    }
    assert!(!log.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "control characters in the log");
    for line in log.lines() {
        assert!(!line.starts_with("2026-01-01T00:00:00.000Z"), "a forged line: {line}");
        let is_whole =
            if format == "json" { line.starts_with('{') && line.ends_with('}') } else { line.starts_with("20") };
        assert!(is_whole, "{format}: {line:?}");
    }
}

/// Everything that is refused and may be logged for it.
async fn evil_requests(hub: &TestHub, ada: &Bot, socket: &mut Socket) {
    let stranger = hub.anonymous();
    stranger.get("/api/me").header("authorization", "Bearer bot_planted-wrong").await.status(401);
    stranger.get("/health").header("authorization", "Bearer planted-wrong").await;
    for body in [
        json!({"type": "bot", "token": "bot_planted-wrong"}),
        json!({"type": "super_admin", "admin_secret": "planted-wrong"}),
        json!({"type": "org_admin", "org_id": EVIL, "org_secret": "planted-wrong"}),
    ] {
        stranger.post("/api/auth/login", body).await.status(401);
    }
    stranger.post("/api/auth/register", json!({"org_id": EVIL, "ticket": "tkt_planted-wrong", "name": EVIL})).await;
    let path: String = EVIL.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for path in
        [format!("/api/threads/{path}"), format!("/{path}"), format!("/api/threads?q={path}&token=planted-wrong")]
    {
        ada.get(path).await;
    }
    ada.patch("/api/me/profile", json!({"bio": EVIL, "status_text": EVIL})).await.ok();
    ada.thread_create(json!({"topic": EVIL, "tags": ["t"]})).await.ok();
    ada.patch("/api/me/name", json!({"name": EVIL})).await;
    socket.op(json!({"type": EVIL, "content": "planted-content"})).await.refused("UNKNOWN_OP");
    assert_eq!(Socket::connect(hub, "?ticket=planted-wrong").await.closed().await, 4001);
}
