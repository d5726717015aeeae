//! Layers that images share are read once for each namespace, and what is wrong with their cache fails no scan.

use crate::full_volume::SmallVolume;
use crate::{create, lab, places, rolled_out, within};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_testkit::demo::{CLEAN, RELEASE};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::layer::{LayerBuilder, LayerCompression, LayerFixture};
use tidewaiter_testkit::packages::debian;
use tidewaiter_testkit::sha256;

/// What the scanner's log says of a full volume.
const FULL: &str = "the volume is nearly full";

fn base() -> LayerFixture {
    debian(RELEASE, &CLEAN).build(LayerCompression::Gzip)
}

/// Has a Deployment created with an image of its own on the base.
fn create_on(lab: &Lab, base: &LayerFixture, name: &str) {
    let own = LayerBuilder::new().file("app/name", name);
    let image = ImageBuilder::new().stored("ADD rootfs.tar /", base.clone()).layer("COPY app /app", own).build();
    create(lab, name, &lab.registry.push(name, "v1", &image));
}

/// How often the registry was asked for a layer.
fn fetched(lab: &Lab, layer: &LayerFixture) -> usize {
    let path = format!("/blobs/{}", sha256(&layer.bytes));
    lab.registry.log().iter().filter(|request| request.starts_with("GET") && request.contains(&path)).count()
}

fn metric(lab: &Lab, name: &str) -> u64 {
    let path = "/api/v1/namespaces/tidewaiter-system/services/http:tidewaiter:9090/proxy/metrics";
    let text = lab.admin(&["get", "--raw", path]).ok();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default()
}

/// What scans use from now on, of all namespaces.
fn sealed(lab: &Lab) -> Vec<PathBuf> {
    let folders = fs::read_dir(lab.layers()).unwrap().map(|entry| entry.unwrap().path().join("sealed"));
    let files = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    files.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_base_is_read_once_for_each_namespace() {
    let mut lab = lab();
    let base = base();
    // So that scans that run at the same time need it at the same time.
    lab.registry.delay_blobs(Duration::from_millis(500));
    let names = ["one", "two", "three", "four"];
    names.iter().for_each(|name| create_on(&lab, &base, name));
    names.iter().for_each(|name| rolled_out(&lab, name));
    assert_eq!(fetched(&lab, &base), 1);
    let layers = r#"tidewaiter_layers_total{from="#;
    let counts = [r#""cache"}"#, r#""registry"}"#].map(|from| metric(&lab, &format!("{layers}{from}")));
    assert_eq!(counts, [3, 5], "the base of three, and the base and the own layers of four");
    // Also after a restart of both containers.
    lab.kill_server();
    lab.start_server();
    create_on(&lab, &base, "later");
    rolled_out(&lab, "later");
    assert_eq!(fetched(&lab, &base), 1);
    // What the workers of one namespace say is for that namespace alone.
    lab.new_namespace("other");
    create_on(&lab, &base, "apart");
    rolled_out(&lab, "apart");
    assert_eq!(fetched(&lab, &base), 2);
    // As is that of a namespace that is gone, for another one of its name.
    lab.work_in("default");
    lab.admin(&["delete", "namespace", "other", "--wait"]).ok();
    lab.new_namespace("other");
    create_on(&lab, &base, "again");
    rolled_out(&lab, "again");
    assert_eq!(fetched(&lab, &base), 3);
}

#[test]
fn garbage_is_read_again() {
    let lab = lab();
    let base = base();
    create_on(&lab, &base, "one");
    rolled_out(&lab, "one");
    within(PATIENCE, "both layers are sealed", || sealed(&lab).len() == 2);
    sealed(&lab).iter().for_each(|file| fs::write(file, "garbage").unwrap());
    create_on(&lab, &base, "two");
    rolled_out(&lab, "two");
    assert_eq!(fetched(&lab, &base), 2);
    // It has been replaced since.
    create_on(&lab, &base, "three");
    rolled_out(&lab, "three");
    assert_eq!(fetched(&lab, &base), 2);
    let is_garbage = |file: &PathBuf| fs::read(file).is_ok_and(|content| content == b"garbage");
    within(PATIENCE, "the base is sealed again", || sealed(&lab).iter().filter(|file| is_garbage(file)).count() == 1);
}

#[test]
fn a_full_volume_fails_no_scan() {
    let mut lab = Lab::new(places());
    let volume = SmallVolume::over(&lab.layers());
    lab.start_server();
    let base = base();
    create_on(&lab, &base, "one");
    rolled_out(&lab, "one");
    within(PATIENCE, "both layers are sealed", || sealed(&lab).len() == 2);
    let told = |what: &str| {
        let log = fs::read_to_string(lab.scanner_log()).unwrap();
        log.lines().filter(|line| line.contains(what)).count()
    };
    assert_eq!(told(FULL), 0);
    volume.fill();
    for (number, name) in ["two", "three"].into_iter().enumerate() {
        create_on(&lab, &base, name);
        rolled_out(&lab, name);
        within(PATIENCE, "the cache gives way", || sealed(&lab).is_empty());
        assert!(fetched(&lab, &base) > number, "{name}");
    }
    assert_eq!(told(FULL), 1);
    assert!(metric(&lab, "tidewaiter_layers_unstored_total") > 0);
    volume.make_room();
    create_on(&lab, &base, "four");
    rolled_out(&lab, "four");
    within(PATIENCE, "the log says so", || told("has its room again") == 1);
    let before = fetched(&lab, &base);
    create_on(&lab, &base, "five");
    rolled_out(&lab, "five");
    assert_eq!(fetched(&lab, &base), before);
}
