//! The newest events of one organisation.
//!
//! An event's number is its place; an id that clients see is the ring's epoch and that number, so that an id of another
//! ring is recognized. The oldest events leave when there are too many or they take too much room.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use super::frame::{self, Gap};
use super::lens::{Concerned, Lens};
use hxa_domain::ids::BotId;
use hxa_domain::secrets;

/// About what an event takes beside its text.
const OVERHEAD: usize = 200;

/// Texts that several clients read at once and that are therefore kept until the next event.
const BATCHES: usize = 8;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Events.
    pub events: usize,
    /// Bytes.
    pub bytes: usize,
}

/// An event that is to be told.
pub struct News {
    /// Its JSON, on one line.
    pub data: String,
    /// The agent.
    pub agent: BotId,
    /// The agent's name.
    pub agent_id: Arc<str>,
    /// The responders concerned, by the keys of their handles.
    pub responders: Box<[Box<str>]>,
}

struct Entry {
    frame: Bytes,
    concerned: Concerned,
}

impl Entry {
    fn bytes(&self) -> usize {
        let names: usize = self.concerned.responders.iter().map(|name| name.len().saturating_add(16)).sum();
        self.frame.len().saturating_add(names).saturating_add(OVERHEAD)
    }
}

/// What clients with the same lens and place read.
struct Batch {
    lens: Arc<Lens>,
    from: u64,
    text: Bytes,
    next: u64,
}

#[derive(Default)]
struct Held {
    entries: VecDeque<Entry>,
    bytes: usize,
    batches: Vec<Batch>,
    /// When somebody last came.
    touched: Option<Instant>,
}

/// What there is to read from a place on; `next` is the place behind it.
#[derive(Debug, PartialEq, Eq)]
pub enum Reading {
    /// Events.
    Text {
        /// Their frames.
        text: Bytes,
        /// The next place.
        next: u64,
    },
    /// Nothing that the lens shows.
    Nothing {
        /// The next place.
        next: u64,
    },
    /// The place is not remembered any more.
    Lost,
}

/// The ring; see the module.
pub struct Ring {
    epoch: String,
    bounds: Bounds,
    /// The newest number.
    head: AtomicU64,
    held: Mutex<Held>,
}

impl Ring {
    /// Without events.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { epoch: secrets::hex_token("", 12), bounds, head: AtomicU64::new(0), held: Mutex::default() }
    }

    /// The newest number.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// The id of the event before a place.
    #[must_use]
    pub fn id_before(&self, place: u64) -> String {
        format!("{}-{}", self.epoch, place.saturating_sub(1))
    }

    /// Somebody comes.
    pub fn touch(&self) {
        self.held.lock().touched = Some(Instant::now());
    }

    /// For how long nobody has come.
    #[must_use]
    pub fn idle_for(&self, now: Instant) -> Duration {
        self.held.lock().touched.map_or(Duration::MAX, |touched| now.saturating_duration_since(touched))
    }

    /// Adds an event.
    pub fn push(&self, news: News) {
        let News { data, agent, agent_id, responders } = news;
        let mut held = self.held.lock();
        let number = self.head().saturating_add(1);
        let frame = frame::state_change(&format!("{}-{number}", self.epoch), &data);
        let entry = Entry { frame, concerned: Concerned { agent, agent_id, responders } };
        held.bytes = held.bytes.saturating_add(entry.bytes());
        held.entries.push_back(entry);
        held.batches.clear();
        while held.entries.len() > self.bounds.events || held.bytes > self.bounds.bytes.max(entry_floor(&held)) {
            let Some(oldest) = held.entries.pop_front() else { break };
            held.bytes = held.bytes.saturating_sub(oldest.bytes());
        }
        self.head.store(number, Ordering::Release);
    }

    /// Where a client begins: behind the event whose id it names, or with what comes next; and what it has missed then.
    #[must_use]
    pub fn begin(&self, last: Option<&str>) -> (u64, Option<Gap>) {
        let held = self.held.lock();
        let (first, newest) = (self.first(&held), self.head());
        let Some(last) = last else { return (newest.saturating_add(1), None) };
        let number = last.strip_prefix(self.epoch.as_str()).and_then(|rest| rest.strip_prefix('-'));
        let place = number.and_then(|number| number.parse::<u64>().ok()).map(|number| number.saturating_add(1));
        match place {
            Some(place) if place <= newest.saturating_add(1) && place >= first => (place, None),
            Some(place) if place < first => (newest.saturating_add(1), Some(Gap::Old)),
            _ => (newest.saturating_add(1), Some(Gap::Unknown)),
        }
    }

    /// The number of the oldest event, or of the next one.
    fn first(&self, held: &Held) -> u64 {
        let count = u64::try_from(held.entries.len()).unwrap_or(u64::MAX);
        self.head().saturating_add(1).saturating_sub(count)
    }

    /// Whether a place is still remembered.
    #[must_use]
    pub fn remembers(&self, place: u64) -> bool {
        place >= self.first(&self.held.lock())
    }

    /// The first place from here on with something that the lens shows; as an error the place behind all there is.
    ///
    /// # Errors
    /// The place to look from the next time.
    pub fn seek(&self, lens: &Lens, from: u64) -> Result<u64, u64> {
        let held = self.held.lock();
        let newest = self.head();
        if from > newest {
            return Err(from);
        }
        let Some(skipped) = from.checked_sub(self.first(&held)) else {
            // What is lost has to be told.
            return Ok(from);
        };
        let mut places = (from..=newest).zip(held.entries.iter().skip(usize::try_from(skipped).unwrap_or(usize::MAX)));
        let shown = places.find(|(_, entry)| lens.shows(&entry.concerned));
        shown.map_or(Err(newest.saturating_add(1)), |(place, _)| Ok(place))
    }

    /// Reads about `most` bytes from a place on, at least one event.
    #[must_use]
    pub fn read(&self, lens: &Arc<Lens>, from: u64, most: usize) -> Reading {
        let mut held = self.held.lock();
        let newest = self.head();
        if from > newest {
            return Reading::Nothing { next: from };
        }
        let Some(skipped) = from.checked_sub(self.first(&held)) else { return Reading::Lost };
        let is_same = |batch: &&Batch| batch.from == from && (Arc::ptr_eq(&batch.lens, lens) || batch.lens == *lens);
        if let Some(batch) = held.batches.iter().find(is_same) {
            return Reading::Text { text: batch.text.clone(), next: batch.next };
        }
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let (mut frames, mut bytes, mut next) = (Vec::new(), 0_usize, newest.saturating_add(1));
        for (place, entry) in (from..=newest).zip(held.entries.iter().skip(skipped)) {
            if !lens.shows(&entry.concerned) {
                continue;
            }
            if bytes > 0 && bytes.saturating_add(entry.frame.len()) > most {
                next = place;
                break;
            }
            bytes = bytes.saturating_add(entry.frame.len());
            frames.push(&entry.frame);
        }
        let text = match frames.as_slice() {
            [] => return Reading::Nothing { next },
            [one] => (*one).clone(),
            several => joined(several, bytes),
        };
        if held.batches.len() < BATCHES {
            held.batches.push(Batch { lens: lens.clone(), from, text: text.clone(), next });
        }
        Reading::Text { text, next }
    }
}

/// The newest event stays, whatever it takes.
fn entry_floor(held: &Held) -> usize {
    held.entries.back().map_or(0, Entry::bytes)
}

fn joined(frames: &[&Bytes], bytes: usize) -> Bytes {
    let mut text = Vec::with_capacity(bytes);
    frames.iter().for_each(|frame| text.extend_from_slice(frame));
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rights::Reach;

    fn news(agent: BotId, data: &str) -> News {
        News { data: data.to_owned(), agent, agent_id: "ada".into(), responders: ["dora".into()].into() }
    }

    fn lens(reach: Reach) -> Arc<Lens> {
        Arc::new(Lens::new(reach, None, None))
    }

    fn data(reading: &Reading) -> Vec<String> {
        let Reading::Text { text, .. } = reading else { panic!("{reading:?}") };
        let text = std::str::from_utf8(text).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_client_reads_what_its_lens_shows_in_order() {
        let ring = Ring::new(Bounds { events: 100, bytes: 100_000 });
        let (ada, bob) = (BotId::random(), BotId::random());
        for n in 0..10 {
            ring.push(news(if n % 3 == 0 { ada } else { bob }, &n.to_string()));
        }
        let (all, own) = (lens(Reach::All), lens(Reach::Agent(ada)));
        assert_eq!(data(&ring.read(&all, 3, usize::MAX)), ["2", "3", "4", "5", "6", "7", "8", "9"]);
        assert_eq!(data(&ring.read(&own, 2, usize::MAX)), ["3", "6", "9"]);
        assert_eq!(ring.seek(&own, 2), Ok(4));
        assert_eq!(ring.seek(&lens(Reach::Nothing), 2), Err(11));
        assert_eq!(ring.read(&lens(Reach::Nothing), 2, usize::MAX), Reading::Nothing { next: 11 });
        let Reading::Text { text, next } = ring.read(&all, 1, 1) else { panic!() };
        assert!(text.starts_with(format!("id: {}\nevent: state_change\ndata: 0\n\n", ring.id_before(2)).as_bytes()));
        assert_eq!(next, 2, "one event is always read");
    }

    #[test]
    fn clients_with_the_same_lens_and_place_share_the_bytes() {
        let ring = Ring::new(Bounds { events: 100, bytes: 100_000 });
        (0..3).for_each(|n| ring.push(news(BotId::random(), &n.to_string())));
        let read = |lens: &Arc<Lens>| match ring.read(lens, 1, usize::MAX) {
            Reading::Text { text, .. } => text.as_ptr(),
            other => panic!("{other:?}"),
        };
        let all = lens(Reach::All);
        assert_eq!(read(&all), read(&lens(Reach::All)));
        ring.push(news(BotId::random(), "3"));
        assert_eq!(data(&ring.read(&all, 1, usize::MAX)).len(), 4, "what is shared ends with the next event");
    }

    #[test]
    fn a_client_goes_on_where_it_was_or_hears_of_the_gap() {
        let ring = Ring::new(Bounds { events: 3, bytes: 100_000 });
        assert_eq!(ring.begin(None), (1, None));
        assert_eq!(ring.begin(Some(&ring.id_before(1))), (1, None), "the id of the greeting");
        (0..5).for_each(|n| ring.push(news(BotId::random(), &n.to_string())));
        assert_eq!(ring.begin(None), (6, None));
        assert_eq!(ring.begin(Some(&ring.id_before(6))), (6, None));
        assert_eq!(ring.begin(Some(&ring.id_before(3))), (3, None));
        assert_eq!(ring.begin(Some(&ring.id_before(2))), (6, Some(Gap::Old)));
        for other in
            ["", "x", "000000000000-3", &ring.id_before(8), &ring.id_before(3).to_uppercase().replace('-', "+")]
        {
            assert_eq!(ring.begin(Some(other)), (6, Some(Gap::Unknown)), "{other}");
        }
        assert_eq!(ring.read(&lens(Reach::All), 2, usize::MAX), Reading::Lost);
        assert!(ring.remembers(3) && !ring.remembers(2));
    }

    #[test]
    fn bytes_are_bounded_and_the_newest_stays() {
        let ring = Ring::new(Bounds { events: 1000, bytes: 2000 });
        (0..100).for_each(|n| ring.push(news(BotId::random(), &n.to_string())));
        let held = ring.held.lock();
        assert!(held.bytes <= 2000 && held.entries.len() > 3, "{} bytes", held.bytes);
        drop(held);
        ring.push(news(BotId::random(), &"x".repeat(5000)));
        assert_eq!(ring.held.lock().entries.len(), 1);
        assert_eq!(data(&ring.read(&lens(Reach::All), 101, 10)), ["x".repeat(5000)]);
    }
}
