//! What an SBOM does not tell. What cannot be matched is said, so that a report is incomplete and not clean: one gap for each
//! reason, with the first few names.

use crate::collect::{Collected, Unmatched, WhyUnmatched};
use crate::component::MAX_PURLS;
use crate::format::SbomHead;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error as ValueError, StrDeserializer};
use std::collections::{BTreeMap, BTreeSet};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, GapKind};

/// Names that a message lists.
const LISTED: usize = 5;

/// What gaps of the whole document name.
const SUBJECT: &str = "SBOM";

/// The gaps of the scan that wrote a document. Those that depend on the database and on the day are found again.
pub(crate) fn told(head: &SbomHead) -> Vec<Gap> {
    let (told, unclear): (Vec<_>, Vec<_>) =
        head.gaps.iter().map(|line| gap_of(line).ok_or(line)).partition(Result::is_ok);
    let unclear = unclear.into_iter().filter_map(Result::err).map(|line| unclear_gap(line));
    // Where gaps are told, they are why it is incomplete.
    let says_why = !told.is_empty();
    let again = told.into_iter().flatten().filter(|gap| !is_judged_again(gap.kind));
    let mut gaps: Vec<Gap> = again.chain(unclear).collect();
    if !says_why && !head.incomplete.is_empty() {
        let message = format!(
            "it says of itself that it does not list everything ({}); have it written by a complete scan",
            head.incomplete
        );
        gaps.push(Gap { kind: GapKind::UnreadableFile, subject: SUBJECT.to_owned(), message });
    }
    gaps
}

/// A gap whose line is not in our form, of another version or written by others: it is one all the same.
fn unclear_gap(line: &str) -> Gap {
    let message = format!("the scan that wrote it tells a gap that is not understood: {line:.200}; scan again");
    Gap { kind: GapKind::Unclear, subject: SUBJECT.to_owned(), message }
}

fn is_judged_again(kind: GapKind) -> bool {
    matches!(kind, GapKind::NotCovered | GapKind::NotRated | GapKind::OldDatabase | GapKind::EndOfSupport)
}

/// `KIND: SUBJECT: MESSAGE`, as reports write gaps in a line; subjects may hold colons, but no `: `.
fn gap_of(line: &str) -> Option<Gap> {
    let (kind, rest) = line.split_once(": ")?;
    let (subject, message) = rest.split_once(": ")?;
    let kind: StrDeserializer<'_, ValueError> = kind.into_deserializer();
    let kind = GapKind::deserialize(kind).ok()?;
    Some(Gap { kind, subject: subject.to_owned(), message: message.to_owned() })
}

/// The gap of what is listed in other documents.
pub(crate) fn other_documents(names: &BTreeSet<String>) -> Option<Gap> {
    let message = format!(
        "it refers to other documents, which are not read: {}; give an SBOM that lists everything",
        listed_once(names.iter().map(String::as_str).collect())?
    );
    gap(GapKind::Unclear, SUBJECT, message)
}

/// What is listed and cannot be matched; `root` is what the document is about, whose parts are listed.
pub(crate) fn unmatched(unmatched: &[Unmatched], root: Option<&str>) -> Vec<Gap> {
    let mut by_reason: BTreeMap<&WhyUnmatched, Vec<&str>> = BTreeMap::new();
    for component in unmatched.iter().filter(|component| root != Some(component.id.as_str())) {
        by_reason.entry(&component.why).or_default().push(&component.name);
    }
    by_reason.into_iter().map(|(why, names)| why.gap(&names)).collect()
}

impl WhyUnmatched {
    fn gap(&self, names: &[&str]) -> Gap {
        let listed = listed(names);
        let (kind, message) = match self {
            WhyUnmatched::NoPurl => (
                GapKind::Unclear,
                format!("components without a purl are not matched: {listed}; use a tool that writes purls"),
            ),
            WhyUnmatched::NotAPurl => (
                GapKind::Unclear,
                format!("components whose purl is not valid are not matched: {listed}; correct them (purl-spec)"),
            ),
            WhyUnmatched::TooManyPurls => (
                GapKind::Unclear,
                format!("components with more than {MAX_PURLS} purls are matched by the first ones alone: {listed}"),
            ),
            WhyUnmatched::PurlType(name) => (
                GapKind::NotCovered,
                format!(
                    "components with purls of type `{name:.40}` are not matched: {listed}; check them by other means"
                ),
            ),
        };
        Gap { kind, subject: SUBJECT.to_owned(), message }
    }
}

/// `7 (a, b, c, d, e and 2 more)`.
fn listed(names: &[&str]) -> String {
    let first = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > LISTED { format!(" and {} more", names.len() - LISTED) } else { String::new() };
    format!("{} ({first}{more})", names.len())
}

/// The gap of a system whose packages cannot be matched, as an image has one.
pub(crate) fn system(os: Option<&Os>, packages: &[Package], collected: &Collected) -> Option<Gap> {
    let of_system = || packages.iter().filter(|package| package.kind.is_os() && !package.is_foreign_copy());
    let Some(os) = os else {
        let example = of_system().next()?;
        let message = format!(
            "it lists packages of a distribution ({}) and does not name it, so they cannot be matched; have it \
             written with the operating system, or with `distro` in purls",
            example.name
        );
        return gap(GapKind::UnsupportedOs, SUBJECT, message);
    };
    let named = [&os.pretty_name, &os.id].into_iter().find(|name| !name.is_empty())?;
    if let [first, others @ ..] = collected.systems.as_slice()
        && let Some(other) = others.iter().find(|other| other.id != first.id || other.version_id != first.version_id)
    {
        let message =
            format!("it names another system too ({} {}); give one SBOM for each", other.id, other.version_id);
        return gap(GapKind::UnsupportedOs, named, message);
    }
    if os.package_type().is_none() {
        let message = "this distribution is not supported yet; its packages are not matched".to_owned();
        return gap(GapKind::UnsupportedOs, named, message);
    }
    if os.ecosystem().is_none() {
        return gap(
            GapKind::UnsupportedOs,
            named,
            "its release is not named, so its packages cannot be matched".to_owned(),
        );
    }
    if of_system().next().is_none() {
        let message = "the SBOM lists none of its packages, so they cannot be matched".to_owned();
        return gap(GapKind::NoPackageDatabase, named, message);
    }
    None
}

/// The gap of packages of dpkg and apk of which no source is told.
pub(crate) fn sources(names: &[String]) -> Option<Gap> {
    let message = format!(
        "the source packages, which advisories name, are not told of {}; where they have another name, nothing is matched",
        listed_once(names.iter().map(String::as_str).collect())?
    );
    gap(GapKind::Unclear, SUBJECT, message)
}

/// The gap of packages that are of another distribution than the system.
pub(crate) fn copies(names: &[String]) -> Option<Gap> {
    let message = format!(
        "packages of another distribution or release than the system's are not matched: {}; check them by other means",
        listed_once(names.iter().map(String::as_str).collect())?
    );
    gap(GapKind::NotCovered, SUBJECT, message)
}

/// The gap of packages that may be of another distribution than the system.
pub(crate) fn unknown_distributions(names: &[String]) -> Option<Gap> {
    let message = format!(
        "packages of distributions that are not known are matched as the system's: {}; check them by other means",
        listed_once(names.iter().map(String::as_str).collect())?
    );
    gap(GapKind::Unclear, SUBJECT, message)
}

/// Each name once; `None` where there are none.
fn listed_once(mut names: Vec<&str>) -> Option<String> {
    names.sort_unstable();
    names.dedup();
    (!names.is_empty()).then(|| listed(&names))
}

/// The gap of a document that lists nothing: it must never look clean.
pub(crate) fn nothing() -> Gap {
    let message = "it lists nothing that can be matched".to_owned();
    Gap { kind: GapKind::NothingRecognized, subject: SUBJECT.to_owned(), message }
}

fn gap(kind: GapKind, subject: &str, message: String) -> Option<Gap> {
    Some(Gap { kind, subject: subject.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_read_from_lines() {
        let check = |line: &str, expected: Option<(GapKind, &str, &str)>| {
            let found = gap_of(line);
            let found = found.as_ref().map(|gap| (gap.kind, gap.subject.as_str(), gap.message.as_str()));
            assert_eq!(found, expected, "{line}");
        };
        let unreadable = GapKind::UnreadableFile;
        check("UnreadableFile: a/b: it is damaged: x", Some((unreadable, "a/b", "it is damaged: x")));
        check("UnreadableFile: : x", Some((unreadable, "", "x")));
        check("NotCovered: Debian:99: no feed", Some((GapKind::NotCovered, "Debian:99", "no feed")));
        check("Nonsense: a: b", None);
        check("UnreadableFile: a", None);
    }

    #[test]
    fn what_is_not_matched_is_one_gap_for_each_reason() {
        let component = |name: &str, why: WhyUnmatched| Unmatched { id: format!("id-{name}"), name: name.into(), why };
        let check = |all: &[Unmatched], root: Option<&str>, expected: &[&str]| {
            let found: Vec<String> = unmatched(all, root).into_iter().map(|gap| gap.message).collect();
            assert_eq!(found.len(), expected.len(), "{found:?}");
            found.iter().zip(expected).for_each(|(found, part)| assert!(found.contains(part), "{found} has no {part}"));
        };
        use WhyUnmatched::{NoPurl, NotAPurl, PurlType};
        check(&[], None, &[]);
        check(&[component("a", NoPurl)], Some("id-a"), &[]);
        let many: Vec<Unmatched> = "abcdefg".chars().map(|name| component(&name.to_string(), NoPurl)).collect();
        check(&many, Some("other"), &["without a purl are not matched: 7 (a, b, c, d, e and 2 more)"]);
        let types = [
            component("a", PurlType("github".into())),
            component("b", PurlType("cpan".into())),
            component("c", NotAPurl),
        ];
        check(&types, None, &["not valid are not matched: 1 (c)", "`cpan` are not matched: 1 (b)", "`github`"]);
    }
}
