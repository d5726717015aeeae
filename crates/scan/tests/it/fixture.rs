//! Images made in code.

use std::fs;
use std::path::Path;
use tidewaiter_scan::source::sha256;

/// An entry of a layer: path and what it is.
pub(crate) enum E<'a> {
    File(&'a str, &'a str),
    Dir(&'a str),
    Symlink(&'a str, &'a str),
    Hardlink(&'a str, &'a str),
}

pub(crate) fn layer(entries: &[E<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let (path, kind, link, body) = match entry {
            E::File(path, body) => (path, tar::EntryType::Regular, None, *body),
            E::Dir(path) => (path, tar::EntryType::Directory, None, ""),
            E::Symlink(path, to) => (path, tar::EntryType::Symlink, Some(*to), ""),
            E::Hardlink(path, to) => (path, tar::EntryType::Link, Some(*to), ""),
        };
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(body.len() as u64);
        header.set_mode(0o644);
        match link {
            Some(link) => builder.append_link(&mut header, path, link).unwrap(),
            None => builder.append_data(&mut header, path, body.as_bytes()).unwrap(),
        }
    }
    builder.into_inner().unwrap()
}

/// Writes a layout; `stored` are the layers' bytes, `diff_ids` what the config claims of them.
pub(crate) fn layout(dir: &Path, stored: &[Vec<u8>], diff_ids: &[String]) {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        digest.to_string()
    };
    let config = serde_json::json!({"os": "linux", "architecture": "amd64",
        "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let config = serde_json::to_vec(&config).unwrap();
    let layers: Vec<_> = stored
        .iter()
        .map(|l| serde_json::json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": put(l), "size": l.len()}))
        .collect();
    let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": put(&config), "size": config.len()},
        "layers": layers});
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": put(&manifest), "size": manifest.len()}]});
    fs::write(dir.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
