//! Namespaces and their labels: what a change of labels means depends on the selectors of policies.

use super::Index;
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use std::collections::BTreeSet;
use tidewaiter_crd::ChosenNamespace;
use tidewaiter_crd::namespace::Labels;

impl Index {
    /// Whether there is a namespace of this name.
    pub(crate) fn is_namespace(&self, name: &str) -> bool {
        self.namespaces.get(&ObjectRef::new(name)).is_some()
    }

    /// The labels of a namespace; `None` while the server has not seen it.
    pub(crate) fn labels_of(&self, name: &str) -> Option<Labels> {
        let found = self.namespaces.get(&ObjectRef::new(name))?;
        Some(found.metadata.labels.clone().unwrap_or_default())
    }

    /// The UID of a namespace; `None` while the server has not seen it.
    pub(crate) fn uid_of(&self, name: &str) -> Option<String> {
        self.namespaces.get(&ObjectRef::new(name))?.uid()
    }

    pub(super) fn namespace_changed(&self, changed: &Namespace) {
        self.queues.namespaces.add(ObjectRef::from_obj(changed));
        self.follow_labels(&changed.name_any());
    }

    /// All namespaces were listed, for the first time or after the watch was lost: while they are listed, the store shows the
    /// old ones, and no event tells which are gone.
    pub(super) fn namespaces_listed(&self) {
        let mut names: BTreeSet<String> =
            self.namespaces.state().iter().map(|namespace| namespace.name_any()).collect();
        names.extend(self.last_labels.lock().keys().cloned());
        names.iter().for_each(|name| self.follow_labels(name));
    }

    /// Labels may move a namespace from one policy to another: what is bound and what is decided there follows.
    fn follow_labels(&self, name: &str) {
        let now = self.labels_of(name);
        let before = {
            let mut last = self.last_labels.lock();
            match &now {
                Some(labels) => last.insert(name.to_owned(), labels.clone()),
                None => last.remove(name),
            }
        };
        if before == now || self.policies.state().iter().all(|policy| policy.spec.namespace_selector.is_none()) {
            return;
        }
        let is_moved = self.selecting(name, before.as_ref()) != self.selecting(name, now.as_ref());
        if is_moved {
            self.enqueue_bound();
        }
        // What is new may have been judged by the strictest policy before its labels were seen.
        if is_moved || before.is_none() {
            self.enqueue_decided(&|namespace| namespace == Some(name));
        }
    }

    /// The policies that choose a namespace with these labels. One that is not known is bound as one without labels is.
    fn selecting(&self, name: &str, labels: Option<&Labels>) -> Vec<String> {
        let namespace = match labels {
            Some(labels) => ChosenNamespace::new(name, labels),
            None => ChosenNamespace::without_labels(name),
        };
        let mut names: Vec<String> =
            self.policies.state().iter().filter(|p| p.spec.chooses(namespace)).map(|p| p.name_any()).collect();
        names.sort();
        names
    }
}
