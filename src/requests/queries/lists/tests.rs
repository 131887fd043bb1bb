//! That pages are whole and in order, on a database.

use serde_json::json;

use super::*;
use crate::rules::machine::Input;
use crate::rules::{AuditKind, Intent};
use crate::samples::{NOW, Sample, approval, dora};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::BotId;

const PAGE: Page = Page { limit: 50, offset: 0, cursor: None };

fn wanted<F>(sample: &Sample, reach: Reach, filters: F) -> Wanted<F> {
    Wanted { org: sample.org, reach, filters, page: PAGE, now: NOW + 10, most: usize::MAX }
}

fn ids(sample: &mut Sample, wanted: &Wanted<Filters>) -> Vec<RequestId> {
    wanted.list(&mut sample.conn).unwrap().rows.iter().map(|kept| kept.request.id).collect()
}

fn in_state(state: State) -> Filters {
    Filters { states: vec![state], ..Filters::default() }
}

#[test]
fn lists_are_newest_first_and_filters_are_all_met() {
    let mut sample = Sample::new();
    let one = sample.ask(&json!({ "intent": "DECISION", "trace_id": "t" }));
    let two = sample.ask(&json!({ "routing_hints": { "responder_id": "EMIL" } }));
    let three = sample.ask(&json!({}));
    sample.happen(&three, approval("dora"), &dora());
    let [one, two, three] = [one, two, three].map(|kept| kept.request.id);
    let mut list = |filters: Filters| {
        let wanted = wanted(&sample, Reach::All, filters);
        ids(&mut sample, &wanted)
    };
    let none = Filters::default;
    assert_eq!(list(none()), [three, two, one]);
    assert_eq!(list(in_state(State::PendingResponse)), [two, one]);
    assert_eq!(list(Filters { states: vec![State::Responded, State::Cancelled], ..none() }), [three]);
    assert_eq!(list(Filters { intent: Some(Intent::Decision), ..none() }), [one]);
    assert_eq!(list(Filters { trace_id: Some("t".to_owned()), ..none() }), [one]);
    assert_eq!(list(Filters { responder_id: Some("emil".to_owned()), ..none() }), [two]);
    assert_eq!(list(Filters { responder_id: Some("Dora".to_owned()), ..in_state(State::PendingResponse) }), [one]);
    assert_eq!(list(Filters { agent_id: Some("ada".to_owned()), ..none() }).len(), 3);
    assert!(list(Filters { agent_id: Some("Ada".to_owned()), ..none() }).is_empty());
    assert_eq!(list(Filters { since: Some(NOW), until: Some(NOW + 1), ..none() }).len(), 3);
    assert!(list(Filters { since: Some(NOW + 1), ..none() }).is_empty());
    assert!(list(Filters { until: Some(NOW), ..none() }).is_empty());
}

#[test]
fn everybody_sees_their_own() {
    let mut sample = Sample::new();
    let dora_s = sample.ask(&json!({}));
    let quorum = json!({ "routing_hints": { "responder_id": "dora", "quorum": { "of": ["emil", "fay"], "need": 1 } } });
    let several = sample.ask(&quorum);
    let lent = sample.ask(&json!({}));
    sample.happen(&lent, Input::Delegate { to: "emil".to_owned(), until: NOW + 20 }, &dora());
    let [dora_s, several, lent] = [dora_s, several, lent].map(|kept| kept.request.id);
    let responder = |name: &str| Reach::Responder(name.to_owned());
    let mut list = |reach: Reach, filters: Filters, now: i64| {
        let wanted = Wanted { now, ..wanted(&sample, reach, filters) };
        ids(&mut sample, &wanted)
    };
    let (none, asked) =
        (Filters::default, |name: &str| Filters { responder_id: Some(name.to_owned()), ..Filters::default() });
    assert_eq!(list(responder("DORA"), none(), NOW), [lent, dora_s]);
    assert_eq!(list(responder("emil"), none(), NOW), [lent, several]);
    assert_eq!(list(responder("emil"), none(), NOW + 20), [several], "lent for a time");
    assert_eq!(list(responder("emil"), in_state(State::PendingResponse), NOW), [lent, several]);
    assert_eq!(list(responder("emil"), asked("dora"), NOW), [lent], "of what asks another one sees what asks them too");
    assert_eq!(list(Reach::All, asked("fay"), NOW), [several]);
    assert_eq!(list(Reach::Agent(sample_bot()), none(), NOW), []);
    assert_eq!(list(Reach::Nothing, none(), NOW), []);
    let own = Reach::Agent(ada(&sample));
    let pending = wanted(&sample, own.clone(), in_state(State::PendingResponse));
    assert_eq!(ids(&mut sample, &pending).len(), 3);
    let all = wanted(&sample, own, Filters::default());
    assert_eq!(ids(&mut sample, &all).len(), 3);
}

fn sample_bot() -> BotId {
    BotId::at(1)
}

fn ada(sample: &Sample) -> BotId {
    sample.ada
}

#[test]
fn who_has_answered_goes_on_seeing_it() {
    let mut sample = Sample::new();
    let kept = sample.ask(&json!({}));
    let lent = sample.happen(&kept, Input::Delegate { to: "emil".to_owned(), until: NOW + 20 }, &dora());
    sample.happen(&lent, approval("emil"), &dora());
    let later = Wanted { now: NOW + 999, ..wanted(&sample, Reach::Responder("emil".to_owned()), Filters::default()) };
    assert_eq!(ids(&mut sample, &later).len(), 1);
    let asked = Wanted { filters: Filters { responder_id: Some("emil".to_owned()), ..Filters::default() }, ..later };
    assert!(ids(&mut sample, &asked).is_empty());
}

#[test]
fn pages_lead_through_the_whole_list_and_count_it() {
    let mut sample = Sample::new();
    let mut all: Vec<RequestId> = (0..7).map(|_| sample.ask(&json!({})).request.id).collect();
    all.reverse();
    for reach in [Reach::All, Reach::Agent(sample.ada), Reach::Responder("dora".to_owned())] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = Page { limit: 3, offset: 0, cursor: cursor.clone() };
            let listed =
                Wanted { page, ..wanted(&sample, reach.clone(), Filters::default()) }.list(&mut sample.conn).unwrap();
            assert_eq!((listed.total, listed.is_more_than_total), (7, false), "{reach:?}");
            seen.extend(listed.rows.iter().map(|kept| kept.request.id));
            cursor = listed.rows.last().map(|kept| Cursor::new(kept.request.submitted_at, kept.request.id));
            if !listed.has_more {
                break;
            }
        }
        assert_eq!(seen, all, "{reach:?}");
        let offset =
            Wanted { page: Page { limit: 2, offset: 5, cursor: None }, ..wanted(&sample, reach, Filters::default()) };
        assert_eq!(ids(&mut sample, &offset), all[5..7]);
    }
    let nothing = Wanted { page: Page { limit: 0, ..PAGE }, ..wanted(&sample, Reach::All, Filters::default()) };
    let listed = nothing.list(&mut sample.conn).unwrap();
    assert_eq!((listed.rows.len(), listed.has_more, listed.total), (0, true, 7));
    let small = Wanted { most: 1, ..wanted(&sample, Reach::All, Filters::default()) };
    let listed = small.list(&mut sample.conn).unwrap();
    assert_eq!((listed.rows.len(), listed.has_more, listed.total), (1, true, 7), "an answer has at least a row");
}

#[test]
fn audit_events_are_oldest_first_and_of_what_one_sees() {
    let mut sample = Sample::new();
    let one = sample.ask(&json!({}));
    let two = sample.ask(&json!({ "routing_hints": { "responder_id": "emil" } }));
    sample.happen(&one, approval("dora"), &dora());
    let mut list = |reach: Reach, filters: AuditFilters| {
        let listed = wanted(&sample, reach, filters).list(&mut sample.conn).unwrap();
        listed.rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    let none = AuditFilters::default;
    assert_eq!(list(Reach::All, none()), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(list(Reach::All, AuditFilters { event_type: Some(AuditKind::Responded), ..none() }), [7]);
    let of_one = || AuditFilters { request_id: Some(one.request.id.to_string().to_lowercase()), ..none() };
    assert_eq!(list(Reach::All, of_one()), [1, 2, 3, 7]);
    assert_eq!(list(Reach::All, AuditFilters { actor: Some("dora".to_owned()), ..of_one() }), [7]);
    assert_eq!(list(Reach::All, AuditFilters { since: Some(NOW + 5), ..none() }), [7]);
    assert_eq!(list(Reach::All, AuditFilters { until: Some(NOW + 5), ..none() }).len(), 6);
    assert!(list(Reach::All, AuditFilters { request_id: Some("x".to_owned()), ..none() }).is_empty());
    assert_eq!(list(Reach::Responder("emil".to_owned()), none()), [4, 5, 6]);
    assert!(list(Reach::Responder("emil".to_owned()), of_one()).is_empty());
    assert!(list(Reach::Agent(sample_bot()), none()).is_empty());
    let page = Page { limit: 2, offset: 0, cursor: Some(Cursor::new(0, event_id(&mut sample, 3))) };
    let listed = Wanted { page, ..wanted(&sample, Reach::All, none()) }.list(&mut sample.conn).unwrap();
    assert_eq!((listed.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), listed.total), (vec![4, 5], 7));
    assert_eq!(two.request.state, State::PendingResponse);
}

fn event_id(sample: &mut Sample, seq: i64) -> String {
    let listed = wanted(sample, Reach::All, AuditFilters::default()).list(&mut sample.conn).unwrap();
    listed.rows.iter().find(|row| row.seq == seq).unwrap().event_id.clone()
}

/// What SQLite says of how it finds the ids of a list.
fn plan(sample: &mut Sample, wanted: &Wanted<Filters>) -> String {
    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let (ids, conditions) = wanted.ids((51, 0), true);
    let explained =
        conditions.values.into_iter().fold(Statement::new(format!("EXPLAIN QUERY PLAN {ids}")), Statement::value);
    let lines: Vec<Line> = explained.load(&mut sample.conn).unwrap();
    lines.into_iter().map(|line| line.detail + "\n").collect()
}

#[test]
fn queues_are_read_by_the_indexes_of_open_requests() {
    let mut sample = Sample::new();
    let open = || in_state(State::PendingResponse);
    let dora = || Filters { responder_id: Some("dora".to_owned()), ..open() };
    let agent = Reach::Agent(sample.ada);
    for (reach, filters, index) in [
        (Reach::All, dora(), "coordination_requests_queue"),
        (Reach::Responder("dora".to_owned()), open(), "coordination_requests_queue"),
        (Reach::All, open(), "coordination_requests_open"),
        (agent.clone(), open(), "coordination_requests_open"),
        (agent, Filters::default(), "coordination_requests_agent"),
        (Reach::All, Filters::default(), "coordination_requests_org"),
        (Reach::Responder("dora".to_owned()), Filters::default(), "coordination_requests_responder"),
        (Reach::All, Filters { trace_id: Some("t".to_owned()), ..Filters::default() }, "coordination_requests_trace"),
    ] {
        let wanted = wanted(&sample, reach, filters);
        let plan = plan(&mut sample, &wanted);
        assert!(
            plan.contains(&format!("USING COVERING INDEX {index} ")) || plan.contains(&format!("USING INDEX {index} ")),
            "{index}:\n{plan}"
        );
        assert!(!plan.contains("SCAN r"), "{plan}");
    }
}
