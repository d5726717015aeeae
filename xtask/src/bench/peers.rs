//! Other scanners, where they are installed: run on the same image, without the network, with what they have.

use super::inputs::Inputs;
use super::rows::{Case, Setting};
use std::ffi::OsString;
use std::path::PathBuf;

const NAMES: [&str; 4] = ["trivy", "grype", "syft", "osv-scanner"];

/// Runs of those that are found and work; what is to be said of the others.
pub(crate) fn find(setting: &Setting<'_>) -> (Vec<Case>, Vec<String>) {
    let (mut cases, mut remarks) = (Vec::new(), Vec::new());
    for name in NAMES {
        let Some(program) = on_path(name) else { continue };
        let (args, env) = invocation(name, setting.inputs);
        let case = setting.peer(&format!("{name}, Debian docker archive"), &program, args, env);
        match case.run() {
            // 1 is what some give when something is found.
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

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn invocation(name: &str, inputs: &Inputs) -> (Vec<OsString>, Vec<(&'static str, &'static str)>) {
    let archive = inputs.archive();
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
