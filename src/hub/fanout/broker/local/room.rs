//! Room for frames when an organisation's share is used up: the sockets that are furthest behind are dropped.

use std::sync::Arc;

use super::channel::LocalChannel;
use crate::fanout::outgoing::{Holder, Outgoing};
use crate::fanout::send_queue::{MakeRoom, Offered, SendQueue};

impl MakeRoom for LocalChannel {
    /// Sockets whose peers take nothing are dropped first. For what is one bot's own, no other bot's socket is dropped that is
    /// taking. A socket that still finds no room is dropped too.
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
