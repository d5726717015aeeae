//! The header of an rpm, as its database stores it (rpm's `docs/manual/format_header.md`, `lib/header.cc`).
//!
//! Big-endian: number of index entries, bytes of data, then the entries (tag, type, offset, count) and the data.
//! An entry that is not sound is a defect of the header; what can be read all the same is read.

use std::borrow::Cow;
use tidewaiter_archive::bytes::{be32, slice};
use tidewaiter_core::package::{Package, PackageType};

// Tags (`rpmtag.h`).
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const ARCH: u32 = 1022;
const SOURCERPM: u32 = 1044;
const MODULARITYLABEL: u32 = 5096;
/// `HEADERIMAGE`, `HEADERSIGNATURES`, `HEADERIMMUTABLE`: the first entry says where the signed part ends.
const REGIONS: std::ops::RangeInclusive<u32> = 61..=63;

/// Files listed of one package: the largest, of documentation and fonts, have some ten thousand.
const MAX_FILES: usize = 500_000;
const DIRINDEXES: u32 = 1116;
const BASENAMES: u32 = 1117;
const DIRNAMES: u32 = 1118;
// Types of values (`rpmTagType`).
const INT32: u32 = 4;
const BIN: u32 = 7;
/// One string, several, several by language.
const STRINGS: [u32; 3] = [6, 8, 9];

// Tag, type, offset and count, of four bytes each.
const ENTRY: usize = 16;
/// Entries of a header: rpm's own limit.
const MAX_ENTRIES: usize = 0xffff;
/// Bytes of a field: no distribution has longer ones of those that are read here.
const MAX_TEXT: usize = 4096;

type Cause = &'static str;

/// A header whose two parts are within its blob.
pub(super) struct RpmHeader<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

struct IndexEntry {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

impl IndexEntry {
    fn parse(bytes: &[u8]) -> Option<Self> {
        Some(IndexEntry {
            tag: be32(bytes, 0)?,
            kind: be32(bytes, 4)?,
            offset: be32(bytes, 8)? as usize,
            count: be32(bytes, 12)? as usize,
        })
    }
}

impl<'a> RpmHeader<'a> {
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, Cause> {
        let (Some(entries), Some(bytes)) = (be32(blob, 0), be32(blob, 4)) else {
            return Err("a package header ends before its index");
        };
        let (entries, bytes) = (entries as usize, bytes as usize);
        if entries == 0 || entries > MAX_ENTRIES {
            return Err("a package header has an impossible number of entries");
        }
        let index = slice(blob, 8, entries * ENTRY).ok_or("a package header ends within its index")?;
        let data = slice(blob, 8 + index.len(), bytes).ok_or("a package header ends within its data")?;
        if 8 + index.len() + data.len() != blob.len() {
            return Err("a package header is shorter than its record");
        }
        Ok(RpmHeader { index, data })
    }

    /// What is not sound in the index, even where it hides none of the fields read here.
    pub(super) fn defect(&self) -> Option<Cause> {
        let mut entries = self.entries();
        let region = entries.next().filter(|e| REGIONS.contains(&e.tag));
        let region = region.map_or(Ok(()), |e| self.check_region(&e));
        let checks = self.entries().map(|e| self.check(&e));
        std::iter::once(region).chain(checks).find_map(Result::err)
    }

    fn check_region(&self, region: &IndexEntry) -> Result<(), Cause> {
        let bad = "a package header's signed region is not sound";
        let trailer = slice(self.data, region.offset, ENTRY).ok_or(bad)?;
        let (tag, kind, back, count) =
            (be32(trailer, 0), be32(trailer, 4), be32(trailer, 8).ok_or(bad)?, be32(trailer, 12));
        let covered = back.wrapping_neg() as usize;
        let sound = region.kind == BIN
            && region.count == ENTRY
            && tag.is_some_and(|t| REGIONS.contains(&t))
            && kind == Some(BIN)
            && count == u32::try_from(ENTRY).ok()
            && covered.is_multiple_of(ENTRY)
            && (ENTRY..=self.index.len()).contains(&covered);
        if sound { Ok(()) } else { Err(bad) }
    }

    fn check(&self, entry: &IndexEntry) -> Result<(), Cause> {
        let width = match entry.kind {
            0..=2 | 6..=9 => 1,
            3 => 2,
            INT32 => 4,
            5 => 8,
            _ => return Err("a package header has an entry of an unknown type"),
        };
        let fits = entry.count.checked_mul(width).and_then(|len| slice(self.data, entry.offset, len));
        match fits {
            Some(bytes) if !bytes.is_empty() && entry.offset.is_multiple_of(width) => Ok(()),
            _ => Err("a package header has an entry outside its data"),
        }
    }

    fn entries(&self) -> impl DoubleEndedIterator<Item = IndexEntry> + '_ {
        self.index.chunks_exact(ENTRY).filter_map(IndexEntry::parse)
    }

    /// The last entry of a tag counts: what rpm adds when it installs follows the signed region and replaces its tags.
    fn find(&self, tag: u32) -> Option<IndexEntry> {
        self.entries().rev().find(|e| e.tag == tag)
    }

    fn text(&self, tag: u32) -> Result<Option<Cow<'a, str>>, Cause> {
        let Some(entry) = self.find(tag) else { return Ok(None) };
        let bytes = self.data.get(entry.offset..).filter(|_| STRINGS.contains(&entry.kind));
        let bytes = bytes.ok_or("a field of a package is not text")?;
        let near = bytes.get(..MAX_TEXT).unwrap_or(bytes);
        let end = near.iter().position(|b| *b == 0).ok_or("a field of a package does not end")?;
        Ok(near.get(..end).map(String::from_utf8_lossy))
    }

    fn required(&self, tag: u32, missing: Cause) -> Result<Cow<'a, str>, Cause> {
        self.text(tag)?.filter(|text| !text.is_empty()).ok_or(missing)
    }

    fn epoch(&self) -> Result<u32, Cause> {
        let Some(entry) = self.find(EPOCH) else { return Ok(0) };
        let value = be32(self.data, entry.offset).filter(|_| entry.kind == INT32);
        value.ok_or("a package's epoch is not a number")
    }

    /// Paths of its files: each a name and the number of its directory. Lists that do not fit together name no files.
    pub(super) fn files(&self) -> Vec<String> {
        let (names, dirs) = (self.texts(BASENAMES), self.texts(DIRNAMES));
        let Some(numbers) = self.find(DIRINDEXES).filter(|e| e.kind == INT32) else { return Vec::new() };
        let number = |index: usize| be32(self.data, numbers.offset.checked_add(index.checked_mul(4)?)?);
        let dir = |index: usize| dirs.get(number(index)? as usize);
        let named = names.iter().take(numbers.count).enumerate();
        named.filter_map(|(index, name)| Some(format!("{}{name}", dir(index)?))).collect()
    }

    /// The texts of an array.
    fn texts(&self, tag: u32) -> Vec<Cow<'a, str>> {
        let Some(entry) = self.find(tag).filter(|e| STRINGS.contains(&e.kind)) else { return Vec::new() };
        let bytes = self.data.get(entry.offset..).unwrap_or_default();
        bytes.split(|b| *b == 0).take(entry.count.min(MAX_FILES)).map(String::from_utf8_lossy).collect()
    }

    /// The installed package; `None` for a key of rpm's own key ring, which is stored as if it were one.
    pub(super) fn package(&self) -> Result<Option<Package>, Cause> {
        let name = self.required(NAME, "a package without name")?;
        if name == "gpg-pubkey" {
            return Ok(None);
        }
        let version = self.required(VERSION, "a package without version")?;
        let release = self.required(RELEASE, "a package without release")?;
        let optional = |tag| Ok::<_, Cause>(self.text(tag)?.unwrap_or_default());
        Ok(Some(installed(&RpmFields {
            name: &name,
            epoch: self.epoch()?,
            version_release: &format!("{version}-{release}"),
            arch: &optional(ARCH)?,
            vendor: &optional(VENDOR)?,
            source_rpm: &optional(SOURCERPM)?,
            label: &optional(MODULARITYLABEL)?,
        })))
    }
}

/// A package's fields, however they are stored.
pub(super) struct RpmFields<'a> {
    pub(super) name: &'a str,
    pub(super) epoch: u32,
    pub(super) version_release: &'a str,
    pub(super) arch: &'a str,
    pub(super) vendor: &'a str,
    pub(super) source_rpm: &'a str,
    pub(super) label: &'a str,
}

impl RpmFields<'_> {
    fn with_epoch(&self, version: &str) -> String {
        if self.epoch == 0 { version.to_owned() } else { format!("{}:{version}", self.epoch) }
    }
}

pub(super) fn installed(fields: &RpmFields<'_>) -> Package {
    let (source_name, source_version) = source(fields.source_rpm).unwrap_or_default();
    // A source rpm's file name has no epoch. Where its version is the package's own, so is its epoch;
    // else it is not known, and none is claimed.
    let source_version = match source_version.as_str() {
        same if same == fields.version_release => fields.with_epoch(same),
        other => other.to_owned(),
    };
    Package {
        arch: fields.arch.to_owned(),
        source_name,
        source_version,
        vendor: fields.vendor.to_owned(),
        module: module(fields.label),
        ..Package::new(PackageType::Rpm, fields.name, fields.with_epoch(fields.version_release))
    }
}

/// `name-version-release.src.rpm`: the name may contain `-`, version and release may not.
fn source(file: &str) -> Option<(String, String)> {
    let (nvr, _arch) = file.strip_suffix(".rpm")?.rsplit_once('.')?;
    let (rest, release) = nvr.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

/// The module and its stream: the first two parts of `name:stream:version:context[:arch]`.
fn module(label: &str) -> String {
    label.splitn(3, ':').take(2).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::rpm::encode::{Field, header, rpm};

    fn one(blob: &[u8]) -> Package {
        let header = RpmHeader::parse(blob).unwrap();
        assert_eq!(header.defect(), None);
        header.package().unwrap().unwrap()
    }

    #[test]
    fn fields_become_a_package() {
        let full = rpm(
            "perl-IO-Zlib",
            Some(1),
            "1.10",
            "419.module+el8",
            &[
                (1022, Field::Text("noarch")),
                (1011, Field::Text("Red Hat, Inc.")),
                (1044, Field::Text("perl-IO-Zlib-1.10-419.module+el8.src.rpm")),
                (5096, Field::Text("perl:5.26:820181219174508:9edba152")),
            ],
        );
        let p = one(&full);
        assert_eq!((p.name.as_str(), p.version.as_str()), ("perl-IO-Zlib", "1:1.10-419.module+el8"));
        assert_eq!((p.source_name.as_str(), p.source_version.as_str()), ("perl-IO-Zlib", "1:1.10-419.module+el8"));
        assert_eq!((p.arch.as_str(), p.vendor.as_str(), p.module.as_str()), ("noarch", "Red Hat, Inc.", "perl:5.26"));
        let other = one(&rpm("libgcc", Some(2), "8", "1", &[(1044, Field::Text("gcc-9-1.src.rpm"))]));
        assert_eq!((other.version.as_str(), other.source_version.as_str()), ("2:8-1", "9-1"));
        let zero = one(&rpm("a", Some(0), "1", "1", &[]));
        assert_eq!((zero.version.as_str(), zero.source_name.as_str()), ("1-1", ""));
        let keys = rpm("gpg-pubkey", None, "1", "1", &[]);
        assert_eq!(RpmHeader::parse(&keys).unwrap().package(), Ok(None));
    }

    #[test]
    fn files_are_names_in_directories() {
        let lists = [
            (1116, Field::Ints(&[1, 0])),
            (1117, Field::Texts(&["b", "x"])),
            (1118, Field::Texts(&["/etc/", "/usr/bin/"])),
        ];
        let blob = rpm("a", None, "1", "1", &lists);
        assert_eq!(RpmHeader::parse(&blob).unwrap().files(), ["/usr/bin/b", "/etc/x"]);
        assert!(RpmHeader::parse(&rpm("a", None, "1", "1", &[])).unwrap().files().is_empty());
    }

    #[test]
    fn source_file_names_split_at_their_last_hyphens() {
        let check = |file: &str, expected: Option<(&str, &str)>| {
            let found = source(file);
            assert_eq!(found.as_ref().map(|(n, v)| (n.as_str(), v.as_str())), expected, "{file}");
        };
        check("gcc-8.5.0-4.el8_5.src.rpm", Some(("gcc", "8.5.0-4.el8_5")));
        check(
            "java-1.8.0-openjdk-1.8.0.312.b07-2.el8_5.nosrc.rpm",
            Some(("java-1.8.0-openjdk", "1.8.0.312.b07-2.el8_5")),
        );
        check("gcc-8", None);
        check("", None);
    }

    #[test]
    fn what_rpm_added_later_replaces_what_was_signed() {
        let blob = header(&[
            (1000, Field::Text("old")),
            (1001, Field::Text("1")),
            (1002, Field::Text("1")),
            (1000, Field::Text("new")),
        ]);
        assert_eq!(one(&blob).name, "new");
    }

    #[test]
    fn damage_is_named() {
        let good = rpm("a", Some(1), "1", "1", &[]);
        let parse = |blob: &[u8]| RpmHeader::parse(blob).err();
        let with = |at: usize, byte: u8| {
            let mut blob = good.clone();
            blob[at] = byte;
            blob
        };
        assert!(parse(&good[..7]).is_some_and(|c| c.contains("before its index")));
        assert!(parse(&with(3, 0)).is_some_and(|c| c.contains("number of entries")));
        assert!(parse(&with(3, 200)).is_some_and(|c| c.contains("within its index")));
        assert!(parse(&good[..good.len() - 1]).is_some_and(|c| c.contains("within its data")));
        assert!(parse(&[&good[..], b"x"].concat()).is_some_and(|c| c.contains("shorter than its record")));
        // The region entry, then the name: tag, type, offset, count.
        let defect = |at: usize, byte: u8| RpmHeader::parse(&with(at, byte)).unwrap().defect().unwrap_or_default();
        assert!(defect(8 + 8, 1).contains("region"));
        assert!(defect(8 + 16 + 7, 10).contains("unknown type"));
        assert!(defect(8 + 16 + 8, 1).contains("outside"));
        let package =
            |at: usize, byte: u8| RpmHeader::parse(&with(at, byte)).unwrap().package().err().unwrap_or_default();
        assert!(package(8 + 16 + 7, 4).contains("not text"));
        assert!(package(8 + 16 + 2, 1).contains("without name"));
    }
}
