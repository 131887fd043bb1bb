//! The task behind an event stream: opens sockets, reads them, and tracks the resume point.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Frame};
use super::event::{Event, time_of};
use super::queues::{Activity, Queues};
use super::reconnect::{Next, Reconnect, reason_of};
use super::resume::{ResumePoint, ResumeStore};
use crate::catchup::CatchupEvent;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::retry;

/// A socket that was silent for this long is pinged.
const QUIET: Duration = Duration::from_secs(25);
/// A socket that was silent for this long is lost.
const DEAD: Duration = Duration::from_secs(75);
/// Catch-up starts this long before the newest known time: events of different conversations may arrive out of the order
/// of their times.
const OVERLAP_MS: i64 = 30_000;
/// An epoch that no hub has; the answer to it contains the epoch of the hub.
const NO_LOG: &str = "0";

/// The task.
pub struct Driver {
    client: Client,
    queues: Queues,
    store: Option<Arc<dyn ResumeStore>>,
    /// The resume point after everything that was read; `None` before the first socket.
    point: Option<ResumePoint>,
    reconnect: Reconnect,
}

/// Why the task leaves a socket.
enum Exit {
    /// The reader was dropped.
    Gone,
    /// The socket has ended, or was not opened.
    Ended(Error),
}

impl From<Error> for Exit {
    fn from(end: Error) -> Self {
        Self::Ended(end)
    }
}

/// The end of a catch-up request.
struct Caught {
    /// The resume point after the gap.
    point: ResumePoint,
    /// The time at which the gap begins, ms.
    since: i64,
    /// The summaries of what was missed.
    missed: Result<Vec<CatchupEvent>>,
}

type CatchingUp = Pin<Box<dyn Future<Output = Caught> + Send>>;

/// The state of one socket.
struct Session {
    connection: Connection,
    /// The hub's clock when the socket was asked for, ms.
    asked_at: i64,
    /// The number of resumed events still to arrive, and the head of the log after them.
    resuming: Option<(i64, i64)>,
    /// The catch-up request, while it runs.
    catching_up: Option<CatchingUp>,
    /// Frames that arrived while catching up.
    held: Vec<Value>,
    heard: Instant,
    is_pinged: bool,
}

impl Driver {
    pub fn new(client: Client, queues: Queues, store: Option<Arc<dyn ResumeStore>>) -> Self {
        Self { client, queues, store, point: None, reconnect: Reconnect::default() }
    }

    /// Runs until the reader is dropped or reconnecting is pointless.
    pub async fn run(mut self) {
        match self.store.as_ref().map(|store| store.load()).transpose() {
            Ok(point) => self.point = point.flatten(),
            Err(error) => {
                let text = format!("the position in the event stream cannot be read: {error}");
                return self.queues.finish(Error::Protocol(text)).await;
            }
        }
        loop {
            let end = match self.session().await {
                Exit::Gone => return,
                Exit::Ended(end) => end,
            };
            self.queues.lost();
            let reason = reason_of(&end);
            match self.reconnect.after(end, rand::random()) {
                Next::Stop(error) => return self.queues.finish(error).await,
                Next::Wait(pause) => {
                    log::debug!(reason:% = reason, pause_ms = pause.as_millis(); "the socket is opened again");
                    self.queues.push(Event::Disconnected { reason }, None);
                    tokio::select! {
                        () = self.queues.serve_offline() => return,
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Opens a socket and serves it to its end.
    async fn session(&mut self) -> Exit {
        let opened = tokio::select! {
            () = self.queues.serve_offline() => return Exit::Gone,
            opened = open(self.client.clone(), self.point.clone()) => opened,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(error) => return error.into(),
        };
        let Err(exit) = self.serve(&mut session).await;
        if matches!(exit, Exit::Gone) {
            session.connection.close().await;
        }
        exit
    }

    async fn serve(&mut self, session: &mut Session) -> std::result::Result<std::convert::Infallible, Exit> {
        for text in self.queues.unanswered() {
            session.connection.send(text).await?;
        }
        loop {
            let may_read = self.queues.has_room(session.held.len());
            let tick = session.heard + if session.is_pinged { DEAD } else { QUIET };
            tokio::select! {
                activity = self.queues.next(true) => match activity {
                    Activity::Gone => return Err(Exit::Gone),
                    Activity::Send(text) => session.connection.send(text).await?,
                    Activity::Delivered => {}
                },
                frame = session.connection.next(), if may_read => {
                    let frame = frame?;
                    (session.heard, session.is_pinged) = (Instant::now(), false);
                    if let Frame::Json(frame) = frame {
                        self.take(session, frame);
                    }
                }
                caught = caught_up(&mut session.catching_up) => self.caught_up(session, caught)?,
                () = sleep_until(tick), if may_read => {
                    if session.is_pinged {
                        return Err(Error::network("the socket does not answer a ping").into());
                    }
                    session.is_pinged = true;
                    session.connection.send(r#"{"type":"ping"}"#.to_owned()).await?;
                }
            }
        }
    }

    /// Handles a frame.
    fn take(&mut self, session: &mut Session, frame: Value) {
        let Some(frame) = self.queues.answer(frame) else { return };
        match frame.get("type").and_then(Value::as_str) {
            Some("pong") => {}
            Some("resumed") => self.resumed(session, &frame),
            _ if session.catching_up.is_some() => session.held.push(frame),
            _ => self.deliver(frame, &mut session.resuming),
        }
    }

    /// Handles the hub's answer to the attempt to resume.
    fn resumed(&mut self, session: &mut Session, frame: &Value) {
        self.reconnect.opened();
        let number = |key: &str| frame.get(key).and_then(Value::as_i64).unwrap_or_default();
        let is_resumed = frame.get("resumed").and_then(Value::as_bool).unwrap_or(false);
        let epoch = frame.get("epoch").and_then(Value::as_str).unwrap_or_default();
        if is_resumed {
            session.resuming = Some((number("count"), number("seq")));
            self.finish_resume(&mut session.resuming);
            return self.queues.push(Event::Connected { resumed: true }, self.point.clone());
        }
        let time = self.point.as_ref().map_or(session.asked_at, |point| point.time);
        let point = ResumePoint { epoch: epoch.to_owned(), seq: number("seq"), time };
        if self.point.is_none() {
            self.point = Some(point.clone());
            return self.queues.push(Event::Connected { resumed: false }, Some(point));
        }
        self.queues.push(Event::Connected { resumed: false }, None);
        let since = time.saturating_sub(OVERLAP_MS).max(0);
        let client = self.client.clone();
        session.catching_up =
            Some(Box::pin(async move { Caught { point, since, missed: client.catchup_all(since).await } }));
    }

    /// Delivers the summaries of what was missed, then the gap, then the frames that arrived meanwhile.
    fn caught_up(&mut self, session: &mut Session, caught: Caught) -> Result<()> {
        let Caught { point, since, missed } = caught;
        let missed = match missed {
            Ok(missed) => missed,
            Err(error) if error.api().is_none() || retry::is_transient(&error) => return Err(error),
            Err(error) => {
                log::warn!(error:% = error; "the catch-up request failed");
                Vec::new()
            }
        };
        for event in missed {
            self.queues.push(Event::Catchup(event), None);
        }
        self.point = Some(point.clone());
        self.queues.push(Event::Gap { since }, Some(point));
        for frame in std::mem::take(&mut session.held) {
            self.deliver(frame, &mut session.resuming);
        }
        Ok(())
    }

    /// Delivers an event, unless it was delivered before.
    fn deliver(&mut self, frame: Value, resuming: &mut Option<(i64, i64)>) {
        let seq = frame.get("seq").and_then(Value::as_i64);
        let epoch = frame.get("epoch").and_then(Value::as_str);
        let (Some(seq), Some(epoch), Some(point)) = (seq, epoch, self.point.as_mut()) else {
            return self.queues.push(Event::read(frame), None);
        };
        self.reconnect.settled();
        let is_new = !point.has_seen(epoch, seq);
        if is_new {
            point.advance(epoch, seq, time_of(&frame));
        }
        if let Some((count, _)) = resuming {
            *count -= 1;
        }
        self.finish_resume(resuming);
        if is_new {
            self.queues.push(Event::read(frame), self.point.clone());
        }
    }

    /// Once all resumed events have arrived, the stream is at the head of the log: the numbers between belong to events for
    /// others.
    fn finish_resume(&mut self, resuming: &mut Option<(i64, i64)>) {
        if let (Some((..=0, head)), Some(point)) = (*resuming, self.point.as_mut()) {
            point.seq = point.seq.max(head);
            *resuming = None;
        }
    }
}

async fn open(client: Client, point: Option<ResumePoint>) -> Result<Session> {
    let ticket = client.ws_ticket().await?;
    let asked_at = ticket.given_at.and_then(|at| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
    let seq = point.as_ref().map_or(0, |point| point.seq).to_string();
    let epoch = point.as_ref().map_or(NO_LOG, |point| point.epoch.as_str());
    let query = [("ticket", ticket.ticket.as_str()), ("epoch", epoch), ("since_seq", seq.as_str())];
    let connection = Connection::open(&client, &query).await?;
    Ok(Session {
        connection,
        asked_at: asked_at.unwrap_or_default(),
        resuming: None,
        catching_up: None,
        held: Vec::new(),
        heard: Instant::now(),
        is_pinged: false,
    })
}

/// The result of the catch-up request, if there is one; taken once.
async fn caught_up(looking: &mut Option<CatchingUp>) -> Caught {
    match looking.as_mut() {
        Some(future) => {
            let caught = future.await;
            *looking = None;
            caught
        }
        None => std::future::pending().await,
    }
}
