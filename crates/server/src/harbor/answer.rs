//! Media types of the specification, and which report a request asks for.

use super::problem::AdapterProblem;
use tidewaiter_formats::SbomFormat;

pub(crate) const METADATA: &str = "application/vnd.scanner.adapter.metadata+json; version=1.1";
pub(crate) const METADATA_1_0: &str = "application/vnd.scanner.adapter.metadata+json; version=1.0";
pub(crate) const SCAN_RESPONSE: &str = "application/vnd.scanner.adapter.scan.response+json; version=1.0";
pub(crate) const ERROR: &str = "application/vnd.scanner.adapter.error+json; version=1.0";
pub(crate) const VULNERABILITIES: &str = "application/vnd.security.vulnerability.report; version=1.1";
/// The same document under its older name; it is not offered, as Harbor would ask for both and store one over the other.
pub(crate) const VULNERABILITIES_1_0: &str = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0";
pub(crate) const SBOM: &str = "application/vnd.security.sbom.report+json; version=1.0";
pub(crate) const SPDX: &str = "application/spdx+json";
pub(crate) const CYCLONEDX: &str = "application/vnd.cyclonedx+json";

/// What is scanned: manifests of one image.
pub(crate) const ARTIFACTS: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];

/// A report that Harbor may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportKind {
    /// Under the media type that was asked for.
    Vulnerabilities(&'static str),
    Sbom(SbomFormat, &'static str),
}

impl ReportKind {
    /// The media type of the answer.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            ReportKind::Vulnerabilities(media_type) => media_type,
            ReportKind::Sbom(..) => SBOM,
        }
    }

    /// What the headers `Accept` and the query of a request ask for; without the header, vulnerabilities.
    ///
    /// # Errors
    /// When none of it is made here, or an SBOM's format is not named.
    pub(crate) fn asked_for(accept: Option<&str>, query: Option<&str>) -> Result<Self, AdapterProblem> {
        let accept = accept.filter(|accept| !accept.trim().is_empty()).unwrap_or("*/*");
        for media_type in accept.split(',').map(compact) {
            let is = |known: &str| media_type == compact(known);
            if is(VULNERABILITIES) || matches!(&*media_type, "*/*" | "application/vnd.security.vulnerability.report") {
                return Ok(ReportKind::Vulnerabilities(VULNERABILITIES));
            }
            if is(VULNERABILITIES_1_0) {
                return Ok(ReportKind::Vulnerabilities(VULNERABILITIES_1_0));
            }
            if is(SBOM) {
                return sbom(query);
            }
        }
        // The specification has no 406.
        Err(AdapterProblem::new(
            501,
            format!("no report of this media type is made here; ask for {VULNERABILITIES} or {SBOM}"),
        ))
    }
}

fn sbom(query: Option<&str>) -> Result<ReportKind, AdapterProblem> {
    let named = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("sbom_media_type="));
    match named.map(decoded).as_deref() {
        Some(SPDX) => Ok(ReportKind::Sbom(SbomFormat::Spdx2, SPDX)),
        // Whoever takes it from Harbor may not know a later one.
        Some(CYCLONEDX) => Ok(ReportKind::Sbom(SbomFormat::CycloneDx16, CYCLONEDX)),
        _ => Err(AdapterProblem::new(
            400,
            format!("name the format of the SBOM: ?sbom_media_type={SPDX} or {CYCLONEDX}"),
        )),
    }
}

/// A media type without spaces, in lower case: only its names and values count (RFC 9110, 8.3.1).
fn compact(media_type: &str) -> String {
    media_type.chars().filter(|c| !c.is_whitespace() && *c != '"').collect::<String>().to_ascii_lowercase()
}

/// What a form encodes of the two media types: slashes, and `+`, which some leave as it is.
fn decoded(value: &str) -> String {
    let plus = value.replace("%2B", "+").replace("%2b", "+").replace("%20", "+").replace(' ', "+");
    plus.replace("%2F", "/").replace("%2f", "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for() {
        let check = |accept: Option<&str>, query: Option<&str>, expected: Result<ReportKind, u16>| {
            let found = ReportKind::asked_for(accept, query).map_err(|problem| problem.status);
            assert_eq!(found, expected, "{accept:?} {query:?}");
        };
        let vulnerabilities = Ok(ReportKind::Vulnerabilities(VULNERABILITIES));
        check(None, None, vulnerabilities);
        check(Some("*/*"), None, vulnerabilities);
        check(Some(""), None, vulnerabilities);
        check(Some(VULNERABILITIES), None, vulnerabilities);
        check(Some("application/vnd.security.vulnerability.report;version=1.1"), None, vulnerabilities);
        check(Some("Application/vnd.security.vulnerability.report; Version=\"1.1\""), None, vulnerabilities);
        check(Some("application/vnd.security.vulnerability.report"), None, vulnerabilities);
        check(Some(&format!("text/html, {VULNERABILITIES}")), None, vulnerabilities);
        check(Some(VULNERABILITIES_1_0), None, Ok(ReportKind::Vulnerabilities(VULNERABILITIES_1_0)));
        check(Some("application/vnd.security.vulnerability.report; version=9.9"), None, Err(501));
        check(Some("application/vnd.scanner.adapter.vuln.report.raw"), None, Err(501));
        check(Some("text/html"), None, Err(501));
        let spdx = Ok(ReportKind::Sbom(SbomFormat::Spdx2, SPDX));
        check(Some(SBOM), Some("sbom_media_type=application%2Fspdx%2Bjson"), spdx);
        check(Some(SBOM), Some("a=b&sbom_media_type=application/spdx+json"), spdx);
        let cyclonedx = Ok(ReportKind::Sbom(SbomFormat::CycloneDx16, CYCLONEDX));
        check(Some(SBOM), Some("sbom_media_type=application%2fvnd.cyclonedx%2bjson"), cyclonedx);
        check(Some(SBOM), None, Err(400));
        check(Some(SBOM), Some("sbom_media_type="), Err(400));
        check(Some(SBOM), Some("sbom_media_type=text/plain"), Err(400));
    }

    #[test]
    fn an_answer_has_the_media_type_that_was_asked_for() {
        assert_eq!(ReportKind::Vulnerabilities(VULNERABILITIES_1_0).media_type(), VULNERABILITIES_1_0);
        assert_eq!(ReportKind::Sbom(SbomFormat::Spdx2, SPDX).media_type(), SBOM);
    }
}
