//! Hosts that stand in for a registry, in containerd's form (containerd, `docs/hosts.md`): `DIR/HOST_PORT_/hosts.toml`, or
//! `DIR/_default/hosts.toml` for all registries without a folder of their own.

mod file;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder for all other registries.
const DEFAULT: &str = "_default";
/// The file in each folder.
const FILE: &str = "hosts.toml";

/// One host that is asked for what a registry has.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryHost {
    /// Where its API begins (`https://mirror.example/v2`); none: the registry's own address.
    pub(super) root: Option<String>,
    /// Whether it is asked for what is named by digest.
    pub(super) pull: bool,
    /// Whether it is asked what a tag names.
    pub(super) resolve: bool,
    /// PEM documents of its authorities, trusted in addition to the system's.
    pub(super) ca_pem: Vec<String>,
    /// PEM documents of certificates and key with which clients present themselves.
    pub(super) client: Option<(String, String)>,
    /// Headers of requests to it, and to no other host.
    pub(super) headers: Vec<(String, String)>,
}

/// Without keys and the values of headers.
impl std::fmt::Debug for RegistryHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let certificates = (self.ca_pem.len(), self.client.is_some());
        write!(f, "RegistryHost({:?}, {} {}, {certificates:?}, {headers:?})", self.root, self.pull, self.resolve)
    }
}

/// The hosts of all registries that a folder configures; by default none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryHosts {
    /// Registry → hosts, in the order in which they are asked; the last is the server. None: its own address alone.
    named: BTreeMap<String, Vec<RegistryHost>>,
    /// Those of all other registries.
    default: Option<Vec<RegistryHost>>,
}

/// A folder of hosts that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    /// A file or folder cannot be read.
    #[error("{path}: {cause}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file says something else than hosts, or something that is not supported.
    #[error("{path}: {cause}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to write.
        cause: String,
    },
}

impl HostsError {
    /// The file or folder that cannot be used.
    pub fn path(&self) -> &Path {
        match self {
            HostsError::Unreadable { path, .. } | HostsError::Malformed { path, .. } => path,
        }
    }
}

impl RegistryHosts {
    /// One registry at the address that the administrator named (`https://host[:port]/v2`): it is asked there alone, by that scheme,
    /// and the address may be an inner one.
    pub fn at(registry: &str, root: &str) -> Self {
        let host = RegistryHost {
            root: Some(root.to_owned()),
            pull: true,
            resolve: true,
            ca_pem: Vec::new(),
            client: None,
            headers: Vec::new(),
        };
        RegistryHosts { named: [(registry.to_owned(), vec![host])].into(), default: None }
    }

    /// Reads a folder, with the certificates that its files name.
    ///
    /// # Errors
    /// When a file cannot be read or understood. Containerd goes on without it; a scan must not ask another host than nodes do.
    pub fn read(dir: &Path) -> Result<Self, HostsError> {
        let mut all = RegistryHosts::default();
        let unreadable = |cause| HostsError::Unreadable { path: dir.to_owned(), cause };
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // A mounted ConfigMap has folders of its own (`..data`), and a name that is no text is no host.
            let Some(name) = entry.file_name().to_str().filter(|name| !name.starts_with('.')).map(str::to_owned) else {
                continue;
            };
            let Some(hosts) = read_one(&entry.path())? else { continue };
            match registry_of(&name) {
                _ if name == DEFAULT => all.default = Some(hosts),
                // The form with underscores is the one that containerd looks for first.
                Some(registry) => drop(all.named.insert(registry, hosts)),
                None => drop(all.named.entry(name).or_insert(hosts)),
            }
        }
        Ok(all)
    }

    /// Reads what the folder has for one registry: a mistake in another one's file, and what that one has to hide, is not its matter.
    ///
    /// # Errors
    /// When the folder, or the file for this registry, cannot be read or understood.
    pub fn read_for(dir: &Path, registry: &str) -> Result<Self, HostsError> {
        fs::metadata(dir).map_err(|cause| HostsError::Unreadable { path: dir.to_owned(), cause })?;
        for folder in folders_of(registry) {
            if let Some(hosts) = read_one(&dir.join(folder))? {
                return Ok(RegistryHosts { named: [(registry.to_owned(), hosts)].into(), default: None });
            }
        }
        Ok(RegistryHosts { named: BTreeMap::new(), default: read_one(&dir.join(DEFAULT))? })
    }

    /// The hosts of a registry; none: its own address alone.
    pub(super) fn of(&self, registry: &str) -> Option<&[RegistryHost]> {
        let hosts = self.named.get(registry).or(self.default.as_ref())?;
        Some(hosts.as_slice()).filter(|hosts| !hosts.is_empty())
    }

    /// Whether others than one host are asked for what a registry has.
    pub fn has_mirrors(&self, registry: &str) -> bool {
        self.of(registry).is_some_and(|hosts| hosts.len() > 1)
    }
}

/// The folders of a registry of its own, in the order in which containerd looks for them.
fn folders_of(registry: &str) -> Vec<String> {
    // No path, and none of a mounted ConfigMap's own folders.
    if registry.is_empty() || registry.starts_with('.') || registry.contains('/') {
        return Vec::new();
    }
    let underscored = registry.rsplit_once(':').map(|(host, port)| format!("{host}_{port}_"));
    underscored.filter(|name| registry_of(name).is_some()).into_iter().chain([registry.to_owned()]).collect()
}

/// The registry of a folder `host_port_`.
fn registry_of(folder: &str) -> Option<String> {
    let (host, port) = folder.strip_suffix('_')?.rsplit_once('_')?;
    let is_port = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
    (is_port && !host.is_empty()).then(|| format!("{host}:{port}"))
}

/// The hosts of a folder; `None` where there is no folder.
fn read_one(folder: &Path) -> Result<Option<Vec<RegistryHost>>, HostsError> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        // A folder may hold certificates alone (Docker's form), which `--registry-ca` or `--ca-file` name here. Containerd takes it
        // all the same, and looks for no other: no host stands in for this registry.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(folder.is_dir().then(Vec::new)),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(cause) => return Err(HostsError::Unreadable { path, cause }),
    };
    file::parse(&text, folder).map(Some).map_err(|cause| HostsError::Malformed { path, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_registry_is_asked_at_its_address_alone() {
        let hosts = RegistryHosts::at("core:8080", "http://core:8080/v2");
        let roots = |registry: &str| {
            hosts.of(registry).map(|all| all.iter().map(|host| host.root.clone().unwrap()).collect::<Vec<_>>())
        };
        assert_eq!(roots("core:8080"), Some(vec!["http://core:8080/v2".to_owned()]));
        assert_eq!(roots("r.example"), None);
        assert!(!hosts.has_mirrors("core:8080"));
    }

    #[test]
    fn folders_are_registries() {
        let check =
            |folder: &str, expected: Option<&str>| assert_eq!(registry_of(folder).as_deref(), expected, "{folder}");
        check("r.example_5000_", Some("r.example:5000"));
        check("[::1]_5000_", Some("[::1]:5000"));
        check("a_b_5000_", Some("a_b:5000"));
        check("r.example", None);
        check("r.example:5000", None);
        check("_5000_", None);
        check("r.example__", None);
        check("_default", None);
    }

    #[test]
    fn a_registry_has_its_own_hosts_or_those_of_all() {
        let dir = tempfile::tempdir().unwrap();
        let write = |folder: &str, mirror: &str| {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join(FILE), format!("[host.\"https://{mirror}\"]\n")).unwrap();
        };
        write("r.example", "one.example");
        write("r.example:5000", "two.example");
        write("r.example_5000_", "three.example");
        write("..data", "no.example");
        fs::create_dir(dir.path().join("empty.example")).unwrap();
        fs::write(dir.path().join("README"), "text").unwrap();
        fs::create_dir(dir.path().join("empty.example_5000_")).unwrap();
        write("empty.example:5000", "no.example");
        let check = |registry: &str, expected: Option<&str>| {
            let all = RegistryHosts::read(dir.path()).unwrap();
            let root = |hosts: &RegistryHosts| hosts.of(registry).map(|hosts| hosts[0].root.clone().unwrap());
            assert_eq!(root(&all), expected.map(|host| format!("https://{host}/v2")), "{registry}");
            assert_eq!(root(&all), root(&RegistryHosts::read_for(dir.path(), registry).unwrap()), "{registry}");
            assert_eq!(all.has_mirrors(registry), expected.is_some());
        };
        check("r.example", Some("one.example"));
        check("r.example:5000", Some("three.example"));
        check("empty.example", None);
        check("other.example", None);
        write(DEFAULT, "all.example");
        check("other.example", Some("all.example"));
        check("README", Some("all.example"));
        check("", Some("all.example"));
        check("..data", Some("all.example"));
        check("../r.example", Some("all.example"));
        check("r.example", Some("one.example"));
        // As with containerd, the first folder that exists is the one, whatever is in it.
        check("empty.example", None);
        check("empty.example:5000", None);
    }

    #[test]
    fn of_one_registry_its_own_folder_alone_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |folder: &str, text: &str| {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join(FILE), text).unwrap();
        };
        write("r.example", "[host.\"https://m.example\"]");
        write("broken.example", "host = 1");
        write(DEFAULT, "[host.\"https://all.example\"]\nheader = {x = \"of-all\"}");
        let sent =
            |registry: &str| serde_json::to_string(&RegistryHosts::read_for(dir.path(), registry).unwrap()).unwrap();
        assert!(sent("r.example").contains("m.example") && !sent("r.example").contains("of-all"));
        assert!(sent("other.example").contains("of-all"));
        let said = RegistryHosts::read_for(dir.path(), "broken.example").unwrap_err();
        assert_eq!(said.path(), dir.path().join("broken.example/hosts.toml"));
        assert!(RegistryHosts::read(dir.path()).is_err());
        write(DEFAULT, "host = 1");
        assert!(RegistryHosts::read_for(dir.path(), "other.example").is_err());
        assert!(RegistryHosts::read_for(dir.path(), "r.example").is_ok());
        assert!(RegistryHosts::read_for(&dir.path().join("none"), "r.example").is_err());
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let said = RegistryHosts::read(&dir.path().join("none")).unwrap_err().to_string();
        assert!(said.contains("none: No such file"), "{said}");
        fs::create_dir(dir.path().join("r.example")).unwrap();
        fs::write(dir.path().join("r.example/hosts.toml"), "server = 1").unwrap();
        let said = RegistryHosts::read(dir.path()).unwrap_err().to_string();
        assert!(said.contains("r.example/hosts.toml: "), "{said}");
    }
}
