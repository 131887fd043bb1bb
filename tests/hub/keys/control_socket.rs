//! Commands that go through the hub that runs beside them, by the socket in its data folder.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};

use crate::harness::*;

/// Runs `hxa-connect admin … --json`; its JSON, or what it said.
fn admin(database: &Database, env: &[(&str, &str)], args: &[&str]) -> Result<Value, String> {
    let args: Vec<&str> = ["admin"].into_iter().chain(args.iter().copied()).chain(["--json"]).collect();
    let output = cli_with(database, env, &args);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    if output.status.success() { Ok(serde_json::from_str(&said).unwrap()) } else { Err(said) }
}

#[track_caller]
fn done(database: &Database, args: &[&str]) -> Value {
    admin(database, &[], args).unwrap_or_else(|said| panic!("{args:?}: {said}"))
}

fn socket_of(database: &Database) -> std::path::PathBuf {
    database.data_dir().join("control.sock")
}

async fn every_command_reaches_the_hub(db: Db) {
    let Some(process) = ProcessHub::fresh(db).await else { return };
    let (hub, database) = (&process.hub, process.database());
    let org = done(database, &["org", "create", "acme"]);
    let body = json!({"org_id": org["id"], "org_secret": org["org_secret"], "name": "ada"});
    let ada = Bot::new(hub, &hub.anonymous().post("/api/auth/register", body).await.ok());
    let mut socket = ada.socket().await;
    assert_eq!(done(database, &["org", "list"])[0]["bot_count"], 1);
    assert_eq!(done(database, &["bot", "list", "--org", "acme"])[0]["name"], "ada");
    assert_eq!(done(database, &["stats"])["bot_count"], 1);

    let whose = ["--org", "acme", "--bot", "ada"];
    let token = done(database, &[&["token", "issue", "--scopes", "read"][..], &whose].concat());
    let scoped = Caller::bearer(hub, &token.text("token"));
    scoped.get("/api/bots").await.ok();
    assert_eq!(done(database, &[&["token", "list"][..], &whose].concat())[0]["id"], token["id"]);
    done(database, &[&["token", "revoke", &token.id()][..], &whose].concat());
    scoped.get("/api/bots").await.refused(401, "INVALID_TOKEN");

    let key = done(database, &["key", "create", "ada", "--label", "phone", "--expires-in", "60"]);
    assert_eq!((&key["org"], &key["label"], &key["bot_id"]), (&json!("acme"), &json!("phone"), &json!(ada.id)));
    let by_key = Caller::bearer(hub, &key.text("key"));
    by_key.get("/api/me").await.refused(403, "INSUFFICIENT_SCOPE");
    let listed = done(database, &["key", "list"]);
    assert!(listed[0]["last_used_at"].is_i64() && listed[0]["key"].is_null(), "{listed}");
    done(database, &["key", "revoke", &key.id()]);
    by_key.get("/api/me").await.refused(401, "INVALID_TOKEN");

    let invite = done(database, &["invite", "create"]);
    assert_eq!(done(database, &["invite", "list"])[0]["code"], invite["code"]);
    done(database, &["invite", "revoke", &invite.id()]);
    assert_eq!(done(database, &["org", "suspend", "acme"])["status"], "suspended");
    assert_eq!(socket.closed().await, 4100, "those who are in go out");
    ada.me().await.refused(403, "ORG_SUSPENDED");
    done(database, &["org", "reinstate", "acme"]);
    ada.me().await.ok();
    let refusal = admin(database, &[], &["org", "suspend", "nowhere"]).unwrap_err();
    assert!(refusal.contains("there is no organisation \"nowhere\""), "{refusal}");
    for secret in [org.text("org_secret"), token.text("token"), key.text("key"), invite.text("code")] {
        assert!(!process.log().contains(&secret), "a secret is in the log");
    }
}

#[test]
fn every_command_reaches_the_hub_sqlite() {
    block_on(every_command_reaches_the_hub(Db::Sqlite));
}

#[test]
fn every_command_reaches_the_hub_postgres() {
    block_on(every_command_reaches_the_hub(Db::Postgres));
}

/// The socket is for the hub's own user, goes with the hub, and one of a killed hub is in nobody's way.
#[test]
fn the_socket_is_private_and_goes_with_its_hub() {
    block_on(async {
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let path = socket_of(process.database());
        eventually(|| async { path.exists() }, |exists| *exists).await;
        let about = std::fs::symlink_metadata(&path).unwrap();
        assert!(about.file_type().is_socket() && about.permissions().mode() & 0o777 == 0o600, "{about:?}");
        process.kill_9();
        assert!(path.exists());
        done(process.database(), &["org", "create", "after the kill"]);
        process.start().await;
        done(process.database(), &["org", "create", "after the start"]);
        process.signal("TERM");
        process.exited(3 * DEADLINE).await;
        assert!(!path.exists(), "the file stays behind");
        assert_eq!(done(process.database(), &["org", "list"]).as_array().unwrap().len(), 2);
    });
}

/// Nonsense at the socket is refused, and harms nobody.
#[test]
fn what_is_no_command_is_refused() {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let path = socket_of(process.database());
        eventually(|| async { path.exists() }, |exists| *exists).await;
        let large = "x".repeat(1 << 20);
        let deep = "[".repeat(60_000);
        for question in ["", "{", "null", "{\"command\":{}}", "{\"lease\":1,\"command\":\"Stats\"}", &deep, &large] {
            let mut stream = UnixStream::connect(&path).unwrap();
            // The hub hangs up on what is too large.
            let _ = stream.write_all(question.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write));
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            assert!(!answer.contains("Done"), "{question:.40}: {answer}");
        }
        assert_eq!(done(process.database(), &["stats"])["org_count"], 0);
        process.hub.anonymous().get("/readyz").await.ok();
    });
}

/// Two hubs with a database each and one data folder: a command for one must not change the other.
#[test]
fn a_hub_on_another_database_is_not_mistaken() {
    block_on(async {
        let Some(process) = ProcessHub::fresh(Db::Postgres).await else { return };
        let other = Database::fresh(Db::Postgres).unwrap();
        let (here, elsewhere) = (process.database(), [("HXA_CONNECT_DATABASE_URL", other.postgres_url().unwrap())]);
        admin(here, &elsewhere, &["org", "create", "elsewhere"]).unwrap();
        assert_eq!(done(here, &["org", "list"]), json!([]));
        assert_eq!(admin(here, &elsewhere, &["org", "list"]).unwrap()[0]["name"], "elsewhere");
        // Nor is a hub that uses SQLite in that folder.
        let sqlite = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        admin(sqlite.database(), &elsewhere, &["org", "create", "again"]).unwrap();
        assert_eq!(done(sqlite.database(), &["org", "list"]), json!([]));
    });
}

/// A hub that cannot be reached from here keeps its database to itself, as before.
#[test]
fn a_hub_elsewhere_is_not_changed_behind_its_back() {
    block_on(async {
        let Some(process) = ProcessHub::fresh(Db::Postgres).await else { return };
        process.hub.with_org("acme").await;
        let far = Database::on_postgres(process.database().postgres_url().unwrap());
        assert_eq!(done(&far, &["org", "list"])[0]["name"], "acme", "reading is harmless");
        for change in [&["org", "suspend", "acme"][..], &["key", "create", "ada"]] {
            let said = admin(&far, &[], change).unwrap_err();
            assert!(said.contains("a hub runs on this database"), "{change:?}: {said}");
        }
        // By its URL it is reached.
        let org = process.hub.with_org("second").await;
        let env = [("HXA_CONNECT_ORG_SECRET", org.secret.as_str())];
        let by_url = |args: &[&'static str]| {
            let args: Vec<&str> =
                args.iter().copied().chain(["--org", org.id.as_str(), "--url", process.hub.url()]).collect();
            admin(&far, &env, &args)
        };
        let key = by_url(&["key", "create", "ada", "--allow-respond"]).unwrap();
        assert_eq!(key["allow_respond"], true);
        let by_key = Caller::bearer(&process.hub, &key.text("key"));
        by_key.get("/api/me").await.refused(403, "INSUFFICIENT_SCOPE");
        assert_eq!(by_url(&["key", "list"]).unwrap()[0]["id"], key["id"]);
        let id = key.id();
        let revoke = ["key", "revoke", &id, "--org", &org.id, "--url", process.hub.url()];
        admin(&far, &env, &revoke).unwrap();
        by_key.get("/api/me").await.refused(401, "INVALID_TOKEN");
        let said = admin(&far, &env, &["key", "list", "--url", process.hub.url()]).unwrap_err();
        assert!(said.contains("--org names the organisation's id"), "{said}");
    });
}
