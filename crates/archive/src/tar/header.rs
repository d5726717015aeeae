//! One 512-byte header.

use super::{BLOCK, TarError};

pub(super) struct Header {
    pub(super) name: String,
    pub(super) link: String,
    pub(super) size: i64,
    pub(super) typeflag: u8,
    block: [u8; BLOCK],
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, TarError> {
        let mut header =
            Header { name: String::new(), link: String::new(), size: 0, typeflag: block[156], block: *block };
        header.verify_checksum()?;
        header.name = text(header.field(0, 100));
        header.link = text(header.field(157, 100));
        header.size = number(header.field(124, 12))?;
        let prefix = header.prefix();
        if !prefix.is_empty() {
            header.name.insert(0, '/');
            header.name.insert_str(0, &prefix);
        }
        Ok(header)
    }

    pub(super) fn field(&self, from: usize, len: usize) -> &[u8] {
        self.block.get(from..from + len).unwrap_or_default()
    }

    /// Links, devices, directories and FIFOs have no content, whatever their size field says.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.typeflag, b'1'..=b'6')
    }

    pub(super) fn is_gnu(&self) -> bool {
        self.field(257, 8) == b"ustar  \0"
    }

    /// The directories before the name, where the format has them.
    fn prefix(&self) -> String {
        if self.field(257, 6) == b"ustar\0" {
            let star = self.field(508, 4) == b"tar\0";
            return text(self.field(345, if star { 131 } else { 155 }));
        }
        // GNU archives have times here. Old versions of Go wrote a prefix all the same, and Go still reads it.
        let time = |from: usize| self.field(from, 1) == [0] || number(self.field(from, 12)).is_ok();
        if self.is_gnu() && !(time(345) && time(357)) {
            return Some(text(self.field(345, 155))).filter(|p| p.is_ascii()).unwrap_or_default();
        }
        String::new()
    }

    /// The sum of all bytes with the checksum field as spaces; old tars summed signed bytes.
    fn verify_checksum(&self) -> Result<(), TarError> {
        let stored = octal(self.field(148, 8))?;
        let own = |byte: fn(&u8) -> i64| 8 * byte(&b' ') - self.field(148, 8).iter().map(byte).sum::<i64>();
        let unsigned = |byte: &u8| i64::from(*byte);
        let signed = |byte: &u8| i64::from(byte.cast_signed());
        if stored == self.sum() + own(unsigned) || stored == self.block.iter().map(signed).sum::<i64>() + own(signed) {
            return Ok(());
        }
        Err(TarError::Corrupt("a header's checksum"))
    }

    /// The sum of all bytes, eight at a time: four sums of 16 bits hold 512 bytes each.
    fn sum(&self) -> i64 {
        const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
        let words = self.block.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let sums = words.fold(0, |sums, word| sums + (word & EVEN) + (word >> 8 & EVEN));
        (0..4).map(|lane| (sums >> (16 * lane) & 0xffff).cast_signed()).sum()
    }
}

/// Bytes up to the first NUL.
pub(super) fn text(bytes: &[u8]) -> String {
    lossless(until_nul(bytes))
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// As UTF-8; bytes that are not become U+FFFD and two hex digits, and U+FFFD itself is doubled: two paths that differ
/// stay different, or one could hide the other.
pub(super) fn lossless(bytes: &[u8]) -> String {
    const MARK: char = char::REPLACEMENT_CHARACTER;
    if bytes.is_ascii() {
        // Nearly all paths.
        return std::str::from_utf8(bytes).map(str::to_owned).unwrap_or_default();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            out.push(c);
            if c == MARK {
                out.push(MARK);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("{MARK}{byte:02x}"));
        }
    }
    out
}

const BAD: TarError = TarError::Corrupt("a number in a header");

/// Octal text, or base-256 two's complement with the top bit set (GNU).
pub(super) fn number(field: &[u8]) -> Result<i64, TarError> {
    let Some(first) = field.first().filter(|first| **first & 0x80 != 0) else { return octal(field) };
    let negative = first & 0x40 != 0;
    let invert = if negative { 0xff } else { 0 };
    let mut value = 0_u64;
    for (index, byte) in field.iter().enumerate() {
        let byte = (byte ^ invert) & if index == 0 { 0x7f } else { 0xff };
        if value >> 56 > 0 {
            return Err(BAD);
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).map_err(|_| BAD)?;
    Ok(if negative { !value } else { value })
}

/// Octal digits with spaces and NULs around them.
fn octal(field: &[u8]) -> Result<i64, TarError> {
    let blank = |b: &u8| matches!(b, b' ' | 0);
    let start = field.iter().position(|b| !blank(b)).unwrap_or(field.len());
    let end = field.iter().rposition(|b| !blank(b)).map_or(start, |last| last + 1);
    let mut value = 0_u64;
    for byte in until_nul(field.get(start..end).unwrap_or_default()) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8).ok_or(BAD)?;
        if value >> 61 > 0 {
            return Err(BAD);
        }
        value = value << 3 | u64::from(digit);
    }
    Ok(value.cast_signed())
}
