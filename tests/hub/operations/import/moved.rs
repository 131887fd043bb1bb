//! From a hub like this one: every row arrives as it was, and nothing is moved over something else by accident.

use super::*;

/// A database on which a hub has worked and stopped.
async fn worked(database: Database) -> Database {
    let mut process = ProcessHub::on(database).await;
    let org = process.hub.with_org("a").await;
    let (admin, [ada, bob]) = (org.admin_bot("boss").await, org.bots(["ada", "bob"]).await);
    ada.send(&bob, "hello, 你好 \u{1F600} 'quoted' | \"double\"").await.ok();
    let thread = ada.thread("topic", &[&bob, &admin]).await;
    let said = bob.message(&thread, json!({"content": "hi @ada", "metadata": {"n": 1}, "client_id": "k"})).await.ok();
    ada.message(&thread, json!({"content": "re", "reply_to": said["id"]})).await.ok();
    ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "1"})).await.ok();
    ada.artifact_update(&thread, "k", json!({"content": "2"})).await.ok();
    ada.status(&thread, "reviewing").await.ok();
    ada.remove(&thread, &bob.id).await.ok();
    org.settings(json!({"message_ttl_days": 9})).await.ok();
    ada.scoped(&["full"]).await.scoped(&["full"]).await.scoped(&["read"]).await;
    bob.human("Kim").await;
    let dora = org.person("Dora", "responder").await.with_password("a sentence of some length").await;
    org.patch_person(&dora, json!({"slack_user_id": "U1"})).await.ok();
    org.link(&dora).await;
    admin.delete(format!("/api/bots/{}", bob.id)).await.ok();
    process.hub.invite_code(json!({"max_uses": 3})).await;
    process.signal("TERM");
    process.exited(3 * DEADLINE).await;
    process.into_database()
}

#[test]
fn own_rows_arrive_as_they_were_and_come_back_the_same() {
    block_on(async {
        for (from, over) in [(Db::Sqlite, Db::Postgres), (Db::Postgres, Db::Sqlite)] {
            let (Some(first), Some(second)) = (Database::fresh(from), Database::fresh(over)) else { return };
            let first = worked(first).await;
            let third = Database::fresh(from).unwrap();
            let before = rows(&first);
            assert!(before.len() > 30, "{before:#?}");
            imported(&second, &place(&first), &[]);
            assert_eq!(rows(&second), before, "{from} to {over}");
            imported(&third, &place(&second), &[]);
            assert_eq!(rows(&third), before, "{from} to {over}");
        }
    });
}

#[test]
fn a_bot_that_is_called_like_an_id_is_renamed() {
    block_on(async {
        for (source, target) in pairs() {
            let source = worked(source).await;
            execute(&source, &format!("UPDATE bots SET name = '{NOBODY}' WHERE name = 'ada'"));
            let (is_ok, said) = import(&target, &place(&source), &[]);
            assert!(is_ok && said.contains("bots: 1 changed: its name has the form of an id"), "{said}");
            assert_eq!(count(&target, "bots WHERE name LIKE 'bot-____________'"), 1, "{source} to {target}");
        }
    });
}

#[test]
fn what_is_not_empty_is_left_alone_unless_forced() {
    block_on(async {
        for (source, target) in pairs() {
            let (source, target) = (worked(source).await, worked(target).await);
            let (own, before) = (rows(&source), rows(&target));
            let (is_ok, said) = import(&target, &place(&source), &[]);
            assert!(!is_ok && said.contains("not empty (1 in orgs") && said.contains("--force"), "{said}");
            assert_eq!(rows(&target), before, "{source} to {target}");
            imported(&target, &place(&source), &["--force"]);
            assert_eq!(rows(&target), own, "{source} to {target}");
            let (is_ok, said) = import(&target, &place(&target), &["--force"]);
            assert!(!is_ok && said.contains("the same database"), "{said}");
            assert_eq!(rows(&target), own, "{source} to {target}");
        }
    });
}

#[test]
fn nothing_moves_while_a_hub_runs_on_either_side() {
    block_on(async {
        for kind in [Db::Sqlite, Db::Postgres] {
            let (Some(running), Some(other)) = (Database::fresh(kind), Database::fresh(kind)) else { return };
            let hub = ProcessHub::on(running).await;
            let other = worked(other).await;
            let (is_ok, said) = import(hub.database(), &place(&other), &["--force"]);
            assert!(!is_ok && said.contains("target: a hub runs on this database"), "{said}");
            let (is_ok, said) = import(&other, &place(hub.database()), &["--force"]);
            assert!(!is_ok && said.contains("source: a hub runs on this database"), "{said}");
            let (is_ok, said) = import(hub.database(), &place(&other), &["--dry-run"]);
            assert!(is_ok, "{said}");
        }
    });
}

#[test]
fn an_import_that_fails_half_way_leaves_the_target_as_it_was() {
    block_on(async {
        for kind in [Db::Sqlite, Db::Postgres] {
            let (Some(source), Some(target)) = (Database::fresh(Db::Sqlite), Database::fresh(kind)) else { return };
            let (source, target) = (worked(source).await, worked(target).await);
            // A row of a bot that never was, which only a connection without foreign keys can write.
            execute(
                &source,
                &format!(
                    "PRAGMA foreign_keys = OFF; INSERT INTO webhook_health (bot_id, consecutive_failures, degraded, hold_until, dropped) VALUES ('{NOBODY}', 0, FALSE, 0, 0)"
                ),
            );
            let before = rows(&target);
            let (is_ok, said) = import(&target, &place(&source), &["--force"]);
            assert!(
                !is_ok && said.contains("webhook_health: ") && said.to_lowercase().contains("foreign key"),
                "{said}"
            );
            assert_eq!(rows(&target), before, "into {kind}");
            execute(&source, &format!("DELETE FROM webhook_health WHERE bot_id = '{NOBODY}'"));
            imported(&target, &place(&source), &["--force"]);
            assert_eq!(rows(&target), rows(&source), "into {kind}");
        }
    });
}

/// A row that named the live database as an uploaded file had it overwritten by the import, or served by the hub.
#[test]
fn only_uploads_are_moved_as_uploads() {
    block_on(async {
        let source = worked(Database::fresh(Db::Sqlite).unwrap()).await;
        source.execute(
            "INSERT INTO files (id, org_id, uploader_id, name, mime_type, size, path, created_at) \
             SELECT '01890000-0000-7000-8000-00000000000a', id, NULL, 'a', 'text/plain', 1, 'hxa-connect.db-wal', 1 FROM orgs LIMIT 1",
        );
        source.execute(
            "INSERT INTO files (id, org_id, uploader_id, name, mime_type, size, path, created_at) \
             SELECT '01890000-0000-7000-8000-00000000000b', id, NULL, 'b', 'text/plain', 5, 'files/old.txt', 1 FROM orgs LIMIT 1",
        );
        std::fs::create_dir_all(source.data_dir().join("files")).unwrap();
        std::fs::write(source.data_dir().join("files/old.txt"), "hello").unwrap();
        let target = Database::fresh(Db::Sqlite).unwrap();
        let folder = source.data_dir().to_str().unwrap().to_owned();
        let output = cli_on(&target, &["import", "--from", source.sqlite_path().to_str().unwrap(), "--files", &folder]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && told.contains("its path is not that of an uploaded file"), "{output:?}");
        assert!(!target.data_dir().join("files/old.txt").exists(), "a place that no hub chooses");
        let process = ProcessHub::on(target).await;
        let code = process.database().execute("UPDATE files SET name = name WHERE path LIKE 'files/%/%/%/%'");
        assert!(code >= 1);
        let none = process.database().execute("UPDATE files SET name = name WHERE path NOT LIKE 'files/%/%/%/%'");
        assert_eq!(none, 0);
    });
}
