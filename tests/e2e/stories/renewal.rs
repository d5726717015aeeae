//! The database is renewed while the server runs: by a process without its token, without a restart, and again when only its
//! age changes.

use crate::new_database::{feeds, scan};
use crate::{create, lab, rolled_out, within};
use std::fs;
use tidewaiter_testkit::demo::base;
use tidewaiter_testkit::lab::PATIENCE;

#[test]
fn the_database_is_renewed_without_a_restart() {
    let mut lab = lab();
    let curl = lab.registry.push("curl", "v1", &base(&[("curl", "9.0")]).build());
    create(&lab, "curl", &curl);
    rolled_out(&lab, "curl");
    let (_, text) = lab.get("/readyz");
    assert!(text.contains("ok, the database is 0 hours old"), "{text}");
    let limit = lab.field("clusterscanpolicy/default", ".spec.maxDatabaseAgeDays");
    assert_eq!(limit, "5", "reports of an older database are incomplete by default");

    // Nothing is pulled again, and nobody starts the server again.
    lab.registry.down();
    let first = scan(&lab, &curl, "status.database");
    let toml = feeds(&lab, "10.0");
    lab.mount_feeds(&toml);
    lab.start_renewal("24h", &toml);
    within(PATIENCE, "the changed feeds are in the database", || scan(&lab, &curl, "status.verdict") == "Violated");
    let second = scan(&lab, &curl, "status.database");
    assert_ne!(first, second);
    let log = || fs::read_to_string(lab.renewal_log()).unwrap();
    within(PATIENCE, "the next renewal is announced", || log().contains("the next renewal is in 24h"));

    // The same facts, seen again: another file for the server, and the same database for its reports.
    let finished = scan(&lab, &curl, "status.finished");
    let server_log = lab.log();
    let loaded = || fs::read_to_string(&server_log).unwrap().matches("database loaded").count();
    let before = loaded();
    lab.start_renewal("2s", &toml);
    within(PATIENCE, "the file is loaded again", || loaded() > before + 1);
    assert_eq!((scan(&lab, &curl, "status.database"), scan(&lab, &curl, "status.finished")), (second, finished));
}
