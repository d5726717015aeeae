//! Everything that the server reaches is behind TLS by a CA of one's own, and most of it behind a proxy.

use crate::{create, places, rolled_out, within};
use std::fs;
use std::path::Path;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::proxy::Proxy;
use tidewaiter_testkit::receiver::Receiver;
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::web::Web;

/// A `feeds.toml` with the demo's advisories at an address.
fn feeds(lab: &Lab, url: &str) -> std::path::PathBuf {
    let folder = lab.cluster.dir().join("feeds");
    fs::create_dir_all(&folder).unwrap();
    let toml = format!(
        "[[feed]]\nname = \"demo\"\nformat = \"osv\"\nurl = \"{url}\"\necosystems = [\"Debian:99\"]\nrates = true\n"
    );
    fs::write(folder.join("feeds.toml"), toml).unwrap();
    folder.join("feeds.toml")
}

fn advisories(lab: &Lab) -> Vec<u8> {
    let archive = lab.cluster.dir().join("a.tar.gz");
    lab.shell(Path::new("/"), &format!("tar -C {}/demo/advisories -czf {} .", lab.root().display(), archive.display()))
        .ok();
    fs::read(archive).unwrap()
}

#[test]
fn feeds_registry_and_alerts_by_a_ca_of_ones_own_behind_a_proxy() {
    let mut lab = Lab::new(places());
    let authority = Authority::new();
    let registry = Registry::start_tls(&authority);
    let receiver = Receiver::start(0, Some(&authority));
    let web = Web::with_names(&[("/a.tar.gz", advisories(&lab))], &authority, &["feeds.example"]);
    let routes = [
        ("registry.example:443", registry.port()),
        ("alerts.example:443", receiver.port()),
        ("feeds.example:443", web.port()),
    ];
    let proxy = Proxy::start(&routes);
    let ca = lab.mounted_file("ca.pem", authority.pem());
    lab.set_variable("SSL_CERT_FILE", &ca);
    lab.set_variable("HTTPS_PROXY", &proxy.url());
    fs::remove_file(lab.database()).unwrap();
    let said = lab.build_database(&feeds(&lab, "https://feeds.example/a.tar.gz"));
    assert!(said.contains("8 advisories"), "{said}");
    lab.start_server();
    lab.policy(r#"{"spec":{"alerts":[{"url":"https://alerts.example/alerts"}]}}"#);
    registry.push("good", "v1", &clean().build());
    registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "good", "registry.example/good:v1");
    rolled_out(&lab, "good");
    create(&lab, "bad", "registry.example/bad:v1");
    lab.until("bad", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "the alert comes", || !receiver.received().is_empty());
    let asked = proxy.asked();
    for (name, _) in routes {
        assert!(asked.iter().any(|asked| asked == name), "{name} was not asked for: {asked:?}");
    }
    assert!(asked.iter().all(|asked| asked.contains(".example:")), "the API server is next door: {asked:?}");
    // What the proxy refuses is told as that.
    let said = lab.kubectl(&["scan", "image", "other.example/app:v1"]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("of HTTPS_PROXY") && said.text.contains("403"), "{}", said.text);
}

/// An authority for one registry takes nothing away from the others.
#[test]
fn a_registry_with_a_private_ca_beside_one_of_plain_http() {
    let mut lab = Lab::new(places());
    let authority = Authority::new();
    let private = Registry::start_tls(&authority);
    let ca = lab.mounted_file("ca.pem", authority.pem());
    let plain = lab.registry.host();
    lab.start_server_with(&["--registry-ca", &ca, "--plain-http-registry", &plain]);
    let good = private.push("good", "v1", &clean().build());
    let said = lab.kubectl(&["scan", "image", &good]).ok();
    assert!(said.contains("No vulnerabilities found"), "{said}");
    let plain = lab.registry.push("good", "v1", &clean().build());
    let said = lab.kubectl(&["scan", "image", &plain]).ok();
    assert!(said.contains("No vulnerabilities found"), "{said}");
}
