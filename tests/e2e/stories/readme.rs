//! The README's commands, as its readers run them. Those of the laptop are in the plugin's own tests.

use crate::{create, lab, places, rolled_out, within};
use std::fs;
use std::path::PathBuf;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::readme;

fn readme() -> PathBuf {
    places().root.join("README.md")
}

#[test]
fn installation_arguments_and_feeds() {
    let lab = Lab::new(places());
    // Again, and to its end: there is no server yet, and the output says so.
    let said = lab.shell(lab.root(), &readme::script(&readme(), "install")).ok();
    assert!(said.contains("successfully rolled out"), "{said}");
    assert!(!said.contains("unrecognized format"), "the API server warns of our resources: {said}");
    assert!(said.contains("warning: nothing new is scanned") && said.contains("get pods"), "{said}");
    let folder = lab.cluster.dir().join("work");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("ca.pem"), "x").unwrap();
    lab.shell(&folder, &readme::script(&readme(), "arguments")).ok();
    let server = |path: &str| {
        let path = format!("jsonpath={{.spec.template.spec{path}}}");
        lab.admin(&["get", "deployment", "tidewaiter", "-n", "tidewaiter-system", "-o", &path]).ok()
    };
    assert!(server(".containers[0].args").contains("--registry-ca=/etc/registry-ca/ca.pem"));
    assert!(server(".containers[0].volumeMounts[*].mountPath").contains("/var/lib/tidewaiter"));
    let images = server(".containers[*].image");
    assert_eq!(images.split_whitespace().collect::<Vec<_>>(), ["registry.example/tidewaiter:0.1.0"; 3]);
    // Feeds from files: the container `database` reads the ConfigMap.
    lab.shell(&lab.root().join("demo"), &format!("tar -czf {}/advisories.tar.gz advisories", folder.display())).ok();
    let toml = fs::read_to_string(lab.root().join("demo/feeds.toml")).unwrap();
    fs::write(folder.join("feeds.toml"), toml.replace("\"advisories\"", "\"advisories.tar.gz\"")).unwrap();
    lab.shell(&folder, &readme::script(&readme(), "feeds")).ok();
    let keys = ["get", "configmap", "feeds", "-n", "tidewaiter-system", "-o", "jsonpath={.data}{.binaryData}"];
    let map = lab.admin(&keys).ok();
    assert!(map.contains("feeds.toml") && map.contains("advisories.tar.gz"), "{map:.200}");
    lab.shell(&folder, &readme::script(&readme(), "source")).ok();
    let env = server(".containers[?(@.name==\"database\")].env");
    assert!(env.contains("TIDEWAITER_DB_SOURCE") && env.contains("oci://registry.example/team/tidewaiter-db"), "{env}");
    let others = server(".containers[?(@.name!=\"database\")].env");
    assert!(!others.contains("TIDEWAITER_DB_SOURCE"), "the server is not concerned: {others}");
    let said = lab.build_database(&folder.join("feeds.toml"));
    assert!(said.contains("8 advisories"), "{said}");
}

#[test]
fn the_first_namespace_is_enforced() {
    let mut lab = Lab::fresh(places());
    lab.start_server();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Deployed");
    let said = lab.shell(lab.root(), &readme::script(&readme(), "enforce")).ok();
    assert!(said.matches("1 of 1 known workloads would be held").count() == 2, "{said}");
    assert!(create(&lab, "next", &bad).contains("held"));
    rolled_out(&lab, "app");
}

#[test]
fn people_and_roles() {
    let lab = lab();
    lab.shell(lab.root(), &readme::script(&readme(), "roles")).ok();
    for (who, verb, expected) in [
        ("developers", "create imagescans", "yes"),
        ("developers", "create rolloutapprovals", "no"),
        ("leads", "create rolloutapprovals", "yes"),
    ] {
        let (verb, resource) = verb.split_once(' ').unwrap();
        let group = format!("--as-group={who}");
        let said = lab.admin(&[
            "auth",
            "can-i",
            verb,
            &format!("{resource}.tidewaiter.dev"),
            "-n",
            "team-a",
            "--as=x",
            &group,
        ]);
        assert!(said.text.lines().any(|line| line == expected), "{who} {verb} {resource}: {}", said.text);
    }
    lab.approval("Manual");
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "myapp", &image);
    lab.until("myapp", "NoVulnerabilities PendingApproval");
    let script = readme::script(&readme(), "people").replace("registry.example/app:v1", &image);
    let said = lab.lead_shell(lab.root(), &script).ok();
    assert!(said.contains("No vulnerabilities found") && said.contains("deployment/myapp approved by"), "{said}");
    rolled_out(&lab, "myapp");
}

#[test]
fn an_emergency_and_the_removal() {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &bad);
    lab.until("app", "VulnerabilitiesFound Blocked");
    lab.apply(&crate::pod("bare", &bad)).ok();
    // The first step ends the server, which would restore what the others delete.
    let script = readme::script(&readme(), "emergency");
    let (first, others) = script.split_once('\n').unwrap();
    lab.shell(lab.root(), first).ok();
    within(PATIENCE, "its Pod is gone", || {
        lab.admin(&["get", "pods", "-n", "tidewaiter-system", "-o", "name"]).ok().is_empty()
    });
    lab.kill_server();
    lab.shell(lab.root(), others).ok();
    // New Pods start; held workloads are released as the guide says.
    within(PATIENCE, "new Pods pass", || crate::would_start(&lab, &bad));
    let guide = lab.root().join("docs/user-guide.md");
    let script = readme::script(&guide, "freeing").replace("NAME", "app").replace("POD", "bare");
    lab.shell(lab.root(), &script).ok();
    rolled_out(&lab, "app");
    crate::until_field(&lab, "pod/bare", ".status.phase", "Running");
    lab.shell(lab.root(), &readme::script(&readme(), "removal")).ok();
    assert!(!lab.admin(&["get", "crd", "-o", "name"]).ok().contains("tidewaiter.dev"));
}
