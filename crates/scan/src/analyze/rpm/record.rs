//! SQLite's records ("Record Format"): a header of types, then the values.

use tidewaiter_archive::bytes::array;

/// One column of a row, as far as rpm uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SqliteValue<'a> {
    Int(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
    /// NULL, a float, or an integer of a size that no page number has.
    Other,
}

impl<'a> SqliteValue<'a> {
    pub(super) fn int(self) -> Option<i64> {
        if let SqliteValue::Int(value) = self { Some(value) } else { None }
    }

    pub(super) fn text(self) -> Option<&'a [u8]> {
        if let SqliteValue::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn blob(self) -> Option<&'a [u8]> {
        if let SqliteValue::Blob(blob) = self { Some(blob) } else { None }
    }
}

/// The values of a record, up to the first that is not within it.
pub(super) fn values(record: &[u8]) -> impl Iterator<Item = SqliteValue<'_>> {
    let split = varint(record).and_then(|(len, types)| {
        let body = record.get(usize::try_from(len).ok()?..)?;
        Some((types.get(..types.len().checked_sub(body.len())?)?, body))
    });
    let (mut types, mut body) = split.unwrap_or_default();
    std::iter::from_fn(move || next_value(&mut types, &mut body))
}

fn next_value<'a>(types: &mut &'a [u8], body: &mut &'a [u8]) -> Option<SqliteValue<'a>> {
    let (kind, rest) = varint(types)?;
    *types = rest;
    let (value, left) = body.split_at_checked(size(kind)?)?;
    *body = left;
    Some(match kind {
        1 => SqliteValue::Int(i64::from(i8::from_be_bytes(array(value, 0)?))),
        2 => SqliteValue::Int(i64::from(i16::from_be_bytes(array(value, 0)?))),
        3 => SqliteValue::Int(i64::from(i32::from_be_bytes([0, *value.first()?, *value.get(1)?, *value.get(2)?]))),
        4 => SqliteValue::Int(i64::from(i32::from_be_bytes(array(value, 0)?))),
        8 => SqliteValue::Int(0),
        9 => SqliteValue::Int(1),
        0..12 => SqliteValue::Other,
        kind if kind % 2 == 0 => SqliteValue::Blob(value),
        _ => SqliteValue::Text(value),
    })
}

fn size(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => usize::try_from(kind).ok(),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        kind => usize::try_from((kind - 12) / 2).ok(),
    }
}

/// Up to nine bytes, seven bits each, the ninth with eight; and what follows.
pub(super) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        if index == 8 {
            return Some((value << 8 | u64::from(*byte), bytes.get(9..)?));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_up_to_nine_bytes() {
        assert_eq!(varint(&[0x7f, 1]), Some((127, &[1][..])));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, &[][..])));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, &[][..])));
        assert_eq!(varint(&[0x80; 8]), None);
        assert_eq!(varint(&[]), None);
    }

    #[test]
    fn records_end_where_their_bytes_do() {
        let check = |record: &[u8], expected: &[SqliteValue<'_>]| {
            assert_eq!(values(record).collect::<Vec<_>>(), expected, "{record:?}");
        };
        check(&[4, 0, 2, 16, 1, 2, 7, 8], &[SqliteValue::Other, SqliteValue::Int(258), SqliteValue::Blob(&[7, 8])]);
        check(&[3, 17, 9, b'a', b'b'], &[SqliteValue::Text(b"ab"), SqliteValue::Int(1)]);
        check(&[2, 17, b'a'], &[]);
        check(&[9, 1], &[]);
        check(&[2, 10, 0], &[]);
        check(&[], &[]);
    }
}
