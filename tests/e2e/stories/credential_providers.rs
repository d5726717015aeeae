//! Logins that clouds give to kubelets, by programs of the administrator.

use crate::{create, places};
use std::path::Path;
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::Lab;

const PLUGIN: &str = env!("CARGO_BIN_EXE_story-credential-provider");

/// A cluster with the plugin under these names (name, images, password).
fn providing(providers: &[(&str, &str, &str)]) -> Lab {
    let mut lab = Lab::new(places());
    let host = lab.registry.host();
    let mut config = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n".to_owned();
    for (name, images, password) in providers {
        lab.mounted_program(name, Path::new(PLUGIN));
        config.push_str(&format!(
            "- name: {name}\n  matchImages: [\"{host}/{images}\"]\n  defaultCacheDuration: 1m\n  \
             apiVersion: credentialprovider.kubelet.k8s.io/v1\n  env:\n  - {{name: STORY_HOST, value: \"{}\"}}\n  \
             - {{name: STORY_USER, value: node}}\n  - {{name: STORY_PASSWORD, value: \"{password}\"}}\n",
            if password.is_empty() { "elsewhere.example" } else { &host }
        ));
    }
    let file = lab.mounted_file("credential-providers.yaml", &config);
    let folder = Path::new(&file).parent().unwrap().display().to_string();
    let args = ["--image-credential-provider-config", &file, "--image-credential-provider-bin-dir", &folder];
    lab.start_server_with(&args);
    lab
}

#[test]
fn an_image_is_scanned_with_the_login_that_a_provider_gives() {
    let lab = providing(&[("good", "team", "secret"), ("broken", "broken", ""), ("wrong", "wrong", "other")]);
    lab.registry.require_login("node", "secret");
    let push = |repository: &str| lab.registry.push(repository, "v1", &clean().build());
    create(&lab, "app", &push("team/app"));
    // The simulated node has no credentials: the decision is checked, not the Pod.
    lab.until("app", "Approved RollingOut");
    // What users of a namespace see, and do not: the plugin's own words are the administrator's.
    let check = |name: &str, words: &str| {
        create(&lab, name, &push(&format!("{name}/app")));
        lab.until(name, "ScanFailed Blocked");
        let status = lab.kubectl(&["scan", "status", &format!("deployment/{name}")]).ok();
        assert!(status.contains(words) && !status.contains("no login for"), "{name}: {status}");
    };
    check("broken", "the credential provider broken gives no login: it fails (exit status: 1)");
    check("wrong", "refused access");
    check("none", "refused access");
    let reasons = lab.field("imagescans", r#".items[?(@.status.imageStatus=="ScanFailed")].status.reason"#);
    let mut reasons: Vec<&str> = reasons.split(' ').collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["CredentialProviderFailed", "Unauthorized", "Unauthorized"]);
    // The scans that a login opens are no secret of one namespace: every kubelet pulls with it.
    lab.new_namespace("other");
    create(&lab, "app", &push("team/other"));
    lab.until("app", "Approved RollingOut");
}
