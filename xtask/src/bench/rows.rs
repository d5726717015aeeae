//! What is run, and what each run may cost.

use super::floor::Way;
use super::inputs::Inputs;
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
    /// Printed, not judged.
    None,
    /// Wall and CPU time: so many times the floor's, and so many milliseconds more.
    Floor(f64, f64),
    /// Wall and CPU time in milliseconds.
    Ms(f64),
}

/// What a scan may keep in memory of its own, in MiB.
const MAX_ANON: f64 = 96.0;
/// The same for a layer of a million entries.
const MAX_ANON_ENTRIES: f64 = 256.0;

/// What earlier scans left.
#[derive(Debug, Clone, PartialEq)]
enum Cache {
    /// Nothing.
    Empty,
    /// This scan, and others.
    Filled,
    /// A scan of another image: a copy for each run.
    CopyOf(PathBuf),
}

/// What kind of run it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One way of a floor.
    Floor,
    /// What may be compared with a floor.
    Work,
}

/// One thing that is run in every round.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Name of its row.
    pub(crate) name: String,
    /// Floor or work.
    pub(crate) kind: Kind,
    /// Name of the floor it is compared with; of a floor, its own.
    pub(crate) floor: Option<&'static str>,
    /// What it may cost.
    pub(crate) budget: Budget,
    /// What it may keep in memory of its own (`RssAnon`), in MiB.
    pub(crate) max_anon: Option<f64>,
    /// The exit code that says that it did its work; none: any.
    pub(crate) code: Option<i32>,
    program: PathBuf,
    args: Vec<OsString>,
    cache: Cache,
    home: PathBuf,
    env: Vec<(&'static str, &'static str)>,
}

/// A floor's name, its layout, and whether only the uppermost layer counts.
const FLOORS: [(&str, &str, bool); 9] = [
    ("debian-gzip", "debian-gzip", false),
    ("debian-zstd", "debian-zstd", false),
    ("debian-plain", "debian-plain", false),
    ("changed-layer", "debian-changed", true),
    ("many", "many", false),
    ("node", "node", false),
    ("java", "java", false),
    ("single", "single", false),
    ("entries", "entries", false),
];

/// What stays the same in a run.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    /// The plugin, as released.
    pub(crate) scanner: &'a Path,
    /// This program, as released.
    pub(crate) helper: &'a Path,
    /// The database.
    pub(crate) db: &'a Path,
    /// The images.
    pub(crate) inputs: &'a Inputs,
    /// What is made once.
    pub(crate) bench: &'a Path,
    /// A folder for caches.
    pub(crate) scratch: &'a Path,
}

impl Setting<'_> {
    /// Every floor, both ways.
    pub(crate) fn floors(&self) -> Vec<Case> {
        let ways = Way::value_variants();
        FLOORS.iter().flat_map(|floor| ways.iter().map(move |way| self.floor(floor, *way))).collect()
    }

    fn floor(&self, (name, layout, top): &(&'static str, &str, bool), way: Way) -> Case {
        let way = way.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
        let mut args: Vec<OsString> = vec!["bench-floor".into(), self.inputs.layout(layout).into()];
        args.extend(["--way".into(), way.clone().into()]);
        args.extend(top.then(|| "--top".into()));
        let case = self.case(&format!("floor {name}, {way}"), self.helper, args);
        Case { kind: Kind::Floor, floor: Some(name), ..case }
    }

    /// Every scan.
    pub(crate) fn scans(&self) -> Result<Vec<Case>> {
        let oci = |layout: &str| format!("oci:{}", self.inputs.layout(layout).display());
        let cold = Budget::Floor(1.3, 10.0);
        let served = format!("registry:{}", serve::start(&self.inputs.layout("debian-gzip"))?);
        let filled = self.scratch.join("filled");
        let archive = format!("docker-archive:{}", self.inputs.archive().display());
        Ok(vec![
            self.scan("cold, Debian 1.1 GB gzip", &oci("debian-gzip"), "debian-gzip", cold),
            self.scan("cold, the same as zstd", &oci("debian-zstd"), "debian-zstd", cold),
            self.scan("cold, the same uncompressed", &oci("debian-plain"), "debian-plain", cold),
            self.scan("cold, the same as docker archive", &archive, "debian-plain", cold),
            self.scan("cold, the same from a registry", &served, "debian-gzip", Budget::Floor(1.4, 20.0)),
            self.scan("cold, 60 layers", &oci("many"), "many", cold),
            self.scan("cold, node, 57,000 files", &oci("node"), "node", cold),
            self.scan("cold, Java, 80 jars", &oci("java"), "java", cold),
            self.scan("cold, one layer of 1.5 GB", &oci("single"), "single", cold),
            Case {
                max_anon: Some(MAX_ANON_ENTRIES),
                ..self.scan("cold, one layer, 1,000,000 entries", &oci("entries"), "entries", Budget::None)
            },
            Case {
                cache: Cache::CopyOf(filled),
                ..self.scan("one changed layer", &oci("debian-changed"), "changed-layer", Budget::Floor(1.3, 20.0))
            },
            Case {
                cache: Cache::Filled,
                floor: None,
                ..self.scan("warm, Debian, 500 packages", &oci("debian-gzip"), "", Budget::Ms(20.0))
            },
        ])
    }

    /// What is no scan.
    pub(crate) fn others(&self) -> Vec<Case> {
        let help = self.case("kubectl-scan --help", self.scanner, vec!["--help".into()]);
        vec![Case { budget: Budget::Ms(5.0), ..help }]
    }

    fn scan(&self, name: &str, image: &str, floor: &'static str, budget: Budget) -> Case {
        let mut args: Vec<OsString> = ["image", image, "--local", "-o", "json", "--db"].map(OsString::from).to_vec();
        args.push(self.db.into());
        Case { budget, floor: Some(floor), max_anon: Some(MAX_ANON), ..self.case(name, self.scanner, args) }
    }

    /// Another program's run, printed and not judged.
    pub(crate) fn peer(
        &self,
        name: &str,
        program: &Path,
        args: Vec<OsString>,
        env: Vec<(&'static str, &'static str)>,
    ) -> Case {
        // Its own database lies in the user's cache.
        Case { env, code: None, cache: Cache::Filled, floor: Some("debian-plain"), ..self.case(name, program, args) }
    }

    fn case(&self, name: &str, program: &Path, args: Vec<OsString>) -> Case {
        Case {
            name: name.to_owned(),
            kind: Kind::Work,
            floor: None,
            budget: Budget::None,
            max_anon: None,
            code: Some(0),
            program: program.to_owned(),
            args,
            cache: Cache::Empty,
            home: self.scratch.to_owned(),
            env: Vec::new(),
        }
    }
}

/// Puts what is compared side by side: each floor, then what stands against it; then the rest.
pub(crate) fn grouped(mut cases: Vec<Case>) -> Vec<Case> {
    let place = |case: &Case| FLOORS.iter().position(|(name, ..)| case.floor == Some(*name)).unwrap_or(FLOORS.len());
    cases.sort_by_key(|case| (place(case), case.kind == Kind::Work));
    cases
}

impl Case {
    /// Runs it once.
    pub(crate) fn run(&self) -> Result<Sample> {
        measure::run(&mut self.command()?)
    }

    /// The command, with its cache as it must be.
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
            if let Cache::CopyOf(other) = &self.cache {
                copy(other, &fresh)?;
            }
            let cache = if self.cache == Cache::Filled { filled } else { fresh };
            command.env("XDG_CACHE_HOME", cache).env("DOCKER_CONFIG", &self.home).env("NO_PROXY", "127.0.0.1");
        }
        Ok(command)
    }

    /// Runs a scan once, unmeasured, and tells what it found: a scan that sees nothing is fast.
    pub(crate) fn check(&self) -> Result<(usize, usize, i32)> {
        let out = self.command()?.output().with_context(|| self.program.display().to_string())?;
        let report: serde_json::Value = serde_json::from_slice(&out.stdout)
            .with_context(|| format!("{}: no report: {}", self.name, String::from_utf8_lossy(&out.stderr)))?;
        let count = |name: &str| report[name].as_array().map_or(0, Vec::len);
        if count("packages") == 0 {
            bail!("{}: it found no packages", self.name);
        }
        Ok((count("packages"), count("findings"), out.status.code().unwrap_or(-1)))
    }

    /// Leaves what the warm runs find.
    pub(crate) fn fill_cache(&self) -> Result<()> {
        Case { cache: Cache::Filled, ..self.clone() }.check().map(|_| ())
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
