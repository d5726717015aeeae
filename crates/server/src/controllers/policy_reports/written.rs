//! Which reports there are, by lists that may be older than what this process wrote.

use kube::api::{DynamicObject, ObjectList};
use kube::core::PartialObjectMeta;
use std::collections::HashMap;
use tidewaiter_crd::names::REPORT_CONTENT;

/// A report by its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WrittenKey {
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A report as it is in the cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct WrittenReport {
    /// As the API server counts.
    pub(super) version: Option<String>,
    /// Hash of what it says; none where somebody else changed it.
    pub(super) content: Option<String>,
    /// What it was last found to follow from.
    pub(super) input: Option<u64>,
}

/// What is there by a list, and by what was known before. The API server answers from a cache, so that a list each minute reads
/// nothing from etcd: what was written after the list's version is as it was written.
pub(super) fn listed(
    mut before: HashMap<WrittenKey, WrittenReport>,
    found: ObjectList<PartialObjectMeta<DynamicObject>>,
) -> HashMap<WrittenKey, WrittenReport> {
    let as_of = number(found.metadata.resource_version.as_deref());
    let is_later = |known: &WrittenReport| {
        let version = number(known.version.as_deref());
        version.zip(as_of).is_some_and(|(version, as_of)| version > as_of)
    };
    let mut now = HashMap::new();
    for object in found.items {
        let key = key(&object);
        let version = object.metadata.resource_version.clone();
        let report = match before.remove(&key) {
            Some(same) if same.version == version || is_later(&same) => same,
            // Somebody changed it: it is written again.
            Some(_) => WrittenReport { version, ..WrittenReport::default() },
            // Of an earlier process.
            None => WrittenReport { version, content: content(&object), input: None },
        };
        now.insert(key, report);
    }
    now.extend(before.into_iter().filter(|(_, known)| is_later(known)));
    now
}

/// Versions of one kind count up (API concepts, resource versions); what is no number is later than nothing.
fn number(version: Option<&str>) -> Option<u64> {
    version?.parse().ok()
}

fn key(object: &PartialObjectMeta<DynamicObject>) -> WrittenKey {
    let metadata = &object.metadata;
    WrittenKey {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// The hash of what a report says, by its annotation.
fn content(object: &PartialObjectMeta<DynamicObject>) -> Option<String> {
    object.metadata.annotations.as_ref()?.get(REPORT_CONTENT).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_that_is_older_than_a_write_does_not_undo_it() {
        let known = |version: &str| WrittenReport {
            version: Some(version.to_owned()),
            content: Some("mine".to_owned()),
            input: Some(1),
        };
        let check = |before: Option<&str>, list: &str, found: Option<&str>, expected: Option<WrittenReport>| {
            let key = WrittenKey { namespace: "n".to_owned(), name: "r".to_owned() };
            let before = before.map(|version| (key.clone(), known(version))).into_iter().collect();
            let item = |version| {
                let annotations = json!({REPORT_CONTENT: "theirs"});
                json!({"metadata": {"namespace": "n", "name": "r", "resourceVersion": version, "annotations": annotations}})
            };
            let items: Vec<_> = found.map(item).into_iter().collect();
            let list = json!({"metadata": {"resourceVersion": list}, "items": items});
            let now = listed(before, serde_json::from_value(list.clone()).unwrap());
            assert_eq!(now.get(&key), expected.as_ref(), "{list}");
        };
        let changed = |version: &str| WrittenReport { version: Some(version.to_owned()), ..WrittenReport::default() };
        check(Some("10"), "12", Some("10"), Some(known("10")));
        check(Some("10"), "12", Some("11"), Some(changed("11")));
        check(Some("10"), "12", None, None);
        // An older list: before it was written, or before it was written again.
        check(Some("10"), "9", None, Some(known("10")));
        check(Some("10"), "9", Some("8"), Some(known("10")));
        // As numbers, and not as texts.
        check(Some("9"), "10", None, None);
        // What is not comparable counts as newer.
        check(Some("x"), "9", None, None);
        let theirs = WrittenReport { content: Some("theirs".to_owned()), ..changed("8") };
        check(None, "9", Some("8"), Some(theirs));
    }
}
