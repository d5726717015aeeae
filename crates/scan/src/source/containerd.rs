//! Images in containerd's content store (`containerd:`): names from its metadata database, blobs as in an OCI layout.

mod bolt;

use super::files::{Directory, Files as _};
use super::manifest::{MAX_MANIFEST, assemble, follow};
use super::oci_layout::{LayoutBlobs, blob_path};
use super::read::verify;
use super::{Image, SourceError};
use bolt::Bolt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidewaiter_core::image::{Digest, Platform, Reference};

/// The directories of containerd's data, by distribution.
pub const ROOTS: [&str; 4] = [
    "/var/lib/containerd",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
];

/// The database with the names of images (containerd's plugin `io.containerd.metadata.v1`).
const METADATA: &str = "io.containerd.metadata.v1.bolt/meta.db";
const CONTENT: &str = "io.containerd.content.v1.content";

/// Opens an image that containerd knows by this reference, in any of its namespaces, Kubernetes' own first.
///
/// # Errors
/// When there is no containerd, it does not know the image, or lacks its blobs.
pub fn open(roots: &[PathBuf], reference: &Reference, platform: Option<&Platform>) -> Result<Image, SourceError> {
    let name = reference.to_string();
    let Some(root) = roots.iter().find(|root| root.join(METADATA).is_file()) else {
        let tried: Vec<String> = roots.iter().map(|r| r.display().to_string()).collect();
        let cause = format!("there is no metadata database in {}", tried.join(", "));
        return Err(SourceError::NotFound { what: "containerd".to_owned(), cause });
    };
    let digest = target(&root.join(METADATA), &name)?;
    let content = Directory(root.join(CONTENT));
    let path = blob_path(&digest);
    if !content.has(&path) {
        let cause = format!("{path} is not in its content store; pull the image again");
        return Err(SourceError::NotFound { what: format!("{name} in containerd"), cause });
    }
    let bytes = content.read(&path, MAX_MANIFEST)?;
    verify(&bytes, &format!("manifest {digest} of {name}"), &digest, None)?;
    let store = LayoutBlobs { files: Arc::new(content) };
    let found = follow(&store, &name, &bytes, Some(digest), platform)?;
    let blobs = Box::new(LayoutBlobs { files: Arc::clone(&store.files) });
    assemble(&store, &name, found, platform, blobs)
}

/// The digest that containerd has for an image name: bucket `v1/NAMESPACE/images/NAME/target`, key `digest`.
fn target(database: &Path, name: &str) -> Result<Digest, SourceError> {
    let what = database.display().to_string();
    let broken = |cause: String| SourceError::bad(&what, cause);
    let bolt = Bolt::open(database).map_err(|e| SourceError::file(&what, &e))?;
    let mut namespaces = bolt.buckets(&[b"v1"]).map_err(|e| broken(e.to_string()))?;
    namespaces.sort_by_key(|namespace| namespace != b"k8s.io");
    for namespace in &namespaces {
        let path: [&[u8]; 5] = [b"v1", namespace, b"images", name.as_bytes(), b"target"];
        let Some(value) = bolt.get(&path, b"digest").map_err(|e| broken(e.to_string()))? else { continue };
        let text = String::from_utf8_lossy(&value);
        return text.parse().map_err(|e| broken(format!("{name} has the digest {text:?}: {e}")));
    }
    let cause = "no namespace has an image of this name; list them with: ctr -n k8s.io images ls".to_owned();
    Err(SourceError::NotFound { what: format!("{name} in containerd"), cause })
}

#[cfg(test)]
mod tests {
    use super::bolt::testing::{file, inline};
    use super::*;
    use tidewaiter_testkit::demo::clean;
    use tidewaiter_testkit::layout;

    #[test]
    fn an_image_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("containerd");
        let image = clean().build();
        layout::write(&root.join(CONTENT), &image);
        let target = inline(&[(b"digest", image.digest().into_bytes(), 0)]);
        let images = inline(&[(b"docker.io/library/app:v1", inline(&[(b"target", target, 1)]), 1)]);
        let namespaces = inline(&[
            (b"default", inline(&[(b"images", inline(&[]), 1)]), 1),
            (b"k8s.io", inline(&[(b"images", images, 1)]), 1),
        ]);
        let database = root.join(METADATA);
        std::fs::create_dir_all(database.parent().unwrap()).unwrap();
        std::fs::write(&database, file(&[(b"v1", namespaces, 1)])).unwrap();
        let roots = [folder.path().join("absent"), root.clone()];
        let found = open(&roots, &"app:v1".parse().unwrap(), None).unwrap();
        assert_eq!((found.manifest_digest.to_string(), found.layers.len()), (image.digest(), image.blobs.len() - 1));
        let refused =
            |name: &str, roots: &[PathBuf]| open(roots, &name.parse().unwrap(), None).unwrap_err().to_string();
        assert!(refused("other:v1", &roots).contains("no namespace has an image of this name"));
        assert!(refused("app:v1", &roots[..1]).contains("there is no metadata database"));
        std::fs::remove_dir_all(root.join(CONTENT)).unwrap();
        assert!(refused("app:v1", &roots).contains("is not in its content store"));
    }
}
