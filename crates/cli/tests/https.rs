//! Every HTTP client of the program over TLS, with a private certificate authority, and through a proxy.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::proxy::Proxy;
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::web::Web;

/// A machine whose user trusts one authority, by `SSL_CERT_FILE`.
struct Machine {
    dir: TempDir,
    authority: Authority,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap(), authority: Authority::new() };
        fs::write(machine.path("ca.pem"), machine.authority.pem()).unwrap();
        machine
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// `kubectl-scan ARGS` with these variables in addition to its own.
    fn scan_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"] {
            command.env_remove(name);
        }
        command.args(args).env("KUBECONFIG", "").env("HOME", self.dir.path());
        command.env("TIDEWAITER_DB", self.path("tidewaiter.db")).env("SSL_CERT_FILE", self.path("ca.pem"));
        command.env("XDG_CACHE_HOME", self.dir.path()).env("DOCKER_CONFIG", self.dir.path());
        let said = run(command.envs(variables.iter().copied()));
        assert!(!said.text.contains("panicked"), "{}", said.text);
        said
    }

    fn scan(&self, args: &[&str]) -> Said {
        self.scan_with(&[], args)
    }

    /// A `feeds.toml` with the demo's advisories at an address.
    fn feeds(&self, url: &str) -> String {
        let toml = format!(
            "[[feed]]\nname = \"demo\"\nformat = \"osv\"\nurl = \"{url}\"\necosystems = [\"Debian:99\"]\nrates = true\n"
        );
        fs::write(self.path("feeds.toml"), toml).unwrap();
        self.path("feeds.toml")
    }
}

/// The demo's advisories as an archive.
fn advisories() -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/advisories");
    let packed = Command::new("tar").arg("-C").arg(folder).args(["-czf", "-", "."]).output().unwrap();
    assert!(packed.status.success());
    packed.stdout
}

#[test]
fn feeds_over_tls() {
    let machine = Machine::new();
    let web = Web::start(&[("/a.tar.gz", advisories())], Some(&machine.authority));
    let said = machine.scan(&["db", "build", "--feeds", &machine.feeds(&web.url("/a.tar.gz"))]).ok();
    assert!(said.contains("8 advisories") && said.contains("downloaded"), "{said}");
    // The certificate of another authority is refused, and a folder that cannot be written is not a feed's fault.
    let stranger = Web::start(&[("/a.tar.gz", advisories())], Some(&Authority::new()));
    let refused = machine.scan(&["db", "build", "--feeds", &machine.feeds(&stranger.url("/a.tar.gz"))]).refused();
    assert!(refused.contains("signed by no authority") && refused.contains("SSL_CERT_FILE"), "{refused}");
    fs::write(machine.path("file"), "").unwrap();
    let feeds = machine.feeds(&web.url("/a.tar.gz"));
    let args = ["db", "build", "--feeds", &feeds, "--downloads", &machine.path("file/x")];
    let refused = machine.scan(&args).refused();
    assert!(refused.contains("downloads cannot be stored in") && refused.contains("--downloads DIR"), "{refused}");
    assert!(!refused.contains("feed demo"), "{refused}");
    assert_eq!(machine.scan(&[&args[..], &["--keep-going"]].concat()).code, 0);
}

#[test]
fn feeds_through_a_proxy() {
    let machine = Machine::new();
    let web = Web::start(&[("/a.tar.gz", advisories())], Some(&machine.authority));
    let proxy = Proxy::start(&[("feeds.example:443", web.port())]);
    let build = |variables: &[(&str, &str)], url: &str| {
        machine.scan_with(variables, &["db", "build", "--feeds", &machine.feeds(url)])
    };
    let by = [("HTTPS_PROXY", proxy.url())].map(|(name, url)| (name, url));
    let by: Vec<(&str, &str)> = by.iter().map(|(name, url)| (*name, url.as_str())).collect();
    build(&by, "https://feeds.example/a.tar.gz").ok();
    assert_eq!(proxy.asked(), ["feeds.example:443"]);
    // What lies on this machine is never asked of a proxy.
    build(&by, &web.url("/a.tar.gz")).ok();
    assert_eq!(proxy.asked().len(), 1, "{:?}", proxy.asked());
    let refused = build(&by, "https://other.example/a.tar.gz").refused();
    assert!(refused.contains("of HTTPS_PROXY") && refused.contains("403") && refused.contains("NO_PROXY"), "{refused}");
    let refused = build(&[("https_proxy", "http://127.0.0.1:1")], "https://feeds.example/a.tar.gz").refused();
    assert!(refused.contains("127.0.0.1:1 of https_proxy: it cannot be reached"), "{refused}");
    let refused = build(&[("HTTPS_PROXY", "http://u:secret@:x")], "https://feeds.example/a.tar.gz").refused();
    assert!(refused.contains("HTTPS_PROXY holds no proxy address") && !refused.contains("secret"), "{refused}");
}

#[test]
fn registries_over_tls_and_through_a_proxy() {
    let machine = Machine::new();
    let web = Web::start(&[("/a.tar.gz", advisories())], Some(&machine.authority));
    machine.scan(&["db", "build", "--feeds", &machine.feeds(&web.url("/a.tar.gz"))]).ok();
    let registry = Registry::start_tls(&machine.authority);
    let image = registry.push("app", "v1", &clean().build());
    for host in ["127.0.0.1", "localhost"] {
        let said = machine.scan(&["image", &image.replace("127.0.0.1", host)]).ok();
        assert!(said.contains("No vulnerabilities found"), "{said}");
    }
    let proxy = Proxy::start(&[("registry.example:443", registry.port())]);
    let url = proxy.url();
    let said = machine.scan_with(&[("HTTPS_PROXY", &url)], &["image", "registry.example/app:v1"]).ok();
    assert!(said.contains("No vulnerabilities found"), "{said}");
    assert!(proxy.asked().iter().all(|asked| asked == "registry.example:443"), "{:?}", proxy.asked());
    let refused = machine.scan_with(&[("HTTPS_PROXY", &url)], &["image", "other.example/app:v1"]);
    assert_eq!(refused.code, 3, "{}", refused.text);
    assert!(refused.text.contains("of HTTPS_PROXY"), "{}", refused.text);
}

/// A registry that speaks plain HTTP where TLS was expected says so, and how to mean it.
#[test]
fn plain_http_is_told_as_what_it_is() {
    let machine = Machine::new();
    let plain = Registry::start();
    let proxy = Proxy::start(&[("registry.example:443", plain.port()), ("feeds.example:443", plain.port())]);
    let url = proxy.url();
    let feeds = machine.feeds("https://feeds.example/a.tar.gz");
    let refused = machine.scan_with(&[("HTTPS_PROXY", &url)], &["db", "build", "--feeds", &feeds]).refused();
    assert!(refused.contains("plain HTTP") && refused.contains("http://"), "{refused}");
    let web = Web::start(&[("/a.tar.gz", advisories())], Some(&machine.authority));
    machine.scan(&["db", "build", "--feeds", &machine.feeds(&web.url("/a.tar.gz"))]).ok();
    plain.push("app", "v1", &clean().build());
    let refused = machine.scan_with(&[("HTTPS_PROXY", &url)], &["image", "registry.example/app:v1"]);
    assert_eq!(refused.code, 3, "{}", refused.text);
    for word in ["plain HTTP", "--plain-http of kubectl scan", "--plain-http-registry HOST of tidewaiter serve"] {
        assert!(refused.text.contains(word), "{word}: {}", refused.text);
    }
}
