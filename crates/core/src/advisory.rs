//! Advisories, in one model that follows the OSV schema: the input of the database builder.

use crate::ecosystem::Ecosystem;
use crate::severity::{Rating, Severity};
use crate::version::span::{LowerBound, VersionSpan};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One published advisory.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advisory {
    /// The record's own id: `GHSA-…`, `PYSEC-…`, `CVE-…`.
    pub id: String,
    /// The feed it came from, by its name in `feeds.toml`.
    pub feed: String,
    /// Other names of the same vulnerability (symmetric).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Vulnerabilities that this record is about (a distribution's advisory names its CVEs).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<String>,
    /// One line on what it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// RFC 3339 time of the last change, as published.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub modified: String,
    /// The day on which it was published; a vendor's advisory is published with its fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The ratings of all sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// What kind of record it is; its rows say the same.
    #[serde(default, skip_serializing_if = "AdvisoryClass::is_vulnerability")]
    pub class: AdvisoryClass,
    /// The packages that it covers; stored in rows of the database, not in its details.
    #[serde(skip)]
    pub affected: Vec<Affected>,
}

impl Advisory {
    /// The name findings are known by: a CVE where one is known, else a GHSA id, else the record's own id.
    pub fn canonical_id(&self) -> &str {
        let names = || std::iter::once(&self.id).chain(&self.aliases);
        let cve = names().filter(|n| n.starts_with("CVE-")).min();
        let ghsa = || names().find(|n| n.starts_with("GHSA-"));
        cve.or_else(|| self.only_upstream_cve()).or_else(ghsa).unwrap_or(&self.id)
    }

    /// The CVE that the record was made for. A record about several CVEs cannot be named after one of them.
    fn only_upstream_cve(&self) -> Option<&String> {
        let mut cves = self.upstream.iter().filter(|n| n.starts_with("CVE-"));
        cves.next().filter(|_| cves.next().is_none())
    }

    /// The vulnerabilities it covers: one, or each CVE that a distribution's advisory names.
    pub fn vulnerabilities(&self) -> Vec<&str> {
        let cves: Vec<&str> = self.upstream.iter().map(String::as_str).filter(|n| n.starts_with("CVE-")).collect();
        let named = std::iter::once(&self.id).chain(&self.aliases).any(|n| n.starts_with("CVE-"));
        if named || cves.len() < 2 { vec![self.canonical_id()] } else { cves }
    }
}

/// The kind of a record; where several records are about one thing, the first of these is its kind. Malware and
/// vulnerabilities count against an image, the others inform (RustSec `informational`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum AdvisoryClass {
    /// The package itself is malicious (OSV ids `MAL-`): it violates every policy, whatever its rating.
    Malware,
    /// A flaw that can be exploited.
    #[default]
    Vulnerability,
    /// The package is no longer maintained.
    Unmaintained,
    /// Sound use of the package's interface can break memory safety.
    Unsound,
    /// Something else to know.
    Notice,
}

impl AdvisoryClass {
    /// Whether it is a vulnerability, which is what findings are unless they say otherwise.
    pub fn is_vulnerability(&self) -> bool {
        *self == AdvisoryClass::Vulnerability
    }

    /// Whether it counts against an image.
    pub fn counts(&self) -> bool {
        *self <= AdvisoryClass::Vulnerability
    }
}

/// Facts about one CVE, whichever record names it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CveFacts {
    /// The CVSS ratings of all sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// Its entry in CISA's catalog of known exploited vulnerabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kev: Option<KnownExploited>,
    /// The probability that it will be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// The day on which it was published (NVD).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
}

/// An entry of CISA's catalog of known exploited vulnerabilities; in JSON its date, an empty text without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct KnownExploited {
    /// Date on which it was listed; `None` where the catalog has no readable one.
    pub since: Option<Date>,
}

impl From<String> for KnownExploited {
    fn from(date: String) -> Self {
        KnownExploited { since: date.parse().ok() }
    }
}

impl From<KnownExploited> for String {
    fn from(entry: KnownExploited) -> Self {
        entry.since.map(|date| date.to_string()).unwrap_or_default()
    }
}

/// FIRST's Exploit Prediction Scoring System: the probability of exploitation in the next 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epss {
    /// The probability, 0.0 to 1.0.
    pub score: f64,
    /// The share of all CVEs that score no higher, 0.0 to 1.0.
    pub percentile: f64,
}

/// One package of one ecosystem that a record covers (OSV schema, `affected`).
#[derive(Debug, Clone, PartialEq)]
pub struct Affected {
    /// Ecosystem, with its release where the record names one.
    pub ecosystem: Ecosystem,
    /// The package's name, normalised for the ecosystem.
    pub package: String,
    /// Which name of an installed package is compared with `package`.
    pub key: KeyKind,
    /// Version intervals, each of them vulnerable. Sorted, no two overlapping.
    pub intervals: Vec<Interval>,
    /// Vulnerable versions listed one by one.
    pub versions: Vec<String>,
    /// The vendor says that this package was never affected: no finding, and other feeds' records for it are overruled.
    pub never_affected: bool,
    /// Whether a fix exists or will.
    pub fix_state: FixState,
    /// The vendor's rating for this package; `Unknown` when there is none.
    pub severity: Severity,
    /// Which module a package must belong to.
    pub module: ModuleScope,
    /// Architectures it is limited to, as the package manager spells them; empty for all. `noarch` packages are of all.
    pub arches: Vec<String>,
}

impl Affected {
    /// A row without any version; the name is normalised for the ecosystem.
    pub fn new(ecosystem: Ecosystem, package: &str, key: KeyKind) -> Self {
        Affected {
            package: ecosystem.normalize(package),
            ecosystem: ecosystem.canonical(),
            key,
            intervals: Vec::new(),
            versions: Vec::new(),
            never_affected: false,
            fix_state: FixState::Unknown,
            severity: Severity::Unknown,
            module: ModuleScope::Outside,
            arches: Vec::new(),
        }
    }

    /// Adds the interval from the beginning up to, not including, `version`.
    #[must_use]
    pub fn fixed_in(mut self, version: &str) -> Self {
        self.intervals.push(Interval::until(IntervalEnd::Fixed(version.to_owned())));
        self.fix_state = FixState::Fixed;
        self
    }
}

/// The rpm modules that a row applies to (modularity label `name:stream:version:context`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ModuleScope {
    /// Packages outside of modules only.
    #[default]
    Outside,
    /// Packages of one of these `name:stream` only.
    Streams(Vec<String>),
    /// Packages of a module; the record does not say which stream.
    Unnamed,
}

/// Which name of an installed package an advisory row is matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyKind {
    /// The source package (dpkg source, apk origin) and its version.
    Source,
    /// The installed package itself.
    Binary,
}

/// Vulnerable from `introduced` (`None`: from the first version) up to `end`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First vulnerable version; `None` is the beginning of time.
    pub introduced: Option<String>,
    /// `introduced` itself is not vulnerable: all versions after it are.
    pub after: bool,
    /// Where it ends.
    pub end: IntervalEnd,
}

impl Interval {
    /// From the first version on.
    pub fn until(end: IntervalEnd) -> Self {
        Interval { introduced: None, after: false, end }
    }

    /// Its versions.
    pub fn span(&self) -> VersionSpan<'_> {
        let low = match self.introduced.as_deref() {
            None => LowerBound::Start,
            Some(low) if self.after => LowerBound::After(low),
            Some(low) => LowerBound::From(low),
        };
        match &self.end {
            IntervalEnd::Fixed(end) => VersionSpan::Fixed(low, end),
            IntervalEnd::LastAffected(end) => VersionSpan::Last(low, end),
            IntervalEnd::Open => VersionSpan::Open(low),
        }
    }
}

/// The end of a vulnerable interval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum IntervalEnd {
    /// The first version that is not vulnerable.
    Fixed(String),
    /// The last version that is (inclusive).
    LastAffected(String),
    /// No fixed version is known.
    Open,
}

/// Whether the vendor has fixed a vulnerability, or will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum FixState {
    /// The record does not say.
    #[default]
    Unknown,
    /// A fixed version exists.
    Fixed,
    /// Vulnerable, no fix yet.
    NotFixed,
    /// The vendor will not fix it.
    WontFix,
    /// The vendor postponed the fix.
    Deferred,
    /// The release no longer gets fixes.
    EndOfLife,
}

impl FixState {
    /// A small stable number for the database file.
    pub const fn code(self) -> u8 {
        match self {
            FixState::Unknown => 0,
            FixState::Fixed => 1,
            FixState::NotFixed => 2,
            FixState::WontFix => 3,
            FixState::Deferred => 4,
            FixState::EndOfLife => 5,
        }
    }

    /// The reverse of [`FixState::code`].
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => FixState::Fixed,
            2 => FixState::NotFixed,
            3 => FixState::WontFix,
            4 => FixState::Deferred,
            5 => FixState::EndOfLife,
            _ => FixState::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_exploited_vulnerability_without_a_date_is_not_one_that_is_not_listed() {
        let check = |json: serde_json::Value, expected: Option<Option<&str>>| {
            let facts: CveFacts = serde_json::from_value(json.clone()).unwrap();
            let expected = expected.map(|since| KnownExploited { since: since.map(|date| date.parse().unwrap()) });
            assert_eq!(facts.kev, expected, "{json}");
            assert_eq!(serde_json::to_value(&facts).unwrap(), json);
        };
        check(json!({}), None);
        check(json!({"kev": "2025-02-03"}), Some(Some("2025-02-03")));
        check(json!({"kev": ""}), Some(None));
    }
}
