//! Scanners of others whose signed scans the administrator trusts (ADR 0030).

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tidewaiter_attestation::VerifyingKey;
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_core::pattern;

/// A key, and the images for which scans that it signed are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TrustedScanner {
    /// The public key, in PEM.
    key: String,
    /// Patterns of repositories: `registry.example/team-a/**`.
    images: Vec<String>,
    /// The largest age of a scan.
    pub(crate) max_age: SignedDuration,
}

impl TrustedScanner {
    /// Reads a list of them, as YAML.
    ///
    /// # Errors
    /// With what is wrong: a mistake must not be a key that is silently not trusted, nor one that is for everything.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let all: Vec<TrustedScanner> = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        for (place, scanner) in all.iter().enumerate() {
            let wrong = |why: &str| format!("scanner {}: {why}", place + 1);
            scanner.verifying_key().map_err(|why| wrong(&format!("key: {why}")))?;
            if scanner.images.is_empty() || scanner.images.iter().any(String::is_empty) {
                return Err(wrong("images: name the repositories that it scans, as registry.example/team-a/**"));
            }
            if let Some(advice) = scanner.images.iter().find_map(|pattern| impossible(pattern)) {
                return Err(wrong(&format!("images: {advice}")));
            }
            if scanner.max_age <= SignedDuration::ZERO {
                return Err(wrong("maxAge: give a duration above zero, as 24h"));
            }
        }
        Ok(all)
    }

    /// The fingerprint of the key.
    pub(crate) fn fingerprint(&self) -> Option<Digest> {
        self.verifying_key().ok().map(|key| key.fingerprint())
    }

    /// The key.
    ///
    /// # Errors
    /// When it is none; not of a list that was read.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey, String> {
        VerifyingKey::from_pem(self.key.as_bytes()).map_err(|error| error.to_string())
    }

    /// Whether it is trusted for an image.
    pub(crate) fn is_for(&self, image: &Reference) -> bool {
        let name = image.name();
        self.images.iter().any(|of| pattern::matches(of, &name))
    }
}

/// What the wildcards of a pattern are tried to stand for: a host, a host with a repository, a port, a component.
const EXAMPLES: [&str; 4] = ["a.b", "a.b/c", "1", "a"];

/// Why a pattern fits no repository, with the line to write: nothing would be trusted by it, and nobody told.
fn impossible(pattern: &str) -> Option<String> {
    if fits_a_repository(pattern) {
        return None;
    }
    let write = match meant(pattern) {
        Some(meant) => format!("write {meant}"),
        None => "write the registry and the repository, as registry.example/team-a/**".to_owned(),
    };
    Some(format!("{pattern:?} fits no repository: it needs the registry, and neither tag nor digest; {write}"))
}

/// Whether there is a repository that it fits, as names have it: with its registry, and without a tag.
fn fits_a_repository(pattern: &str) -> bool {
    let fits = |name: Reference| pattern::matches(pattern, &name.name());
    EXAMPLES.iter().any(|example| example_of(pattern, example).parse().is_ok_and(fits))
}

/// A text that a pattern fits.
fn example_of(pattern: &str, wildcard: &str) -> String {
    pattern.replace("**", wildcard).replace('*', wildcard.split('/').next().unwrap_or_default()).replace('?', "a")
}

/// The pattern that was probably meant: without tag and digest, with the registry that is the default of names.
fn meant(pattern: &str) -> Option<String> {
    let name = pattern.split('@').next().unwrap_or_default();
    let name = match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => name,
    };
    let path = ["index.docker.io/", "docker.io/"].iter().find_map(|host| name.strip_prefix(host)).unwrap_or(name);
    let candidates = [name.to_owned(), format!("docker.io/{path}"), format!("docker.io/library/{path}")];
    candidates.into_iter().find(|candidate| fits_a_repository(candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PUBLIC KEY-----\n    MCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n    -----END PUBLIC KEY-----\n";

    fn file(key: &str, rest: &str) -> String {
        format!("- key: |\n    {key}{rest}")
    }

    #[test]
    fn a_file_says_whom_to_trust_for_what() {
        let check = |text: &str, expected: Result<usize, &str>| match (TrustedScanner::parse_all(text), expected) {
            (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{text}"),
            (Err(said), Err(words)) => assert!(said.contains(words), "{said}"),
            (found, _) => panic!("{text}: {found:?}"),
        };
        let images = "  images: [registry.example/**]\n";
        check(&file(KEY, &format!("{images}  maxAge: 24h\n")), Ok(1));
        check("[]", Ok(0));
        check(&file(KEY, images), Err("maxAge"));
        check(&file(KEY, &format!("{images}  maxAge: 0s\n")), Err("scanner 1: maxAge: give a duration above zero"));
        check(&file(KEY, "  images: []\n  maxAge: 24h\n"), Err("scanner 1: images: name the repositories"));
        check(&file(KEY, "  images: ['']\n  maxAge: 24h\n"), Err("scanner 1: images: name the repositories"));
        check(&file(KEY, "  maxAge: 24h\n"), Err("images"));
        check(&file(KEY, &format!("{images}  maxAge: 24h\n  maxage: 1h\n")), Err("maxage"));
        check(&file("x\n", &format!("{images}  maxAge: 24h\n")), Err("scanner 1: key: "));
    }

    #[test]
    fn a_pattern_that_fits_no_repository_is_refused_with_one_that_does() {
        let check = |pattern: &str, expected: Option<&str>| {
            let said = impossible(pattern);
            assert_eq!(said.is_some(), expected.is_some(), "{pattern}: {said:?}");
            assert!(said.unwrap_or_default().ends_with(expected.unwrap_or_default()), "{pattern}");
        };
        for pattern in [
            "registry.example/team-a/**",
            "registry.example/app",
            "registry.example:5000/app",
            "registry.example:*/app",
            "localhost/app",
            "*.example/**",
            "*/app",
            "**/app",
            "**",
            "a**",
            "registry.example**",
            "reg?stry.example/app-?",
            "docker.io/library/nginx",
            "docker.io/team/*",
        ] {
            check(pattern, None);
        }
        check("nginx", Some("write docker.io/library/nginx"));
        check("nginx:1.27", Some("write docker.io/library/nginx"));
        check("team-a/**", Some("write docker.io/team-a/**"));
        check("docker.io/nginx", Some("write docker.io/library/nginx"));
        check("docker.io/*", Some("write docker.io/library/*"));
        check("index.docker.io/library/nginx", Some("write docker.io/library/nginx"));
        check("*", Some("write docker.io/library/*"));
        check("registry.example/app:v1", Some("write registry.example/app"));
        check("registry.example/**:v1", Some("write registry.example/**"));
        check("registry.example:5000/app:*", Some("write registry.example:5000/app"));
        check(
            "registry.example/app@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            Some("write registry.example/app"),
        );
        check("registry.example/App", Some("as registry.example/team-a/**"));
        check("https://registry.example/app", Some("as registry.example/team-a/**"));
        let file = file(KEY, "  images: [registry.example/**, nginx]\n  maxAge: 24h\n");
        let said = TrustedScanner::parse_all(&file).unwrap_err();
        assert!(said.starts_with("scanner 1: images: \"nginx\" fits no repository"), "{said}");
    }

    #[test]
    fn a_key_is_trusted_for_the_repositories_that_are_named() {
        let trusted = TrustedScanner {
            key: String::new(),
            images: vec!["registry.example/team-a/**".to_owned(), "docker.io/library/nginx".to_owned()],
            max_age: SignedDuration::from_hours(1),
        };
        let check = |image: &str, expected: bool| {
            assert_eq!(trusted.is_for(&image.parse().unwrap()), expected, "{image}");
        };
        check("registry.example/team-a/app:v1", true);
        check("registry.example/team-a/x/app", true);
        check("registry.example/team-ab/app", false);
        check("other.example/team-a/app", false);
        check("nginx:1.27", true);
        check("nginx2:1.27", false);
    }
}
