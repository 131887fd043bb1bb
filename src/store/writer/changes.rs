//! When each bot or conversation last changed, as far as this hub's writers know.
//!
//! Caches ask here whether an entry is still valid. Changes are numbered; writers record them once they are in the
//! database, and before any caller is notified. So a reader that takes the newest number before reading, and later
//! finds no change recorded after it, would read the same again.

use std::collections::HashMap;

use parking_lot::Mutex;
use uuid::Uuid;

use super::Write;
use crate::threads::MemberChange;

/// Bots and conversations remembered; more than that count as changed together.
const REMEMBERED: usize = 100_000;

/// What changed when.
#[derive(Default)]
pub struct Changes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    newest: u64,
    /// When something changed that touches more than single bots and conversations.
    everything: u64,
    of: HashMap<Uuid, u64>,
}

impl Changes {
    /// The number of the newest change.
    pub fn newest(&self) -> u64 {
        self.0.lock().newest
    }

    /// Whether none of these bots and conversations changed after a number.
    pub fn none_after(&self, number: u64, subjects: &[Uuid]) -> bool {
        let noted = self.0.lock();
        let is_older = |subject: &Uuid| noted.of.get(subject).is_none_or(|changed| *changed <= number);
        noted.everything <= number && subjects.iter().all(is_older)
    }

    /// Notes writes that are in the database, or may be.
    pub fn note<'a>(&self, writes: impl Iterator<Item = &'a Write>) {
        let mut noted = self.0.lock();
        noted.newest += 1;
        for write in writes {
            noted.touch(write);
        }
        if noted.of.len() > REMEMBERED {
            noted.of.clear();
            noted.everything = noted.newest;
        }
    }
}

impl Noted {
    fn touch(&mut self, write: &Write) {
        match write {
            Write::ThreadMessage(row) => self.one(row.thread_id.uuid()),
            Write::ChannelMessage(row) => self.one(row.channel_id.uuid()),
            Write::Artifact(row) => self.one(row.thread_id.uuid()),
            Write::Catchup(row) => self.one(row.target_bot_id.uuid()),
            Write::ThreadActivity(id, _) => self.one(id.uuid()),
            Write::ChannelActivity(id, _) => self.one(id.uuid()),
            Write::Thread(update) => {
                self.one(update.id.uuid());
                for member in &update.members {
                    match member {
                        MemberChange::Add(row) => self.one(row.bot_id.uuid()),
                        MemberChange::Remove(bot) => self.one(bot.uuid()),
                        MemberChange::Label(..) | MemberChange::Resolve { .. } => {}
                    }
                }
            }
            // Of the audit trail only changes of a thread's status are read, and they change its row too.
            Write::Audit(_) | Write::Payload(_) | Write::Webhook(_) | Write::Receipt(_) => {}
            // A feature's tables are its own.
            Write::Feature(_) => {}
            Write::Run(_) => self.everything = self.newest,
        }
    }

    fn one(&mut self, subject: Uuid) {
        self.of.insert(subject, self.newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::ids::ThreadId;

    fn activity(of: Uuid) -> Write {
        Write::ThreadActivity(ThreadId::from_uuid(of), 1)
    }

    fn thread() -> Uuid {
        Uuid::now_v7()
    }

    #[test]
    fn only_what_changed_counts() {
        let (changes, changed, other) = (Changes::default(), thread(), thread());
        let before = changes.newest();
        changes.note([activity(changed)].iter());
        assert!(changes.none_after(before, &[other]));
        assert!(!changes.none_after(before, &[other, changed]));
        assert!(changes.none_after(changes.newest(), &[changed]));
    }

    #[test]
    fn what_nobody_can_tell_counts_for_everybody() {
        let (changes, other) = (Changes::default(), thread());
        changes.note([Write::Run(Box::new(|_| Ok(())))].iter());
        assert!(!changes.none_after(0, &[other]));
        assert!(changes.none_after(changes.newest(), &[other]));
    }

    #[test]
    fn forgetting_is_a_change() {
        let (changes, other) = (Changes::default(), thread());
        let many: Vec<Write> = (0..=REMEMBERED).map(|_| activity(thread())).collect();
        changes.note(many.iter());
        assert!(!changes.none_after(0, &[other]));
    }
}
