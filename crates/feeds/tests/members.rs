//! Rows with placeholders: a feed for each year, and for each release that an index lists.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic, and says why")]

use std::fs;
use std::path::Path;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_feeds::FeedError;
use tidewaiter_feeds::build;
use tidewaiter_feeds::config::FeedsConfig;
use tidewaiter_feeds::options::{BuildOptions, SilentBuild};
use tidewaiter_testkit::web::Web;

/// Serves these (path, content) pairs from now on.
fn serve(web: &Web, files: &[(&str, &str)]) {
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec())).collect();
    web.replace(&files);
}

fn alpine(web: &Web) -> String {
    let row = |repository: &str| {
        format!(
            "[[feed]]\nname = \"alpine-{{release}}-{repository}\"\nformat = \"alpine-secdb\"\nurl = \"{}\"\n\
             releases = {{ index = \"{}\", from = \"v3.18\" }}\necosystems = [\"Alpine:{{release}}\"]\n",
            web.url(&format!("/{{release}}/{repository}.json")),
            web.url("/")
        )
    };
    row("main") + &row("community")
}

fn nvd(web: &Web) -> String {
    let url = web.url("/{year}.json");
    format!(
        "[[feed]]\nname = \"nvd-{{year}}\"\nformat = \"nvd\"\nurl = \"{url}\"\nyears = {{ from = 2025 }}\nrates = true\n"
    )
}

fn build(folder: &Path, toml: &str, now: &str) -> Result<Meta, FeedError> {
    let config = FeedsConfig::parse(toml, &folder.join("feeds.toml")).unwrap();
    let (out, downloads, now) = (folder.join("db"), folder.join("downloads"), now.parse().unwrap());
    let options =
        BuildOptions { config: &config, out: &out, downloads: &downloads, now, max_loss: 0.5, progress: &SilentBuild };
    build::build(&options)
}

/// The names of the feeds; `!` after those that never were read, `?` after those of the last time.
fn names(meta: &Meta) -> Vec<String> {
    let mark = |feed: &FeedInfo| if feed.is_unread() { "!" } else { ["?", ""][usize::from(feed.stale.is_empty())] };
    meta.feeds.iter().map(|feed| format!("{}{}", feed.name, mark(feed))).collect()
}

fn covered(meta: &Meta) -> Vec<String> {
    let mut all: Vec<String> = meta.feeds.iter().flat_map(|f| &f.ecosystems).map(ToString::to_string).collect();
    all.sort();
    all.dedup();
    all
}

fn secdb(branch: &str) -> String {
    format!(r#"{{"distroversion":"{branch}","packages":[{{"pkg":{{"name":"a","secfixes":{{"1-r0":["CVE-1"]}}}}}}]}}"#)
}

fn index(branches: &[&str]) -> String {
    branches.iter().map(|name| format!("<a href=\"{name}/\">{name}/</a>\n")).collect()
}

const NOW: &str = "2026-11-29T00:00:00Z";

/// A repository of rpm, with the index that createrepo makes: with advisories or without.
fn repository(topic: &str, kind: &str, updates: &str) -> [(String, String); 2] {
    let digest = tidewaiter_testkit::sha256(updates.as_bytes());
    let digest = digest.trim_start_matches("sha256:");
    let index = format!(
        r#"<repomd><data type="{kind}"><checksum type="sha256">{digest}</checksum><location href="repodata/u.xml"/></data></repomd>"#
    );
    [(format!("/{topic}/repodata/repomd.xml"), index), (format!("/{topic}/repodata/u.xml"), updates.to_owned())]
}

#[test]
fn topics_that_never_had_an_advisory_are_no_feeds() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let row = format!(
        "[[feed]]\nname = \"amazon-2-{{release}}\"\nformat = \"updateinfo\"\nurl = \"{}\"\n\
         releases = {{ index = \"{}\" }}\necosystems = [\"Amazon Linux:2:{{release}}\"]\n",
        site.url("/{release}/repodata/repomd.xml"),
        site.url("/extras-catalog.json")
    );
    let update = r#"<updates><update type="security"><id>ALAS2DOCKER-1</id><title>A</title><updated date="2026-11-01 00:00"/>
        <references><reference id="CVE-1" type="cve"/></references><pkglist><collection><name>amzn2extra-docker</name>
        <package name="docker" version="20" release="1.amzn2" epoch="0" arch="x86_64"/></collection></pkglist></update></updates>"#;
    let catalog = r#"{"topics": [{"n": "docker"}, {"n": "mock2"}, {"n": "gone"}]}"#;
    let serve_all = |kind: &str| {
        let files: Vec<(String, String)> =
            repository("docker", kind, update).into_iter().chain(repository("mock2", "primary", "")).collect();
        let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.push(("/extras-catalog.json", catalog));
        serve(&site, &files);
        build(dir.path(), &row, NOW).unwrap()
    };
    let meta = serve_all("updateinfo");
    assert_eq!(names(&meta), ["amazon-2-docker", "amazon-2-gone!"]);
    assert_eq!(covered(&meta), ["Amazon Linux:2:docker"]);
    // One that had some keeps them, and is named.
    let meta = serve_all("primary");
    assert_eq!(names(&meta), ["amazon-2-docker?", "amazon-2-gone!"]);
    assert!(meta.feeds[0].stale.contains("its index names no updateinfo"), "{}", meta.feeds[0].stale);
    assert_eq!(covered(&meta), ["Amazon Linux:2:docker"]);
}

#[test]
fn each_listed_branch_is_two_feeds() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let build = || build(dir.path(), &alpine(&site), NOW);
    let [v17, v24, v25, edge] = ["v3.17", "v3.24", "v3.25", "edge"].map(secdb);
    let listed = index(&["v3.17", "v3.24", "edge"]);
    let mut files = vec![("/v3.17/main.json", v17.as_str()), ("/v3.24/main.json", &v24)];
    files.extend([
        ("/v3.24/community.json", v24.as_str()),
        ("/edge/main.json", &edge),
        ("/edge/community.json", &edge),
    ]);
    serve(&site, &files);
    let error = build().unwrap_err().to_string();
    assert!(error.contains("none of 2 feeds can be read, the first one: feed alpine-{release}-main: "), "{error}");
    assert!(error.contains("its releases are not known: the server answers 404"), "{error}");
    files.push(("/", &listed));
    serve(&site, &files);
    let meta = build().unwrap();
    let all = ["alpine-edge-main", "alpine-v3.24-main", "alpine-edge-community", "alpine-v3.24-community"];
    assert_eq!(names(&meta), all);
    assert_eq!(covered(&meta), ["Alpine:edge", "Alpine:v3.24"]);
    assert!(meta.not_covered.is_empty(), "{:?}", meta.not_covered);

    // A new branch without its second repository is named and not covered.
    let listed = index(&["v3.24", "v3.25", "edge"]);
    files.retain(|(path, _)| *path != "/");
    files.extend([("/", listed.as_str()), ("/v3.25/main.json", &v25)]);
    serve(&site, &files);
    let meta = build().unwrap();
    assert_eq!(names(&meta).last().unwrap(), "alpine-v3.25-community!");
    let last = &meta.feeds.last().unwrap().stale;
    assert!(last.contains("/v3.25/community.json: the server answers 404"), "{last}");
    assert_eq!(covered(&meta), ["Alpine:edge", "Alpine:v3.24"]);
    assert_eq!(meta.not_covered.iter().map(|n| n.ecosystem.to_string()).collect::<Vec<_>>(), ["Alpine:v3.25"]);

    // A branch that was read keeps its records, and the list of branches is that of the last time.
    files.push(("/v3.25/community.json", &v25));
    serve(&site, &files);
    assert_eq!(covered(&build().unwrap()), ["Alpine:edge", "Alpine:v3.24", "Alpine:v3.25"]);
    files.retain(|(path, _)| !path.starts_with("/v3.25/") && *path != "/");
    serve(&site, &files);
    let meta = build().unwrap();
    let mut rest = vec!["alpine-edge-main", "alpine-v3.24-main", "alpine-v3.25-main?", "alpine-edge-community"];
    rest.extend(["alpine-v3.24-community", "alpine-v3.25-community?"]);
    rest.extend(["alpine-{release}-main?", "alpine-{release}-community?"]);
    assert_eq!(names(&meta), rest);
    assert_eq!(covered(&meta), ["Alpine:edge", "Alpine:v3.24", "Alpine:v3.25"]);
}

#[test]
fn one_changed_branch_is_read_again_alone() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let (listed, v23, v24) = (index(&["v3.23", "v3.24"]), secdb("v3.23"), secdb("v3.24"));
    let changed = v24.replace("CVE-1", "CVE-2");
    let part = |branch: &str| {
        let path = dir.path().join(format!("downloads/alpine-{branch}-main/records.sorted"));
        std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap())
    };
    let built = |v24: &str| {
        let mut files = vec![("/", listed.as_str()), ("/v3.23/main.json", &v23), ("/v3.24/main.json", v24)];
        files.extend([("/v3.23/community.json", v23.as_str()), ("/v3.24/community.json", v24)]);
        serve(&site, &files);
        build(dir.path(), &alpine(&site), NOW).unwrap();
        (part("v3.23"), part("v3.24"))
    };
    let (first, second) = (built(&v24), built(&changed));
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
}

#[test]
fn a_row_whose_releases_are_not_known_is_named_and_others_are_built() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let (old, new, v24) = (index(&["v3.17"]), index(&["v3.24"]), secdb("v3.24"));
    fs::write(dir.path().join("a.json"), secdb("v3.20")).unwrap();
    let near =
        "[[feed]]\nname = \"a\"\nformat = \"alpine-secdb\"\npath = \"a.json\"\necosystems = [\"Alpine:v3.20\"]\n";
    let toml = near.to_owned() + &alpine(&site);
    let check = |files: &[(&str, &str)], feeds: &[&str], ecosystems: &[&str], said: &str| {
        serve(&site, files);
        let meta = build(dir.path(), &toml, NOW).unwrap();
        assert_eq!((names(&meta), covered(&meta)), (owned(feeds), owned(ecosystems)));
        let last = &meta.feeds.last().unwrap().stale;
        assert!(last.contains(said) && last.is_empty() == said.is_empty(), "{last}");
    };
    let unread = ["a", "alpine-{release}-main!", "alpine-{release}-community!"];
    let near = ["Alpine:v3.20"];
    check(&[], &unread, &near, "its releases are not known: the server answers 404");
    check(&[("/", &old)], &unread, &near, "its releases are not known: it lists no release from v3.18 on");
    check(&[("/", "<html>")], &unread, &near, "its releases are not known: it lists no release");
    // None of a row's members can be read.
    let unread = ["a", "alpine-v3.24-main!", "alpine-v3.24-community!"];
    check(&[("/", &new)], &unread, &near, "/v3.24/community.json: the server answers 404");
    let all = [("/", new.as_str()), ("/v3.24/main.json", &v24), ("/v3.24/community.json", &v24)];
    let both = ["Alpine:v3.20", "Alpine:v3.24"];
    check(&all, &["a", "alpine-v3.24-main", "alpine-v3.24-community"], &both, "");
    // An index that no longer lists what counts changes nothing but what is said.
    let feeds = ["a", "alpine-v3.24-main", "alpine-v3.24-community"];
    let last = [&feeds[..], &["alpine-{release}-main?", "alpine-{release}-community?"]].concat();
    let all = [("/", old.as_str()), all[1], all[2]];
    check(&all, &last, &both, "it lists no release from v3.18 on");
}

#[test]
fn facts_of_each_release_are_needed() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let v24 = secdb("v3.24");
    let facts = format!(
        "[[feed]]\nname = \"facts-{{release}}\"\nformat = \"kev\"\nurl = \"{}\"\nreleases = {{ index = \"{}\" }}\n",
        site.url("/{release}/kev.json"),
        site.url("/facts")
    );
    let listed = index(&["v3.24"]);
    serve(&site, &[("/", &listed), ("/v3.24/main.json", &v24), ("/v3.24/community.json", &v24)]);
    let error = build(dir.path(), &(alpine(&site) + &facts), NOW).unwrap_err().to_string();
    assert!(error.contains("feed facts-{release}: ") && error.contains("its releases are not known"), "{error}");
}

#[test]
fn one_vendors_server_does_not_keep_others_from_being_built() {
    let site = Web::start(&[], None);
    let v24 = secdb("v3.24");
    let row = |name: &str, place: &str, ecosystems: &str| {
        format!(
            "[[feed]]\nname = \"{name}\"\nformat = \"alpine-secdb\"\n{place}\necosystems = [{ecosystems}]\nrates = true\n"
        )
    };
    let far = |name: &str| row(name, &format!("url = \"{}\"", site.url(&format!("/{name}.json"))), "\"Alpine:v3.24\"");
    let other = |name: &str| far(name).replace("v3.24", "edge");
    // Names and coverage, or words of the error.
    let check = |toml: &str, files: &[(&str, &str)], expected: Result<(&[&str], &[&str]), &str>| {
        let dir = tempfile::tempdir().unwrap();
        serve(&site, files);
        match (build(dir.path(), toml, NOW), expected) {
            (Ok(meta), Ok((feeds, ecosystems))) => {
                assert_eq!(
                    (names(&meta).as_slice(), covered(&meta).as_slice()),
                    (&owned(feeds)[..], &owned(ecosystems)[..])
                );
            }
            (Err(error), Err(cause)) => assert!(error.to_string().contains(cause), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    };
    let one = [("/a.json", v24.as_str())];
    check(&(far("a") + &other("b")), &one, Ok((&["a", "b!"], &["Alpine:v3.24"])));
    // A page in the place of a feed.
    let page = [("/a.json", v24.as_str()), ("/b.json", "<html>")];
    check(&(far("a") + &other("b")), &page, Ok((&["a", "b!"], &["Alpine:v3.24"])));
    // What others cover with it is not covered without it.
    check(&(far("a") + &far("b")), &one, Ok((&["a", "b!"], &[])));
    check(&(far("a") + &other("b")), &[], Err("none of 2 feeds can be read, the first one: feed a: "));
    // A path is a person's; facts are missed by no gap.
    check(&(far("a") + &row("b", "path = \"b.json\"", "\"Alpine:edge\"")), &one, Err("feed b: "));
    let facts = format!("[[feed]]\nname = \"facts\"\nformat = \"nvd\"\nurl = \"{}\"\n", site.url("/facts.json"));
    check(&(far("a") + &facts), &one, Err("feed facts: "));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn each_year_is_a_feed() {
    let (dir, site) = (tempfile::tempdir().unwrap(), Web::start(&[], None));
    let text = r#"{"vulnerabilities":[{"cve":{"id":"CVE-2025-1","metrics":{"cvssMetricV31":[{"source":"nvd@nist.gov","cvssData":
        {"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}}]}"#;
    let check = |years: &[&str], now: &str, expected: Result<&[&str], &str>| {
        let paths: Vec<String> = years.iter().map(|year| format!("/{year}.json")).collect();
        serve(&site, &paths.iter().map(|path| (path.as_str(), text)).collect::<Vec<_>>());
        match (build(dir.path(), &nvd(&site), now), expected) {
            (Ok(meta), Ok(names_of_feeds)) => assert_eq!(names(&meta), names_of_feeds),
            (Err(error), Err(cause)) => assert!(error.to_string().contains(cause), "{error}"),
            (other, _) => panic!("{other:?}"),
        }
    };
    check(&[], "2024-01-01T00:00:00Z", Err("feed nvd-{year}: its years begin in 2025, and it is 2024; correct it"));
    check(&[], "2026-01-02T00:00:00Z", Err("feed nvd-2025: "));
    // The new year's file comes some days later.
    check(&["2025"], "2026-01-02T00:00:00Z", Ok(&["nvd-2025", "nvd-2026!"]));
    check(&["2025", "2026"], "2026-01-09T00:00:00Z", Ok(&["nvd-2025", "nvd-2026"]));
    check(&["2025", "2026"], "2027-01-01T00:00:00Z", Ok(&["nvd-2025", "nvd-2026", "nvd-2027!"]));
    check(&["2026", "2027"], "2027-01-09T00:00:00Z", Ok(&["nvd-2025?", "nvd-2026", "nvd-2027"]));
    let twice = nvd(&site) + "[[feed]]\nname = \"nvd-2026\"\nformat = \"nvd\"\npath = \"x\"\n";
    let error = build(dir.path(), &twice, NOW).unwrap_err().to_string();
    assert!(error.contains("feed nvd-2026: a row with a placeholder and another one both stand for it"), "{error}");
}
