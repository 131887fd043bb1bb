//! What became of the requests, read back: how many are open, and when each was answered by its fallback.

use chrono::DateTime;
use serde::Deserialize;

use super::{PER_AGENT, Stage};
use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::http::{Credential, Http};
use crate::stats::Timed;

/// Rows of a page.
const PAGE: u32 = 1000;
/// Who answers when nobody does.
const FALLBACK: &str = "system:auto_reject";

#[derive(Deserialize)]
struct Page {
    requests: Vec<Answered>,
    total: u64,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Answered {
    request_id: String,
    responded_by: Option<String>,
    responded_at: Option<String>,
    timeout_at: String,
}

impl Answered {
    /// How long after its deadline it was answered, ms; negative when that was before.
    fn late_ms(&self) -> Option<i64> {
        let ms = |text: &str| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis());
        Some(ms(self.responded_at.as_deref()?)?.saturating_sub(ms(&self.timeout_at)?))
    }
}

impl Stage<'_> {
    /// Requests of all agents that are still open.
    pub(super) async fn count_open(&self, http: &mut Http) -> Result<u64> {
        let mut open = 0;
        for agent in 0..self.agents() {
            open += self.page(http, agent, "PENDING_RESPONSE", 0, "").await?.total;
        }
        Ok(open)
    }

    async fn page(&self, http: &mut Http, agent: usize, state: &str, limit: u32, cursor: &str) -> Result<Page> {
        let token = Credential::Token(&self.fleet().bot(agent)?.token);
        let path = format!("/v1/requests?state={state}&responder_id={}&limit={limit}{cursor}", self.handle);
        http.call("GET", &path, token, None).await?.json()
    }

    /// Each request has its fallback's answer, from its deadline on.
    pub(super) async fn check_answers(&self) -> Result<()> {
        let mut http = Http::new(self.fleet().target.clone(), 0);
        for agent in 0..self.agents() {
            let wanted = (self.count - agent * PER_AGENT).min(PER_AGENT);
            let (mut answered, mut cursor) = (0, String::new());
            loop {
                let page = self.page(&mut http, agent, "RESPONDED", PAGE, &cursor).await?;
                page.requests.iter().try_for_each(|request| self.check(request))?;
                answered += page.requests.len();
                match page.next_cursor {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            if answered != wanted {
                self.run.failures.add(Failure::Stored, || format!("agent {agent}: {answered} answers of {wanted}"));
            }
        }
        Ok(())
    }

    fn check(&self, request: &Answered) -> Result<()> {
        let id = &request.request_id;
        let late = request.late_ms().ok_or_else(|| LoadError::protocol(format!("the times of {id}")))?;
        if late < 0 || request.responded_by.as_deref() != Some(FALLBACK) {
            let by = &request.responded_by;
            self.run.failures.add(Failure::Stored, || format!("{id}: {by:?} {late} ms after its deadline"));
        }
        self.run.stats.record(Timed::Deadline, u64::try_from(late).unwrap_or(0) * 1000);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_from_the_deadline_on() {
        let answered = |at: Option<&str>| Answered {
            request_id: "r".into(),
            responded_by: None,
            responded_at: at.map(str::to_owned),
            timeout_at: "2026-12-01T00:00:00.500Z".into(),
        };
        assert_eq!(answered(Some("2026-12-01T00:00:01.250Z")).late_ms(), Some(750));
        assert_eq!(answered(Some("2026-12-01T00:00:00.499Z")).late_ms(), Some(-1));
        assert_eq!((answered(None).late_ms(), answered(Some("soon")).late_ms()), (None, None));
    }
}
