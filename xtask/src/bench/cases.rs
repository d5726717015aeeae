//! The cases: what is run, and what each run may cost.

use super::floor::Way;
use super::images::BenchImages;
use super::measure::{self, Sample};
use super::serve;
use anyhow::{Context, Result, bail};
use clap::ValueEnum as _;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a run may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Budget {
    /// Printed, without a limit.
    None,
    /// Wall and CPU time: a factor of the floor's, plus milliseconds for starting a process and for reading small files.
    Floor(f64, f64),
    /// Wall and CPU time in milliseconds.
    Ms(f64),
}

/// Most memory of a scan (`RssAnon`), in MiB: what a Pod with a small limit has.
const MAX_ANON: f64 = 96.0;
/// The same for a layer of a million entries, whose paths are in memory.
const MAX_ANON_ENTRIES: f64 = 256.0;

/// What the cache has before a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CacheState {
    /// Nothing.
    Empty,
    /// This scan, and others.
    Filled,
    /// A scan of the image with the same lower layers: a copy for each run.
    LowerLayers,
}

/// What a case is compared as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaseKind {
    /// One way of a floor.
    Floor,
    /// A scan or another command, which may be compared with a floor.
    Work,
}

/// One thing that is run in every round.
#[derive(Debug, Clone)]
pub(crate) struct BenchCase {
    /// Name of its row.
    pub(crate) name: String,
    /// Floor or work.
    pub(crate) kind: CaseKind,
    /// Name of the floor it is compared with; of a floor, its own.
    pub(crate) floor: Option<&'static str>,
    /// What it may cost.
    pub(crate) budget: Budget,
    /// Most memory (`RssAnon`), in MiB.
    pub(crate) max_anon: Option<f64>,
    /// The expected exit code; `None`: any.
    pub(crate) code: Option<i32>,
    /// The name of the same case of this build, if this is one of the other build.
    pub(crate) pair: Option<String>,
    program: PathBuf,
    args: Vec<OsString>,
    cache: CacheState,
    home: PathBuf,
    env: Vec<(&'static str, &'static str)>,
}

/// The layouts that have a floor, in the order of the table.
const FLOORS: [&str; 9] =
    ["debian-gzip", "debian-zstd", "debian-plain", CHANGED, "many", "node", "java", "single", "entries"];
/// The layout of which only the uppermost layer counts: the others are in the cache.
const CHANGED: &str = "debian-changed";

/// What all cases share.
#[derive(Debug)]
pub(crate) struct BenchSetting<'a> {
    /// The plugin, as released.
    pub(crate) scanner: &'a Path,
    /// Another build of the plugin, and the database for it.
    pub(crate) against: Option<(&'a Path, &'a Path)>,
    /// This program, as released.
    pub(crate) helper: &'a Path,
    /// The database.
    pub(crate) db: &'a Path,
    /// The images.
    pub(crate) images: &'a BenchImages,
    /// A folder for caches.
    pub(crate) scratch: &'a Path,
}

impl BenchSetting<'_> {
    /// Every floor, both ways.
    pub(crate) fn floors(&self) -> Vec<BenchCase> {
        let ways = Way::value_variants();
        FLOORS.iter().flat_map(|floor| ways.iter().map(|way| self.floor(floor, *way))).collect()
    }

    fn floor(&self, layout: &'static str, way: Way) -> BenchCase {
        let way = way.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        let mut args: Vec<OsString> = vec!["bench-floor".into(), self.images.layout(layout).into()];
        args.extend(["--way".into(), way.clone().into()]);
        args.extend((layout == CHANGED).then(|| "--top".into()));
        let case = self.case(&format!("floor {layout}, {way}"), self.helper, args);
        BenchCase { kind: CaseKind::Floor, floor: Some(layout), ..case }
    }

    /// Every scan.
    pub(crate) fn scans(&self) -> Result<Vec<BenchCase>> {
        let cold = Budget::Floor(1.3, 10.0);
        let served = format!("registry:{}", serve::start(&self.images.layout("debian-gzip"))?);
        let archive = format!("docker-archive:{}", self.images.archive().display());
        let entries = self.scan("cold, one layer, 1,000,000 entries", "entries", Budget::None);
        let changed = self.scan("one changed layer", CHANGED, Budget::Floor(1.3, 20.0));
        let warm = self.scan("warm, Debian, 500 packages", "debian-gzip", Budget::Ms(20.0));
        Ok(vec![
            self.scan("cold, Debian 1.1 GB gzip", "debian-gzip", cold),
            self.scan("cold, the same as zstd", "debian-zstd", cold),
            self.scan("cold, the same uncompressed", "debian-plain", cold),
            self.scan_of("cold, the same as docker archive", &archive, "debian-plain", cold),
            self.scan_of("cold, the same from a registry", &served, "debian-gzip", Budget::Floor(1.4, 20.0)),
            self.scan("cold, 60 layers", "many", cold),
            self.scan("cold, node, 57,000 files", "node", cold),
            self.scan("cold, Java, 80 jars", "java", cold),
            self.scan("cold, one layer of 1.5 GB", "single", cold),
            BenchCase { max_anon: Some(MAX_ANON_ENTRIES), ..entries },
            BenchCase { cache: CacheState::LowerLayers, ..changed },
            BenchCase { cache: CacheState::Filled, floor: None, ..warm },
        ])
    }

    /// Every other command.
    pub(crate) fn others(&self) -> Vec<BenchCase> {
        let help = self.case("kubectl-scan --help", self.scanner, vec!["--help".into()]);
        vec![BenchCase { budget: Budget::Ms(5.0), ..help }]
    }

    /// How many builds of the plugin are run.
    pub(crate) fn programs(&self) -> usize {
        1 + usize::from(self.against.is_some())
    }

    /// Each case, followed by the same one of the other build, if there is one.
    pub(crate) fn with_against(&self, cases: Vec<BenchCase>) -> Vec<BenchCase> {
        let Some((program, db)) = self.against else { return cases };
        let home = self.scratch.join("against");
        let pairs = cases.into_iter().map(|case| [case.of_build(program, (self.db, db), &home), case]);
        pairs.flat_map(|[other, case]| [case, other]).collect()
    }

    /// A scan of a layout, compared with the layout's floor.
    fn scan(&self, name: &str, layout: &'static str, budget: Budget) -> BenchCase {
        self.scan_of(name, &format!("oci:{}", self.images.layout(layout).display()), layout, budget)
    }

    fn scan_of(&self, name: &str, image: &str, floor: &'static str, budget: Budget) -> BenchCase {
        let mut args: Vec<OsString> = ["image", image, "--local", "-o", "json", "--db"].map(OsString::from).to_vec();
        args.push(self.db.into());
        BenchCase { budget, floor: Some(floor), max_anon: Some(MAX_ANON), ..self.case(name, self.scanner, args) }
    }

    /// Another scanner's run, printed, without a limit.
    pub(crate) fn peer(
        &self,
        name: &str,
        program: &Path,
        args: Vec<OsString>,
        env: Vec<(&'static str, &'static str)>,
    ) -> BenchCase {
        // Its own database is in the user's cache.
        BenchCase {
            env,
            code: None,
            cache: CacheState::Filled,
            floor: Some("debian-plain"),
            ..self.case(name, program, args)
        }
    }

    fn case(&self, name: &str, program: &Path, args: Vec<OsString>) -> BenchCase {
        BenchCase {
            name: name.to_owned(),
            kind: CaseKind::Work,
            floor: None,
            budget: Budget::None,
            max_anon: None,
            code: Some(0),
            pair: None,
            program: program.to_owned(),
            args,
            cache: CacheState::Empty,
            home: self.scratch.to_owned(),
            env: Vec::new(),
        }
    }
}

/// Sorts the cases: each floor, then what is compared with it; then the rest.
pub(crate) fn grouped(mut cases: Vec<BenchCase>) -> Vec<BenchCase> {
    let place = |case: &BenchCase| FLOORS.iter().position(|name| case.floor == Some(*name)).unwrap_or(FLOORS.len());
    cases.sort_by_key(|case| (place(case), case.kind == CaseKind::Work));
    cases
}

impl BenchCase {
    /// The same case of another build, with `databases.1` in the place of `databases.0`: printed, and checked by the
    /// comparison alone. It has a home of its own, since builds may differ in what they cache.
    fn of_build(&self, program: &Path, databases: (&Path, &Path), home: &Path) -> BenchCase {
        let argument = |arg: &OsString| if arg == databases.0 { databases.1.into() } else { arg.clone() };
        BenchCase {
            name: format!("{} (other)", self.name),
            budget: Budget::None,
            max_anon: None,
            pair: Some(self.name.clone()),
            program: program.to_owned(),
            args: self.args.iter().map(argument).collect(),
            home: home.to_owned(),
            ..self.clone()
        }
    }

    /// Runs it once.
    pub(crate) fn run(&self) -> Result<Sample> {
        measure::run(&mut self.command()?)
    }

    /// The command, with its cache prepared.
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().copied());
        if self.env.is_empty() {
            let filled = self.home.join("filled");
            let fresh = self.home.join("fresh");
            if fresh.exists() {
                fs::remove_dir_all(&fresh).with_context(|| fresh.display().to_string())?;
            }
            fs::create_dir_all(&fresh)?;
            if self.cache == CacheState::LowerLayers {
                copy(&filled, &fresh)?;
            }
            let cache = if self.cache == CacheState::Filled { filled } else { fresh };
            command.env("XDG_CACHE_HOME", cache).env("DOCKER_CONFIG", &self.home).env("NO_PROXY", "127.0.0.1");
        }
        Ok(command)
    }

    /// Runs a scan once, unmeasured; returns the number of packages and findings and the exit code. A scan that finds
    /// nothing is fast, and worthless.
    pub(crate) fn check(&self) -> Result<(usize, usize, i32)> {
        let out = self.command()?.output().with_context(|| self.program.display().to_string())?;
        let report: serde_json::Value = serde_json::from_slice(&out.stdout)
            .with_context(|| format!("{}: no report: {}", self.name, String::from_utf8_lossy(&out.stderr)))?;
        let count = |name: &str| report[name].as_array().map_or(0, Vec::len);
        if count("packages") == 0 {
            bail!("{}: no packages found", self.name);
        }
        Ok((count("packages"), count("findings"), out.status.code().unwrap_or(-1)))
    }

    /// Fills the cache for the warm runs.
    pub(crate) fn fill_cache(&self) -> Result<()> {
        BenchCase { cache: CacheState::Filled, ..self.clone() }.check().map(|_| ())
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&there)?;
            copy(&entry.path(), &there)?;
        } else {
            fs::copy(entry.path(), there)?;
        }
    }
    Ok(())
}
