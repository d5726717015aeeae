//! Hexadecimal digits.

use std::fmt::Write as _;

/// Two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_two_digits_each() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(hex(bytes), expected);
        check(&[], "");
        check(&[0, 10, 255], "000aff");
    }
}
