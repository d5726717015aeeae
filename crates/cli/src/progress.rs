//! Progress on a terminal: bars of layers, a line for what is waited for, a line for a database build. Where stderr is not a
//! terminal nothing is drawn, so that logs hold no escape codes: what takes long is told in a line now and then.

use crate::terminal::{printable, say, shows_bars};
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tidewaiter_db::meta::FeedInfo;

/// How often a spinner turns: eight times a second looks alive and costs nothing.
const TICK: Duration = Duration::from_millis(120);

/// How often progress is told in lines, where nobody looks at bars: often enough that a log shows what takes its time.
const PACE: Duration = Duration::from_secs(10);

/// Says when the next line is due: none before the first pace is over.
#[derive(Debug)]
struct Pacer(Mutex<Instant>);

impl Pacer {
    fn new() -> Self {
        Pacer(Mutex::new(Instant::now()))
    }

    /// Whether a line is due; the next one is a pace later. Who asks while another does is not due.
    fn is_due(&self, now: Instant) -> bool {
        let Some(mut last) = self.0.try_lock() else { return false };
        let is_due = now.duration_since(*last) >= PACE;
        if is_due {
            *last = now;
        }
        is_due
    }
}

/// The layers of an image while they are read: a bar each, or a line now and then.
#[derive(Debug)]
pub(crate) struct LayerProgress {
    image: String,
    /// `None` where nobody looks: hidden bars cost as much CPU time as visible ones.
    all: Option<MultiProgress>,
    bars: Mutex<Vec<(usize, ProgressBar)>>,
    pacer: Pacer,
    read: AtomicU64,
    done: AtomicUsize,
}

impl LayerProgress {
    pub(crate) fn new(image: &str) -> Self {
        let all = shows_bars().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        LayerProgress {
            image: printable(image),
            all,
            bars: Mutex::default(),
            pacer: Pacer::new(),
            read: AtomicU64::new(0),
            done: AtomicUsize::new(0),
        }
    }

    pub(crate) fn clear(&self) {
        // The bars are gone either way; a terminal that refuses is not worth an error.
        self.all.iter().for_each(|all| drop(all.clear()));
    }

    fn with_bar(&self, layer: usize, act: impl FnOnce(&ProgressBar)) {
        if let Some((_, bar)) = self.bars.lock().iter().find(|(index, _)| *index == layer) {
            act(bar);
        }
    }

    fn told(&self, bytes: u64) {
        let read = self.read.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.pacer.is_due(Instant::now()) {
            let done = self.done.load(Ordering::Relaxed);
            say(&format!("{}: {} read, {done} layers done", self.image, HumanBytes(read)));
        }
    }
}

impl tidewaiter_scan::progress::ScanProgress for LayerProgress {
    fn layer_started(&self, layer: usize, total: usize, size: Option<u64>) {
        let Some(all) = &self.all else { return };
        let bar = all.add(size.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("layer {}/{total}", layer + 1));
        self.bars.lock().push((layer, bar));
    }

    fn bytes(&self, layer: usize, read: u64) {
        match self.all {
            Some(_) => self.with_bar(layer, |bar| bar.inc(read)),
            None => self.told(read),
        }
    }

    fn layer_done(&self, layer: usize) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.with_bar(layer, ProgressBar::finish);
    }
}

/// One bar of bytes.
#[derive(Debug)]
pub(crate) struct ByteBar {
    bar: ProgressBar,
}

impl ByteBar {
    /// Of so many bytes, where that is known.
    pub(crate) fn new(total: Option<u64>) -> Self {
        let target = if shows_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = "[{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let template = if total.is_some() { template } else { "{bytes} {bytes_per_sec}" };
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        ByteBar { bar }
    }

    /// A reader whose bytes are shown.
    pub(crate) fn read<R: io::Read>(&self, inner: R) -> impl io::Read + use<R> {
        self.bar.wrap_read(inner)
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// One line with a spinner and a message.
#[derive(Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
    pacer: Pacer,
}

impl Spinner {
    pub(crate) fn new() -> Self {
        let target = if shows_bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Spinner { bar, pacer: Pacer::new() }
    }

    pub(crate) fn say(&self, text: &str) {
        match self.bar.is_hidden() {
            false => self.bar.set_message(printable(text)),
            true if self.pacer.is_due(Instant::now()) => say(&printable(text)),
            true => {}
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// One line that says how many feeds are read, how much was downloaded, and what is being read.
pub(crate) struct FeedProgress {
    /// The database that is built.
    out: PathBuf,
    spinner: Spinner,
    state: Mutex<FeedsRead>,
}

/// Several feeds are read concurrently, so the line is made of all of them.
#[derive(Default)]
struct FeedsRead {
    total: usize,
    done: usize,
    running: Vec<String>,
    /// Bytes downloaded, by feed: each call says the feed's total.
    bytes: BTreeMap<String, u64>,
}

impl FeedProgress {
    pub(crate) fn new(out: &Path) -> Self {
        FeedProgress { out: out.to_owned(), spinner: Spinner::new(), state: Mutex::default() }
    }

    /// Bytes downloaded of all feeds.
    pub(crate) fn bytes(&self) -> u64 {
        self.state.lock().bytes.values().sum()
    }

    pub(crate) fn clear(&self) {
        self.spinner.clear();
    }

    fn show(&self, state: &FeedsRead) {
        let bytes = HumanBytes(state.bytes.values().sum());
        let running = state.running.join(", ");
        self.spinner.say(&format!("{} of {} feeds read, {bytes} downloaded; now {running}", state.done, state.total));
    }
}

impl tidewaiter_feeds::options::BuildProgress for FeedProgress {
    fn feeds_known(&self, feeds: usize, downloaded: usize) {
        self.state.lock().total = feeds;
        let out = self.out.display();
        let said = || say(&format!("Building {out} from {feeds} feeds, {downloaded} of them downloaded"));
        self.spinner.bar.suspend(said);
    }

    fn feed_started(&self, name: &str, _: &str) {
        let mut state = self.state.lock();
        state.running.push(printable(name));
        self.show(&state);
    }

    fn downloaded(&self, name: &str, bytes: u64, _: Option<u64>) {
        let mut state = self.state.lock();
        state.bytes.insert(name.to_owned(), bytes);
        self.show(&state);
    }

    fn feed_done(&self, info: &FeedInfo) {
        let mut state = self.state.lock();
        state.done += 1;
        let name = printable(&info.name);
        state.running.retain(|running| *running != name);
        self.show(&state);
        let stale = match info.stale.as_str() {
            "" => "",
            _ if info.is_unread() => ", for it could not be read",
            _ => ", of the last time that it could be read",
        };
        self.spinner.bar.println(format!("{name}: {} records{stale}", info.records));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_pace() {
        let pacer = Pacer::new();
        let begin = *pacer.0.lock();
        let check = |seconds: u64, expected: bool| {
            assert_eq!(pacer.is_due(begin + Duration::from_secs(seconds)), expected, "{seconds}");
        };
        check(0, false);
        check(9, false);
        check(10, true);
        check(19, false);
        check(25, true);
    }
}
