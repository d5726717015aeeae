//! Numbers and slices at offsets that a hostile file chooses: `None` wherever the bytes end before. A field at an offset that overflows
//! is outside the bytes too.

/// `N` bytes from `at`.
#[inline]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    slice(bytes, at, N)?.try_into().ok()
}

/// `len` bytes from `at`.
#[inline]
pub fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// The first `len` bytes, which are removed; `None`, and nothing removed, when there are fewer.
#[inline]
pub fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (part, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(part)
}

/// A big-endian number of two bytes at `at`.
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// A big-endian number of four bytes at `at`.
#[inline]
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// A little-endian number of two bytes at `at`.
#[inline]
pub fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// A little-endian number of four bytes at `at`.
#[inline]
pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// A little-endian number of eight bytes at `at`.
#[inline]
pub fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A number of `size` bytes, at most 8, of a file that says its own byte order.
#[inline]
pub fn number(bytes: &[u8], at: usize, size: usize, big_endian: bool) -> Option<u64> {
    let field = slice(bytes, at, size)?;
    let step = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(if big_endian { field.iter().fold(0, step) } else { field.iter().rev().fold(0, step) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_outside_the_bytes_are_none() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!((be16(&bytes, 0), le16(&bytes, 6), le16(&bytes, 7)), (Some(0x0102), Some(0x0807), None));
        assert_eq!((be32(&bytes, 4), le32(&bytes, 5)), (Some(0x0506_0708), None));
        assert_eq!((le64(&bytes, 0), le64(&bytes, usize::MAX)), (Some(0x0807_0605_0403_0201), None));
        assert_eq!((number(&bytes, 1, 3, true), number(&bytes, 1, 3, false)), (Some(0x02_0304), Some(0x04_0302)));
        assert_eq!(
            (slice(&bytes, 7, 1), slice(&bytes, 8, 1), slice(&bytes, 1, usize::MAX)),
            (Some(&[8][..]), None, None)
        );
        let mut rest = &bytes[..];
        assert_eq!((take(&mut rest, 6), take(&mut rest, 3), rest), (Some(&bytes[..6]), None, &[7, 8][..]));
    }
}
