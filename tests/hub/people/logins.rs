//! How people come in, and what puts them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::harness::*;

on_both_databases! {
    a_link_lets_in_once_and_lets_set_a_password,
    a_newer_link_replaces_the_one_of_before,
    of_those_who_bring_a_link_one_comes_in,
    whatever_is_wrong_is_one_refusal,
    wrong_passwords_lock_out,
    guesses_sent_at_once_are_no_more,
    disabling_puts_out_at_once,
    another_role_puts_out_and_the_same_does_not,
    a_password_changes_with_the_one_of_before,
    a_person_has_five_sessions,
}

const SENTENCE: &str = "a sentence of some length";

fn by_link(hub: &TestHub, code: &str) -> Call {
    hub.anonymous().post("/api/auth/login", json!({"type": "person_link", "code": code}))
}

pub async fn a_link_lets_in_once_and_lets_set_a_password(hub: TestHub) {
    let org = hub.with_org("a").await;
    let row = org.create_person(json!({"handle": "Dora", "display_name": "Dora L.", "role": "responder"})).await;
    let row = row.status(201);
    let link = org.post(format!("/api/org/people/{}/link", row.id()), json!({})).await.status(201);
    let left = link.int("expires_at") - now_ms();
    assert!((14 * 60_000..=15 * 60_000).contains(&left), "a quarter of an hour, not {left} ms");
    let reply = by_link(&hub, &link.text("code")).await;
    let dora = Caller::cookie(&hub, &reply.session_cookie());
    let session = reply.ok()["session"].clone();
    let person = json!({
        "id": row["id"], "handle": "Dora", "display_name": "Dora L.", "role": "responder", "has_password": false,
    });
    assert_eq!(
        session,
        json!({"role": "person", "org_id": org.id, "person": person, "expires_at": session["expires_at"]})
    );
    let lifetime = session.int("expires_at") - now_ms();
    assert!((43_100_000..=43_200_000).contains(&lifetime), "twelve hours, not {lifetime} ms");
    by_link(&hub, &link.text("code")).await.refused(401, "INVALID_CREDENTIALS");
    let shown = dora.get("/api/auth/session").await.ok();
    assert_eq!((&shown["person"], &shown["role"], &shown["bot_id"]), (&person, &json!("person"), &Value::Null));

    let reply = dora.post("/api/auth/person/password", json!({"password": SENTENCE})).await;
    let fresh = Caller::cookie(&hub, &reply.session_cookie());
    assert_eq!(reply.ok()["session"]["person"]["has_password"], true);
    dora.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
    fresh.get("/api/auth/session").await.ok();
    for handle in ["Dora", "dora", "DORA"] {
        let body = json!({"type": "person", "org_id": org.id, "handle": handle, "password": SENTENCE});
        let session = Caller::login(&hub, body).await.1;
        assert_eq!(session["person"]["id"], row["id"]);
    }
    let listed = org.get("/api/org/sessions").await.ok();
    let own: Vec<&Value> = listed.items("items").iter().filter(|session| session["role"] == "person").collect();
    assert_eq!(own.len(), 4);
    assert_eq!((&own[0]["person_id"], &own[0]["owner_name"]), (&row["id"], &json!("Dora L.")));
    let logins = org.audit("auth.login").await;
    assert_eq!(logins[0]["bot_id"], format!("person:{}", row.id()));
    assert_eq!(org.audit("person.password_set").await[0]["bot_id"], logins[0]["bot_id"]);
    fresh.post("/api/auth/logout", json!({})).await.ok();
    fresh.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
}

async fn a_newer_link_replaces_the_one_of_before(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.create_person(json!({"handle": "dora", "role": "viewer"})).await.status(201);
    let (old, new) = (org.link(&dora).await, org.link(&dora).await);
    by_link(&hub, &old).await.refused(401, "INVALID_CREDENTIALS");
    by_link(&hub, &new).await.ok();
    let last = org.link(&dora).await;
    org.patch_person(&dora, json!({"is_disabled": true})).await.ok();
    by_link(&hub, &last).await.refused(401, "INVALID_CREDENTIALS");
    org.post(format!("/api/org/people/{}/link", dora.id()), json!({})).await.forbidden();
    org.patch_person(&dora, json!({"is_disabled": false})).await.ok();
    by_link(&hub, &last).await.refused(401, "INVALID_CREDENTIALS");
    by_link(&hub, &org.link(&dora).await).await.ok();
    let trail = org.audit("person.link_create").await;
    assert_eq!(trail.len(), 4);
    assert!(!json!(trail).to_string().contains("lnk_"), "a code is in the trail");
}

async fn of_those_who_bring_a_link_one_comes_in(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.create_person(json!({"handle": "dora", "role": "viewer"})).await.status(201);
    for _ in 0..4 {
        let code = org.link(&dora).await;
        // The losers of all rounds together are not enough to be locked out.
        let racing = futures_util::future::join_all((0..4).map(|_| async { by_link(&hub, &code).await.status }));
        let mut statuses = racing.await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401, 401, 401]);
    }
}

#[test]
fn a_link_and_a_session_expire_sqlite() {
    expiry(Db::Sqlite);
}

#[test]
fn a_link_and_a_session_expire_postgres() {
    expiry(Db::Postgres);
}

fn expiry(db: Db) {
    const HOUR: i64 = 3_600_000;
    let Some(database) = Database::fresh(db) else { return };
    let offset = Arc::new(AtomicI64::new(0));
    let shared = offset.clone();
    let clock = Arc::new(move || now_ms() + shared.load(Ordering::SeqCst));
    run_at(clock, &database, &[], async |hub, _| {
        let org = hub.with_org("a").await;
        let dora = org.create_person(json!({"handle": "dora", "role": "viewer"})).await.status(201);
        let (early, late) =
            (org.link(&dora).await, org.create_person(json!({"handle": "emil", "role": "viewer"})).await);
        let late = org.link(&late.status(201)).await;
        offset.store(14 * 60_000, Ordering::SeqCst);
        let session = Caller::cookie(&hub, &by_link(&hub, &early).await.session_cookie());
        offset.store(15 * 60_000 + 1000, Ordering::SeqCst);
        by_link(&hub, &late).await.refused(401, "INVALID_CREDENTIALS");
        offset.store(11 * HOUR, Ordering::SeqCst);
        session.get("/api/org").await.ok();
        offset.store(22 * HOUR, Ordering::SeqCst);
        session.get("/api/org").await.ok();
        offset.store(35 * HOUR, Ordering::SeqCst);
        session.get("/api/org").await.refused(401, "AUTH_REQUIRED");
    });
}

async fn whatever_is_wrong_is_one_refusal(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await.with_password(SENTENCE).await;
    org.create_person(json!({"handle": "emil", "role": "viewer"})).await.status(201);
    let log_in = |org_id: &str, handle: &str, password: &str| {
        let body = json!({"type": "person", "org_id": org_id, "handle": handle, "password": password});
        hub.anonymous().post("/api/auth/login", body)
    };
    let mut said = Vec::new();
    for (org_id, handle, password) in [
        (org.id.as_str(), "dora", "another sentence"),
        (&org.id, "nobody", SENTENCE),
        (&org.id, "emil", SENTENCE),
        (NOBODY, "dora", SENTENCE),
        ("no id", "dora", SENTENCE),
        (&org.id, "do\u{0}ra", SENTENCE),
    ] {
        said.push(log_in(org_id, handle, password).await.refused(401, "INVALID_CREDENTIALS"));
    }
    assert!(said.iter().all(|other| *other == said[0]), "{said:?}");
    let failed = org.audit("auth.login_failed").await;
    assert_eq!(failed.len(), 4, "those of other organisations are not in this trail");
    assert!(failed.iter().all(|row| row["detail"]["role"] == "person"));
    dora.log_in(SENTENCE).await.ok();
}

async fn wrong_passwords_lock_out(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await.with_password(SENTENCE).await;
    let emil = org.person("emil", "viewer").await.with_password(SENTENCE).await;
    for _ in 0..5 {
        dora.log_in("not her sentence").await.refused(401, "INVALID_CREDENTIALS");
    }
    let locked = dora.log_in(SENTENCE).await;
    let seconds: i64 = locked.header("retry-after").unwrap().parse().unwrap();
    assert!((890..=900).contains(&seconds), "locked for a quarter of an hour, not {seconds}");
    locked.refused(429, "RATE_LIMITED");
    let shouted = json!({"type": "person", "org_id": org.id, "handle": "DORA", "password": SENTENCE});
    hub.anonymous().post("/api/auth/login", shouted).await.refused(429, "RATE_LIMITED");
    let change = json!({"password": "a better sentence", "current_password": SENTENCE});
    dora.set_password(change).await.refused(429, "RATE_LIMITED");
    dora.session().await.ok();
    emil.log_in(SENTENCE).await.ok();
    by_link(&hub, &org.link(&dora).await).await.ok();
    // Guesses in a session are counted like those at the login.
    for _ in 0..5 {
        let guess = json!({"password": "a better sentence", "current_password": "not his sentence"});
        emil.set_password(guess).await.refused(401, "INVALID_CREDENTIALS");
    }
    emil.log_in(SENTENCE).await.refused(429, "RATE_LIMITED");
    // Wrong links and wrong passwords of all people together lock their address out.
    for n in 0..10 {
        by_link(&hub, &format!("lnk_{n}")).await.refused(401, "INVALID_CREDENTIALS");
    }
    by_link(&hub, &org.link(&dora).await).await.refused(429, "RATE_LIMITED");
}

/// Attempts that wait for their turn were let in before the first of them had failed.
async fn guesses_sent_at_once_are_no_more(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await.with_password(SENTENCE).await;
    let guesses = (0..24).map(|n| {
        let guess = dora.log_in(&format!("not her sentence {n}"));
        async move { guess.await.status }
    });
    let statuses = futures_util::future::join_all(guesses).await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert!((5..=6).contains(&count(401)), "{statuses:?}");
    assert_eq!(count(401) + count(429) + count(503), 24, "{statuses:?}");
    dora.log_in(SENTENCE).await.refused(429, "RATE_LIMITED");
}

pub async fn disabling_puts_out_at_once(hub: TestHub) {
    let org = hub.with_org("a").await;
    let (dora, emil) = (org.person("dora", "admin").await, org.person("emil", "admin").await);
    let dora = dora.with_password(SENTENCE).await;
    let second = dora.by(Caller::cookie(&hub, &dora.log_in(SENTENCE).await.session_cookie()));
    let (mut first_socket, mut second_socket) = (dora.socket().await, second.socket().await);
    let (mut of_emil, mut of_secret) = (emil.socket().await, org.socket().await);
    let ticket = dora.ws_ticket().await;
    org.patch_person(&dora, json!({"is_disabled": true})).await.ok();
    for session in [&dora, &second] {
        session.session().await.refused(401, "AUTH_REQUIRED");
        session.get("/api/org").await.refused(401, "AUTH_REQUIRED");
    }
    for socket in [&mut first_socket, &mut second_socket] {
        assert_eq!(socket.closed().await, 4002);
    }
    let mut late = Socket::connect(&hub, &format!("?ticket={ticket}")).await;
    assert_eq!(late.closed().await, 4002, "a ticket is no way around it");
    assert_eq!(org.get("/api/org/sessions").await.ok()["items"].all("role"), ["person", "org_admin"]);
    let refusal = dora.log_in(SENTENCE).await.forbidden();
    assert!(refusal.text("error").contains("disabled"), "{refusal}");
    dora.log_in("not her sentence").await.refused(401, "INVALID_CREDENTIALS");
    emil.session().await.ok();
    // Those of others are still there.
    for socket in [&mut of_emil, &mut of_secret] {
        socket.drain().await;
    }
    org.patch_person(&dora, json!({"is_disabled": false})).await.ok();
    dora.session().await.refused(401, "AUTH_REQUIRED");
    dora.log_in(SENTENCE).await.ok();
    org.delete_person(&emil).await.ok();
    emil.session().await.refused(401, "AUTH_REQUIRED");
    assert_eq!(of_emil.closed().await, 4002);
}

pub async fn another_role_puts_out_and_the_same_does_not(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "admin").await;
    let mut socket = dora.socket().await;
    org.patch_person(&dora, json!({"role": "admin", "display_name": "D.", "is_disabled": false})).await.ok();
    assert_eq!(dora.session().await.ok()["person"]["display_name"], "D.");
    socket.drain().await;
    let ticket = dora.post("/api/org/tickets", json!({"reusable": true})).await.ok();
    org.patch_person(&dora, json!({"role": "viewer"})).await.ok();
    dora.session().await.refused(401, "AUTH_REQUIRED");
    assert_eq!(socket.closed().await, 4002);
    let body = json!({"ticket": ticket["ticket"], "name": "cleo"});
    org.register(body).await.refused(401, "INVALID_TICKET");
    let viewer = Caller::login(&hub, json!({"type": "person_link", "code": org.link(&dora).await})).await.0;
    viewer.post("/api/org/tickets", json!({})).await.forbidden();
}

pub async fn a_password_changes_with_the_one_of_before(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await.with_password(SENTENCE).await;
    let other = Caller::cookie(&hub, &dora.log_in(SENTENCE).await.session_cookie());
    let better = "a better sentence";
    dora.set_password(json!({"password": better})).await.invalid();
    let wrong = json!({"password": better, "current_password": "not her sentence"});
    dora.set_password(wrong).await.refused(401, "INVALID_CREDENTIALS");
    dora.session().await.ok();
    let reply = dora.set_password(json!({"password": better, "current_password": SENTENCE})).await;
    let fresh = dora.by(Caller::cookie(&hub, &reply.session_cookie()));
    reply.ok();
    for ended in [&*dora, &other] {
        ended.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
    }
    fresh.session().await.ok();
    dora.log_in(SENTENCE).await.refused(401, "INVALID_CREDENTIALS");
    dora.log_in(better).await.ok();
    // A link does not replace the password, unless an admin says so.
    let by_link = dora.by(Caller::login(&hub, json!({"type": "person_link", "code": org.link(&dora).await})).await.0);
    by_link.set_password(json!({"password": SENTENCE})).await.invalid();
    let path = format!("/api/org/people/{}/link", dora.id);
    let link = org.post(&path, json!({"reset_password": true})).await.status(201);
    for ended in [&fresh, &by_link] {
        ended.session().await.refused(401, "AUTH_REQUIRED");
    }
    dora.log_in(better).await.refused(401, "INVALID_CREDENTIALS");
    assert_eq!(org.audit("person.password_reset").await[0]["target_id"], dora.id);
    let again = dora.by(Caller::login(&hub, json!({"type": "person_link", "code": link["code"]})).await.0);
    again.with_password(SENTENCE).await.session().await.ok();
    dora.log_in(SENTENCE).await.ok();
    org.post("/api/auth/person/password", json!({"password": SENTENCE})).await.forbidden();
}

pub async fn a_person_has_five_sessions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await.with_password(SENTENCE).await;
    let emil = org.person("emil", "viewer").await;
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(Caller::cookie(&hub, &dora.log_in(SENTENCE).await.session_cookie()));
    }
    dora.session().await.refused(401, "AUTH_REQUIRED");
    for session in &sessions {
        session.get("/api/auth/session").await.ok();
    }
    emil.session().await.ok();
    let listed = org.get("/api/org/sessions").await.ok();
    let reference = listed["items"][0].text("ref");
    org.delete(format!("/api/org/sessions/{reference}")).await.ok();
    sessions[4].get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
}
