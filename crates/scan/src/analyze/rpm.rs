//! rpm's package databases: Berkeley DB, NDB, SQLite, and the list that distroless images of Azure Linux carry.
//!
//! Own readers, bounded by the file they read: each page and each blob is read once, so that the file chooses neither time
//! nor memory. Damage is a gap, and what can be read in spite of it is listed.

mod bdb;
#[cfg(test)]
mod encode;
mod header;
mod manifest;
#[cfg(test)]
mod mutation;
mod ndb;
#[cfg(test)]
mod oracle;
mod record;
mod sqlite;
#[cfg(test)]
mod tests;
mod wal;

use super::analyzer::{Analyzer, all};
use super::owned::OwnedFiles;
use super::{ParsedFile, unreadable};
use header::RpmHeader;
use std::collections::BTreeMap;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// The paths of the database in all releases of rpm and its distributions.
const PATHS: &[&str] = &[
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "usr/lib/sysimage/rpm/Packages.db",
    "usr/lib/sysimage/rpm/Packages",
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/rpmdb.sqlite-wal",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/Packages",
    "usr/share/rpm/rpmdb.sqlite",
    "usr/share/rpm/rpmdb.sqlite-wal",
    "usr/share/rpm/Packages.db",
    "usr/share/rpm/Packages",
    MANIFEST,
];
const MANIFEST: &str = "var/lib/rpmmanifest/container-manifest-2";
/// What SQLite adds to a database's name for its write-ahead log.
pub(super) const WAL_SUFFIX: &str = "-wal";

/// Packages of one database: many more than any image installs.
const MAX_PACKAGES: usize = 200_000;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "rpm (SQLite with its log, NDB, Berkeley DB, distroless list)",
    files: PATHS,
    types: &[PackageType::Rpm],
    version: 1,
    accepts: all,
    read: parse,
};

/// Whether this file has all packages of an image, and may be larger than other files.
pub(super) fn is_database(path: &str) -> bool {
    PATHS.contains(&path)
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    if path.ends_with(WAL_SUFFIX) {
        return log(path, bytes);
    }
    let mut out = RpmContents::default();
    match path.rsplit('/').next() {
        Some("rpmdb.sqlite") => sqlite::read(bytes, &wal::WalPages::default(), &mut out),
        Some("Packages.db") => ndb::read(bytes, &mut out),
        Some("Packages") => bdb::read(bytes, &mut out),
        _ => manifest::read(bytes, &mut out),
    }
    out.parsed(path)
}

/// Of a log by itself only matters whether its database can be read without it.
fn log(path: &str, bytes: &[u8]) -> ParsedFile {
    let (log, cause) = match wal::read(bytes) {
        Ok(log) => (log.count != 0, log.damage),
        Err(cause) => (false, Some(cause)),
    };
    ParsedFile {
        is_wal: log,
        gaps: cause.iter().map(|cause| unreadable(path, cause)).collect(),
        ..ParsedFile::default()
    }
}

/// Reads a database together with its write-ahead log. Damage of the log itself is a gap where it is parsed alone.
pub(super) fn with_wal(path: &str, database: &[u8], log: &[u8]) -> ParsedFile {
    let mut out = RpmContents::default();
    sqlite::read(database, &wal::read(log).unwrap_or_default(), &mut out);
    out.parsed(path)
}

/// The contents of a database: packages, and each kind of damage with how often it occurred.
#[derive(Default)]
struct RpmContents {
    packages: Vec<Package>,
    owned: Vec<OwnedFiles>,
    damage: BTreeMap<&'static str, u64>,
    too_many: bool,
}

impl RpmContents {
    fn header(&mut self, blob: &[u8]) {
        let header = match RpmHeader::parse(blob) {
            Ok(header) => header,
            Err(cause) => return self.damaged(cause),
        };
        header.defect().into_iter().for_each(|cause| self.damaged(cause));
        match header.package() {
            Ok(package) => {
                self.owned.extend(
                    package.iter().map(|p| OwnedFiles::new(&p.name, header.files().iter().map(String::as_str))),
                );
                package.into_iter().for_each(|p| self.package(p));
            }
            Err(cause) => self.damaged(cause),
        }
    }

    fn package(&mut self, package: Package) {
        if self.packages.len() < MAX_PACKAGES {
            self.packages.push(package);
        } else {
            self.too_many = true;
        }
    }

    fn damaged(&mut self, cause: &'static str) {
        *self.damage.entry(cause).or_default() += 1;
    }

    fn parsed(self, path: &str) -> ParsedFile {
        let damage = self.damage.into_iter().map(|(cause, times)| match times {
            1 => unreadable(path, cause),
            _ => unreadable(path, &format!("{cause} ({times} times)")),
        });
        let limit = self.too_many.then(|| Gap {
            kind: GapKind::LimitReached,
            subject: path.to_owned(),
            message: format!("it lists more than {MAX_PACKAGES} packages; the others are not scanned"),
        });
        ParsedFile {
            gaps: damage.chain(limit).collect(),
            packages: self.packages,
            owned: self.owned,
            database: Some(PackageType::Rpm),
            ..ParsedFile::default()
        }
    }
}
