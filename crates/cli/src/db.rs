//! `kubectl scan db`: builds, moves and inspects the vulnerability database.

mod age;
mod artifact;
#[cfg(feature = "sigstore")]
mod bundle;
mod deltas;
mod diff;
mod leftovers;
#[cfg(not(feature = "sigstore"))]
mod no_bundle;
mod part;
mod push;
mod renew;
mod signature;
mod update;

use crate::args::{DbCommand, KeylessArgs, OutputFormat, RegistryArgs, UpdateArgs};
use crate::exit::{self, Exit, UsageError};
use crate::progress::FeedProgress;
use crate::terminal::printable;
use crate::{dirs, render};
use age::AcceptedAge;
use anyhow::{Context, Result};
use indicatif::HumanBytes;
use jiff::Timestamp;
use std::fs::{self, File};
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use tidewaiter_core::ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::{self, FeedsConfig};
use tidewaiter_feeds::options::BuildOptions;

/// Largest share of the rows that a rebuild may lose. Advisories are rarely withdrawn, so a larger loss is a truncated
/// download or a feed that changed its form.
const MAX_LOSS: f64 = 0.1;

/// Runs a `db` command.
pub(crate) fn run(command: &DbCommand) -> Result<Exit> {
    match command {
        DbCommand::Build { feeds, db, downloads, keep_going } => {
            match build(feeds.as_deref(), db.as_deref(), downloads.as_deref(), &mut io::stdout()) {
                // For the init container of the server, which must start even if an upstream is down: without a database it
                // holds every rollout, and reports that.
                Err(error) if *keep_going => {
                    exit::report(&error);
                    Ok(Exit::Clean)
                }
                other => other,
            }
        }
        DbCommand::Update(args) => update::run(args, &mut io::stdout()),
        DbCommand::Push(args) => push::run(args),
        DbCommand::Renew(args) => renew::run(args),
        DbCommand::Diff { old, new, output } => diff::run(old, new, *output),
        DbCommand::Export { file, db } => export(file, db.as_deref()),
        DbCommand::Import { file, db, allow_older } => import(file, db.as_deref(), AcceptedAge::of(*allow_older)),
        DbCommand::Status { db, output } => status(db.as_deref(), *output),
    }
}

/// Offers whoever has no database yet to get one, where a person looks and can answer. What it prints goes to stderr: the
/// scan's result is on stdout.
pub(crate) fn offer(path: &Path, registry: &RegistryArgs) -> Result<()> {
    if path.exists() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    let source = dirs::default_source();
    let how = match &source {
        Some(source) => format!("Download it from {}", printable(source)),
        None => "Build it from the default feeds (they are downloaded: gigabytes, and minutes)".to_owned(),
    };
    let question = format!("There is no vulnerability database at {} yet. {how} now? [y/N] ", path.display());
    if !is_yes(&question, &mut io::stdin().lock(), &mut io::stderr())? {
        return Ok(());
    }
    let db = Some(path.to_owned());
    match source {
        Some(_) => {
            let key = std::env::var_os("TIDEWAITER_DB_KEY").map(PathBuf::from);
            // Plain HTTP was allowed for the image's registry alone.
            let mut registry = registry.clone();
            registry.own.plain_http = false;
            let keyless = KeylessArgs::of_environment();
            update::run(&UpdateArgs { source, key, keyless, allow_older: false, db, registry }, &mut io::stderr())?;
        }
        None => drop(build(None, db.as_deref(), None, &mut io::stderr())?),
    }
    Ok(())
}

/// Asks a question; no answer is a no.
fn is_yes(question: &str, answers: &mut dyn BufRead, to: &mut dyn Write) -> io::Result<bool> {
    write!(to, "{question}")?;
    to.flush()?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn build(feeds: Option<&Path>, db: Option<&Path>, downloads: Option<&Path>, said: &mut dyn Write) -> Result<Exit> {
    let config = match feeds {
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()));
            let text = text.map_err(|e| UsageError(format!("{e:#}; name a feeds.toml with --feeds")))?;
            FeedsConfig::parse(&text, file).map_err(|e| UsageError(e.to_string()))?
        }
        None => FeedsConfig::parse(config::DEFAULT, Path::new("default feeds"))?,
    };
    let out = dirs::database(db)?;
    if let Some(folder) = out.parent() {
        let advice =
            || format!("{}: the database's folder cannot be created; name another file with --db", folder.display());
        fs::create_dir_all(folder).with_context(advice)?;
    }
    let downloads = dirs::downloads(downloads)?;
    // Whole seconds, as people read and compare it.
    let now = Timestamp::now().round(jiff::Unit::Second)?;
    let progress = FeedProgress::new(&out);
    let options = BuildOptions {
        config: &config,
        out: &out,
        downloads: &downloads,
        now,
        max_loss: MAX_LOSS,
        progress: &progress,
    };
    let built = build::build(&options);
    progress.clear();
    let meta = built?;
    let size = fs::metadata(&out).map_or(0, |m| m.len());
    writeln!(
        said,
        "{}: {} advisories, {} rows, {} ({} downloaded)",
        out.display(),
        meta.advisories,
        meta.rows,
        HumanBytes(size),
        HumanBytes(progress.bytes())
    )?;
    print_skipped(&meta, said)?;
    Ok(Exit::Clean)
}

fn export(file: &Path, db: Option<&Path>) -> Result<Exit> {
    let path = dirs::existing_database(db)?;
    // A damaged file must not be handed on.
    let found = Database::open_verified(&path)?;
    place(&path, file)?;
    writeln!(io::stdout(), "{}: {}, built {}", file.display(), found.id(), render::built(found.meta().built))?;
    Ok(Exit::Clean)
}

fn import(file: &Path, db: Option<&Path>, age: AcceptedAge) -> Result<Exit> {
    // Before the current database is touched.
    let new = Database::open_verified(file)?;
    let path = dirs::database(db)?;
    let old = Database::open(&path).ok().map(|old| old.info());
    age.check(&file.display().to_string(), &new.info(), old.as_ref(), Timestamp::now())?;
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

fn status(db: Option<&Path>, output: OutputFormat) -> Result<Exit> {
    let path = dirs::existing_database(db)?;
    let db = Database::open_verified(&path)?;
    let mut out = io::stdout().lock();
    if output == OutputFormat::Json {
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
    print_skipped(meta, &mut io::stdout())?;
    Ok(Exit::Clean)
}

fn feed_line(feed: &FeedInfo) -> String {
    let complete = ecosystem::listed(&feed.ecosystems);
    let newest = match feed.as_of.as_str() {
        "" => "-",
        text => text,
    };
    let unreadable = if feed.unreadable > 0 { format!("  ({} unreadable)", feed.unreadable) } else { String::new() };
    let (name, complete) = (printable(&feed.name), printable(&complete));
    format!("{name:20} {:16} {:>8}  {newest:20.20}  {complete}{unreadable}", feed.format, feed.records)
}

/// What is declared and not covered comes first, for it changes verdicts; then what is older than the rest.
fn print_skipped(meta: &Meta, out: &mut dyn Write) -> Result<()> {
    for ecosystem in &meta.not_covered {
        let advice = "check the feed, or remove the ecosystem from it in feeds.toml";
        writeln!(out, "NOT COVERED: {}; {advice}", printable(ecosystem))?;
    }
    for feed in meta.feeds.iter().filter(|feed| !feed.stale.is_empty()) {
        let (read, cause) = (render::built(feed.read), printable(&feed.stale));
        match feed.is_unread() {
            true => writeln!(out, "NOT READ: {cause}")?,
            false => writeln!(out, "STALE: the records of {} were read {read}: {cause}", printable(&feed.name))?,
        }
    }
    for left in &meta.left_out {
        writeln!(
            out,
            "skipped: {} rows of {} (its version scheme is not supported)",
            left.rows,
            printable(&left.ecosystem)
        )?;
    }
    for unasked in &meta.unasked {
        let (rows, ecosystem) = (unasked.rows, printable(&unasked.ecosystem));
        writeln!(out, "skipped: {rows} rows of {ecosystem} (products that no image names as its release)")?;
    }
    for feed in &meta.feeds {
        for (reason, records) in &feed.skipped {
            writeln!(out, "skipped: {records} records of {} ({reason})", printable(&feed.name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        let check = |answer: &str, expected: bool| {
            let mut said = Vec::new();
            assert_eq!(is_yes("now? ", &mut answer.as_bytes(), &mut said).unwrap(), expected, "{answer:?}");
            assert_eq!(said, b"now? ");
        };
        check("y\n", true);
        check(" Yes\n", true);
        check("\n", false);
        check("", false);
        check("n\n", false);
        check("yesterday\n", false);
    }
}
