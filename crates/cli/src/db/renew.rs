//! `kubectl scan db renew`: builds or downloads the database on a schedule (ADR 0012).
//!
//! ```text
//! look: age, source, feeds → due? → `db update` or `db build`, in a process of its own → the file is replaced, or is as it was
//! ```

use super::leftovers;
use crate::args::{KeylessArgs, RenewArgs};
use crate::dirs;
use crate::exit::{Exit, UsageError};
use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};
use tidewaiter_core::report::DatabaseInfo;
use tidewaiter_db::Database;
use tidewaiter_scan::source::sha256;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

/// Pause between two looks at clock and files. Volumes have no notifications that work everywhere; a look reads the header of
/// the database and the files of a ConfigMap, which has 1 MiB at most.
const LOOK: Duration = Duration::from_secs(2);
/// Pause after the first failure; doubled for each further one.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);
/// Longest pause after a failure: an upstream that was down for a night is asked again in the morning.
const MAX_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// Files next to `feeds.toml` that are larger than this are compared by their size alone.
const MAX_HASHED: u64 = 16 << 20;

/// Looks until a signal stops it.
pub(super) fn run(args: &RenewArgs) -> Result<Exit> {
    if args.every < SignedDuration::from_secs(1) {
        return Err(UsageError("--every must be a second at least, as in: --every 24h".to_owned()).into());
    }
    let path = dirs::database(args.db.as_deref())?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    if let Some(mib) = args.memory {
        // Of this process and those that it starts. The container's own limit would end all of them at once, and with them
        // the readiness of the Pod.
        let limit = Rlimit { current: Some(mib << 20), maximum: getrlimit(Resource::Data).maximum };
        setrlimit(Resource::Data, limit).context("limiting the memory")?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            result = follow(args, &path) => result.map(|()| Exit::Clean),
            // A process without a handler, as the first one of a container, would not end for half a minute.
            _ = term.recv() => Ok(Exit::Clean),
            _ = int.recv() => Ok(Exit::Clean),
        }
    })
}

async fn follow(args: &RenewArgs, path: &Path) -> Result<()> {
    let record = next_to(path, "inputs");
    let mut schedule = Schedule::new(args.every, fs::read_to_string(&record).unwrap_or_default());
    let mut in_place = VerifiedFile::default();
    loop {
        let inputs = inputs(args);
        if schedule.is_due(Timestamp::now(), in_place.built(path), &inputs) {
            leftovers::remove(path);
            let failure = match renew(args, path).await {
                Ok(status) if status.success() && in_place.built(path).is_some() => None,
                Ok(status) if status.success() => Some("it left no sound database whose age is known".to_owned()),
                Ok(status) => Some(format!("it ended with {status}; see above")),
                Err(error) => Some(format!("{error:#}")),
            };
            if failure.is_none() {
                let text = inputs.clone();
                tidewaiter_io::replace(&record, |file| file.write_all(text.as_bytes()))
                    .with_context(|| record.display().to_string())?;
            }
            let pause = schedule.tried(Timestamp::now(), inputs, failure.is_some());
            match failure {
                None => crate::terminal::say(&format!("the next renewal is in {pause:#}")),
                Some(why) => {
                    let why = crate::terminal::printable(why);
                    writeln!(io::stderr(), "error: the database was not renewed: {why}; the next try is in {pause:#}")?;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Runs one renewal; dropped (by a signal), it is killed.
async fn renew(args: &RenewArgs, path: &Path) -> Result<ExitStatus> {
    let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
    command.arg("db").kill_on_drop(true);
    if crate::terminal::is_quiet() {
        command.arg("--quiet");
    }
    match dirs::database_source(args.source.as_deref()) {
        Some(source) => {
            command.arg("update").arg(source);
            option(&mut command, "--key", args.key.as_deref());
            let KeylessArgs { certificate_identity, certificate_oidc_issuer, trusted_root } = &args.keyless;
            option(&mut command, "--certificate-identity", certificate_identity.as_deref().map(Path::new));
            option(&mut command, "--certificate-oidc-issuer", certificate_oidc_issuer.as_deref().map(Path::new));
            option(&mut command, "--trusted-root", trusted_root.as_deref());
        }
        None => {
            command.arg("build");
            option(&mut command, "--feeds", args.feeds.as_deref());
            option(&mut command, "--downloads", args.downloads.as_deref());
        }
    }
    command.arg("--db").arg(path);
    Ok(command.status().await?)
}

fn option(command: &mut Command, name: &str, value: Option<&Path>) {
    if let Some(value) = value {
        command.arg(name).arg(value);
    }
}

/// The database in place, which is read as a whole once after each change: its checksum is over all of it.
#[derive(Debug, Default)]
struct VerifiedFile {
    /// Size, time of the last change and inode of the file that was read.
    stamp: Option<(u64, SystemTime, u64)>,
    built: Option<Timestamp>,
}

impl VerifiedFile {
    /// When it was built; `None` where there is no sound one whose age is known.
    fn built(&mut self, path: &Path) -> Option<Timestamp> {
        let meta = fs::metadata(path).ok();
        let stamp = meta.and_then(|meta| Some((meta.len(), meta.modified().ok()?, meta.ino())));
        if stamp.is_none() || stamp != self.stamp {
            let info = Database::open_verified(path).ok().map(|database| database.info());
            *self = VerifiedFile { stamp, built: info.and_then(|info| known_age(&info)) };
        }
        self.built
    }
}

fn known_age(info: &DatabaseInfo) -> Option<Timestamp> {
    info.built.filter(|_| !info.is_from_the_future(Timestamp::now()))
}

/// What the database is made of, as a digest: the source, or `feeds.toml` and the files next to it.
fn inputs(args: &RenewArgs) -> String {
    let mut text = dirs::database_source(args.source.as_deref()).unwrap_or_default().into_bytes();
    let folder = args.feeds.as_deref().and_then(Path::parent).filter(|_| text.is_empty());
    let mut files: Vec<PathBuf> =
        folder.and_then(|f| fs::read_dir(f).ok()).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    files.sort();
    for file in files {
        let Some(meta) = fs::metadata(&file).ok().filter(fs::Metadata::is_file) else { continue };
        text.extend_from_slice(format!("\n{}\n{}\n", file.display(), meta.len()).as_bytes());
        if meta.len() <= MAX_HASHED {
            text.extend(fs::read(&file).unwrap_or_default());
        }
    }
    sha256(&text).to_string()
}

fn next_to(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}"));
    path.with_file_name(name)
}

/// When a renewal is due.
#[derive(Debug)]
struct Schedule {
    every: SignedDuration,
    /// Of the database in place, or of the last try.
    inputs: String,
    /// The last try of this process, and the pause after it.
    last: Option<(Timestamp, SignedDuration)>,
    failures: u32,
}

impl Schedule {
    fn new(every: SignedDuration, inputs: String) -> Self {
        Schedule { every, inputs, last: None, failures: 0 }
    }

    fn is_due(&self, now: Timestamp, built: Option<Timestamp>, inputs: &str) -> bool {
        if self.inputs != inputs {
            return true;
        }
        match (self.last, built) {
            // After a success there was one: it is lost or damaged, and whoever needs it waits.
            (Some(_), None) if self.failures == 0 => true,
            // Since the last try, not since the build: a source may have nothing newer.
            (Some((at, pause)), _) => now.duration_since(at) >= pause,
            (None, Some(built)) => now.duration_since(built) >= self.every,
            (None, None) => true,
        }
    }

    /// Notes a try; returns the pause until the next one.
    fn tried(&mut self, now: Timestamp, inputs: String, failed: bool) -> SignedDuration {
        self.failures = if failed { self.failures + 1 } else { 0 };
        let pause = match self.failures {
            0 => self.every,
            n => (PAUSE * 2_i32.pow((n - 1).min(8))).min(MAX_PAUSE).min(self.every),
        };
        (self.inputs, self.last) = (inputs, Some((now, pause)));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-{text}Z").parse().unwrap()
    }

    #[test]
    fn a_renewal_is_due_by_age_and_by_what_changed() {
        let check = |built: Option<&str>, inputs: &str, expected: bool| {
            let schedule = Schedule::new(SignedDuration::from_hours(24), "same".to_owned());
            assert_eq!(schedule.is_due(at("10T12:00:00"), built.map(at), inputs), expected, "{built:?} {inputs}");
        };
        check(None, "same", true);
        check(Some("10T00:00:00"), "same", false);
        check(Some("09T12:00:00"), "same", true);
        check(Some("10T00:00:00"), "other", true);
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses() {
        let mut schedule = Schedule::new(SignedDuration::from_hours(24), String::new());
        let mut tried = |failed: bool| schedule.tried(at("10T12:00:00"), "new".to_owned(), failed).as_secs() / 60;
        assert_eq!([tried(true), tried(true), tried(true)], [1, 2, 4]);
        assert_eq!((0..9).map(|_| tried(true)).last(), Some(60));
        assert_eq!(tried(false), 24 * 60);
        assert_eq!(tried(true), 1);
        assert!(!schedule.is_due(at("10T12:00:59"), None, "new"));
        assert!(schedule.is_due(at("10T12:01:00"), None, "new"));
        // What was corrected meanwhile is tried at once.
        assert!(schedule.is_due(at("10T12:00:01"), None, "newer"));
        // A source with nothing newer is not asked without a pause.
        schedule.tried(at("10T12:00:00"), "new".to_owned(), false);
        assert!(!schedule.is_due(at("11T11:59:59"), Some(at("01T00:00:00")), "new"));
        // One that was lost is renewed at once; where that fails, with pauses.
        assert!(schedule.is_due(at("10T12:00:01"), None, "new"));
        schedule.tried(at("10T12:00:01"), "new".to_owned(), true);
        assert!(!schedule.is_due(at("10T12:01:00"), None, "new"));
        assert!(schedule.is_due(at("10T12:01:01"), None, "new"));
    }
}
