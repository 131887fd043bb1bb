//! A network that cuts, delays and swallows, between clients and the hub and between the hub and PostgreSQL, while many
//! clients work: histories stay linearizable, nothing acknowledged is lost, nothing is there twice.

use std::time::Duration;

use super::linearizable::{Dice, Size, Stage, check};
use crate::harness::*;

const SIZE: Size = Size { threads: 2, ops_per_client: 8 };
/// Faults while one history is played.
const FAULTS: usize = 5;
/// Histories per database; with five faults each, fifty.
const HISTORIES: usize = 10;

#[test]
fn no_wrong_answer_on_a_bad_network_sqlite() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        play(&process.hub, None).await;
    });
}

#[test]
fn no_wrong_answer_on_a_bad_network_postgres() {
    block_on(async {
        let Some(real) = Database::fresh(Db::Postgres) else { return };
        let (wire, via) = real.behind_proxy();
        let env =
            [("HXA_CONNECT_DATABASE_STATEMENT_TIMEOUT_MS", "2000"), ("HXA_CONNECT_DATABASE_POOL_TIMEOUT_MS", "500")];
        let process = ProcessHub::with_env(via, &env).await;
        play(&process.hub, Some(&wire)).await;
    });
}

async fn play(hub: &TestHub, wire: Option<&Proxy>) {
    let way = Proxy::before(hub.address());
    let stage = Stage::new(hub, &TestHub::at(&format!("http://{}", way.address()))).await;
    let (mut dice, mut answered) = (Dice::new(11), 0);
    let histories = chaos::times(HISTORIES);
    for seed in 1..=histories {
        let trouble = async {
            for _ in 0..FAULTS {
                tokio::time::sleep(Duration::from_millis(10 + u64::try_from(dice.below(60)).unwrap())).await;
                match wire {
                    Some(wire) if dice.below(3) > 0 => on_the_wire(wire, &mut dice).await,
                    _ => on_the_way(&way, &mut dice).await,
                }
            }
        };
        let history = stage.play_through(u64::try_from(seed).unwrap(), SIZE, trouble).await;
        let flaws = check(&history);
        assert!(flaws.is_empty(), "history {seed}: {flaws:#?}");
        answered += history.records.iter().filter(|record| record.is_ok()).count();
    }
    assert!(wire.is_none_or(|wire| wire.cuts() > 0), "no COMMIT was cut");
    let cut = way.cuts() + wire.map_or(0, Proxy::cuts);
    let database = if wire.is_some() { "PostgreSQL" } else { "SQLite" };
    let faults = histories * FAULTS;
    chaos::figure(
        "R11",
        &format!("{database}: {faults} faults, {cut} of them during a COMMIT or frame, {answered} answers, 0 wrong"),
    );
}

/// Between the clients and the hub.
async fn on_the_way(way: &Proxy, dice: &mut Dice) {
    match dice.below(6) {
        0 => way.reset(),
        1 => way.half_close(),
        2 => way.set(Weather::CutAfter(dice.below(4000))),
        3 => passing(way, Weather::Delay(Duration::from_millis(20)), 100).await,
        4 => passing(way, Weather::Throttle(500), 100).await,
        _ => passing(way, Weather::Blackhole, 200).await,
    }
}

/// Between the hub and its database.
async fn on_the_wire(wire: &Proxy, dice: &mut Dice) {
    match dice.below(8) {
        0 | 1 => wire.set(Weather::CutBeforeCommit),
        2 | 3 => wire.set(Weather::CutAfterCommit),
        4 => wire.set(Weather::CutAfter(dice.below(4000))),
        5 => wire.reset(),
        6 => passing(wire, Weather::Delay(Duration::from_millis(20)), 100).await,
        _ => passing(wire, Weather::Blackhole, 200).await,
    }
}

async fn passing(proxy: &Proxy, weather: Weather, ms: u64) {
    proxy.set(weather);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    proxy.set(Weather::Clear);
}

/// A connection that breaks while the server is still at the COMMIT: whoever looks at once finds nothing stored, and if
/// that is believed the batch is done again and meets itself. The outcome must be waited for.
#[test]
fn a_slow_commit_is_waited_for() {
    block_on(async {
        let Some(real) = Database::fresh(Db::Postgres) else { return };
        let (wire, via) = real.behind_proxy();
        let process = ProcessHub::on(via).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        slow_commits(real.postgres_url().unwrap(), 0.3);
        for n in 0..3 {
            wire.set(Weather::CutAfterCommit);
            ada.say(&thread, &n.to_string()).await.ok();
        }
        let said: Vec<String> = ada.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
        assert_eq!((said, wire.cuts()), (vec!["0".to_owned(), "1".to_owned(), "2".to_owned()], 3));
    });
}

/// Makes every commit with a message take this long.
pub fn slow_commits(url: &str, seconds: f64) {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, PgConnection};
    let slow = format!(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$; \
                CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON thread_messages DEFERRABLE INITIALLY DEFERRED \
                FOR EACH ROW EXECUTE FUNCTION dawdle()"
    );
    PgConnection::establish(url).unwrap().batch_execute(&slow).unwrap();
}
