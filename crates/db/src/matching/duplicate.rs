//! The same software found twice: as a program, by its text, and as packages, by their own metadata (Kafka, and
//! `org.apache.kafka:kafka_2.13`; Tomcat's release notes, and Bitnami's list of what is installed).
//!
//! Both are listed, since the records of either may know more. A vulnerability counts once: the package's finding stays,
//! which names the file to replace. Other versions, and other software with the same vulnerability, count for themselves.

use std::collections::BTreeSet;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::package::PackageType;

/// How many numbers of a version are compared: the text of a program shows no more.
const NUMBERS: usize = 3;

/// Removes findings of programs that a package of the same project has in the same version too.
pub(super) fn removed(found: Vec<(PackageType, Finding)>) -> Vec<Finding> {
    let is_program = |kind: PackageType| kind == PackageType::Generic;
    let repeated: BTreeSet<usize> = found
        .iter()
        .enumerate()
        .filter(|(_, (kind, program))| {
            let packages = found.iter().filter(|(kind, _)| !is_program(*kind) && !kind.is_os());
            is_program(*kind) && packages.map(|(_, finding)| finding).any(|finding| is_same(finding, program))
        })
        .map(|(index, _)| index)
        .collect();
    let rest = found.into_iter().enumerate().filter(|(index, _)| !repeated.contains(index));
    rest.map(|(_, (_, finding))| finding).collect()
}

/// Whether a package's finding is about the same vulnerability of the same software as a program's.
fn is_same(package: &Finding, program: &Finding) -> bool {
    package.vulnerability == program.vulnerability
        && is_named(&package.package, &program.package)
        && numbers(&package.installed_version) == numbers(&program.installed_version)
}

/// Whether a package's name or group has the program's name as whole words.
fn is_named(package: &str, program: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_ascii_lowercase).collect()
    };
    let program = words(program);
    !program.is_empty() && words(package).windows(program.len()).any(|part| part == program)
}

/// The first numbers of a version, and zeros for those it leaves out.
fn numbers(version: &str) -> Vec<&str> {
    let parts = version.trim_start_matches('v').split(['.', '-', '_', '+']);
    let numbers = parts.take_while(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    numbers.chain(std::iter::repeat("0")).take(NUMBERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many findings are left of one on a program and one on a package.
    fn check(program: (&str, &str), kind: PackageType, package: (&str, &str), vulnerability: &str, expected: usize) {
        let finding = |(name, version): (&str, &str), vulnerability: &str| Finding {
            vulnerability: vulnerability.into(),
            package: name.into(),
            installed_version: version.into(),
            ..Finding::default()
        };
        let found = vec![(PackageType::Generic, finding(program, "CVE-1")), (kind, finding(package, vulnerability))];
        let left = removed(found);
        assert_eq!(left.len(), expected, "{program:?} {package:?}");
        assert_eq!(left.last().map(|f| f.package.as_str()), Some(package.0));
    }

    #[test]
    fn the_same_software_counts_once() {
        use PackageType::{Bitnami, Composer, Deb, Maven, Npm};
        let kafka = ("kafka", "3.6.1");
        check(kafka, Maven, ("org.apache.kafka:kafka_2.13", "3.6.1"), "CVE-1", 1);
        check(kafka, Maven, ("org.apache.kafka:kafka-clients", "3.6.1"), "CVE-1", 1);
        check(kafka, Bitnami, ("kafka", "3.6.1"), "CVE-1", 1);
        check(("postgresql", "15.4"), Bitnami, ("postgresql", "15.4.0"), "CVE-1", 1);
        check(("drupal", "10.2.3"), Composer, ("drupal/core", "10.2.3"), "CVE-1", 1);
        check(("tomcat", "10.1.18"), Maven, ("org.apache.tomcat:tomcat-catalina", "10.1.18"), "CVE-1", 1);
        // Another version, vulnerability or project, and packages of the distribution.
        check(kafka, Maven, ("org.apache.kafka:kafka-clients", "3.4.0"), "CVE-1", 2);
        check(kafka, Maven, ("org.apache.kafka:kafka_2.13", "3.6.1"), "CVE-2", 2);
        check(kafka, Maven, ("org.x:kafkalike", "3.6.1"), "CVE-1", 2);
        check(("tomcat", "10.1.18"), Maven, ("io.netty:netty-codec-http2", "10.1.18"), "CVE-1", 2);
        check(("node", "20.0.0"), Npm, ("undici", "20.0.0"), "CVE-1", 2);
        check(kafka, Deb, ("kafka", "3.6.1"), "CVE-1", 2);
    }
}
