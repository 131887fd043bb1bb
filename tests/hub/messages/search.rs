//! Finding messages and threads by their text: in any case of any script, literally, across threads of any length, and
//! nothing of others.

use crate::harness::*;

on_both_databases! {
    any_case_of_any_script,
    wildcards_stand_for_themselves,
    the_newest_come_first,
    organisations_do_not_find_each_other,
}

/// Messages found, as the organisation's admin sees them.
async fn found(org: &Org, text: &str) -> Vec<Value> {
    let path = format!("/api/org/search?q={}", encoded(text));
    // A machine that has much else to do may not get through in the time that a search has.
    let ask = || async { org.get(&path).await.ok() };
    let reply = eventually(ask, |reply| reply.get("incomplete").is_none()).await;
    reply.items("messages").clone()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Both databases used to fold ASCII only, and PostgreSQL what its locale happened to know.
async fn any_case_of_any_script(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("Ünïcödé Тема", &[]).await;
    for (text, other) in [
        ("Release Notes", "rELEASE nOTES"),
        ("Größe Ärger", "GRÖßE ÄRGER"),
        ("Привет, Мир", "пРИВЕТ, мИР"),
        ("ΟΔΟΣ Αθηνών", "οδος αθηνών"),
        ("发布完成", "发布完成"),
        ("273 K Å", "273 k å"),
    ] {
        ada.say(&thread, text).await;
        for wanted in [text, other] {
            let hits = found(&org, wanted).await;
            assert_eq!(hits.iter().map(|hit| hit.text("content")).collect::<Vec<_>>(), [text], "{wanted}");
        }
        let inside: String = other.chars().skip(1).take(3).collect();
        assert!(found(&org, &inside).await.iter().any(|hit| hit["content"] == text), "{inside}");
    }
    assert!(found(&org, "Grosse").await.is_empty(), "accents matter");
    for topic in ["üNÏCÖDÉ", "тЕМА"] {
        assert_eq!(
            ada.threads(&format!("?q={}", encoded(topic))).await["items"].as_array().unwrap().len(),
            1,
            "{topic}"
        );
    }
}

async fn wildcards_stand_for_themselves(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let thread = ada.thread("100% (a|b)", &[]).await;
    for text in
        ["50% of it", "a_b_c", "c:\\temp", "x.*y", "(?i)z", "[abc]{2}", "***=literal", "^$ begin", "it's \"so\""]
    {
        ada.say(&thread, text).await;
        assert_eq!(found(&org, text).await.len(), 1, "{text}");
    }
    for text in ["%%", "__", "..", "x.y", "a.b", "\\w", "0__of", "[a-z]", "a|b", "''"] {
        assert!(found(&org, text).await.is_empty(), "{text}");
    }
    assert_eq!(ada.threads("?q=%25").await["items"].as_array().unwrap().len(), 1);
    assert!(ada.threads("?q=__").await["items"].as_array().unwrap().is_empty());
    for short in ["", "a", " a "] {
        assert!(found(&org, short).await.is_empty(), "{short:?}");
    }
    org.get("/api/org/search?q=a%00b").await.invalid();
}

async fn the_newest_come_first(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let threads = [ada.thread("one", &[]).await, ada.thread("two", &[]).await, ada.thread("three", &[]).await];
    for n in 0..30 {
        ada.say(&threads[n % 3], &format!("needle {n}")).await;
        ada.say(&threads[(n + 1) % 3], "hay").await;
    }
    let contents: Vec<String> = found(&org, "needle").await.iter().map(|hit| hit.text("content")).collect();
    let expected: Vec<String> = (10..30).rev().map(|n| format!("needle {n}")).collect();
    assert_eq!(contents, expected);
}

async fn organisations_do_not_find_each_other(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let (ada, finn) = (org.bot("ada").await, other.bot("finn").await);
    ada.say(&ada.thread("t", &[]).await, "secret of a").await;
    finn.say(&finn.thread("t", &[]).await, "secret of b").await;
    let hits = found(&org, "SECRET").await;
    assert_eq!(hits.iter().map(|hit| hit.text("content")).collect::<Vec<_>>(), ["secret of a"]);
    ada.get("/api/org/search?q=secret").await.forbidden();
}

/// 200,000 messages, most of them in one thread: the statement that looks through them used to have no bound.
#[test]
fn long_threads_are_looked_through_in_pieces_on_sqlite() {
    long_threads(Db::Sqlite);
}

/// See [`long_threads_are_looked_through_in_pieces_on_sqlite`].
#[test]
fn long_threads_are_looked_through_in_pieces_on_postgres() {
    long_threads(Db::Postgres);
}

const MESSAGES: i64 = 200_000;

fn long_threads(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let insert = move |thread: &str| {
        // The oldest message of all is one of two that match; the rest are like real ones in length.
        let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MESSAGES})");
        let text = "CASE WHEN i IN (1, 150000) THEN 'The Nadel ÄÖÜ' ELSE 'message ' || i || \
                    ' about the release of the day, which says as much as messages of bots say on most days, or more' END";
        format!(
            "{numbers} INSERT INTO thread_messages (thread_id, created_at, id, content, content_type, mention_all, via_socket) \
             SELECT '{thread}', 1700000000000 + i, '00000000-0000-7000-8000-' || (100000000000 + i), {text}, 'text', false, false FROM n"
        )
    };
    let database = &database;
    run_on_database(database, &[], move |hub| async move {
        let org = hub.with_org("a").await;
        let ada = org.bot("ada").await;
        let long = ada.thread("long", &[]).await;
        ada.say(&ada.thread("short", &[]).await, "nadel äöü, newer").await;
        database.execute(&insert(&long.id()));
        for (what, text, hits) in [("rare", "NADEL äöü", 3), ("absent", "zebra", 0), ("common", "release", 20)] {
            let started = std::time::Instant::now();
            let found = found(&org, text).await;
            println!("{db:?}: {what} in {MESSAGES} messages: {:?}", started.elapsed());
            assert_eq!(found.len(), hits, "{what}");
            assert!(found.windows(2).all(|pair| pair[0].int("created_at") >= pair[1].int("created_at")), "{what}");
        }
        assert_eq!(found(&org, "message 200000 ").await.len(), 1);
    });
}
