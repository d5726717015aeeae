//! Which logins of pull secrets are tried, and in which order, compared with the kubelet's own code
//! (`tests/controlplane/keyring.go`).

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tidewaiter_scan::source::registry::credentials::{Credentials, Login};
use tidewaiter_testkit::{controlplane, skip};

const HOSTS: [&str; 22] = [
    "r.example",
    "r.example:5000",
    "a.r.example",
    "a.b.r.example",
    "*.example",
    "*.r.example",
    "*.*.example",
    "r.*",
    "r.*:5000",
    "*.*:5000",
    "*r*.example",
    "a*.r.example",
    "*",
    "r.example:*",
    "127.0.0.1:5998",
    "*.0.0.1:5998",
    "127.0.*.1:5998",
    "127.0.0.1",
    "docker.io",
    "*.io",
    "index.docker.io",
    "user@r.example",
];
const SCHEMES: [&str; 4] = ["", "", "https://", "http://"];
const PATHS: [&str; 12] =
    ["", "", "", "/", "/v1/", "/v2/", "/team", "/team/", "/team/app", "/v2/team", "/library", "/*/app"];
const IMAGES: [&str; 14] = [
    "r.example/app:1",
    "r.example/team/app",
    "r.example/teams/app",
    "r.example:5000/team/app",
    "a.r.example/team/app",
    "ab.r.example/app",
    "a.b.r.example/app",
    "r.io/app",
    "r.io:5000/app",
    "127.0.0.1:5998/app",
    "127.0.0.1:5999/app",
    "nginx",
    "team/app:2",
    "index.docker.io/library/app",
];
const QUESTIONS: usize = 4000;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// The `config.json` of a secret. Two spellings of one key have no order there, so each host is in it once.
fn document(numbers: &mut Numbers) -> String {
    let (mut auths, mut hosts) = (serde_json::Map::new(), BTreeSet::new());
    for _ in 0..=numbers.below(3) {
        let host = numbers.one(&HOSTS);
        if hosts.insert(host.rsplit('@').next()) {
            let key = format!("{}{host}{}", numbers.one(&SCHEMES), numbers.one(&PATHS));
            // Few, so that some are the same.
            let user = format!("u{}", numbers.below(6));
            auths.insert(key, json!({"username": user, "password": "p"}));
        }
    }
    json!({ "auths": auths }).to_string()
}

fn ours(question: &Value) -> Vec<String> {
    let mut all = Credentials::default();
    for document in question["Documents"].as_array().unwrap() {
        all.extend(Credentials::parse(document.as_str().unwrap().as_bytes()).unwrap());
    }
    let logins = all.logins(&question["Image"].as_str().unwrap().parse().unwrap()).into_iter();
    let names = logins.map(|login| match login {
        Login::Password { user, password } => format!("{user}:{password}"),
        other => panic!("{other:?}"),
    });
    names.collect()
}

fn kubelets(program: &Path, questions: &[Value]) -> Vec<Vec<String>> {
    let mut command = Command::new(program);
    let mut child =
        command.arg("keyring").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut input, lines) = (child.stdin.take().unwrap(), questions.iter().map(|q| format!("{q}\n")));
    let text: String = lines.collect();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success());
    let answers = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    let mut answers: Vec<Vec<String>> = answers.map(Result::unwrap).collect();
    for answer in &mut answers {
        // Kubelets try a login again that they have tried.
        let mut seen = BTreeSet::new();
        answer.retain(|login| seen.insert(login.clone()));
    }
    answers
}

#[test]
fn logins_are_those_of_the_kubelets_keyring() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = match controlplane::find(&root) {
        Ok(program) => program,
        Err(_) => return skip::skipped("logins_are_those_of_the_kubelets_keyring", "needs cargo xtask controlplane"),
    };
    let mut numbers = Numbers(1);
    let mut questions: Vec<Value> = Vec::new();
    for _ in 0..QUESTIONS {
        let documents: Vec<String> = (0..=numbers.below(5)).map(|_| document(&mut numbers)).collect();
        questions.push(json!({"Image": numbers.one(&IMAGES), "Documents": documents}));
    }
    let answers = kubelets(&program, &questions);
    assert_eq!(answers.len(), questions.len());
    for (question, expected) in questions.iter().zip(&answers) {
        assert_eq!(&ours(question), expected, "{question}");
    }
    // The comparison says something: many have a login, and many several.
    let with = |least: usize| answers.iter().filter(|answer| answer.len() >= least).count();
    assert!(with(1) > QUESTIONS / 4 && with(2) > QUESTIONS / 20, "{} {}", with(1), with(2));
}
