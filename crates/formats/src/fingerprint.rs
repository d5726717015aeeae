//! Names that are made of content: equal for equal content, in every scan and on every machine.

use sha2::{Digest as _, Sha256};
use tidewaiter_core::hex;

/// SHA-256 of several texts; their lengths keep `["ab", "c"]` and `["a", "bc"]` apart.
fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_string());
        hash.update(":");
        hash.update(part);
    }
    hash.finalize().into()
}

/// 32 hexadecimal digits: 128 bits are enough for names that nobody attacks, since a forged one only hides its own finding.
pub(crate) fn fingerprint(parts: &[&str]) -> String {
    hex(&hash(parts)[..16])
}

/// A UUID of version 8, whose content is up to us (RFC 9562, 5.8 and B.2).
pub(crate) fn uuid(parts: &[&str]) -> String {
    let mut bytes = hash(parts);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes[..16]);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_depend_on_every_part_and_where_it_ends() {
        let all = [&["ab", "c"][..], &["a", "bc"], &["abc"], &["c", "ab"], &[], &[""]];
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                assert_ne!(fingerprint(one), fingerprint(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn uuids_have_the_version_for_own_content() {
        let check = |parts: &[&str], expected: &str| assert_eq!(uuid(parts), expected);
        // By `printf 1:a | sha256sum`.
        check(&["a"], "4162fddd-39a3-8422-9e8e-2392eced237f");
        assert_eq!(fingerprint(&["a"]).len(), 32);
    }
}
