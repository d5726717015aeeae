//! Logins that this machine's user stored: Docker's `config.json` and Podman's `auth.json`, with the credential helpers that
//! they name (docker, "Credential stores"; containers-auth.json(5)).

use super::credentials::Credentials;
use super::helper;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tidewaiter_core::image::Reference;

/// The address under which helpers store logins of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// Why stored logins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoginFileError {
    /// The file cannot be read.
    #[error("{file}: {cause}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It is another kind of file.
    #[error("{file}: not a Docker config.json: {cause}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where it is malformed.
        cause: String,
    },
    /// A helper gives no answer.
    #[error(
        "the credential helper {program}, which {file} names for {registry}, gives no login: {cause}; or name another file with --docker-config"
    )]
    Helper {
        /// The program.
        program: String,
        /// The file that names it.
        file: PathBuf,
        /// Whose login was asked for.
        registry: String,
        /// Why, and what to do.
        cause: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Helpers {
    #[serde(default)]
    creds_store: String,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

impl Helpers {
    /// The helper for a registry, and the address by which it knows it: its own, else that for all; `None` if its logins are in
    /// the file.
    fn of<'a>(&'a self, registry: &'a str) -> Option<(&'a str, &'a str)> {
        // Docker names Docker Hub by an address, Podman by its name; each asks by the name that it wrote.
        let mut names = [registry, server(registry)].into_iter();
        let own = names.find_map(|name| Some((self.cred_helpers.get(name)?.as_str(), name)));
        Some(own.unwrap_or((&self.creds_store, server(registry)))).filter(|(helper, _)| !helper.is_empty())
    }
}

/// The address by which helpers know a registry.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { HUB } else { registry }
}

/// The files that Docker and Podman use, of which any may be missing: `$DOCKER_CONFIG/config.json` (else of `~/.docker`), then
/// `$REGISTRY_AUTH_FILE`, else `auth.json` of the session and of the user.
pub fn usual_files(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let docker = path("DOCKER_CONFIG").or_else(|| Some(home?.join(".docker")));
    let mut files: Vec<PathBuf> = docker.map(|folder| folder.join("config.json")).into_iter().collect();
    match path("REGISTRY_AUTH_FILE") {
        Some(named) => files.push(named),
        None => {
            let config = path("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
            let folders = path("XDG_RUNTIME_DIR").into_iter().chain(config);
            files.extend(folders.map(|folder| folder.join("containers/auth.json")));
        }
    }
    files
}

/// The files of [`usual_files`] in this process's environment that exist.
pub fn existing() -> Vec<PathBuf> {
    let mut files = usual_files(|name| std::env::var_os(name), std::env::home_dir().as_deref());
    files.retain(|file| file.is_file());
    files
}

/// The logins of these files for an image. Runs the helpers that they name for its registry.
///
/// # Errors
/// When a file cannot be read or is of another kind, or a helper gives no answer.
pub fn read(files: &[PathBuf], reference: &Reference) -> Result<Credentials, LoginFileError> {
    let mut all = Credentials::default();
    for file in files {
        let bytes = std::fs::read(file).map_err(|cause| LoginFileError::Unreadable { file: file.clone(), cause })?;
        let malformed = |cause: String| LoginFileError::Malformed { file: file.clone(), cause };
        let stored = Credentials::parse(&bytes).map_err(malformed)?;
        let helpers: Helpers = serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))?;
        let registry = reference.registry();
        if let Some((name, address)) = helpers.of(registry) {
            let failed = |cause| LoginFileError::Helper {
                program: helper::program(name),
                file: file.clone(),
                registry: registry.to_owned(),
                cause,
            };
            if let Some(login) = helper::get(name, address).map_err(failed)? {
                all.add(registry, login);
            }
        }
        all.extend(stored);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_where_docker_and_podman_have_them() {
        let check = |variables: &[(&str, &str)], expected: &[&str]| {
            let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
            let files = usual_files(found, Some(Path::new("/h")));
            let files: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
            assert_eq!(files, expected, "{variables:?}");
        };
        check(&[], &["/h/.docker/config.json", "/h/.config/containers/auth.json"]);
        check(
            &[("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_CONFIG_HOME", "/c")],
            &["/d/config.json", "/r/containers/auth.json", "/c/containers/auth.json"],
        );
        check(
            &[("DOCKER_CONFIG", ""), ("REGISTRY_AUTH_FILE", "/a.json"), ("XDG_RUNTIME_DIR", "/r")],
            &["/h/.docker/config.json", "/a.json"],
        );
    }

    #[test]
    fn a_registry_has_one_helper() {
        let check = |config: &str, registry: &str, expected: Option<(&str, &str)>| {
            let helpers: Helpers = serde_json::from_str(config).unwrap();
            assert_eq!(helpers.of(registry), expected, "{config} {registry}");
        };
        let both = r#"{"credsStore":"all","credHelpers":{"r.example":"one","https://index.docker.io/v1/":"hub","f.example":""}}"#;
        check(both, "r.example", Some(("one", "r.example")));
        check(both, "other.example", Some(("all", "other.example")));
        check(both, "docker.io", Some(("hub", HUB)));
        check(both, "f.example", None);
        check("{}", "r.example", None);
        check(r#"{"credHelpers":{"docker.io":"hub"}}"#, "docker.io", Some(("hub", "docker.io")));
        check(r#"{"credsStore":"all"}"#, "docker.io", Some(("all", HUB)));
    }
}
