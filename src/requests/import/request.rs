//! A request of an `hcp.db`, as this hub keeps it.
//!
//! What was asked is read by the rules for new requests. The original service did not enforce all that its README says: where
//! a row can be understood all the same, it is mended and that is noted; a row that breaks a rule for good is left out.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::fields::{Fields, Skip};
use crate::rules::request::SlackDelivery;
use crate::rules::{
    Channel, Create, Fallback, Faults, JsonText, Request, RequestId, SlackStatus, State, fault_of_json, limits,
    read_create,
};
use hxa_domain::ids::{BotId, OrgId};

/// The columns of what was asked, and what is said when one cannot be read.
const ASKED: [(&str, Skip); 4] = [
    ("context_package", "its context_package cannot be read"),
    ("response_schema", "its response_schema cannot be read"),
    ("timeout_policy", "its timeout_policy cannot be read"),
    ("routing_hints", "its routing_hints cannot be read"),
];
const NO_ANSWER: Skip = "it is answered, but its response_data or responded_by is missing or breaks a rule";
const FORM: &str = "its response_schema breaks a rule; any answer is taken now, as before";
const LONG: &str = "it would wait longer than a year; it waits a year now";

/// A request that was read.
#[derive(Debug)]
pub struct Read {
    /// Its id.
    pub id: RequestId,
    /// The name of its agent.
    pub agent: String,
    create: Create,
    course: Course,
}

/// What became of it.
#[derive(Debug)]
struct Course {
    state: State,
    responder_id: String,
    level: u16,
    response_data: Option<JsonText>,
    responded_by: Option<Arc<str>>,
    responded_at: Option<i64>,
    submitted_at: i64,
    updated_at: i64,
    timeout_at: i64,
    delivered_at: Option<i64>,
    slack: Option<Arc<SlackDelivery>>,
}

/// Reads a row.
pub fn read(fields: &mut Fields) -> Result<Read, Skip> {
    let id = fields.text("request_id").and_then(|text| RequestId::parse(text).filter(|id| id.to_string() == text));
    let id = id.ok_or("its request_id is no ULID")?;
    let agent = fields.name("agent_id", "its agent_id is empty or too long")?.to_owned();
    let create = create(fields)?;
    let course = course(fields, &create)?;
    Ok(Read { id, agent, create, course })
}

impl Read {
    /// The request of a bot.
    pub fn request(self, org: OrgId, agent: BotId) -> Request {
        let Self { id, agent: name, create, course } = self;
        Request {
            id,
            org,
            agent,
            agent_id: Arc::from(name),
            intent: create.intent,
            urgency: create.urgency,
            state: course.state,
            context: create.context,
            response_schema: create.response_schema,
            allow_edit: create.allow_edit,
            timeout: create.timeout,
            routing: create.routing,
            trace_id: create.trace_id,
            idempotency_key: create.idempotency_key,
            body_hash: create.body_hash,
            responder_id: Arc::from(course.responder_id),
            thread: None,
            level: course.level,
            votes: Arc::default(),
            response_data: course.response_data,
            responded_by: course.responded_by,
            responded_at: course.responded_at,
            submitted_at: course.submitted_at,
            updated_at: course.updated_at,
            timeout_at: course.timeout_at,
            delivered_at: course.delivered_at,
            delegated_to: None,
            delegated_until: None,
            slack: course.slack,
        }
    }
}

/// What was asked, by the rules for new requests.
fn create(fields: &mut Fields) -> Result<Create, Skip> {
    let body = body(fields)?;
    let read = |body: &Map<String, Value>| read_create(Value::Object(body.clone()));
    match read(&body) {
        Err(faults) if faults.all().iter().all(|fault| first(&fault.path) == "response_schema") => {
            fields.changed(FORM);
            let mut mended = body;
            mended.insert("response_schema".to_owned(), json!({ "type": "text" }));
            read(&mended)
        }
        read => read,
    }
    .map_err(|faults| why(&faults))
}

/// The first field of a path.
fn first(path: &str) -> &str {
    path.split('.').next().unwrap_or_default()
}

fn why(faults: &Faults) -> Skip {
    match faults.all().first().map(|fault| first(&fault.path)) {
        Some("intent") => "its intent is unknown",
        Some("urgency") => "its urgency is unknown",
        Some("context_package") => "its context_package breaks a rule, such as a limit of length",
        Some("timeout_policy") => "its timeout_policy breaks a rule",
        Some("routing_hints") => "its routing_hints break a rule",
        Some("trace_id") => "its trace_id is too long",
        Some("idempotency_key") => "its idempotency_key is too long",
        _ => "it breaks a rule of requests",
    }
}

/// The body that would ask the same today.
fn body(fields: &mut Fields) -> Result<Map<String, Value>, Skip> {
    let mut body = Map::new();
    for key in ["intent", "urgency"] {
        body.insert(key.to_owned(), fields.text(key).into());
    }
    for (key, why) in ASKED {
        if let Some(value) = fields.json(key, why)? {
            body.insert(key.to_owned(), value);
        }
    }
    for (key, why) in
        [("trace_id", "its empty trace_id is none"), ("idempotency_key", "its empty idempotency_key is none")]
    {
        match fields.text(key) {
            Some("") => fields.changed(why),
            Some(text) => drop(body.insert(key.to_owned(), text.into())),
            None => {}
        }
    }
    let part = |body: &mut Map<String, Value>,
                key: &str,
                mend: fn(&mut Map<String, Value>, &mut Fields),
                fields: &mut Fields| {
        body.get_mut(key).and_then(Value::as_object_mut).into_iter().for_each(|part| mend(part, fields));
    };
    part(&mut body, "timeout_policy", mend_timeout, fields);
    part(&mut body, "routing_hints", mend_routing, fields);
    Ok(body)
}

/// Takes a text away that is empty; whether one is there then.
fn has_text(part: &mut Map<String, Value>, key: &str) -> bool {
    if part.get(key).and_then(Value::as_str) == Some("") {
        part.shift_remove(key);
    }
    part.contains_key(key)
}

fn mend_timeout(policy: &mut Map<String, Value>, fields: &mut Fields) {
    let has_target = has_text(policy, "escalation_responder_id");
    let escalates = policy.get("fallback").and_then(Value::as_str) == Some(Fallback::Escalate.as_str());
    if escalates && !has_target {
        fields.changed("it would escalate to nobody; its fallback is FAIL now, which ends it in the same way");
        policy.insert("fallback".to_owned(), Fallback::Fail.as_str().into());
    }
    let year = u32::try_from(limits::TIMEOUT_MAX_S).map_or(f64::MAX, f64::from);
    if policy.get("timeout_seconds").and_then(Value::as_f64).is_some_and(|seconds| seconds > year) {
        fields.changed(LONG);
        policy.insert("timeout_seconds".to_owned(), limits::TIMEOUT_MAX_S.into());
    }
}

fn mend_routing(hints: &mut Map<String, Value>, fields: &mut Fields) {
    let has_channel = has_text(hints, "slack_channel_id");
    let is_slack = hints.get("channel").and_then(Value::as_str) == Some(Channel::Slack.as_str());
    if is_slack && !has_channel {
        fields.changed("it names Slack without a channel; it is in the portal alone now, as before");
        hints.insert("channel".to_owned(), Channel::Portal.as_str().into());
    }
}

/// What became of it.
fn course(fields: &mut Fields, create: &Create) -> Result<Course, Skip> {
    let state = fields.text("state").and_then(State::parse).ok_or("its state is unknown")?;
    let responder_id = fields.name("responder_id", "its responder_id is empty or too long")?.to_owned();
    let (response_data, responded_by) = answer(fields, state)?;
    let submitted_at = fields.time("submitted_at").ok_or("its submitted_at is no time")?;
    let updated_at = fields.time("updated_at").unwrap_or(submitted_at);
    let has_answer = response_data.is_some();
    let is_delivered = state == State::Delivered;
    Ok(Course {
        state,
        responder_id,
        level: level(fields, state, create),
        response_data,
        responded_by,
        responded_at: has_answer.then(|| fields.time("responded_at").unwrap_or(updated_at)),
        submitted_at,
        updated_at,
        timeout_at: timeout_at(fields, create, (submitted_at, updated_at)),
        delivered_at: is_delivered.then(|| fields.time("delivered_at").unwrap_or(updated_at)),
        slack: slack(fields, create),
    })
}

/// The answer, and who gave it.
fn answer(fields: &Fields, state: State) -> Result<(Option<JsonText>, Option<Arc<str>>), Skip> {
    if !matches!(state, State::Responded | State::Delivered) {
        return Ok((None, None));
    }
    let data = fields.json("response_data", NO_ANSWER)?.filter(Value::is_object).ok_or(NO_ANSWER)?;
    if fault_of_json(&data, limits::JSON_BYTES).is_some() {
        return Err(NO_ANSWER);
    }
    let by = fields.name("responded_by", NO_ANSWER)?;
    Ok((Some(JsonText::of(&data)), Some(Arc::from(by))))
}

/// An escalation that has happened does not happen again: the original service escalated to the same target forever.
fn level(fields: &Fields, state: State, create: &Create) -> u16 {
    let has_escalated = state == State::Escalated || fields.count("escalations") > 0;
    u16::from(has_escalated && create.timeout.fallback == Fallback::Escalate)
}

/// Its deadline. An escalation began it anew, so it counts from the last change at most.
fn timeout_at(fields: &mut Fields, create: &Create, (submitted_at, updated_at): (i64, i64)) -> i64 {
    let wait = create.timeout.timeout_seconds.saturating_mul(1000);
    let latest = updated_at.max(submitted_at).saturating_add(wait);
    match fields.time("timeout_at") {
        Some(at) if at <= latest => at,
        _ => {
            if !fields.changes().contains(&LONG) {
                fields.changed(
                    "its timeout_at is no time, or later than its timeout_seconds allow, from which it follows now",
                );
            }
            submitted_at.saturating_add(wait)
        }
    }
}

/// What became of the message to Slack, whose name the original service did not keep.
fn slack(fields: &Fields, create: &Create) -> Option<Arc<SlackDelivery>> {
    let channel_id = create.routing.slack_channel_id.clone().filter(|_| create.routing.channel == Channel::Slack)?;
    let (status, error) = if fields.count("notified") > 0 {
        (SlackStatus::Sent, None)
    } else {
        (SlackStatus::Failed, Some("it had not been sent when the request was imported".to_owned()))
    };
    Some(Arc::new(SlackDelivery { status, channel_id, message_ts: None, error }))
}
