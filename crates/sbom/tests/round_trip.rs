//! What this program writes, it reads as it was: the same packages, system, layers and gaps, so that the same database finds the
//! same in it.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use tidewaiter_core::ecosystem::{AlpineBranch, ApkRepository, Os};
use tidewaiter_core::image::Digest;
use tidewaiter_core::package::{Location, Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind, ImageInfo, Inventory, LayerInfo};
use tidewaiter_formats::{SbomFormat, Stamp};

fn written(inventory: &Inventory, format: SbomFormat) -> Vec<u8> {
    let mut out = Vec::new();
    format.write(inventory, &Stamp::new("1", jiff::Timestamp::UNIX_EPOCH), &mut out).unwrap();
    out
}

/// The same document with its members in the order of their names, as other programs write it again.
fn sorted(bytes: &[u8]) -> Vec<u8> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    value.sort_all_objects();
    serde_json::to_vec(&value).unwrap()
}

/// The inventory without how it was read.
fn comparable(inventory: Inventory) -> Inventory {
    let mut inventory = inventory;
    inventory.image.sbom = None;
    inventory
}

/// Types of packages with the rules of their own names.
const KINDS: [PackageType; 8] = [
    PackageType::Deb,
    PackageType::Apk,
    PackageType::Rpm,
    PackageType::Npm,
    PackageType::Pypi,
    PackageType::Maven,
    PackageType::Golang,
    PackageType::Generic,
];

/// Text as hostile packages have it. A line end in a fact is none in the lines of SPDX's comments.
const TEXT: &str = "[ -~é]{0,12}";

fn package() -> impl Strategy<Value = Package> {
    let texts = (TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT);
    let places = prop::collection::btree_set(("[a-z][a-z0-9._/ ,(é-]{0,20}[a-z]", 0..3_usize), 0..4);
    let kind = prop::sample::select(KINDS.as_slice());
    ((kind, "[!-~é][ -~é]{0,12}", TEXT), texts, (any::<bool>(), any::<bool>()), places).prop_map(
        |((kind, name, version), texts, (vendored, own), places)| {
            let (arch, source_name, source_version, vendor, module, tag, owner) = texts;
            let locations = places.into_iter().map(|(path, layer)| Location { path, layer }).collect();
            let plain = Package::new(kind, name, version);
            Package { arch, source_name, source_version, vendored, own, vendor, module, tag, owner, locations, ..plain }
        },
    )
}

fn os() -> impl Strategy<Value = Os> {
    let repository = (0..30_u16, "[a-z]{0,3}")
        .prop_map(|(minor, tag)| ApkRepository { branch: AlpineBranch::Release(3, minor), tag });
    let repositories = prop::collection::vec(repository, 0..3);
    ("[a-z]{1,8}", "[0-9.]{0,6}", "[a-z]{0,6}", "[a-z:/]{0,9}", "[a-z ]{0,9}", "[a-zA-Z][ -~]{0,20}", repositories)
        .prop_map(|(id, version_id, codename, cpe_name, id_like, pretty_name, repositories)| Os {
            id: format!("x-{id}"),
            version_id,
            codename,
            cpe_name,
            id_like,
            pretty_name,
            repositories,
        })
}

fn inventory() -> impl Strategy<Value = Inventory> {
    let digest = |byte: u8| Digest::from_sha256([byte; 32]);
    let gap = ("[a-z/]{0,9}", "[a-z: ]{1,20}").prop_map(|(subject, message)| Gap {
        kind: GapKind::UnreadableFile,
        subject,
        message,
    });
    let parts = (prop::collection::vec(package(), 0..8), os(), prop::collection::btree_set(gap, 1..3), 0..3_usize);
    parts.prop_map(move |(packages, os, gaps, base)| {
        let layer =
            |byte: u8| LayerInfo { digest: digest(byte), diff_id: digest(byte + 10), size: 0, created_by: None };
        // Each package is listed once, with all its places.
        let once: BTreeMap<Package, Vec<Location>> = packages
            .into_iter()
            .map(|package| (Package { locations: vec![], ..package.clone() }, package.locations))
            .collect();
        let packages = once.into_iter().map(|(package, locations)| Package { locations, ..package }).collect();
        let platform = "linux/arm/v7".parse().unwrap();
        let image = ImageInfo {
            index_digest: Some(digest(90)),
            base_layers: Some(base),
            ..ImageInfo::new("registry.example/team/app:v1", digest(91), digest(92), platform)
        };
        // A system that is not known is a gap of every scan.
        let unsupported = Gap { kind: GapKind::UnsupportedOs, subject: os.id.clone(), message: "not supported".into() };
        let mut gaps: Vec<Gap> = gaps.into_iter().chain([unsupported]).collect();
        gaps.sort();
        Inventory { image, layers: (1..4).map(layer).collect(), os: Some(os), packages, gaps }
    })
}

proptest! {
    #[test]
    fn sboms_of_ours_are_read_as_they_were(inventory in inventory()) {
        for format in SbomFormat::ALL {
            let bytes = written(&inventory, format);
            for bytes in [sorted(&bytes), bytes] {
                let read = tidewaiter_sbom::read(&mut bytes.as_slice(), "FILE").unwrap();
                prop_assert_eq!(comparable(read), inventory.clone(), "{}", format.name());
            }
        }
    }
}

#[test]
fn components_of_others_in_a_document_of_ours_are_not_ours() {
    let os = Os { id: "debian".into(), version_id: "12".into(), ..Os::default() };
    let ours = Package { vendor: "Debian".into(), ..Package::new(PackageType::Deb, "ours", "1") };
    let digest = Digest::from_sha256([1; 32]);
    let image = ImageInfo::new("app", digest.clone(), digest, "linux/amd64".parse().unwrap());
    let inventory = Inventory { image, layers: vec![], os: Some(os), packages: vec![ours.clone()], gaps: vec![] };
    let bytes = written(&inventory, SbomFormat::ALL[0]);
    let mut merged: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let other = serde_json::json!({"name": "No Name", "purl": "pkg:deb/debian/theirs@2?distro=debian-12"});
    merged["components"].as_array_mut().unwrap().push(other);
    let read = tidewaiter_sbom::read(&mut merged.to_string().as_bytes(), "FILE").unwrap();
    let [first, second] = read.packages.as_slice() else { panic!("{:?}", read.packages) };
    assert_eq!(first, &ours);
    assert_eq!((second.name.as_str(), second.source_name.as_str()), ("theirs", "theirs"));
    let gaps: Vec<&str> = read.gaps.iter().map(|gap| gap.message.as_str()).collect();
    assert!(matches!(gaps.as_slice(), [gap] if gap.contains("not told of 1 (theirs)")), "{gaps:?}");
}
