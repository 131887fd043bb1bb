//! A feature of its own, wired in like those of the program: what it stores is durable before it is told, and what the hub
//! does for features it does for this one too.

#[path = "../feature/notes.rs"]
mod notes;

use hxa_connect::store::import::{self, Destination, ImportOptions};
use hxa_connect::store::{Backend, Catalogue, PostgresTarget, copy, migrate};
use hxa_connect::web::Features;

use crate::harness::*;

/// The program's features and the one of this test.
pub static FEATURES: Features =
    Features::new(&[hxa_connect::files::FEATURE, hxa_connect::requests::FEATURE, notes::FEATURE]);

/// What somebody has to write who adds a table, a route, an actor and an event.
const LINES: usize = 150;

fn both(body: impl AsyncFn(&Database, TestHub)) {
    for database in [Db::Sqlite, Db::Postgres].into_iter().filter_map(Database::fresh) {
        run_with_features(&FEATURES, &database, |hub| body(&database, hub));
    }
}

fn backend(database: &Database) -> Backend {
    match database.postgres_url() {
        Some(url) => Backend::Postgres(PostgresTarget { url: url.to_owned(), statement_timeout_ms: 10_000 }),
        None => Backend::Sqlite(database.sqlite_path()),
    }
}

fn catalogue() -> Catalogue {
    FEATURES.catalogue()
}

#[test]
fn a_note_is_stored_told_and_noted() {
    both(async |database, hub| {
        let org = hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let mut listening = bob.socket().await;
        let note = ada.post("/api/notes", json!({"text": "hello"})).await.ok();
        assert_eq!(database.execute("UPDATE notes SET text = 'seen' WHERE text = 'hello' AND is_short"), 1);
        let event = listening.next("note_taken").await;
        assert_eq!((&event["id"], &event["text"], event["seq"].is_u64()), (&note["id"], &json!("hello"), true));
        let entries = org.audit("note.take").await;
        assert_eq!((entries.len(), &entries[0]["target_id"], &entries[0]["bot_id"]), (1, &note["id"], &json!(ada.id)));
    });
}

#[test]
fn a_note_that_fails_leaves_nothing_and_takes_no_other_with_it() {
    both(async |database, hub| {
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let calls = (0..20).map(|n| {
            let text = if n % 5 == 0 { "unwanted" } else { "wanted" };
            ada.post("/api/notes", json!({"text": text})).answered()
        });
        let answers = futures_util::future::join_all(calls).await;
        let refused = answers.iter().map(|reply| reply.status).filter(|status| *status != 200).collect::<Vec<_>>();
        assert_eq!(refused, [400; 4]);
        assert_eq!(org.audit("note.take").await.len(), 16);
        assert_eq!(database.execute("DELETE FROM notes WHERE text = 'wanted'"), 16);
        assert_eq!(database.execute("DELETE FROM notes"), 0);
    });
}

#[test]
fn duties_run_metrics_show_and_deletions_reach_the_rows() {
    both(async |_, hub| {
        let org = hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        for bot in [&ada, &ada, &bob] {
            bot.post("/api/notes", json!({"text": "hello"})).await.ok();
        }
        eventually(async || hub.metric("hub_notes").await, |notes| *notes == 3.0).await;
        org.delete(format!("/api/bots/{}", ada.id)).await.ok();
        eventually(async || hub.metric("hub_notes").await, |notes| *notes == 1.0).await;
        hub.super_admin().await.delete(format!("/api/orgs/{}", org.id)).await;
        eventually(async || hub.metric("hub_notes").await, |notes| *notes == 0.0).await;
    });
}

#[test]
fn the_route_is_described_scoped_and_counted() {
    both(async |_, hub| {
        let document = hub.anonymous().get("/openapi.json").await.ok();
        assert_eq!(document["paths"]["/api/notes"]["post"]["summary"], "Take a note");
        assert!(hub.anonymous().get("/llms.txt").await.text.contains("`POST /api/notes`: Take a note"));
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
        let reader = Caller::bearer(&hub, token["token"].as_str().unwrap());
        reader.post("/api/notes", json!({"text": "x"})).await.refused(403, "INSUFFICIENT_SCOPE");
        hub.anonymous().post("/api/notes", json!({"text": "x"})).await.refused(401, "AUTH_REQUIRED");
        let metrics = hub.anonymous().get("/metrics").await.text;
        assert!(metrics.contains("route=\"POST /api/notes\",status=\"403\"} 1"), "{metrics}");
    });
}

#[test]
fn a_database_of_before_the_feature_is_upgraded_and_one_of_after_it_is_refused() {
    for database in [Db::Sqlite, Db::Postgres].into_iter().filter_map(Database::fresh) {
        let (backend, before) = (backend(&database), hxa_connect::features::FEATURES.catalogue());
        migrate::migrate(&before, &backend).unwrap();
        assert_eq!(migrate::migrate(&catalogue(), &backend).unwrap(), ["2026-12-01-000001_notes"], "{database}");
        assert!(migrate::migrate(&before, &backend).unwrap_err().contains("20261201000001"), "{database}");
        migrate::revert_all(&catalogue(), &backend).unwrap();
    }
}

#[test]
fn its_rows_are_imported_backed_up_and_restored() {
    for (from, into) in [(Db::Sqlite, Db::Postgres), (Db::Postgres, Db::Sqlite)] {
        let (Some(from), Some(into)) = (Database::fresh(from), Database::fresh(into)) else { continue };
        run_with_features(&FEATURES, &from, async |hub| {
            let ada = hub.with_org("a").await.bot("ada").await;
            for text in ["short", "'long' enough to be \"long\""] {
                ada.post("/api/notes", json!({"text": text})).await.ok();
            }
        });
        let place = |database: &Database| match database.postgres_url() {
            Some(url) => url.to_owned(),
            None => database.sqlite_path().to_string_lossy().into_owned(),
        };
        let destination = Destination {
            backend: backend(&into),
            catalogue: catalogue(),
            data_dir: into.data_dir().to_owned(),
            admin_secret: Some(ADMIN_SECRET),
            keeps_sessions: true,
            persist_messages: true,
        };
        let options = ImportOptions {
            from: place(&from),
            files: None,
            force: false,
            dry_run: false,
            org: None,
            allow_respond: false,
        };
        import::run(destination, &options, &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let saved = copy::save(&catalogue(), &backend(&into), folder.path()).unwrap();
        assert_eq!(saved.counts["notes"], 2, "{from} to {into}");
        let file = folder.path().join(copy::file_name(&backend(&into)));
        let Some(again) = Database::fresh(if into.postgres_url().is_some() { Db::Postgres } else { Db::Sqlite }) else {
            continue;
        };
        copy::verify(&catalogue(), &backend(&again), &file, &saved.schema).unwrap();
        copy::load(&catalogue(), &backend(&again), &file, &saved.schema, &saved.counts).unwrap();
        assert_eq!(again.execute("DELETE FROM notes WHERE text = 'short' AND is_short"), 1, "{from} to {into}");
        assert_eq!(
            again.execute("DELETE FROM notes WHERE text LIKE '''long'' enough%' AND NOT is_short"),
            1,
            "{from} to {into}"
        );
    }
}

#[test]
fn a_feature_is_short() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/feature"));
    let (mut folders, mut lines) = (vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                lines += std::fs::read_to_string(&entry).unwrap().lines().count();
            }
        }
    }
    assert!(lines < LINES, "the feature has {lines} lines");
}
