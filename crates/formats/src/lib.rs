//! Reports and SBOMs in the formats of other tools.
//!
//! ```text
//! report, verdict → view → sarif, cyclonedx, spdx2, spdx3, junit, gitlab, defectdojo, markdown, csv, html → bytes
//! inventory → bill ──────────↗ (cyclonedx, spdx2, spdx3)
//! what a scanner adapter of Harbor answers is `harbor`
//! ```
//!
//! Everything here is a pure function: the same report and the same [`Stamp`] give the same bytes. Lists are written element by
//! element, so that a report of thousands of findings is never in memory twice. Text of images and advisories is hostile: each
//! format escapes it by its own rules.
//!
//! This crate must never know about files, the network, the clock or Kubernetes.

mod arrange;
mod bill;
mod csv;
mod cyclonedx;
mod defectdojo;
mod fingerprint;
mod format;
mod gitlab;
mod harbor;
mod html;
mod json;
mod junit;
mod link;
mod markdown;
mod packages;
mod sarif;
mod spdx2;
mod spdx3;
mod spdx_text;
mod stamp;
#[cfg(feature = "templates")]
mod template;
mod text;
mod view;

pub use arrange::{ArrangedFindings, Arrangement, FindingGroup, GroupKey, SortKey, UnknownKey};
pub use format::{ReportFormat, SbomFormat, UnknownFormat, write_markdown, write_sarif};
pub use harbor::{HarborArtifact, HarborScanner, write_harbor_report, write_harbor_sbom};
pub use stamp::Stamp;
#[cfg(feature = "templates")]
pub use template::{ReportTemplate, TemplateError};
pub use view::{JudgedReport, exploited, fixed_in, in_layer, lowest_layer, read_from, suppression};
