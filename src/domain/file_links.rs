//! Links to files that work without a token.
//!
//! A link carries when it ends and a signature over the file's id and that time. Whoever holds the link may read the
//! file until then; nobody can make one without the key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::query::leading_int;
use crate::domain::secrets::{constant_time_eq, hmac_sha256};

/// How long a link lives: a day, so that a message can still be read the next morning.
pub const LIFETIME_S: i64 = 24 * 3600;

/// The key that signs links.
#[derive(Clone)]
pub struct LinkKey(Vec<u8>);

impl LinkKey {
    /// The configured key as it is, else one made from the admin secret, else none: then there are no links.
    #[must_use]
    pub fn of(configured: Option<&str>, admin_secret: Option<&str>) -> Option<Self> {
        // The label keeps the key from being of use anywhere else.
        let made = || admin_secret.map(|secret| hmac_sha256(secret.as_bytes(), b"file-links").to_vec());
        configured.map(|key| key.as_bytes().to_vec()).or_else(made).map(Self)
    }

    /// The signature of a file's link that ends at `exp` (seconds since the epoch, as text).
    #[must_use]
    pub fn sign(&self, file: &str, exp: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac_sha256(&self.0, format!("{file}:{exp}").as_bytes()))
    }

    /// The query of a link made now.
    #[must_use]
    pub fn query(&self, file: &str, now_s: i64) -> String {
        let exp = now_s.saturating_add(LIFETIME_S).to_string();
        format!("exp={exp}&sig={}", self.sign(file, &exp))
    }

    /// Whether a link is genuine and has not ended.
    #[must_use]
    pub fn accepts(&self, file: &str, exp: &str, signature: &str, now_s: i64) -> bool {
        let is_genuine = constant_time_eq(&self.sign(file, exp), signature);
        is_genuine && leading_int(exp).is_some_and(|exp| now_s <= exp)
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_its_file_until_it_ends() {
        let key = LinkKey::of(Some("k"), None).unwrap();
        let signature = key.sign("file", "100");
        assert!(key.accepts("file", "100", &signature, 100));
        assert!(!key.accepts("file", "100", &signature, 101));
        assert!(!key.accepts("other", "100", &signature, 100));
        assert!(!key.accepts("file", "1000", &signature, 100));
        assert!(!key.accepts("file", "100", "", 100));
        let query = key.query("file", 0);
        assert!(query.starts_with("exp=86400&sig="), "{query}");
    }

    #[test]
    fn the_key_is_configured_or_made_or_absent() {
        let of_admin = LinkKey::of(None, Some("admin")).unwrap();
        assert_ne!(of_admin.sign("f", "1"), LinkKey::of(Some("admin"), None).unwrap().sign("f", "1"));
        assert!(LinkKey::of(None, None).is_none());
        assert_eq!(format!("{of_admin:?}"), "LinkKey(***)");
    }
}
