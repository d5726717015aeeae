//! One table per order, and what holds for all of them.

use super::*;
use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};
use std::path::Path;

const ALL: [Order; 4] = [Order::Deb, Order::Apk, Order::SemVer, Order::Pep440];

fn check(order: Order, line: &str) {
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

fn check_all(order: Order, lines: &[&str]) {
    lines.iter().for_each(|line| check(order, line));
}

#[test]
fn debian() {
    check_all(
        Order::Deb,
        &[
            "1.0~rc1 < 1.0",
            "1.0 < 1.0+deb12u1",
            "1:0.9 > 2.0",
            "0:1.0-1 = 1.0-1",
            "1.0-0 = 1.0",
            "1.0-1 > 1.0",
            "1.2.3a < 1.2.3b",
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
        Order::Apk,
        &[
            "1.0_alpha < 1.0_beta",
            "1.0_rc1 < 1.0",
            "1.0 < 1.0_p1",
            "1.0-r1 < 1.0-r10",
            "1.0 < 1.0a",
            "1.0a < 1.0.1",
            "1.2.3_git20200101 > 1.2.3",
            "1.10 > 1.9",
            "1.0~abc = 1.0~def",
            // A later number with a leading zero is text; the first is a number all the same.
            "1.010 < 1.09",
            "1.0 < 1.00",
            "1.05 < 1.1",
            "010 > 9",
        ],
    );
}

#[test]
fn semver() {
    check_all(
        Order::SemVer,
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
        ],
    );
}

#[test]
fn pypi() {
    check_all(
        Order::Pep440,
        &[
            "1.0.dev1 < 1.0a1",
            "1.0a1.dev1 < 1.0a1",
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
            "0.9-eevee < 0.9-fearow",
            "0.1-x < 0.1.x",
            "1.0-dev-x < 1.0-x",
        ],
    );
}

#[test]
fn shared_vectors_hold() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/versions");
    let Ok(files) = std::fs::read_dir(&dir) else {
        println!("skipped: no shared vectors beside the checkout");
        return;
    };
    for file in files.map(|f| f.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let Some(order) = name.split_once("-versions").and_then(|(eco, _)| Order::named(eco)) else { continue };
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
