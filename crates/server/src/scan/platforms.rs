//! The platforms of a scan are images of their own, and each is read by a process of its own: what took one process over must
//! not answer for the next image, whose inventory other namespaces share.

use super::protocol::{ScanFailure, ScanOutput};
use tidewaiter_core::Reason;

/// What the scans of some platforms came to.
#[derive(Debug, Default)]
pub(super) struct PlatformScans {
    whole: Option<ScanOutput>,
    /// Why a platform has no image. The others are enough: no node runs what is not there.
    nothing: Option<ScanFailure>,
    differ: bool,
}

impl PlatformScans {
    /// Adds the scan of one platform.
    ///
    /// # Errors
    /// When it failed.
    pub(super) fn add(&mut self, done: Result<ScanOutput, ScanFailure>) -> Result<(), ScanFailure> {
        let part = match done {
            Err(failure) if failure.reason == Reason::NoMatchingPlatform => {
                self.nothing = Some(failure);
                return Ok(());
            }
            done => done?,
        };
        let Some(whole) = &mut self.whole else {
            self.whole = Some(part);
            return Ok(());
        };
        whole.layers = whole.layers + part.layers;
        self.differ |= whole.digest != part.digest || whole.database != part.database;
        for result in part.results {
            // Nodes of several platforms may run one image: it is judged once.
            let digest = &result.report.inventory.image.digest;
            if !whole.results.iter().any(|known| known.report.inventory.image.digest == *digest) {
                whole.results.push(result);
            }
        }
        Ok(())
    }

    /// All of them; `None` when they are of different bytes, since the tag moved, or of different databases.
    ///
    /// # Errors
    /// When no platform has an image.
    pub(super) fn finish(self) -> Result<Option<ScanOutput>, ScanFailure> {
        match (self.whole, self.nothing) {
            (None, Some(nothing)) => Err(nothing),
            (whole, _) => Ok(whole.filter(|_| !self.differ)),
        }
    }
}

/// Platforms that differ each time.
pub(super) fn changing() -> ScanFailure {
    let text = "the tag or the database changed while the platforms of the image were scanned; the scan is tried again";
    ScanFailure::new(Reason::Internal, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::protocol::PlatformReport;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, Report};
    use tidewaiter_scan::cache::LayerCounts;

    fn digest(number: u8) -> Digest {
        Digest::from_sha256([number; 32])
    }

    /// A scan of the reference that has the digest `root`, by a database: an image of that digest.
    fn scanned(root: u8, database: &str, of: u8) -> Result<ScanOutput, ScanFailure> {
        let platform: tidewaiter_core::image::Platform = "linux/amd64".parse().unwrap();
        let image = ImageInfo::new("r.example/x:1", digest(of), digest(0), platform.clone());
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        let report = Report::new(inventory, DatabaseInfo::default(), vec![], vec![]);
        let results = vec![PlatformReport { signer: None, platform, inventory: None, report }];
        Ok(ScanOutput {
            digest: digest(root),
            database: database.to_owned(),
            results,
            layers: LayerCounts::default(),
            logged_in: false,
        })
    }

    fn failed(reason: Reason) -> Result<ScanOutput, ScanFailure> {
        Err(ScanFailure::new(reason, "said"))
    }

    #[test]
    fn platforms_are_one_result() {
        type Expected<'a> = Result<Option<&'a [u8]>, Reason>;
        let check = |parts: Vec<Result<ScanOutput, ScanFailure>>, expected: Expected<'_>| {
            let text = format!("{parts:?}");
            let mut scans = PlatformScans::default();
            let added: Result<(), ScanFailure> = parts.into_iter().try_for_each(|part| scans.add(part));
            let joined = added.and_then(|()| scans.finish());
            let images = |output: ScanOutput| -> Vec<Digest> {
                output.results.into_iter().map(|result| result.report.inventory.image.digest).collect()
            };
            let found = joined.map(|whole| whole.map(images)).map_err(|failure| failure.reason);
            let wanted = |numbers: &[u8]| numbers.iter().copied().map(digest).collect::<Vec<_>>();
            assert_eq!(found, expected.map(|images| images.map(wanted)), "{text}");
        };
        check(vec![scanned(1, "a", 2)], Ok(Some(&[2])));
        check(vec![scanned(1, "a", 2), scanned(1, "a", 3)], Ok(Some(&[2, 3])));
        // One image for both.
        check(vec![scanned(1, "a", 2), scanned(1, "a", 2)], Ok(Some(&[2])));
        check(vec![scanned(1, "a", 2), failed(Reason::NoMatchingPlatform)], Ok(Some(&[2])));
        check(vec![failed(Reason::NoMatchingPlatform), scanned(1, "a", 2)], Ok(Some(&[2])));
        check(
            vec![failed(Reason::NoMatchingPlatform), failed(Reason::NoMatchingPlatform)],
            Err(Reason::NoMatchingPlatform),
        );
        check(vec![scanned(1, "a", 2), failed(Reason::BadLayer)], Err(Reason::BadLayer));
        check(vec![scanned(1, "a", 2), scanned(9, "a", 3)], Ok(None));
        check(vec![scanned(1, "a", 2), scanned(1, "b", 3)], Ok(None));
    }
}
