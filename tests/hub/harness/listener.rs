//! The event stream of the Rust client, as a test reads it: every wait has a deadline.

use futures_util::StreamExt;
use hxa_client::{Client, Error, Event, Events};
use tokio::time::timeout;

use super::DEADLINE;

pub struct Listener(pub Events);

impl Listener {
    /// Opens the stream and waits until its socket is open.
    pub async fn open(client: &Client) -> Self {
        let mut listener = Self(client.events());
        listener.until(|event| matches!(event, Event::Connected { .. })).await;
        listener
    }

    /// The next event, which must come.
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Event> + '_ {
        let caller = std::panic::Location::caller();
        async move {
            let next = timeout(DEADLINE, self.0.next()).await;
            let next = next.unwrap_or_else(|_| panic!("no event (at {caller})"));
            let next = next.unwrap_or_else(|| panic!("the stream has ended (at {caller})"));
            next.unwrap_or_else(|error| panic!("{error} (at {caller})"))
        }
    }

    /// The next event that fits, and those before it.
    #[track_caller]
    pub fn until<'a>(&'a mut self, fits: impl Fn(&Event) -> bool + 'a) -> impl Future<Output = Vec<Event>> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut events = Vec::new();
            let reading = async {
                loop {
                    events.push(self.next().await);
                    if events.last().is_some_and(&fits) {
                        return;
                    }
                }
            };
            let outcome = timeout(DEADLINE, reading).await;
            assert!(outcome.is_ok(), "what is waited for does not come (at {caller}), only {events:?}");
            events
        }
    }

    /// The texts of the direct messages up to the one with this text.
    #[track_caller]
    pub fn messages_until<'a>(&'a mut self, last: &'a str) -> impl Future<Output = Vec<String>> + 'a {
        let waiting = self.until(move |event| Self::direct_text(event) == Some(last));
        async move { waiting.await.iter().filter_map(Self::direct_text).map(str::to_owned).collect() }
    }

    /// Why the stream ends.
    #[track_caller]
    pub fn end(mut self) -> impl Future<Output = Error> {
        let caller = std::panic::Location::caller();
        async move {
            loop {
                match timeout(DEADLINE, self.0.next()).await {
                    Ok(Some(Ok(_))) => {}
                    Ok(Some(Err(error))) => {
                        assert!(self.0.next().await.is_none(), "an error is the last item");
                        return error;
                    }
                    other => panic!("the stream does not end with an error but {other:?} (at {caller})"),
                }
            }
        }
    }

    /// The text of a direct message; `None` for other events.
    pub fn direct_text(event: &Event) -> Option<&str> {
        match event {
            Event::Message { message, .. } => Some(&message.content),
            _ => None,
        }
    }
}
