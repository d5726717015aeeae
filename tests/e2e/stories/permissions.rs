//! The server's account may do what `deploy/rbac.yaml` says and nothing else, and it does all of that.

use crate::{GATE, WITH_GATE, create, kubernetes, lab, pod, rolled_out, until_field, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidewaiter_testkit::audit::{self, ApiRequest};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, PATIENCE};
use tidewaiter_testkit::receiver::Receiver;

const SYSTEM: &str = "tidewaiter-system";
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// What no short story needs: verb, API group, resource, and when the server does it.
const RARE: &[(&str, &str, &str, &str)] = &[
    ("get", "batch", "jobs", "another manager changes it while the server gives up its fields"),
    ("get", "batch", "cronjobs", "the same"),
    ("get", "", "pods", "at the installation, its node had not reported what it runs"),
    ("create", "tidewaiter.dev", "clusterscanpolicies", "a first installation; a lab has a policy before"),
    (
        "get",
        "tidewaiter.dev",
        "clusterscanpolicies",
        "never; who registers a policy with such parameters must be allowed to",
    ),
    ("patch", "apps", "replicasets", "nudged where an API server without MutatingAdmissionPolicies refused their Pods"),
    ("get", "admissionregistration.k8s.io", "mutatingadmissionpolicies", "read as the other registrations, by name"),
    ("get", "admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "the same"),
    ("get", "tidewaiter.dev", "workloadscans", "a record was created that the index does not show yet"),
    ("get", "tidewaiter.dev", "imagescans", "the same of a scan"),
    ("list", "tidewaiter.dev", "imageallowlists", "by a process that does not lead (replicas.rs)"),
    ("delete", "tidewaiter.dev", "imagescans", "nothing used it for a day"),
    ("delete", "openreports.io", "reports", "policy reports are turned off (policy_reports.rs)"),
    ("delete", "wgpolicyk8s.io", "policyreports", "the same"),
    (
        "delete",
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "never; who sets an owner must be allowed to",
    ),
    ("delete", "admissionregistration.k8s.io", "validatingadmissionpolicies", "the same"),
    ("delete", "admissionregistration.k8s.io", "validatingadmissionpolicybindings", "the same"),
    ("delete", "admissionregistration.k8s.io", "mutatingadmissionpolicies", "the same"),
    ("delete", "admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "the same"),
];

/// One thing that an account may do: verb, API group, resource with its subresource, name; an empty name is any.
type Permission = (String, String, String, String);

fn read(lab: &Lab, args: &[&str]) -> Value {
    serde_json::from_str(&lab.admin(args).ok()).unwrap()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// What the rules of a role allow.
fn permissions(lab: &Lab, role: &[&str]) -> BTreeSet<Permission> {
    let role = read(lab, &[&["get"], role, &["-o", "json"]].concat());
    let mut all = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = if rule["resourceNames"].is_null() { vec![String::new()] } else { texts(&rule["resourceNames"]) };
        for (group, resource) in texts(&rule["apiGroups"])
            .iter()
            .flat_map(|group| texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource)))
        {
            for verb in texts(&rule["verbs"]) {
                let of = |name: &String| (verb.clone(), group.clone(), resource.clone(), name.clone());
                all.extend(names.iter().map(of));
            }
        }
    }
    all
}

/// Every resource and subresource that the API server has: its group, its name, whether it is namespaced.
fn resources(lab: &Lab) -> BTreeSet<(String, String, bool)> {
    let groups = read(lab, &["get", "--raw", "/apis"]);
    let versions = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["versions"].as_array().unwrap());
    let paths = versions.map(|version| format!("/apis/{}", version["groupVersion"].as_str().unwrap()));
    let mut all = BTreeSet::new();
    for path in paths.chain(["/api/v1".to_owned()]) {
        let list = read(lab, &["get", "--raw", &path]);
        let version = list["groupVersion"].as_str().unwrap();
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let named = list["resources"].as_array().unwrap().iter();
        let of = |one: &Value| {
            (group.to_owned(), one["name"].as_str().unwrap().to_owned(), one["namespaced"].as_bool().unwrap())
        };
        all.extend(named.map(of));
    }
    assert!(all.len() > 100, "{all:?}");
    all
}

/// Asks the API server's authorizers about the server's account, all questions in one list; returns the answers in order.
fn may(lab: &Lab, questions: &[Value]) -> Vec<bool> {
    let review = |attributes: &Value| {
        json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
            "user": format!("system:serviceaccount:{SYSTEM}:tidewaiter"),
            "groups": ["system:serviceaccounts", format!("system:serviceaccounts:{SYSTEM}"), "system:authenticated"],
            "resourceAttributes": attributes}})
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": questions.iter().map(review).collect::<Vec<_>>()});
    let path = "jsonpath={.status.allowed}{\"\\n\"}";
    let said = lab.cluster.with_input(&["create", "-o", path, "-f", "-"], &list.to_string()).ok();
    let answers: Vec<bool> = said.lines().filter(|line| !line.is_empty()).map(|line| line == "true").collect();
    assert_eq!(answers.len(), questions.len(), "{said}");
    answers
}

fn question(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Value {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    json!({"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
        "name": name})
}

/// Every verb of every resource, in a namespace of users and in the server's own, for a name that no rule has.
#[test]
fn what_the_manifest_does_not_allow_is_refused() {
    let lab = lab();
    let everywhere = permissions(&lab, &["clusterrole", "tidewaiter"]);
    let here = permissions(&lab, &["role", "tidewaiter", "-n", SYSTEM]);
    let (mut questions, mut expected) = (Vec::new(), Vec::new());
    // What Kubernetes lets every authenticated user and every ServiceAccount do.
    let basic: BTreeSet<Permission> = ["system:basic-user", "system:cluster-trust-bundle-discovery"]
        .iter()
        // An older Kubernetes has no bundles.
        .filter(|role| lab.admin(&["get", "clusterrole", role]).code == 0)
        .flat_map(|role| permissions(&lab, &["clusterrole", role]))
        .collect();
    let any = |verb: &str, group: &str, resource: &str| {
        let permission = (verb.to_owned(), group.to_owned(), resource.to_owned(), String::new());
        everywhere.contains(&permission) || basic.contains(&permission)
    };
    for (group, resource, namespaced) in resources(&lab) {
        let namespaces: &[&str] = if namespaced { &["default", SYSTEM] } else { &[""] };
        for (verb, namespace) in VERBS.iter().flat_map(|verb| namespaces.iter().map(move |n| (verb, n))) {
            questions.push(question(verb, &group, &resource, namespace, "other"));
            expected.push(any(verb, &group, &resource));
        }
    }
    // By name: in the namespaces where it is, and nowhere else.
    for (verb, group, resource, name) in everywhere.iter().filter(|(.., name)| !name.is_empty()) {
        questions.push(question(verb, group, resource, if group == "tidewaiter.dev" { "default" } else { "" }, name));
        expected.push(true);
    }
    for (verb, group, resource, name) in &here {
        for namespace in [SYSTEM, "default"] {
            questions.push(question(verb, group, resource, namespace, name));
            expected.push(namespace == SYSTEM || any(verb, group, resource));
        }
    }
    let answers = may(&lab, &questions);
    let wrong: Vec<_> =
        questions.iter().zip(answers.iter().zip(&expected)).filter(|(_, (said, wanted))| said != wanted).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(expected.iter().filter(|allowed| **allowed).count() > 50, "{}", questions.len());
}

/// A Pod template of one container.
fn template(app: &str, image: &str, restart: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"restartPolicy": restart, "containers": [{"name": "c", "image": image}]}})
}

/// Everything that is held, and its release; a request that was refused would be in the log of the API server.
#[test]
fn every_permission_is_used() {
    let mut lab = lab();
    let receiver = Receiver::start(0, None);
    lab.policy(&format!(r#"{{"spec":{{"alerts":[{{"url":"{}"}}]}}}}"#, receiver.url()));
    let good = lab.registry.push("good", "v1", &clean().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    create(&lab, "app", &good);
    rolled_out(&lab, "app");
    lab.apply(&pod("bare", &good)).ok();
    until_field(&lab, "pod/bare", ".status.phase", "Running");
    let job = json!({"template": template("job", &good, "Never")});
    lab.apply(&json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": job}).to_string())
        .ok();
    let cron =
        json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template("cron", &good, "Never")}}});
    lab.apply(
        &json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "cron"}, "spec": cron}).to_string(),
    )
    .ok();
    until_field(&lab, "cronjob/cron", ".spec.suspend", "false");
    within(PATIENCE, "the Job runs", || lab.field("job/job", ".spec.suspend") != "true");
    // A held StatefulSet whose template is reverted: its gated Pod is deleted.
    let set = |image: &str| {
        let spec = json!({"serviceName": "set", "selector": {"matchLabels": {"app": "set"}}, "template": template("set", image, "Always")});
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "set"}, "spec": spec}).to_string()
    };
    lab.apply(&set(&bad)).ok();
    within(PATIENCE, "its Pod is gated", || !lab.field("pod/set-0", ".spec.schedulingGates").is_empty());
    within(PATIENCE, "the policy says that somebody was told", || {
        !lab.field("clusterscanpolicy/default", ".status.alerts[*].lastDelivered").is_empty()
    });
    lab.apply(&set(&good)).ok();
    until_field(&lab, "pod/set-0", ".status.phase", "Running");
    let args = ["scan", "exception", "request", "accepted", "--reason", "r", "--vulnerability", "CVE-*", "--until"];
    lab.kubectl(&[&args[..], &["2999-12-31"]].concat()).ok();
    // While the server is away a ReplicaSet fails to make its Pods; it is nudged when the server is back.
    lab.kill_server();
    lab.kubectl(&["scale", "deployment/app", "--replicas=2"]).ok();
    lab.kubectl(&["delete", "pods", "-l", "app=app", "--wait=false"]).ok();
    lab.start_server();
    rolled_out(&lab, "app");
    within(PATIENCE, "the exception has a status", || !lab.field("scanexception/accepted", ".status.state").is_empty());
    lab.comes_to_rest();

    let requests = audit::read(&lab.cluster.dir().join("audit.log"));
    let refused: Vec<_> = requests.iter().filter(|request| request.code == 403).map(ToString::to_string).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    // A server-side apply that creates is authorized as both.
    let verbs = |r: &ApiRequest| [Some(r.verb.clone()), (r.code == 201).then(|| "create".to_owned())];
    let used: BTreeSet<(String, String, String)> = requests
        .iter()
        .flat_map(|r| verbs(r).into_iter().flatten().map(|verb| (verb, r.group.clone(), r.resource.clone())))
        .collect();
    let mut all = permissions(&lab, &["clusterrole", "tidewaiter"]);
    all.extend(permissions(&lab, &["role", "tidewaiter", "-n", SYSTEM]));
    // The log has no watches.
    let all: BTreeSet<_> = all.into_iter().filter(|(verb, ..)| verb != "watch").map(|(v, g, r, _)| (v, g, r)).collect();
    let is_rare = |(verb, group, resource): &&(String, String, String)| {
        RARE.iter().any(|(v, g, r, _)| (v, g, r) == (&verb.as_str(), &group.as_str(), &resource.as_str()))
    };
    let is_absent = |(_, _, resource): &&(String, String, String)| {
        kubernetes() < WITH_GATE && GATE.split(',').any(|absent| absent == resource)
    };
    let unused: Vec<_> = all.difference(&used).filter(|one| !is_rare(one) && !is_absent(one)).collect();
    assert!(unused.is_empty(), "{unused:#?}");
    for (verb, group, resource, why) in RARE {
        let permission = ((*verb).to_owned(), (*group).to_owned(), (*resource).to_owned());
        assert!(all.contains(&permission), "{permission:?} ({why}) is no permission any more");
    }
}
