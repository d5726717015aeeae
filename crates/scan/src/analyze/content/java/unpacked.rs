//! Archives into which others were unpacked without what names them: a build that removes `META-INF/maven`, or libraries that
//! never had it, as those that Gradle builds.

use super::identity::Artifact;
use super::names::DOMAINS;
use std::collections::BTreeSet;

/// Beginnings of packages recorded: applications with hundreds of libraries have about fifty.
const MAX_ROOTS: usize = 512;

/// How many beginnings of packages, which no artifact explains, are other artifacts' for certain. Among a thousand libraries of
/// Maven Central, no archive has more than four.
const FOREIGN: usize = 6;

/// The beginnings of the packages of an archive's classes: `io/netty`, `kotlin`.
#[derive(Debug, Default)]
pub(super) struct PackageRoots(BTreeSet<String>);

impl PackageRoots {
    /// Records the class at a path in the archive. Those of an application that has its libraries as archives are its own.
    pub(super) fn class(&mut self, path: &str) {
        let of_application = ["BOOT-INF/", "WEB-INF/", "META-INF/"].iter().any(|dir| path.starts_with(dir));
        let Some((package, _)) = path.rsplit_once('/').filter(|_| !of_application) else { return };
        let root = root(package, '/');
        if self.0.len() < MAX_ROOTS && !self.0.contains(&root) {
            self.0.insert(root);
        }
    }

    /// Those that are of none of the artifacts that the archive names; none where they may be. An artifact whose group has no
    /// classes here has them below another name: `com.h2database:h2` in `org/h2`.
    pub(super) fn unnamed(&self, named: &[Artifact]) -> Vec<&str> {
        let groups: BTreeSet<String> = named.iter().map(|artifact| root(&artifact.group, '.')).collect();
        let elsewhere = named.iter().filter(|artifact| !self.0.contains(&root(&artifact.group, '.'))).count();
        let rest: Vec<&str> = self.0.iter().filter(|root| !groups.contains(*root)).map(String::as_str).collect();
        if rest.len() >= elsewhere + FOREIGN { rest } else { Vec::new() }
    }
}

/// The domain and the name below it, or the first word where that is no domain.
fn root(package: &str, separator: char) -> String {
    let mut words = package.split(separator);
    let first = words.next().unwrap_or_default();
    match words.next().filter(|_| DOMAINS.contains(&first)) {
        Some(second) => format!("{first}/{second}"),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_that_no_artifact_explains() {
        let check = |classes: &[&str], groups: &[&str], expected: usize| {
            let mut roots = PackageRoots::default();
            classes.iter().for_each(|class| roots.class(class));
            let artifact =
                |group: &&str| Artifact { group: (*group).to_owned(), artifact: "a".into(), version: "1".into() };
            let named: Vec<Artifact> = groups.iter().map(artifact).collect();
            assert_eq!(roots.unnamed(&named).len(), expected, "{classes:?} {groups:?}");
        };
        let fat =
            ["io/netty/A.class", "io/netty/buffer/B.class", "kotlin/A.class", "okhttp3/A.class", "org/h2/A.class"];
        let fat = [fat.as_slice(), &["com/google/A.class", "org/acme/Shop.class", "reactor/A.class", "scala/A.class"]]
            .concat();
        check(&fat, &[], 8);
        check(&fat, &["io.netty"], 7);
        check(&fat, &["io.netty.incubator", "com.google.guava"], 6);
        // Whose classes are in `org/h2`.
        check(&fat, &["io.netty", "com.h2database"], 7);
        check(&fat, &["io.netty", "com.google.guava", "com.h2database"], 0);
        check(&["A.class", "org/junit/A.class", "junit/A.class", "org/hamcrest/A.class"], &["junit"], 0);
        let own = ["a", "b", "c", "d", "e", "f", "g"].map(|n| format!("BOOT-INF/classes/{n}/A.class"));
        check(&own.each_ref().map(String::as_str), &[], 0);
    }
}
