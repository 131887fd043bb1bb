//! `hxa-connect admin`: on a database without a hub, and through a running one by its URL. `keys::control_socket` has the
//! commands that go through a running hub beside them.

use crate::harness::*;

/// Runs `hxa-connect admin`; whether it succeeded, and all that it printed.
fn admin(database: &Database, env: &[(&str, &str)], args: &[&str]) -> (bool, String) {
    let args: Vec<&str> = ["admin"].into_iter().chain(args.iter().copied()).collect();
    let outcome = cli_with(database, env, &args);
    let said = [outcome.stdout, outcome.stderr].concat();
    (outcome.status.success(), String::from_utf8(said).unwrap())
}

/// The JSON of a command that must succeed.
#[track_caller]
fn done(database: &Database, env: &[(&str, &str)], args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let (is_ok, said) = admin(database, env, &args);
    assert!(is_ok, "{args:?}: {said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"))
}

/// What a command that must fail says.
#[track_caller]
fn refused(database: &Database, env: &[(&str, &str)], args: &[&str]) -> String {
    let (is_ok, said) = admin(database, env, args);
    assert!(!is_ok, "{args:?} succeeded: {said}");
    said
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

async fn stopped(mut process: ProcessHub) -> Database {
    process.signal("TERM");
    process.exited(3 * DEADLINE).await;
    process.into_database()
}

async fn log_in(hub: &TestHub, org: &Value) -> Caller {
    let body = json!({"type": "org_admin", "org_id": org["id"], "org_secret": org["org_secret"]});
    Caller::login(hub, body).await.0
}

async fn register(hub: &TestHub, org: &Value, name: &str) -> Bot {
    let body = json!({"org_id": org["id"], "org_secret": org["org_secret"], "name": name});
    Bot::new(hub, &hub.anonymous().post("/api/auth/register", body).await.ok())
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
    assert!(refused(&database, &[], &["org", "list"]).contains("hxa-connect migrate"), "nothing to look at yet");
    let org = done(&database, &[], &["org", "create", "acme"]);
    let invite = done(&database, &[], &["invite", "create", "--max-uses", "1", "--label", "friends"]);
    assert_eq!(done(&database, &[], &["org", "list"])[0]["id"], org["id"]);

    let process = ProcessHub::on(database).await;
    let boss = log_in(&process.hub, &org).await;
    let ada = register(&process.hub, &org, "ada").await;
    let founding = json!({"invite_code": invite["code"], "name": "guests"});
    process.hub.anonymous().post("/api/platform/orgs", founding).await.status(201);
    let database = stopped(process).await;

    let bots = done(&database, &[], &["bot", "list", "--org", "acme"]);
    assert_eq!((&bots[0]["id"], &bots[0]["auth_role"]), (&json!(ada.id), &json!("admin")));
    let whose = ["--org", "acme", "--bot", "ada"];
    let issue = [&["token", "issue", "--scopes", "read,message", "--expires-in", "60"][..], &whose[..]].concat();
    let token = done(&database, &[], &issue);
    assert_eq!(token["scopes"], json!(["read", "message"]));
    done(&database, &[], &["org", "suspend", text(&org["id"])]);
    let used = done(&database, &[], &["invite", "list"]);
    assert_eq!(
        (&used[0]["use_count"], &used[0]["exhausted"], &used[0]["label"]),
        (&json!(1), &json!(true), &json!("friends"))
    );

    let process = ProcessHub::on(database).await;
    let scoped = Caller::bearer(&process.hub, text(&token["token"]));
    scoped.get("/api/bots").await.refused(403, "ORG_SUSPENDED");
    let database = stopped(process).await;

    done(&database, &[], &["org", "activate", "acme"]);
    let process = ProcessHub::on(database).await;
    let scoped = Caller::bearer(&process.hub, scoped.secret());
    scoped.get("/api/bots").await.ok();
    let trail = Caller::cookie(&process.hub, boss.secret()).audit("bot.token_create").await;
    assert_eq!(trail[0]["target_id"], token["id"]);
    let database = stopped(process).await;

    let list = [&["token", "list"][..], &whose[..]].concat();
    assert_eq!(done(&database, &[], &list)[0]["id"], token["id"]);
    assert!(!done(&database, &[], &list).to_string().contains(text(&token["token"])), "a token is shown twice");
    done(&database, &[], &[&["token", "revoke", text(&token["id"])][..], &whose[..]].concat());
    done(&database, &[], &["invite", "revoke", text(&invite["id"])]);
    let stats = done(&database, &[], &["stats"]);
    assert_eq!((&stats["org_count"], &stats["bot_count"]), (&json!(2), &json!(1)));

    let process = ProcessHub::on(database).await;
    Caller::bearer(&process.hub, scoped.secret()).get("/api/bots").await.refused(401, "INVALID_TOKEN");
    for secret in [text(&org["org_secret"]), text(&token["token"]), text(&invite["code"])] {
        assert!(!process.log().contains(secret), "{secret}: a secret is in the log");
    }
}

#[test]
fn a_running_hub_does_it_at_once() {
    block_on(async {
        for db in [Db::Sqlite, Db::Postgres] {
            let Some(process) = ProcessHub::fresh(db).await else { return };
            // The commands run elsewhere: on a machine with another, empty database.
            let elsewhere = Database::fresh(Db::Sqlite).unwrap();
            through_a_hub(&process, &elsewhere).await;
            assert!(!elsewhere.sqlite_path().exists(), "{db}: the local database was touched");
        }
    });
}

async fn through_a_hub(process: &ProcessHub, elsewhere: &Database) {
    let url = ["--url", process.hub.url()];
    let on_hub = |args: &[&'static str]| -> Vec<String> { args.iter().chain(&url).map(ToString::to_string).collect() };
    let run = |env: &[(&str, &str)], args: &[&'static str]| {
        let args = on_hub(args);
        done(elsewhere, env, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let org = run(&[], &["org", "create", "acme"]);
    let ada = register(&process.hub, &org, "ada").await;
    let mut socket = ada.socket().await;

    let secret = text(&org["org_secret"]);
    let bots = ["bot", "list", "--url", process.hub.url(), "--org", text(&org["id"])];
    let bots = done(elsewhere, &[("HXA_CONNECT_ORG_SECRET", secret)], &bots);
    assert_eq!((&bots[0]["id"], &bots[0]["join_status"]), (&json!(ada.id), &json!("active")));

    let own = [("HXA_CONNECT_BOT_TOKEN", ada.secret())];
    let token = run(&own, &["token", "issue", "--scopes", "read", "--label", "phone"]);
    let scoped = Caller::bearer(&process.hub, text(&token["token"]));
    scoped.get("/api/bots").await.ok();
    assert_eq!(run(&own, &["token", "list"])[0]["label"], "phone");
    let revoke = ["token", "revoke", text(&token["id"]), "--url", process.hub.url()];
    done(elsewhere, &own, &revoke);
    scoped.get("/api/bots").await.refused(401, "INVALID_TOKEN");

    assert_eq!(run(&[], &["org", "suspend", "acme"])["status"], "suspended");
    assert_eq!(socket.closed().await, 4100, "those who are in go out");
    ada.me().await.refused(403, "ORG_SUSPENDED");
    assert_eq!(run(&[], &["org", "reinstate", "acme"])["status"], "active");
    ada.me().await.ok();

    let invite = run(&[], &["invite", "create", "--max-uses", "2"]);
    assert_eq!(run(&[], &["invite", "list"])[0]["code"], invite["code"]);
    let revoke = ["invite", "revoke", text(&invite["id"]), "--url", process.hub.url()];
    done(elsewhere, &[], &revoke);
    assert_eq!(run(&[], &["invite", "list"]), json!([]));
    assert_eq!(run(&[], &["stats"])["org_count"], 1);
    for secret in [secret, text(&token["token"]), ada.secret()] {
        assert!(!process.log().contains(secret), "{secret}: a secret is in the log");
    }
}

/// A headless hub is no hub to the outside either: what waits for a webhook waits for a real one.
#[test]
fn a_command_on_the_database_sends_nothing_out() {
    block_on(async {
        let env = [("HXA_CONNECT_WEBHOOKS_ALLOW", "127.0.0.1"), ("HXA_CONNECT_WEBHOOKS_RETRY_MS", "10,10,10")];
        let env = [env[0], env[1], ("HXA_CONNECT_WEBHOOKS_PAUSE_MS", "10")];
        let mut process = ProcessHub::with_env(Database::fresh(Db::Sqlite).unwrap(), &env).await;
        let (org, receiver) = (process.hub.with_org("acme").await, Receiver::start());
        let hook =
            json!({"ticket": org.ticket, "name": "bob", "webhook_url": receiver.url(), "webhook_secret": "sign"});
        let (ada, bob) = (org.bot("ada").await, org.bot_from(hook).await);
        receiver.always(Answer::Status(500));
        ada.send(&bob, "wait").await.ok();
        eventually(|| async { receiver.posts().len() }, |posts| *posts > 0).await;
        process.kill_9();
        let database = process.into_database();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let before = receiver.posts().len();
        receiver.always(Answer::Status(200));
        for _ in 0..5 {
            done(&database, &env, &["org", "reinstate", "acme"]);
        }
        assert_eq!(receiver.posts().len(), before, "something was sent");
        let _hub = ProcessHub::with_env(database, &env).await;
        assert_eq!(receiver.took(1).await[0].said(), "wait");
    });
}

#[test]
fn mistakes_are_named_and_secrets_are_not() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let elsewhere = Database::fresh(Db::Sqlite).unwrap();
        let url = process.hub.url();
        let wrong = [("HXA_CONNECT_ADMIN_SECRET", "wrong-secret-0123456789")];
        for (env, args, reason) in [
            (&wrong[..], vec!["org", "list", "--url", url], "INVALID_CREDENTIALS"),
            (&[], vec!["org", "suspend", "nowhere", "--url", url], "there is no organisation \"nowhere\""),
            (&[], vec!["bot", "list", "--org", "x", "--url", url], "set HXA_CONNECT_ORG_SECRET"),
            (&[], vec!["token", "list", "--url", url], "set HXA_CONNECT_BOT_TOKEN"),
            (&[], vec!["stats", "--url", "http://127.0.0.1:1"], "the hub cannot be reached"),
            (&[], vec!["stats", "--url", "ftp://x"], "--url takes the hub's URL"),
            (&[], vec!["org", "create", ""], "name"),
            (&[], vec!["token", "issue", "--scopes", "full"], "--org and --bot"),
            (&[], vec!["token", "issue", "--scopes", "everything", "--org", "a", "--bot", "b"], "everything"),
            (&[], vec!["invite", "revoke", "nothing"], "NOT_FOUND"),
        ] {
            let said = refused(&elsewhere, env, &args);
            assert!(said.contains(reason) && !said.contains("wrong-secret"), "{args:?}: {said}");
        }
        let made = admin(&elsewhere, &[], &["org", "create", "acme"]);
        assert!(made.0 && made.1.contains("not shown again"), "{}", made.1);
        let listed = admin(&elsewhere, &[], &["org", "list"]);
        assert!(listed.1.contains("acme") && !listed.1.contains("secret"), "{}", listed.1);
    });
}
