//! The scan that is signed: made here, or taken from a report.

use crate::args::{AttestArgs, LocalArgs};
use crate::exit::UsageError;
use crate::{local, report_file};
use anyhow::Result;
use jiff::Timestamp;
use std::path::Path;
use tidewaiter_attestation::ScanRecord;
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::report::Report;
use tidewaiter_scan::analyze;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// Scans the image, or reads its report.
pub(super) fn make(args: &AttestArgs, repository: Option<&ArtifactRepository>) -> Result<ScanRecord> {
    match &args.report {
        Some(file) => {
            let reports = report_file::read(file)?;
            if let Some(repository) = repository {
                check_image(&reports, &repository.manifest()?.1).map_err(|why| of_file(file, &why))?;
            }
            let made = database_time(&reports).map_err(|why| of_file(file, &why))?;
            check_read(&reports).map_err(|why| of_file(file, why))?;
            Ok(ScanRecord { started: made, finished: made, analyzers: None, reports })
        }
        None => {
            let started = Timestamp::now();
            let reports = scan(args, repository)?;
            check_read(&reports).map_err(|why| UsageError(format!("{}: {why}", args.image)))?;
            Ok(ScanRecord { started, finished: Timestamp::now(), analyzers: Some(analyze::VERSION), reports })
        }
    }
}

fn of_file(file: &Path, why: &str) -> UsageError {
    UsageError(format!("{}: {why}", file.display()))
}

/// Reports must be of the image that they are attached to.
fn check_image(reports: &[Report], named: &Digest) -> Result<(), String> {
    let is_of = |report: &Report| {
        let image = &report.inventory.image;
        image.digest == *named || image.index_digest.as_ref() == Some(named)
    };
    match reports.iter().find(|report| !is_of(report)) {
        None => Ok(()),
        Some(other) => Err(format!(
            "a report of {}, and IMAGE names {named}; name the image that was scanned by its digest, or scan again",
            other.inventory.image.digest
        )),
    }
}

/// What is signed is what was read of the image itself: an SBOM says what others read, and names whichever image it likes.
fn check_read(reports: &[Report]) -> Result<(), &'static str> {
    match reports.iter().any(|report| report.inventory.image.sbom.is_some()) {
        true => Err("this is what an SBOM lists, and only what was read of the image itself is signed; scan the image"),
        false => Ok(()),
    }
}

/// When the oldest database of the reports was built. A report does not say when it was made: it depends on the image and the database
/// alone, so its knowledge is as old as the database.
fn database_time(reports: &[Report]) -> Result<Timestamp, String> {
    let built: Option<Vec<Timestamp>> = reports.iter().map(|report| report.database.built).collect();
    built.and_then(|all| all.into_iter().min()).ok_or_else(|| {
        "it does not say when its database was built, so nobody could tell how old it is; scan the image instead"
            .to_owned()
    })
}

fn scan(args: &AttestArgs, repository: Option<&ArtifactRepository>) -> Result<Vec<Report>> {
    let Some((repository, true)) = repository.map(|repository| (repository, args.all_platforms)) else {
        return Ok(vec![local::scan(&args.image, &args.local)?]);
    };
    let (bytes, digest) = repository.manifest()?;
    let platforms = super::subjects::platforms(&digest, &repository.images(&bytes)?)?;
    if platforms.is_empty() {
        return Ok(vec![local::scan(&args.image, &args.local)?]);
    }
    // By digest: the tag may name another index in the middle of it.
    let pinned = format!("registry:{}", repository.reference().pinned(&digest));
    let database = args.local.database()?;
    let each = |platform: &Option<Platform>| {
        let args = LocalArgs { platform: platform.clone(), ..args.local.clone() };
        local::scan_with(&pinned, &args, &database)
    };
    platforms.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory};

    fn report(digest: u8, index: Option<u8>, built: &str) -> Report {
        let of = |byte: u8| Digest::from_sha256([byte; 32]);
        let image = ImageInfo {
            index_digest: index.map(of),
            ..ImageInfo::new("app", of(digest), of(0), "linux/amd64".parse().unwrap())
        };
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        Report::new(inventory, DatabaseInfo { built: built.parse().ok(), ..DatabaseInfo::default() }, vec![], vec![])
    }

    #[test]
    fn a_report_is_of_the_image_it_is_attached_to() {
        let check = |reports: &[Report], expected: bool| {
            assert_eq!(check_image(reports, &Digest::from_sha256([7; 32])).is_ok(), expected);
        };
        check(&[report(7, None, "")], true);
        check(&[report(1, Some(7), ""), report(2, Some(7), "")], true);
        check(&[report(1, Some(7), ""), report(2, Some(8), "")], false);
        check(&[report(1, None, "")], false);
    }

    #[test]
    fn a_report_is_as_old_as_its_database() {
        let check = |built: &[&str], expected: Option<&str>| {
            let reports: Vec<Report> = built.iter().map(|built| report(1, None, built)).collect();
            assert_eq!(database_time(&reports).ok().map(|time| time.to_string()).as_deref(), expected);
        };
        check(&["2026-11-30T00:00:00Z", "2026-11-29T00:00:00Z"], Some("2026-11-29T00:00:00Z"));
        check(&["2026-11-30T00:00:00Z", ""], None);
        check(&[], None);
    }
}
