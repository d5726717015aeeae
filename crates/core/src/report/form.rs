//! Reads and writes reports as JSON: thousands are read for one question (`policy test`, a changed policy).

use super::{
    Counts, DatabaseInfo, Finding, Gap, ImageInfo, Inventory, LayerInfo, Report, SupportPeriod, SuppressedFinding,
};
use crate::ecosystem::Os;
use crate::package::Package;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::io::{self, BufWriter, Write};

/// The fields of [`Report`] and of its [`Inventory`], side by side. By `serde(flatten)` all of them would first become values of any
/// type, which takes half as long again. `P`: the packages, read or passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReportForm<P = Vec<Package>> {
    schema_version: u32,
    image: ImageInfo,
    layers: Vec<LayerInfo>,
    os: Option<Os>,
    packages: P,
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

impl<P> ReportForm<P> {
    /// The report without packages, and these.
    fn apart(self) -> (Report, P) {
        let ReportForm { image, layers, os, packages, gaps, .. } = self;
        let report = Report {
            schema_version: self.schema_version,
            inventory: Inventory { image, layers, os, packages: Vec::new(), gaps },
            database: self.database,
            findings: self.findings,
            suppressed: self.suppressed,
            informational: self.informational,
            support: self.support,
            counts: self.counts,
            complete: self.complete,
        };
        (report, packages)
    }
}

impl From<ReportForm> for Report {
    fn from(form: ReportForm) -> Self {
        let (report, packages) = form.apart();
        Report { inventory: Inventory { packages, ..report.inventory }, ..report }
    }
}

/// A report whose packages were passed over.
#[derive(Deserialize)]
#[serde(from = "ReportForm<IgnoredAny>")]
struct WithoutPackages(Report);

impl From<ReportForm<IgnoredAny>> for WithoutPackages {
    fn from(form: ReportForm<IgnoredAny>) -> Self {
        WithoutPackages(form.apart().0)
    }
}

/// Bytes that are written at once. Writing JSON is thousands of pieces of a few bytes.
const BUFFER_BYTES: usize = 64 << 10;

// Not where they are called: the plugin is built to be small, at which reading and writing take nearly twice as long.
impl Report {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// When it is none, or that of another version.
    pub fn from_json(json: &[u8]) -> serde_json::Result<Report> {
        read(json)
    }

    /// Reads one report, or the list that an image of several platforms has.
    ///
    /// # Errors
    /// Those of [`Report::from_json`].
    pub fn all_from_json(json: &[u8]) -> serde_json::Result<Vec<Report>> {
        if is_list(json) { read(json) } else { Ok(vec![Report::from_json(json)?]) }
    }

    /// Reads one report or a list, without their packages: no policy asks for them, and of most reports they are half.
    ///
    /// # Errors
    /// Those of [`Report::from_json`], but for what is wrong with a package.
    pub fn all_for_policy(json: &[u8]) -> serde_json::Result<Vec<Report>> {
        let all: Vec<WithoutPackages> = if is_list(json) { read(json)? } else { vec![read(json)?] };
        Ok(all.into_iter().map(|WithoutPackages(report)| report).collect())
    }

    /// Writes the JSON form with a line end after it, indented: people read it, and compare it by line.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_lines(self, out)
    }

    /// Writes several as one list.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_all_json(reports: &[&Report], out: &mut dyn Write) -> io::Result<()> {
        write_lines(&reports, out)
    }
}

/// Looks for what is not UTF-8 once, in place of once for each string.
fn read<'a, T: Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    serde_json::from_str(str::from_utf8(json).map_err(serde::de::Error::custom)?)
}

fn is_list(json: &[u8]) -> bool {
    json.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

fn write_lines(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, out);
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
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
            prop_assert_eq!(&read(format!(" [{report}, {report}]")), &[one.clone(), one.clone()]);
            let without = Report { inventory: Inventory { packages: vec![], ..one.inventory.clone() }, ..one.clone() };
            let for_policy = |text: String| Report::all_for_policy(text.as_bytes()).unwrap();
            prop_assert_eq!(&for_policy(report.to_string()), std::slice::from_ref(&without));
            prop_assert_eq!(for_policy(format!(" [{report}, {report}]")), [without.clone(), without]);
            let mut written = Vec::new();
            one.write_json(&mut written).unwrap();
            prop_assert_eq!(&read(String::from_utf8(written).unwrap()), std::slice::from_ref(&one));
            let mut list = Vec::new();
            Report::write_all_json(&[&one, &one], &mut list).unwrap();
            prop_assert_eq!(read(String::from_utf8(list).unwrap()), [one.clone(), one]);
        }
    }

    #[test]
    fn what_is_no_report() {
        for text in ["", "{}", "[{}]", "[", "null", "7"] {
            assert!(Report::all_from_json(text.as_bytes()).is_err(), "{text}");
            assert!(Report::all_for_policy(text.as_bytes()).is_err(), "{text}");
        }
    }
}
