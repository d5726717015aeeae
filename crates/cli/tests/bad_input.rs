//! What can be wrong with an image, its registry or the database, reported by the real program: one clear message with the
//! next step, and the exit code that scripts rely on.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{base, clean, medium, vulnerable};
use tidewaiter_testkit::image::{ImageFixture, MANIFEST};
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression};
use tidewaiter_testkit::packages::{debian, npm};
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::sha256;

/// A machine without a cluster, with the demo's database.
struct Machine {
    dir: TempDir,
    registry: Registry,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap(), registry: Registry::start() };
        let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml");
        machine.scan(&["db", "build", "--feeds", &feeds.display().to_string()]).ok();
        machine
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// `kubectl-scan ARGS`.
    fn scan(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command
            .args(args)
            .env("KUBECONFIG", "")
            .env("HOME", self.dir.path())
            .env("TIDEWAITER_DB", self.path("tidewaiter.db"));
        command.env("XDG_CACHE_HOME", self.dir.path()).env("DOCKER_CONFIG", self.dir.path());
        run(&mut command)
    }

    /// Scans an image and checks the exit code and the words that must be printed.
    #[track_caller]
    fn check(&self, args: &[&str], code: i32, words: &[&str]) {
        let mut all = vec!["image"];
        all.extend(args);
        let said = self.scan(&all);
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        for word in words {
            assert!(said.text.contains(word), "{args:?} does not say {word:?}: {}", said.text);
        }
        assert!(!said.text.contains("panicked"), "{}", said.text);
    }
}

#[test]
fn exit_codes_follow_the_verdict() {
    let machine = Machine::new();
    let push = |name: &str, image: &ImageFixture| machine.registry.push(name, "v1", image);
    machine.check(&[&push("clean", &clean().build())], 0, &["No vulnerabilities found"]);
    machine.check(&[&push("medium", &medium().build())], 0, &["Vulnerabilities found: 3 medium"]);
    let bad = push("bad", &vulnerable().build());
    machine.check(&[&bad], 1, &["Vulnerabilities found: 3 critical, 5 medium", "SEVERITY", "FIXED IN", "LAYER"]);
    machine.check(&[&push("medium", &medium().build()), "--block-at", "medium"], 1, &["Policy: violated"]);
    // What no feed covers is not clean, whatever was found.
    let app = npm(debian("99", &[("zlib", "1:1.3.1-1")]), "left-pad", "1.0.0");
    let app = tidewaiter_testkit::image::ImageBuilder::new().layer("ADD", app).build();
    machine.check(&[&push("npm", &app)], 3, &["no feed of the database is complete for npm", "cannot be called clean"]);
    // A violation is certain, and wins.
    let both = vulnerable().layer("npm", npm(LayerBuilder::new(), "left-pad", "1.0.0")).build();
    machine.check(&[&push("both", &both)], 1, &["gap: npm"]);
}

#[test]
fn registries_and_names() {
    let mut machine = Machine::new();
    let host = machine.registry.host();
    let image = machine.registry.push("app", "v1", &clean().build());
    machine.check(&[&format!("{host}/app:v2")], 3, &["app:v2 does not exist", "check the name, the tag"]);
    machine.check(&["UPPER/case:"], 2, &["UPPER/case:"]);
    machine.check(&[&image, "--platform", "linux/s390x"], 3, &["linux/s390x", "--platform"]);
    machine.check(&[&image, "--in-cluster"], 3, &["no cluster is configured", "KUBECONFIG"]);
    let index = machine.registry.push("index", "v1", &ImageFixture::index(&[clean().architecture("arm64").build()]));
    machine.check(&[&index, "--platform", "linux/amd64"], 3, &["has no image for platform linux/amd64", "linux/arm64"]);
    machine.registry.require_login("user", "right");
    machine.check(&[&image], 3, &["refused access", "check the credentials"]);
    let login = |password: &str| {
        let auth = r#"{"auths":{"HOST":{"username":"user","password":"WORD"}}}"#;
        fs::write(machine.path("config.json"), auth.replace("HOST", &host).replace("WORD", password)).unwrap();
    };
    login("wrong");
    machine.check(&[&image], 3, &["refused access"]);
    login("right");
    machine.check(&[&image], 0, &["No vulnerabilities found"]);
    fs::write(machine.path("config.json"), "{").unwrap();
    machine.check(&[&image], 2, &["config.json: not a Docker config.json"]);
    fs::remove_file(machine.path("config.json")).unwrap();
    machine.registry.down();
    machine.check(&[&image], 3, &["the registry cannot be reached", "then try again"]);
}

#[test]
fn a_private_certificate_authority() {
    let machine = Machine::new();
    let authority = Authority::new();
    let registry = Registry::start_tls(&authority);
    let image = registry.push("app", "v1", &clean().build()).replace("127.0.0.1", "localhost");
    fs::write(machine.path("ca.pem"), authority.pem()).unwrap();
    machine.check(&[&image, "--ca-file", &machine.path("ca.pem")], 0, &["No vulnerabilities found"]);
    // Another authority's word is none; nor is a file without one.
    fs::write(machine.path("other.pem"), Authority::new().pem()).unwrap();
    machine.check(&[&image, "--ca-file", &machine.path("other.pem")], 3, &["cannot be reached", "certificate"]);
    machine.check(&[&image, "--ca-file", &machine.path("none.pem")], 2, &["none.pem"]);
    machine.check(&[&image], 3, &["signed by no authority that is trusted here", "--ca-file", "SSL_CERT_FILE"]);
    // One more authority takes nothing away: a registry of plain HTTP is reached as before.
    let plain = machine.registry.push("app", "v1", &clean().build());
    machine.check(&[&plain, "--ca-file", &machine.path("ca.pem")], 0, &["No vulnerabilities found"]);
    machine.check(&[&plain, "--plain-http", "--ca-file", &machine.path("ca.pem")], 0, &["No vulnerabilities found"]);
}

#[test]
fn damaged_images() {
    let machine = Machine::new();
    let good = base(&[("zlib", "1:1.3.1-1")]).build();
    let layer = good.blobs.iter().find(|(_, blob)| blob.read().starts_with(&[0x1f, 0x8b])).unwrap().0.clone();
    let image = machine.registry.push("app", "v1", &good);
    machine.registry.cut_blobs(Some(40));
    machine.check(&[&image], 3, &["truncated"]);
    machine.registry.cut_blobs(None);
    // The right size, other bytes.
    let mut forged = good.blobs[&layer].read();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    machine.registry.forge_blob(&layer, &forged);
    machine.check(&[&image], 3, &[&layer, "the image says", "damaged or forged"]);
    machine.registry.push("app", "v1", &good);
    machine.check(&[&image], 0, &["No vulnerabilities found"]);

    // A config that claims another diff ID.
    let mut lie =
        LayerBuilder::new().file("etc/os-release", "ID=debian\nVERSION_ID=99\n").build(LayerCompression::Gzip);
    lie.diff_id = sha256(b"something else");
    let lie = tidewaiter_testkit::image::ImageBuilder::new().stored("lie", lie).build();
    machine.check(&[&machine.registry.push("lie", "v1", &lie)], 3, &["has diff ID"]);

    let text = String::from_utf8(good.root.bytes.clone()).unwrap();
    let odd = text.replace("tar+gzip", "tar+rot13");
    let odd = machine.registry.put_manifest("app", "odd", MANIFEST, odd.as_bytes());
    machine.check(&[&odd], 3, &["unsupported media type", "tar+rot13", "gzip or zstd layers"]);
    let old = machine.registry.put_manifest("app", "old", MANIFEST, br#"{"schemaVersion":1,"fsLayers":[]}"#);
    machine.check(&[&old], 3, &["unsupported media type"]);
    let junk = machine.registry.put_manifest("app", "junk", MANIFEST, b"not json");
    machine.check(&[&junk], 3, &["the manifest is malformed"]);
    machine.check(&["oci:/does/not/exist"], 3, &["/does/not/exist"]);
    fs::write(machine.path("x.tar"), "not a tar").unwrap();
    machine.check(&[&format!("docker-archive:{}", machine.path("x.tar"))], 3, &["x.tar"]);
}

#[test]
fn databases_and_feeds() {
    let machine = Machine::new();
    let image = machine.registry.push("app", "v1", &clean().build());
    let kept = fs::read(machine.path("tidewaiter.db")).unwrap();
    let with = |name: &str, bytes: &[u8]| {
        fs::write(machine.path(name), bytes).unwrap();
        machine.path(name)
    };
    machine.check(&[&image, "--db", &machine.path("none.db")], 3, &["none.db", "kubectl scan db build"]);
    machine.check(&[&image, "--db", &with("junk.db", b"junk")], 3, &["junk.db is corrupt", "kubectl scan db build"]);
    machine.check(&[&image, "--db", &with("short.db", &kept[..kept.len() / 2])], 3, &["short.db is corrupt"]);
    let mut newer = kept;
    newer[8] = 99;
    machine.check(&[&image, "--db", &with("newer.db", &newer)], 3, &["has format 99", "update tidewaiter"]);

    let feed = |path: &str| {
        let text = format!("[[feed]]\nname = \"f\"\nformat = \"osv\"\n{path}\necosystems = [\"npm\"]\n");
        with("feeds.toml", text.as_bytes())
    };
    let build = |feeds: &str, code: i32, words: &[&str]| {
        let said = machine.scan(&["db", "build", "--feeds", feeds, "--db", &machine.path("new.db")]);
        assert_eq!(said.code, code, "{}", said.text);
        words.iter().for_each(|word| assert!(said.text.contains(word), "{word:?}: {}", said.text));
    };
    build(&machine.path("none.toml"), 2, &["none.toml", "name a feeds.toml with --feeds"]);
    build(&feed("path = \"gone\""), 3, &["feed f", "gone"]);
    build(&feed("url = \"ftp://x\""), 2, &["path or an http(s) url"]);
    build(&feed("url = \"http://127.0.0.1:1/x.zip\"\nmax_bytes = 10"), 3, &["feed f", "127.0.0.1:1"]);
    // With that option it keeps what is there and lets its caller go on.
    let args =
        ["db", "build", "--keep-going", "--feeds", &feed("path = \"gone\""), "--db", &machine.path("tidewaiter.db")];
    assert!(machine.scan(&args).ok().contains("gone"));
    machine.check(&[&image], 0, &["No vulnerabilities found"]);
}

#[test]
fn databases_are_compared() {
    let machine = Machine::new();
    let (old, new) = (machine.path("tidewaiter.db"), machine.path("new.db"));
    let feeds = machine.dir.path().join("feeds");
    fs::create_dir_all(feeds.join("records")).unwrap();
    let record = r#"{"id":"CVE-2026-1","modified":"2026-11-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"left-pad"},
        "ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}"#;
    fs::write(feeds.join("records/1.json"), record).unwrap();
    let toml = "[[feed]]\nname = \"new\"\nformat = \"osv\"\npath = \"records\"\necosystems = [\"npm\"]\n";
    fs::write(feeds.join("feeds.toml"), toml).unwrap();
    machine.scan(&["db", "build", "--feeds", &feeds.join("feeds.toml").display().to_string(), "--db", &new]).ok();
    let check = |args: &[&str], code: i32, words: &[&str]| {
        let said = machine.scan(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        words
            .iter()
            .for_each(|word| assert!(said.text.contains(word), "{args:?} does not say {word:?}: {}", said.text));
    };
    check(&["db", "diff", &old, &old], 0, &["The advisories are the same", "0 added, 0 removed, 0 changed"]);
    check(&["db", "diff", &old, &new], 0, &["+ CVE-2026-1", "npm left-pad", "1 added", "~ npm: "]);
    check(&["db", "diff", &new, &old, "-o", "json"], 0, &[r#""change": "removed""#, r#""name": "left-pad""#]);
    check(&["db", "diff", &old, &machine.path("none")], 3, &["none"]);
}
