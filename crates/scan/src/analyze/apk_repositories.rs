//! apk-repositories(5): where apk installs from. A release of Alpine whose repositories are those of another branch has that
//! branch's packages.
//!
//! Only `main` and `community` have advisories. Of a repository with a tag (`@edge https://…`) apk installs nothing but what is
//! asked for by the tag, so it does not say what the other packages are.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use tidewaiter_core::ecosystem::AlpineBranch;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "apk, repositories",
    files: &["etc/apk/repositories", "etc/apk/repositories.d/*.list"],
    types: &[],
    version: 1,
    accepts: all,
    read: parse,
};

fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    ParsedFile { repository_branch: text.lines().filter_map(branch).max(), ..ParsedFile::default() }
}

/// The branch of a line: `https://dl-cdn.alpinelinux.org/alpine/v3.24/main`.
fn branch(line: &str) -> Option<AlpineBranch> {
    let address = line.trim();
    if address.starts_with(['#', '@']) {
        return None;
    }
    let mut parts = address.trim_end_matches('/').rsplit('/');
    let (repository, branch) = (parts.next()?, parts.next()?);
    ["main", "community"].contains(&repository).then(|| AlpineBranch::parse(branch))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_branch_counts() {
        let check = |text: &str, expected: Option<&str>| {
            let found = parse("etc/apk/repositories", text.as_bytes()).repository_branch;
            assert_eq!(found.map(|branch| branch.to_string()).as_deref(), expected, "{text}");
        };
        let cdn = "https://dl-cdn.alpinelinux.org/alpine";
        check(&format!("{cdn}/v3.18/main\n{cdn}/v3.18/community\n"), Some("v3.18"));
        check(&format!("{cdn}/v3.18/main\n  {cdn}/v3.20/community/\n"), Some("v3.20"));
        check(&format!("{cdn}/v3.18/main\n{cdn}/edge/community"), Some("edge"));
        check("http://nexus.example/repository/apk/v3.9/main\r\nftp://mirror.example/v3.10/main\n", Some("v3.10"));
        check(&format!("{cdn}/v3.18/main\n{cdn}/edge/testing\n"), Some("v3.18"));
        check(&format!("{cdn}/v3.18/main\n@edge {cdn}/edge/main\n#{cdn}/edge/main\n"), Some("v3.18"));
        check(&format!("{cdn}/latest-stable/main\n/media/cdrom/apks\nmain\n"), None);
        check("", None);
    }
}
