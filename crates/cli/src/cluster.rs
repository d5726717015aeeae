//! The cluster of the current context: connection, custom resources, questions to the server.

mod ask;

pub(crate) use ask::{NoAnswer, StoredReport};

use crate::args::ClusterArgs;
use crate::exit;
use crate::kubeconfig;
use anyhow::{Context as _, Result};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{ListParams, PostParams};
use kube::config::{KubeConfigOptions, KubeconfigError};
use kube::{Api, Client, Config};
use std::future::Future;
use std::time::Duration;
use tidewaiter_crd::names::GROUP;
use tidewaiter_crd::workload_scan::WorkloadScanSpec;
use tidewaiter_crd::{ImageScan, WorkloadKind, WorkloadScan, image_scan};
use tidewaiter_http::proxy::Proxies;
use tokio::runtime::Runtime;

/// Longest time for a connection: a cluster that is switched off must not delay a local scan for long.
const CONNECT: Duration = Duration::from_secs(5);

/// Why no cluster can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterUnavailable {
    /// No kubeconfig, or no context in it.
    #[error("no cluster is configured (no kubeconfig); set KUBECONFIG or use --kubeconfig")]
    NoCluster,
    /// The API server does not answer.
    #[error("the cluster cannot be used ({0}); check it with: kubectl cluster-info")]
    NoAnswer(String),
    /// The API server refuses the user.
    #[error("the cluster denies access ({0}); log in again, or choose another context: kubectl config get-contexts")]
    Refused(String),
    /// The cluster does not have the custom resources.
    #[error(
        "the cluster has no tidewaiter ({GROUP} is not served); install it with: kubectl apply -f deploy/crds.yaml, then kubectl apply -f deploy/"
    )]
    NotInstalled,
}

/// A connection.
pub(crate) struct Cluster {
    runtime: Runtime,
    pub(crate) client: Client,
    /// For questions to the server, without retries: if it is down, the user wants to know immediately.
    without_retries: Client,
    pub(crate) namespace: String,
}

/// Connects, and checks that the cluster serves tidewaiter's resources.
pub(crate) fn with_tidewaiter(args: &ClusterArgs) -> Result<Cluster, ClusterUnavailable> {
    let broken = |e: &(dyn std::error::Error + 'static)| ClusterUnavailable::NoAnswer(exit::text_of(e));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(&e))?;
    let config = runtime.block_on(config(args))?;
    let (client, without_retries, namespace) = runtime.block_on(async {
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let mut no_retries = config.clone();
        no_retries.default_retry = false;
        let without_retries = Client::try_from(no_retries).map_err(|e| broken(&e))?;
        let client = Client::try_from(config).map_err(|e| broken(&e))?;
        let version = format!("{GROUP}/v1alpha1");
        let found = client.list_api_group_resources(&version);
        // The connection, and as long again for the answer.
        match tokio::time::timeout(CONNECT * 2, found).await {
            Ok(Ok(_)) => Ok((client, without_retries, namespace)),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(ClusterUnavailable::NotInstalled),
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => {
                Err(ClusterUnavailable::Refused(status.message.clone()))
            }
            Ok(Err(e)) => Err(broken(&e)),
            Err(_) => Err(ClusterUnavailable::NoAnswer("it does not answer".to_owned())),
        }
    })?;
    Ok(Cluster { runtime, client, without_retries, namespace })
}

async fn config(args: &ClusterArgs) -> Result<Config, ClusterUnavailable> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let found = match &args.kubeconfig {
        Some(path) => kubeconfig::read_from(path).map_err(|e| unreadable(&path.display().to_string(), &e))?,
        None => match kubeconfig::read() {
            Ok(found) => found,
            // An unreadable kubeconfig is a mistake; no kubeconfig is not: perhaps this runs in a Pod.
            Err(error) if is_there() => return Err(unreadable("KUBECONFIG or ~/.kube/config", &error)),
            Err(_) => return Config::incluster().map_err(|_| ClusterUnavailable::NoCluster),
        },
    };
    // A file without a context names no cluster, and is no mistake.
    if found.contexts.is_empty() {
        return Err(ClusterUnavailable::NoCluster);
    }
    let config = Config::from_custom_kubeconfig(found, &options).await;
    let mut config = config.map_err(|e| ClusterUnavailable::NoAnswer(exit::text_of(&e)))?;
    config.connect_timeout = Some(CONNECT);
    let proxies = Proxies::from_env().map_err(|e| ClusterUnavailable::NoAnswer(e.to_string()))?;
    config.proxy_url = proxies.for_cluster(&config.cluster_url, config.proxy_url.take());
    Ok(config)
}

/// Keeps the first line: the others of a parser's message are a drawing of the position.
fn unreadable(which: &str, error: &KubeconfigError) -> ClusterUnavailable {
    let text = exit::text_of(error);
    ClusterUnavailable::NoAnswer(format!("{which}: {}", text.lines().next().unwrap_or_default()))
}

/// Whether there is a kubeconfig: in `$KUBECONFIG`, or in the default place.
fn is_there() -> bool {
    let named = std::env::var_os("KUBECONFIG").is_some_and(|named| !named.is_empty());
    named || std::env::home_dir().is_some_and(|home| home.join(".kube/config").exists())
}

impl Cluster {
    /// The user's name, as the API server sees it.
    pub(crate) async fn user_name(&self) -> Result<String> {
        let review: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let me = review.create(&PostParams::default(), &SelfSubjectReview::default()).await;
        let me = me.context("asking the API server for your user name")?;
        Ok(me.status.and_then(|s| s.user_info?.username).unwrap_or_default())
    }

    /// Runs a request.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// The ImageScans of the namespace.
    pub(crate) fn scans(&self) -> Api<ImageScan> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The ImageScan of an image, if there is one.
    pub(crate) async fn scan(&self, image: &str) -> Result<Option<ImageScan>> {
        let name = image_scan::name(image);
        self.scans().get_opt(&name).await.with_context(|| format!("reading the ImageScan of {image}"))
    }

    /// WorkloadScans of the namespace, or of all.
    pub(crate) async fn workloads(&self, everywhere: bool) -> Result<Vec<WorkloadScan>> {
        let api: Api<WorkloadScan> = match everywhere {
            true => Api::all(self.client.clone()),
            false => Api::namespaced(self.client.clone(), &self.namespace),
        };
        Ok(api.list(&ListParams::default()).await.context("listing WorkloadScans")?.items)
    }

    /// The WorkloadScan of a Deployment.
    pub(crate) async fn deployment_record(&self, name: &str, uid: &str) -> Result<Option<WorkloadScan>> {
        let api: Api<WorkloadScan> = Api::namespaced(self.client.clone(), &self.namespace);
        let (api_version, kind) = ("apps/v1".to_owned(), WorkloadKind::Deployment);
        let spec = WorkloadScanSpec { api_version, kind, name: name.to_owned(), uid: uid.to_owned() };
        let found = api.get_opt(&spec.record_name()).await.context("reading the WorkloadScan")?;
        Ok(found.filter(|record| record.spec == spec))
    }
}
