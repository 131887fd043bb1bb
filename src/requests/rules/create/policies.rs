//! How long to wait and whom to ask.

use std::collections::HashSet;

use crate::rules::fields::Object;
use crate::rules::limits;
use crate::rules::request::{EscalationStep, Quorum, RoutingHints, TimeoutPolicy, handle_key};
use crate::rules::words::{Channel, Fallback};

/// `timeout_policy`.
pub fn timeout(mut given: Object<'_>) -> Option<TimeoutPolicy> {
    let timeout_seconds = given.needed_count("timeout_seconds", limits::TIMEOUT_MAX_S);
    let fallback = given.needed_word("fallback", Fallback::ALL, Fallback::as_str);
    let has_target = given.has("escalation_responder_id");
    let escalation_responder_id = given.text("escalation_responder_id", limits::NAME_UNITS);
    if fallback == Some(Fallback::Escalate) && !has_target {
        given.fault("escalation_responder_id", "Required if fallback is ESCALATE");
    }
    let escalation = escalation(&mut given);
    Some(TimeoutPolicy {
        timeout_seconds: timeout_seconds?,
        fallback: fallback?,
        escalation_responder_id,
        escalation: escalation.unwrap_or_default(),
    })
}

/// The chain: each step later than the one before.
fn escalation(given: &mut Object<'_>) -> Option<Vec<EscalationStep>> {
    let mut last = 0;
    let steps = given.objects("escalation", limits::ESCALATIONS)?.into_iter().filter_map(|mut step| {
        let after_seconds = step.needed_count("after_seconds", limits::TIMEOUT_MAX_S);
        let responder_id = step.needed_text("responder_id", limits::NAME_UNITS);
        if let Some(after) = after_seconds {
            if after <= last {
                step.fault(
                    "after_seconds",
                    format!("Number must be greater than {last}: steps are in ascending order"),
                );
            }
            last = after.max(last);
        }
        Some(EscalationStep { after_seconds: after_seconds?, responder_id: responder_id? })
    });
    Some(steps.collect())
}

/// `routing_hints`.
pub fn routing(mut given: Object<'_>) -> Option<RoutingHints> {
    let responder_id = given.needed_text("responder_id", limits::NAME_UNITS);
    let has_word = given.has("channel");
    let channel = given.word("channel", Channel::ALL, Channel::as_str);
    let has_slack = given.has("slack_channel_id");
    let slack_channel_id = given.text("slack_channel_id", limits::NAME_UNITS);
    if channel == Some(Channel::Slack) && !has_slack {
        given.fault("slack_channel_id", "Required if channel is slack");
    }
    let quorum = given.object("quorum").and_then(quorum);
    let channel = channel.or((!has_word).then_some(Channel::Portal));
    Some(RoutingHints { responder_id: responder_id?, channel: channel?, slack_channel_id, quorum })
}

fn quorum(mut given: Object<'_>) -> Option<Quorum> {
    let of = given.needed_texts("of", limits::QUORUM, limits::NAME_UNITS);
    let most = i64::try_from(limits::QUORUM).unwrap_or(i64::MAX);
    let need = given.needed_count("need", most).and_then(|need| usize::try_from(need).ok());
    let (of, need) = (of?, need?);
    let different: HashSet<String> = of.iter().map(|handle| handle_key(handle)).collect();
    if different.len() < of.len() {
        given.fault("of", "Members must be different");
    } else if need > of.len() {
        given.fault("need", format!("Number must be less than or equal to {}, the number of members", of.len()));
    }
    Some(Quorum { of, need })
}
