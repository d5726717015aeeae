//! Releases of Kubernetes whose control plane tests can have.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Names the minor version of Kubernetes that tests have, `1.30`, instead of the newest one.
pub const CHOICE: &str = "TIDEWAITER_E2E_KUBERNETES";

/// The module whose version is that of the control plane.
const MODULE: &str = "k8s.io/kubernetes";

/// The folder of the control plane's sources.
pub fn sources(root: &Path) -> PathBuf {
    root.join("tests/controlplane")
}

/// A minor version of Kubernetes: `1.30`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesMinor(pub u32);

impl fmt::Display for KubernetesMinor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

impl FromStr for KubernetesMinor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = text.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        minor.map(KubernetesMinor).ok_or_else(|| format!("{text:?} is no minor version of Kubernetes like 1.30"))
    }
}

/// A release of Kubernetes whose control plane can be built: the one of `tests/controlplane/go.mod`, or of a `go.mod` in a
/// folder next to it that is named after its minor version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesRelease {
    /// `v1.30.14`
    pub version: String,
    /// The minor version of it.
    pub minor: KubernetesMinor,
    /// Its `go.mod`; `go.sum` is next to it.
    pub modules: PathBuf,
}

impl KubernetesRelease {
    /// The one that the environment chooses, else the newest one.
    ///
    /// # Errors
    /// When the variable names none that can be built, with those that can.
    pub fn chosen(root: &Path) -> Result<Self, String> {
        match std::env::var(CHOICE) {
            Ok(minor) => {
                KubernetesRelease::of(root, minor.parse::<KubernetesMinor>().map_err(|why| format!("{CHOICE}: {why}"))?)
            }
            Err(_) => KubernetesRelease::newest(root),
        }
    }

    /// The one that tests have unless told otherwise.
    ///
    /// # Errors
    /// When `go.mod` names none.
    pub fn newest(root: &Path) -> Result<Self, String> {
        KubernetesRelease::read(sources(root).join("go.mod"))
    }

    /// The one of this minor version.
    ///
    /// # Errors
    /// When there is none, with the folder where its modules belong.
    pub fn of(root: &Path, minor: KubernetesMinor) -> Result<Self, String> {
        let newest = KubernetesRelease::newest(root)?;
        if newest.minor == minor {
            return Ok(newest);
        }
        let modules = sources(root).join(minor.to_string()).join("go.mod");
        if !modules.is_file() {
            let folder = modules.parent().unwrap_or(&modules).display();
            return Err(format!("no control plane of Kubernetes {minor} can be built: {folder} has no go.mod"));
        }
        KubernetesRelease::read(modules)
    }

    fn read(modules: PathBuf) -> Result<Self, String> {
        let text = fs::read_to_string(&modules).map_err(|error| format!("{}: {error}", modules.display()))?;
        let version = required(&text).ok_or_else(|| format!("{} requires no {MODULE}", modules.display()))?;
        Ok(KubernetesRelease { minor: minor_of(version)?, version: version.to_owned(), modules })
    }
}

/// The version of Kubernetes that a `go.mod` requires: `v1.30.14`.
fn required(go_mod: &str) -> Option<&str> {
    go_mod.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [MODULE, version] | ["require", MODULE, version] => Some(version),
        _ => None,
    })
}

/// `v1.30.14` is of 1.30.
pub(crate) fn minor_of(version: &str) -> Result<KubernetesMinor, String> {
    let minor = version.strip_prefix('v').and_then(|numbers| numbers.rsplit_once('.')).map(|(minor, _)| minor);
    minor.ok_or_else(|| format!("{version:?} is no version like v1.30.14"))?.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_versions() {
        let check = |version: &str, expected: Option<u32>| {
            assert_eq!(minor_of(version).ok(), expected.map(KubernetesMinor), "{version}");
        };
        check("v1.30.14", Some(30));
        check("v1.37.2", Some(37));
        check("v1.37.0-rc.1", None);
        check("1.30.14", None);
        check("v1.30", None);
        check("v2.0.0", None);
        assert!(KubernetesMinor(9) < KubernetesMinor(30));
        assert_eq!("1.30".parse(), Ok(KubernetesMinor(30)));
        assert_eq!(KubernetesMinor(30).to_string(), "1.30");
        assert!("30".parse::<KubernetesMinor>().is_err() && "1.x".parse::<KubernetesMinor>().is_err());
    }

    #[test]
    fn the_version_of_a_go_mod() {
        let check = |go_mod: &str, expected: Option<&str>| assert_eq!(required(go_mod), expected, "{go_mod}");
        check("require (\n\tk8s.io/api v0.30.14\n\tk8s.io/kubernetes v1.30.14\n)\n", Some("v1.30.14"));
        check("require k8s.io/kubernetes v1.30.14\n", Some("v1.30.14"));
        check("require k8s.io/kubectl v0.30.14\n", None);
    }

    #[test]
    fn the_folders_are_named_after_what_they_require() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let newest = KubernetesRelease::newest(&root).unwrap();
        assert_eq!(KubernetesRelease::of(&root, newest.minor), Ok(newest.clone()));
        for entry in fs::read_dir(sources(&root)).unwrap().map(Result::unwrap).filter(|e| e.path().is_dir()) {
            let minor = entry.file_name().to_string_lossy().parse().unwrap();
            let release = KubernetesRelease::of(&root, minor).unwrap();
            assert!(release.minor == minor && release.minor < newest.minor, "{release:?}");
        }
        let error = KubernetesRelease::of(&root, KubernetesMinor(1)).unwrap_err();
        assert!(
            error.contains("Kubernetes 1.1 can be built") && error.contains("controlplane/1.1 has no go.mod"),
            "{error}"
        );
    }
}
