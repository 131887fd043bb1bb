//! File links that work without a token.
//!
//! A link carries its expiry and a signature over the file's id and that time. Whoever has the link may read the file
//! until then; nobody can create one without the key. Links that the hub puts into messages are also signed for the
//! sender's organisation: if the sender names another organisation's file, the link does not open it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use serde_json::Value;

use crate::ids::{FileId, OrgId};
use crate::query::leading_int;
use crate::secrets::{constant_time_eq, hmac_sha256};

/// How long a link lives: a day, so that a message can still be read the next morning.
pub const LIFETIME_S: i64 = 24 * 3600;

/// From when until when a link lives.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// When it is made, seconds since the epoch.
    pub from_s: i64,
    /// When the token ends with which its message is sent, ms since the epoch: the link does not outlive it.
    pub maker_ends_at: Option<i64>,
}

impl Life {
    /// When it ends, seconds since the epoch.
    fn end_s(self) -> i64 {
        let end = self.from_s.saturating_add(LIFETIME_S);
        self.maker_ends_at.map_or(end, |at| end.min(at.div_euclid(1000)))
    }
}

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

    fn sign_within(&self, org: &str, file: &str, exp: &str) -> String {
        self.sign(&format!("{org}:{file}"), exp)
    }

    /// The query of a link made now, good for a file of this organisation only.
    #[must_use]
    pub fn query(&self, org: OrgId, file: &str, life: Life) -> String {
        let exp = life.end_s().to_string();
        format!("exp={exp}&sig={}", self.sign_within(&org.to_string(), file, &exp))
    }

    /// Whether a link is genuine and has not ended; `org` is whose file it names, if there is such a file.
    #[must_use]
    pub fn accepts(&self, org: Option<&str>, file: &str, exp: &str, signature: &str, now_s: i64) -> bool {
        let is_within = org.is_some_and(|org| constant_time_eq(&self.sign_within(org, file, exp), signature));
        let is_genuine = is_within || constant_time_eq(&self.sign(file, exp), signature);
        is_genuine && leading_int(exp).is_some_and(|exp| now_s <= exp)
    }
}

/// Makes the paths in messages into links that work from anywhere.
#[derive(Debug)]
pub struct AbsoluteLinks {
    /// The hub's URL, without a slash at the end.
    pub base: String,
    /// What signs links to files.
    pub key: LinkKey,
}

impl AbsoluteLinks {
    /// Stored parts with their paths replaced; `None` when there is nothing to replace.
    #[must_use]
    pub fn rewrite(&self, org: OrgId, parts: &str, life: Life) -> Option<String> {
        let mut parts: Vec<Value> = serde_json::from_str(parts).ok()?;
        let mut changed = 0;
        for part in &mut parts {
            let is_media = matches!(part.get("type").and_then(Value::as_str), Some("image" | "file"));
            let Some(Value::String(url)) = part.get_mut("url").filter(|_| is_media) else { continue };
            if url.starts_with('/') {
                *url = self.absolute(org, url, life);
                changed += 1;
            }
        }
        (changed > 0).then(|| Value::Array(parts).to_string())
    }

    fn absolute(&self, org: OrgId, path: &str, life: Life) -> String {
        let file = path.strip_prefix("/api/files/").filter(|id| FileId::parse(id).is_some());
        let query = file.map(|id| format!("?{}", self.key.query(org, id, life)));
        format!("{}{path}{}", self.base, query.unwrap_or_default())
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = "01900000-0000-7000-8000-000000000001";

    fn org(n: u128) -> OrgId {
        OrgId::from_uuid(uuid::Uuid::from_u128(n))
    }

    const FROM_0: Life = Life { from_s: 0, maker_ends_at: None };

    #[test]
    fn a_link_does_not_outlive_the_token_that_made_it() {
        let end = |maker_ends_at| Life { from_s: 100, maker_ends_at }.end_s();
        assert_eq!([None, Some(200_999), Some(i64::MAX)].map(end), [100 + LIFETIME_S, 200, 100 + LIFETIME_S]);
    }

    fn key() -> LinkKey {
        LinkKey::of(Some("k"), None).unwrap()
    }

    #[test]
    fn a_link_opens_its_file_until_it_ends() {
        let signature = key().sign("file", "100");
        let accepts = |file: &str, exp: &str, now_s: i64| key().accepts(None, file, exp, &signature, now_s);
        assert!(accepts("file", "100", 100));
        assert!(!accepts("file", "100", 101));
        assert!(!accepts("other", "100", 100));
        assert!(!accepts("file", "1000", 100));
        assert!(!key().accepts(None, "file", "100", "", 100));
    }

    #[test]
    fn a_link_of_the_hub_opens_a_file_of_the_senders_organisation() {
        let query = key().query(org(1), FILE, FROM_0);
        let signature = query.strip_prefix("exp=86400&sig=").unwrap();
        let accepts = |org: Option<String>| key().accepts(org.as_deref(), FILE, "86400", signature, 86_400);
        assert!(accepts(Some(org(1).to_string())));
        assert!(!accepts(Some(org(2).to_string())) && !accepts(None));
    }

    #[test]
    fn paths_of_media_become_links() {
        let links = AbsoluteLinks { base: "https://hub.example/x".into(), key: key() };
        let rewrite = |parts: Value| {
            let text = links.rewrite(org(1), &parts.to_string(), FROM_0);
            text.map(|text| serde_json::from_str::<Value>(&text).unwrap())
        };
        let signed = format!("https://hub.example/x/api/files/{FILE}?{}", key().query(org(1), FILE, FROM_0));
        let parts = json!([
            {"type": "text", "content": "/api/files/1"},
            {"type": "image", "url": format!("/api/files/{FILE}"), "alt": "a"},
            {"type": "file", "url": "/media/1", "name": "n", "mime_type": "m"},
            {"type": "file", "url": format!("/api/files/{FILE}/info"), "name": "n", "mime_type": "m"},
            {"type": "image", "url": "https://elsewhere.example/1"},
        ]);
        let expected = json!([
            {"type": "text", "content": "/api/files/1"},
            {"type": "image", "url": signed, "alt": "a"},
            {"type": "file", "url": "https://hub.example/x/media/1", "name": "n", "mime_type": "m"},
            {"type": "file", "url": format!("https://hub.example/x/api/files/{FILE}/info"), "name": "n", "mime_type": "m"},
            {"type": "image", "url": "https://elsewhere.example/1"},
        ]);
        assert_eq!(rewrite(parts), Some(expected));
        for same in [json!([]), json!([{"type": "link", "url": "/a"}]), json!([{"type": "image", "url": "https://a"}])]
        {
            assert_eq!(rewrite(same), None);
        }
    }

    #[test]
    fn the_key_is_configured_or_made_or_absent() {
        let of_admin = LinkKey::of(None, Some("admin")).unwrap();
        assert_ne!(of_admin.sign("f", "1"), LinkKey::of(Some("admin"), None).unwrap().sign("f", "1"));
        assert!(LinkKey::of(None, None).is_none());
        assert_eq!(format!("{of_admin:?}"), "LinkKey(***)");
    }
}
