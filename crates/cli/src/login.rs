//! How a registry is reached: authorities, plain HTTP, and the logins that Docker stored.

use crate::args::RegistryArgs;
use crate::exit::UsageError;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tidewaiter_core::image::Reference;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::credentials::Credentials;

impl RegistryArgs {
    /// The settings for the registry of a reference.
    pub(crate) fn config(&self, reference: &Reference) -> Result<RegistryConfig> {
        // Files first: a wrong name must not cost a request.
        let ca_pem = self.ca_pem()?;
        let plain_http = if self.plain_http { vec![reference.registry().to_owned()] } else { Vec::new() };
        Ok(RegistryConfig { credentials: self.credentials()?, ca_pem, plain_http, ..RegistryConfig::default() })
    }

    /// The authorities that are trusted in addition to the system's.
    pub(crate) fn ca_pem(&self) -> Result<Vec<Vec<u8>>> {
        self.ca_file.iter().map(|file| read(file)).collect()
    }

    /// Reads the file on the command line, else `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; the last two may
    /// be missing.
    fn credentials(&self) -> Result<Credentials> {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
        let path = match (&self.docker_config, folder.map(|folder| folder.join("config.json"))) {
            (Some(named), _) => named.clone(),
            (None, Some(usual)) if usual.is_file() => usual,
            _ => return Ok(Credentials::default()),
        };
        let parsed = Credentials::parse(&read(&path)?);
        parsed.map_err(|e| UsageError(format!("{}: not a Docker config.json: {e}", path.display())).into())
    }
}

/// Reads a file that the command line names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| UsageError(format!("{}: {e}", path.display())).into())
}
