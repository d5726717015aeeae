//! The result: tables for people.

use super::cases::{BenchCase, Budget, CaseKind};
use super::measure::{Sample, median, medians};
use std::collections::BTreeMap;
use std::fs;

/// One number and what it may be.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    /// The most it may be.
    budget: Option<f64>,
}

impl Figure {
    /// A number without a limit.
    pub(crate) fn new(what: &str, value: f64, unit: &'static str) -> Self {
        Figure { what: what.to_owned(), value, unit, budget: None }
    }

    /// The same, with a limit.
    pub(crate) fn at_most(self, budget: f64) -> Self {
        Figure { budget: Some(budget), ..self }
    }

    /// Whether it measures this.
    pub(crate) fn is(&self, what: &str) -> bool {
        self.what == what
    }

    /// As it is printed.
    pub(crate) fn line(&self) -> String {
        format!("{:41} {:>12.3} {:15} {}", self.what, self.value, self.unit, self.verdict())
    }

    fn verdict(&self) -> String {
        match self.budget {
            None => "-".to_owned(),
            Some(budget) if self.value <= budget => format!("ok (at most {budget})"),
            Some(budget) => format!("OVER (at most {budget})"),
        }
    }
}

/// All results.
#[derive(Debug)]
pub(crate) struct BenchResult {
    /// Where it was measured, as [`machine`] says it.
    pub(crate) machine: String,
    /// What was run.
    pub(crate) cases: Vec<BenchCase>,
    /// The figures of each case, one for each round.
    pub(crate) samples: Vec<Vec<Sample>>,
    /// Other figures.
    pub(crate) figures: Vec<Figure>,
    /// What could not be compared.
    pub(crate) remarks: Vec<String>,
}

/// This machine, now: with a load above 0.5 or so, other work disturbs the figures.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (info, load) = (read("/proc/cpuinfo"), read("/proc/loadavg"));
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {model}, load {} before the run", load.split_whitespace().next().unwrap_or_default())
}

impl BenchResult {
    /// Prints the tables.
    pub(crate) fn print(&self) {
        let rounds = self.samples.first().map_or(0, Vec::len);
        println!("{}", self.machine);
        println!("medians of {rounds} interleaved rounds; ×: times the floor\n");
        println!(
            "{:41} {:>9} {:>9} {:>6} {:>6} {:>8} {:>9} {:>9}  BUDGET",
            "ROW", "WALL ms", "CPU ms", "×WALL", "×CPU", "ANON MiB", "READ MiB", "WRITE MiB"
        );
        let medians: Vec<Sample> = self.samples.iter().map(|samples| medians(samples)).collect();
        let floors = floors(&self.cases, &medians);
        for (case, sample) in self.cases.iter().zip(&medians) {
            println!("{}", row(case, sample, case.floor.and_then(|name| floors.get(name).copied())));
        }
        self.print_comparisons();
        println!();
        self.figures.iter().for_each(|figure| println!("{}", figure.line()));
        self.remarks.iter().for_each(|remark| println!("{remark}"));
    }

    /// Compares each case with the one of the other build: round by round, since what disturbs a round disturbs both.
    fn print_comparisons(&self) {
        let all = || self.cases.iter().zip(&self.samples);
        let other = |name: &str| all().find(|(case, _)| case.pair.as_deref() == Some(name));
        let mut pairs = all().filter_map(|(case, this)| Some((case, this, other(&case.name)?.1))).peekable();
        if pairs.peek().is_some() {
            println!("\nthis build as a multiple of the other one: median of the rounds' ratios\n");
            println!("{:41} {:>6} {:>6} {:>9}", "ROW", "×WALL", "×CPU", "×ANON");
        }
        for (case, this, other) in pairs {
            let ratio = |figure: fn(&Sample) -> f64| median(this.iter().zip(other).map(|(a, b)| figure(a) / figure(b)));
            let (wall, cpu, anon) = (ratio(|s| s.wall_ms), ratio(|s| s.cpu_ms), ratio(|s| s.rss_anon));
            println!("{:41} {wall:>6.3} {cpu:>6.3} {anon:>9.3}", case.name);
        }
    }
}

/// Wall and CPU time of the better of the two ways, in milliseconds.
type FloorTimes = (f64, f64);

/// Floors by name, from their rows.
fn floors(cases: &[BenchCase], medians: &[Sample]) -> BTreeMap<&'static str, FloorTimes> {
    let mut all: BTreeMap<&'static str, FloorTimes> = BTreeMap::new();
    for (case, sample) in cases.iter().zip(medians).filter(|(case, _)| case.kind == CaseKind::Floor) {
        let Some(name) = case.floor else { continue };
        let (wall, cpu) = all.entry(name).or_insert((f64::INFINITY, f64::INFINITY));
        *wall = wall.min(sample.wall_ms);
        *cpu = cpu.min(sample.cpu_ms);
    }
    all
}

/// The line of a case.
fn row(case: &BenchCase, sample: &Sample, floor: Option<FloorTimes>) -> String {
    let times = |value: f64, floor: Option<f64>| floor.map_or("-".to_owned(), |f| format!("{:.2}", value / f));
    format!(
        "{:41} {:>9.1} {:>9.1} {:>6} {:>6} {:>8.1} {:>9.1} {:>9.1}  {}",
        case.name,
        sample.wall_ms,
        sample.cpu_ms,
        times(sample.wall_ms, floor.map(|floor| floor.0)),
        times(sample.cpu_ms, floor.map(|floor| floor.1)),
        sample.rss_anon,
        sample.read,
        sample.written,
        verdict(case, sample, floor),
    )
}

/// What is over the budget of a case, with the limit.
fn verdict(case: &BenchCase, sample: &Sample, floor: Option<FloorTimes>) -> String {
    let (wall, cpu) = match (case.budget, floor) {
        (Budget::Floor(times, plus), Some((wall, cpu))) => (Some(wall * times + plus), Some(cpu * times + plus)),
        (Budget::Ms(ms), _) => (Some(ms), Some(ms)),
        _ => (None, None),
    };
    let limits = [
        ("wall", sample.wall_ms, wall, "ms"),
        ("CPU", sample.cpu_ms, cpu, "ms"),
        ("RssAnon", sample.rss_anon, case.max_anon, "MiB"),
    ];
    let judged = limits.into_iter().filter_map(|(what, value, limit, unit)| Some((what, value, limit?, unit)));
    let over = judged.clone().filter(|(_, value, limit, _)| value > limit);
    let over: Vec<String> = over.map(|(what, _, limit, unit)| format!("{what} over {limit:.0} {unit}")).collect();
    match (judged.count(), over.is_empty()) {
        (0, _) => "-".to_owned(),
        (_, true) => "ok".to_owned(),
        _ => format!("OVER: {}", over.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_met_or_not() {
        let check = |value: f64, expected: &str| {
            assert_eq!(Figure::new("x", value, "ms").at_most(2.0).verdict(), expected);
        };
        check(2.0, "ok (at most 2)");
        check(2.1, "OVER (at most 2)");
        assert_eq!(Figure::new("x", 1.0, "ms").verdict(), "-");
    }
}
