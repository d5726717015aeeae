//! The images that are measured, made once and kept under `target/bench`.

pub(crate) mod content;
mod corpus;
mod layer;

use anyhow::{Context, Result};
use content::{DEBIAN_PACKAGES, debian_database, entries, fill, jars, node_modules};
use corpus::Corpus;
use layer::{LayerWriter, Tar, finish_layout, store, write_archive, write_layout};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::layer::LayerCompression;

/// Raised with every change of the images, so that older ones are not measured.
const VERSION: u32 = 1;

const MIB: u64 = 1 << 20;
/// Content of the server image's layers: more than 1 GB together.
const DEBIAN_LAYERS: [u64; 4] = [130 * MIB, 640 * MIB, 220 * MIB, 60 * MIB];
/// Content of the one layer that is an image of its own.
const SINGLE: u64 = 1_500_000_000;
/// Layers of the image of many.
const MANY: usize = 60;

/// The images on disk.
#[derive(Debug, Clone)]
pub(crate) struct BenchImages {
    dir: PathBuf,
}

impl BenchImages {
    /// Opens the images, or makes them.
    pub(crate) fn ready(bench: &Path) -> Result<Self> {
        let dir = bench.join(format!("inputs-v{VERSION}"));
        let done = dir.join("done");
        if !done.is_file() {
            if dir.exists() {
                fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
            }
            fs::create_dir_all(dir.join("tars"))?;
            let images = BenchImages { dir: dir.clone() };
            images.make()?;
            fs::remove_dir_all(dir.join("tars"))?;
            fs::write(done, "")?;
        }
        Ok(BenchImages { dir })
    }

    /// An image's OCI layout.
    pub(crate) fn layout(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The server image as `docker save` writes it.
    pub(crate) fn archive(&self) -> PathBuf {
        self.dir.join("debian.tar")
    }

    fn make(&self) -> Result<()> {
        let say = |what: &str| eprintln!("making the {what} (once; under {})", self.dir.display());
        say("server image");
        self.debian()?;
        say("image of many layers");
        let mut corpus = Corpus::open()?.skip(3000);
        self.image("many", (0..MANY).map(|n| self.many(n, &mut corpus)))?;
        say("node image");
        let mut small = Corpus::small()?;
        self.image("node", [self.base("node-base", 100), self.layer("node-app", |l| node_modules(l, &mut small))])?;
        say("Java image");
        let mut corpus = Corpus::open()?.skip(6000);
        self.image("java", [self.base("java-base", 100), self.layer("java-app", |l| jars(l, &mut corpus))])?;
        say("image of a million entries");
        self.image("entries", [self.layer("entries", entries)])?;
        say("image of one layer");
        let one = self.layer("single", |layer| {
            debian_database(layer, DEBIAN_PACKAGES)?;
            fill(layer, &mut Corpus::open()?.skip(9000), "usr/lib", SINGLE)
        });
        self.image("single", [one])
    }

    fn layer(&self, name: &str, content: impl FnOnce(&mut LayerWriter) -> Result<()>) -> Result<Tar> {
        let mut layer = LayerWriter::create(&self.dir.join("tars").join(name))?;
        content(&mut layer)?;
        layer.finish()
    }

    /// A small distribution, below an application.
    fn base(&self, name: &str, packages: usize) -> Result<Tar> {
        self.layer(name, |layer| {
            debian_database(layer, packages)?;
            fill(layer, &mut Corpus::open()?.skip(500), "usr/lib", 40 * MIB)
        })
    }

    fn many(&self, number: usize, corpus: &mut Corpus) -> Result<Tar> {
        self.layer(&format!("many-{number}"), |layer| step(layer, corpus, number))
    }

    /// Writes an image with gzip layers and drops their tar streams.
    fn image(&self, name: &str, layers: impl IntoIterator<Item = Result<Tar>>) -> Result<()> {
        let layers = layers.into_iter().collect::<Result<Vec<_>>>()?;
        write_layout(&self.layout(name), &layers, LayerCompression::Gzip)?;
        layers.iter().try_for_each(|layer| Ok(fs::remove_file(&layer.path)?))
    }

    fn debian(&self) -> Result<()> {
        let mut corpus = Corpus::open()?;
        let mut layers = Vec::new();
        for (number, bytes) in DEBIAN_LAYERS.into_iter().enumerate() {
            let content = |layer: &mut LayerWriter| server_layer(layer, &mut corpus, number, bytes);
            layers.push(self.layer(&format!("debian-{number}"), content)?);
        }
        write_layout(&self.layout("debian-gzip"), &layers, LayerCompression::Gzip)?;
        write_layout(&self.layout("debian-zstd"), &layers, LayerCompression::Zstd)?;
        write_layout(&self.layout("debian-plain"), &layers, LayerCompression::Plain)?;
        write_archive(&self.archive(), &layers)?;
        self.changed(&mut corpus, &layers)?;
        layers.iter().try_for_each(|layer| Ok(fs::remove_file(&layer.path)?))
    }

    /// The server image with another uppermost layer.
    fn changed(&self, corpus: &mut Corpus, layers: &[Tar]) -> Result<()> {
        let [base @ .., old_top] = layers else { return Ok(()) };
        let bytes = fs::metadata(&old_top.path)?.len();
        let top = self.layer("debian-changed", |layer| fill(layer, corpus, "srv/app-3", bytes))?;
        let (from, to) = (self.layout("debian-gzip"), self.layout("debian-changed"));
        let blobs = to.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let mut stored = descriptors(&from)?;
        stored.truncate(base.len());
        for layer in &stored {
            let file = blob(layer)?;
            fs::hard_link(from.join("blobs/sha256").join(file), blobs.join(file))?;
        }
        stored.push(store(&blobs, &top, LayerCompression::Gzip)?);
        let diff_ids: Vec<&str> = base.iter().chain([&top]).map(|layer| layer.diff_id.as_str()).collect();
        finish_layout(&to, &stored, &diff_ids)
    }
}

/// A layer of the image of many: the first two have package lists.
fn step(layer: &mut LayerWriter, corpus: &mut Corpus, number: usize) -> Result<()> {
    if number < 2 {
        debian_database(layer, 100 * (number + 1))?;
    }
    fill(layer, corpus, &format!("opt/step-{number}"), 4 * MIB)
}

/// A layer of the server image: a distribution, its packages, and an application in two.
fn server_layer(layer: &mut LayerWriter, corpus: &mut Corpus, number: usize, bytes: u64) -> Result<()> {
    match number {
        0 => debian_database(layer, 100)?,
        1 => debian_database(layer, DEBIAN_PACKAGES)?,
        _ => {}
    }
    let dir = if number < 2 { "usr/lib".to_owned() } else { format!("srv/app-{number}") };
    fill(layer, corpus, &dir, bytes)
}

/// Descriptors of a layout's layers, lowest first.
pub(crate) fn descriptors(layout: &Path) -> Result<Vec<Value>> {
    let read = |path: PathBuf| -> Result<Value> {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    };
    let index = read(layout.join("index.json"))?;
    let manifest = read(layout.join("blobs/sha256").join(blob(&index["manifests"][0])?))?;
    Ok(manifest["layers"].as_array().cloned().unwrap_or_default())
}

/// File name of a descriptor's blob.
pub(crate) fn blob(descriptor: &Value) -> Result<&str> {
    let digest = descriptor["digest"].as_str().context("a descriptor without a digest")?;
    digest.strip_prefix("sha256:").context("a digest that is not SHA-256")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::floor::{self, Way};
    use tidewaiter_scan::source::oci_layout;

    #[test]
    fn layouts_are_images_and_have_a_floor() {
        let dir = std::env::temp_dir().join(format!("bench-inputs-{}", std::process::id()));
        fs::create_dir_all(dir.join("tars")).unwrap();
        let images = BenchImages { dir: dir.clone() };
        let layer = images.layer("base", |layer| debian_database(layer, 3)).unwrap();
        for compression in [LayerCompression::Gzip, LayerCompression::Zstd, LayerCompression::Plain] {
            let layout = images.layout(&format!("{compression:?}"));
            write_layout(&layout, std::slice::from_ref(&layer), compression).unwrap();
            let image = oci_layout::open(&layout, None).unwrap();
            assert_eq!(image.layers().len(), 1, "{compression:?}");
            let run = |way| floor::run(&floor::FloorArgs { layout: layout.clone(), way, top: false });
            run(Way::Whole).unwrap();
            run(Way::Piped).unwrap();
            let stored = layout.join("blobs/sha256").join(blob(&descriptors(&layout).unwrap()[0]).unwrap());
            fs::write(stored, b"not what it was").unwrap();
            // Plain bytes can only be hashed; a hash is compared with nothing here.
            assert_eq!(run(Way::Whole).is_err(), compression != LayerCompression::Plain, "{compression:?}");
            assert_eq!(run(Way::Piped).is_err(), compression != LayerCompression::Plain, "{compression:?}");
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
