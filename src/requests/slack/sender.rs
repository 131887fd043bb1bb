//! The task that sends what is in the outbox.
//!
//! It sends one message per turn: requests of one organisation in their order, organisations in turn, a few at a time, and none while
//! Slack has asked for patience. What came of a message is stored before the next one of its request; then the request itself says so.
//! A hub that starts goes on with what is stored. Slack may have a message twice only if the hub was killed, or the answer lost,
//! between Slack's taking it and the commit that says so; Slack knows no key that would prevent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use actix_web::rt;
use tokio::sync::Semaphore;

use super::figures::Figures;
use super::outbox::Outbox;
use super::render::Look;
use super::rows::{self, Fate, Row, Standing, What};
use super::todo::{self, Todo};
use super::turns::Turn;
use crate::actor::{Act, Deed, RequestActors};
use crate::queries;
use crate::recovery::Recovery;
use crate::rules::{Input, Request, RequestId, SlackStatus, Who};
use hxa_domain::error::{ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::{Core, shard};
use hxa_slack::outbox::{After, Policy};
use hxa_slack::{Api, Outcome};
use hxa_store::{DbConnection, DbError, read_consistently};

/// Before it is tried again while the database is away.
const PAUSE: Duration = Duration::from_secs(1);
/// The same, ms.
const PAUSE_MS: i64 = 1_000;
/// The longest sleep: the clock may be set forward, and a machine sleep, without anybody being told.
const LONGEST: Duration = Duration::from_secs(30);

/// The task; see the module.
pub struct Sender {
    core: Core,
    told: Told,
    outbox: Arc<Outbox>,
    api: Api,
    policy: Policy,
    look: Look,
    at_once: usize,
    /// Nothing is sent before this time, ms.
    held_until: AtomicI64,
    figures: Arc<Figures>,
}

/// Who is told what became of messages: the requests, once those that were open at the start are entered.
pub struct Told {
    /// The requests.
    pub actors: Arc<RequestActors>,
    /// What enters them.
    pub recovery: Arc<Recovery>,
}

/// How messages are sent.
pub struct Manner {
    /// How often.
    pub policy: Policy,
    /// What they look like.
    pub look: Look,
    /// How many at a time.
    pub at_once: usize,
}

impl Sender {
    /// Sends what is in this outbox.
    #[must_use]
    pub fn new(
        (core, told): (Core, Told),
        outbox: Arc<Outbox>,
        api: Api,
        manner: Manner,
        figures: Arc<Figures>,
    ) -> Self {
        let Manner { policy, look, at_once } = manner;
        Self { core, told, outbox, api, policy, look, at_once, held_until: AtomicI64::new(i64::MIN), figures }
    }

    /// Sends for as long as the hub runs, beginning with what an earlier life of it left.
    pub async fn run(self: Arc<Self>) {
        while let Err(error) = self.enter_all().await {
            if self.core.is_draining() {
                return;
            }
            log::warn!(error:% = error; "the messages that wait for Slack cannot be read; it is tried again");
            tokio::time::sleep(PAUSE).await;
        }
        let seats = Arc::new(Semaphore::new(self.at_once));
        while let Ok(seat) = seats.clone().acquire_owned().await {
            let Some(turn) = self.next_turn().await else { return };
            let sender = self.clone();
            rt::spawn(async move {
                let until = sender.take_turn(turn).await;
                sender.outbox.done(turn, until);
                drop(seat);
            });
        }
    }

    async fn enter_all(&self) -> ApiResult<()> {
        let mut last: Option<Turn> = None;
        loop {
            let page = self.core.store().read(move |conn| rows::list_open(conn, last.as_ref())).await?;
            let Some(newest) = page.last() else { return Ok(()) };
            last = Some(*newest);
            page.into_iter().for_each(|turn| self.outbox.touch(turn));
        }
    }

    /// Waits for somebody's turn; `None` when the hub stops.
    async fn next_turn(&self) -> Option<Turn> {
        loop {
            if self.core.is_draining() {
                return None;
            }
            let (now, held) = (self.core.now(), self.held_until.load(Ordering::Acquire));
            let turn = (held <= now).then(|| self.outbox.next(now)).flatten();
            if turn.is_some() {
                return turn;
            }
            let wait = self.outbox.due_at().map(|at| at.max(held).saturating_sub(now).max(1));
            let wait = wait.and_then(|ms| u64::try_from(ms).ok()).map_or(LONGEST, Duration::from_millis);
            tokio::select! {
                () = tokio::time::sleep(wait.min(LONGEST)) => {}
                () = self.outbox.rings() => {}
            }
        }
    }

    /// Does the next thing about a request; when there is more to do.
    async fn take_turn(&self, (org, id): Turn) -> Option<i64> {
        match self.proceed((org, id)).await {
            Ok(until) => until,
            Err(error) => {
                log::warn!(org:% = org, request:% = id, error:% = error; "the messages of a request cannot be dealt with; it is tried again");
                Some(self.core.now().saturating_add(PAUSE_MS))
            }
        }
    }

    async fn proceed(&self, (org, id): Turn) -> ApiResult<Option<i64>> {
        // A row that is owed by a change must not meet the request of before it.
        let find = move |conn: &mut DbConnection| {
            read_consistently(conn, |conn| Ok((queries::find(conn, id)?, rows::list(conn, id)?)))
        };
        let (Some(kept), rows) = self.core.store().read_for(org, find).await? else { return Ok(None) };
        let at_once = Ok(Some(i64::MIN));
        match todo::next(&kept.request, &rows, self.core.now()) {
            Todo::Nothing => Ok(None),
            Todo::Wait(at) => Ok(Some(at)),
            Todo::Drop(seqs) => {
                self.write(org, move |conn| rows::delete(conn, id, &seqs)).await?;
                at_once
            }
            Todo::Tell(row) => {
                self.tell(&kept.request, row).await?;
                at_once
            }
            Todo::Send(row) => self.send(&kept.request, &row, &rows).await,
        }
    }

    /// Sends a message and stores what came of it.
    async fn send(&self, request: &Request, row: &Row, rows: &[Row]) -> ApiResult<Option<i64>> {
        let message = self.look.message(request, row, rows);
        let asking = rows.iter().find(|other| Some(other.seq) == row.of_seq);
        let outcome = match (row.of_seq, asking.and_then(Row::place), request.slack_channel()) {
            (Some(_), Some(place), _) => self.api.update(&place, &message).await,
            (None, _, Some(channel)) => self.api.post_message(channel, &message).await,
            _ => Outcome::Permanent { code: "no_channel".to_owned() },
        };
        let after = self.policy.after(&row.entry(), outcome, self.core.now());
        let (result, until, fate) = self.judge(row, after);
        self.figures.called(result);
        self.settle(request, row, fate).await;
        Ok(Some(until))
    }

    /// What an attempt came to, when the request's next turn is, and what is stored.
    fn judge(&self, row: &Row, after: After) -> (&'static str, i64, Fate) {
        match after {
            After::Sent(place) => ("sent", i64::MIN, Fate::Posted(place)),
            After::Retry { at, failures } => {
                let at = with_jitter(at, self.core.now());
                ("retry", at, Fate::Again(at, failures))
            }
            After::Hold { until } => {
                self.held_until.fetch_max(until, Ordering::AcqRel);
                ("limited", until, Fate::Again(until, row.entry().failures))
            }
            After::GiveUp { code } => ("gave_up", i64::MIN, Fate::Failed(code)),
        }
    }

    /// Stores what came of an attempt. Until that is durable the message is not sent again.
    async fn settle(&self, request: &Request, row: &Row, fate: Fate) {
        let (id, org, seq) = (request.id, request.org, row.seq);
        let (is_asking, has_ended) = (row.what == What::Ask, !request.state.is_open());
        if let (false, Fate::Failed(code)) = (is_asking, &fate) {
            log::warn!(org:% = org, request:% = id, error = code.as_str(); "a message in Slack could not be changed; it stays as it is");
        }
        loop {
            let fate = fate.clone();
            let store = move |conn: &mut DbConnection| store_fate(conn, (id, seq), (is_asking, has_ended), &fate);
            match self.write(org, store).await {
                Ok(()) => return,
                Err(_) if self.core.is_draining() => return,
                Err(error) => {
                    log::warn!(org:% = org, request:% = id, error:% = error; "what became of a message cannot be stored; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Has the request say what became of its message.
    async fn tell(&self, request: &Request, row: Row) -> ApiResult<()> {
        let (id, org, seq) = (request.id, request.org, row.seq);
        let Row { standing, ts, error, .. } = row;
        let (ts, error) = (ts.unwrap_or_default(), error.unwrap_or_default());
        let slack = request.slack.as_deref();
        let (is_told, input) = if standing == Standing::Posted {
            let is_told =
                slack.is_some_and(|known| known.status == SlackStatus::Sent && known.message_ts.as_ref() == Some(&ts));
            (is_told, Input::SlackSent { message_ts: ts })
        } else {
            let is_told =
                slack.is_some_and(|known| known.status == SlackStatus::Failed && known.error.as_ref() == Some(&error));
            (is_told, Input::SlackFailed { error })
        };
        if !is_told && let Some(org) = self.core.org(org).await? {
            self.told.recovery.ready().await?;
            let act = Act { who: Who::System, deed: Deed::Channel(input), known: None };
            match self.told.actors.ask(id, Caller::Hub(org), act).await {
                // It is gone, or never had a channel.
                Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidTransition) => {}
                outcome => drop(outcome?),
            }
        }
        match standing {
            Standing::Posted => self.write(org, move |conn| rows::mark_sent(conn, id, seq)).await,
            _ => self.write(org, move |conn| rows::delete(conn, id, &[seq])).await,
        }
    }

    async fn write<F>(&self, org: OrgId, change: F) -> ApiResult<()>
    where
        F: Fn(&mut DbConnection) -> Result<(), DbError> + Send + 'static,
    {
        self.core.store().write(shard(org.uuid()), change).await
    }
}

/// What an attempt leaves in the database.
fn store_fate(
    conn: &mut DbConnection,
    (id, seq): (RequestId, i64),
    (is_asking, has_ended): (bool, bool),
    fate: &Fate,
) -> Result<(), DbError> {
    match fate {
        // What took the place of another message is done with, whether Slack has it or not.
        Fate::Posted(_) | Fate::Failed(_) if !is_asking => rows::delete(conn, id, &[seq]),
        Fate::Posted(_) => {
            rows::settle(conn, id, seq, fate)?;
            // It says already how the request has ended.
            if has_ended { rows::delete_updates(conn, id, seq) } else { Ok(()) }
        }
        Fate::Again(..) | Fate::Failed(_) => rows::settle(conn, id, seq, fate),
    }
}

/// A time up to a quarter of the wait later, so that what failed together is not tried again together.
fn with_jitter(at: i64, now: i64) -> i64 {
    let quarter = at.saturating_sub(now).max(0) / 4;
    at.saturating_add(rand::random_range(0..=quarter))
}
