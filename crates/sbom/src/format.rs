//! Which format a document has, by what was seen of it.

use crate::error::SbomError;
use std::collections::{BTreeSet, HashSet};

const CYCLONEDX: [&str; 6] = ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"];
const SPDX_2: [&str; 2] = ["SPDX-2.2", "SPDX-2.3"];

/// What a document says of itself.
#[derive(Debug, Default)]
pub(crate) struct SbomHead {
    /// CycloneDX: `bomFormat`.
    pub(crate) bom_format: String,
    /// CycloneDX: `specVersion`.
    pub(crate) cyclonedx: String,
    /// SPDX 2: `SPDX-2.3`.
    pub(crate) spdx2: String,
    /// Whether it has a graph of linked data.
    pub(crate) has_graph: bool,
    /// SPDX 3: `specVersion` of its creation.
    pub(crate) spdx3: String,
    /// Whether it has artifacts, as Syft's form does.
    pub(crate) has_artifacts: bool,
    /// Syft: the version of its schema.
    pub(crate) syft: String,
    /// Whether it is in a wrapper, as GitHub exports it.
    pub(crate) is_wrapped: bool,
    /// Whether it has manifests, and a detector that found them.
    pub(crate) has_manifests: bool,
    pub(crate) has_detector: bool,
    /// What else it is, where a member tells.
    pub(crate) other: &'static str,
    /// Its name.
    pub(crate) name: String,
    /// Ids of what it is about.
    pub(crate) described: HashSet<String>,
    /// Ids of the lists of elements among [`Self::described`], which are no elements themselves (SPDX 3).
    pub(crate) lists: HashSet<String>,
    /// Documents that it refers to (SPDX 2: `DocumentRef-…`), whose parts are not read.
    pub(crate) others: BTreeSet<String>,
    /// The gaps of the scan that wrote it, a line each.
    pub(crate) gaps: Vec<String>,
    /// What it says of its own completeness, where that is not complete.
    pub(crate) incomplete: String,
}

impl SbomHead {
    /// What it is about, where that is one thing: its parts are listed, and it is none of them.
    pub(crate) fn root(&self) -> Option<&str> {
        let mut roots = self.described.difference(&self.lists);
        roots.next().filter(|_| roots.next().is_none()).map(String::as_str)
    }

    /// Notes which document an element is in, where it is in another one.
    pub(crate) fn refer(&mut self, element: &str) {
        let other = element.split(':').next().filter(|name| name.starts_with("DocumentRef-"));
        self.others.extend(other.map(str::to_owned));
    }

    /// Whether anything showed which format it has.
    pub(crate) fn has_format(&self) -> bool {
        let named = [&self.bom_format, &self.spdx2, &self.spdx3].iter().any(|name| !name.is_empty());
        named
            || self.has_graph
            || self.has_artifacts && !self.syft.is_empty()
            || self.has_manifests && self.has_detector
    }

    /// The format and its version.
    ///
    /// # Errors
    /// When it is another, or none.
    pub(crate) fn format(&self) -> Result<String, SbomError> {
        let named = |is_known: bool, name: String| if is_known { Ok(name) } else { Err(SbomError::Version(name)) };
        if self.bom_format == "CycloneDX" {
            let version = if self.cyclonedx.is_empty() { "without a version" } else { &self.cyclonedx };
            return named(CYCLONEDX.contains(&version), format!("CycloneDX {version}"));
        }
        if !self.spdx2.is_empty() {
            let name = self.spdx2.replace("SPDX-", "SPDX ");
            let from = if self.is_wrapped { " (GitHub)" } else { "" };
            return named(SPDX_2.contains(&self.spdx2.as_str()), format!("{name}{from}"));
        }
        if !self.spdx3.is_empty() {
            return named(self.spdx3 == "3.0" || self.spdx3.starts_with("3.0."), format!("SPDX {}", self.spdx3));
        }
        if self.has_artifacts && !self.syft.is_empty() {
            return Ok(format!("Syft {}", self.syft));
        }
        if self.has_manifests && self.has_detector {
            return Ok("GitHub dependency submission".to_owned());
        }
        let other = if self.other.is_empty() { "JSON of another kind" } else { self.other };
        Err(SbomError::Unknown(other.to_owned()))
    }
}

/// Other documents that people give in place of an SBOM, by a member that they have.
pub(crate) fn other(member: &str) -> Option<&'static str> {
    Some(match member {
        "predicateType" => "a statement about an SBOM (in-toto), whose `predicate` may be one",
        "payloadType" => "a signed envelope (DSSE), whose payload may be a statement about an SBOM",
        "ArtifactName" => "a report of Trivy, which writes SBOMs with `--format cyclonedx`",
        "matches" => "a report of Grype; Syft writes SBOMs",
        "findings" => "a report; `kubectl scan convert` reads those of tidewaiter",
        "runs" => "a report in SARIF",
        "lockfileVersion" => "a lock file of npm",
        _ => return None,
    })
}
