//! Yarn's Plug'n'Play: `.pnp.cjs`, or `.pnp.data.json` where its data is a file of its own. Packages run from the zip archives
//! of a cache and have no directory of their own. Archives that no such file names are not run.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::Listing;
use super::npm::hidden_lock::is_own_reference;
use super::parsed::failed;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tidewaiter_core::package::PackageType;

const DATA: &str = ".pnp.data.json";

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Yarn Plug'n'Play",
    files: &["**/.pnp.cjs", "**/.pnp.js", "**/.pnp.data.json"],
    types: &[PackageType::Npm],
    version: 2,
    accepts: all,
    read: parse,
};

/// A reference and its location. The image's own project has neither name nor reference.
type Reference = (Option<String>, IgnoredAny);

#[derive(Deserialize)]
struct State {
    /// For each name, its references.
    #[serde(rename = "packageRegistryData")]
    packages: Vec<(Option<String>, Vec<Reference>)>,
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let state = match path.ends_with(DATA) {
        true => serde_json::from_str(&text).map_err(|e| e.to_string()),
        false => match inlined(&text) {
            Some(state) => state,
            None if text.contains(DATA) => return ParsedFile::default(),
            None => return failed(path, "it has an unknown form"),
        },
    };
    let state: State = match state {
        Ok(state) => state,
        Err(cause) => return failed(path, &format!("it lists no packages ({cause})")),
    };
    let mut listing = Listing::new(path);
    for (name, references) in &state.packages {
        for (reference, _) in references {
            let (Some(name), Some(reference)) = (name, reference) else { continue };
            match resolved(name, reference) {
                Some((name, version)) => listing.add(PackageType::Npm, &name, &version),
                None => listing.own(PackageType::Npm, name, ""),
            }
        }
    }
    let mut parsed = listing.done();
    parsed.packages.sort();
    // Yarn lists a package once for each set of its peers.
    parsed.packages.dedup();
    parsed
}

/// The state that a program of Yarn 2 or later carries, as text or as an object.
fn inlined(text: &str) -> Option<Result<State, String>> {
    if let Some((_, rest)) = text.split_once("RAW_RUNTIME_STATE =") {
        return Some(serde_json::from_str(&unescaped(rest.split_once('\'')?.1)).map_err(|e| e.to_string()));
    }
    let object = text.match_indices("hydrateRuntimeState({").find_map(|(at, found)| text.get(at + found.len() - 1..));
    // The function's own declaration takes its arguments apart.
    let object = object.filter(|object| object.contains("\"packageRegistryData\""))?;
    let state = serde_json::Deserializer::from_str(object).into_iter().next()?;
    Some(state.map_err(|e| e.to_string()))
}

/// A JavaScript text up to its closing quote.
fn unescaped(literal: &str) -> String {
    let mut out = String::with_capacity(literal.len());
    let mut chars = literal.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => break,
            '\\' => out.extend(chars.next().filter(|c| *c != '\n')),
            c => out.push(c),
        }
    }
    out
}

/// The name and version behind a reference: `npm:1.0.0`, `npm:other@1.0.0` for an alias, `virtual:HASH#npm:1.0.0`,
/// `patch:name@npm%3A1.0.0#…`. `None` is the image's own code, whose version is not recorded; what is from elsewhere has no known version.
fn resolved(name: &str, reference: &str) -> Option<(String, String)> {
    let reference = match reference.strip_prefix("virtual:") {
        Some(rest) => rest.split_once('#').map(|(_, reference)| reference).unwrap_or_default(),
        None => reference,
    };
    if is_own_reference(reference) {
        return None;
    }
    if let Some(patched) = reference.strip_prefix("patch:") {
        return Some((name.to_owned(), patched_version(patched).to_owned()));
    }
    let found = reference.strip_prefix("npm:").unwrap_or_default().split("::").next().unwrap_or_default();
    match found.rsplit_once('@') {
        Some((other, version)) => Some((other.to_owned(), version.to_owned())),
        None => Some((name.to_owned(), found.to_owned())),
    }
}

/// The version that a patch changes, however often it is encoded: once for each patch around it.
fn patched_version(source: &str) -> &str {
    let found = source.split_once("@npm").map(|(_, rest)| rest.trim_start_matches(':').trim_start_matches('%'));
    let version =
        found.map(|rest| rest.trim_start_matches("25").strip_prefix("3A").unwrap_or(rest)).unwrap_or_default();
    let end =
        version.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))).unwrap_or(version.len());
    version.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    const STATE: &str = r#"{"__info":["It's"],"packageRegistryData":[
        [null,[[null,{"packageLocation":"./"}]]],
        ["@a/b",[["npm:1.0.0",{}],["virtual:00#npm:1.0.0",{}]]],
        ["alias",[["npm:@c/d@2.0.0",{}]]],
        ["e",[["patch:e@npm%3A3.0.0#optional!builtin",{}]]],
        ["app",[["workspace:.",{}]]],
        ["g",[["file:../g#../g::hash=1&locator=app",{}]]],
        ["f",[["https://x.example/f.tgz",{}]]]]}"#;
    const LISTED: &str = "@a/b 1.0.0, @c/d 2.0.0, app  (own), e 3.0.0, f , g  (own)";

    #[test]
    fn states_list_what_runs() {
        let check = |path: &str, text: &str, expected: &str, gaps: usize| {
            assert!(wants(path), "{path}");
            assert_eq!(summary(&parse(path, text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        check("app/.pnp.data.json", STATE, LISTED, 0);
        let literal = STATE.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\\n");
        check(".pnp.cjs", &format!("const RAW_RUNTIME_STATE =\n'{literal}';\nf('x')"), LISTED, 0);
        check(".pnp.cjs", &format!("return hydrateRuntimeState({STATE}, {{basePath: b}});"), LISTED, 0);
        check(".pnp.cjs", "read(\".pnp.data.json\")", "", 0);
        check(".pnp.js", "let packageInformationStores = new Map([])", "", 1);
        check(".pnp.cjs", "const RAW_RUNTIME_STATE =\n'{", "", 1);
        check(".pnp.data.json", "{}", "", 1);
    }

    #[test]
    fn patches_name_the_version_they_change() {
        let check = |source: &str, expected: &str| assert_eq!(patched_version(source), expected, "{source}");
        check("e@npm%3A3.0.0#optional", "3.0.0");
        check("e@npm:3.0.0-rc.1#optional", "3.0.0-rc.1");
        check("e@patch%3Ae@npm%253A3.0.0%23x#y", "3.0.0");
        check("e@https://x.example", "");
    }
}
