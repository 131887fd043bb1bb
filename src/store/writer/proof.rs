//! Proof that writes work, for readiness checks.
//!
//! A commit that has just become durable is the best proof; without one, a small write takes the same path as all
//! others. Concurrent and repeated checks share one write, so that they cause almost no disk load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Write;
use crate::statement::Statement;
use hxa_domain::error::ApiResult;

/// How long a write that worked, or did not, tells how it is now.
const FRESH: Duration = Duration::from_millis(500);

/// When a write last worked, and what asking last told.
pub struct Proof {
    since: Instant,
    /// Milliseconds plus one; 0 is never.
    worked_ms: AtomicU64,
    asked: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Default for Proof {
    fn default() -> Self {
        Self { since: Instant::now(), worked_ms: AtomicU64::new(0), asked: tokio::sync::Mutex::default() }
    }
}

impl Proof {
    /// A commit has become durable.
    pub fn worked(&self) {
        self.worked_ms.store(self.now_ms().saturating_add(1), Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn has_just_worked(&self) -> bool {
        let worked = self.worked_ms.load(Ordering::Relaxed);
        worked > 0 && u128::from(self.now_ms().saturating_add(1).saturating_sub(worked)) < FRESH.as_millis()
    }

    /// Whether writes work; `submit` hands the write to a writer when one is needed.
    pub async fn ask(&self, within: Duration, submit: impl FnOnce(Box<dyn FnOnce(ApiResult<()>) + Send>)) -> bool {
        let asking = async {
            let mut asked = self.asked.lock().await;
            if let Some((at, worked)) = *asked
                && at.elapsed() < FRESH
            {
                return worked;
            }
            if self.has_just_worked() {
                return true;
            }
            let (send, receive) = oneshot::channel();
            submit(Box::new(move |outcome| {
                // The caller may have stopped waiting.
                let _ = send.send(outcome.is_ok());
            }));
            let worked = tokio::time::timeout(within, receive).await;
            let worked = worked.is_ok_and(|told| told.unwrap_or(false));
            *asked = Some((Instant::now(), worked));
            worked
        };
        tokio::time::timeout(within, asking).await.unwrap_or(false)
    }
}

/// The write: a mark like those of the writers.
pub fn write() -> Write {
    Write::Run(Box::new(|conn| {
        let upsert = "INSERT INTO writer_marks (writer, batch) VALUES ($1, $2) \
                      ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch";
        let now = crate::clock::now_ms();
        Statement::new(upsert).text("proof").number(now).execute(conn).map(|_| ())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::error::ApiError;

    #[tokio::test]
    async fn one_write_tells_many() {
        let proof = Proof::default();
        assert!(!proof.ask(FRESH, |done| done(Err(ApiError::internal()))).await);
        assert!(!proof.ask(FRESH, |_| panic!("nothing is asked again so soon")).await);
        let proof = Proof::default();
        assert!(proof.ask(FRESH, |done| done(Ok(()))).await);
        assert!(proof.ask(FRESH, |_| panic!("nothing is asked again so soon")).await);
        let proof = Proof::default();
        proof.worked();
        assert!(proof.ask(FRESH, |_| panic!("a commit has just worked")).await);
        assert!(!Proof::default().ask(Duration::from_millis(20), std::mem::forget).await);
    }
}
