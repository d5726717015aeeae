//! `kubectl scan version`: of this program, of what it reads and writes, and of the vulnerability database.

use crate::args::{OutputFormat, VersionArgs};
use crate::exit::Exit;
use crate::{dirs, render};
use anyhow::Result;
use serde::Serialize;
use std::io::{self, Write as _};
use std::path::PathBuf;
use tidewaiter_core::report::SCHEMA_VERSION;
use tidewaiter_db::{Database, FORMAT_VERSION};

/// What is printed as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    version: &'static str,
    report_schema: u32,
    database_format: u32,
    /// `null`: there is none yet.
    database: Option<PresentDatabase>,
}

#[derive(Debug, Serialize)]
struct PresentDatabase {
    path: PathBuf,
    id: String,
    built: Option<String>,
}

/// Prints them. Without a database it says how to get one, and that is no error.
pub(crate) fn run(args: &VersionArgs) -> Result<Exit> {
    let path = dirs::database(args.db.as_deref())?;
    let database = path.exists().then(|| Database::open(&path)).transpose()?;
    let version = env!("CARGO_PKG_VERSION");
    let mut out = io::stdout().lock();
    match args.output {
        OutputFormat::Json => {
            let present = |database: &Database| PresentDatabase {
                path: path.clone(),
                id: database.id().to_owned(),
                built: database.meta().built.map(|built| built.to_string()),
            };
            let database = database.as_ref().map(present);
            render::json(&Versions {
                version,
                report_schema: SCHEMA_VERSION,
                database_format: FORMAT_VERSION,
                database,
            })?;
        }
        OutputFormat::Table => {
            writeln!(out, "kubectl-scan {version}")?;
            writeln!(out, "report schema {SCHEMA_VERSION}, database format {FORMAT_VERSION}")?;
            match &database {
                Some(database) => {
                    let built = render::built(database.meta().built);
                    writeln!(out, "database {}, built {built}\n  {}", path.display(), database.id())?;
                }
                None => writeln!(out, "database: {}", dirs::missing(&path))?,
            }
        }
    }
    Ok(Exit::Clean)
}
