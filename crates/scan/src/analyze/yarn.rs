//! Yarn's cache: with Plug'n'Play packages run from zip archives, and no `node_modules` lists them (yarnpkg.com, "Yarn
//! PnP").

use super::Parsed;
use super::listing::failed;
use super::npm;
use std::io::{Cursor, Read};

/// Most bytes of one `package.json`, of which an archive has one for the package and one for each that it bundles.
const MAX_FILE: u64 = 8 << 20;
/// Most bytes of all of them.
const MAX_FILES: u64 = 64 << 20;

/// The cache of a project (`.yarn/cache`), of a user (`.yarn/berry/cache`), or wherever that was moved to.
pub(super) fn wants(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    let Some(file) = parts.next().filter(|file| file.ends_with(".zip")) else { return false };
    parts.next() == Some("cache") && (file.contains("-npm-") || matches!(parts.next(), Some(".yarn" | "berry")))
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    packages(bytes).unwrap_or_else(|cause| failed(path, &cause))
}

fn packages(bytes: &[u8]) -> Result<Parsed, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("it is no zip archive ({e})"))?;
    let mut names: Vec<String> = Vec::new();
    for name in archive.file_names() {
        let name = name.map_err(|e| format!("it names a file that cannot be read ({e})"))?;
        if npm::wants(&name) {
            names.push(name.into_owned());
        }
    }
    if names.is_empty() {
        return Err("it holds no package".to_owned());
    }
    let mut parsed = Parsed::default();
    let mut left = MAX_FILES;
    for name in names {
        let entry = archive.by_name(&name).map_err(|e| format!("{name} cannot be read ({e})"))?;
        let mut json = Vec::new();
        entry.take(left.min(MAX_FILE)).read_to_end(&mut json).map_err(|e| format!("{name} is damaged ({e})"))?;
        left = left.saturating_sub(json.len() as u64);
        parsed.add(npm::parse(&name, &json));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::*;
    use std::io::Write as _;

    fn zip(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, content) in files {
            zip.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn archives_become_packages() {
        let path = "app/.yarn/cache/@s-a-npm-1.0.0-0123456789-0123456789.zip";
        let check = |bytes: &[u8], expected: &str, gaps: usize| {
            assert_eq!(summary(&parse(path, bytes)), (expected.to_owned(), gaps));
        };
        let own = ("node_modules/@s/a/package.json", r#"{"name":"@s/a","version":"1.0.0"}"#);
        let test = ("node_modules/@s/a/test/package.json", r#"{"name":"t","version":"1.0.0"}"#);
        let bundled = ("node_modules/@s/a/node_modules/b/package.json", r#"{"name":"b","version":"2.0.0"}"#);
        check(&zip(&[own, test, bundled]), "@s/a 1.0.0, b 2.0.0", 0);
        check(&zip(&[("node_modules/a/index.js", "")]), "", 1);
        check(b"", "", 1);
        let whole = zip(&[own]);
        check(&whole[..whole.len() / 2], "", 1);
    }

    #[test]
    fn only_its_cache_is_wanted() {
        assert!(wants("app/.yarn/cache/a-npm-1.zip") && wants("root/.yarn/berry/cache/a-npm-1.zip"));
        assert!(wants("opt/y/cache/a-npm-1-2-3.zip") && wants("app/.yarn/cache/a-https-1.zip"));
        assert!(!wants("app/cache/a.zip") && !wants("app/.yarn/cache/a.txt"));
    }
}
