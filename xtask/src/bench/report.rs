//! The result: a table for people, JSON for programs.

use super::cases::{BenchCase, Budget, CaseKind};
use super::measure::{Sample, median};
use serde::Serialize;
use std::collections::BTreeMap;

/// One number and what it may be.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// What it counts.
    pub(crate) what: String,
    /// The number.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The most it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<f64>,
}

impl Figure {
    /// A number that is not judged.
    pub(crate) fn new(what: &str, value: f64, unit: &'static str) -> Self {
        Figure { what: what.to_owned(), value, unit, budget: None }
    }

    /// The same, judged.
    pub(crate) fn at_most(self, budget: f64) -> Self {
        Figure { budget: Some(budget), ..self }
    }

    /// As it is printed.
    pub(crate) fn line(&self) -> String {
        format!("{:41} {:>12.3} {:15} {}", self.what, self.value, self.unit, self.verdict())
    }

    fn holds(&self) -> bool {
        self.budget.is_none_or(|budget| self.value <= budget)
    }

    fn verdict(&self) -> String {
        match self.budget {
            None => "-".to_owned(),
            Some(budget) if self.holds() => format!("ok (at most {budget})"),
            Some(budget) => format!("OVER (at most {budget})"),
        }
    }
}

/// The medians of a case, compared with its floor.
#[derive(Debug, Serialize)]
pub(crate) struct BenchRow {
    name: String,
    medians: Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<FloorTimes>,
    /// What the budget limits.
    checks: Vec<Figure>,
    samples: Vec<Sample>,
}

/// The times of the better of the two ways.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct FloorTimes {
    wall_ms: f64,
    cpu_ms: f64,
}

/// The rows of all cases.
pub(crate) fn rows(cases: &[BenchCase], medians: Vec<Sample>, samples: Vec<Vec<Sample>>) -> Vec<BenchRow> {
    let best = floors(cases, &medians);
    let rows = cases.iter().zip(medians).zip(samples).map(|((case, median), samples)| {
        BenchRow::new(case, median, samples, case.floor.and_then(|name| best.get(name).copied()))
    });
    rows.collect()
}

/// Floors by name, from their rows.
fn floors(cases: &[BenchCase], medians: &[Sample]) -> BTreeMap<&'static str, FloorTimes> {
    let mut all: BTreeMap<&'static str, FloorTimes> = BTreeMap::new();
    for (case, sample) in cases.iter().zip(medians).filter(|(case, _)| case.kind == CaseKind::Floor) {
        let Some(name) = case.floor else { continue };
        let best = all.entry(name).or_insert(FloorTimes { wall_ms: f64::INFINITY, cpu_ms: f64::INFINITY });
        best.wall_ms = best.wall_ms.min(sample.wall_ms);
        best.cpu_ms = best.cpu_ms.min(sample.cpu_ms);
    }
    all
}

impl BenchRow {
    /// Judges the medians of a case.
    fn new(case: &BenchCase, medians: Sample, samples: Vec<Sample>, floor: Option<FloorTimes>) -> Self {
        let limits = match (case.budget, floor) {
            (Budget::Floor(times, plus), Some(floor)) => {
                Some((floor.wall_ms * times + plus, floor.cpu_ms * times + plus))
            }
            (Budget::Ms(ms), _) => Some((ms, ms)),
            _ => None,
        };
        let mut checks = Vec::new();
        if let Some((wall, cpu)) = limits {
            checks.push(Figure::new("wall", medians.wall_ms, "ms").at_most(round(wall)));
            checks.push(Figure::new("CPU", medians.cpu_ms, "ms").at_most(round(cpu)));
        }
        if let Some(most) = case.max_anon {
            checks.push(Figure::new("RssAnon", mib(medians.rss_anon), "MiB").at_most(most));
        }
        BenchRow { name: case.name.clone(), medians, floor, checks, samples }
    }

    fn line(&self) -> String {
        let sample = &self.medians;
        let times = |value: f64, floor: Option<f64>| floor.map_or("-".to_owned(), |f| format!("{:.2}", value / f));
        let over: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.holds())
            .map(|c| format!("{} over {:.0} {}", c.what, c.budget.unwrap_or_default(), c.unit))
            .collect();
        let verdict = match (self.checks.is_empty(), over.is_empty()) {
            (true, _) => "-".to_owned(),
            (_, true) => "ok".to_owned(),
            _ => format!("OVER: {}", over.join(", ")),
        };
        format!(
            "{:41} {:>9.1} {:>9.1} {:>6} {:>6} {:>8.1} {:>9.1} {:>9.1}  {verdict}",
            self.name,
            sample.wall_ms,
            sample.cpu_ms,
            times(sample.wall_ms, self.floor.map(|f| f.wall_ms)),
            times(sample.cpu_ms, self.floor.map(|f| f.cpu_ms)),
            mib(sample.rss_anon),
            mib(sample.read),
            mib(sample.written),
        )
    }
}

/// All results.
#[derive(Debug, Serialize)]
pub(crate) struct BenchResult {
    /// Where it was measured.
    pub(crate) machine: MachineInfo,
    /// Rounds of the interleaved run.
    pub(crate) rounds: usize,
    /// One for each case.
    pub(crate) rows: Vec<BenchRow>,
    /// This build compared with the other one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) comparisons: Vec<Comparison>,
    /// Other figures.
    pub(crate) figures: Vec<Figure>,
    /// What could not be compared.
    pub(crate) remarks: Vec<String>,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct MachineInfo {
    cores: usize,
    model: String,
    /// The load average of the last minute before the run: above 0.5 or so, other work disturbs the figures.
    load: String,
}

impl MachineInfo {
    /// This machine, now.
    pub(crate) fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        MachineInfo {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            model: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            load: read("/proc/loadavg").split_whitespace().next().unwrap_or_default().to_owned(),
        }
    }
}

impl MachineInfo {
    /// As it is printed.
    pub(crate) fn line(&self) -> String {
        format!("{} cores, {}, load {} before the run", self.cores, self.model, self.load)
    }
}

impl BenchResult {
    /// Prints the tables.
    pub(crate) fn print(&self) {
        println!("{}", self.machine.line());
        println!("medians of {} interleaved rounds; ×: times the floor\n", self.rounds);
        println!(
            "{:41} {:>9} {:>9} {:>6} {:>6} {:>8} {:>9} {:>9}  BUDGET",
            "ROW", "WALL ms", "CPU ms", "×WALL", "×CPU", "ANON MiB", "READ MiB", "WRITE MiB"
        );
        self.rows.iter().for_each(|row| println!("{}", row.line()));
        self.print_comparisons();
        println!();
        self.figures.iter().for_each(|figure| println!("{}", figure.line()));
        self.remarks.iter().for_each(|remark| println!("{remark}"));
    }
}

impl BenchResult {
    fn print_comparisons(&self) {
        if self.comparisons.is_empty() {
            return;
        }
        println!("\nthis build as a multiple of the other one: median of the rounds' ratios\n");
        println!("{:41} {:>6} {:>6} {:>9}", "ROW", "×WALL", "×CPU", "×ANON");
        for row in &self.comparisons {
            println!("{:41} {:>6.3} {:>6.3} {:>9.3}", row.name, row.wall, row.cpu, row.anon);
        }
    }
}

/// This build as a multiple of the other one.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    name: String,
    wall: f64,
    cpu: f64,
    anon: f64,
}

impl Comparison {
    /// Compares each case with the one of the other build: round by round, since what disturbs a round disturbs both.
    pub(crate) fn of_pairs(cases: &[BenchCase], samples: &[Vec<Sample>]) -> Vec<Comparison> {
        let with_samples = || cases.iter().zip(samples);
        let other = |name: &str| with_samples().find(|(case, _)| case.pair.as_deref() == Some(name));
        let pairs = with_samples().filter_map(|(case, this)| Some((case, this, other(&case.name)?.1)));
        pairs.map(|(case, this, other)| Comparison::new(&case.name, this, other)).collect()
    }

    fn new(name: &str, this: &[Sample], other: &[Sample]) -> Comparison {
        let ratio = |figure: fn(&Sample) -> f64| median(this.iter().zip(other).map(|(a, b)| figure(a) / figure(b)));
        Comparison {
            name: name.to_owned(),
            wall: ratio(|sample| sample.wall_ms),
            cpu: ratio(|sample| sample.cpu_ms),
            anon: ratio(|sample| mib(sample.rss_anon)),
        }
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Mebibytes of bytes.
pub(crate) fn mib(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, |kib| f64::from(kib) / 1024.0)
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
        assert!((mib(3 << 20) - 3.0).abs() < f64::EPSILON);
    }
}
