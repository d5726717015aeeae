//! Databases that rpm itself wrote, in every format, against the lists of rpm: `../shared/images`.

use crate::fixture::inventory;
use std::collections::BTreeSet;
use std::fs;
use tidewaiter_core::package::PackageType;
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::source::oci_layout;
use tidewaiter_testkit::skip::shared;

/// Images whose names do not begin with the name of their package manager are `cargo xtask truth`'s.
const RPM: &str = "rpm-";

#[test]
fn databases_of_rpm_are_read_as_rpm_reads_them() {
    let Some(images) = shared("images") else { return };
    let names = fs::read_dir(&images).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|name| name.starts_with(RPM)).collect();
    // Berkeley DB, NDB and SQLite.
    assert!(names.len() >= 3, "{names:?}");
    for name in names {
        let list = fs::read_to_string(images.join("truth").join(format!("{name}.json"))).unwrap();
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let listed = list["packages"].as_array().unwrap().iter();
        let text = |package: &serde_json::Value, field: &str| package[field].as_str().unwrap_or_default().to_owned();
        let expected: BTreeSet<[String; 3]> =
            listed.map(|package| ["name", "version", "arch"].map(|field| text(package, field))).collect();
        let found = inventory(&oci_layout::open(&images.join(&name), None).unwrap(), Limits::default()).unwrap();
        let packages = found.packages.iter().filter(|package| package.kind == PackageType::Rpm);
        let packages: BTreeSet<[String; 3]> =
            packages.map(|p| [p.name.clone(), p.version.clone(), p.arch.clone()]).collect();
        assert!(!expected.is_empty(), "{name}");
        assert_eq!(packages.symmetric_difference(&expected).collect::<Vec<_>>(), Vec::<&[String; 3]>::new(), "{name}");
        assert_eq!(found.gaps, [], "{name}");
    }
}
