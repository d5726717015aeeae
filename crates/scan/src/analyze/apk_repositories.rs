//! apk-repositories(5): where apk installs from. An image may have packages of several branches of Alpine, of which each has
//! advisories of its own.
//!
//! Only `main` and `community` have advisories. Of a repository with a tag (`@edge https://…`) apk installs nothing but what is
//! asked for by the tag, and records the tag with each such package.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::{AlpineBranch, ApkRepository};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "apk, repositories",
    files: &["etc/apk/repositories", "etc/apk/repositories.d/*.list"],
    types: &[],
    version: 2,
    accepts: all,
    read: parse,
};

fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let all: BTreeSet<ApkRepository> = text.lines().filter_map(repository).collect();
    ParsedFile { repositories: all.into_iter().collect(), ..ParsedFile::default() }
}

/// A line: `https://dl-cdn.alpinelinux.org/alpine/v3.24/main`, with a tag before it or not.
fn repository(line: &str) -> Option<ApkRepository> {
    let line = line.trim();
    let (tag, address) = match line.strip_prefix('@') {
        Some(tagged) => tagged.split_once(char::is_whitespace)?,
        None => ("", line),
    };
    let address = address.trim();
    if address.starts_with('#') {
        return None;
    }
    let mut parts = address.trim_end_matches('/').rsplit('/');
    let (repository, branch) = (parts.next()?, parts.next()?);
    let branch = ["main", "community"].contains(&repository).then(|| AlpineBranch::parse(branch))??;
    Some(ApkRepository { branch, tag: tag.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_branches_and_tags() {
        let check = |text: &str, expected: &[&str]| {
            let found = parse("etc/apk/repositories", text.as_bytes()).repositories;
            let found: Vec<String> = found.iter().map(|r| format!("{}@{}", r.branch, r.tag)).collect();
            assert_eq!(found, expected, "{text}");
        };
        let cdn = "https://dl-cdn.alpinelinux.org/alpine";
        check(&format!("{cdn}/v3.18/main\n{cdn}/v3.18/community\n"), &["v3.18@"]);
        check(&format!("{cdn}/v3.18/main\n  {cdn}/v3.20/community/\n"), &["v3.18@", "v3.20@"]);
        check(&format!("{cdn}/v3.18/main\n{cdn}/edge/community"), &["v3.18@", "edge@"]);
        check(
            "http://nexus.example/repository/apk/v3.9/main\r\nftp://mirror.example/v3.10/main\n",
            &["v3.9@", "v3.10@"],
        );
        check(&format!("{cdn}/v3.18/main\n{cdn}/edge/testing\n@t {cdn}/edge/testing\n"), &["v3.18@"]);
        check(
            &format!("{cdn}/v3.18/main\n@edge {cdn}/edge/main\n@edge\t {cdn}/edge/community\n#{cdn}/v3.9/main\n@x\n"),
            &["v3.18@", "edge@edge"],
        );
        check(&format!("{cdn}/latest-stable/main\n/media/cdrom/apks\nmain\n"), &[]);
        check("", &[]);
    }
}
