//! Patterns of the table: where in a file a version is, and which paths are meant.

use memchr::memmem;

/// Bytes of a version.
const MAX_VERSION: usize = 64;
/// Places tried in one part of a file, so that a file made of marks ends soon.
const MAX_PLACES: usize = 10_000;

/// Text around a version: `before{}after`; `^` before it is the beginning of the file. `{1.##.}` is a version that begins
/// like this, `#` being a digit.
#[derive(Debug, Clone)]
pub(super) struct Mark<'m> {
    /// Ends with the literal text that the version begins with, so that there is enough to search for.
    before: String,
    after: &'m str,
    /// Bytes at the end of `before` that begin the version.
    own: usize,
    /// How the version begins.
    shape: &'m str,
    at_start: bool,
}

impl<'m> Mark<'m> {
    /// Reads a pattern, of whose text before the version the last `own` bytes are part of it; `None` when it has no place
    /// for the version.
    pub(super) fn of(pattern: &'m str, own: usize) -> Option<Self> {
        let (before, shape, after) = match pattern.split_once("{}") {
            Some((before, after)) => (before, "", after),
            None => shaped(pattern)?,
        };
        let anchored = before.strip_prefix('^');
        let literal = shape.split('#').next().unwrap_or_default();
        let before = format!("{}{literal}", anchored.unwrap_or(before));
        Some(Mark { before, after, own: own + literal.len(), shape, at_start: anchored.is_some() })
    }

    /// Whether it has enough text to be searched for.
    #[cfg(test)]
    pub(super) fn is_selective(&self) -> bool {
        let shaped = self.before.len() + self.shape.len();
        self.at_start || shaped.max(self.after.len()) >= 4
    }

    /// The versions at all places where the mark is, in the order of the file.
    pub(super) fn versions(&self, bytes: &[u8]) -> impl Iterator<Item = String> {
        // The longer text is the rarer one.
        let forward = self.before.len() >= self.after.len();
        let needle = if forward { self.before.as_str() } else { self.after };
        let places = if self.at_start && bytes.starts_with(needle.as_bytes()) {
            vec![0]
        } else if self.at_start {
            Vec::new()
        } else {
            memmem::find_iter(bytes, needle.as_bytes()).take(MAX_PLACES).collect()
        };
        places.into_iter().filter_map(move |at| {
            let start = if forward { at + needle.len() } else { self.start_before(bytes, at)? };
            let before = bytes.get(..start)?;
            before.ends_with(self.before.as_bytes()).then(|| self.version_at(bytes, start)).flatten()
        })
    }

    /// Where the version begins that ends at `end`.
    fn start_before(&self, bytes: &[u8], end: usize) -> Option<usize> {
        // Only as far back as a version reaches: a search of the whole file for each place would take its square.
        let from = end.saturating_sub(MAX_VERSION + self.before.len());
        let before = memmem::rfind(bytes.get(from..end)?, self.before.as_bytes())?;
        Some(from + before + self.before.len())
    }

    fn version_at(&self, bytes: &[u8], start: usize) -> Option<String> {
        let own = self.own;
        let rest = bytes.get(start..)?;
        let run = rest.iter().take(MAX_VERSION).take_while(|byte| is_version_char(char::from(**byte))).count();
        let text = std::str::from_utf8(bytes.get(start.checked_sub(own)?..start + run)?).ok()?;
        let used = length(text);
        let ends = |at: usize| rest.get(at..).is_some_and(|rest| rest.starts_with(self.after.as_bytes()));
        let fits = used.checked_sub(own).is_some_and(ends) || ends(run);
        if fits && begins_like(text, self.shape) { version(text) } else { None }
    }
}

/// The parts of a pattern whose place has a shape.
fn shaped(pattern: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = pattern.rsplit_once('{')?;
    let (shape, after) = rest.split_once('}')?;
    Some((before, shape, after))
}

/// Whether a version begins like a shape, in which `#` is a digit.
fn begins_like(version: &str, shape: &str) -> bool {
    let is = |(wanted, c): (char, char)| if wanted == '#' { c.is_ascii_digit() } else { wanted == c };
    version.len() >= shape.len() && shape.chars().zip(version.chars()).all(is)
}

fn is_version_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".+-_~".contains(c)
}

/// Words of versions before a release; `rc1`, `-beta.2`.
const PRE_RELEASES: [&str; 6] = ["alpha", "beta", "rc", "preview", "dev", "pre"];
/// Python's, right after the numbers.
const GLUED_PRE_RELEASES: [&str; 2] = ["a", "b"];

/// The version at the beginning of a text, as Semantic Versioning writes it: at most three numbers, and a hyphen before
/// a pre-release. A letter after the numbers is kept, as OpenSSL has it.
pub(super) fn version(text: &str) -> Option<String> {
    let numbers: Vec<&str> = text.get(..numbers_length(text))?.split(['.', '_']).collect();
    if numbers.iter().any(|number| number.is_empty()) {
        return None;
    }
    let rest = text.get(numbers_length(text)..length(text))?;
    let mut out = numbers.get(..3).unwrap_or(&numbers).join(".");
    let pre = rest.trim_start_matches(['-', '.', '~']);
    if pre.len() == 1 {
        out.push_str(pre);
    } else if !pre.is_empty() {
        out.push('-');
        out.push_str(pre);
    }
    Some(out)
}

/// Bytes of the numbers that a text begins with.
fn numbers_length(text: &str) -> usize {
    let mut length = 0;
    let mut rest = text;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        length += digits;
        rest = rest.get(digits..).unwrap_or_default();
        let more = digits > 0
            && rest.starts_with(['.', '_'])
            && rest.get(1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()));
        if !more {
            return length;
        }
        length += 1;
        rest = rest.get(1..).unwrap_or_default();
    }
}

/// Bytes of the version that a text begins with.
fn length(text: &str) -> usize {
    let numbers = numbers_length(text);
    let rest = text.get(numbers..).unwrap_or_default();
    let bare = rest.trim_start_matches(['-', '.', '~']);
    let word = bare.bytes().take_while(u8::is_ascii_alphabetic).count();
    let after = bare.get(word..).unwrap_or_default();
    let digits = after.trim_start_matches('.').bytes().take_while(u8::is_ascii_digit).count();
    let glued = rest.len() == bare.len();
    let is_named = |word: &str| PRE_RELEASES.contains(&word) || (glued && GLUED_PRE_RELEASES.contains(&word));
    if digits > 0 && bare.get(..word).is_some_and(is_named) {
        let dot = usize::from(after.starts_with('.'));
        return numbers + (rest.len() - bare.len()) + word + dot + digits;
    }
    if word == 1 && digits == 0 && glued { numbers + 1 } else { numbers }
}

/// Whether the end of a path fits a pattern, and the version at `{}`. `*` is anything in one name.
pub(super) fn fits<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let mut version = "";
    let mut parts = path.rsplit('/');
    for pattern in pattern.rsplit('/') {
        let found = part_fits(pattern, parts.next()?)?;
        if !found.is_empty() {
            version = found;
        }
    }
    Some(version)
}

fn part_fits<'p>(pattern: &str, part: &'p str) -> Option<&'p str> {
    let Some(special) = pattern.find(['*', '{']) else { return (pattern == part).then_some("") };
    let (literal, rest) = pattern.split_at(special);
    let part = part.strip_prefix(literal)?;
    if let Some(rest) = rest.strip_prefix("{}") {
        let length = numbers_length(part);
        part_fits(rest, part.get(length..)?)?;
        return part.get(..length).filter(|version| !version.is_empty());
    }
    let rest = rest.strip_prefix('*')?;
    if rest.is_empty() {
        return Some("");
    }
    // The rest from any place on, the last one first.
    part.char_indices().map(|(at, _)| at).rev().find_map(|at| part_fits(rest, part.get(at..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_semantic_versioning_writes_them() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(version(text).as_deref(), expected, "{text}");
        check("1.2.3", Some("1.2.3"));
        check("1.2.3.4", Some("1.2.3"));
        check("2.6.12-1+deb12u4", Some("2.6.12"));
        check("3.1.2p20", Some("3.1.2"));
        check("3.13.0rc1", Some("3.13.0-rc1"));
        check("3.2.0-beta.1", Some("3.2.0-beta.1"));
        check("1.1.1w", Some("1.1.1w"));
        check("1.8.0_402", Some("1.8.0"));
        check("8.0_402-b06", Some("8.0.402"));
        check("10.11.19-MariaDB", Some("10.11.19"));
        check("x", None);
    }

    #[test]
    fn versions_next_to_marks() {
        let check = |pattern: &str, text: &str, expected: &[&str]| {
            let found: Vec<String> = Mark::of(pattern, 0).unwrap().versions(text.as_bytes()).collect();
            assert_eq!(found, expected, "{pattern:?}");
        };
        check("curl/{}\0", "curl/1.2.3\0curl/%s\0", &["1.2.3"]);
        check("\0{}\0tcmalloc", "\x009.9.9\0\x006.0.27\0tcmalloc\0", &["6.0.27"]);
        check("^{}", "26.2.1\n1.1.1", &["26.2.1"]);
        check("\0{1.##.}\0", "\x001.0.0\x0056.0.0\x001.40.0\x001.4.0\0", &["1.40.0"]);
        check("\0{1.##.}\0", "\x001.18\x001.19x\x001.41.0-dev\0", &["1.41.0"]);
    }

    #[test]
    fn paths() {
        let check = |pattern: &str, path: &str, expected: Option<&str>| {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        };
        check("node", "usr/bin/node", Some(""));
        check("node", "node", Some(""));
        check("bin/node", "node", None);
        check("python{}", "usr/bin/python3.12", Some("3.12"));
        check("python{}", "usr/bin/python3.12-config", None);
        check("python{}", "usr/bin/python", None);
        check("libpython{}.so*", "lib/libpython3.12.so.1.0", Some("3.12"));
        check("libs/kafka_*-{}.jar", "opt/libs/kafka_2.13-3.6.1.jar", Some("3.6.1"));
        check("*zookeeper*/lib/zookeeper-{}.jar", "apache-zookeeper-3.8.1-bin/lib/zookeeper-3.8.1.jar", Some("3.8.1"));
    }
}
