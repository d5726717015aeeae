//! One line about a package, and its row.

use std::cmp::Ordering;
use tidewaiter_core::advisory::{Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::version::VersionScheme;

/// `[release] - package version-or-tag (urgency; bug #n)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) release: Option<String>,
    pub(super) package: String,
    pub(super) tag: Tag,
    pub(super) severity: Severity,
    /// Whether it is unstable's statement, used for a release that has none.
    pub(super) elsewhere: bool,
}

/// Its tag or version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tag {
    Fixed(String),
    Unfixed,
    NotAffected,
    NoDsa,
    Ignored,
    Postponed,
    EndOfLife,
    /// `<undetermined>`, `<removed>`, `<itp>`: never a finding.
    Other,
}

impl Statement {
    /// `None` for lines that are not about a package (notes, to-dos, references).
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (release, rest) = match line.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(release, rest)| (Some(release.trim().to_owned()), rest.trim()))?,
            None => (None, line),
        };
        let rest = rest.strip_prefix("- ")?;
        let (facts, notes) = rest.split_once('(').unwrap_or((rest, ""));
        let mut words = facts.split_whitespace();
        let package = words.next()?.to_owned();
        let tag = match words.next() {
            Some("<unfixed>") => Tag::Unfixed,
            Some("<not-affected>") => Tag::NotAffected,
            Some("<no-dsa>") => Tag::NoDsa,
            Some("<ignored>") => Tag::Ignored,
            Some("<postponed>") => Tag::Postponed,
            Some("<end-of-life>") => Tag::EndOfLife,
            Some(version) if !version.starts_with('<') => Tag::Fixed(version.to_owned()),
            _ => Tag::Other,
        };
        let urgencies = notes.trim_end_matches(')').split(';').map(|note| match note.trim() {
            "unimportant" => Severity::Negligible,
            "low" => Severity::Low,
            "medium" => Severity::Medium,
            "high" => Severity::High,
            _ => Severity::Unknown,
        });
        let severity = urgencies.max().unwrap_or_default();
        Some(Statement { release, package, tag, severity, elsewhere: false })
    }

    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.tag, Tag::Fixed(_))
    }

    /// Of two bulletins the one with the higher version: the first fix was not complete.
    pub(super) fn later(a: &Self, b: &Self) -> Ordering {
        match (&a.tag, &b.tag) {
            (Tag::Fixed(a), Tag::Fixed(b)) => VersionScheme::Deb.compare(a, b),
            _ => a.is_fixed().cmp(&b.is_fixed()),
        }
    }

    /// The row of one release. Where the release has no fix of its own, unstable's version bounds the vulnerable range.
    pub(super) fn row(&self, ecosystem: Ecosystem, package: &str, unstable: Option<&Statement>) -> Option<Affected> {
        let bound = unstable.and_then(|s| if let Tag::Fixed(version) = &s.tag { Some(version) } else { None });
        let open = || bound.map_or(IntervalEnd::Open, |version| IntervalEnd::Fixed(version.clone()));
        let (end, fix_state) = match &self.tag {
            Tag::Fixed(version) if version == "0" => (None, FixState::Unknown),
            Tag::Fixed(version) => {
                // A fix in unstable is not a fix for a release.
                let state = if self.elsewhere { FixState::NotFixed } else { FixState::Fixed };
                (Some(IntervalEnd::Fixed(version.clone())), state)
            }
            Tag::NotAffected => (None, FixState::Unknown),
            Tag::Unfixed | Tag::NoDsa => (Some(open()), FixState::NotFixed),
            Tag::Ignored => (Some(open()), FixState::WontFix),
            Tag::Postponed => (Some(open()), FixState::Deferred),
            Tag::EndOfLife => (Some(open()), FixState::EndOfLife),
            Tag::Other => return None,
        };
        Some(Affected {
            never_affected: end.is_none(),
            intervals: end.map(Interval::until).into_iter().collect(),
            fix_state,
            severity: self.severity.max(unstable.map_or(Severity::Unknown, |s| s.severity)),
            ..Affected::new(ecosystem, package, KeyKind::Source)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::format::debian_git;
    use crate::format::testing::feed;
    use std::collections::BTreeMap;

    /// "release state bound severity" by release, of one package.
    fn rows(cve: &str, dsa: &str) -> BTreeMap<String, String> {
        let mut reader = debian_git::reader(&feed("debian", &["Debian:12"]));
        let list = format!("CVE-2023-1 (A flaw)\n{cve}");
        assert!(reader.document("data/CVE/list", &mut list.as_bytes(), &mut |_| {}).unwrap());
        let list = format!("[29 Mar 2023] DSA-1-1 a - security update\n\t{{CVE-2023-1}}\n{dsa}");
        assert!(reader.document("x/data/DSA/list", &mut list.as_bytes(), &mut |_| {}).unwrap());
        let records = reader.finish();
        assert_eq!(records.as_of.as_str(), "2023-03-29");
        let rows = records.advisories.iter().flat_map(|a| &a.affected);
        rows.map(|r| {
            let bound = r.intervals.first().map_or("never".to_owned(), |i| format!("{:?}", i.end));
            (r.ecosystem.to_string(), format!("{bound} {:?} {}", r.fix_state, r.severity))
        })
        .collect()
    }

    #[test]
    fn a_releases_own_statement_counts_before_unstables() {
        let check = |cve: &str, dsa: &str, expected: &[(&str, &str)]| {
            let expected: BTreeMap<_, _> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(rows(cve, dsa), expected, "{cve}{dsa}");
        };
        let (sid, twelve, eleven) = ("Debian:sid", "Debian:12", "Debian:11");
        let bounded = r#"Fixed("2-1") NotFixed unknown"#;
        check("\t- a 2-1 (bug #1)\n", "", &[(sid, r#"Fixed("2-1") Fixed unknown"#), (twelve, bounded)]);
        check(
            "\t- a 2-1 (low; bug #1)\n\t[bookworm] - a 1-1+deb12u1\n\t[bullseye] - a <no-dsa> (Minor issue)\n\tNOTE: - a 3\n",
            "",
            &[
                (sid, r#"Fixed("2-1") Fixed low"#),
                (twelve, r#"Fixed("1-1+deb12u1") Fixed low"#),
                (eleven, r#"Fixed("2-1") NotFixed low"#),
            ],
        );
        check(
            "\t- a <unfixed> (unimportant)\n\t[bullseye] - a <not-affected> (Vulnerable code not present)\n",
            "",
            &[
                (sid, "Open NotFixed negligible"),
                (twelve, "Open NotFixed negligible"),
                (eleven, "never Unknown negligible"),
            ],
        );
        check(
            "\t- a <not-affected> (Fixed before first upload)\n",
            "",
            &[(sid, "never Unknown unknown"), (twelve, "never Unknown unknown")],
        );
        for (tag, state) in [("ignored", "WontFix"), ("postponed", "Deferred"), ("end-of-life", "EndOfLife")] {
            check(&format!("\t[bullseye] - a <{tag}> (x)\n"), "", &[(eleven, &format!("Open {state} unknown"))]);
        }
        for tag in ["undetermined", "removed", "itp"] {
            check(&format!("\t- a <{tag}> (bug #1)\n"), "", &[]);
        }
    }

    #[test]
    fn fixes_of_bulletins_overrule_outdated_tags() {
        let check = |cve: &str, dsa: &str, expected: &str| {
            assert_eq!(rows(cve, dsa).get("Debian:11").map(String::as_str), Some(expected), "{cve}{dsa}");
        };
        let fixed = r#"Fixed("1-1+deb11u2") Fixed unknown"#;
        check("", "\t[bullseye] - a 1-1+deb11u2\n", fixed);
        check("\t[bullseye] - a <no-dsa> (Minor)\n", "\t[bullseye] - a 1-1+deb11u2\n", fixed);
        check("\t[bullseye] - a <not-affected> (x)\n", "\t[bullseye] - a 1-1+deb11u2\n", "never Unknown unknown");
        check("", "\t[bullseye] - a 1-1+deb11u2\n\t[bullseye] - a 1-1+deb11u1\n", fixed);
        check("", "\t[bullseye] - a <end-of-life> (x)\n", "Open EndOfLife unknown");
    }

    #[test]
    fn other_files_and_rejected_names_have_no_records() {
        let mut reader = debian_git::reader(&feed("debian", &[]));
        assert!(!reader.document("data/CPE/list", &mut &b"x"[..], &mut |_| {}).unwrap());
        assert!(!reader.document("data/config.json", &mut &b"x"[..], &mut |_| {}).unwrap());
        let list = b"CVE-2023-2\n\tREJECTED\nCVE-2023-3\n\tRESERVED\n";
        assert!(reader.document("data/CVE/list", &mut &list[..], &mut |_| {}).unwrap());
        assert!(reader.finish().advisories.is_empty());
    }
}
