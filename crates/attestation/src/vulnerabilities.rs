//! What a scan found: cosign's predicate for vulnerability scans (`COSIGN_VULN_ATTESTATION_SPEC.md`), whose result is our
//! report, so that another policy can be applied to it later.

use crate::compact::compact;
use crate::envelope::UnsignedEnvelope;
use crate::refusal::Refusal;
use crate::statement::{self, InTotoStatement, StatementSubject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tidewaiter_core::image::Digest;
use tidewaiter_core::report::{Report, SCHEMA_VERSION};

/// Its type.
pub const VULNERABILITIES: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

/// A scan: when it was made, and its reports, one for each platform.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanRecord {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// The number of the analyzers that read the image (`tidewaiter_scan::analyze::VERSION`): others may see more or less in it.
    /// `None` where that is not known: a report does not say it.
    pub analyzers: Option<u32>,
    /// What it found.
    pub reports: Vec<Report>,
}

/// What the scanner's purl has the number of analyzers in.
const ANALYZERS: &str = "?analyzers=";

#[derive(Serialize)]
struct WrittenPredicate<'a> {
    invocation: Invocation,
    scanner: WrittenScanner<'a>,
    metadata: Metadata,
}

/// Who called the scanner, of which nothing is known.
#[derive(Serialize)]
struct Invocation {
    parameters: [&'static str; 0],
    uri: &'static str,
    event_id: &'static str,
    #[serde(rename = "builder.id")]
    builder: &'static str,
}

#[derive(Serialize)]
struct WrittenScanner<'a> {
    uri: String,
    version: &'a str,
    db: ScannerDatabase<'a>,
    result: &'a RawValue,
}

#[derive(Serialize)]
struct ScannerDatabase<'a> {
    uri: &'static str,
    version: &'a str,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    scan_started_on: Timestamp,
    scan_finished_on: Timestamp,
}

#[derive(Deserialize)]
struct ReadPredicate<'a> {
    #[serde(borrow)]
    scanner: ReadScanner<'a>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct ReadScanner<'a> {
    #[serde(default)]
    uri: String,
    #[serde(borrow)]
    result: &'a RawValue,
}

impl ScanRecord {
    /// The statement of a scan by this version of the program. Its result is as `-o json` writes it: a report, or the list of
    /// several platforms.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn statement(&self, subjects: &[StatementSubject], version: &str) -> serde_json::Result<UnsignedEnvelope> {
        let mut result = Vec::new();
        match self.reports.as_slice() {
            [one] => one.write_json(&mut result),
            several => Report::write_all_json(&several.iter().collect::<Vec<_>>(), &mut result),
        }
        .map_err(serde_json::Error::io)?;
        let result = statement::raw(compact(&result))?;
        let database = self.reports.first().map(|report| report.database.id.as_str()).unwrap_or_default();
        let predicate = WrittenPredicate {
            invocation: Invocation { parameters: [], uri: "", event_id: "", builder: "" },
            scanner: WrittenScanner {
                uri: self.scanner_uri(version),
                version,
                db: ScannerDatabase { uri: "", version: database },
                result: &result,
            },
            metadata: Metadata { scan_started_on: self.started, scan_finished_on: self.finished },
        };
        statement::write(subjects, VULNERABILITIES, serde_json::to_vec(&predicate)?)
    }

    fn scanner_uri(&self, version: &str) -> String {
        let analyzers = self.analyzers.map(|number| format!("{ANALYZERS}{number}")).unwrap_or_default();
        format!("pkg:generic/tidewaiter@{version}{analyzers}")
    }

    /// The part of it that is about a digest: of a manifest its own report, of an index all of them.
    #[must_use]
    pub fn about(&self, digest: &Digest) -> Self {
        let own = self.reports.iter().filter(|report| report.inventory.image.digest == *digest);
        let own: Vec<Report> = own.cloned().collect();
        let reports = if own.is_empty() { self.reports.clone() } else { own };
        ScanRecord { reports, ..*self }
    }

    /// Reads a scan of ours: other scanners have other results.
    pub(crate) fn read(statement: &InTotoStatement<'_>) -> Result<Self, Refusal> {
        let predicate: ReadPredicate<'_> = statement.predicate()?;
        let result = predicate.scanner.result.get().as_bytes();
        let reports = Report::all_from_json(result)
            .map_err(|error| Refusal::Unreadable(format!("its result is not a report of tidewaiter: {error}")))?;
        if let Some(newer) = reports.iter().find(|report| report.schema_version > SCHEMA_VERSION) {
            return Err(Refusal::Unreadable(format!("a report of schema version {}", newer.schema_version)));
        }
        let Metadata { scan_started_on, scan_finished_on } = predicate.metadata;
        let analyzers = predicate.scanner.uri.split_once(ANALYZERS).and_then(|(_, number)| number.parse().ok());
        Ok(ScanRecord { started: scan_started_on, finished: scan_finished_on, analyzers, reports })
    }
}
