//! Alpine's branches, of which each has advisories of its own.

use super::Os;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A repository with advisories that apk installs from (apk-repositories(5)).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApkRepository {
    /// Its branch.
    pub branch: AlpineBranch,
    /// Its tag: only packages that are asked for with it are installed from there. Empty for a repository without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tag: String,
}

/// A branch of Alpine, from the oldest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum AlpineBranch {
    /// `v3.24`.
    Release(u16, u16),
    /// What will be the next release.
    Edge,
}

impl AlpineBranch {
    /// As addresses of repositories name it: `v3.24`, `edge`; `None` for other text.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "edge" {
            return Some(AlpineBranch::Edge);
        }
        let (major, minor) = text.strip_prefix('v')?.split_once('.')?;
        Some(AlpineBranch::Release(number(major)?, number(minor)?))
    }

    /// The branch that os-release names.
    pub(super) fn of(os: &Os) -> Self {
        Self::of_version(&os.version_id).unwrap_or(AlpineBranch::Edge)
    }

    /// The branches that a package of an image may be from, by the tag that it was installed with; the oldest first. Without a
    /// tag these are the image's own, whose packages it began with, and those of the repositories without one: apk takes the
    /// newest version of all, and does not record from where. A tag that no repository has says nothing.
    pub(super) fn all_of(os: &Os, tag: &str) -> BTreeSet<Self> {
        let with = |tag: &str| os.repositories.iter().filter(move |r| r.tag == tag).map(|r| r.branch).collect();
        let tagged: BTreeSet<Self> = with(tag);
        match (tag.is_empty(), tagged.is_empty()) {
            (true, _) => tagged.into_iter().chain([Self::of(os)]).collect(),
            (false, false) => tagged,
            (false, true) => os.repositories.iter().map(|r| r.branch).chain([Self::of(os)]).collect(),
        }
    }

    /// `3.24.1`; a version of edge has `_alpha` in it.
    fn of_version(version: &str) -> Option<Self> {
        let mut parts = version.split('.');
        let (major, minor) = (parts.next()?, parts.next()?.split('_').next()?);
        let release = AlpineBranch::Release(number(major)?, number(minor)?);
        Some(release).filter(|_| !version.contains("_alpha"))
    }
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for AlpineBranch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AlpineBranch::Release(major, minor) => write!(f, "v{major}.{minor}"),
            AlpineBranch::Edge => f.write_str("edge"),
        }
    }
}

impl TryFrom<String> for AlpineBranch {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a branch of Alpine"))
    }
}

impl From<AlpineBranch> for String {
    fn from(branch: AlpineBranch) -> Self {
        branch.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_names_one_branch() {
        let check = |version: &str, expected: &str| {
            let os = Os { id: "alpine".into(), version_id: version.into(), ..Os::default() };
            assert_eq!(os.ecosystem().map(|e| e.to_string()), Some(format!("Alpine:{expected}")), "{version}");
        };
        check("3.18.4", "v3.18");
        check("3.24_alpha20251224", "edge");
        check("3.22.0_rc1", "v3.22");
        check("3.22_rc1", "v3.22");
        check("", "edge");
    }

    #[test]
    fn a_package_is_of_the_branches_that_its_repositories_are_of() {
        // Repositories are `BRANCH` or `@TAG BRANCH`.
        let check = |version: &str, repositories: &[&str], tag: &str, expected: &[&str]| {
            let repository = |text: &&str| {
                let (tag, branch) = text.strip_prefix('@').and_then(|t| t.split_once(' ')).unwrap_or(("", text));
                ApkRepository { branch: AlpineBranch::parse(branch).unwrap(), tag: tag.to_owned() }
            };
            let repositories_of_os = repositories.iter().map(repository).collect();
            let (id, version_id) = ("alpine".into(), version.into());
            let os = Os { id, version_id, repositories: repositories_of_os, ..Os::default() };
            let found: Vec<String> = os.ecosystems(tag).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{version} {repositories:?} {tag}");
        };
        check("3.18.4", &[], "", &["Alpine:v3.18"]);
        check("3.18.4", &["v3.18", "v3.18"], "", &["Alpine:v3.18"]);
        check("3.18.4", &["v3.18", "edge"], "", &["Alpine:v3.18", "Alpine:edge"]);
        // What the image began with may be there still.
        check("3.18.4", &["v3.20"], "", &["Alpine:v3.18", "Alpine:v3.20"]);
        check("3.18.4", &["v3.9"], "", &["Alpine:v3.9", "Alpine:v3.18"]);
        check("3.24_alpha20251224", &["v3.23"], "", &["Alpine:v3.23", "Alpine:edge"]);
        let tagged = ["v3.18", "@edge edge", "@old v3.9", "@old v3.10"];
        check("3.18.4", &tagged, "", &["Alpine:v3.18"]);
        check("3.18.4", &tagged, "edge", &["Alpine:edge"]);
        check("3.18.4", &tagged, "old", &["Alpine:v3.9", "Alpine:v3.10"]);
        check("3.18.4", &tagged, "gone", &["Alpine:v3.9", "Alpine:v3.10", "Alpine:v3.18", "Alpine:edge"]);
    }

    #[test]
    fn other_text_is_no_branch() {
        for text in ["", "v3", "3.18", "v3.18.1", "v3.+8", "latest-stable", "Edge", "v99999.1"] {
            assert_eq!(AlpineBranch::parse(text), None, "{text}");
        }
    }
}
