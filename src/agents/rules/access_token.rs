//! Access tokens as clients give them: `base[:namespace]`.

use super::limits;
use super::names;

/// An access token taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessToken<'a> {
    /// The whole text without white space at its ends.
    pub whole: &'a str,
    /// The secret.
    pub base: &'a str,
    /// The namespace that it names; [`names::DEFAULT`] where it names none. It need not be a legal name.
    pub namespace: &'a str,
}

impl<'a> AccessToken<'a> {
    /// Takes a text apart: white space at its ends is dropped, and the last colon separates base and namespace. `None` where
    /// a part is empty or has white space beside the colon.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let whole = text.trim();
        if whole.len() > limits::TOKEN_BYTES {
            return None;
        }
        let (base, namespace) = whole.rsplit_once(':').unwrap_or((whole, names::DEFAULT));
        let is_part = |part: &str| !part.is_empty() && part.trim() == part;
        (is_part(base) && is_part(namespace)).then_some(Self { whole, base, namespace })
    }
}

/// A token is never written to a log.
impl std::fmt::Debug for AccessToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        AccessToken::parse(text).map(|token| (token.base, token.namespace))
    }

    #[test]
    fn the_last_colon_separates() {
        assert_eq!(parts("secret"), Some(("secret", "default")));
        assert_eq!(parts("secret:bob"), Some(("secret", "bob")));
        assert_eq!(parts("a:b:c"), Some(("a:b", "c")));
        assert_eq!(parts("  secret:bob\n"), Some(("secret", "bob")));
        assert_eq!(parts("se cret:bo b"), Some(("se cret", "bo b")));
    }

    #[test]
    fn empty_parts_and_inner_edges_are_refused() {
        for text in ["", "   ", ":", "secret:", ":bob", "secret :bob", "secret: bob", "a: :b", "a:b: "] {
            assert_eq!(parts(text), None, "{text:?}");
        }
        assert_eq!(parts(&"x".repeat(513)), None);
    }

    #[test]
    fn a_token_is_not_in_its_debug_text() {
        assert!(!format!("{:?}", AccessToken::parse("geheim:bob").unwrap()).contains("geheim"));
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(text in any::<String>()) {
            if let Some(token) = AccessToken::parse(&text) {
                let joined = format!("{}:{}", token.base, token.namespace);
                prop_assert!(joined == text.trim() || (token.base == text.trim() && token.namespace == "default"));
            }
        }
    }
}
