//! A listener: one task with one event stream, which checks the number of every event and opens the stream again behind
//! the last one when the hub ends it.

use std::sync::Arc;

use hxa_store::clock::now_ms;
use serde::Deserialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{LoadError, Result};
use crate::event_stream::EventStream;
use crate::failures::Failure;
use crate::run::{Command, Run};
use crate::stats::Timed;
use crate::target::Target;

/// The listener that reads what events say, too.
const WITNESS: usize = 0;

/// A listener; see the module.
pub struct Listener {
    run: Arc<Run>,
    target: Arc<Target>,
    /// Its place among the listeners.
    nth: usize,
    /// Whose changes it hears of.
    bot: usize,
    stream: EventStream,
    commands: UnboundedReceiver<Command>,
    /// The id of the newest event.
    last: String,
}

#[derive(Deserialize)]
struct StateChange<'a> {
    request_id: &'a str,
    at: &'a str,
}

impl Listener {
    /// Opens the stream of a bot and waits for its first event.
    pub async fn open(
        run: Arc<Run>,
        target: Arc<Target>,
        (nth, bot): (usize, usize),
        commands: UnboundedReceiver<Command>,
    ) -> Result<Self> {
        let stream = EventStream::open(&target, nth, token(&run, bot), None).await?;
        let mut listener = Self { run, target, nth, bot, stream, commands, last: String::new() };
        while listener.last.is_empty() {
            listener.begin()?;
            if listener.last.is_empty() && !listener.stream.fill().await? {
                return Err(LoadError::protocol("an event stream ended before its first event"));
            }
        }
        Ok(listener)
    }

    /// The first event says behind which one the stream begins.
    fn begin(&mut self) -> Result<()> {
        let Some(event) = self.stream.next()? else { return Ok(()) };
        if event.kind != "connected" {
            return Err(LoadError::protocol(format!("an event stream begins with {event:?}")));
        }
        self.run.recorder.told.begin(self.nth, event.number()?);
        event.id.clone_into(&mut self.last);
        Ok(())
    }

    /// Runs until it is told to stop; a stream that cannot be opened again is a failure.
    pub async fn run(mut self) {
        if let Err(why) = self.run_loop().await {
            self.run.failures.add(Failure::Closed, || format!("listener {}: {why}", self.nth));
        }
    }

    async fn run_loop(&mut self) -> Result<()> {
        loop {
            self.read_events()?;
            tokio::select! {
                command = self.commands.recv() => {
                    if matches!(command, None | Some(Command::Stop)) {
                        return self.read_events();
                    }
                }
                filled = self.stream.fill() => {
                    if !filled.unwrap_or(false) {
                        self.read_events()?;
                        self.reopen().await?;
                    }
                }
            }
        }
    }

    async fn reopen(&mut self) -> Result<()> {
        let token = token(&self.run, self.bot);
        self.stream = EventStream::open(&self.target, self.nth, token, Some(&self.last)).await?;
        self.run.recorder.told.reopen();
        Ok(())
    }

    /// Checks everything that has arrived.
    fn read_events(&mut self) -> Result<()> {
        let (run, mut heard) = (Arc::clone(&self.run), 0);
        while let Some(event) = self.stream.next()? {
            match event.kind {
                "state_change" => {
                    run.recorder.told.hear(self.nth, event.number()?, &run.failures);
                    if self.nth == WITNESS {
                        witness(&run, event.data)?;
                    } else {
                        heard += 1;
                    }
                }
                "gap" => run.received_many(run.recorder.told.miss(self.nth, event.number()?)),
                // After a stream was opened again: where that went on is in the events that follow.
                "connected" => continue,
                kind => return Err(LoadError::protocol(format!("the event {kind:?}"))),
            }
            event.id.clone_into(&mut self.last);
        }
        if heard > 0 {
            run.received_many(heard);
            run.stats.delivered(heard);
        }
        Ok(())
    }
}

/// Notes which request has changed, and how long ago.
fn witness(run: &Run, data: &str) -> Result<()> {
    let change: StateChange<'_> = serde_json::from_str(data).map_err(|why| LoadError::protocol(why.to_string()))?;
    let at = chrono::DateTime::parse_from_rfc3339(change.at);
    let at = at.map_err(|why| LoadError::protocol(format!("the time {:?}: {why}", change.at)))?;
    let waited = now_ms().saturating_sub(at.timestamp_millis());
    run.recorder.told.witnessed(change.request_id);
    run.received();
    run.stats.record(Timed::Delivery, u64::try_from(waited).unwrap_or(0) * 1000);
    Ok(())
}

fn token(run: &Run, bot: usize) -> &str {
    run.bots.get(bot).map_or("", |bot| &bot.token)
}
