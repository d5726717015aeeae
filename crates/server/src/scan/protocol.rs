//! What the server and a scan's own process say to each other: one JSON document a line, over a socket.
//!
//! ```text
//! server → worker   ScanJob
//!        ← worker   Resolved: the digests of the reference and of its images, before a layer is read
//!        ← worker   Next      once for each image
//! server → worker   Option<Inventory>: what the store knows of it
//!        ← worker   Finished
//!        ← bridge   Ended: how the process ended
//! ```
//!
//! The worker reads what anybody may have pushed, so that nothing it says is believed beyond its job (`check`). A line that
//! nobody asked for is not sent: neither side buffers more than one document.

use super::credential_providers::ProvidedLogin;
use super::layer_cache::LayerOwner;
use super::signed::ScanSigner;
use crate::memory::{RegistryUser, limited_registry};
use crate::settings::RegistrySettings;
use crate::trusted_scans::TrustedScanner;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::report::{Inventory, Report};
use tidewaiter_scan::ScanError;
use tidewaiter_scan::cache::LayerCounts;
use tidewaiter_scan::source::SourceError;
use tidewaiter_scan::source::registry::credentials::{Credentials, Login};

/// Time limit of a scan: the largest public images need two minutes on a slow line; a registry that sends a byte a second
/// must not occupy a slot for hours.
pub(super) const LIMIT: Duration = Duration::from_secs(15 * 60);
/// Largest output of a worker that is read. That of one image with 10,000 packages has about 20 MiB.
pub(super) const MAX_OUTPUT: u64 = 64 << 20;
/// Largest text of its log; the last line explains an early end.
pub(super) const MAX_LOG: u64 = 64 << 10;

/// A scan to be done.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ScanJob {
    /// The image as the workload names it.
    pub(crate) image: String,
    /// Platforms to scan. A worker gets a job of one (`platforms`).
    pub(crate) platforms: Vec<Platform>,
    /// Pull secrets of the namespace.
    pub(crate) secrets: Vec<PullSecret>,
    /// What credential providers gave for the image; tried after the pull secrets.
    pub(crate) provided: Vec<ProvidedLogin>,
    /// How registries are reached.
    pub(crate) registries: RegistrySettings,
    /// How long the image's registry itself is not asked: its mirrors may have it.
    pub(crate) held: Option<Duration>,
    /// The database file.
    pub(crate) database: PathBuf,
    /// Memory limit of the process, in bytes.
    pub(crate) memory: u64,
    /// Whose cached layers are used; none: the image is read as a whole.
    pub(crate) layers_of: Option<LayerOwner>,
    /// Whose signed scans are taken.
    pub(crate) trusted: Vec<TrustedScanner>,
}

impl ScanJob {
    /// The logins of the scan, in the order in which kubelets try them: of pull secrets, then of credential providers.
    ///
    /// # Errors
    /// When a pull secret is none.
    pub(super) fn credentials(&self, image: &Reference) -> Result<Credentials, ScanFailure> {
        let mut own = Credentials::default();
        for secret in &self.secrets {
            let bytes = secret.document.as_bytes();
            let parsed = if secret.legacy { Credentials::parse_legacy(bytes) } else { Credentials::parse(bytes) };
            own.extend(parsed.map_err(|place| bad_pull_secret(&place))?);
        }
        let mut provided = Credentials::default();
        for ProvidedLogin { user, password } in self.provided.iter().cloned() {
            provided.add(image.registry(), Login::Password { user, password });
        }
        Ok(own.followed_by(provided))
    }

    /// Whose requests its registry counts.
    pub(crate) fn registry_user(&self, namespace: &str) -> RegistryUser {
        let image = self.image.parse::<Reference>().ok();
        let logs_in = |image: &Reference| self.credentials(image).is_ok_and(|all| !all.logins(image).is_empty());
        let namespace = image.as_ref().is_some_and(logs_in).then(|| namespace.to_owned());
        RegistryUser { registry: image.map(|image| limited_registry(image.registry())).unwrap_or_default(), namespace }
    }
}

fn bad_pull_secret(place: &str) -> ScanFailure {
    let next = "create it again with: kubectl create secret docker-registry";
    ScanFailure::new(Reason::BadPullSecret, format!("a pull secret is unreadable: no logins in JSON ({place}); {next}"))
}

/// Document of a pull secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PullSecret {
    /// Whether it is a `.dockercfg` rather than a `config.json`.
    pub(crate) legacy: bool,
    /// Its content.
    pub(crate) document: String,
}

impl std::fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PullSecret").field("legacy", &self.legacy).finish_non_exhaustive()
    }
}

/// What the server reads.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WorkerLine {
    /// What the reference names.
    Resolved(ResolvedImages),
    /// The worker wants the inventory of its next image, if it is known.
    Next,
    /// The end of the scan.
    Finished(ScanResult),
    /// The process ended; written by the bridge.
    Ended {
        /// Its exit status.
        status: String,
        /// The last line of its log.
        last: String,
    },
}

/// What an image reference names, by the verified bytes of indexes, manifests and configs.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvedImages {
    /// Digest that the image reference resolved to.
    pub(crate) digest: Digest,
    /// The requested platforms, and the digests of their manifests.
    pub(crate) images: Vec<(Platform, Digest)>,
    /// Whether the registry itself accepted a login.
    pub(crate) logged_in: bool,
}

/// What the worker says last.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ScanResult {
    /// Every platform was scanned.
    Done(ScanOutput),
    /// None was.
    Failed(ScanFailure),
}

/// Reports of a finished scan.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ScanOutput {
    /// Digest that the image reference resolved to.
    pub(crate) digest: Digest,
    /// Id of the database.
    pub(crate) database: String,
    /// One for each platform.
    pub(crate) results: Vec<PlatformReport>,
    /// What came from the cache of layers, as the worker says.
    pub(crate) layers: LayerCounts,
    /// Whether the registry accepted a login, as the process said before it read a layer. The server notes it.
    #[serde(skip)]
    pub(crate) logged_in: bool,
}

/// Report of one platform.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PlatformReport {
    /// The requested platform; the image's own may be a variant of it.
    pub(crate) platform: Platform,
    /// The inventory, when the store did not know it and the image was read.
    pub(crate) inventory: Option<Inventory>,
    /// Whose scan it is, when the image was not read. Its inventory is not stored: it would be believed of the same image in
    /// repositories for which the key is not trusted.
    pub(crate) signer: Option<ScanSigner>,
    /// The inventory matched with the database.
    pub(crate) report: Report,
}

/// Why a scan has no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScanFailure {
    /// Stable cause, one CamelCase word.
    pub(crate) reason: Reason,
    /// What happened, and what to do next.
    pub(crate) message: String,
    /// The pause that the registry asks for.
    pub(crate) retry_after: Option<Duration>,
    /// Whether a registry's limit was that of an account.
    pub(crate) logged_in: bool,
    /// Whether the process ended before it read a layer, and so before its image could make anything of it. The server notes it.
    #[serde(skip)]
    pub(crate) before_layers: bool,
}

impl ScanFailure {
    /// A failure by its reason.
    pub(crate) fn new(reason: Reason, message: impl ToString) -> Self {
        ScanFailure { reason, message: message.to_string(), retry_after: None, logged_in: false, before_layers: false }
    }
}

impl From<ScanError> for ScanFailure {
    fn from(error: ScanError) -> Self {
        let (retry_after, logged_in) = (error.retry_after(), error.logged_in());
        ScanFailure { retry_after, logged_in, ..ScanFailure::new(error.reason(), error) }
    }
}

impl From<SourceError> for ScanFailure {
    fn from(error: SourceError) -> Self {
        let (retry_after, logged_in) = (error.retry_after(), error.logged_in());
        ScanFailure { retry_after, logged_in, ..ScanFailure::new(error.reason(), error) }
    }
}

impl From<tidewaiter_db::DatabaseError> for ScanFailure {
    fn from(error: tidewaiter_db::DatabaseError) -> Self {
        ScanFailure::new(error.reason(), error)
    }
}

#[cfg(test)]
impl ScanJob {
    /// A job without a database.
    pub(crate) fn for_tests(image: &str) -> Self {
        ScanJob {
            image: image.to_owned(),
            platforms: vec![Platform::new("linux", "amd64")],
            secrets: vec![],
            provided: vec![],
            registries: RegistrySettings::default(),
            held: None,
            database: PathBuf::from("/does/not/exist"),
            memory: 512 << 20,
            layers_of: None,
            trusted: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_logins_for_an_image_has_limits_of_their_own() {
        let secret = r#"{"auths":{"r.example/team":{"username":"u","password":"p"}}}"#.to_owned();
        let provided = ProvidedLogin { user: "node".into(), password: "p".into() };
        let check = |image: &str, secrets: &[&String], provided: &[ProvidedLogin], expected: (&str, Option<&str>)| {
            let secrets = secrets.iter().map(|text| PullSecret { legacy: false, document: (*text).clone() }).collect();
            let job = ScanJob { secrets, provided: provided.to_vec(), ..ScanJob::for_tests(image) };
            let found = job.registry_user("team");
            assert_eq!((found.registry.as_str(), found.namespace.as_deref()), expected, "{image}");
        };
        check("r.example/team/app", &[], &[], ("r.example", None));
        check("r.example/team/app", &[&secret], &[], ("r.example", Some("team")));
        check("r.example/other", &[&secret], &[], ("r.example", None));
        check("nginx", &[&secret], &[], ("docker.io", None));
        check("nginx", &[], std::slice::from_ref(&provided), ("docker.io", Some("team")));
        check("R.EXAMPLE:443/team/app", &[], &[], ("r.example", None));
        check("registry-1.docker.io/library/nginx", &[], &[], ("docker.io", None));
        check("no reference", &[&secret], &[], ("", None));
        check("r.example/team/app", &[&"no JSON".to_owned()], &[], ("r.example", None));
    }

    #[test]
    fn a_pull_secret_that_is_none_is_not_quoted() {
        let secrets = vec![PullSecret { legacy: false, document: r#"{"auths": "hunter2"}"#.to_owned() }];
        let job = ScanJob { secrets, ..ScanJob::for_tests("r.example/app") };
        let failure = job.credentials(&job.image.parse().unwrap()).unwrap_err();
        assert_eq!(failure.reason, Reason::BadPullSecret);
        let said = failure.message;
        assert!(said.contains("line 1, column 19") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn pull_secrets_come_before_what_providers_give() {
        let secret = r#"{"auths":{"*.example":{"username":"u","password":"p"}}}"#.to_owned();
        let provided = vec![ProvidedLogin { user: "node".into(), password: "p".into() }];
        let secrets = vec![PullSecret { legacy: false, document: secret }];
        let job = ScanJob { secrets, provided, ..ScanJob::for_tests("r.example/v1/app") };
        let image = job.image.parse().unwrap();
        let all = job.credentials(&image).unwrap();
        assert_eq!(format!("{:?}", all.logins(&image)), "[Login(u, …), Login(node, …)]");
    }
}
