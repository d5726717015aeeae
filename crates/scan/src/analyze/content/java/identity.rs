//! Which artifact an archive is: Maven's `pom.properties`, else the manifest (JAR File Specification, "Notes on Manifest
//! and Signature Files"; OSGi Core, "Bundle Manifest Headers"), else the file's name.

use super::groups;
use std::collections::{BTreeMap, BTreeSet};

/// Directories of classes recorded: enough to know whose they are.
const MAX_DIRECTORIES: usize = 64;

/// Maven coordinates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Artifact {
    /// Empty when it is not known: then the name alone is listed, and no advisory matches.
    pub(super) group: String,
    pub(super) artifact: String,
    pub(super) version: String,
}

impl Artifact {
    /// `group:artifact`.
    pub(super) fn name(&self) -> String {
        if self.group.is_empty() { self.artifact.clone() } else { format!("{}:{}", self.group, self.artifact) }
    }
}

/// The evidence of one archive's identity.
#[derive(Debug, Default)]
pub(super) struct Identity {
    /// The file's name without its suffix.
    stem: String,
    poms: BTreeSet<Artifact>,
    manifest: BTreeMap<String, String>,
    /// The first two parts of its classes' directories.
    directories: BTreeSet<String>,
}

impl Identity {
    pub(super) fn new(file: &str) -> Self {
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        Identity { stem: stem.to_owned(), ..Identity::default() }
    }

    /// Reads a manifest or properties, by the name of the entry.
    pub(super) fn text(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        match name.strip_prefix("META-INF/maven/").and_then(|rest| rest.strip_suffix("/pom.properties")) {
            Some(place) => self.properties(place, &text),
            None => self.manifest(&text),
        }
    }

    /// Reads the main section of a manifest; a line that begins with a space continues the one above.
    fn manifest(&mut self, text: &str) {
        let mut last = String::new();
        for line in text.lines() {
            if let Some(more) = line.strip_prefix(' ') {
                if let Some(value) = self.manifest.get_mut(&last) {
                    value.push_str(more);
                }
            } else if let Some((key, value)) = line.split_once(':') {
                last = key.trim().to_ascii_lowercase();
                self.manifest.insert(last.clone(), value.trim_start().to_owned());
            } else if !self.manifest.is_empty() {
                // Sections about single entries follow an empty line.
                return;
            }
        }
    }

    /// Reads `pom.properties`; `place` is `GROUP/ARTIFACT`, which fills in what the text lacks.
    fn properties(&mut self, place: &str, text: &str) {
        let Some((group, artifact)) = place.split_once('/') else { return };
        let group = property(text, "groupId").unwrap_or_else(|| group.to_owned());
        let artifact = property(text, "artifactId").unwrap_or_else(|| artifact.to_owned());
        let version = property(text, "version").or_else(|| {
            let (name, version) = split_name(&self.stem)?;
            (name == artifact).then(|| version.to_owned())
        });
        // Without a version it is listed too, so that the report has a gap for it.
        let version = self.released(&artifact, version.unwrap_or_default());
        self.poms.insert(Artifact { group, artifact, version });
    }

    /// The version under which an artifact was released. Some builds publish one project for several runtimes, under
    /// versions that its properties do not have: `12.10.2.jre11`.
    fn released(&self, artifact: &str, version: String) -> String {
        let longer = self.longer(artifact, &version).map(str::to_owned);
        longer.unwrap_or(version)
    }

    /// The version in the file's name, if that is of the artifact and has more parts than `version`.
    fn longer(&self, artifact: &str, version: &str) -> Option<&str> {
        let (name, named) = split_name(&self.stem)?;
        let is_it = name == artifact || name.ends_with(&format!(".{artifact}"));
        let more = named.strip_prefix(version).filter(|_| is_it && !version.is_empty())?;
        // A hyphen would begin a classifier, which is not a part of the version.
        more.starts_with('.').then_some(named)
    }

    /// Records the directory of a class.
    pub(super) fn class(&mut self, name: &str) {
        let of_no_package = name == "module-info.class";
        if self.directories.len() >= MAX_DIRECTORIES || name.starts_with("META-INF/") || of_no_package {
            return;
        }
        let parts: Vec<&str> = name.split('/').collect();
        let dir = parts.split_last().map(|(_, dir)| dir).unwrap_or_default();
        let dir = dir.get(..3).unwrap_or(dir).join("/");
        if !self.directories.contains(&dir) {
            self.directories.insert(dir);
        }
    }

    /// All artifacts of the archive.
    pub(super) fn artifacts(self) -> Vec<Artifact> {
        let own = self.own();
        let mut out: Vec<Artifact> = self.poms.iter().cloned().collect();
        if let Some(own) = own.filter(|own| self.adds(own)) {
            out.push(own);
        }
        out
    }

    /// Whether the manifest and the file's name identify an artifact that no `pom.properties` names.
    fn adds(&self, own: &Artifact) -> bool {
        if self.poms.is_empty() {
            return true;
        }
        // Other archives were unpacked into it, and its own build writes no properties. A name that was only changed, or
        // whose group is a guess, proves nothing against them.
        let same = |pom: &Artifact| own.artifact.starts_with(&pom.artifact) || pom.artifact.ends_with(&own.artifact);
        let stem = |pom: &Artifact| self.stem.starts_with(&pom.artifact);
        let only = self.poms.len() == 1 && self.poms.iter().all(|pom| pom.version == own.version);
        !own.group.is_empty() && !only && !self.poms.iter().any(|pom| same(pom) || stem(pom))
    }

    fn header(&self, key: &str) -> Option<&str> {
        self.manifest.get(key).map(|value| value.trim()).filter(|value| !value.is_empty() && !value.contains("${"))
    }

    fn symbolic_name(&self) -> Option<&str> {
        self.header("bundle-symbolicname").and_then(|name| name.split(';').next()).map(str::trim)
    }

    fn own(&self) -> Option<Artifact> {
        let (title, made_by) = (self.header("implementation-title"), split_name(&self.stem));
        if let Some((group, artifact)) = groups::of_distribution(&self.stem, title.unwrap_or_default()) {
            let version = self.header("implementation-version")?;
            return Some(Artifact { group: group.into(), artifact: artifact.into(), version: version.to_owned() });
        }
        let version = self.version(made_by.map(|(_, version)| version))?;
        if let Some((group, artifact)) = made_by.and_then(|(name, _)| self.with_group(name)) {
            return Some(Artifact { group: group.to_owned(), artifact: artifact.to_owned(), version });
        }
        let artifact =
            made_by.map(|(name, _)| name).or_else(|| title.filter(|title| is_artifact(title))).or_else(|| {
                let name = self.symbolic_name()?;
                Some(name.rsplit('.').next().unwrap_or(name))
            })?;
        let group = self.group(artifact, &version).unwrap_or_default();
        Some(Artifact { group, artifact: artifact.to_owned(), version })
    }

    /// The version of the file's name, unless the manifest has quite another.
    fn version(&self, named: Option<&str>) -> Option<String> {
        let stated = ["implementation-version", "bundle-version", "specification-version"];
        let mut stated = stated.iter().filter_map(|key| self.header(key)).filter(|v| is_version(v)).peekable();
        let Some(named) = named else { return stated.next().map(str::to_owned) };
        let first = stated.peek().map(|version| (*version).to_owned());
        let begins = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_digit()));
        let agrees = |version: &str| begins(version, named) || begins(named, version) || same_numbers(version, named);
        if first.is_none() || stated.any(agrees) { Some(named.to_owned()) } else { first }
    }

    /// Group and artifact of `GROUP.ARTIFACT`, as Quarkus and sbt-native-packager name the files of an application. A bundle that
    /// has the whole name as its own is an artifact with dots: `org.eclipse.osgi`.
    fn with_group<'n>(&self, name: &'n str) -> Option<(&'n str, &'n str)> {
        let own = [self.symbolic_name(), self.header("automatic-module-name")];
        let is_bundle = own.iter().flatten().any(|own| *own == name);
        if is_bundle || groups::of_artifact(name, "", |_| false).is_some() { None } else { split_group(name) }
    }

    fn group(&self, artifact: &str, version: &str) -> Option<String> {
        let has = |prefix: &str| self.directories.iter().any(|dir| dir.starts_with(prefix));
        if let Some(group) = groups::of_artifact(artifact, version, has) {
            return Some(group.to_owned());
        }
        let vendor = self.header("implementation-vendor-id").filter(|id| is_group(id));
        let names = [self.symbolic_name(), self.header("automatic-module-name")];
        let names = || names.into_iter().flatten();
        // The artifact's last word is the bundle's: org.apache.commons.text is commons-text.
        let word = artifact.rsplit(['-', '.']).next().unwrap_or(artifact);
        let by_word = || names().filter(|name| name.ends_with(word)).find_map(without_last_name);
        let group = vendor.or_else(|| names().find_map(|name| without_artifact(name, artifact))).or_else(by_word);
        group.map(str::to_owned).or_else(|| self.root(artifact))
    }

    /// By the convention of projects with one artifact: `org.pcollections:pcollections` has its classes below
    /// `org/pcollections`, and none elsewhere.
    fn root(&self, artifact: &str) -> Option<String> {
        let is_root = |domain: &&&str| self.is_all_below(&format!("{domain}/{artifact}"));
        ["org", "com", "io", "net"].iter().find(is_root).map(|domain| format!("{domain}.{artifact}"))
    }

    fn is_all_below(&self, root: &str) -> bool {
        let is_below =
            |dir: &String| dir.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.directories.is_empty() && self.directories.iter().all(is_below)
    }
}

/// The last value of a key in properties, unless the build left a placeholder in it.
fn property(text: &str, key: &str) -> Option<String> {
    let pairs = text.lines().filter_map(|line| line.trim().split_once(['=', ':']));
    let value = pairs.filter(|(k, _)| k.trim() == key).map(|(_, value)| value.trim()).next_back()?;
    (!value.is_empty() && !value.contains("${")).then(|| value.replace('\\', ""))
}

/// The group in the name of a bundle, which by default is group.artifact without what both have in common.
fn without_artifact<'n>(name: &'n str, artifact: &str) -> Option<&'n str> {
    let cut = |end: &str| name.strip_suffix(end)?.strip_suffix('.');
    cut(artifact).or_else(|| cut(&artifact.replace('-', "."))).filter(|group| is_group(group))
}

fn without_last_name(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(group, _)| group).filter(|group| is_group(group))
}

fn is_group(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_artifact(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_+".contains(&b))
}

/// Whether two versions begin with the same numbers, as OSGi's `6.1.4.qualifier` does, or `9.6.0` for `9.6`.
fn same_numbers(a: &str, b: &str) -> bool {
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

/// `com.h2database.h2` → `com.h2database` and `h2`; `None` where the dots may be the artifact's.
fn split_group(name: &str) -> Option<(&str, &str)> {
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
        let check = |name: &str, expected: Option<(&str, &str)>| assert_eq!(split_group(name), expected, "{name}");
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
        check("jakarta.xml.bind-api", None);
        check("javax.inject", None);
        check("jackson-core", None);
        check("jackson-module-scala_2.13", None);
    }
}
