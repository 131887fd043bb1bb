//! Case-insensitive substring search with the same result on every database.
//!
//! Databases disagree about lower case: SQLite knows ASCII only, PostgreSQL follows its locale. So the hub defines its
//! own rule, Unicode's simple folding: each character matches itself and the characters with the same single lower-case
//! letter. [`folded`] applies it to texts; [`pattern`] expresses it as a regular expression that does not depend on a
//! locale.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The characters that fold to a letter, except the letter itself.
static VARIANTS: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut variants: HashMap<char, Vec<char>> = HashMap::new();
    for character in '\u{1}'..=char::MAX {
        let letter = fold(character);
        if letter != character {
            variants.entry(letter).or_default().push(character);
        }
    }
    variants
});

/// The letter a character stands for.
fn fold(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        // The sigma at the end of a word is the same letter.
        (Some('ς'), None) => 'σ',
        (Some(letter), None) => letter,
        _ => character,
    }
}

/// The text, folded; in place where it is ASCII.
#[must_use]
pub fn folded(mut text: String) -> String {
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return text;
    }
    text.chars().map(fold).collect()
}

/// A regular expression of PostgreSQL that is found where the text is found in any case. Nothing in the text is special.
#[must_use]
pub fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 8);
    for letter in text.chars().map(fold) {
        match VARIANTS.get(&letter) {
            // Alternatives and not a set: sets of several bytes need an encoding that the database knows of.
            Some(variants) => {
                pattern.push_str("(?:");
                pattern.push(letter);
                for variant in variants {
                    pattern.push('|');
                    pattern.push(*variant);
                }
                pattern.push(')');
            }
            None => {
                if letter.is_ascii_punctuation() {
                    pattern.push('\\');
                }
                pattern.push(letter);
            }
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_one_letter() {
        for (one, other) in [
            ("Release", "rELEASE"),
            ("ÄÖÜ", "äöü"),
            ("ПРИВЕТ", "привет"),
            ("ΟΔΟΣ", "οδος"),
            ("ς", "σ"),
            ("K", "k"),
            ("ẞ", "ß"),
            ("发布", "发布"),
        ] {
            assert_eq!(folded(one.into()), folded(other.into()), "{one} {other}");
            assert_eq!(pattern(one), pattern(other), "{one} {other}");
        }
        assert_ne!(folded("é".into()), "e", "accents matter");
        assert_ne!(folded("İ".into()), "i", "what has no single lower-case letter is only itself");
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for character in '\u{0}'..=char::MAX {
            assert_eq!(fold(fold(character)), fold(character), "{character:?}");
        }
    }

    #[test]
    fn nothing_in_a_text_is_special() {
        assert_eq!(pattern("1.*(?%_\\^$ #"), "1\\.\\*\\(\\?\\%\\_\\\\\\^\\$ \\#");
        assert_eq!(pattern("aß"), "(?:a|A)(?:ß|ẞ)");
    }
}
