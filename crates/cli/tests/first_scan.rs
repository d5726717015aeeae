//! The first scan of a stranger: what is missing is one line that says what to do.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::registry::Registry;

/// `kubectl-scan ARGS` in an empty home.
fn scan(home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
    command.env_clear().env("HOME", home).envs(variables.iter().copied());
    run(command.args(args))
}

/// Checks exit code and words, and that the error is one line.
#[track_caller]
fn check(said: &Said, code: i32, words: &[&str]) {
    assert_eq!(said.code, code, "{}", said.text);
    for word in words {
        assert!(said.text.contains(word), "{word:?}: {}", said.text);
    }
    let errors = said.text.lines().skip_while(|line| !line.starts_with("error: ")).count();
    assert!(errors <= 1, "more than one line: {}", said.text);
    assert!(!said.text.contains("Status {") && !said.text.contains("panicked"), "{}", said.text);
}

#[test]
fn what_is_missing_is_named_with_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    let registry = Registry::start();
    let image = registry.push("app", "v1", &clean().build());
    // No database.
    check(&scan(home.path(), &[], &["image", &image]), 3, &["no vulnerability database", "kubectl scan db build"]);
    check(&scan(home.path(), &[], &["db", "status"]), 3, &["kubectl scan db build"]);
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml").display().to_string();
    check(&scan(home.path(), &[], &["db", "build", "--feeds", &feeds]), 0, &["advisories"]);
    // No cluster: it is scanned here, without a word about clusters.
    let said = scan(home.path(), &[], &["image", &image]);
    check(&said, 0, &["Scan started", "No vulnerabilities found"]);
    assert!(!said.text.contains("cluster"), "{}", said.text);
    check(&scan(home.path(), &[], &["status"]), 3, &["no cluster is configured", "KUBECONFIG"]);
    // No network: the name is unknown.
    let said = scan(home.path(), &[], &["image", "registry.invalid/app:v1"]);
    check(
        &said,
        3,
        &["the registry cannot be reached", "name is unknown", "check the name, the network and HTTPS_PROXY"],
    );
    // A kubeconfig that is not there, is none, or leads nowhere.
    let (none, bad, dead) = (home.path().join("none"), home.path().join("bad"), home.path().join("dead"));
    fs::write(&bad, "{").unwrap();
    let cluster = r#"{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
        "users":[{"name":"u","user":{}}],"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}]}"#;
    fs::write(&dead, cluster).unwrap();
    for (config, words) in [
        (&none, &["the cluster cannot be used", "none", "kubectl cluster-info"][..]),
        (&bad, &["the cluster cannot be used", "bad"]),
        (&dead, &["the cluster cannot be used"]),
    ] {
        let config = config.display().to_string();
        check(&scan(home.path(), &[], &["image", &image, "--kubeconfig", &config]), 3, words);
        check(&scan(home.path(), &[("KUBECONFIG", &config)], &["status"]), 3, &["the cluster cannot be used"]);
        let said = scan(home.path(), &[("KUBECONFIG", &config)], &["image", &image]);
        check(&said, 0, &["scanning locally: the cluster cannot be used", "No vulnerabilities found"]);
    }
    // A missing certificate authority is not a failure of the network.
    let empty = home.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let toml = home.path().join("far.toml");
    fs::write(&toml, "[[feed]]\nname = \"a\"\nformat = \"osv\"\nurl = \"https://localhost:1/a.zip\"\n").unwrap();
    let (empty, toml) = (empty.display().to_string(), toml.display().to_string());
    let said = scan(home.path(), &[("SSL_CERT_FILE", &empty)], &["image", "--plain-http", "localhost:1/x:v1"]);
    check(&said, 3, &["the registry cannot be reached"]);
    let said = scan(home.path(), &[("SSL_CERT_FILE", &empty)], &["db", "build", "--feeds", &toml]);
    check(&said, 3, &["feed a"]);
    let dead = dead.display().to_string();
    check(&scan(home.path(), &[], &["image", &image, "--kubeconfig", &dead, "--context", "x"]), 3, &["x"]);
}

/// `kubectl-scan ARGS` on a terminal on which this is typed; `None` where no terminal can be made.
fn on_a_terminal(home: &Path, source: &str, typed: &str, args: &str) -> Option<Said> {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} {args}", env!("CARGO_BIN_EXE_kubectl-scan")), "/dev/null"]);
    command.env_clear().env("HOME", home).env("TIDEWAITER_DB_SOURCE", source).env("PATH", "/usr/bin:/bin");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        tidewaiter_testkit::skip::skipped("a_terminal_is_offered_a_database", "needs script");
        return None;
    };
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(Said { code: output.status.code().unwrap(), text })
}

#[test]
fn a_terminal_is_offered_a_database() {
    let (builder, home, registry) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Registry::start());
    let image = registry.push("app", "v1", &clean().build());
    let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml").display().to_string();
    check(&scan(builder.path(), &[], &["db", "build", "--feeds", &feeds]), 0, &[]);
    let at = format!("oci://{}/db:latest", registry.host());
    check(&scan(builder.path(), &[], &["db", "push", &at]), 0, &[]);
    let args = format!("image --local {image}");
    // In a pipe the line says what to run, and nobody is asked.
    let said = scan(home.path(), &[("TIDEWAITER_DB_SOURCE", &at)], &["image", "--local", &image]);
    check(&said, 3, &["no vulnerability database", "download it with: kubectl scan db update"]);
    assert!(!said.text.contains("[y/N]"), "{}", said.text);
    let question = format!("Download it from {at} now? [y/N]");
    let Some(said) = on_a_terminal(home.path(), &at, "n\n", &args) else { return };
    check(&said, 3, &[&question, "kubectl scan db update"]);
    let Some(said) = on_a_terminal(home.path(), &at, "y\n", &args) else { return };
    check(&said, 0, &[&question, "updated, sha256:", "No vulnerabilities found"]);
    let Some(said) = on_a_terminal(home.path(), &at, "", &args) else { return };
    check(&said, 0, &["No vulnerabilities found"]);
    assert!(!said.text.contains("[y/N]"), "{}", said.text);
}
