//! Tests that cannot run on this machine. They pass, since nothing is wrong, but never silently: `cargo xtask test` counts
//! and names them, and plain `cargo test` prints a line that the test harness does not capture.

use std::fs::File;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// The variable with the file that skipped tests are recorded in. `cargo xtask test` sets it.
pub const RECORD: &str = "TIDEWAITER_SKIPPED_TESTS";

/// `../shared/NAME`: real images, feeds and vectors, which are too large for the repository and lie next to a checkout.
/// `None` where they are missing: the calling test is then recorded as skipped, and must return.
#[track_caller]
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    here(&format!("needs ../shared/{name}"));
    None
}

/// Records that the calling test was skipped; it must return.
#[track_caller]
pub fn here(reason: &str) {
    skipped(&test_name(), reason);
}

/// Records that a test was skipped.
///
/// # Panics
/// When the record cannot be written: an uncounted skip is the failure this module is for.
pub fn skipped(test: &str, reason: &str) {
    match std::env::var_os(RECORD) {
        // One write of one short line: tests of several processes append concurrently.
        Some(record) => {
            let mut file = File::options().create(true).append(true).open(record).unwrap();
            file.write_all(format!("{test}\t{reason}\n").as_bytes()).unwrap();
        }
        // Not `eprintln!`, which the harness captures and shows of failed tests only.
        None => drop(writeln!(io::stderr(), "skipped: {test} ({reason})")),
    }
}

/// The harness names a test's thread after the test; with one thread it runs tests on the main one.
#[track_caller]
fn test_name() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    }
}
