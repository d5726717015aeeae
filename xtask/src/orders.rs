//! Compares version orders with the tools that define them: each is asked for the same pairs as we are.

mod contradictions;
mod folder;
mod intended;
mod known;
mod pairs;
mod records;
mod shapes;
mod tools;

use anyhow::{Context, Result, bail};
use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use tidewaiter_core::version::VersionScheme;

use folder::ToolFolder;
use known::KnownVersions;
use pairs::VersionPair;
use tools::{OrderTool, TOOLS, UNREACHABLE};

/// Differing pairs that are printed for a tool.
const PRINTED: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct OrdersArgs {
    /// Pairs made for each tool, in addition to those of ../shared/vectors/versions and ../shared/feeds
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pairs: usize,
    /// Seed of the made pairs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ecosystem to compare (`debian`, `npm`); default: all
    #[arg(long, value_name = "ECOSYSTEM")]
    only: Option<String>,
}

/// What a tool and we said about its pairs.
#[derive(Default)]
struct Comparison<'a> {
    refused: usize,
    intended: usize,
    /// Differences where the tool contradicts itself.
    contradicted: usize,
    /// The pair, the tool's answer and ours.
    differences: Vec<(&'a VersionPair, Ordering, Ordering)>,
}

/// Asks every tool that can be installed; true if at least one answered and none differs.
pub(crate) fn run(root: &Path, args: &OrdersArgs) -> Result<bool> {
    let wanted = |ecosystem: &str| args.only.as_deref().is_none_or(|only| only == ecosystem);
    if !TOOLS.iter().map(|tool| tool.ecosystem).chain(UNREACHABLE.iter().map(|row| row.0)).any(wanted) {
        let mut known: Vec<&str> = TOOLS.iter().map(|tool| tool.ecosystem).collect();
        known.dedup();
        bail!("no tool for this ecosystem; use one of {}", known.join(", "));
    }
    let folder = ToolFolder { dir: root.join("target/orders") };
    fs::create_dir_all(&folder.dir)?;
    let known = KnownVersions::read(&root.join("../shared"))?;
    let (mut asked, mut differ, mut not_asked) = (0, 0, Vec::new());
    println!(
        "{:10} {:25} {:22} {:>7} {:>7} {:>8} {:>6} {:>6}",
        "ECOSYSTEM", "TOOL", "VERSION", "PAIRS", "REFUSED", "INTENDED", "CYCLES", "DIFFER"
    );
    for tool in TOOLS.iter().filter(|tool| wanted(tool.ecosystem)) {
        match compare(&known, tool, &folder, args) {
            Ok(differences) => {
                asked += 1;
                differ += differences;
            }
            Err(error) => not_asked.push(format!("{}, {}: {error:#}", tool.ecosystem, tool.name)),
        }
    }
    let unreachable = UNREACHABLE.iter().filter(|row| wanted(row.0));
    not_asked.extend(unreachable.map(|(ecosystem, name, needs)| format!("{ecosystem}, {name}: {needs}")));
    not_asked.iter().for_each(|line| println!("not asked: {line}"));
    Ok(asked > 0 && differ == 0)
}

/// Prints a tool's row; returns the number of unintended differences.
fn compare(known: &KnownVersions, tool: &OrderTool, folder: &ToolFolder, args: &OrdersArgs) -> Result<usize> {
    let scheme = VersionScheme::named(tool.ecosystem).context("no version scheme")?;
    let mut installed = tool.installed(folder)?;
    let pairs = pairs::of(&known.of(scheme), tool.shape, args.pairs, args.seed);
    let answers = ask(&mut installed.command, &folder.dir, &pairs)?;
    let mut comparison = compared(tool, scheme, &pairs, &answers);
    let differing: Vec<_> = comparison.differences.iter().map(|(pair, theirs, _)| (*pair, *theirs)).collect();
    let contradicted = contradictions::find(&differing, |pairs| ask(&mut installed.command, &folder.dir, pairs))?;
    let mut kept = contradicted.iter().map(|contradicted| !contradicted);
    comparison.differences.retain(|_| kept.next().unwrap_or(true));
    comparison.contradicted = contradicted.iter().filter(|contradicted| **contradicted).count();
    println!(
        "{:10} {:25} {:22} {:>7} {:>7} {:>8} {:>6} {:>6}",
        tool.ecosystem,
        tool.name,
        installed.version,
        pairs.len(),
        comparison.refused,
        comparison.intended,
        comparison.contradicted,
        comparison.differences.len()
    );
    for ((a, b), theirs, ours) in comparison.differences.iter().take(PRINTED) {
        println!("  `{a}` {} `{b}`, ours: {}", sign(*theirs), sign(*ours));
    }
    Ok(comparison.differences.len())
}

fn compared<'a>(
    tool: &OrderTool,
    scheme: VersionScheme,
    pairs: &'a [VersionPair],
    answers: &[Option<Ordering>],
) -> Comparison<'a> {
    let mut out = Comparison::default();
    for (pair, theirs) in pairs.iter().zip(answers) {
        // What the tool refuses we compare all the same: every text has a place, and none may end the program.
        let ours = scheme.compare(&pair.0, &pair.1);
        match theirs {
            None => out.refused += 1,
            Some(theirs) if *theirs == ours => {}
            Some(_) if (tool.intended)(&pair.0, &pair.1) => out.intended += 1,
            Some(theirs) => out.differences.push((pair, *theirs, ours)),
        }
    }
    out
}

/// The answers of one process to all pairs; none where it refuses.
fn ask(command: &mut Command, dir: &Path, pairs: &[VersionPair]) -> Result<Vec<Option<Ordering>>> {
    let file = dir.join("pairs.txt");
    let mut writer = BufWriter::new(File::create(&file)?);
    for (a, b) in pairs {
        writeln!(writer, "{a}\t{b}")?;
    }
    writer.flush()?;
    let answers = crate::install::output(command.stdin(Stdio::from(File::open(&file)?)))?;
    let answers: Vec<Option<Ordering>> = answers.lines().map(answer).collect::<Result<_>>()?;
    if answers.len() != pairs.len() {
        bail!("{} answers to {} pairs", answers.len(), pairs.len());
    }
    Ok(answers)
}

fn answer(line: &str) -> Result<Option<Ordering>> {
    match line {
        "<" => Ok(Some(Ordering::Less)),
        "=" => Ok(Some(Ordering::Equal)),
        ">" => Ok(Some(Ordering::Greater)),
        "?" => Ok(None),
        _ => bail!("{line:?} is no answer"),
    }
}

fn sign(order: Ordering) -> char {
    match order {
        Ordering::Less => '<',
        Ordering::Equal => '=',
        Ordering::Greater => '>',
    }
}
