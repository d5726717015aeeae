//! One table per scheme, and the laws that hold for all of them.

use super::*;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

const ALL: [VersionScheme; 14] = [
    VersionScheme::Deb,
    VersionScheme::Apk,
    VersionScheme::Rpm,
    VersionScheme::Alpm,
    VersionScheme::SemVer,
    VersionScheme::SemVerBuild,
    VersionScheme::Go,
    VersionScheme::Pep440,
    VersionScheme::Maven,
    VersionScheme::RubyGems,
    VersionScheme::NuGet,
    VersionScheme::Packagist,
    VersionScheme::Cran,
    VersionScheme::Hackage,
];

fn check(order: VersionScheme, line: &str) {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [a, op, b] = parts[..] else { panic!("not `A < B`: {line}") };
    let expected = match op {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => panic!("unknown operator in {line}"),
    };
    assert_eq!(order.compare(a, b), expected, "{order:?}: {line}");
    assert_eq!(order.compare(b, a), expected.reverse(), "{order:?}, reversed: {line}");
}

fn check_all(order: VersionScheme, lines: &[&str]) {
    lines.iter().for_each(|line| check(order, line));
}

#[test]
fn debian() {
    check_all(
        VersionScheme::Deb,
        &[
            "1.0~rc1 < 1.0",
            "1.0 < 1.0+deb12u1",
            "1:0.9 > 2.0",
            "0:1.0-1 = 1.0-1",
            "1.0-1 > 1.0",
            "1.09 = 1.9",
            "1.0a < 1.0+",
            "99999999999999999999 < 100000000000000000000",
            "2.4+really2.3-1 > 2.4-1",
        ],
    );
}

#[test]
fn apk() {
    check_all(
        VersionScheme::Apk,
        &[
            "1.0_alpha < 1.0_beta",
            "1.0_rc1 < 1.0",
            "1.0 < 1.0_p1",
            "1.0-r1 < 1.0-r10",
            "1.0 < 1.0a",
            "1.0a < 1.0.1",
            "1.2.3_git20200101 > 1.2.3",
            // Hashes are text, before the revision.
            "1.0~abc < 1.0~def",
            "1.0~abc-r9 < 1.0~def-r0",
            // What is no token is lower than all that are, and no more: the beginning counts.
            "1.0-rc1 > 1.0",
            "2.0-foo > 1.0",
            "1.0-foo < 1.0",
            "1.0_foo < 1.0",
            "1.0-r = 1.0-r0",
            // A later number with a leading zero is text; the first is a number all the same.
            "1.010 < 1.09",
            "1.0 < 1.00",
            "1_x < 1_rc-0",
            "1_x < 1~",
            "010 > 9",
        ],
    );
}

#[test]
fn rpm() {
    check_all(
        VersionScheme::Rpm,
        &[
            "1.0~rc1 < 1.0",
            "1.0^git1 > 1.0",
            "1.0^git1 < 1.0.1",
            "1.0~^ < 1.0",
            "1.0.el9 = 1_0+el9",
            "1.010 = 1.10",
            "1:1.0-1 > 9.0-9",
            "1.0-1.el9_2 < 1.0-1.el9_10",
            "1.0 < 1.0-1",
            "1-2-3 > 1-2-2",
            "18446744073709551616 > 18446744073709551615",
        ],
    );
}

#[test]
fn semver() {
    check_all(
        VersionScheme::SemVer,
        &[
            "1.0 = 1.0.0",
            "1.0.0-rc.1 < 1.0.0",
            "1.0.0-1 < 1.0.0-a",
            "v1.2.3 = 1.2.3",
            "1.0.0-a < 1.0.0-a.0",
            "1.0.0+a-1 = 1.0.0+b",
            "1.0.0-A < 1.0.0-a",
            "1.0.0beta1 < 1.0.0",
            "1.0.0beta1 = 1.0.0-beta1",
            "1.2.3.4 > 1.2.3",
            "latest < 0.0.1",
            // node-semver 7.8.6, loose.
            "1.2.3- < 1.2.3-a",
            "1.2.3- < 1.2.3",
        ],
    );
    // node-semver 7.8.6, loose: white space within what leads.
    assert_eq!(VersionScheme::SemVer.compare("v = 1.2.3", "1.2.3"), Ordering::Equal);
}

#[test]
fn semver_with_build() {
    check_all(
        VersionScheme::SemVerBuild,
        &["1.0.0 < 1.0.0+1", "1.0.0+9 < 1.0.0+10", "1.0.0+10 < 1.0.0+a", "1.0.0-a+2 < 1.0.0", "1.0.0+a < 1.0.0+a.0"],
    );
}

#[test]
fn go() {
    check_all(
        VersionScheme::Go,
        &[
            "v1.2.3 = 1.2.3",
            "v2.0.0+incompatible = v2.0.0",
            "v0.0.0-20200101000000-abcdefabcdef < v0.0.0-20210101000000-000000000000",
            "v1.2.4-0.20200101000000-abcdefabcdef < v1.2.4",
            "v1.2.4-0.20200101000000-abcdefabcdef > v1.2.3",
            "go1.21rc2 = 1.21.0-rc.2",
            "go1.21rc2 < go1.21rc10",
            "go1.21beta1 < go1.21rc1",
            "1.21rc2 < 1.21.0",
            "1.21.0-0 < go1.21rc1",
            "go1.20 = 1.20.0",
        ],
    );
    assert_eq!(VersionScheme::Go.compare("go1.22.4 X:boringcrypto", "1.22.4"), Ordering::Equal);
    assert_eq!(VersionScheme::Go.compare("go1.22.4-X:nocoverage", "1.22.4"), Ordering::Equal);
    assert_eq!(VersionScheme::Go.compare("go1.22.4-fips", "1.22.4"), Ordering::Equal);
}

#[test]
fn pypi() {
    check_all(
        VersionScheme::Pep440,
        &[
            "1.0.dev1 < 1.0a1",
            "1.0rc1 < 1.0",
            "1.0 < 1.0.post1",
            "1.0 < 1.0+local",
            "1.0+abc < 1.0+5",
            "1.0 = 1.0.0",
            "1!0.1 > 99.9",
            "v1.0-ALPHA-1 = 1.0a1",
            "1.0-1 = 1.0.post1",
            "1.0c1 = 1.0rc1",
            "nonsense < 0.dev0",
            "1.0.post1.dev1 < 1.0.post1",
            "1.0rc- = 1.0rc0",
            "1.0rc.-1 = 1.0rc0.post1",
            "1.0-dev-x < 1.0-x",
        ],
    );
}

#[test]
fn maven() {
    check_all(
        VersionScheme::Maven,
        &[
            "1.0.Final = 1",
            "1-alpha < 1-beta",
            "1-b2 < 1-milestone-1",
            "1-m3 < 1-CR1",
            "1-rc1 = 1-cr1",
            "1-SNAPSHOT < 1",
            "1 < 1-sp",
            "1-sp < 1-jre8",
            "1-1 < 1.1",
            "1.RC1 < 1-RC0",
            "1.0.RC1 < 1",
            "1.Final-1 = 1-1",
            "1.0-alpha = 1-alpha",
            "1..1 = 1.0.1",
            "1-sp-1 < 1-ga-1",
            "1-sp.1 > 1-ga.1",
            "2.0.0.rc.2 < 2.0.0",
            "30.0-jre > 30.0-android",
            // Where Maven's own comparison is not transitive.
            "1-alpha-1 < 1",
            "1 < 1.sp.2",
            "1-alpha-1 < 1.sp.2",
            "1.0.beta.1 < 1-5",
        ],
    );
}

#[test]
fn rubygems() {
    check_all(
        VersionScheme::RubyGems,
        &[
            "1.0 = 1",
            "1.0.a < 1",
            "1.0.0.a = 1.a.0",
            "1.0.rc1 < 1.0.rc10",
            "1.0-1 = 1.0.pre.1",
            "1.0.A < 1.0.a",
            "1.9 < 1.10",
            "1.13.10-x86_64-linux = 1.13.10",
            "1.13.10-riscv64-linux-musl = 1.13.10",
            "1.13.10-truffleruby = 1.13.10",
            "1.13.10-mswin = 1.13.10",
            "9.4.0.0-java = 9.4",
        ],
    );
}

#[test]
fn nuget() {
    check_all(
        VersionScheme::NuGet,
        &[
            "1.0.0.0 = 1",
            "1.0.0-RC.1 = 1.0.0-rc.1",
            "1.0.0-rc.2 < 1.0.0-RC.10",
            "1.0.0-9 < 1.0.0-a",
            "1.0.0+a = 1.0.0+b",
        ],
    );
}

#[test]
fn packagist() {
    check_all(
        VersionScheme::Packagist,
        &[
            "1.0.0-dev < 1.0.0-alpha1",
            "1.0.0-beta2 < 1.0.0-RC1",
            "1.0.0-RC1 < 1.0.0",
            "1.0.0 < 1.0.0-patch1",
            "1.0 < 1.0.0",
            "V1.2.3 = v1.2.3",
            "1.0.0-whatever < 1.0.0-dev",
            "1.0.0+1 < 1.0.0+2",
            "dev-main < 0.1",
        ],
    );
}

#[test]
fn arch() {
    check_all(
        VersionScheme::Alpm,
        &[
            // The examples of vercmp(8).
            "1.0a < 1.0b",
            "1.0b < 1.0beta",
            "1.0beta < 1.0p",
            "1.0p < 1.0pre",
            "1.0pre < 1.0rc",
            "1.0rc < 1.0",
            "1.0 < 1.0.a",
            "1.0.a < 1.0.1",
            "1 < 1.0",
            "1.0 < 1.1",
            "1.1 < 1.1.1",
            "1.1.1 < 1.2",
            "1.2 < 2.0",
            "2.0 < 3.0.0",
            "1:0.9 > 2.0",
            "1.0-1 < 1.0-2",
            "1.0-1.1 > 1.0-1",
            "1.0_1 = 1.0.1",
            "1..0 > 1.0",
            "1.09 = 1.9",
        ],
    );
}

#[test]
fn cran_and_hackage() {
    check_all(
        VersionScheme::Cran,
        &[
            "1.0-1 = 1.0.1",
            "1.0 < 1.0-0",
            "1.10 > 1.9",
            "1.x < 1.0",
            // R 4.2.2.
            "1.0- = 1.0",
        ],
    );
    check_all(VersionScheme::Hackage, &["1.0 < 1.0.0", "1.10 > 1.9", "0.1.2 < 0.1.10"]);
}

#[test]
fn shared_vectors_hold() {
    let Some(dir) = tidewaiter_testkit::skip::shared("vectors/versions") else { return };
    for file in std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let Some((ecosystem, _)) = name.split_once("-versions") else { continue };
        let order = VersionScheme::named(ecosystem).unwrap_or_else(|| panic!("{name}: no order"));
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')).for_each(|line| check(order, line));
    }
}

fn versions() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9]{1,3}([.][0-9a-z]{1,3}){0,3}(_(alpha|p|rc)[0-9]?)?(-r?[0-9a-z]{1,2})?",
        "[01](([.-]|)(0|1|a|x|sp|ga|rc|dev|p)){0,5}",
        "[0-9.a-z_+~^!:-]{0,8}",
        ".{0,6}"
    ]
}

proptest! {
    #[test]
    fn orders_are_total(a in versions(), b in versions(), c in versions()) {
        for order in ALL {
            prop_assert_eq!(order.compare(&a, &a), Ordering::Equal, "{:?} {}", order, a);
            prop_assert_eq!(order.compare(&a, &b), order.compare(&b, &a).reverse(), "{:?} {} {}", order, a, b);
            let mut sorted = [a.as_str(), b.as_str(), c.as_str()];
            sorted.sort_by(|x, y| order.compare(x, y));
            prop_assert!(order.compare(sorted[0], sorted[2]) != Ordering::Greater, "{:?} {:?}", order, sorted);
        }
    }
}
