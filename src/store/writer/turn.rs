//! An organisation's share of one batch.
//!
//! A batch takes as long as its bytes, and every commit in it and behind it waits that long. So an organisation with
//! large commits gets a part of each batch, and the rest is written with the next ones; commits with equal keys still
//! keep their order. Small commits are delayed only behind large ones of their own organisation or key.

use foldhash::{HashSet, HashSetExt};
use smallvec::SmallVec;

use super::Load;

/// Bytes of one organisation's commits in a batch; a commit that alone has more goes whole.
const MOST: usize = 2 * 1024 * 1024;
/// Commits from here on are large. A batch full of smaller ones is written in a moment.
const LARGE: usize = 16 * 1024;

/// A batch as it is put together.
#[derive(Debug)]
pub struct Turn {
    /// Those who have large commits in it.
    orgs: SmallVec<[Piece; 4]>,
    /// Keys of what was put off.
    keys: HashSet<u64>,
}

#[derive(Debug)]
struct Piece {
    of: Load,
    bytes: usize,
    is_full: bool,
}

impl Turn {
    /// A batch with nothing in it.
    pub fn new() -> Self {
        Self { orgs: SmallVec::new(), keys: HashSet::new() }
    }

    /// Whether a commit of so many bytes, counted in this load, is part of the batch; else it comes with a later one.
    pub fn admits(&mut self, key: u64, load: Option<&Load>, bytes: usize) -> bool {
        if bytes < LARGE && self.orgs.is_empty() {
            return true;
        }
        let is_admitted = !self.keys.contains(&key) && self.has_room(load, bytes);
        if !is_admitted {
            self.keys.insert(key);
        }
        is_admitted
    }

    fn has_room(&mut self, load: Option<&Load>, bytes: usize) -> bool {
        let Some(load) = load else { return true };
        let Some(piece) = self.orgs.iter_mut().find(|piece| piece.of.is(load)) else {
            if bytes >= LARGE {
                self.orgs.push(Piece { of: load.clone(), bytes, is_full: false });
            }
            return true;
        };
        piece.bytes = piece.bytes.saturating_add(bytes);
        piece.is_full |= piece.bytes > MOST;
        !piece.is_full
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    /// Batches as a writer makes them of a queue of `(organisation, bytes)`.
    fn batches(queue: &[(usize, usize)]) -> Vec<Vec<(usize, usize, usize)>> {
        let loads: Vec<Load> = (0..3).map(|_| Load::default()).collect();
        let mut queue: VecDeque<_> = queue.iter().enumerate().map(|(n, (org, bytes))| (n, *org, *bytes)).collect();
        let mut batches = Vec::new();
        while !queue.is_empty() {
            let (mut turn, mut batch, mut put_off) = (Turn::new(), Vec::new(), VecDeque::new());
            for commit in queue.drain(..) {
                // A key each, and one that the first two share; the last one is counted nowhere.
                let (key, load) = (u64::try_from(commit.1.max(1)).unwrap(), loads.get(commit.1));
                if turn.admits(key, load, commit.2) { batch.push(commit) } else { put_off.push_back(commit) }
            }
            queue = put_off;
            batches.push(batch);
        }
        batches
    }

    #[test]
    fn large_commits_of_one_do_not_put_off_others() {
        let mut queue = vec![(0, 900_000); 30];
        queue.push((2, 100));
        queue.push((0, 100));
        let made = batches(&queue);
        assert_eq!(made[0].iter().map(|commit| commit.1).collect::<Vec<_>>(), [0, 0, 2]);
        assert_eq!((made.len(), made[14].len()), (15, 3), "two at a time, and the small one behind them");
        assert_eq!(batches(&[(0, 5 * MOST), (0, 1)]).len(), 2, "what is too large goes alone");
    }

    proptest! {
        #[test]
        fn everything_comes_and_equal_keys_in_their_order(
            queue in proptest::collection::vec((0usize..4, 0usize..3_000_000), 0..60),
        ) {
            let made = batches(&queue);
            prop_assert!(made.iter().all(|batch| !batch.is_empty()));
            for key in 1..4 {
                let of_key = made.iter().flatten().filter(|commit| commit.1.max(1) == key);
                let own: Vec<usize> = of_key.map(|commit| commit.0).collect();
                prop_assert!(own.is_sorted());
                prop_assert_eq!(own.len(), queue.iter().filter(|commit| commit.0.max(1) == key).count());
            }
        }
    }
}
