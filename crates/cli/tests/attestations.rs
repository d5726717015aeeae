//! Signed verdicts: attached to images in a registry, and verified; what was tampered with counts for nothing.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, distinct, vulnerable};
use tidewaiter_testkit::image::ImageFixture;
use tidewaiter_testkit::registry::Registry;
use tidewaiter_testkit::sha256;

/// Of `openssl genpkey`; the second key is another signer's.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzy1t2Mc8PFP5THDc\nr21Qoy8Xx+48FgxrbPkL7wpHJiOhRANCAAQr1OBlCE/b7JTV6l9htes4Z3ZhhKf2\nT6pv9mJjW72IkoONp6qksexub1gTg5s+BekYbg/QmrxAT2x+a/0ZD4Iz\n-----END PRIVATE KEY-----\n";
const PUB: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEK9TgZQhP2+yU1epfYbXrOGd2YYSn\n9k+qb/ZiY1u9iJKDjaeqpLHsbm9YE4ObPgXpGG4P0Jq8QE9sfmv9GQ+CMw==\n-----END PUBLIC KEY-----\n";
const OTHER_KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";
const OTHER_PUB: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=\n-----END PUBLIC KEY-----\n";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const VERDICT: &str = "https://tidewaiter.dev/attestations/verdict/v1";

/// A machine with the demo's database, and two pairs of keys.
struct SigningMachine {
    dir: TempDir,
}

impl SigningMachine {
    fn new() -> Self {
        let machine = SigningMachine { dir: tempfile::tempdir().unwrap() };
        for (name, text) in [("key", KEY), ("pub", PUB), ("other.key", OTHER_KEY), ("other.pub", OTHER_PUB)] {
            fs::write(machine.path(name), text).unwrap();
        }
        let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml").display().to_string();
        check(&machine.scan(&["db", "build", "--feeds", &feeds]), 0, &["advisories"]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn scan(&self, args: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.env_clear().env("HOME", self.dir.path()).env("TIDEWAITER_DB", self.path("db"));
        let said = run(command.args(args));
        assert!(!said.text.contains("panicked"), "{}", said.text);
        said
    }

    fn attest(&self, image: &str, key: &str, more: &[&str]) -> Said {
        self.scan(&[&["attest", image, "--key", &self.name(key)], more].concat())
    }

    #[track_caller]
    fn verify(&self, image: &str, key: &str, more: &[&str], code: i32, words: &[&str]) -> String {
        let said = self.scan(&[&["verify", image, "--key", &self.name(key)], more].concat());
        check(&said, code, words);
        said.text
    }
}

#[track_caller]
fn check(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}", said.text);
    for word in words {
        assert!(said.text.contains(word), "{word:?}: {}", said.text);
    }
}

fn tag(image: &ImageFixture, suffix: &str) -> String {
    format!("{}{suffix}", image.digest().replace(':', "-"))
}

#[test]
fn a_verdict_is_attached_and_verified() {
    let (machine, plain, listing) = (SigningMachine::new(), Registry::start(), Registry::start());
    listing.serve_referrers();
    for registry in [&plain, &listing] {
        let image = registry.push("app", "v1", &clean().build());
        let digest = clean().build().digest();
        machine.verify(&image, "pub", &[], 3, &["nothing signed is attached", "kubectl scan attest"]);
        check(&machine.attest(&image, "key", &[]), 0, &[&digest, "pass, signed by the key sha256:"]);
        let words = ["Signed by: the key sha256:", "linux/amd64: No vulnerabilities found", "Policy: pass"];
        machine.verify(&image, "pub", &[], 0, &words);
        machine.verify(&format!("{}/app@{digest}", registry.host()), "pub", &[], 0, &words);
        machine.verify(&image, "other.pub", &[], 3, &["nothing that is attached counts", "not signed by the key"]);
        let said = machine.verify(&image, "pub", &["-o", "json"], 0, &[]);
        let json: Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&json["outcome"], &json["digest"]), (&"Pass".into(), &digest.into()), "{said}");
        assert_eq!(json["signedVerdict"]["policy"]["content"]["blockAt"], "CRITICAL", "{said}");
        // Two signers side by side; a second verdict of one takes the place of the first.
        check(&machine.attest(&image, "other.key", &[]), 0, &[]);
        check(&machine.attest(&image, "key", &["--block-at", "low"]), 0, &["pass"]);
        machine.verify(&image, "pub", &[], 0, &["does not count: ", "not signed by the key"]);
        machine.verify(&image, "other.pub", &[], 0, &["Policy: pass"]);
    }
    // Nothing is left of what was replaced.
    let list: Value = serde_json::from_slice(&plain.manifest("app", &tag(&clean().build(), ""))).unwrap();
    let layers: Value = serde_json::from_slice(&plain.manifest("app", &tag(&clean().build(), ".att"))).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 4, "{list}");
    assert_eq!(layers["layers"].as_array().unwrap().len(), 4, "{layers}");
}

#[test]
fn the_exit_code_is_that_of_the_newest_verdict() {
    let (machine, plain, listing) = (SigningMachine::new(), Registry::start(), Registry::start());
    listing.serve_referrers();
    fs::write(machine.path("never.yaml"), "kind: ClusterScanPolicy\nspec: {blockAt: NEVER}\n").unwrap();
    let never = ["--policy", &machine.name("never.yaml")];
    for registry in [&plain, &listing] {
        let image = registry.push("app", "v1", &vulnerable().build());
        check(&machine.attest(&image, "key", &[]), 0, &["violated, signed by the key"]);
        machine.verify(&image, "pub", &[], 1, &["3 critical", "Policy: violated", "(critical) in zlib"]);
        // Another policy judges the signed report.
        let words = ["judged now, by the policy of the command line", "3 critical", "Policy: pass"];
        machine.verify(&image, "pub", &never, 0, &words);
        machine.verify(&image, "other.pub", &never, 3, &["not signed by the key"]);
        check(&machine.attest(&image, "key", &never), 0, &["pass"]);
        machine.verify(&image, "pub", &[], 0, &["Policy: pass"]);
        machine.verify(&image, "pub", &["--block-at", "medium"], 1, &["Policy: violated"]);
        check(&machine.attest(&image, "key", &[]), 0, &["violated"]);
        machine.verify(&image, "pub", &[], 1, &["Policy: violated"]);
    }
    // An old verdict is none.
    let image = plain.push("app", "v1", &vulnerable().build());
    std::thread::sleep(std::time::Duration::from_millis(1100));
    machine.verify(&image, "pub", &["--max-age", "1s"], 3, &["may be 1s old at most; attest again"]);
    machine.verify(&image, "pub", &["--max-age", "1s", "--block-at", "medium"], 3, &["may be 1s old at most"]);
    machine.verify(&image, "pub", &["--max-age", "0s"], 2, &["--max-age 0s: give a duration above zero"]);
}

/// A registry whose content an attacker changes.
struct Attacked {
    registry: Registry,
    image: ImageFixture,
}

impl Attacked {
    /// Puts other bytes in the place of everything attached: `change` is given each envelope.
    fn replace(&self, change: impl Fn(&mut Value)) {
        let layers: Value = serde_json::from_slice(&self.registry.manifest("app", &tag(&self.image, ".att"))).unwrap();
        let mut manifest = layers.clone();
        for layer in manifest["layers"].as_array_mut().unwrap() {
            let bytes = self.registry.blob(layer["digest"].as_str().unwrap());
            let mut envelope: Value = serde_json::from_slice(&bytes).unwrap();
            change(&mut envelope);
            let bytes = envelope.to_string().into_bytes();
            self.registry.forge_blob(&sha256(&bytes), &bytes);
            layer["digest"] = sha256(&bytes).into();
            layer["size"] = bytes.len().into();
        }
        let text = manifest.to_string();
        self.registry.put_manifest("app", &tag(&self.image, ".att"), MANIFEST, text.as_bytes());
        // No bundles: they hold the same envelopes.
        let none = r#"{"schemaVersion": 2, "manifests": []}"#;
        self.registry.put_manifest("app", &tag(&self.image, ""), INDEX, none.as_bytes());
    }
}

#[test]
fn what_was_tampered_with_counts_for_nothing() {
    let machine = SigningMachine::new();
    let fresh = || {
        let attacked = Attacked { registry: Registry::start(), image: vulnerable().build() };
        let image = attacked.registry.push("app", "v1", &attacked.image);
        check(&machine.attest(&image, "key", &[]), 0, &[]);
        (attacked, image)
    };
    let payload =
        |envelope: &Value| String::from_utf8(STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap();
    let check_changed = |change: &dyn Fn(&mut Value), code: i32, words: &[&str]| {
        let (attacked, image) = fresh();
        attacked.replace(change);
        machine.verify(&image, "pub", &[], code, words);
    };
    // As the machinery of this test leaves it, everything is well.
    check_changed(&|_| {}, 1, &["Policy: violated"]);
    let passing = |envelope: &mut Value| {
        let changed = payload(envelope).replace("\"Violated\"", "\"Pass\"");
        envelope["payload"] = STANDARD.encode(changed).into();
    };
    check_changed(&passing, 3, &["nothing that is attached counts", "or was changed afterwards"]);
    check_changed(
        &|envelope| envelope["payloadType"] = "text/plain".into(),
        3,
        &["not an in-toto statement but \"text/plain\""],
    );
    check_changed(&|envelope| envelope["signatures"] = Value::Array(vec![]), 3, &["not signed by the key"]);
    check_changed(&|envelope| envelope["signatures"] = 1.into(), 3, &["it is not an attestation"]);
    // A signature of somebody else before that of the key.
    let two = |envelope: &mut Value| {
        let signatures = envelope["signatures"].as_array_mut().unwrap();
        signatures.insert(0, serde_json::json!({"keyid": "x", "sig": "AAAA"}));
    };
    check_changed(&two, 1, &["Policy: violated"]);
    // What was signed of another image, by its tag and by its list.
    let (attacked, image) = fresh();
    let other = distinct("other");
    let good = attacked.registry.push("app", "good", &other);
    check(&machine.attest(&good, "key", &[]), 0, &["pass"]);
    for suffix in ["", ".att"] {
        let stolen = attacked.registry.manifest("app", &tag(&other, suffix));
        attacked.registry.put_manifest("app", &tag(&attacked.image, suffix), MANIFEST, &stolen);
    }
    machine.verify(&image, "pub", &[], 3, &["about another image", &other.digest()]);
    machine.verify(&good, "pub", &[], 0, &["Policy: pass"]);
    // Bytes that are not those of the digest, and blobs that are gone.
    let (attacked, image) = fresh();
    let layers: Value =
        serde_json::from_slice(&attacked.registry.manifest("app", &tag(&attacked.image, ".att"))).unwrap();
    let layer =
        layers["layers"].as_array().unwrap().iter().find(|layer| layer["annotations"]["predicateType"] == VERDICT);
    attacked.registry.forge_blob(layer.unwrap()["digest"].as_str().unwrap(), b"{}");
    machine.verify(&image, "pub", &[], 1, &["does not count", "Policy: violated"]);
}

#[test]
fn an_index_is_signed_when_all_of_its_platforms_are() {
    let (machine, registry) = (SigningMachine::new(), Registry::start());
    let (amd, arm) = (clean().build(), vulnerable().architecture("arm64").build());
    let image = registry.push("app", "v1", &ImageFixture::index(&[amd.clone(), arm.clone()]));
    let amd_alone = ["--platform", "linux/amd64"];
    check(&machine.attest(&image, "key", &amd_alone), 0, &[&amd.digest(), "pass"]);
    machine.verify(&image, "pub", &[], 3, &["nothing signed is attached", "--platform", "--all-platforms"]);
    machine.verify(&image, "pub", &amd_alone, 0, &["Policy: pass"]);
    machine.verify(&image, "pub", &["--platform", "linux/arm64"], 3, &["nothing signed is attached"]);
    let index = ImageFixture::index(&[amd.clone(), arm.clone()]).digest();
    check(&machine.attest(&image, "key", &["--all-platforms"]), 0, &[&amd.digest(), &arm.digest(), &index, "violated"]);
    machine.verify(
        &image,
        "pub",
        &[],
        1,
        &["linux/amd64: No vulnerabilities", "linux/arm64: Vulnerabilities found: 3 critical"],
    );
    machine.verify(&image, "pub", &["--block-at", "low"], 1, &["linux/arm64"]);
    // Each platform has its own verdict, and its own report.
    for policy in [&[][..], &["--block-at", "low"]] {
        let said = machine.verify(&image, "pub", &[&amd_alone, policy].concat(), 0, &["linux/amd64: No vuln"]);
        assert!(!said.contains("linux/arm64"), "{said}");
        let arm_alone = [&["--platform", "linux/arm64"], policy].concat();
        machine.verify(&image, "pub", &arm_alone, 1, &["linux/arm64: Vulnerabilities found", "Policy: violated"]);
    }
    // What states no platform may run, too: it keeps the index from being signed, and is named.
    let mut unstated = ImageFixture::index(&[amd.clone(), arm.clone()]);
    let mut document: Value = serde_json::from_slice(&unstated.root.bytes).unwrap();
    document["manifests"][1].as_object_mut().unwrap().remove("platform");
    unstated.root.bytes = document.to_string().into_bytes();
    let image = registry.push("app", "unstated", &unstated);
    check(&machine.attest(&image, "key", &amd_alone), 0, &[&amd.digest(), "pass"]);
    machine.verify(&image, "pub", &[], 3, &["nothing signed is attached"]);
    check(&machine.attest(&image, "key", &["--all-platforms"]), 3, &[&arm.digest(), "no platform stated"]);
    // An index with one platform is that platform.
    let single = ImageFixture::index(&[distinct("single")]);
    let image = registry.push("app", "single", &single);
    check(&machine.attest(&image, "key", &amd_alone), 0, &[&single.digest()]);
    machine.verify(&image, "pub", &[], 0, &["Policy: pass"]);
}

#[test]
fn a_report_is_signed_as_it_is() {
    let (machine, registry) = (SigningMachine::new(), Registry::start());
    let (image, other) =
        (registry.push("app", "v1", &vulnerable().build()), registry.push("app", "v2", &clean().build()));
    let report = machine.name("report.json");
    check(&machine.scan(&["image", "--local", &image, "-o", &format!("json={report}")]), 1, &[]);
    let of_report = ["--report", &report];
    check(&machine.attest(&image, "key", &of_report), 0, &["violated"]);
    machine.verify(&image, "pub", &[], 1, &["3 critical"]);
    check(
        &machine.attest(&other, "key", &of_report),
        2,
        &["report.json: a report of sha256:", "and IMAGE names sha256:"],
    );
    // Its scan is as old as its database.
    let mut old: Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    old["database"]["built"] = "2026-01-01T00:00:00Z".into();
    fs::write(&report, old.to_string()).unwrap();
    check(&machine.attest(&image, "key", &of_report), 0, &["violated"]);
    for policy in [&[][..], &["--block-at", "low"]] {
        machine.verify(&image, "pub", policy, 3, &["it was made at 2026-01-01T00:00:00Z"]);
    }
    old["database"]["built"] = "".into();
    fs::write(&report, old.to_string()).unwrap();
    check(&machine.attest(&image, "key", &of_report), 2, &["does not say when its database was built"]);
}

#[test]
fn what_others_attach_at_once_is_not_lost() {
    let (machine, registry) = (SigningMachine::new(), Registry::start());
    let image = registry.push("app", "v1", &clean().build());
    check(&machine.attest(&image, "other.key", &[]), 0, &[]);
    // Another push takes the place of the first one.
    registry.lose_tags(1);
    check(&machine.attest(&image, "key", &[]), 0, &["pass"]);
    machine.verify(&image, "pub", &[], 0, &["Policy: pass"]);
    machine.verify(&image, "other.pub", &[], 0, &["Policy: pass"]);
    registry.lose_tags(usize::MAX);
    check(&machine.attest(&image, "key", &[]), 3, &[&tag(&clean().build(), ".att"), "others push to this tag"]);
    registry.lose_tags(0);
    // What is no manifest is somebody's.
    let foreign = br#"{"manifests": []}"#;
    registry.put_manifest("app", &tag(&clean().build(), ".att"), INDEX, foreign);
    let words = [&tag(&clean().build(), ".att"), "what is there stays", "delete the tag"];
    check(&machine.attest(&image, "key", &[]), 3, &words);
    assert_eq!(registry.manifest("app", &tag(&clean().build(), ".att")), foreign);
    // The bundles count all the same.
    machine.verify(&image, "pub", &[], 0, &["does not count: sha256-", "Policy: pass"]);
}

#[test]
fn exceptions_of_the_signer_are_said() {
    let (machine, registry) = (SigningMachine::new(), Registry::start());
    let image = registry.push("app", "v1", &vulnerable().build());
    fs::write(machine.path(".trivyignore"), "CVE-2022-37434\n").unwrap();
    check(&machine.attest(&image, "key", &["--exceptions", &machine.name(".trivyignore")]), 0, &["violated"]);
    machine.verify(&image, "pub", &[], 1, &["exception: CVE-2022-37434 in zlib"]);
    let words = ["not counted by the signer's exceptions: 1 (CVE-2022-37434 in zlib)", "Policy: violated"];
    machine.verify(&image, "pub", &["--block-at", "low"], 1, &words);
    let said = machine.verify(&image, "pub", &["--block-at", "low", "-o", "json"], 1, &[]);
    let json: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["exceptions"][0]["vulnerability"], "CVE-2022-37434", "{said}");
}

#[test]
fn envelopes_are_written_where_nothing_is_attached() {
    let (machine, registry) = (SigningMachine::new(), Registry::start());
    let image = registry.push("app", "v1", &clean().build());
    let before = registry.log().len();
    let file = machine.name("signed.jsonl");
    check(&machine.attest(&image, "key", &["--no-push", "-o", &file]), 0, &[]);
    assert!(!registry.log()[before..].iter().any(|line| line.starts_with("PUT") || line.starts_with("POST")));
    let lines = fs::read_to_string(&file).unwrap();
    let envelopes: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(envelopes.len(), 2);
    assert!(envelopes.iter().all(|envelope| envelope["payloadType"] == "application/vnd.in-toto+json"));
    // Of an image of this machine; to standard output.
    fs::create_dir(machine.path("root")).unwrap();
    let root = format!("dir:{}", machine.name("root"));
    check(&machine.attest(&root, "key", &["--no-push"]), 0, &["\"payload\""]);
    check(&machine.attest(&root, "key", &[]), 2, &["only an image in a registry", "--no-push"]);
    check(&machine.attest(&root, "key", &["--no-push", "--all-platforms"]), 2, &["--all-platforms"]);
    machine.verify(&root, "pub", &[], 2, &["only an image in a registry"]);
    let own_key = ["--no-push", "-o", &machine.name("key")];
    check(&machine.attest(&image, "key", &own_key), 2, &["key is what is read; name another file"]);
    assert_eq!(fs::read_to_string(machine.path("key")).unwrap(), KEY);
    // Keys that are none, before anything is scanned.
    check(&machine.attest(&image, "pub", &[]), 2, &["not a private key to sign with", "openssl genpkey"]);
    machine.verify(&image, "key", &[], 2, &["not a public key", "-pubout"]);
}
