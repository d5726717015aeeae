//! .NET: `NAME.deps.json`, the runtime configuration that names the packages an application was built of
//! (dotnet/sdk, "runtime-configuration-file"), and those of the shared frameworks.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::{Listing, json, text};
use super::parsed::failed;
use serde_json::{Map, Value};
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: ".NET",
    files: &["**/*.deps.json"],
    types: &[PackageType::Nuget],
    version: 2,
    accepts: all,
    read: parse,
};

pub(super) fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let json = match json(bytes) {
        Ok(json) => json,
        Err(cause) => return failed(path, &cause),
    };
    let Some(libraries) = json.get("libraries").and_then(Value::as_object) else {
        return failed(path, "it names no libraries");
    };
    let target = json.pointer("/runtimeTarget/name").and_then(Value::as_str);
    let target = target.or_else(|| json.get("runtimeTarget").and_then(Value::as_str)).unwrap_or_default();
    let files = json.get("targets").and_then(|targets| targets.get(target)).and_then(Value::as_object);
    let framework = Framework::of(path);
    let mut found = false;
    let mut listing = Listing::new(path);
    for (key, library) in libraries {
        let (name, version) = key.split_once('/').unwrap_or((key, ""));
        if let Some(framework) = framework.as_ref().filter(|framework| framework.is(name)) {
            found = true;
            // Advisories for these versions name the framework, not the platform.
            let old = name.to_lowercase().starts_with("runtime.");
            listing.add(PackageType::Nuget, if old { framework.name } else { name }, framework.version);
            continue;
        }
        match text(library, "type") {
            "project" => listing.own(PackageType::Nuget, name, version),
            "package" if ships(files, key) => listing.add(PackageType::Nuget, name, version),
            "runtimepack" => {
                let name = name.strip_prefix("runtimepack.").unwrap_or(name);
                listing.add(PackageType::Nuget, name, version);
            }
            _ => {}
        }
    }
    if let Some(framework) = framework.filter(|_| !found) {
        listing.add(PackageType::Nuget, &framework.package(target), framework.version);
    }
    listing.done()
}

/// Whether a library's files are part of the application. Many packages only bring others, or serve the compiler; the
/// target says which. A library that it does not mention may be there.
fn ships(files: Option<&Map<String, Value>>, key: &str) -> bool {
    let Some(library) = files.and_then(|files| files.get(key)) else { return true };
    // NuGet writes `_._` for no file.
    let real = |files: &Map<String, Value>| files.keys().any(|file| !file.ends_with("_._"));
    let assets = ["runtime", "runtimeTargets", "native", "resources"];
    assets.iter().any(|kind| library.get(kind).and_then(Value::as_object).is_some_and(real))
}

/// A shared framework, installed as `shared/NAME/VERSION/NAME.deps.json`.
struct Framework<'a> {
    name: &'a str,
    version: &'a str,
}

impl<'a> Framework<'a> {
    fn of(path: &'a str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let (file, version, name) = (parts.next()?, parts.next()?, parts.next()?);
        let named = file.strip_suffix(".deps.json") == Some(name);
        (named && parts.next() == Some("shared")).then_some(Framework { name, version })
    }

    /// Whether a library is the framework: `Microsoft.NETCore.App.Runtime.linux-x64`, once
    /// `runtime.linux-x64.Microsoft.NETCore.App`.
    fn is(&self, library: &str) -> bool {
        let (own, library) = (self.name.to_lowercase(), library.to_lowercase());
        library.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with(".runtime."))
            || library.starts_with("runtime.") && library.strip_suffix(&own).is_some_and(|rest| rest.ends_with('.'))
    }

    /// The package it comes from, by a target such as `.NETCoreApp,Version=v8.0/linux-x64`.
    fn package(&self, target: &str) -> String {
        match target.split_once('/') {
            Some((_, platform)) if !platform.is_empty() => format!("{}.Runtime.{platform}", self.name),
            _ => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::*;

    const APP: &str = "app/App.deps.json";

    fn check(path: &str, json: &str, expected: &str, gaps: usize) {
        assert_eq!(summary(&parse(path, json.as_bytes())), (expected.to_owned(), gaps), "{path} {json}");
    }

    #[test]
    fn libraries_become_packages() {
        let deps = |libraries: &str, target: &str| {
            format!(r#"{{"runtimeTarget":{{"name":"T"}},"targets":{{"T":{{{target}}}}},"libraries":{{{libraries}}}}}"#)
        };
        check(APP, &deps(r#""App/1.0":{"type":"project"},"A/1.2":{"type":"package"}"#, ""), "A 1.2, App 1.0 (own)", 0);
        let runtime = r#""A/1":{"runtime":{"lib/A.dll":{}}}"#;
        check(APP, &deps(r#""A/1":{"type":"package"}"#, runtime), "A 1", 0);
        check(APP, &deps(r#""A/1":{"type":"package"}"#, r#""A/1":{"dependencies":{"B":"1"}}"#), "", 0);
        check(APP, &deps(r#""A/1":{"type":"package"}"#, r#""A/1":{"runtime":{"lib/_._":{}}}"#), "", 0);
        check(APP, &deps(r#""A/1":{"type":"package"}"#, r#""A/1":{"native":{"libA.so":{}}}"#), "A 1", 0);
        let pack = r#""runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/8.0.1":{"type":"runtimepack"}"#;
        check(APP, &deps(pack, ""), "Microsoft.NETCore.App.Runtime.linux-x64 8.0.1", 0);
        check(APP, &deps(r#""A":{"type":"package"}"#, ""), "A ", 0);
        check(APP, "\u{feff}{\"libraries\":{}}", "", 0);
        check(APP, "{}", "", 1);
        check(APP, "{", "", 1);
    }

    #[test]
    fn shared_frameworks_are_their_runtime_package() {
        let path = "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json";
        let runtime = "Microsoft.NETCore.App.Runtime.linux-x64 8.0.1";
        let key = "Microsoft.NETCore.App.Runtime.linux-x64/8.0.1-servicing.1";
        check(path, &format!(r#"{{"libraries":{{"{key}":{{"type":"package"}}}}}}"#), runtime, 0);
        let target = r#""runtimeTarget":{"name":".NETCoreApp,Version=v8.0/linux-x64"}"#;
        check(path, &format!(r#"{{{target},"libraries":{{}}}}"#), runtime, 0);
        check(path, r#"{"libraries":{}}"#, "Microsoft.NETCore.App 8.0.1", 0);
        let old = r#"{"libraries":{"runtime.linux-x64.Microsoft.NETCore.App/2.1.30":{"type":"package"}}}"#;
        check(path, old, "Microsoft.NETCore.App 8.0.1", 0);
        check("shared/A/1/B.deps.json", r#"{"libraries":{}}"#, "", 0);
    }
}
