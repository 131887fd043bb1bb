//! Who acts on requests.

use std::sync::Arc;

use super::words::ActorKind;
use hxa_domain::ids::BotId;
pub use hxa_domain::people::PersonRole;

/// Name of the hub where it acts by itself.
pub const SYSTEM: &str = "system";

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A bot by its token or key.
    Agent {
        /// The bot.
        id: BotId,
        /// Its name.
        name: Arc<str>,
        /// Whether its key may answer in the name of people.
        may_respond: bool,
    },
    /// A person by their session.
    Person {
        /// Their handle.
        handle: Arc<str>,
        /// What they are.
        role: PersonRole,
    },
    /// The organisation's own admin: by its secret, or an admin bot's session.
    OrgAdmin {
        /// How it is named: `org:<id>`.
        name: Arc<str>,
    },
    /// A person by a signed message of Slack.
    Slack {
        /// Slack's id of the user.
        user_id: Arc<str>,
        /// Slack's name of the user.
        user_name: Arc<str>,
        /// The person, where one is known.
        person: Option<(Arc<str>, PersonRole)>,
    },
    /// The hub.
    System,
}

impl Who {
    /// How audit events name this one.
    #[must_use]
    pub fn actor(&self) -> (ActorKind, String) {
        match self {
            Self::Agent { name, .. } => (ActorKind::Agent, name.to_string()),
            Self::Person { handle: name, .. } | Self::OrgAdmin { name } => (ActorKind::Human, name.to_string()),
            Self::Slack { user_id, .. } => (ActorKind::Human, format!("slack:{user_id}")),
            Self::System => (ActorKind::System, SYSTEM.to_owned()),
        }
    }

    /// The name under which this one's answer is given; `named` is what the body says, which counts only from a key that may
    /// answer in the name of people.
    #[must_use]
    pub fn answers_as(&self, named: Option<&str>) -> Option<String> {
        match self {
            Self::Agent { may_respond, .. } => named.filter(|_| *may_respond).map(str::to_owned),
            Self::Person { handle: name, .. } | Self::OrgAdmin { name } => Some(name.to_string()),
            Self::Slack { person: Some((handle, _)), .. } => Some(handle.to_string()),
            Self::Slack { user_name, person: None, .. } => Some(format!("slack:{user_name}")),
            Self::System => None,
        }
    }

    /// Their handle and role, where this one is a person.
    #[must_use]
    pub fn person(&self) -> Option<(&str, PersonRole)> {
        match self {
            Self::Person { handle, role } | Self::Slack { person: Some((handle, role)), .. } => Some((handle, *role)),
            _ => None,
        }
    }
}
