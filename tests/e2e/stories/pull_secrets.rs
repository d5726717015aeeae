//! Private registries: with the namespace's own secrets, and for no other namespace.

use crate::{create, lab, rolled_out};
use tidewaiter_testkit::demo::clean;

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
