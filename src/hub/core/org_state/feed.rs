//! Publishing events to the sockets of an organisation, in order.
//!
//! Every operation that numbers an event or adds or removes a socket runs under the log's lock. If the bytes queued for
//! the sockets exceed the organisation's share, the sockets that are furthest behind are evicted, starting with those
//! that read nothing.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::{Feed, OrgState};
use crate::fanout::event::{Audience, Event, EventLog, Missed};
use crate::fanout::outgoing::{Holder, Outgoing};
use crate::fanout::presence;
use crate::fanout::send_queue::{CloseNotice, MakeRoom, Offered, SendQueue, WakeBatch};
use crate::fanout::waiting::{BotChange, WAKING, What};
use hxa_domain::ids::BotId;
use hxa_domain::scope::Need;

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

impl OrgState {
    // --- sockets ---

    /// Registers a socket and hands `queue_missed` what it missed in one step under the log's lock, so that nothing
    /// published meanwhile falls between the two. The first socket of a bot makes it online, which is told or waits.
    pub fn join(
        &self,
        send_queue: &Arc<SendQueue>,
        resume: Option<(&str, u64)>,
        queue_missed: impl FnOnce(Missed, &EventLog),
    ) {
        let _batch = WakeBatch::begin();
        let mut feed = self.feed.lock();
        if let Some((epoch, since)) = resume {
            queue_missed(feed.log.missed(epoch, since, feed.log.head()), &feed.log);
        }
        let came = self.directory.write().add(send_queue);
        if let Some(bot) = came {
            self.note(&mut feed, BotChange::now(bot, What::Online(true)));
        }
    }

    /// Forgets a socket and its subscriptions. The last one of a bot makes it offline; otherwise as [`Self::join`].
    pub fn part(&self, send_queue: &Arc<SendQueue>) {
        let _batch = WakeBatch::begin();
        let mut feed = self.feed.lock();
        let went = self.directory.write().remove(send_queue);
        if let Some(bot) = went {
            self.note(&mut feed, BotChange::now(bot, What::Online(false)));
        }
    }

    /// Tells a change of a bot at once, or keeps it for later when that would be too much; true when it is told.
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

    /// Tells some of the changes that wait, unless the sockets have not yet taken what they were told before; returns what
    /// that cost.
    pub fn tell_waiting(&self) -> u64 {
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

    /// Changes of bots that wait to be told.
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
                What::Online(is_online) => match self.bot(bot) {
                    Some(bot) => presence::event(bot.id, &bot.row.name, is_online),
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

    /// Lets an admin socket hear the events of a channel or thread. Twice is once.
    pub fn subscribe(&self, send_queue: &Arc<SendQueue>, topic: Uuid) {
        self.directory.write().subscribe(send_queue, topic);
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, send_queue: &Arc<SendQueue>, topic: Uuid) {
        self.directory.write().unsubscribe(send_queue, topic);
    }

    /// True while the bot has a socket opened with a token.
    #[must_use]
    pub fn is_online(&self, bot: BotId) -> bool {
        self.directory.read().is_online(bot)
    }

    /// Live sockets of one bot.
    #[must_use]
    pub fn socket_count(&self, bot: BotId) -> usize {
        self.directory.read().count_of(bot)
    }

    /// Live sockets of all bots and admins together.
    #[must_use]
    pub fn socket_total(&self) -> usize {
        self.directory.read().count()
    }

    /// Every live socket.
    #[must_use]
    pub fn sockets(&self) -> Vec<Arc<SendQueue>> {
        self.directory.read().all().cloned().collect()
    }

    /// Closes the sockets that `chosen` picks; returns how many.
    pub fn close_sockets(&self, notice: &CloseNotice, chosen: impl Fn(&SendQueue) -> bool) -> usize {
        let _batch = WakeBatch::begin();
        let sockets = self.sockets();
        let mut closed = 0;
        for send_queue in sockets.iter().filter(|send_queue| chosen(send_queue)) {
            send_queue.close(notice.clone());
            closed += 1;
        }
        closed
    }

    // --- events ---

    /// Numbers the events and queues them for everybody who may hear them; what the whole organisation is told about a bot
    /// may wait. True when nothing does.
    pub fn deliver(&self, events: impl IntoIterator<Item = Event>) -> bool {
        let _batch = WakeBatch::begin();
        let started = Instant::now();
        let mut feed = self.feed.lock();
        let mut are_told = true;
        for event in events {
            if let Some(bot) = event.subject {
                let is_gone = event.kind == presence::GONE;
                let what = if is_gone { What::Gone(event) } else { What::Told(event) };
                are_told &= self.note(&mut feed, BotChange::now(bot, what));
                continue;
            }
            self.metrics.event(event.kind);
            let (audience, need) = (event.audience.clone(), event.need);
            let frame = feed.log.append(event);
            self.hand_out(&frame, &audience, need);
        }
        drop(feed);
        self.metrics.fanned_out(started.elapsed());
        are_told
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

    /// In whose name events wait.
    fn holder(&self) -> Holder {
        Holder { org: self.id.uuid(), member: self.id.uuid() }
    }

    /// Tells everybody of what happened to a bot whose sockets are about to be closed; the bot itself hears it now, even if
    /// the others have to wait.
    pub fn tell_before_closing(&self, bot: BotId, event: Event) {
        let _batch = WakeBatch::begin();
        let (whole, need) = (event.whole(), event.need);
        if !self.deliver([event]) {
            let sockets = self.sockets();
            let own = sockets
                .iter()
                .filter(|send_queue| send_queue.info.bot == Some(bot) && need.is_covered(send_queue.info.scopes));
            let frame = Outgoing::new(whole);
            own.for_each(|send_queue| send_queue.push(frame.clone()));
        }
    }

    /// The log's epoch and head.
    #[must_use]
    pub fn log_position(&self) -> (String, u64) {
        let feed = self.feed.lock();
        (feed.log.epoch().to_owned(), feed.log.head())
    }
}

impl MakeRoom for OrgState {
    /// Those go first whose peers take nothing. For what is one bot's own, nobody else goes who is taking. Who still finds no
    /// room is given up too.
    fn make_room(&self, frame: &Outgoing, holder: Holder, crowded: &[Arc<SendQueue>]) {
        let is_own = holder.member != holder.org;
        let may_go = |send_queue: &SendQueue, is_moving: bool| {
            !is_own || !is_moving || send_queue.info.bot.is_some_and(|bot| bot.uuid() == holder.member)
        };
        let mut behind: Vec<_> = {
            let directory = self.directory.read();
            let all = directory.all().filter_map(|send_queue| Some((send_queue.behind()?, send_queue.clone())));
            all.filter(|((is_moving, _), send_queue)| may_go(send_queue, *is_moving)).collect()
        };
        behind.sort_by_key(|(behind, _)| *behind);
        let mut behind = behind.into_iter();
        let mut given_up = 0;
        let room = loop {
            let room = crowded.first().and_then(|send_queue| send_queue.room_for(frame, holder));
            if room.is_some() {
                break room;
            }
            let Some((_, send_queue)) = behind.next() else { break None };
            given_up += u64::from(send_queue.give_up());
        };
        for send_queue in crowded {
            if send_queue.offer_as(holder, frame) == Offered::NoRoom {
                given_up += u64::from(send_queue.give_up());
            }
        }
        drop(room);
        self.metrics.crowded_sockets(given_up);
    }
}
