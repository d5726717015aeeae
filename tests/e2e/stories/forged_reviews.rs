//! Reviews that no API server sent: whoever reaches the admission port chooses their text, and takes no memory by it.

use crate::lab;

/// A review of a Pod, whose resource has any name.
fn review(resource: &str) -> String {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{{"group":"",
        "version":"v1","kind":"Pod"}},"resource":{{"group":"","version":"v1","resource":"{resource}"}},"name":"p","namespace":
        "default","operation":"CREATE","userInfo":{{}},"object":{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p"}},
        "spec":{{"containers":[{{"name":"c","image":"r.example/x:1"}}]}}}}}}}}"#
    )
}

#[test]
fn their_texts_are_no_labels_of_metrics() {
    let lab = lab();
    let metrics = || {
        let path = "/api/v1/namespaces/tidewaiter-system/services/http:tidewaiter:9090/proxy/metrics";
        lab.admin(&["get", "--raw", path]).ok()
    };
    let forge = |number: usize| {
        let said = lab.forge("/pods", &review(&format!("{number}{}", "x".repeat(200_000))));
        assert!(said.starts_with("HTTP/1.1 200") && said.contains(r#""allowed":true"#), "{said}");
    };
    // The first one makes the series of its route.
    forge(0);
    let before = metrics().len();
    (1..20).for_each(forge);
    let after = metrics();
    assert!(after.len() < before + 1000, "{} grew from {before}", after.len());
    assert!(after.contains(r#"tidewaiter_admissions_total{resource="pods",answer="changed"} 20"#), "{after}");
    // Larger than any object that an API server accepts.
    let said = lab.forge("/pods", &review(&"x".repeat(9 << 20)));
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413"), "{said}");
    // Requests of the API server are answered as before.
    let good = lab.registry.push("good", "v1", &tidewaiter_testkit::demo::clean().build());
    crate::create(&lab, "good", &good);
    crate::rolled_out(&lab, "good");
}
