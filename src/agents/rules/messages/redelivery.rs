//! Which queued prompts a socket has got. A prompt is sent to each socket of the room once, and once more only when it still
//! waits after [`limits::REDELIVER_MS`]: sending it with every heartbeat would send a busy agent the whole queue every two seconds.

use std::collections::HashMap;
use std::hash::Hash;

use crate::rules::limits;

/// What the sockets of one room have got; `S` names a socket. Messages go by their number.
#[derive(Debug, Clone)]
pub struct Redelivery<S> {
    sent: HashMap<S, HashMap<i64, i64>>,
}

impl<S> Default for Redelivery<S> {
    fn default() -> Self {
        Self { sent: HashMap::new() }
    }
}

impl<S: Eq + Hash> Redelivery<S> {
    /// Which of the queued messages a socket is to be sent now, in their order; they count as sent. `queued` are all that
    /// wait: what is not among them is forgotten, so that no more is kept than there are messages in the queue.
    pub fn due(&mut self, socket: S, queued: &[i64], now: i64) -> Vec<i64> {
        let sent = self.sent.entry(socket).or_default();
        let before = std::mem::take(sent);
        let mut due = Vec::new();
        for seq in queued {
            let sent_at = before.get(seq).copied().filter(|at| now.saturating_sub(*at) < limits::REDELIVER_MS);
            if sent_at.is_none() {
                due.push(*seq);
            }
            sent.insert(*seq, sent_at.unwrap_or(now));
        }
        due
    }

    /// A socket has a message: it was sent to the whole room, or the socket sent it itself.
    pub fn has(&mut self, socket: S, seq: i64, now: i64) {
        self.sent.entry(socket).or_default().insert(seq, now);
    }

    /// A message waits no longer.
    pub fn gone(&mut self, seq: i64) {
        for sent in self.sent.values_mut() {
            sent.remove(&seq);
        }
    }

    /// A socket left: one that comes back is another and gets everything.
    pub fn left(&mut self, socket: &S) {
        self.sent.remove(socket);
    }

    /// How many deliveries are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.values().map(HashMap::len).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heartbeats_do_not_repeat_what_a_socket_has() {
        let mut redelivery = Redelivery::default();
        assert_eq!(redelivery.due("a", &[1, 2], 0), [1, 2]);
        assert!((1..20).all(|n| redelivery.due("a", &[1, 2], n * 2_000).is_empty()));
        assert_eq!(redelivery.due("b", &[1, 2], 5_000), [1, 2]);
        assert_eq!(redelivery.due("a", &[1, 2, 3], 40_000), [3]);
        assert_eq!(redelivery.due("a", &[1, 2, 3], 60_000), [1, 2]);
        redelivery.left(&"a");
        assert_eq!(redelivery.due("a", &[1, 3], 61_000), [1, 3]);
        redelivery.has("a", 4, 61_000);
        assert!(redelivery.due("a", &[1, 3, 4], 61_001).is_empty());
        redelivery.gone(1);
        assert_eq!(redelivery.due("a", &[1], 61_002), [1]);
    }

    proptest! {
        /// Every socket gets every message at least once, never twice within the time, and no more is remembered than waits.
        #[test]
        fn each_socket_gets_each_message(beats in proptest::collection::vec((0_u8..3, 0_i64..20_000, 1_i64..12), 1..60)) {
            let (mut redelivery, mut now) = (Redelivery::default(), 0);
            let mut last: HashMap<(u8, i64), i64> = HashMap::new();
            for (socket, wait, newest) in beats {
                now += wait;
                let queued: Vec<i64> = (1..=newest).collect();
                let due = redelivery.due(socket, &queued, now);
                for seq in due {
                    let before = last.insert((socket, seq), now);
                    // What left the queue is forgotten, so only what waited all the time is compared.
                    if seq == 1 {
                        prop_assert!(before.is_none_or(|before| now - before >= limits::REDELIVER_MS));
                    }
                }
                prop_assert!(queued.iter().all(|seq| last.contains_key(&(socket, *seq))));
                prop_assert!(redelivery.len() <= 3 * 12);
            }
        }
    }
}
