//! Erlang and Elixir: the metadata of packages fetched by Hex (hexpm/specifications, `package_metadata.md`), and the
//! `ebin/NAME.app` of each application of a release (Erlang/OTP, `app(4)`).

pub(super) mod lock;
pub(super) mod project;

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::Listing;
use super::parsed::failed;
use tidewaiter_core::package::PackageType;

/// Applications of Erlang/OTP and Elixir themselves, which releases have too: they are not packages of Hex, and Erlang is listed as a program.
const OWN: [&str; 66] = [
    "asn1",
    "common_test",
    "compiler",
    "cosEvent",
    "cosEventDomain",
    "cosFileTransfer",
    "cosNotification",
    "cosProperty",
    "cosTime",
    "cosTransactions",
    "crypto",
    "debugger",
    "dialyzer",
    "diameter",
    "edoc",
    "eex",
    "eldap",
    "elixir",
    "erl_docgen",
    "erl_interface",
    "erts",
    "et",
    "eunit",
    "ex_unit",
    "ftp",
    "gs",
    "hipe",
    "ic",
    "iex",
    "inets",
    "jinterface",
    "kernel",
    "logger",
    "megaco",
    "mix",
    "mnesia",
    "observer",
    "odbc",
    "orber",
    "os_mon",
    "ose",
    "otp_mibs",
    "parsetools",
    "percept",
    "public_key",
    "reltool",
    "runtime_tools",
    "sasl",
    "snmp",
    "ssh",
    "ssl",
    "stdlib",
    "syntax_tools",
    "test_server",
    "tftp",
    "toolbar",
    "tools",
    "tv",
    "typer",
    "webtool",
    "wx",
    "xmerl",
    "inviso",
    "appmon",
    "pman",
    "docbuilder",
];

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Erlang and Elixir",
    files: &["**/*/ebin/*.app", "**/hex_metadata.config"],
    types: &[PackageType::Hex],
    version: 1,
    accepts: is_package,
    read: parse,
};

/// An application of Hex, or the metadata of a package.
fn is_package(path: &str) -> bool {
    !path.ends_with(".app") || application(path).is_some_and(|name| !OWN.contains(&name))
}

/// The application of `NAME/ebin/NAME.app` or `NAME-VERSION/ebin/NAME.app`.
fn application(path: &str) -> Option<&str> {
    let mut parts = path.strip_suffix(".app")?.rsplit('/');
    let name = parts.next()?;
    let rest = parts.next().filter(|dir| *dir == "ebin").and(parts.next())?.strip_prefix(name)?;
    (!name.is_empty() && (rest.is_empty() || rest.starts_with('-'))).then_some(name)
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let (name, version) = match application(path) {
        Some(name) => (Some(name), vsn(&text)),
        None => (term(&text, "name"), term(&text, "version")),
    };
    let (Some(name), Some(version)) = (name, version) else {
        return failed(path, "it names no application and version");
    };
    let mut listing = Listing::new(path);
    listing.add(PackageType::Hex, name, version);
    listing.done()
}

/// The text of `{vsn, "…"}`.
fn vsn(text: &str) -> Option<&str> {
    let starts = text.match_indices('{').filter_map(|(at, _)| text.get(at + 1..)?.trim_start().strip_prefix("vsn"));
    let mut values = starts.filter_map(|rest| rest.trim_start().strip_prefix(',')?.trim_start().strip_prefix('"'));
    values.next()?.split_once('"').map(|(version, _)| version).filter(|version| !version.is_empty())
}

/// The text of the term `{<<"FIELD">>,<<"…">>}.`, which begins a line; terms inside others do not.
fn term<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    let start = format!("{{<<\"{field}\">>,");
    let value = text.lines().find_map(|line| line.strip_prefix(start.as_str()))?;
    value.trim_start().strip_prefix("<<\"")?.split_once('"').map(|(value, _)| value).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn only_packages_are_wanted() {
        let check = |path: &str, expected: bool| assert_eq!(wants(path), expected, "{path}");
        check("app/lib/jason-1.4.1/ebin/jason.app", true);
        check("app/_build/prod/lib/jason/ebin/jason.app", true);
        check("opt/rabbitmq/plugins/cowboy-2.10.0/ebin/cowboy.app", true);
        check("app/deps/jason/hex_metadata.config", true);
        check("usr/lib/erlang/lib/stdlib-5.0/ebin/stdlib.app", false);
        check("app/lib/elixir-1.15.0/ebin/elixir.app", false);
        check("app/lib/jason-1.4.1/priv/jason.app", false);
        check("app/lib/other-1/ebin/jason.app", false);
        check("ebin/jason.app", false);
    }

    #[test]
    fn applications_become_packages() {
        let check = |path: &str, text: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse(path, text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        let app = "app/lib/jason-1.4.1/ebin/jason.app";
        check(app, "{application,jason,[{config_mtime,1},{vsn,\"1.4.1\"},{modules,[]}]}.\n", "jason 1.4.1", 0);
        check(app, "%% made\n{application, 'jason',\n [ { vsn , \"1.4.1\" }\n]}.\n", "jason 1.4.1", 0);
        check(app, "{application,jason,[{vsn,git}]}.\n", "", 1);
        let metadata = "{<<\"app\">>,<<\"jason\">>}.\n{<<\"requirements\">>,\n [[{<<\"name\">>,<<\"decimal\">>}]]}.\n\
                        {<<\"name\">>,<<\"jason\">>}.\n{<<\"version\">>,<<\"1.4.1\">>}.\n";
        check("deps/jason/hex_metadata.config", metadata, "jason 1.4.1", 0);
        check("deps/jason/hex_metadata.config", "{<<\"name\">>,<<\"jason\">>}.\n", "", 1);
    }
}
