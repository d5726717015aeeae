//! Private registries: with the namespace's own secrets, and for no other namespace.

use crate::{create, lab, rolled_out};
use tidewaiter_testkit::demo::clean;
use tidewaiter_testkit::lab::Lab;

#[test]
fn a_private_image_is_scanned_with_the_namespaces_own_secret() {
    let lab = lab();
    let image = lab.registry.push("private", "v1", &clean().build());
    lab.registry.require_login("user", "secret");
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("refused access"), "{status}");

    let server = format!("--docker-server={}", lab.registry.host());
    let args =
        ["create", "secret", "docker-registry", "pull", &server, "--docker-username=user", "--docker-password=secret"];
    lab.kubectl(&args).ok();
    let patch = r#"{"imagePullSecrets":[{"name":"pull"}]}"#;
    lab.kubectl(&["patch", "serviceaccount", "default", "-p", patch]).ok();
    // The simulated node has no credentials: the decision is checked, not the Pod.
    lab.kubectl(&["scan", "deployment", "app"]).ok();
    lab.until("app", "Approved RollingOut");
    // Likewise of a bare Pod: released is not started.
    lab.apply(&crate::pod("bare", &image)).ok();
    let status = || lab.kubectl(&["scan", "status", "pod/bare"]).ok();
    crate::within(tidewaiter_testkit::lab::PATIENCE, "the Pod is released", || {
        status().contains("Approved  RollingOut")
    });
    crate::until_field(&lab, "pod/bare", ".status.containerStatuses[0].state.waiting.reason", "ErrImagePull");
    assert!(!status().contains("Deployed"), "{}", status());

    // A namespace's secrets do not serve another one.
    lab.new_namespace("other");
    create(&lab, "app", &image);
    lab.until("app", "ScanFailed Blocked");
    let status = lab.kubectl(&["scan", "status", "deployment/app"]).ok();
    assert!(status.contains("refused access"), "{status}");
    let said = lab.kubectl(&["scan", "image", &image]);
    assert_eq!(said.code, 3, "{}", said.text);
    assert!(said.text.contains("Unauthorized"), "{}", said.text);
}

/// Addresses inside the cluster are refused as registries, unless the operator allows them.
#[test]
fn a_registry_inside_is_refused() {
    let lab = lab();
    for image in ["169.254.169.254/latest/meta-data:v1", "10.96.0.1/kubernetes:v1", "[::ffff:a9fe:a9fe]:80/x:v1"] {
        let said = lab.kubectl(&["scan", "image", image]);
        assert_eq!(said.code, 3, "{image}: {}", said.text);
        let told = said.text.contains("not allowed")
            && said.text.contains("--allow-registry-network CIDR of tidewaiter serve");
        assert!(told || said.text.contains("BadReference"), "{image}: {}", said.text);
    }
    let image = lab.registry.push("app", "v1", &clean().build());
    create(&lab, "app", &image);
    rolled_out(&lab, "app");
}

/// A pull secret whose `config.json` has this login under this key.
fn pull_secret(lab: &Lab, name: &str, key: &str, password: &str) {
    let auth = format!(r#"{{"auths":{{"{key}":{{"username":"user","password":"{password}"}}}}}}"#);
    let file = lab.cluster.dir().join(format!("{name}.json"));
    std::fs::write(&file, auth).unwrap();
    let from = format!("--from-file=.dockerconfigjson={}", file.display());
    lab.kubectl(&["create", "secret", "generic", name, "--type=kubernetes.io/dockerconfigjson", &from]).ok();
}

/// As kubelets pull: by patterns, with each login that fits in turn; the ServiceAccount's where the Pod has none of its own.
#[test]
fn every_login_of_a_pod_is_tried() {
    let lab = lab();
    let host = lab.registry.host();
    lab.registry.require_login("user", "secret");
    pull_secret(&lab, "glob", &format!("*.0.0.1:{}", lab.registry.port()), "secret");
    pull_secret(&lab, "exact", &host, "secret");
    pull_secret(&lab, "awrong", &host, "wrong");
    pull_secret(&lab, "wrongpath", &format!("{host}/team"), "wrong");
    let check = |name: &str, secrets: &[&str], expected: &str| {
        let image = lab.registry.push(&format!("team/{name}"), "v1", &clean().build());
        let list: Vec<String> = secrets.iter().map(|secret| format!(r#"{{"name":"{secret}"}}"#)).collect();
        let spec = format!(r#""spec":{{"imagePullSecrets":[{}],"#, list.join(","));
        lab.apply(&crate::pod(name, &image).replace(r#""spec":{"#, &spec)).ok();
        let status = || lab.kubectl(&["scan", "status", &format!("pod/{name}")]).ok();
        crate::within(tidewaiter_testkit::lab::PATIENCE, name, || status().contains(expected));
        // Secrets are noted in the Pod's own order, by which logins of one key are tried.
        let scans = lab.admin(&[
            "get",
            "imagescans",
            "-o",
            "jsonpath={range .items[*]}{.spec.image}{.spec.pullSecrets}\n{end}",
        ]);
        let noted = scans.ok().lines().find_map(|line| line.strip_prefix(&image).map(str::to_owned)).unwrap();
        let own: Vec<String> = secrets.iter().map(|secret| format!("\"{secret}\"")).collect();
        assert_eq!(noted.trim_matches(['[', ']']), own.join(","));
    };
    let (released, refused) = ("Approved  RollingOut", "ScanFailed");
    check("exact", &["exact"], released);
    check("glob", &["glob"], released);
    check("both", &["exact", "awrong"], released);
    check("path", &["wrongpath", "glob"], released);
    check("wrong", &["awrong", "wrongpath"], refused);
    check("none", &[], refused);
}
