//! A delta makes the bytes of a new database from those of an old one, and of nothing else.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};
use std::path::Path;
use tempfile::TempDir;
use tidewaiter_core::advisory::{Advisory, Affected, CveFacts, Epss, KeyKind, ModuleScope};
use tidewaiter_core::severity::Severity;
use tidewaiter_db::Database;
use tidewaiter_db::file_delta::{self, FileDeltaError};
use tidewaiter_db::meta::Meta;
use tidewaiter_db::writer::{self, BuildInput};

/// So many advisories, two rows each, without those that `left_out` says. Every edition rates them anew.
fn edition(advisories: u32, edition: u32, left_out: impl Fn(u32) -> bool) -> BuildInput {
    let row = |ecosystem: &str, number: u32| Affected {
        severity: if number.is_multiple_of(3) { Severity::High } else { Severity::Unknown },
        module: if number.is_multiple_of(5) { ModuleScope::Unnamed } else { ModuleScope::Outside },
        ..Affected::new(ecosystem.into(), &format!("package-{}", number % 70), KeyKind::Binary)
            .fixed_in(&format!("1.{number}"))
    };
    let id = |number: u32| format!("CVE-2026-{number:05}");
    let advisory = |number: u32| Advisory {
        id: id(number),
        feed: "f".into(),
        summary: format!("what number {number} does, in words that each record has of its own: {}", number * 7919),
        affected: vec![row("npm", number), row("Debian:12", number)],
        ..Advisory::default()
    };
    let facts = |number: u32| {
        let percentile = f64::from((number * 37 + edition * 3) % 1000) / 1000.0;
        (id(number), CveFacts { epss: Some(Epss { score: 0.25, percentile }), ..CveFacts::default() })
    };
    let there = || (0..advisories).filter(|number| !left_out(*number));
    let built = Some(format!("2026-11-{:02}T00:00:00Z", edition + 1).parse().unwrap());
    let meta = Meta { built, ..Meta::default() };
    BuildInput { advisories: there().map(advisory).collect(), cves: there().map(facts).collect(), meta }
}

fn write(dir: &TempDir, name: &str, input: &BuildInput) -> Database {
    let path = dir.path().join(name);
    writer::write(&path, input).unwrap();
    Database::open_verified(&path).unwrap()
}

fn applied(old: &Database, mut delta: &[u8], folder: &Path) -> Result<Vec<u8>, FileDeltaError> {
    let path = folder.join("made");
    file_delta::apply(old, &mut delta, &mut File::create(&path).unwrap(), folder)?;
    Ok(fs::read(path).unwrap())
}

#[test]
fn the_new_file_is_made_from_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    // `most`: the largest share of the new file, compressed, that the delta may have.
    let check = |old: &BuildInput, new: &BuildInput, most: f64| {
        let (old, new) = (write(&dir, "old", old), write(&dir, "new", new));
        let delta = file_delta::encode(&old, &new, dir.path()).unwrap();
        let bytes = fs::read(new.path()).unwrap();
        assert!(applied(&old, &delta, dir.path()).unwrap() == bytes);
        let whole = zstd::encode_all(&bytes[..], 9).unwrap().len();
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = delta.len() as f64 / whole as f64;
        assert!(share <= most, "{share} of {whole} bytes");
    };
    let empty = BuildInput::default();
    let all = edition(2000, 0, |_| false);
    check(&empty, &empty, 2.0);
    check(&empty, &all, 1.5);
    check(&all, &empty, 2.0);
    check(&all, &all, 0.02);
    // Records come, and every CVE has another rating.
    check(&edition(2000, 0, |number| number % 97 == 5), &all, 0.25);
    check(&edition(2000, 1, |_| false), &all, 0.25);
    // Records go.
    check(&all, &edition(2000, 0, |number| number % 211 == 3), 0.1);
}

#[test]
fn deltas_from_elsewhere_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (edition(50, 0, |_| false), edition(60, 1, |_| false));
    let (old, new) = (write(&dir, "old", &old), write(&dir, "new", &new));
    let delta = file_delta::encode(&old, &new, dir.path()).unwrap();
    let raw = zstd::decode_all(&delta[..]).unwrap();
    let check = |base: &Database, raw: &[u8], expected: &str| {
        let packed = zstd::encode_all(raw, 1).unwrap();
        let said = applied(base, &packed, dir.path()).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut other = raw.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        other
    };
    check(&new, &raw, "another database");
    check(&old, b"", "fill whole buffer");
    check(&old, &with(0, b"OTHER"), "not a delta");
    check(&old, &with(40, &9_u32.to_le_bytes()), "is for zstd 9");
    // The length of the file; of its first section; another format.
    check(&old, &with(60, &u64::MAX.to_le_bytes()), "the head of the new file");
    check(&old, &with(144, &u64::MAX.to_le_bytes()), "the head of the new file");
    check(&old, &with(52, &9_u32.to_le_bytes()), "the head of the new file");
    check(&old, &[&raw[..], b"more"].concat(), "longer than its sections");
    check(&old, &raw[..raw.len() - 1], "fill whole buffer");
}
