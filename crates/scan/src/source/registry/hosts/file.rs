//! One `hosts.toml`.

use super::RegistryHost;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tidewaiter_http::ureq::http::{HeaderName, HeaderValue, Uri};
use toml::Spanned;

/// The whole file: the server's settings are those of its root.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    server: Option<String>,
    /// In the order of the file, which the places of their names give.
    #[serde(default)]
    host: BTreeMap<Spanned<String>, HostTable>,
    capabilities: Option<Vec<String>>,
    ca: Option<Texts>,
    client: Option<ClientFiles>,
    skip_verify: Option<bool>,
    header: Option<BTreeMap<String, Texts>>,
    override_path: Option<bool>,
    dial_timeout: Option<IgnoredAny>,
    proxy: Option<IgnoredAny>,
}

/// The settings of one host.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    capabilities: Option<Vec<String>>,
    ca: Option<Texts>,
    client: Option<ClientFiles>,
    skip_verify: Option<bool>,
    header: Option<BTreeMap<String, Texts>>,
    override_path: Option<bool>,
    /// How long containerd tries to connect: here every connection has a limit.
    #[serde(rename = "dial_timeout")]
    _dial_timeout: Option<IgnoredAny>,
    proxy: Option<IgnoredAny>,
}

/// A text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Texts {
    fn all(self) -> Vec<String> {
        match self {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        }
    }
}

/// Files of certificates with their keys, in one file or in two.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClientFiles {
    One(String),
    Files(Vec<String>),
    Pairs(Vec<(String, String)>),
}

/// The hosts of a file in the folder `base`, in the order in which they are asked; the last is the server.
///
/// # Errors
/// What is wrong, and what to write.
pub(super) fn parse(text: &str, base: &Path) -> Result<Vec<RegistryHost>, String> {
    let file: HostsFile = toml::from_str(text).map_err(|e| malformed(&e, text))?;
    let mut tables: Vec<(Spanned<String>, HostTable)> = file.host.into_iter().collect();
    tables.sort_by_key(|(url, _)| url.span().start);
    let mut hosts = Vec::new();
    for (url, table) in tables {
        let url = url.into_inner();
        hosts.push(host(Some(&url), table, base).map_err(|why| format!("host {url:?}: {why}"))?);
    }
    let server = HostTable {
        capabilities: file.capabilities,
        ca: file.ca,
        client: file.client,
        skip_verify: file.skip_verify,
        header: file.header,
        override_path: file.override_path,
        _dial_timeout: file.dial_timeout,
        proxy: file.proxy,
    };
    hosts.push(host(file.server.as_deref().filter(|url| !url.is_empty()), server, base)?);
    Ok(hosts)
}

/// What is wrong with a file, and in which line. The line itself is not quoted: it may be that of a login.
fn malformed(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
        None => error.message().to_owned(),
    }
}

fn host(url: Option<&str>, table: HostTable, base: &Path) -> Result<RegistryHost, String> {
    let root = url.map(|url| root(url, table.override_path.unwrap_or_default())).transpose()?;
    if table.proxy.is_some() {
        return Err("proxy: proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY; take it out".to_owned());
    }
    let is_plain = root.as_ref().is_some_and(|root| root.starts_with("http://"));
    // Without TLS there is nothing to verify, and files for containerd often say so all the same.
    if table.skip_verify == Some(true) && !is_plain {
        return Err(
            "skip_verify: whoever answers would be believed; name the authority of its certificate with ca".to_owned()
        );
    }
    let capabilities = table.capabilities.filter(|all| !all.is_empty());
    let (mut pull, mut resolve) = (capabilities.is_none(), capabilities.is_none());
    for word in capabilities.into_iter().flatten() {
        match word.to_ascii_lowercase().as_str() {
            "pull" => pull = true,
            "resolve" => resolve = true,
            // Nothing is pushed to a mirror.
            "push" => {}
            _ => return Err(format!("capabilities: {word:?} is none of pull, resolve and push")),
        }
    }
    let ca_pem = table.ca.map(Texts::all).unwrap_or_default();
    Ok(RegistryHost {
        root,
        pull,
        resolve,
        ca_pem: ca_pem.iter().map(|name| pem(base, name, "ca")).collect::<Result<_, _>>()?,
        client: table.client.map(|files| client(files, base)).transpose()?,
        headers: headers(table.header.unwrap_or_default())?,
    })
}

/// Where the API of a host begins.
fn root(url: &str, override_path: bool) -> Result<String, String> {
    let wrong = || format!("{url:?} is no address; write it as https://mirror.example");
    let full = if url.contains("://") { url.to_owned() } else { format!("https://{url}") };
    let uri: Uri = full.parse().map_err(|_| wrong())?;
    let (Some(scheme @ ("https" | "http")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    if uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(wrong());
    }
    // What is named so answers there.
    let host = if authority.as_str() == "docker.io" { "registry-1.docker.io" } else { authority.as_str() };
    let path = uri.path().trim_end_matches('/');
    let version = if override_path || path.ends_with("/v2") { "" } else { "/v2" };
    Ok(format!("{scheme}://{host}{path}{version}"))
}

/// A PEM document; its path is that of the file or relative to it.
fn pem(base: &Path, name: &str, field: &str) -> Result<String, String> {
    let path = base.join(name);
    let text = fs::read_to_string(&path).map_err(|e| format!("{field}: {}: {e}", path.display()))?;
    if text.contains("-----BEGIN ") { Ok(text) } else { Err(format!("{field}: {} is no PEM file", path.display())) }
}

fn client(files: ClientFiles, base: &Path) -> Result<(String, String), String> {
    let mut pairs = match files {
        ClientFiles::One(file) => vec![(file, String::new())],
        ClientFiles::Files(files) => files.into_iter().map(|file| (file, String::new())).collect(),
        ClientFiles::Pairs(pairs) => pairs,
    };
    let (Some((certificate, key)), true) = (pairs.pop(), pairs.is_empty()) else {
        return Err("client: name one certificate, as [[\"client.cert\", \"client.key\"]]".to_owned());
    };
    let certificate = pem(base, &certificate, "client")?;
    let key = if key.is_empty() { certificate.clone() } else { pem(base, &key, "client")? };
    Ok((certificate, key))
}

fn headers(all: BTreeMap<String, Texts>) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (name, values) in all {
        for value in values.all() {
            if name.parse::<HeaderName>().is_err() || value.parse::<HeaderValue>().is_err() {
                return Err(format!("header: {name:?} or its value is none of HTTP"));
            }
            found.push((name.clone(), value));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<RegistryHost>, String> {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "client.pem", "client.key"] {
            fs::write(dir.path().join(name), format!("-----BEGIN {name}-----")).unwrap();
        }
        fs::write(dir.path().join("text"), "text").unwrap();
        parse(text, dir.path())
    }

    #[test]
    fn hosts_are_asked_in_the_order_of_the_file() {
        let check = |text: &str, expected: &[&str]| {
            let roots: Vec<String> =
                parsed(text).unwrap().into_iter().map(|host| host.root.unwrap_or_default()).collect();
            assert_eq!(roots, expected, "{text}");
        };
        check("", &[""]);
        check("server = \"https://r.example\"", &["https://r.example/v2"]);
        let three =
            "[host.\"https://z.example\"]\n[host.\"http://a.example:5000\".header]\nx = \"1\"\n[host.\"m.example\"]\n";
        check(three, &["https://z.example/v2", "http://a.example:5000/v2", "https://m.example/v2", ""]);
        check(
            "server = \"docker.io\"\n[host.\"https://m.example/\"]",
            &["https://m.example/v2", "https://registry-1.docker.io/v2"],
        );
        check("[host.\"https://m.example/v2/hub\"]\noverride_path = true", &["https://m.example/v2/hub", ""]);
        check("[host.\"https://m.example/hub\"]", &["https://m.example/hub/v2", ""]);
        check("[host.\"https://m.example/hub/v2/\"]", &["https://m.example/hub/v2", ""]);
    }

    #[test]
    fn a_host_has_capabilities_certificates_and_headers() {
        let check = |text: &str, expected: RegistryHost| {
            let hosts = parsed(&format!("[host.\"https://m.example\"]\n{text}")).unwrap();
            // Compared whole: how they are shown leaves out what is secret.
            assert!(hosts[0] == expected, "{text}: {:?}", hosts[0]);
        };
        let plain = RegistryHost {
            root: Some("https://m.example/v2".to_owned()),
            pull: true,
            resolve: true,
            ca_pem: vec![],
            client: None,
            headers: vec![],
        };
        let with = |pull: bool, resolve: bool| RegistryHost { pull, resolve, ..plain.clone() };
        check("", plain.clone());
        check("capabilities = []", plain.clone());
        check("capabilities = [\"pull\"]", with(true, false));
        check("capabilities = [\"Pull\", \"resolve\", \"push\"]", with(true, true));
        check("capabilities = [\"push\"]", with(false, false));
        let pem = |name: &str| format!("-----BEGIN {name}-----");
        let trusting =
            |names: &[&str]| RegistryHost { ca_pem: names.iter().map(|name| pem(name)).collect(), ..plain.clone() };
        check("ca = \"ca.pem\"", trusting(&["ca.pem"]));
        check("ca = [\"ca.pem\", \"client.pem\"]", trusting(&["ca.pem", "client.pem"]));
        let client = |key: &str| RegistryHost { client: Some((pem("client.pem"), pem(key))), ..plain.clone() };
        check("client = \"client.pem\"", client("client.pem"));
        check("client = [\"client.pem\"]", client("client.pem"));
        check("client = [[\"client.pem\", \"client.key\"]]", client("client.key"));
        check("client = [[\"client.pem\", \"\"]]", client("client.pem"));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![header("x-a", "1"), header("x-b", "2"), header("x-b", "3")];
        check("header = {x-a = \"1\", x-b = [\"2\", \"3\"]}", RegistryHost { headers, ..plain.clone() });
        check("dial_timeout = \"1s\"", plain.clone());
        check("skip_verify = false", plain.clone());
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let check = |text: &str, words: &str| {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(words), "{text}: {said}");
        };
        let host = |rest: &str| format!("[host.\"https://m.example\"]\n{rest}");
        check("serve = \"x\"", "unknown field `serve`");
        check(&host("capability = []"), "line 2: unknown field `capability`");
        check(&host("capabilities = [\"read\"]"), "host \"https://m.example\": capabilities: \"read\"");
        check(&host("skip_verify = true"), "name the authority of its certificate with ca");
        check("skip_verify = true", "name the authority");
        assert!(parsed("[host.\"http://m.example\"]\nskip_verify = true").is_ok());
        check(&host("proxy = \"http://p\""), "HTTPS_PROXY");
        check(&host("ca = \"none.pem\""), "none.pem: No such file");
        check(&host("ca = \"text\""), "is no PEM file");
        check(&host("client = [\"client.pem\", \"client.pem\"]"), "name one certificate");
        check(&host("client = []"), "name one certificate");
        check(&host("header = {\"a b\" = \"1\"}"), "\"a b\"");
        check("[host.\"ftp://m.example\"]", "is no address");
        check("[host.\"https://u:p@m.example\"]", "is no address");
        check("[host.\"https://m.example/?x=1\"]", "is no address");
        check("server = \"https://\"", "is no address");
    }

    #[test]
    fn what_is_said_quotes_no_line() {
        let check = |text: &str, words: &str| {
            let said = parsed(text).unwrap_err();
            assert!(said.contains(words) && !said.contains("c2VjcmV0"), "{text}: {said}");
        };
        check("[host.\"https://m.example\".header]\nauthorization = \"Basic c2VjcmV0\" x", "line 2: ");
        check("[host.\"https://m.example\".header]\nauthorization = [\"Basic c2VjcmV0\", 1]", "line 2: ");
        check(
            "[host.\"https://m.example\"]\nheader = {authorization = \"Basic c2VjcmV0\\n\"}",
            "\"authorization\" or its value",
        );
    }
}
