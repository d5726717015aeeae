//! Images are read in a container of its own: what the server does without it, and what it sees of it.

use crate::{create, lab, rolled_out, within};
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::{Lab, PATIENCE};

/// Ids of the scanner's workers.
fn workers(lab: &Lab) -> Vec<String> {
    let id = lab.scanner_process_id().unwrap();
    let said = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let children = said.map_while(Result::ok).map(|task| fs::read_to_string(task.path().join("children")));
    let children: String = children.map_while(Result::ok).collect();
    children.split_whitespace().map(str::to_owned).collect()
}

/// A registry on loopback that answers with the beginning of a document, and then waits.
fn silent_registry() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
            // Open until the client closes it.
            thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
    host
}

/// A field of `/proc/ID/status`.
fn status(id: &str, field: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn a_worker_is_another_user_without_token_and_store_and_ends_with_its_scan() {
    let lab = lab();
    create(&lab, "app", &format!("{}/silent:v1", silent_registry()));
    within(PATIENCE, "a worker runs", || !workers(&lab).is_empty());
    let worker = workers(&lab).remove(0);
    assert_eq!(status(&worker, "Uid"), "65533");
    assert_eq!((status(&worker, "NoNewPrivs"), status(&worker, "CapEff")), ("1".into(), "0000000000000000".into()));
    // What `/proc` shows of a process that cannot be dumped belongs to root: no other process of its user reads its memory.
    for id in [worker.clone(), lab.scanner_process_id().unwrap().to_string()] {
        let owner = || fs::metadata(format!("/proc/{id}/environ")).map(|meta| meta.uid());
        within(PATIENCE, "it cannot be dumped", || owner().is_ok_and(|user| user == 0));
    }
    // What its container mounts: the database and the layers, and neither the rest of the volume nor the token.
    let root = Path::new("/proc").join(&worker).join("root");
    let names = |folder: &str| {
        let all =
            fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        all.collect::<Vec<_>>()
    };
    let mut mounted = names("var/lib/tidewaiter");
    mounted.sort();
    assert_eq!(mounted, ["db", "layers"]);
    assert!(names("var/lib/tidewaiter/db").contains(&"tidewaiter.db".to_owned()));
    assert_eq!(names("var/run/secrets/kubernetes.io/serviceaccount"), Vec::<String>::new());
    assert!(!fs::read_to_string(format!("/proc/{worker}/environ")).unwrap_or_default().contains("KUBERNETES"));
    // Nobody wants the result any more.
    lab.kubectl(&["delete", "deployment", "app"]).ok();
    lab.kubectl(&["delete", "imagescans", "--all"]).ok();
    within(PATIENCE, "the worker is gone", || workers(&lab).is_empty());
}

#[test]
fn without_a_scanner_images_wait_and_are_scanned_when_it_is_back() {
    let mut lab = lab();
    lab.kill_scanner();
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");
    let failed = ".items[0].status";
    assert_eq!(lab.field("imagescans", &format!("{failed}.reason")), "ScannerUnreachable");
    let message = lab.field("imagescans", &format!("{failed}.message"));
    assert!(message.contains("see the log of the container `scanner`"), "{message}");
    // By itself, as after every other failure.
    lab.start_scanner();
    rolled_out(&lab, "app");
    lab.until("app", "Approved Deployed");
    // One that is killed while it scans.
    create(&lab, "slow", &format!("{}/silent:v1", silent_registry()));
    within(PATIENCE, "a worker runs", || !workers(&lab).is_empty());
    lab.kill_scanner();
    lab.until("slow", "ScanFailed Blocked");
    assert!(lab.field("imagescans", ".items[*].status.reason").contains("ScannerStopped"));
    lab.start_scanner();
    create(&lab, "other", &lab.registry.push("other", "v1", &clean().label("for", "other").build()));
    rolled_out(&lab, "other");
}
