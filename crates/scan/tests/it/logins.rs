//! Logins against loopback registries: which are sent, in which order, and where to.

use serde_json::{Value, json};
use tidewaiter_core::image::Platform;
use tidewaiter_scan::source::registry::credentials::{Credentials, Login};
use tidewaiter_scan::source::registry::token_services::TokenServices;
use tidewaiter_scan::source::registry::{self, RegistryConfig};
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::registry::Registry;

/// The result of opening `team/app` of a registry with the `auths` of these documents: "in", or the reason of the failure.
fn open(registry: &Registry, config: RegistryConfig, documents: &[Value]) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let image = registry.push("team/app", "v1", &clean().build());
    let mut credentials = Credentials::default();
    for auths in documents {
        // `HOST` is the registry's.
        let text = json!({"auths": auths}).to_string().replace("HOST", &registry.host());
        credentials.extend(Credentials::parse(text.as_bytes()).unwrap());
    }
    let opened = registry::open(&RegistryConfig { credentials, ..config }, &image.parse().unwrap(), None);
    opened.map_or_else(|error| error.reason().to_string(), |_| "in".to_owned())
}

fn password(password: &str) -> Value {
    json!({"username": "user", "password": password})
}

fn wildcard(registry: &Registry) -> String {
    format!("*.0.0.1:{}", registry.port())
}

#[test]
fn every_login_of_a_host_is_tried() {
    let check = |documents: &[Value], expected: &str| {
        let registry = Registry::start();
        registry.require_login("user", "right");
        let any = wildcard(&registry);
        let documents: Vec<Value> = documents
            .iter()
            .map(|document| serde_json::from_str(&document.to_string().replace("ANY", &any)).unwrap())
            .collect();
        assert_eq!(open(&registry, RegistryConfig::default(), &documents), expected, "{documents:?}");
    };
    let (right, wrong) = (password("right"), password("wrong"));
    check(&[json!({"HOST": right})], "in");
    check(&[json!({"ANY": right})], "in");
    check(&[json!({"HOST": wrong})], "Unauthorized");
    check(&[json!({"HOST": wrong}), json!({"HOST": right})], "in");
    check(&[json!({"HOST/team": wrong}), json!({"HOST": right})], "in");
    check(&[json!({"HOST": wrong, "HOST/team": wrong, "ANY": right})], "in");
    check(&[json!({"HOST/other": right})], "Unauthorized");
    check(&[json!({"HOST": {"identitytoken": "refresh"}})], "Unauthorized");
    check(&[json!({"HOST": {"identitytoken": "refresh"}, "HOST/team": right})], "in");
}

#[test]
fn a_registry_gets_few_of_many_logins() {
    let check = |wrong: usize, expected: Result<(), &str>| {
        let registry = Registry::start();
        registry.require_login("user", "right");
        let image = registry.push("team/app", "v1", &clean().build());
        let mut credentials = Credentials::default();
        let passwords = (0..wrong).map(|number| format!("wrong-{number}")).chain(["right".to_owned()]);
        for password in passwords {
            credentials.add(&registry.host(), Login::Password { user: "user".to_owned(), password });
        }
        let config = RegistryConfig { credentials, ..RegistryConfig::default() };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let before = registry.log().len();
        let opened = registry::open(&config, &image.parse().unwrap(), None);
        match expected {
            Ok(()) => assert!(opened.is_ok(), "{wrong}: {opened:?}"),
            Err(words) => {
                let said = opened.unwrap_err().to_string();
                assert!(said.contains("refused access") && said.contains(words), "{wrong}: {said}");
                // One without a login, then each login once.
                assert_eq!(registry.log().len() - before, 21, "{wrong}");
            }
        }
    };
    check(19, Ok(()));
    check(20, Err("the first 20 logins for it were tried, 1 more were not"));
    check(3000, Err("the first 20 logins for it were tried, 2981 more were not"));
}

/// A registry counts requests by account only where it takes the login.
#[test]
fn a_login_counts_where_it_is_asked_for() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let check = |requires: fn(&Registry), has_login: bool, expected: bool| {
        let registry = Registry::start();
        requires(&registry);
        let image = registry.push("team/app", "v1", &clean().build());
        let mut credentials = Credentials::default();
        if has_login {
            let login = Login::Password { user: "user".to_owned(), password: "right".to_owned() };
            credentials.add(&registry.host(), login);
        }
        let config = RegistryConfig { credentials, ..RegistryConfig::default() };
        let nodes = [Platform::new("linux", "amd64")];
        let found = registry::open_for_nodes(&config, &image.parse().unwrap(), &nodes).unwrap();
        assert_eq!(found.logged_in, expected, "{has_login}");
    };
    check(|_| {}, true, false);
    check(|_| {}, false, false);
    check(|registry| registry.require_login("user", "right"), true, true);
}

#[test]
fn tokens_are_exchanged_or_sent() {
    let check = |documents: &[Value], expected: &str| {
        let registry = Registry::start();
        registry.require_token(&format!("http://{}/token", registry.host()));
        registry.give_tokens("user", "right", "refresh");
        assert_eq!(open(&registry, RegistryConfig::default(), documents), expected, "{documents:?}");
    };
    check(&[json!({"HOST": password("right")})], "in");
    check(&[json!({"HOST": password("wrong")})], "Unauthorized");
    check(&[json!({"HOST": password("wrong")}), json!({"HOST": password("right")})], "in");
    check(&[json!({"HOST": {"identitytoken": "refresh"}})], "in");
    // As `docker login` stores one of Azure's registries: the base64 of `user:`.
    check(&[json!({"HOST": {"auth": "dXNlcjo=", "identitytoken": "refresh"}})], "in");
    check(&[json!({"HOST": {"identitytoken": "other"}})], "Unauthorized");
    check(&[json!({"HOST": {"identitytoken": "other"}}), json!({"HOST": password("right")})], "in");
    check(&[json!({"HOST": {"registrytoken": "testkit-access-token"}})], "in");
    check(&[json!({"HOST": {"registrytoken": "other"}}), json!({"HOST": password("right")})], "in");
    check(&[], "Unauthorized");
}

/// A token service may be another host, which then gets the login; what it gives goes to the registry alone.
#[test]
fn a_token_service_elsewhere_gets_a_login_only_over_https() {
    let (registry, service) = (Registry::start(), Registry::start());
    service.give_tokens("user", "right", "refresh");
    registry.require_token(&format!("http://{}/token", service.host()));
    assert_eq!(open(&registry, RegistryConfig::default(), &[json!({"HOST": password("right")})]), "in");
    assert!(registry.log().iter().all(|line| !line.contains("Basic ")), "{:?}", registry.log());
    assert!(service.log().iter().all(|line| !line.contains("Bearer ")), "{:?}", service.log());

    // Of another domain: a server sends no login there, unless it was told to; without a login it asks all the same.
    for (allowed, with_login, expected) in
        [(None, true, "HostNotAllowed"), (Some("localhost"), true, "in"), (None, false, "Unauthorized")]
    {
        let (registry, service) = (Registry::start(), Registry::start());
        service.give_tokens("user", "right", "refresh");
        registry.require_token(&format!("http://localhost:{}/token", service.port()));
        let allowed = allowed.map(str::to_owned).into_iter().collect();
        let config =
            RegistryConfig { token_services: TokenServices::OfRegistry { allowed }, ..RegistryConfig::default() };
        let documents: &[Value] = if with_login { &[json!({"HOST": password("right")})] } else { &[] };
        assert_eq!(open(&registry, config, documents), expected);
        assert_eq!(service.log().is_empty(), expected == "HostNotAllowed");
    }

    // A registry with TLS that names one without: nothing is sent there.
    let authority = Authority::new();
    let (private, service) = (Registry::start_tls(&authority), Registry::start());
    service.give_tokens("user", "right", "refresh");
    private.require_token(&format!("http://{}/token", service.host()));
    let trusting = RegistryConfig { ca_pem: vec![authority.pem().as_bytes().to_vec()], ..RegistryConfig::default() };
    for login in [password("right"), json!({"identitytoken": "refresh"})] {
        let documents = [json!({ "HOST": login })];
        assert_eq!(open(&private, trusting.clone(), &documents), "HostNotAllowed");
    }
    assert_eq!(service.log(), Vec::<String>::new());
}
