//! The task behind an event stream: opens sockets, reads them, and knows where the stream is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::connection::{Connection, Frame};
use super::event::{Event, time_of};
use super::mailbox::{Mailbox, Stir};
use super::reconnect::{End, Next, Reconnect};
use super::resume::{ResumePoint, ResumeStore};
use crate::catchup::CatchupEvent;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::retry;

/// A socket that brought nothing for this long is asked for a sign of life.
const QUIET: Duration = Duration::from_secs(25);
/// A socket that brought nothing for this long is lost.
const DEAD: Duration = Duration::from_secs(75);
/// Catching up begins so much before the newest time that is known: of two conversations the later message may have been
/// told first.
const OVERLAP_MS: i64 = 30_000;
/// A log that no hub has; naming it makes the hub name its own.
const NO_LOG: &str = "0";

/// The task.
pub struct Driver {
    client: Client,
    mailbox: Mailbox,
    store: Option<Arc<dyn ResumeStore>>,
    /// The place behind what was read from sockets; `None` before the first.
    point: Option<ResumePoint>,
    reconnect: Reconnect,
}

/// Why a socket is left.
enum Leave {
    /// The reader is gone.
    Gone,
    /// The socket has ended.
    Ended(End),
}

impl From<End> for Leave {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

type CatchingUp = Pin<Box<dyn Future<Output = Result<Vec<CatchupEvent>>> + Send>>;

/// What belongs to one socket.
struct Visit {
    connection: Connection,
    /// The hub's clock when the socket was asked for, ms.
    asked_at: i64,
    /// Of resumed events, those that are still to come, and the head of the log behind them.
    owed: Option<(i64, i64)>,
    /// The look-up of what was missed.
    catching_up: Option<CatchingUp>,
    /// Where the stream goes on behind what was missed, and since when it was.
    behind: Option<(ResumePoint, i64)>,
    /// What came meanwhile.
    held: Vec<Value>,
    heard: Instant,
    is_pinged: bool,
}

impl Driver {
    pub fn new(client: Client, mailbox: Mailbox, store: Option<Arc<dyn ResumeStore>>) -> Self {
        Self { client, mailbox, store, point: None, reconnect: Reconnect::default() }
    }

    /// Runs until the reader is gone or coming back is of no use.
    pub async fn run(mut self) {
        match self.store.as_ref().map(|store| store.load()).transpose() {
            Ok(point) => self.point = point.flatten(),
            Err(error) => {
                let text = format!("the place in the event stream cannot be read: {error}");
                return self.mailbox.finish(Error::Protocol(text)).await;
            }
        }
        loop {
            let end = match self.visit().await {
                Leave::Gone => return,
                Leave::Ended(end) => end,
            };
            self.mailbox.lost();
            let reason = end.reason();
            match self.reconnect.after(end, rand::random()) {
                Next::Stop(error) => return self.mailbox.finish(error).await,
                Next::Wait(pause) => {
                    log::debug!(reason:% = reason, pause_ms = pause.as_millis(); "the socket is opened again");
                    self.mailbox.push(Event::Disconnected { reason }, None);
                    tokio::select! {
                        () = self.mailbox.attend() => return,
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    /// Opens a socket and stays with it to its end.
    async fn visit(&mut self) -> Leave {
        let opened = tokio::select! {
            () = self.mailbox.attend() => return Leave::Gone,
            opened = open(self.client.clone(), self.point.clone()) => opened,
        };
        let mut visit = match opened {
            Ok(visit) => visit,
            Err(error) => return End::Failed(error).into(),
        };
        match self.stay(&mut visit).await {
            Err(Leave::Gone) => {
                visit.connection.close().await;
                Leave::Gone
            }
            Err(leave) => leave,
            Ok(never) => match never {},
        }
    }

    async fn stay(&mut self, visit: &mut Visit) -> std::result::Result<std::convert::Infallible, Leave> {
        for text in self.mailbox.unanswered() {
            visit.connection.send(text).await?;
        }
        loop {
            let may_read = self.mailbox.has_room(visit.held.len());
            let tick = visit.heard + if visit.is_pinged { DEAD } else { QUIET };
            tokio::select! {
                stir = self.mailbox.stir() => match stir {
                    Stir::Gone => return Err(Leave::Gone),
                    Stir::Send(text) => visit.connection.send(text).await?,
                    Stir::Delivered => {}
                },
                frame = visit.connection.next(), if may_read => {
                    let frame = frame?;
                    (visit.heard, visit.is_pinged) = (Instant::now(), false);
                    if let Frame::Json(frame) = frame {
                        self.take(visit, frame);
                    }
                }
                missed = caught_up(&mut visit.catching_up) => self.caught_up(visit, missed)?,
                () = sleep_until(tick), if may_read => {
                    if visit.is_pinged {
                        return Err(End::Failed(Error::network("the socket brings no sign of life")).into());
                    }
                    visit.is_pinged = true;
                    visit.connection.send(r#"{"type":"ping"}"#.to_owned()).await?;
                }
            }
        }
    }

    /// Deals with a frame.
    fn take(&mut self, visit: &mut Visit, frame: Value) {
        let Some(frame) = self.mailbox.answer(frame) else { return };
        match frame.get("type").and_then(Value::as_str) {
            Some("pong") => {}
            Some("resumed") => self.resumed(visit, &frame),
            _ if visit.behind.is_some() => visit.held.push(frame),
            _ => self.tell(frame, &mut visit.owed),
        }
    }

    /// The hub's word on whether the stream goes on where it was.
    fn resumed(&mut self, visit: &mut Visit, frame: &Value) {
        self.reconnect.opened();
        let number = |key: &str| frame.get(key).and_then(Value::as_i64).unwrap_or_default();
        let is_resumed = frame.get("resumed").and_then(Value::as_bool).unwrap_or(false);
        let epoch = frame.get("epoch").and_then(Value::as_str).unwrap_or_default();
        if is_resumed {
            visit.owed = Some((number("count"), number("seq")));
            self.settle_debt(&mut visit.owed);
            return self.mailbox.push(Event::Connected { resumed: true }, self.point.clone());
        }
        let time = self.point.as_ref().map_or(visit.asked_at, |point| point.time);
        let point = ResumePoint { epoch: epoch.to_owned(), seq: number("seq"), time };
        if self.point.is_none() {
            self.point = Some(point.clone());
            return self.mailbox.push(Event::Connected { resumed: false }, Some(point));
        }
        self.mailbox.push(Event::Connected { resumed: false }, None);
        let since = time.saturating_sub(OVERLAP_MS).max(0);
        let client = self.client.clone();
        visit.catching_up = Some(Box::pin(async move { client.catchup_all(since).await }));
        visit.behind = Some((point, since));
    }

    /// What was missed is known: it is told, then that there was a gap, then what came meanwhile.
    fn caught_up(&mut self, visit: &mut Visit, missed: Result<Vec<CatchupEvent>>) -> std::result::Result<(), End> {
        let missed = match missed {
            Ok(missed) => missed,
            Err(error) if error.api().is_none() || retry::is_transient(&error) => return Err(End::Failed(error)),
            Err(error) => {
                log::warn!(error:% = error; "what was missed cannot be looked up");
                Vec::new()
            }
        };
        for event in missed {
            self.mailbox.push(Event::Catchup(event), None);
        }
        if let Some((point, since)) = visit.behind.take() {
            self.point = Some(point.clone());
            self.mailbox.push(Event::Gap { since }, Some(point));
        }
        for frame in std::mem::take(&mut visit.held) {
            self.tell(frame, &mut visit.owed);
        }
        Ok(())
    }

    /// Tells an event, unless it was told before.
    fn tell(&mut self, frame: Value, owed: &mut Option<(i64, i64)>) {
        let seq = frame.get("seq").and_then(Value::as_i64);
        let epoch = frame.get("epoch").and_then(Value::as_str);
        let (Some(seq), Some(epoch), Some(point)) = (seq, epoch, self.point.as_mut()) else {
            return self.mailbox.push(Event::read(frame), None);
        };
        self.reconnect.settled();
        let is_new = !point.has_seen(epoch, seq);
        if is_new {
            point.advance(epoch, seq, time_of(&frame));
        }
        if let Some((count, _)) = owed {
            *count -= 1;
        }
        self.settle_debt(owed);
        if is_new {
            self.mailbox.push(Event::read(frame), self.point.clone());
        }
    }

    /// Once all resumed events are here, the stream is at the head that the hub named: what lies between was for others.
    fn settle_debt(&mut self, owed: &mut Option<(i64, i64)>) {
        if let (Some((..=0, head)), Some(point)) = (*owed, self.point.as_mut()) {
            point.seq = point.seq.max(head);
            *owed = None;
        }
    }
}

async fn open(client: Client, point: Option<ResumePoint>) -> Result<Visit> {
    let ticket = client.ws_ticket().await?;
    let asked_at = ticket.given_at.and_then(|at| i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok());
    let seq = point.as_ref().map_or(0, |point| point.seq).to_string();
    let epoch = point.as_ref().map_or(NO_LOG, |point| point.epoch.as_str());
    let query = [("ticket", ticket.ticket.as_str()), ("epoch", epoch), ("since_seq", seq.as_str())];
    let connection = Connection::open(&client, &query).await?;
    Ok(Visit {
        connection,
        asked_at: asked_at.unwrap_or_default(),
        owed: None,
        catching_up: None,
        behind: None,
        held: Vec::new(),
        heard: Instant::now(),
        is_pinged: false,
    })
}

/// The result of the look-up, if there is one; it is looked at once.
async fn caught_up(looking: &mut Option<CatchingUp>) -> Result<Vec<CatchupEvent>> {
    match looking.as_mut() {
        Some(future) => {
            let missed = future.await;
            *looking = None;
            missed
        }
        None => std::future::pending().await,
    }
}
