//! Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13.1).
//!
//! Compressing proxies change the tags that pass through them: they weaken them (nginx, Cloudflare) or append the
//! coding (Apache's `"7-gzip"`, Jetty's `"7--gzip"`, Caddy's `"7-zstd"`). A client sends back what it received, so such
//! a tag matches the hub's original one. Only ranges, which depend on the exact bytes, require the exact tag.

use crate::error::{ApiError, ApiResult};

/// What proxies append to a tag for the coding that they have chosen.
const CODINGS: [&str; 5] = ["-gzip", "-br", "-zstd", "-deflate", ";gzip"];

/// A tag out of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    /// `*`, which is every tag.
    is_any: bool,
    /// What stands between the quotes.
    opaque: &'a str,
}

/// The tags of a header's list. Commas within quotes belong to a tag; a tag without quotes is taken as it is.
fn tags(list: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let bare = rest.strip_prefix("W/").unwrap_or(rest);
        let Some(quoted) = bare.strip_prefix('"') else {
            let (tag, after) = bare.split_once(',').unwrap_or((bare, ""));
            rest = after;
            let opaque = tag.trim().trim_end_matches('"');
            return Some(Tag { is_any: opaque == "*", opaque });
        };
        let (opaque, after) = quoted.split_once('"').unwrap_or((quoted, ""));
        rest = after.split_once(',').map_or("", |(_, after)| after);
        Some(Tag { is_any: false, opaque })
    })
}

/// A tag's text without what proxies have added.
fn without_coding(opaque: &str) -> &str {
    let bare = CODINGS.iter().find_map(|coding| opaque.strip_suffix(coding));
    bare.map_or(opaque, |bare| bare.strip_suffix('-').unwrap_or(bare))
}

/// Whether a header's list of tags names this one, weakly: for `If-None-Match`.
#[must_use]
pub fn lists(list: &str, tag: &str) -> bool {
    let Some(own) = tags(tag).next() else { return false };
    tags(list).any(|known| known.is_any || known.opaque == own.opaque || without_coding(known.opaque) == own.opaque)
}

/// Whether a header is exactly this strong tag: for `If-Range`, where the bytes must be the same ones.
#[must_use]
pub fn is_exactly(header: &str, tag: &str) -> bool {
    header.trim() == tag && !tag.starts_with("W/")
}

/// The revisions on one of which a change is based.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revisions {
    first: i64,
    others: Vec<i64>,
}

impl From<i64> for Revisions {
    fn from(first: i64) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl Revisions {
    /// Whether the change may be made to this revision.
    #[must_use]
    pub fn admit(&self, revision: i64) -> bool {
        self.first == revision || self.others.contains(&revision)
    }
}

/// The revisions in `If-Match`. Absent, empty and `*` are no condition: what the request names exists or is not found. A tag
/// begins with its revision, weakened by a proxy or not; tags of something else are not those of a revision.
///
/// # Errors
/// 400 when there are tags and none of them is a revision's.
pub fn if_match(header: Option<&str>) -> ApiResult<Option<Revisions>> {
    let Some(text) = header.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    if tags(text).any(|tag| tag.is_any) {
        return Ok(None);
    }
    let mut revisions = tags(text).filter_map(|tag| revision(tag.opaque));
    match revisions.next() {
        Some(first) => Ok(Some(Revisions { first, others: revisions.collect() })),
        None => Err(ApiError::validation("If-Match must be a revision number, such as \"3\"")),
    }
}

/// The revision that a tag begins with. A dash belongs to tags of bodies (length and hash), not of revisions.
fn revision(opaque: &str) -> Option<i64> {
    let bare = without_coding(opaque.trim());
    let digits = bare.trim_start_matches('-');
    if digits.contains('-') { None } else { super::query::leading_int(bare) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_compare_weakly() {
        for list in [
            "\"a\"",
            "W/\"a\"",
            "\"b\", W/\"a\"",
            "\"b,c\" , \"a\"",
            "*",
            "a",
            "\"a-gzip\"",
            "W/\"a-br\"",
            "\"a--gzip\"",
            "\"a;gzip\"",
            ", ,\"a\"",
        ] {
            assert!(lists(list, "\"a\"") && lists(list, "W/\"a\""), "{list}");
        }
        for list in ["", "\"ab\"", "W/\"A\"", "\"*\"", "\"b,a\"", "\"a-gzi\"", "\"-gzip\"", "W/"] {
            assert!(!lists(list, "\"a\""), "{list}");
        }
        assert!(lists("\"a-gzip\"", "\"a-gzip\""), "a tag may end like that by itself");
    }

    #[test]
    fn ranges_compare_strongly() {
        assert!(is_exactly(" \"a\" ", "\"a\""));
        for header in ["W/\"a\"", "\"a-gzip\"", "a", "*", "\"a\", \"b\"", "Sun, 29 Nov 2026 17:00:00 GMT"] {
            assert!(!is_exactly(header, "\"a\""), "{header}");
        }
        assert!(!is_exactly("W/\"a\"", "W/\"a\""));
    }

    #[test]
    fn if_match_takes_revisions_however_they_passed() {
        let read = |header| if_match(Some(header)).unwrap();
        for header in
            ["\"2\"", "2", "\"2\"abc", "W/\"2\"", "W/2", "\"2-gzip\"", "W/\"2--gzip\"", " 2 ", "\"2abc\"", "2\""]
        {
            assert_eq!(read(header), Some(Revisions::from(2)), "{header}");
        }
        let several = read("\"3\", W/\"9\", \"12-a1b2c3\", x").unwrap();
        assert!(several.admit(3) && several.admit(9) && !several.admit(12) && !several.admit(4));
        assert_eq!((if_match(None).unwrap(), read(" "), read("*"), read("\"1\", *")), (None, None, None, None));
        for header in ["W/\"12-00ff00ff00ff00ff\"", "x", "\"\"", "\"*\"", "W/"] {
            assert!(if_match(Some(header)).is_err(), "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_can_be_read(text in any::<String>(), tag in "[a-z0-9-]{0,8}") {
            let _ = (lists(&text, &tag), if_match(Some(&text)), is_exactly(&text, &tag));
        }

        #[test]
        fn a_tag_is_found_in_any_list_with_it(tags in proptest::collection::vec("[a-z0-9,-]{1,8}", 1..5), weak in any::<bool>()) {
            let own = format!("\"{}\"", tags[0]);
            let list: Vec<String> = tags.iter().map(|tag| format!("{}\"{tag}\"", if weak { "W/" } else { "" })).collect();
            prop_assert!(lists(&list.join(", "), &own));
        }
    }
}
