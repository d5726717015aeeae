//! Real bytes, so that compression ratios are real: what every machine that builds Rust has, the toolchain and the
//! sources of the dependencies. The toolchain's documentation is left out, because not every machine has it.

use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer files are cut here, so that no input is mostly one file.
const MAX_FILE: u64 = 32 << 20;
/// What counts as a small file.
const SMALL: u64 = 8 << 10;

/// Files in a fixed, mixed order. It begins again after the last one, far beyond any compressor's window.
#[derive(Debug)]
pub(super) struct Corpus {
    files: Vec<PathBuf>,
    next: usize,
}

/// One file's bytes.
#[derive(Debug)]
pub(super) struct Content {
    /// Its extension, `bin` when it has none.
    pub(super) extension: String,
    /// Its bytes, up to 32 MiB of them.
    pub(super) bytes: Vec<u8>,
}

impl Corpus {
    /// Files of all sizes.
    pub(super) fn open() -> Result<Self> {
        Self::of(1..u64::MAX)
    }

    /// Files of at most 8 KiB.
    pub(super) fn small() -> Result<Self> {
        Self::of(1..SMALL)
    }

    fn of(sizes: std::ops::Range<u64>) -> Result<Self> {
        let mut found = Vec::new();
        for root in roots()? {
            collect(&root, &root, &sizes, &mut found)?;
        }
        if found.len() < 1000 {
            bail!("too few files in the toolchain and cargo's registry to make inputs of: {}", found.len());
        }
        found.sort();
        Ok(Corpus { files: found.into_iter().map(|(_, path)| path).collect(), next: 0 })
    }

    /// Skips files, so that another input gets other bytes.
    pub(super) fn skip(mut self, files: usize) -> Self {
        self.next += files;
        self
    }

    /// The next file.
    pub(super) fn next(&mut self) -> Result<Content> {
        let path = self.files.get(self.next % self.files.len()).context("no files")?;
        self.next += 1;
        let mut bytes = Vec::new();
        let file = File::open(path).with_context(|| path.display().to_string())?;
        file.take(MAX_FILE).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
        let extension = path.extension().map_or("bin".into(), |e| e.to_string_lossy().to_lowercase());
        Ok(Content { extension, bytes })
    }
}

impl Content {
    /// The mode it is stored with.
    pub(super) fn mode(&self) -> u32 {
        if self.bytes.starts_with(b"\x7fELF") { 0o755 } else { 0o644 }
    }
}

fn roots() -> Result<Vec<PathBuf>> {
    let out = Command::new("rustc").args(["--print", "sysroot"]).output().context("rustc cannot be run")?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim());
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).context("no home directory")?;
    Ok(vec![sysroot, cargo.join("registry/src")])
}

/// Regular files below `dir` whose size is in `sizes`, keyed by a hash of their path below `root`: a mixed order that
/// stays the same.
fn collect(root: &Path, dir: &Path, sizes: &std::ops::Range<u64>, found: &mut Vec<(u64, PathBuf)>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() && !path.ends_with("share/doc") {
            collect(root, &path, sizes, found)?;
        } else if kind.is_file() && sizes.contains(&entry.metadata()?.len()) {
            let mut hash = DefaultHasher::new();
            path.strip_prefix(root)?.hash(&mut hash);
            found.push((hash.finish(), path));
        }
    }
    Ok(())
}
