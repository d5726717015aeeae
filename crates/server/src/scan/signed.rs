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
use tidewaiter_core::report::{ImageInfo, Inventory};
use tidewaiter_scan::analyze;
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
        let newest = scans.into_iter().filter(is_current).max_by_key(|scan| scan.finished)?;
        Some((newest, key.fingerprint()))
    };
    let scans = trusted.into_iter().filter_map(read);
    let (scan, key) = scans.max_by_key(|(scan, _)| scan.finished)?;
    of_image(scan, key, digest)
}

/// Whether it was read by analyzers of this version, as the inventories of the store are: others may have seen less.
fn is_current(scan: &ScanRecord) -> bool {
    scan.analyzers == Some(analyze::VERSION)
}

/// What a scan read of one of its images. What an SBOM lists, nobody read of the image.
fn of_image(scan: ScanRecord, key: Digest, digest: &Digest) -> Option<(Inventory, ScanSigner)> {
    let is_of = |image: &ImageInfo| image.digest == *digest && image.sbom.is_none();
    let report = scan.reports.into_iter().find(|report| is_of(&report.inventory.image))?;
    Some((report.into_inventory(), ScanSigner { key, made: scan.finished }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::{DatabaseInfo, Report, SbomOrigin};

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    fn scan(of: u8, sbom: Option<SbomOrigin>, analyzers: Option<u32>) -> ScanRecord {
        let image = ImageInfo::new("r.example/a:1", digest(of), digest(0), "linux/amd64".parse().unwrap());
        let image = ImageInfo { sbom, ..image };
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        let reports = vec![Report::new(inventory, DatabaseInfo::default(), vec![], vec![])];
        ScanRecord { started: Timestamp::UNIX_EPOCH, finished: Timestamp::UNIX_EPOCH, analyzers, reports }
    }

    #[test]
    fn only_what_was_read_of_the_image_counts() {
        let check = |of: u8, sbom: Option<SbomOrigin>, expected: bool| {
            let taken = of_image(scan(of, sbom, None), digest(9), &digest(1));
            assert_eq!(taken.is_some(), expected, "{of}");
        };
        check(1, None, true);
        check(2, None, false);
        check(1, Some(SbomOrigin { format: "CycloneDX 1.6".into(), digest: digest(3) }), false);
    }

    #[test]
    fn other_analyzers_may_have_seen_less() {
        let check = |analyzers: Option<u32>, expected: bool| {
            assert_eq!(is_current(&scan(1, None, analyzers)), expected, "{analyzers:?}");
        };
        check(Some(analyze::VERSION), true);
        check(Some(analyze::VERSION.wrapping_add(1)), false);
        check(None, false);
    }
}
