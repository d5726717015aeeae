//! Pull secrets: read one by one with `get`, for the namespace that they are in and no other.

use super::protocol::{PullSecret, ScanFailure};
use k8s_openapi::api::core::v1::{LocalObjectReference, PodSpec, Secret, ServiceAccount};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt as _};
use tidewaiter_core::Reason;
use tidewaiter_crd::ImageScan;

/// Names of the pull secrets that a Pod would use, in the order in which kubelets try them: its own, else its
/// ServiceAccount's, which the API server gives to a Pod without any. The watch shows the account: a change counts milliseconds
/// later, and a scan that came too early is refused by the registry and requested again.
pub(crate) fn names(accounts: &Store<ServiceAccount>, namespace: &str, spec: &PodSpec) -> Vec<String> {
    if let Some(own) = spec.image_pull_secrets.as_deref().filter(|own| !own.is_empty()) {
        return in_order(own);
    }
    // What the API server fills in where a template names none.
    let account = spec.service_account_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("default");
    let account = accounts.get(&ObjectRef::new(account).within(namespace));
    in_order(account.and_then(|account| account.image_pull_secrets.clone()).as_deref().unwrap_or_default())
}

/// What [`names`] reads of a Pod's spec.
pub(crate) fn access(spec: &PodSpec) -> PodSpec {
    PodSpec {
        image_pull_secrets: spec.image_pull_secrets.clone(),
        service_account_name: spec.service_account_name.clone(),
        ..PodSpec::default()
    }
}

/// The names of these secrets, each once.
pub(crate) fn in_order(secrets: &[LocalObjectReference]) -> Vec<String> {
    joined(secrets.iter().map(|secret| &secret.name).filter(|name| !name.is_empty()))
}

/// Names in their order, each once.
pub(crate) fn joined<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// The secrets of a scan: those that the ImageScan names, then those of the namespace's default ServiceAccount, which a
/// Pod of this image uses unless it names another one or secrets of its own. A missing secret counts as empty, as for a kubelet.
///
/// # Errors
/// When one cannot be read.
pub(crate) async fn of_scan(
    client: &Client,
    accounts: &Store<ServiceAccount>,
    scan: &ImageScan,
) -> Result<Vec<PullSecret>, ScanFailure> {
    let namespace = scan.namespace().unwrap_or_default();
    let default = names(accounts, &namespace, &PodSpec::default());
    let more = default.iter().filter(|name| !scan.spec.pull_secrets.contains(name));
    let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let mut all = Vec::new();
    for name in scan.spec.pull_secrets.iter().chain(more) {
        let secret = api.get_opt(name).await.map_err(|e| unreadable(&format!("pull secret {name}"), &e))?;
        all.extend(secret.iter().flat_map(documents));
    }
    Ok(all)
}

/// The documents of one Secret, in either of the formats that kubelets read.
fn documents(secret: &Secret) -> Vec<PullSecret> {
    let current = text(secret, ".dockerconfigjson").map(|document| PullSecret { legacy: false, document });
    let legacy = text(secret, ".dockercfg").map(|document| PullSecret { legacy: true, document });
    current.into_iter().chain(legacy).collect()
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

fn unreadable(what: &str, error: &kube::Error) -> ScanFailure {
    ScanFailure::new(Reason::PullSecretUnreadable, format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn names_keep_the_order_of_the_pod() {
        let check = |names: &[&str], expected: &[&str]| {
            let secrets: Vec<_> = names.iter().map(|name| LocalObjectReference { name: (*name).to_owned() }).collect();
            assert_eq!(in_order(&secrets), expected);
        };
        check(&["b", "a"], &["b", "a"]);
        check(&["b", "", "a", "b"], &["b", "a"]);
        check(&[], &[]);
    }

    #[test]
    fn both_formats_are_read() {
        let check = |data: Value, expected: &[(bool, &str)]| {
            let secret: Secret = serde_json::from_value(json!({"metadata": {}, "data": data})).unwrap();
            let found = documents(&secret);
            let found: Vec<(bool, &str)> = found.iter().map(|s| (s.legacy, s.document.as_str())).collect();
            assert_eq!(found, expected, "{data}");
        };
        check(json!({".dockerconfigjson": "e30="}), &[(false, "{}")]);
        check(json!({".dockercfg": "e30="}), &[(true, "{}")]);
        check(json!({".dockercfg": "e30=", ".dockerconfigjson": "e30="}), &[(false, "{}"), (true, "{}")]);
        check(json!({"password": "e30="}), &[]);
        check(json!({".dockerconfigjson": "/w=="}), &[]);
        check(json!(null), &[]);
    }
}
