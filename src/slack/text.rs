//! Text for Slack: escaping of its markup (mrkdwn), and cutting to its limits.
//!
//! Limits count characters of the text as it is sent, after escaping. A cut ends with an ellipsis, and never within an
//! escaped character or a link. Text of strangers becomes text of Slack only by [`escape`], [`escape_within`],
//! [`code`], [`link`] or [`plain`]: then no `<!channel>`, `<@U…>` or link of theirs takes effect. Characters that
//! nobody sees are left out, above all those that change the direction of writing: people decide by what they read here.

use url::Url;

/// Most characters of a header.
pub const HEADER: usize = 150;
/// Most characters of a section's text, and of any other text of a block.
pub const SECTION: usize = 3000;
/// Most characters of a button's text.
pub const BUTTON: usize = 75;
/// Most characters of a button's value.
pub const VALUE: usize = 2000;
/// Most characters of a block's id, and of an action's.
pub const ID: usize = 255;
/// Most characters of a URL.
pub const URL: usize = 3000;
/// Most blocks of a message.
pub const BLOCKS: usize = 50;
/// Most elements of a block of actions.
pub const ACTIONS: usize = 25;
/// Most elements of a context block.
pub const CONTEXT: usize = 10;
/// Most characters of a message's own text; `chat.update` refuses more.
pub const MESSAGE: usize = 4000;
/// Most characters of all texts of a message's blocks. Slack refuses about 12,000 of them without documenting how it
/// counts; messages that were measured at 11,300 have been refused.
pub const ALL_BLOCKS: usize = 10_000;

/// What stands where something was cut off.
pub const ELLIPSIS: char = '…';
/// What stands where there is no text: Slack refuses empty ones.
pub const EMPTY: &str = "(empty)";

/// Longest escaped character, `&amp;`.
const ENTITY: usize = 5;

/// Text as mrkdwn that shows it and nothing else, but for emphasis.
#[must_use]
pub fn escape(text: &str) -> String {
    escape_within(text, usize::MAX)
}

/// [`escape`], cut to so many characters.
#[must_use]
pub fn escape_within(text: &str, most: usize) -> String {
    let mut out = String::new();
    let (mut used, mut fits) = (0, 0);
    for character in text.chars().filter(|character| is_shown(*character)) {
        let entity = entity(character);
        used += entity.map_or(1, str::len);
        if used > most {
            return with_ellipsis(out, fits, most);
        }
        match entity {
            Some(entity) => out.push_str(entity),
            None => out.push(character),
        }
        if used < most {
            fits = out.len();
        }
    }
    out
}

const fn entity(character: char) -> Option<&'static str> {
    match character {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        _ => None,
    }
}

/// Text cut to so many characters, the last one being an ellipsis if anything is missing.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let mut ends = text.char_indices().map(|(at, _)| at).skip(most.saturating_sub(1));
    match (ends.next(), ends.next()) {
        (Some(fits), Some(_)) => with_ellipsis(text.to_owned(), fits, most),
        (Some(_), None) if most == 0 => String::new(),
        _ => text.to_owned(),
    }
}

/// [`cut`] for mrkdwn: not within an escaped character, a link or a mention.
#[must_use]
pub fn cut_mrkdwn(text: &str, most: usize) -> String {
    let (mut fits, mut open) = (0, Open::Nothing);
    for (count, (at, character)) in text.char_indices().enumerate() {
        if count >= most {
            return with_ellipsis(text.to_owned(), fits, most);
        }
        open = open.after(character);
        if open == Open::Nothing && count + 1 < most {
            fits = at + character.len_utf8();
        }
    }
    text.to_owned()
}

/// What a character of mrkdwn may be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Link,
    /// So many characters of it.
    Entity(usize),
}

impl Open {
    const fn after(self, character: char) -> Self {
        match (self, character) {
            (Self::Link, '>') | (Self::Entity(_), ';') => Self::Nothing,
            (Self::Link, _) | (_, '<') => Self::Link,
            (_, '&') => Self::Entity(1),
            (Self::Entity(length), _) if length < ENTITY => Self::Entity(length + 1),
            _ => Self::Nothing,
        }
    }
}

fn with_ellipsis(mut text: String, fits: usize, most: usize) -> String {
    text.truncate(fits);
    if most > 0 {
        text.push(ELLIPSIS);
    }
    text
}

/// Text for a `plain_text` object: on one line, white space as single spaces.
#[must_use]
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let before = out.len();
        if before > 0 {
            out.push(' ');
        }
        let start = out.len();
        out.extend(word.chars().filter(|character| is_shown(*character)));
        if out.len() == start {
            out.truncate(before);
        }
    }
    out
}

/// Text in code style, cut to so many characters (its quotes not counted); what would end the style is replaced.
#[must_use]
pub fn code(text: &str, most: usize) -> String {
    let line = plain(text).replace('`', "'");
    let line = if line.is_empty() { EMPTY } else { &line };
    format!("`{}`", escape_within(line, most))
}

/// A link with a label; the label alone for what is no address of the web, or for too long a one.
#[must_use]
pub fn link(url: &str, label: &str) -> String {
    // A `|` in a label is shown as it is; only the first one ends the address.
    let label = escape(&plain(label));
    match web_address(url) {
        Some(url) => format!("<{}|{label}>", escape(&url).replace('|', "%7C")),
        None => label,
    }
}

/// The normal form of an address of the web: it has no white space, no angle brackets and no controls.
#[must_use]
pub fn web_address(url: &str) -> Option<String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let text = parsed.as_str().replace('<', "%3C").replace('>', "%3E");
    (text.chars().count() <= URL).then_some(text)
}

/// Whether a text would show nothing at all.
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(|character| character.is_whitespace() || !is_shown(character))
}

fn is_shown(character: char) -> bool {
    let is_direction = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    matches!(character, '\n' | '\t') || !(character.is_control() || is_direction || is_filler(character))
}

/// Characters without any width or with none of their own, that no writing needs; joiners are needed.
const fn is_filler(character: char) -> bool {
    matches!(character, '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn length(text: &str) -> usize {
        text.chars().count()
    }

    /// What Slack shows of mrkdwn without links.
    fn shown(text: &str) -> String {
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn markup_and_mentions_are_shown_and_not_followed() {
        assert_eq!(escape("a & b < c > d"), "a &amp; b &lt; c &gt; d");
        assert_eq!(escape("<!channel> <@U123> <!subteam^S1>"), "&lt;!channel&gt; &lt;@U123&gt; &lt;!subteam^S1&gt;");
        assert_eq!(escape("<http://evil.example|the portal>"), "&lt;http://evil.example|the portal&gt;");
        assert_eq!(escape("&lt;!here&gt;"), "&amp;lt;!here&amp;gt;", "escaped text is text, too");
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        assert_eq!(escape("a\0b\u{7}c\r\nd\te"), "abc\nd\te");
        assert_eq!(escape("pay \u{202e}001\u{202c} EUR"), "pay 001 EUR");
        assert_eq!(escape("<\u{200b}!channel>"), "&lt;!channel&gt;");
        assert!(is_blank(" \u{200b}\u{202e}\n\0"));
        assert!(!is_blank("ع"));
        assert_eq!(escape("👩\u{200d}🚒"), "👩\u{200d}🚒", "joiners belong to what is written");
    }

    #[test]
    fn cuts_count_characters_and_tell() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
        assert_eq!(cut("🙂🙂", 1), "…");
        assert_eq!(cut("ab", 0), "");
        assert_eq!(cut("a", 0), "");
        assert_eq!(cut("", 0), "");
        assert_eq!(escape_within("ab", 2), "ab");
        assert_eq!(escape_within("abc", 2), "a…");
        assert_eq!(escape_within("a&", 6), "a&amp;");
        assert_eq!(escape_within("a&b", 6), "a…", "an escaped character is whole or not there");
        assert_eq!(escape_within("abc", 0), "");
        assert_eq!(cut_mrkdwn("see <https://a.example|the link> now", 20), "see …");
        assert_eq!(cut_mrkdwn("a&amp;b", 7), "a&amp;b");
        assert_eq!(cut_mrkdwn("a&amp;bcd", 7), "a&amp;…");
        assert_eq!(cut_mrkdwn("a&amp;bcd", 5), "a…");
    }

    #[test]
    fn plain_text_is_one_line() {
        assert_eq!(plain("  a\n\tb \u{202e} c\0 "), "a b c");
        assert_eq!(plain("\n"), "");
    }

    #[test]
    fn code_cannot_be_left() {
        assert_eq!(code("cr_1", 50), "`cr_1`");
        assert_eq!(code("a` *now*\n`b", 50), "`a' *now* 'b`");
        assert_eq!(code("", 50), "`(empty)`");
        assert_eq!(code("abc", 2), "`a…`");
    }

    #[test]
    fn links_lead_to_the_web_and_nowhere_else() {
        assert_eq!(
            link("https://hub.example/a?b=1&c=2", "Open > all"),
            "<https://hub.example/a?b=1&amp;c=2|Open &gt; all>"
        );
        assert_eq!(link("https://hub.example/<!channel>|x", "y"), "<https://hub.example/%3C!channel%3E%7Cx|y>");
        assert_eq!(link("https://hub.example/?q=<!channel>", "y"), "<https://hub.example/?q=%3C!channel%3E|y>");
        assert_eq!(link("https://hub.example/#<b>", "y"), "<https://hub.example/#%3Cb%3E|y>");
        for bad in ["javascript:alert(1)", "!channel", "@U1", "", "mailto:a@b.example"] {
            assert_eq!(link(bad, "<label>"), "&lt;label&gt;", "{bad}");
        }
        assert_eq!(link(&format!("https://hub.example/{}", "a".repeat(URL)), "y"), "y");
    }

    /// Texts full of what matters here.
    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), "[<>&!@#|;a-z`\u{202e}\u{200b} \n…é🙂]{0,60}"]
    }

    proptest! {
        #[test]
        fn escaped_text_has_no_markup_of_slack(text in texts(), most in 0..80_usize) {
            let escaped = escape_within(&text, most);
            prop_assert!(!escaped.contains(['<', '>']));
            for (at, _) in escaped.match_indices('&') {
                let rest = escaped.get(at..).unwrap();
                prop_assert!(["&amp;", "&lt;", "&gt;"].iter().any(|entity| rest.starts_with(entity)), "{escaped:?}");
            }
            prop_assert!(length(&escaped) <= most);
            let whole = escape(&text);
            prop_assert_eq!(length(&whole) <= most, whole == escaped);
            if let Some(kept) = escaped.strip_suffix(ELLIPSIS).filter(|_| whole != escaped) {
                prop_assert!(whole.starts_with(kept));
                prop_assert!(most - length(&escaped) < ENTITY, "no more than needed is cut");
            }
            prop_assert_eq!(shown(&whole), text.chars().filter(|c| is_shown(*c)).collect::<String>());
        }

        #[test]
        fn cuts_fit_and_repeat(text in texts(), most in 0..80_usize) {
            for cut_off in [cut(&text, most), cut_mrkdwn(&escape(&text), most)] {
                prop_assert!(length(&cut_off) <= most);
                prop_assert_eq!(&cut(&cut_off, most), &cut_off);
                prop_assert_eq!(&cut_mrkdwn(&cut_off, most), &cut_off);
            }
            prop_assert_eq!(cut_mrkdwn(&escape(&text), most), escape_within(&text, most));
            prop_assert_eq!(cut(&text, length(&text)), text);
        }

        #[test]
        fn code_and_links_hold_what_they_are_given(text in texts(), label in texts()) {
            let code = code(&text, 40);
            prop_assert_eq!(code.matches('`').count(), 2);
            prop_assert!(!code.contains(['<', '>', '\n']));
            let link = link(&format!("https://hub.example/{text}"), &label);
            let inside = link.strip_prefix('<').and_then(|link| link.strip_suffix('>'));
            prop_assert!(inside.is_some_and(|inside| !inside.contains(['<', '>', '\n'])), "{link:?}");
            prop_assert!(link.starts_with("<https://hub.example/"));
        }
    }
}
