//! The modules of a build info: Go's `runtime/debug`, `ParseBuildInfo`.

use super::BuildInfo;
use crate::analyze::{ParsedFile, unreadable};
use std::borrow::Cow;
use tidewaiter_core::package::{Package, PackageType, UNRELEASED};

/// A module of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Module<'a> {
    path: &'a str,
    version: &'a str,
}

impl<'a> Module<'a> {
    fn of(fields: &'a str) -> Self {
        let mut fields = fields.split('\t');
        Module { path: fields.next().unwrap_or_default(), version: fields.next().unwrap_or_default() }
    }

    /// Whether it is a directory and not a module, by `replace x => ./y`.
    fn is_local(&self) -> bool {
        self.version.is_empty() || self.version == UNRELEASED || self.path.starts_with(['.', '/'])
    }
}

/// All lines of a build info that are read.
#[derive(Debug, Default)]
struct Lines<'a> {
    path: &'a str,
    main: Option<Module<'a>>,
    /// Each with what it is replaced by.
    deps: Vec<(Module<'a>, Option<Module<'a>>)>,
    ldflags: Option<Cow<'a, str>>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let mut out = Lines::default();
        for line in text.lines() {
            let Some((key, rest)) = line.split_once('\t') else { continue };
            match key {
                "path" => out.path = rest,
                "mod" => out.main = Some(Module::of(rest)),
                "dep" => out.deps.push((Module::of(rest), None)),
                "=>" => {
                    if let Some((_, replacement)) = out.deps.last_mut() {
                        *replacement = Some(Module::of(rest));
                    }
                }
                "build" => out.setting(rest),
                _ => {}
            }
        }
        out
    }

    fn setting(&mut self, line: &'a str) {
        if let Some(value) = line.strip_prefix("-ldflags=").or_else(|| line.strip_prefix("\"-ldflags\"=")) {
            self.ldflags = Some(unquote(value));
        }
    }
}

/// Go's `strconv.Unquote`, as far as flags need it.
fn unquote(value: &str) -> Cow<'_, str> {
    if let Some(raw) = value.strip_prefix('`') {
        return Cow::Borrowed(raw.strip_suffix('`').unwrap_or(raw));
    }
    let Some(quoted) = value.strip_prefix('"') else { return Cow::Borrowed(value) };
    let mut out = String::with_capacity(quoted.len());
    let mut escaped = false;
    for c in quoted.strip_suffix('"').unwrap_or(quoted).chars() {
        match (escaped, c) {
            (false, '\\') => {
                escaped = true;
                continue;
            }
            (true, 't' | 'n') => out.push(' '),
            _ => out.push(c),
        }
        escaped = false;
    }
    Cow::Owned(out)
}

pub(super) fn packages(path: &str, info: &BuildInfo) -> ParsedFile {
    let lines = Lines::of(&info.modules);
    let mut out = ParsedFile::default();
    if !info.version.is_empty() {
        out.packages.push(go("stdlib", &toolchain(&info.version)));
    }
    out.packages.extend(lines.main.filter(|main| !main.path.is_empty()).map(|main| main_module(main, &lines, info)));
    out.packages
        .extend(lines.deps.iter().filter(|(dep, _)| !dep.path.is_empty()).map(|(dep, by)| dependency(*dep, *by)));
    out.packages.sort();
    out.packages.dedup();
    if info.version.is_empty() {
        out.gaps.push(unreadable(path, "the version of Go that built this program is not known"));
    }
    if lines.path.is_empty() && lines.main.is_none() {
        out.gaps.push(unreadable(path, "this Go program was built without naming its modules"));
    }
    out
}

fn go(name: &str, version: &str) -> Package {
    Package::new(PackageType::Golang, name, version)
}

/// `go1.22.4 X:boringcrypto` → `1.22.4`; of an unreleased toolchain the release it leads to, as a pre-release.
fn toolchain(version: &str) -> String {
    let unreleased = version.starts_with("devel ");
    let version = version.strip_prefix("devel ").unwrap_or(version);
    let version = version.split(' ').next().unwrap_or_default();
    let number = version.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    // What follows a hyphen in a release is the vendor's (Go's `go/version`): `go1.22.4-1` of Microsoft, `-X:nocoverageredesign`.
    let number = number.map(|number| if unreleased { number } else { number.split('-').next().unwrap_or_default() });
    number.unwrap_or(UNRELEASED).to_owned()
}

/// The program's own module. Its version is the release that Go wrote, or else what the build put into a variable by the
/// linker's flags: a pseudo-version only says which commit was built.
fn main_module(main: Module<'_>, lines: &Lines<'_>, info: &BuildInfo) -> Package {
    let stamped = Some(main.version).filter(|version| !version.is_empty() && *version != UNRELEASED);
    let base = stamped.map(pseudo_base);
    if let (Some(version), Some(PseudoBase::None)) = (stamped, base) {
        return go(main.path, version);
    }
    let flags = lines.ldflags.as_deref().map(assignments).unwrap_or_default();
    if let Some(version) = flagged(flags, main.path).or_else(|| flagged(info.variables.clone(), main.path)) {
        return go(main.path, &version);
    }
    match (stamped, base) {
        (Some(version), Some(PseudoBase::Release)) => go(main.path, version),
        // Without a release before it, it is only a time, and sorts below every release.
        (version, _) => {
            Package { source_version: UNRELEASED.to_owned(), ..go(main.path, version.unwrap_or(UNRELEASED)) }
        }
    }
}

/// What a version says of the release before it (Go Modules Reference, "Pseudo-versions").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PseudoBase {
    /// It is no pseudo-version.
    None,
    /// `v1.4.1-0.20260105101112-abcdef012345`: after v1.4.0.
    Release,
    /// `v2.0.0-20251210145848-0123456789ab`: no release came before.
    Nothing,
}

fn pseudo_base(version: &str) -> PseudoBase {
    let plain = version.split('+').next().unwrap_or_default();
    let Some((before, revision)) = plain.rsplit_once('-') else { return PseudoBase::None };
    let at = before.len().saturating_sub(14);
    let (Some(base), Some(time)) = (before.get(..at), before.get(at..)) else { return PseudoBase::None };
    let is_revision = revision.len() == 12 && revision.bytes().all(|b| b.is_ascii_alphanumeric());
    match is_revision && time.len() == 14 && time.bytes().all(|b| b.is_ascii_digit()) {
        true if base.ends_with(".0.0-") => PseudoBase::Nothing,
        true if base.ends_with("-0.") || base.ends_with(".0.") => PseudoBase::Release,
        _ => PseudoBase::None,
    }
}

fn dependency(dep: Module<'_>, replacement: Option<Module<'_>>) -> Package {
    match replacement {
        Some(by) if !by.is_local() => go(by.path, by.version),
        None if dep.version != UNRELEASED => go(dep.path, dep.version),
        // Code of the program's own source tree: a folder in `go.mod`, or a module of its workspace.
        _ => Package { vendored: true, own: true, ..go(dep.path, UNRELEASED) },
    }
}

/// Names of variables with a program's version, in lower case.
const VARIABLES: [&str; 13] = [
    "version",
    "ver",
    "appversion",
    "buildversion",
    "gitversion",
    "releaseversion",
    "programversion",
    "semver",
    "tag",
    "gittag",
    "buildtag",
    "versionstring",
    "currentversion",
];

/// The version in a variable that the linker set, `importpath.name`: of the program's own packages first, then of a package named `version`.
fn flagged(variables: Vec<(String, String)>, module: &str) -> Option<String> {
    let mut own = None;
    let mut other = None;
    for (variable, value) in variables {
        let Some((package, name)) = variable.rsplit_once('.') else { continue };
        if !VARIABLES.contains(&name.to_ascii_lowercase().as_str()) || !is_release(&value) {
            continue;
        }
        let below = |dir: &str| package.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if package == "main" || below(module) {
            own.get_or_insert(value);
        } else if package.ends_with("/version") || package.ends_with("/buildinfo") {
            other.get_or_insert(value);
        }
    }
    let version = own.or(other)?;
    Some(if version.starts_with('v') { version } else { format!("v{version}") })
}

/// `-X a=b`, `-X=a=b`, with or without quotes around.
fn assignments(flags: &str) -> Vec<(String, String)> {
    let words = words(flags);
    let mut out = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let assignment = match word.as_str() {
            "-X" => words.get(index + 1).map(String::as_str),
            word => word.strip_prefix("-X=").or_else(|| word.strip_prefix("-X ")),
        };
        let pair = assignment.and_then(|text| text.split_once('='));
        out.extend(pair.map(|(variable, value)| (variable.trim().to_owned(), unquoted(value))));
    }
    out
}

fn unquoted(value: &str) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

/// Splits at spaces outside quotes.
fn words(flags: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quote = None;
    for c in flags.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => out.push(String::new()),
            _ => out.iter_mut().last().into_iter().for_each(|word| word.push(c)),
        }
    }
    out.retain(|word| !word.is_empty());
    out
}

/// Whether this looks like a release: two numbers at least, and nothing that no version has.
fn is_release(value: &str) -> bool {
    let version = value.strip_prefix('v').unwrap_or(value);
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let count = numbers.split('.').filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())).count();
    let plain = version.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._~".contains(&b));
    (2..=3).contains(&count) && count == numbers.split('.').count() && plain && !version.starts_with("0.0.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: &str, modules: &str, expected: &[&str]) {
        let info = BuildInfo { version: version.to_owned(), modules: modules.to_owned(), ..BuildInfo::default() };
        let parsed = packages("app", &info);
        let line = |p: &Package| format!("{} {}{}", p.name, p.version, if p.vendored && p.own { " own" } else { "" });
        assert_eq!(parsed.packages.iter().map(line).collect::<Vec<_>>(), expected, "{modules}");
    }

    #[test]
    fn modules_and_their_replacements() {
        check("go1.22.4", "path\tcmd/x\n", &["stdlib 1.22.4"]);
        check(
            "go1.20 X:boringcrypto",
            "path\ta/cmd\nmod\ta\tv1.2.3+incompatible\th1:x\ndep\tb\tv1.0.0\th1:y\ndep\tc\tv1.0.0\n=>\td\tv1.1.0\th1:z\n\
             dep\te\tv0.0.0\n=>\t./e\t(devel)\t\ndep\tf\t(devel)\t\n",
            &["a v1.2.3+incompatible", "b v1.0.0", "d v1.1.0", "e (devel) own", "f (devel) own", "stdlib 1.20"],
        );
    }

    #[test]
    fn toolchains() {
        for (version, expected) in [
            ("go1.21rc2", "1.21rc2"),
            ("go1.21.13 (Red Hat 1.21.13-4.el9)", "1.21.13"),
            ("go1.20.1-X:nocoverageredesign", "1.20.1"),
            ("go1.22.4-fips", "1.22.4"),
            ("go1.22.4-1", "1.22.4"),
            ("devel go1.23-3b2d3c Thu Jan 1", "1.23-3b2d3c"),
            ("devel +a1b2c3 Thu Jan 1", "(devel)"),
        ] {
            assert_eq!(toolchain(version), expected);
        }
    }

    #[test]
    fn main_modules_without_a_version() {
        let check = |main: &str, flags: &str, expected: &str, compared: &str| {
            let modules = format!("path\tgithub.com/a/b/cmd\nmod\tgithub.com/a/b\t{main}\t\nbuild\t-ldflags={flags}\n");
            let info = BuildInfo { version: "go1.22".to_owned(), modules, ..BuildInfo::default() };
            let parsed = packages("app", &info);
            let package = parsed.packages.iter().find(|p| p.name == "github.com/a/b").unwrap();
            assert_eq!((package.version.as_str(), package.advisory_version()), (expected, compared), "{main} {flags}");
        };
        check("(devel)", r#""-s -w -X main.version=1.2.3""#, "v1.2.3", "v1.2.3");
        check("(devel)", r#""-X 'github.com/a/b/internal.Version=v1.2.3-rc.1' -s""#, "v1.2.3-rc.1", "v1.2.3-rc.1");
        check("(devel)", r#""-X=k8s.io/component-base/version.gitVersion=v1.28.2""#, "v1.28.2", "v1.28.2");
        check("(devel)", r#""-X k8s.io/c/version.gitVersion=v1.28.2 -X main.Version=v2.0""#, "v2.0", "v2.0");
        check("(devel)", r#""-X other/pkg.Version=v1.2.3""#, "(devel)", "(devel)");
        check("(devel)", r#""-X main.version=dev -X main.commit=1.2.3""#, "(devel)", "(devel)");
        check("v0.0.0-20240101000000-abcdefabcdef", "-s", "v0.0.0-20240101000000-abcdefabcdef", "(devel)");
        check("v0.0.0-20240101000000-abcdefabcdef", r#""-X main.version=v3.1.4""#, "v3.1.4", "v3.1.4");
        check("v1.4.0+dirty", r#""-X main.version=v3.1.4""#, "v1.4.0+dirty", "v1.4.0+dirty");
        let untagged = "v2.0.0-20251210145848-0123456789ab";
        check(untagged, r#""-X main.version=v2.5.1""#, "v2.5.1", "v2.5.1");
        check(untagged, "-s", untagged, "(devel)");
        let tagged = "v1.4.1-0.20260105101112-abcdef012345+dirty";
        check(tagged, r#""-X github.com/a/b/internal/version.Version=1.6.0""#, "v1.6.0", "v1.6.0");
        check(tagged, "-s", tagged, tagged);
    }

    #[test]
    fn pseudo_versions() {
        let check = |version: &str, expected: PseudoBase| assert_eq!(pseudo_base(version), expected, "{version}");
        check("v1.4.0", PseudoBase::None);
        check("v1.4.0-rc.1", PseudoBase::None);
        check("v1.4.0-20260105101112", PseudoBase::None);
        check("v0.0.0-20260105101112-abcdef012345", PseudoBase::Nothing);
        check("v2.0.0-20260105101112-abcdef012345+incompatible", PseudoBase::Nothing);
        check("v1.4.1-0.20260105101112-abcdef012345", PseudoBase::Release);
        check("v1.4.0-rc.1.0.20260105101112-abcdef012345", PseudoBase::Release);
    }

    #[test]
    fn symbols_say_what_trimmed_flags_do_not() {
        let variables =
            vec![("main.commit".to_owned(), "1.2.3".to_owned()), ("main.version".to_owned(), "12.3.3".to_owned())];
        let modules = "path\ta/b\nmod\ta/b\t(devel)\t\n".to_owned();
        let parsed = packages("app", &BuildInfo { version: "go1.26".to_owned(), modules, variables });
        assert_eq!(
            (parsed.packages[0].version.as_str(), parsed.packages[0].advisory_version()),
            ("v12.3.3", "v12.3.3")
        );
    }
}
