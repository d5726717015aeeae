//! Sizes and times of the delta between two databases.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example")]
use std::time::Instant;
use tidewaiter_db::{Database, file_delta};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (old, new) =
        (Database::open_verified(args[1].as_ref()).unwrap(), Database::open_verified(args[2].as_ref()).unwrap());
    let folder = std::env::temp_dir();
    let start = Instant::now();
    let delta = file_delta::encode(&old, &new, &folder).unwrap();
    println!("delta {} bytes, made and applied in {:?}", delta.len(), start.elapsed());
    let start = Instant::now();
    let mut out = std::fs::File::create(folder.join("applied.db")).unwrap();
    file_delta::apply(&old, &mut &delta[..], &mut out, &folder).unwrap();
    println!("applied in {:?}", start.elapsed());
    assert_eq!(Database::open_verified(&folder.join("applied.db")).unwrap().checksum(), new.checksum());
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("RssAnon")).for_each(|l| println!("{l}"));
}
