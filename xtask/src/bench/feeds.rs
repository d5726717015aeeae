//! Feeds at real size: made in code once, and what a build of them costs.
//!
//! ```text
//! content → target/bench/feeds-vN-SCALE → db build: full, unchanged, one feed changed; the same by another build
//! ```

mod content;

use super::database;
use super::measure::{self, ProcessLimits, Sample};
use super::report::{self, Figure};
use crate::dice::Dice;
use anyhow::{Context, Result, bail};
use flate2::write::GzEncoder;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tidewaiter_db::Database;
use tidewaiter_db::meta::Meta;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Raised with every change of the feeds, so that older ones are not measured.
const VERSION: u32 = 1;

/// Records at full size.
const UBUNTU: usize = 60_000;
const NPM: usize = 258_000;
const NVD: usize = 340_000;
const VEX: usize = 300_000;
const SUSE: usize = 16_000;
const DEBIAN: usize = 4_000;
/// NVD is one file for each of so many years.
const YEARS: usize = 11;

/// Memory of the other build: enough for what was estimated of it, and less than the machine has.
const OTHER_BYTES: u64 = 14 << 30;
/// Its CPU time. This build has a fifth of it.
const OTHER_SECONDS: u64 = 1800;

/// The feeds on disk.
struct BenchFeeds {
    dir: PathBuf,
}

/// One build.
#[derive(Debug)]
struct Build {
    name: String,
    sample: Sample,
    /// The last line of its messages, where it failed.
    said: String,
}

/// Makes the feeds where they are missing, builds databases of them, and prints what that costs. `scale` is the share of the
/// full size.
pub(super) fn run(bench: &Path, scanner: &Path, against: Option<&Path>, scale: f64) -> Result<()> {
    if !(scale > 0.0 && scale <= 1.0) {
        bail!("--feeds-at-size {scale}: give a share of the full size, above 0 and at most 1");
    }
    let feeds = BenchFeeds::ready(bench, scale)?;
    let machine = report::machine();
    let run = BuildFolder(bench.join("feeds-run"));
    run.clear()?;
    let mut builds = vec![run.succeeded("build: all feeds read", scanner, &feeds.toml())?];
    let (figures, meta) = sizes(&run.0.join("feeds.db"))?;
    builds.push(run.succeeded("build: no feed changed", scanner, &feeds.toml())?);
    builds.push(run.succeeded("build: Debian's feed changed", scanner, &feeds.changed())?);
    if let Some(other) = against {
        run.clear()?;
        let limits = ProcessLimits { memory: Some(OTHER_BYTES), cpu_seconds: Some(OTHER_SECONDS) };
        builds.push(run.build("the other build", other, &feeds.toml(), limits)?);
    }
    let _ = fs::remove_dir_all(&run.0);
    let figures = [budgets(&builds, scale), figures].concat();
    print(&machine, &feeds, &builds, &figures, &meta)?;
    Ok(())
}

/// The folder of builds: each finds the parts of the one before.
struct BuildFolder(PathBuf);

impl BuildFolder {
    fn clear(&self) -> Result<()> {
        if self.0.exists() {
            fs::remove_dir_all(&self.0).with_context(|| self.0.display().to_string())?;
        }
        fs::create_dir_all(&self.0).with_context(|| self.0.display().to_string())
    }

    fn build(&self, name: &str, program: &Path, toml: &Path, limits: ProcessLimits) -> Result<Build> {
        eprintln!("{name}");
        let mut command = Command::new(program);
        command.args(["db", "build", "--feeds"]).arg(toml).arg("--db").arg(self.0.join("feeds.db"));
        command.env("XDG_CACHE_HOME", &self.0);
        let (sample, said) = measure::run_limited(&command, &self.0.join("stderr"), limits)?;
        Ok(Build { name: name.to_owned(), sample, said: if sample.code == 0 { String::new() } else { said } })
    }

    /// A build without limits, which must succeed.
    fn succeeded(&self, name: &str, program: &Path, toml: &Path) -> Result<Build> {
        let build = self.build(name, program, toml, ProcessLimits::default())?;
        if build.sample.code != 0 {
            bail!("{name}: exit code {}: {}", build.sample.code, build.said);
        }
        Ok(build)
    }
}

/// The size of the file and of its parts.
fn sizes(db: &Path) -> Result<(Vec<Figure>, Meta)> {
    let mut figures = database::figures(db)?;
    figures.retain(|figure| !figure.is("database: file"));
    let bytes = fs::metadata(db).with_context(|| db.display().to_string())?.len();
    figures
        .push(Figure::new("database: file", database::ratio(usize::try_from(bytes)?, 1_000_000), "MB").at_most(300.0));
    Ok((figures, Database::open(db)?.meta().clone()))
}

fn budgets(builds: &[Build], scale: f64) -> Vec<Figure> {
    let [full, unchanged, changed, other @ ..] = builds else { return Vec::new() };
    let seconds = |ms: f64| ms / 1000.0;
    let mut figures = vec![
        Figure::new("build: resident memory, peak", full.sample.rss_peak, "MiB").at_most(512.0),
        Figure::new("build: CPU", seconds(full.sample.cpu_ms), "s").at_most(240.0 * scale.max(0.05)),
        Figure::new("build: wall", seconds(full.sample.wall_ms), "s").at_most(150.0 * scale.max(0.05)),
        Figure::new(
            "build: reading and sorting alone, CPU",
            seconds(full.sample.cpu_ms - unchanged.sample.cpu_ms),
            "s",
        ),
        Figure::new("one feed changed: share of the CPU", changed.sample.cpu_ms / full.sample.cpu_ms * 100.0, "%")
            .at_most(15.0),
        Figure::new("one feed changed: share of the wall", changed.sample.wall_ms / full.sample.wall_ms * 100.0, "%")
            .at_most(15.0),
    ];
    if let [other, ..] = other {
        figures.push(Figure::new("the other build: resident memory, peak", other.sample.rss_peak, "MiB"));
        figures.push(Figure::new(
            "the other build: times as much memory",
            other.sample.rss_peak / full.sample.rss_peak,
            "x",
        ));
    }
    figures
}

fn print(machine: &str, feeds: &BenchFeeds, builds: &[Build], figures: &[Figure], meta: &Meta) -> Result<()> {
    println!("{machine}");
    for entry in fs::read_dir(&feeds.dir)? {
        let entry = entry?;
        let megabytes = entry.metadata()?.len() / 1_000_000;
        if megabytes > 0 {
            println!("feed {}: {megabytes} MB compressed", entry.file_name().to_string_lossy());
        }
    }
    println!(
        "\n{:34} {:>9} {:>9} {:>9} {:>9} {:>9}  CODE",
        "BUILD", "WALL s", "CPU s", "PEAK MiB", "ANON MiB", "READ MiB"
    );
    for build in builds {
        let sample = &build.sample;
        println!(
            "{:34} {:>9.1} {:>9.1} {:>9.0} {:>9.0} {:>9.0}  {} {}",
            build.name,
            sample.wall_ms / 1000.0,
            sample.cpu_ms / 1000.0,
            sample.rss_peak,
            sample.rss_anon,
            sample.read,
            sample.code,
            build.said
        );
    }
    println!();
    figures.iter().for_each(|figure| println!("{}", figure.line()));
    let unasked: Vec<String> = meta.unasked.iter().map(|left| format!("{} of {}", left.rows, left.ecosystem)).collect();
    println!("{} rows; left out because no image asks for them: {}", meta.rows, unasked.join(", "));
    Ok(())
}

impl BenchFeeds {
    /// Opens the feeds, or makes them.
    fn ready(bench: &Path, scale: f64) -> Result<Self> {
        let dir = bench.join(format!("feeds-v{VERSION}-{scale}"));
        let feeds = BenchFeeds { dir: dir.clone() };
        let done = dir.join("done");
        if !done.is_file() {
            if dir.exists() {
                fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
            }
            fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
            feeds.make(scale)?;
            fs::write(done, "")?;
        }
        Ok(feeds)
    }

    fn toml(&self) -> PathBuf {
        self.dir.join("feeds.toml")
    }

    /// The same feeds with another edition of Debian's.
    fn changed(&self) -> PathBuf {
        self.dir.join("changed.toml")
    }

    fn file(&self, name: &str) -> Result<BufWriter<File>> {
        let path = self.dir.join(name);
        Ok(BufWriter::with_capacity(1 << 20, File::create(&path).with_context(|| path.display().to_string())?))
    }

    fn make(&self, scale: f64) -> Result<()> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a few hundred thousand"
        )]
        let share = |full: usize| ((full as f64 * scale) as usize).max(YEARS);
        self.zip("ubuntu.zip", share(UBUNTU), content::ubuntu)?;
        self.zip("npm.zip", share(NPM), content::npm)?;
        self.zip("suse.zip", share(SUSE), content::suse)?;
        self.tar("redhat.tar.zst", share(VEX), content::vex)?;
        let each = share(NVD) / YEARS;
        for year in 0..YEARS {
            self.nvd(year, each)?;
        }
        self.epss(share(NVD))?;
        self.debian("debian.json", share(DEBIAN), 0)?;
        fs::create_dir_all(self.dir.join("changed"))?;
        self.debian("changed/debian.json", share(DEBIAN), 1)?;
        fs::write(self.toml(), toml("debian.json"))?;
        Ok(fs::write(self.changed(), toml("changed/debian.json"))?)
    }

    fn zip(&self, name: &str, records: usize, record: fn(usize) -> (String, String)) -> Result<()> {
        eprintln!("making {name}: {records} records");
        let mut zip = ZipWriter::new(self.file(name)?);
        let options = SimpleFileOptions::default().compression_level(Some(3));
        for number in 0..records {
            let (name, text) = record(number);
            zip.start_file(name, options)?;
            zip.write_all(text.as_bytes())?;
        }
        Ok(zip.finish()?.flush()?)
    }

    fn tar(&self, name: &str, records: usize, record: fn(usize) -> (String, String)) -> Result<()> {
        eprintln!("making {name}: {records} documents");
        let mut tar = tar::Builder::new(zstd::Encoder::new(self.file(name)?, 3)?);
        for number in 0..records {
            let (name, text) = record(number);
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes())?;
        }
        Ok(tar.into_inner()?.finish()?.flush()?)
    }

    fn nvd(&self, year: usize, records: usize) -> Result<()> {
        let name = nvd_name(year);
        eprintln!("making {name}: {records} CVEs");
        let mut out = GzEncoder::new(self.file(&name)?, flate2::Compression::new(4));
        write!(out, "{{\"resultsPerPage\":{records},\"format\":\"NVD_CVE\",\"version\":\"2.0\",\"vulnerabilities\":[")?;
        for number in 0..records {
            let separator = if number > 0 { "," } else { "" };
            write!(out, "{separator}{}", content::nvd(year * records + number))?;
        }
        write!(out, "]}}")?;
        Ok(out.finish()?.flush()?)
    }

    fn epss(&self, records: usize) -> Result<()> {
        let mut out = GzEncoder::new(self.file("epss.csv.gz")?, flate2::Compression::new(4));
        writeln!(out, "#model_version:v5,score_date:2026-11-28T00:00:00+0000\ncve,epss,percentile")?;
        for number in 0..records {
            let mut dice = Dice::of(7, number);
            writeln!(out, "{},0.{:05},0.{:05}", content::cve(number), dice.below(99_999), dice.below(99_999))?;
        }
        Ok(out.finish()?.flush()?)
    }

    fn debian(&self, name: &str, packages: usize, edition: usize) -> Result<()> {
        eprintln!("making {name}: {packages} source packages");
        let mut out = self.file(name)?;
        write!(out, "{{")?;
        for number in 0..packages {
            write!(out, "{}{}", if number > 0 { "," } else { "" }, content::debian(number, edition))?;
        }
        write!(out, "}}")?;
        Ok(out.flush()?)
    }
}

fn nvd_name(year: usize) -> String {
    format!("nvdcve-2.0-{}.json.gz", 2016 + year)
}

fn feed(name: &str, format: &str, path: &str, ecosystems: &str) -> String {
    format!(
        "[[feed]]\nname = \"{name}\"\nformat = \"{format}\"\npath = \"{path}\"\necosystems = [{ecosystems}]\nrates = true\n\n"
    )
}

/// The configuration; `debian` is the file of that feed.
fn toml(debian: &str) -> String {
    let mut out = [
        feed("debian", "debian-tracker", debian, "\"Debian:11\", \"Debian:12\", \"Debian:13\""),
        feed(
            "ubuntu",
            "osv",
            "ubuntu.zip",
            "\"Ubuntu:22.04:LTS\", \"Ubuntu:24.04:LTS\", \"Ubuntu:25.10\", \"Ubuntu:26.04:LTS\"",
        ),
        feed(
            "redhat",
            "csaf-vex",
            "redhat.tar.zst",
            "\"Red Hat:enterprise_linux:8::baseos\", \"Red Hat:enterprise_linux:9::baseos\"",
        ),
        feed(
            "suse",
            "osv",
            "suse.zip",
            "\"SUSE:Linux Enterprise Server 15 SP6\", \"SUSE:Linux Enterprise Server 15 SP7\"",
        ),
        feed("npm", "osv", "npm.zip", "\"npm\""),
        feed("epss", "epss", "epss.csv.gz", ""),
    ]
    .concat();
    (0..YEARS).for_each(|year| out += &feed(&format!("nvd-{}", 2016 + year), "nvd", &nvd_name(year), ""));
    out
}
