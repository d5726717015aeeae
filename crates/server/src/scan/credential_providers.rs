//! Credential providers, by which clouds let kubelets into their registries (Kubernetes, "Configure a kubelet image credential
//! provider"): programs that the administrator names. They are run here, not by the workers, which start no program; a
//! worker gets the logins for its image alone.

mod cache;
mod config;
mod plugin;

use cache::{Answered, LoginCache};
use config::ProviderConfig;
use parking_lot::Mutex;
use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tidewaiter_core::Reason;
use tidewaiter_core::image::Reference;
use tidewaiter_scan::source::registry::credentials::{Credentials, Login};

use super::protocol::ScanFailure;

/// The providers of the server; by default none.
#[derive(Debug, Default)]
pub(crate) struct CredentialProviders {
    folder: PathBuf,
    providers: Vec<(ProviderConfig, Mutex<LoginCache>)>,
}

/// A login that a provider gave for an image.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProvidedLogin {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Without the password.
impl std::fmt::Debug for ProvidedLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ProvidedLogin({}, …)", self.user)
    }
}

/// What the providers have for an image.
#[derive(Debug, Default)]
pub(crate) struct ProvidedLogins {
    /// In the order in which kubelets try them.
    pub(crate) logins: Vec<ProvidedLogin>,
    /// Those that gave none, each with its cause.
    failures: Vec<String>,
}

impl CredentialProviders {
    /// Reads the configuration, and looks for the programs that it names.
    ///
    /// # Errors
    /// With the file and what is wrong with it, or the program that is missing.
    pub(crate) fn open(file: &Path, folder: &Path) -> Result<Self, String> {
        let named = |why: String| format!("{}: {why}", file.display());
        if file.is_dir() {
            // Kubelets read all files of one, in the order of their names.
            return Err(named("it is a folder; name one file, with the providers of all of them in it".to_owned()));
        }
        let text = std::fs::read_to_string(file).map_err(|e| named(e.to_string()))?;
        let all = ProviderConfig::parse_all(&text).map_err(named)?;
        for provider in &all {
            let program = folder.join(&provider.name);
            access(&program, Access::EXEC_OK).map_err(|error| {
                let (name, path) = (&provider.name, program.display());
                named(format!("provider {name:?}: {path} cannot be run ({error}); put the program there"))
            })?;
        }
        let providers = all.into_iter().map(|provider| (provider, Mutex::default())).collect();
        Ok(CredentialProviders { folder: folder.to_owned(), providers })
    }

    /// The logins for an image: asked for, or still known.
    pub(crate) async fn logins(&self, image: &str) -> ProvidedLogins {
        let Ok(image) = image.parse::<Reference>() else { return ProvidedLogins::default() };
        let (mut given, mut failures) = (Credentials::default(), Vec::new());
        for (provider, cache) in self.providers.iter().filter(|(provider, _)| provider.is_for(&image)) {
            match self.answer(provider, cache, &image).await {
                Ok(answer) => answer.logins.into_iter().for_each(|(key, user, password)| {
                    given.add(&key, Login::Password { user, password });
                }),
                Err(why) => failures.push(format!("the credential provider {} gives no login: {why}", provider.name)),
            }
        }
        let logins = given.logins(&image).into_iter().filter_map(provided).collect();
        ProvidedLogins { logins, failures }
    }

    async fn answer(&self, provider: &ProviderConfig, cache: &Mutex<LoginCache>, image: &Reference) -> Answered {
        if let Some(known) = cache.lock().get(image, Instant::now()) {
            return known;
        }
        // Not one at a time: as many run as there are scans, each in a slot of its namespace.
        let answered = plugin::ask(&self.folder, provider, image).await;
        cache.lock().note(image, &answered, provider.cached_for, Instant::now());
        answered
    }
}

fn provided(login: &Login) -> Option<ProvidedLogin> {
    match login {
        Login::Password { user, password } => Some(ProvidedLogin { user: user.clone(), password: password.clone() }),
        // Providers give none.
        Login::IdentityToken(_) | Login::RegistryToken(_) => None,
    }
}

impl ProvidedLogins {
    /// A scan's failure with what the providers have to do with it. As for kubelets, one that fails matters only where nothing
    /// else lets in.
    pub(crate) fn explain(&self, failure: ScanFailure) -> ScanFailure {
        if failure.reason != Reason::Unauthorized || self.failures.is_empty() {
            return failure;
        }
        let next = "see the server's log; the scan is tried again by itself";
        let message = format!("{}; {next} ({})", self.failures.join("; "), failure.message);
        ScanFailure { reason: Reason::CredentialProviderFailed, message, ..failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// A folder with these plugins (name, script), and `config.yaml` that names them for `matching`.
    fn providers(matching: &str, plugins: &[(&str, String)]) -> (tempfile::TempDir, CredentialProviders) {
        let dir = tempfile::tempdir().unwrap();
        let mut config =
            "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n".to_owned();
        for (name, script) in plugins {
            let path = dir.path().join(name);
            fs::write(
                &path,
                format!("#!/bin/sh\nPATH=/usr/bin:/bin\necho $0 >> {}/runs\n{script}\n", dir.path().display()),
            )
            .unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            config.push_str(&format!(
                "- name: {name}\n  matchImages: ['{matching}']\n  defaultCacheDuration: 1m\n  apiVersion: credentialprovider.kubelet.k8s.io/v1\n"
            ));
        }
        let file = dir.path().join("config.yaml");
        fs::write(&file, config).unwrap();
        let found = CredentialProviders::open(&file, dir.path()).unwrap();
        (dir, found)
    }

    /// A script that answers with these logins (key, user).
    fn gives(logins: &[(&str, &str)]) -> String {
        let auth: Vec<String> =
            logins.iter().map(|(key, user)| format!(r#""{key}":{{"username":"{user}","password":"p"}}"#)).collect();
        format!(
            r#"echo '{{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry","auth":{{{}}}}}'"#,
            auth.join(",")
        )
    }

    #[tokio::test]
    async fn logins_come_in_the_order_of_kubelets_and_for_the_image_alone() {
        let one = gives(&[("r.example", "a"), ("r.example/team", "b"), ("other.example", "c")]);
        let two = gives(&[("r.example", "d"), ("*.example", "e")]);
        let (dir, found) = providers("r.example", &[("one", one), ("two", two)]);
        let check = async |image: &str, users: &[&str], runs: usize| {
            let given = found.logins(image).await;
            let names: Vec<&str> = given.logins.iter().map(|login| login.user.as_str()).collect();
            assert_eq!((names.as_slice(), given.failures.len()), (users, 0), "{image}");
            let ran = fs::read_to_string(dir.path().join("runs")).unwrap_or_default();
            assert_eq!(ran.lines().count(), runs, "{image}: {ran}");
        };
        check("elsewhere.example/app", &[], 0).await;
        check("no reference", &[], 0).await;
        check("r.example/team/app:1", &["b", "a", "d", "e"], 2).await;
        // Known by registry.
        check("r.example/app:2", &["a", "d", "e"], 2).await;
    }

    #[tokio::test]
    async fn a_provider_that_fails_matters_where_nothing_else_lets_in() {
        let plugins = [("broken", "exit 1".to_owned()), ("good", gives(&[("r.example", "a")]))];
        let (dir, found) = providers("r.example", &plugins);
        let given = found.logins("r.example/app").await;
        assert_eq!(given.logins.len(), 1);
        let check = |given: &ProvidedLogins, reason: Reason, expected: Reason, words: &str| {
            let said = given.explain(ScanFailure::new(reason, "the registry says no"));
            assert_eq!(said.reason, expected);
            assert!(said.message.contains(words), "{}", said.message);
        };
        check(&given, Reason::RegistryUnreachable, Reason::RegistryUnreachable, "the registry says no");
        let words = "the credential provider broken gives no login: it fails (exit status: 1); see the server's log";
        check(&given, Reason::Unauthorized, Reason::CredentialProviderFailed, words);
        check(&ProvidedLogins::default(), Reason::Unauthorized, Reason::Unauthorized, "the registry says no");
        // It is not asked again at once.
        let runs = || fs::read_to_string(dir.path().join("runs")).unwrap().lines().count();
        found.logins("r.example/app:2").await;
        assert_eq!(runs(), 2);
        // About another image it is: this one may have been made so that it fails.
        found.logins("r.example/other").await;
        assert_eq!(runs(), 3);
    }

    #[test]
    fn what_cannot_be_run_is_said_at_the_start() {
        let (dir, _) = providers("r.example", &[("plugin", String::new())]);
        let file = dir.path().join("config.yaml");
        let check = |words: &str| {
            let said = CredentialProviders::open(&file, dir.path()).unwrap_err();
            assert!(said.contains(words) && said.contains("config.yaml"), "{said}");
        };
        fs::set_permissions(dir.path().join("plugin"), fs::Permissions::from_mode(0o644)).unwrap();
        check("plugin cannot be run (Permission denied");
        fs::remove_file(dir.path().join("plugin")).unwrap();
        check("plugin cannot be run (No such file");
        fs::write(&file, "kind: Pod\napiVersion: v1\n").unwrap();
        check("it is a Pod");
        fs::remove_file(&file).unwrap();
        check("No such file");
        fs::create_dir(&file).unwrap();
        check("it is a folder; name one file");
    }
}
