//! Logins of `auths` in Docker's `config.json` and in pull secrets: sent to the hosts (and paths) that they were stored for,
//! and to no other.

use super::keys::CredentialKey;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tidewaiter_core::image::Reference;

/// Tools write `auth` with and without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Logins by the keys that they were stored under, in the order in which they were read.
#[derive(Clone, Default)]
pub struct Credentials {
    entries: Vec<(CredentialKey, Login)>,
    /// Those that are tried after all of these, whatever their keys.
    later: Option<Box<Credentials>>,
}

/// What lets a client in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// User name and password.
    Password {
        /// User name.
        user: String,
        /// Password, or a token that stands in for one.
        password: String,
    },
    /// A refresh token, which a token service exchanges for an access token (distribution, "Authenticate with OAuth2").
    IdentityToken(String),
    /// An access token for the registry itself.
    RegistryToken(String),
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Login::Password { user, .. } => write!(f, "Login({user}, …)"),
            Login::IdentityToken(_) => f.write_str("Login(identity token)"),
            Login::RegistryToken(_) => f.write_str("Login(registry token)"),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let later = self.later.iter().flat_map(|later| &later.entries);
        f.debug_list().entries(self.entries.iter().chain(later).map(|(key, _)| key)).finish()
    }
}

#[derive(Deserialize)]
struct Auths {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
}

/// One of `auths`.
#[derive(Deserialize)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Credentials {
    /// Reads the `auths` of a `config.json`. The programs that it may name (`credsStore`, `credHelpers`) are not run: who wrote
    /// a pull secret must not choose what runs here ([`super::login_files`] runs those of this machine's user).
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Auths = serde_json::from_slice(bytes).map_err(|e| place(&e))?;
        Ok(Self::of(config.auths))
    }

    /// Reads a `.dockercfg`: the `auths` of a `config.json` without the rest.
    ///
    /// # Errors
    /// When it is not such a file.
    pub fn parse_legacy(bytes: &[u8]) -> Result<Self, String> {
        let auths: BTreeMap<String, Auth> = serde_json::from_slice(bytes).map_err(|e| place(&e))?;
        Ok(Self::of(auths))
    }

    fn of(auths: BTreeMap<String, Auth>) -> Self {
        let mut entries = Vec::new();
        for (key, auth) in auths {
            let key = CredentialKey::new(&key);
            entries.extend(logins(auth).into_iter().map(|login| (key.clone(), login)));
        }
        Credentials { entries, later: None }
    }

    /// Adds a login under a key: `host[:port][/path]`, whose labels may be patterns.
    pub fn add(&mut self, key: &str, login: Login) {
        self.entries.push((CredentialKey::new(key), login));
    }

    /// Adds others, after those with the same key.
    pub fn extend(&mut self, others: Credentials) {
        self.entries.extend(others.entries);
    }

    /// The same with others that are tried after all of these, whatever their keys: as kubelets try what credential providers give
    /// after the pull secrets.
    #[must_use]
    pub fn followed_by(self, later: Credentials) -> Self {
        Credentials { later: Some(Box::new(later)), ..self }
    }

    /// The logins for an image in the order in which kubelets try them: most specific keys first, those of one key as they
    /// were read. Each once.
    pub fn logins(&self, reference: &Reference) -> Vec<&Login> {
        let mut logins = Vec::new();
        for keyring in [Some(self), self.later.as_deref()].into_iter().flatten() {
            for login in keyring.own_logins(reference) {
                if !logins.contains(&login) {
                    logins.push(login);
                }
            }
        }
        logins
    }

    fn own_logins(&self, reference: &Reference) -> impl Iterator<Item = &Login> {
        let mut found: Vec<_> = self.entries.iter().filter(|(key, _)| key.fits(reference)).collect();
        found.sort_by_key(|(key, _)| Reverse(key));
        if found.is_empty() && reference.registry() == "docker.io" {
            found = self.entries.iter().filter(|(key, _)| key.hub_rank().is_some()).collect();
            found.sort_by_key(|(key, _)| key.hub_rank());
        }
        found.into_iter().map(|(_, login)| login)
    }
}

/// Where a document stops being one of logins. What is there is not quoted: it may be a password.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// Whether a key of logins (`host[:port][/path]`, whose labels may be patterns) is for an image.
pub fn key_fits(key: &str, reference: &Reference) -> bool {
    CredentialKey::new(key).fits(reference)
}

/// Tokens first: Docker stores the name of a token's user next to it, without a password.
fn logins(auth: Auth) -> Vec<Login> {
    let given = |token: Option<String>| token.filter(|token| !token.is_empty());
    let identity = given(auth.identitytoken).map(Login::IdentityToken);
    let registry = given(auth.registrytoken).map(Login::RegistryToken);
    let has_token = identity.is_some() || registry.is_some();
    let fields = auth.username.filter(|user| !user.is_empty()).zip(auth.password);
    // `kubectl create secret` writes both forms; kubelets read the fields only where there is no `auth`.
    let pair = match given(auth.auth) {
        Some(text) => decoded(&text),
        None => fields,
    };
    let pair = pair.filter(|(_, password)| !(has_token && password.is_empty()));
    let password = pair.map(|(user, password)| Login::Password { user, password });
    identity.into_iter().chain(registry).chain(password).collect()
}

/// `auth`: the base64 of `user:password`.
fn decoded(auth: &str) -> Option<(String, String)> {
    let auth: String = auth.split_ascii_whitespace().collect();
    let text = String::from_utf8(BASE64.decode(auth).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// Users of the logins for an image, in their order; `auths` of each document.
    fn users(documents: &[Value], image: &str) -> Vec<String> {
        let mut all = Credentials::default();
        for auths in documents {
            all.extend(Credentials::parse(json!({"auths": auths}).to_string().as_bytes()).unwrap());
        }
        let name = |login: &&Login| match login {
            Login::Password { user, password } => format!("{user}:{password}"),
            Login::IdentityToken(token) => format!("identity {token}"),
            Login::RegistryToken(token) => format!("registry {token}"),
        };
        all.logins(&image.parse().unwrap()).iter().map(name).collect()
    }

    fn of(user: &str) -> Value {
        json!({"username": user, "password": "x"})
    }

    #[test]
    fn logins_are_tried_as_kubelets_try_them() {
        let check = |documents: &[Value], image: &str, expected: &[&str]| {
            assert_eq!(users(documents, image), expected, "{image} {documents:?}");
        };
        let one = json!({"https://index.docker.io/v1/": of("hub"), "r.example": of("a"), "r.example/team": of("b")});
        check(std::slice::from_ref(&one), "nginx", &["hub:x"]);
        check(std::slice::from_ref(&one), "r.example/app:1", &["a:x"]);
        check(std::slice::from_ref(&one), "r.example/team/app:1", &["b:x", "a:x"]);
        check(std::slice::from_ref(&one), "r.example.evil.org/app:1", &[]);
        // Documents in their order, below the rank of keys; the same login once.
        let two = json!({"r.example": of("c"), "*.example": of("d"), "r.example/team/app": of("a")});
        check(&[one.clone(), two.clone()], "r.example/app", &["a:x", "c:x", "d:x"]);
        check(&[two.clone(), one.clone()], "r.example/app", &["c:x", "a:x", "d:x"]);
        check(&[one, two], "r.example/team/app", &["a:x", "b:x", "c:x", "d:x"]);
        // Docker Hub by its own name before its addresses.
        let hub = json!({"docker.io": of("a"), "https://index.docker.io/v1/": of("b")});
        check(&[hub], "nginx", &["a:x"]);
        let old = json!({"registry-1.docker.io": of("a"), "index.docker.io": of("b")});
        check(&[old], "nginx", &["b:x", "a:x"]);
    }

    #[test]
    fn later_logins_come_after_all_others() {
        let of = |auths: Value| Credentials::parse(json!({ "auths": auths }).to_string().as_bytes()).unwrap();
        let check = |first: Value, later: Value, image: &str, expected: &[&str]| {
            let all = of(first.clone()).followed_by(of(later.clone()));
            let user = |login: &&Login| match login {
                Login::Password { user, .. } => user.clone(),
                other => panic!("{other:?}"),
            };
            let found: Vec<String> = all.logins(&image.parse().unwrap()).iter().map(user).collect();
            assert_eq!(found, expected, "{first} {later} {image}");
        };
        let user = |name: &str| json!({"username": name, "password": "x"});
        check(json!({"*.example": user("a")}), json!({"r.example/team": user("b")}), "r.example/team/x", &["a", "b"]);
        check(json!({"r.example": user("a")}), json!({"r.example": user("a")}), "r.example/x", &["a"]);
        check(json!({}), json!({"r.example": user("b")}), "r.example/x", &["b"]);
        // Each for itself is asked for a login of Docker Hub.
        let hub = json!({"https://index.docker.io/v1/": user("b")});
        check(json!({"docker.io": user("a")}), hub, "nginx", &["a", "b"]);
    }

    #[test]
    fn entries_are_read() {
        let check = |entry: Value, expected: &[&str]| {
            assert_eq!(users(&[json!({ "r.example": entry })], "r.example/app"), expected, "{entry}");
        };
        check(json!({"auth": "YTp4"}), &["a:x"]);
        // `ab:x`, `a:b:c`, with padding, without, and in two lines.
        check(json!({"auth": "YWI6eA=="}), &["ab:x"]);
        check(json!({"auth": "YWI6eA"}), &["ab:x"]);
        check(json!({"auth": "YTpi\nOmM=\n"}), &["a:b:c"]);
        check(json!({"auth": "YTp4", "username": "b", "password": "y"}), &["a:x"]);
        check(json!({"auth": "", "username": "b", "password": "y"}), &["b:y"]);
        check(json!({"username": "b", "password": ""}), &["b:"]);
        check(json!({"auth": "YTp4", "identitytoken": "T"}), &["identity T", "a:x"]);
        check(json!({"auth": "MDAwMDA6", "identitytoken": "T"}), &["identity T"]);
        check(json!({"registrytoken": "T", "identitytoken": ""}), &["registry T"]);
        check(json!({}), &[]);
        check(json!({"auth": "no base64"}), &[]);
        check(json!({"auth": "YWI="}), &[]);
    }

    #[test]
    fn helpers_of_a_pull_secret_are_nothing() {
        let text = br#"{"auths":{"r.example":{}},"credsStore":"x","credHelpers":{"r.example":"x"}}"#;
        assert_eq!(Credentials::parse(text).unwrap().logins(&"r.example/app".parse().unwrap()), Vec::<&Login>::new());
    }

    #[test]
    fn what_is_no_document_of_logins_is_not_quoted() {
        let check = |text: &str, expected: &str| {
            let both = [Credentials::parse(text.as_bytes()), Credentials::parse_legacy(text.as_bytes())];
            let said: Vec<String> = both.into_iter().filter_map(Result::err).collect();
            assert!(!said.is_empty() && said.iter().all(|said| said.contains(expected)), "{said:?}");
            assert!(!said.iter().any(|said| said.contains("secret")), "{said:?}");
        };
        check("no JSON", "line 1, column 2");
        check(r#"{"auths": "secret"}"#, "line 1, column 18");
        check("{\"r.example\":\n\"secret\"}", "line 2, column 8");
        check(r#"{"auths": {"r.example": {"auth": {"secret": 1}}}}"#, "line 1, column ");
    }
}
