//! From a server up to 1.7.2: its clients go on with their old credentials and find what they left.

use super::*;

const ORG_COOKIE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const BOB_COOKIE: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// An older server's database.
fn old(kind: &Database, script: &str) -> String {
    execute(kind, SCHEMA);
    execute(kind, &filled(script));
    place(kind)
}

/// An old data folder, with the bytes of one of the two files.
fn old_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("files/old")).unwrap();
    std::fs::write(folder.path().join("files/old/a.txt"), "hello").unwrap();
    folder
}

#[test]
fn old_clients_go_on_where_they_were() {
    for (source, target) in pairs() {
        let files = old_files();
        let report = imported(&target, &old(&source, ROWS), &["--files", files.path().to_str().unwrap()]);
        check_counts(&report);
        block_on(async {
            let hub = ProcessHub::on(target).await;
            go_on(&hub.hub).await;
        });
    }
}

fn check_counts(report: &Value) {
    for (table, told_of_it) in [
        ("orgs", (2, 2, 0)),
        ("bots", (3, 3, 0)),
        ("bot_tokens", (2, 2, 0)),
        ("org_tickets", (2, 2, 0)),
        ("sessions", (4, 2, 2)),
        ("channels", (3, 2, 1)),
        ("messages", (4, 4, 0)),
        ("threads", (2, 2, 0)),
        ("thread_participants", (3, 3, 0)),
        ("thread_join_requests", (1, 1, 0)),
        ("thread_messages", (3, 3, 0)),
        ("artifacts", (2, 2, 0)),
        ("files", (2, 2, 0)),
        ("webhook_status", (1, 1, 0)),
        ("catchup_events", (3, 1, 2)),
        ("audit_log", (4, 3, 1)),
        ("rate_limit_events", (1, 0, 1)),
    ] {
        assert_eq!(told(report, table), told_of_it, "{table}");
    }
    assert!(report.to_string().contains("its bytes are not in the folder of --files"), "{report}");
}

fn bot(hub: &TestHub, name: &str, token: &str) -> Bot {
    Bot::new(hub, &json!({"bot_id": id(name), "org_id": id("org"), "token": token}))
}

async fn go_on(hub: &TestHub) {
    let (ada, bob) = (bot(hub, "ada", "bot_ada"), bot(hub, "bob", "bot_bob"));
    credentials(hub, &ada, &bob).await;
    direct_messages(&ada, &bob).await;
    thread(&ada, &bob).await;
    rest(hub, &ada, &bob).await;
}

async fn credentials(hub: &TestHub, ada: &Bot, bob: &Bot) {
    let me = ada.me().await.ok();
    assert_eq!((&me["name"], &me["tags"], &me["metadata"]), (&json!("ada"), &json!(["x", "y"]), &json!({"a": 1})));
    Caller::bearer(hub, "scoped_read").get("/api/bots").await.ok();
    Caller::bearer(hub, "scoped_read").post("/api/send", json!({"to": "ada", "content": "x"})).await.status(403);
    Caller::bearer(hub, "scoped_old").get("/api/bots").await.refused(401, "TOKEN_EXPIRED");
    Caller::bearer(hub, "bot_cleo").get("/api/me").await.refused(403, "BOT_NOT_ACTIVE");
    let settings = Caller::cookie(hub, ORG_COOKIE).get("/api/org/settings").await.ok();
    assert_eq!(
        (&settings["messages_per_minute_per_bot"], &settings["thread_auto_close_days"]),
        (&json!(77), &json!(14))
    );
    assert_eq!(Caller::cookie(hub, BOB_COOKIE).get("/api/me").await.ok()["id"], bob.id);
    let login = json!({"type": "org_admin", "org_id": id("org"), "org_secret": "the org secret"});
    Caller::login(hub, login).await;
    let closed = json!({"type": "org_admin", "org_id": id("closed org"), "org_secret": "closed secret"});
    hub.anonymous().post("/api/auth/login", closed).await.refused(403, "ORG_INACTIVE");
    let register = |entry: Value| {
        let mut body = json!({"org_id": id("org")});
        entry.as_object().unwrap().iter().for_each(|(key, value)| body[key] = value.clone());
        hub.anonymous().post("/api/auth/register", body)
    };
    register(json!({"name": "dora", "ticket": "tkt_0123456789abcdef"})).await.ok();
    register(json!({"name": "emil", "ticket": id("nameless ticket")})).await.ok();
    register(json!({"name": "ghost", "ticket": "tkt_0123456789abcdef"})).await.refused(409, "NAME_TOMBSTONED");
    let found = json!({"invite_code": "hxa_0011223344556677", "name": "new"});
    hub.anonymous().post("/api/platform/orgs", found.clone()).await.status(201);
    hub.anonymous().post("/api/platform/orgs", found).await.refused(401, "INVALID_INVITE_CODE");
}

async fn direct_messages(ada: &Bot, bob: &Bot) {
    let inbox = bob.inbox(beginning()).await.ok();
    let news: Vec<&str> = inbox["messages"]
        .as_array()
        .unwrap_or_else(|| inbox.as_array().unwrap())
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(news.len(), 2, "{inbox}");
    let channels = ada.channels().await.list();
    assert_eq!(channels.len(), 2, "the twin is gone: {channels:?}");
    let history = ada.channel_messages(&id("dm"), "").await.list();
    let contents: Vec<&Value> = history.iter().map(|message| &message["content"]).collect();
    assert_eq!(contents, ["hello bob", "look", "from the twin"]);
    assert_eq!(history[1]["parts"][1]["content"]["n"], 1);
    let page = ada.channel_messages(&id("dm"), &format!("?before={}&limit=1", id("m3"))).await.ok();
    assert_eq!(page["messages"][0]["id"], id("m2"), "{page}");
    let widow = ada.channel_messages(&id("widow dm"), "").await.list();
    assert_eq!((&widow[0]["sender_id"], widow.len()), (&json!(id("ghost")), 1));
    assert_eq!(ada.send(bob, "we moved").await.ok()["channel_id"], id("dm"), "the pair keeps its channel");
}

async fn thread(ada: &Bot, bob: &Bot) {
    let plan = id("plan");
    let thread = bob.thread_get(&plan).await.ok();
    let expected = json!({"status": "reviewing", "revision": 7, "visibility": "members", "join_policy": "approval",
        "tags": ["urgent", "collab"], "initiator_id": ada.id, "channel_id": id("dm"), "context": "{\"goal\":\"ship\"}"});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&thread[key], value, "{key} in {thread}");
    }
    let messages = bob.messages(&plan, "").await.list();
    assert_eq!(
        messages.iter().map(|m| m["content"].as_str().unwrap()).collect::<Vec<_>>(),
        ["first @bob", "second", "from nobody"]
    );
    assert_eq!(messages[0]["metadata"], json!({"k": [1]}));
    assert_eq!(messages[0]["mentions"][0]["bot_id"], bob.id);
    assert_eq!(messages[1]["reply_to_message"]["id"], id("t1"));
    assert_eq!((&messages[2]["sender_id"], &messages[2]["mention_all"]), (&Value::Null, &json!(true)));
    let page = bob.messages(&plan, &format!("?limit=5&cursor={}", id("t2"))).await.ok();
    assert_eq!((&page["items"][0]["id"], page["items"].as_array().unwrap().len()), (&json!(id("t1")), 1), "{page}");
    let versions = bob.versions(&plan, "notes").await.list();
    assert_eq!(
        versions.iter().map(|v| (v["version"].as_i64().unwrap(), v["content"].as_str().unwrap())).collect::<Vec<_>>(),
        [(1, "# one"), (2, "# two")]
    );
    let requests = ada.join_requests(&plan).await.ok();
    assert_eq!(requests["requests"].as_array().unwrap_or_else(|| requests.as_array().unwrap()).len(), 1, "{requests}");
    let mut socket = bob.socket().await;
    ada.say(&plan, "after the move").await.ok();
    assert_eq!(socket.next("thread_message").await["message"]["content"], "after the move");
    bob.artifact_update(&plan, "notes", json!({"content": "# three"})).await.ok();
    assert_eq!(bob.versions(&plan, "notes").await.list().len(), 3);
}

async fn rest(hub: &TestHub, ada: &Bot, bob: &Bot) {
    let bytes = bob.get(format!("/api/files/{}", id("file"))).attempt().await.unwrap();
    assert_eq!(bytes.header("content-length"), Some("5"));
    bob.get(format!("/api/files/{}", id("lost file"))).await.missing();
    let missed = bob.missed().await;
    let kinds: Vec<&str> = missed.iter().map(|event| event["type"].as_str().unwrap()).collect();
    for kind in [
        "thread_invited",
        "thread_message_summary",
        "thread_artifact_added",
        "thread_status_changed",
        "channel_message_summary",
    ] {
        assert_eq!(kinds.iter().filter(|other| **other == kind).count(), 1, "{kind} in {kinds:?}");
    }
    let status = missed.iter().find(|event| event["type"] == "thread_status_changed").unwrap();
    assert_eq!(
        (&status["topic"], &status["by"], &status["to"]),
        (&json!("The plan"), &json!(ada.id), &json!("reviewing"))
    );
    let trail = Caller::cookie(hub, ORG_COOKIE).get("/api/audit?limit=200").await.list();
    assert!(!json!(trail).to_string().contains(ORG_COOKIE), "a cookie is in the trail: {trail:?}");
    let sent = trail.iter().find(|entry| entry["target_id"] == id("t1")).unwrap();
    assert_eq!((&sent["action"], &sent["detail"]["via"]), (&json!("message.send"), &json!("ws")));
    assert_eq!(trail.iter().filter(|entry| entry["target_id"] == id("t1")).count(), 1);
    let health = Caller::cookie(hub, ORG_COOKIE).get("/api/bots/Cleo/webhook/health").await.ok();
    assert_eq!(health["consecutive_failures"], 3, "{health}");
}

#[test]
fn a_damaged_database_is_reported_row_by_row() {
    for (source, target) in pairs() {
        let mut schema = SCHEMA.replace("UNIQUE (org_id, name)", "CHECK (1 = 1)");
        schema = schema.replace("token TEXT UNIQUE", "token TEXT");
        execute(&source, &schema);
        execute(&source, &filled(DAMAGE));
        let (is_ok, said) = import(&target, &place(&source), &[]);
        assert!(is_ok, "{said}");
        for line in [
            "orgs: 1 left out: its id is no UUID, so nobody could ask for it (such as not-a-uuid)",
            "orgs: 1 changed: its status is unknown; it is suspended now",
            "orgs: 1 changed: a secret stored in clear is hashed now; it goes on working",
            "org_settings: 1 left out: its organisation is gone",
            "bots: 1 left out: its organisation is gone",
            "bots: 1 changed: another bot of its organisation has its name",
            "bots: 1 changed: its name has the form of an id, which is no name; it has one made of its own id now",
            "bots: 1 changed: its role is unknown; it is a member now",
            "bots: 1 changed: its join status is unknown; it waits for approval now",
            "bots: 1 changed: JSON that cannot be read is dropped",
            "bot_tokens: 1 left out: its bot is gone",
            "bot_tokens: 1 changed: its scopes cannot be read; it covers nothing now",
            "deleted_bot_names: 1 left out: its id is no UUID, so nobody could ask for it (such as no-uuid)",
            "channels: 1 left out: it is a group",
            "messages: 2 left out: its channel is gone",
            "threads: 1 changed: its status is unknown; it is active now",
            "threads: 1 changed: its visibility is unknown; it is private now",
            "threads: 1 changed: the bot that opened it is gone",
            "thread_participants: 1 left out: its bot is gone",
            "thread_participants: 1 left out: its thread is gone",
            "thread_messages: 1 left out: its thread is gone",
            "artifacts: 1 changed: its type is unknown; it is text now",
            "artifacts: 1 left out: another row has the same key, name or secret",
            "files: 1 left out: its path is not that of an uploaded file",
            "audit_log: 1 left out: its organisation is gone",
        ] {
            assert!(said.contains(line), "`{line}` is missing in {said}");
        }
        assert_eq!((count(&target, "bots"), count(&target, "thread_messages")), (3, 1), "{source} to {target}");
    }
}

#[test]
fn older_schemas_and_other_databases() {
    let (source, target) = (Database::fresh(Db::Sqlite).unwrap(), Database::fresh(Db::Sqlite).unwrap());
    let first = filled(
        "CREATE TABLE orgs (id TEXT PRIMARY KEY, name TEXT, org_secret TEXT, created_at INTEGER);
         CREATE TABLE bots (id TEXT PRIMARY KEY, org_id TEXT, name TEXT, token TEXT, created_at REAL);
         INSERT INTO orgs VALUES ('«org»', 'Old', '‹s›', ¤0);
         INSERT INTO bots VALUES ('«ada»', '«org»', 'ada', '‹bot_ada›', ¤1.5)",
    );
    execute(&source, &first);
    imported(&target, &place(&source), &[]);
    block_on(async {
        let hub = ProcessHub::on(target).await;
        assert_eq!(bot(&hub.hub, "ada", "bot_ada").me().await.ok()["auth_role"], "member");
    });
    let (empty, target) = (Database::fresh(Db::Sqlite).unwrap(), Database::fresh(Db::Sqlite).unwrap());
    execute(&empty, "CREATE TABLE cooking (recipe TEXT)");
    for (from, reason) in [
        (place(&empty), "neither the tables of a hub nor those of an older server"),
        ("nowhere.db".to_owned(), "there is no file nowhere.db"),
        ("mysql://x".to_owned(), "a SQLite file or a postgres:// URL"),
        ("postgres://hxa:geheim@127.0.0.1:1/x".to_owned(), "cannot open the source database"),
    ] {
        let (is_ok, said) = import(&target, &from, &[]);
        assert!(!is_ok && said.contains(reason) && !said.contains("geheim"), "{from}: {said}");
    }
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    for (source, target) in pairs() {
        let from = old(&source, ROWS);
        let before = std::fs::read_dir(target.data_dir()).unwrap().count();
        let dry = imported(&target, &from, &["--dry-run"]);
        check_dry(&dry, "sessions", (4, 2, 2));
        assert_eq!(std::fs::read_dir(target.data_dir()).unwrap().count(), before, "{source} to {target}");
        let real = imported(&target, &from, &[]);
        assert_eq!(dry["tables"], real["tables"], "{source} to {target}: the dry run told the truth");
        let held = rows(&target);
        let again = imported(&target, &from, &["--dry-run"]);
        assert!(again["notes"].to_string().contains("not empty"), "{again}");
        assert_eq!(rows(&target), held, "{source} to {target}");
    }
}

fn check_dry(report: &Value, table: &str, expected: (i64, i64, i64)) {
    assert_eq!(report["dry_run"], true);
    assert_eq!(told(report, table), expected);
}
