//! An organisation's channel: its event log, the directory of its sockets, and deferred changes of bots.
//!
//! Every operation that numbers an event or adds or removes a socket runs under the log's lock. So `seq` is monotonic on
//! every socket, and presence events have the order in which the changes happened. If the bytes queued for the sockets
//! exceed the organisation's share, the sockets that are furthest behind are evicted ([`super::room`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use uuid::Uuid;

use super::ChannelLimits;
use crate::fanout::broker::{Channel, ResumePoint, Resumption, Roster, Selection};
use crate::fanout::directory::Directory;
use crate::fanout::event::{Audience, Event, EventLog};
use crate::fanout::outgoing::{Holder, Outgoing};
use crate::fanout::presence;
use crate::fanout::send_queue::{CloseNotice, MakeRoom, Offered, SendQueue, WakeBatch};
use crate::fanout::waiting::{BotChange, WAKING, Waiting, What};
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::scope::Need;
use hxa_store::metrics::Metrics;

/// The open channels of a broker.
pub type Channels = DashMap<OrgId, Weak<LocalChannel>>;

/// What was published, and what of presence is still to be published: one lock for both.
pub struct Feed {
    /// Numbered events.
    pub log: EventLog,
    waiting: Waiting,
}

/// The channel; see the module.
pub struct LocalChannel {
    org: OrgId,
    pub(super) roster: Arc<dyn Roster>,
    pub(super) directory: RwLock<Directory>,
    pub(super) feed: Mutex<Feed>,
    pub(super) metrics: Arc<Metrics>,
    /// Woken when a change waits.
    waits: Arc<Notify>,
    /// Where it is listed until nobody uses it.
    listed: Arc<Channels>,
    /// Itself, for sockets that need room.
    own: Weak<Self>,
    closings: AtomicU64,
}

impl Drop for LocalChannel {
    fn drop(&mut self) {
        // The organisation may have been opened anew meanwhile.
        self.listed.remove_if(&self.org, |_, channel| channel.strong_count() == 0);
    }
}

/// An event on its way to the whole organisation.
struct Told {
    frame: Outgoing,
    except: Option<BotId>,
    need: Need,
    /// When what it tells of happened.
    at: Instant,
}

impl Told {
    fn is_for(&self, send_queue: &SendQueue) -> bool {
        self.need.is_covered(send_queue.info.scopes)
            && !send_queue.came_after(self.at)
            && (self.except.is_none() || send_queue.info.bot != self.except)
    }
}

impl LocalChannel {
    /// The channel of an organisation, without events and sockets.
    pub fn new(
        org: OrgId,
        roster: Arc<dyn Roster>,
        limits: ChannelLimits,
        metrics: Arc<Metrics>,
        waits: Arc<Notify>,
        listed: Arc<Channels>,
    ) -> Arc<Self> {
        let waiting = Waiting::new(limits.presence_per_second, limits.changes_at_once);
        Arc::new_cyclic(|own| Self {
            org,
            roster,
            directory: RwLock::default(),
            feed: Mutex::new(Feed { log: EventLog::new(limits.log), waiting }),
            metrics,
            waits,
            listed,
            own: own.clone(),
            closings: AtomicU64::new(0),
        })
    }

    /// Publishes a change of a bot at once, or keeps it for later when that would be too much; true when it is published.
    fn note(&self, feed: &mut Feed, change: BotChange) -> bool {
        let sockets = self.directory.read().count();
        let is_calm = feed.waiting.is_calm(&change, sockets);
        if is_calm {
            feed.waiting.pass(&change);
            let now = change.at;
            let cost = self.tell(feed, vec![change]);
            feed.waiting.pay(cost, now);
        } else {
            feed.waiting.add(change);
            self.waits.notify_one();
        }
        is_calm
    }

    /// Publishes some of the changes that wait, unless the sockets have not yet taken what they were sent before. Returns what
    /// that cost, in deliveries.
    pub fn publish_waiting(&self) -> u64 {
        let _batch = WakeBatch::begin();
        let mut feed = self.feed.lock();
        let Some(sockets) = self.directory.read().ready() else {
            return 0;
        };
        let now = Instant::now();
        let changes = feed.waiting.take(sockets, now);
        let cost = self.tell(&mut feed, changes);
        feed.waiting.pay(cost, now);
        drop(feed);
        cost
    }

    /// Changes of bots that wait.
    #[must_use]
    pub fn changes_waiting(&self) -> usize {
        self.feed.lock().waiting.count()
    }

    /// Numbers changes and queues them, oldest first. Returns what it cost, in deliveries.
    fn tell(&self, feed: &mut Feed, changes: Vec<BotChange>) -> u64 {
        if changes.is_empty() {
            return 0;
        }
        let started = Instant::now();
        let (mut pass, mut cost) = (Vec::new(), 0);
        for BotChange { bot, what, at } in changes {
            let event = match what {
                What::Told(event) | What::Gone(event) => event,
                What::Online(is_online) => match self.roster.name(bot) {
                    Some(name) => presence::event(bot, &name, is_online),
                    None => continue,
                },
            };
            self.metrics.event(event.kind);
            let (audience, need) = (event.audience.clone(), event.need);
            let frame = feed.log.append(event);
            if let Audience::Org { except } = audience {
                pass.push(Told { frame, except, need, at });
            } else {
                // What comes before it must be queued before it.
                cost += self.tell_all(&std::mem::take(&mut pass));
                cost += self.hand_out(&frame, &audience, need) * (1 + WAKING);
            }
        }
        cost += self.tell_all(&pass);
        self.metrics.fanned_out(started.elapsed());
        cost
    }

    /// Queues events in one pass over the sockets. Nobody is told of what was so before they came. Returns what it cost.
    fn tell_all(&self, told: &[Told]) -> u64 {
        if told.is_empty() {
            return 0;
        }
        let (mut deliveries, mut woken) = (0, 0);
        let mut crowded = Vec::new();
        let directory = self.directory.read();
        let slow = directory.all().filter(|send_queue| {
            let (before, mut is_slow, mut is_crowded) = (deliveries, false, false);
            for event in told.iter().filter(|event| event.is_for(send_queue)) {
                deliveries += 1;
                let offered = if is_crowded { Offered::NoRoom } else { send_queue.offer(&event.frame) };
                is_slow |= offered == Offered::TooSlow;
                if offered == Offered::NoRoom {
                    is_crowded = true;
                    crowded.push((&event.frame, Arc::clone(send_queue)));
                }
            }
            woken += u64::from(deliveries > before);
            is_slow
        });
        let slow = slow.count();
        drop(directory);
        self.metrics.slow_sockets(u64::try_from(slow).unwrap_or(u64::MAX));
        for (frame, send_queue) in crowded {
            self.make_room(frame, self.holder(), &[send_queue]);
        }
        deliveries + woken * WAKING
    }

    /// Queues an event for everybody who may hear it; returns how many do.
    fn hand_out(&self, frame: &Outgoing, audience: &Audience, need: Need) -> u64 {
        let (mut crowded, mut count) = (Vec::new(), 0);
        let slow = self.directory.read().each(audience, need, |send_queue| {
            count += 1;
            let offered = send_queue.offer(frame);
            if offered == Offered::NoRoom {
                crowded.push(send_queue.clone());
            }
            offered == Offered::TooSlow
        });
        self.metrics.slow_sockets(slow);
        if !crowded.is_empty() {
            self.make_room(frame, self.holder(), &crowded);
        }
        count
    }

    /// As [`Channel::publish`]; true when nothing of it waits.
    fn publish_now(&self, events: impl IntoIterator<Item = Event>) -> bool {
        let _batch = WakeBatch::begin();
        let started = Instant::now();
        let mut feed = self.feed.lock();
        let mut is_published = true;
        for event in events {
            if let Some(bot) = event.subject {
                let is_gone = event.kind == presence::GONE;
                let what = if is_gone { What::Gone(event) } else { What::Told(event) };
                is_published &= self.note(&mut feed, BotChange::now(bot, what));
                continue;
            }
            self.metrics.event(event.kind);
            let (audience, need) = (event.audience.clone(), event.need);
            let frame = feed.log.append(event);
            self.hand_out(&frame, &audience, need);
        }
        drop(feed);
        self.metrics.fanned_out(started.elapsed());
        is_published
    }

    /// In whose name events wait.
    pub(super) fn holder(&self) -> Holder {
        Holder { org: self.org.uuid(), member: self.org.uuid() }
    }
}

impl Channel for LocalChannel {
    fn publish(&self, events: Vec<Event>) {
        self.publish_now(events);
    }

    fn publish_before_closing(&self, bot: BotId, event: Event) {
        let _batch = WakeBatch::begin();
        let (whole, need) = (event.whole(), event.need);
        if !self.publish_now([event]) {
            let sockets = self.local_sockets();
            let own =
                sockets.iter().filter(|socket| socket.info.bot == Some(bot) && need.is_covered(socket.info.scopes));
            let frame = Outgoing::new(whole);
            own.for_each(|socket| socket.push(frame.clone()));
        }
    }

    fn join(&self, socket: &Arc<SendQueue>, resume: Option<&ResumePoint>) {
        let own: Weak<dyn MakeRoom> = self.own.clone();
        socket.set_channel(own);
        let _batch = WakeBatch::begin();
        let mut feed = self.feed.lock();
        if let Some(point) = resume {
            self.queue_missed(&feed.log, socket, point);
        }
        let came = self.directory.write().add(socket);
        if let Some(bot) = came {
            self.note(&mut feed, BotChange::now(bot, What::Online(true)));
        }
    }

    fn part(&self, socket: &Arc<SendQueue>) {
        let _batch = WakeBatch::begin();
        let mut feed = self.feed.lock();
        let went = self.directory.write().remove(socket);
        if let Some(bot) = went {
            self.note(&mut feed, BotChange::now(bot, What::Online(false)));
        }
    }

    fn resume(&self, socket: &SendQueue, point: &ResumePoint) -> Resumption {
        let feed = self.feed.lock();
        let missed = feed.log.missed(&point.epoch, point.since, feed.log.head());
        socket.set_resumed();
        let (epoch, head) = (feed.log.epoch().to_owned(), feed.log.head());
        drop(feed);
        Resumption { missed: self.readable(socket, missed), epoch, head }
    }

    fn subscribe(&self, socket: &Arc<SendQueue>, topic: Uuid) {
        self.directory.write().subscribe(socket, topic);
    }

    fn unsubscribe(&self, socket: &Arc<SendQueue>, topic: Uuid) {
        self.directory.write().unsubscribe(socket, topic);
    }

    fn close(&self, notice: &CloseNotice, which: &Selection) {
        let _batch = WakeBatch::begin();
        let sockets = self.local_sockets();
        sockets.iter().filter(|socket| which.includes(&socket.info)).for_each(|socket| socket.close(notice.clone()));
        self.closings.fetch_add(1, Ordering::Release);
    }

    fn closings(&self) -> u64 {
        self.closings.load(Ordering::Acquire)
    }

    fn is_online(&self, bot: BotId) -> bool {
        self.directory.read().is_online(bot)
    }

    fn socket_count(&self, bot: BotId) -> usize {
        self.directory.read().count_of(bot)
    }

    fn socket_total(&self) -> usize {
        self.directory.read().count()
    }

    fn local_sockets(&self) -> Vec<Arc<SendQueue>> {
        self.directory.read().all().cloned().collect()
    }
}
