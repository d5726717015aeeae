//! A real image with real feeds: every package is found, and gaps in coverage are reported.

use crate::{create, places};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tidewaiter_testkit::lab::Lab;
use tidewaiter_testkit::layout;
use tidewaiter_testkit::skip::shared;

/// Vulnerabilities of the image's Python packages by the PyPA's advisories, computed independently with Python's own
/// `packaging`.
const EXPECTED: &str = "\
    CVE-2017-14158 CVE-2018-18074 CVE-2018-25091 CVE-2019-10906 CVE-2019-11236 CVE-2019-11324 CVE-2019-12308 \
    CVE-2019-12781 CVE-2019-14232 CVE-2019-14233 CVE-2019-14234 CVE-2019-14235 CVE-2019-14806 CVE-2019-14853 \
    CVE-2019-14859 CVE-2019-14864 CVE-2019-14904 CVE-2019-14905 CVE-2019-16789 CVE-2019-19118 CVE-2019-19844 \
    CVE-2019-20477 CVE-2020-10684 CVE-2020-10685 CVE-2020-10691 CVE-2020-10729 CVE-2020-10744 CVE-2020-13254 \
    CVE-2020-13596 CVE-2020-13757 CVE-2020-14330 CVE-2020-14332 CVE-2020-14343 CVE-2020-14365 CVE-2020-15225 \
    CVE-2020-1733 CVE-2020-1735 CVE-2020-1736 CVE-2020-1737 CVE-2020-1738 CVE-2020-1739 CVE-2020-1740 CVE-2020-1746 \
    CVE-2020-1747 CVE-2020-1753 CVE-2020-24583 CVE-2020-24584 CVE-2020-25032 CVE-2020-25626 CVE-2020-25635 \
    CVE-2020-25658 CVE-2020-25659 CVE-2020-26137 CVE-2020-26215 CVE-2020-26232 CVE-2020-26275 CVE-2020-28493 \
    CVE-2020-35653 CVE-2020-35654 CVE-2020-35655 CVE-2020-36242 CVE-2020-5236 CVE-2020-6802 CVE-2020-6816 \
    CVE-2020-6817 CVE-2020-7471 CVE-2020-7694 CVE-2020-7695 CVE-2020-9402 CVE-2021-20178 CVE-2021-20191 \
    CVE-2021-20228 CVE-2021-21240 CVE-2021-21330 CVE-2021-23437 CVE-2021-23727 CVE-2021-23980 CVE-2021-25287 \
    CVE-2021-25288 CVE-2021-25289 CVE-2021-25290 CVE-2021-25291 CVE-2021-25292 CVE-2021-25293 CVE-2021-27921 \
    CVE-2021-27922 CVE-2021-27923 CVE-2021-28658 CVE-2021-28675 CVE-2021-28676 CVE-2021-28677 CVE-2021-28678 \
    CVE-2021-28957 CVE-2021-29510 CVE-2021-31542 CVE-2021-32052 CVE-2021-32677 CVE-2021-3281 CVE-2021-32862 \
    CVE-2021-33203 CVE-2021-33503 CVE-2021-33571 CVE-2021-34552 CVE-2021-3533 CVE-2021-3572 CVE-2021-3583 \
    CVE-2021-3620 CVE-2021-41125 CVE-2021-41495 CVE-2021-41945 CVE-2021-42771 CVE-2021-43818 CVE-2021-44420 \
    CVE-2021-45115 CVE-2021-45116 CVE-2021-45452 CVE-2022-0577 CVE-2022-21699 CVE-2022-21797 CVE-2022-22815 \
    CVE-2022-22816 CVE-2022-22817 CVE-2022-22818 CVE-2022-2309 CVE-2022-23491 CVE-2022-23833 CVE-2022-24302 \
    CVE-2022-24303 CVE-2022-24439 CVE-2022-24757 CVE-2022-24758 CVE-2022-24761 CVE-2022-28346 CVE-2022-28347 \
    CVE-2022-29217 CVE-2022-29238 CVE-2022-29241 CVE-2022-29361 CVE-2022-39286 CVE-2022-40023 CVE-2022-40897 \
    CVE-2022-40898 CVE-2022-42969 CVE-2022-45198 CVE-2023-23931 CVE-2023-23934 CVE-2023-24816 CVE-2023-25399 \
    CVE-2023-25577 CVE-2023-29159 CVE-2023-29824 CVE-2023-30608 CVE-2023-30798 CVE-2023-30861 CVE-2023-32681 \
    CVE-2023-37276 CVE-2023-37920 CVE-2023-39968 CVE-2023-40170 CVE-2023-40267 CVE-2023-40590 CVE-2023-41040 \
    CVE-2023-43804 CVE-2023-44271 CVE-2023-45803 CVE-2023-46136 CVE-2023-47627 CVE-2023-47641 CVE-2023-49080 \
    CVE-2023-49081 CVE-2023-49082 CVE-2023-49083 CVE-2023-5752 CVE-2024-1892 CVE-2024-22190 CVE-2024-23334 \
    CVE-2024-23829 CVE-2024-24762 CVE-2024-35178 CVE-2024-3651 CVE-2024-49769 CVE-2024-6221 PYSEC-2023-175";

#[test]
fn python_on_bookworm() {
    let (Some(feeds), Some(images)) = (shared("feeds"), shared("images/python-bookworm")) else { return };
    let mut lab = Lab::new(places());
    build_database(&lab, &feeds);
    lab.start_server();
    let image = layout::read(&images);
    let image = lab.registry.push("python", "bookworm", &image);
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");

    let said = lab.kubectl(&["scan", "report", &image, "-o", "json"]).ok();
    let report: Value = serde_json::from_str(&said).unwrap();
    let packages = report["packages"].as_array().unwrap();
    let of = |kind: &str| packages.iter().filter(|p| p["type"] == kind).collect::<Vec<_>>();
    assert_eq!((of("deb").len(), of("pypi").len()), (99, 145));
    assert_eq!(of("pypi").iter().filter(|p| p["vendored"] == true).count(), 3);
    let found: BTreeSet<&str> =
        report["findings"].as_array().unwrap().iter().map(|f| f["vulnerability"].as_str().unwrap()).collect();
    assert_eq!(found, EXPECTED.split_whitespace().collect(), "{found:#?}");
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("Debian:12"), "{gaps}");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("incomplete") && status.contains("Debian:12"), "{status}");
    assert_eq!(lab.field("imagescans", ".items[0].status.reason"), "Incomplete");
    assert_eq!(lab.kubectl(&["get", "pods", "-o", "name"]).ok(), "");
}

/// The PyPA's advisories, complete for PyPI; nothing for Debian.
fn build_database(lab: &Lab, feeds: &Path) {
    let folder = lab.cluster.dir().join("pypa");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(feeds.join("pypi-pypa.tar.zst"), folder.join("pypa.tar.zst")).unwrap();
    let toml = folder.join("feeds.toml");
    fs::write(
        &toml,
        "[[feed]]\nname = \"pypa\"\nformat = \"osv\"\npath = \"pypa.tar.zst\"\necosystems = [\"PyPI\"]\nrates = true\n",
    )
    .unwrap();
    fs::remove_file(lab.database()).unwrap();
    lab.build_database(&toml);
}
