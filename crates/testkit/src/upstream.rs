//! Stand-ins for the upstreams of the default feeds: each address of a `feeds.toml` with one record of its format.

use crate::authority::Authority;
use crate::proxy::Proxy;
use crate::registry::Registry;
use crate::web::Web;
use std::collections::BTreeSet;
use std::io::{Cursor, Write as _};
use std::path::Path;

/// What the index of Alpine's branches lists.
const BRANCHES: [&str; 3] = ["v3.23", "v3.24", "edge"];
/// What Bodhi's list of releases has.
const FEDORA: [&str; 2] = ["43", "44"];
/// What the catalog of Amazon's extras has; the repository of the last one has no advisories.
const TOPICS: [&str; 2] = ["docker", "mock2"];
/// The last year with a file, in every feed of years: later than any clock of a test.
const LAST_YEAR: u16 = 2099;

/// A simulated internet behind one proxy: the upstreams of a `feeds.toml`, and `registry.example`.
#[derive(Debug)]
pub struct Internet {
    /// The proxy, for `HTTPS_PROXY`.
    pub proxy: Proxy,
    /// The certificate authority of all of it, for `SSL_CERT_FILE`.
    pub authority: Authority,
    /// `registry.example`.
    pub registry: Registry,
    _web: Web,
}

impl Internet {
    /// With the upstreams of this file.
    pub fn new(feeds: &Path) -> Self {
        let text = std::fs::read_to_string(feeds).unwrap();
        let rows: Vec<Feed> = text.split("[[feed]]").skip(1).map(Feed::parse).collect();
        let feeds: Vec<Feed> = rows.iter().flat_map(Feed::members).collect();
        let indexes = rows.iter().filter_map(Feed::index);
        let files: Vec<(String, Vec<u8>)> = feeds.iter().flat_map(Feed::files).chain(indexes).collect();
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        let hosts: BTreeSet<&str> = feeds.iter().map(|feed| feed.host.as_str()).collect();
        let authority = Authority::new();
        let web = Web::with_names(&files, &authority, &hosts.iter().copied().collect::<Vec<_>>());
        let registry = Registry::start_tls(&authority);
        let mut routes: Vec<(String, u16)> = hosts.iter().map(|host| (format!("{host}:443"), web.port())).collect();
        routes.push(("registry.example:443".to_owned(), registry.port()));
        let routes: Vec<(&str, u16)> = routes.iter().map(|(host, port)| (host.as_str(), *port)).collect();
        Internet { proxy: Proxy::start(&routes), authority, registry, _web: web }
    }
}

/// One feed of a `feeds.toml`.
#[derive(Clone)]
struct Feed {
    host: String,
    path: String,
    format: String,
    ecosystem: String,
    /// The first year, where the path has a placeholder for years.
    years: String,
    /// The path of the index, where the path has a placeholder for releases.
    releases: String,
}

impl Feed {
    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
            line.unwrap_or_default().trim().trim_start_matches('[').split('"').nth(1).unwrap_or_default().to_owned()
        };
        let split = |url: &str| {
            let (host, path) = url.trim_start_matches("https://").split_once('/').unwrap_or_default();
            (host.to_owned(), format!("/{path}"))
        };
        let (host, path) = split(&value("url"));
        let years = text.lines().find_map(|line| line.strip_prefix("years = { from = ")?.strip_suffix(" }"));
        Feed {
            host,
            path,
            format: value("format"),
            ecosystem: one_release(value("ecosystems")),
            years: years.unwrap_or_default().to_owned(),
            releases: split(&value("releases")).1,
        }
    }

    /// The feeds that a row with a placeholder stands for.
    fn members(&self) -> Vec<Feed> {
        let with =
            |placeholder: &str, value: String| Feed { path: self.path.replace(placeholder, &value), ..self.clone() };
        if let Ok(first) = self.years.parse::<u16>() {
            return (first..=LAST_YEAR).map(|year| with("{year}", year.to_string())).collect();
        }
        if self.path.contains("{release}") {
            return self.listed().iter().map(|release| with("{release}", (*release).to_owned())).collect();
        }
        vec![self.clone()]
    }

    fn listed(&self) -> &'static [&'static str] {
        match self.format.as_str() {
            "bodhi" => &FEDORA,
            "updateinfo" => &TOPICS,
            _ => &BRANCHES,
        }
    }

    /// The list of releases: a page of folders as nginx makes it, Bodhi's, or Amazon's.
    fn index(&self) -> Option<(String, Vec<u8>)> {
        let link = |name: &&str| format!("<a href=\"{name}/\">{name}/</a>  28-Nov-2026 00:00   -\n");
        let links: String = self.listed().iter().map(link).collect();
        let page = format!(
            "<html><head><title>Index of /</title></head><body><pre><a href=\"../\">../</a>\n{links}</pre></body></html>"
        );
        let release = |name: &&str| serde_json::json!({"version": name, "id_prefix": "FEDORA", "state": "current"});
        let list = serde_json::json!({"releases": self.listed().iter().map(release).collect::<Vec<_>>()});
        let topic = |name: &&str| serde_json::json!({"n": name, "inst": [name], "versions": ["stable"]});
        let catalog =
            serde_json::json!({"status": "ok", "topics": self.listed().iter().map(topic).collect::<Vec<_>>()});
        let text = match self.format.as_str() {
            "bodhi" => list.to_string(),
            "updateinfo" => catalog.to_string(),
            _ => page,
        };
        self.path.contains("{release}").then(|| (without_query(&self.releases), text.into_bytes()))
    }

    /// (path, content) pairs.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let text = match self.format.as_str() {
            "debian-tracker" => r#"{"curl":{"CVE-2026-0001":{"releases":{"bookworm":{"status":"resolved","fixed_version":"8.0","urgency":"high"},"buster":{"status":"open","urgency":"high"}}}}}"#.to_owned(),
            "alpine-secdb" if !self.host.ends_with("alpinelinux.org") => r#"{"packages":[{"pkg":{"name":"curl","secfixes":{"8.0-r0":["CVE-2026-0001"]}}}]}"#.to_owned(),
            "alpine-secdb" => {
                let branch = self.path.split('/').nth(1).unwrap_or_default();
                format!(r#"{{"distroversion":"{branch}","reponame":"main","urlprefix":"https://dl-cdn.alpinelinux.org/alpine","packages":[{{"pkg":{{"name":"curl","secfixes":{{"8.0-r0":["CVE-2026-0001"]}}}}}}]}}"#)
            }
            "arch" => r#"[{"name":"AVG-1","packages":["curl"],"status":"Fixed","severity":"High","fixed":"8.0-1","issues":["CVE-2026-0001"]}]"#.to_owned(),
            "endoflife" => r#"{"result":[{"name":"rhel","releases":[{"name":"9","eolFrom":"2032-05-31"}]}]}"#.to_owned(),
            "osv" if self.path.ends_with(".tar.gz") => return vec![(self.path.clone(), gzip(&tar("TEST-2026-1.json", self.record().as_bytes())))],
            "osv" => return vec![(self.path.clone(), self.osv())],
            "bodhi" => return vec![(without_query(&self.path), bodhi())],
            "kev" => r#"{"vulnerabilities":[{"cveID":"CVE-2026-0001","dateAdded":"2026-11-01"}]}"#.to_owned(),
            "nvd" => r#"{"vulnerabilities":[{"cve":{"id":"CVE-2026-0001","metrics":{"cvssMetricV31":[{"source":"nvd@nist.gov","cvssData":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}}]}"#.to_owned(),
            "epss" => "#model_version:v1,score_date:2026-11-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-0001,0.5,0.9\n".to_owned(),
            "photon" => r#"[{"cve_id":"CVE-2026-0001","pkg":"curl","res_ver":"8.1-2.ph5","status":"Fixed"}]"#.to_owned(),
            "distro-info" if self.path.ends_with("debian.csv") => "version,codename,series,created,release,eol,eol-lts,eol-elts\n12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30\n".to_owned(),
            "distro-info" => "version,codename,series,created,release,eol,eol-server,eol-esm\n22.04 LTS,Jammy,jammy,2021-10-14,2022-04-21,2027-06-01,2027-06-01,2032-04-21\n".to_owned(),
            "oval" => self.oval(),
            "updateinfo" => return self.rpm_repository(),
            other => panic!("there is no example of the format {other} yet: add one here"),
        };
        let bytes = match self.path.rsplit('.').next() {
            Some("gz") => gzip(text.as_bytes()),
            Some("bz2") => bzip2(text.as_bytes()),
            _ => text.into_bytes(),
        };
        vec![(self.path.clone(), bytes)]
    }

    fn record(&self) -> String {
        format!(
            r#"{{"id":"TEST-2026-1","modified":"2026-11-01T00:00:00Z","aliases":["CVE-2026-0001"],"upstream":["CVE-2026-0001"],"related":["CVE-2026-0001"],"affected":[{{"package":{{"ecosystem":"{}","name":"curl"}},"ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"8.0"}}]}}]}}],"severity":[{{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}]}}"#,
            self.ecosystem
        )
    }

    fn osv(&self) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("TEST-2026-1.json", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(self.record().as_bytes()).unwrap();
        zip.finish().unwrap().into_inner()
    }

    /// A list of mirrors, the index of one, and the file that it names.
    fn rpm_repository(&self) -> Vec<(String, Vec<u8>)> {
        let folder = format!("{}/mirror", self.path.trim_end_matches("/mirror.list"));
        let update = br#"<?xml version="1.0"?><updates><update type="security"><id>ALAS-1</id><title>A</title><severity>important</severity><updated date="2026-11-01 00:00"/><references><reference id="CVE-2026-0001" href="https://a" type="cve"/></references><pkglist><collection short="x"><name>Amazon Linux 2023</name><package name="curl" version="8.1" release="1" epoch="1" arch="noarch"><filename>f</filename></package></collection></pkglist></update></updates>"#;
        let digest = crate::digest::sha256(update);
        let kind = if folder.contains(TOPICS[1]) { "primary" } else { "updateinfo" };
        let index = format!(
            r#"<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="{kind}"><checksum type="sha256">{}</checksum><location href="repodata/updateinfo.xml"/></data></repomd>"#,
            digest.trim_start_matches("sha256:")
        );
        vec![
            (self.path.clone(), format!("https://{}{folder}/\n", self.host).into_bytes()),
            (format!("{folder}/repodata/repomd.xml"), index.into_bytes()),
            (format!("{folder}/repodata/updateinfo.xml"), update.to_vec()),
        ]
    }

    fn oval(&self) -> String {
        let (platform, suffix) = match self.path.as_str() {
            path if path.contains("azurelinux") => ("Azure Linux", ".azl3"),
            path if path.contains("mariner") => ("CBL-Mariner", ".cm2"),
            _ => ("Oracle Linux 8", ""),
        };
        format!(
            r#"<oval_definitions><definitions><definition id="d"><metadata><affected><platform>{platform}</platform></affected><reference source="CVE" ref_id="CVE-2026-0001"/></metadata><criteria operator="AND"><criterion test_ref="t" comment="c"/></criteria></definition></definitions><tests><rpminfo_test id="t"><object object_ref="o"/><state state_ref="s"/></rpminfo_test></tests><objects><rpminfo_object id="o"><name>curl</name></rpminfo_object></objects><states><rpminfo_state id="s"><evr operation="less than">0:8.1-1{suffix}</evr></rpminfo_state></states></oval_definitions>"#
        )
    }
}

fn tar(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes).unwrap();
    archive.into_inner().unwrap()
}

/// A release of an ecosystem of which all are declared.
fn one_release(ecosystem: String) -> String {
    match ecosystem.strip_suffix(":*") {
        Some("Red Hat") => "Red Hat:enterprise_linux:9::baseos".to_owned(),
        Some("Docker Hardened Images") => "Docker Hardened Images:Debian:13".to_owned(),
        Some(base) => format!("{base}:9"),
        None => ecosystem,
    }
}

/// Files are served whatever the query is.
fn without_query(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

/// One page with an update for each release.
fn bodhi() -> Vec<u8> {
    let updates: Vec<_> = FEDORA.iter().map(|release| bodhi_update(release)).collect();
    serde_json::json!({"updates": updates, "page": 1, "pages": 1}).to_string().into_bytes()
}

fn bodhi_update(release: &str) -> serde_json::Value {
    serde_json::json!({"alias": format!("FEDORA-2026-{release}"), "type": "security", "status": "stable", "severity": "high",
        "release": {"version": release, "id_prefix": "FEDORA"}, "bugs": [{"security": true, "title": "CVE-2026-0001 curl: x"}],
        "builds": [{"nvr": format!("curl-8.0-1.fc{release}"), "type": "rpm", "epoch": 0}]})
}

/// The bytes as one gzip member.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The bytes as one bzip2 stream.
pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// The bytes as one xz stream.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(0);
    let mut out = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
