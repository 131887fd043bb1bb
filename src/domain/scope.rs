//! What a token may be used for.
//!
//! A token carries a set of scopes; `full` implies all. The set remembers the order in which it was given, because the
//! answer to its creation repeats it. What cannot be read grants nothing.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::domain::text::kind;
use crate::error::{ApiError, ApiResult};

wire_enum! {
    /// One right of a token.
    Scope {
        Full = "full",
        Read = "read",
        Thread = "thread",
        Message = "message",
        Profile = "profile",
    }
}

impl Scope {
    /// The bit of this scope, which is also its name in the packed order; never 0.
    const fn bit(self) -> u32 {
        match self {
            Self::Full => 1,
            Self::Read => 1 << 1,
            Self::Thread => 1 << 2,
            Self::Message => 1 << 3,
            Self::Profile => 1 << 4,
        }
    }
}

/// A set of scopes in the order given; small enough to copy.
#[derive(Clone, Copy, Default)]
pub struct ScopeSet {
    /// One bit for each scope held.
    mask: u32,
    /// Five bits for each scope, first given lowest.
    order: u32,
}

/// Bits one scope takes in the packed order.
const SLOT: u32 = 5;

impl ScopeSet {
    /// No right at all.
    pub const EMPTY: Self = Self { mask: 0, order: 0 };
    /// Every right, as primary tokens have.
    pub const FULL: Self = Self { mask: Scope::Full.bit(), order: Scope::Full.bit() };

    /// The set with one more scope.
    #[must_use]
    pub const fn with(self, scope: Scope) -> Self {
        if self.mask & scope.bit() != 0 {
            return self;
        }
        let slot = self.mask.count_ones() * SLOT;
        Self { mask: self.mask | scope.bit(), order: self.order | (scope.bit() << slot) }
    }

    /// Whether the set covers what needs this scope.
    #[must_use]
    pub const fn allows(self, needed: Scope) -> bool {
        self.mask & (needed.bit() | Scope::Full.bit()) != 0
    }

    /// Whether the set covers uploading a file, which both `thread` and `message` do.
    #[must_use]
    pub const fn allows_upload(self) -> bool {
        self.allows(Scope::Thread) || self.allows(Scope::Message)
    }

    /// Whether the set grants nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.mask == 0
    }

    /// The scopes in the order given.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        (0..self.mask.count_ones()).filter_map(move |index| {
            let bit = (self.order >> (index * SLOT)) & ((1 << SLOT) - 1);
            Scope::ALL.iter().copied().find(|scope| scope.bit() == bit)
        })
    }

    /// Reads the scopes asked for: a list of at least one known name.
    pub fn from_request(value: Option<&Value>) -> ApiResult<Self> {
        let value = value.unwrap_or(&Value::Null);
        let Some(items) = value.as_array().filter(|items| !items.is_empty()) else {
            let accepted = Scope::accepted();
            return Err(ApiError::validation(format!("scopes must be a non-empty array of {accepted}")));
        };
        items.iter().try_fold(Self::EMPTY, |set, item| {
            let scope = item.as_str().and_then(Scope::parse).ok_or_else(|| {
                let got = item.as_str().map_or_else(|| kind(item).to_owned(), |text| format!("{text:?}"));
                ApiError::validation(format!("scopes may hold {}, not {got}", Scope::accepted()))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn full_implies_all_and_nothing_else_does() {
        for needed in Scope::ALL {
            assert!(ScopeSet::FULL.allows(*needed));
            for held in Scope::ALL {
                let set = ScopeSet::EMPTY.with(*held);
                assert_eq!(set.allows(*needed), held == needed || *held == Scope::Full);
            }
        }
        assert!(!ScopeSet::EMPTY.allows(Scope::Read));
    }

    #[test]
    fn uploads_need_thread_or_message() {
        let may: Vec<Scope> = Scope::ALL.iter().copied().filter(|s| ScopeSet::EMPTY.with(*s).allows_upload()).collect();
        assert_eq!(may, [Scope::Full, Scope::Thread, Scope::Message]);
    }

    #[test]
    fn requests_name_known_scopes() {
        let set = ScopeSet::from_request(Some(&json!(["thread", "read", "thread"]))).unwrap();
        assert_eq!(set.to_stored(), r#"["thread","read"]"#);
        for value in [json!([]), json!("read"), json!(["admin"]), json!([1]), Value::Null] {
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
