//! Mentions in thread messages.
//!
//! A mention is `@` and a run of `[A-Za-z0-9_-]`, unless the `@` follows such a character (mail addresses mention
//! nobody). It counts if the run is the name of a participant, ignoring case; each bot counts once, in order of first
//! appearance, and the search for names stops at the twentieth. `@all` means everybody, and so does `@所有人` before white
//! space, punctuation or the end. Most messages contain no `@` and return immediately.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::ids::{BotId, resembles_id};
use crate::limits;

/// The Chinese mention of everybody, after its `@`.
const EVERYBODY: &str = "所有人";

/// One mentioned bot, with its name as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The bot.
    pub bot_id: BotId,
    /// Its name when the message was sent.
    pub name: Arc<str>,
}

/// Everybody a message mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Bots mentioned by name, in order of first appearance.
    pub refs: Vec<Mention>,
    /// Whether the message addresses all participants.
    pub all: bool,
}

/// Finds the mentions of a message. `participants` knows the participants by their lower-cased names.
pub fn scan(content: &str, participants: impl Fn(&str) -> Option<(BotId, Arc<str>)>) -> Mentions {
    let mut found = Mentions::default();
    let mut from = 0;
    while let Some(at) = content.get(from..).and_then(|rest| rest.find('@')).map(|offset| from + offset) {
        from = at + 1;
        let Some(rest) = content.get(from..) else { break };
        if is_everybody(rest) {
            found.all = true;
        }
        let wants_names = found.refs.len() < limits::MENTIONS;
        if !wants_names && found.all {
            break;
        }
        if wants_names && !follows_name(content, at) {
            from += note_name(rest, &participants, &mut found);
        }
    }
    found
}

/// Whether the text after an `@` addresses everybody in Chinese.
fn is_everybody(rest: &str) -> bool {
    rest.strip_prefix(EVERYBODY).is_some_and(|after| {
        // The byte order mark is white space to JavaScript, whose rule this is.
        after.chars().next().is_none_or(|next| next.is_whitespace() || next == '\u{FEFF}' || is_punctuation(next))
    })
}

/// Whether a character is punctuation (Unicode's general category P); ASCII's symbols, such as `$` and `+`, are not.
fn is_punctuation(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Punctuation
}

/// Whether the `@` at this position stands right after a character of a name.
fn follows_name(content: &str, at: usize) -> bool {
    at.checked_sub(1).and_then(|before| content.as_bytes().get(before)).is_some_and(|byte| is_name_byte(*byte))
}

/// Whether a byte may stand in a bot's name.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Reads the name at the start of `rest`, notes whom it mentions and answers how many bytes it took.
fn note_name(rest: &str, participants: &impl Fn(&str) -> Option<(BotId, Arc<str>)>, found: &mut Mentions) -> usize {
    let length = rest.bytes().take_while(|byte| is_name_byte(*byte)).count();
    let Some(name) = rest.get(..length).filter(|name| !name.is_empty()) else { return 0 };
    if name.eq_ignore_ascii_case("all") {
        found.all = true;
        return length;
    }
    // An id is no name, also where a bot of before is called so.
    if !resembles_id(name)
        && let Some((bot_id, name)) = look_up(name, participants)
        && found.refs.iter().all(|mention| mention.bot_id != bot_id)
    {
        found.refs.push(Mention { bot_id, name });
    }
    length
}

/// Asks for a name in lower case without allocating; longer than any bot's name, it is nobody's.
fn look_up(name: &str, participants: &impl Fn(&str) -> Option<(BotId, Arc<str>)>) -> Option<(BotId, Arc<str>)> {
    let mut buffer = [0_u8; limits::BOT_NAME_BYTES];
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    participants(std::str::from_utf8(lower).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bots(names: &[&str]) -> Vec<(String, BotId, Arc<str>)> {
        names.iter().map(|name| (name.to_lowercase(), BotId::random(), Arc::from(*name))).collect()
    }

    fn scan_for(content: &str, names: &[&str]) -> (Vec<String>, bool) {
        let bots = bots(names);
        let found = scan(content, |wanted| {
            let (_, id, name) = bots.iter().find(|(lower, ..)| lower == wanted)?;
            Some((*id, Arc::clone(name)))
        });
        (found.refs.iter().map(|mention| mention.name.to_string()).collect(), found.all)
    }

    fn names(content: &str) -> Vec<String> {
        scan_for(content, &["bob", "Alice", "bob-"]).0
    }

    #[test]
    fn names_are_found_without_case_and_once() {
        assert_eq!(names("@BOB hi @alice, @bob"), ["bob", "Alice"]);
        assert_eq!(names("看@bob，谢谢"), ["bob"]);
        assert_eq!(names("@@bob"), ["bob"]);
        assert_eq!(names("@bob.alice"), ["bob"]);
        assert_eq!(names("(@bob)"), ["bob"]);
        assert_eq!(names("@bob-"), ["bob-"]);
    }

    #[test]
    fn a_name_inside_a_longer_word_is_nobody() {
        for content in ["user@bob.com", "x@bob", "@bobs", "_@bob", "-@bob", "@", "@ bob", "bob", "", "@所有人bob"] {
            assert!(names(content).is_empty(), "{content}");
        }
        assert_eq!(names("@bob@alice"), ["bob"]);
    }

    #[test]
    fn everybody_in_english() {
        assert!(scan_for("@all hi", &[]).1);
        assert!(scan_for("hey @ALL", &[]).1);
        assert!(!scan_for("@allx", &[]).1);
        assert!(!scan_for("me@all", &[]).1);
        assert!(scan_for("@all", &["all"]).0.is_empty());
    }

    #[test]
    fn everybody_in_chinese() {
        for content in ["@所有人", "@所有人 a", "@所有人，a", "@所有人@bob", "@所有人\u{3000}", "x@所有人!"]
        {
            assert!(scan_for(content, &[]).1, "{content}");
        }
        for content in ["@所有人a", "@所有人1", "@所有人$", "@所有人都", "@所有人😀", "@所有", "所有人"]
        {
            assert!(!scan_for(content, &[]).1, "{content}");
        }
        assert_eq!(scan_for("@所有人@bob", &["bob"]), (vec!["bob".to_owned()], true));
    }

    #[test]
    fn the_search_for_names_stops_at_twenty() {
        let names: Vec<String> = (0..25).map(|index| format!("b{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let content = names.iter().map(|name| format!("@{name} ")).collect::<String>();
        assert_eq!(scan_for(&content, &names).0.len(), limits::MENTIONS);
        assert!(!scan_for(&format!("{content}@all"), &names).1);
        assert!(scan_for(&format!("{content}@所有人"), &names).1);
        assert!(scan_for(&format!("@all {content}"), &names).1);
    }

    #[test]
    fn names_longer_than_any_bot_are_nobody() {
        let long = "a".repeat(limits::BOT_NAME_BYTES + 1);
        assert!(scan_for(&format!("@{long}"), &[&long]).0.is_empty());
        let longest = "a".repeat(limits::BOT_NAME_BYTES);
        assert_eq!(scan_for(&format!("@{longest}"), &[&longest]).0.len(), 1);
    }

    #[test]
    fn punctuation_is_told_from_letters_and_symbols() {
        for character in "!,.@-_。，、！？）（「」…—–\u{00A1}\u{1E95E}".chars() {
            assert!(is_punctuation(character), "{character}");
        }
        for character in "a0 $+<=>^`|~中é€😀©\u{0}".chars() {
            assert!(!is_punctuation(character), "{character}");
        }
    }

    /// What the standard library knows of characters must agree with the table.
    #[test]
    fn no_letter_digit_space_or_control_character_is_punctuation() {
        let symbols = ['$', '+', '<', '=', '>', '^', '`', '|', '~'];
        for character in '\0'..=char::MAX {
            let is_other = character.is_alphanumeric() || character.is_whitespace() || character.is_control();
            assert!(!(is_other && is_punctuation(character)), "{character:?}");
            if character.is_ascii() {
                let expected = character.is_ascii_punctuation() && !symbols.contains(&character);
                assert_eq!(is_punctuation(character), expected, "{character:?}");
            }
        }
    }

    /// The rule as plainly as it can be written, to hold the scanner against.
    fn plain(content: &str, names: &[&str]) -> (Vec<String>, bool) {
        let chars: Vec<char> = content.chars().collect();
        let is_name = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
        let (mut found, mut all) = (Vec::new(), false);
        for at in (0..chars.len()).filter(|at| chars[*at] == '@') {
            let rest = &chars[at + 1..];
            if rest.starts_with(&['所', '有', '人']) {
                all |=
                    rest.get(3).is_none_or(|next| next.is_whitespace() || *next == '\u{FEFF}' || is_punctuation(*next));
            }
            if (at > 0 && is_name(&chars[at - 1])) || found.len() == limits::MENTIONS {
                continue;
            }
            let token: String = rest.iter().take_while(|next| is_name(next)).collect();
            all |= token.eq_ignore_ascii_case("all");
            let named = names.iter().find(|name| name.eq_ignore_ascii_case(&token)).map(|name| (*name).to_owned());
            found.extend(named.filter(|name| !found.contains(name)).into_iter().collect::<Vec<_>>());
        }
        (found, all)
    }

    proptest! {
        #[test]
        fn the_scanner_follows_the_rule(content in "([@ab1_. ，中é\\-]|@bob|@Al|@all|@所有人|所有人){0,40}") {
            let names = ["bob", "al", "b", "a-b"];
            prop_assert_eq!(scan_for(&content, &names), plain(&content, &names));
        }

        #[test]
        fn any_text_can_be_scanned(content in any::<String>()) {
            prop_assert_eq!(scan_for(&content, &["a"]), plain(&content, &["a"]));
        }
    }
}
