//! Warn mode: whoever creates or changes a workload is told what Enforce would hold, and nothing is held.

use std::collections::BTreeMap;
use tidewaiter_core::policy::Outcome;
use tidewaiter_crd::image_scan::ImageScanStatus;

/// Characters of a warning: the API server cuts longer ones, and drops those that follow (KEP-1693).
const MAX_CHARACTERS: usize = 250;
/// Images that are named: the API server passes on 4,096 bytes of warnings.
const MAX_NAMED: usize = 5;

/// The warnings about the images of a workload, by name of container; `status` is that of an image's scan.
pub(crate) fn warnings(
    images: &BTreeMap<String, String>,
    status: impl Fn(&str) -> Option<ImageScanStatus>,
) -> Vec<String> {
    let mut all: Vec<String> = images.iter().filter_map(|(name, image)| warning(name, image, status(image))).collect();
    let left = all.len().saturating_sub(MAX_NAMED);
    if left > 0 {
        all.truncate(MAX_NAMED);
        all.push(format!("{left} more images would be held in mode Enforce"));
    }
    all
}

/// The end comes first: it is what a reader of a cut text needs.
fn warning(name: &str, image: &str, status: Option<ImageScanStatus>) -> Option<String> {
    let found = match status.filter(|status| status.digest.is_some()) {
        None => "it is not scanned yet".to_owned(),
        Some(status) if status.verdict == Some(Outcome::Pass) => return None,
        Some(status) => status.message,
    };
    let text = format!("mode Enforce would hold container {name} ({image}): {found}");
    Some(if text.chars().count() > MAX_CHARACTERS {
        text.chars().take(MAX_CHARACTERS - 1).chain(['…']).collect()
    } else {
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(verdict: Outcome, message: &str) -> ImageScanStatus {
        let digest = Some("sha256:0".to_owned());
        ImageScanStatus { digest, verdict: Some(verdict), message: message.to_owned(), ..ImageScanStatus::default() }
    }

    #[test]
    fn what_enforce_would_hold() {
        let check = |scan: Option<ImageScanStatus>, expected: &[&str]| {
            let images = BTreeMap::from([("app".to_owned(), "r.example/app:v1".to_owned())]);
            assert_eq!(warnings(&images, |_| scan.clone()), expected);
        };
        check(None, &["mode Enforce would hold container app (r.example/app:v1): it is not scanned yet"]);
        check(
            Some(ImageScanStatus::default()),
            &["mode Enforce would hold container app (r.example/app:v1): it is not scanned yet"],
        );
        check(Some(status(Outcome::Pass, "No vulnerabilities found")), &[]);
        check(
            Some(status(Outcome::Violated, "Vulnerabilities found: 1 critical")),
            &["mode Enforce would hold container app (r.example/app:v1): Vulnerabilities found: 1 critical"],
        );
        check(
            Some(status(Outcome::Incomplete, "the scan is incomplete")),
            &["mode Enforce would hold container app (r.example/app:v1): the scan is incomplete"],
        );
    }

    #[test]
    fn the_api_server_accepts_them() {
        let images: BTreeMap<String, String> = (0..9).map(|n| (format!("c{n}"), "é".repeat(300))).collect();
        let found = warnings(&images, |_| None);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|text| text.chars().count() <= 250));
        assert_eq!(found[5], "4 more images would be held in mode Enforce");
    }
}
