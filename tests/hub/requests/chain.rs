//! The audit chain from outside: `audit verify` and `audit export`, and what the database lets nobody do.

use std::process::Output;

use crate::harness::*;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn verify(database: &Database, more: &[&str]) -> Output {
    cli_on(database, &[&["audit", "verify"], more].concat())
}

/// A database with two organisations and nine rows in the chain of the first.
async fn sample(kind: Db) -> Option<(ProcessHub, Org)> {
    let process = ProcessHub::fresh(kind).await?;
    let org = process.hub.with_org("a").await;
    let ada = org.bot("ada").await;
    for _ in 0..2 {
        let id = ada.asked().await;
        org.approve(&id).await.ok();
    }
    let id = ada.asked().await;
    ada.cancel(&id).await.ok();
    process.hub.with_org("b").await.bot("bob").await.asked().await;
    Some((process, org))
}

fn on_both(body: impl AsyncFn(ProcessHub, Org)) {
    for kind in [Db::Sqlite, Db::Postgres] {
        block_on(async {
            if let Some((process, org)) = sample(kind).await {
                body(process, org).await;
            }
        });
    }
}

#[test]
fn a_whole_chain_is_verified_and_exported_beside_the_hub() {
    on_both(async |process, org| {
        let all = verify(process.database(), &[]);
        assert!(all.status.success(), "{}", stderr(&all));
        assert!(stdout(&all).contains("verified 15 rows of 2 organisations"), "{}", stdout(&all));
        let one = verify(process.database(), &["--org", &org.id]);
        assert!(
            stdout(&one).contains(&format!("organisation {}: 12 rows verified, head ", org.id)),
            "{}",
            stdout(&one)
        );
        let unknown = verify(process.database(), &["--org", NOBODY]);
        assert_eq!((unknown.status.code(), stderr(&unknown).contains("no organisation")), (Some(1), true));
        assert_eq!(stdout(&verify(process.database(), &["--org", "a"])), stdout(&one));
        let exported = process.cli(&["audit", "export", "--org", &org.id]).output().unwrap();
        let lines: Vec<Value> = stdout(&exported).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let events = org.request_audit("?limit=1000").await.ok();
        assert_eq!(lines.len(), 12);
        for (line, event) in lines.iter().zip(events["events"].as_array().unwrap()) {
            for key in
                ["event_id", "request_id", "event_type", "actor", "actor_type", "payload", "created_at", "seq", "hash"]
            {
                assert_eq!(line[key], event[key], "{key}");
            }
        }
        let middle = lines[6]["created_at_ms"].to_string();
        let part = |args: &[&str]| {
            let exported = process.cli(&[&["audit", "export", "--org", "a"], args].concat()).output().unwrap();
            stdout(&exported).lines().count()
        };
        let (early, late) = (part(&["--until", &middle]), part(&["--since", &middle]));
        assert_eq!((early + late, early <= 6, late >= 6), (12, true, true));
        assert_eq!(part(&["--since", "2099-01-01"]), 0);
        assert!(stderr(&process.cli(&["audit", "export", "--since", "soon"]).output().unwrap()).contains("ISO 8601"));
    });
}

#[test]
fn the_database_refuses_to_change_the_audit() {
    on_both(async |process, _| {
        let database = process.database();
        for sql in [
            "UPDATE request_audit SET actor = 'emil' WHERE seq = 1",
            "DELETE FROM request_audit WHERE seq = 12",
            "DELETE FROM request_audit",
        ] {
            let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| database.execute(sql)));
            assert!(tried.is_err(), "{sql}");
        }
        assert!(verify(database, &[]).status.success());
    });
}

#[test]
fn what_was_done_to_the_chain_is_named() {
    on_both(async |mut process, org| {
        process.kill_9();
        let database = process.database();
        for trigger in ["request_audit_keeps_rows", "request_audit_loses_none"] {
            match database.postgres_url() {
                Some(_) => database.execute(&format!("DROP TRIGGER IF EXISTS {trigger} ON request_audit")),
                None => database.execute(&format!("DROP TRIGGER {trigger}")),
            };
        }
        let broken = |sql: &str| {
            assert!(database.execute(sql) > 0, "{sql}");
            let verified = verify(database, &["--org", &org.id]);
            assert_eq!(verified.status.code(), Some(1), "{sql}: {}", stdout(&verified));
            stderr(&verified)
        };
        let own = format!("org_id = '{}'", org.id);
        let before = format!("UPDATE request_audit SET actor = 'x' || actor WHERE {own} AND seq = 4");
        let after = format!("UPDATE request_audit SET actor = substr(actor, 2) WHERE {own} AND seq = 4");
        assert!(broken(&before).contains("row 4 "));
        database.execute(&after);
        assert!(verify(database, &[]).status.success(), "as it was");
        let copy = "INSERT INTO request_audit (org_id, event_id, seq, request_id, event_type, actor, actor_type, payload, \
             created_at, hash) SELECT org_id, event_id || '0', seq, request_id, event_type, actor, actor_type, payload, \
             created_at, hash FROM request_audit";
        assert!(broken(&format!("{copy} WHERE {own} AND seq = 5")).contains("inserted"));
        database.execute(&format!("DELETE FROM request_audit WHERE {own} AND seq = 5 AND length(event_id) > 26"));
        assert!(
            broken(&format!("DELETE FROM request_audit WHERE {own} AND seq = 12")).contains("newest rows are missing")
        );
        assert!(broken(&format!("DELETE FROM request_audit WHERE {own} AND seq = 7")).contains("row 8 "));
        let other = verify(database, &[]);
        assert!(!other.status.success(), "of all organisations one is broken");
    });
}

#[test]
fn the_chain_goes_on_after_a_start_and_ends_with_its_organisation() {
    on_both(async |mut process, org| {
        process.kill_9();
        process.start().await;
        let ada = org.bot("cleo").await;
        ada.asked().await;
        assert!(stdout(&verify(process.database(), &[])).contains("verified 18 rows of 2 organisations"));
        process.hub.super_admin().await.delete(format!("/api/orgs/{}", org.id)).await;
        let gone = verify(process.database(), &[]);
        assert!(stdout(&gone).contains("verified 3 rows of 1 organisations"), "{}{}", stdout(&gone), stderr(&gone));
        let left = format!("DELETE FROM coordination_requests WHERE org_id = '{}'", org.id);
        assert_eq!(process.database().execute(&left), 0);
    });
}
