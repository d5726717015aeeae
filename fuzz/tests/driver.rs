//! Runs every target over mutations of sound inputs, the same ones every time.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, whose helpers clippy does not know as such")]

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use tidewaiter_fuzz::{Target, targets};

/// Executions of each target when nothing else is asked for.
const EXECUTIONS: u64 = 3_000;
/// No input of a few kilobytes may take longer.
const SLOWEST: Duration = Duration::from_secs(5);

/// xorshift64: enough to mutate, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// A few changes: flipped, replaced, removed, doubled and cut bytes, numbers at their borders.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 => bytes.truncate(at),
            5 => bytes[at..end].fill([0, 0x7f, 0x80, 0xff][random.below(4)]),
            _ => {
                let odd: [&[u8]; 6] = [b"\n\n", b"\0", b"99999999999999999999", b"../", b"\xff\xfe", b"{[\""];
                bytes.splice(at..at, odd[random.below(6)].iter().copied());
            }
        }
    }
    bytes
}

/// The inputs that libFuzzer found worth keeping.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Runs one target; nothing is longer held than its seeds.
fn run(target: &Target, executions: u64) {
    let (name, seed, run) = target;
    let mut seeds = corpus(name);
    seeds.push(seed());
    seeds.iter().for_each(|seed| run(seed));
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let began = Instant::now();
    for execution in 0..executions {
        let input = mutate(&seeds[random.below(seeds.len())], &mut random);
        let start = Instant::now();
        run(&input);
        assert!(start.elapsed() < SLOWEST, "{name}: execution {execution} took {:?}", start.elapsed());
    }
    println!("{name}: {executions} executions in {:?}", began.elapsed());
}

#[test]
fn nothing_panics_and_nothing_hangs() {
    let executions = std::env::var("FUZZ_EXECUTIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(EXECUTIONS);
    let chosen = std::env::var("FUZZ_TARGETS").unwrap_or_default();
    let is_chosen = |(name, ..): &&Target| chosen.is_empty() || chosen.split(',').any(|target| target == *name);
    let queue = Mutex::new(targets().filter(is_chosen));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = { queue.lock().unwrap().next() } {
                    run(target, executions);
                }
            });
        }
    });
}
