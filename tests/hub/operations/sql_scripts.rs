//! The SQL scripts for operators, run by the very tools their headers name, on databases that a hub has filled.
//!
//! One scenario runs every script of the folder: what it did is asked of a hub that is started afterwards. At its end
//! the scripts that ran are held against those that exist, so a script without a test fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::migrations::steps;
use crate::harness::*;

fn folder(kind: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("scripts/sql").join(kind)
}

fn names(kind: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder(kind)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    files.map(|file| file.strip_suffix(".sql").unwrap_or_else(|| panic!("{file}")).to_owned()).collect()
}

#[test]
fn every_script_has_a_twin_and_says_what_it_does() {
    assert_eq!(names("sqlite"), names("postgres"));
    for kind in ["sqlite", "postgres"] {
        for name in names(kind) {
            let text = std::fs::read_to_string(folder(kind).join(format!("{name}.sql"))).unwrap();
            let (header, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no header"));
            assert!(header.lines().all(|line| line.starts_with("-- ")), "{kind}/{name}");
            for label in ["What: ", "Parameters: ", "Run: ", "Locks: ", "Undo: ", "Running hub: "] {
                let is_there = header.lines().any(|line| line.strip_prefix("-- ").unwrap().starts_with(label));
                assert!(is_there, "{kind}/{name} does not say {label}");
            }
            assert!(header.contains(&format!("scripts/sql/{kind}/{name}.sql")), "{kind}/{name}: how is it run?");
            let writes = ["INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| body.contains(verb));
            let is_whole = body.contains("\nBEGIN") || body.starts_with("BEGIN");
            assert!(!writes || is_whole || name == "mark-migrations", "{kind}/{name} can stop half way");
        }
    }
    let guide = std::fs::read_to_string(folder("").join("../../docs/OPERATIONS.md")).unwrap();
    for name in names("sqlite") {
        assert!(guide.contains(&format!("`{name}`")), "docs/OPERATIONS.md does not name {name}");
    }
}

struct Stage {
    process: ProcessHub,
    shell: SqlShell,
    ran: BTreeSet<String>,
}

impl Stage {
    async fn on(db: Db) -> Option<Self> {
        let database = Database::fresh(db)?;
        let shell = SqlShell::of(&database)?;
        Some(Self { process: ProcessHub::on(database).await, shell, ran: BTreeSet::new() })
    }

    #[track_caller]
    fn run(&mut self, name: &str, parameters: &[(&str, &str)]) -> Vec<String> {
        self.ran.insert(name.to_owned());
        self.shell.run(&folder(self.shell.folder()).join(format!("{name}.sql")), parameters)
    }

    /// Runs a script while no hub is there, as those that change something want it.
    async fn run_stopped(&mut self, name: &str, parameters: &[(&str, &str)]) -> Vec<String> {
        self.process.signal("TERM");
        assert!(self.process.exited(Duration::from_secs(10)).await.success());
        let rows = self.run(name, parameters);
        self.process.start().await;
        rows
    }

    fn count(&self, of: &str) -> String {
        self.shell.query(&format!("SELECT count(*) FROM {of}")).remove(0)
    }
}

/// What the scripts are let loose on: one organisation that they change, and one that they must leave alone.
struct Cast {
    org: Org,
    ada: Bot,
    bob: Bot,
    over: Value,
    open: Value,
    other: Bot,
    others_thread: Value,
}

async fn fill(hub: &TestHub) -> Cast {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let over = ada.thread("over", &[&bob]).await;
    for content in ["old", "old too", "new"] {
        ada.say(&over, content).await.ok();
    }
    bob.say(&over, "new").await.ok();
    for content in ["1", "2"] {
        let body = json!({"artifact_key": "k", "content": content});
        if content == "1" {
            ada.artifact_add(&over, body).await.ok()
        } else {
            ada.artifact_update(&over, "k", body).await.ok()
        };
    }
    ada.status(&over, "closed").await.ok();
    let open = ada.thread("open", &[&bob]).await;
    ada.say(&open, "old").await.ok();
    ada.send(&bob, "old").await.ok();
    bob.send(&ada, "new").await.ok();
    let upload = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhello\r\n--x--\r\n";
    ada.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", upload).await.ok();
    let [other, friend] = hub.with_org("b").await.bots(["cleo", "dora"]).await;
    let others_thread = other.thread("theirs", &[&friend]).await;
    other.say(&others_thread, "old").await.ok();
    other.send(&friend, "old").await.ok();
    other.status(&others_thread, "closed").await.ok();
    Cast { org, ada, bob, over, open, other, others_thread }
}

async fn usage(stage: &mut Stage, cast: &Cast) {
    let rows = stage.run("usage-by-org", &[]);
    assert_eq!(rows.len(), 2);
    let expected = format!("{}|a|active|2|2|1|5|2|1|2|1|5|", cast.org.id);
    assert!(rows[0].starts_with(&expected), "{rows:?}");
    assert!(rows[1].contains("|b|active|2|1|0|1|0|1|1|0|0|"), "{rows:?}");
    let rows = stage.run("usage-by-bot", &[("org", &cast.org.id)]);
    let without_times: Vec<String> = rows
        .iter()
        .map(|row| {
            row.split('|').enumerate().filter(|(at, _)| *at != 4).map(|(_, cell)| cell).collect::<Vec<_>>().join("|")
        })
        .collect();
    let (ada, bob) = (&cast.ada.id, &cast.bob.id);
    let expected =
        [format!("{ada}|ada|active|member|4|1|2|1|5|2|0|0"), format!("{bob}|bob|active|member|1|1|0|0|0|2|0|0")];
    assert_eq!(without_times, expected);
    assert!(stage.run("usage-by-bot", &[("org", NOBODY)]).is_empty());
    let sizes = stage.run("table-sizes", &[]);
    for part in ["thread_messages", "audit_log", "threads_org_activity"] {
        assert!(sizes.iter().any(|row| row.contains(part)), "{part} is missing: {sizes:?}");
    }
}

fn orphans(stage: &mut Stage) -> Vec<String> {
    let rows = stage.run("find-orphans", &[]);
    assert_eq!(rows.len(), 8, "{rows:?}");
    rows.into_iter().filter(|row| row.split('|').nth(2) != Some("0")).collect()
}

fn find_orphans(stage: &mut Stage) {
    assert_eq!(orphans(stage), Vec::<String>::new());
    let sql = stage.shell.clone();
    let is_off = if sql.kind() == Db::Sqlite { "0" } else { "false" };
    sql.query(&format!("INSERT INTO thread_messages (thread_id, created_at, id, content, content_type, mention_all, via_socket) VALUES ('gone', 1, 'm', 'c', 'text', {is_off}, {is_off})"));
    sql.query(&format!("INSERT INTO channel_messages (channel_id, created_at, id, sender_id, content, content_type, via_socket) VALUES ('gone', 1, 'm', 's', 'c', 'text', {is_off})"));
    sql.query(&format!("INSERT INTO artifacts (thread_id, artifact_key, version, id, type, format_warning, via_socket, created_at) VALUES ('gone', 'k', 1, 'i', 'text', {is_off}, {is_off}, 1)"));
    sql.query("INSERT INTO catchup_events (target_bot_id, id, org_id, type, payload, occurred_at) VALUES ('gone', 'i', 'o', 't', '{}', 1)");
    sql.query("INSERT INTO idempotency_keys (bot_id, key, fingerprint, answer, created_at) VALUES ('gone', 'k', 'f', '{}', 1)");
    sql.query("INSERT INTO webhook_deliveries (bot_id, position, id, org_id, event, lane, payload_id, bytes, status, attempts, unanswered, next_attempt_at, created_at) VALUES ('gone', 1, 'i', 'o', 'e', 'l', 'p', 2, 'pending', 0, 0, 1, 1)");
    let found = orphans(stage);
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(found.iter().all(|row| row.ends_with("|1|gone")), "{found:?}");
    for (table, column) in [
        ("thread_messages", "thread_id"),
        ("channel_messages", "channel_id"),
        ("artifacts", "thread_id"),
        ("catchup_events", "target_bot_id"),
        ("idempotency_keys", "bot_id"),
        ("webhook_deliveries", "bot_id"),
    ] {
        sql.query(&format!("DELETE FROM {table} WHERE {column} = 'gone'"));
    }
}

async fn suspend_and_reinstate(stage: &mut Stage, cast: &Cast) {
    let id = cast.org.id.as_str();
    assert_eq!(stage.run_stopped("suspend-org", &[("org", NOBODY)]).await, Vec::<String>::new());
    cast.ada.me().await.ok();
    assert_eq!(stage.run_stopped("suspend-org", &[("org", id)]).await, [format!("{id}|a|suspended")]);
    cast.ada.me().await.refused(403, "ORG_SUSPENDED");
    cast.other.me().await.ok();
    assert_eq!(stage.count(&format!("org_tickets WHERE org_id = '{id}'")), "0");
    assert_eq!(stage.count("audit_log WHERE action = 'org.suspend'"), "1");
    assert_eq!(stage.run_stopped("reinstate-org", &[("org", id)]).await, [format!("{id}|a|active")]);
    cast.ada.me().await.ok();
    let trail = stage
        .shell
        .query("SELECT id, created_at FROM audit_log WHERE action LIKE 'org.%tate' OR action = 'org.suspend'");
    assert_eq!(trail.len(), 2);
    for row in trail {
        let (id, at) = row.split_once('|').unwrap();
        let id = uuid::Uuid::parse_str(id).unwrap();
        let (seconds, nanos) = id.get_timestamp().expect("a time-ordered id").to_unix();
        let ms = i64::try_from(seconds * 1000 + u64::from(nanos / 1_000_000)).unwrap();
        assert!((ms - at.parse::<i64>().unwrap()).abs() < 1000 && (ms - now_ms()).abs() < 60_000, "{row}");
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
    }
}

async fn tokens(stage: &mut Stage, cast: &Cast) {
    let bot = cast.ada.id.as_str();
    let (scoped, human) = (cast.ada.scoped(&["read"]).await, cast.ada.human("ann").await);
    assert_eq!(stage.run_stopped("revoke-bot-tokens", &[("bot", bot)]).await, [format!("{bot}|ada|0|0")]);
    for caller in [&cast.ada, &scoped, &human] {
        assert_eq!(caller.me().await.status, 401);
    }
    cast.bob.me().await.ok();
    let token = "bot_0123456789abcdef0123456789abcdef0123456789abcdef";
    let hash = hxa_connect::domain::secrets::secret_hash(token);
    let new = cast.ada.by(Caller::bearer(&cast.ada.hub, token));
    for wrong in ["", "x", &hash.to_uppercase()] {
        stage.run_stopped("set-bot-token", &[("bot", bot), ("token_hash", wrong)]).await;
        assert_eq!(new.me().await.status, 401, "{wrong}");
    }
    stage.run_stopped("set-bot-token", &[("bot", bot), ("token_hash", &hash)]).await;
    assert_eq!(new.me().await.ok()["id"], bot);
    for action in ["bot.token_revoke", "bot.token_rotate"] {
        assert_eq!(cast.org.audit(action).await.len(), 1, "{action}");
    }
}

async fn retention(stage: &mut Stage, cast: &Cast) {
    const DAY_MS: i64 = 86_400_000;
    for table in ["thread_messages", "channel_messages"] {
        let aged = format!("UPDATE {table} SET created_at = created_at - {} WHERE content LIKE 'old%'", 100 * DAY_MS);
        stage.shell.query(&aged);
    }
    let aged = format!("UPDATE artifacts SET created_at = created_at - {} WHERE version = 1", 100 * DAY_MS);
    stage.shell.query(&aged);
    stage.run_stopped("retention", &[("org", &cast.org.id), ("days", "101")]).await;
    assert_eq!(stage.count("thread_messages"), "6", "nothing is as old as that");
    stage.run_stopped("retention", &[("org", &cast.org.id), ("days", "90")]).await;
    let said = |thread: &Value| cast.bob.messages(thread, "");
    assert_eq!(said(&cast.over).await.list().len(), 2);
    assert_eq!(said(&cast.open).await.list().len(), 1, "a thread that goes on keeps its messages");
    assert_eq!(cast.bob.versions(&cast.over, "k").await.list().len(), 1);
    assert_eq!(stage.count("channel_messages"), "2", "one of this organisation's and one of the other's");
    assert_eq!(cast.other.messages(&cast.others_thread, "").await.list().len(), 1);
}

async fn purge(stage: &mut Stage, cast: &Cast) {
    let id = cast.org.id.as_str();
    let rows = stage.run_stopped("purge-org", &[("org", id)]).await;
    assert!(rows.len() == 1 && rows[0].starts_with("files/"), "{rows:?}");
    assert_eq!(cast.bob.me().await.status, 401);
    assert_eq!(cast.other.messages(&cast.others_thread, "").await.list().len(), 1);
    for of in ["orgs", "threads", "thread_messages", "channels", "channel_messages"] {
        assert_eq!(stage.count(of), "1", "{of}: only the other organisation's is left");
    }
    assert_eq!(stage.count("artifacts"), "0");
    assert_eq!(stage.count("audit_log WHERE action = 'org.destroy'"), "1");
    assert_ne!(stage.count(&format!("audit_log WHERE org_id = '{id}'")), "0", "the trail stays");
    assert_eq!(orphans(stage), Vec::<String>::new());
}

async fn scenario(db: Db) {
    let Some(mut stage) = Stage::on(db).await else { return };
    let cast = fill(&stage.process.hub.clone()).await;
    usage(&mut stage, &cast).await;
    find_orphans(&mut stage);
    suspend_and_reinstate(&mut stage, &cast).await;
    tokens(&mut stage, &cast).await;
    retention(&mut stage, &cast).await;
    purge(&mut stage, &cast).await;
    let marked = stage.run_stopped("mark-migrations", &[]).await;
    let known = steps(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations")), stage.shell.folder());
    assert_eq!(marked.len(), known.len(), "mark-migrations.sql has another set of steps");
    assert_eq!(stage.ran, names(stage.shell.folder()), "a script has no test here");
}

#[test]
fn every_script_does_what_it_says_sqlite() {
    block_on(scenario(Db::Sqlite));
}

#[test]
fn every_script_does_what_it_says_postgres() {
    block_on(scenario(Db::Postgres));
}

/// A script that was not told whom it is about changes nothing.
#[test]
fn a_missing_parameter_harms_nobody() {
    for db in [Db::Sqlite, Db::Postgres] {
        let Some(database) = Database::fresh(db) else { continue };
        let Some(shell) = SqlShell::of(&database) else { continue };
        assert!(cli_on(&database, &["migrate"]).status.success(), "{db}");
        shell.query("INSERT INTO orgs (id, name, secret_hash, persist_messages, status, join_approval_required, created_at) VALUES ('o', 'o', 'h', '1', 'active', '0', 1)");
        let before = shell.query("SELECT * FROM orgs");
        for name in ["suspend-org", "purge-org", "retention", "revoke-bot-tokens"] {
            let (is_ok, said) = shell.attempt(&folder(shell.folder()).join(format!("{name}.sql")), &[]);
            assert!(is_ok == (db == Db::Sqlite), "{name}: {said}");
        }
        assert_eq!(shell.query("SELECT * FROM orgs"), before, "{db}");
        assert_eq!(shell.query("SELECT count(*) FROM audit_log"), ["0"], "{db}");
    }
}
