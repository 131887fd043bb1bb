//! Sessions in Redis: all that holds for sessions in the database, and what happens when Redis goes away.

use std::time::{Duration, Instant};

use super::{identity, lineage, sessions};
use crate::harness::*;
use crate::people::logins;
use crate::security::races;
use crate::sockets::connections;

on_redis! {
    identity::authentication_failures,
    identity::logins,
    identity::login_refusals,
    identity::session_cookie,
    identity::session_info_and_logout,
    identity::session_wins_over_bearer,
    identity::csrf,
    identity::session_limit,
    identity::scoped_token_expiry,
    identity::rejected_bots_are_locked_out,
    identity::secret_rotation,
    identity::suspension_and_return,
    sessions::sessions_are_listed_and_ended,
    sessions::parallel_logins_keep_the_limit,
    sessions::sessions_end_with_their_token_and_bot,
    sessions::owners_see_and_end_their_own_sessions,
    sessions::logins_with_a_scoped_token_end_no_other_sessions,
    logins::a_link_lets_in_once_and_lets_set_a_password,
    logins::disabling_puts_out_at_once,
    logins::another_role_puts_out_and_the_same_does_not,
    logins::a_password_changes_with_the_one_of_before,
    logins::a_person_has_five_sessions,
    lineage::sockets_and_sessions_of_descendants_end,
    connections::logout_closes_the_session_sockets,
    races::no_login_outlives_a_rotated_token,
    races::no_login_outlives_a_rotated_secret,
    races::no_login_outlives_a_revoked_token,
    races::no_login_outlives_a_deleted_bot,
    races::no_request_passes_after_a_logout,
}

async fn hub_on(line: &Line, database: Database, prefix: &str) -> ProcessHub {
    let url = line.url();
    let env = [("SESSION_STORE", "redis"), ("REDIS_URL", &url), ("HXA_CONNECT_AUTH_REDIS_PREFIX", prefix)];
    ProcessHub::with_env(database, &env).await
}

#[test]
fn bots_work_on_while_redis_is_away() {
    let Some(redis) = redis_address() else { return };
    block_on(async {
        let line = Line::to(redis).await;
        let process = hub_on(&line, Database::fresh(Db::Sqlite).unwrap(), &redis_prefix()).await;
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let boss = org.admin_bot("boss").await;
        let human = ada.human("Ann").await;
        let mut watching = human.socket().await;
        let login = || hub.anonymous().post("/api/auth/login", json!({"type": "bot", "token": ada.secret()}));
        for (what, away) in [("cut", Line::cut as fn(&Line)), ("frozen", Line::freeze)] {
            away(&line);
            for refused in [human.me(), login(), boss.post("/api/org/rotate-secret", json!({}))] {
                let start = Instant::now();
                let reply = refused.await;
                assert_eq!(reply.header("retry-after"), Some("1"), "{}", reply.what);
                reply.refused(503, "UNAVAILABLE");
                assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
            }
            let health = hub.anonymous().get("/health").await.ok();
            assert_eq!(
                (&health["status"], &health["db"], &health["sessions"]),
                (&json!("degraded"), &json!("ok"), &json!("error")),
                "{what}"
            );
            hub.anonymous().get("/readyz").await.refused(503, "UNAVAILABLE");
            hub.anonymous().get("/livez").await.ok();
            bob.me().await.ok();
            bob.send(&ada, "still here").await.ok();
            assert_eq!(watching.next("message").await["message"]["content"], "still here", "{what}");
            line.restore();
            eventually(|| async { human.me().await.status }, |status| *status == 200).await;
            hub.anonymous().get("/readyz").await.ok();
            login().await.ok();
            assert_eq!(hub.anonymous().get("/health").await.ok()["sessions"], "ok", "{what}");
        }
        process.logged("Redis is unavailable").await;
        process.logged("Redis is available again").await;
        org.get("/api/org").await.ok();
    });
}

#[test]
fn without_redis_the_hub_does_not_start() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("redis://:planted-secret@{nobody}");
    let outcome = cli(&["serve", "--session-store", "redis", "--redis-url", &url]);
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(!outcome.status.success());
    assert!(said.contains(&format!("session store: Redis: {nobody} cannot be used")), "{said}");
    assert!(!said.contains("planted-secret"), "{said}");
}

#[test]
fn sessions_outlive_the_hub() {
    let Some(redis) = redis_address() else { return };
    block_on(async {
        let line = Line::to(redis).await;
        let mut process = hub_on(&line, Database::fresh(Db::Sqlite).unwrap(), &redis_prefix()).await;
        let org = process.hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let (human, scoped) = (ada.human("Ann").await, ada.scoped(&["read"]).await.human("Ben").await);
        process.kill_9();
        process.start().await;
        for caller in [&*human, &*scoped, &*org] {
            caller.get("/api/org").await.ok();
        }
        scoped.patch("/api/me/profile", json!({"bio": "b"})).await.refused(403, "INSUFFICIENT_SCOPE");
        assert_eq!(org.get("/api/org/sessions").await.ok().items("items").len(), 3);
    });
}

#[test]
fn hubs_share_sessions_and_their_ends() {
    let (Some(redis), Some(database)) = (redis_address(), Database::fresh(Db::Postgres)) else { return };
    block_on(async {
        let (line, prefix) = (Line::to(redis).await, redis_prefix());
        let one = hub_on(&line, database, &prefix).await;
        let ada = one.hub.with_org("a").await.bot("ada").await;
        let human = ada.human("Ann").await;
        human.get("/api/me").await.ok();
        let two = hub_on(&line, ended(one).await, &prefix).await;
        let elsewhere = Caller::cookie(&two.hub, human.secret());
        elsewhere.get("/api/me").await.ok();
        elsewhere.post("/api/auth/logout", json!({})).await.ok();
        let three = hub_on(&line, ended(two).await, &prefix).await;
        Caller::cookie(&three.hub, human.secret()).get("/api/me").await.refused(401, "AUTH_REQUIRED");
        let stranger = hub_on(&line, Database::fresh(Db::Sqlite).unwrap(), &redis_prefix()).await;
        let root = three.hub.super_admin().await;
        root.get("/api/orgs").await.ok();
        Caller::cookie(&stranger.hub, root.secret()).get("/api/orgs").await.refused(401, "AUTH_REQUIRED");
    });
}

/// The database of a hub that is stopped for the next one: a database serves one at a time.
async fn ended(mut hub: ProcessHub) -> Database {
    hub.signal("TERM");
    assert!(hub.exited(DEADLINE).await.success());
    hub.into_database()
}
