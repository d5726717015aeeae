//! The formats by name.

use crate::arrange::Arrangement;
use crate::bill::BillOfMaterials;
use crate::cyclonedx::CycloneDxVersion;
use crate::stamp::Stamp;
use crate::view::JudgedReport;
use crate::{csv, cyclonedx, defectdojo, gitlab, html, junit, markdown, sarif, spdx2, spdx3};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;
use tidewaiter_core::report::Inventory;

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportFormat {
    /// SARIF 2.1.0 (OASIS), for code scanning.
    Sarif,
    /// An SBOM, with the vulnerabilities of its packages.
    Sbom(SbomFormat),
    /// JUnit XML, for test reports.
    Junit,
    /// GitLab's report of container scanning, 15.2.4.
    GitLab,
    /// DefectDojo's "Generic Findings Import", JSON.
    DefectDojo,
    /// Markdown, for job summaries.
    Markdown,
    /// CSV (RFC 4180), for spreadsheets.
    Csv,
    /// One HTML file, for people.
    Html,
}

/// A format that lists packages, and so can be written of an inventory alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SbomFormat {
    /// CycloneDX 1.7, JSON (ECMA-424).
    CycloneDx,
    /// CycloneDX 1.6, JSON, for readers that know no later one.
    CycloneDx16,
    /// SPDX 2.3, JSON.
    Spdx2,
    /// SPDX 3.0.1, JSON-LD.
    Spdx3,
}

/// No format has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a format")]
pub struct UnknownFormat(String);

impl ReportFormat {
    /// All formats, as help texts list them.
    pub const ALL: [ReportFormat; 11] = [
        ReportFormat::Sarif,
        ReportFormat::Sbom(SbomFormat::CycloneDx),
        ReportFormat::Sbom(SbomFormat::CycloneDx16),
        ReportFormat::Sbom(SbomFormat::Spdx2),
        ReportFormat::Sbom(SbomFormat::Spdx3),
        ReportFormat::Junit,
        ReportFormat::GitLab,
        ReportFormat::DefectDojo,
        ReportFormat::Markdown,
        ReportFormat::Csv,
        ReportFormat::Html,
    ];

    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            ReportFormat::Sarif => "sarif",
            ReportFormat::Sbom(format) => format.name(),
            ReportFormat::Junit => "junit",
            ReportFormat::GitLab => "gitlab",
            ReportFormat::DefectDojo => "defectdojo",
            ReportFormat::Markdown => "markdown",
            ReportFormat::Csv => "csv",
            ReportFormat::Html => "html",
        }
    }

    /// Writes a report.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(self, judged: JudgedReport<'_>, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
        match self {
            ReportFormat::Sarif => sarif::write(&[judged], stamp, out),
            ReportFormat::Junit => junit::write(judged, stamp, out),
            ReportFormat::GitLab => gitlab::write(judged, stamp, out),
            ReportFormat::DefectDojo => defectdojo::write(judged, stamp, out),
            ReportFormat::Markdown => markdown::write(judged, &Arrangement::default(), out),
            ReportFormat::Csv => csv::write(judged, out),
            ReportFormat::Html => html::write(judged, stamp, out),
            ReportFormat::Sbom(format) => format.write_bill(&BillOfMaterials::of_report(judged, stamp), out),
        }
    }
}

/// Writes SARIF with a run for each report.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_sarif(all: &[JudgedReport<'_>], stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    sarif::write(all, stamp, out)
}

/// Writes Markdown with its findings so arranged.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_markdown(judged: JudgedReport<'_>, arrangement: &Arrangement, out: &mut dyn Write) -> io::Result<()> {
    markdown::write(judged, arrangement, out)
}

impl SbomFormat {
    /// All formats, as help texts list them.
    pub const ALL: [SbomFormat; 4] =
        [SbomFormat::CycloneDx, SbomFormat::CycloneDx16, SbomFormat::Spdx2, SbomFormat::Spdx3];

    /// The name on command lines.
    pub const fn name(self) -> &'static str {
        match self {
            SbomFormat::CycloneDx => "cyclonedx",
            SbomFormat::CycloneDx16 => "cyclonedx-1.6",
            SbomFormat::Spdx2 => "spdx",
            SbomFormat::Spdx3 => "spdx-3",
        }
    }

    /// Writes an inventory, without vulnerabilities.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(self, inventory: &Inventory, stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
        self.write_bill(&BillOfMaterials::of_inventory(inventory, stamp), out)
    }

    fn write_bill(self, bill: &BillOfMaterials<'_>, out: &mut dyn Write) -> io::Result<()> {
        match self {
            SbomFormat::CycloneDx => cyclonedx::write(bill, CycloneDxVersion::V1_7, out),
            SbomFormat::CycloneDx16 => cyclonedx::write(bill, CycloneDxVersion::V1_6, out),
            SbomFormat::Spdx2 => spdx2::write(bill, out),
            SbomFormat::Spdx3 => spdx3::write(bill, out),
        }
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ReportFormat {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = ReportFormat::ALL.into_iter().find(|format| format.name() == name);
        known.ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for format in ReportFormat::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        for format in SbomFormat::ALL {
            assert_eq!(format.name().parse(), Ok(ReportFormat::Sbom(format)));
        }
        assert_eq!("pdf".parse::<ReportFormat>().unwrap_err().to_string(), "\"pdf\" is not a format");
    }
}
