//! Threads under many clients at once behave as if they did one thing at a time: histories are recorded and checked.
//!
//! `history.rs` is what is recorded, `check.rs` what must hold of it, `planted.rs` the proof that the checks find what
//! they are for, `play.rs` who plays. `HXA_CHAOS` multiplies the number of histories.

mod check;
mod history;
mod planted;
mod play;

pub use check::check;
pub use play::{Dice, Size, Stage};

use crate::harness::*;

#[test]
fn histories_are_linearizable_sqlite() {
    run(Db::Sqlite, &[], |hub| histories_are_linearizable(hub, Db::Sqlite));
}

#[test]
fn histories_are_linearizable_postgres() {
    run(Db::Postgres, &[], |hub| histories_are_linearizable(hub, Db::Postgres));
}

/// Together with the other database's half: two hundred.
const HISTORIES: usize = 100;
/// Of twenty clients: two hundred operations in each.
const SIZE: Size = Size { threads: 2, ops_per_client: 10 };

async fn histories_are_linearizable(hub: TestHub, db: Db) {
    let stage = Stage::new(&hub, &hub).await;
    let (mut ops, mut heard) = (0, 0);
    for seed in 1..=chaos::times(HISTORIES) {
        let history = stage.play(u64::try_from(seed).unwrap(), SIZE).await;
        let flaws = check(&history);
        assert!(flaws.is_empty(), "history {seed}: {flaws:#?}");
        ops += history.records.iter().filter(|record| record.is_ok()).count();
        heard += history.observers.iter().map(Vec::len).sum::<usize>();
        assert!(history.observers.iter().all(|seen| !seen.is_empty()), "an observer of history {seed} heard nothing");
    }
    chaos::figure(
        "R12",
        &format!("{db}: {} histories, {ops} answered operations, {heard} events", chaos::times(HISTORIES)),
    );
}
