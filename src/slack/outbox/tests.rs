//! Tests of the rules of sending.

use proptest::prelude::*;

use super::*;
use crate::api::Trouble;

const NOW: i64 = 1_700_000_000_000;
const POLICY: Policy = Policy::DEFAULT;

fn post(id: i64, status: Status) -> Entry {
    Entry { id, kind: Kind::Post, status, due_at: NOW, queued_at: NOW, failures: 0 }
}

fn update(id: i64, of: i64, status: Status) -> Entry {
    Entry { kind: Kind::Update { of }, ..post(id, status) }
}

fn temporary() -> Outcome {
    Outcome::Temporary { why: Trouble::Status(503) }
}

fn limited(seconds: u64) -> Outcome {
    Outcome::RateLimited { retry_after: Duration::from_secs(seconds) }
}

#[test]
fn a_post_is_before_its_update() {
    let entries = [update(2, 1, Status::Waiting), post(1, Status::Waiting)];
    assert_eq!(plan(&entries, NOW), Plan { next: Next::Send(1), pointless: Vec::new() });
    let entries = [update(2, 1, Status::Waiting), post(1, Status::Sent)];
    assert_eq!(plan(&entries, NOW).next, Next::Send(2));
    let entries = [update(2, 1, Status::Sent), post(1, Status::Sent)];
    assert_eq!(plan(&entries, NOW), Plan { next: Next::Nothing, pointless: Vec::new() });
    assert_eq!(plan(&[], NOW).next, Next::Nothing);
}

#[test]
fn an_update_waits_for_the_next_attempt_of_its_post() {
    let late = Entry { due_at: NOW + 5000, ..post(1, Status::Waiting) };
    let entries = [late, update(2, 1, Status::Waiting)];
    assert_eq!(plan(&entries, NOW).next, Next::WaitUntil(NOW + 5000));
    assert_eq!(plan(&entries, NOW + 5000).next, Next::Send(1));
}

#[test]
fn updates_become_pointless() {
    let waiting = |id| update(id, 1, Status::Waiting);
    let entries = [post(1, Status::GivenUp), waiting(2), waiting(3)];
    assert_eq!(plan(&entries, NOW), Plan { next: Next::Nothing, pointless: vec![2, 3] });
    let entries = [post(1, Status::Sent), waiting(2), waiting(3)];
    assert_eq!(plan(&entries, NOW), Plan { next: Next::Send(3), pointless: vec![2] });
    assert_eq!(plan(&[waiting(2)], NOW), Plan { next: Next::Nothing, pointless: vec![2] }, "its post is not there");
    let of_itself = update(2, 2, Status::Waiting);
    assert_eq!(plan(&[of_itself], NOW).pointless, [2]);
}

#[test]
fn the_update_of_one_post_does_not_replace_that_of_another() {
    let entries =
        [post(1, Status::Sent), post(2, Status::Waiting), update(3, 1, Status::Waiting), update(4, 2, Status::Waiting)];
    assert_eq!(plan(&entries, NOW), Plan { next: Next::Send(2), pointless: Vec::new() });
}

#[test]
fn waits_double_up_to_a_bound() {
    let waits: Vec<i64> = (0..12).map(|failures| POLICY.backoff_ms(failures) / 1000).collect();
    assert_eq!(waits, [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(POLICY.backoff_ms(u32::MAX), POLICY.longest_ms);
    let none = Policy { first_ms: 0, ..POLICY };
    assert_eq!(none.backoff_ms(3), 1, "never a loop without a pause");
}

#[test]
fn faults_are_counted_and_lead_to_an_end() {
    let tried = |failures| POLICY.after(&Entry { failures, ..post(1, Status::Waiting) }, temporary(), NOW);
    assert_eq!(tried(0), After::Retry { at: NOW + 1000, failures: 1 });
    assert_eq!(tried(2), After::Retry { at: NOW + 4000, failures: 3 });
    assert_eq!(tried(10), After::Retry { at: NOW + 300_000, failures: 11 });
    assert_eq!(tried(11), After::GiveUp { code: "http_503".into() });
    assert_eq!(tried(u32::MAX), After::GiveUp { code: "http_503".into() });
}

#[test]
fn slack_is_given_the_time_it_asks_for() {
    let entry = Entry { failures: 11, ..post(1, Status::Waiting) };
    assert_eq!(POLICY.after(&entry, limited(30), NOW), After::Hold { until: NOW + 30_000 });
    assert_eq!(POLICY.after(&entry, limited(0), NOW), After::Hold { until: NOW + 1_000 });
    let day = POLICY.lifetime_ms;
    assert_eq!(POLICY.after(&entry, limited(30), NOW + day - 30_000), After::Hold { until: NOW + day });
    assert_eq!(POLICY.after(&entry, limited(30), NOW + day), After::GiveUp { code: "ratelimited".into() });
    assert_eq!(POLICY.after(&entry, limited(u64::MAX), NOW), After::GiveUp { code: "ratelimited".into() });
}

#[test]
fn success_and_refusal_end_it() {
    let entry = post(1, Status::Waiting);
    let posted = Posted { channel: "C1".into(), ts: "1.2".into() };
    assert_eq!(POLICY.after(&entry, Outcome::Sent(posted.clone()), NOW), After::Sent(posted));
    let refusal = Outcome::Permanent { code: "channel_not_found".into() };
    assert_eq!(POLICY.after(&entry, refusal, NOW), After::GiveUp { code: "channel_not_found".into() });
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        2 => Just(Outcome::Sent(Posted { channel: "C".into(), ts: "1".into() })),
        5 => Just(temporary()),
        // Less would end as well, after a day of attempts every second.
        3 => (60..5000_u64).prop_map(limited),
        1 => Just(Outcome::Permanent { code: "invalid_auth".into() }),
    ]
}

/// A post, and each further one followed by updates of any before it.
fn lists() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..7).prop_map(|kinds| {
        let mut entries: Vec<Entry> = Vec::new();
        for (id, (is_post, of)) in (1..).zip(kinds) {
            let posts: Vec<i64> = entries.iter().filter(|e| e.kind == Kind::Post).map(|e| e.id).collect();
            let is_post = is_post || posts.is_empty();
            entries.push(if is_post {
                post(id, Status::Waiting)
            } else {
                update(id, *of.get(&posts), Status::Waiting)
            });
        }
        entries
    })
}

/// Does what the rules say to the end; the entries in the order in which Slack got them.
fn run(entries: &mut Vec<Entry>, outcomes: &[Outcome]) -> Vec<i64> {
    let (mut now, mut sent) = (NOW, Vec::new());
    for outcome in outcomes.iter().cycle().take(3000) {
        let plan = plan(entries, now);
        entries.retain(|entry| !plan.pointless.contains(&entry.id));
        let id = match plan.next {
            Next::Nothing => return sent,
            Next::WaitUntil(at) => {
                assert!(at > now);
                now = at;
                continue;
            }
            Next::Send(id) => id,
        };
        let entry = entries.iter_mut().find(|entry| entry.id == id).unwrap();
        assert!(entry.status == Status::Waiting && entry.due_at <= now);
        match POLICY.after(entry, outcome.clone(), now) {
            After::Sent(_) => {
                entry.status = Status::Sent;
                sent.push(id);
            }
            After::Retry { at, failures } => {
                assert!(at > now && failures > entry.failures);
                (entry.due_at, entry.failures) = (at, failures);
            }
            After::Hold { until } => {
                assert!(until > now);
                entry.due_at = until;
            }
            After::GiveUp { .. } => entry.status = Status::GivenUp,
        }
    }
    panic!("it does not end: {entries:?}");
}

proptest! {
    #[test]
    fn every_list_ends_and_updates_follow_their_post(entries in lists(), outcomes in prop::collection::vec(outcomes(), 1..6)) {
        let mut rows = entries.clone();
        let sent = run(&mut rows, &outcomes);
        prop_assert!(rows.iter().all(|entry| entry.status != Status::Waiting));
        prop_assert!(sent.is_sorted(), "{sent:?}");
        for entry in entries.iter().filter(|entry| sent.contains(&entry.id)) {
            if let Kind::Update { of } = entry.kind {
                let place = |id| sent.iter().position(|sent| *sent == id);
                prop_assert!(place(of) < place(entry.id) && place(of).is_some());
            }
        }
        if outcomes.iter().all(|outcome| matches!(outcome, Outcome::Sent(_))) {
            let newest = |entry: &&Entry| !entries.iter().any(|later| later.kind == entry.kind && later.id > entry.id);
            let wanted: Vec<i64> = entries.iter().filter(|e| e.kind == Kind::Post || newest(e)).map(|e| e.id).collect();
            prop_assert_eq!(sent, wanted, "every post, and the newest update of each");
        }
    }
}
