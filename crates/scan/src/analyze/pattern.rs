//! Where analyzers' files are, and which analyzer wants a path.
//!
//! A pattern is a path from the root of the image, or `**/` and the end of a path; `*` is anything in one name. Everything
//! that links need to know of wanted paths is derived from the patterns: exact paths, samples, probes.

use super::analyzer::Analyzer;
use tidewaiter_core::pattern::matches;

/// Before the end of a path: any directories, or none.
const ANYWHERE: &str = "**/";
/// What `*` becomes in samples: a version where one is wanted, a name where one is wanted.
const SAMPLE: &str = "1";

/// Which analyzer wants a path.
pub(super) struct PathIndex {
    /// Patterns by the last byte of the names they want, in the analyzers' order. Every file of an image is looked up:
    /// most last bytes have one pattern, and most of the others end in `.json`.
    by_last_byte: Vec<Vec<(&'static Analyzer, PathPattern)>>,
}

impl PathIndex {
    pub(super) fn new(analyzers: &'static [Analyzer]) -> Self {
        let mut by_last_byte: Vec<Vec<_>> = (0..=u8::MAX).map(|_| Vec::new()).collect();
        for (analyzer, file) in analyzers.iter().flat_map(|a| a.files.iter().map(move |file| (a, *file))) {
            let pattern = PathPattern::parse(file);
            for (byte, patterns) in (0..=u8::MAX).zip(&mut by_last_byte) {
                if pattern.name.may_end_with(byte) {
                    patterns.push((analyzer, pattern.clone()));
                }
            }
        }
        PathIndex { by_last_byte }
    }

    /// The first analyzer that wants a (cleaned) path.
    pub(super) fn find(&self, path: &str) -> Option<&'static Analyzer> {
        let last = path.bytes().next_back()?;
        let patterns = self.by_last_byte.get(usize::from(last))?;
        let (head, tail) = (Probe::head_of(path), Probe::tail_of(path));
        // Cheapest first: nearly every path fails one of these two.
        let near = patterns.iter().filter(|(_, pattern)| pattern.tail.is_in(tail) && pattern.head.is_in(head));
        let mut fitting = near.filter(|(_, pattern)| pattern.fits(path));
        fitting.find(|(analyzer, _)| (analyzer.accepts)(path)).map(|(analyzer, _)| *analyzer)
    }
}

/// The directories of a path and its last name. A plain loop: names are short, and searches made for long texts find the
/// slash later.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.bytes().rposition(|byte| byte == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => ("", path),
    }
}

/// Up to four bytes at the beginning or the end of a path, as one number. Comparing numbers is several times as fast as
/// comparing texts, which is a call of a library's function for each of the few patterns of a last byte.
#[derive(Debug, Clone, Copy)]
struct Probe {
    bytes: u32,
    mask: u32,
}

impl Probe {
    fn head_of(text: &str) -> u32 {
        word(text.bytes())
    }

    fn tail_of(text: &str) -> u32 {
        word(text.bytes().rev())
    }

    /// What the paths have in common that begin like this.
    fn head(text: &str) -> Self {
        Probe { bytes: Self::head_of(text), mask: word(text.bytes().map(|_| u8::MAX)) }
    }

    /// What the paths have in common that end like this.
    fn tail(text: &str) -> Self {
        Probe { bytes: Self::tail_of(text), ..Self::head(text) }
    }

    fn is_in(self, word: u32) -> bool {
        word & self.mask == self.bytes
    }
}

/// The first four bytes, the first one lowest, and zeros after them.
fn word(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.take(4).enumerate().fold(0, |word, (index, byte)| word | u32::from(byte) << (8 * index))
}

/// A pattern of paths.
#[derive(Debug, Clone)]
struct PathPattern {
    /// The beginning, of a path from the root.
    head: Probe,
    tail: Probe,
    name: NamePattern,
    /// The directories above the name, nearest first.
    dirs: Vec<NamePattern>,
    /// Whether there are no directories but these.
    from_root: bool,
}

impl PathPattern {
    fn parse(pattern: &'static str) -> Self {
        let (from_root, path) = match pattern.strip_prefix(ANYWHERE) {
            Some(end) => (false, end),
            None => (true, pattern),
        };
        let mut names = path.rsplit('/').map(NamePattern::parse);
        let name = names.next().unwrap_or_default();
        let head = path.split('*').next().filter(|_| from_root).unwrap_or_default();
        let (head, tail) = (Probe::head(head), Probe::tail(name.suffix));
        PathPattern { head, tail, name, dirs: names.collect(), from_root }
    }

    fn fits(&self, path: &str) -> bool {
        let (dirs, name) = split(path);
        if !self.name.fits(name) {
            return false;
        }
        let mut rest = Some(dirs).filter(|dirs| !dirs.is_empty());
        for pattern in &self.dirs {
            let Some(dirs) = rest else { return false };
            let (above, dir) = split(dirs);
            if !pattern.fits(dir) {
                return false;
            }
            rest = Some(above).filter(|above| !above.is_empty());
        }
        rest.is_none() || !self.from_root
    }
}

/// A pattern of one name: nearly all names differ from it at their beginning or end.
#[derive(Debug, Clone, Default)]
struct NamePattern {
    text: &'static str,
    /// The text before the first `*`.
    prefix: &'static str,
    /// The text after the last `*`; the whole text without one.
    suffix: &'static str,
    stars: usize,
}

impl NamePattern {
    fn parse(text: &'static str) -> Self {
        let prefix = text.split('*').next().unwrap_or_default();
        let suffix = text.rsplit('*').next().unwrap_or_default();
        NamePattern { text, prefix, suffix, stars: text.matches('*').count() }
    }

    fn may_end_with(&self, byte: u8) -> bool {
        self.suffix.is_empty() || self.suffix.as_bytes().last() == Some(&byte)
    }

    fn fits(&self, name: &str) -> bool {
        name.ends_with(self.suffix)
            && match self.stars {
                0 => name.len() == self.suffix.len(),
                1 => name.starts_with(self.prefix) && name.len() >= self.prefix.len() + self.suffix.len(),
                _ => matches(self.text, name),
            }
    }
}

/// The patterns that are whole paths.
pub(super) fn exact_paths(analyzers: &'static [Analyzer]) -> impl Iterator<Item = &'static str> {
    analyzers.iter().flat_map(|analyzer| analyzer.files).copied().filter(|file| !file.contains('*'))
}

/// A path that fits a pattern.
pub(super) fn sample(pattern: &str) -> String {
    pattern.strip_prefix(ANYWHERE).unwrap_or(pattern).replace('*', SAMPLE)
}

/// A path for each pattern from the root: whether a link leads into its directories can be tried with it.
pub(super) fn samples(analyzers: &'static [Analyzer]) -> Vec<String> {
    let files = analyzers.iter().flat_map(|analyzer| analyzer.files);
    files.filter(|file| !file.starts_with(ANYWHERE)).map(|file| sample(file)).collect()
}

/// Ends of the paths that fit patterns with named directories: whether a file is wanted there depends on the directory
/// above, so that a link to a directory may make it wanted.
pub(super) fn probes(analyzers: &'static [Analyzer]) -> Vec<String> {
    let files = analyzers.iter().flat_map(|analyzer| analyzer.files);
    let mut out: Vec<String> = files.filter_map(|file| file.strip_prefix(ANYWHERE)).flat_map(probes_of).collect();
    out.sort();
    out.dedup();
    out
}

fn probes_of(end: &str) -> impl Iterator<Item = String> {
    let cuts = end.match_indices('/').map(|(at, _)| end.split_at(at));
    // What follows `*` alone is wanted below every directory.
    let named = cuts.filter(|(cut, _)| cut.split('/').any(|dir| dir != "*"));
    named.map(|(_, rest)| sample(rest.trim_start_matches('/')))
}

impl Analyzer {
    /// A path that it wants for each of its patterns.
    pub fn sample_paths(&self) -> impl Iterator<Item = String> {
        self.files.iter().map(|file| sample(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_patterns() {
        let check = |pattern: &'static str, path: &str, expected: bool| {
            let parsed = PathPattern::parse(pattern);
            assert_eq!(parsed.fits(path), expected, "{pattern} {path}");
            if expected {
                assert!(parsed.name.may_end_with(*path.as_bytes().last().unwrap()), "{pattern} {path}");
                assert!(parsed.head.is_in(Probe::head_of(path)), "{pattern} {path}");
                assert!(parsed.tail.is_in(Probe::tail_of(path)), "{pattern} {path}");
            }
        };
        check("a/b", "a/b", true);
        check("a/b", "x/a/b", false);
        check("a/*/c", "a/b/c", true);
        check("a/*/c", "a/b/b/c", false);
        check("a/*/c", "a/c", false);
        check("a/*", "a/b", true);
        check("a/*", "b/a/b", false);
        check("**/b", "b", true);
        check("**/b", "a/b", true);
        check("**/b", "ab", false);
        check("**/*.json", "a/.json", true);
        check("**/*.json", "a/b.jso", false);
        check("**/*/*/c", "b/c", false);
        check("**/*/*/c", "a/b/c", true);
        check("**/v*/c", "a/v1/c", true);
        check("**/v*/c", "v/c", true);
        check("**/a*b*c", "aXbXc", true);
        check("**/a*b*c", "abc", true);
        check("**/a*b*c", "acb", false);
        check("**/a*c", "ac", true);
        check("**/ab*bc", "abc", false);
        check("**/*-*.x", "a-1.x", true);
        check("**/*-*.x", "a.x", false);
    }

    #[test]
    fn probes_begin_below_named_directories() {
        let check = |end: &str, expected: &[&str]| {
            assert_eq!(probes_of(end).collect::<Vec<_>>(), expected, "{end}");
        };
        check("node_modules/@*/*/package.json", &["@1/1/package.json", "1/package.json", "package.json"]);
        check("*.dist-info/METADATA", &["METADATA"]);
        check("*/ebin/*.app", &["1.app"]);
        check("*/*/DESCRIPTION", &[]);
        check("pubspec.lock", &[]);
    }
}
