//! The volume of the store is full: scans fail with a reason and a pause, and go on once there is room.

use crate::{create, places, rolled_out, until_field, within};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// A small file system over a folder, with what was there; unmounted when dropped.
pub(crate) struct SmallVolume(PathBuf);

impl SmallVolume {
    pub(crate) fn over(folder: &Path) -> Self {
        let script = r#"cp -a "$1" "$1.aside" && mount -t tmpfs -o size=16m tmpfs "$1" && cp -a "$1.aside/." "$1/" && chown --reference="$1.aside" "$1""#;
        let said = Command::new("sh").args(["-euc", script, "sh"]).arg(folder).output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        SmallVolume(folder.to_owned())
    }

    /// Leaves no byte.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("fill")).unwrap();
        let full = io::copy(&mut io::repeat(1), &mut file).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull, "{full}");
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for SmallVolume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_volume_does_not_scan_without_end() {
    let mut lab = Lab::new(places());
    let volume = SmallVolume::over(lab.database().ancestors().nth(2).unwrap());
    lab.start_server();
    let first = lab.registry.push("first", "v1", &clean().build());
    create(&lab, "first", &first);
    rolled_out(&lab, "first");
    volume.fill();
    let before = lab.registry.requests();
    create(&lab, "app", &lab.registry.push("app", "v1", &clean().label("for", "app").build()));
    lab.until("app", "ScanFailed Blocked");
    let failed = r#".items[?(@.status.imageStatus=="ScanFailed")].status"#;
    assert_eq!(lab.field("imagescans", &format!("{failed}.reason")), "ReportNotStored");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("make room on the volume"), "{status}");
    // Admission works: the server stays ready, and says what does not.
    let (code, said) = lab.get("/readyz");
    assert!(code == 200 && said.contains("not ready for scans") && said.contains("no report can be stored"), "{said}");
    assert_eq!(lab.get("/readyz/scans").0, 503);
    volume.make_room();
    within(PATIENCE, "the store can be written", || !lab.get("/readyz").1.contains("no report"));
    lab.until("app", "Approved Deployed");
    rolled_out(&lab, "app");
    // Two scans: the failed one, and the one after its pause.
    let requests = lab.registry.requests() - before;
    assert!(requests < 20, "{requests} requests");
    until_field(&lab, "deployment/first", ".status.readyReplicas", "1");
}
