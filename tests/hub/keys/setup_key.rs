//! `hxa-connect setup-key`: its output, on a database without a hub and beside a running one.

use std::time::Duration;

use crate::harness::*;

/// What a run wrote.
struct Ran {
    is_ok: bool,
    code: i32,
    out: String,
    err: String,
}

fn setup_key(database: &Database, args: &[&str]) -> Ran {
    let args: Vec<&str> = ["setup-key"].into_iter().chain(args.iter().copied()).collect();
    let output = cli_on(database, &args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().expect("it ended by itself");
    Ran { is_ok: output.status.success(), code, out: text(output.stdout), err: text(output.stderr) }
}

/// The id and the key of a run that must print exactly the promised lines.
#[track_caller]
fn made(database: &Database, agent: &str, args: &[&str]) -> (String, String) {
    let ran = setup_key(database, args);
    assert!(ran.is_ok, "{args:?}: {}{}", ran.out, ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    let [title, id, key, advice] = lines[..] else { panic!("{args:?}: {}", ran.out) };
    assert_eq!(title, format!("API key created for agent \"{agent}\":"));
    let id = id.strip_prefix("  Key ID: ").unwrap_or_else(|| panic!("{id}"));
    let key = key.strip_prefix("  API Key: ").unwrap_or_else(|| panic!("{key}"));
    assert_eq!(advice, "  Store this key securely — it cannot be retrieved again.");
    let digits = key.strip_prefix("hcp_").unwrap_or_else(|| panic!("{key}"));
    assert!(digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{key}");
    (id.to_owned(), key.to_owned())
}

/// What a run that must fail says.
#[track_caller]
fn refused(database: &Database, args: &[&str]) -> String {
    let ran = setup_key(database, args);
    assert!(!ran.is_ok && ran.out.is_empty(), "{args:?}: {}", ran.out);
    ran.err
}

/// The lines of the list, without its head.
#[track_caller]
fn listed(database: &Database) -> Vec<String> {
    let ran = setup_key(database, &["--list"]);
    assert!(ran.is_ok, "{}", ran.err);
    assert!(!ran.out.contains("hcp_"), "a key is shown twice: {}", ran.out);
    ran.out.lines().skip(1).map(str::to_owned).collect()
}

async fn is_known(hub: &TestHub, key: &str) {
    Caller::bearer(hub, key).get("/api/me").await.refused(403, "INSUFFICIENT_SCOPE");
}

async fn is_unknown(hub: &TestHub, key: &str) {
    Caller::bearer(hub, key).get("/api/me").await.refused(401, "INVALID_TOKEN");
}

async fn stopped(mut process: ProcessHub) -> Database {
    process.signal("TERM");
    process.exited(3 * DEADLINE).await;
    process.into_database()
}

macro_rules! on_both {
    ($($body:ident: $sqlite:ident, $postgres:ident;)+) => {$(
        #[test]
        fn $sqlite() {
            block_on($body(Db::Sqlite));
        }

        #[test]
        fn $postgres() {
            block_on($body(Db::Postgres));
        }
    )+};
}

on_both! {
    before_during_and_after_a_hub: before_during_and_after_a_hub_sqlite, before_during_and_after_a_hub_postgres;
    the_organisation_is_found_or_named: the_organisation_is_found_or_named_sqlite, the_organisation_is_found_or_named_postgres;
    many_first_keys_at_once_make_one_organisation: many_first_keys_at_once_sqlite, many_first_keys_at_once_postgres;
}

async fn before_during_and_after_a_hub(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    // The first command on this database.
    let (first, first_key) = made(&database, "my-agent", &["my-agent", "My Agent Key"]);

    let process = ProcessHub::on(database).await;
    let (hub, database) = (&process.hub, process.database());
    is_known(hub, &first_key).await;
    let (second, second_key) = made(database, "default-agent", &[]);
    is_known(hub, &second_key).await;
    let lines = listed(database);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains(&second) && lines[0].contains("Default API Key"), "{lines:?}");
    assert!(
        lines[1].contains(&first) && lines[1].contains("My Agent Key") && lines[1].contains("my-agent"),
        "{lines:?}"
    );
    assert_eq!(lines[1].matches(" UTC").count(), 2, "created and used: {lines:?}");

    let (_, brief_key) = made(database, "my-agent", &["my-agent", "brief", "--expires-in", "2"]);
    is_known(hub, &brief_key).await;
    let revoked = setup_key(database, &["--revoke", &first]);
    assert_eq!((revoked.is_ok, revoked.out), (true, format!("API key {first} revoked.\n")));
    is_unknown(hub, &first_key).await;
    let brief = Caller::bearer(hub, &brief_key);
    eventually(|| async { brief.get("/api/me").await.status }, |status| *status == 401).await;
    assert!(refused(database, &["--revoke", &first]).contains("NOT_FOUND"));
    for key in [&first_key, &second_key, &brief_key] {
        assert!(!process.log().contains(key.as_str()), "a key is in the log");
    }

    let database = stopped(process).await;
    let (_, third_key) = made(&database, "third", &["third", "--allow-respond"]);
    assert!(setup_key(&database, &["--revoke", &second]).is_ok);
    let lines = listed(&database);
    assert!(lines[0].contains("third") && lines[0].contains("true"), "{lines:?}");
    let process = ProcessHub::on(database).await;
    is_known(&process.hub, &third_key).await;
    is_unknown(&process.hub, &second_key).await;
    is_unknown(&process.hub, &first_key).await;
}

async fn the_organisation_is_found_or_named(db: Db) {
    let Some(process) = ProcessHub::fresh(db).await else { return };
    let database = process.database();
    assert_eq!(setup_key(database, &["--list"]).out, "None.\n");
    // A name that nobody can have makes no organisation either.
    assert!(refused(database, &["my agent"]).contains("agent_id may only hold letters"));
    assert!(refused(database, &["all"]).contains("RESERVED_NAME"));
    assert_eq!(process.hub.super_admin().await.get("/api/orgs").await.list().len(), 0);
    let first = setup_key(database, &["ada"]);
    assert!(first.is_ok && first.err.contains("\"default\" ("), "{}", first.err);
    let orgs = process.hub.super_admin().await.get("/api/orgs").await.list();
    assert_eq!((orgs.len(), &orgs[0]["name"], &orgs[0]["bot_count"]), (1, &json!("default"), &json!(1)));
    let again = setup_key(database, &["ada"]);
    assert!(again.is_ok && again.err.is_empty(), "{}", again.err);

    let acme = process.hub.with_org("acme").await;
    let bob = acme.bot("bob").await;
    let said = refused(database, &["bob"]);
    let names_all = said.contains("--org") && said.contains(&acme.id) && said.contains(&orgs[0].id());
    assert!(names_all, "{said}");
    let (id, key) = made(database, "bob", &["bob", "--org", "acme"]);
    is_known(&process.hub, &key).await;
    made(database, "bob", &[&bob.id, "--org", &acme.id]);
    assert_eq!(acme.get("/api/org/keys").await.list().len(), 2);
    assert_eq!(acme.get("/api/bots").await.list().len(), 1, "no second bob");
    assert!(refused(database, &["--revoke", &id, "--org", "default"]).contains("NOT_FOUND"));
    is_known(&process.hub, &key).await;
    let here = setup_key(database, &["--list", "--org", "acme"]);
    assert_eq!(here.out.lines().count(), 3, "{}", here.out);
    assert!(refused(database, &["bob", "--org", "nowhere"]).contains("there is no organisation \"nowhere\""));
    bob.delete("/api/me").await.ok();
    assert!(refused(database, &["bob", "--org", "acme"]).contains("NAME_TOMBSTONED"));
    is_unknown(&process.hub, &key).await;
}

/// Each found no organisation and made one.
async fn many_first_keys_at_once_make_one_organisation(db: Db) {
    let Some(process) = ProcessHub::fresh(db).await else { return };
    let runs: Vec<_> = (0..6)
        .map(|_| process.cli(&["setup-key", "ada"]).stdout(std::process::Stdio::piped()).spawn().unwrap())
        .collect();
    let mut keys = Vec::new();
    for run in runs {
        let output = tokio::task::spawn_blocking(move || run.wait_with_output().unwrap()).await.unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        keys.push(text.split("API Key: ").nth(1).unwrap().lines().next().unwrap().to_owned());
    }
    let orgs = process.hub.super_admin().await.get("/api/orgs").await.list();
    assert_eq!((orgs.len(), &orgs[0]["bot_count"]), (1, &json!(1)), "{orgs:?}");
    for key in keys {
        is_known(&process.hub, &key).await;
    }
}

#[test]
fn wrong_usage_is_named() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    for (args, words) in [
        (&["a", "b", "c"][..], "unexpected argument"),
        (&["a", "--expires-in", "0"], "--expires-in"),
        (&["a", "--expires-in", "soon"], "--expires-in"),
        (&["a", "--list"], "cannot be used with"),
        (&["--list", "--revoke", "x"], "cannot be used with"),
        (&["--revoke", "x", "--allow-respond"], "cannot be used with"),
    ] {
        let ran = setup_key(&database, args);
        assert!(ran.code == 2 && ran.err.contains(words), "{args:?}: {} {}", ran.code, ran.err);
    }
    assert!(refused(&database, &["a", "--expires-in", "4294967295"]).contains("expires_in"));
    assert!(refused(&database, &["--list"]).contains("hxa-connect migrate"), "nothing to look at yet");
    assert!(refused(&database, &["--revoke", "x"]).contains("NOT_FOUND"));
}

/// A command that comes while the hub starts or stops waits for it.
#[test]
fn a_hub_that_starts_or_stops_is_waited_for() {
    block_on(async {
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let (id, _) = made(process.database(), "ada", &["ada"]);
        for _ in 0..3 {
            process.signal("TERM");
            let run = process.cli(&["setup-key", "ada"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
            process.exited(3 * DEADLINE).await;
            let output = tokio::task::spawn_blocking(move || run.wait_with_output().unwrap()).await.unwrap();
            assert!(output.status.success(), "{output:?}");
            process.start().await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(listed(process.database()).len(), 4);
        assert!(listed(process.database())[3].contains(&id));
    });
}
