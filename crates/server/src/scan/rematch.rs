//! Re-matching: a process of its own compares a new database with the previous one and matches the inventories anew that
//! the differences concern. All other reports are only confirmed.

use super::sandbox;
use crate::decide::database::DatabaseChange;
use crate::settings::ServerSettings;
use crate::store::{ChangedReport, RematchSummary, Store, StoreError, StoreLocation};
use anyhow::{Context as _, Result, bail};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidewaiter_core::hex;
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;

/// A re-match to be done.
#[derive(Debug, Serialize, Deserialize)]
struct RematchJob {
    store: StoreLocation,
    old: PathBuf,
    new: PathBuf,
    memory: u64,
}

/// What the process writes, one JSON document a line: results are stored while later inventories are matched.
#[derive(Debug, Serialize, Deserialize)]
enum RematchLine {
    Changed(Box<ChangedReport>),
    Done(RematchSummary),
}

/// The database that all reports were matched with last. A copy next to the store, because the database file itself is
/// replaced; together with the hash of the program, because another program may find something else in the same rows.
#[derive(Debug, Clone)]
pub(crate) struct MatchedDatabase {
    dir: PathBuf,
}

impl MatchedDatabase {
    /// In the store's folder.
    pub(crate) fn new(store: &Path) -> Self {
        MatchedDatabase { dir: store.to_owned() }
    }

    fn database(&self) -> PathBuf {
        self.dir.join("judged.db")
    }

    fn program(&self) -> PathBuf {
        self.dir.join("judged.by")
    }

    /// Id of the database, if this program matched with it.
    pub(crate) fn id(&self, program: &Path) -> Option<String> {
        let id = Database::open(&self.database()).ok()?.id().to_owned();
        let by = fs::read_to_string(self.program()).ok()?;
        (by == hash_file(program).ok()?).then_some(id)
    }

    fn replace(&self, next: &Path, program: &Path) -> Result<()> {
        // In this order: after a crash in between, a database without its program is not believed.
        let _ = fs::remove_file(self.program());
        fs::rename(next, self.database()).context("storing the database")?;
        let hash = hash_file(program)?;
        tidewaiter_io::replace(&self.program(), |file| file.write_all(hash.as_bytes()))
            .context("storing the program's hash")
    }

    /// Re-matches the store with the current database, and copies that for the next time. `None`: reports of another
    /// database need a rescan.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the process fails: then too they need a rescan.
    pub(crate) fn rematch(
        &self,
        store: &dyn Store,
        current: &Path,
        settings: &ServerSettings,
    ) -> Result<Option<DatabaseChange>> {
        let known = Database::open(&self.database()).ok().map(|database| database.id().to_owned());
        if known.as_deref() == Some(Database::open(current)?.id()) {
            return Ok(None);
        }
        // A copy: the file on the volume may be replaced while it is compared.
        let next = self.dir.join("next.db");
        fs::copy(current, &next).context("storing the database")?;
        let to = Database::open_verified(&next)?.info();
        let change = match self.id(&settings.program) {
            Some(from) => {
                run(store, &self.database(), &next, settings).map(|summary| Some(DatabaseChange { from, to, summary }))
            }
            None => Ok(None),
        };
        self.replace(&next, &settings.program)?;
        change
    }
}

/// SHA-256 of a file.
fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&<[u8; 32]>::from(hash.finalize()))),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Starts the process and stores what it finds.
fn run(store: &dyn Store, old: &Path, new: &Path, settings: &ServerSettings) -> Result<RematchSummary> {
    // Results of an earlier re-match are of other databases.
    store.clear_rematched()?;
    let (old, new) = (old.to_owned(), new.to_owned());
    let job = RematchJob { store: store.location(), old, new, memory: settings.scan_memory };
    let mut command = Command::new(&settings.program);
    command.arg("rematch-worker").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting the re-match")?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("the re-match has no pipes");
    };
    stdin.write_all(&serde_json::to_vec(&job)?)?;
    drop(stdin);
    let summary = put_results(store, BufReader::new(stdout));
    // When storing failed, the child's next write fails, and it ends.
    let status = child.wait()?;
    match summary {
        Ok(Some(summary)) if status.success() => Ok(summary),
        Ok(_) => bail!("the re-match ended early ({status})"),
        Err(error) => Err(error),
    }
}

fn put_results(store: &dyn Store, lines: impl io::BufRead) -> Result<Option<RematchSummary>> {
    for line in lines.lines() {
        match serde_json::from_str(&line?)? {
            RematchLine::Changed(changed) => store.put_rematched(&changed)?,
            RematchLine::Done(summary) => return Ok(Some(summary)),
        }
    }
    Ok(None)
}

/// `tidewaiter rematch-worker`: bounded memory, no credentials, and nothing to be opened or reached any more, as inventories are what
/// came from images.
///
/// # Errors
/// When the job, the store or a database cannot be read, or the output is closed.
pub(crate) fn main() -> Result<()> {
    // Whoever takes this process over is of the server's user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: RematchJob = serde_json::from_str(&text)?;
    setrlimit(Resource::Data, Rlimit { current: Some(job.memory), maximum: Some(job.memory) })?;
    let (old, new) = (Database::open(&job.old)?, Database::open(&job.new)?);
    let store = job.store.open()?;
    // Before any inventory is read. What it needs is open: both databases and one state of the store.
    sandbox::enter_closed()?;
    let delta = Delta::between(&old, &new)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let summary = store.rematch(&delta, |changed| write_line(&mut out, &RematchLine::Changed(Box::new(changed))))?;
    write_line(&mut out, &RematchLine::Done(summary))?;
    Ok(out.flush()?)
}

fn write_line(out: &mut impl io::Write, line: &RematchLine) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *out, line)?;
    Ok(out.write_all(b"\n")?)
}
