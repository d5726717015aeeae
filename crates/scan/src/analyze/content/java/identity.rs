//! Which artifact an archive is: Maven's `pom.properties`, else the manifest (JAR File Specification, "Notes on Manifest
//! and Signature Files"; OSGi Core, "Bundle Manifest Headers"), else the file's name.

use super::unpacked::PackageRoots;
use super::{groups, layers, names};
use names::{is_artifact, is_group, is_version, same_numbers, snapshot_base, split_group, split_name, stated_version};
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
    /// The first three parts of its classes' directories.
    directories: BTreeSet<String>,
    roots: PackageRoots,
    /// Archives in it that are modules of the application itself.
    own_modules: Vec<String>,
}

impl Identity {
    pub(super) fn new(file: &str) -> Self {
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        // Quarkus' legacy packages: some classes are taken out, which its own archive has changed.
        let stem = stem
            .strip_prefix("modified-")
            .filter(|rest| split_group(rest, |_, _| false, |_| false).is_some())
            .unwrap_or(stem);
        Identity { stem: stem.to_owned(), ..Identity::default() }
    }

    /// Reads a manifest, properties or an index of layers, by the name of the entry.
    pub(super) fn text(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if layers::is_index(name) {
            self.own_modules = layers::own_modules(&text);
            return;
        }
        match name.strip_prefix("META-INF/maven/").and_then(|rest| rest.strip_suffix("/pom.properties")) {
            Some(place) => self.properties(place, &text),
            None => self.manifest(&text),
        }
    }

    /// Reads a manifest. A section about a package (JAR File Specification, "Package Versioning") stands in for a version that
    /// the main section lacks, unless packages have several.
    fn manifest(&mut self, text: &str) {
        let mut sections = sections(text);
        self.manifest.append(&mut sections.next().unwrap_or_default());
        let key = "implementation-version";
        let is_package =
            |section: &BTreeMap<String, String>| section.get("name").is_some_and(|name| name.ends_with('/'));
        let versions: BTreeSet<String> = sections.filter(is_package).filter_map(|mut s| s.remove(key)).collect();
        if let Some(version) = versions.first().filter(|_| versions.len() == 1 && self.header(key).is_none()) {
            self.manifest.insert(key.to_owned(), version.clone());
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
        snapshot_base(self.longer(artifact, &version).unwrap_or(&version))
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
        self.roots.class(name);
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

    /// Archives in it that are modules of the application itself, by their paths in it.
    pub(super) fn own_modules(&self) -> &[String] {
        &self.own_modules
    }

    /// Beginnings of packages whose classes were unpacked into the archive, and are of none of these artifacts.
    pub(super) fn unnamed(&self, named: &[Artifact]) -> Vec<&str> {
        self.roots.unnamed(named)
    }

    /// All artifacts of the archive.
    pub(super) fn artifacts(&self) -> Vec<Artifact> {
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
        let same = |pom: &Artifact| {
            own.artifact.starts_with(&pom.artifact)
                || own.artifact.ends_with(&pom.artifact)
                || pom.artifact.ends_with(&own.artifact)
        };
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
        let (title, made_by) = (self.header("implementation-title"), self.named());
        if let Some((group, artifact)) = groups::of_distribution(&self.stem, title.unwrap_or_default()) {
            let version = self.header("implementation-version")?;
            return Some(Artifact { group: group.into(), artifact: artifact.into(), version: version.to_owned() });
        }
        if made_by.is_none() && self.is_launcher() {
            return None;
        }
        let Some(version) = self.version(made_by.map(|(_, version)| version)) else { return self.unversioned() };
        if let Some((group, artifact)) = made_by.and_then(|(name, _)| self.with_group(name, &version)) {
            return Some(Artifact { group: group.to_owned(), artifact: artifact.to_owned(), version });
        }
        let artifact = made_by.map(|(name, _)| name).or_else(|| self.titled(title, &version))?;
        let group = self.group(artifact, &version).unwrap_or_default();
        Some(Artifact { group, artifact: artifact.to_owned(), version })
    }

    /// Artifact and version of the file's name; the version that the manifest has tells where it begins.
    fn named(&self) -> Option<(&str, &str)> {
        // Numbers of the artifact itself: `log4j-1.2-api`.
        if self.header("implementation-title") == Some(self.stem.as_str()) {
            return None;
        }
        let stated = ["implementation-version", "bundle-version", "specification-version"];
        let stated = stated.iter().filter_map(|key| self.header(key)).filter(|version| is_version(version));
        let end = |version: &&str| Some((self.stem.strip_suffix(*version)?.strip_suffix('-')?, version.len()));
        let longest = stated.filter_map(|version| end(&version)).max_by_key(|(_, length)| *length);
        let of_manifest = longest.and_then(|(name, _)| Some((name, self.stem.get(name.len() + 1..)?)));
        of_manifest.filter(|(name, _)| !name.is_empty()).or_else(|| split_name(&self.stem))
    }

    /// Whether it only names the archives that a program is started with: Quarkus' runner, a class path too long for a command.
    fn is_launcher(&self) -> bool {
        self.directories.is_empty() && self.header("class-path").is_some()
    }

    /// What is known by its name and classes alone, so that the report has a gap for its version.
    fn unversioned(&self) -> Option<Artifact> {
        let group = groups::of_artifact(&self.stem, "", |prefix| self.has_classes_in(prefix))?;
        let is_named = !self.directories.is_empty();
        is_named.then(|| Artifact { group: group.to_owned(), artifact: self.stem.clone(), version: String::new() })
    }

    /// The artifact of an archive whose file name has no version, and may be any name: the file's, where something else says
    /// the same, else a title, else the last word of the bundle's name.
    fn titled<'a>(&'a self, title: Option<&'a str>, version: &str) -> Option<&'a str> {
        let stem = self.stem.as_str();
        let names = || [self.symbolic_name(), self.header("automatic-module-name")].into_iter().flatten();
        let is_known = groups::of_artifact(stem, version, |prefix| self.has_classes_in(prefix)).is_some();
        let is_module = || names().any(|name| without_artifact(name, stem).is_some() || word(name) == word(stem));
        let of_title = title.filter(|title| is_artifact(title));
        // A title may be the group: `org.apache.lucene`.
        let of_group = of_title.filter(|title| is_group(title) && stem.starts_with(word(title)));
        if is_known || of_title == Some(stem) || of_group.is_some() || of_title.is_none() && is_module() {
            return Some(stem);
        }
        let of_bundle = || self.symbolic_name().map(|name| name.rsplit('.').next().unwrap_or(name));
        let of_vendor = || self.header("implementation-vendor-id").filter(|id| is_group(id)).map(|_| stem);
        of_title.or_else(of_bundle).or_else(of_vendor)
    }

    /// The version of the file's name, unless the manifest has quite another and that may be no version: `log4j-1.2-api`. At the
    /// end of a name it is what the archive was released as; manifests are of older releases, or of what it was made of.
    fn version(&self, named: Option<&str>) -> Option<String> {
        let stated = ["implementation-version", "bundle-version", "specification-version"];
        let stated = stated.iter().filter_map(|key| self.header(key)).map(stated_version);
        let mut stated = stated.filter(|v| is_version(v)).peekable();
        let Some(named) = named else { return stated.next().map(snapshot_base) };
        let first = stated.peek().map(|version| (*version).to_owned());
        let begins = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_digit()));
        let agrees = |version: &str| begins(version, named) || begins(named, version) || same_numbers(version, named);
        let at_end = named.contains('.') && self.stem.ends_with(named);
        if at_end || first.is_none() || stated.any(agrees) { Some(snapshot_base(named)) } else { first }
    }

    /// Group and artifact of `GROUP.ARTIFACT` and `GROUP-ARTIFACT`, as tools name the files of an application. A bundle that has
    /// the whole name as its own may be an artifact with dots: `org.eclipse.osgi`.
    fn with_group<'n>(&self, name: &'n str, version: &str) -> Option<(&'n str, &'n str)> {
        let own = [self.symbolic_name(), self.header("automatic-module-name")];
        let is_bundle = own.iter().flatten().any(|own| *own == name) && names::is_whole_name(name);
        if is_bundle || groups::of_artifact(name, "", |_| false).is_some() {
            return None;
        }
        // sbt writes the group as the vendor.
        let vendors = ["implementation-vendor-id", "implementation-vendor", "specification-vendor"];
        let is_stated = |group: &str| is_group(group) && vendors.iter().any(|key| self.header(key) == Some(group));
        let has = |prefix: &str| self.has_classes_in(prefix);
        let is_known = |group: &str, artifact: &str| groups::of_artifact(artifact, version, has) == Some(group);
        split_group(name, is_known, is_stated)
    }

    fn group(&self, artifact: &str, version: &str) -> Option<String> {
        let vendor = self.header("implementation-vendor-id").filter(|id| is_group(id));
        // Of Scala's artifacts it is what sbt wrote: the group that they were published in.
        let of_scala = vendor.filter(|_| is_of_scala(artifact)).map(str::to_owned);
        let known = || groups::of_artifact(artifact, version, |prefix| self.has_classes_in(prefix)).map(str::to_owned);
        if let Some(group) = of_scala.or_else(known) {
            return Some(group);
        }
        let names = [self.symbolic_name(), self.header("automatic-module-name")];
        let names = || names.into_iter().flatten();
        // The artifact's last word is the bundle's: org.apache.commons.text is commons-text.
        let last = word(artifact);
        let by_word = || names().filter(|name| name.ends_with(last)).find_map(without_last_name);
        let group = vendor.or_else(|| names().find_map(|name| without_artifact(name, artifact))).or_else(by_word);
        group.map(str::to_owned).or_else(|| self.root(artifact))
    }

    /// By the convention of projects with one artifact: `org.pcollections:pcollections` has its classes below
    /// `org/pcollections`, and none elsewhere.
    fn root(&self, artifact: &str) -> Option<String> {
        let is_root = |domain: &&&str| self.is_all_below(&format!("{domain}/{artifact}"));
        ["org", "com", "io", "net"].iter().find(is_root).map(|domain| format!("{domain}.{artifact}"))
    }

    fn has_classes_in(&self, prefix: &str) -> bool {
        self.directories.iter().any(|dir| dir.starts_with(prefix))
    }

    fn is_all_below(&self, root: &str) -> bool {
        let is_below =
            |dir: &String| dir.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        !self.directories.is_empty() && self.directories.iter().all(is_below)
    }
}

/// Whether a name ends with a release of Scala: `cats-core_2.13`, `scala3-library_3`.
fn is_of_scala(artifact: &str) -> bool {
    let release = artifact.rsplit_once('_').map(|(_, release)| release);
    release.is_some_and(|release| {
        release.starts_with(['2', '3']) && release.bytes().all(|b| b == b'.' || b.is_ascii_digit())
    })
}

/// The sections of a manifest, which empty lines divide; a line that begins with a space continues the one above.
fn sections(text: &str) -> impl Iterator<Item = BTreeMap<String, String>> {
    let mut lines = text.lines().skip_while(|line| line.is_empty()).peekable();
    std::iter::from_fn(move || {
        lines.peek()?;
        let (mut section, mut last) = (BTreeMap::new(), String::new());
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            if let Some(more) = line.strip_prefix(' ') {
                section.get_mut(&last).into_iter().for_each(|value: &mut String| value.push_str(more));
            } else if let Some((key, value)) = line.split_once(':') {
                last = key.trim().to_ascii_lowercase();
                section.insert(last.clone(), value.trim_start().to_owned());
            }
        }
        Some(section)
    })
}

/// The last word of a name.
fn word(name: &str) -> &str {
    name.rsplit(['-', '.']).next().unwrap_or(name)
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
