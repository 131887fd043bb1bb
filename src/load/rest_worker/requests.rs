//! What a REST caller does with requests to people: asks, answers, reads, withdraws and lists.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use super::RestWorker;
use crate::error::Result;
use crate::failures::Failure;
use crate::http::Credential;
use crate::question::{Question, approval, made_id};
use crate::run::{Loop, Run};
use crate::stats::Timed;

/// States that a request has gone through when it is with its responder; listeners are told each.
const STATES_OF_ASKING: i64 = 3;
/// Events that each listener may be behind before a closed loop waits for it: a tenth of what the hub remembers.
const MOST_BEHIND: u64 = 1000;
/// Rows of a page of a queue.
const QUEUE_PAGE: u64 = 50;

#[derive(Deserialize)]
struct RequestView {
    state: String,
    #[serde(default)]
    responded_by: Option<String>,
}

#[derive(Deserialize)]
struct RequestPage {
    requests: Vec<RequestView>,
    total: u64,
}

impl RestWorker {
    /// Asks, has it answered in the responder's name, reads the answer.
    pub(super) async fn coordinate(&mut self, bot: usize, due: u64) -> Result<()> {
        let id = self.ask(bot, due).await?;
        let (run, start) = (Arc::clone(&self.run), self.run.now());
        let (path, body) = (format!("/v1/requests/{id}"), approval(&run.responder.handle));
        let key = Credential::Token(&run.responder.key);
        self.http.call("POST", &format!("{path}/respond"), key, Some(&body)).await?;
        self.timed(Timed::RequestRespond, start);
        let start = run.now();
        let read: RequestView = self.fetch("GET", &path, bot, None).await?.json()?;
        self.timed(Timed::RequestRead, start);
        self.timed(Timed::Coordination, due);
        if read.state != "DELIVERED" || read.responded_by.as_deref() != Some(&run.responder.handle) {
            run.failures.add(Failure::Read, || format!("{id} is {} by {:?}", read.state, read.responded_by));
        }
        Ok(())
    }

    /// Asks and withdraws, and says how many deliveries that promises.
    pub(super) async fn ask_and_cancel(&mut self, bot: usize, due: u64) -> Result<()> {
        let run = Arc::clone(&self.run);
        let due = if matches!(run.pacing, Loop::Closed(_)) { wait_for_listeners(&run).await } else { due };
        let id = self.ask(bot, due).await?;
        promise(&run, &id, STATES_OF_ASKING);
        let start = run.now();
        self.fetch("DELETE", &format!("/v1/requests/{id}"), bot, None).await?;
        self.timed(Timed::RequestCancel, start);
        promise(&run, &id, 1);
        Ok(())
    }

    async fn ask(&mut self, bot: usize, due: u64) -> Result<String> {
        let run = Arc::clone(&self.run);
        let body = Question::long(&run.responder.handle, run.size).body();
        let reply = self.fetch("POST", "/v1/requests", bot, Some(&body)).await?;
        self.timed(Timed::RequestCreate, due);
        made_id(&reply)
    }

    /// The newest open requests of the responder, by the responder.
    pub(super) async fn queue(&mut self, due: u64) -> Result<()> {
        let run = Arc::clone(&self.run);
        let path =
            format!("/v1/requests?state=PENDING_RESPONSE&responder_id={}&limit={QUEUE_PAGE}", run.responder.handle);
        let reply = self.http.call("GET", &path, Credential::Cookie(&run.responder.cookie), None).await?;
        self.timed(Timed::Queue, due);
        let page: RequestPage = reply.json()?;
        let (count, open) = (page.requests.len(), run.responder.open);
        let is_open = page.requests.iter().all(|request| request.state == "PENDING_RESPONSE");
        if !is_open || page.total != open || u64::try_from(count) != Ok(open.min(QUEUE_PAGE)) {
            run.failures.add(Failure::Read, || {
                format!("a queue of {count} and {} in all, {open} are open; all open: {is_open}", page.total)
            });
        }
        Ok(())
    }
}

/// Waits until no listener is far behind; when that was so.
async fn wait_for_listeners(run: &Run) -> u64 {
    let listeners = u64::try_from(run.recorder.told.listeners()).unwrap_or(u64::MAX);
    while run.backlog().undelivered() > listeners.saturating_mul(MOST_BEHIND) && run.is_sending() {
        sleep(Duration::from_millis(1)).await;
    }
    run.now()
}

/// Every listener is owed these states of a request.
fn promise(run: &Run, id: &str, states: i64) {
    run.recorder.told.acknowledged(id, states);
    run.expect_deliveries(run.recorder.told.listeners() * usize::try_from(states).unwrap_or(0));
}
