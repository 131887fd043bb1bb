//! Calls that wait for their answer. A call ends once: by its answer, by its deadline, or when its socket leaves.

use std::collections::HashMap;

use crate::rules::faults::Fault;
use crate::rules::limits;

/// Names a call.
pub type CallId = u64;

/// The calls that wait; `S` names a socket.
#[derive(Debug, Clone)]
pub struct Calls<S> {
    waiting: HashMap<CallId, (S, i64)>,
    last: CallId,
}

impl<S> Default for Calls<S> {
    fn default() -> Self {
        Self { waiting: HashMap::new(), last: 0 }
    }
}

impl<S: Copy + Eq> Calls<S> {
    /// A call is sent to a socket.
    pub fn begin(&mut self, socket: S, now: i64, timeout_ms: i64) -> CallId {
        self.last = self.last.wrapping_add(1);
        self.waiting.insert(self.last, (socket, now.saturating_add(timeout_ms)));
        self.last
    }

    /// An answer came from a socket; whether the call waited for it. A late answer, and one of another socket, is none.
    pub fn answer(&mut self, call: CallId, socket: S) -> bool {
        let waits = self.waiting.get(&call).is_some_and(|(asked, _)| *asked == socket);
        if waits {
            self.waiting.remove(&call);
        }
        waits
    }

    /// The calls whose time is over; they wait no longer.
    pub fn expire(&mut self, now: i64) -> Vec<CallId> {
        self.end(|_, deadline| deadline <= now)
    }

    /// A socket left: its calls fail at once, instead of waiting for their time to pass.
    pub fn left(&mut self, socket: S) -> Vec<CallId> {
        self.end(|asked, _| asked == socket)
    }

    fn end(&mut self, ends: impl Fn(S, i64) -> bool) -> Vec<CallId> {
        let over = self.waiting.iter().filter(|(_, (socket, deadline))| ends(*socket, *deadline));
        let mut over: Vec<CallId> = over.map(|(call, _)| *call).collect();
        over.sort_unstable();
        for call in &over {
            self.waiting.remove(call);
        }
        over
    }

    /// When the next call's time is over.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        self.waiting.values().map(|(_, deadline)| *deadline).min()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// The time a caller gives an RPC.
///
/// # Errors
/// It is out of range.
pub fn read_timeout(given: Option<i64>) -> Result<i64, Fault> {
    let range = limits::RPC_TIMEOUT_MIN_MS..=limits::RPC_TIMEOUT_MAX_MS;
    let timeout = given.unwrap_or(limits::RPC_TIMEOUT_MS);
    let fault = || Fault::new("timeoutMs", format!("Must be from {} to {}", range.start(), range.end()));
    if range.contains(&timeout) { Ok(timeout) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_ends_once() {
        let mut calls = Calls::default();
        let (one, two, three) = (calls.begin("a", 0, 30), calls.begin("a", 10, 30), calls.begin("b", 20, 30));
        assert!(!calls.answer(one, "b"));
        assert!(calls.answer(one, "a") && !calls.answer(one, "a"));
        assert_eq!(calls.deadline(), Some(40));
        assert!(calls.expire(39).is_empty());
        assert_eq!(calls.left("a"), [two]);
        assert_eq!(calls.expire(50), [three]);
        assert!(calls.is_empty() && calls.deadline().is_none());
    }

    #[test]
    fn time_is_limited() {
        assert_eq!(read_timeout(None), Ok(30_000));
        assert_eq!(read_timeout(Some(120_000)), Ok(120_000));
        assert!(read_timeout(Some(0)).is_err() && read_timeout(Some(120_001)).is_err());
    }

    proptest! {
        #[test]
        fn every_call_ends_exactly_once(steps in proptest::collection::vec((0_u8..4, 0_u8..3, 0_i64..50), 0..80)) {
            let (mut calls, mut now) = (Calls::default(), 0);
            let (mut begun, mut ended) = (Vec::new(), Vec::new());
            for (what, socket, number) in steps {
                now += number;
                match what {
                    0 => begun.push(calls.begin(socket, now, number)),
                    1 => ended.extend(calls.left(socket)),
                    2 => ended.extend(calls.expire(now)),
                    _ => ended.extend(begun.last().copied().filter(|call| calls.answer(*call, socket))),
                }
                prop_assert_eq!(calls.len() + ended.len(), begun.len());
            }
            ended.extend(calls.expire(i64::MAX));
            ended.sort_unstable();
            prop_assert_eq!(ended, begun);
        }
    }
}
