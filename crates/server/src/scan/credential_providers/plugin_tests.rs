use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Instant;

const ANSWER: &str = r#"{"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse","cacheKeyType":"Registry","cacheDuration":"5m","auth":{"r.example":{"username":"u","password":"p"}}}"#;

/// A folder with this script as the plugin `plugin`, and its configuration.
fn plugin(script: &str) -> (tempfile::TempDir, ProviderConfig) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("plugin");
    fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n- name: plugin\n  matchImages: [r.example]\n  \
         defaultCacheDuration: 1m\n  apiVersion: {PLUGIN_VERSION}\n  args: [one, two]\n  env: [{{name: GIVEN, value: text}}]\n"
    );
    (dir, ProviderConfig::parse_all(&text).unwrap().remove(0))
}

async fn asked(script: &str) -> Result<ProviderAnswer, String> {
    let (dir, provider) = plugin(script);
    let image = "r.example/team/app:1".parse().unwrap();
    ask_within(dir.path(), &provider, &image, Duration::from_secs(3)).await
}

#[tokio::test]
async fn what_a_plugin_answers() {
    let check = async |script: &str, expected: Result<&str, &str>| match (asked(script).await, expected) {
        (Ok(answer), Ok(user)) => assert_eq!(answer.logins[0].1, user, "{script}"),
        (Err(said), Err(words)) => assert!(said.contains(words) && !said.contains("secret"), "{script}: {said}"),
        (found, _) => panic!("{script}: {found:?}"),
    };
    check(&format!("cat >/dev/null; echo '{ANSWER}'"), Ok("u")).await;
    // Without reading.
    check(&format!("echo '{ANSWER}'"), Ok("u")).await;
    // Whatever it says of its work.
    check(&format!("head -c 9000000 /dev/zero >&2 || exit 1; echo '{ANSWER}'"), Ok("u")).await;
    // Its arguments and variables; what it is asked; no variable of the server's own.
    let says = |what: &str| format!("IFS= read -r request; echo '{ANSWER}' | sed \"s|\\\"u\\\"|\\\"{what}\\\"|\"");
    check(&says("$1 $2 $GIVEN $PWD"), Ok("one two text /")).await;
    let image = r#"$(echo $request | sed 's/.*image.:.//; s/".*//')"#;
    check(&says(image), Ok("r.example/team/app")).await;
    check("echo secret >&2; exit 3", Err("it fails (exit status: 3)")).await;
    check("sleep 60", Err("does not end within 3 s")).await;
    check("echo '{\"auth\":\"secret\"}'", Err("no CredentialProviderResponse (line 1")).await;
    check("echo no json", Err("no CredentialProviderResponse")).await;
    check(&format!("echo '{}'", ANSWER.replace("k8s.io/v1", "k8s.io/v1beta1")), Err("of credentialprovider")).await;
    check(&format!("echo '{}'", ANSWER.replace("ProviderResponse", "ProviderRequest")), Err("not a Cred")).await;
    check(&format!("echo '{}'", ANSWER.replace("Registry", "secret")), Err("no CredentialProviderResponse")).await;
    check(&format!("echo '{}'", ANSWER.replace("5m", "secret")), Err("no duration")).await;
    check("head -c 9000000 /dev/zero; exit 0", Err("larger than 1024 KiB")).await;
    check("head -c 1048577 /dev/zero; exit 0", Err("larger than 1024 KiB")).await;
}

#[test]
fn an_answer_says_how_long_it_counts() {
    let check = |from: &str, to: &str, expected: (CacheKeyType, Option<u64>, usize)| {
        let answer = answer_of(ANSWER.replace(from, to).as_bytes()).unwrap();
        let found = (answer.kind, answer.cached_for.map(|lasts| lasts.as_secs()), answer.logins.len());
        assert_eq!(found, expected, "{to}");
    };
    check("", "", (CacheKeyType::Registry, Some(300), 1));
    check("Registry", "Image", (CacheKeyType::Image, Some(300), 1));
    check("Registry", "Global", (CacheKeyType::Global, Some(300), 1));
    check("\"cacheDuration\":\"5m\",", "", (CacheKeyType::Registry, None, 1));
    check("\"5m\"", "null", (CacheKeyType::Registry, None, 1));
    check("5m", "0s", (CacheKeyType::Registry, Some(0), 1));
    check(r#"{"r.example":{"username":"u","password":"p"}}"#, "null", (CacheKeyType::Registry, Some(300), 0));
    check(r#""username":"u","#, "", (CacheKeyType::Registry, Some(300), 1));
}

#[test]
fn variables_of_the_server_stay_with_it() {
    let check = |name: &str, expected: bool| assert_eq!(is_for_plugins(&(name.into(), "x".into())), expected, "{name}");
    check("AWS_ROLE_ARN", true);
    check("HTTPS_PROXY", true);
    check("TIDEWAITER_DB", false);
}

/// Whether a process runs: one that ended and is not waited for yet does not.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

async fn until(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn started(file: &PathBuf) -> Option<String> {
    fs::read_to_string(file).ok().filter(|text| text.ends_with('\n')).map(|text| text.trim().to_owned())
}

/// Also when nobody waits for the answer any more.
#[tokio::test]
async fn a_plugin_ends_with_what_it_started() {
    let check = async |rest: &str, waits: bool| {
        let (dir, provider) = plugin("");
        let file = dir.path().join("pid");
        let script = format!("#!/bin/sh\nPATH=/usr/bin:/bin\nsleep 600 & echo $! > {}\n{rest}\n", file.display());
        fs::write(dir.path().join("plugin"), script).unwrap();
        let image = "r.example/app".parse().unwrap();
        let mut asking = Box::pin(ask_within(dir.path(), &provider, &image, Duration::from_secs(10)));
        tokio::select! {
            answered = &mut asking => assert!(answered.is_ok() && waits, "{rest}: {answered:?}"),
            () = async { until("it starts", || !waits && started(&file).is_some()).await } => {}
        }
        drop(asking);
        let child = started(&file).unwrap();
        until("its child is gone", || !runs(&child)).await;
    };
    check(&format!("echo '{ANSWER}'"), true).await;
    check("sleep 600", false).await;
}
