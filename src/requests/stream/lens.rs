//! What a client of the stream sees: what its principal may see, and of that what it asked for.

use std::sync::Arc;

use crate::rules::request::handle_key;
use crate::rules::rights::Reach;
use hxa_domain::ids::BotId;

/// Whom an event concerns.
#[derive(Debug)]
pub struct Concerned {
    /// The agent.
    pub agent: BotId,
    /// Its name.
    pub agent_id: Arc<str>,
    /// The responders, by the keys of their handles.
    pub responders: Box<[Box<str>]>,
}

impl Concerned {
    fn has(&self, key: &str) -> bool {
        self.responders.iter().any(|responder| **responder == *key)
    }
}

/// What one client sees.
#[derive(Debug, PartialEq, Eq)]
pub struct Lens {
    reach: Reach,
    agent_id: Option<String>,
    responder: Option<String>,
}

impl Lens {
    /// What is within reach, and of that the events of this agent and of this responder.
    #[must_use]
    pub fn new(reach: Reach, agent_id: Option<&str>, responder_id: Option<&str>) -> Self {
        let reach = match reach {
            Reach::Responder(handle) => Reach::Responder(handle_key(&handle)),
            other => other,
        };
        Self { reach, agent_id: agent_id.map(str::to_owned), responder: responder_id.map(handle_key) }
    }

    /// Whether an event is shown.
    #[must_use]
    pub fn shows(&self, concerned: &Concerned) -> bool {
        let may_be = match &self.reach {
            Reach::All => true,
            Reach::Agent(bot) => concerned.agent == *bot,
            Reach::Responder(key) => concerned.has(key),
            Reach::Nothing => false,
        };
        may_be
            && self.agent_id.as_deref().is_none_or(|name| *concerned.agent_id == *name)
            && self.responder.as_deref().is_none_or(|key| concerned.has(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sees_what_it_may_and_of_that_what_it_asked_for() {
        let (ada, bob) = (BotId::random(), BotId::random());
        let concerned = Concerned {
            agent: ada,
            agent_id: "ada".into(),
            responders: [handle_key("Dora"), handle_key("emil")].into_iter().map(Into::into).collect(),
        };
        let shows = |reach: &Reach, agent, responder| Lens::new(reach.clone(), agent, responder).shows(&concerned);
        let responder = |handle: &str| Reach::Responder(handle.to_owned());
        for (reach, is_within) in [
            (Reach::All, true),
            (Reach::Agent(ada), true),
            (Reach::Agent(bob), false),
            (responder("DORA"), true),
            (responder("cleo"), false),
            (Reach::Nothing, false),
        ] {
            assert_eq!(shows(&reach, None, None), is_within, "{reach:?}");
            assert_eq!(shows(&reach, Some("ada"), Some("Emil")), is_within, "{reach:?}");
            assert!(!shows(&reach, Some("Ada"), None), "names of agents are exact");
            assert!(!shows(&reach, None, Some("fay")));
        }
    }
}
