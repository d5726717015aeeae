//! The chart of `deploy/chart` with the real Helm: the same objects as the manifests, taken over from them, upgraded, rolled back
//! and removed.

use crate::{create, lab, places, registrations, rolled_out, until_field, within};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tidewaiter_testkit::cluster::run;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::{gitops, skip};

pub(crate) const IMAGE: &str = "image.repository=registry.example/tidewaiter";
const SYSTEM: &str = "tidewaiter-system";

/// The objects of manifests by kind and name, as the API server would read them.
pub(crate) fn objects(lab: &Lab, manifests: &str) -> BTreeMap<String, Value> {
    let said = lab.cluster.with_input(&["create", "--dry-run=client", "-o", "json", "-f", "-"], manifests).ok();
    let stream = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let lists = stream.map(|document| document.unwrap());
    let items = lists.flat_map(|list| match list["items"].as_array() {
        Some(items) => items.clone(),
        None => vec![list],
    });
    items.map(|item| (format!("{} {}", item["kind"], item["metadata"]["name"]).replace('"', ""), item)).collect()
}

/// Those of `deploy/`.
pub(crate) fn of_manifests(lab: &Lab) -> BTreeMap<String, Value> {
    let files = ["crds", "rbac", "tidewaiter-feeds", "tidewaiter"];
    let texts = files.map(|name| std::fs::read_to_string(lab.root().join(format!("deploy/{name}.yaml"))).unwrap());
    objects(lab, &texts.join("\n---\n"))
}

/// What differs on purpose: the image and how it is pulled.
pub(crate) fn without_image(mut object: Value) -> Value {
    let containers = object.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten().filter_map(Value::as_object_mut) {
        container.remove("image");
        container.remove("imagePullPolicy");
    }
    object
}

/// `helm ARGS` as the administrator of the cluster.
pub(crate) fn helm(lab: &Lab, helm: &Path, args: &[&str]) -> Command {
    let mut command = lab.tool(helm);
    command.args(args).args(["--namespace", SYSTEM]).env("KUBECONFIG", lab.cluster.kubeconfig());
    command
}

pub(crate) fn chart(lab: &Lab) -> String {
    lab.root().join("deploy/chart").display().to_string()
}

#[test]
fn the_chart_has_the_objects_of_the_manifests() {
    let lab = Lab::fresh(places());
    let program = gitops::helm_4(&places().root);
    run(&mut helm(&lab, &program, &["lint", "--strict", &chart(&lab), "--set", IMAGE])).ok();
    let template = ["template", "tidewaiter", &chart(&lab), "--set", IMAGE, "--no-hooks", "--set", "crds.keep=false"];
    let of_chart = objects(&lab, &run(&mut helm(&lab, &program, &template)).ok());
    let mut of_manifests = of_manifests(&lab);
    // Helm makes it.
    of_manifests.remove(&format!("Namespace {SYSTEM}")).unwrap();
    assert_eq!(of_chart.keys().collect::<Vec<_>>(), of_manifests.keys().collect::<Vec<_>>());
    for (name, object) in of_chart {
        assert_eq!(without_image(object), without_image(of_manifests[&name].clone()), "{name}");
    }
    one_process_alone(&lab, &program);
    what_images_may_not_read(&lab, &program);
    users_of_the_cluster(&lab, &program);
    reports_where_they_are_wanted(&lab, &program);
    newer_values_may_be_missing(&lab, &program);
    packed_and_pushed(&lab, &program);
    let refused = |args: &[&str], why: &str| {
        let said =
            run(&mut helm(&lab, &program, &[&["template", "tidewaiter", &chart(&lab)], args].concat())).refused();
        assert!(said.contains(why), "{said}");
    };
    refused(&[], "image.repository is required");
    refused(&["--set", "image.repo=x"], "additional properties 'repo' not allowed");
    refused(&["--set", IMAGE, "--set", "image.digest=v1"], "image/digest");
    refused(&["--set", IMAGE, "--set", "standby.replicas=-1"], "standby/replicas");
    refused(&["--set", IMAGE, "--set", "openshift=yes"], "openshift");
    refused(&["--set", IMAGE, "--set", "policyReports=all"], "policyReports");
    let short = "certificates.certManager.enabled=true,certificates.certManager.authorityDuration=6479h";
    refused(&["--set", IMAGE, "--set", short], "a certificate must end before its authority does");
    let elsewhere =
        run(lab.tool(&program).args(["template", "tidewaiter", &chart(&lab), "--set", IMAGE, "-n", "team"]));
    assert!(elsewhere.refused().contains("install into the namespace tidewaiter-system"));
}

/// Without a second process the Service leads to the only one whatever its other containers do.
fn one_process_alone(lab: &Lab, program: &Path) {
    let template = ["template", "tidewaiter", &chart(lab), "--set", IMAGE, "--set", "standby.replicas=0", "--no-hooks"];
    let objects = objects(lab, &run(&mut helm(lab, program, &template)).ok());
    assert!(objects.contains_key("Deployment tidewaiter") && !objects.contains_key("Deployment tidewaiter-standby"));
    assert_eq!(objects["Service tidewaiter"]["spec"]["publishNotReadyAddresses"], true);
}

/// OpenShift is known by its API.
fn users_of_the_cluster(lab: &Lab, program: &Path) {
    let template = |more: &[&str]| {
        let given = ["template", "tidewaiter", &chart(lab), "--set", IMAGE];
        run(&mut helm(lab, program, &[&given[..], more].concat())).ok()
    };
    let openshift = ["--api-versions", "security.openshift.io/v1"];
    let left_to_it = template(&openshift);
    for own in ["runAsUser:", "runAsGroup:", "fsGroup:", "--server-user"] {
        assert!(!left_to_it.contains(own) && template(&[]).contains(own), "{own}");
    }
    assert_eq!(template(&["--set", "openshift=true"]), left_to_it);
    assert_eq!(template(&[&openshift[..], &["--set", "openshift=false"]].concat()), template(&[]));
}

/// The permission to write policy reports is there with the setting, and not without; both processes have it.
fn reports_where_they_are_wanted(lab: &Lab, program: &Path) {
    let template = ["template", "tidewaiter", &chart(lab), "--set", IMAGE, "--set", "policyReports=both", "--no-hooks"];
    let of_chart = objects(lab, &run(&mut helm(lab, program, &template)).ok());
    let role = std::fs::read_to_string(lab.root().join("deploy/optional/policy-reports.yaml")).unwrap();
    let of_file = objects(lab, &role);
    assert_eq!(of_file.len(), 2, "{of_file:?}");
    for (name, object) in of_file {
        assert_eq!(of_chart[&name], object);
    }
    for deployment in ["Deployment tidewaiter", "Deployment tidewaiter-standby"] {
        let text = of_chart[deployment].to_string();
        assert!(text.contains(r#"{"name":"TIDEWAITER_POLICY_REPORTS","value":"both"}"#), "{text}");
    }
}

/// `helm upgrade --reuse-values` has the values of the chart before, without those that are newer.
fn newer_values_may_be_missing(lab: &Lab, program: &Path) {
    let template = |values: &[&str]| {
        let given = ["template", "tidewaiter", &chart(lab), "--set", IMAGE, "--no-hooks"];
        run(&mut helm(lab, program, &[&given[..], values].concat())).ok()
    };
    let of_defaults = template(&[]);
    for newer in ["openshift", "policyReports", "certificates", "server"] {
        assert_eq!(template(&["--set", &format!("{newer}=null")]), of_defaults, "without {newer}");
    }
}

/// What credential providers and mirrors need is not for the containers that read images and feeds.
fn what_images_may_not_read(lab: &Lab, program: &Path) {
    let values = "server.extraEnv[0].name=AWS_ROLE_ARN,server.extraEnv[0].value=x,\
        server.extraVolumeMounts[0].name=providers,server.extraVolumeMounts[0].mountPath=/opt/providers,\
        extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=x";
    let template = ["template", "tidewaiter", &chart(lab), "--set", IMAGE, "--set", values, "--no-hooks"];
    let objects = objects(lab, &run(&mut helm(lab, program, &template)).ok());
    for deployment in ["Deployment tidewaiter", "Deployment tidewaiter-standby"] {
        let containers = objects[deployment].pointer("/spec/template/spec/containers").unwrap().as_array().unwrap();
        for container in containers {
            let is_server = container["name"] == "tidewaiter";
            let text = container.to_string();
            assert_eq!(text.contains("AWS_ROLE_ARN"), is_server, "{text}");
            assert_eq!(text.contains("/opt/providers"), is_server, "{text}");
            assert!(text.contains("HTTPS_PROXY"), "{text}");
        }
    }
}

/// What `cargo xtask chart --push` does, and what clusters then install.
fn packed_and_pushed(lab: &Lab, program: &Path) {
    let out = lab.cluster.dir().join("packed");
    run(&mut helm(lab, program, &["package", &chart(lab), "--destination", out.to_str().unwrap()])).ok();
    let archive = out.join("tidewaiter-0.1.0.tgz");
    let to = format!("oci://{}/charts", lab.registry.host());
    run(&mut helm(lab, program, &["push", archive.to_str().unwrap(), &to, "--plain-http"])).ok();
    let template = |chart: &str, more: &[&str]| {
        run(&mut helm(lab, program, &[&["template", "tidewaiter", chart, "--set", IMAGE], more].concat())).ok()
    };
    let pulled = template(&format!("{to}/tidewaiter"), &["--version", "0.1.0", "--plain-http"]);
    // Helm says on stderr what it pulled.
    assert!(pulled.starts_with(&template(&chart(lab), &[])), "{pulled}");
}

/// Plays the Pod of the hook, since no kubelet starts it: with its own account, and no more.
fn play_hook(lab: &Lab, uninstalling: &mut Child) {
    let job = ["get", "pods", "-n", SYSTEM, "-l", "app.kubernetes.io/name=tidewaiter-uninstall", "-o", "name"];
    let mut pod = String::new();
    within(PATIENCE, "the hook's Pod is there", || {
        pod = lab.admin(&job).ok().trim().to_owned();
        assert!(uninstalling.try_wait().unwrap().is_none(), "helm ended without its hook");
        !pod.is_empty()
    });
    let arguments = lab.admin(&["get", "-n", SYSTEM, &pod, "-o", "jsonpath={.spec.containers[0].args}"]).ok();
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let account = lab.cluster.service_account(SYSTEM, "tidewaiter-uninstall");
    let said = run(Command::new(places().programs.join("tidewaiter")).args(arguments).env("KUBECONFIG", account)).ok();
    assert!(said.contains("done: nothing is held"), "{said}");
    let succeeded = r#"{"status":{"phase":"Succeeded"}}"#;
    lab.admin(&["patch", "-n", SYSTEM, &pod, "--subresource=status", "--type=merge", "-p", succeeded]).ok();
}

/// The manifests' installation becomes a release; nothing that people or the server wrote is lost.
fn a_release(program: &Path) {
    let mut lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let good = lab.registry.push("good", "v1", &clean().build());
    create(&lab, "held", &bad);
    create(&lab, "fine", &good);
    lab.until("held", "VulnerabilitiesFound Blocked");
    rolled_out(&lab, "fine");
    let kept = |lab: &Lab| {
        let uid = |object: &str| lab.admin(&["get", "-n", SYSTEM, object, "-o", "jsonpath={.metadata.uid}"]).ok();
        let system = ["pvc/tidewaiter", "secret/tidewaiter-webhook-ca", "configmap/tidewaiter-enforced"].map(uid);
        let people = ["clusterscanpolicies", "workloadscans", "imagescans", "imageallowlists"];
        let records = people.map(|kind| lab.field(kind, ".items[*].metadata.uid"));
        (system, records, lab.field("clusterscanpolicy/default", ".spec.mode"))
    };
    let before = kept(&lab);

    // `kubectl set image` owns the images. What is applied with the same value stays its own, too, until the next change.
    let conflicts: &[&str] = if program == gitops::helm_4(&places().root) { &["--force-conflicts"] } else { &[] };
    let take = ["install", "tidewaiter", &chart(&lab), "--set", IMAGE, "--set", "crds.keep=false", "--take-ownership"];
    let said = run(&mut helm(&lab, program, &[&take[..], conflicts].concat())).ok();
    assert!(said.contains("STATUS: deployed") && said.contains("kubectl scan policy enable NAMESPACE"), "{said}");
    assert_eq!(kept(&lab), before);
    let image = |lab: &Lab| lab.admin(&["get", "-n", SYSTEM, "deployment/tidewaiter", "-o", IMAGE_PATH]).ok();
    assert_eq!(image(&lab), "registry.example/tidewaiter:0.1.0");

    let upgrade = ["upgrade", "tidewaiter", &chart(&lab), "--set", IMAGE, "--set", "crds.keep=false,image.tag=0.1.1"];
    let said = run(&mut helm(&lab, program, &[&upgrade[..], conflicts].concat())).ok();
    assert!(said.contains("No policy was changed"), "{said}");
    assert_eq!((image(&lab), kept(&lab)), ("registry.example/tidewaiter:0.1.1".to_owned(), before.clone()));
    run(&mut helm(&lab, program, &["rollback", "tidewaiter"])).ok();
    assert_eq!((image(&lab), kept(&lab)), ("registry.example/tidewaiter:0.1.0".to_owned(), before));
    // It goes on as before.
    lab.until("held", "VulnerabilitiesFound Blocked");
    create(&lab, "next", &bad);
    lab.until("next", "VulnerabilitiesFound Blocked");

    // As the kubelet does when its Deployment is deleted.
    lab.kill_server();
    let mut uninstalling = helm(&lab, program, &["uninstall", "tidewaiter"])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    play_hook(&lab, &mut uninstalling);
    assert!(uninstalling.wait().unwrap().success());
    rolled_out(&lab, "held");
    rolled_out(&lab, "next");
    nothing_is_left(&lab);

    // And back: a new installation, which warns.
    run(&mut helm(&lab, program, &["install", "tidewaiter", &chart(&lab), "--set", IMAGE])).ok();
    lab.new_account();
    lab.start_server();
    create(&lab, "again", &bad);
    rolled_out(&lab, "again");
    until_field(&lab, "clusterscanpolicy/default", ".spec.mode", "Warn");
}

const IMAGE_PATH: &str = "jsonpath={.spec.template.spec.containers[0].image}";

fn nothing_is_left(lab: &Lab) {
    assert_eq!(lab.admin(&["get", &registrations(), "-o", "name"]).ok(), "");
    within(PATIENCE, "the definitions go", || {
        !lab.admin(&["get", "crd", "-o", "name"]).ok().contains("tidewaiter.dev")
    });
    let roles = lab.admin(&["get", "clusterroles,clusterrolebindings", "-o", "name"]).ok();
    assert!(!roles.contains("tidewaiter"), "{roles}");
    within(PATIENCE, "the namespace is empty", || {
        let kinds = "all,configmaps,secrets,serviceaccounts,roles,rolebindings,persistentvolumeclaims";
        let said = lab.admin(&["get", "-n", SYSTEM, kinds, "-o", "name"]).ok();
        // What Kubernetes puts into every namespace.
        said.lines().all(|line| matches!(line, "configmap/kube-root-ca.crt" | "serviceaccount/default"))
    });
}

#[test]
fn a_release_of_helm_4() {
    a_release(&gitops::helm_4(&places().root));
}

#[test]
fn a_release_of_helm_3() {
    match gitops::helm_3(&places().root) {
        Some(helm) => a_release(&helm),
        None => skip::skipped("chart::a_release_of_helm_3", "needs cargo xtask gitops --helm3"),
    }
}
