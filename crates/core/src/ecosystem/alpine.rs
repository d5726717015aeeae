//! Alpine's branches, of which each has advisories of its own.

use super::Os;
use serde::{Deserialize, Serialize};
use std::fmt;

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

    /// The branch whose packages an image has: that of its os-release, or a newer one that its package manager installs from.
    pub(super) fn of(os: &Os) -> Self {
        let named = Self::of_version(&os.version_id).unwrap_or(AlpineBranch::Edge);
        os.repository_branch.map_or(named, |branch| branch.max(named))
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
    fn the_newer_of_release_and_repositories_counts() {
        let check = |version: &str, repositories: Option<&str>, expected: &str| {
            let repository_branch = repositories.and_then(AlpineBranch::parse);
            assert_eq!(repository_branch.is_some(), repositories.is_some());
            let os = Os { id: "alpine".into(), version_id: version.into(), repository_branch, ..Os::default() };
            assert_eq!(os.ecosystem().map(|e| e.to_string()), Some(format!("Alpine:{expected}")), "{version}");
        };
        check("3.18.4", None, "v3.18");
        check("3.18.4", Some("v3.18"), "v3.18");
        check("3.9.6", Some("v3.18"), "v3.18");
        check("3.18.4", Some("v3.9"), "v3.18");
        check("3.18.4", Some("edge"), "edge");
        check("3.24_alpha20251224", Some("v3.23"), "edge");
        check("3.22.0_rc1", None, "v3.22");
        check("3.22_rc1", None, "v3.22");
        check("", Some("v3.18"), "edge");
    }

    #[test]
    fn other_text_is_no_branch() {
        for text in ["", "v3", "3.18", "v3.18.1", "v3.+8", "latest-stable", "Edge", "v99999.1"] {
            assert_eq!(AlpineBranch::parse(text), None, "{text}");
        }
    }
}
