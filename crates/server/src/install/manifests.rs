//! The objects of `admissionregistration.k8s.io`: webhooks that hold and pin, policies that enforce.

use super::registration;
use crate::authority::PathSecrets;
use crate::decide::enforced::NamespaceSelection;
use crate::settings::ServerSettings;
use anyhow::{Context as _, Result};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::{Value, json};
use tidewaiter_crd::names::{ALLOWLIST, CLUSTER_ROLES, GROUP, NAMESPACE, SERVER, SERVER_USER, WEBHOOKS};
pub(super) use tidewaiter_crd::names::{ALLOWLIST_POLICY as LIST, SHAPE};

/// The backstop: admission policies, which the API server enforces while the server is unreachable.
const BACKSTOP: &str = include_str!("backstop.yaml");
/// The policy whose refusal shows that all others are in force: it is bound last.
pub(super) const IN_FORCE: &str = "tidewaiter-in-force";
/// Every policy, in the order in which they are bound; bindings have the same names.
pub(super) const POLICIES: [&str; 11] = [
    SHAPE,
    LIST,
    "tidewaiter-records",
    "tidewaiter-approvals",
    "tidewaiter-exceptions",
    "tidewaiter-reports",
    "tidewaiter-server",
    NAMESPACE_LABELS,
    "tidewaiter-namespace-subresources",
    "tidewaiter-namespace-names",
    IN_FORCE,
];
/// The policy about labels that choose policies.
const NAMESPACE_LABELS: &str = "tidewaiter-namespace-labels";
/// The label of every namespace that holds its name; the API server sets it, and no client can change it.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Replaces an empty list, which selectors do not accept; no namespace can have this name, which holds a dot.
const NO_NAMESPACE: &str = "tidewaiter.none";

/// Whether the images of a Pod change, but not by the server: other changes of Pods, of which there are many, need no webhook.
const APPLIED: &str = "request.userInfo.username != '$SERVER' && \
    (object.spec.containers.map(c, c.image) != oldObject.spec.containers.map(c, c.image) || \
    (has(object.spec.initContainers) && has(oldObject.spec.initContainers) && \
    object.spec.initContainers.map(c, c.image) != oldObject.spec.initContainers.map(c, c.image)))";

/// A reference to the server's ClusterRole. It blocks no deletion: that would need a right to change finalizers.
pub(super) fn owner(uid: String) -> OwnerReference {
    OwnerReference {
        api_version: "rbac.authorization.k8s.io/v1".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: CLUSTER_ROLES[0].to_owned(),
        uid,
        ..OwnerReference::default()
    }
}

/// All webhooks, for API servers that trust these authorities and know these secrets.
pub(super) fn webhooks(settings: &ServerSettings, ca_pem: &str, secrets: &PathSecrets) -> Value {
    let token = &secrets.webhooks;
    let mut deployments = webhook(settings, ca_pem, "deployments");
    deployments["rules"] = rules("apps", "deployments", &["CREATE", "UPDATE"]);
    let mut pods = webhook(settings, ca_pem, "pods");
    // Images of an existing Pod are changed by the server alone; the shape policy refuses anybody else.
    pods["rules"] = rules("", "pods", &["CREATE"]);
    let mut applied = webhook(settings, ca_pem, "applied-pods");
    applied["rules"] = rules("", "pods", &["UPDATE"]);
    applied["matchConditions"] =
        json!([{"name": "images-change", "expression": APPLIED.replace("$SERVER", SERVER_USER)}]);
    let mut jobs = webhook(settings, ca_pem, "jobs");
    jobs["rules"] = rules("batch", "jobs", &["CREATE", "UPDATE"]);
    let mut cron_jobs = webhook(settings, ca_pem, "cronjobs");
    cron_jobs["rules"] = rules("batch", "cronjobs", &["CREATE", "UPDATE"]);
    // What is refused here is scanned: strangers must not have reviews of their own acted on.
    let mut daemon_sets = webhook_at(settings, ca_pem, "daemonsets", &format!("daemonsets/{token}"));
    daemon_sets["rules"] = rules("apps", "daemonsets", &["UPDATE"]);
    let mut stateful_sets = webhook_at(settings, ca_pem, "statefulsets", &format!("statefulsets/{token}"));
    stateful_sets["rules"] = rules("apps", "statefulsets", &["UPDATE"]);
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": WEBHOOKS},
        "webhooks": [deployments, pods, applied, jobs, cron_jobs, daemon_sets, stateful_sets,
            image_reports(settings, ca_pem, &secrets.reports)],
    })
}

/// The webhook that answers ImageReports (ADR 0028): in every namespace, and with the server away there is no answer, which
/// concerns nothing else.
fn image_reports(settings: &ServerSettings, ca_pem: &str, secret: &str) -> Value {
    let everywhere = NamespaceSelection::AllBut(Vec::new());
    let mut webhook = webhook_at(settings, ca_pem, "imagereports", &format!("imagereports/{secret}"));
    webhook["rules"] = json!([{"apiGroups": [GROUP], "apiVersions": ["*"], "resources": ["imagereports"],
        "operations": ["CREATE"], "scope": "Namespaced"}]);
    webhook["namespaceSelector"] = requirement(&everywhere);
    webhook["failurePolicy"] = json!("Fail");
    webhook["sideEffects"] = json!("None");
    webhook["reinvocationPolicy"] = json!("Never");
    // The most that there is: a large report is read and compressed, perhaps after others.
    webhook["timeoutSeconds"] = json!(30);
    webhook
}

/// A webhook without its rules, served at the path of this name.
fn webhook(settings: &ServerSettings, ca_pem: &str, name: &str) -> Value {
    webhook_at(settings, ca_pem, name, name)
}

fn webhook_at(settings: &ServerSettings, ca_pem: &str, name: &str, path: &str) -> Value {
    let mut client = match &settings.webhook_url {
        Some(url) => json!({"url": format!("{url}/{path}")}),
        None => json!({"service": {"namespace": NAMESPACE, "name": SERVER, "path": format!("/{path}"), "port": 443}}),
    };
    client["caBundle"] = base64_of_bytes(ca_pem);
    json!({
        "name": format!("{name}.tidewaiter.dev"),
        "clientConfig": client,
        "namespaceSelector": requirement(&NamespaceSelection::AllBut(settings.excluded.clone())),
        // While the server is unreachable the policies refuse what it did not approve: nothing else needs to stop.
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "sideEffects": "NoneOnDryRun",
        // A webhook that injects containers may run after this one.
        "reinvocationPolicy": "IfNeeded",
        // The server answers from memory; what takes longer is a server that does not answer.
        "timeoutSeconds": 3,
        "admissionReviewVersions": ["v1"],
    })
}

fn rules(group: &str, resource: &str, operations: &[&str]) -> Value {
    json!([{"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource], "operations": operations,
        "scope": "Namespaced"}])
}

/// The policies, with the name of the server's ServiceAccount and of the excluded namespaces.
///
/// # Errors
/// When the compiled-in file is not YAML.
pub(super) fn policies(excluded: &[String]) -> Result<Vec<Value>> {
    let excluded: Vec<String> = excluded.iter().map(|name| format!("'{name}'")).collect();
    let text = BACKSTOP.replace("$SERVER", SERVER_USER).replace("$EXCLUDED", &format!("[{}]", excluded.join(", ")));
    serde_saphyr::from_multiple(&text).context("backstop.yaml")
}

/// One binding per policy, in the order in which they are applied. Which namespaces are enforced is said here alone.
pub(super) fn bindings(enforced: &NamespaceSelection) -> Vec<Value> {
    let enforced = json!({"namespaceSelector": requirement(enforced)});
    vec![
        binding(SHAPE, json!({"matchResources": enforced})),
        // A namespace without its list enforces nothing less: it refuses every Pod until the server writes one.
        binding(
            LIST,
            json!({"matchResources": enforced, "paramRef": {"name": ALLOWLIST, "parameterNotFoundAction": "Deny"}}),
        ),
        // Everywhere, also where nothing is enforced: who could write records in audit mode would own them afterwards.
        binding("tidewaiter-records", json!({})),
        binding("tidewaiter-approvals", json!({})),
        binding("tidewaiter-exceptions", json!({})),
        binding("tidewaiter-reports", json!({})),
        binding("tidewaiter-server", json!({})),
        // Without any policy no label chooses one.
        binding(NAMESPACE_LABELS, json!({"paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"}})),
        binding("tidewaiter-namespace-subresources", json!({})),
        binding("tidewaiter-namespace-names", json!({})),
        binding(IN_FORCE, json!({})),
    ]
}

fn binding(name: &str, mut spec: Value) -> Value {
    spec["policyName"] = json!(name);
    spec["validationActions"] = json!(["Deny"]);
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": spec})
}

/// The namespaces that a binding enforces; the reverse of [`requirement`]. `None` where it is not as [`bindings`] makes it for
/// any: it has another selector, binds another policy, or refuses nothing.
pub(super) fn bound(binding: &ValidatingAdmissionPolicyBinding) -> Option<NamespaceSelection> {
    let selector = binding.spec.as_ref()?.match_resources.as_ref()?.namespace_selector.as_ref()?;
    let requirement = selector.match_expressions.iter().flatten().find(|r| r.key == NAME_LABEL)?;
    let mut names = requirement.values.clone().unwrap_or_default();
    names.retain(|name| name != NO_NAMESPACE);
    let enforced = match requirement.operator.as_str() {
        "NotIn" => NamespaceSelection::AllBut(names),
        "In" => NamespaceSelection::Only(names),
        _ => return None,
    };
    let found = serde_json::to_value(binding).ok()?;
    is_one_of(&bindings(&enforced), &found).then_some(enforced)
}

/// Whether one of these objects has the name of an object, which is as that one is wanted.
pub(super) fn is_one_of(wanted: &[Value], found: &Value) -> bool {
    let is_named = |one: &&Value| one.pointer("/metadata/name") == found.pointer("/metadata/name");
    wanted.iter().find(is_named).is_some_and(|wanted| registration::holds(found, wanted))
}

pub(super) fn requirement(selection: &NamespaceSelection) -> Value {
    let (operator, names) = match selection {
        NamespaceSelection::AllBut(names) => ("NotIn", names),
        NamespaceSelection::Only(names) => ("In", names),
    };
    let values = if names.is_empty() { vec![NO_NAMESPACE.to_owned()] } else { names.clone() };
    json!({"matchExpressions": [{"key": NAME_LABEL, "operator": operator, "values": values}]})
}

/// Bytes are base64 in Kubernetes' JSON; its own type encodes them.
fn base64_of_bytes(text: &str) -> Value {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CertificateLifetimes;

    fn settings(url: Option<&str>) -> ServerSettings {
        ServerSettings {
            policy_reports: crate::settings::PolicyReportsSetting::Off,
            trusted_scans: vec![],
            kept_enforced: Vec::new(),
            identity: String::new(),
            database_from_peers: false,
            excluded: vec!["kube-system".to_owned()],
            exclude_enforced: false,
            registries: Default::default(),
            scan_memory: 0,
            scanner: None,
            scans: 1,
            webhook_url: url.map(str::to_owned),
            certificate_folder: None,
            lifetimes: CertificateLifetimes::default(),
            program: Default::default(),
        }
    }

    fn secrets() -> PathSecrets {
        let [webhooks, reports, peers] = ["0123", "4567", "89ab"].map(str::to_owned);
        PathSecrets { webhooks, reports, peers }
    }

    #[test]
    fn the_policies_are_bound_one_by_one() {
        let names = |list: &[Value]| list.iter().map(|v| v["metadata"]["name"].clone()).collect::<Vec<_>>();
        let policies = policies(&settings(None).excluded).unwrap();
        assert_eq!(names(&policies), names(&bindings(&NamespaceSelection::AllBut(vec![]))));
        assert_eq!(names(&policies), POLICIES);
        assert!(policies.iter().all(|p| p["spec"]["failurePolicy"] == "Fail"));
        let text = serde_json::to_string(&policies).unwrap();
        assert!(!text.contains("$SERVER") && text.contains("orValue('') in ['kube-system'])"), "{text}");
    }

    /// A policy whose parameter has no kind any more, because the definitions were deleted, refuses everything.
    #[test]
    fn namespaces_end_without_the_custom_resources() {
        let policies = policies(&[]).unwrap();
        let judges = |policy: &Value, resource: &str| {
            let rules = policy["spec"]["matchConstraints"]["resourceRules"].as_array().unwrap();
            rules.iter().any(|rule| rule["resources"].as_array().unwrap().contains(&json!(resource)))
        };
        let check = |resource: &str, with_parameter: &[&str], without: &[&str]| {
            let names = |has_parameter: bool| -> Vec<&str> {
                let meant = |p: &&Value| p["spec"].get("paramKind").is_some() == has_parameter && judges(p, resource);
                policies.iter().filter(meant).map(|p| p["metadata"]["name"].as_str().unwrap()).collect()
            };
            assert_eq!((names(true), names(false)), (with_parameter.to_vec(), without.to_vec()), "{resource}");
        };
        check("namespaces/finalize", &[], &["tidewaiter-namespace-subresources"]);
        check("namespaces/status", &[], &["tidewaiter-namespace-subresources"]);
        check("namespaces", &[NAMESPACE_LABELS], &["tidewaiter-namespace-names"]);
    }

    #[test]
    fn a_binding_says_what_it_enforces() {
        let check = |enforced: NamespaceSelection| {
            let shape = bindings(&enforced).into_iter().find(|b| b["metadata"]["name"] == SHAPE).unwrap();
            assert_eq!(bound(&serde_json::from_value(shape).unwrap()), Some(enforced));
        };
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        // Selectors accept no empty list.
        check(NamespaceSelection::AllBut(names(&[])));
        check(NamespaceSelection::AllBut(names(&["kube-system"])));
        check(NamespaceSelection::Only(names(&[])));
        check(NamespaceSelection::Only(names(&["a", "b"])));
    }

    #[test]
    fn a_binding_that_somebody_changed_enforces_nothing_for_sure() {
        let enforced = NamespaceSelection::AllBut(vec!["kube-system".to_owned()]);
        let check = |binding: &str, pointer: &str, key: &str, value: Value, expected: bool| {
            let mut found = bindings(&enforced).into_iter().find(|b| b["metadata"]["name"] == binding).unwrap();
            found.pointer_mut(pointer).unwrap()[key] = value.clone();
            let found = bound(&serde_json::from_value(found).unwrap());
            assert_eq!(found.is_some(), expected, "{binding} {pointer} {key} {value}");
        };
        let labels = || json!({"matchLabels": {"a": "b"}});
        check(SHAPE, "/metadata", "labels", json!({"a": "b"}), true);
        check(SHAPE, "/spec/matchResources", "objectSelector", json!({}), true);
        check(SHAPE, "/spec/matchResources", "objectSelector", labels(), false);
        check(SHAPE, "/spec/matchResources/namespaceSelector", "matchLabels", json!({"a": "b"}), false);
        check(SHAPE, "/spec/matchResources", "excludeResourceRules", json!([{"resources": ["pods"]}]), false);
        check(SHAPE, "/spec", "validationActions", json!(["Audit"]), false);
        check(SHAPE, "/spec", "policyName", json!("other"), false);
        check(LIST, "/spec/matchResources", "matchPolicy", json!("Equivalent"), true);
        check(LIST, "/spec/paramRef", "parameterNotFoundAction", json!("Allow"), false);
        check(LIST, "/spec/paramRef", "name", json!("other"), false);
    }

    #[test]
    fn webhooks_are_reached_by_the_service_or_a_url() {
        let check = |url: Option<&str>, pointer: &str, expected: Value| {
            let webhooks = webhooks(&settings(url), "PEM", &secrets());
            assert_eq!(webhooks.pointer(pointer), Some(&expected), "{pointer}");
        };
        let url = Some("https://10.0.0.1:8443");
        check(None, "/webhooks/0/clientConfig/service/path", json!("/deployments"));
        check(None, "/webhooks/1/clientConfig/service/namespace", json!(NAMESPACE));
        check(url, "/webhooks/1/clientConfig/url", json!("https://10.0.0.1:8443/pods"));
        check(url, "/webhooks/0/clientConfig/caBundle", json!("UEVN"));
        check(None, "/webhooks/0/name", json!("deployments.tidewaiter.dev"));
        check(None, "/webhooks/0/rules/0/operations", json!(["CREATE", "UPDATE"]));
        check(None, "/webhooks/1/rules/0/operations", json!(["CREATE"]));
        check(None, "/webhooks/5/name", json!("daemonsets.tidewaiter.dev"));
        check(None, "/webhooks/5/clientConfig/service/path", json!("/daemonsets/0123"));
        check(None, "/webhooks/1/failurePolicy", json!("Ignore"));
        let requirement = json!({"key": NAME_LABEL, "operator": "NotIn", "values": ["kube-system"]});
        check(None, "/webhooks/0/namespaceSelector/matchExpressions/0", requirement);
        // What fails when the server is away stops nobody's work: it is asked for reports, which nobody else has.
        let fails =
            |webhook: &Value| (webhook["failurePolicy"] == "Fail").then(|| webhook["rules"][0]["resources"].clone());
        let all = webhooks(&settings(None), "PEM", &secrets());
        let failing: Vec<Value> = all["webhooks"].as_array().unwrap().iter().filter_map(fails).collect();
        assert_eq!(failing, [json!(["imagereports"])]);
        check(None, "/webhooks/7/clientConfig/service/path", json!("/imagereports/4567"));
    }
}
