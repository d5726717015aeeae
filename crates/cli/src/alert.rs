//! `kubectl scan alert`: the receivers of alerts, and test messages to them.

use crate::args::{AlertArgs, AlertCommand, AlertTestArgs, OutputFormat};
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::render;
use crate::terminal::printable;
use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};
use tidewaiter_crd::ClusterScanPolicy;
use tidewaiter_crd::alert::{AlertService, ReceiverStatus};
use tidewaiter_crd::names::{ALERT_TEST, NAMESPACE};

/// Longest wait for the server: it tries all receivers of a policy at once, each for a quarter of a minute.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(500);

/// Runs one of its commands.
pub(crate) fn run(args: &AlertArgs) -> Result<Exit> {
    match &args.command {
        AlertCommand::List { output, cluster } => {
            let cluster = cluster::with_tidewaiter(cluster)?;
            cluster.run(list(&cluster, *output))
        }
        AlertCommand::Test(args) => {
            let cluster = cluster::with_tidewaiter(&args.cluster)?;
            cluster.run(test(&cluster, args))
        }
    }
}

/// A receiver, and what its policy's status says of it.
#[derive(Debug)]
struct ShownReceiver {
    policy: String,
    name: String,
    service: AlertService,
    status: ReceiverStatus,
}

async fn policies(cluster: &Cluster) -> Result<Vec<ClusterScanPolicy>> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let mut all = api.list(&ListParams::default()).await.context("listing ClusterScanPolicies")?.items;
    all.sort_by_key(ClusterScanPolicy::name_any);
    Ok(all)
}

fn receivers(policy: &ClusterScanPolicy) -> Vec<ShownReceiver> {
    let shown = policy.status.iter().flat_map(|status| &status.alerts);
    let shown: Vec<&ReceiverStatus> = shown.collect();
    let one = |(place, receiver): (usize, &tidewaiter_crd::alert::AlertReceiver)| {
        let name = receiver.name(place);
        let status = shown.iter().find(|status| status.name == name).copied().cloned().unwrap_or_default();
        ShownReceiver { policy: policy.name_any(), name, service: receiver.service, status }
    };
    policy.spec.alerts.iter().enumerate().map(one).collect()
}

async fn list(cluster: &Cluster, output: OutputFormat) -> Result<Exit> {
    let all: Vec<ShownReceiver> = policies(cluster).await?.iter().flat_map(receivers).collect();
    match output {
        OutputFormat::Json => render::json(&all.iter().map(as_json).collect::<Vec<_>>())?,
        OutputFormat::Table => write!(io::stdout(), "{}", table(&all))?,
    }
    Ok(Exit::Clean)
}

fn as_json(one: &ShownReceiver) -> Value {
    json!({"policy": one.policy, "receiver": one.name, "type": one.service, "status": one.status})
}

fn table(all: &[ShownReceiver]) -> String {
    if all.is_empty() {
        return "no ClusterScanPolicy has receivers of alerts (docs/alerts.md)\n".to_owned();
    }
    let head = ["POLICY", "RECEIVER", "TYPE", "LAST DELIVERED", "WAITING", "UNDELIVERED", "LAST FAILURE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(all.iter().map(row));
    render::columns(&rows)
}

fn row(one: &ShownReceiver) -> [String; 7] {
    let status = &one.status;
    let delivered = status.last_delivered.as_ref().map_or_else(|| "-".to_owned(), |time| printable(time.to_string()));
    [
        printable(&one.policy),
        printable(&one.name),
        format!("{:?}", one.service),
        delivered,
        status.waiting.to_string(),
        status.undelivered.to_string(),
        status.last_failure.as_ref().map_or_else(|| "-".to_owned(), |failure| printable(&failure.cause)),
    ]
}

/// Asks the server by an annotation, and waits until the status of every receiver names the request.
async fn test(cluster: &Cluster, args: &AlertTestArgs) -> Result<Exit> {
    let is_meant = |one: &ShownReceiver| args.receiver.as_ref().is_none_or(|name| *name == one.name);
    let mut meant: Vec<String> = Vec::new();
    for policy in policies(cluster).await? {
        let name = policy.name_any();
        let is_named = args.policy.as_ref().is_none_or(|policy| *policy == name);
        if is_named && receivers(&policy).iter().any(is_meant) {
            meant.push(name);
        }
    }
    if meant.is_empty() {
        let why = "no such receiver of alerts; kubectl scan alert list shows all, docs/alerts.md how to add one";
        return Err(UsageError(why.to_owned()).into());
    }
    let nonce = format!("t{:x}", Timestamp::now().as_nanosecond());
    let mut exit = Exit::Clean;
    for policy in &meant {
        ask(cluster, policy, Some(&request(&nonce, args.receiver.as_deref()))).await?;
        let tried = answers(cluster, policy, &nonce, is_meant).await;
        // What stays would be no harm; but nobody asked for it in the policy.
        let _ = ask(cluster, policy, None).await;
        for one in tried? {
            let (line, of_one) = outcome(&one, &nonce);
            writeln!(io::stdout(), "{line}")?;
            exit = exit.worse(of_one);
        }
    }
    Ok(exit)
}

fn request(nonce: &str, receiver: Option<&str>) -> String {
    receiver.map_or_else(|| nonce.to_owned(), |receiver| format!("{nonce} {receiver}"))
}

async fn ask(cluster: &Cluster, policy: &str, request: Option<&str>) -> Result<()> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let change = json!({"metadata": {"annotations": {ALERT_TEST: request}}});
    match api.patch(policy, &PatchParams::default(), &Patch::Merge(change)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 403 => Err(anyhow!(
            "you may not patch clusterscanpolicies.tidewaiter.dev ({}); ask an administrator of the cluster",
            status.message
        )),
        Err(error) => Err(error).with_context(|| format!("asking for a test of the ClusterScanPolicy {policy}")),
    }
}

/// The receivers, once all of them were tried, or as they are when the time is over.
async fn answers(
    cluster: &Cluster,
    policy: &str,
    nonce: &str,
    is_meant: impl Fn(&ShownReceiver) -> bool,
) -> Result<Vec<ShownReceiver>> {
    let api: Api<ClusterScanPolicy> = Api::all(cluster.client.clone());
    let began = Instant::now();
    loop {
        let found = api.get(policy).await.with_context(|| format!("reading the ClusterScanPolicy {policy}"))?;
        let all: Vec<ShownReceiver> = receivers(&found).into_iter().filter(&is_meant).collect();
        if all.iter().all(|one| is_tried(one, nonce)) || began.elapsed() > LIMIT {
            return Ok(all);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_tried(one: &ShownReceiver, nonce: &str) -> bool {
    one.status.test.as_ref().is_some_and(|test| test.nonce == nonce)
}

fn outcome(one: &ShownReceiver, nonce: &str) -> (String, Exit) {
    let name = format!("{}/{} ({:?})", printable(&one.policy), printable(&one.name), one.service);
    match one.status.test.as_ref().filter(|test| test.nonce == nonce).map(|test| &test.failure) {
        Some(None) => (format!("{name}: delivered"), Exit::Clean),
        Some(Some(cause)) => (format!("{name}: not delivered: {}", printable(cause)), Exit::Failed),
        None => {
            let pods = format!("kubectl -n {NAMESPACE} get pods");
            (format!("{name}: the server has not tried it within {LIMIT:?}; is it running? {pods}"), Exit::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(status: Value) -> ClusterScanPolicy {
        let key = json!({"secret": "s", "key": "k"});
        serde_json::from_value(json!({"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "ClusterScanPolicy",
            "metadata": {"name": "default"},
            "spec": {"alerts": [{"url": "https://a.example"}, {"name": "chat", "type": "Slack", "urlFrom": key}]},
            "status": {"alerts": status}}))
        .unwrap()
    }

    #[test]
    fn the_table_of_receivers() {
        assert!(table(&[]).contains("docs/alerts.md"));
        let failure = json!({"time": "2026-11-30T12:00:00Z", "cause": "it responds with status 404\u{1b}[2J"});
        let shown = receivers(&policy(json!([
            {"name": "chat", "lastDelivered": "2026-11-30T11:00:00Z", "lastFailure": failure, "undelivered": 2, "waiting": 1}])));
        let text = table(&shown);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["default", "alerts[0]", "CloudEvents", "-", "0", "0", "-"]);
        assert_eq!(lines[2][..6], ["default", "chat", "Slack", "2026-11-30T11:00:00Z", "1", "2"]);
        assert!(!text.contains('\u{1b}'), "{text}");
        assert_eq!(as_json(&shown[1])["status"]["undelivered"], 2);
    }

    #[test]
    fn outcomes_of_a_test() {
        let check = |test: Value, expected: &str, exit: Exit| {
            let shown = receivers(&policy(json!([{"name": "chat", "test": test}]))).remove(1);
            let (line, found) = outcome(&shown, "n2");
            assert!(line.starts_with("default/chat (Slack): ") && line.contains(expected), "{line}");
            assert_eq!(found, exit, "{line}");
        };
        let time = "2026-11-30T12:00:00Z";
        check(json!({"nonce": "n2", "time": time}), ": delivered", Exit::Clean);
        check(json!({"nonce": "n2", "time": time, "failure": "no"}), "not delivered: no", Exit::Failed);
        check(json!({"nonce": "n1", "time": time}), "has not tried it", Exit::Failed);
        check(Value::Null, "has not tried it", Exit::Failed);
        assert_eq!((request("n", None), request("n", Some("chat"))), ("n".to_owned(), "n chat".to_owned()));
    }
}
