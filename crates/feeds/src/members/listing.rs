//! The releases that an index lists: a web server's page of folders (nginx, Apache), Bodhi's list of releases, or the catalog of
//! Amazon's extras.

use crate::config::ReleaseName;
use serde::Deserialize;

/// Most releases of an index: Alpine has forty, and each is at least one download.
const MAX_RELEASES: usize = 200;

/// A list in JSON: Bodhi's `/releases/` has releases, Amazon's `extras-catalog.json` topics.
#[derive(Deserialize)]
struct JsonList {
    releases: Option<Vec<BodhiRelease>>,
    topics: Option<Vec<Topic>>,
}

/// A topic of Amazon's extras. Its name is not all that the catalog says, and the rest is for whoever installs it.
#[derive(Deserialize)]
struct Topic {
    #[serde(rename = "n")]
    name: String,
}

#[derive(Deserialize)]
struct BodhiRelease {
    version: String,
    /// `FEDORA`; others are of EPEL, modules, containers and Flatpaks.
    id_prefix: String,
    /// `current` from the release to the end of its support.
    state: String,
}

/// The releases, in the order of their names. Links that do not name a release are passed over.
///
/// # Errors
/// With the cause, when it lists none or too many.
pub(super) fn releases(index: &[u8]) -> Result<Vec<ReleaseName>, String> {
    let mut found = match index.trim_ascii_start().first() {
        Some(b'{') => of_json(index)?,
        _ => of_folders(&String::from_utf8_lossy(index)),
    };
    found.sort();
    found.dedup();
    match found.len() {
        0 => Err("it lists no release".to_owned()),
        1..=MAX_RELEASES => Ok(found),
        many => Err(format!("it lists {many} releases; at most {MAX_RELEASES} can be true")),
    }
}

fn of_json(index: &[u8]) -> Result<Vec<ReleaseName>, String> {
    let list: JsonList = serde_json::from_slice(index).map_err(|e| e.to_string())?;
    match list {
        JsonList { releases: Some(releases), .. } => {
            let current = releases.iter().filter(|r| r.id_prefix == "FEDORA" && r.state == "current");
            Ok(current.filter_map(|r| ReleaseName::parse(&r.version)).collect())
        }
        JsonList { topics: Some(topics), .. } => {
            Ok(topics.iter().filter_map(|topic| ReleaseName::of_topic(&topic.name)).collect())
        }
        JsonList { .. } => Err("it has neither releases nor topics".to_owned()),
    }
}

/// Links to folders: `<a href="v3.24/">`.
fn of_folders(page: &str) -> Vec<ReleaseName> {
    page.split("href=").skip(1).filter_map(folder).filter_map(ReleaseName::parse).collect()
}

fn folder(after_href: &str) -> Option<&str> {
    let quote = after_href.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    after_href.get(1..)?.split_once(quote)?.0.strip_suffix('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(index: &str, expected: Result<&[&str], &str>) {
        let found = releases(index.as_bytes());
        match expected {
            Ok(names) => {
                let found: Vec<String> = found.unwrap().iter().map(ToString::to_string).collect();
                assert_eq!(found, names);
            }
            Err(cause) => assert!(found.as_ref().is_err_and(|error| error.contains(cause)), "{found:?}"),
        }
    }

    #[test]
    fn pages_of_folders() {
        let page = r#"<html><head><title>Index of /</title></head><body><h1>Index of /</h1><hr><pre><a href="../">../</a>
<a href="edge/">edge/</a>   27-Nov-2026 00:00   -
<a href="v3.9/">v3.9/</a>   27-Nov-2026 00:00   -
<a href='v3.24/'>v3.24/</a> 27-Nov-2026 00:00   -
<a href="v3.24/">again</a><a href="https://example.org/v3.25/">v3.25/</a><a href="v3.26">v3.26</a><a href="v3.27/../">x</a>
<a href="last-update">last-update</a> <a href=v3.28/>v3.28</a> <a href="v3.29/</pre></body></html>"#;
        check(page, Ok(&["edge", "v3.24", "v3.9"]));
        check("<html>busy</html>", Err("lists no release"));
        check("", Err("lists no release"));
        let many: String = (0..201).map(|n| format!("<a href=\"v{n}.0/\">")).collect();
        check(&many, Err("201 releases"));
    }

    #[test]
    fn topics_of_amazons_catalog() {
        let catalog = r#"{"motd": "", "status": "ok", "version": 1, "whitelists": [[0, 1]], "topics": [
            {"n": "kernel-5.10", "inst": ["kernel"], "versions": ["stable"], "visible": ["stable"]},
            {"n": "docker", "inst": ["docker"], "versions": ["17.12.1"], "deprecated-at": "2023-01-01T00:00:00Z"},
            {"n": "../core"}]}"#;
        check(catalog, Ok(&["docker", "kernel-5.10"]));
        check(r#"{"topics": []}"#, Err("lists no release"));
        check(r#"{"topics": [{"inst": []}]}"#, Err("missing field `n`"));
    }

    #[test]
    fn bodhis_list() {
        let release = |version: &str, prefix: &str, state: &str| {
            format!(r#"{{"name":"F","version":"{version}","id_prefix":"{prefix}","state":"{state}","branch":"f"}}"#)
        };
        let all = [
            release("43", "FEDORA", "current"),
            release("42", "FEDORA", "current"),
            release("40", "FEDORA", "archived"),
            release("45", "FEDORA", "pending"),
            release("43", "FEDORA-CONTAINER", "current"),
            release("10.2", "FEDORA-EPEL", "current"),
            release("eln", "FEDORA", "current"),
        ];
        check(&format!(r#"{{"releases":[{}],"page":1,"pages":1}}"#, all.join(",")), Ok(&["42", "43"]));
        check(r#"{"releases":[]}"#, Err("lists no release"));
        check(r#"{"error":"busy"}"#, Err("neither releases nor topics"));
    }
}
