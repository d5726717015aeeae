//! The order of names with numbers.

use std::cmp::Ordering;

/// Text by text, and digits by the number that they are: `CVE-2025-999` before `CVE-2025-1000`.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    pieces(a).cmp(pieces(b)).then_with(|| a.cmp(b))
}

/// The pieces of a text that are digits, or none. Of digits, zeros in front aside, more are a larger number.
fn pieces(text: &str) -> impl Iterator<Item = (bool, usize, &str)> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut rest = text;
    std::iter::from_fn(move || {
        let number = rest.starts_with(is_digit);
        let end = rest.find(|c| is_digit(c) != number).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        let piece_of_number = piece.trim_start_matches('0');
        match (piece.is_empty(), number) {
            (true, _) => None,
            (false, true) => Some((false, piece_of_number.len(), piece_of_number)),
            (false, false) => Some((true, 0, piece)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_by_value() {
        let check = |a: &str, b: &str, expected: Ordering| {
            assert_eq!((natural(a, b), natural(b, a)), (expected, expected.reverse()), "{a} {b}");
        };
        check("CVE-2025-999", "CVE-2025-1000", Ordering::Less);
        check("CVE-2024-9999", "CVE-2025-1", Ordering::Less);
        check("CVE-2025-0010", "CVE-2025-9", Ordering::Greater);
        check("GHSA-2a", "GHSA-10a", Ordering::Less);
        check("CVE-2025-01", "CVE-2025-1", Ordering::Less);
        check("a", "a1", Ordering::Less);
        check("a", "a", Ordering::Equal);
    }
}
