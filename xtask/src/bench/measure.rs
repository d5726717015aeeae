//! Measures one child process: time, memory, input and output.

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often memory is sampled: reading /proc costs some 20 µs, a hundredth of this.
const EVERY: Duration = Duration::from_millis(2);

/// One run's figures.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    /// From the start to the end, in milliseconds.
    pub(crate) wall_ms: f64,
    /// User and system time of all threads (`ru_utime` + `ru_stime`), in milliseconds.
    pub(crate) cpu_ms: f64,
    /// The most `RssAnon` of `/proc/PID/status` of all samples, in MiB; 0 when the process ended before the first one.
    pub(crate) rss_anon: f64,
    /// The last `VmHWM` of `/proc/PID/status` that was sampled, in MiB: the most resident memory, mapped files included.
    pub(crate) rss_peak: f64,
    /// `rchar` of `/proc/PID/io` after the end: MiB returned by read calls, from the page cache too.
    pub(crate) read: f64,
    /// `wchar` of `/proc/PID/io`: MiB passed to write calls, to pipes and sockets too.
    pub(crate) written: f64,
    /// Exit code; -1 after a signal.
    pub(crate) code: i32,
}

/// What a child may take.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessLimits {
    /// Bytes of address space.
    pub(crate) memory: Option<u64>,
    /// Seconds of CPU time.
    pub(crate) cpu_seconds: Option<u64>,
}

/// Runs a command within limits, which a shell sets before it becomes the command. Returns the cause among its messages too,
/// which are written to `messages`.
pub(crate) fn run_limited(command: &Command, messages: &Path, limits: ProcessLimits) -> Result<(Sample, String)> {
    let limit = |flag: &str, value: Option<u64>| value.map_or(String::new(), |v| format!("ulimit {flag} {v}; "));
    let script =
        limit("-v", limits.memory.map(|bytes| bytes >> 10)) + &limit("-t", limits.cpu_seconds) + "exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(command.get_program()).args(command.get_args());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let file = File::create(messages).with_context(|| messages.display().to_string())?;
    let sample = measured(&mut shell, file.into())?;
    let said = fs::read_to_string(messages).unwrap_or_default();
    let is_cause = |line: &&str| line.starts_with("error") || line.contains("panicked at");
    let cause = said.lines().find(is_cause).or_else(|| said.lines().last()).unwrap_or_default();
    Ok((sample, cause.to_owned()))
}

/// Runs a command to its end and drops its output.
pub(crate) fn run(command: &mut Command) -> Result<Sample> {
    measured(command, Stdio::null())
}

/// One at a time: CPU time is that of all ended children.
fn measured(command: &mut Command, messages: Stdio) -> Result<Sample> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(messages);
    let before = children_ms()?;
    let begun = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{name} cannot be run"))?;
    let pid = child.id();
    let counts = || format!("the I/O counts of {name}");
    // Opened while the process runs: the files of a zombie belong to root, but stay readable through an open descriptor.
    let mut io = File::open(format!("/proc/{pid}/io")).with_context(counts)?;
    let over = AtomicBool::new(false);
    let id = Id::Pid(Pid::from_raw(pid.try_into()?));
    let (ended, wall, (rss_anon, rss_peak)) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(pid, &over));
        let (ended, wall) = wait(id, begun, &over);
        (ended, wall, watcher.join().unwrap_or_default())
    });
    ended.with_context(|| name.clone())?;
    let mut text = String::new();
    io.read_to_string(&mut text).with_context(counts)?;
    let status = child.wait()?;
    Ok(Sample {
        wall_ms: wall.as_secs_f64() * 1000.0,
        cpu_ms: children_ms()? - before,
        rss_anon: mib(rss_anon),
        rss_peak: mib(rss_peak),
        read: mib(field(&text, "rchar:").unwrap_or_default()),
        written: mib(field(&text, "wchar:").unwrap_or_default()),
        code: status.code().unwrap_or(-1),
    })
}

/// Waits until the process ends, and says so to who watches it. WNOWAIT leaves the zombie, whose /proc files still have the
/// I/O counts.
fn wait(id: Id<'_>, begun: Instant, over: &AtomicBool) -> (nix::Result<WaitStatus>, Duration) {
    let ended = waitid(id, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    let wall = begun.elapsed();
    over.store(true, Ordering::Relaxed);
    (ended, wall)
}

/// The most `RssAnon` and the last `VmHWM`.
fn watch(pid: u32, over: &AtomicBool) -> (u64, u64) {
    let path = format!("/proc/{pid}/status");
    let (mut most, mut peak) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let status = fs::read_to_string(&path).unwrap_or_default();
        most = most.max(field(&status, "RssAnon:").unwrap_or_default() << 10);
        peak = peak.max(field(&status, "VmHWM:").unwrap_or_default() << 10);
        thread::sleep(EVERY);
    }
    (most, peak)
}

/// The number after a label at the beginning of a line.
fn field(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of all ended children, in milliseconds.
fn children_ms() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let ms = |time: TimeVal| Duration::new(time.tv_sec().unsigned_abs(), 0).as_secs_f64() * 1000.0;
    let us = |time: TimeVal| f64::from(u32::try_from(time.tv_usec()).unwrap_or_default()) / 1000.0;
    let both = [usage.user_time(), usage.system_time()];
    Ok(both.into_iter().map(|time| ms(time) + us(time)).sum())
}

/// The median of each figure.
pub(crate) fn medians(samples: &[Sample]) -> Sample {
    Sample {
        wall_ms: median(samples.iter().map(|s| s.wall_ms)),
        cpu_ms: median(samples.iter().map(|s| s.cpu_ms)),
        rss_anon: median(samples.iter().map(|s| s.rss_anon)),
        rss_peak: median(samples.iter().map(|s| s.rss_peak)),
        read: median(samples.iter().map(|s| s.read)),
        written: median(samples.iter().map(|s| s.written)),
        code: samples.first().map_or(-1, |s| s.code),
    }
}

/// The upper median; 0 of no values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Mebibytes of bytes.
fn mib(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, |kib| f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_measured() {
        let sample = run(Command::new("sh").args(["-c", "head -c 300000 /dev/zero | wc -c; exit 3"])).unwrap();
        assert_eq!(sample.code, 3);
        assert!(sample.wall_ms > 0.0 && sample.read >= 0.28, "{sample:?}");
    }

    #[test]
    fn fields_and_medians() {
        assert_eq!(field("Name: x\nRssAnon:\t  120 kB\n", "RssAnon:"), Some(120));
        assert_eq!(field("Name: x\n", "RssAnon:"), None);
        assert!((median([5.0, 1.0, 3.0].into_iter()) - 3.0).abs() < f64::EPSILON);
        assert!(median(std::iter::empty()).abs() < f64::EPSILON);
        assert!((mib(3 << 20) - 3.0).abs() < f64::EPSILON);
    }
}
