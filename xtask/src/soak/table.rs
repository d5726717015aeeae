//! The result: one table, in the terminal and in docs/soak.md.

use super::SoakArgs;
use super::calm::CalmRollouts;
use super::policy_change::{ChangeTimes, PolicyChange};
use super::reviews::{Percentiles, ReviewTimes};
use super::usage::Usage;
use super::wave::WaveResult;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What the gate may add to the median of a calm rollout: it takes seconds, and users should not notice the gate.
const CALM: f64 = 700.0;
/// API requests for a Deployment, from its creation until it is deployed. The story `requests` counts one by one.
const REQUESTS: f64 = 11.0;
/// The wave may take so many times the apply without the gate and the scans alone.
const WALL: f64 = 1.25;
/// CPU time of the API server, compared with the wave without the gate.
const API_SERVER: f64 = 1.6;
/// Anonymous memory of the server during and after a wave, in MiB.
const ANONYMOUS: f64 = 150.0;
/// Bytes of layers that scans pull, compared with the layers, each once.
const PULLED: f64 = 1.05;
/// Bytes of layers and CPU time of the scans, compared with scans that know no layers: ten images share a base.
const CACHED_BYTES: f64 = 0.125;
const CACHED_CPU: f64 = 0.2;
/// The 99th percentile of reviews, compared with a webhook that does nothing.
const REVIEWS: f64 = 2.0;
/// Seconds until every workload shows what a changed policy decides.
const DECISIONS: f64 = 5.0;

/// Where the page has the table.
const PAGE: &str = "docs/soak.md";
const BEGIN: &str = "<!-- written by `cargo xtask soak --write` -->\n";
const END: &str = "<!-- end -->\n";

/// All figures.
#[derive(Debug, Default)]
pub(super) struct SoakTable {
    rows: Vec<SoakRow>,
}

#[derive(Debug)]
struct SoakRow {
    what: String,
    value: String,
    /// The figure that is limited, and the most it may be.
    limit: Option<(f64, f64)>,
}

impl SoakTable {
    fn add(&mut self, what: &str, value: String) {
        self.rows.push(SoakRow { what: what.to_owned(), value, limit: None });
    }

    fn add_limited(&mut self, what: &str, value: String, figure: f64, limit: f64) {
        self.rows.push(SoakRow { what: what.to_owned(), value, limit: Some((figure, limit)) });
    }

    /// A rollout on a cluster at rest.
    pub(super) fn calm(&mut self, calm: &CalmRollouts) {
        let (gated, apart) = (milliseconds(calm.gated), milliseconds(calm.apart));
        let value = format!("{gated:.0} ms, {apart:.0} ms without the gate");
        self.add_limited("one rollout at rest, median; the limit is for the difference", value, gated - apart, CALM);
    }

    /// Both waves.
    pub(super) fn waves(&mut self, plain: &WaveResult, gated: &WaveResult, scans: Duration, args: &SoakArgs) {
        let deployments = f64::from(args.deployments);
        let (of, images) = (args.deployments, args.images);
        self.add(
            &format!("wave of {of} Deployments of {images} images: applied / done without the gate"),
            times(plain),
        );
        self.add("the scans alone, one after the other", format!("{:.1} s", scans.as_secs_f64()));
        let least = plain.done.max(plain.applied).as_secs_f64() + scans.as_secs_f64();
        let ratio = gated.done.max(gated.applied).as_secs_f64() / least;
        self.add_limited(
            "applied / done with the gate; × both of these",
            format!("{}; {ratio:.2} ×", times(gated)),
            ratio,
            WALL,
        );
        self.add("available / blocked", format!("{} / {}", gated.available, gated.blocked));
        let violations = count(gated.violations.len());
        self.add_limited(
            "Pods without a gate that did not name a judged, allowed digest",
            format!("{violations:.0}"),
            violations,
            0.0,
        );
        self.add("server killed during the wave", gated.kills.to_string());
        for (name, cpu) in &gated.plane {
            let before = plain.plane.get(name).copied().unwrap_or_default();
            let ratio = cpu / before;
            let (what, value) =
                (format!("CPU of {name}"), format!("{cpu:.1} s, {before:.1} s without the gate; {ratio:.2} ×"));
            match *name {
                "kube-apiserver" => self.add_limited(&what, value, ratio, API_SERVER),
                _ => self.add(&what, value),
            }
        }
        self.add("CPU of the server / its scans", format!("{:.1} s / {:.1} s", gated.server, gated.scans));
        self.add_limited(
            "server, most anonymous memory",
            format!("{:.1} MiB", gated.anonymous),
            gated.anonymous,
            ANONYMOUS,
        );
        let each = count(gated.all_requests()) / deployments;
        self.add_limited("API requests for each Deployment", format!("{each:.1}"), each, REQUESTS);
        for (request, number) in &gated.requests {
            self.add(&format!("— {request}"), number.to_string());
        }
        let most = count(usize::try_from(gated.most_runs).unwrap_or(usize::MAX));
        self.add_limited(
            "scans; the limit is for each image",
            format!("{}, at most {most} of an image", gated.runs),
            most,
            1.0,
        );
    }

    /// What the cache of layers saves: a wave of images without it, and the one with it; `distinct` has each layer of the latter once.
    pub(super) fn layers(&mut self, uncached: &WaveResult, cached: &WaveResult, distinct: u64) {
        let (pulled, without) = (mebibytes(cached.pulled), mebibytes(uncached.pulled));
        let ratio = pulled / mebibytes(distinct);
        let value = format!("{pulled:.1} MiB; {ratio:.2} ×");
        self.add_limited("layers that were pulled; × all layers, each once", value, ratio, PULLED);
        let ratio = pulled / without;
        let value = format!("{pulled:.1} MiB, {without:.1} MiB without the cache of layers; {ratio:.2} ×");
        self.add_limited("the same", value, ratio, CACHED_BYTES);
        let ratio = cached.scans / uncached.scans;
        let value = format!("{:.1} s, {:.1} s without the cache of layers; {ratio:.2} ×", cached.scans, uncached.scans);
        self.add_limited("CPU of the scans", value, ratio, CACHED_CPU);
    }

    /// Anonymous memory at some point.
    pub(super) fn memory(&mut self, what: &str, usage: &Usage, is_limited: bool) {
        let value = format!("{:.1} MiB", usage.anonymous);
        if is_limited {
            self.add_limited(what, value, usage.anonymous, ANONYMOUS);
        } else {
            self.add(what, value);
        }
    }

    /// What was known when reviews were measured.
    pub(super) fn known(&mut self, args: &SoakArgs, gated: &WaveResult) {
        let workloads = usize::try_from(args.workloads).unwrap_or(usize::MAX) + gated.available + gated.blocked;
        let digests = u64::from(args.workloads) * u64::from(args.digests);
        self.add(
            "known workloads / approved digests, in addition to those of the wave",
            format!("{workloads} / {digests}"),
        );
    }

    /// Reviews at a fixed rate.
    pub(super) fn reviews(&mut self, times: &ReviewTimes, args: &SoakArgs) {
        let ratio = times.own.p99.as_secs_f64() / times.noop.p99.as_secs_f64();
        let value = format!("{}; no-op {}; p99 {ratio:.2} ×", percentiles(&times.own), percentiles(&times.noop));
        let what =
            format!("{} reviews of `{}`, {} in a second: p50 / p99 / max", times.own.count, times.path, args.rate);
        self.add_limited(&what, value, ratio, REVIEWS);
    }

    /// Memory around forged reviews.
    pub(super) fn forged(&mut self, count: u32, before: &Usage, after: &Usage) {
        let value = format!("{:.1} → {:.1} MiB", before.anonymous, after.anonymous);
        self.add(&format!("anonymous memory before and after {count} forged reviews"), value);
    }

    /// A changed policy.
    pub(super) fn policy_change(&mut self, change: &PolicyChange) {
        let PolicyChange { workloads, scans, .. } = change;
        let mut add = |what: &str, times: ChangeTimes| {
            let (verdicts, decisions) = (times.verdicts.as_secs_f64(), times.decisions.as_secs_f64());
            let value = format!("{verdicts:.1} s / {decisions:.1} s");
            let what = format!("{what}: until {scans} ImageScans / {workloads} workloads show it");
            self.add_limited(&what, value, decisions, DECISIONS);
        };
        add("a policy that blocks what runs", change.stricter);
        add("the policy of before", change.laxer);
        let floor = format!("{:.1} s", change.floor.as_secs_f64());
        self.add(&format!("{workloads} statuses of workloads written by a client that decides nothing"), floor);
    }

    /// Whether every figure is within its limit.
    pub(super) fn is_within(&self) -> bool {
        self.rows.iter().all(|row| row.limit.is_none_or(|(figure, limit)| figure <= limit))
    }

    /// As a table of Markdown.
    pub(super) fn text(&self, machine: &str) -> String {
        let mut out = format!("{machine}\n\n| figure | value | limit |\n|---|---|---|\n");
        for row in &self.rows {
            let limit = match row.limit {
                None => String::new(),
                Some((figure, limit)) if figure <= limit => format!("{limit}"),
                Some((_, limit)) => format!("**over {limit}**"),
            };
            let _ = writeln!(out, "| {} | {} | {limit} |", row.what, row.value);
        }
        out
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn mebibytes(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, f64::from) / 1024.0
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

fn times(wave: &WaveResult) -> String {
    format!("{:.1} s / {:.1} s", wave.applied.as_secs_f64(), wave.done.as_secs_f64())
}

fn percentiles(times: &Percentiles) -> String {
    format!("{:.2} / {:.2} / {:.1} ms", milliseconds(times.p50), milliseconds(times.p99), milliseconds(times.max))
}

/// Writes the table into the page, with the commit and the command.
pub(super) fn write(root: &Path, machine: &str, table: &SoakTable) -> Result<()> {
    let path = root.join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (Some((head, _)), Some((_, tail))) = (page.split_once(BEGIN), page.split_once(END)) else {
        bail!("{PAGE} has no place for the table");
    };
    let commit = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(root).output()?;
    let commit = String::from_utf8_lossy(&commit.stdout).trim().to_owned();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--no-build").collect();
    let text = format!(
        "{head}{BEGIN}\n`cargo xtask {}` at commit {commit}: {}\n{END}{tail}",
        words.join(" "),
        table.text(machine)
    );
    fs::write(&path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_over_its_limit_is_marked() {
        let mut table = SoakTable::default();
        table.add("a", "1".to_owned());
        table.add_limited("b", "2 ×".to_owned(), 2.0, 2.0);
        assert!(table.is_within());
        table.add_limited("c", "3 ×".to_owned(), 3.0, 2.5);
        assert!(!table.is_within());
        let text = table.text("m");
        assert!(text.contains("| a | 1 |  |\n| b | 2 × | 2 |\n| c | 3 × | **over 2.5** |\n"), "{text}");
    }
}
