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
