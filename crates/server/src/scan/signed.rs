//! Scans that others made and signed: taken in place of reading an image's layers, where the administrator trusts the key for it
//! (ADR 0030).
//!
//! What is taken is what was read of the image. The findings are those of the server's own database, the verdict that of the
//! namespace's own policy.

use crate::trusted_scans::TrustedScanner;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tidewaiter_attestation::{Expectation, ScanRecord, VULNERABILITIES};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_core::report::Inventory;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;
use tidewaiter_scan::source::registry::attestations::AttestationCandidates;

/// Whose scan was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScanSigner {
    /// The fingerprint of the key.
    pub(crate) key: Digest,
    /// When the scan was made.
    pub(crate) made: Timestamp,
}

/// What a trusted scanner read of an image; `None` where there is nothing that counts. Whatever is wrong with it: then the image is
/// read here.
pub(super) fn inventory(
    config: &RegistryConfig,
    reference: &Reference,
    digest: &Digest,
    trusted: &[TrustedScanner],
    now: Timestamp,
) -> Option<(Inventory, ScanSigner)> {
    let trusted: Vec<&TrustedScanner> = trusted.iter().filter(|scanner| scanner.is_for(reference)).collect();
    if trusted.is_empty() {
        return None;
    }
    let repository = ArtifactRepository::new(config, reference).ok()?;
    let candidates = AttestationCandidates::find(&repository, digest, VULNERABILITIES).ok()?;
    let read = |scanner: &TrustedScanner| {
        let key = scanner.verifying_key().ok()?;
        let expectation = Expectation { key: &key, digest, now, max_age: Some(scanner.max_age) };
        let (scans, _) = candidates.read(|envelope| expectation.scan(envelope));
        let newest = scans.into_iter().max_by_key(|scan| scan.finished)?;
        Some((newest, key.fingerprint()))
    };
    let scans = trusted.into_iter().filter_map(read);
    let (scan, key) = scans.max_by_key(|(scan, _)| scan.finished)?;
    of_image(scan, key, digest)
}

/// What a scan read of one of its images.
fn of_image(scan: ScanRecord, key: Digest, digest: &Digest) -> Option<(Inventory, ScanSigner)> {
    let report = scan.reports.into_iter().find(|report| report.inventory.image.digest == *digest)?;
    Some((report.into_inventory(), ScanSigner { key, made: scan.finished }))
}
