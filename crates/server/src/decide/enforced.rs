//! The namespaces that are enforced: what policies want, what is bound, and what was remembered.

use super::policy::effective;
use k8s_openapi::api::core::v1::Namespace;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidewaiter_crd::names::NAMESPACE;
use tidewaiter_crd::namespace::Labels;
use tidewaiter_crd::policy::Mode;
use tidewaiter_crd::{ClusterScanPolicy, ScanPolicy};

/// The enforced namespaces, as selectors can express them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum NamespaceSelection {
    /// All but these.
    AllBut(Vec<String>),
    /// Only these.
    Only(Vec<String>),
}

impl NamespaceSelection {
    /// Whether a namespace is enforced.
    pub(crate) fn contains(&self, namespace: &str) -> bool {
        match self {
            NamespaceSelection::AllBut(names) => !names.iter().any(|name| name == namespace),
            NamespaceSelection::Only(names) => names.iter().any(|name| name == namespace),
        }
    }
}

/// The enforced namespaces of those that `exist`, and of any that a policy names; `excluded` ones never are. One that is made
/// later is bound as one without labels is, until this is asked again.
pub(crate) fn enforced_namespaces(
    policies: &[Arc<ClusterScanPolicy>],
    own: &[Arc<ScanPolicy>],
    exist: &[Arc<Namespace>],
    excluded: &[String],
) -> NamespaceSelection {
    let none = Labels::new();
    let labels: BTreeMap<&str, &Labels> = exist.iter().filter_map(|namespace| name_and_labels(namespace)).collect();
    let enforced = |namespace: &str| {
        let labels = labels.get(namespace).copied().unwrap_or(&none);
        effective(policies, own, namespace, Some(labels)).mode == Mode::Enforce
    };
    let of_spec = |p: &Arc<ClusterScanPolicy>| [p.spec.namespaces.clone(), p.spec.enforced_namespaces.clone()].concat();
    let mut names: BTreeSet<String> = policies.iter().flat_map(of_spec).collect();
    names.extend(own.iter().filter_map(|policy| policy.metadata.namespace.clone()));
    // Those of which only labels may be chosen.
    names.extend(labels.keys().map(|name| (*name).to_owned()));
    // No namespace has an empty name: what applies to it applies to every namespace without labels that no policy names.
    if enforced("") {
        names.retain(|namespace| !enforced(namespace));
        names.extend(excluded.iter().cloned());
        NamespaceSelection::AllBut(names.into_iter().collect())
    } else {
        names.retain(|namespace| enforced(namespace) && !excluded.contains(namespace));
        NamespaceSelection::Only(names.into_iter().collect())
    }
}

fn name_and_labels(namespace: &Namespace) -> Option<(&str, &Labels)> {
    static NONE: Labels = Labels::new();
    Some((namespace.metadata.name.as_deref()?, namespace.metadata.labels.as_ref().unwrap_or(&NONE)))
}

/// What the policies and bindings of the cluster say about the time before now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnforcedBefore {
    /// The namespaces that were enforced; what runs in others is retained. None: nothing ever was.
    pub(crate) namespaces: Option<NamespaceSelection>,
    /// Whether enforcement was interrupted: what started meanwhile was not decided.
    pub(crate) interrupted: bool,
}

/// Compares what the server remembers with what is bound now. The bindings alone prove nothing: deleted ones look like a new
/// installation, and whoever deletes them must not have what starts meanwhile retained.
pub(crate) fn enforced_before(
    remembered: Option<NamespaceSelection>,
    bound: Option<NamespaceSelection>,
    wanted: &NamespaceSelection,
) -> EnforcedBefore {
    let Some(remembered) = remembered else {
        // A first installation, or that of a version without memory.
        return EnforcedBefore { namespaces: bound, interrupted: false };
    };
    // The server ended after it had changed the bindings and before it remembered that.
    if bound.as_ref() == Some(wanted) {
        return EnforcedBefore { namespaces: bound, interrupted: false };
    }
    EnforcedBefore { interrupted: bound.as_ref() != Some(&remembered), namespaces: Some(remembered) }
}

/// Takes out of the `excluded` namespaces those that exist and were enforced, and returns them. One that does not exist yet is
/// excluded when it is made.
pub(crate) fn keep_enforced(
    excluded: &mut Vec<String>,
    exist: &BTreeSet<String>,
    before: &NamespaceSelection,
) -> Vec<String> {
    let (kept, rest) = std::mem::take(excluded).into_iter().partition(|name| {
        // The server's own: it would wait for itself.
        name != NAMESPACE && before.contains(name) && exist.contains(name)
    });
    *excluded = rest;
    kept
}

/// The excluded namespaces that exist and were enforced until now: an exclusion is meant, but the list that a new version of the
/// manifest shows may have one more.
pub(crate) fn newly_excluded<'a>(
    excluded: &'a [String],
    exist: &[Arc<Namespace>],
    remembered: &NamespaceSelection,
) -> Vec<&'a str> {
    let is_there = |name: &str| exist.iter().any(|namespace| namespace.metadata.name.as_deref() == Some(name));
    excluded.iter().map(String::as_str).filter(|name| remembered.contains(name) && is_there(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::tests::{by_label, policies};
    use serde_json::{Value, json};

    #[test]
    fn the_enforced_namespaces() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let check = |specs: &[Value], excluded: &[&str], expected: NamespaceSelection, samples: &[(&str, bool)]| {
            let found = enforced_namespaces(&policies(specs), &[], &[], &names(excluded));
            samples.iter().for_each(|(name, contained)| assert_eq!(found.contains(name), *contained, "{name}"));
            assert_eq!(found, expected, "{specs:?}");
        };
        let (all_but, only) = (NamespaceSelection::AllBut, NamespaceSelection::Only);
        let audit = |namespaces: &[&str]| json!({"mode": "Audit", "namespaces": namespaces});
        let enforce = |namespaces: &[&str]| json!({"namespaces": namespaces});
        check(&[], &["z"], all_but(names(&["z"])), &[("a", true), ("z", false)]);
        check(&[audit(&["a"])], &["z"], all_but(names(&["a", "z"])), &[("a", false), ("b", true)]);
        check(&[audit(&["a", "b"]), enforce(&["b"])], &[], all_but(names(&["a"])), &[("b", true)]);
        check(&[audit(&[])], &["z"], only(names(&[])), &[("a", false)]);
        check(&[json!({"mode": "Warn"})], &["z"], only(names(&[])), &[("a", false)]);
        check(&[audit(&[]), enforce(&["c", "z"])], &["z"], only(names(&["c"])), &[("c", true), ("z", false)]);
        let warn = json!({"mode": "Warn", "enforcedNamespaces": ["c", "z"]});
        check(std::slice::from_ref(&warn), &["z"], only(names(&["c"])), &[("c", true), ("z", false)]);
        check(&[warn, audit(&["c"])], &[], only(names(&["z"])), &[("c", false)]);
        let here = json!({"mode": "Warn", "namespaces": ["a", "b"], "enforcedNamespaces": ["a"]});
        check(&[here], &[], all_but(names(&["b"])), &[("a", true), ("b", false)]);
    }

    #[test]
    fn labels_decide_about_the_namespaces_that_exist() {
        let namespace = |(name, gate): &(&str, &str)| {
            let labels = if gate.is_empty() { json!({}) } else { json!({"gate": gate}) };
            Arc::new(serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}})).unwrap())
        };
        let exist: Vec<Arc<Namespace>> =
            [("a", "on"), ("b", "off"), ("c", ""), ("z", "on")].iter().map(namespace).collect();
        let check = |specs: &[Value], expected: NamespaceSelection| {
            assert_eq!(enforced_namespaces(&policies(specs), &[], &exist, &["z".to_owned()]), expected, "{specs:?}");
        };
        let all_but = |list: &[&str]| NamespaceSelection::AllBut(list.iter().map(|n| (*n).to_owned()).collect());
        let only = |list: &[&str]| NamespaceSelection::Only(list.iter().map(|n| (*n).to_owned()).collect());
        let (warn, enforce) = (json!({"mode": "Warn"}), json!({}));
        check(&[warn.clone(), by_label("on", enforce.clone())], only(&["a"]));
        check(&[warn.clone(), by_label("none", enforce.clone())], only(&[]));
        check(&[enforce.clone(), by_label("on", warn.clone())], all_but(&["a", "z"]));
        check(&[enforce.clone(), by_label("off", warn.clone())], all_but(&["b", "z"]));
        // By name and by label: the strictest of both.
        let named = json!({"namespaces": ["a", "c"], "mode": "Warn"});
        check(&[warn.clone(), named.clone(), by_label("on", enforce.clone())], only(&["a"]));
        check(&[enforce.clone(), named], all_but(&["a", "c", "z"]));
        // What has no labels is bound as what is made later.
        let unlabelled =
            json!({"namespaceSelector": {"matchExpressions": [{"key": "gate", "operator": "DoesNotExist"}]}});
        check(&[warn.clone(), unlabelled], all_but(&["a", "b", "z"]));
        let every = json!({"namespaceSelector": {}});
        check(&[warn, every.clone()], all_but(&["z"]));
        check(&[enforce, json!({"namespaceSelector": {}, "mode": "Warn"})], only(&[]));
    }

    #[test]
    fn deleted_bindings_are_no_new_installation() {
        let only = |name: &str| NamespaceSelection::Only(vec![name.to_owned()]);
        let check = |remembered: &str, bound: &str, wanted: &str, expected: (&str, bool)| {
            let some = |name: &str| (!name.is_empty()).then(|| only(name));
            let found = enforced_before(some(remembered), some(bound), &only(wanted));
            let expected = EnforcedBefore { namespaces: some(expected.0), interrupted: expected.1 };
            assert_eq!(found, expected, "{remembered:?} {bound:?} {wanted:?}");
        };
        check("", "", "a", ("", false));
        check("", "a", "a", ("a", false));
        check("a", "a", "a", ("a", false));
        // The policy changed.
        check("a", "a", "b", ("a", false));
        // Deleted, or changed by somebody.
        check("a", "", "a", ("a", true));
        check("a", "", "b", ("a", true));
        check("a", "c", "a", ("a", true));
        // The server was killed between the two writes.
        check("a", "b", "b", ("b", false));
    }

    #[test]
    fn a_list_that_grew_ends_no_enforcement() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let exist: BTreeSet<String> = names(&["kube-system", "cert-manager", "team", NAMESPACE]).into_iter().collect();
        let list = names(&["kube-system", "cert-manager", "rook-ceph", NAMESPACE]);
        let check = |before: NamespaceSelection, kept: &[&str]| {
            let mut excluded = list.clone();
            assert_eq!(keep_enforced(&mut excluded, &exist, &before), kept, "{before:?}");
            let rest = list.iter().filter(|name| !kept.contains(&name.as_str())).cloned().collect::<Vec<_>>();
            assert_eq!(excluded, rest, "{before:?}");
        };
        // The older version's list was shorter.
        check(NamespaceSelection::AllBut(names(&["kube-system", NAMESPACE])), &["cert-manager"]);
        check(NamespaceSelection::AllBut(names(&[NAMESPACE])), &["kube-system", "cert-manager"]);
        check(NamespaceSelection::AllBut(names(&[])), &["kube-system", "cert-manager"]);
        check(NamespaceSelection::AllBut(list.clone()), &[]);
        check(NamespaceSelection::Only(names(&["team", "cert-manager"])), &["cert-manager"]);
        check(NamespaceSelection::Only(names(&["team", "rook-ceph"])), &[]);
        check(NamespaceSelection::Only(names(&[])), &[]);
    }

    #[test]
    fn what_an_exclusion_ends_is_named() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let one = |name: &&str| Arc::new(serde_json::from_value(json!({"metadata": {"name": name}})).unwrap());
        let exist: Vec<Arc<Namespace>> = ["kube-system", "cert-manager", "team"].iter().map(one).collect();
        let excluded = names(&["kube-system", "cert-manager", "rook-ceph"]);
        let check = |remembered: NamespaceSelection, expected: &[&str]| {
            assert_eq!(newly_excluded(&excluded, &exist, &remembered), expected, "{remembered:?}");
        };
        check(NamespaceSelection::AllBut(names(&["kube-system"])), &["cert-manager"]);
        check(NamespaceSelection::AllBut(excluded.clone()), &[]);
        check(NamespaceSelection::Only(names(&["team", "cert-manager"])), &["cert-manager"]);
        check(NamespaceSelection::Only(names(&["team"])), &[]);
    }
}
