//! What only lies in an image: package managers keep packages in caches, and builds leave them behind, by rules of their own.
//! None of that is installed, and a package manager's records there say nothing about the image.
//!
//! Places that programs do run from are not caches here: Maven's local repository (`mvn exec:java`), Gradle's, NuGet's global
//! packages, `_npx` of npm, the unpacked archives of Yarn's Plug'n'Play, environments of uv.

/// How the path of a file tells: its directories in order, and its name.
type CacheRule = fn(&[&str]) -> bool;

const RULES: &[CacheRule] = &[
    // conda: packages are unpacked here and linked into environments.
    is_conda_package,
    // conda-build: environments of builds.
    |dirs| dirs.contains(&"conda-bld"),
    // pip: temporary directories, left by a build that was aborted.
    is_pip_build,
    // setuptools: what a build needs, and what it makes a wheel of.
    is_setuptools_build,
    // uv: unpacked wheels, linked into environments.
    is_uv_wheel,
    // Yarn 1: unpacked packages, copied into node_modules.
    is_yarn_package,
    // Bun: unpacked packages, linked into node_modules.
    |dirs| has(dirs, &[".bun", "install", "cache"]),
    // Bun: the store of an isolated installation, where what an update no longer needs stays; what is in use is linked.
    is_bun_stored,
    // Go: sources of modules, with their test data.
    is_go_module,
    // Cargo: sources of crates, with their test data.
    is_crate,
];

/// Whether a file lies in a package manager's cache, or is what a build left behind.
pub(super) fn is_cached(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    RULES.iter().any(|rule| rule(&parts))
}

/// Whether a program or an archive lies in a cache that none is run from: what conda installs of its cache is linked and has
/// a path of its own; among sources of modules and crates they are data of tests.
pub(crate) fn is_never_run(path: &str) -> bool {
    // Asked about every program and archive of an image.
    if !["pkgs/", "pkg/mod/", "registry/src/", "git/checkouts/"].iter().any(|dir| path.contains(dir)) {
        return false;
    }
    let parts: Vec<&str> = path.split('/').collect();
    is_conda_package(&parts) || is_go_module(&parts) || is_crate(&parts)
}

/// Whether directories of these names follow each other, above the file.
fn has(parts: &[&str], names: &[&str]) -> bool {
    above(parts).windows(names.len()).any(|window| window == names)
}

fn above<'a, 'p>(parts: &'a [&'p str]) -> &'a [&'p str] {
    parts.split_last().map_or(parts, |(_, dirs)| dirs)
}

/// `pkgs/NAME-VERSION-BUILD/…` (conda, "Conda package specification").
fn is_conda_package(parts: &[&str]) -> bool {
    above(parts).windows(2).any(|pair| matches!(pair, ["pkgs", dist] if is_dist(dist)))
}

/// Whether a name is `NAME-VERSION-BUILD`: versions begin with a digit, in nearly all packages.
fn is_dist(name: &str) -> bool {
    let mut parts = name.rsplitn(3, '-');
    let (build, version, name) = (parts.next(), parts.next(), parts.next());
    build.is_some_and(|build| !build.is_empty())
        && version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        && name.is_some_and(|name| !name.is_empty())
}

/// The prefixes of `pip._internal.utils.temp_dir`.
fn is_pip_build(parts: &[&str]) -> bool {
    let prefixes =
        ["build-env-", "install-", "req-build-", "unpacked-wheel-", "metadata-", "modern-metadata-", "wheel-"];
    let rest = |dir: &&str| dir.strip_prefix("pip-").is_some_and(|rest| prefixes.iter().any(|p| rest.starts_with(p)));
    above(parts).iter().any(rest)
}

fn is_setuptools_build(parts: &[&str]) -> bool {
    let is_bdist = |pair: &[&str]| matches!(pair, ["build", dir] if dir.starts_with("bdist."));
    above(parts).contains(&".eggs") || above(parts).windows(2).any(is_bdist)
}

/// `archive-vN/ID/…`, unless it is a whole environment; `wheels-vN` and `sdists-vN` link there, `builds-vN` has environments of
/// builds.
fn is_uv_wheel(parts: &[&str]) -> bool {
    let dirs = above(parts);
    let bucket = |dir: &str, name: &str| dir.strip_prefix(name).is_some_and(is_number);
    dirs.iter().any(|dir| ["wheels-v", "sdists-v", "builds-v"].iter().any(|name| bucket(dir, name)))
        || dirs.windows(3).any(|dirs| bucket(dirs[0], "archive-v") && !matches!(dirs[2], "lib" | "lib64" | "Lib"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// `v6/npm-NAME-VERSION-HASH/node_modules/NAME/…`.
fn is_yarn_package(parts: &[&str]) -> bool {
    let version = |dir: &str| dir.strip_prefix('v').is_some_and(is_number);
    above(parts).windows(3).any(|d| version(d[0]) && d[1].starts_with("npm-") && d[2] == "node_modules")
}

/// `node_modules/.bun/NAME@VERSION/node_modules/NAME/…` of a release, with `+` for the slash of a scope (Bun, "Isolated
/// installs"). Other names next to it are links to its dependencies.
fn is_bun_stored(parts: &[&str]) -> bool {
    let Some(at) = parts.windows(2).position(|pair| pair == ["node_modules", ".bun"]) else { return false };
    let Some((stored, inside)) = parts.get(at + 2..).and_then(<[&str]>::split_first) else { return false };
    // A scope begins with `@` too.
    let Some((name, version)) = stored.rsplit_once('@').filter(|(name, _)| !name.is_empty()) else { return false };
    let is_name = |inside: &[&str]| match name.split_once('+').filter(|_| name.starts_with('@')) {
        Some((scope, name)) => inside.starts_with(&[scope, name]),
        None => inside.first() == Some(&name),
    };
    let is_release = version.starts_with(|c: char| c.is_ascii_digit());
    is_release && inside.split_first().is_some_and(|(dir, inside)| *dir == "node_modules" && is_name(inside))
}

/// `pkg/mod/MODULE@VERSION/…`. Toolchains are modules too, and run from there.
fn is_go_module(parts: &[&str]) -> bool {
    let Some(at) = parts.windows(2).position(|pair| pair == ["pkg", "mod"]) else { return false };
    above(parts).iter().skip(at + 2).find(|dir| dir.contains('@')).is_some_and(|dir| !dir.starts_with("toolchain@"))
}

/// `registry/src/INDEX-HASH/NAME-VERSION/…`, `git/checkouts/NAME-HASH/REVISION/…` in Cargo's home.
fn is_crate(parts: &[&str]) -> bool {
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let hashed = |dir: &str| dir.rsplit_once('-').is_some_and(|(_, hash)| is_hash(hash));
    above(parts).windows(3).any(|d| matches!(d, ["registry", "src", dir] | ["git", "checkouts", dir] if hashed(dir)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_told_from_what_is_installed() {
        let check = |path: &str, expected: bool| assert_eq!(is_cached(path), expected, "{path}");
        let (site, meta) = ("lib/python3.9/site-packages", "a-1.dist-info/METADATA");
        check(&format!("opt/conda/pkgs/requests-2.28.0-py39_0/{site}/{meta}"), true);
        check(&format!("opt/conda/pkgs/scikit-learn-1.0-py39h_0/info/test/data/{meta}"), true);
        check(&format!("opt/conda/pkgs/my-app-1/{site}/{meta}"), false);
        check(&format!("opt/conda/envs/a-1.0-b/{site}/{meta}"), false);
        check(&format!("opt/conda/conda-bld/a_1/_h_env/{site}/{meta}"), true);
        check(&format!("tmp/pip-build-env-x1/overlay/{site}/{meta}"), true);
        check(&format!("opt/pip-tools/{site}/{meta}"), false);
        check("src/build/bdist.linux-x86_64/wheel/a-1.dist-info/METADATA", true);
        check("src/.eggs/scm-1-py3.9.egg/EGG-INFO/PKG-INFO", true);
        check(&format!("root/.cache/uv/archive-v0/x1/{meta}"), true);
        check(&format!("root/.cache/uv/wheels-v5/pypi/a/a-1-py3-none-any/{meta}"), true);
        check(&format!("root/.cache/uv/archive-v0/x1/{site}/{meta}"), false);
        check(&format!("root/.cache/pypoetry/virtualenvs/a-py3.9/{site}/{meta}"), false);
        check("usr/local/share/.cache/yarn/v6/npm-a-1.0.0-0a-integrity/node_modules/a/package.json", true);
        check("app/v6/node_modules/a/package.json", false);
        check("root/.npm/_npx/0a/node_modules/a/package.json", false);
        check("root/.bun/install/cache/a@1.0.0@@@1/node_modules/b/package.json", true);
        let bun = "app/node_modules/.bun";
        check(&format!("{bun}/a@1.0.0/node_modules/a/package.json"), true);
        check(&format!("{bun}/@s+a@1.0.0+5e44392892a7cd3e/node_modules/@s/a/package.json"), true);
        check(&format!("{bun}/a@1.0.0/node_modules/b/package.json"), false);
        check(&format!("{bun}/@s+a@1.0.0/node_modules/@s/b/package.json"), false);
        check(&format!("{bun}/node_modules/a/package.json"), false);
        check(&format!("{bun}/a@file+..+a/node_modules/a/package.json"), false);
        check("app/node_modules/a/package.json", false);
        check(&format!("go/pkg/mod/github.com/a/b@v1.0.0/testdata/{site}/{meta}"), true);
        check("go/pkg/mod/golang.org/toolchain@v0.0.1-go1.22.1.linux-amd64/a.cdx.json", false);
        check("srv/pkg/mod/node_modules/a/package.json", false);
        check("root/.cargo/registry/src/index.crates.io-6f17d22bba15001f/a-1/tests/x.cdx.json", true);
        check("app/registry/src/main/x.cdx.json", false);
        check("root/.m2/repository/a/b/1/b-1.cdx.json", false);
    }

    #[test]
    fn programs_in_some_caches_are_not_installed() {
        let check = |path: &str, expected: bool| assert_eq!(is_never_run(path), expected, "{path}");
        check("go/pkg/mod/github.com/a/b@v1.0.0/testdata/a.jar", true);
        check("go/pkg/mod/golang.org/toolchain@v0.0.1-go1.22.1.linux-amd64/bin/go", false);
        check("root/.m2/repository/a/b/1/b-1.jar", false);
        check("opt/conda/pkgs/openjdk-17.0.3-h_0/lib/a.jar", true);
        check("opt/conda/lib/a.jar", false);
        check("opt/pkgs/a.jar", false);
    }
}
