//! Kubeconfig files, as kubectl reads them: several in `$KUBECONFIG`, of which some may be absent, and paths in a file from its
//! folder. Types, merging and errors are kube-client's; what reads the files is not, because it has an instance of the YAML parser for each type (ADR 0029).

use kube::config::{AuthInfo, Kubeconfig, KubeconfigError};
use std::ffi::OsString;
use std::io;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// Reads the files of `$KUBECONFIG`, else `~/.kube/config`.
///
/// # Errors
/// When one cannot be read, or they contradict each other.
pub(crate) fn read() -> Result<Kubeconfig, KubeconfigError> {
    read_all(&files(std::env::var_os("KUBECONFIG"), std::env::home_dir())?)
}

/// The files that the environment names. Empty names are none.
fn files(named: Option<OsString>, home: Option<PathBuf>) -> Result<Vec<PathBuf>, KubeconfigError> {
    let named = named.unwrap_or_default();
    let files: Vec<PathBuf> = std::env::split_paths(&named).filter(|file| !file.as_os_str().is_empty()).collect();
    if !files.is_empty() {
        return Ok(files);
    }
    let home = home.ok_or(KubeconfigError::FindPath)?;
    Ok(vec![home.join(".kube").join("config")])
}

/// Absent files are passed over where another one is there, as by kubectl.
fn read_all(files: &[PathBuf]) -> Result<Kubeconfig, KubeconfigError> {
    let there: Vec<&PathBuf> = files.iter().filter(|file| file.exists()).collect();
    let read = if there.is_empty() { files.iter().collect() } else { there };
    read.into_iter().try_fold(Kubeconfig::default(), |merged, file| merged.merge(read_from(file)?))
}

/// Reads a file, whose documents are merged as files are.
///
/// # Errors
/// When it cannot be read, is no kubeconfig, or its documents contradict each other.
pub(crate) fn read_from(file: &Path) -> Result<Kubeconfig, KubeconfigError> {
    let failed = |error: io::Error| KubeconfigError::ReadConfig(error, file.to_owned());
    let text = std::fs::read(file).and_then(decoded).map_err(failed)?;
    let documents = tidewaiter_yaml::from_multiple(&text).map_err(|error| KubeconfigError::Parse(Box::new(error)))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    documents
        .into_iter()
        .map(|document| with_paths_from(folder, document))
        .try_fold(Kubeconfig::default(), Kubeconfig::merge)
}

/// The text of UTF-8, and of UTF-16 as PowerShell writes it.
fn decoded(bytes: Vec<u8>) -> io::Result<String> {
    let text = match bytes.as_slice() {
        [0xFF, 0xFE, utf16 @ ..] => decoded_utf16(utf16, u16::from_le_bytes),
        [0xFE, 0xFF, utf16 @ ..] => decoded_utf16(utf16, u16::from_be_bytes),
        [0xEF, 0xBB, 0xBF, utf8 @ ..] => String::from_utf8(utf8.to_vec()).ok(),
        _ => String::from_utf8(bytes).ok(),
    };
    text.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is neither UTF-8 nor UTF-16"))
}

fn decoded_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let (pairs, rest) = bytes.as_chunks();
    let units: Vec<u16> = pairs.iter().copied().map(unit).collect();
    String::from_utf16(&units).ok().filter(|_| rest.is_empty())
}

fn with_paths_from(folder: &Path, mut document: Kubeconfig) -> Kubeconfig {
    for cluster in document.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        resolve(folder, &mut cluster.certificate_authority);
    }
    for user in document.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        resolve_user(folder, user);
    }
    document
}

fn resolve_user(folder: &Path, user: &mut AuthInfo) {
    resolve(folder, &mut user.client_certificate);
    resolve(folder, &mut user.client_key);
    resolve(folder, &mut user.token_file);
    if let Some(exec) = &mut user.exec {
        // A command without a folder is looked for in PATH.
        if exec.command.as_ref().is_some_and(|command| command.contains(MAIN_SEPARATOR)) {
            resolve(folder, &mut exec.command);
        }
    }
}

/// Makes a relative path absolute; one that is no text then stays as it is. An empty one is none.
fn resolve(folder: &Path, path: &mut Option<String>) {
    *path = path.take().filter(|path| !path.is_empty());
    let absolute = path.as_ref().map(Path::new).filter(|path| path.is_relative()).map(|path| folder.join(path));
    if let Some(absolute) = absolute.and_then(|path| path.into_os_string().into_string().ok()) {
        *path = Some(absolute);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
apiVersion: v1
kind: Config
current-context: a
preferences: {colors: true}
extensions: [{name: e, extension: {x: 1.10}}]
own-field: [1, {b: ~}]
clusters:
- name: a
  cluster: {server: "https://a:6443", certificate-authority: ca.crt, insecure-skip-tls-verify: true, tls-server-name: b}
- name: b
  cluster: {server: "https://b", certificate-authority: /etc/ca.crt, certificate-authority-data: QQ==, proxy-url: "http://p"}
users:
- name: a
  user: {client-certificate: ../a.crt, client-key: keys/a.key, tokenFile: token, username: 1.10, password: 007}
- name: b
  user: {token: abc, as: other, as-groups: [x, y], client-certificate: /a.crt, client-key-data: QQ==}
- name: c
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./bin/login
      args: [--cluster, b]
      env: [{name: X, value: y}]
      interactiveMode: IfAvailable
      provideClusterInfo: true
- name: d
  user: {exec: {command: aws}, auth-provider: {name: gcp, config: {a: b}}}
contexts:
- name: a
  context: {cluster: a, user: a, namespace: 5}
- name: b
  context: {cluster: b, user: ~}
"#;

    fn shown(result: Result<Kubeconfig, KubeconfigError>) -> Result<serde_json::Value, String> {
        result.map(|config| serde_json::to_value(config).unwrap()).map_err(|error| format!("{error} {error:?}"))
    }

    /// kube-client's reader, with an instance of the parser for each type, is not in the plugin: only this test calls it.
    #[test]
    fn files_are_read_as_kube_client_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], is_read: bool| {
            let file = dir.path().join("config");
            std::fs::write(&file, bytes).unwrap();
            let (ours, theirs) = (read_from(&file), Kubeconfig::read_from(&file));
            assert_eq!((ours.is_ok(), shown(ours)), (is_read, shown(theirs)), "{}", String::from_utf8_lossy(bytes));
        };
        check(FULL.as_bytes(), true);
        check(&[b"\xEF\xBB\xBF", FULL.as_bytes()].concat(), true);
        let units = |to: fn(u16) -> [u8; 2]| FULL.encode_utf16().flat_map(to).collect::<Vec<u8>>();
        check(&[b"\xFF\xFE".to_vec(), units(u16::to_le_bytes)].concat(), true);
        check(&[b"\xFE\xFF".to_vec(), units(u16::to_be_bytes)].concat(), true);
        check(b"", true);
        check(b"{}", true);
        check(b"clusters: ~\nusers: ~\ncontexts: ~", true);
        check(b"current-context: a\n---\ncurrent-context: b\ncontexts: [{name: c, context: {cluster: d}}]", true);
        check(b"kind: A\n---\nkind: B", false);
        check(b"clusters: 5", false);
        check(b"users:\n- name: a\n  user:\n    exec: {args: {a: b}}", false);
        check(b"users:\n- name: a\n  user:\n    exec: {interactiveMode: Often}", false);
        check(b"contexts:\n- context: {cluster: c}", false);
        check(b"not a kubeconfig", false);
        check(b"clusters: [", false);
    }

    #[test]
    fn what_is_no_text_is_no_kubeconfig() {
        let check = |bytes: &[u8]| {
            let error = decoded(bytes.to_vec()).unwrap_err().to_string();
            assert_eq!(error, "it is neither UTF-8 nor UTF-16", "{bytes:?}");
        };
        check(b"a\xFF");
        check(b"\xEF\xBB\xBF\xFF");
        check(b"\xFF\xFEa");
        check(b"\xFF\xFE\x00\xD8");
        check(b"\xFE\xFF\xD8\x00");
    }

    #[test]
    fn the_environment_names_files() {
        let check = |named: Option<&str>, home: Option<&str>, expected: Option<&[&str]>| {
            let found = files(named.map(OsString::from), home.map(PathBuf::from)).ok();
            let expected = expected.map(|files| files.iter().map(PathBuf::from).collect::<Vec<_>>());
            assert_eq!(found, expected, "{named:?} {home:?}");
        };
        check(Some("/a:b"), Some("/home"), Some(&["/a", "b"]));
        check(Some(":/a:"), Some("/home"), Some(&["/a"]));
        check(Some(""), Some("/home"), Some(&["/home/.kube/config"]));
        check(None, Some("/home"), Some(&["/home/.kube/config"]));
        check(None, None, None);
    }

    #[test]
    fn the_first_file_wins() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            file
        };
        let first =
            write("a/config", "current-context: x\nclusters: [{name: n, cluster: {certificate-authority: ca}}]");
        let second = write(
            "b/config",
            "current-context: y\nclusters: [{name: n}, {name: m, cluster: {certificate-authority: ca}}]",
        );
        let merged = read_all(&[first, second.clone()]).unwrap();
        assert_eq!(merged.current_context.as_deref(), Some("x"));
        let authorities = merged.clusters.iter().map(|named| named.cluster.as_ref()?.certificate_authority.clone());
        let expected = ["a/ca", "b/ca"].map(|path| Some(dir.path().join(path).display().to_string()));
        assert_eq!(authorities.collect::<Vec<_>>(), expected);
        let absent = dir.path().join("absent");
        assert_eq!(read_all(&[absent.clone(), second]).unwrap().current_context.as_deref(), Some("y"));
        let error = read_all(&[absent]).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }

    #[test]
    fn an_empty_path_is_none() {
        let mut path = Some(String::new());
        resolve(Path::new("/folder"), &mut path);
        assert_eq!(path, None);
    }
}
