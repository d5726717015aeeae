//! `kubectl scan db`: build and inspect the vulnerability database.

mod diff;

use crate::args::{DbCommand, Output};
use crate::exit::{self, Exit, UsageError};
use crate::render::{self, printable};
use anyhow::{Context, Result, bail};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidewaiter_core::ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_feeds::build::{self, Options, Progress};
use tidewaiter_feeds::config::{self, Config};

/// A rebuild that loses more than a tenth of the rows is refused.
const MAX_LOSS: f64 = 0.1;

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(120);

/// Runs a command on databases.
pub(crate) fn run(command: &DbCommand) -> Result<Exit> {
    match command {
        DbCommand::Build { feeds, db, downloads, keep_going } => {
            match build(feeds.as_deref(), db.as_deref(), downloads.as_deref()) {
                // A server must start although an upstream is away: without a database it holds, and says so.
                Err(error) if *keep_going => {
                    exit::report(&error);
                    Ok(Exit::Clean)
                }
                other => other,
            }
        }
        DbCommand::Diff { old, new, output } => diff::run(old, new, *output),
        DbCommand::Export { file, db } => export(file, db.as_deref()),
        DbCommand::Import { file, db, allow_older } => {
            import(file, db.as_deref(), if *allow_older { Age::Any } else { Age::NotOlder })
        }
        DbCommand::Status { db, output } => status(db.as_deref(), *output),
    }
}

/// The database named on the command line, or the user's own.
pub(crate) fn path(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    Ok(cache_dir()?.join("tidewaiter.db"))
}

/// As [`path`], of a database that was built or brought before.
fn existing(given: Option<&Path>) -> Result<PathBuf> {
    let path = path(given)?;
    if !path.exists() {
        let path = path.display();
        bail!(
            "there is no vulnerability database at {path} yet; make one with: kubectl scan db build (or, without a \
             network, bring one along with: kubectl scan db import FILE)"
        );
    }
    Ok(path)
}

/// Opens the database named on the command line, or the user's own.
pub(crate) fn open(given: Option<&Path>) -> Result<Database> {
    Ok(Database::open(&existing(given)?)?)
}

/// `$XDG_CACHE_HOME/tidewaiter`, else `~/.cache/tidewaiter`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let base = base.or_else(home).ok_or_else(|| UsageError("no home directory: name a file with --db".to_owned()))?;
    Ok(base.join("tidewaiter"))
}

fn build(feeds: Option<&Path>, db: Option<&Path>, downloads: Option<&Path>) -> Result<Exit> {
    let config = match feeds {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()));
            let text = text.map_err(|e| UsageError(format!("{e:#}; name a feeds.toml with --feeds")))?;
            Config::parse(&text, file).map_err(|e| UsageError(e.to_string()))?
        }
        None => Config::parse(config::DEFAULT, Path::new("default feeds"))?,
    };
    let out = path(db)?;
    if let Some(folder) = out.parent() {
        let advice =
            || format!("{}: the database's folder cannot be made; name another file with --db", folder.display());
        fs::create_dir_all(folder).with_context(advice)?;
    }
    let downloads = downloads.map_or_else(|| Ok(cache_dir()?.join("feeds")), |named| anyhow::Ok(named.to_owned()))?;
    let now = jiff::Timestamp::now().round(jiff::Unit::Second)?;
    let remote = config.feeds.iter().filter(|feed| feed.url.is_some()).count();
    let total = config.feeds.len();
    writeln!(io::stderr(), "Building {} from {total} feeds, {remote} of them downloaded", out.display())?;
    let progress = Feeds::new(total);
    let options =
        Options { config: &config, out: &out, downloads: &downloads, now, max_loss: MAX_LOSS, progress: &progress };
    let built = build::build(&options);
    progress.clear();
    let meta = built?;
    let size = fs::metadata(&out).map_or(0, |m| m.len());
    writeln!(
        io::stdout(),
        "{}: {} advisories, {} rows, {} ({} downloaded)",
        out.display(),
        meta.advisories,
        meta.rows,
        HumanBytes(size),
        HumanBytes(progress.bytes())
    )?;
    print_left_out(&meta)?;
    Ok(Exit::Clean)
}

/// Which databases may replace the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    NotOlder,
    Any,
}

fn export(file: &Path, db: Option<&Path>) -> Result<Exit> {
    let path = existing(db)?;
    let found = Database::open_verified(&path)?;
    place(&path, file)?;
    writeln!(io::stdout(), "{}: {}, built {}", file.display(), found.id(), render::built(found.meta().built))?;
    Ok(Exit::Clean)
}

fn import(file: &Path, db: Option<&Path>, age: Age) -> Result<Exit> {
    let new = Database::open_verified(file)?;
    let path = path(db)?;
    if let Ok(old) = Database::open(&path)
        && age == Age::NotOlder
        && new.meta().built < old.meta().built
    {
        let (built, there) = (render::built(new.meta().built), render::built(old.meta().built));
        bail!("{}: it was built {built}, the one that is there {there}; to go back, use --allow-older", file.display());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    place(file, &path)?;
    writeln!(io::stdout(), "{}: {}, built {}", path.display(), new.id(), render::built(new.meta().built))?;
    Ok(Exit::Clean)
}

/// Copies a file over another, which is replaced as a whole.
fn place(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).with_context(|| from.display().to_string())?;
    let copied = tidewaiter_io::replace(to, |file| io::copy(&mut source, file).and_then(|_| file.sync_all()));
    copied.with_context(|| to.display().to_string())
}

fn status(db: Option<&Path>, output: Output) -> Result<Exit> {
    let path = existing(db)?;
    let db = Database::open_verified(&path)?;
    let mut out = io::stdout().lock();
    if output == Output::Json {
        let value = serde_json::json!({"id": db.id(), "path": path, "meta": db.meta()});
        serde_json::to_writer_pretty(&mut out, &value)?;
        writeln!(out)?;
        return Ok(Exit::Clean);
    }
    let meta = db.meta();
    writeln!(out, "{}\n{}", path.display(), db.id())?;
    writeln!(out, "built {}, {} advisories, {} rows\n", render::built(meta.built), meta.advisories, meta.rows)?;
    writeln!(out, "{:20} {:16} {:>8}  {:20}  COMPLETE FOR", "FEED", "FORMAT", "RECORDS", "NEWEST")?;
    for feed in &meta.feeds {
        writeln!(out, "{}", feed_line(feed))?;
    }
    drop(out);
    print_left_out(meta)?;
    Ok(Exit::Clean)
}

fn feed_line(feed: &FeedInfo) -> String {
    let complete = ecosystem::listed(&feed.ecosystems);
    let newest = if feed.as_of.is_empty() { "-" } else { feed.as_of.as_str() };
    let unreadable = if feed.unreadable > 0 { format!("  ({} unreadable)", feed.unreadable) } else { String::new() };
    let (name, complete) = (printable(&feed.name), printable(&complete));
    format!("{name:20} {:16} {:>8}  {newest:20.20}  {complete}{unreadable}", feed.format, feed.records)
}

fn print_left_out(meta: &Meta) -> Result<()> {
    for left in &meta.left_out {
        writeln!(
            io::stdout(),
            "left out: {} rows of {} (no version order yet)",
            left.rows,
            printable(&left.ecosystem)
        )?;
    }
    for feed in &meta.feeds {
        for (reason, records) in &feed.skipped {
            writeln!(io::stdout(), "left out: {records} records of {} ({reason})", printable(&feed.name))?;
        }
    }
    Ok(())
}

/// One line on a terminal that says how many feeds are read, how much came, and what is read now.
struct Feeds {
    bar: ProgressBar,
    total: usize,
    state: Mutex<Reading>,
}

/// Feeds are read beside each other.
#[derive(Default)]
struct Reading {
    done: usize,
    now: Vec<String>,
    /// Bytes that came of each feed.
    bytes: BTreeMap<String, u64>,
}

impl Feeds {
    fn new(total: usize) -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Feeds { bar, total, state: Mutex::default() }
    }

    fn bytes(&self) -> u64 {
        self.state().bytes.values().sum()
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn state(&self) -> MutexGuard<'_, Reading> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, reading: &Reading) {
        let came = HumanBytes(reading.bytes.values().sum());
        let now = reading.now.join(", ");
        self.bar.set_message(format!("{} of {} feeds read, {came} downloaded; now {now}", reading.done, self.total));
    }
}

impl Progress for Feeds {
    fn feed_started(&self, name: &str, _: &str) {
        let mut reading = self.state();
        reading.now.push(printable(name));
        self.show(&reading);
    }

    fn downloaded(&self, name: &str, bytes: u64, _: Option<u64>) {
        let mut reading = self.state();
        reading.bytes.insert(name.to_owned(), bytes);
        self.show(&reading);
    }

    fn feed_done(&self, info: &FeedInfo) {
        let mut reading = self.state();
        reading.done += 1;
        let name = printable(&info.name);
        reading.now.retain(|now| *now != name);
        self.show(&reading);
        self.bar.println(format!("{name}: {} records", info.records));
    }
}
