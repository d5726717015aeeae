//! What a worker may say: results of the image that it resolved before it read its layers, and of no other. Inventories are
//! shared by digest between namespaces, so a layer that takes over the process that reads it must not answer for another image
//! than that of its manifest; each platform has a process of its own for the same reason.
//!
//! It does not show that the layers were those of the manifest. A digest is known to be wrong when the layer was read to its end:
//! a registry that serves the manifest of somebody else's image with other bytes for a layer, and so takes the process over, makes
//! up the packages of that image, as long as its inventory is not known.

use super::protocol::{ResolvedImages, ScanFailure, ScanJob, ScanOutput};
use super::signed::ScanSigner;
use tidewaiter_core::Reason;
use tidewaiter_core::image::Reference;

/// Whether the job may resolve to this.
///
/// # Errors
/// With what is wrong.
pub(super) fn resolved(job: &ScanJob, resolved: &ResolvedImages) -> Result<(), ScanFailure> {
    let pinned = job.image.parse::<Reference>().ok().and_then(|reference| reference.digest().cloned());
    if pinned.is_some_and(|pinned| pinned != resolved.digest) {
        return Err(unasked("the digest is not that of the image reference"));
    }
    let asked = job.platforms.len();
    if resolved.images.len() > asked || resolved.images.iter().any(|(platform, _)| !job.platforms.contains(platform)) {
        return Err(unasked("there are other platforms than the requested ones"));
    }
    Ok(())
}

/// Whether the output is that of the resolved images; `known` says of which the server sent the inventory.
///
/// # Errors
/// With what is wrong.
pub(super) fn output(
    job: &ScanJob,
    resolved: &ResolvedImages,
    known: &[bool],
    output: &ScanOutput,
) -> Result<(), ScanFailure> {
    if output.digest != resolved.digest || output.results.len() != resolved.images.len() {
        return Err(unasked("the result is that of other images than the resolved ones"));
    }
    for (i, (result, (platform, digest))) in output.results.iter().zip(&resolved.images).enumerate() {
        let inventories = [Some(&result.report.inventory), result.inventory.as_ref()];
        if result.platform != *platform || inventories.into_iter().flatten().any(|i| i.image.digest != *digest) {
            return Err(unasked("a report is that of another image than the resolved one"));
        }
        let is_known = known.get(i).copied().unwrap_or(true);
        if result.inventory.is_some() && is_known {
            return Err(unasked("it replaces an inventory that is known"));
        }
        if result.signer.is_some() && is_known {
            return Err(unasked("it took a signed scan in place of an inventory that is known"));
        }
        if !result.signer.as_ref().is_none_or(|signer| result.inventory.is_none() && is_trusted(job, signer)) {
            return Err(unasked("it names a signer that is not trusted for the image"));
        }
    }
    Ok(())
}

/// Whether scans by a key may be taken for the image.
fn is_trusted(job: &ScanJob, signer: &ScanSigner) -> bool {
    let Ok(reference) = job.image.parse::<Reference>() else { return false };
    let mut scanners = job.trusted.iter().filter(|scanner| scanner.is_for(&reference));
    scanners.any(|scanner| scanner.fingerprint().as_ref() == Some(&signer.key))
}

/// A result that is not used.
pub(super) fn unasked(what: &str) -> ScanFailure {
    let next = "its image may have taken the scan process over; the result is not used, and the scan is tried again";
    ScanFailure::new(Reason::BadScanResult, format!("the scan's result does not fit its job: {what}; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::protocol::PlatformReport;
    use crate::trusted_scans::TrustedScanner;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, Report};
    use tidewaiter_scan::cache::LayerCounts;

    fn digest(number: u8) -> Digest {
        Digest::from_sha256([number; 32])
    }

    fn images(root: u8, images: &[(&str, u8)]) -> ResolvedImages {
        let images = images.iter().map(|(platform, number)| (platform.parse().unwrap(), digest(*number)));
        ResolvedImages { digest: digest(root), images: images.collect(), logged_in: false }
    }

    fn report(platform: &str, of: u8, inventory: Option<u8>) -> PlatformReport {
        let platform: tidewaiter_core::image::Platform = platform.parse().unwrap();
        let inventory_of = |number: u8| Inventory {
            image: ImageInfo::new("r.example/x:1", digest(number), digest(0), platform.clone()),
            layers: vec![],
            os: None,
            packages: vec![],
            gaps: vec![],
        };
        let report = Report::new(inventory_of(of), DatabaseInfo::default(), vec![], vec![]);
        PlatformReport { inventory: inventory.map(inventory_of), signer: None, report, platform }
    }

    #[test]
    fn a_job_resolves_to_its_digest_and_platforms() {
        let pinned = format!("r.example/x@{}", digest(1));
        let check = |image: &str, to: ResolvedImages, expected: bool| {
            assert_eq!(resolved(&ScanJob::for_tests(image), &to).is_ok(), expected, "{image} {to:?}");
        };
        check("r.example/x:1", images(1, &[("linux/amd64", 2)]), true);
        check(&pinned, images(1, &[("linux/amd64", 2)]), true);
        check(&pinned, images(9, &[("linux/amd64", 2)]), false);
        check("r.example/x:1", images(1, &[("linux/arm64", 2)]), false);
        check("r.example/x:1", images(1, &[("linux/amd64", 2), ("linux/amd64", 3)]), false);
    }

    #[test]
    fn a_signer_is_trusted_for_the_image() {
        const KEY: &str = "MCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=";
        let file = format!(
            "- key: |\n    -----BEGIN PUBLIC KEY-----\n    {KEY}\n    -----END PUBLIC KEY-----\n  images: [r.example/own/**]\n  maxAge: 1h\n"
        );
        let trusted = TrustedScanner::parse_all(&file).unwrap();
        let own = trusted[0].fingerprint().unwrap();
        let check = |image: &str, trusted: &[TrustedScanner], key: &Digest, inventory: Option<u8>, expected: bool| {
            let job = ScanJob { trusted: trusted.to_vec(), ..ScanJob::for_tests(image) };
            let signer = ScanSigner { key: key.clone(), made: jiff::Timestamp::UNIX_EPOCH };
            let results = vec![PlatformReport { signer: Some(signer), ..report("linux/amd64", 2, inventory) }];
            let said = ScanOutput {
                digest: digest(1),
                database: String::new(),
                results,
                layers: LayerCounts::default(),
                logged_in: false,
            };
            let resolved = images(1, &[("linux/amd64", 2)]);
            assert_eq!(output(&job, &resolved, &[false], &said).is_ok(), expected, "{image} {key} {inventory:?}");
            // What the store knows comes first.
            assert!(output(&job, &resolved, &[true], &said).is_err(), "{image} {key} {inventory:?}");
        };
        check("r.example/own/x:1", &trusted, &own, None, true);
        check("r.example/other/x:1", &trusted, &own, None, false);
        check("r.example/own/x:1", &trusted, &digest(9), None, false);
        check("r.example/own/x:1", &[], &own, None, false);
        // It would be believed of the image wherever it is.
        check("r.example/own/x:1", &trusted, &own, Some(2), false);
    }

    #[test]
    fn only_the_resolved_images_have_results() {
        let resolved = images(1, &[("linux/amd64", 2), ("linux/arm64", 3)]);
        let check = |root: u8, known: [bool; 2], results: Vec<PlatformReport>, expected: bool| {
            let said = ScanOutput {
                digest: digest(root),
                database: String::new(),
                results,
                layers: LayerCounts::default(),
                logged_in: false,
            };
            let checked = output(&ScanJob::for_tests("r.example/x:1"), &resolved, &known, &said);
            assert_eq!(
                checked.as_ref().map_err(|e| &e.reason),
                if expected { Ok(&()) } else { Err(&Reason::BadScanResult) }
            );
        };
        let (amd, arm) = ("linux/amd64", "linux/arm64");
        let new = [false, false];
        check(1, new, vec![report(amd, 2, Some(2)), report(arm, 3, Some(3))], true);
        check(1, [true, false], vec![report(amd, 2, None), report(arm, 3, Some(3))], true);
        // Another digest than the one that was resolved, which the gate would pin.
        check(9, new, vec![report(amd, 2, Some(2)), report(arm, 3, Some(3))], false);
        check(1, new, vec![report(amd, 9, Some(2)), report(arm, 3, Some(3))], false);
        // The inventory of an image of others.
        check(1, new, vec![report(amd, 2, Some(9)), report(arm, 3, Some(3))], false);
        check(1, [true, false], vec![report(amd, 2, Some(2)), report(arm, 3, Some(3))], false);
        check(1, new, vec![report(arm, 3, Some(3)), report(amd, 2, Some(2))], false);
        check(1, new, vec![report(amd, 2, Some(2))], false);
        check(1, new, vec![], false);
    }
}
