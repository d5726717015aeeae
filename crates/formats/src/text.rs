//! Text of images and advisories, made safe for readers that are people.

use std::borrow::Cow;

/// The text without characters that steer a terminal, end a line, are not allowed in XML, or turn the direction of what follows.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    // Nearly all text: looked at by byte, without decoding.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(is_unprintable) {
        Cow::Owned(text.chars().map(|c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Controls, those of bidirectional text among them (Unicode, UAX 9: what comes later would be read as something else), and
/// the two that XML 1.0 (2.2) excludes besides.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

/// The text, cut to this number of characters where it is longer; the last one says so.
pub(crate) fn shortened(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let kept: String = text.chars().take(characters.saturating_sub(1)).collect();
            Cow::Owned(kept + "…")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_characters_are_replaced() {
        let check = |text: &str, expected: &str| assert_eq!(printable(text), expected);
        check("libssl3", "libssl3");
        check("naïve 漢字", "naïve 漢字");
        check("a\u{1b}[31m\nb\u{85}", "a\u{fffd}[31m\u{fffd}b\u{fffd}");
        check("a\u{202e}b\u{2066}c\u{ffff}", "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let check = |text: &str, limit: usize, expected: &str| assert_eq!(shortened(text, limit), expected);
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("äöüß", 3, "äö…");
        check("ab", 0, "…");
    }
}
