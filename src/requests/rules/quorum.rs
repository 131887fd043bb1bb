//! How votes become a decision.

use serde_json::{Map, Value, json};

use super::request::{Quorum, Verdict, Vote};
use super::times::iso;

/// The decision that votes have led to, if they have: as soon as enough agree, or as soon as no choice can get there any
/// more, which is a rejection.
#[must_use]
pub fn decision(quorum: &Quorum, votes: &[Vote]) -> Option<Map<String, Value>> {
    let agreeing = |verdict: &Verdict| votes.iter().filter(|vote| vote.verdict == *verdict).count();
    let candidates = votes.iter().map(|vote| &vote.verdict).filter(|verdict| **verdict != Verdict::Rejected);
    let best = candidates.map(|verdict| (agreeing(verdict), verdict)).max_by_key(|(count, _)| *count);
    let (count, leading) = best.map_or((0, &Verdict::Rejected), |(count, verdict)| (count, verdict));
    let open = quorum.of.len().saturating_sub(votes.len());
    if count >= quorum.need {
        return Some(told(leading, quorum, votes));
    }
    (count.saturating_add(open) < quorum.need).then(|| told(&Verdict::Rejected, quorum, votes))
}

/// The answer that the agent gets: the decision, and who voted how.
fn told(verdict: &Verdict, quorum: &Quorum, votes: &[Vote]) -> Map<String, Value> {
    let mut data = Map::new();
    match verdict {
        Verdict::Approved => drop(data.insert("decision".to_owned(), "approved".into())),
        Verdict::Rejected => drop(data.insert("decision".to_owned(), "rejected".into())),
        Verdict::Chosen(keys) => match keys.as_slice() {
            [one] => drop(data.insert("choice".to_owned(), one.as_str().into())),
            several => drop(data.insert("choice".to_owned(), several.into())),
        },
        Verdict::Given => {}
    }
    data.insert("quorum".to_owned(), json!({ "need": quorum.need, "of": quorum.of.len() }));
    let votes = votes.iter().map(
        |vote| json!({ "responder_id": vote.responder_id, "response_data": vote.response_data, "at": iso(vote.at) }),
    );
    data.insert("votes".to_owned(), votes.collect());
    data
}
