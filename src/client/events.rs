//! The event stream: it reconnects whenever its socket is lost, and resumes.

mod connection;
mod driver;
mod event;
mod queues;
mod reconnect;
mod resume;
mod socket;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use event::{BotRef, Event};
pub use resume::{FileStore, ResumePoint, ResumeStore};
pub use socket::{Ack, Socket};

use crate::client::Client;
use crate::error::Result;
use driver::Driver;
use queues::{Item, Queues};

/// The events that the caller may receive, in order, across lost sockets and restarts of the hub.
///
/// It is a [`Stream`] of `Result<Event>`. A task of the tokio runtime keeps the socket; dropping the stream closes it.
/// An `Err` is the last item: reconnecting is pointless (see [`Error::Closed`](crate::Error::Closed)), or the hub refuses
/// tickets. Every other loss is reported as [`Event::Disconnected`] and followed by another attempt.
///
/// **Guarantees.** Events arrive in order and none twice. After a loss the stream resumes at the last event. Where the
/// hub cannot do that (it was restarted, or too much was missed), the stream has an [`Event::Catchup`] for each summary of
/// what happened since, and then [`Event::Gap`]: the reader fetches what the summaries count over REST
/// ([`Client::thread_messages`], [`Client::inbox`]) and ignores ids that it knows.
///
/// **Backpressure.** A slow reader loses nothing: the socket is not read either, until the hub closes it, and is resumed
/// afterwards.
#[derive(Debug)]
pub struct Events {
    items: mpsc::Receiver<Item>,
    socket: Socket,
    store: Option<Arc<dyn ResumeStore>>,
    unsaved: Option<ResumePoint>,
    task: JoinHandle<()>,
}

impl Events {
    /// Sends operations over the same socket.
    #[must_use]
    pub fn socket(&self) -> Socket {
        self.socket.clone()
    }

    /// Saves the resume point of the previous event: its reader has dealt with it, because it asks for the next one.
    fn save(&mut self) {
        let (Some(point), Some(store)) = (self.unsaved.take(), &self.store) else { return };
        if let Err(error) = store.save(&point) {
            log::warn!(error:% = error; "the position in the event stream cannot be saved");
        }
    }
}

impl Stream for Events {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.save();
        let Some(item) = ready!(self.items.poll_recv(context)) else { return Poll::Ready(None) };
        self.unsaved = item.point;
        Poll::Ready(Some(item.event))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // The task notices that the receiver is closed, and closes the socket.
        self.items.close();
        if std::thread::panicking() {
            self.task.abort();
        }
    }
}

impl Client {
    /// Opens a stream of the events from now on. Must be called inside a tokio runtime.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// use futures_util::TryStreamExt;
    /// use hxa_client::Event;
    ///
    /// let mut events = client.events();
    /// while let Some(event) = events.try_next().await? {
    ///     if let Event::Message { message, sender_name, .. } = event {
    ///         println!("{sender_name}: {}", message.content);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn events(&self) -> Events {
        self.open_events(None)
    }

    /// Opens the stream of events where an earlier one stopped, also that of an earlier process. A position is saved when the
    /// next event is asked for, so the last event may be delivered again after a crash.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) {
    /// let events = client.events_from(hxa_client::FileStore::new("/var/lib/bot/events.json"));
    /// # }
    /// ```
    #[must_use]
    pub fn events_from(&self, store: impl ResumeStore + 'static) -> Events {
        self.open_events(Some(Arc::new(store)))
    }

    fn open_events(&self, store: Option<Arc<dyn ResumeStore>>) -> Events {
        let (item_sender, items) = mpsc::channel(1);
        let (operation_sender, operations) = mpsc::channel(64);
        let queues = Queues::new(item_sender, operations);
        let driver = Driver::new(self.clone(), queues, store.clone());
        let socket = Socket::new(operation_sender, self);
        Events { items, socket, store, unsaved: None, task: tokio::spawn(driver.run()) }
    }
}
