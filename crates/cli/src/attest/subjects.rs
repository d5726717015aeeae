//! What a statement is about: the manifests that were scanned, and the index when all that may be an image in it was.

use anyhow::Result;
use std::collections::BTreeSet;
use tidewaiter_attestation::StatementSubject;
use tidewaiter_core::image::{Digest, Platform};
use tidewaiter_core::report::Report;
use tidewaiter_scan::source::registry::IndexImage;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// The subjects of a statement about reports; an index is looked at where there is a repository. With `all_platforms` its index must
/// be one of them.
pub(super) fn of(
    reports: &[Report],
    repository: Option<&ArtifactRepository>,
    all_platforms: bool,
) -> Result<Vec<StatementSubject>> {
    let images = || reports.iter().map(|report| &report.inventory.image);
    let name = repository
        .map(|repository| repository.reference().name())
        .or_else(|| images().next().map(|image| image.name.clone()))
        .unwrap_or_default();
    let scanned: BTreeSet<&Digest> = images().map(|image| &image.digest).collect();
    let mut all: Vec<&Digest> = scanned.iter().copied().collect();
    let indexes: BTreeSet<&Digest> = images().filter_map(|image| image.index_digest.as_ref()).collect();
    if let Some(repository) = repository {
        for index in indexes {
            let entries = repository.images(&repository.manifest_of(index)?)?;
            match unscanned(&entries, &scanned) {
                None => all.push(index),
                Some(entry) if all_platforms => return Err(not_all(index, entry)),
                Some(_) => {}
            }
        }
    }
    Ok(all.into_iter().map(|digest| StatementSubject { name: name.clone(), digest: digest.clone() }).collect())
}

/// The first entry of an index that may be an image and was not scanned: whoever runs the index may run it.
fn unscanned<'a>(entries: &'a [IndexImage], scanned: &BTreeSet<&Digest>) -> Option<&'a IndexImage> {
    entries.iter().find(|entry| !scanned.contains(&entry.digest))
}

/// The platforms to scan of an index. `None` is that of its only entry, which does not state one.
pub(super) fn platforms(index: &Digest, entries: &[IndexImage]) -> Result<Vec<Option<Platform>>> {
    // Among several, it could not be chosen by its platform.
    match entries.iter().find(|entry| entry.platform.is_none()) {
        Some(unstated) if entries.len() > 1 => Err(not_all(index, unstated)),
        _ => Ok(entries.iter().map(|entry| entry.platform.clone()).collect()),
    }
}

fn not_all(index: &Digest, entry: &IndexImage) -> anyhow::Error {
    let platform = entry.platform.as_ref().map_or("no platform stated".to_owned(), Platform::to_string);
    anyhow::anyhow!(
        "index {index}: its entry {} ({platform}) may be an image and cannot be chosen by a platform, so not all of the index can be \
         scanned; give each manifest a platform of its own, or attest single ones with --platform",
        entry.digest
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    fn entry((byte, platform): (u8, &str)) -> IndexImage {
        IndexImage { digest: digest(byte), platform: platform.parse().ok() }
    }

    #[test]
    fn an_index_is_a_subject_when_all_of_it_was_scanned() {
        let check = |entries: &[(u8, &str)], scanned: &[u8], expected: Option<u8>| {
            let entries: Vec<IndexImage> = entries.iter().copied().map(entry).collect();
            let scanned: Vec<Digest> = scanned.iter().copied().map(digest).collect();
            let found = unscanned(&entries, &scanned.iter().collect()).map(|entry| entry.digest.clone());
            assert_eq!(found, expected.map(digest), "{entries:?}");
        };
        check(&[(1, "linux/amd64")], &[1], None);
        check(&[(1, "")], &[1], None);
        check(&[(1, "linux/amd64"), (2, "linux/arm64")], &[1, 2], None);
        check(&[(1, "linux/amd64"), (2, "linux/arm64")], &[1], Some(2));
        // What states no platform runs somewhere all the same.
        check(&[(1, "linux/amd64"), (2, "")], &[1], Some(2));
        // Of two for one platform a scan chooses the first.
        check(&[(1, "windows/amd64"), (2, "windows/amd64")], &[1], Some(2));
    }

    #[test]
    fn all_platforms_can_be_chosen() {
        let check = |entries: &[(u8, &str)], expected: Result<&[&str], u8>| {
            let entries: Vec<IndexImage> = entries.iter().copied().map(entry).collect();
            match (platforms(&digest(9), &entries), expected) {
                (Ok(found), Ok(expected)) => {
                    let expected: Vec<Option<Platform>> = expected.iter().map(|text| text.parse().ok()).collect();
                    assert_eq!(found, expected);
                }
                (Err(said), Err(byte)) => assert!(said.to_string().contains(digest(byte).as_str()), "{said}"),
                (found, _) => panic!("{found:?}"),
            }
        };
        check(&[], Ok(&[]));
        check(&[(1, "")], Ok(&[""]));
        check(&[(1, "linux/amd64"), (2, "linux/arm64")], Ok(&["linux/amd64", "linux/arm64"]));
        check(&[(1, "linux/amd64"), (2, "")], Err(2));
    }
}
