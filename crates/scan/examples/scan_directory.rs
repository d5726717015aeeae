//! Lists the packages of a directory that holds a root file system:
//! `cargo run -p tidewaiter-scan --example scan_directory -- /`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use tidewaiter_scan::engine::{self, ScanOptions};
use tidewaiter_scan::limits::Limits;
use tidewaiter_scan::progress::Silent;
use tidewaiter_scan::source::directory;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: scan_directory DIRECTORY")?;
    let image = directory::open(Path::new(&path), None)?;
    let cancel = AtomicBool::new(false);
    let options =
        ScanOptions { limits: Limits::default(), threads: 2, cancel: &cancel, progress: &Silent, cache: None };
    let inventory = engine::inventory(&image, &options)?;
    for package in &inventory.packages {
        println!("{}", package.purl(inventory.os.as_ref()));
    }
    for gap in &inventory.gaps {
        println!("not seen: {}: {}", gap.subject, gap.message);
    }
    Ok(())
}
