//! Scopes of tokens, and the scope that each route, operation and event needs.
//!
//! A token has a set of scopes; `full` implies all but `respond`, which only an organisation's admins give. The set keeps
//! the order in which it was given, because the response to the token's creation repeats it. A set that cannot be parsed
//! grants nothing. The tables here are the only definition of required scopes, so that no transport reveals more than
//! another.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{ApiError, ApiResult};
use crate::text::kind;

wire_enum! {
    /// One right of a token.
    Scope {
        Full = "full",
        Read = "read",
        Thread = "thread",
        Message = "message",
        Profile = "profile",
        Coordinate = "coordinate",
        Respond = "respond",
    }
}

impl Scope {
    /// Its name in the packed order; never 0.
    const fn number(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Read => 2,
            Self::Thread => 3,
            Self::Message => 4,
            Self::Profile => 5,
            Self::Coordinate => 6,
            Self::Respond => 7,
        }
    }

    /// Its bit in the mask.
    const fn bit(self) -> u32 {
        1 << self.number()
    }

    /// The scopes that a bot gives to its own tokens.
    pub fn own() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|scope| *scope != Self::Respond)
    }
}

/// A set of scopes in the order given; small enough to copy.
#[derive(Clone, Copy, Default)]
pub struct ScopeSet {
    /// One bit for each scope held.
    mask: u32,
    /// Three bits for each scope, first given lowest.
    order: u32,
}

/// Bits one scope takes in the packed order.
const SLOT: u32 = 3;

impl ScopeSet {
    /// No right at all.
    pub const EMPTY: Self = Self { mask: 0, order: 0 };
    /// Every right but answering requests, as primary tokens have.
    pub const FULL: Self = Self::EMPTY.with(Scope::Full);
    /// What an agent's key covers.
    pub const KEY: Self = Self::EMPTY.with(Scope::Coordinate);
    /// What a key covers that may answer requests too.
    pub const RESPONDING_KEY: Self = Self::KEY.with(Scope::Respond);

    /// The set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        if self.mask & scope.bit() != 0 {
            return self;
        }
        let slot = self.mask.count_ones() * SLOT;
        Self { mask: self.mask | scope.bit(), order: self.order | (scope.number() << slot) }
    }

    /// Whether the set covers what needs this scope; only `respond` itself covers that.
    #[must_use]
    pub const fn allows(self, needed: Scope) -> bool {
        match needed {
            Scope::Respond => self.holds(needed),
            _ => self.holds(needed) || self.holds(Scope::Full),
        }
    }

    /// Whether the set names this scope.
    #[must_use]
    pub const fn holds(self, scope: Scope) -> bool {
        self.mask & scope.bit() != 0
    }

    /// Whether the set is that of an agent's key: it covers requests to people, and nothing else.
    #[must_use]
    pub const fn is_key(self) -> bool {
        !self.is_empty() && self.mask & !Self::RESPONDING_KEY.mask == 0
    }

    /// Whether the set grants nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.mask == 0
    }

    /// The scopes in the order given.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        (0..self.mask.count_ones()).filter_map(move |index| {
            let number = (self.order >> (index * SLOT)) & ((1 << SLOT) - 1);
            Scope::ALL.iter().copied().find(|scope| scope.number() == number)
        })
    }

    /// Reads the scopes that a bot asks for: a list of at least one known name. `respond` is not among them, because a bot
    /// would allow itself to answer what people are asked.
    pub fn from_request(value: Option<&Value>) -> ApiResult<Self> {
        let accepted = || Scope::own().map(Scope::as_str).collect::<Vec<_>>().join(", ");
        let value = value.unwrap_or(&Value::Null);
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            return Err(ApiError::validation(format!("scopes must be a non-empty array of {}", accepted())));
        };
        items.iter().try_fold(Self::EMPTY, |set, item| {
            let scope = item.as_str().and_then(Scope::parse);
            if scope == Some(Scope::Respond) {
                let refusal = "scopes may not hold \"respond\": only an organisation's admin makes keys that answer";
                return Err(ApiError::validation(refusal));
            }
            let scope = scope.ok_or_else(|| {
                let got = item.as_str().map_or_else(|| kind(item).to_owned(), |text| format!("{text:?}"));
                ApiError::validation(format!("scopes may hold {}, not {got}", accepted()))
            })?;
            Ok(set.with(scope))
        })
    }

    /// Reads the stored JSON list. What is no list of known names grants nothing.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self::EMPTY)
    }

    /// The JSON list to store.
    #[must_use]
    pub fn to_stored(self) -> String {
        Value::from(self).to_string()
    }
}

impl PartialEq for ScopeSet {
    /// Sets are equal when they grant the same, in whatever order.
    fn eq(&self, other: &Self) -> bool {
        self.mask == other.mask
    }
}

impl Eq for ScopeSet {}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Scope::as_str)).finish()
    }
}

impl From<ScopeSet> for Value {
    fn from(set: ScopeSet) -> Self {
        set.iter().map(Scope::as_str).collect()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        scopes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Scope>::deserialize(deserializer).map(Self::from_iter)
    }
}

/// What a bot's credential must cover for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No scope is looked at; who may come in at all is another question.
    Nothing,
    /// Whatever scope, but not the key of an agent: that only asks people.
    Membership,
    /// This scope.
    Of(Scope),
    /// `thread` or `message`: both send what files are uploaded for.
    Upload,
}

impl Need {
    /// Whether these scopes suffice.
    #[must_use]
    pub const fn is_covered(self, scopes: ScopeSet) -> bool {
        match self {
            Need::Nothing => true,
            Need::Membership => !scopes.is_key(),
            Need::Of(scope) => scopes.allows(scope),
            Need::Upload => scopes.allows(Scope::Thread) || scopes.allows(Scope::Message),
        }
    }

    /// How documentation calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Need::Nothing => "none",
            Need::Membership => "any",
            Need::Of(scope) => scope.as_str(),
            Need::Upload => "thread or message",
        }
    }
}

const READ: Need = Need::Of(Scope::Read);
const THREAD: Need = Need::Of(Scope::Thread);
const MESSAGE: Need = Need::Of(Scope::Message);
const PROFILE: Need = Need::Of(Scope::Profile);
const FULL: Need = Need::Of(Scope::Full);

/// What each event needs, whichever way it comes: live, resumed, or read over REST. Those that tell of what REST shows to
/// `read` need that; join requests are shown to `thread`.
pub const EVENTS: [(&str, Need); 16] = [
    ("thread_message", READ),
    ("message", READ),
    ("bot_online", READ),
    ("bot_offline", READ),
    ("thread_artifact", READ),
    ("thread_updated", READ),
    ("thread_participant", READ),
    ("thread_created", READ),
    ("channel_created", READ),
    ("thread_status_changed", READ),
    ("thread_join_request", THREAD),
    ("thread_join_resolved", THREAD),
    ("bot_registered", READ),
    ("bot_join_request", READ),
    ("bot_status_changed", READ),
    ("bot_renamed", READ),
];

/// What an event needs; one that is not in the table is for those only who may do everything.
#[must_use]
pub fn of_event(kind: &str) -> Need {
    EVENTS.iter().find(|(name, _)| *name == kind).map_or(FULL, |(_, need)| *need)
}

/// What each route of the kernel needs of a bot's credential; features say it of theirs. Those of an organisation's admin need
/// it of an admin bot's. At the others no scope is looked at: they are for everybody, or for people only.
pub const ROUTES: [(&str, Need); 83] = [
    ("GET /api/org", Need::Membership),
    ("POST /api/ws-ticket", Need::Membership),
    ("GET /api/bots", READ),
    ("GET /api/bots/{id}", READ),
    ("GET /api/bots/{id}/channels", READ),
    ("GET /api/bots/{name}/profile", READ),
    ("GET /api/bots/{name}/webhook/health", READ),
    ("GET /api/channels", READ),
    ("GET /api/channels/{id}", READ),
    ("GET /api/channels/{id}/messages", READ),
    ("GET /api/inbox", READ),
    ("GET /api/me", READ),
    ("GET /api/me/catchup", READ),
    ("GET /api/me/catchup/count", READ),
    ("GET /api/me/workspace", READ),
    ("GET /api/peers", READ),
    ("GET /api/threads", READ),
    ("GET /api/threads/{id}", READ),
    ("GET /api/threads/{id}/artifacts", READ),
    ("GET /api/threads/{id}/artifacts/{key}/versions", READ),
    ("GET /api/threads/{id}/messages", READ),
    ("GET /v0/api/channels", READ),
    ("POST /api/threads", THREAD),
    ("PATCH /api/threads/{id}", THREAD),
    ("POST /api/threads/{id}/artifacts", THREAD),
    ("PATCH /api/threads/{id}/artifacts/{key}", THREAD),
    ("POST /api/threads/{id}/join", THREAD),
    ("GET /api/threads/{id}/join-requests", THREAD),
    ("POST /api/threads/{id}/join-requests/{request}/approve", THREAD),
    ("POST /api/threads/{id}/join-requests/{request}/reject", THREAD),
    ("POST /api/threads/{id}/messages", THREAD),
    ("POST /api/threads/{id}/participants", THREAD),
    ("DELETE /api/threads/{id}/participants/{bot}", THREAD),
    ("PATCH /api/threads/{id}/participants/{bot}", THREAD),
    ("POST /api/channels/{id}/messages", MESSAGE),
    ("POST /api/send", MESSAGE),
    ("PATCH /api/me/metadata", PROFILE),
    ("PATCH /api/me/name", PROFILE),
    ("PATCH /api/me/profile", PROFILE),
    ("GET /api/audit", FULL),
    ("DELETE /api/bots/{id}", FULL),
    ("DELETE /api/me", FULL),
    ("POST /api/me/rotate-token", FULL),
    ("GET /api/me/sessions", FULL),
    ("DELETE /api/me/sessions/{reference}", FULL),
    ("GET /api/me/tokens", FULL),
    ("POST /api/me/tokens", FULL),
    ("DELETE /api/me/tokens/{id}", FULL),
    ("GET /api/me/webhook", FULL),
    ("PATCH /api/me/webhook", FULL),
    ("POST /api/me/webhook/secret", FULL),
    ("PATCH /api/org/agents/{agent_id}/role", FULL),
    ("PATCH /api/org/bots/{bot_id}/role", FULL),
    ("PATCH /api/org/bots/{bot_id}/status", FULL),
    ("GET /api/org/bots/{bot_id}/webhook/deliveries", FULL),
    ("POST /api/org/bots/{bot_id}/webhook/deliveries/{delivery_id}/replay", FULL),
    ("GET /api/org/people", FULL),
    ("POST /api/org/people", FULL),
    ("GET /api/org/people/{id}", FULL),
    ("PATCH /api/org/people/{id}", FULL),
    ("DELETE /api/org/people/{id}", FULL),
    ("POST /api/org/people/{id}/link", FULL),
    ("GET /api/org/keys", FULL),
    ("POST /api/org/keys", FULL),
    ("DELETE /api/org/keys/{id}", FULL),
    ("POST /api/org/rotate-secret", FULL),
    ("GET /api/org/search", FULL),
    ("GET /api/org/sessions", FULL),
    ("DELETE /api/org/sessions/{reference}", FULL),
    ("GET /api/org/settings", FULL),
    ("PATCH /api/org/settings", FULL),
    ("GET /api/org/threads", FULL),
    ("GET /api/org/threads/{id}", FULL),
    ("PATCH /api/org/threads/{id}", FULL),
    ("GET /api/org/threads/{id}/artifacts", FULL),
    ("GET /api/org/threads/{id}/messages", FULL),
    ("POST /api/org/threads/{id}/participants", FULL),
    ("DELETE /api/org/threads/{id}/participants/{bot}", FULL),
    ("GET /api/org/tickets", FULL),
    ("POST /api/org/tickets", FULL),
    ("DELETE /api/org/tickets/{id}", FULL),
    ("POST /v0/api/channels", FULL),
    ("PATCH /v0/api/org/agents/{agent_id}/role", FULL),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn full_implies_all_but_respond_and_nothing_else_does() {
        for needed in Scope::ALL {
            assert_eq!(ScopeSet::FULL.allows(*needed), *needed != Scope::Respond);
            for held in Scope::ALL {
                let set = ScopeSet::EMPTY.with(*held);
                let is_implied = *held == Scope::Full && *needed != Scope::Respond;
                assert_eq!(set.allows(*needed), held == needed || is_implied, "{held} for {needed}");
            }
        }
        assert!(!ScopeSet::EMPTY.allows(Scope::Read));
        assert!(ScopeSet::RESPONDING_KEY.allows(Scope::Coordinate) && ScopeSet::RESPONDING_KEY.holds(Scope::Respond));
    }

    #[test]
    fn keys_take_part_in_nothing_else() {
        let set = |scopes: &[Scope]| scopes.iter().copied().collect::<ScopeSet>();
        for key in [ScopeSet::KEY, ScopeSet::RESPONDING_KEY, set(&[Scope::Respond, Scope::Coordinate])] {
            assert!(key.is_key() && !Need::Membership.is_covered(key), "{key:?}");
        }
        for other in [ScopeSet::EMPTY, ScopeSet::FULL, set(&[Scope::Coordinate, Scope::Read])] {
            assert!(!other.is_key() && Need::Membership.is_covered(other), "{other:?}");
        }
        assert!(ScopeSet::KEY.iter().all(|scope| Scope::own().any(|own| own == scope)), "bots make them, too");
    }

    #[test]
    fn uploads_need_thread_or_message() {
        let may = |scope: &&Scope| Need::Upload.is_covered(ScopeSet::EMPTY.with(**scope));
        let may: Vec<Scope> = Scope::ALL.iter().filter(may).copied().collect();
        assert_eq!(may, [Scope::Full, Scope::Thread, Scope::Message]);
    }

    #[test]
    fn every_row_of_a_table_has_a_name_of_its_own() {
        for table in [ROUTES.as_slice(), EVENTS.as_slice()] {
            let names: std::collections::HashSet<&str> = table.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), table.len());
        }
        assert_eq!(of_event("nothing"), Need::Of(Scope::Full));
    }

    #[test]
    fn requests_name_known_scopes() {
        let set = ScopeSet::from_request(Some(&json!(["thread", "read", "thread"]))).unwrap();
        assert_eq!(set.to_stored(), r#"["thread","read"]"#);
        for value in [json!([]), json!("read"), json!(["admin"]), json!([1]), json!(["full", "respond"]), Value::Null] {
            assert!(ScopeSet::from_request(Some(&value)).is_err(), "{value}");
        }
        assert!(ScopeSet::from_request(None).is_err());
    }

    #[test]
    fn unreadable_scopes_grant_nothing() {
        for text in ["", "null", "full", r#"{"full":true}"#, r#"["full","bogus"]"#, r#"["full""#, "[1]", "[]"] {
            assert!(ScopeSet::from_stored(text).is_empty(), "{text}");
        }
        assert_eq!(ScopeSet::from_stored(r#"["full"]"#), ScopeSet::FULL);
    }

    proptest! {
        #[test]
        fn a_set_keeps_its_order_without_repetition(
            names in proptest::collection::vec(proptest::sample::select(Scope::ALL), 0..12),
        ) {
            let set: ScopeSet = names.iter().copied().collect();
            let mut expected = Vec::new();
            for name in &names {
                if !expected.contains(name) {
                    expected.push(*name);
                }
            }
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(ScopeSet::from_stored(&set.to_stored()).to_stored(), set.to_stored());
        }
    }
}
