//! Other scanners, if they are on PATH: run on the same image, without the network, with the databases they have.

use super::cases::{BenchCase, BenchSetting};
use super::images::BenchImages;
use std::ffi::OsString;
use tidewaiter_testkit::cluster::which;

const NAMES: [&str; 4] = ["trivy", "grype", "syft", "osv-scanner"];

/// The cases of those that run, and remarks about the others.
pub(crate) fn find(setting: &BenchSetting<'_>) -> (Vec<BenchCase>, Vec<String>) {
    let (mut cases, mut remarks) = (Vec::new(), Vec::new());
    for name in NAMES {
        let Some(program) = which(name) else { continue };
        let (args, env) = invocation(name, setting.images);
        let case = setting.peer(&format!("{name}, Debian docker archive"), &program, args, env);
        match case.run() {
            // Some exit with 1 when they find something.
            Ok(sample) if matches!(sample.code, 0 | 1) => cases.push(case),
            Ok(sample) => remarks.push(format!("{name} gives exit code {} (a database is missing?)", sample.code)),
            Err(error) => remarks.push(format!("{name}: {error:#}")),
        }
    }
    if cases.is_empty() && remarks.is_empty() {
        remarks.push(format!("no other scanner on PATH ({})", NAMES.join(", ")));
    }
    (cases, remarks)
}

fn invocation(name: &str, images: &BenchImages) -> (Vec<OsString>, Vec<(&'static str, &'static str)>) {
    let archive = images.archive();
    let named = OsString::from(format!("docker-archive:{}", archive.display()));
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    match name {
        "trivy" => {
            let mut args = words(&["image", "--quiet", "--format", "json", "--scanners", "vuln", "--offline-scan"]);
            args.extend(words(&["--skip-db-update", "--skip-java-db-update", "--cache-backend", "memory", "--input"]));
            args.push(archive.into());
            (args, vec![("TRIVY_DISABLE_TELEMETRY", "true")])
        }
        "grype" => (
            [vec![named], words(&["-q", "-o", "json"])].concat(),
            vec![("GRYPE_DB_AUTO_UPDATE", "false"), ("GRYPE_CHECK_FOR_APP_UPDATE", "false")],
        ),
        "syft" => ([vec![named], words(&["-q", "-o", "json"])].concat(), vec![("SYFT_CHECK_FOR_APP_UPDATE", "false")]),
        _ => (
            [words(&["scan", "image", "--offline", "--format", "json", "--archive"]), vec![archive.into()]].concat(),
            vec![("OSV_SCANNER_OFFLINE", "true")],
        ),
    }
}
