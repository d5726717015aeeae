//! The mirrors of a scan's registry: read here, since workers read no files, and for each scan, since people change them.

use super::protocol::ScanFailure;
use crate::settings::RegistrySettings;
use tidewaiter_core::Reason;
use tidewaiter_scan::source::registry::hosts::{HostsError, RegistryHosts};

/// The settings of a scan whose image is of this registry.
///
/// # Errors
/// When what the folder of mirrors has for this registry cannot be used.
pub(crate) async fn settings_for(settings: &RegistrySettings, registry: &str) -> Result<RegistrySettings, ScanFailure> {
    let Some(dir) = settings.config_dir.clone() else { return Ok(settings.clone()) };
    let name = registry.to_owned();
    let read = tokio::task::spawn_blocking(move || RegistryHosts::read_for(&dir, &name)).await;
    let hosts = read.map_err(|e| ScanFailure::new(Reason::Internal, e))?.map_err(unusable)?;
    Ok(RegistrySettings { hosts, ..settings.clone() })
}

/// Tenants read the status: they learn which file it is, and the administrator's log what is wrong with it, which may quote a login.
fn unusable(error: HostsError) -> ScanFailure {
    tracing::error!("the mirrors of a registry cannot be used: {error}");
    let path = error.path().display();
    let next = "see the server's log and correct the file; the scan is tried again by itself";
    ScanFailure::new(Reason::BadNetworkSettings, format!("{path} cannot be used; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn a_job_has_the_mirrors_of_its_registry() {
        let dir = tempfile::tempdir().unwrap();
        let write = |registry: &str, text: &str| {
            fs::create_dir_all(dir.path().join(registry)).unwrap();
            fs::write(dir.path().join(registry).join("hosts.toml"), text).unwrap();
        };
        write("a.example", "[host.\"https://m.example\"]");
        write("b.example", "[host.\"https://secret.example\"]");
        let settings = RegistrySettings { config_dir: Some(dir.path().to_owned()), ..RegistrySettings::default() };
        let found = settings_for(&settings, "a.example").await.unwrap();
        let sent = serde_json::to_string(&found).unwrap();
        assert!(sent.contains("https://m.example/v2") && !sent.contains("secret"), "{sent}");
        // What is in place later counts.
        write("a.example", "[host.\"https://new.example\"]");
        let found = settings_for(&settings, "a.example").await.unwrap();
        assert!(serde_json::to_string(&found).unwrap().contains("https://new.example/v2"));
        // A mistake is one for the scans that need the file, and tenants do not read its lines.
        write("c.example", "[host.\"https://m.example\"]\nheader = \"Bearer secret\"");
        assert!(settings_for(&settings, "a.example").await.is_ok());
        let failure = settings_for(&settings, "c.example").await.unwrap_err();
        assert_eq!(failure.reason, Reason::BadNetworkSettings);
        let said = failure.message;
        assert!(said.contains("c.example/hosts.toml cannot be used; see the server's log"), "{said}");
        assert!(!said.contains("secret"), "{said}");
        assert!(settings_for(&RegistrySettings::default(), "a.example").await.is_ok());
    }
}
