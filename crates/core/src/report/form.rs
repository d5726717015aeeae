//! Reads reports: of thousands for one question (`policy test`, a changed policy).

use super::{
    Counts, DatabaseInfo, Finding, Gap, ImageInfo, Inventory, LayerInfo, Report, SupportPeriod, SuppressedFinding,
};
use crate::ecosystem::Os;
use crate::package::Package;
use serde::Deserialize;

/// The fields of [`Report`] and of its [`Inventory`], side by side. By `serde(flatten)` all of them would first become values of any
/// type, which takes half as long again.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportForm {
    schema_version: u32,
    image: ImageInfo,
    layers: Vec<LayerInfo>,
    os: Option<Os>,
    packages: Vec<Package>,
    #[serde(default)]
    gaps: Vec<Gap>,
    database: DatabaseInfo,
    findings: Vec<Finding>,
    #[serde(default)]
    suppressed: Vec<SuppressedFinding>,
    #[serde(default)]
    informational: Vec<Finding>,
    support: Option<SupportPeriod>,
    counts: Counts,
    complete: bool,
}

impl From<ReportForm> for Report {
    fn from(form: ReportForm) -> Self {
        let ReportForm { image, layers, os, packages, gaps, .. } = form;
        Report {
            schema_version: form.schema_version,
            inventory: Inventory { image, layers, os, packages, gaps },
            database: form.database,
            findings: form.findings,
            suppressed: form.suppressed,
            informational: form.informational,
            support: form.support,
            counts: form.counts,
            complete: form.complete,
        }
    }
}

// Not where they are called: the plugin is built to be small, at which reading takes nearly twice as long.
impl Report {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// When it is none, or that of another version.
    pub fn from_json(json: &[u8]) -> serde_json::Result<Report> {
        serde_json::from_slice(json)
    }

    /// Reads one report, or the list that an image of several platforms has.
    ///
    /// # Errors
    /// Those of [`Report::from_json`].
    pub fn all_from_json(json: &[u8]) -> serde_json::Result<Vec<Report>> {
        let is_list = json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
        if is_list { serde_json::from_slice(json) } else { Ok(vec![Report::from_json(json)?]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tidewaiter_testkit::generated;

    proptest! {
        #[test]
        fn one_report_or_a_list(report in generated::report()) {
            let one = Report::from_json(report.to_string().as_bytes()).unwrap();
            prop_assert_eq!(serde_json::to_value(&one).unwrap()["findings"].clone(), report["findings"].clone());
            let read = |text: String| Report::all_from_json(text.as_bytes()).unwrap();
            prop_assert_eq!(&read(format!("\n {report}")), std::slice::from_ref(&one));
            prop_assert_eq!(read(format!(" [{report}, {report}]")), [one.clone(), one]);
        }
    }

    #[test]
    fn what_is_no_report() {
        for text in ["", "{}", "[{}]", "[", "null", "7"] {
            assert!(Report::all_from_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
