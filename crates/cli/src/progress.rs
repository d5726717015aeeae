//! Progress on a terminal: bars of layers, a line for what is waited for, a line for a database build. Nothing is drawn
//! when stderr is not a terminal, so that logs hold no escape codes.

use crate::terminal::printable;
use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewaiter_db::meta::FeedInfo;

/// How often a spinner turns: eight times a second looks alive and costs nothing.
const TICK: Duration = Duration::from_millis(120);

/// One bar per layer, live.
#[derive(Debug)]
pub(crate) struct LayerBars {
    /// `None` where stderr is not a terminal: hidden bars cost as much CPU time as visible ones.
    all: Option<MultiProgress>,
    bars: Mutex<Vec<(usize, ProgressBar)>>,
}

impl LayerBars {
    pub(crate) fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let all = is_seen.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        LayerBars { all, bars: Mutex::default() }
    }

    pub(crate) fn clear(&self) {
        // The bars are gone either way; a terminal that refuses is not worth an error.
        self.all.iter().for_each(|all| drop(all.clear()));
    }

    fn with_bar(&self, layer: usize, act: impl FnOnce(&ProgressBar)) {
        if self.all.is_none() {
            return;
        }
        if let Some((_, bar)) = self.bars.lock().iter().find(|(index, _)| *index == layer) {
            act(bar);
        }
    }
}

impl tidewaiter_scan::progress::ScanProgress for LayerBars {
    fn layer_started(&self, layer: usize, total: usize, size: Option<u64>) {
        let Some(all) = &self.all else { return };
        let bar = all.add(size.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("layer {}/{total}", layer + 1));
        self.bars.lock().push((layer, bar));
    }

    fn bytes(&self, layer: usize, read: u64) {
        self.with_bar(layer, |bar| bar.inc(read));
    }

    fn layer_done(&self, layer: usize) {
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
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
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
}

impl Spinner {
    pub(crate) fn new() -> Self {
        let is_seen = io::stderr().is_terminal();
        let target = if is_seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Spinner { bar }
    }

    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(printable(text));
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
        // A stderr that is closed is no reason to end the build.
        let said = || writeln!(io::stderr(), "Building {out} from {feeds} feeds, {downloaded} of them downloaded");
        drop(self.spinner.bar.suspend(said));
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
