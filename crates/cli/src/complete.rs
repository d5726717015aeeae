//! Completion of a command line that is being typed: commands, options and their values, and the names of workloads, images and
//! namespaces that a cluster has.
//!
//! ```text
//! a shell's function      KUBECTL_SCAN_COMPLETE=bash kubectl-scan -- WORDS → candidates, as the shell reads them
//! kubectl's completion    kubectl_complete-scan WORDS
//!                       → KUBECTL_SCAN_COMPLETE=kubectl kubectl-scan -- WORDS → candidates, a line each, and what else the shell may do
//! ```
//!
//! The second is kubectl's protocol for plugins: it runs a program of that name on PATH, which releases have as a script.
//!
//! Names are written by others, and shells take what they are given apart: some run a substitution in a candidate. So one with
//! anything that a shell may read as more than a letter is left out.

use crate::args::{Cli, ClusterArgs};
use crate::cluster::{self, Cluster};
use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate, complete};
use clap_complete::env::{CompleteEnv, Shells};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use std::env;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tidewaiter_crd::WorkloadScan;

/// The variable by which a shell's function asks.
const VARIABLE: &str = "KUBECTL_SCAN_COMPLETE";
/// Its value for kubectl's protocol.
const FOR_KUBECTL: &str = "kubectl";
/// The program, as shells find it.
const PROGRAM: &str = "kubectl-scan";
/// Longest wait for names, from the connection on: somebody has pressed a key.
const PATIENCE: Duration = Duration::from_secs(3);

/// Answers a shell or kubectl, if one of them asks; true if so.
///
/// # Errors
/// When the shell is not known, or the answer cannot be written.
pub(crate) fn answered() -> Result<bool> {
    let Some(shell) = env::var_os(VARIABLE) else { return Ok(false) };
    let words: Vec<OsString> = env::args_os().collect();
    let typed = words.iter().position(|word| word == "--").map_or(&[][..], |place| &words[place + 1..]);
    let folder = env::current_dir().ok();
    if shell == FOR_KUBECTL {
        io::stdout().write_all(for_kubectl(typed, folder.as_deref()).as_bytes())?;
        return Ok(true);
    }
    let command = || with_names(typed);
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

/// A line for each candidate, with what it is after a tab; then what the shell may do besides (cobra's `ShellCompDirective`): add names of
/// files (0), add no space (2), nothing of its own (4).
fn for_kubectl(typed: &[OsString], folder: Option<&Path>) -> String {
    let words = [OsString::from(PROGRAM)].into_iter().chain(typed.iter().cloned()).collect();
    let mut found = complete(&mut with_names(typed), words, typed.len(), folder).unwrap_or_default();
    // Options are always offered; kubectl's completion does so after a dash alone.
    let is_option = |word: &[u8]| word.starts_with(b"-");
    let wants_options = typed.last().is_some_and(|word| is_option(word.as_encoded_bytes()));
    found.retain(|candidate| wants_options || !is_option(candidate.get_value().as_encoded_bytes()));
    let is_folder = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().ends_with(b"/");
    let directive = match found.as_slice() {
        [] => 0,
        some if some.iter().any(is_folder) => 2,
        _ => 4,
    };
    let lines: String = found.iter().map(line).collect();
    format!("{lines}:{directive}\n")
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
const NAMED: [(&str, &str, NamesOf); 15] = [
    ("deployment", "name", NamesOf::Deployments),
    ("status", "workload", NamesOf::Workloads),
    ("wait", "workload", NamesOf::Workloads),
    ("approve", "workload", NamesOf::Workloads),
    ("revoke", "workload", NamesOf::Workloads),
    ("rollback", "workload", NamesOf::Workloads),
    ("image", "images", NamesOf::Images),
    ("sbom", "image", NamesOf::Images),
    ("fix", "image", NamesOf::Images),
    ("explain", "image", NamesOf::Images),
    ("diff", "old", NamesOf::Images),
    ("diff", "new", NamesOf::Images),
    ("attest", "image", NamesOf::Images),
    ("verify", "image", NamesOf::Images),
    ("report", "subject", NamesOf::WorkloadsAndImages),
];

/// The command line, whose arguments know the names in the cluster that was typed.
fn with_names(typed: &[OsString]) -> Command {
    let mut cli = Cli::command();
    if typed.last().is_some_and(is_path) {
        return cli;
    }
    let cluster = cluster_of(typed);
    for (command, argument, names) in NAMED {
        let values = candidates(&cluster, names);
        cli = cli.mut_subcommand(command, |command| command.mut_arg(argument, |arg| arg.add(values)));
    }
    let of_cluster: Vec<String> = cli.get_subcommands().filter(|command| has_namespace(command)).map(name).collect();
    for command in of_cluster {
        let namespaces = candidates(&cluster, NamesOf::Namespaces);
        cli = cli.mut_subcommand(command, |command| command.mut_arg("namespace", |arg| arg.add(namespaces)));
    }
    cli
}

/// Whether a word is the beginning of a file's name, of which no cluster knows.
fn is_path(word: &OsString) -> bool {
    word.as_encoded_bytes().first().is_some_and(|first| b"./~".contains(first))
}

fn has_namespace(command: &Command) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == "namespace")
}

fn name(command: &Command) -> String {
    command.get_name().to_owned()
}

fn candidates(cluster: &ClusterArgs, names: NamesOf) -> ArgValueCandidates {
    let cluster = cluster.clone();
    ArgValueCandidates::new(move || found(&cluster, names))
}

/// The names; none where the cluster does not answer: who types must not be told of errors.
fn found(cluster: &ClusterArgs, names: NamesOf) -> Vec<CompletionCandidate> {
    let (sender, receiver) = mpsc::channel();
    let cluster = cluster.clone();
    // On a thread of its own: a program that logs in to the cluster takes the time it takes.
    thread::spawn(move || sender.send(in_cluster(&cluster, names)));
    let all = receiver.recv_timeout(PATIENCE).unwrap_or_default();
    all.into_iter().filter(|name| is_plain(name)).map(CompletionCandidate::new).collect()
}

fn in_cluster(cluster: &ClusterArgs, names: NamesOf) -> Vec<String> {
    let Ok(cluster) = cluster::with_tidewaiter(cluster) else { return Vec::new() };
    cluster.run(ask(&cluster, names)).unwrap_or_default()
}

/// Whether no shell reads more than letters in it: all that names of images and workloads consist of.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b))
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
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

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
            assert_eq!(for_kubectl(&typed, None), expected, "{line}");
        };
        check("vers", "version\tShow the versions of this program, its formats and its database\n:4\n");
        check("status --all", "--all-namespaces\tShow the workloads of all namespaces\n:4\n");
        check("sbom a -o spdx-", "spdx-3\tSPDX 3.0.1, JSON-LD\n:4\n");
        check("status deploy", ":0\n");
        check("convert ", ":0\n");
    }

    #[test]
    fn names_of_files_are_the_shells() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("feeds")).unwrap();
        let said = for_kubectl(&words("image --db ./fe"), Some(folder.path()));
        assert_eq!(said, "./feeds/\n:2\n");
    }

    #[test]
    fn what_a_shell_may_run_is_no_candidate() {
        let check = |name: &str, expected: bool| assert_eq!(is_plain(name), expected, "{name:?}");
        check("localhost:5000/team/app_1:v1.2-rc+1@sha256:0af", true);
        check("deployment/my-app", true);
        for name in ["nginx$(touch${IFS}x)", "a`id`", "a b", "a\nb", "a;b", "a'b", "-x", "a\u{1b}[2J", "a\tb", "*"] {
            check(name, false);
        }
    }

    #[test]
    fn every_named_argument_exists() {
        let command = Cli::command();
        for (name, argument, _) in NAMED {
            let subcommand = command.find_subcommand(name);
            assert!(subcommand.is_some_and(|c| c.get_arguments().any(|a| a.get_id() == argument)), "{name} {argument}");
        }
        with_names(&[]).debug_assert();
    }
}
