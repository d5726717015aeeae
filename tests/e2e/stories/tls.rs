//! Everything that the server reaches is behind TLS with a private authority, and most of it behind a proxy.

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
fn feeds_registry_and_alerts_with_a_private_authority_behind_a_proxy() {
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
    // One receiver is reached through the proxy, one directly.
    let (far, near) = ("https://alerts.example/alerts", format!("https://127.0.0.1:{}/alerts", receiver.port()));
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{far}"}},{{"url":"{near}"}}]}}}}"#));
    registry.push("good", "v1", &clean().build());
    registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "good", "registry.example/good:v1");
    rolled_out(&lab, "good");
    create(&lab, "bad", "registry.example/bad:v1");
    lab.until("bad", "VulnerabilitiesFound Blocked");
    within(PATIENCE, "the alert reaches both receivers", || receiver.received().len() == 2);
    let asked = proxy.asked();
    for (name, _) in routes {
        assert!(asked.iter().any(|asked| asked == name), "{name} was not asked for: {asked:?}");
    }
    // The loop above shows that the list is not empty.
    assert!(asked.iter().all(|asked| asked.contains(".example:")), "no proxy leads to the API server: {asked:?}");
    // A refusal of the proxy is reported as one.
    let said = lab.kubectl(&["scan", "image", "other.example/app:v1"]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("of HTTPS_PROXY") && said.text.contains("403"), "{}", said.text);
    // What is inside is not asked of it at all.
    let said = lab.kubectl(&["scan", "image", "169.254.169.254/latest/meta-data:v1"]);
    assert!(said.code == 3 && said.text.contains("not a public address"), "{}", said.text);
    assert!(proxy.asked().iter().all(|asked| !asked.contains("169.254")), "{:?}", proxy.asked());
}

/// A private authority does not replace the system's.
#[test]
fn a_registry_with_a_private_authority_and_one_of_plain_http() {
    let mut lab = Lab::new(places());
    let authority = Authority::new();
    let private = Registry::start_tls(&authority);
    let ca = lab.mounted_file("ca.pem", authority.pem());
    // Not on loopback, where plain HTTP needs no option.
    let other = Registry::start_at([10, 244, 200, 1]);
    let network = ["--allow-registry-network", "10.244.200.0/24"];
    let image = other.push("good", "v1", &clean().build());
    lab.start_server_with(&network);
    let said = lab.kubectl(&["scan", "image", &image]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("--plain-http-registry HOST of tidewaiter serve"), "{}", said.text);
    lab.kill_server();
    let more = ["--registry-ca", &ca, "--plain-http-registry", &other.host()];
    lab.start_server_with(&[&network[..], &more].concat());
    let good = private.push("good", "v1", &clean().build());
    for image in [&good, &image] {
        let said = lab.kubectl(&["scan", "image", image]).ok();
        assert!(said.contains("No vulnerabilities found"), "{image}: {said}");
    }
}
