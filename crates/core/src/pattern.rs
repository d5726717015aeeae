//! Wildcards in names and paths: the one matcher of exceptions, image names and tables.

/// A text with wildcards: `*` stands for any characters but `/`, `**` for any at all, `?` for one that is not `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Pattern(text.to_owned())
    }
}

impl Pattern {
    /// Whether the whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        matches(&self.0, text)
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The digest of an image's name: `sha256:…` of `registry.example/app@sha256:…`.
    pub fn digest(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, digest)| digest)
    }
}

/// Whether the whole text fits a pattern written as [`Pattern`] says.
pub fn matches(pattern: &str, text: &str) -> bool {
    // Tables have hundreds of patterns, most of which differ from the text before their first wildcard.
    let Some(wildcard) = pattern.find(['*', '?']) else { return pattern == text };
    let (literal, rest) = pattern.split_at(wildcard);
    // The end of a pattern is literal, too. Not the slash of `**/`, which may stand for no directory.
    let end = rest.rsplit(['*', '?']).next().unwrap_or_default().trim_start_matches('/');
    text.strip_prefix(literal).is_some_and(|text| text.ends_with(end) && matches_wildcards(rest, text))
}

/// Keeps, for each place in the text, whether the pattern read so far can end there: the time is the product of both
/// lengths, whatever the pattern is. Backtracking would take time exponential in the number of wildcards.
fn matches_wildcards(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut ends: Vec<bool> = (0..=text.len()).map(|place| place == 0).collect();
    let mut pattern = pattern.chars().peekable();
    while let Some(c) = pattern.next() {
        let deep = c == '*' && pattern.next_if_eq(&'*').is_some();
        let next = match c {
            '*' => after_star(&ends, &text, deep),
            '?' => after_one(&ends, &text, |c| c != '/'),
            c => after_one(&ends, &text, |other| other == c),
        };
        // `**/` also stands for no directory at all.
        ends = match deep && pattern.next_if_eq(&'/').is_some() {
            true => either(&ends, &after_one(&next, &text, |c| c == '/')),
            false => next,
        };
    }
    ends.last().copied().unwrap_or_default()
}

/// The ends after one more character that fits.
fn after_one(ends: &[bool], text: &[char], fits: impl Fn(char) -> bool) -> Vec<bool> {
    let after = ends.iter().zip(text).map(|(end, c)| *end && fits(*c));
    std::iter::once(false).chain(after).collect()
}

/// The ends after any number of further characters, of those that are not `/` unless `deep`.
fn after_star(ends: &[bool], text: &[char], deep: bool) -> Vec<bool> {
    let mut reached = false;
    let before = std::iter::once(&'/').chain(text);
    let extend = |(end, last): (&bool, &char)| {
        reached = *end || reached && (deep || *last != '/');
        reached
    };
    ends.iter().zip(before).map(extend).collect()
}

fn either(a: &[bool], b: &[bool]) -> Vec<bool> {
    a.iter().zip(b).map(|(a, b)| *a || *b).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_names_and_paths() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(Pattern::from(pattern).matches(text), expected, "{pattern} {text}");
        };
        check("CVE-1", "CVE-1", true);
        check("CVE-1", "CVE-12", false);
        check("CVE-2024-*", "CVE-2024-1", true);
        check("CVE-2024-*", "CVE-2025-1", false);
        check("*", "a/b", false);
        check("**", "a/b", true);
        check("app/*/x", "app/a/x", true);
        check("app/*/x", "app/a/b/x", false);
        check("app/**", "app/a/b/x", true);
        check("**/x", "x", true);
        check("**/x", "a/b/x", true);
        check("**/x", "a/bx", false);
        check("a/**/x", "a/x", true);
        check("a/**/x", "ab/x", false);
        check("a?c", "abc", true);
        check("a?c", "a/c", false);
        check("*/a", "/a", true);
        check("ä*", "äö", true);
        check(&("*a".repeat(40) + "b"), &"a".repeat(2000), false);
        check("", "", true);
        check("*", "", true);
    }
}
