//! A new database, and what was judged with the one before: a process of its own compares the two and judges again what
//! they answer differently; everything else is only said to hold still.

use crate::context::Settings;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidewaiter::store::{self, Changed, Seen, Store};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;
use tidewaiter_db::delta::Delta;

/// What the process is told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    store: PathBuf,
    old: PathBuf,
    new: PathBuf,
    memory: u64,
}

/// What it says, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Line {
    Changed(Box<Changed>),
    Done(Seen),
}

/// What was judged with one database stands for another one, but for what was found changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Id of the database before.
    pub(crate) from: String,
    /// The database after.
    pub(crate) to: DatabaseInfo,
    /// Which inventories were looked at.
    pub(crate) seen: Seen,
}

/// The database that everything was brought up to last, kept beside the store: a copy, because the file itself is
/// replaced; and the program that judged, because another one may judge otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    dir: PathBuf,
}

impl Judged {
    /// In the store's folder.
    pub(crate) fn new(store: &Path) -> Self {
        Judged { dir: store.to_owned() }
    }

    fn database(&self) -> PathBuf {
        self.dir.join("judged.db")
    }

    fn program(&self) -> PathBuf {
        self.dir.join("judged.by")
    }

    /// Id of the database, if this program judged with it.
    pub(crate) fn id(&self, program: &Path) -> Option<String> {
        let id = Database::open(&self.database()).ok()?.id().to_owned();
        let by = fs::read_to_string(self.program()).ok()?;
        (by == hash(program).ok()?).then_some(id)
    }

    fn replace(&self, next: &Path, program: &Path) -> Result<()> {
        // In this order: a database without its program is never believed.
        let _ = fs::remove_file(self.program());
        fs::rename(next, self.database()).context("keeping the database")?;
        fs::write(self.program(), hash(program)?).context("keeping the program's name")
    }

    /// Re-matches the store with the database that is there now, and keeps a copy of it for the next time. `None`: what
    /// was judged before must be scanned again, if it was judged by another database.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the process fails: then too.
    pub(crate) fn bring_up(&self, store: &dyn Store, current: &Path, settings: &Settings) -> Result<Option<Moved>> {
        let known = Database::open(&self.database()).ok().map(|database| database.id().to_owned());
        if known.as_deref() == Some(Database::open(current)?.id()) {
            return Ok(None);
        }
        let next = self.dir.join("next.db");
        fs::copy(current, &next).context("keeping the database")?;
        let to = Database::open_verified(&next)?.info();
        let moved = match self.id(&settings.program) {
            Some(from) => run(store, &self.database(), &next, settings).map(|seen| Some(Moved { from, to, seen })),
            None => Ok(None),
        };
        self.replace(&next, &settings.program)?;
        moved
    }
}

/// SHA-256 of a file.
fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect()),
            n => hash.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}

/// Starts the process and keeps what it finds.
fn run(store: &dyn Store, old: &Path, new: &Path, settings: &Settings) -> Result<Seen> {
    store.clear_rematched()?;
    let (old, new) = (old.to_owned(), new.to_owned());
    let order = Order { store: store.path(), old, new, memory: settings.scan_memory };
    let mut command = Command::new(&settings.program);
    command.arg("rematch-worker").env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("starting the re-match")?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("the re-match has no pipes");
    };
    stdin.write_all(&serde_json::to_vec(&order)?)?;
    drop(stdin);
    let seen = keep(store, BufReader::new(stdout));
    // A process that nobody listens to ends by itself.
    let status = child.wait()?;
    match seen {
        Ok(Some(seen)) if status.success() => Ok(seen),
        Ok(_) => bail!("the re-match ended early ({status})"),
        Err(error) => Err(error),
    }
}

fn keep(store: &dyn Store, lines: impl io::BufRead) -> Result<Option<Seen>> {
    for line in lines.lines() {
        match serde_json::from_str(&line?)? {
            Line::Changed(changed) => store.put_rematched(&changed)?,
            Line::Done(seen) => return Ok(Some(seen)),
        }
    }
    Ok(None)
}

/// `tidewaiter rematch-worker`: bounded memory, no credentials, as every process that reads what came from images.
///
/// # Errors
/// When the order, the store or a database cannot be read, or nobody listens.
pub(crate) fn main() -> Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let order: Order = serde_json::from_str(&text)?;
    setrlimit(Resource::Data, Rlimit { current: Some(order.memory), maximum: Some(order.memory) })?;
    let (old, new) = (Database::open(&order.old)?, Database::open(&order.new)?);
    let delta = Delta::between(&old, &new)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut say = |line: &Line| -> Result<(), store::Error> {
        serde_json::to_writer(&mut out, line)?;
        Ok(out.write_all(b"\n")?)
    };
    let seen = store::rematch(&order.store, &delta, |changed| say(&Line::Changed(Box::new(changed))))?;
    say(&Line::Done(seen))?;
    Ok(out.flush()?)
}
