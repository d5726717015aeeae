//! The images and Deployments of a wave.

use crate::dice::Dice;
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tidewaiter_testkit::demo::{CLEAN, RELEASE, VULNERABLE};
use tidewaiter_testkit::image::{ImageBuilder, ImageFixture};
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression, LayerFixture};
use tidewaiter_testkit::packages::debian;

/// Images that share a base.
const OF_A_BASE: u32 = 10;
/// One of so many has a critical vulnerability.
const ONE_IS_BAD: u32 = 10;
/// Packages of a base, besides those that advisories know.
const PACKAGES: u32 = 62;

/// One image in the registry.
#[derive(Debug, Clone)]
pub(super) struct FleetImage {
    /// With its tag.
    pub(super) reference: String,
    /// The reference that a Pod of it must name.
    pub(super) pinned: String,
    /// Whether policy allows it.
    pub(super) good: bool,
}

/// The images.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) images: Vec<FleetImage>,
    /// Digest → stored bytes.
    layers: BTreeMap<String, u64>,
}

impl Fleet {
    /// Makes images whose repositories are named so and stores them in the lab's registry. Their bases have this many MiB.
    pub(super) fn push(lab: &Lab, name: &str, count: u32, mib: u32) -> Self {
        let mut bases: BTreeMap<u32, LayerFixture> = BTreeMap::new();
        let (mut images, mut layers) = (Vec::new(), BTreeMap::new());
        for number in 0..count {
            let base = number / OF_A_BASE;
            let layer = bases.entry(base).or_insert_with(|| base_layer(name, base, mib));
            let good = number % ONE_IS_BAD != ONE_IS_BAD - 1;
            let image = image(layer.clone(), &format!("{name}-{number}"), good);
            layers.extend(layers_of(&image));
            let reference = lab.registry.push(&format!("{name}-{number}"), "v1", &image);
            let pinned = format!("{reference}@{}", image.digest());
            images.push(FleetImage { reference, pinned, good });
        }
        Fleet { images, layers }
    }

    /// Stored bytes of all layers, each once.
    pub(super) fn layer_bytes(&self) -> u64 {
        self.layers.values().sum()
    }

    /// Bytes of them that the registry has sent.
    pub(super) fn pulled(&self, lab: &Lab) -> u64 {
        self.layers.keys().map(|digest| lab.registry.sent(digest)).sum()
    }

    /// The image of a Deployment: neighbours have different ones.
    pub(super) fn image(&self, deployment: u32) -> Option<&FleetImage> {
        self.images.get(usize::try_from(deployment).ok()? % self.images.len())
    }

    /// Deployments whose image policy allows.
    pub(super) fn allowed(&self, deployments: u32) -> usize {
        (0..deployments).filter(|number| self.image(*number).is_some_and(|image| image.good)).count()
    }

    /// Writes a manifest for each Deployment into a folder.
    pub(super) fn write(&self, folder: &Path, namespace: &str, deployments: u32) -> Result<()> {
        fs::create_dir_all(folder)?;
        for number in 0..deployments {
            let image = self.image(number).context("there is no image")?;
            let name = format!("app-{number:04}");
            let labels = json!({"app": name});
            let spec = json!({"containers": [{"name": "c", "image": image.reference}]});
            let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}});
            fs::write(folder.join(format!("{name}.json")), serde_json::to_vec(&manifest)?)?;
        }
        Ok(())
    }

    /// How long the scans alone take, one after the other, without a cluster.
    pub(super) fn scan_alone(&self, lab: &Lab, programs: &Path) -> Result<Duration> {
        let cache = tempfile::tempdir()?;
        let began = Instant::now();
        for image in &self.images {
            let mut command = Command::new(programs.join("kubectl-scan"));
            command.args(["image", "--local", &image.reference, "--db"]).arg(lab.database());
            command.env("XDG_CACHE_HOME", cache.path()).stdin(Stdio::null());
            let said = command.output().context("kubectl-scan")?;
            if said.status.code() != Some(i32::from(!image.good)) {
                bail!("{}: {}", image.reference, String::from_utf8_lossy(&said.stderr));
            }
        }
        Ok(began.elapsed())
    }
}

/// Packages, and letters of which four bits each are chance: they compress as programs do.
fn base_layer(name: &str, base: u32, mib: u32) -> LayerFixture {
    const LETTERS: &[u8; 16] = b"0123456789abcdef";
    let mut dice = Dice::of(name.len() as u64, base as usize);
    let noise: Vec<u8> = (0..mib << 20).map(|_| LETTERS[dice.below(LETTERS.len())]).collect();
    let packages = packages(&CLEAN);
    let packages: Vec<(&str, &str)> = packages.iter().map(|(name, version)| (name.as_str(), *version)).collect();
    debian(RELEASE, &packages).file(&format!("usr/share/base-{base}"), noise).build(LayerCompression::Gzip)
}

/// Digests and sizes of the layers, as its manifest has them.
fn layers_of(image: &ImageFixture) -> Vec<(String, u64)> {
    let manifest: Value = serde_json::from_slice(&image.root.bytes).unwrap_or_default();
    let layers = manifest["layers"].as_array().into_iter().flatten();
    layers.filter_map(|layer| Some((layer["digest"].as_str()?.to_owned(), layer["size"].as_u64()?))).collect()
}

fn image(base: LayerFixture, name: &str, good: bool) -> ImageFixture {
    let app = LayerBuilder::new().file("app/name", name);
    let image = ImageBuilder::new().stored("ADD rootfs.tar /", base).layer("COPY app /app", app);
    if good {
        return image.build();
    }
    let packages = packages(&VULNERABLE);
    let packages: Vec<(&str, &str)> = packages.iter().map(|(name, version)| (name.as_str(), *version)).collect();
    image.layer("RUN apt-get install openssl", debian(RELEASE, &packages)).build()
}

fn packages(known: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    let others = (0..PACKAGES).map(|number| (format!("package-{number}"), "1.0-1"));
    known.iter().map(|(name, version)| ((*name).to_owned(), *version)).chain(others).collect()
}
