//! Logins that this machine's user stored: in Docker's and Podman's files, and with credential helpers.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::registry::Registry;

/// A machine without a cluster, and a registry that wants a login.
struct Machine {
    dir: TempDir,
    registry: Registry,
    image: String,
}

impl Machine {
    fn new() -> Self {
        let registry = Registry::start();
        let image = registry.push("team/app", "v1", &clean().build());
        let machine = Machine { dir: tempfile::tempdir().unwrap(), registry, image };
        let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml");
        run(machine.command(&["db", "build", "--feeds", &feeds.display().to_string()]).env("PATH", "/bin:/usr/bin"))
            .ok();
        machine
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        let folder = |name: &str| self.dir.path().join(name);
        command.args(args).env("KUBECONFIG", "").env("HOME", self.dir.path());
        command.env("TIDEWAITER_DB", folder("tidewaiter.db")).env("XDG_CACHE_HOME", folder("cache"));
        command.env("XDG_RUNTIME_DIR", folder("run")).env("XDG_CONFIG_HOME", folder("config"));
        command.env("PATH", format!("{}:/bin:/usr/bin", folder("bin").display()));
        command.env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
        command
    }

    /// Writes a file; `HOST` in it is the registry's.
    fn write(&self, name: &str, content: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content.replace("HOST", &self.registry.host())).unwrap();
    }

    /// A credential helper: a script of a shell.
    fn helper(&self, name: &str, script: &str) {
        let file = format!("bin/docker-credential-{name}");
        self.write(&file, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(self.dir.path().join(file), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Scans the image and checks the exit code and words of the output.
    #[track_caller]
    fn check(&self, variables: &[(&str, &str)], code: i32, words: &[&str]) {
        let mut command = self.command(&["image", &self.image]);
        for (name, file) in variables {
            command.env(name, self.dir.path().join(file));
        }
        let said = run(&mut command);
        assert_eq!(said.code, code, "{}", said.text);
        for word in words {
            assert!(said.text.contains(word), "{word:?}: {}", said.text);
        }
    }
}

/// Answers for the registry's address, on one line without its end, as Docker asks.
const RIGHT: &str =
    r#"test "$1" = get && test "$(cat)" = HOST && echo '{"ServerURL":"HOST","Username":"user","Secret":"right"}'"#;

#[test]
fn credential_helpers_are_asked() {
    let machine = Machine::new();
    machine.registry.require_login("user", "right");
    let docker = ".docker/config.json";
    machine.helper("good", RIGHT);
    machine.write(docker, r#"{"auths":{"HOST":{}},"credsStore":"good"}"#);
    machine.check(&[], 0, &["No vulnerabilities found"]);
    machine.write(docker, r#"{"credHelpers":{"HOST":"good"},"credsStore":"missing"}"#);
    machine.check(&[], 0, &["No vulnerabilities found"]);
    // Another registry's helper is not asked.
    machine.write(docker, r#"{"credHelpers":{"other.example":"missing"}}"#);
    machine.check(&[], 3, &["refused access"]);
    machine.write(docker, r#"{"credsStore":"missing"}"#);
    machine.check(
        &[],
        2,
        &["docker-credential-missing, which ", ".docker/config.json names for", "not on PATH; install"],
    );

    machine.write(docker, r#"{"credsStore":"other"}"#);
    machine.helper("other", "cat >/dev/null; echo credentials not found in native keychain; exit 1");
    machine.check(&[], 3, &["refused access"]);
    machine.helper("other", "cat >/dev/null; echo the keychain is locked >&2; exit 1");
    machine.check(&[], 2, &["docker-credential-other", "the keychain is locked; log in again"]);
    machine.helper("other", "cat >/dev/null; echo no JSON");
    machine.check(&[], 2, &["its output is not a login"]);
    // What the file has is used where the helper has nothing.
    machine.helper("other", "cat >/dev/null; echo credentials not found in native keychain; exit 1");
    machine.write(docker, r#"{"credsStore":"other","auths":{"HOST":{"username":"user","password":"right"}}}"#);
    machine.check(&[], 0, &["No vulnerabilities found"]);
}

/// Only where the command line says so; the logins of the registry are not the mirror's.
#[test]
fn mirrors_are_those_of_the_command_line() {
    let (machine, mirror) = (Machine::new(), Registry::start());
    machine.registry.require_login("user", "right");
    mirror.push("team/app", "v1", &clean().build());
    machine.write(".docker/config.json", r#"{"auths":{"HOST":{"username":"user","password":"wrong"}}}"#);
    let hosts = format!("certs.d/127.0.0.1_{}_/hosts.toml", machine.registry.port());
    machine.write(&hosts, &format!("[host.\"http://{}\"]\n", mirror.host()));
    machine.check(&[], 3, &["refused access"]);
    assert_eq!(mirror.log(), Vec::<String>::new());
    let dir = machine.dir.path().join("certs.d").display().to_string();
    let scan = || run(&mut machine.command(&["image", &machine.image, "--registry-config-dir", &dir]));
    let said = scan();
    assert!(said.code == 0 && said.text.contains("No vulnerabilities found"), "{}", said.text);
    assert!(mirror.log().iter().all(|line| !line.contains("Basic ")), "{:?}", mirror.log());
    machine.write(&hosts, "skip_verify = true");
    let said = scan();
    assert!(said.code == 2 && said.text.contains("hosts.toml: skip_verify: whoever answers"), "{}", said.text);
}

#[test]
fn a_helpers_identity_token_is_exchanged() {
    let machine = Machine::new();
    machine.registry.require_token(&format!("http://{}/token", machine.registry.host()));
    machine.registry.give_tokens("user", "right", "refresh");
    machine.write(".docker/config.json", r#"{"credsStore":"token"}"#);
    machine.helper("token", r#"cat >/dev/null; echo '{"Username":"<token>","Secret":"refresh"}'"#);
    machine.check(&[], 0, &["No vulnerabilities found"]);
    machine.helper("token", r#"cat >/dev/null; echo '{"Username":"<token>","Secret":"other"}'"#);
    machine.check(&[], 3, &["refused access"]);
}

#[test]
fn files_of_docker_and_podman_are_read() {
    let machine = Machine::new();
    machine.registry.require_login("user", "right");
    let auths =
        |key: &str, password: &str| format!(r#"{{"auths":{{"{key}":{{"username":"user","password":"{password}"}}}}}}"#);
    machine.check(&[], 3, &["refused access"]);
    machine.write("config/containers/auth.json", &auths("HOST", "right"));
    machine.check(&[], 0, &[]);
    // A named file stands in for both of Podman's.
    machine.write("named.json", &auths("HOST", "wrong"));
    machine.check(&[("REGISTRY_AUTH_FILE", "named.json")], 3, &["refused access"]);
    machine.write("named.json", &auths("HOST/team", "right"));
    machine.check(&[("REGISTRY_AUTH_FILE", "named.json")], 0, &[]);
    // All that fit are tried.
    machine.write("docker/config.json", &auths("HOST", "wrong"));
    machine.check(&[("DOCKER_CONFIG", "docker")], 0, &[]);
    machine.write("config/containers/auth.json", &auths("HOST", "wrong"));
    machine.write("run/containers/auth.json", &auths("HOST/team/app", "right"));
    machine.check(&[("DOCKER_CONFIG", "docker")], 0, &[]);
    machine.write("run/containers/auth.json", "{");
    machine.check(&[], 2, &["run/containers/auth.json: not a Docker config.json"]);
}
