//! Where we differ from a tool on purpose: (version, version) → whether it is one of these places.

/// No place.
pub(super) fn never(_: &str, _: &str) -> bool {
    false
}

/// dpkg's C takes a sign before an epoch (`+1:2`), which dpkg's Perl refuses: no package has one.
pub(super) fn dpkg(a: &str, b: &str) -> bool {
    let signed = |version: &str| version.starts_with(['+', '-']);
    signed(a) || signed(b)
}

/// A missing pkgrel equals every one in pacman, which is no order (`core::version::alpm`); and a separator at the end counts
/// there, newer than `1..a`, which is newer than `1.0`, which is newer than the separator. No package has one.
pub(super) fn pacman(a: &str, b: &str) -> bool {
    let ends = |part: &str| part.ends_with(|c: char| !c.is_ascii_alphanumeric());
    let ends = |version: &str| ends(version) || version.rsplit_once('-').is_some_and(|(version, _)| ends(version));
    a.contains('-') != b.contains('-') || ends(a) || ends(b)
}

/// node-semver's loose mode takes digits of a number for a pre-release where it must: `1.2.34.5` is `1.2.3-4.5`, and
/// `1.2.34.a` is `1.2.3-4.a`. Here they have four parts.
pub(super) fn node_semver(a: &str, b: &str) -> bool {
    has_four_numbers(a) || has_four_numbers(b)
}

fn has_four_numbers(version: &str) -> bool {
    let numbers = version.trim_start_matches(['v', '=', ' ']);
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
    numbers.split_at(end).0.matches('.').count() > 2
}

/// From 1.21 on `go1.21` is the language, older than `go1.21rc1`; no toolchain has that version, and advisories that write
/// `1.21` mean `1.21.0`.
pub(super) fn go_toolchain(a: &str, b: &str) -> bool {
    is_go_language(a) || is_go_language(b)
}

fn is_go_language(version: &str) -> bool {
    let release = version.split('-').next().unwrap_or_default();
    release.matches('.').count() < 2 && !release.trim_start_matches("go").contains(|c: char| c.is_ascii_alphabetic())
}

/// Since 3.8.7 (MNG-7559) a dot before a qualifier reads as a hyphen; advisories keep to the older specification.
pub(super) fn maven_3_9(a: &str, b: &str) -> bool {
    let dotted = |version: &str| version.split('.').skip(1).any(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
    dotted(a) || dotted(b)
}

/// In Maven 4 a qualifier and the number that follows it, with or without a hyphen, are one item, too: `1-ga21` equals `1`,
/// and `1-rc2` is newer than `1-rc.3`. Zeros next to a hyphen count: `1-x-0` is newer than `1-x`. And what follows a
/// release's name is older than any pre-release: `1.Final-redhat-1` than `1.Alpha1`.
pub(super) fn maven_4(a: &str, b: &str) -> bool {
    maven_3_9(a, b) || differs_in_maven_4(a) || differs_in_maven_4(b)
}

fn differs_in_maven_4(version: &str) -> bool {
    let lower = version.to_ascii_lowercase();
    let word = |byte: &u8| !byte.is_ascii_digit() && !b".-".contains(byte);
    let joined = |x: &u8, y: &u8| word(x) && y.is_ascii_digit() || x.is_ascii_digit() && word(y);
    lower.as_bytes().windows(2).any(|two| matches!(two, b"-0" | b"0-") || matches!(two, [x, y] if joined(x, y)))
        || lower.as_bytes().windows(3).any(|three| matches!(three, [x, b'-', y] if word(x) && y.is_ascii_digit()))
        || ["ga-", "final-", "release-"].iter().any(|name| lower.contains(name))
}

/// PHP reads numbers of more than 64 bits as the largest. What begins with a separator begins with an empty word there, and
/// is no version to Composer. A `#` stands for any number there. And `x` is Composer's name of a branch here, newer than its releases.
pub(super) fn php(a: &str, b: &str) -> bool {
    differs_in_php(a) || differs_in_php(b)
}

fn differs_in_php(version: &str) -> bool {
    !version.trim_start_matches(['v', 'V']).starts_with(|c: char| c.is_ascii_alphanumeric())
        || version.contains(['x', 'X', '#'])
        || version.split(|c: char| !c.is_ascii_digit()).any(|number| number.len() > 18)
}

/// Composer brings versions into a normal form first; advisories are matched by `version_compare` of what they say.
pub(super) fn composer(a: &str, b: &str) -> bool {
    !is_normal(a) || !is_normal(b)
}

/// Four numbers, then at most one of Composer's stabilities as it writes them.
fn is_normal(version: &str) -> bool {
    let (numbers, stability) = version.split_once('-').unwrap_or((version, ""));
    let four = numbers.split('.').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())).count() == 4;
    let word = stability.trim_end_matches(|c: char| c.is_ascii_digit());
    four && numbers.matches('.').count() == 3 && ["", "dev", "alpha", "beta", "RC", "patch"].contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_intended_differences() {
        let check = |is_one: fn(&str, &str) -> bool, a: &str, b: &str, expected: bool| {
            assert_eq!(is_one(a, b), expected, "{a} {b}");
        };
        check(dpkg, "+1:2.0", "1:2.0", true);
        check(dpkg, "2:2.0", "1:2.0", false);
        check(pacman, "1.0", "1.0-1", true);
        check(pacman, "1.0.-1", "1.0-1", true);
        check(pacman, "1.0-2", "1.0-1", false);
        check(node_semver, "1.2.34.5", "1.2.3", true);
        check(node_semver, "v1.2.34-5.6.7", "1.2.3", false);
        check(go_toolchain, "go1.21", "go1.21rc1", true);
        check(go_toolchain, "go1.21.0-fips", "go1.21rc1", false);
        check(maven_3_9, "1.RC1", "1-RC0", true);
        check(maven_3_9, "1.0-RC1", "1.0-RC0", false);
        check(maven_4, "1-rc2", "1-rc.3", true);
        check(maven_4, "1-alpha", "1-beta", false);
        check(php, "1.99999999999999999999", "2", true);
        check(php, "1.0-RC1", "1.0", false);
        check(composer, "1.0", "1.0.0", true);
        check(composer, "1.0.0.0-beta2", "1.0.0.0", false);
    }
}
