//! `mix.exs`: the name of a project, and those of its dependencies that are folders (Mix, "Path options"). Where all are,
//! Mix writes no lock file.

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::own::OwnFolder;
use super::lock::is_project;
use tidewaiter_core::package::PackageType::Hex;

pub(in crate::analyze) const ANALYZER: Analyzer = Analyzer {
    name: "Elixir, a project's own applications",
    files: &["**/mix.exs"],
    types: &[],
    version: 1,
    accepts: is_project,
    read: parse,
};

/// It is a program, of which only what projects write as literals is read.
fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    // Projects of an umbrella build into the one around them.
    let build = after(&text, "build_path: \"").and_then(|rest| rest.split('"').next()).unwrap_or("_build");
    let names = after(&text, "app: :").map(name_in).into_iter().chain(text.split("{:").skip(1).filter_map(folder));
    let own = names.filter(|name| !name.is_empty()).map(|name| OwnFolder::named(Hex, name, build));
    ParsedFile { own: own.collect(), ..ParsedFile::default() }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

/// The name that a text begins with.
fn name_in(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The name of a dependency `{:NAME, …}` that is a folder.
fn folder(text: &str) -> Option<&str> {
    let dependency = text.split('}').next()?;
    ["path: ", "in_umbrella: true"].iter().any(|option| dependency.contains(option)).then(|| name_in(dependency))
}

#[cfg(test)]
mod tests {
    use super::super::super::wants;
    use super::*;

    #[test]
    fn projects_and_their_folders_are_own_code() {
        let check = |text: &str, build: &str, expected: &[&str]| {
            let named = expected.iter().map(|name| OwnFolder::named(Hex, name, build));
            assert_eq!(parse("app/mix.exs", text.as_bytes()).own, named.collect::<Vec<_>>(), "{text}");
        };
        let deps = "{:jason, \"~> 1.4\"},\n {:common, path: \"libs/common\"}, {:web, in_umbrella: true}";
        let project = format!("def project, do: [app: :shop, version: \"0.1.0\", deps: [{deps}]]");
        check(&project, "_build", &["shop", "common", "web"]);
        check("[\n app: :web,\n build_path: \"../../_build\"]", "../../_build", &["web"]);
        check("defmodule A do end", "_build", &[]);
        assert!(wants("app/mix.exs") && !wants("app/deps/jason/mix.exs"));
    }
}
