//! Whether a history could have happened on threads that do one thing at a time and forget nothing.
//!
//! Each check is a pure function over a history and one of its threads, takes time linear in their size (times a
//! logarithm), and lists every flaw it finds.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::history::*;

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledged and not there.
    Lost,
    /// Refused and there all the same.
    Refused,
    /// There in one reading and not in the other.
    Unstable,
    /// Stored twice.
    Twice,
    /// Stored or heard, and nobody asked for it.
    Invented,
    /// Somebody saw an order that is not the final one.
    Order,
    /// Answered before another was asked, and yet behind it.
    RealTime,
    /// A read that does not know what was acknowledged before.
    Stale,
    /// Of updates based on one revision not exactly one won.
    Cas,
    /// Versions of an artifact with a gap or a repetition.
    Versions,
    /// Statuses that do not follow each other.
    Status,
    /// An event of something that a later read does not know.
    Uncommitted,
    /// Given, event, page and catching up speak of different things.
    Disagree,
}

#[derive(Debug, Clone)]
pub struct Flaw {
    pub kind: Kind,
    pub what: String,
}

type Flaws = Vec<(Kind, String)>;

/// Every flaw of a history.
pub fn check(history: &History) -> Vec<Flaw> {
    let checks: [fn(&History, usize) -> Flaws; 8] =
        [set, order, real_time, stale, compare_and_set, statuses, commits, agreement];
    let found = |thread: usize| {
        let flaws = checks.iter().flat_map(move |check| check(history, thread));
        flaws.map(move |(kind, what)| Flaw { kind, what: format!("thread {thread}: {what}") })
    };
    (0..history.ends.len()).flat_map(found).collect()
}

fn positions(end: &End) -> HashMap<&str, usize> {
    end.messages.iter().enumerate().map(|(at, message)| (message.id.as_str(), at)).collect()
}

/// (a) What was acknowledged is there once, what was refused is not, what is unknown is one of both and stays so.
fn set(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let [first, second] = &history.ends[thread];
    if first != second {
        flaws.push((Kind::Unstable, "two readings of the end differ".to_owned()));
    }
    let mut stored: HashMap<&str, usize> = HashMap::new();
    for message in &first.messages {
        *stored.entry(&message.content).or_default() += 1;
    }
    let ids: BTreeSet<&str> = first.messages.iter().map(|message| message.id.as_str()).collect();
    if ids.len() < first.messages.len() {
        flaws.push((Kind::Twice, "one id stands for two messages".to_owned()));
    }
    for record in history.of(thread) {
        let Some(content) = record.said() else { continue };
        match (&record.outcome, stored.remove(content).unwrap_or(0)) {
            (_, 2..) => flaws.push((Kind::Twice, format!("`{content}` is stored more than once"))),
            (Outcome::Ok(_), 0) => flaws.push((Kind::Lost, format!("`{content}` was acknowledged"))),
            (Outcome::Refused(code), 1) => flaws.push((Kind::Refused, format!("`{content}` was refused by {code}"))),
            _ => {}
        }
    }
    flaws.extend(stored.keys().map(|content| (Kind::Invented, format!("nobody said `{content}`"))));
    set_of_versions(history, thread, &mut flaws);
    flaws
}

fn set_of_versions(history: &History, thread: usize, flaws: &mut Flaws) {
    let end = &history.ends[thread][0];
    let stored: HashMap<&str, usize> = end.versions.values().flatten().map(|(_, content)| content.as_str()).fold(
        HashMap::new(),
        |mut counts, content| {
            *counts.entry(content).or_default() += 1;
            counts
        },
    );
    for record in history.of(thread) {
        let Action::Version { content, .. } = &record.action else { continue };
        match (&record.outcome, stored.get(content.as_str()).copied().unwrap_or(0)) {
            (_, 2..) => flaws.push((Kind::Twice, format!("version `{content}` is stored more than once"))),
            (Outcome::Ok(_), 0) => flaws.push((Kind::Lost, format!("version `{content}` was acknowledged"))),
            (Outcome::Refused(code), 1) => flaws.push((Kind::Refused, format!("version `{content}`: {code}"))),
            _ => {}
        }
    }
    for (key, versions) in &end.versions {
        let numbers: Vec<i64> = versions.iter().map(|(number, _)| *number).collect();
        if numbers != (1..).take(numbers.len()).collect::<Vec<i64>>() {
            flaws.push((Kind::Versions, format!("{key} has the versions {numbers:?}")));
        }
    }
    let newest = history.of(thread).filter_map(Record::revision).max().unwrap_or(0);
    if end.revision < newest {
        flaws.push((Kind::Lost, format!("revision {newest} was acknowledged, {} is there", end.revision)));
    }
}

/// (b) Every observer and every page has the final order, and numbers never go back.
fn order(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let end = &history.ends[thread][0];
    let position = positions(end);
    let keys: Vec<(i64, &str)> = end.messages.iter().map(|m| (m.created_at, m.id.as_str())).collect();
    if !keys.is_sorted() {
        flaws.push((Kind::Order, "the pages are not in the order of (created_at, id)".to_owned()));
    }
    let mut follows = |who: &str, ids: &[&str]| {
        let known: Vec<usize> = ids.iter().filter_map(|id| position.get(id).copied()).collect();
        if !known.is_sorted_by(|a, b| a < b) {
            flaws.push((Kind::Order, format!("{who} saw messages in another order")));
        }
    };
    for (observer, seen) in history.heard(thread).enumerate() {
        let ids: Vec<&str> = seen.iter().filter_map(|event| message_of(event)).map(|m| m.id.as_str()).collect();
        follows(&format!("observer {observer}"), &ids);
    }
    for record in history.of(thread) {
        if let Outcome::Ok(Given::Messages(page)) = &record.outcome {
            let ids: Vec<&str> = page.iter().map(|message| message.id.as_str()).collect();
            follows(&format!("a page of client {}", record.client), &ids);
        }
    }
    for (observer, seen) in history.heard(thread).enumerate() {
        let mut newest: BTreeMap<&str, i64> = BTreeMap::new();
        for event in seen {
            let numbered = match &event.what {
                What::Thread { revision, .. } => Some(("the revision", *revision)),
                What::Version { key, version, .. } => Some((key.as_str(), *version)),
                What::Message(_) => None,
            };
            for (name, number) in numbered.into_iter().chain([(event.epoch.as_str(), event.seq)]) {
                if newest.insert(name, number).is_some_and(|before| before >= number) {
                    flaws.push((Kind::Order, format!("observer {observer} saw {name} go back to {number}")));
                }
            }
        }
    }
    flaws
}

fn message_of(event: &Seen) -> Option<&Message> {
    match &event.what {
        What::Message(message) => Some(message),
        _ => None,
    }
}

/// (c) What was answered before something else was asked stands before it.
fn real_time(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let position = positions(&history.ends[thread][0]);
    let mut lines: BTreeMap<String, Vec<(usize, &Record)>> = BTreeMap::new();
    for record in history.of(thread) {
        let place = match (&record.outcome, record.version(), record.revision()) {
            (_, Some((key, _, number)), _) => Some((key.to_owned(), usize::try_from(number).unwrap())),
            (_, _, Some(revision)) => Some(("revisions".to_owned(), usize::try_from(revision).unwrap())),
            (Outcome::Ok(Given::Message(id)), ..) => position.get(id.as_str()).map(|at| ("messages".to_owned(), *at)),
            _ => None,
        };
        if let Some((line, at)) = place {
            lines.entry(line).or_default().push((at, record));
        }
    }
    for (line, mut records) in lines {
        records.sort_by_key(|(at, _)| *at);
        let mut asked = 0;
        for (at, record) in records {
            if record.returned < asked {
                flaws.push((
                    Kind::RealTime,
                    format!("{line}: number {at} had been answered before one ahead was asked"),
                ));
            }
            asked = asked.max(record.invoked);
        }
    }
    flaws
}

/// (c) A read knows everything that was acknowledged before it was asked.
fn stale(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    for read in history.of(thread) {
        let before = || history.of(thread).filter(|write| write.returned < read.invoked);
        match &read.outcome {
            Outcome::Ok(Given::Messages(page)) => {
                let ids: BTreeSet<&str> = page.iter().map(|message| message.id.as_str()).collect();
                for write in before() {
                    if let Outcome::Ok(Given::Message(id)) = &write.outcome
                        && !ids.contains(id.as_str())
                    {
                        flaws.push((Kind::Stale, format!("a page without {id}")));
                    }
                }
            }
            Outcome::Ok(Given::Thread { revision, .. }) => {
                let known = before().filter_map(Record::revision).max().unwrap_or(0);
                if *revision < known {
                    flaws.push((Kind::Stale, format!("revision {revision} was read after {known}")));
                }
            }
            _ => {}
        }
    }
    flaws
}

/// (d) Of updates based on one revision at most one wins and makes the next; conflicts are true; versions are unique.
fn compare_and_set(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let (mut winners, mut made, mut numbers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for record in history.of(thread) {
        if let Some(revision) = record.revision()
            && !made.insert(revision)
        {
            flaws.push((Kind::Cas, format!("revision {revision} was made twice")));
        }
        if let Some((key, _, number)) = record.version()
            && !numbers.insert((key, number))
        {
            flaws.push((Kind::Versions, format!("version {number} of {key} was acknowledged twice")));
        }
        let Action::Update { base: Some(base), .. } = record.action else { continue };
        match (&record.outcome, record.revision()) {
            (_, Some(revision)) if revision != base + 1 => {
                flaws.push((Kind::Cas, format!("based on {base}, it made {revision}")));
            }
            (_, Some(_)) if !winners.insert(base) => flaws.push((Kind::Cas, format!("two won on revision {base}"))),
            (Outcome::Refused(code), _) if code == "REVISION_CONFLICT" && history.ends[thread][0].revision == base => {
                flaws.push((Kind::Cas, format!("{base} is the last revision and was refused")));
            }
            _ => {}
        }
    }
    flaws
}

fn may_follow(from: &str, to: &str) -> bool {
    match from {
        "active" => ["blocked", "reviewing", "resolved", "closed"].contains(&to),
        "reviewing" => ["active", "resolved", "closed"].contains(&to),
        _ => to == "active",
    }
}

/// (e) The statuses, revision by revision, are a path through the state machine, the same for everybody.
fn statuses(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let mut path: BTreeMap<i64, &str> = BTreeMap::from([(1, "active")]);
    let heard = history.observers.iter().flatten().filter(|event| event.thread == thread);
    let heard = heard.filter_map(|event| match &event.what {
        What::Thread { revision, status } => Some((*revision, status.as_str())),
        _ => None,
    });
    let answered = history.of(thread).filter_map(|record| match (&record.action, &record.outcome) {
        (Action::Update { status: Some(status), .. }, Outcome::Ok(Given::Revision(revision))) => {
            Some((*revision, status.as_str()))
        }
        (_, Outcome::Ok(Given::Thread { revision, status })) => Some((*revision, status.as_str())),
        _ => None,
    });
    let end = &history.ends[thread][0];
    for (revision, status) in heard.chain(answered).chain([(end.revision, end.status.as_str())]) {
        let known = *path.entry(revision).or_insert(status);
        if known != status {
            flaws.push((Kind::Disagree, format!("revision {revision} is {known} and {status}")));
        }
    }
    let steps: Vec<(i64, &str)> = path.into_iter().collect();
    for pair in steps.windows(2) {
        let [(from_revision, from), (to_revision, to)] = [pair[0], pair[1]];
        if to_revision == from_revision + 1 && from != to && !may_follow(from, to) {
            flaws.push((Kind::Status, format!("{from} became {to} at revision {to_revision}")));
        }
    }
    flaws
}

/// (f) What an event told of is in every later read.
fn commits(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let end = &history.ends[thread][0];
    let mut first_heard: HashMap<&str, u64> = HashMap::new();
    let mut revisions: Vec<(u64, i64)> = Vec::new();
    for event in history.observers.iter().flatten().filter(|event| event.thread == thread) {
        match &event.what {
            What::Message(message) => {
                let at = first_heard.entry(&message.id).or_insert(event.at);
                *at = event.at.min(*at);
            }
            What::Thread { revision, .. } => revisions.push((event.at, *revision)),
            What::Version { key, version, .. } => {
                if !end.versions.get(key).is_some_and(|versions| versions.iter().any(|(number, _)| number == version)) {
                    flaws
                        .push((Kind::Uncommitted, format!("version {version} of {key} was heard of and is not there")));
                }
            }
        }
    }
    let last = |at: u64| revisions.iter().filter(|(heard, _)| *heard < at).map(|(_, revision)| *revision).max();
    let reads = history.of(thread).filter_map(|record| match &record.outcome {
        Outcome::Ok(Given::Messages(page)) => Some((record.invoked, page, None)),
        _ => None,
    });
    for (invoked, page, _) in reads.chain([(u64::MAX, &end.messages, None::<()>)]) {
        let ids: BTreeSet<&str> = page.iter().map(|message| message.id.as_str()).collect();
        for (id, at) in &first_heard {
            if *at < invoked && !ids.contains(id) {
                flaws.push((Kind::Uncommitted, format!("{id} was heard of before a page without it")));
            }
        }
    }
    for record in history.of(thread) {
        if let Outcome::Ok(Given::Thread { revision, .. }) = &record.outcome
            && last(record.invoked).is_some_and(|heard| heard > *revision)
        {
            flaws.push((Kind::Uncommitted, format!("revision {revision} was read after an event of a newer one")));
        }
    }
    if last(u64::MAX).is_some_and(|heard| heard > end.revision) {
        flaws.push((Kind::Uncommitted, "the newest revision that was heard of is not there".to_owned()));
    }
    flaws
}

/// (g) Answers, events, pages and catching up speak of the same things.
fn agreement(history: &History, thread: usize) -> Flaws {
    let mut flaws = Flaws::new();
    let end = &history.ends[thread][0];
    let stored: HashMap<&str, &Message> = end.messages.iter().map(|m| (m.id.as_str(), m)).collect();
    let disagree = |flaws: &mut Flaws, what: String| flaws.push((Kind::Disagree, what));
    for record in history.of(thread) {
        if let (Some(content), Outcome::Ok(Given::Message(id))) = (record.said(), &record.outcome)
            && stored.get(id.as_str()).is_some_and(|message| message.content != content)
        {
            disagree(&mut flaws, format!("{id} was acknowledged for `{content}` and holds something else"));
        }
        if let Some((key, content, number)) = record.version()
            && !has_version(end, key, number, content)
        {
            disagree(&mut flaws, format!("version {number} of {key} was acknowledged for `{content}`"));
        }
    }
    for event in history.observers.iter().flatten().filter(|event| event.thread == thread) {
        let agrees = match &event.what {
            What::Message(message) => stored.get(message.id.as_str()).is_none_or(|stored| *stored == message),
            What::Version { key, version, content } => has_version(end, key, *version, content),
            What::Thread { .. } => true,
        };
        if !agrees {
            disagree(&mut flaws, format!("an event tells something else than is stored: {:?}", event.what));
        }
    }
    if let Some(told) = history.told.get(thread) {
        let is_newest = |(key, number): &(String, i64)| {
            end.versions.get(key).and_then(|versions| versions.last()).is_some_and(|(newest, _)| newest == number)
        };
        let is_true = told.version.as_ref().map_or(end.versions.is_empty(), is_newest);
        if told.messages != i64::try_from(end.messages.len()).unwrap() || !is_true {
            disagree(&mut flaws, format!("catching up tells of {told:?}"));
        }
        let mut status = "active";
        for (from, to) in &told.statuses {
            if from != status || !may_follow(from, to) {
                flaws.push((Kind::Status, format!("catching up goes from {status} by {from} to {to}")));
            }
            status = to;
        }
        if status != end.status {
            disagree(&mut flaws, format!("catching up ends {status}, the thread is {}", end.status));
        }
    }
    flaws
}

fn has_version(end: &End, key: &str, number: i64, content: &str) -> bool {
    let versions = end.versions.get(key).map_or(&[][..], Vec::as_slice);
    versions.iter().any(|(stored, text)| *stored == number && text == content)
}
