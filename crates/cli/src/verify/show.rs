//! Prints what was verified.

use super::{Verification, VerifiedWord};
use crate::args::OutputFormat;
use crate::terminal::printable;
use crate::{render, stdout};
use anyhow::Result;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::json;
use std::fmt::Write as _;
use tidewaiter_attestation::ExceptionUsed;
use tidewaiter_core::policy::Outcome;

/// Exceptions that the table names; `-o json` has all.
const NAMED: usize = 5;

impl VerifiedWord {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            VerifiedWord::Verdict(verdict) => verdict.outcome,
            VerifiedWord::Judged(_, verdict) => verdict.outcome,
        }
    }

    /// When it was signed, or scanned.
    fn made(&self) -> Timestamp {
        match self {
            VerifiedWord::Verdict(verdict) => verdict.evaluated,
            VerifiedWord::Judged(scan, _) => scan.finished,
        }
    }

    /// The exceptions of the signer.
    fn exceptions(&self) -> Vec<ExceptionUsed> {
        match self {
            VerifiedWord::Verdict(verdict) => verdict.exceptions.clone(),
            VerifiedWord::Judged(scan, _) => ExceptionUsed::all(&scan.reports),
        }
    }

    fn reasons(&self) -> &[String] {
        match self {
            VerifiedWord::Verdict(verdict) => &verdict.reasons,
            VerifiedWord::Judged(_, verdict) => &verdict.reasons,
        }
    }
}

/// As people read it.
fn whole_seconds(time: Timestamp) -> Timestamp {
    time.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor)).unwrap_or(time)
}

/// How many findings the signer's exceptions took out of a signed report, whose policy is another one's.
fn not_counted(exceptions: &[ExceptionUsed]) -> Option<String> {
    let named: Vec<String> = exceptions
        .iter()
        .take(NAMED)
        .map(|used| format!("{} in {}", printable(&used.vulnerability), printable(&used.package)))
        .collect();
    let more = if exceptions.len() > NAMED { ", …" } else { "" };
    let names = named.join(", ");
    (!exceptions.is_empty())
        .then(|| format!("not counted by the signer's exceptions: {} ({names}{more})\n", exceptions.len()))
}

impl Verification {
    pub(super) fn show(&self, output: OutputFormat, now: Timestamp) -> Result<()> {
        match output {
            OutputFormat::Json => render::json(&self.json()),
            OutputFormat::Table => stdout::print(&self.table(now)),
        }
    }

    fn json(&self) -> serde_json::Value {
        let verdict = match &self.word {
            VerifiedWord::Verdict(verdict) => json!(verdict),
            VerifiedWord::Judged(..) => serde_json::Value::Null,
        };
        json!({"image": self.image, "digest": self.digest.as_str(), "key": self.key.as_str(), "made": self.word.made(),
            "outcome": self.word.outcome(), "reasons": self.word.reasons(), "signedVerdict": verdict,
            "exceptions": self.word.exceptions(), "refused": self.refused})
    }

    fn table(&self, now: Timestamp) -> String {
        let mut out = format!("{}\n{}\nSigned by: the key {}\n", printable(&self.image), self.digest, self.key);
        let made = render::time_as_of(whole_seconds(self.word.made()), now);
        match &self.word {
            VerifiedWord::Verdict(verdict) => {
                let _ = writeln!(out, "Judged: {made}, by the policy {}", verdict.policy.digest);
                let scanned = render::time_as_of(whole_seconds(verdict.scanned), now);
                let _ = writeln!(out, "Scanned: {scanned}");
                for image in &verdict.images {
                    let built = render::built_as_of(image.database.built, now);
                    let _ = writeln!(out, "{}: {}; database built {built}", image.platform, image.counts.sentence());
                }
                out.extend(verdict.gaps.iter().map(render::gap));
                for used in &verdict.exceptions {
                    let (id, package) = (printable(&used.vulnerability), printable(&used.package));
                    let (reason, source) = (printable(&used.reason), printable(&used.source));
                    let _ = writeln!(out, "exception: {id} in {package}: {reason} ({source})");
                }
            }
            VerifiedWord::Judged(scan, verdict) => {
                let _ = writeln!(out, "Scanned: {made}; judged now, by the policy of the command line");
                for report in &scan.reports {
                    let built = render::built_as_of(report.database.built, now);
                    let platform = &report.inventory.image.platform;
                    let _ = writeln!(out, "{platform}: {}; database built {built}", report.counts.sentence());
                    out.extend(report.inventory.gaps.iter().map(render::gap));
                }
                out.extend(verdict.gaps.iter().map(render::gap));
                out.extend(not_counted(&self.word.exceptions()));
            }
        }
        for refused in &self.refused {
            let _ = writeln!(out, "does not count: {}: {}", refused.place, printable(&refused.why));
        }
        // Last, where a person and `tail -1` look.
        let _ = writeln!(out, "Policy: {}", self.word.outcome());
        out.extend(self.word.reasons().iter().map(|reason| format!("  {}\n", printable(reason))));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::finding::SuppressionStatus;

    #[test]
    fn what_the_signer_does_not_count_is_said() {
        let check = |count: usize, expected: Option<&str>| {
            let used = |number: usize| ExceptionUsed {
                vulnerability: format!("CVE-2026-{number}"),
                package: "zlib".to_owned(),
                status: SuppressionStatus::Accepted,
                reason: String::new(),
                source: String::new(),
            };
            let exceptions: Vec<ExceptionUsed> = (1..=count).map(used).collect();
            assert_eq!(not_counted(&exceptions).as_deref(), expected);
        };
        check(0, None);
        check(1, Some("not counted by the signer's exceptions: 1 (CVE-2026-1 in zlib)\n"));
        check(
            6,
            Some(
                "not counted by the signer's exceptions: 6 (CVE-2026-1 in zlib, CVE-2026-2 in zlib, CVE-2026-3 in zlib, CVE-2026-4 in zlib, CVE-2026-5 in zlib, …)\n",
            ),
        );
    }
}
