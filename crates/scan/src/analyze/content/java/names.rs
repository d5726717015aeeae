//! What the names of files, modules and versions say: `GROUP.ARTIFACT-VERSION-CLASSIFIER`.

pub(super) fn is_group(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

pub(super) fn is_artifact(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

pub(super) fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
}

/// Whether two versions begin with the same numbers, as OSGi's `6.1.4.qualifier` does, or `9.6.0` for `9.6`.
pub(super) fn same_numbers(a: &str, b: &str) -> bool {
    first_numbers(a) == first_numbers(b)
}

fn first_numbers(text: &str) -> [u64; 2] {
    let mut numbers = text.split(['.', '-', '_']).map_while(|n| n.parse().ok()).fuse();
    [0; 2].map(|absent| numbers.next().unwrap_or(absent))
}

/// Words that may follow a version's numbers and belong to it.
const QUALIFIERS: [&str; 26] = [
    "alpha",
    "beta",
    "rc",
    "cr",
    "m",
    "b",
    "sp",
    "pre",
    "ga",
    "final",
    "release",
    "snapshot",
    "jre",
    "jdk",
    "android",
    "incubating",
    "redhat",
    "hadoop",
    "cp",
    "post",
    "dev",
    "ea",
    "build",
    "preview",
    "milestone",
    "jbossorg",
];

/// `artifact-1.2.3-jre` → artifact and version; what follows a version is a classifier.
pub(super) fn split_name(stem: &str) -> Option<(&str, &str)> {
    let dashes = stem.match_indices('-').map(|(at, _)| at);
    let starts: Vec<usize> =
        dashes.filter(|at| stem.get(at + 1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))).collect();
    let cut = |at: usize, end: usize| Some((stem.get(..at)?, stem.get(at + 1..end)?));
    let whole = starts.iter().find(|at| stem.get(**at + 1..).is_some_and(|rest| version_length(rest) == rest.len()));
    if let Some(at) = whole {
        return cut(*at, stem.len()).filter(|(name, _)| !name.is_empty());
    }
    let at = *starts.last()?;
    cut(at, at + 1 + version_length(stem.get(at + 1..)?)).filter(|(name, _)| !name.is_empty())
}

/// Group and artifact of a name that has both, as tools put them together: with a dot (Quarkus, sbt-native-packager, Maven's
/// `prependGroupId`) or with a hyphen (Maven's EAR plugin). Both characters are in groups and artifacts too: a known cut
/// counts, then one after which the artifact repeats a word of the group's end, then one whose group the manifest states.
pub(super) fn split_group(
    name: &str,
    is_known: impl Fn(&str, &str) -> bool,
    is_stated: impl Fn(&str) -> bool,
) -> Option<(&str, &str)> {
    let cut = |at: usize| Some((name.get(..at)?, name.get(at + 1..)?)).filter(|(group, rest)| is_cut(group, rest));
    let all = || name.match_indices(['.', '-']).filter_map(|(at, _)| cut(at));
    let hyphens = || name.match_indices('-').filter_map(|(at, _)| cut(at));
    let dotted = split_at_dot(name);
    let doubled =
        || hyphens().find(|(group, artifact)| group == artifact || group.contains('.') && artifact.starts_with(group));
    let of_dot = || dotted.filter(|(group, artifact)| repeats(group, artifact));
    let of_hyphen = || hyphens().find(|(group, artifact)| group.contains('.') && repeats(group, artifact));
    // Two words before the hyphen are a domain, which is no artifact's name: `com.zaxxer-HikariCP`.
    let of_domain = || hyphens().next().filter(|(group, _)| is_domain(group));
    let known = all().find(|(group, artifact)| is_known(group, artifact));
    let stated = || all().find(|(group, _)| is_stated(group));
    known.or_else(doubled).or_else(of_dot).or_else(of_hyphen).or_else(stated).or(dotted).or_else(of_domain)
}

/// Whether a group is two words, of which the first is a top-level domain.
fn is_domain(group: &str) -> bool {
    group.split_once('.').is_some_and(|(top, name)| DOMAINS.contains(&top) && !name.contains('.'))
}

/// Whether an artifact's name may begin after a hyphen: versions do not.
fn is_cut(group: &str, artifact: &str) -> bool {
    !group.is_empty() && artifact.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether the artifact's first word is one of the group's last two, or begins it: `io.netty` and `netty-common`,
/// `org.hibernate.common` and `hibernate-commons-annotations`, `net.bytebuddy` and `byte-buddy`.
fn repeats(group: &str, artifact: &str) -> bool {
    let first = artifact.split(['-', '_', '.']).next().unwrap_or(artifact).to_ascii_lowercase();
    let joined: String = artifact.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    group.split(['.', '-']).skip(1).collect::<Vec<_>>().iter().rev().take(2).any(|word| {
        let word = word.to_ascii_lowercase();
        word.len() > 2 && (word.starts_with(&first) && first.len() > 2 || joined.starts_with(&word))
    })
}

/// Top-level domains, and what groups and packages begin with in their place.
pub(super) const DOMAINS: [&str; 33] = [
    "ai", "at", "be", "biz", "br", "ch", "cn", "co", "com", "cz", "de", "dev", "edu", "eu", "fr", "gov", "info", "io",
    "it", "jakarta", "javax", "jp", "me", "net", "nl", "org", "pl", "ru", "se", "software", "tech", "uk", "us",
];

/// Publishers whose artifacts have the whole name of their bundle: `org.eclipse.platform:org.eclipse.osgi`.
const WHOLE_NAMES: [&str; 9] = [
    "biz.aQute.",
    "org.apache.aries.",
    "org.apache.felix.",
    "org.apache.karaf.",
    "org.apache.servicemix.",
    "org.apache.sling.",
    "org.eclipse.",
    "org.ops4j.",
    "org.osgi.",
];

/// Whether a file's name that is its bundle's name too is that of an artifact as a whole. Of others, bundles are named by their
/// group and artifact, as some tools name files.
pub(super) fn is_whole_name(name: &str) -> bool {
    WHOLE_NAMES.iter().any(|prefix| name.starts_with(prefix))
}

/// A version as manifests write it: without a commit after it (`9.12.0 e9137967…`), and without the number of Kotlin's build
/// (`1.8.21-release-380(1.8.21)`).
pub(super) fn stated_version(text: &str) -> &str {
    let text = text.split([' ', '(']).next().unwrap_or(text);
    match text.split_once("-release-") {
        Some((version, build)) if build.bytes().all(|b| b.is_ascii_digit()) => version,
        _ => text,
    }
}

/// The version of a snapshot in place of that of one of its builds, as Maven's own base version: `1.0-20240102.123456-3` →
/// `1.0-SNAPSHOT`, which is before `1.0`.
pub(super) fn snapshot_base(version: &str) -> String {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let base = || {
        let (rest, build) = version.rsplit_once('-')?;
        let (base, (date, time)) = rest.rsplit_once('-').and_then(|(base, at)| Some((base, at.split_once('.')?)))?;
        let is_build = digits(date, 8) && digits(time, 6) && digits(build, build.len()) && !build.is_empty();
        is_build.then(|| format!("{base}-SNAPSHOT"))
    };
    base().unwrap_or_else(|| version.to_owned())
}

/// `com.h2database.h2` → `com.h2database` and `h2`; `None` where the dots may be the artifact's.
fn split_at_dot(name: &str) -> Option<(&str, &str)> {
    // A dot before a digit is a version's: `scala-xml_2.13`.
    let dots: Vec<usize> = name.match_indices('.').map(|(at, _)| at).collect();
    let begins = |at: &&usize| name.get(*at + 1..).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_alphabetic()));
    let dots: Vec<usize> = dots.iter().filter(begins).copied().collect();
    let cut = |at: usize| Some((name.get(..at)?, name.get(at + 1..)?));
    // Many artifacts repeat their group: `jakarta.servlet.jakarta.servlet-api`, `commons-io.commons-io`.
    let repeated = dots.iter().filter_map(|at| cut(*at)).find(|(group, artifact)| artifact.starts_with(group));
    // Others begin as their group does: `org.eclipse.platform.org.eclipse.osgi`.
    let domain = name.split_inclusive('.').next().unwrap_or_default();
    let begun_again = || dots.iter().filter_map(|at| cut(*at)).find(|(_, artifact)| artifact.starts_with(domain));
    if let Some(cut) = repeated.or_else(begun_again) {
        return Some(cut);
    }
    // Those of Java EE and Jakarta EE have a dot of their own: `com.sun.mail.jakarta.mail`.
    let of_enterprise = dots.iter().rev().nth(1).and_then(|at| cut(*at));
    if let Some((group, artifact)) =
        of_enterprise.filter(|(_, a)| ["jakarta.", "javax."].iter().any(|p| a.starts_with(p)))
    {
        return Some((group, artifact));
    }
    let plain = dots.len() > 1 && !["jakarta.", "javax."].iter().any(|prefix| name.starts_with(prefix));
    cut(*dots.last()?).filter(|_| plain)
}

/// How much of a text is a version: numbers, and words that qualify them.
fn version_length(text: &str) -> usize {
    let mut length = 0;
    for (index, part) in text.split('-').enumerate() {
        let word = part.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_ascii_lowercase();
        let plain = part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'+');
        let number = part.starts_with(|c: char| c.is_ascii_digit());
        if index > 0 && !(plain && (number || QUALIFIERS.contains(&word.as_str()))) {
            break;
        }
        length += part.len() + usize::from(index > 0);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_before_artifacts() {
        let check = |name: &str, expected: Option<(&str, &str)>| {
            assert_eq!(split_group(name, |_, _| false, |_| false), expected, "{name}")
        };
        check("com.h2database.h2", Some(("com.h2database", "h2")));
        check("org.postgresql.postgresql", Some(("org.postgresql", "postgresql")));
        check("commons-io.commons-io", Some(("commons-io", "commons-io")));
        check("javax.inject.javax.inject", Some(("javax.inject", "javax.inject")));
        check("jakarta.servlet.jakarta.servlet-api", Some(("jakarta.servlet", "jakarta.servlet-api")));
        check("com.sun.mail.jakarta.mail", Some(("com.sun.mail", "jakarta.mail")));
        check("org.scala-lang.modules.scala-xml_2.13", Some(("org.scala-lang.modules", "scala-xml_2.13")));
        check(
            "org.jboss.spec.javax.ws.rs.jboss-jaxrs-api_2.1_spec",
            Some(("org.jboss.spec.javax.ws.rs", "jboss-jaxrs-api_2.1_spec")),
        );
        check("com.github.ben-manes.caffeine.caffeine", Some(("com.github.ben-manes.caffeine", "caffeine")));
        check("org.eclipse.platform.org.eclipse.osgi", Some(("org.eclipse.platform", "org.eclipse.osgi")));
        check("com.typesafe.config", Some(("com.typesafe", "config")));
        check(
            "com.typesafe.scala-logging.scala-logging_2.13",
            Some(("com.typesafe.scala-logging", "scala-logging_2.13")),
        );
        check(
            "com.google.api.grpc.proto-google-common-protos",
            Some(("com.google.api.grpc", "proto-google-common-protos")),
        );
        check("com.fasterxml.jackson.core.jackson-core", Some(("com.fasterxml.jackson.core", "jackson-core")));
        check("org.apache.yetus.audience-annotations", Some(("org.apache.yetus", "audience-annotations")));
        check("org.apache.poi-poi-ooxml", Some(("org.apache.poi", "poi-ooxml")));
        check("com.squareup.okhttp3-okhttp", Some(("com.squareup.okhttp3", "okhttp")));
        check("com.fasterxml.jackson.core-jackson-core", Some(("com.fasterxml.jackson.core", "jackson-core")));
        check("jakarta.persistence-jakarta.persistence-api", Some(("jakarta.persistence", "jakarta.persistence-api")));
        check("org.jetbrains.kotlin-kotlin-stdlib-jdk8", Some(("org.jetbrains.kotlin", "kotlin-stdlib-jdk8")));
        check(
            "org.hibernate.common-hibernate-commons-annotations",
            Some(("org.hibernate.common", "hibernate-commons-annotations")),
        );
        check(
            "org.eclipse.jetty.toolchain-jetty-jakarta-servlet-api",
            Some(("org.eclipse.jetty.toolchain", "jetty-jakarta-servlet-api")),
        );
        check("net.bytebuddy-byte-buddy", Some(("net.bytebuddy", "byte-buddy")));
        check("com.zaxxer-HikariCP", Some(("com.zaxxer", "HikariCP")));
        check("com.fasterxml-classmate", Some(("com.fasterxml", "classmate")));
        check("commons-io-commons-io", Some(("commons-io", "commons-io")));
        check("org.scala-lang-scala2-sbt-bridge", Some(("org.scala-lang", "scala2-sbt-bridge")));
        check("org.scala-sbt.sbt-launch", Some(("org.scala-sbt", "sbt-launch")));
        check("commons-io", None);
        check("netty-transport-native-epoll", None);
        check("spring-boot-starter", None);
        check("mina-core", None);
        check("jakarta.xml.bind-api", None);
        check("javax.inject", None);
        check("jackson-core", None);
        check("jackson-module-scala_2.13", None);
    }

    #[test]
    fn what_is_known_of_a_group_cuts() {
        let check = |name: &str, known: Option<(&str, &str)>, stated: &str, expected: (&str, &str)| {
            let split = split_group(name, |group, artifact| Some((group, artifact)) == known, |group| group == stated);
            assert_eq!(split, Some(expected), "{name}");
        };
        let reactor = ("io.projectreactor.netty", "reactor-netty-core");
        check("io.projectreactor.netty.reactor-netty-core", Some(reactor), "", reactor);
        check("io.projectreactor.netty-reactor-netty-core", Some(reactor), "", reactor);
        check("org.scala-sbt-util-cache_2.12", None, "org.scala-sbt", ("org.scala-sbt", "util-cache_2.12"));
        // Some state the group of the project's other parts.
        check("org.hibernate.orm.hibernate-core", None, "org.hibernate", ("org.hibernate.orm", "hibernate-core"));
    }

    #[test]
    fn versions_as_they_are_written() {
        let check = |text: &str, expected: &str| assert_eq!(stated_version(text), expected, "{text}");
        check("9.12.0 e913796758de3d9b9440669384b29bec07e6a5cd - cpoerschke", "9.12.0");
        check("1.8.21-release-380(1.8.21)", "1.8.21");
        check("1.9.10-release-459", "1.9.10");
        check("4.1.0-release-candidate", "4.1.0-release-candidate");
        let check = |version: &str, expected: &str| assert_eq!(snapshot_base(version), expected, "{version}");
        check("1.0-20240102.123456-3", "1.0-SNAPSHOT");
        check("2.1.0-M1-20240102.123456-12", "2.1.0-M1-SNAPSHOT");
        check("1.0-SNAPSHOT", "1.0-SNAPSHOT");
        check("1.0-20240102.123456", "1.0-20240102.123456");
        check("1.0-20240102-3", "1.0-20240102-3");
        check("1.0", "1.0");
    }
}
