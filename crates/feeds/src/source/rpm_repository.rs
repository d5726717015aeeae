//! From the address of an rpm repository to its `updateinfo.xml`, as dnf resolves it: a list of mirrors names the repository,
//! `repodata/repomd.xml` the file and its digest (createrepo).

use super::url::{DownloadError, Get};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use tidewaiter_xml::Step;

/// Where createrepo puts the index of a repository.
const INDEX: &str = "repodata/repomd.xml";
/// Mirrors that are tried. Lists have a few; a longer one must not keep a build busy.
const MAX_MIRRORS: usize = 16;

/// The location and digest of the file, as an index names them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Located {
    href: String,
    /// In hexadecimal.
    sha256: String,
}

/// Downloads the file of an address that ends with `mirror.list` or `INDEX`, or the file at the address itself.
///
/// # Errors
/// When a download fails, no index names the file, or it has another digest.
pub fn updateinfo(address: &str, get: Get<'_>) -> Result<PathBuf, DownloadError> {
    if address.ends_with("/mirror.list") {
        let file = get(address)?;
        let list = fs::read_to_string(&file).map_err(|e| DownloadError::disk(&file, e))?;
        // A document that was read over TLS must not lead to one that is not.
        let allowed = |mirror: &&str| {
            mirror.starts_with("https://") || (mirror.starts_with("http://") && address.starts_with("http://"))
        };
        let mirrors = list.lines().map(str::trim).filter(allowed);
        let mut result = Err(DownloadError::Contradicted("the list of mirrors names none".to_owned()));
        for mirror in mirrors.take(MAX_MIRRORS) {
            result = indexed(mirror.trim_end_matches('/'), get);
            if result.is_ok() {
                break;
            }
        }
        return result;
    }
    match address.strip_suffix(INDEX) {
        Some(repository) => indexed(repository.trim_end_matches('/'), get),
        None => get(address),
    }
}

fn indexed(repository: &str, get: Get<'_>) -> Result<PathBuf, DownloadError> {
    let index = get(&format!("{repository}/{INDEX}"))?;
    let located = locate(&fs::read(&index).map_err(|e| DownloadError::disk(&index, e))?)?;
    let file = get(&format!("{repository}/{}", located.href))?;
    let actual = sha256(&file).map_err(|e| DownloadError::disk(&file, e))?;
    if located.sha256 == actual {
        return Ok(file);
    }
    let Located { href, sha256 } = located;
    Err(DownloadError::Contradicted(format!(
        "{href} has the digest {actual}, its repository says {sha256}; the mirror is changing"
    )))
}

fn locate(index: &[u8]) -> Result<Located, DownloadError> {
    let (mut inside, mut algorithm) = (false, String::new());
    let mut found = Located::default();
    let mut index = index;
    tidewaiter_xml::walk(&mut index, &mut |step| match step {
        Step::Open("data", attributes) => inside = attributes.get("type") == "updateinfo",
        Step::Open("location", attributes) if inside => attributes.get("href").clone_into(&mut found.href),
        Step::Open("checksum", attributes) => attributes.get("type").clone_into(&mut algorithm),
        Step::Close("checksum", text) if inside && algorithm == "sha256" => text.clone_into(&mut found.sha256),
        _ => {}
    })
    .map_err(|cause| DownloadError::Contradicted(format!("{INDEX}: {cause}")))?;
    if found.href.is_empty() {
        return Err(DownloadError::NoUpdates);
    }
    if found.sha256.is_empty() {
        return Err(DownloadError::Contradicted(format!("{INDEX} gives no sha256 of {}", found.href)));
    }
    Ok(found)
}

fn sha256(file: &Path) -> std::io::Result<String> {
    let (mut hash, mut file) = (Sha256::new(), BufReader::new(File::open(file)?));
    loop {
        let read = file.fill_buf()?;
        if read.is_empty() {
            break;
        }
        hash.update(read);
        let read = read.len();
        file.consume(read);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Address → content.
    fn check(web: &[(&str, &str)], address: &str, expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let web: BTreeMap<&str, &str> = web.iter().copied().collect();
        let get = |url: &str| {
            let content = web.get(url).ok_or(DownloadError::Status(404))?;
            let file = folder.path().join(url.rsplit('/').next().unwrap());
            fs::write(&file, content).unwrap();
            Ok(file)
        };
        match (updateinfo(address, &get), expected) {
            (Ok(file), Ok(content)) => assert_eq!(fs::read_to_string(file).unwrap(), content),
            (Err(error), Err(cause)) => assert!(error.to_string().contains(cause), "{error}"),
            (other, _) => panic!("{address}: {other:?}"),
        }
    }

    #[test]
    fn mirrors_lead_to_an_index_and_that_to_the_file() {
        let index = |kind: &str, digest: &str| {
            format!(
                r#"<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary"><checksum type="sha256">1</checksum>
                <location href="repodata/p.xml.gz"/></data><data type="{kind}"><checksum type="sha256">{digest}</checksum>
                <open-checksum type="sha256">2</open-checksum><location href="repodata/u.xml"/></data></repomd>"#
            )
        };
        let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        let good = index("updateinfo", digest);
        let (bad, none) = (index("updateinfo", "00"), index("filelists", digest));
        let web = |index: &str| {
            let list = "http://gone/x/\nhttps://b/x/\n";
            let (list, index) = (("http://a/mirror.list", list), ("https://b/x/repodata/repomd.xml", index));
            let insecure = ("https://e/mirror.list", "http://b/x/\n");
            let web = [list, insecure, index, ("https://b/x/repodata/u.xml", "x"), ("https://c/updateinfo.xml", "y")];
            web.map(|(url, content)| (url.to_owned(), content.to_owned()))
        };
        let check = |index: &str, address: &str, expected: Result<&str, &str>| {
            let web = web(index);
            let web: Vec<(&str, &str)> = web.iter().map(|(url, content)| (url.as_str(), content.as_str())).collect();
            check(&web, address, expected);
        };
        check(&good, "http://a/mirror.list", Ok("x"));
        check(&good, "https://b/x/repodata/repomd.xml", Ok("x"));
        check(&good, "https://c/updateinfo.xml", Ok("y"));
        check(&bad, "http://a/mirror.list", Err("has the digest 2d71"));
        check(&none, "http://a/mirror.list", Err("names no updateinfo"));
        check(&good.replace("sha256", "sha512"), "http://a/mirror.list", Err("gives no sha256"));
        check(&good, "https://e/mirror.list", Err("names none"));
        check("<a", "http://a/mirror.list", Err("repomd.xml"));
        check(&good, "https://d/repodata/repomd.xml", Err("404"));
    }
}
