//! What a pipeline scanned and signed is not read again, where the administrator trusts its key for the image; database and policy
//! are the server's.

use crate::new_database::{feeds, scan};
use crate::{create, places, rolled_out, within};
use std::fs;
use tidewaiter_testkit::demo::{CLEAN, RELEASE, VULNERABLE};
use tidewaiter_testkit::image::{ImageBuilder, ImageFixture};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression, LayerFixture};
use tidewaiter_testkit::packages::debian;
use tidewaiter_testkit::sha256;

/// Of `openssl genpkey -algorithm ed25519`; the second key is a stranger's.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEICfhmu+AZLkAuL2Y6XYBU9Bo9Zq8W96qorTfTajTbPS1\n-----END PRIVATE KEY-----\n";
const PUB: &str = "MCowBQYDK2VwAyEACrKOTMSRiPjEOIEBrXes3GLNRnNMmhSQ8DU/yEsOd+Q=";
const FINGERPRINT: &str = "sha256:977339bceedd52e8774e45f774abbd9da3692ca03c459ca6112ecde1b52dde2a";
const STRANGER: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzy1t2Mc8PFP5THDc\nr21Qoy8Xx+48FgxrbPkL7wpHJiOhRANCAAQr1OBlCE/b7JTV6l9htes4Z3ZhhKf2\nT6pv9mJjW72IkoONp6qksexub1gTg5s+BekYbg/QmrxAT2x+a/0ZD4Iz\n-----END PRIVATE KEY-----\n";

/// An image of a pipeline.
struct PipelineImage {
    layer: LayerFixture,
    image: ImageFixture,
}

impl PipelineImage {
    fn new(name: &str, packages: &[(&str, &str)]) -> Self {
        let layer = debian(RELEASE, packages).build(LayerCompression::Gzip);
        let own = LayerBuilder::new().file("app/name", name);
        let image = ImageBuilder::new().stored("ADD rootfs.tar /", layer.clone()).layer("COPY app /app", own).build();
        PipelineImage { layer, image }
    }

    /// Pushes it, and signs what a scan finds, by a policy that blocks nothing.
    fn push(&self, lab: &Lab, repository: &str, key: &str) -> String {
        let image = lab.registry.push(repository, "v1", &self.image);
        let (key_file, policy) = (lab.cluster.dir().join("scan.key"), lab.cluster.dir().join("never.yaml"));
        fs::write(&key_file, key).unwrap();
        fs::write(&policy, "kind: ClusterScanPolicy\nspec: {blockAt: NEVER}\n").unwrap();
        let files = [&key_file, &lab.database(), &policy].map(|file| file.display().to_string());
        let args =
            ["scan", "attest", &image, "--key", &files[0], "--db", &files[1], "--policy", &files[2], "--no-cache"];
        assert!(lab.kubectl(&args).ok().contains("pass, signed by the key"));
        image
    }
}

/// How often the registry was asked for a layer.
fn fetched(lab: &Lab, image: &PipelineImage) -> usize {
    let path = format!("/blobs/{}", sha256(&image.layer.bytes));
    lab.registry.log().iter().filter(|request| request.starts_with("GET") && request.contains(&path)).count()
}

/// Whose scan was taken of an image.
fn signed_by(lab: &Lab, image: &str) -> String {
    scan(lab, image, "status.platforms[0].signedBy")
}

/// A cluster whose administrator trusts the key for these repositories of the registry.
fn trusting(repositories: &str) -> Lab {
    let mut lab = Lab::new(places());
    let host = lab.registry.host();
    let scanner = format!(
        "- key: |\n    -----BEGIN PUBLIC KEY-----\n    {PUB}\n    -----END PUBLIC KEY-----\n  images: [\"{host}/{repositories}\"]\n  maxAge: 1h\n"
    );
    let trusted = lab.mounted_file("trusted-scans.yaml", &scanner);
    lab.start_server_with(&["--trusted-scans", &trusted]);
    lab
}

#[test]
fn a_trusted_scan_is_judged_and_not_repeated() {
    let lab = trusting("trusted/**");
    // What was scanned in the pipeline is not read: here it could not be.
    let clean = PipelineImage::new("clean", &CLEAN);
    let image = clean.push(&lab, "trusted/clean", KEY);
    let before = fetched(&lab, &clean);
    lab.registry.forge_blob(&sha256(&clean.layer.bytes), b"damaged");
    create(&lab, "clean", &image);
    rolled_out(&lab, "clean");
    assert!(signed_by(&lab, &image).starts_with(&format!("{FINGERPRINT} at ")), "{}", signed_by(&lab, &image));
    assert_eq!(fetched(&lab, &clean), before);
    // Whatever the pipeline's policy says, the cluster's blocks; by the findings of the cluster's database.
    let vulnerable = PipelineImage::new("vulnerable", &VULNERABLE);
    let image = vulnerable.push(&lab, "trusted/vulnerable", KEY);
    let before = fetched(&lab, &vulnerable);
    create(&lab, "vulnerable", &image);
    lab.until("vulnerable", "VulnerabilitiesFound Blocked");
    let status = lab.kubectl(&["scan", "status", "deployment/vulnerable"]).ok();
    assert!(status.contains("3 critical, 5 medium"), "{status}");
    assert_eq!(fetched(&lab, &vulnerable), before);
    // The key is not trusted for another repository, and another key for none: the image is read.
    let check_read = |repository: &str, name: &str, key: &str| {
        let of = PipelineImage::new(name, &[("zlib", "1:1.3.1-1"), ("curl", "8.15.0-1"), (name, "1")]);
        let image = of.push(&lab, repository, key);
        let before = fetched(&lab, &of);
        create(&lab, name, &image);
        within(PATIENCE, "the image is read", || fetched(&lab, &of) > before);
        rolled_out(&lab, name);
        assert_eq!(signed_by(&lab, &image), "");
    };
    check_read("elsewhere/app", "elsewhere", KEY);
    check_read("trusted/stranger", "stranger", STRANGER);
}

#[test]
fn a_new_database_finds_what_the_signed_scan_did_not() {
    let lab = trusting("**");
    let app = PipelineImage::new("app", &CLEAN);
    let image = app.push(&lab, "app", KEY);
    let before = fetched(&lab, &app);
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
    assert_eq!(scan(&lab, &image, "status.verdict"), "Pass");
    lab.build_database(&feeds(&lab, "10.0"));
    within(PATIENCE, "the image is critical", || scan(&lab, &image, "status.verdict") == "Violated");
    assert!(signed_by(&lab, &image).starts_with(FINGERPRINT));
    assert_eq!(fetched(&lab, &app), before);
}
