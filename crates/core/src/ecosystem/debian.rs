//! Debian's releases by their codenames.

/// Codename and release (<https://www.debian.org/releases/>). Unstable has no number.
const RELEASES: [(&str, &str); 14] = [
    ("etch", "4"),
    ("lenny", "5"),
    ("squeeze", "6"),
    ("wheezy", "7"),
    ("jessie", "8"),
    ("stretch", "9"),
    ("buster", "10"),
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("forky", "14"),
    ("duke", "15"),
    ("unstable", "sid"),
    ("rc-buggy", "experimental"),
];

/// The release that a codename stands for; `None` where the name is the release's own (`12`, `sid`).
pub(super) fn release(codename: &str) -> Option<&'static str> {
    RELEASES.iter().find(|(name, _)| *name == codename).map(|(_, release)| *release)
}
