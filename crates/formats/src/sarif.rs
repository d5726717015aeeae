//! SARIF 2.1.0, as GitHub's code scanning reads it: a rule for each vulnerability, and a result for each path in the image with
//! a package that it is about. An alert is closed when its result is gone, so that one copy of a package may be fixed before the
//! other. Suppressed findings are results with `suppressions`.

mod result;
mod rule;

use crate::json::{self, Streamed};
use crate::stamp::{Stamp, TOOL};
use crate::view::JudgedReport;
use result::SarifResults;
use rule::{SarifRule, SarifRules};
use serde::Serialize;
use std::io::{self, Write};
use tidewaiter_core::image::without_tag;
use tidewaiter_core::report::{Gap, ImageInfo};

/// A text, which the specification has as an object.
#[derive(Serialize)]
pub(crate) struct SarifMessage {
    text: String,
}

impl SarifMessage {
    /// A text as it is. The specification (3.11.5, 3.11.6) reads placeholders in braces and links in brackets.
    pub(crate) fn new(text: &str) -> Self {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '{' | '}' => out.extend([c, c]),
                '[' | ']' | '\\' => out.extend(['\\', c]),
                c => out.push(c),
            }
        }
        SarifMessage { text: out }
    }
}

#[derive(Serialize)]
struct Log<'a, R> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: &'a [R],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a, U, R> {
    tool: Tool<U>,
    automation_details: AutomationDetails,
    invocations: [Invocation; 1],
    original_uri_base_ids: BaseIds,
    results: R,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Tool<U> {
    driver: Driver<U>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver<U> {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    rules: U,
}

#[derive(Serialize)]
struct AutomationDetails {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    end_time_utc: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: SarifMessage,
    descriptor: Descriptor,
}

#[derive(Serialize)]
struct Descriptor {
    id: String,
}

/// Where paths begin.
#[derive(Serialize)]
struct BaseIds {
    #[serde(rename = "IMAGE")]
    image: BaseId,
}

#[derive(Serialize)]
struct BaseId {
    description: SarifMessage,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties<'a> {
    image: &'a str,
    digest: &'a str,
    platform: String,
    policy: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    reasons: &'a [String],
    database: &'a str,
}

/// Writes a log with a run for each report.
pub(crate) fn write(all: &[JudgedReport<'_>], stamp: &Stamp, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<SarifRules<'_>> = all.iter().map(|judged| SarifRules::new(*judged)).collect();
    let results = all.iter().zip(&rules).map(|(judged, rules)| (*judged, rules, SarifResults::new(*judged, rules)));
    let results: Vec<_> = results.collect();
    let runs: Vec<_> = results.iter().map(|(judged, rules, results)| run(*judged, rules, results, stamp)).collect();
    json::write(&Log { schema: "https://json.schemastore.org/sarif-2.1.0.json", version: "2.1.0", runs: &runs }, out)
}

fn run<'a>(
    judged: JudgedReport<'a>,
    rules: &'a SarifRules<'a>,
    results: &'a SarifResults<'a>,
    stamp: &Stamp,
) -> Run<'a, impl Serialize + use<'a>, impl Serialize + use<'a>> {
    let image = &judged.report.inventory.image;
    let driver = Driver {
        name: TOOL,
        version: stamp.version,
        semantic_version: stamp.version,
        rules: Streamed(|| rules.in_order().map(SarifRule::new)),
    };
    Run {
        tool: Tool { driver },
        automation_details: AutomationDetails { id: category(image) },
        invocations: [Invocation {
            execution_successful: judged.is_complete(),
            end_time_utc: stamp.rfc3339(),
            tool_execution_notifications: judged.gaps().map(Notification::new).collect(),
        }],
        original_uri_base_ids: BaseIds {
            image: BaseId { description: SarifMessage::new(&format!("the root of the image {}", image.name)) },
        },
        results: Streamed(|| results.all()),
        properties: Properties {
            image: &image.name,
            digest: image.digest.as_str(),
            platform: image.platform.to_string(),
            policy: judged.verdict.outcome.to_string(),
            reasons: &judged.verdict.by_rules,
            database: &judged.report.database.id,
        },
    }
}

/// What the run is about, the same for every tag: GitHub replaces the results of the last run of the same category, which is
/// what stands before the last slash.
fn category(image: &ImageInfo) -> String {
    format!("{TOOL}/{}/{}/", without_tag(&image.name), image.platform)
}

impl Notification {
    fn new(gap: &Gap) -> Self {
        Notification {
            level: "error",
            message: SarifMessage::new(&format!("{}: {}", gap.subject, gap.message)),
            descriptor: Descriptor { id: format!("{:?}", gap.kind) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;

    #[test]
    fn tags_and_digests_are_not_in_the_category() {
        let digest = Digest::from_sha256([0; 32]);
        let check = |name: String, expected: &str| {
            let image = ImageInfo::new(&name, digest.clone(), digest.clone(), "linux/arm64/v8".parse().unwrap());
            assert_eq!(category(&image), expected, "{name}");
        };
        check("registry.example/team/app:v1".to_owned(), "tidewaiter/registry.example/team/app/linux/arm64/v8/");
        check(format!("localhost:5000/app@{digest}"), "tidewaiter/localhost:5000/app/linux/arm64/v8/");
        check("./layout".to_owned(), "tidewaiter/./layout/linux/arm64/v8/");
        check("app".to_owned(), "tidewaiter/app/linux/arm64/v8/");
        check("nginx:1.27".to_owned(), "tidewaiter/nginx/linux/arm64/v8/");
        check("docker:app:ci-123".to_owned(), "tidewaiter/docker:app/linux/arm64/v8/");
        check("oci:./layout".to_owned(), "tidewaiter/oci:./layout/linux/arm64/v8/");
        check("docker-archive:app.tar".to_owned(), "tidewaiter/docker-archive:app.tar/linux/arm64/v8/");
    }

    #[test]
    fn messages_are_read_as_they_are() {
        let check = |text: &str, expected: &str| assert_eq!(SarifMessage::new(text).text, expected);
        check("curl 1.0 is vulnerable", "curl 1.0 is vulnerable");
        check("{0} [x](https://x)", "{{0}} \\[x\\](https://x)");
        check("a\\b", "a\\\\b");
    }
}
