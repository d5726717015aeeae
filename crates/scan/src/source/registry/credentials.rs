//! Credentials from Docker's `config.json`: sent to the host (and path) they were stored for, and to no other.

use base64::Engine as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::image::Reference;

/// Credentials by the key they were stored under.
#[derive(Clone, Default)]
pub struct Credentials {
    entries: Vec<(String, Login)>,
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password or token.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, …)", self.user)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|(key, _)| key)).finish()
    }
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    /// Reads the `auths` of a `config.json`.
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: DockerConfig = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        Ok(Self::of(config.auths))
    }

    /// Reads a `.dockercfg`: the `auths` of a `config.json` without the rest.
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse_legacy(bytes: &[u8]) -> Result<Self, String> {
        let auths: BTreeMap<String, Auth> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        Ok(Self::of(auths))
    }

    fn of(auths: BTreeMap<String, Auth>) -> Self {
        let entries = auths.into_iter().filter_map(|(key, auth)| Some((normalize(&key), login(auth)?)));
        Credentials { entries: entries.collect() }
    }

    /// Adds others; of two with the same key the earlier one counts.
    pub fn extend(&mut self, others: Credentials) {
        for (key, login) in others.entries {
            if self.entries.iter().all(|(known, _)| *known != key) {
                self.entries.push((key, login));
            }
        }
    }

    /// The login for an image: of its longest matching path, at whole path components.
    pub fn login(&self, reference: &Reference) -> Option<&Login> {
        let name = format!("{}/{}", reference.registry(), reference.repository());
        let holds = |key: &str| name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // As the kubelet chooses: the most specific entry.
        self.entries.iter().filter(|(key, _)| holds(key)).max_by_key(|(key, _)| key.len()).map(|(_, login)| login)
    }
}

/// `https://index.docker.io/v1/` and its kin are Docker Hub; schemes and trailing slashes do not count.
fn normalize(key: &str) -> String {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let key = key.trim_end_matches('/').trim_end_matches("/v1").trim_end_matches("/v2");
    match key {
        "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => "docker.io".to_owned(),
        key => key.to_owned(),
    }
}

fn login(auth: Auth) -> Option<Login> {
    // `kubectl create secret` writes both forms; the fields need no decoding.
    if let (Some(user), Some(password)) = (auth.username, auth.password) {
        return Some(Login { user, password });
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(auth.auth?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Login { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_for_their_host_and_path_alone() {
        let config = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"aHViOng="},"r.example":{"auth":"YTp4"},
            "r.example/team":{"username":"b","password":"x"}}}"#;
        let credentials = Credentials::parse(config).unwrap();
        let check = |image: &str, expected: Option<&str>| {
            let found = credentials.login(&image.parse().unwrap()).map(|l| l.user.as_str());
            assert_eq!(found, expected, "{image}");
        };
        check("nginx", Some("hub"));
        check("r.example/app:1", Some("a"));
        check("r.example/team/app:1", Some("b"));
        check("r.example/teams/app:1", Some("a"));
        check("r.example.evil.org/app:1", None);
        check("r.example:5000/app:1", None);
    }
}
