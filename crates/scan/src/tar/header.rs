//! One 512-byte header and PAX records.

use super::{BLOCK, TarError};
use std::collections::BTreeMap;

pub(super) struct Header {
    pub(super) name: String,
    pub(super) link: String,
    pub(super) size: u64,
    pub(super) typeflag: u8,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, TarError> {
        let field = |from: usize, len: usize| block.get(from..from + len).unwrap_or_default();
        verify_checksum(block, field(148, 8))?;
        let magic = field(257, 8);
        let mut name = text(field(0, 100));
        // GNU archives use these bytes for times; a prefix exists in POSIX archives alone.
        if magic.starts_with(b"ustar\0") {
            let prefix = text(field(345, 155));
            if !prefix.is_empty() {
                name = format!("{prefix}/{name}");
            }
        }
        Ok(Header {
            name,
            link: text(field(157, 100)),
            size: number(field(124, 12))?,
            typeflag: block.get(156).copied().unwrap_or_default(),
        })
    }
}

/// Bytes up to the first NUL. Invalid UTF-8 is replaced: such a path is never one that an analyzer wants.
pub(super) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// Octal text, or base-256 with the top bit set (GNU).
fn number(field: &[u8]) -> Result<u64, TarError> {
    const BAD: TarError = TarError::Corrupt("a number in a header");
    match field.first() {
        Some(first) if first & 0x80 != 0 => {
            if first & 0x40 != 0 {
                return Err(TarError::Corrupt("a size is negative or absurd"));
            }
            let mut value = u64::from(first & 0x3f);
            for byte in field.iter().skip(1) {
                value = value.checked_mul(256).and_then(|v| v.checked_add(u64::from(*byte))).ok_or(BAD)?;
            }
            Ok(value)
        }
        _ => {
            let digits = text(field);
            match digits.trim_matches(' ') {
                "" => Ok(0),
                digits => u64::from_str_radix(digits, 8).map_err(|_| BAD),
            }
        }
    }
}

/// The sum of all bytes with the checksum field as spaces; old tars summed signed bytes.
fn verify_checksum(block: &[u8; BLOCK], stored: &[u8]) -> Result<(), TarError> {
    let stored = number(stored)?;
    let (mut unsigned, mut signed) = (0_u64, 0_i64);
    for (index, byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&index) { b' ' } else { *byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    if stored == unsigned || i64::try_from(stored) == Ok(signed) {
        return Ok(());
    }
    Err(TarError::Corrupt("a header's checksum"))
}

/// `LEN KEY=VALUE\n` records.
pub(super) fn pax_records(mut bytes: &[u8]) -> Result<BTreeMap<String, String>, TarError> {
    const BAD: TarError = TarError::Corrupt("a PAX record");
    let mut out = BTreeMap::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ').ok_or(BAD)?;
        let len = bytes.get(..space).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse::<usize>().ok());
        let len = len.filter(|len| *len > space + 1 && *len <= bytes.len()).ok_or(BAD)?;
        let record = bytes.get(space + 1..len).and_then(|r| r.strip_suffix(b"\n")).ok_or(BAD)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or(BAD)?;
        let (key, value) = (record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default());
        if key.is_empty() || value.contains(&0) {
            return Err(BAD);
        }
        out.insert(String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(value).into_owned());
        bytes = bytes.get(len..).unwrap_or_default();
    }
    Ok(out)
}
