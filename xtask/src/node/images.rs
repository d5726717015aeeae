//! RunnableImages that run: those of the demo, with a static busybox in them.

use anyhow::{Context, Result};
use std::fs;
use tidewaiter_testkit::cluster::which;
use tidewaiter_testkit::demo::{CLEAN, RELEASE, VULNERABLE};
use tidewaiter_testkit::image::{ImageBuilder, ImageFixture};
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::packages::debian;
use tidewaiter_testkit::program_image::architecture;

const BUSYBOX: &str = "bin/busybox";
/// Waits for SIGTERM, with a handler: process 1 of a container ignores signals that it has no handler for.
const WAIT: &str = "trap 'exit 0' TERM; /bin/busybox sleep 1000000 & wait";

/// Makes images for this machine.
#[derive(Debug)]
pub(crate) struct RunnableImages {
    busybox: Vec<u8>,
    architecture: &'static str,
}

impl RunnableImages {
    /// With this machine's busybox.
    pub(crate) fn new() -> Result<Self> {
        let path = which("busybox").context("busybox is not on PATH; install busybox-static")?;
        let busybox = fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(RunnableImages { busybox, architecture: architecture()? })
    }

    /// An image without vulnerabilities; each name has another digest.
    pub(crate) fn clean(&self, name: &str) -> ImageFixture {
        self.with(&CLEAN, name)
    }

    /// An image with three critical vulnerabilities; each name has another digest.
    pub(crate) fn vulnerable(&self, name: &str) -> ImageFixture {
        self.with(&VULNERABLE, name)
    }

    /// The image of the container that keeps a Pod's namespaces.
    pub(crate) fn pause(&self) -> ImageFixture {
        self.waiting().layer("COPY busybox", LayerBuilder::new().executable(BUSYBOX, &self.busybox)).build()
    }

    fn with(&self, packages: &[(&str, &str)], name: &str) -> ImageFixture {
        // busybox belongs to a package, as in a real image: a program without one would be a gap.
        let all = [packages, &[("busybox-static", "1:1.35.0-4")]].concat();
        let system = debian(RELEASE, &all)
            .file("var/lib/dpkg/info/busybox-static.list", format!("/.\n/bin\n/{BUSYBOX}\n"))
            .executable(BUSYBOX, &self.busybox);
        let app = LayerBuilder::new().file("app/name", name);
        self.waiting().layer("ADD rootfs.tar /", system).layer("COPY app /app", app).build()
    }

    fn waiting(&self) -> ImageBuilder {
        ImageBuilder::new().architecture(self.architecture).entrypoint(&["/bin/busybox", "sh", "-c", WAIT])
    }
}
