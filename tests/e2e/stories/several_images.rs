//! Several images in one call: the server scans them side by side, and the call ends with what became of each.

use crate::lab;
use tidewaiter_testkit::demo::{distinct, medium, vulnerable};

#[test]
fn one_call_scans_several_images_in_the_cluster() {
    let lab = lab();
    let good = lab.registry.push("good", "v1", &distinct("good"));
    let fair = lab.registry.push("fair", "v1", &medium().build());
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let missing = format!("{}/missing:v1", lab.registry.host());
    let said = lab.kubectl(&["scan", "image", &good, &missing, &bad]);
    assert_eq!(said.code, 1, "{}", said.text);
    let started = said.text.matches("Scan started for image ").count();
    assert!(started == 3 && said.text.contains("in the cluster"), "{}", said.text);
    // In the order given: the report of each, then the summary.
    let place = |text: String| said.text.rfind(&text).unwrap_or_else(|| panic!("{text}: {}", said.text));
    let rows = [
        place("IMAGE ".to_owned()),
        place(format!("\n{good} ")),
        place(format!("\n{missing} ")),
        place(format!("\n{bad} ")),
    ];
    assert!(rows.is_sorted(), "{}", said.text);
    assert!(said.text.contains("missing:v1 does not exist"), "{}", said.text);
    // One that failed leaves the others' verdicts, and its own exit code where they are clean.
    assert_eq!(lab.kubectl(&["scan", "image", &good, &fair]).code, 0);
    assert_eq!(lab.kubectl(&["scan", "image", &good, &missing]).code, 3);
    // What decides here is an option of local scans, which have another database: none is in the cluster's place unasked.
    let said = lab.kubectl(&["scan", "image", "--in-cluster", &fair, "--fail-on", "medium"]);
    assert!(said.code == 2 && said.text.contains("cannot be used with"), "{}", said.text);
    // The report is shown as a person asked for it.
    let said = lab.kubectl(&["scan", "report", &bad, "--group-by", "severity", "--only-fixed"]).ok();
    assert!(said.contains("\ncritical (3)\n") && said.contains("\nmedium (5)\n"), "{said}");
}
