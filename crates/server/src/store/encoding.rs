//! How numbers and documents are stored.

/// Level of zstd: inventories of 300 packages shrink to a tenth in a third of a millisecond; level 9 takes five times as
/// long for a few per cent.
const LEVEL: i32 = 3;
/// Largest document. What is larger is damage, and must not be allocated.
const MAX_BYTES: usize = 256 << 20;

/// Encodes sorted numbers as differences, seven bits a byte (LEB128): most questions of an image have neighbours.
pub(super) fn coded(numbers: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(numbers.len() * 2);
    let mut last = 0;
    for number in numbers {
        let mut rest = number.wrapping_sub(last);
        while rest >= 0x80 {
            out.push(low_bits(rest) | 0x80);
            rest >>= 7;
        }
        out.push(low_bits(rest));
        last = *number;
    }
    out
}

fn low_bits(number: u32) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or_default()
}

/// Decodes [`coded`]; damaged bytes give some numbers or none.
pub(super) fn decoded(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let mut bytes = bytes.iter();
    let mut last = 0_u32;
    std::iter::from_fn(move || {
        last = last.wrapping_add(difference(&mut bytes)?);
        Some(last)
    })
}

fn difference<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u32> {
    let (mut difference, mut shift) = (0_u32, 0);
    loop {
        let byte = *bytes.next()?;
        difference |= u32::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(difference);
        }
    }
}

/// Compresses a document.
pub(super) fn pack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

/// Decompresses a document.
pub(super) fn unpack(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().and_then(|n| usize::try_from(n).ok());
    let size = size.filter(|size| *size <= MAX_BYTES).ok_or_else(|| std::io::Error::other("a damaged record"))?;
    zstd::bulk::decompress(bytes, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_round_trip() {
        let check = |numbers: &[u32], bytes: usize| {
            let coded = coded(numbers);
            assert_eq!(decoded(&coded).collect::<Vec<_>>(), numbers);
            assert_eq!(coded.len(), bytes, "{numbers:?}");
        };
        check(&[], 0);
        check(&[0, 1, 127, 128, 255, 256], 6);
        check(&[1, 129], 3);
        check(&[5, 300, 1 << 20, u32::MAX], 1 + 2 + 3 + 5);
        assert_eq!(decoded(&[0xff; 20]).count(), 0);
    }

    #[test]
    fn documents_round_trip_and_damage_is_an_error() {
        let document = vec![7; 100_000];
        let packed = pack(&document).unwrap();
        assert!(packed.len() < 100);
        assert_eq!(unpack(&packed).unwrap(), document);
        for damaged in [&[][..], b"no frame", &packed[..packed.len() - 3]] {
            assert!(unpack(damaged).is_err(), "{damaged:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn sorted_numbers_round_trip(mut numbers: Vec<u32>) {
            numbers.sort_unstable();
            proptest::prop_assert_eq!(decoded(&coded(&numbers)).collect::<Vec<_>>(), numbers);
        }
    }
}
