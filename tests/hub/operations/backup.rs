//! Backup under load and restore, on both databases: everything acknowledged before the backup began is in it, and
//! nothing that is damaged, foreign or in the way of something is restored.

use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::harness::*;

fn said(output: &Output) -> (bool, String) {
    (output.status.success(), String::from_utf8([output.stdout.clone(), output.stderr.clone()].concat()).unwrap())
}

#[track_caller]
fn done(output: &Output) -> String {
    let (is_ok, said) = said(output);
    assert!(is_ok, "{said}");
    said
}

#[track_caller]
fn refused(output: &Output, part: &str) {
    let (is_ok, said) = said(output);
    assert!(!is_ok && said.contains(part), "`{part}` is not in: {said}");
}

fn restore(database: &Database, from: &Path, more: &[&str]) -> Output {
    cli_on(database, &[&["restore", "--from", from.to_str().unwrap()], more].concat())
}

async fn upload(bot: &Bot, content: &str) -> String {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{content}\r\n--x--\r\n"
    );
    bot.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body).await.ok().text("url")
}

/// Writes as fast as answers come until told to stop; what was acknowledged before `begun`, and how much after.
async fn write(
    bot: &Bot,
    thread: &Value,
    acked: &AtomicUsize,
    begun: &AtomicBool,
    over: &AtomicBool,
) -> (Vec<String>, usize) {
    let (mut before, mut after) = (Vec::new(), 0);
    while !over.load(Ordering::SeqCst) {
        // Read before the message is sent, so what counts as before was acknowledged before.
        let is_before = !begun.load(Ordering::SeqCst);
        let id = bot.say(thread, &"x".repeat(500)).await.ok().id();
        acked.fetch_add(1, Ordering::SeqCst);
        if is_before && !begun.load(Ordering::SeqCst) { before.push(id) } else { after += 1 }
    }
    (before, after)
}

async fn under_load(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let process = ProcessHub::on(database).await;
    let org = process.hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    let file = upload(&ada, "hello").await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("backup");
    let (acked, begun, over) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let save = async {
        while acked.load(Ordering::SeqCst) < 60 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.store(true, Ordering::SeqCst);
        let output = process.cli(&["backup", "--to", to.to_str().unwrap()]);
        let output = tokio::task::spawn_blocking(move || {
            let mut output = output;
            output.output().unwrap()
        })
        .await
        .unwrap();
        over.store(true, Ordering::SeqCst);
        output
    };
    let (output, (mine, later), (theirs, others)) =
        tokio::join!(save, write(&ada, &thread, &acked, &begun, &over), write(&bob, &thread, &acked, &begun, &over));
    let report = done(&output);
    assert!(report.contains("1 uploaded files") && !report.contains("warning"), "{report}");
    assert!(mine.len() + theirs.len() > 50 && later > 0, "{} before, {later} meanwhile", mine.len());
    refused(&process.cli(&["backup", "--to", to.to_str().unwrap()]).output().unwrap(), "is not empty");
    refused(
        &process.cli(&["restore", "--from", to.to_str().unwrap(), "--force"]).output().unwrap(),
        "a hub runs on this database",
    );
    drop(process);

    let fresh = Database::fresh(db).unwrap();
    done(&restore(&fresh, &to, &[]));
    let mut restored = ProcessHub::on(fresh).await;
    let [ada, bob] = [&ada, &bob].map(|bot| bot.by(Caller::bearer(&restored.hub, bot.secret())));
    let stored = ada.message_ids(&thread).await;
    for id in mine.iter().chain(&theirs) {
        assert!(stored.contains(id), "{id} was acknowledged before the backup and is not in it");
    }
    assert_eq!(bob.versions(&thread, "k").await.list().len(), 1);
    assert_eq!(ada.get(&file).await.text, "hello");
    ada.say(&thread, "and it goes on").await.ok();
    restored.signal("TERM");
    assert!(restored.exited(Duration::from_secs(10)).await.success());
    refused(&restored.cli(&["restore", "--from", to.to_str().unwrap()]).output().unwrap(), "--force");
    done(&restored.cli(&["restore", "--from", to.to_str().unwrap(), "--force"]).output().unwrap());
    restored.start().await;
    assert_eq!(ada.message_ids(&thread).await, stored, "the message of after the restore is gone with its database");
    assert_eq!(ada.get(&file).await.text, "hello");
    let (before, meanwhile) = (mine.len() + theirs.len(), later + others);
    chaos::figure(
        "R22",
        &format!(
            "{db}: backup under load with all {before} acknowledged before it began ({meanwhile} meanwhile), restored"
        ),
    );
}

#[test]
fn what_was_acknowledged_is_in_a_backup_taken_under_load_sqlite() {
    block_on(under_load(Db::Sqlite));
}

#[test]
fn what_was_acknowledged_is_in_a_backup_taken_under_load_postgres() {
    block_on(under_load(Db::Postgres));
}

/// The audit rows may not be deleted, but a restore replaces them with those of the backup.
async fn with_requests(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let process = ProcessHub::on(database).await;
    let org = process.hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let (open, answered) = (ada.asked().await, ada.asked().await);
    org.approve(&answered).await.ok();
    let folder = tempfile::tempdir().unwrap();
    done(&process.cli(&["backup", "--to", folder.path().to_str().unwrap()]).output().unwrap());
    drop(process);

    let fresh = Database::fresh(db).unwrap();
    done(&restore(&fresh, folder.path(), &[]));
    let whole = done(&cli_on(&fresh, &["audit", "verify"]));
    let mut restored = ProcessHub::on(fresh).await;
    let ada = ada.by(Caller::bearer(&restored.hub, ada.secret()));
    assert_eq!(ada.request(&answered).await.ok()["state"], "DELIVERED");
    ada.cancel(&open).await.ok();
    restored.signal("TERM");
    assert!(restored.exited(Duration::from_secs(10)).await.success());
    let database = restored.into_database();
    assert_ne!(done(&cli_on(&database, &["audit", "verify"])), whole);
    done(&restore(&database, folder.path(), &["--force"]));
    assert_eq!(done(&cli_on(&database, &["audit", "verify"])), whole);
}

#[test]
fn requests_and_their_audit_chain_are_in_a_backup_sqlite() {
    block_on(with_requests(Db::Sqlite));
}

#[test]
fn requests_and_their_audit_chain_are_in_a_backup_postgres() {
    block_on(with_requests(Db::Postgres));
}

/// A small backup, in a folder of its own.
async fn sample(db: Db) -> Option<tempfile::TempDir> {
    let process = ProcessHub::on(Database::fresh(db)?).await;
    upload(&process.hub.with_org("a").await.bot("ada").await, "hello").await;
    let folder = tempfile::tempdir().unwrap();
    done(&process.cli(&["backup", "--to", folder.path().to_str().unwrap()]).output().unwrap());
    Some(folder)
}

#[test]
fn damaged_and_foreign_backups_are_refused_and_nothing_is_touched() {
    for db in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            let Some(folder) = sample(db).await else { return };
            let target = Database::fresh(db).unwrap();
            let attempt = || restore(&target, folder.path(), &[]);
            let file = folder.path().join(if db == Db::Sqlite { "hxa-connect.db" } else { "database.dump" });
            let manifest = folder.path().join("manifest.json");
            let whole = std::fs::read_to_string(&manifest).unwrap();
            let value: Value = serde_json::from_str(&whole).unwrap();
            assert_eq!(value["counts"]["bots"], 1, "{db}");
            let names: Vec<String> = value["parts"].as_array().unwrap().iter().map(|part| part.text("path")).collect();
            assert_eq!(names.len(), 2, "{db}");
            let found = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(found, 3, "{db}: database, manifest and files, and nothing beside them");

            let damaged = |change: &dyn Fn(&mut Value), part: &str| {
                let mut other = value.clone();
                change(&mut other);
                std::fs::write(&manifest, other.to_string()).unwrap();
                refused(&attempt(), part);
            };
            damaged(&|m| m["format"] = json!(2), "format");
            damaged(&|m| m["schema"].as_array_mut().unwrap().push(json!("20991231000001")), "newer hub");
            damaged(&|m| m["database"] = json!("oracle"), "the configuration names a");
            damaged(&|m| m["parts"][1]["path"] = json!("../x"), "not in the backup's folder");
            damaged(&|m| m["parts"][0]["sha256"] = json!("00"), "is damaged");
            damaged(&|m| m["counts"] = json!(7), "is damaged");
            std::fs::write(&manifest, "{").unwrap();
            refused(&attempt(), "is damaged");
            std::fs::remove_file(&manifest).unwrap();
            refused(&attempt(), "not a (whole) backup");
            std::fs::write(&manifest, &whole).unwrap();
            for path in [&file, &folder.path().join(&names[1])] {
                let content = std::fs::read(path).unwrap();
                let mut flipped = content.clone();
                *flipped.last_mut().unwrap() ^= 1;
                std::fs::write(path, flipped).unwrap();
                refused(&attempt(), "is damaged");
                std::fs::write(path, content).unwrap();
            }
            assert_eq!(
                std::fs::read_dir(target.data_dir()).unwrap().count(),
                0,
                "{db}: a refused restore left something"
            );
            done(&attempt());
        });
    }
}

#[test]
fn counts_that_differ_are_told() {
    block_on(async {
        let folder = sample(Db::Sqlite).await.unwrap();
        let manifest = folder.path().join("manifest.json");
        let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
        value["counts"]["bots"] = json!(9);
        std::fs::write(&manifest, value.to_string()).unwrap();
        refused(&restore(&Database::fresh(Db::Sqlite).unwrap(), folder.path(), &[]), "bots has 1 rows instead of 9");
    });
}

#[test]
fn a_missing_database_upload_or_program_is_named() {
    block_on(async {
        refused(&cli_on(&Database::fresh(Db::Sqlite).unwrap(), &["backup", "--to", "b"]), "there is no database");
        let database = Database::fresh(Db::Sqlite).unwrap();
        let files = database.data_dir().join("files");
        let process = ProcessHub::on(database).await;
        upload(&process.hub.with_org("a").await.bot("ada").await, "hello").await;
        std::fs::remove_dir_all(files).unwrap();
        let report = done(&process.cli(&["backup", "--to", "b"]).output().unwrap());
        assert!(report.contains("warning: 1 uploaded files are named by the database"), "{report}");
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        assert!(cli_on(&database, &["migrate"]).status.success());
        let process = ProcessHub::on(database).await;
        let output = process.cli(&["backup", "--to", "b"]).env("PATH", "/nonexistent").output().unwrap();
        refused(&output, "pg_dump is not on the PATH");
    });
}

/// The wrapper keeps as many as it is told, and removes nothing when there is no new one.
#[test]
fn the_wrapper_keeps_some_and_removes_the_oldest() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let data_dir = database.data_dir().to_owned();
        let _process = ProcessHub::on(database).await;
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("scripts/backup");
        let run = |data_dir: &Path| {
            let mut command = std::process::Command::new(&script);
            command.arg(folder.path()).args(["--keep", "2"]);
            command.env("HXA_CONNECT", env!("CARGO_BIN_EXE_hxa-connect")).env("HXA_CONNECT_DATA_DIR", data_dir);
            command.env("HXA_CONNECT_ADMIN_SECRET", "x".repeat(20)).output().unwrap()
        };
        for old in ["20200101T000000Z", "20210101T000000Z"] {
            let old = folder.path().join(format!("hxa-connect-{old}"));
            std::fs::create_dir(&old).unwrap();
            std::fs::write(old.join("manifest.json"), "{}").unwrap();
        }
        let kept = || std::fs::read_dir(folder.path()).unwrap().count();
        refused(&run(Path::new("/nonexistent")), "no backup was made");
        assert_eq!(kept(), 2);
        let printed = String::from_utf8(run(&data_dir).stdout).unwrap();
        let made = Path::new(printed.trim());
        assert!(made.starts_with(folder.path()) && made.join("manifest.json").exists(), "{printed}");
        assert!(kept() == 2 && !folder.path().join("hxa-connect-20200101T000000Z").exists());
    });
}

/// The manifest of a backup after its database was changed: as somebody writes it who wants the backup to be believed.
fn forge_manifest(folder: &Path, name: &str) {
    let manifest = folder.join("manifest.json");
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(&manifest).unwrap()).unwrap();
    let content = std::fs::read(folder.join(name)).unwrap();
    let hash = std::process::Command::new("sha256sum").arg(folder.join(name)).output().unwrap();
    let hash = String::from_utf8(hash.stdout).unwrap().split(' ').next().unwrap().to_owned();
    for part in value["parts"].as_array_mut().unwrap().iter_mut().filter(|part| part["path"] == name) {
        part["bytes"] = json!(content.len());
        part["sha256"] = json!(hash);
    }
    std::fs::write(manifest, value.to_string()).unwrap();
}

/// A trigger came along with the tables, and a row named the live database as an uploaded file.
#[test]
fn what_no_hub_makes_is_not_restored_sqlite() {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, SqliteConnection};
    block_on(async {
        let folder = sample(Db::Sqlite).await.unwrap();
        let file = folder.path().join("hxa-connect.db");
        let whole = std::fs::read(&file).unwrap();
        let target = Database::fresh(Db::Sqlite).unwrap();
        for (change, part) in [
            ("CREATE TRIGGER t AFTER INSERT ON orgs BEGIN DELETE FROM bots; END", "trigger"),
            ("CREATE VIEW v AS SELECT 1", "view"),
            ("CREATE TABLE more (id TEXT)", "table"),
            ("DROP INDEX files_org", "lacks"),
            ("DROP INDEX files_org; CREATE INDEX files_org ON files (abs(created_at))", "index"),
            ("UPDATE files SET path = 'hxa-connect.db-wal'", "no path that a hub gives"),
            ("UPDATE files SET path = replace(path, org_id, uploader_id)", "no path that a hub gives"),
        ] {
            let mut conn = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
            conn.batch_execute("PRAGMA journal_mode = DELETE").unwrap();
            conn.batch_execute(change).unwrap();
            drop(conn);
            forge_manifest(folder.path(), "hxa-connect.db");
            refused(&restore(&target, folder.path(), &[]), part);
            assert!(!target.sqlite_path().exists(), "{change}: something was restored");
            std::fs::write(&file, &whole).unwrap();
        }
        forge_manifest(folder.path(), "hxa-connect.db");
        done(&restore(&target, folder.path(), &[]));
    });
}

#[test]
fn what_no_hub_makes_is_not_restored_postgres() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        let process = ProcessHub::on(database).await;
        upload(&process.hub.with_org("a").await.bot("ada").await, "hello").await;
        let folder = tempfile::tempdir().unwrap();
        let save = || {
            let to = folder.path().join(uuid::Uuid::new_v4().to_string());
            done(&process.cli(&["backup", "--to", to.to_str().unwrap()]).output().unwrap());
            to
        };
        let database = process.database();
        database.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$");
        database.execute("CREATE TRIGGER t BEFORE INSERT ON orgs FOR EACH ROW EXECUTE FUNCTION f()");
        let target = Database::fresh(Db::Postgres).unwrap();
        refused(&restore(&target, &save(), &[]), "something that no hub makes");
        database.execute("DROP TRIGGER t ON orgs");
        database.execute("UPDATE files SET path = 'hxa-connect.db-wal'");
        refused(&restore(&target, &save(), &[]), "no path that a hub gives");
        let left = target.execute("CREATE TABLE orgs (id TEXT)");
        assert_eq!(left, 0, "nothing of the refused backup is there");
    });
}

/// Only what the manifest lists is taken, and through no link.
#[test]
fn a_restore_takes_what_is_listed_and_follows_no_link() {
    block_on(async {
        let folder = sample(Db::Sqlite).await.unwrap();
        let value: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.path().join("manifest.json")).unwrap()).unwrap();
        let upload = value["parts"][1]["path"].as_str().unwrap().to_owned();
        let place = folder.path().join(&upload);
        let more = place.with_file_name(uuid::Uuid::new_v4().to_string());
        std::fs::write(&more, "not listed").unwrap();
        let target = Database::fresh(Db::Sqlite).unwrap();
        done(&restore(&target, folder.path(), &[]));
        assert!(target.data_dir().join(&upload).exists());
        assert!(!target.data_dir().join(more.strip_prefix(folder.path()).unwrap()).exists(), "it came along");

        let elsewhere = tempfile::tempdir().unwrap();
        let outside = elsewhere.path().join("a");
        std::fs::rename(&place, &outside).unwrap();
        std::os::unix::fs::symlink(&outside, &place).unwrap();
        refused(&restore(&Database::fresh(Db::Sqlite).unwrap(), folder.path(), &[]), "is a link");
    });
}
