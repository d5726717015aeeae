//! .NET applications in a single file: a host program with the application's files appended, among them its
//! `deps.json`, which is never compressed (dotnet/designs, "The Single-file Bundler").

use crate::analyze::{ParsedFile, dotnet, unreadable};
use memchr::memmem;
use serde::de::IgnoredAny;

/// In every host; the number before it is the place of its bundle.
const MARK: &[u8] = b"\x8b\x12\x02\xb9\x6a\x61\x20\x38\x72\x7b\x93\x02\x14\xd7\xa0\x32\
    \x13\xf5\xb9\xe6\xef\xae\x33\x18\xee\x3b\x2d\xce\x24\xb3\x6a\xae";
/// Bytes of that number: zero in a host without a bundle.
const PLACE: usize = 8;
/// No file is so large: a program that only knows the mark has other bytes before it.
const MAX_PLACE: u64 = 1 << 40;
/// The first key of a `deps.json`.
const FIRST_KEY: &[u8] = b"\"runtimeTarget\"";
/// Bytes of a `deps.json`: large ones have a tenth of it. It must fit into the overlap of two windows.
const MAX_JSON: usize = 2 << 20;
/// Places with that key that are read: an application has one.
const MAX_PLACES: usize = 32;

/// Searches a host, whole or window by window, for its application's `deps.json`.
#[derive(Debug)]
pub(super) struct BundleSearch<'p> {
    path: &'p str,
    /// There is a bundle.
    bundled: bool,
    found: Vec<ParsedFile>,
    /// Places with the key so far.
    places: usize,
}

impl<'p> BundleSearch<'p> {
    pub(super) fn new(path: &'p str) -> Self {
        BundleSearch { path, bundled: false, found: Vec::new(), places: 0 }
    }

    /// Looks at a part of the file: for what begins in its first `new` bytes. The mark comes before all files.
    pub(super) fn part(&mut self, window: &[u8], new: usize) {
        self.bundled = self.bundled || has_bundle(window);
        if !self.bundled {
            return;
        }
        let objects = memmem::find_iter(window, FIRST_KEY).filter_map(|key| object(window, key));
        for start in objects.take_while(|start| *start < new) {
            self.places += 1;
            if self.places > MAX_PLACES {
                return;
            }
            let json = window.get(start..).and_then(document);
            self.found.extend(json.map(|json| dotnet::parse(self.path, json)));
        }
    }

    /// The packages of the application, and a gap where it does not list them.
    pub(super) fn result(self) -> ParsedFile {
        let mut out = ParsedFile::default();
        if self.bundled && (self.found.is_empty() || self.places > MAX_PLACES) {
            let message = "this .NET application in a single file does not list its packages in a readable form";
            out.gaps.push(unreadable(self.path, message));
        }
        self.found.into_iter().for_each(|found| out.add(found));
        out
    }
}

fn has_bundle(window: &[u8]) -> bool {
    memmem::find_iter(window, MARK).any(|at| is_bundle_mark(window, at))
}

fn is_bundle_mark(window: &[u8], at: usize) -> bool {
    let place = at.checked_sub(PLACE).and_then(|start| window.get(start..)?.first_chunk());
    let place = place.map(|bytes| u64::from_le_bytes(*bytes)).unwrap_or_default();
    // The bundle comes after its host.
    (1..MAX_PLACE).contains(&place) && usize::try_from(place).is_ok_and(|place| place > at)
}

/// Where the object begins whose first key is at a place.
fn object(window: &[u8], key: usize) -> Option<usize> {
    let start = window.get(..key)?.trim_ascii_end().len().checked_sub(1)?;
    (window.get(start) == Some(&b'{')).then_some(start)
}

/// The whole JSON object that some bytes begin with.
fn document(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.get(..MAX_JSON).unwrap_or(bytes);
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<IgnoredAny>();
    stream.next()?.ok()?;
    bytes.get(..stream.byte_offset())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::listing::summary;

    #[test]
    fn bundles_list_their_packages() {
        let check = |bytes: &[u8], expected: &str, gaps: usize| {
            for step in [bytes.len().max(1), 50] {
                let mut search = BundleSearch::new("app/App");
                // As windows of a large file: what is new, and what follows it.
                for start in (0..bytes.len()).step_by(step) {
                    search.part(&bytes[start..(start + step + 300).min(bytes.len())], step);
                }
                assert_eq!(summary(&search.result()), (expected.to_owned(), gaps));
            }
        };
        let json = r#"{
            "runtimeTarget": {"name": "T", "signature": ""}, "targets": {"T": {"A/1": {"runtime": {"lib/A.dll": {}}}}},
            "libraries": {"App/1.0.0": {"type": "project"}, "A/1": {"type": "package"}}}"#;
        let knows = |before: &[u8; 8], after: &str| {
            [b"\x7fELF".as_slice(), &[0; 60], before, MARK, &[1; 100], after.as_bytes(), b"\0\x06\0\0"].concat()
        };
        let host = |place: u64, after: &str| knows(&place.to_le_bytes(), after);
        let both = "A 1, App 1.0.0 (own)";
        check(&host(900, json), both, 0);
        check(&host(900, &format!("runtimeTarget \"runtimeTarget\" {json}")), both, 0);
        check(&host(900, "MZ"), "", 1);
        check(&host(900, &json[..200]), "", 1);
        check(&host(900, &json.repeat(MAX_PLACES + 1)), &[both; MAX_PLACES].join(", "), 1);
        check(&host(0, json), "", 0);
        check(&knows(b" program", json), "", 0);
        check(json.as_bytes(), "", 0);
    }
}
