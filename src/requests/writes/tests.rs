//! That writes of a batch are applied together, on a database.

use serde_json::json;

use super::*;
use crate::effects::transition;
use crate::queries;
use crate::rules::machine::Input;
use crate::rules::{Who, read_create, step, submit};
use crate::samples::{NOW, Sample, approval, body, dora};

fn refusal(outcome: Result<(), DbError>) -> ErrorCode {
    match outcome {
        Err(DbError::Refused(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

fn seats(sample: &mut Sample) -> Vec<(String, i64)> {
    use crate::schema::request_seats as s;
    let hxa_store::DbConnection::Sqlite(conn) = &mut sample.conn else { panic!("SQLite") };
    s::table.order(s::responder_key).select((s::responder_key, s::asked_until)).load(conn).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let mut sample = Sample::new();
    let more = json!({
        "response_schema": { "type": "choice", "options": [{ "key": "a", "label": "A" }], "multiple": true },
        "timeout_policy": {
            "timeout_seconds": 600, "fallback": "ESCALATE", "escalation_responder_id": "emil",
            "escalation": [{ "after_seconds": 5, "responder_id": "fay" }],
        },
        "routing_hints": { "responder_id": "dora", "quorum": { "of": ["dora", "Emil"], "need": 2 } },
        "trace_id": "t", "idempotency_key": "k", "thread_id": "0192f0c1-2345-7abc-8def-0123456789ab", "allow_edit": true,
    });
    let asked = sample.ask(&more);
    assert_eq!(queries::find(&mut sample.conn, asked.request.id).unwrap(), Some(asked.clone()));
    let voted = sample.happen(&asked, approval("dora"), &dora());
    assert_eq!((voted.revision, voted.request.votes.len()), (2, 1));
    assert_eq!(queries::find(&mut sample.conn, voted.request.id).unwrap(), Some(voted.clone()));
    let answered = sample.happen(&voted, approval("emil"), &dora());
    assert_eq!(answered.request.state, State::Responded);
    assert_eq!(queries::find_many(&mut sample.conn, &[answered.request.id]).unwrap(), std::slice::from_ref(&answered));
    let owner = Who::Agent { id: sample.ada, name: "ada".into(), may_respond: false };
    let delivered = sample.happen(&answered, Input::Deliver, &owner);
    assert_eq!(queries::find_by_key(&mut sample.conn, sample.ada, "k").unwrap(), Some(delivered));
}

#[test]
fn of_two_requests_under_one_key_one_is_stored() {
    let mut sample = Sample::new();
    let more = json!({ "idempotency_key": "k" });
    sample.ask(&more);
    let create = read_create(body(&more)).unwrap();
    let again = transition(None, &submit(sample.opening(), create.clone(), NOW));
    assert_eq!(refusal(again.apply(&mut sample.conn)), ErrorCode::IdempotencyInProgress);
    let other = crate::rules::machine::Opening { agent: hxa_domain::ids::BotId::at(NOW), ..sample.opening() };
    transition(None, &submit(other, create, NOW)).apply(&mut sample.conn).unwrap();
}

#[test]
fn a_change_of_a_row_that_has_changed_is_refused() {
    let mut sample = Sample::new();
    let kept = sample.ask(&json!({}));
    sample.happen(&kept, approval("dora"), &dora());
    let late = step(&kept.request, Input::Cancel, &dora(), NOW + 6).unwrap();
    assert_eq!(refusal(transition(Some(&kept), &late).apply(&mut sample.conn)), ErrorCode::Unavailable);
}

#[test]
fn changes_of_one_request_in_one_batch_are_written_one_after_the_other() {
    let mut sample = Sample::new();
    let (one, other) = (sample.ask(&json!({})), sample.ask(&json!({})));
    let answered = transition(Some(&one), &step(&one.request, approval("dora"), &dora(), NOW + 1).unwrap());
    let owner = Who::Agent { id: sample.ada, name: "ada".into(), may_respond: false };
    let delivered =
        transition(Some(&answered.kept), &step(&answered.kept.request, Input::Deliver, &owner, NOW + 2).unwrap());
    let cancelled = transition(Some(&other), &step(&other.request, Input::Cancel, &owner, NOW + 2).unwrap());
    let all: [&dyn FeatureWrite; 3] = [&answered, &cancelled, &delivered];
    answered.apply_all(&all, &mut sample.conn).unwrap();
    let found = queries::find(&mut sample.conn, one.request.id).unwrap().unwrap();
    assert_eq!((found.revision, found.request.state), (3, State::Delivered));
    assert_eq!(queries::count_open(&mut sample.conn).unwrap(), 0);
}

#[test]
fn those_who_see_a_request_besides_its_responder_have_seats() {
    let mut sample = Sample::new();
    let quorum = json!({ "routing_hints": { "responder_id": "dora", "quorum": { "of": ["Dora", "emil"], "need": 1 } },
        "timeout_policy": { "timeout_seconds": 1, "fallback": "ESCALATE", "escalation_responder_id": "fay" } });
    let asked = sample.ask(&quorum);
    assert_eq!(seats(&mut sample), [("dora".to_owned(), i64::MAX), ("emil".to_owned(), i64::MAX)]);
    let escalated = step(&asked.request, Input::Deadline, &Who::System, NOW + 1000).unwrap();
    sample.store(Some(&asked), &escalated);
    assert_eq!(seats(&mut sample), [], "an escalation leaves the decision to one");
    let alone = sample.ask(&json!({}));
    let delegated = sample.happen(&alone, Input::Delegate { to: "Emil".to_owned(), until: NOW + 50 }, &dora());
    assert_eq!(seats(&mut sample), [("emil".to_owned(), NOW + 50)]);
    sample.happen(&delegated, approval("EMIL"), &dora());
    assert_eq!(seats(&mut sample), [("emil".to_owned(), 0)], "who has answered sees it from then on");
}

#[test]
fn a_thread_is_told_once() {
    let mut sample = Sample::new();
    let asked = sample.ask(&json!({ "thread_id": "0192f0c1-2345-7abc-8def-0123456789ab" }));
    let thread = asked.request.thread.unwrap();
    let owed = queries::list_owed(&mut sample.conn, asked.request.org, thread).unwrap();
    assert_eq!(owed.iter().map(|(_, state)| *state).collect::<Vec<_>>(), [State::PendingResponse]);
    assert!(queries::is_waiting(&mut sample.conn, thread).unwrap());
    let told = ThreadTold { request: asked.request.id, state: State::PendingResponse };
    told.apply(&mut sample.conn).unwrap();
    assert_eq!(refusal(told.apply(&mut sample.conn)), ErrorCode::Unavailable);
    let answered = sample.happen(&asked, approval("dora"), &dora());
    let owner = Who::Agent { id: sample.ada, name: "ada".into(), may_respond: false };
    sample.happen(&answered, Input::Deliver, &owner);
    let owed = queries::list_owed(&mut sample.conn, asked.request.org, thread).unwrap();
    assert_eq!(
        owed.iter().map(|(_, state)| *state).collect::<Vec<_>>(),
        [State::Responded],
        "of the answer, not of its delivery"
    );
    assert!(!queries::is_waiting(&mut sample.conn, thread).unwrap());
    assert_eq!(queries::list_owed_threads(&mut sample.conn).unwrap().len(), 1);
}
