//! The checker is checked: a history without a flaw, and the same with one fault planted into it.

use std::collections::BTreeMap;

use super::check::{Kind, check};
use super::history::*;
use crate::harness::chaos;

fn message(n: usize) -> Message {
    Message { id: format!("m{n}"), content: format!("c{n}"), created_at: 1000 + i64::try_from(n).unwrap() }
}

fn record(at: u64, action: Action, outcome: Outcome) -> Record {
    Record { client: 0, thread: 0, action, invoked: at, returned: at + 5, outcome }
}

fn say(at: u64, n: usize) -> Record {
    record(at, Action::Say(format!("c{n}")), Outcome::Ok(Given::Message(format!("m{n}"))))
}

fn status(at: u64, base: i64, status: &str) -> Record {
    let action = Action::Update { base: Some(base), status: Some(status.to_owned()) };
    record(at, action, Outcome::Ok(Given::Revision(base + 1)))
}

fn version(at: u64, number: i64) -> Record {
    let action = Action::Version { key: "k".to_owned(), content: format!("v{number}") };
    record(at, action, Outcome::Ok(Given::Version(number)))
}

fn seen(at: u64, what: What) -> Seen {
    Seen { at, epoch: "e".to_owned(), seq: i64::try_from(at).unwrap(), thread: 0, what }
}

/// Four messages, two changes of status, three versions, reads between them, and an observer of it all.
fn sound() -> History {
    let thread = |revision, status: &str| What::Thread { revision, status: status.to_owned() };
    let versioned = |number: i64| What::Version { key: "k".to_owned(), version: number, content: format!("v{number}") };
    let page = |to: usize| Outcome::Ok(Given::Messages((0..to).map(message).collect()));
    let records = vec![
        say(10, 0),
        say(20, 1),
        version(22, 1),
        record(30, Action::ReadMessages, page(2)),
        status(40, 1, "reviewing"),
        say(42, 2),
        status(50, 2, "active"),
        record(60, Action::ReadThread, Outcome::Ok(Given::Thread { revision: 3, status: "active".to_owned() })),
        say(62, 3),
        record(64, Action::Say("refused".to_owned()), Outcome::Refused("RATE_LIMITED".to_owned())),
        record(66, Action::Say("unknown".to_owned()), Outcome::Unknown),
        record(
            68,
            Action::Update { base: Some(1), status: Some("closed".to_owned()) },
            Outcome::Refused("REVISION_CONFLICT".to_owned()),
        ),
        version(70, 2),
        version(80, 3),
        record(90, Action::ReadMessages, page(4)),
    ];
    let observer = vec![
        seen(14, What::Message(message(0))),
        seen(24, What::Message(message(1))),
        seen(26, versioned(1)),
        seen(44, thread(2, "reviewing")),
        seen(46, What::Message(message(2))),
        seen(54, thread(3, "active")),
        seen(66, What::Message(message(3))),
        seen(74, versioned(2)),
        seen(84, versioned(3)),
    ];
    let versions = (1..=3).map(|number| (number, format!("v{number}"))).collect();
    let end = End {
        messages: (0..4).map(message).collect(),
        revision: 3,
        status: "active".to_owned(),
        versions: BTreeMap::from([("k".to_owned(), versions)]),
    };
    let step = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let told = Told {
        messages: 4,
        version: Some(("k".to_owned(), 3)),
        statuses: vec![step("active", "reviewing"), step("reviewing", "active")],
    };
    History { records, observers: vec![observer], ends: vec![[end.clone(), end]], told: vec![told] }
}

/// The kinds of flaws found after one change of the sound history.
fn found(plant: impl FnOnce(&mut History)) -> Vec<Kind> {
    let mut history = sound();
    plant(&mut history);
    let mut kinds: Vec<Kind> = check(&history).into_iter().map(|flaw| flaw.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// Changes both readings of the end.
fn end(history: &mut History, change: impl Fn(&mut End)) {
    history.ends[0].iter_mut().for_each(change);
}

#[test]
fn a_sound_history_has_no_flaw() {
    assert_eq!(check(&sound()).iter().map(|flaw| &flaw.what).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn an_unknown_write_may_be_there_or_not() {
    let kinds = found(|history| {
        let late = Message { id: "m9".to_owned(), content: "unknown".to_owned(), created_at: 2000 };
        end(history, |end| end.messages.push(late.clone()));
        history.told[0].messages = 5;
    });
    assert_eq!(kinds, []);
}

/// What is planted, what must be found (other flaws may follow from it), and how it is planted.
type Fault = (&'static str, Kind, fn(&mut History));

const FAULTS: [Fault; 18] = [
    ("a lost write", Kind::Lost, |history| end(history, |end| drop(end.messages.remove(1)))),
    ("a refused write that was stored", Kind::Refused, |history| {
        end(history, |end| {
            let content = "refused".to_owned();
            end.messages.push(Message { id: "m9".to_owned(), content, created_at: 2000 });
        });
    }),
    ("an end that changes", Kind::Unstable, |history| drop(history.ends[0][1].messages.pop())),
    ("a write stored twice", Kind::Twice, |history| {
        end(history, |end| end.messages.push(Message { id: "m9".to_owned(), ..message(3) }));
    }),
    ("a message that nobody sent", Kind::Invented, |history| {
        end(history, |end| end.messages.push(message(9)));
    }),
    ("a swapped order", Kind::Order, |history| {
        history.observers[0][0].what = What::Message(message(1));
        history.observers[0][1].what = What::Message(message(0));
    }),
    ("pages against their own keys", Kind::Order, |history| end(history, |end| end.messages.swap(0, 1))),
    ("an event told twice", Kind::Order, |history| {
        let event = history.observers[0][3].clone();
        history.observers[0].push(event);
    }),
    ("a later write in front of an earlier one", Kind::RealTime, |history| {
        (history.records[0].invoked, history.records[0].returned) = (27, 28);
    }),
    ("a stale page", Kind::Stale, |history| {
        history.records[14].outcome = Outcome::Ok(Given::Messages((0..3).map(message).collect()));
    }),
    ("a stale thread", Kind::Stale, |history| {
        let old = Given::Thread { revision: 2, status: "reviewing".to_owned() };
        history.records[7].outcome = Outcome::Ok(old);
    }),
    ("two winners on one revision", Kind::Cas, |history| history.records.push(status(55, 2, "closed"))),
    ("a conflict that was none", Kind::Cas, |history| {
        history.records[11].action = Action::Update { base: Some(3), status: None };
    }),
    ("a version made twice", Kind::Versions, |history| {
        history.records[13].outcome = Outcome::Ok(Given::Version(2));
    }),
    ("a gap between versions", Kind::Versions, |history| {
        end(history, |end| end.versions.get_mut("k").unwrap()[2].0 = 4);
    }),
    ("an impossible path of statuses", Kind::Status, |history| {
        history.records[4].action = Action::Update { base: Some(1), status: Some("blocked".to_owned()) };
        history.records[6].action = Action::Update { base: Some(2), status: Some("closed".to_owned()) };
        history.records.remove(7);
        history.observers[0].retain(|seen| !matches!(seen.what, What::Thread { .. }));
        end(history, |end| end.status = "closed".to_owned());
    }),
    ("an event before its commit", Kind::Uncommitted, |history| {
        history.observers[0][6].at = 20;
    }),
    ("an event that tells something else", Kind::Disagree, |history| {
        history.observers[0][0].what = What::Message(Message { content: "other".to_owned(), ..message(0) });
    }),
];

#[test]
fn every_planted_fault_is_found() {
    for (name, kind, plant) in FAULTS {
        let kinds = found(plant);
        assert!(kinds.contains(&kind), "{name} was not found to be {kind:?}; found: {kinds:?}");
    }
    chaos::figure("R12", &format!("the checker finds each of {} planted faults", FAULTS.len()));
}

#[test]
fn catching_up_that_tells_less_is_found() {
    assert_eq!(found(|history| history.told[0].messages = 3), [Kind::Disagree]);
    assert_eq!(found(|history| history.told[0].version = Some(("k".to_owned(), 2))), [Kind::Disagree]);
    assert_eq!(found(|history| drop(history.told[0].statuses.remove(0))), [Kind::Status]);
}
