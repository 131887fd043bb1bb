//! A REST caller: one task with one keep-alive connection that posts messages and reads, one request at a time.
//!
//! Messages of one sender in one conversation always go through the same worker, so their order is defined.

mod requests;

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::content::Content;
use crate::error::{LoadError, Result};
use crate::failures::Failure;
use crate::http::{Credential, Http, Reply};
use crate::recorder::Kind;
use crate::run::{Command, Job, Loop, Run};
use crate::stats::Timed;
use hxa_store::clock::now_ms;

/// The most the inbox returns.
const INBOX_PAGE: usize = 100;
/// Pages after which a catchup counts as endless.
const MAX_PAGES: usize = 10_000;

/// A REST task.
pub struct RestWorker {
    run: Arc<Run>,
    http: Http,
    jobs: Vec<Job>,
    next: usize,
    commands: UnboundedReceiver<Command>,
    random: StdRng,
}

#[derive(Deserialize)]
struct Item {
    sender_id: Option<String>,
    created_at: i64,
}

#[derive(Deserialize)]
struct Page {
    events: Vec<CatchupEvent>,
    has_more: bool,
    cursor: Option<String>,
}

#[derive(Deserialize)]
struct CatchupEvent {
    event_id: String,
    occurred_at: i64,
    #[serde(rename = "type")]
    kind: String,
    thread_id: Option<String>,
    count: Option<u32>,
}

#[derive(Deserialize)]
struct Counts {
    thread_invites: u64,
    thread_status_changes: u64,
    thread_activities: u64,
    channel_messages: u64,
    total: u64,
}

impl RestWorker {
    /// A worker that waits for commands.
    pub fn new(run: Arc<Run>, http: Http, jobs: Vec<Job>, commands: UnboundedReceiver<Command>, seed: u64) -> Self {
        Self { run, http, jobs, next: 0, commands, random: StdRng::seed_from_u64(seed) }
    }

    /// Runs until it is told to stop.
    pub async fn run(mut self) {
        loop {
            let is_busy = matches!(self.run.pacing, Loop::Closed(_)) && self.run.is_sending() && !self.jobs.is_empty();
            let command = if is_busy { self.commands.try_recv().ok() } else { self.commands.recv().await };
            match command {
                Some(Command::Stop) => return,
                Some(Command::Execute(job, due)) => self.run_job(job, due).await,
                Some(Command::Wake) => {}
                None if is_busy && self.run.take_from_budget() => self.run_next().await,
                None if is_busy => tokio::task::yield_now().await,
                None => return,
            }
            if self.run.remaining() == Some(0) && is_busy {
                self.jobs.clear();
            }
        }
    }

    async fn run_next(&mut self) {
        let Some(job) = self.jobs.get(self.next).copied() else { return };
        self.next = (self.next + 1) % self.jobs.len();
        let now = self.run.now();
        self.run.operation_started();
        self.run_job(job, now).await;
    }

    /// One job that was counted as begun.
    async fn run_job(&mut self, job: Job, due: u64) {
        let done = match job {
            Job::PostMessage { conversation, slot } => self.post(conversation, slot, due).await,
            Job::Inbox { bot } => self.inbox(bot, due).await,
            Job::Catchup { bot } => self.catchup(bot, due).await,
            Job::CatchupCount { bot } => self.count(bot, due).await,
            Job::History { conversation, slot } => self.history(conversation, slot, due).await,
            Job::Coordinate { bot, .. } => self.coordinate(bot, due).await,
            Job::Ask { bot, .. } => self.ask_and_cancel(bot, due).await,
            Job::Queue { .. } => self.queue(due).await,
            // Socket operations are the work of the socket workers.
            _ => Ok(()),
        };
        if let Err(why) = done {
            self.run.failures.add(Failure::Refused, || format!("{job:?}: {why}"));
        }
        self.run.operation_finished();
    }

    async fn post(&mut self, index: usize, slot: usize, due: u64) -> Result<()> {
        let run = Arc::clone(&self.run);
        let conversation =
            run.recorder.conversations.get(index).ok_or_else(|| LoadError::protocol("no conversation"))?;
        let number = conversation.next_sequence(slot);
        let mut body = String::with_capacity(run.size + 80);
        let peer = conversation.peer(slot).and_then(|bot| run.bots.get(bot)).map_or("", |bot| &bot.id);
        let path = match conversation.kind {
            Kind::Thread => format!("/api/threads/{}/messages", conversation.id().unwrap_or_default()),
            Kind::Direct => "/api/send".to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = match conversation.kind {
            Kind::Thread => body.write_str(r#"{"content":""#),
            Kind::Direct => write!(body, r#"{{"to":"{peer}","content":""#),
        };
        Content::new(index, slot, number, due).write(&mut body, run.size);
        body.push_str(r#""}"#);
        let sender = conversation.members.get(slot).copied().unwrap_or(usize::MAX);
        self.fetch("POST", &path, sender, Some(&body)).await?;
        conversation.ack(slot);
        run.expect_deliveries(conversation.members.len());
        self.timed(Timed::RestSend, due);
        Ok(())
    }

    /// New direct messages since a random moment of the run.
    async fn inbox(&mut self, bot: usize, due: u64) -> Result<()> {
        let now = now_ms();
        let since = self.random.random_range(self.run.data_since.min(now)..=now);
        let reply = self.fetch("GET", &format!("/api/inbox?since={since}"), bot, None).await?;
        self.timed(Timed::Inbox, due);
        let items: Vec<Item> = reply.json()?;
        let own = self.run.bots.get(bot).map(|bot| bot.id.as_str());
        let is_sorted = items.is_sorted_by_key(|item| item.created_at);
        let is_own = items.iter().any(|item| item.sender_id.as_deref() == own);
        let is_old = items.iter().any(|item| item.created_at <= since);
        if !is_sorted || is_own || is_old || items.len() > INBOX_PAGE {
            self.run.failures.add(Failure::Read, || {
                format!("inbox of {} items: sorted {is_sorted}, own {is_own}, old {is_old}", items.len())
            });
        }
        Ok(())
    }

    /// All pages from the beginning; only the first page while others write, because rows move then.
    async fn catchup(&mut self, bot: usize, due: u64) -> Result<()> {
        let (mut start, mut cursor, mut seen) = (due, String::new(), Vec::new());
        for _ in 0..MAX_PAGES {
            let path = format!("/api/me/catchup?since=0&limit=50{cursor}");
            let page: Page = self.fetch("GET", &path, bot, None).await?.json()?;
            self.timed(Timed::Catchup, start);
            seen.extend(page.events);
            match page.cursor {
                Some(next) if page.has_more && self.run.is_static => cursor = format!("&cursor={next}"),
                Some(_) if !page.has_more => return Err(LoadError::protocol("a cursor on the last catchup page")),
                None if page.has_more => return Err(LoadError::protocol("more catchup without a cursor")),
                _ => {
                    self.check_catchup(bot, &seen);
                    return Ok(());
                }
            }
            start = self.run.now();
        }
        Err(LoadError::protocol("catchup does not end"))
    }

    fn check_catchup(&self, bot: usize, seen: &[CatchupEvent]) {
        let failures = &self.run.failures;
        if !seen.is_sorted_by(|a, b| (a.occurred_at, &a.event_id) <= (b.occurred_at, &b.event_id)) {
            failures.add(Failure::Read, || format!("catchup of bot {bot} is not in order"));
        }
        if !self.run.is_static {
            return;
        }
        let ids: HashSet<&str> = seen.iter().map(|event| event.event_id.as_str()).collect();
        if ids.len() != seen.len() {
            failures.add(Failure::Read, || format!("catchup of bot {bot}: {} events, {} ids", seen.len(), ids.len()));
        }
        for conversation in
            self.run.recorder.conversations.iter().filter(|conversation| conversation.kind == Kind::Thread)
        {
            let Some(slot) = conversation.slot(bot) else { continue };
            let due = conversation.acked_total() - conversation.acked(slot);
            let listed = seen.iter().find(|event| {
                event.kind == "thread_message_summary" && event.thread_id.as_deref() == conversation.id()
            });
            let count = listed.map_or(0, |event| event.count.unwrap_or(0));
            if count != due {
                failures.add(Failure::Read, || {
                    format!("catchup of bot {bot}, {:?}: {count} messages, {due} acked", conversation.id())
                });
            }
        }
    }

    async fn count(&mut self, bot: usize, due: u64) -> Result<()> {
        let reply = self.fetch("GET", "/api/me/catchup/count?since=0", bot, None).await?;
        self.timed(Timed::CatchupCount, due);
        let counts: Counts = reply.json()?;
        let threads = counts.thread_invites + counts.thread_status_changes + counts.thread_activities;
        if threads + counts.channel_messages != counts.total {
            self.run.failures.add(Failure::Read, || format!("catchup counts do not add up to {}", counts.total));
        }
        Ok(())
    }

    async fn history(&mut self, index: usize, slot: usize, due: u64) -> Result<()> {
        let conversation = self.run.recorder.conversations.get(index);
        let conversation = conversation.ok_or_else(|| LoadError::protocol("no conversation"))?;
        let reader = conversation.members.get(slot).copied().unwrap_or(usize::MAX);
        let path = format!("/api/threads/{}/messages?limit=50", conversation.id().unwrap_or_default());
        let stored = conversation.acked_total();
        let items: Vec<Item> = self.fetch("GET", &path, reader, None).await?.json()?;
        self.timed(Timed::History, due);
        let wanted = usize::try_from(stored).unwrap_or(usize::MAX).min(50);
        if !items.is_sorted_by_key(|item| item.created_at) || items.len() < wanted || items.len() > 50 {
            self.run.failures.add(Failure::Read, || format!("history of {} items, {wanted} expected", items.len()));
        }
        Ok(())
    }

    async fn fetch(&mut self, method: &str, path: &str, bot: usize, body: Option<&str>) -> Result<Reply> {
        let run = Arc::clone(&self.run);
        let token = run.bots.get(bot).map_or("", |bot| &bot.token);
        self.http.call(method, path, Credential::Token(token), body).await
    }

    fn timed(&self, timed: Timed, due: u64) {
        self.run.stats.record(timed, self.run.now().saturating_sub(due));
    }
}
