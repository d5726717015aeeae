//! `kubectl scan db`: build and inspect the vulnerability database.

mod diff;

use crate::args::{DbCommand, Output};
use crate::exit::{self, Exit, UsageError};
use crate::render::{self, printable};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_feeds::build::{self, Options, Progress};
use tidewaiter_feeds::config::{self, Config};

/// A rebuild that loses more than a tenth of the rows is refused.
const MAX_LOSS: f64 = 0.1;

/// Runs a command on databases.
pub(crate) fn run(command: &DbCommand) -> Result<Exit> {
    match command {
        DbCommand::Build { feeds, db, keep_going } => match build(feeds.as_deref(), db.as_deref()) {
            // A server must start although an upstream is away: without a database it holds, and says so.
            Err(error) if *keep_going => {
                exit::report(&error);
                Ok(Exit::Clean)
            }
            other => other,
        },
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

/// `$XDG_CACHE_HOME/tidewaiter`, else `~/.cache/tidewaiter`.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::home_dir().map(|home| home.join(".cache"));
    let base = base.or_else(home).ok_or_else(|| UsageError("no home directory: name a file with --db".to_owned()))?;
    Ok(base.join("tidewaiter"))
}

fn build(feeds: Option<&Path>, db: Option<&Path>) -> Result<Exit> {
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
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let cache = cache_dir()?.join("feeds");
    let now = jiff::Timestamp::now().round(jiff::Unit::Second)?.to_string();
    let progress = Feeds::new();
    let options =
        Options { config: &config, out: &out, cache: &cache, now: &now, max_loss: MAX_LOSS, progress: &progress };
    let meta = build::build(&options)?;
    progress.bar.finish_and_clear();
    writeln!(io::stdout(), "{}: {} advisories, {} rows", out.display(), meta.advisories, meta.rows)?;
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
    let path = path(db)?;
    let found = Database::open_verified(&path)?;
    place(&path, file)?;
    writeln!(io::stdout(), "{}: {}, built {}", file.display(), found.id(), found.meta().built)?;
    Ok(Exit::Clean)
}

fn import(file: &Path, db: Option<&Path>, age: Age) -> Result<Exit> {
    let new = Database::open_verified(file)?;
    let path = path(db)?;
    if let Ok(old) = Database::open(&path)
        && age == Age::NotOlder
        && new.meta().built < old.meta().built
    {
        let (built, there) = (&new.meta().built, &old.meta().built);
        bail!("{}: it was built {built}, the one that is there {there}; to go back, use --allow-older", file.display());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    place(file, &path)?;
    writeln!(io::stdout(), "{}: {}, built {}", path.display(), new.id(), new.meta().built)?;
    Ok(Exit::Clean)
}

/// Copies beside, then renames: a reader sees the old file or the new one.
fn place(from: &Path, to: &Path) -> Result<()> {
    let beside = to.with_extension(format!("{}.new", std::process::id()));
    let copied = fs::copy(from, &beside).and_then(|_| fs::rename(&beside, to));
    copied.with_context(|| to.display().to_string()).inspect_err(|_| drop(fs::remove_file(&beside)))
}

fn status(db: Option<&Path>, output: Output) -> Result<Exit> {
    let path = path(db)?;
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
    writeln!(
        out,
        "built {}{}, {} advisories, {} rows\n",
        meta.built,
        render::age(&meta.built),
        meta.advisories,
        meta.rows
    )?;
    writeln!(out, "{:20} {:16} {:>8}  {:20}  COMPLETE FOR", "FEED", "FORMAT", "RECORDS", "NEWEST")?;
    for feed in &meta.feeds {
        writeln!(out, "{}", feed_line(feed))?;
    }
    drop(out);
    print_left_out(meta)?;
    Ok(Exit::Clean)
}

fn feed_line(feed: &FeedInfo) -> String {
    let complete = if feed.ecosystems.is_empty() { "-".to_owned() } else { feed.ecosystems.join(", ") };
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

/// One line on a terminal that says what is read now.
struct Feeds {
    bar: ProgressBar,
}

impl Feeds {
    fn new() -> Self {
        let target =
            if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::no_length().with_style(
            ProgressStyle::with_template("{spinner} {msg} {bytes} {bytes_per_sec}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_draw_target(target);
        Feeds { bar }
    }
}

impl Progress for Feeds {
    fn feed_started(&self, name: &str, location: &str) {
        self.bar.reset();
        self.bar.set_message(format!("{name}: {location}"));
        self.bar.tick();
    }

    fn downloaded(&self, _: &str, bytes: u64, total: Option<u64>) {
        total.into_iter().for_each(|t| self.bar.set_length(t));
        self.bar.set_position(bytes);
    }

    fn feed_done(&self, info: &FeedInfo) {
        // A terminal that went away is not worth an error.
        self.bar.println(format!("{}: {} records", info.name, info.records));
    }
}
