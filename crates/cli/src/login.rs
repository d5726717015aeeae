//! How a registry is reached: authorities, plain HTTP, and the logins that Docker and Podman stored.

use crate::args::{OwnRegistryArgs, RegistryArgs};
use crate::exit::UsageError;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tidewaiter_core::image::Reference;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::credentials::Credentials;
use tidewaiter_scan::source::registry::hosts::RegistryHosts;
use tidewaiter_scan::source::registry::login_files;

impl RegistryArgs {
    /// The settings for the registry of a reference, with its mirrors.
    pub(crate) fn config(&self, reference: &Reference) -> Result<RegistryConfig> {
        Ok(RegistryConfig { hosts: self.hosts(reference.registry())?, ..self.own.config(reference)? })
    }

    /// The authorities that are trusted in addition to the system's.
    pub(crate) fn ca_pem(&self) -> Result<Vec<Vec<u8>>> {
        self.own.ca_pem()
    }

    /// The mirrors that the folder on the command line has for a registry. Those of this machine's containerd are not looked for: what a scan says should
    /// not depend on where it runs.
    fn hosts(&self, registry: &str) -> Result<RegistryHosts> {
        let read =
            |dir: &PathBuf| RegistryHosts::read_for(dir, registry).map_err(|error| UsageError(error.to_string()));
        Ok(self.registry_config_dir.as_ref().map(read).transpose()?.unwrap_or_default())
    }
}

impl OwnRegistryArgs {
    /// The settings for the registry of a reference itself.
    pub(crate) fn config(&self, reference: &Reference) -> Result<RegistryConfig> {
        // Files first: a wrong name must not cost a request.
        let ca_pem = self.ca_pem()?;
        let plain_http = if self.plain_http { vec![reference.registry().to_owned()] } else { Vec::new() };
        Ok(RegistryConfig {
            credentials: self.credentials(reference)?,
            ca_pem,
            plain_http,
            ..RegistryConfig::default()
        })
    }

    /// The authorities that are trusted in addition to the system's.
    pub(crate) fn ca_pem(&self) -> Result<Vec<Vec<u8>>> {
        self.ca_file.iter().map(|file| read(file)).collect()
    }

    /// The logins of the file on the command line, else of those that Docker and Podman stored.
    fn credentials(&self, reference: &Reference) -> Result<Credentials> {
        let files = self.docker_config.clone().map_or_else(login_files::existing, |named| vec![named]);
        Ok(login_files::read(&files, reference).map_err(|error| UsageError(error.to_string()))?)
    }
}

/// Reads a file that the command line names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| UsageError(format!("{}: {e}", path.display())).into())
}
