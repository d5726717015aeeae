//! Real versions: those of vector files and of OSV records next to the project, if they are there.

use super::records;
use anyhow::{Context, Result};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_core::version::VersionScheme;

/// Versions of every scheme. They are sorted as text: neighbours are close.
#[derive(Default)]
pub(super) struct KnownVersions(HashMap<VersionScheme, BTreeSet<String>>);

impl KnownVersions {
    /// Reads `vectors/versions` and `feeds` below a folder.
    pub(super) fn read(shared: &Path) -> Result<Self> {
        let mut known = KnownVersions::default();
        for file in files(&shared.join("vectors/versions"))? {
            known.add_vectors(&file).with_context(|| file.display().to_string())?;
        }
        for file in files(&shared.join("feeds"))? {
            records::add(&file, &mut known)?;
        }
        Ok(known)
    }

    /// Adds versions; without those that hold the separators of pairs.
    pub(super) fn add(&mut self, scheme: VersionScheme, versions: impl Iterator<Item = String>) {
        let plain = |version: &String| !version.is_empty() && !version.contains(['\t', '\n', '\r']);
        self.0.entry(scheme).or_default().extend(versions.filter(plain));
    }

    /// All versions of a scheme.
    pub(super) fn of(&self, scheme: VersionScheme) -> Vec<&str> {
        self.0.get(&scheme).into_iter().flatten().map(String::as_str).collect()
    }

    fn add_vectors(&mut self, file: &Path) -> Result<()> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let ecosystem = name.split_once("-versions").map(|(ecosystem, _)| ecosystem);
        let Some(scheme) = ecosystem.and_then(VersionScheme::named) else { return Ok(()) };
        let text = fs::read_to_string(file)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        self.add(scheme, lines.flat_map(|line| line.split_whitespace().step_by(2).take(2)).map(str::to_owned));
        Ok(())
    }
}

/// The files of a folder; none without it.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    Ok(entries.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?)
}
