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

on_both_databases! {
    histories_are_linearizable,
}

/// Together with the other database's half: two hundred.
const HISTORIES: usize = 100;

async fn histories_are_linearizable(hub: TestHub) {
    let stage = Stage::new(&hub, &hub).await;
    let (mut ops, mut heard) = (0, 0);
    for seed in 1..=chaos::times(HISTORIES) {
        let history = stage.play(u64::try_from(seed).unwrap(), Size { threads: 2, ops_per_client: 5 }).await;
        let flaws = check(&history);
        assert!(flaws.is_empty(), "history {seed}: {flaws:#?}");
        ops += history.records.iter().filter(|record| record.is_ok()).count();
        heard += history.observers.iter().map(Vec::len).sum::<usize>();
        assert!(history.observers.iter().all(|seen| !seen.is_empty()), "an observer of history {seed} heard nothing");
    }
    chaos::figure("R12", &format!("{} histories, {ops} answered operations, {heard} events", chaos::times(HISTORIES)));
}
