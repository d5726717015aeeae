//! Lists that a server gives in pages, each of which says how many there are: `page=2` of Bodhi.

use super::url::{DownloadError, Get};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Most pages that are asked for. All of Fedora's security updates since 2007 are 250.
const MAX_PAGES: u32 = 2_000;
/// The folder of the pages.
const PAGES: &str = "pages";
/// The folder of the pages while not all are there.
const NEXT: &str = "pages.new";

#[derive(Deserialize)]
struct Count {
    pages: u32,
}

/// Downloads every page of the list at `address` and returns their folder below `folder`: the pages of the last time stay until all
/// new ones are there.
///
/// # Errors
/// When a page cannot be downloaded, or does not say how many there are.
pub fn all(address: &str, folder: &Path, get: Get<'_>) -> Result<PathBuf, DownloadError> {
    let (pages, next) = (folder.join(PAGES), folder.join(NEXT));
    remove(&next).and_then(|()| fs::create_dir_all(&next)).map_err(|e| DownloadError::disk(&next, e))?;
    let separator = if address.contains('?') { '&' } else { '?' };
    let mut number = 1;
    loop {
        let file = get(&format!("{address}{separator}page={number}"))?;
        let text = fs::read(&file).map_err(|e| DownloadError::disk(&file, e))?;
        let count: Count = serde_json::from_slice(&text).map_err(|e| contradicted(number, &e.to_string()))?;
        if count.pages > MAX_PAGES {
            return Err(contradicted(number, &format!("it counts {} pages, more than {MAX_PAGES}", count.pages)));
        }
        let page = next.join(format!("{number:04}.json"));
        fs::rename(&file, &page).map_err(|e| DownloadError::disk(&page, e))?;
        if number >= count.pages {
            break;
        }
        number += 1;
    }
    remove(&pages).and_then(|()| fs::rename(&next, &pages)).map_err(|e| DownloadError::disk(&pages, e))?;
    Ok(pages)
}

fn contradicted(page: u32, cause: &str) -> DownloadError {
    DownloadError::Contradicted(format!("page {page} is not a page of a list: {cause}"))
}

/// Removes a folder that may not be there.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a server of these pages: the pages that are stored, or the cause of a failure, after which those of before are.
    fn check(address: &str, pages: &[&str], expected: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(PAGES)).unwrap();
        fs::write(folder.path().join("pages/0009.json"), "old").unwrap();
        let get = |url: &str| {
            let (before, number) = url.rsplit_once("page=").unwrap();
            assert!(before == format!("{address}&") || before == format!("{address}?"), "{url}");
            let text = pages.get(number.parse::<usize>().unwrap() - 1).ok_or(DownloadError::Status(503))?;
            let file = folder.path().join("download.json");
            fs::write(&file, text).map(|()| file).map_err(|e| DownloadError::disk(folder.path(), e))
        };
        let result = all(address, folder.path(), &get).map_err(|error| error.to_string());
        let mut found: Vec<String> = Vec::new();
        for entry in fs::read_dir(folder.path().join(PAGES)).unwrap() {
            found.push(fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        found.sort();
        match expected {
            Ok(expected) => {
                assert!(result.is_ok(), "{result:?}");
                assert_eq!(found, expected);
            }
            Err(cause) => {
                assert!(result.as_ref().is_err_and(|error| error.contains(cause)), "{result:?}");
                assert_eq!(found, ["old"]);
            }
        }
    }

    #[test]
    fn pages_are_followed_to_the_last_one() {
        let [one, two, three] = [1, 2, 3].map(|n| format!(r#"{{"page":{n},"pages":3}}"#));
        let list = "https://a/updates/?type=security";
        check(list, &[&one, &two, &three], Ok(&[&one, &two, &three]));
        check("https://a/updates/", &[r#"{"pages":1}"#], Ok(&[r#"{"pages":1}"#]));
        check(list, &[r#"{"pages":0}"#], Ok(&[r#"{"pages":0}"#]));
        check(list, &[&one, &two], Err("the server answers 503"));
        check(list, &[&one, "<html>"], Err("page 2 is not a page of a list: expected value"));
        check(list, &["{}"], Err("page 1 is not a page of a list: missing field `pages`"));
        check(list, &[r#"{"pages":2001}"#], Err("it counts 2001 pages, more than 2000"));
    }
}
