//! PAX records: `LEN KEY=VALUE\n`.

use super::TarError;
use super::header::lossless;
use std::collections::BTreeMap;

const BAD: TarError = TarError::Corrupt("a PAX record");
const OFFSET: &str = "GNU.sparse.offset";
const BYTES: &str = "GNU.sparse.numbytes";

/// The records that precede one entry.
#[derive(Debug, Default)]
pub(super) struct Pax {
    records: BTreeMap<String, String>,
    /// Offsets and lengths in turn: the only records that may repeat (sparse format 0.0).
    map: Vec<String>,
}

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, TarError> {
        let mut out = Pax::default();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|b| *b == b' ').ok_or(BAD)?;
            let len = bytes.get(..space).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse().ok());
            let len: usize = len.filter(|len| *len > space + 1 && *len <= bytes.len()).ok_or(BAD)?;
            let record = bytes.get(space + 1..len).and_then(|r| r.strip_suffix(b"\n")).ok_or(BAD)?;
            let equals = record.iter().position(|b| *b == b'=').ok_or(BAD)?;
            out.insert(record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default())?;
            bytes = bytes.get(len..).unwrap_or_default();
        }
        Ok(out)
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarError> {
        // Values of other keys, such as extended attributes, are binary.
        let text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
        if key.is_empty() || (if text { value } else { key }).contains(&0) {
            return Err(BAD);
        }
        let (key, value) = (lossless(key), lossless(value));
        if key == OFFSET || key == BYTES {
            let expected = if self.map.len().is_multiple_of(2) { OFFSET } else { BYTES };
            if key != expected || value.contains(',') {
                return Err(BAD);
            }
            self.map.push(value);
        } else {
            self.records.insert(key, value);
        }
        Ok(())
    }

    /// A record; an empty value leaves the header's.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.records.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The numbers of a sparse map of format 0.0 or 0.1.
    pub(super) fn sparse_map(&self) -> Vec<&str> {
        if self.map.is_empty() {
            self.get("GNU.sparse.map").map(|map| map.split(',').collect()).unwrap_or_default()
        } else {
            self.map.iter().map(String::as_str).collect()
        }
    }
}
