//! Rows, keys and facts as bytes of a part.

use jiff::civil::Date;
use std::io;
use tidewaiter_core::advisory::{
    Affected, Epss, FixState, Interval, IntervalEnd, KeyKind, KnownExploited, ModuleScope,
};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_db::writer::PackageRow;

/// Appends a part of a key whose order as bytes is that of the text: ended by two zeros, zeros inside written as 0 255.
pub(super) fn key_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// The text at the beginning of a key, and the rest of it.
fn split_key(key: &[u8]) -> Option<(String, &[u8])> {
    let mut text = Vec::new();
    let mut rest = key;
    loop {
        match rest {
            [0, 0, after @ ..] => return Some((String::from_utf8(text).ok()?, after)),
            [0, 0xff, after @ ..] => {
                text.push(0);
                rest = after;
            }
            [byte, after @ ..] => {
                text.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// The key of an advisory in its feed: its id; in distributions with rpm also its release.
pub(super) fn advisory_key(out: &mut Vec<u8>, id: &str, release: Option<&Ecosystem>) {
    key_text(out, id);
    if let Some(ecosystem) = release {
        out.push(1);
        key_text(out, ecosystem.base().as_str());
        if let Some(release) = ecosystem.release() {
            out.push(1);
            key_text(out, release);
        }
    }
}

/// The id in the key of an advisory.
pub(crate) fn id_of(key: &[u8]) -> Option<String> {
    split_key(key).map(|(id, _)| id)
}

/// The key of a row: (ecosystem as text, kind of key, package).
pub(super) fn row_key(out: &mut Vec<u8>, row: &PackedRow<'_>) {
    key_text(out, row.ecosystem);
    out.push(row.key);
    key_text(out, row.package);
}

/// The ecosystem, kind of key and package of the key of a row.
pub(crate) fn package_of(key: &[u8]) -> Option<(String, KeyKind, String)> {
    let (ecosystem, rest) = split_key(key)?;
    let (kind, rest) = rest.split_first()?;
    let (package, _) = split_key(rest)?;
    Some((ecosystem, key_kind(*kind), package))
}

const fn key_kind(code: u8) -> KeyKind {
    match code {
        0 => KeyKind::Source,
        _ => KeyKind::Binary,
    }
}

/// A row whose content is not decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedRow<'a> {
    pub(super) ecosystem: &'a str,
    pub(super) key: u8,
    pub(super) package: &'a str,
    pub(super) content: &'a [u8],
}

/// Appends a number in groups of seven bits.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    bytes(out, text.as_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn texts(out: &mut Vec<u8>, all: &[String]) {
    number(out, all.len() as u64);
    all.iter().for_each(|one| text(out, one));
}

/// Appends a row.
pub(super) fn row(out: &mut Vec<u8>, row: &Affected, content: &mut Vec<u8>) {
    text(out, &row.ecosystem.to_string());
    out.push(match row.key {
        KeyKind::Source => 0,
        KeyKind::Binary => 1,
    });
    text(out, &row.package);
    content.clear();
    row_content(content, row);
    bytes(out, content);
}

fn row_content(out: &mut Vec<u8>, row: &Affected) {
    number(out, row.intervals.len() as u64);
    for interval in &row.intervals {
        let (kind, end) = match &interval.end {
            IntervalEnd::Open => (0, None),
            IntervalEnd::Fixed(end) => (1, Some(end)),
            IntervalEnd::LastAffected(end) => (2, Some(end)),
        };
        out.push(kind << 2 | u8::from(interval.after) << 1 | u8::from(interval.introduced.is_some()));
        interval.introduced.iter().chain(end).for_each(|version| text(out, version));
    }
    texts(out, &row.versions);
    match &row.module {
        ModuleScope::Outside => out.push(0),
        ModuleScope::Unnamed => out.push(1),
        ModuleScope::Streams(names) => {
            out.push(2);
            texts(out, names);
        }
    }
    texts(out, &row.arches);
    out.extend_from_slice(&[u8::from(row.never_affected), row.fix_state.code(), row.severity.code()]);
}

/// Reads what was appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder<'a>(pub(crate) &'a [u8]);

impl<'a> Decoder<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        let (first, rest) = self.0.split_first().ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn number(&mut self) -> io::Result<u64> {
        let (mut value, mut shift) = (0_u64, 0_u32);
        loop {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).ok_or_else(corrupt)?;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    pub(crate) fn small(&mut self) -> io::Result<u32> {
        u32::try_from(self.number()?).map_err(|_| corrupt())
    }

    pub(super) fn bytes(&mut self) -> io::Result<&'a [u8]> {
        let len = usize::try_from(self.number()?).map_err(|_| corrupt())?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or_else(corrupt)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> io::Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| corrupt())
    }

    fn texts(&mut self) -> io::Result<Vec<String>> {
        let count = self.number()?;
        (0..count).map(|_| self.text().map(str::to_owned)).collect()
    }

    /// A row without decoding its content.
    pub(super) fn packed(&mut self) -> io::Result<PackedRow<'a>> {
        Ok(PackedRow { ecosystem: self.text()?, key: self.byte()?, package: self.text()?, content: self.bytes()? })
    }

    /// A row of an advisory.
    pub(crate) fn package_row(&mut self, advisory: u32) -> io::Result<PackageRow> {
        let mut intervals = Vec::new();
        for _ in 0..self.number()? {
            let marks = self.byte()?;
            let introduced = if marks & 1 != 0 { Some(self.text()?.to_owned()) } else { None };
            let end = match marks >> 2 {
                0 => IntervalEnd::Open,
                1 => IntervalEnd::Fixed(self.text()?.to_owned()),
                _ => IntervalEnd::LastAffected(self.text()?.to_owned()),
            };
            intervals.push(Interval { introduced, after: marks & 2 != 0, end });
        }
        let versions = self.texts()?;
        let module = match self.byte()? {
            0 => ModuleScope::Outside,
            1 => ModuleScope::Unnamed,
            _ => ModuleScope::Streams(self.texts()?),
        };
        let arches = self.texts()?;
        let never_affected = self.byte()? != 0;
        let (fix_state, severity) = (FixState::from_code(self.byte()?), Severity::from_code(self.byte()?));
        Ok(PackageRow { advisory, intervals, versions, module, arches, never_affected, fix_state, severity })
    }
}

impl PackedRow<'_> {
    /// The row with its content.
    pub(super) fn affected(&self) -> io::Result<Affected> {
        let row = Decoder(self.content).package_row(0)?;
        Ok(Affected {
            ecosystem: Ecosystem::from(self.ecosystem),
            package: self.package.to_owned(),
            key: key_kind(self.key),
            intervals: row.intervals,
            versions: row.versions,
            never_affected: row.never_affected,
            fix_state: row.fix_state,
            severity: row.severity,
            module: row.module,
            arches: row.arches,
        })
    }
}

/// What a feed knows about a CVE.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// Its ratings.
    Ratings(Vec<Rating>),
    /// It is listed as exploited.
    Exploited(KnownExploited),
    /// The probability of exploitation.
    Epss(Epss),
    /// When it was published.
    Published(Date),
}

impl Fact {
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let (kind, mut json) = match self {
            Fact::Ratings(ratings) => (0, serde_json::to_vec(ratings)?),
            Fact::Exploited(entry) => (1, serde_json::to_vec(entry)?),
            // Text would not be exact.
            Fact::Epss(epss) => (2, [epss.score.to_le_bytes(), epss.percentile.to_le_bytes()].concat()),
            Fact::Published(day) => (3, serde_json::to_vec(day)?),
        };
        json.push(kind);
        Ok(json)
    }

    pub(crate) fn decode(value: &[u8]) -> io::Result<Self> {
        let (kind, bytes) = value.split_last().ok_or_else(corrupt)?;
        Ok(match kind {
            0 => Fact::Ratings(serde_json::from_slice(bytes)?),
            1 => Fact::Exploited(serde_json::from_slice(bytes)?),
            3 => Fact::Published(serde_json::from_slice(bytes)?),
            _ => {
                let (score, percentile) = bytes.split_at_checked(8).ok_or_else(corrupt)?;
                let real = |bytes: &[u8]| bytes.try_into().map(f64::from_le_bytes).map_err(|_| corrupt());
                Fact::Epss(Epss { score: real(score)?, percentile: real(percentile)? })
            }
        })
    }
}

pub(crate) fn corrupt() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a part of a feed is damaged; delete the folder of downloads")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_their_texts() {
        let key = |id: &str, release: Option<&str>| {
            let mut key = Vec::new();
            advisory_key(&mut key, id, release.map(Ecosystem::from).as_ref());
            key
        };
        let sorted = [
            key("", None),
            key("\0", None),
            key("\0a", None),
            key("A", None),
            key("A", Some("Mageia")),
            key("A", Some("Mageia:8")),
            key("A", Some("Mageia:9")),
            key("A\0", None),
            key("A-1", None),
            key("B", None),
        ];
        assert!(sorted.is_sorted());
        assert_eq!(id_of(&key("A\0b", Some("Mageia"))).as_deref(), Some("A\0b"));
        assert_eq!(id_of(b"A"), None);
    }

    #[test]
    fn rows_are_what_they_were() {
        let bare = Affected::new("npm".into(), "a", KeyKind::Binary);
        let full = Affected {
            intervals: vec![
                Interval { introduced: Some("1".into()), after: true, end: IntervalEnd::Fixed("2".into()) },
                Interval { introduced: None, after: false, end: IntervalEnd::LastAffected("3".into()) },
                Interval { introduced: Some("4".into()), after: false, end: IntervalEnd::Open },
            ],
            versions: vec!["x".repeat(300), String::new()],
            never_affected: true,
            fix_state: FixState::Deferred,
            severity: Severity::High,
            module: ModuleScope::Streams(vec!["a:1".into()]),
            arches: vec!["x86_64".into()],
            ..Affected::new("Red Hat:enterprise_linux:9::baseos".into(), "b", KeyKind::Source)
        };
        let unnamed = Affected { module: ModuleScope::Unnamed, ..bare.clone() };
        let (mut out, mut content) = (Vec::new(), Vec::new());
        let all = [bare, full, unnamed];
        all.iter().for_each(|one| row(&mut out, one, &mut content));
        let mut decoder = Decoder(&out);
        for one in &all {
            let packed = decoder.packed().unwrap();
            assert_eq!(packed.affected().unwrap(), *one);
            let mut key = Vec::new();
            row_key(&mut key, &packed);
            assert_eq!(package_of(&key), Some((one.ecosystem.to_string(), one.key, one.package.clone())));
        }
        assert!(decoder.is_empty());
        assert!(Decoder(&out[..5]).packed().is_err());
    }

    #[test]
    fn facts_are_what_they_were() {
        let rating = Rating::from_vector("nvd", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H").unwrap();
        let ratings = vec![rating, Rating::of_level("x", Severity::Low)];
        let epss = Epss { score: 0.123_456_789, percentile: 1.0 / 3.0 };
        let published = Fact::Published("2024-02-29".parse().unwrap());
        for fact in
            [Fact::Ratings(ratings), Fact::Exploited("2024-02-29".to_owned().into()), Fact::Epss(epss), published]
        {
            assert_eq!(Fact::decode(&fact.encode().unwrap()).unwrap(), fact);
        }
        assert!(Fact::decode(&[]).is_err());
    }
}
