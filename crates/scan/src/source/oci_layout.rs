//! OCI image layouts: a directory with `index.json` and `blobs/sha256/…`.

use super::files::{Directory, Files, TarArchive};
use super::manifest::{
    BlobDescriptor, FetchByDigest, MAX_CONFIG, MAX_MANIFEST, ManifestDocument, assemble, choose, follow, images,
};
use super::{BlobSource, Image, LayerDescriptor, SourceError};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use tidewaiter_core::image::{Digest, Platform};

/// Opens the image for a platform from an OCI layout directory. Without a platform, the only image is taken,
/// else the one for Linux on this machine's architecture.
///
/// # Errors
/// When the directory is not a layout, has no such image, or the image is damaged.
pub fn open(path: &Path, platform: Option<&Platform>) -> Result<Image, SourceError> {
    open_files(Arc::new(Directory(path.to_owned())), &path.display().to_string(), platform)
}

/// Opens the image in an OCI layout that is packed in a tar file, as [`open`] does.
///
/// # Errors
/// As [`open`].
pub fn open_archive(path: &Path, platform: Option<&Platform>) -> Result<Image, SourceError> {
    open_files(Arc::new(TarArchive::index(path)?), &path.display().to_string(), platform)
}

/// Opens an image from anything that has the files of a layout.
pub(super) fn open_files(files: Arc<dyn Files>, name: &str, platform: Option<&Platform>) -> Result<Image, SourceError> {
    if !files.has("index.json") {
        let cause = "there is no index.json in it".to_owned();
        return Err(SourceError::NotFound { what: format!("the OCI layout {name}"), cause });
    }
    let index = files.read("index.json", MAX_MANIFEST)?;
    let store = LayoutBlobs { files };
    if let ManifestDocument::Index(list) = ManifestDocument::parse(&index, name)? {
        refuse_ambiguity(&store, &list, platform, name)?;
    }
    let mut found = follow(&store, name, &index, None, platform)?;
    // The layout's own index.json only lists its images: it is not an index that can be pulled by digest.
    found.index_digest = found.index_digest.filter(|digest| store.files.has(&blob_path(digest)));
    let blobs = Box::new(LayoutBlobs { files: Arc::clone(&store.files) });
    assemble(&store, name, found, platform, blobs)
}

/// A layout may have several images under different names; choosing one silently could scan the wrong one.
fn refuse_ambiguity(
    store: &LayoutBlobs,
    list: &[BlobDescriptor],
    platform: Option<&Platform>,
    name: &str,
) -> Result<(), SourceError> {
    let Ok(chosen) = choose(store, list, platform, name) else { return Ok(()) };
    let is_rival = |entry: &&BlobDescriptor| entry.digest != chosen.digest && entry.platform == chosen.platform;
    match images(store, list).into_iter().find(is_rival) {
        None => Ok(()),
        Some(rival) => {
            let cause = format!("it has several images for one platform, {} and {}", chosen.digest, rival.digest);
            Err(SourceError::bad(name, cause))
        }
    }
}

/// Blobs by digest in `blobs/sha256`.
pub(super) struct LayoutBlobs {
    pub(super) files: Arc<dyn Files>,
}

pub(super) fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

impl FetchByDigest for LayoutBlobs {
    fn manifest(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError> {
        self.files.read(&blob_path(&descriptor.digest), MAX_MANIFEST)
    }

    fn config(&self, descriptor: &BlobDescriptor) -> Result<Vec<u8>, SourceError> {
        self.files.read(&blob_path(&descriptor.digest), MAX_CONFIG)
    }

    fn is_missing(&self, descriptor: &BlobDescriptor) -> bool {
        !self.files.has(&blob_path(&descriptor.digest))
    }
}

impl BlobSource for LayoutBlobs {
    fn open(&self, layer: &LayerDescriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(self.files.open(&blob_path(&layer.digest))?.0)
    }
}
