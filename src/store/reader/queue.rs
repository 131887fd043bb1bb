//! Scheduling of reads, so that no organisation keeps the others from the readers.
//!
//! Every organisation with waiting reads has its own queue, and the one with the fewest busy readers is served first;
//! equals take turns. So an organisation may use every reader while no other needs one, and yields the next free reader
//! when another does. This is quick only for short reads. Long ones ([`Weight::Heavy`]: searches, counts of everything)
//! may occupy a quarter of the readers per organisation and half of them together, even while others are idle.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Thread};

use crossbeam_utils::Backoff;
use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;

use hxa_domain::ids::OrgId;

/// Reads that may wait; beyond this the hub is overloaded and says so. A line may hold as many as are still free, so a lone
/// organisation gets half of it: more than 10,000 clients have under way that come back within the same second.
const WAITING: usize = 8192;
/// Heavy reads that may wait in one line: the last of them comes up within the patience of its client.
const HEAVY_WAITING: usize = 8;
/// Lines that are kept although nothing is in them, because most organisations are back at once.
const KEPT: usize = 256;

/// Whose read it is; the hub's own ones have a line too.
pub type Tenant = Option<OrgId>;

/// What a read costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A seek or a page: milliseconds.
    Light,
    /// May look at everything there is.
    Heavy,
}

/// Why a read may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Its line is as long as it may be.
    Line,
    /// The hub is stopping.
    Closed,
}

/// The lines.
#[derive(Debug)]
pub struct Queue<J> {
    lines: Mutex<Lines<J>>,
    /// How often a reader that found nothing might find something now.
    changes: AtomicU64,
}

#[derive(Debug)]
struct Lines<J> {
    lines: HashMap<Tenant, Line<J>>,
    /// Those with something waiting, in order of their turns.
    turns: VecDeque<Tenant>,
    waiting: usize,
    running_heavy: usize,
    most_heavy: usize,
    most_heavy_per_line: usize,
    /// Readers that are looking for a read.
    looking: usize,
    /// Readers that sleep; the last one to have worked, whose caches are warmest, is woken first.
    asleep: Vec<Thread>,
    is_closed: bool,
}

#[derive(Debug)]
struct Line<J> {
    light: VecDeque<J>,
    heavy: VecDeque<J>,
    running: usize,
    running_heavy: usize,
}

impl<J> Default for Line<J> {
    fn default() -> Self {
        Self { light: VecDeque::new(), heavy: VecDeque::new(), running: 0, running_heavy: 0 }
    }
}

impl<J> Line<J> {
    fn waiting(&self) -> usize {
        self.light.len() + self.heavy.len()
    }
}

/// A read that a reader has taken; it holds the reader until it is dropped.
pub struct Taken<'q, J> {
    queue: &'q Queue<J>,
    tenant: Tenant,
    weight: Weight,
    job: Option<J>,
}

impl<J> Taken<'_, J> {
    /// The read, once.
    pub fn job(&mut self) -> Option<J> {
        self.job.take()
    }
}

impl<J> Drop for Taken<'_, J> {
    fn drop(&mut self) {
        self.queue.finished(self.tenant, self.weight);
    }
}

impl<J> Queue<J> {
    /// For so many readers.
    pub fn new(readers: usize) -> Self {
        let lines = Lines {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            running_heavy: 0,
            most_heavy: (readers / 2).max(1),
            most_heavy_per_line: (readers / 4).max(1),
            looking: 0,
            asleep: Vec::new(),
            is_closed: false,
        };
        Self { lines: Mutex::new(lines), changes: AtomicU64::new(0) }
    }

    /// Puts a read at the end of its line.
    ///
    /// # Errors
    /// When the line is full or the hub is stopping.
    pub fn push(&self, tenant: Tenant, weight: Weight, job: J) -> Result<(), Refused> {
        let mut lines = self.lines.lock();
        if lines.is_closed {
            return Err(Refused::Closed);
        }
        let free = WAITING.saturating_sub(lines.waiting);
        let line = lines.lines.entry(tenant).or_default();
        let (was_waiting, heavy) = (line.waiting(), line.heavy.len());
        if was_waiting >= free || (weight == Weight::Heavy && heavy >= HEAVY_WAITING) {
            return Err(Refused::Line);
        }
        match weight {
            Weight::Light => line.light.push_back(job),
            Weight::Heavy => line.heavy.push_back(job),
        }
        lines.waiting += 1;
        self.changes.fetch_add(1, Ordering::Release);
        if was_waiting == 0 {
            lines.turns.push_back(tenant);
        }
        let woken = lines.whom_to_wake();
        drop(lines);
        woken.iter().for_each(Thread::unpark);
        Ok(())
    }

    /// Waits for a read to run; `None` when the hub is stopping and nothing waits any more. For a moment it only lets other
    /// threads go first: under load the next read comes that soon, and a thread that slept would have to be woken for it.
    pub fn next(&self) -> Option<Taken<'_, J>> {
        let patience = Backoff::new();
        let mut lines = self.lines.lock();
        lines.looking += 1;
        loop {
            if let Some((tenant, weight, job)) = lines.take() {
                lines.looking -= 1;
                let woken = if lines.waiting > 0 { lines.whom_to_wake() } else { None };
                drop(lines);
                woken.iter().for_each(Thread::unpark);
                return Some(Taken { queue: self, tenant, weight, job: Some(job) });
            }
            if lines.is_closed && lines.waiting == 0 {
                lines.looking -= 1;
                return None;
            }
            if patience.is_completed() {
                lines.looking -= 1;
                let own = thread::current();
                lines.asleep.push(own.clone());
                drop(lines);
                thread::park();
                lines = self.lines.lock();
                // It may have woken by itself.
                lines.asleep.retain(|asleep| asleep.id() != own.id());
                lines.looking += 1;
                patience.reset();
            } else {
                let seen = self.changes.load(Ordering::Acquire);
                drop(lines);
                while !patience.is_completed() && self.changes.load(Ordering::Acquire) == seen {
                    patience.snooze();
                }
                lines = self.lines.lock();
            }
        }
    }

    /// Reads that wait.
    pub fn waiting(&self) -> usize {
        self.lines.lock().waiting
    }

    /// Takes no further reads; those that wait are still run.
    pub fn close(&self) {
        self.changes.fetch_add(1, Ordering::Release);
        let mut lines = self.lines.lock();
        lines.is_closed = true;
        lines.asleep.iter().for_each(Thread::unpark);
    }

    fn finished(&self, tenant: Tenant, weight: Weight) {
        let mut lines = self.lines.lock();
        let is_heavy = weight == Weight::Heavy;
        if is_heavy {
            lines.running_heavy = lines.running_heavy.saturating_sub(1);
        }
        let many = lines.lines.len() > KEPT;
        let mut is_over = false;
        if let Some(line) = lines.lines.get_mut(&tenant) {
            line.running = line.running.saturating_sub(1);
            line.running_heavy = line.running_heavy.saturating_sub(usize::from(is_heavy));
            is_over = many && line.running == 0 && line.waiting() == 0;
        }
        if is_over {
            lines.lines.remove(&tenant);
        }
        self.changes.fetch_add(u64::from(is_heavy), Ordering::Release);
        // A heavy one that had to wait for this may run now, and a stop may have waited for it.
        if lines.is_closed {
            lines.asleep.iter().for_each(Thread::unpark);
        } else if is_heavy && lines.waiting > 0 {
            lines.whom_to_wake().iter().for_each(Thread::unpark);
        }
    }
}

impl<J> Lines<J> {
    /// The reader to be woken for what has come. None while one is looking: it takes that, and wakes the next for the rest.
    fn whom_to_wake(&mut self) -> Option<Thread> {
        if self.looking == 0 { self.asleep.pop() } else { None }
    }

    /// What of a line may run now.
    fn eligible(&self, tenant: Tenant) -> Option<(usize, Weight)> {
        let line = self.lines.get(&tenant)?;
        if !line.light.is_empty() {
            return Some((line.running, Weight::Light));
        }
        let may = line.running_heavy < self.most_heavy_per_line && self.running_heavy < self.most_heavy;
        (may && !line.heavy.is_empty()).then_some((line.running, Weight::Heavy))
    }

    fn take(&mut self) -> Option<(Tenant, Weight, J)> {
        let mut best: Option<(usize, usize, Weight)> = None;
        for (turn, tenant) in self.turns.iter().enumerate() {
            let Some((running, weight)) = self.eligible(*tenant) else { continue };
            if best.is_none_or(|(_, fewest, _)| running < fewest) {
                best = Some((turn, running, weight));
            }
            if running == 0 {
                break;
            }
        }
        let (turn, _, weight) = best?;
        let tenant = self.turns.remove(turn)?;
        let line = self.lines.get_mut(&tenant)?;
        let job = match weight {
            Weight::Light => line.light.pop_front(),
            Weight::Heavy => line.heavy.pop_front(),
        }?;
        line.running += 1;
        line.running_heavy += usize::from(weight == Weight::Heavy);
        self.running_heavy += usize::from(weight == Weight::Heavy);
        self.waiting -= 1;
        if line.waiting() > 0 {
            self.turns.push_back(tenant);
        }
        Some((tenant, weight, job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn org(n: u128) -> Tenant {
        OrgId::parse(&uuid::Uuid::from_u128(n << 80 | 7 << 76 | 0b10 << 62).to_string())
    }

    /// The jobs that a reader would take now, none of which ends meanwhile.
    fn take_all<'q>(queue: &'q Queue<&'static str>) -> (Vec<Taken<'q, &'static str>>, Vec<&'static str>) {
        let (mut taken, mut jobs) = (Vec::new(), Vec::new());
        loop {
            let Some((tenant, weight, job)) = queue.lines.lock().take() else { return (taken, jobs) };
            jobs.push(job);
            taken.push(Taken { queue, tenant, weight, job: None });
        }
    }

    #[test]
    fn those_who_hold_fewest_readers_come_first() {
        let queue = Queue::new(4);
        let (a, b) = (org(1), org(2));
        for job in ["a1", "a2", "a3"] {
            queue.push(a, Weight::Light, job).unwrap();
        }
        let first = queue.next().unwrap();
        queue.push(b, Weight::Light, "b1").unwrap();
        queue.push(b, Weight::Light, "b2").unwrap();
        let (_taken, jobs) = take_all(&queue);
        assert_eq!(jobs, ["b1", "a2", "b2", "a3"], "b has none, then they take turns");
        drop(first);
    }

    #[test]
    fn heavy_reads_leave_readers_to_the_others() {
        let queue = Queue::new(8);
        for n in 1..=3 {
            for job in ["h1", "h2", "h3"] {
                queue.push(org(n), Weight::Heavy, job).unwrap();
            }
        }
        let (taken, jobs) = take_all(&queue);
        assert_eq!(jobs.len(), 4, "two of a line, four of all");
        queue.push(org(1), Weight::Light, "l").unwrap();
        assert_eq!(take_all(&queue).1, ["l"]);
        drop(taken);
        assert_eq!(take_all(&queue).1.len(), 4);
        assert_eq!(take_all(&queue).1.len(), 1);
        assert_eq!(queue.waiting(), 0);
    }

    #[test]
    fn a_line_is_bounded_and_others_go_on() {
        let queue = Queue::new(1);
        let given = (0..=WAITING).take_while(|_| queue.push(org(1), Weight::Light, "a").is_ok()).count();
        assert_eq!(given, WAITING / 2);
        queue.push(org(2), Weight::Light, "b").unwrap();
        queue.push(None, Weight::Light, "hub").unwrap();
        let heavy = (0..100).take_while(|_| queue.push(org(3), Weight::Heavy, "h").is_ok()).count();
        assert_eq!(heavy, HEAVY_WAITING);
        assert_eq!(queue.push(org(3), Weight::Heavy, "h"), Err(Refused::Line));
    }

    #[test]
    fn what_waits_is_still_run_when_it_closes() {
        let queue = Queue::new(1);
        queue.push(None, Weight::Heavy, "last").unwrap();
        queue.close();
        assert_eq!(queue.push(None, Weight::Light, "late"), Err(Refused::Closed));
        assert_eq!(queue.next().unwrap().job(), Some("last"));
        assert!(queue.next().is_none());
    }
}
