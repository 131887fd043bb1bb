//! Single flight: concurrent identical queries share one result.
//!
//! Sixty clients that ask for the same at once cost one read. If the caller that reads is cancelled, the next in line
//! reads.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use hxa_domain::error::ApiResult;

type Flight<A> = Arc<OnceCell<ApiResult<A>>>;

/// The questions that are being answered.
#[derive(Debug)]
pub struct Flights<Q, A> {
    under_way: Mutex<HashMap<Q, Flight<A>>>,
}

impl<Q, A> Default for Flights<Q, A> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<Q: Hash + Eq + Clone, A: Clone> Flights<Q, A> {
    /// Asks a question; `find` finds the answer unless somebody else is at it.
    ///
    /// # Errors
    /// What the one that finds it hears.
    pub async fn ask(&self, question: Q, find: impl Future<Output = ApiResult<A>>) -> ApiResult<A> {
        let flight = self.under_way.lock().entry(question.clone()).or_default().clone();
        let passenger = Passenger { of: self, question, flight };
        passenger.flight.get_or_init(|| find).await.clone()
    }
}

/// Somebody who waits. The last one to go ends the flight, also when nobody has waited for its end.
struct Passenger<'f, Q: Hash + Eq, A> {
    of: &'f Flights<Q, A>,
    question: Q,
    flight: Flight<A>,
}

impl<Q: Hash + Eq, A> Drop for Passenger<'_, Q, A> {
    fn drop(&mut self) {
        let mut under_way = self.of.under_way.lock();
        // The table's own one and this one.
        let is_over = self.flight.initialized() || Arc::strong_count(&self.flight) <= 2;
        if is_over && under_way.get(&self.question).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            under_way.remove(&self.question);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_question_is_found_out_once_at_a_time() {
        let (flights, found) = (Flights::<&str, usize>::default(), AtomicUsize::new(0));
        let ask = |question| {
            flights.ask(question, async {
                tokio::task::yield_now().await;
                Ok(found.fetch_add(1, Ordering::SeqCst))
            })
        };
        let (a, b, other) = tokio::join!(ask("q"), ask("q"), ask("other"));
        assert_eq!((a.unwrap(), other.is_ok()), (b.unwrap(), true));
        assert_eq!(found.load(Ordering::SeqCst), 2);
        assert_eq!(ask("q").await.unwrap(), 2, "the next one asks anew");
        assert!(flights.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_nothing_behind() {
        let flights = Flights::<&str, usize>::default();
        let never = flights.ask("q", std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(5), never).await.is_err());
        assert!(flights.under_way.lock().is_empty());
        assert_eq!(flights.ask("q", async { Ok(1) }).await.unwrap(), 1);
    }
}
