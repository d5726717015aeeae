//! VEX repositories (<https://github.com/aquasecurity/vex-repo-spec>): a directory with an `index.json` that names documents.

use super::{ExceptionError, parse};
use serde::Deserialize;
use std::fs;
use std::path::{Component, Path, PathBuf};
use tidewaiter_core::exception::Exception;

const INDEX: &str = "index.json";

#[derive(Deserialize)]
struct Index {
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// Relative to the index.
    location: PathBuf,
}

/// Reads all documents of a repository's directory.
///
/// # Errors
/// When there is no index, or the index or a document that it names cannot be read or understood.
pub fn read(directory: &Path) -> Result<Vec<Exception>, ExceptionError> {
    let path = directory.join(INDEX);
    let index: Index = serde_json::from_slice(&bytes(&path)?).map_err(|e| ExceptionError {
        path: path.clone(),
        cause: format!("it is no index of a VEX repository ({e})"),
    })?;
    let mut out = Vec::new();
    for Entry { location } in index.packages {
        if !location.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            let cause = format!("it names {}, which is not in the repository", location.display());
            return Err(ExceptionError { path, cause });
        }
        let document = directory.join(location);
        out.extend(parse(&document, &bytes(&document)?)?);
    }
    Ok(out)
}

fn bytes(path: &Path) -> Result<Vec<u8>, ExceptionError> {
    fs::read(path).map_err(|error| ExceptionError { path: path.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_those_that_the_index_names() {
        let check = |location: &str, expected: Result<usize, &str>| {
            let dir = tempfile::tempdir().unwrap();
            let document = r#"{"@context":"https://openvex.dev/ns/v0.2.0","statements":[
                {"vulnerability":"CVE-1","status":"fixed","products":["pkg:npm/a"]}]}"#;
            fs::create_dir_all(dir.path().join("pkg/npm/a")).unwrap();
            fs::write(dir.path().join("pkg/npm/a/vex.json"), document).unwrap();
            fs::write(dir.path().join("other.json"), "{").unwrap();
            let index = format!(r#"{{"updated_at":"x","packages":[{{"id":"pkg:npm/a","location":{location:?}}}]}}"#);
            fs::write(dir.path().join(INDEX), index).unwrap();
            match (read(dir.path()), expected) {
                (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{location}"),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, _) => panic!("{location}: {found:?}"),
            }
        };
        check("pkg/npm/a/vex.json", Ok(1));
        check("./pkg/npm/a/vex.json", Ok(1));
        check("pkg/npm/b/vex.json", Err("No such file"));
        check("../vex.json", Err("not in the repository"));
        check("other.json", Err("not supported"));
    }

    #[test]
    fn a_directory_without_an_index_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains(INDEX));
    }
}
