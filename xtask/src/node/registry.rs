//! The node's registry: Debian's docker-registry, without TLS.

use super::network::NODE;
use super::process::{LONGEST_WAIT, Process, until};
use crate::push::{self, Transport};
use anyhow::{Context, Result};
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use tidewaiter_testkit::image::ImageFixture;

const PORT: u16 = 5000;

/// A running registry.
#[derive(Debug)]
pub(crate) struct NodeRegistry {
    process: Process,
}

/// Its host for containerd and for the server in its Pod.
pub(crate) fn host() -> String {
    format!("{NODE}:{PORT}")
}

/// Its host on loopback, where pushing needs no TLS.
pub(crate) fn loopback() -> String {
    format!("127.0.0.1:{PORT}")
}

impl NodeRegistry {
    /// Starts it and waits until it answers.
    pub(crate) fn start(work: &Path) -> Result<Self> {
        let (config, data) = (work.join("registry.yml"), work.join("registry"));
        let text = format!(
            "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: ':{PORT}'}}\n",
            data.display()
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let mut command = Command::new("docker-registry");
        let process = Process::start(command.arg("serve").arg(&config), &work.join("registry.log"))?;
        let mut registry = NodeRegistry { process };
        until("the registry answers", LONGEST_WAIT, || registry.answers())?;
        Ok(registry)
    }

    fn answers(&mut self) -> Result<Option<()>> {
        self.process.still_runs()?;
        Ok(TcpStream::connect((NODE, PORT)).ok().map(drop))
    }

    /// Pushes an image; returns its reference.
    pub(crate) fn push(&self, name: &str, image: &ImageFixture) -> Result<String> {
        push::push(&format!("{}/{name}", host()), image, Transport::PlainHttp)
            .with_context(|| format!("pushing {name}"))?;
        Ok(format!("{}/{name}", host()))
    }
}
