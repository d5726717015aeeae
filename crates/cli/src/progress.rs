//! Progress on a terminal; nothing when stderr is piped.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// One bar per layer, live.
#[derive(Debug)]
pub(crate) struct Layers {
    /// None where nobody looks: bars that are drawn nowhere cost as much as others.
    all: Option<MultiProgress>,
    bars: Mutex<Vec<(usize, ProgressBar)>>,
}

impl Layers {
    pub(crate) fn new() -> Self {
        let seen = std::io::stderr().is_terminal();
        let all = seen.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Layers { all, bars: Mutex::new(Vec::new()) }
    }

    pub(crate) fn clear(&self) {
        // The bars are gone either way; a terminal that refuses is not worth an error.
        self.all.iter().for_each(|all| drop(all.clear()));
    }

    fn with_bar(&self, layer: usize, act: impl FnOnce(&ProgressBar)) {
        if self.all.is_none() {
            return;
        }
        let bars = self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, bar)) = bars.iter().find(|(index, _)| *index == layer) {
            act(bar);
        }
    }
}

impl tidewaiter_scan::progress::ScanProgress for Layers {
    fn layer_started(&self, layer: usize, total: usize, size: Option<u64>) {
        let Some(all) = &self.all else { return };
        let bar = all.add(size.map_or_else(ProgressBar::no_length, ProgressBar::new));
        let style = ProgressStyle::with_template("{prefix} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(format!("layer {}/{total}", layer + 1));
        self.bars.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((layer, bar));
    }

    fn bytes(&self, layer: usize, read: u64) {
        self.with_bar(layer, |bar| bar.inc(read));
    }

    fn layer_done(&self, layer: usize) {
        self.with_bar(layer, ProgressBar::finish);
    }
}

/// One line that says what is waited for.
#[derive(Debug)]
pub(crate) struct Waiting {
    bar: ProgressBar,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(std::time::Duration::from_millis(120));
        Waiting { bar }
    }

    pub(crate) fn say(&self, text: &str) {
        self.bar.set_message(crate::render::printable(text));
    }

    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
