//! `hxa-connect admin person`: on a database without a hub, and through a running one.

use crate::harness::*;

/// The JSON of a command that must succeed.
#[track_caller]
fn done(database: &Database, env: &[(&str, &str)], args: &[&str]) -> Value {
    let args: Vec<&str> = ["admin", "person"].iter().chain(args).copied().chain(["--json"]).collect();
    let outcome = cli_with(database, env, &args);
    let said = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{args:?}: {said}");
    serde_json::from_slice(&outcome.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
}

/// What a command prints for people, and whether it succeeded.
fn printed(database: &Database, env: &[(&str, &str)], args: &[&str]) -> (bool, String) {
    let args: Vec<&str> = ["admin", "person"].iter().chain(args).copied().collect();
    let outcome = cli_with(database, env, &args);
    let said = [outcome.stdout, outcome.stderr].concat();
    (outcome.status.success(), String::from_utf8(said).unwrap())
}

fn create_org(database: &Database, name: &str) -> Value {
    let outcome = cli_on(database, &["admin", "org", "create", name, "--json"]);
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The code at the end of a login link's path.
fn code(made: &Value) -> String {
    made.text("login_path").strip_prefix("/portal/login?code=").unwrap().to_owned()
}

async fn come_in(hub: &TestHub, code: &str) -> Caller {
    Caller::login(hub, json!({"type": "person_link", "code": code})).await.0
}

#[test]
fn a_database_without_a_hub_is_changed_directly_sqlite() {
    block_on(without_a_hub(Db::Sqlite));
}

#[test]
fn a_database_without_a_hub_is_changed_directly_postgres() {
    block_on(without_a_hub(Db::Postgres));
}

async fn without_a_hub(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let acme = create_org(&database, "acme");
    let dora = done(&database, &[], &["add", "dora", "--role", "responder", "--name", "Dora Lindt", "--slack", "U1"]);
    assert_eq!((&dora["display_name"], &dora["slack_user_id"]), (&json!("Dora Lindt"), &json!("U1")));
    let url = format!("http://localhost:4800{}", dora.text("login_path"));
    assert_eq!((dora.text("login_url"), &dora["org_id"]), (url, &acme["id"]));
    let said = printed(&database, &[], &["add", "emil", "--role", "admin", "--org", "acme"]);
    assert!(said.0 && said.1.contains("/portal/login?code=lnk_"), "{}", said.1);
    for (args, reason) in [
        (&["add", "DORA", "--role", "viewer"][..], "CONFLICT"),
        (&["add", "new", "--role", "owner"], "role must be one of"),
        (&["add", "a b", "--role", "viewer"], "white space"),
        (&["role", "dora", "owner"], "must be one of"),
        (&["slack", "dora", "x"], "Slack user"),
        (&["disable", "nobody"], "NOT_FOUND"),
        (&["list", "--org", "nowhere"], "there is no organisation"),
    ] {
        let (is_ok, said) = printed(&database, &[], args);
        assert!(!is_ok && said.contains(reason), "{args:?}: {said}");
    }
    assert_eq!(done(&database, &[], &["role", "Dora", "coordinator"])["role"], "coordinator");
    assert_eq!(done(&database, &[], &["slack", "dora"])["slack_user_id"], Value::Null);
    assert_eq!(done(&database, &[], &["disable", "emil"])["is_disabled"], true);
    let (is_ok, said) = printed(&database, &[], &["link", "emil"]);
    assert!(!is_ok && said.contains("enable it first"), "{said}");
    let link = done(&database, &[], &["link", "dora"]);
    let listed = done(&database, &[], &["list"]);
    assert_eq!(listed.as_array().unwrap().iter().map(|row| row.text("handle")).collect::<Vec<_>>(), ["dora", "emil"]);
    let (_, table) = printed(&database, &[], &["list"]);
    assert!(table.contains("coordinator") && table.contains("Dora Lindt"), "{table}");
    create_org(&database, "other");
    let (is_ok, said) = printed(&database, &[], &["list"]);
    assert!(!is_ok && said.contains("say which with --org"), "{said}");

    let mut process = ProcessHub::on(database).await;
    let refused = process.hub.anonymous().post("/api/auth/login", json!({"type": "person_link", "code": code(&dora)}));
    refused.await.refused(401, "INVALID_CREDENTIALS");
    let session = come_in(&process.hub, &code(&link)).await.get("/api/auth/session").await.ok();
    assert_eq!((&session["person"]["handle"], &session["person"]["role"]), (&json!("dora"), &json!("coordinator")));
    let log = process.log();
    assert!(!log.contains(&code(&link)), "a code is in the log");
    process.signal("TERM");
    process.exited(3 * DEADLINE).await;
    let database = process.into_database();
    done(&database, &[], &["enable", "emil", "--org", "acme"]);
    done(&database, &[], &["remove", "dora", "--org", "acme"]);
    let listed = done(&database, &[], &["list", "--org", "acme"]);
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["is_disabled"]), (1, &json!(false)));
}

#[test]
fn a_running_hub_does_it_at_once() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let (org, elsewhere) = (process.hub.with_org("acme").await, Database::fresh(Db::Sqlite).unwrap());
        let env = [("HXA_CONNECT_ORG_SECRET", org.secret.as_str())];
        let whose = ["--org", &org.id, "--url", process.hub.url()];
        let run = |args: &[&str]| done(&elsewhere, &env, &[args, &whose[..]].concat());
        let dora = run(&["add", "dora", "--role", "admin", "--name", "Dora"]);
        let url = [process.hub.url(), &dora.text("login_path")].concat();
        assert_eq!((dora.text("login_url"), dora.text("org_id")), (url, org.id.clone()));
        let session = come_in(&process.hub, &code(&dora)).await;
        let mut socket = session.socket().await;
        assert_eq!(run(&["list"])[0]["handle"], "dora");
        assert_eq!(run(&["slack", "DORA", "U2"])["slack_user_id"], "U2");
        assert_eq!(run(&["disable", "dora"])["is_disabled"], true);
        assert_eq!(socket.closed().await, 4002);
        session.get("/api/auth/session").await.refused(401, "AUTH_REQUIRED");
        assert_eq!(run(&["enable", "dora"])["is_disabled"], false);
        assert_eq!(run(&["role", "dora", "viewer"])["role"], "viewer");
        let link = run(&["link", "dora", "--reset-password"]);
        let session = come_in(&process.hub, &code(&link)).await.get("/api/auth/session").await.ok();
        assert_eq!(session["person"]["role"], "viewer");
        assert_eq!(run(&["remove", "dora"]), json!({"ok": true}));
        assert_eq!(run(&["list"]), json!([]));
        let said = printed(&elsewhere, &env, &["disable", "dora", "--org", &org.id, "--url", process.hub.url()]);
        assert!(!said.0 && said.1.contains("no person \"dora\""), "{}", said.1);
        let said = printed(&elsewhere, &env, &["list", "--url", process.hub.url()]);
        assert!(!said.0 && said.1.contains("--org is needed"), "{}", said.1);
        let said = printed(&elsewhere, &[], &["list", "--org", &org.id, "--url", process.hub.url()]);
        assert!(!said.0 && said.1.contains("HXA_CONNECT_ORG_SECRET"), "{}", said.1);
        assert!(!elsewhere.sqlite_path().exists(), "the local database was touched");
        for secret in [code(&dora), code(&link), org.secret.clone()] {
            assert!(!process.log().contains(&secret), "a secret is in the log");
        }
    });
}
