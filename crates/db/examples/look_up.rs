//! Lists the advisories of a database that apply to one version of a package:
//!
//! ```sh
//! cargo run -p tidewaiter-db --example look_up -- FILE npm lodash 4.17.20
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that people run")]

use std::path::Path;
use std::process::ExitCode;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::{Database, DatabaseError, matching};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, ecosystem, package, version] = args.as_slice() else {
        eprintln!("usage: look_up FILE ECOSYSTEM PACKAGE VERSION");
        return ExitCode::from(2);
    };
    match print(Path::new(file), &Ecosystem::from(ecosystem.as_str()), package, version) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(file: &Path, ecosystem: &Ecosystem, package: &str, version: &str) -> Result<(), DatabaseError> {
    let database = Database::open(file)?;
    println!("complete for {ecosystem}: {}", database.meta().covers(ecosystem));
    for advisory in matching::vulnerabilities(&database, ecosystem, package, version)? {
        println!("{}  {}", advisory.canonical_id(), advisory.summary);
    }
    Ok(())
}
