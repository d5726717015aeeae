//! Completion of a command line that is being typed: commands, options and their values, and the names of workloads, images,
//! namespaces and contexts that a cluster has.
//!
//! ```text
//! a shell's function      KUBECTL_SCAN_COMPLETE=bash kubectl-scan -- WORDS → candidates, as the shell reads them
//! kubectl's completion    kubectl_complete-scan WORDS → candidates, a line each, and what else the shell may do
//! ```
//!
//! The second is kubectl's protocol for plugins: a program of that name on PATH, here a link to this one.

use crate::args::{Cli, ClusterArgs};
use crate::cluster::{self, Cluster};
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};
use clap_complete::env::{CompleteEnv, Shells};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;
use tidewaiter_crd::WorkloadScan;

/// The variable by which a shell's function asks.
const VARIABLE: &str = "KUBECTL_SCAN_COMPLETE";
/// The program, as shells find it.
const PROGRAM: &str = "kubectl-scan";
/// As kubectl calls it for a plugin `scan`.
const FOR_KUBECTL: &str = "kubectl_complete-scan";
/// Longest wait for names: somebody has pressed a key.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers a shell or kubectl, if one of them asks; true if so.
///
/// # Errors
/// When the shell is not known, or the answer cannot be written.
pub(crate) fn answered() -> Result<bool> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let (program, rest) = words.split_first().context("no name of the program")?;
    if Path::new(program).file_name() == Some(OsStr::new(FOR_KUBECTL)) {
        io::stdout().write_all(for_kubectl(rest).as_bytes())?;
        return Ok(true);
    }
    let folder = std::env::current_dir().ok();
    let command = || with_names(rest);
    Ok(CompleteEnv::with_factory(command).var(VARIABLE).try_complete(words.iter().cloned(), folder.as_deref())?)
}

/// The script by which a shell asks.
///
/// # Errors
/// When the shell is not known.
pub(crate) fn script(shell: &str) -> Result<Vec<u8>> {
    let completer = Shells::builtins();
    let completer = completer.completer(shell).with_context(|| format!("no completion for {shell}"))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(script)
}

/// A line for each candidate, with what it is after a tab; then what the shell may add: nothing of its own (4), or names of files (0).
fn for_kubectl(typed: &[OsString]) -> String {
    let words = [OsString::from(PROGRAM)].into_iter().chain(typed.iter().cloned()).collect();
    let found = complete(&mut with_names(typed), words, typed.len(), None).unwrap_or_default();
    let lines: String = found.iter().map(line).collect();
    format!("{lines}:{}\n", if found.is_empty() { 0 } else { 4 })
}

fn line(candidate: &CompletionCandidate) -> String {
    let value = candidate.get_value().to_string_lossy();
    match candidate.get_help().map(ToString::to_string) {
        Some(help) => format!("{value}\t{}\n", help.lines().next().unwrap_or_default()),
        None => format!("{value}\n"),
    }
}

/// What a cluster has names of.
#[derive(Debug, Clone, Copy)]
enum NamesOf {
    Workloads,
    Deployments,
    Images,
    WorkloadsAndImages,
    Namespaces,
}

/// Arguments that are such names.
const NAMED: [(&str, &str, NamesOf); 8] = [
    ("deployment", "name", NamesOf::Deployments),
    ("status", "workload", NamesOf::Workloads),
    ("wait", "workload", NamesOf::Workloads),
    ("approve", "workload", NamesOf::Workloads),
    ("revoke", "workload", NamesOf::Workloads),
    ("rollback", "workload", NamesOf::Workloads),
    ("image", "images", NamesOf::Images),
    ("report", "subject", NamesOf::WorkloadsAndImages),
];

/// The command line, whose arguments know the names in the cluster that was typed.
fn with_names(typed: &[OsString]) -> Command {
    let cluster = cluster_of(typed);
    let mut cli = Cli::command();
    for (command, argument, names) in NAMED {
        let namespace = candidates(&cluster, NamesOf::Namespaces);
        let values = candidates(&cluster, names);
        cli = cli.mut_subcommand(command, |command| {
            command.mut_arg(argument, |arg| arg.add(values)).mut_arg("namespace", |arg| arg.add(namespace))
        });
    }
    cli
}

fn candidates(cluster: &ClusterArgs, names: NamesOf) -> ArgValueCandidates {
    let cluster = cluster.clone();
    ArgValueCandidates::new(move || found(&cluster, names))
}

/// The names; none where the cluster does not answer: who types must not be told of errors.
fn found(cluster: &ClusterArgs, names: NamesOf) -> Vec<CompletionCandidate> {
    let Ok(cluster) = cluster::with_tidewaiter(cluster) else { return Vec::new() };
    let all = cluster.run(async { tokio::time::timeout(PATIENCE, ask(&cluster, names)).await });
    all.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}

async fn ask(cluster: &Cluster, names: NamesOf) -> Result<Vec<String>> {
    Ok(match names {
        NamesOf::Workloads => workloads(cluster).await?,
        NamesOf::Deployments => deployments(&cluster.workloads(false).await?),
        NamesOf::Images => images(cluster).await?,
        NamesOf::WorkloadsAndImages => [workloads(cluster).await?, images(cluster).await?].concat(),
        NamesOf::Namespaces => {
            let all: Api<Namespace> = Api::all(cluster.client.clone());
            all.list_metadata(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect()
        }
    })
}

async fn workloads(cluster: &Cluster) -> Result<Vec<String>> {
    Ok(sorted(cluster.workloads(false).await?.iter().map(workload).collect()))
}

fn workload(record: &WorkloadScan) -> String {
    format!("{}/{}", record.spec.kind.lowercase(), record.spec.name)
}

fn deployments(all: &[WorkloadScan]) -> Vec<String> {
    let names = all.iter().map(workload);
    sorted(names.filter_map(|name| name.strip_prefix("deployment/").map(str::to_owned)).collect())
}

async fn images(cluster: &Cluster) -> Result<Vec<String>> {
    let all = cluster.scans().list(&ListParams::default()).await?;
    Ok(sorted(all.items.into_iter().map(|scan| scan.spec.image).collect()))
}

/// A workload that was created again has two records.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// The cluster and the namespace that were typed, wherever they stand.
fn cluster_of(typed: &[OsString]) -> ClusterArgs {
    let words: Vec<&str> = typed.iter().filter_map(|word| word.to_str()).collect();
    let value = |long: &str, short: Option<&str>| {
        words.iter().enumerate().find_map(|(place, word)| {
            if *word == long || Some(*word) == short {
                return words.get(place + 1).map(|next| (*next).to_owned());
            }
            let attached = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
            attached.or_else(|| short.and_then(|short| word.strip_prefix(short))).map(str::to_owned)
        })
    };
    ClusterArgs {
        namespace: value("--namespace", Some("-n")),
        context: value("--context", None),
        kubeconfig: value("--kubeconfig", None).map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_cluster_that_was_typed() {
        let check = |line: &str, expected: [Option<&str>; 3]| {
            let ClusterArgs { namespace, context, kubeconfig } = cluster_of(&words(line));
            let kubeconfig = kubeconfig.map(|path| path.display().to_string());
            assert_eq!([namespace, context, kubeconfig], expected.map(|text| text.map(str::to_owned)), "{line}");
        };
        check("status", [None, None, None]);
        check("status -n a", [Some("a"), None, None]);
        check("-na status", [Some("a"), None, None]);
        check("status --namespace=a --context b", [Some("a"), Some("b"), None]);
        check("status --kubeconfig=/k --namespace", [None, None, Some("/k")]);
        check("status --context=b=c x", [None, Some("b=c"), None]);
    }

    #[test]
    fn what_kubectl_is_told() {
        let check = |line: &str, expected: &str| {
            // No cluster can be asked.
            let typed = words(&format!("--kubeconfig=/no/such/file {line}"));
            assert_eq!(for_kubectl(&typed), expected, "{line}");
        };
        check("vers", "version\tShow the versions of this program, its formats and its database\n:4\n");
        check("status --all", "--all-namespaces\tShow the workloads of all namespaces\n:4\n");
        check("sbom a -o spdx-", "spdx-3\tSPDX 3.0.1, JSON-LD\n:4\n");
        check("status deploy", ":0\n");
    }

    #[test]
    fn every_named_argument_exists() {
        let mut command = with_names(&[]);
        command.build();
        for (name, argument, _) in NAMED {
            let subcommand = command.find_subcommand(name);
            let has = |id: &str| subcommand.is_some_and(|c| c.get_arguments().any(|a| a.get_id() == id));
            assert!(has(argument) && has("namespace"), "{name} {argument}");
        }
    }
}
