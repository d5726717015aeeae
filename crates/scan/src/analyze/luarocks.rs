//! Lua: rocks are in `rocks-LUA/NAME/VERSION-REVISION/` (luarocks, "File locations"), so that the path is enough.

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::Listing;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "LuaRocks",
    files: &[
        "**/rocks/*/*/rock_manifest",
        "**/rocks/*/*/*-*.rockspec",
        "**/rocks-*/*/*/rock_manifest",
        "**/rocks-*/*/*/*-*.rockspec",
    ],
    types: &[PackageType::Luarocks],
    version: 1,
    accepts: is_rock,
    read: parse,
};

fn is_rock(path: &str) -> bool {
    rock(path).is_some()
}

fn parse(path: &str, _: &[u8]) -> ParsedFile {
    let mut listing = Listing::new(path);
    if let Some((name, version)) = rock(path) {
        listing.add(PackageType::Luarocks, name, version);
    }
    listing.done()
}

/// Name and version: of the directories, which those in a rockspec's name must equal.
fn rock(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.rsplit('/');
    let (file, version, name, rocks) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lua = rocks.strip_prefix("rocks")?;
    let in_rocks = lua.is_empty() || lua.strip_prefix('-').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    let rockspec = file.strip_suffix(".rockspec").and_then(|f| f.strip_prefix(name)?.strip_prefix('-'));
    (in_rocks && (file == "rock_manifest" || rockspec == Some(version))).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn paths_name_rocks() {
        let check = |path: &str, expected: &str| {
            assert_eq!(summary(&parse(path, b"")), (expected.to_owned(), 0), "{path}");
            assert_eq!(wants(path), !expected.is_empty(), "{path}");
        };
        let dir = "usr/local/lib/luarocks/rocks-5.1/luasocket/3.1.0-1";
        check(&format!("{dir}/rock_manifest"), "luasocket 3.1.0-1");
        check(&format!("{dir}/luasocket-3.1.0-1.rockspec"), "luasocket 3.1.0-1");
        check(&format!("{dir}/doc/luasocket-3.1.0-1.rockspec"), "");
        check("src/luasocket/3.1.0-1/luasocket-3.1.0-1.rockspec", "");
        check("usr/lib/luarocks/rocks-5.1/manifest", "");
    }
}
