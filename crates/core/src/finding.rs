//! Findings: installed packages that an advisory applies to, each with the comparison that was made.

use crate::advisory::{AdvisoryClass, Epss, FixState, KnownExploited};
use crate::ecosystem::Ecosystem;
use crate::package::Location;
use crate::severity::{Rating, Severity};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One (vulnerability, package) pair. For OS packages the package is the source package and its binaries are listed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The canonical name: a CVE where one is known.
    pub vulnerability: String,
    /// What kind of record it is.
    #[serde(default, skip_serializing_if = "AdvisoryClass::is_vulnerability")]
    pub class: AdvisoryClass,
    /// The record that matched.
    pub advisory: String,
    /// All other names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The ecosystem whose version scheme and advisories were used: `Debian:12`.
    pub ecosystem: Ecosystem,
    /// The package that the advisory names: the source package for OS packages.
    pub package: String,
    /// Its installed version.
    pub installed_version: String,
    /// The installed packages that it covers, sorted.
    pub installed: Vec<InstalledPackage>,
    /// The smallest version of the same branch that is not vulnerable, first; then those of later branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed_versions: Vec<String>,
    /// Whether the vendor has fixed it, or will.
    pub fix_state: FixState,
    /// The rating that policy uses.
    pub severity: Severity,
    /// The feed of that rating; empty for `UNKNOWN`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub severity_source: String,
    /// The ratings of all sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ratings: Vec<Rating>,
    /// Its entry in CISA's catalog of known exploited vulnerabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kev: Option<KnownExploited>,
    /// The probability that it will be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
    /// The day on which the record was published, else the CVE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Date>,
    /// One line on what it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// The comparison that was made, as a person would write it.
    pub because: String,
    /// The feed of the advisory.
    pub feed: String,
}

impl Finding {
    /// All of its names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.vulnerability, &self.advisory].into_iter().chain(&self.aliases).map(String::as_str)
    }
}

/// Why a finding is suppressed (the statuses of VEX: OpenVEX, CSAF, CycloneDX).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuppressionStatus {
    /// The vulnerability cannot be exploited here.
    NotAffected,
    /// It is fixed already.
    Fixed,
    /// It is known and accepted.
    Accepted,
}

/// A finding that an exception took out of the counts, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SuppressedFinding {
    /// The finding.
    pub finding: Finding,
    /// The status that was given.
    pub status: SuppressionStatus,
    /// Why.
    pub reason: String,
    /// The file with the exception.
    pub source: String,
}

/// One installed package behind a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL.
    pub purl: String,
    /// Where it was found, sorted.
    pub locations: Vec<Location>,
}

/// How many findings of each severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Findings rated critical.
    pub critical: u32,
    /// Findings rated high.
    pub high: u32,
    /// Findings rated medium.
    pub medium: u32,
    /// Findings rated low.
    pub low: u32,
    /// Findings rated negligible.
    pub negligible: u32,
    /// Findings without a rating.
    pub unknown: u32,
    /// Findings with a fixed version, of any severity.
    pub fixable: u32,
}

impl Counts {
    /// Counts distinct pairs; `findings` holds each pair once.
    pub fn of(findings: &[Finding]) -> Self {
        let mut counts = Counts::default();
        for finding in findings {
            *counts.slot(finding.severity) += 1;
            counts.fixable += u32::from(!finding.fixed_versions.is_empty());
        }
        counts
    }

    /// How many are rated exactly `severity`.
    pub fn get(mut self, severity: Severity) -> u32 {
        *self.slot(severity)
    }

    /// All findings.
    pub fn total(self) -> u32 {
        Severity::WORST_FIRST.iter().map(|s| self.get(*s)).sum()
    }

    /// "3 critical, 5 medium": severities that occur, worst first; empty when there is none.
    pub fn words(self) -> String {
        let parts = Severity::WORST_FIRST.iter().map(|s| (self.get(*s), s)).filter(|(n, _)| *n > 0);
        parts.map(|(n, s)| format!("{n} {s}")).collect::<Vec<_>>().join(", ")
    }

    /// The sentence every surface uses: "Vulnerabilities found: 3 critical, 5 medium" or "No vulnerabilities found".
    pub fn sentence(self) -> String {
        match self.words() {
            words if words.is_empty() => "No vulnerabilities found".to_owned(),
            words => format!("Vulnerabilities found: {words}"),
        }
    }

    fn slot(&mut self, severity: Severity) -> &mut u32 {
        match severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Negligible => &mut self.negligible,
            Severity::Unknown => &mut self.unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_read_like_a_sentence() {
        let check = |counts: Counts, expected: &str| assert_eq!(counts.sentence(), expected);
        check(Counts::default(), "No vulnerabilities found");
        check(Counts { critical: 3, medium: 5, ..Counts::default() }, "Vulnerabilities found: 3 critical, 5 medium");
        check(Counts { unknown: 1, fixable: 1, ..Counts::default() }, "Vulnerabilities found: 1 unknown");
    }
}
