//! Layers and layouts, streamed to disk: nothing here holds more than one file in memory.

use anyhow::{Context, Result};
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use tidewaiter_core::hex;
use tidewaiter_testkit::layer::LayerCompression;

/// A layer's tar stream on disk, before it is stored anywhere.
#[derive(Debug)]
pub(super) struct Tar {
    /// Where it is.
    pub(super) path: PathBuf,
    /// `sha256:…` of it.
    pub(super) diff_id: String,
}

/// Writes a layer's tar stream.
pub(super) struct LayerWriter {
    tar: tar::Builder<Hashing<BufWriter<File>>>,
    path: PathBuf,
    /// Bytes of content so far.
    pub(super) bytes: u64,
}

impl LayerWriter {
    /// Begins a layer.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, create(path)?);
        Ok(LayerWriter { tar: tar::Builder::new(Hashing::new(file)), path: path.to_owned(), bytes: 0 })
    }

    /// Adds a file.
    pub(super) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        self.bytes += content.len() as u64;
        self.tar.append_data(&mut header, path, content).with_context(|| path.to_owned())
    }

    /// The finished stream.
    pub(super) fn finish(self) -> Result<Tar> {
        let (diff_id, _) = self.tar.into_inner()?.finish()?;
        Ok(Tar { path: self.path, diff_id })
    }
}

/// Writes an OCI layout of these layers.
pub(super) fn write_layout(dir: &Path, layers: &[Tar], compression: LayerCompression) -> Result<()> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let stored = layers.iter().map(|layer| store(&blobs, layer, compression)).collect::<Result<Vec<_>>>()?;
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    finish_layout(dir, &stored, &diff_ids)
}

/// Writes the documents of a layout whose layers are there.
pub(super) fn finish_layout(dir: &Path, layers: &[Value], diff_ids: &[&str]) -> Result<()> {
    let config = put(dir, &config(diff_ids), "application/vnd.oci.image.config.v1+json")?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
    let manifest = put(dir, &manifest, media_type)?;
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [manifest]});
    fs::write(dir.join("index.json"), serde_json::to_vec(&index)?)?;
    Ok(fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?)
}

/// The configuration of an image.
pub(super) fn config(diff_ids: &[&str]) -> Value {
    let history: Vec<Value> = diff_ids.iter().map(|_| json!({"created_by": "RUN step"})).collect();
    // The platform that a scan on this machine chooses.
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    json!({"os": "linux", "architecture": architecture, "config": {}, "history": history,
        "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

fn put(dir: &Path, document: &Value, media_type: &str) -> Result<Value> {
    let bytes = serde_json::to_vec(document)?;
    let hex = hex(&Sha256::digest(&bytes));
    fs::write(dir.join("blobs/sha256").join(&hex), &bytes)?;
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{hex}"), "size": bytes.len()}))
}

/// Stores a layer, compressed at the level that builders use; returns its descriptor.
pub(super) fn store(blobs: &Path, layer: &Tar, compression: LayerCompression) -> Result<Value> {
    let part = blobs.join("part");
    let out = Hashing::new(BufWriter::with_capacity(1 << 20, create(&part)?));
    let mut from = File::open(&layer.path).with_context(|| layer.path.display().to_string())?;
    let (digest, size) = match compression {
        LayerCompression::Plain => copied(&mut from, out)?.finish()?,
        LayerCompression::Gzip => {
            copied(&mut from, GzEncoder::new(out, flate2::Compression::new(6)))?.finish()?.finish()?
        }
        LayerCompression::Zstd => copied(&mut from, zstd::Encoder::new(out, 3)?)?.finish()?.finish()?,
    };
    fs::rename(&part, blobs.join(digest.trim_start_matches("sha256:")))?;
    Ok(json!({"mediaType": compression.media_type(), "digest": digest, "size": size}))
}

/// Copies in large pieces: small ones cost more than what is done with them.
fn copied<W: Write>(from: &mut File, mut to: W) -> Result<W> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { return Ok(to) };
        to.write_all(piece)?;
    }
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}

/// Hashes and counts what it writes.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashing<W> {
    fn new(to: W) -> Self {
        Hashing { to, hash: Sha256::new(), bytes: 0 }
    }

    fn finish(mut self) -> Result<(String, u64)> {
        self.to.flush()?;
        Ok((format!("sha256:{}", hex(&self.hash.finalize())), self.bytes))
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.to.write(bytes)?;
        self.hash.update(bytes.get(..n).unwrap_or_default());
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a `docker save` archive of the old kind: plain layers, named by their digest.
pub(super) fn write_archive(path: &Path, layers: &[Tar]) -> Result<()> {
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let config = serde_json::to_vec(&config(&diff_ids))?;
    let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
    let mut out = tar::Builder::new(BufWriter::with_capacity(1 << 20, create(path)?));
    add(&mut out, &config_name, config.len() as u64, &config[..])?;
    let name = |diff_id: &str| format!("{}/layer.tar", diff_id.trim_start_matches("sha256:"));
    for layer in layers {
        let file = File::open(&layer.path)?;
        add(&mut out, &name(&layer.diff_id), file.metadata()?.len(), file)?;
    }
    let names: Vec<String> = diff_ids.iter().map(|id| name(id)).collect();
    let list = json!([{"Config": config_name, "RepoTags": ["bench/debian:latest"], "Layers": names}]);
    let list = serde_json::to_vec(&list)?;
    add(&mut out, "manifest.json", list.len() as u64, &list[..])?;
    out.into_inner()?.flush()?;
    Ok(())
}

fn add(out: &mut tar::Builder<impl Write>, name: &str, size: u64, content: impl io::Read) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    Ok(out.append_data(&mut header, name, content)?)
}
