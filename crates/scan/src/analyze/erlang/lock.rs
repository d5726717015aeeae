//! The lock files of Mix and rebar3: every dependency is in them that is not of a path, so that applications next to them that
//! they do not name are the image's own (`Mix.Dep.Lock`; rebar3, "Lock Files").

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::own::OwnFolder;
use std::collections::BTreeSet;
use tidewaiter_core::package::PackageType::Hex;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Erlang and Elixir, where applications are from",
    files: &["**/mix.lock", "**/rebar.lock"],
    types: &[],
    version: 1,
    accepts: is_project,
    read: parse,
};

/// Dependencies have lock files of their own, which are not used there.
pub(super) fn is_project(path: &str) -> bool {
    !["/deps/", "/_build/"].iter().any(|dir| format!("/{path}").contains(dir))
}

/// Applications are built into `_build`, releases too.
fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let names: BTreeSet<String> = match path.ends_with("mix.lock") {
        true if text.trim_start().starts_with("%{") => text.lines().filter_map(mix_name).map(str::to_owned).collect(),
        false if text.trim_start().starts_with(['{', '[']) => rebar_names(&text).map(str::to_owned).collect(),
        _ => return ParsedFile::default(),
    };
    ParsedFile { own: vec![OwnFolder::all_but(Hex, names, "_build")], ..ParsedFile::default() }
}

/// The name of a line `  "NAME": {:hex, …`.
fn mix_name(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix('"')?.split_once("\":").map(|(name, _)| name)
}

/// Every `{<<"NAME">>,` of the file: the dependencies, and their hashes again.
fn rebar_names(text: &str) -> impl Iterator<Item = &str> {
    text.split("{<<\"").skip(1).filter_map(|rest| rest.split_once("\">>").map(|(name, _)| name))
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    #[test]
    fn what_is_not_locked_is_own_code() {
        let check = |path: &str, text: &str, expected: Option<&[&str]>| {
            assert!(wants(path), "{path}");
            let all_but =
                |names: &[&str]| OwnFolder::all_but(Hex, names.iter().map(|n| (*n).to_owned()).collect(), "_build");
            assert_eq!(
                parse(path, text.as_bytes()).own,
                expected.map(all_but).into_iter().collect::<Vec<_>>(),
                "{text}"
            );
        };
        let mix = "%{\n  \"jason\": {:hex, :jason, \"1.4.1\", \"af1\", [:mix], [], \"hexpm\", \"fbb\"},\n  \"my\": {:git, \"x\"},\n}\n";
        check("app/mix.lock", mix, Some(&["jason", "my"]));
        check("app/mix.lock", "%{}\n", Some(&[]));
        check("app/mix.lock", "<<<<<<<", None);
        let rebar = "{\"1.2.0\",\n[{<<\"cowlib\">>,{pkg,<<\"cowlib\">>,<<\"2.12.1\">>},0}]}.\n[\n{pkg_hash,[\n \
                     {<<\"cowlib\">>, <<\"A9\">>}]}\n].\n";
        check("app/rebar.lock", rebar, Some(&["cowlib"]));
        check("app/rebar.lock", "[].\n", Some(&[]));
        assert!(!wants("app/deps/jason/mix.lock"));
    }
}
