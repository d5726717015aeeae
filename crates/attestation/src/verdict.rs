//! What policy says of an image: our own predicate.

use crate::envelope::UnsignedEnvelope;
use crate::key::sha256;
use crate::statement::{self, StatementSubject};
use crate::vulnerabilities::ScanRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewaiter_core::finding::{Counts, SuppressedFinding, SuppressionStatus};
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::policy::{Outcome, Policy, Verdict};
use tidewaiter_core::report::{Gap, Report, build_time};

/// Its type. A field that is added leaves it as it is; one that is removed or changes its meaning makes another.
pub const VERDICT: &str = "https://tidewaiter.dev/attestations/verdict/v1";

/// A verdict, and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VerdictPredicate {
    /// The result, the worst of all images.
    pub outcome: Outcome,
    /// When policy was applied.
    pub evaluated: Timestamp,
    /// When the scan ended, whose age is that of the verdict: policy can be applied to an old report.
    pub scanned: Timestamp,
    /// Why, one sentence each; empty for a clean pass.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// The policy.
    pub policy: PolicyUsed,
    /// The images: one for each platform.
    pub images: Vec<JudgedImage>,
    /// What was not seen, or is too old.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// The exceptions that took findings out of the counts.
    #[serde(default)]
    pub exceptions: Vec<ExceptionUsed>,
    /// The program.
    pub scanner: ScannerUsed,
}

/// A policy that was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyUsed {
    /// The digest of `content` as the program writes it: the same criteria have the same one.
    pub digest: Digest,
    /// The criteria. For people and other programs: a program that knows fewer of them reads the verdict all the same.
    pub content: Value,
}

/// An image that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JudgedImage {
    /// Its manifest.
    pub digest: Digest,
    /// Its platform.
    pub platform: Platform,
    /// Its findings, without those of exceptions.
    pub counts: Counts,
    /// The database that they are from.
    pub database: DatabaseUsed,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseUsed {
    /// The digest of its content.
    pub id: String,
    /// When it was built; empty where it did not say.
    #[serde(with = "build_time")]
    pub built: Option<Timestamp>,
}

/// An exception that was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExceptionUsed {
    /// The vulnerability.
    pub vulnerability: String,
    /// The package.
    pub package: String,
    /// The status that was given.
    pub status: SuppressionStatus,
    /// Why.
    pub reason: String,
    /// The file with the exception.
    pub source: String,
}

/// The program that scanned and judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScannerUsed {
    /// `tidewaiter`.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl VerdictPredicate {
    /// What `verdict`, made `now` by `policy`, says of a scan.
    ///
    /// # Errors
    /// When the policy cannot be written as JSON.
    pub fn of(
        scan: &ScanRecord,
        verdict: Verdict,
        policy: &Policy,
        now: Timestamp,
        version: &str,
    ) -> serde_json::Result<Self> {
        let written = serde_json::to_vec(policy)?;
        let reports = scan.reports.as_slice();
        let mut gaps: Vec<Gap> =
            reports.iter().flat_map(|report| report.inventory.gaps.clone()).chain(verdict.gaps).collect();
        gaps.sort();
        gaps.dedup();
        Ok(VerdictPredicate {
            outcome: verdict.outcome,
            evaluated: now,
            scanned: scan.finished,
            reasons: verdict.reasons,
            policy: PolicyUsed { digest: sha256(&written), content: serde_json::from_slice(&written)? },
            images: reports.iter().map(JudgedImage::of).collect(),
            gaps,
            exceptions: ExceptionUsed::all(reports),
            scanner: ScannerUsed { name: "tidewaiter".to_owned(), version: version.to_owned() },
        })
    }

    /// The statement.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn statement(&self, subjects: &[StatementSubject]) -> serde_json::Result<UnsignedEnvelope> {
        statement::write(subjects, VERDICT, serde_json::to_vec(self)?)
    }
}

impl JudgedImage {
    fn of(report: &Report) -> Self {
        let (image, database) = (&report.inventory.image, &report.database);
        JudgedImage {
            digest: image.digest.clone(),
            platform: image.platform.clone(),
            counts: report.counts,
            database: DatabaseUsed { id: database.id.clone(), built: database.built },
        }
    }
}

impl ExceptionUsed {
    /// Those that took findings out of the counts of reports.
    pub fn all(reports: &[Report]) -> Vec<Self> {
        reports.iter().flat_map(|report| &report.suppressed).map(Self::of).collect()
    }

    fn of(suppressed: &SuppressedFinding) -> Self {
        ExceptionUsed {
            vulnerability: suppressed.finding.vulnerability.clone(),
            package: suppressed.finding.package.clone(),
            status: suppressed.status,
            reason: suppressed.reason.clone(),
            source: suppressed.source.clone(),
        }
    }
}
