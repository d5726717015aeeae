//! Layers merged as a runtime unpacks them, and images that lie, over OCI layouts made here.

use crate::fixture::{BASH, BOTH, DB, DEBIAN, E, MUSL, OS, STATUS, layer, listed, scan, scan_layers, write_layout};
use std::fs;
use tidewaiter_core::Reason;
use tidewaiter_core::report::GapKind;
use tidewaiter_scan::source::sha256;
use tidewaiter_testkit::layer::entry;

const ZLIB_NEW: &str = "P:musl\nV:1.0-r0\n\nP:zlib\nV:1.4-r0\n\n";
const PACKAGE: &str = r#"{"name":"a","version":"1.0.0"}"#;
const METADATA: &str = "Name: a\nVersion: 1.0\n";

/// Compares what an image of these layers holds, as "name version layer path".
fn check(what: &str, layers: &[&[E<'_>]], expected: &[&str]) {
    let layers: Vec<Vec<u8>> = layers.iter().map(|l| layer(l)).collect();
    assert_eq!(listed(&scan_layers(&layers).unwrap()), expected, "{what}");
}

#[test]
fn layers_merge_as_runtimes_unpack_them() {
    let musl = ["musl 1.0-r0 0 lib/apk/db/installed"];
    check("plain", &[&[OS, E::File(DB, MUSL)]], &musl);
    check("whiteout", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/apk/db/.wh.installed", "")]], &[]);
    check("whiteout of a parent", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/.wh.apk", "")]], &[]);
    check(
        "a whiteout spares its own layer, whatever the order",
        &[&[OS, E::File(DB, BOTH)], &[E::File(DB, MUSL), E::File("lib/apk/db/.wh.installed", "")]],
        &musl,
    );
    let opaque = E::File("lib/apk/db/.wh..wh..opq", "");
    check("opaque directory", &[&[OS, E::File(DB, BOTH)], &[E::Dir("lib/apk/db"), opaque]], &[]);
    check("opaque spares its own layer", &[&[OS, E::File(DB, BOTH)], &[E::File(DB, MUSL), opaque]], &musl);
    check("opaque root", &[&[OS, E::File(DB, BOTH)], &[E::File(".wh..wh..opq", ""), OS]], &[]);
    check("a directory named like a whiteout", &[&[OS, E::File(DB, MUSL)], &[E::File("lib/.wh.apk/x", "")]], &musl);
    check("duplicate entries: the last wins", &[&[OS, E::File(DB, BOTH), E::File(DB, MUSL)]], &musl);
    check("a device at its path", &[&[OS, E::File(DB, MUSL)], &[E::Raw(&entry(b'3', DB, b""))]], &[]);
    check("empty layer", &[&[OS, E::File(DB, MUSL)], &[]], &musl);
}

#[test]
fn yum_says_which_packages_are_of_amazons_extras() {
    let rpms = "docker\t20-1.amzn2\t1\t1\tAmazon Linux\t(none)\t1\tx86_64\t0\tdocker-20-1.amzn2.src.rpm\n\
                bash\t4-1.amzn2\t1\t1\tAmazon Linux\t(none)\t1\tx86_64\t0\tbash-4-1.amzn2.src.rpm\n\
                kernel\t5-1.amzn2\t1\t1\tAmazon Linux\t(none)\t1\tx86_64\t1\tkernel-5-1.amzn2.src.rpm\n";
    let (docker, bash, kernel, old) = (
        "var/lib/yum/yumdb/d/0a-docker-20-1.amzn2-x86_64/from_repo",
        "var/lib/yum/yumdb/b/0b-bash-4-1.amzn2-x86_64/from_repo",
        "var/lib/yum/yumdb/k/0c-kernel-5-1.amzn2-x86_64/from_repo",
        "var/lib/yum/yumdb/b/0d-bash-3-1.amzn2-x86_64/from_repo",
    );
    let image = layer(&[
        E::File("etc/os-release", "ID=amzn\nVERSION_ID=2\n"),
        E::File("var/lib/rpmmanifest/container-manifest-2", rpms),
        E::File(docker, "amzn2extra-docker"),
        // yum links records of one value.
        E::Hardlink(kernel, docker),
        E::File(bash, "amzn2-core"),
        E::File(old, "amzn2extra-BCC"),
    ]);
    let found = |layers: &[Vec<u8>]| -> Vec<String> {
        scan_layers(layers).unwrap().packages.iter().map(|p| format!("{} {}", p.name, p.tag)).collect()
    };
    let image = [image, layer(&[E::File("var/lib/yum/yumdb/d/.wh.0a-docker-20-1.amzn2-x86_64", "")])];
    assert_eq!(found(&image[..1]), ["bash ", "docker amzn2extra-docker", "kernel amzn2extra-docker"]);
    assert_eq!(found(&image), ["bash ", "docker ", "kernel amzn2extra-docker"]);
}

#[test]
fn repositories_add_their_branch_to_that_of_os_release() {
    let check = |layers: &[&[E<'_>]], expected: &[&str]| {
        let layers: Vec<Vec<u8>> = layers.iter().map(|l| layer(l)).collect();
        let os = scan_layers(&layers).unwrap().os.unwrap();
        assert_eq!(os.ecosystems("").iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{os:?}");
    };
    let (own, edge) = ("https://a/alpine/v3.18/main\n", "https://a/alpine/edge/community\n");
    let image = [OS, E::File(DB, MUSL), E::File("etc/apk/repositories", own)];
    check(&[&image], &["Alpine:v3.18"]);
    let both = ["Alpine:v3.18", "Alpine:edge"];
    check(&[&image, &[E::File("etc/apk/repositories", edge)]], &both);
    check(&[&image, &[E::File("etc/apk/repositories.d/edge.list", edge)]], &both);
    check(
        &[&[OS, E::File("etc/apk/repositories", edge)], &[E::File("etc/apk/.wh.repositories", "")]],
        &["Alpine:v3.18"],
    );
}

#[test]
fn an_image_does_not_decide_how_much_is_compared() {
    let check = |branches: usize, gaps: usize, first: &str| {
        let lines =
            |range: std::ops::Range<usize>| range.map(|n| format!("https://a/v3.{n}/main\n")).collect::<String>();
        let (one, other) = (lines(0..branches / 2), lines(branches / 2..branches));
        let image = [
            OS,
            E::File(DB, MUSL),
            E::File("etc/apk/repositories", &one),
            E::File("etc/apk/repositories.d/a.list", &other),
        ];
        let found = scan_layers(&[layer(&image)]).unwrap();
        let limits = found.gaps.iter().filter(|gap| gap.kind == GapKind::LimitReached).count();
        assert_eq!((limits, found.os.unwrap().repositories[0].branch.to_string().as_str()), (gaps, first));
    };
    check(16, 0, "v3.0");
    check(18, 1, "v3.2");
}

#[test]
fn the_layer_is_the_one_since_which_a_package_is_there() {
    let (musl, zlib) = ("musl 1.0-r0 0 lib/apk/db/installed", "zlib 1.3-r0 2 lib/apk/db/installed");
    let os = [OS, E::File(DB, MUSL)];
    check(
        "not the last that wrote the list",
        &[&os, &[E::File(DB, BOTH)], &[E::File(DB, ZLIB_NEW)]],
        &[musl, "zlib 1.4-r0 2 lib/apk/db/installed"],
    );
    let both = [OS, E::File(DB, BOTH)];
    check("removed and installed again", &[&both, &[E::File(DB, MUSL)], &[E::File(DB, BOTH)]], &[musl, zlib]);
    let gone = [E::File("lib/apk/.wh.db", "")];
    check(
        "the whole list gone for a while",
        &[&os, &gone, &[E::File(DB, MUSL)]],
        &["musl 1.0-r0 2 lib/apk/db/installed"],
    );
}

#[test]
fn kinds_replace_each_other() {
    let os = [OS, E::File(DB, MUSL)];
    let musl = |layer: usize, path: &str| format!("musl 1.0-r0 {layer} {path}");
    check("file over directory", &[&os, &[E::File("lib/apk", "x")]], &[]);
    check("file over directory in one layer", &[&[OS, E::File(DB, MUSL), E::File("lib/apk", "x")]], &[]);
    check("link over directory", &[&os, &[E::Symlink("lib", "nowhere")]], &[]);
    check("hard link over directory", &[&os, &[E::File("x", ""), E::Hardlink("lib", "x")]], &[]);
    check("directory over file", &[&os, &[E::Dir(DB)]], &[]);
    let many: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
    let mut far = vec![OS, E::File(DB, MUSL)];
    far.extend(many.iter().map(|path| E::Symlink(path, "y")));
    far.push(E::Dir(DB));
    check("directory over file, far away in one layer", &[&far], &[]);
    let linked = [OS, E::Symlink("lib", "usr/lib")];
    let over = [E::Dir("lib"), E::File(DB, MUSL)];
    check("directory over link", &[&linked, &over], &[&musl(1, DB)]);
    let inside = [OS, E::Symlink("lib", "usr/lib"), E::Dir("lib"), E::File(DB, MUSL)];
    check("directory over link in one layer", &[&inside], &[&musl(0, DB)]);
    let file_first = [OS, E::File("lib", "x"), E::Symlink("lib", "usr/lib"), E::File(DB, MUSL)];
    check("link over file in one layer", &[&file_first], &[&musl(0, "usr/lib/apk/db/installed")]);
    let link_first = [OS, E::File(DB, MUSL), E::Symlink("x", "lib"), E::File("x/apk", "")];
    check("file over directory through a link", &[&link_first], &[]);
}

#[test]
fn links_on_the_way_are_followed() {
    let usr = "musl 1.0-r0 1 usr/lib/apk/db/installed";
    check("linked parent", &[&[OS, E::Symlink("lib", "usr/lib")], &[E::File(DB, MUSL)]], &[usr]);
    check("absolute and out of the root", &[&[OS, E::Symlink("lib", "/../../usr/lib")], &[E::File(DB, MUSL)]], &[usr]);
    check("link loop", &[&[OS, E::Symlink("lib", "lib")]], &[]);
    check("dangling", &[&[OS, E::Symlink(DB, "/nowhere")]], &[]);
    check(
        "written through a link",
        &[&[OS, E::Dir("lib"), E::Symlink("x", "lib"), E::File("x/apk/db/installed", MUSL)]],
        &["musl 1.0-r0 0 lib/apk/db/installed"],
    );
    let share = [DEBIAN, E::Symlink("var/lib/dpkg", "/usr/share/dpkg"), E::File("usr/share/dpkg/status", BASH)];
    check("dpkg elsewhere", &[&share], &["bash 5.2 0 usr/share/dpkg/status"]);
    let single = E::File("usr/share/dpkg/status.d/bash", BASH);
    check(
        "status.d elsewhere",
        &[&[single], &[DEBIAN, E::Symlink("var/lib/dpkg", "../../usr/share/dpkg")]],
        &["bash 5.2 1 usr/share/dpkg/status.d/bash"],
    );
    check(
        "node_modules elsewhere",
        &[&[E::File("deps/a/package.json", PACKAGE), E::Symlink("app/node_modules", "/deps")]],
        &["a 1.0.0 0 deps/a/package.json"],
    );
    check(
        "a linked npm package",
        &[&[E::File("src/a/package.json", PACKAGE), E::Symlink("node_modules/a", "../src/a")]],
        &["a 1.0.0 0 src/a/package.json"],
    );
    check(
        "a store",
        &[&[
            E::File("node_modules/.pnpm/a@1.0.0/node_modules/a/package.json", PACKAGE),
            E::Symlink("node_modules/a", ".pnpm/a@1.0.0/node_modules/a"),
        ]],
        &["a 1.0.0 0 node_modules/.pnpm/a@1.0.0/node_modules/a/package.json"],
    );
    check(
        "site-packages elsewhere",
        &[&[
            E::File("opt/py/a-1.0.dist-info/METADATA", METADATA),
            E::Symlink("usr/lib/python3/site-packages", "/opt/py"),
        ]],
        &["a 1.0 0 opt/py/a-1.0.dist-info/METADATA"],
    );
    check(
        "a linked dist-info",
        &[&[E::File("opt/meta/METADATA", METADATA), E::Symlink("site-packages/a-1.0.dist-info", "/opt/meta")]],
        &["a 1.0 0 opt/meta/METADATA"],
    );
    let link = E::Symlink("node_modules/a", "../src/a");
    check(
        "a link that is gone",
        &[&[E::File("src/a/package.json", PACKAGE), link], &[E::File("node_modules/.wh.a", "")]],
        &[],
    );
}

#[test]
fn caches_count_where_something_leads_to_them() {
    let wheel = |rest: &str| format!("root/.cache/uv/{rest}/a-1.0.dist-info");
    let (unpacked, link) = (wheel("archive-v0/x1") + "/METADATA", "venv/lib/python3/site-packages/a-1.0.dist-info");
    let cache = [
        E::File(&unpacked, METADATA),
        E::Symlink("root/.cache/uv/wheels-v8/pypi/a/1.0-py3-none-any", "../../../archive-v0/x1"),
    ];
    check("a cache alone", &[&cache], &[]);
    let file = format!("{link}/METADATA");
    let target = format!("/{unpacked}");
    check("a link to it", &[&[cache[0], cache[1], E::Symlink(&file, &target)]], &[&format!("a 1.0 0 {unpacked}")]);
    check("a hard link to it", &[&[cache[0], E::Hardlink(&file, &unpacked)]], &[&format!("a 1.0 0 {file}")]);
}

#[test]
fn what_pnpm_no_longer_uses_is_not_installed() {
    let stored = |dir: &str| format!("node_modules/.pnpm/{dir}/node_modules/a/package.json");
    let (old, new) = (stored("a@1.0.0"), stored("a@1.0.1"));
    let packages = [E::File(&old, PACKAGE), E::File(&new, r#"{"name":"a","version":"1.0.1"}"#)];
    let both = [format!("a 1.0.0 0 {old}"), format!("a 1.0.1 0 {new}")];
    check("without a list", &[&packages], &[&both[0], &both[1]]);
    let lock = E::File("node_modules/.pnpm/lock.yaml", "packages:\n  a@1.0.1:\n    resolution: {integrity: x}\n");
    check("left over", &[&[packages[0], packages[1], lock]], &[&both[1]]);
}

#[test]
fn what_bun_no_longer_uses_is_not_installed() {
    let stored = |dir: &str, name: &str| format!("node_modules/.bun/{dir}/node_modules/{name}/package.json");
    let (old, new, b) = (stored("a@1.0.0", "a"), stored("a@1.0.1+0a", "a"), stored("b@2.0.0", "b"));
    let files = [
        E::File(&old, PACKAGE),
        E::File(&new, r#"{"name":"a","version":"1.0.1"}"#),
        E::File(&b, r#"{"name":"b","version":"2.0.0"}"#),
    ];
    check("nothing leads to them", &[&files], &[]);
    let link = E::Symlink("node_modules/a", ".bun/a@1.0.1+0a/node_modules/a");
    let dependency = E::Symlink("node_modules/.bun/a@1.0.1+0a/node_modules/b", "../../b@2.0.0/node_modules/b");
    let used = [format!("a 1.0.1 0 {new}"), format!("b 2.0.0 0 {b}")];
    check("in use", &[&[files[0], files[1], files[2], link, dependency]], &[&used[0], &used[1]]);
}

/// Compares which packages of an image are its own code, as "name path".
fn check_own(what: &str, entries: &[E<'_>], expected: &[&str]) {
    let found = scan_layers(&[layer(entries)]).unwrap();
    let own = found.packages.iter().filter(|p| p.own);
    let own: Vec<String> = own.map(|p| format!("{} {}", p.name, p.locations[0].path)).collect();
    assert_eq!(own, expected, "{what}");
}

#[test]
fn own_code_is_told_from_releases() {
    let source = E::File("packages/a/package.json", PACKAGE);
    let link = E::Symlink("node_modules/a", "../packages/a");
    check_own("a workspace", &[source, link], &["a packages/a/package.json"]);
    let scoped = E::Symlink("node_modules/@s/a", "../../packages/a");
    check_own("a workspace with a scope", &[source, scoped], &["a packages/a/package.json"]);
    let all = [E::File("deps/a/package.json", PACKAGE), E::Symlink("app/node_modules", "/deps")];
    check_own("node_modules elsewhere", &all, &[]);
    let store = E::File("node_modules/.pnpm/a@1.0.0/node_modules/a/package.json", PACKAGE);
    check_own("a store", &[store, E::Symlink("node_modules/a", ".pnpm/a@1.0.0/node_modules/a")], &[]);
    let copied = E::File("app/node_modules/a/package.json", PACKAGE);
    let lock = r#"{"packages":{"node_modules/a":{"resolved":"packages/a","link":true}}}"#;
    let lock = E::File("app/node_modules/.package-lock.json", lock);
    check_own("a link that was copied", &[copied, lock], &["a app/node_modules/a/package.json"]);
    let state = E::File("app/bun.lock", "{\"packages\": {\"a\": [\"a@file:../a\", {}],},}");
    check_own("a folder that Bun copied", &[copied, state], &["a app/node_modules/a/package.json"]);
    let node = [
        DEBIAN,
        E::File(STATUS, BASH),
        E::File("var/lib/dpkg/info/bash.list", "/usr/share/nodejs/a/package.json\n"),
        E::File("usr/share/nodejs/a/package.json", PACKAGE),
        E::Symlink("usr/share/nodejs/b/node_modules/a", "../../a"),
    ];
    check_own("a link of the distribution's", &node, &[]);
}

#[test]
fn folders_of_python_projects_are_own_code() {
    let site = |rest: &str| format!("usr/lib/python3/site-packages/{rest}");
    let (metadata, url) = (site("a-1.0.dist-info/METADATA"), site("a-1.0.dist-info/direct_url.json"));
    let installed = E::File(&metadata, METADATA);
    let folder = E::File(&url, r#"{"url":"file:///src","dir_info":{}}"#);
    check_own("a folder", &[installed, folder], &[&format!("a {metadata}")]);
    let wheel = E::File(&url, r#"{"url":"file:///whl/a-1.0-py3-none-any.whl","archive_info":{}}"#);
    check_own("a wheel", &[installed, wheel], &[]);
    let built = E::File("src/lib/a.egg-info/PKG-INFO", METADATA);
    check_own("what its build left", &[installed, folder, built], &["a src/lib/a.egg-info/PKG-INFO"]);
    let (moved, at) = (E::Symlink("src", "/work"), E::File("work/a.egg-info/PKG-INFO", METADATA));
    check_own("through a link", &[installed, folder, moved, at], &[&format!("a {metadata}")]);
    let egg_link = site("a.egg-link");
    check_own("developed", &[built, E::File(&egg_link, "/src/lib\n.")], &["a src/lib/a.egg-info/PKG-INFO"]);
    let other = E::File("src/b-1.egg-info/PKG-INFO", "Name: b\nVersion: 1\n");
    check_own("another one there", &[installed, folder, other], &[&format!("a {metadata}")]);
}

#[test]
fn hard_links_are_files_of_their_own() {
    let musl = "musl 1.0-r0 0 lib/apk/db/installed";
    check("to an unwanted file", &[&[OS, E::File("x/y", MUSL), E::Hardlink(DB, "x/y")]], &[musl]);
    check(
        "across layers",
        &[&[OS, E::File("x/y", MUSL)], &[E::Hardlink(DB, "x/y")]],
        &["musl 1.0-r0 1 lib/apk/db/installed"],
    );
    check("a chain", &[&[OS, E::File("x/y", MUSL), E::Hardlink("z", "x/y"), E::Hardlink(DB, "/z")]], &[musl]);
    check(
        "the name that stays",
        &[&[OS, E::File("x/y", MUSL), E::Hardlink(DB, "x/y")], &[E::File("x/.wh.y", "")]],
        &[musl],
    );
    check("from a wanted file to an unwanted one", &[&[OS, E::File(DB, MUSL), E::Hardlink("backup", DB)]], &[musl]);
    check(
        "the same layer first",
        &[&[OS, E::File("x", BOTH)], &[E::File("x", MUSL), E::Hardlink(DB, "x")]],
        &["musl 1.0-r0 1 lib/apk/db/installed"],
    );
    check(
        "through a linked parent",
        &[&[OS, E::Symlink("x", "y"), E::File("y/z", MUSL), E::Hardlink(DB, "x/z")]],
        &[musl],
    );
    check("to itself", &[&[OS, E::File(DB, MUSL), E::Hardlink(DB, DB)]], &[musl]);
    check("of a link", &[&[OS, E::File("x", MUSL), E::Symlink("y", "/x"), E::Hardlink(DB, "y")]], &["musl 1.0-r0 0 x"]);
    check(
        "inside a vendored distribution",
        &[&[
            E::File("site-packages/a-1.0.dist-info/METADATA", METADATA),
            E::Hardlink("site-packages/b/_vendor/a-1.0.dist-info/METADATA", "site-packages/a-1.0.dist-info/METADATA"),
        ]],
        &["a 1.0 0 site-packages/a-1.0.dist-info/METADATA", "a 1.0 0 site-packages/b/_vendor/a-1.0.dist-info/METADATA"],
    );
}

#[test]
fn what_was_not_seen_is_said() {
    let check = |entries: &[E<'_>], expected: &[GapKind]| {
        let found = scan_layers(&[layer(entries)]).unwrap();
        let found: Vec<GapKind> = found.gaps.iter().map(|g| g.kind).collect();
        assert_eq!(found, expected, "{entries:?}");
    };
    let npm = |json| E::File("node_modules/a/package.json", json);
    let zlib = E::File("nix/store/3bmd8hwd-zlib-1.2.11/lib/libz.so", "x");
    check(&[npm(PACKAGE), zlib], &[GapKind::UnsupportedOs]);
    check(&[npm(PACKAGE), E::Dir("nix/store")], &[]);
    check(&[E::File("hello", "x")], &[GapKind::NothingRecognized]);
    check(&[OS], &[GapKind::NoPackageDatabase]);
    check(&[OS, E::File(DB, "")], &[GapKind::NoPackageDatabase]);
    check(&[OS, E::Symlink(DB, "nowhere")], &[GapKind::NoPackageDatabase]);
    check(&[DEBIAN, E::File(STATUS, "")], &[GapKind::NoPackageDatabase]);
    check(&[DEBIAN, E::File(STATUS, "\0\u{1}garbage\n")], &[GapKind::NoPackageDatabase, GapKind::UnreadableFile]);
    check(&[DEBIAN, E::File(STATUS, &BASH[..BASH.len() - 4])], &[GapKind::UnreadableFile]);
    check(&[DEBIAN, E::File(STATUS, BASH), E::File(DB, MUSL)], &[GapKind::UnsupportedOs]);
    check(&[E::File(DB, MUSL)], &[GapKind::UnsupportedOs]);
    check(&[E::File(STATUS, ""), npm(PACKAGE)], &[GapKind::UnsupportedOs]);
    check(&[OS, E::File(DB, "P:musl\n\n")], &[GapKind::NoPackageDatabase, GapKind::UnreadableFile]);
    check(&[E::File("etc/os-release", "ID=gentoo\nVERSION_ID=2\n")], &[GapKind::UnsupportedOs]);
    check(&[E::File("etc/os-release", "ID=fedora\nVERSION_ID=40\n")], &[GapKind::NoPackageDatabase]);
    check(&[OS, E::File(DB, MUSL), npm("{")], &[GapKind::UnreadableFile]);
    check(&[OS, E::File(DB, MUSL), E::File("a.dist-info/METADATA", "Name: a\n")], &[GapKind::UnreadableFile]);
    let rpm = [E::Symlink("var/lib/rpm", "/opt/rpm"), E::File("opt/rpm/rpmdb.sqlite", "x")];
    check(&[OS, E::File(DB, MUSL), rpm[0], rpm[1]], &[GapKind::UnreadableFile]);
}

#[test]
fn linked_packages_are_listed_once() {
    let store = "app/node_modules/.pnpm/a@1.0.0/node_modules/a";
    let package = format!("{store}/package.json");
    let entries = [
        OS,
        E::File(DB, MUSL),
        E::File(&package, PACKAGE),
        E::Symlink("app/node_modules/a", ".pnpm/a@1.0.0/node_modules/a"),
        E::Symlink("app/node_modules/.pnpm/node_modules/a", "../a@1.0.0/node_modules/a"),
    ];
    let expected = format!("a 1.0.0 0 {package}");
    check("pnpm", &[&entries], &["musl 1.0-r0 0 lib/apk/db/installed", &expected]);
    let site = "usr/lib/python3/site-packages";
    let (link, info) = (format!("{site}/a.egg-link"), format!("{site}/a-1.0.dist-info"));
    let (metadata, url) = (format!("{info}/METADATA"), format!("{info}/direct_url.json"));
    let editable = [OS, E::File(DB, MUSL), E::File(&metadata, METADATA), E::File(&url, "{}")];
    let expected = format!("a 1.0 0 {metadata}");
    check("PEP 610", &[&editable], &["musl 1.0-r0 0 lib/apk/db/installed", &expected]);
    let egg = [OS, E::File(DB, MUSL), E::File(&link, "/src\n."), E::File("src/a.egg-info/PKG-INFO", METADATA)];
    check("egg-link", &[&egg], &["musl 1.0-r0 0 lib/apk/db/installed", "a 1.0 0 src/a.egg-info/PKG-INFO"]);
}

#[test]
fn databases_beside_no_advisories_are_listed_and_said() {
    let check = |entries: &[E<'_>], expected: &[&str], gaps: &[GapKind]| {
        let found = scan_layers(&[layer(entries)]).unwrap();
        assert_eq!(listed(&found), expected, "{entries:?}");
        assert_eq!(found.gaps.iter().map(|g| g.kind).collect::<Vec<_>>(), gaps, "{entries:?}");
    };
    let os = |text| E::File("etc/os-release", text);
    let bash = ["bash 5.2 0 var/lib/dpkg/status"];
    check(&[os("ID=kali\nID_LIKE=debian\n"), E::File(STATUS, BASH)], &bash, &[GapKind::UnsupportedOs]);
    let musl = ["musl 1.0-r0 0 lib/apk/db/installed"];
    check(&[os("ID=postmarketos\n"), E::File(DB, MUSL)], &musl, &[GapKind::UnsupportedOs]);
    let desc = E::File("var/lib/pacman/local/bash-5.2-1/desc", "%NAME%\nbash\n\n%VERSION%\n5.2-1\n\n");
    let pacman = ["bash 5.2-1 0 var/lib/pacman/local/bash-5.2-1/desc"];
    check(&[os("ID=arch\n"), desc], &pacman, &[]);
    check(&[os("ID=manjaro\n"), desc], &pacman, &[GapKind::UnsupportedOs]);
    check(&[os("ID=arch\n")], &[], &[GapKind::NoPackageDatabase]);
    let portage = [E::File("var/db/pkg/a/b-1/PF", "b-1\n"), E::File("var/db/pkg/a/c-1/PF", "c-1\n")];
    check(&[DEBIAN, E::File(STATUS, BASH), portage[0], portage[1]], &bash, &[GapKind::UnsupportedOs]);
    check(&[DEBIAN, E::File(STATUS, BASH), E::File("var/lib/opkg/status", "")], &bash, &[GapKind::UnsupportedOs]);
}

#[test]
fn images_that_lie_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = layer(&[OS, E::File(DB, MUSL)]);
    let reason = |stored: &[u8], claimed: &str| {
        write_layout(dir.path(), &[stored.to_vec()], &[claimed.to_owned()]);
        scan(dir.path()).map(|_| String::new()).unwrap_or_else(|e| e.reason().to_string())
    };
    let id = |bytes: &[u8]| sha256(bytes).to_string();
    assert_eq!(reason(&good, &id(&good)), "");
    assert_eq!(reason(&good, &id(b"other")), "DiffIdMismatch");
    let cut = &good[..good.len() / 2 - 100];
    assert_eq!(reason(cut, &id(cut)), "BadLayer");
    let mut bad_sum = good.clone();
    bad_sum[0] ^= 1;
    assert_eq!(reason(&bad_sum, &id(&bad_sum)), "BadLayer");
    // Bytes changed after the manifest was written.
    write_layout(dir.path(), std::slice::from_ref(&good), &[id(&good)]);
    let blob = dir.path().join("blobs/sha256").join(sha256(&good).hex());
    fs::write(&blob, [&good[..good.len() - 1], b"x"].concat()).unwrap();
    assert_eq!(scan(dir.path()).unwrap_err().reason(), Reason::DigestMismatch);
    fs::write(&blob, &good[..good.len() - 512]).unwrap();
    assert_eq!(scan(dir.path()).unwrap_err().reason(), Reason::LayerTruncated);
}

#[test]
fn packages_in_files_of_os_packages_name_their_owner() {
    const A: &str = "usr/share/nodejs/node_modules/a/package.json";
    const B: &str = "app/node_modules/a/package.json";
    let list = format!("/usr\n/{A}\n");
    let first = [DEBIAN, E::File(STATUS, BASH), E::File("var/lib/dpkg/info/bash.list", &list), E::File(A, PACKAGE)];
    let check = |layers: &[&[E<'_>]], expected: &[(&str, &str)]| {
        let layers: Vec<Vec<u8>> = layers.iter().map(|l| layer(l)).collect();
        let inventory = scan_layers(&layers).unwrap();
        let found = inventory.packages.iter().filter(|p| p.name == "a");
        let found: Vec<_> = found.map(|p| (p.owner.as_str(), p.locations[0].path.as_str())).collect();
        assert_eq!(found, expected);
    };
    check(&[&first], &[("bash", A)]);
    check(&[&first, &[E::File(B, PACKAGE)]], &[("", B), ("bash", A)]);
    check(&[&first, &[E::File("var/lib/dpkg/info/.wh.bash.list", "")]], &[("", A)]);
}
