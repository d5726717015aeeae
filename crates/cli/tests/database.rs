//! A database that one builds and others take: pushed to a registry, updated from it, from a web server or a file.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_db::meta::Meta;
use tidewaiter_db::writer::{self, BuildInput};
use tidewaiter_testkit::authority::Authority;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::registry::Registry;
#[cfg(feature = "sigstore")]
use tidewaiter_testkit::sha256 as digest;
use tidewaiter_testkit::web::Web;

/// Of `openssl genpkey`; the second pair is a stranger's.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";
const PUB: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n-----END PUBLIC KEY-----\n";
const STRANGER: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK9TgZQhP2+yU1epfYbXrOGd2YYSn\n9k+qb/ZiY1u9iJKDjaeqpLHsbm9YE4ObPgXpGG4P0Jq8QE9sfmv9GQ+CMw==\n-----END PUBLIC KEY-----\n";

/// A machine with a database of its own.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap() };
        for (name, text) in [("key", KEY), ("pub", PUB), ("stranger", STRANGER)] {
            fs::write(machine.dir.path().join(name), text).unwrap();
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a database that was built on this day of November 2026, with so many advisories.
    fn build(&self, name: &str, day: u8, advisories: u32) {
        self.build_at(name, &format!("2026-11-{day:02}T00:00:00Z"), advisories);
    }

    /// Writes a database that was built at this time, with so many advisories.
    fn build_at(&self, name: &str, built: &str, advisories: u32) {
        let advisory = |number| Advisory {
            id: format!("CVE-2026-{number:04}"),
            feed: "f".into(),
            affected: vec![Affected::new("npm".into(), "left-pad", KeyKind::Binary).fixed_in("1.0")],
            ..Advisory::default()
        };
        let meta = Meta { built: Some(built.parse().unwrap()), ..Meta::default() };
        let input = BuildInput { advisories: (0..advisories).map(advisory).collect(), meta, ..BuildInput::default() };
        writer::write(&self.path(name), &input).unwrap();
    }

    fn scan_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.env_clear().env("HOME", self.dir.path()).env("TIDEWAITER_DB", self.path("db"));
        let said = run(command.envs(variables.iter().copied()).args(args));
        assert!(!said.text.contains("panicked"), "{}", said.text);
        said
    }

    fn scan(&self, args: &[&str]) -> Said {
        self.scan_with(&[], args)
    }

    /// Files next to the database, with what an interrupted update would leave.
    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("db.")).collect()
    }
}

/// Checks exit code and words.
#[track_caller]
fn check(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}", said.text);
    for word in words {
        assert!(said.text.contains(word), "{word:?}: {}", said.text);
    }
}

#[test]
fn a_database_is_pushed_and_updated() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    let at = format!("oci://{}/db:latest", registry.host());
    let push = |day: u8, advisories: u32| {
        builder.build("db", day, advisories);
        check(&builder.scan(&["db", "push", &at]), 0, &[&at, "@sha256:", "not signed", "built 2026-11-"]);
    };
    push(10, 3);
    let said = user.scan(&["db", "update", &at]);
    check(&said, 0, &["updated, sha256:", "built 2026-11-10T00:00:00Z", "signature not verified (no --key)"]);
    assert_eq!(said.text.lines().count(), 1, "nothing else in a pipe: {}", said.text);
    assert_eq!(fs::read(user.path("db")).unwrap(), fs::read(builder.path("db")).unwrap());
    // The same again: only the manifest is transferred (and the registry's scheme learned).
    let before = registry.requests();
    check(&user.scan_with(&[("TIDEWAITER_DB_SOURCE", &at)], &["db", "update"]), 0, &["already current"]);
    assert!(registry.requests() - before <= 2, "{} requests", registry.requests() - before);
    // Unless its bytes are damaged.
    let (sound, mut damaged) = (fs::read(user.path("db")).unwrap(), fs::read(user.path("db")).unwrap());
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(user.path("db"), damaged).unwrap();
    check(&user.scan(&["db", "update", &at]), 0, &["updated"]);
    assert_eq!(fs::read(user.path("db")).unwrap(), sound);
    // The same facts, seen later, are taken: they are younger.
    push(11, 3);
    check(&user.scan(&["db", "update", &at]), 0, &["updated", "built 2026-11-11"]);
    // An older one is refused, before it is downloaded, unless it is meant.
    push(9, 4);
    let before = registry.requests();
    let words = ["built 2026-11-09", "older than the current database, built 2026-11-11", "--allow-older", &at];
    check(&user.scan(&["db", "update", &at]), 3, &words);
    assert!(registry.requests() - before <= 2);
    check(&user.scan(&["db", "update", &at, "--allow-older"]), 0, &["updated", "built 2026-11-09"]);
    assert_eq!(user.leftovers(), Vec::<String>::new());
}

#[test]
fn a_database_from_the_future_is_refused_and_replaced() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    let at = format!("oci://{}/db:latest", registry.host());
    let future = "2999-01-01T00:00:00Z";
    builder.build_at("db", future, 3);
    check(&builder.scan(&["db", "push", &at]), 0, &["built 2999-01-01"]);
    user.build_at("volume", future, 3);
    let words = ["built 2999-01-01T00:00:00Z (in the future), and this machine's clock says", "correct the clock"];
    let check_all = |code: i32, words: &[&str]| {
        check(&user.scan(&["db", "update", &at]), code, words);
        check(&user.scan(&["db", "update", &user.name("volume"), "--allow-older"]), code, words);
        check(&user.scan(&["db", "import", &user.name("volume")]), code, words);
        assert_eq!(user.leftovers(), Vec::<String>::new());
    };
    check_all(3, &words);
    assert!(!user.path("db").exists());
    // One that is in place all the same does not keep correct ones out, and is not called current.
    user.build_at("db", future, 3);
    check_all(3, &words);
    builder.build("db", 10, 3);
    check(&builder.scan(&["db", "push", &at]), 0, &["built 2026-11-10"]);
    check(&user.scan(&["db", "update", &at]), 0, &["updated", "built 2026-11-10"]);
}

#[test]
fn a_delta_is_taken_where_one_leads_to_the_new_database() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    let at = format!("oci://{}/db:latest", registry.host());
    let push = |day: u8, advisories: u32, words: &[&str]| {
        builder.build("db", day, advisories);
        check(&builder.scan(&["db", "push", &at, "--key", &builder.name("key")]), 0, words);
        assert_eq!(builder.leftovers(), Vec::<String>::new());
    };
    let update = |words: &[&str]| {
        let said = user.scan(&["db", "update", &at, "--key", &user.name("pub")]);
        check(&said, 0, words);
        assert_eq!(fs::read(user.path("db")).unwrap(), fs::read(builder.path("db")).unwrap());
        assert_eq!(user.leftovers(), Vec::<String>::new());
        said.text.lines().count()
    };
    let layers = || {
        let manifest: serde_json::Value = serde_json::from_slice(&registry.manifest("db", "latest")).unwrap();
        manifest["layers"].as_array().unwrap().clone()
    };
    push(1, 20_000, &[", signed"]);
    assert_eq!((layers().len(), update(&["updated, sha256:"])), (1, 1));
    push(2, 20_005, &["delta from the one before (", "), signed"]);
    let blobs = registry.requests();
    assert_eq!(update(&["updated by a delta of ", "built 2026-11-02", "signature verified"]), 1);
    assert!(registry.requests() - blobs <= 6, "{} requests", registry.requests() - blobs);
    // Two days later: one after the other. The same file again keeps what led to it.
    push(3, 20_010, &["deltas from 2 earlier ones ("]);
    push(4, 20_015, &["deltas from 3 earlier ones ("]);
    push(4, 20_015, &["deltas from 3 earlier ones ("]);
    assert_eq!(update(&["updated by a delta of ", "built 2026-11-04"]), 1);
    // A delta that is damaged, or whose result is not what was signed: the whole file, with a word.
    push(5, 20_020, &["deltas from 4 earlier ones ("]);
    let delta = layers()[1]["digest"].as_str().unwrap().to_owned();
    let sound = registry.blob(&delta);
    registry.forge_blob(&delta, &sound[..sound.len() - 9]);
    let again = fs::read(user.path("db")).unwrap();
    let fallback = "; downloading the whole database";
    assert_eq!(update(&["warning: the delta is not used: ", "is truncated", fallback, "updated, sha256:"]), 2);
    fs::write(user.path("db"), &again).unwrap();
    registry.forge_blob(&delta, &vec![0; sound.len()]);
    assert_eq!(update(&["warning: the delta is not used: ", fallback, "updated, sha256:"]), 2);
    registry.forge_blob(&delta, &sound);
    // One that is from another database is not asked for.
    user.build("db", 1, 7);
    assert_eq!(update(&["updated, sha256:"]), 1);
    // A database in place whose bytes are not those that its checksum says.
    let mut damaged = again.clone();
    let end = damaged.len() - 9;
    damaged[end] ^= 1;
    fs::write(user.path("db"), &damaged).unwrap();
    assert_eq!(update(&["warning: the delta is not used: ", fallback, "updated, sha256:"]), 2);
    // An older one is refused whatever leads to it, and needs no delta where none is wanted.
    builder.build("db", 3, 20_010);
    check(&builder.scan(&["db", "push", &at]), 0, &["deltas from 5 earlier ones ("]);
    check(&user.scan(&["db", "update", &at]), 3, &["older than the current database", "--allow-older"]);
    check(&user.scan(&["db", "update", &at, "--allow-older"]), 0, &["updated by a delta of ", "built 2026-11-03"]);
    check(&builder.scan(&["db", "push", &at, "--no-delta"]), 0, &[", not signed"]);
    assert_eq!(layers().len(), 1);
    // What the tag named cannot be read: the database is published all the same.
    let whole = layers()[0]["digest"].as_str().unwrap().to_owned();
    registry.forge_blob(&whole, b"");
    builder.build("db", 6, 20_030);
    check(
        &builder.scan(&["db", "push", &at]),
        0,
        &["warning: ", "no delta from the last database: ", "built 2026-11-06"],
    );
    check(&user.scan(&["db", "update", &at]), 0, &["updated, sha256:", "built 2026-11-06"]);
}

#[test]
fn signatures_are_required_where_a_key_is_given() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    builder.build("db", 10, 3);
    let at = format!("oci://{}/team/db:v1", registry.host());
    let update = |key: &str, code: i32, words: &[&str]| {
        check(&user.scan(&["db", "update", &at, "--key", &user.name(key)]), code, words);
    };
    check(&builder.scan(&["db", "push", &at]), 0, &["not signed"]);
    update("pub", 3, &[&at, "it is not signed", "kubectl scan db push --key"]);
    assert!(!user.path("db").exists());
    check(&builder.scan(&["db", "push", &at, "--key", &builder.name("key")]), 0, &[", signed"]);
    update("stranger", 3, &[&at, "no signature of it is by this key"]);
    assert!(!user.path("db").exists());
    update("pub", 0, &["updated", "signature verified"]);
    update("pub", 0, &["already current", "signature verified"]);
    // By its digest, too; and another database has another signature.
    builder.build("db", 11, 4);
    check(&builder.scan(&["db", "push", &at]), 0, &["not signed"]);
    update("pub", 3, &["it is not signed"]);
    update("missing", 2, &["missing"]);
    update("key", 2, &["not a public key", "-pubout"]);
    check(&builder.scan(&["db", "push", &at, "--key", &builder.name("pub")]), 2, &["not a private key"]);
}

#[test]
fn damaged_and_other_things_leave_the_database_alone() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    let at = format!("oci://{}/db:latest", registry.host());
    user.build("db", 1, 1);
    let old = fs::read(user.path("db")).unwrap();
    let update = |at: &str, code: i32, words: &[&str]| {
        check(&user.scan(&["db", "update", at]), code, words);
        assert_eq!(fs::read(user.path("db")).unwrap(), old);
        assert_eq!(user.leftovers(), Vec::<String>::new());
    };
    update(&at, 3, &["does not exist", "check the name"]);
    let image = registry.push("app", "v1", &clean().build());
    update(&format!("oci://{image}"), 3, &["it is not a database", "kubectl scan db push"]);
    update("oci://r.example/UPPER", 2, &["oci://REGISTRY/REPOSITORY:TAG"]);
    update("ftp://a.example/db", 2, &["not a source"]);
    update("oci://registry.invalid/db:v1", 3, &["registry.invalid/db:v1", "name is unknown", "HTTPS_PROXY"]);
    // Bytes that are another sound database's, cut off, or none at all.
    builder.build("db", 10, 3);
    check(&builder.scan(&["db", "push", &at]), 0, &[]);
    let layer = registry.manifest("db", "latest");
    let layer: serde_json::Value = serde_json::from_slice(&layer).unwrap();
    let digest = layer["layers"][0]["digest"].as_str().unwrap().to_owned();
    let sound = registry.blob(&digest);
    registry.forge_blob(&digest, &vec![0; sound.len()]);
    update(&at, 3, &[&at]);
    // The same file, compressed otherwise: nothing but the digest says so.
    let mut forged = sound.clone();
    forged.splice(sound.len() - 4.., [0; 4]);
    registry.forge_blob(&digest, &forged);
    update(&at, 3, &[]);
    registry.forge_blob(&digest, &[&sound[..], b"more"].concat());
    update(&at, 3, &["more than the"]);
    registry.forge_blob(&digest, &sound[..sound.len() / 2]);
    update(&at, 3, &["is truncated"]);
    registry.forge_blob(&digest, &sound);
    check(&user.scan(&["db", "update", &at]), 0, &["updated"]);
    // A database in place that cannot be read is replaced.
    fs::write(user.path("db"), "damaged").unwrap();
    check(&user.scan(&["db", "update", &at]), 0, &["updated"]);
    // A manifest that promises another database than its layer is.
    let lying = String::from_utf8(registry.manifest("db", "latest")).unwrap().replace("2026-11-10T", "2026-11-12T");
    registry.put_manifest("db", "latest", "application/vnd.oci.image.manifest.v1+json", lying.as_bytes());
    check(&user.scan(&["db", "update", &at]), 3, &["its manifest says"]);
}

#[test]
fn without_a_source_the_next_step_is_said() {
    let user = Machine::new();
    let words = ["no source to update from", "TIDEWAITER_DB_SOURCE", "kubectl scan db build"];
    check(&user.scan(&["db", "update"]), 2, &words);
    check(&user.scan(&["db", "push", "oci://r.example/db:latest"]), 3, &["no vulnerability database"]);
    check(&user.scan(&["db", "push", "r.example/db:latest"]), 2, &["oci://REGISTRY/REPOSITORY:TAG"]);
}

#[test]
fn registries_with_tls_and_logins() {
    let (builder, user, authority) = (Machine::new(), Machine::new(), Authority::new());
    builder.build("db", 10, 3);
    let registry = Registry::start_tls(&authority);
    registry.require_login("robot", "secret");
    let at = format!("oci://{}/db:latest", registry.host());
    fs::write(builder.path("ca.pem"), authority.pem()).unwrap();
    let login = format!(r#"{{"auths":{{"{}":{{"username":"robot","password":"secret"}}}}}}"#, registry.host());
    fs::write(builder.path("config.json"), login).unwrap();
    let (ca, config) = (builder.name("ca.pem"), builder.name("config.json"));
    check(&builder.scan(&["db", "push", &at]), 3, &["signed by no authority", "--ca-file"]);
    check(&builder.scan(&["db", "push", &at, "--ca-file", &ca]), 3, &[&at, "answers 401", "docker login"]);
    check(&builder.scan(&["db", "push", &at, "--ca-file", &ca, "--docker-config", &config]), 0, &["not signed"]);
    check(&user.scan(&["db", "update", &at, "--ca-file", &ca]), 3, &["refused access"]);
    check(&user.scan(&["db", "update", &at, "--ca-file", &ca, "--docker-config", &config]), 0, &["updated"]);
}

#[test]
fn web_servers_and_files() {
    let (builder, user, authority) = (Machine::new(), Machine::new(), Authority::new());
    builder.build("db", 10, 3);
    let raw = fs::read(builder.path("db")).unwrap();
    let packed = zstd::encode_all(&raw[..], 3).unwrap();
    fs::write(user.path("ca.pem"), authority.pem()).unwrap();
    let files = [("/db", raw.clone()), ("/db.zst", packed.clone()), ("/text", b"text".to_vec())];
    let web = Web::start(&files, Some(&authority));
    let update = |source: &str, more: &[&str], code: i32, words: &[&str]| {
        let ca = user.name("ca.pem");
        check(&user.scan(&[&["db", "update", source, "--ca-file", &ca], more].concat()), code, words);
        assert_eq!(user.leftovers(), Vec::<String>::new());
    };
    for path in ["/db", "/db.zst"] {
        let _ = fs::remove_file(user.path("db"));
        update(&web.url(path), &[], 0, &["updated", "built 2026-11-10"]);
        assert_eq!(fs::read(user.path("db")).unwrap(), raw);
        update(&web.url(path), &[], 0, &["already current"]);
    }
    update(&web.url("/text"), &[], 3, &["/text", "not a sound database"]);
    update(&web.url("/none"), &[], 3, &["/none", "the server answers 404"]);
    update(&web.url("/db"), &["--key", &user.name("pub")], 3, &["/db.sig", "404"]);
    // Of a volume.
    let _ = fs::remove_file(user.path("db"));
    fs::write(user.path("volume"), &packed).unwrap();
    update(&user.name("volume"), &[], 0, &["updated"]);
    user.build("volume", 9, 1);
    update(&user.name("volume"), &[], 3, &["older than the current database", "--allow-older"]);
    update(&user.name("none"), &[], 2, &["none"]);
    update(
        &user.name("volume"),
        &["--key", &user.name("pub"), "--allow-older"],
        3,
        &["volume.sig", "cosign sign-blob"],
    );
    fs::write(user.path("volume.sig"), "c2ln").unwrap();
    update(&user.name("volume"), &["--key", &user.name("pub"), "--allow-older"], 3, &["not by this key"]);
    // Signed by OpenSSL, over the bytes.
    let sign = "openssl pkeyutl -sign -rawin -inkey key -in volume | base64 -w0 > volume.sig";
    if Command::new("sh").args(["-c", sign]).current_dir(user.dir.path()).status().unwrap().success() {
        let args = ["--key", &user.name("pub"), "--allow-older"];
        update(&user.name("volume"), &args, 0, &["updated", "signature verified"]);
    } else {
        tidewaiter_testkit::skip::skipped("web_servers_and_files", "needs openssl");
    }
}

/// A blob that a person signed with cosign 3, and the roots of Sigstore's public instance: of sigstore-verify's tests
/// (Apache-2.0). Nobody can sign a database so without the network, so what is verified here is no database.
#[cfg(feature = "sigstore")]
const BLOB: &[u8] = include_bytes!("data/sigstore-blob.txt");
#[cfg(feature = "sigstore")]
const BUNDLE: &[u8] = include_bytes!("data/sigstore-blob.txt.sigstore.json");
#[cfg(feature = "sigstore")]
const ROOT: &[u8] = include_bytes!("data/trusted_root.json");

#[cfg(not(feature = "sigstore"))]
#[test]
fn without_sigstore_an_identity_is_never_taken_as_verified() {
    let user = Machine::new();
    user.build("file", 1, 1);
    let args = ["db", "update", &user.name("file"), "--certificate-identity", "a", "--certificate-oidc-issuer", "b"];
    let words = ["built without Sigstore", "--features sigstore", "cosign verify-blob"];
    check(&user.scan(&[&args[..], &["--trusted-root", "c"]].concat()), 2, &words);
    assert!(!user.path("db").exists());
}

#[cfg(feature = "sigstore")]
#[test]
fn bundles_are_required_where_an_identity_is_given() {
    let (builder, user, registry) = (Machine::new(), Machine::new(), Registry::start());
    user.build("db", 1, 1);
    builder.build("db", 10, 3);
    for (name, bytes) in
        [("root", ROOT), ("blob", BLOB), ("blob.sigstore.json", BUNDLE), ("other", b"other".as_slice())]
    {
        fs::write(user.path(name), bytes).unwrap();
    }
    fs::write(user.path("other.sigstore.json"), BUNDLE).unwrap();
    let (signer, root) = ("w.vollprecht@gmail.com", user.name("root"));
    let update = |source: &str, identity: &str, code: i32, words: &[&str]| {
        let issuer = "https://github.com/login/oauth";
        let args = ["db", "update", source, "--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
        check(&user.scan(&[&args[..], &["--trusted-root", &root]].concat()), code, words);
        assert_eq!(user.leftovers(), Vec::<String>::new());
    };
    // Of a volume: what is soundly signed is looked at, and is no database.
    update(&user.name("blob"), signer, 3, &["blob: not a sound database"]);
    update(&user.name("blob"), "other@example.com", 3, &["blob.sigstore.json", "does not say that other@example.com"]);
    update(&user.name("other"), signer, 3, &["other.sigstore.json", "does not say that"]);
    fs::remove_file(user.path("other.sigstore.json")).unwrap();
    update(&user.name("other"), signer, 3, &["other.sigstore.json", "cosign sign-blob --bundle"]);
    // Of a web server.
    let files = [("/blob", BLOB.to_vec()), ("/blob.sigstore.json", BUNDLE.to_vec()), ("/bare", BLOB.to_vec())];
    let web = Web::start(&files, None);
    update(&web.url("/blob"), signer, 3, &["/blob: not a sound database"]);
    update(&web.url("/bare"), signer, 3, &["/bare.sigstore.json", "404"]);
    // Of a registry: the bundle refers to the manifest. By tag, and by the list of a registry that has one.
    let at = format!("oci://{}/db:latest", registry.host());
    check(&builder.scan(&["db", "push", &at]), 0, &[]);
    update(&at, signer, 3, &[&at, "it has no Sigstore bundle", "cosign sign"]);
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    registry.forge_blob(&digest(BUNDLE), BUNDLE);
    let layer = serde_json::json!({"mediaType": kind, "digest": digest(BUNDLE), "size": BUNDLE.len()});
    let referrer = serde_json::json!({"artifactType": kind, "layers": [layer]}).to_string();
    registry.put_manifest("db", &digest(referrer.as_bytes()), manifest, referrer.as_bytes());
    let listed = serde_json::json!({"digest": digest(referrer.as_bytes()), "artifactType": kind});
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [listed]}).to_string();
    let tag = digest(&registry.manifest("db", "latest")).replace(':', "-");
    registry.put_manifest("db", &tag, "application/vnd.oci.image.index.v1+json", index.as_bytes());
    update(&at, signer, 3, &[&at, "the bundle does not say that w.vollprecht@gmail.com"]);
    registry.serve_referrers();
    update(&at, signer, 3, &[&at, "the bundle does not say that w.vollprecht@gmail.com"]);
    // What is signed by that person is no database, and is no longer refused for its signature.
    registry.put_manifest("db", "blob", manifest, BLOB);
    registry.put_manifest("db", &digest(BLOB).replace(':', "-"), manifest, index.as_bytes());
    update(&format!("oci://{}/db:blob", registry.host()), signer, 3, &["its manifest is malformed"]);
    // Options that belong together, and files that are none.
    let some = user.scan(&["db", "update", &at, "--certificate-identity", signer]);
    check(&some, 2, &["--certificate-oidc-issuer", "--trusted-root"]);
    let bad =
        ["--certificate-identity", signer, "--certificate-oidc-issuer", "x", "--trusted-root", &user.name("blob")];
    check(
        &user.scan(&[&["db", "update", &at], &bad[..]].concat()),
        2,
        &["not a trusted root", "cosign trusted-root create"],
    );
}

/// A process that is killed when dropped.
struct Renewal(std::process::Child);

impl Drop for Renewal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_database_is_renewed_on_a_schedule_and_after_a_correction() {
    use std::time::Duration;
    use tidewaiter_testkit::cluster::eventually;
    let machine = Machine::new();
    let log = || fs::read_to_string(machine.path("log")).unwrap_or_default();
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        eventually(what, Duration::from_secs(60), || holds().then_some(()));
    };
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let toml = fs::read_to_string(demo.join("feeds.toml")).unwrap();
    let sound = toml.replace("\"advisories\"", &format!("{:?}", demo.join("advisories").display().to_string()));
    fs::create_dir(machine.path("feeds")).unwrap();
    fs::write(machine.path("feeds/feeds.toml"), sound.replace("advisories\"", "nothing\"")).unwrap();
    // Of a renewal that was killed; no process has such a number.
    fs::create_dir(machine.path("db.5000000.parts")).unwrap();
    fs::write(machine.path("db.5000000-0.new"), "").unwrap();
    let start = |every: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.env_clear().env("HOME", machine.dir.path());
        command.args(["db", "renew", "--every", every, "--memory", "4096", "--db"]).arg(machine.path("db"));
        command.arg("--feeds").arg(machine.path("feeds/feeds.toml"));
        let log = fs::File::options().create(true).append(true).open(machine.path("log")).unwrap();
        Renewal(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    };
    let mut renewal = start("24h");
    until("the failure and the next try", &|| log().contains("not renewed") && log().contains("next try is in 1m"));
    assert!(!machine.path("db").exists());
    assert_eq!(machine.leftovers(), Vec::<String>::new());
    fs::write(machine.path("feeds/feeds.toml"), &sound).unwrap();
    // The file is in place before the renewal has ended; one damaged in between counts as a failed renewal, with its pause.
    let renewed =
        |times: usize| machine.path("db").exists() && log().matches("the next renewal is in 24h").count() == times;
    until("the corrected feeds", &|| renewed(1));
    // One that is lost, or damaged anywhere, is renewed without waiting for tomorrow.
    fs::remove_file(machine.path("db")).unwrap();
    until("the lost database", &|| renewed(2));
    let mut damaged = fs::read(machine.path("db")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(machine.path("db"), &damaged).unwrap();
    // Not compared with the first one: the times of two builds differ.
    until("the damaged database", &|| fs::read(machine.path("db")).unwrap() != damaged);
    // It ends when asked to: a container's first process without a handler would not.
    let term = Command::new("kill").args(["-TERM", &renewal.0.id().to_string()]).status().unwrap();
    assert!(term.success() && renewal.0.wait().unwrap().success());
    // A database that is due is built again.
    let stamp = || fs::metadata(machine.path("db")).unwrap().modified().unwrap();
    let first = stamp();
    let _renewal = start("2s");
    until("a renewal that is due", &|| stamp() > first);
    check(&machine.scan(&["db", "renew", "--every", "0s"]), 2, &["--every must be a second at least"]);
}
