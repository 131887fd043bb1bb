//! One winner, terminal states stay, every path ends, votes count.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::rules::create::read_create;
use crate::rules::request::TimeoutPolicy;
use crate::rules::rights::{Action, Denied, Reach, check, rights};
use crate::rules::threads::{ThreadNews, news};
use crate::rules::who::PersonRole;
use crate::rules::words::{ActorKind, Fallback};
use hxa_domain::ids::ThreadId;

const NOW: i64 = 1_700_000_000_000;

fn body(fallback: &str) -> Value {
    json!({
        "intent": "APPROVAL", "urgency": "HIGH",
        "context_package": {"summary": "Deploy"},
        "timeout_policy": {"timeout_seconds": 10, "fallback": fallback, "escalation_responder_id": "emil"},
        "routing_hints": {"responder_id": "dora"},
    })
}

fn submitted(body: Value) -> Step {
    let opening =
        Opening { id: RequestId::at(NOW), org: OrgId::random(), agent: BotId::random(), agent_id: "ada".into() };
    submit(opening, read_create(body).unwrap(), NOW)
}

fn pending(fallback: &str) -> Request {
    submitted(body(fallback)).request
}

fn of_quorum(need: usize) -> Request {
    let mut body = body("BLOCK");
    body["routing_hints"]["quorum"] = json!({"of": ["dora", "emil", "fred"], "need": need});
    submitted(body).request
}

fn answer(by: &str, decision: &str) -> Input {
    let data = json!({ "decision": decision }).as_object().cloned().unwrap();
    let verdict = if decision == "approved" { Verdict::Approved } else { Verdict::Rejected };
    Input::Answer(Answer { data, by: by.to_owned(), verdict, via: Via::Api })
}

fn dora() -> Who {
    Who::Person { handle: "dora".into(), role: PersonRole::Responder }
}

fn agent(request: &Request, may_respond: bool) -> Who {
    Who::Agent { id: request.agent, name: "ada".into(), may_respond }
}

fn kinds(step: &Step) -> Vec<&'static str> {
    step.audit.iter().map(|event| event.kind.as_str()).collect()
}

fn states(step: &Step) -> Vec<State> {
    step.told.iter().map(|told| told.state).collect()
}

fn payload(step: &Step, index: usize) -> Value {
    step.audit[index].payload.value()
}

#[test]
fn a_new_request_is_with_its_responder_at_once() {
    let step = submitted(body("BLOCK"));
    assert_eq!(kinds(&step), ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE"]);
    assert_eq!(states(&step), [State::Submitted, State::Routing, State::PendingResponse]);
    assert_eq!(payload(&step, 0), json!({"intent": "APPROVAL", "urgency": "HIGH"}));
    assert_eq!(payload(&step, 1), json!({"responder_id": "dora"}));
    assert_eq!(payload(&step, 2), json!({"channel": "portal", "responder_id": "dora"}));
    assert_eq!((step.audit[0].actor.as_str(), step.audit[0].actor_type), ("ada", ActorKind::Agent));
    assert_eq!((step.audit[1].actor.as_str(), step.audit[1].actor_type), ("system", ActorKind::System));
    assert_eq!(step.request.timeout_at, NOW + 10_000);
    assert_eq!((step.request.state, step.notify), (State::PendingResponse, None));
}

#[test]
fn an_answer_decides_and_is_delivered_once() {
    let request = pending("BLOCK");
    let answered = super::step(&request, answer("dora", "approved"), &dora(), NOW + 1).unwrap();
    assert_eq!(kinds(&answered), ["CR_RESPONDED"]);
    assert_eq!((answered.audit[0].actor.as_str(), answered.audit[0].actor_type), ("dora", ActorKind::Human));
    assert_eq!(payload(&answered, 0), json!({"response_data": {"decision": "approved"}}));
    let second = super::step(&answered.request, answer("emil", "rejected"), &dora(), NOW + 2);
    assert_eq!(second, Err(Refusal::State(State::Responded)));
    let error = Refusal::State(State::Responded).into_error("respond to", &answered.request);
    assert_eq!((error.status(), error.message()), (409, "Cannot respond to CR in state RESPONDED"));
    assert_eq!(error.body()["responded_by"], "dora");
    let who = agent(&request, false);
    let cancel = super::step(&answered.request, Input::Cancel, &who, NOW + 2);
    assert_eq!(cancel, Err(Refusal::State(State::Responded)));
    let delivered = super::step(&answered.request, Input::Deliver, &who, NOW + 3).unwrap();
    assert_eq!((kinds(&delivered), payload(&delivered, 0)), (vec!["CR_DELIVERED"], json!({})));
    assert_eq!((delivered.request.delivered_at, delivered.request.updated_at), (Some(NOW + 3), NOW + 3));
    assert!(super::step(&delivered.request, Input::Deliver, &who, NOW + 4).is_err());
}

#[test]
fn from_the_deadline_on_no_answer_is_taken() {
    let request = pending("BLOCK");
    assert!(super::step(&request, answer("dora", "approved"), &dora(), NOW + 9_999).is_ok());
    let late = super::step(&request, answer("dora", "approved"), &dora(), NOW + 10_000);
    assert_eq!(late, Err(Refusal::Late(State::PendingResponse)));
    assert!(request.is_overdue(NOW + 10_000) && !request.is_overdue(NOW + 9_999));
    assert_eq!(super::step(&request, Input::Deadline, &Who::System, NOW + 9_999), Err(Refusal::Early));
}

#[test]
fn fallbacks_do_what_they_say() {
    let at = NOW + 10_000;
    for (fallback, decision, by) in
        [("AUTO_APPROVE", "approved", "system:auto_approve"), ("AUTO_REJECT", "rejected", "system:auto_reject")]
    {
        let step = super::step(&pending(fallback), Input::Deadline, &Who::System, at).unwrap();
        assert_eq!(step.request.state, State::Responded);
        assert_eq!(step.request.response_data.unwrap().value(), json!({"decision": decision, "auto": true}));
        assert_eq!(step.request.responded_by.as_deref(), Some(by));
        assert_eq!(step.audit[0].payload.value(), json!({"fallback": fallback, "auto": true}));
    }
    for fallback in ["BLOCK", "FAIL", "SKIP"] {
        let step = super::step(&pending(fallback), Input::Deadline, &Who::System, at).unwrap();
        assert_eq!((step.request.state, kinds(&step)), (State::TimedOut, vec!["CR_TIMED_OUT"]));
        assert_eq!(payload(&step, 0), json!({"fallback": fallback}));
        assert!(step.request.response_data.is_none());
    }
}

#[test]
fn escalate_asks_one_more_and_then_gives_up() {
    let first = super::step(&pending("ESCALATE"), Input::Deadline, &Who::System, NOW + 10_000).unwrap();
    assert_eq!(kinds(&first), ["CR_ESCALATED", "CR_ROUTING", "CR_PENDING_RESPONSE"]);
    assert_eq!(payload(&first, 0), json!({"fallback": "ESCALATE", "escalation_responder_id": "emil"}));
    assert_eq!(payload(&first, 2), json!({"responder_id": "emil"}));
    assert_eq!((&*first.request.responder_id, first.request.timeout_at), ("emil", NOW + 20_000));
    assert_eq!(first.request.routing.responder_id, "dora");
    let told: Vec<&str> = first.told[0].responders.iter().map(|one| &**one).collect();
    assert_eq!((first.told[0].state, told), (State::Escalated, vec!["emil", "dora"]));
    let last = super::step(&first.request, Input::Deadline, &Who::System, NOW + 20_000).unwrap();
    assert_eq!(last.request.state, State::TimedOut);
    assert_eq!(payload(&last, 0), json!({"fallback": "ESCALATE", "reason": "escalation_exhausted"}));
}

#[test]
fn without_a_target_there_is_no_escalation() {
    let mut request = pending("ESCALATE");
    let policy = TimeoutPolicy { escalation_responder_id: None, ..(*request.timeout).clone() };
    request.timeout = Arc::new(policy);
    let step = super::step(&request, Input::Deadline, &Who::System, NOW + 10_000).unwrap();
    assert_eq!(payload(&step, 0), json!({"fallback": "ESCALATE", "reason": "no_escalation_target"}));
}

#[test]
fn a_chain_asks_one_after_the_other_and_then_falls_back() {
    let mut body = body("AUTO_REJECT");
    body["timeout_policy"] = json!({
        "timeout_seconds": 30, "fallback": "AUTO_REJECT",
        "escalation": [{"after_seconds": 5, "responder_id": "emil"}, {"after_seconds": 15, "responder_id": "fred"}],
    });
    let mut request = submitted(body).request;
    for (at, who) in [(5, "emil"), (15, "fred")] {
        assert_eq!(request.timeout_at, NOW + at * 1000);
        request = super::step(&request, Input::Deadline, &Who::System, NOW + at * 1000).unwrap().request;
        assert_eq!((&*request.responder_id, request.state), (who, State::PendingResponse));
    }
    assert_eq!(request.timeout_at, NOW + 30_000);
    let last = super::step(&request, Input::Deadline, &Who::System, NOW + 30_000).unwrap();
    assert_eq!((last.request.state, last.request.level), (State::Responded, 2));
}

#[test]
fn a_chain_behind_the_timeout_gives_the_last_one_the_same_time() {
    let mut body = body("FAIL");
    body["timeout_policy"] = json!({
        "timeout_seconds": 1, "fallback": "FAIL", "escalation": [{"after_seconds": 1, "responder_id": "emil"}],
    });
    let request = submitted(body).request;
    assert_eq!(request.timeout_at, NOW + 1000);
    // After a stop of an hour the next one has the time that was meant for them.
    let step = super::step(&request, Input::Deadline, &Who::System, NOW + 3_600_000).unwrap();
    assert_eq!(step.request.timeout_at, NOW + 3_601_000);
}

#[test]
fn what_a_stop_left_goes_on() {
    for (state, expected) in [
        (State::Submitted, vec!["CR_ROUTING", "CR_PENDING_RESPONSE"]),
        (State::Routing, vec!["CR_PENDING_RESPONSE"]),
        (State::Escalated, vec!["CR_ROUTING", "CR_PENDING_RESPONSE"]),
    ] {
        let request = Request { state, ..pending("BLOCK") };
        assert!(request.is_on_its_way());
        let step = super::step(&request, Input::Route, &Who::System, NOW).unwrap();
        assert_eq!((kinds(&step), step.request.state), (expected, State::PendingResponse));
    }
    assert!(super::step(&pending("BLOCK"), Input::Route, &Who::System, NOW).is_err());
}

#[test]
fn a_quorum_decides_as_soon_as_it_can() {
    let request = of_quorum(2);
    let one = super::step(&request, answer("DORA", "approved"), &dora(), NOW + 1).unwrap();
    assert_eq!((one.request.state, kinds(&one)), (State::PendingResponse, vec!["CR_VOTED"]));
    assert!(!one.told[0].is_new);
    assert_eq!(super::step(&one.request, answer("dora", "approved"), &dora(), NOW + 2), Err(Refusal::Voted));
    assert_eq!(super::step(&one.request, answer("ada", "approved"), &dora(), NOW + 2), Err(Refusal::NoMember));
    let two = super::step(&one.request, answer("fred", "approved"), &dora(), NOW + 2).unwrap();
    assert_eq!((two.request.state, kinds(&two)), (State::Responded, vec!["CR_VOTED", "CR_RESPONDED"]));
    let data = two.request.response_data.unwrap().value();
    assert_eq!((&data["decision"], &data["quorum"]), (&json!("approved"), &json!({"need": 2, "of": 3})));
    assert_eq!(data["votes"][0]["responder_id"], "dora");
}

#[test]
fn a_quorum_out_of_reach_is_a_rejection() {
    let one = super::step(&of_quorum(3), answer("dora", "rejected"), &dora(), NOW + 1).unwrap();
    assert_eq!(one.request.state, State::Responded);
    assert_eq!(one.request.response_data.unwrap().value()["decision"], "rejected");
    let one = super::step(&of_quorum(2), answer("dora", "rejected"), &dora(), NOW + 1).unwrap();
    assert_eq!(one.request.state, State::PendingResponse);
    let two = super::step(&one.request, answer("emil", "rejected"), &dora(), NOW + 1).unwrap();
    assert_eq!(two.request.response_data.unwrap().value()["decision"], "rejected");
}

#[test]
fn requests_change_hands() {
    let request = pending("BLOCK");
    let coordinator = Who::Person { handle: "carl".into(), role: PersonRole::Coordinator };
    let to = |to: &str| Input::Reassign { to: to.to_owned() };
    let step = super::step(&request, to("emil"), &coordinator, NOW + 1).unwrap();
    assert_eq!((kinds(&step), payload(&step, 0)), (vec!["CR_REASSIGNED"], json!({"from": "dora", "to": "emil"})));
    assert_eq!((step.audit[0].actor.as_str(), &*step.request.responder_id), ("carl", "emil"));
    assert!(step.request.asks("Emil", NOW + 1) && !step.request.asks("dora", NOW + 1));
    assert!(matches!(super::step(&request, to("Dora"), &coordinator, NOW), Err(Refusal::Faults(_))));
    assert!(matches!(super::step(&of_quorum(2), to("gwen"), &coordinator, NOW), Err(Refusal::Faults(_))));

    let delegate = |until| Input::Delegate { to: "emil".to_owned(), until };
    let step = super::step(&request, delegate(NOW + 5_000), &dora(), NOW).unwrap();
    assert_eq!(kinds(&step), ["CR_DELEGATED"]);
    assert!(step.request.asks("emil", NOW + 4_999) && !step.request.asks("emil", NOW + 5_000));
    assert!(step.request.asks("dora", NOW + 1));
    assert!(matches!(super::step(&request, delegate(NOW), &dora(), NOW), Err(Refusal::Faults(_))));
    assert!(matches!(super::step(&request, delegate(i64::MAX), &dora(), NOW), Err(Refusal::Faults(_))));
}

#[test]
fn slack_hears_of_questions_and_ends() {
    let mut body = body("ESCALATE");
    body["routing_hints"]["channel"] = json!("slack");
    body["routing_hints"]["slack_channel_id"] = json!("C1");
    let step = submitted(body);
    assert_eq!((step.notify, step.request.slack.as_ref().unwrap().status), (Some(Notify::Ask), SlackStatus::Pending));
    let sent = Input::SlackSent { message_ts: "1.2".to_owned() };
    let sent = super::step(&step.request, sent, &Who::System, NOW).unwrap();
    assert_eq!((kinds(&sent), payload(&sent, 0)), (vec!["SLACK_NOTIFIED"], json!({"channel_id": "C1"})));
    assert!(sent.told.is_empty());
    let escalated = super::step(&sent.request, Input::Deadline, &Who::System, NOW + 10_000).unwrap();
    assert_eq!(escalated.notify, Some(Notify::Ask));
    assert_eq!(escalated.request.slack.as_ref().unwrap().message_ts.as_deref(), Some("1.2"));
    let failed = Input::SlackFailed { error: "channel_not_found".to_owned() };
    let failed = super::step(&escalated.request, failed, &Who::System, NOW + 10_001).unwrap();
    assert_eq!(failed.request.slack.as_ref().unwrap().status, SlackStatus::Failed);
    let via = Via::Slack { user_id: "U1".into(), user_name: "em".into(), action_id: "hcp_approve".into() };
    let data = json!({"decision": "approved"}).as_object().cloned().unwrap();
    let input = Input::Answer(Answer { data, by: "emil".into(), verdict: Verdict::Approved, via });
    let answered = super::step(&failed.request, input, &dora(), NOW + 10_002).unwrap();
    assert_eq!(kinds(&answered), ["CR_RESPONDED", "SLACK_INTERACTION"]);
    assert_eq!((answered.audit[0].actor.as_str(), answered.notify), ("slack:U1", Some(Notify::Close)));
    assert_eq!(payload(&answered, 0), json!({"decision": "approved", "slack_user": "em"}));
    assert_eq!(payload(&answered, 1), json!({"action_id": "hcp_approve", "decision": "approved"}));
}

#[test]
fn threads_wait_and_go_on() {
    let mut body = body("BLOCK");
    body["thread_id"] = json!(ThreadId::random());
    let step = submitted(body);
    assert_eq!(news(None, &step), Some(ThreadNews::Blocked));
    let answered = super::step(&step.request, answer("dora", "approved"), &dora(), NOW + 1).unwrap();
    let Some(ThreadNews::Goes { content, metadata }) = news(Some(&step.request), &answered) else { panic!() };
    assert!(content.contains("answered by dora"), "{content}");
    assert_eq!(metadata["coordination_request"]["request_id"], json!(step.request.id));
    let delivered = super::step(&answered.request, Input::Deliver, &Who::System, NOW + 2).unwrap();
    assert_eq!(news(Some(&answered.request), &delivered), None);
    assert_eq!(news(None, &submitted(super::tests::body("BLOCK"))), None);
}

#[test]
fn rights_are_those_of_the_roles() {
    let request = pending("BLOCK");
    let person = |handle: &str, role| Who::Person { handle: handle.into(), role };
    let other = Who::Agent { id: BotId::random(), name: "bob".into(), may_respond: false };
    let gate = Who::Agent { id: BotId::random(), name: "bob".into(), may_respond: true };
    let own = agent(&request, false);
    let may = |who: &Who, action| check(&request, who, action, NOW);
    assert_eq!(may(&own, Action::Answer), Err(Denied::AgentAnswer));
    assert_eq!(may(&agent(&request, true), Action::Answer), Ok(()));
    assert_eq!(may(&gate, Action::Answer), Ok(()));
    assert_eq!(may(&own, Action::Reassign), Err(Denied::Forbidden(Action::Reassign)));
    for action in [Action::Read, Action::Deliver, Action::Cancel, Action::Audit] {
        assert_eq!(may(&own, action), Ok(()), "{action}");
        assert_eq!(may(&other, action), Err(Denied::Missing), "{action}");
        assert_eq!(may(&gate, action), Err(Denied::Missing), "{action}");
    }
    assert_eq!(may(&other, Action::Answer), Err(Denied::Missing));
    let addressed = rights(&request, &person("Dora", PersonRole::Responder), NOW);
    assert!(addressed.answer && addressed.delegate && addressed.audit && !addressed.cancel && !addressed.reassign);
    assert_eq!(may(&person("emil", PersonRole::Responder), Action::Read), Err(Denied::Missing));
    assert_eq!(may(&person("dora", PersonRole::Viewer), Action::Read), Err(Denied::Missing));
    let auditor = rights(&request, &person("dora", PersonRole::Auditor), NOW);
    assert!(auditor.read && auditor.audit && !auditor.answer && !auditor.cancel && !auditor.delegate);
    for who in [person("carl", PersonRole::Coordinator), person("carl", PersonRole::Admin)] {
        let carl = rights(&request, &who, NOW);
        assert!(carl.answer && carl.cancel && carl.reassign && !carl.deliver);
    }
    assert_eq!(Reach::of(&own), Reach::Agent(request.agent));
    assert_eq!(Reach::of(&person("dora", PersonRole::Viewer)), Reach::Nothing);
    let answered = super::step(&request, answer("dora", "approved"), &dora(), NOW + 1).unwrap().request;
    assert_eq!(check(&answered, &dora(), Action::Read, NOW + 99_999), Ok(()));
}

#[derive(Debug, Clone)]
enum Event {
    Input(Input),
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    let name = prop_oneof![Just("dora"), Just("emil"), Just("fred"), Just("gwen")];
    let decision = prop_oneof![Just("approved"), Just("rejected")];
    prop_oneof![
        4 => (name.clone(), decision).prop_map(|(by, decision)| Event::Input(answer(by, decision))),
        2 => Just(Event::Input(Input::Deadline)),
        1 => Just(Event::Input(Input::Deliver)),
        1 => Just(Event::Input(Input::Cancel)),
        1 => Just(Event::Input(Input::Route)),
        1 => name.clone().prop_map(|to| Event::Input(Input::Reassign { to: to.to_owned() })),
        1 => (name, 0..20_000i64).prop_map(|(to, ms)| Event::Input(Input::Delegate { to: to.to_owned(), until: NOW + ms })),
        3 => (0..20_000i64).prop_map(Event::Pass),
    ]
}

fn any_body() -> impl Strategy<Value = Value> {
    let fallback = prop::sample::select(Fallback::ALL);
    let chain = prop::collection::vec(1..20i64, 0..4);
    (fallback, chain, prop::option::of(1..=3usize), 1..30i64).prop_map(|(fallback, gaps, need, timeout)| {
        let mut body = body(fallback.as_str());
        let mut after = 0;
        let chain: Vec<Value> = gaps
            .into_iter()
            .map(|gap| {
                after += gap;
                json!({"after_seconds": after, "responder_id": "gwen"})
            })
            .collect();
        body["timeout_policy"]["escalation"] = chain.into();
        body["timeout_policy"]["timeout_seconds"] = timeout.into();
        if let Some(need) = need {
            body["routing_hints"]["quorum"] = json!({"of": ["dora", "emil", "fred"], "need": need});
        }
        body
    })
}

proptest! {
    #[test]
    fn there_is_one_winner_and_ends_are_final(body in any_body(), events in prop::collection::vec(event(), 0..60)) {
        let mut request = submitted(body).request;
        let (mut now, mut answers) = (NOW, 0);
        for event in events {
            let input = match event {
                Event::Pass(ms) => { now += ms; continue }
                Event::Input(input) => input,
            };
            let before = request.clone();
            let Ok(step) = super::step(&request, input, &dora(), now) else { continue };
            let after = &step.request;
            prop_assert!(!before.state.is_terminal(), "{:?}", step.told);
            answers += step.audit.iter().filter(|event| event.kind == AuditKind::Responded).count();
            let mut state = before.state;
            for told in step.told.iter().filter(|told| told.is_new) {
                prop_assert!(state.may_become(told.state), "{state} to {}", told.state);
                state = told.state;
            }
            prop_assert_eq!(state, after.state);
            prop_assert!(!step.audit.is_empty());
            prop_assert_eq!(after.response_data.is_some(), matches!(after.state, State::Responded | State::Delivered));
            prop_assert!(after.updated_at >= before.updated_at);
            prop_assert_eq!((after.id, after.submitted_at, &after.routing), (before.id, before.submitted_at, &before.routing));
            if before.response_data.is_some() {
                prop_assert_eq!((&after.response_data, &after.responded_by), (&before.response_data, &before.responded_by));
            }
            prop_assert!(after.votes.len() <= 3);
            request = step.request;
        }
        prop_assert!(answers <= 1);
    }

    #[test]
    fn time_alone_ends_every_request(body in any_body()) {
        let mut request = submitted(body).request;
        let mut steps = 0;
        while request.state.is_open() {
            prop_assert!(request.timeout_at > request.updated_at);
            request = super::step(&request, Input::Deadline, &Who::System, request.timeout_at).unwrap().request;
            steps += 1;
            prop_assert!(steps <= crate::rules::limits::ESCALATIONS + 2);
        }
    }

    #[test]
    fn votes_come_to_the_same_in_any_order(votes in prop::collection::vec(any::<bool>(), 3), need in 1..=3usize) {
        let mut request = of_quorum(need);
        for (by, approves) in ["dora", "emil", "fred"].iter().zip(&votes) {
            let decision = if *approves { "approved" } else { "rejected" };
            if let Ok(step) = super::step(&request, answer(by, decision), &dora(), NOW) {
                request = step.request;
            }
        }
        let approved = votes.iter().filter(|approves| **approves).count() >= need;
        prop_assert_eq!(request.state, State::Responded);
        let decision = request.response_data.unwrap().value()["decision"].clone();
        prop_assert_eq!(decision, if approved { "approved" } else { "rejected" });
    }
}
