//! Text of tenants, made harmless for people who read it, and short enough for the service that carries it.

/// Without what steers a display: control characters become spaces, marks of direction and of no width go.
pub(crate) fn clean(text: &str) -> String {
    let shown = text.chars().filter(|c| !is_hidden(*c));
    shown.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The first characters of a text, cleaned; `…` says that there were more.
pub(crate) fn short(text: &str, most: usize) -> String {
    escaped(text, most, |c| c.to_string())
}

/// The same without angle brackets, for text that others put into HTML or into messages of Slack.
pub(crate) fn without_brackets(text: &str, most: usize) -> String {
    escaped(text, most, |c| match c {
        '<' => "‹".to_owned(),
        '>' => "›".to_owned(),
        other => other.to_string(),
    })
}

/// A cleaned text, each character escaped; no escape is cut in the middle, and all of it has no more characters than `most`.
pub(crate) fn escaped(text: &str, most: usize, escape: fn(char) -> String) -> String {
    let (mut out, mut length) = (String::new(), 0);
    // Where the text could still be ended by `…`.
    let mut room = 0;
    for c in clean(text).chars() {
        let next = escape(c);
        let characters = next.chars().count();
        if length + characters > most {
            out.truncate(room);
            out.push('…');
            return out;
        }
        out.push_str(&next);
        length += characters;
        if length < most {
            room = out.len();
        }
    }
    out
}

/// Directions (UAX #9), joiners, and what has no width: they show another text than the one that is there.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_and_cut() {
        let check = |text: &str, most: usize, expected: &str| assert_eq!(short(text, most), expected, "{text:?}");
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("äöüß", 3, "äö…");
        check("a\r\nb\u{1b}[31m", 20, "a  b [31m");
        check("gpj\u{202e}exe\u{200b}", 20, "gpjexe");
        assert_eq!(without_brackets("<b>", 20), "‹b›");
    }

    #[test]
    fn no_escape_is_cut_in_the_middle() {
        let escape = |c: char| if c == '&' { "&amp;".to_owned() } else { c.to_string() };
        let check = |text: &str, most: usize, expected: &str| {
            assert_eq!(escaped(text, most, escape), expected, "{text:?} {most}");
        };
        check("a&b", 7, "a&amp;b");
        check("a&b", 6, "a…");
        check("ab&", 4, "ab…");
        check("&&", 9, "&amp;…");
        check("&", 1, "…");
    }
}
