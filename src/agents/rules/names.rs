//! Names of namespaces. A namespace is what sessions, machines, sockets, streams and calls never leave.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::limits;

/// The namespace of a token that names none.
pub const DEFAULT: &str = "default";

/// The name of a namespace: letters, digits, `.`, `_` and `-` of ASCII, at most 64. It has no colon, which separates it from
/// a token, and no white space.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace `default`.
    #[must_use]
    pub fn default_name() -> Self {
        Self(Arc::from(DEFAULT))
    }

    /// The name a text is; exact, case-sensitive.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = (1..=limits::NAMESPACE_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        is_name.then(|| Self(Arc::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["default", "a", "Team-1", "a.b_c", &"x".repeat(64)] {
            assert_eq!(Namespace::parse(name).unwrap().as_str(), name);
        }
        for text in ["", " a", "a b", "a:b", "ä", "a/b", "a\0", &"x".repeat(65)] {
            assert_eq!(Namespace::parse(text), None, "{text:?}");
        }
        assert_eq!(Namespace::parse(DEFAULT), Some(Namespace::default_name()));
    }
}
