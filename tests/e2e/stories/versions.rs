//! Definitions of earlier versions, of this one and of the next (ADR 0032), on a real API server: what was written by one is read by the
//! others, and nothing of it is lost on the way to the next version.

use crate::{places, within};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidewaiter_testkit::cluster::ClusterFixture;
use tidewaiter_testkit::lab::PATIENCE;

const NEXT: &str = "v1beta1";
const NOW: &str = "v1alpha1";
/// The kinds that people write, which get the next version.
const WRITTEN: [&str; 4] = ["clusterscanpolicies", "scanpolicies", "scanexceptions", "rolloutapprovals"];

/// What the oldest supported version took.
const EARLIER: &str = r#"
apiVersion: tidewaiter.dev/v1alpha1
kind: ClusterScanPolicy
metadata: {name: full}
spec:
  {namespaces: [a, b], mode: Audit, blockAt: UNKNOWN, unrated: Hold, incomplete: Allow, maxDatabaseAgeDays: null, approval: Manual,
   alerts: [{url: "http://receiver.example/hook"}]}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ClusterScanPolicy
metadata: {name: empty}
spec: {}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: RolloutApproval
metadata: {name: approval, namespace: default}
spec: {kind: Deployment, name: app, uid: u, digests: ["sha256:0"], reason: reviewed, approvedBy: alice, expires: "2999-01-01T00:00:00Z"}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: WorkloadScan
metadata: {name: deployment-app-u, namespace: default}
spec: {apiVersion: apps/v1, kind: Deployment, name: app, uid: u}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ImageScan
metadata: {name: scan-1, namespace: default}
spec: {image: "r.example/app:v1", platforms: [linux/arm64], pullSecrets: [s], rescan: null}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ImageAllowlist
metadata: {name: images, namespace: default}
spec: {digests: {"sha256:0": approved}, images: {"r.example/app:v1": "r.example/app@sha256:0"}}
"#;

/// What this version takes in addition.
const TODAY: &str = r#"
apiVersion: tidewaiter.dev/v1alpha1
kind: ClusterScanPolicy
metadata: {name: today}
spec:
  namespaceSelector: {matchExpressions: [{key: env, operator: In, values: [prod]}]}
  enforcedNamespaces: [shop]
  mode: Warn
  blockAt: NEVER
  rules: [{name: exploited, cvss: 7.5, knownExploited: true, packages: ["openssl*"], condition: "finding.severity == 'HIGH'"}]
  requiredApprovals: 2
  maxExceptionDays: 90
  alerts: [{name: chat, type: Slack, urlFrom: {secret: receivers, key: slack}}]
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ScanPolicy
metadata: {name: own, namespace: default}
spec: {mode: Enforce, blockAt: HIGH, maxDatabaseAgeDays: 2}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: ScanException
metadata: {name: accepted, namespace: default}
spec: {vulnerabilities: [CVE-2025-1], packages: [zlib], reason: "no \"input\"", expires: "2999-12-31", untilFixed: true, requestedBy: bob, approvedBy: alice}
---
apiVersion: tidewaiter.dev/v1alpha1
kind: RolloutApproval
metadata: {name: glass, namespace: default}
spec: {kind: CronJob, name: app, uid: u, digests: ["sha256:0"], reason: outage, approvedBy: alice, breakGlass: true, expires: "2999-01-01T00:00:00Z"}
"#;

/// An API server whose definitions change.
struct ChangingApi {
    cluster: ClusterFixture,
}

impl ChangingApi {
    /// Applies definitions, and waits until each version of each kind is served, and no other one.
    #[track_caller]
    fn define(&self, all: &[Value]) {
        self.cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string()).ok();
        let wanted: BTreeSet<String> = all.iter().flat_map(served_by).collect();
        within(PATIENCE, "the definitions are served", || self.discovered("kind") == wanted);
    }

    /// `VERSION VALUE` of a field of each kind that is served.
    fn discovered(&self, field: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for version in [NOW, NEXT] {
            let said = self.cluster.kubectl(&["get", "--raw", &format!("/apis/tidewaiter.dev/{version}")]);
            let list: Value = serde_json::from_str(&said.text).unwrap_or_default();
            let resources = list["resources"].as_array().into_iter().flatten();
            let kinds = resources.filter(|resource| !text(&resource["name"]).contains('/'));
            found.extend(kinds.map(|resource| format!("{version} {}", text(&resource[field]))));
        }
        found
    }

    /// The objects of a kind, as a version serves them: name and `spec`, and `status` where there is one.
    #[track_caller]
    fn objects(&self, kind: &str, version: &str) -> Vec<Value> {
        let said = self.cluster.kubectl(&["get", &format!("{kind}.{version}.tidewaiter.dev"), "-A", "-o", "json"]).ok();
        let list: Value = serde_json::from_str(&said).unwrap();
        let items = list["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                assert_eq!(item["apiVersion"], format!("tidewaiter.dev/{version}"), "{item}");
                json!([item["metadata"]["name"], item["metadata"]["uid"], item["spec"], item["status"]])
            })
            .collect()
    }

    /// The same of all kinds that people write.
    #[track_caller]
    fn written(&self, version: &str) -> Vec<Vec<Value>> {
        WRITTEN.iter().map(|kind| self.objects(kind, version)).collect()
    }

    fn stored(&self, kind: &str) -> String {
        self.cluster
            .kubectl(&["get", "crd", &format!("{kind}.tidewaiter.dev"), "-o", "jsonpath={.status.storedVersions}"])
            .ok()
    }

    /// Has each object stored in the version that is stored now, and no other one listed: the migration of ADR 0032.
    fn migrate(&self) {
        for kind in WRITTEN {
            let said = self.cluster.kubectl(&["get", &format!("{kind}.tidewaiter.dev"), "-A", "-o", "json"]).ok();
            self.cluster.with_input(&["replace", "-f", "-"], &said).ok();
            let patch = format!(r#"{{"status":{{"storedVersions":["{NEXT}"]}}}}"#);
            let name = format!("{kind}.tidewaiter.dev");
            self.cluster.kubectl(&["patch", "crd", &name, "--subresource=status", "--type=merge", "-p", &patch]).ok();
        }
    }
}

/// `VERSION KIND` of each version of a definition.
fn served_by(definition: &Value) -> Vec<String> {
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let kind = text(&definition["spec"]["names"]["kind"]);
    versions.iter().map(|version| format!("{} {kind}", text(&version["name"]))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Definitions whose kinds that people write have other versions.
fn with_versions(definitions: &[Value], change: impl Fn(&mut Vec<Value>)) -> Vec<Value> {
    let mut definitions = definitions.to_vec();
    for definition in &mut definitions {
        if WRITTEN.iter().any(|plural| definition["spec"]["names"]["plural"] == *plural) {
            change(definition["spec"]["versions"].as_array_mut().unwrap());
        }
    }
    definitions
}

/// Both versions are served, and one of them is stored.
fn both(versions: &mut Vec<Value>, stored: &str) {
    versions.push(versions[0].clone());
    versions[1]["name"] = json!(NEXT);
    versions.iter_mut().for_each(|version| version["storage"] = json!(version["name"] == stored));
}

/// A file of definitions: YAML documents, or a list.
fn definitions(cluster: &ClusterFixture, file: &str) -> Vec<Value> {
    let file = places().root.join(file).display().to_string();
    let said = cluster.kubectl(&["create", "--dry-run=client", "-o", "json", "-f", &file]).ok();
    let documents = serde_json::Deserializer::from_str(&said).into_iter::<Value>().map(Result::unwrap);
    documents.flat_map(|one| one["items"].as_array().cloned().unwrap_or_else(|| vec![one])).collect()
}

#[test]
fn what_people_wrote_is_kept_from_version_to_version() {
    let api = ChangingApi { cluster: ClusterFixture::start(&places().controlplane) };
    let cluster = &api.cluster;
    api.define(&definitions(cluster, "crates/crd/earlier/351cd24.json"));
    cluster.apply(EARLIER).ok();
    let record = r#"{"status":{"imageStatus":"VulnerabilitiesFound","deploymentStatus":"Blocked","alerted":"one","revisions":
        {"0":{"decision":"Held","containers":{"c":{"image":"r.example/app:v1","scan":{"uid":"u","generation":1}}}}}}}"#;
    let status = |patch: &str| {
        cluster.kubectl(&[
            "patch",
            "workloadscan",
            "deployment-app-u",
            "--subresource=status",
            "--type=merge",
            "-p",
            patch,
        ])
    };
    status(record).ok();
    let kinds = ["clusterscanpolicies", "rolloutapprovals", "workloadscans", "imagescans", "imageallowlists"];
    let before: Vec<Vec<Value>> = kinds.iter().map(|kind| api.objects(kind, NOW)).collect();

    // This version: what it adds are defaults, and everything can be written again.
    let now = definitions(cluster, "deploy/crds.yaml");
    api.define(&now);
    for (kind, before) in kinds.iter().zip(&before) {
        for (old, new) in before.iter().zip(&api.objects(kind, NOW)) {
            assert_kept(old, new);
        }
        cluster.kubectl(&["label", kind, "--all", "-A", "written=again"]).ok();
    }
    status(r#"{"status":{"alerted":["one","two"]}}"#).ok();
    cluster.apply(TODAY).ok();

    // The next one, beside it: each object is the same in both, whichever it was written in.
    let today = api.written(NOW);
    api.define(&with_versions(&now, |versions| both(versions, NOW)));
    assert_eq!(api.written(NEXT), today);
    cluster.apply(&TODAY.replace(NOW, NEXT).replace("metadata: {name: ", "metadata: {name: next-")).ok();
    let all = api.written(NOW);
    assert_eq!(all, api.written(NEXT));
    assert_eq!(all.iter().map(Vec::len).sum::<usize>(), today.iter().map(Vec::len).sum::<usize>() + 4);
    assert_eq!(api.stored("scanpolicies"), r#"["v1alpha1"]"#);

    // It is stored, which discovery says by a hash of the stored version, and then alone.
    let hashes = api.discovered("storageVersionHash");
    api.define(&with_versions(&now, |versions| both(versions, NEXT)));
    let new = |api: &ChangingApi| api.discovered("storageVersionHash").difference(&hashes).count();
    within(PATIENCE, "the next version is stored", || new(&api) == 2 * WRITTEN.len());
    assert_eq!((api.written(NOW), api.written(NEXT)), (all.clone(), all.clone()));
    api.migrate();
    assert_eq!(api.stored("scanpolicies"), r#"["v1beta1"]"#);
    api.define(&with_versions(&now, |versions| {
        both(versions, NEXT);
        versions.remove(0);
    }));
    assert_eq!(api.written(NEXT), all);
}

/// What an object had, it has; a null may have become the default.
#[track_caller]
fn assert_kept(old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, old) in old.iter().filter(|(_, old)| !old.is_null()) {
                assert_kept(old, new.get(name).unwrap_or_else(|| panic!("{name} is gone: {new:?}")));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            assert_eq!(old.len(), new.len());
            old.iter().zip(new).for_each(|(old, new)| assert_kept(old, new));
        }
        _ => assert_eq!(old, new),
    }
}
