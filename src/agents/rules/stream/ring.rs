//! The newest events of one namespace, for streams that come back.
//!
//! Each namespace has a ring of its own, so that a busy one makes no gaps for others. An id names the process, the event and the
//! namespace; one of another process or namespace leads to a gap, never to wrong events.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use hxa_domain::secrets;

use super::filter::Topic;
use crate::rules::limits;
use crate::rules::names::Namespace;

/// Characters of an epoch and of the tag of a namespace.
const PART: usize = 8;

/// The id of an event: `<epoch>:<seq>:<tag>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventId {
    /// The process.
    pub epoch: Arc<str>,
    /// The number of the event within the namespace, from 1.
    pub seq: u64,
    /// The namespace.
    pub tag: Arc<str>,
}

impl EventId {
    /// Reads an id; only what [`fmt::Display`] writes is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (epoch, seq, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let id = Self { epoch: epoch.into(), seq: seq.parse().ok()?, tag: tag.into() };
        (epoch.len() == PART && tag.len() == PART && id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.epoch, self.seq, self.tag)
    }
}

/// An event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingEvent {
    /// Its number.
    pub seq: u64,
    /// What it is about.
    pub topic: Topic,
    /// Its frame, shared by all streams.
    pub frame: Arc<str>,
}

/// What a stream that comes back gets first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// These events, which may be none: it has missed no others.
    Ok(Vec<RingEvent>),
    /// It has missed events, and fetches everything anew.
    Gap,
}

/// The newest events of a namespace.
#[derive(Debug, Clone)]
pub struct Ring {
    epoch: Arc<str>,
    tag: Arc<str>,
    last: u64,
    bytes: usize,
    events: VecDeque<RingEvent>,
}

/// The epoch of a process: eight characters of a random text.
#[must_use]
pub fn new_epoch() -> String {
    secrets::hex_token("", PART)
}

impl Ring {
    /// An empty ring of a process and a namespace.
    #[must_use]
    pub fn new(epoch: &str, namespace: &Namespace) -> Self {
        // A hash, so that an id does not reveal the name of the namespace.
        let mut tag = secrets::secret_hash(&format!("{epoch}|{namespace}"));
        tag.truncate(PART);
        Self { epoch: epoch.into(), tag: tag.into(), last: 0, bytes: 0, events: VecDeque::new() }
    }

    /// The id of the newest event, which the next frame follows; number 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> EventId {
        EventId { epoch: Arc::clone(&self.epoch), seq: self.last, tag: Arc::clone(&self.tag) }
    }

    /// Adds an event; `frame` makes its frame of its id. The oldest make room for it.
    pub fn push(&mut self, topic: Topic, frame: impl FnOnce(&str) -> String) -> RingEvent {
        self.last = self.last.saturating_add(1);
        let frame: Arc<str> = frame(&self.last_id().to_string()).into();
        let event = RingEvent { seq: self.last, topic, frame };
        self.bytes = self.bytes.saturating_add(event.frame.len());
        self.events.push_back(event.clone());
        while self.events.len() > limits::RING_EVENTS || self.bytes > limits::RING_BYTES {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.frame.len());
        }
        event
    }

    /// What a stream with this last id has missed.
    #[must_use]
    pub fn resume(&self, last_event_id: Option<&str>) -> Resumed {
        let known = last_event_id
            .and_then(EventId::parse)
            .filter(|id| id.epoch == self.epoch && id.tag == self.tag && id.seq <= self.last);
        let Some(id) = known else { return Resumed::Gap };
        let missed = self.last.saturating_sub(id.seq);
        let kept = self.events.iter().filter(|event| event.seq > id.seq).cloned().collect::<Vec<_>>();
        // Numbers have no holes: what is kept is all that was missed, or some of it is gone.
        if u64::try_from(kept.len()) == Ok(missed) { Resumed::Ok(kept) } else { Resumed::Gap }
    }

    /// How many events are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring() -> Ring {
        Ring::new("abcdefgh", &Namespace::default_name())
    }

    fn push(ring: &mut Ring, size: usize) -> RingEvent {
        ring.push(Topic::Everyone, |id| format!("{id}{}", "x".repeat(size)))
    }

    fn missed(resumed: Resumed) -> Vec<u64> {
        match resumed {
            Resumed::Ok(events) => events.iter().map(|event| event.seq).collect(),
            Resumed::Gap => panic!("gap"),
        }
    }

    #[test]
    fn ids_lead_to_what_was_missed() {
        let mut ring = ring();
        let start = ring.last_id().to_string();
        (0..3).for_each(|_| drop(push(&mut ring, 0)));
        let tag = ring.last_id().tag;
        assert_eq!(missed(ring.resume(Some(&start))), [1, 2, 3]);
        assert_eq!(missed(ring.resume(Some(&format!("abcdefgh:2:{tag}")))), [3]);
        assert!(missed(ring.resume(Some(&format!("abcdefgh:3:{tag}")))).is_empty());
        for bad in [
            format!("abcdefgh:4:{tag}"),
            format!("abcdefgh:02:{tag}"),
            format!("abcdefgh:+2:{tag}"),
            format!("abcdefgx:2:{tag}"),
            "abcdefgh:2:00000000".to_owned(),
            format!("abcdefgh:2:{tag}:"),
            String::new(),
        ] {
            assert_eq!(ring.resume(Some(&bad)), Resumed::Gap, "{bad}");
        }
        assert_eq!(ring.resume(None), Resumed::Gap);
        assert_eq!(new_epoch().len(), PART);
    }

    #[test]
    fn namespaces_have_rings_of_their_own() {
        let (mut one, mut other) = (ring(), Ring::new("abcdefgh", &Namespace::parse("bob").unwrap()));
        let id = one.last_id().to_string();
        (0..1_000).for_each(|_| drop(push(&mut other, 10)));
        assert_eq!(other.len(), limits::RING_EVENTS);
        push(&mut one, 0);
        assert_eq!(missed(one.resume(Some(&id))), [1]);
        assert_eq!(other.resume(Some(&id)), Resumed::Gap);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut ring = ring();
        let before = ring.last_id().to_string();
        push(&mut ring, limits::RING_BYTES);
        assert!(ring.is_empty());
        assert_eq!(ring.resume(Some(&before)), Resumed::Gap);
        assert!(missed(ring.resume(Some(&ring.last_id().to_string()))).is_empty());
    }

    proptest! {
        /// A stream either gets all that it missed, in order, or is told of a gap; and the ring stays within its bounds.
        #[test]
        fn a_resume_never_lies(sizes in proptest::collection::vec(0_usize..300_000, 0..40), more in 0_usize..300, at in any::<prop::sample::Index>()) {
            let mut ring = ring();
            let mut ids = vec![ring.last_id().to_string()];
            for size in sizes.into_iter().chain(std::iter::repeat_n(0, more)) {
                push(&mut ring, size);
                ids.push(ring.last_id().to_string());
                prop_assert!(ring.len() <= limits::RING_EVENTS && ring.bytes <= limits::RING_BYTES);
            }
            let index = at.index(ids.len());
            if let Resumed::Ok(events) = ring.resume(Some(&ids[index])) {
                let wanted: Vec<u64> = (index + 1..ids.len()).map(|seq| u64::try_from(seq).unwrap()).collect();
                prop_assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), wanted);
            } else {
                prop_assert!(ids.len() - 1 - index > ring.len());
            }
        }
    }
}
