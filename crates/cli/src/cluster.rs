//! The cluster of the current context: connection, custom resources, the server's API.

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use tidewaiter_core::report::Report;
use tidewaiter_crd::names::{GROUP, NAMESPACE};
use tidewaiter_crd::workload_scan;
use tidewaiter_crd::{ImageScan, WorkloadScan, image_scan};
use tokio::runtime::Runtime;

/// A cluster that does not answer at all is found out about this soon.
const CONNECT: Duration = Duration::from_secs(5);

/// Which cluster, which namespace, which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClusterArgs {
    /// Namespace; default: the context's
    #[arg(short, long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig; default: the current one
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The kubeconfig; default: $KUBECONFIG, else ~/.kube/config
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Address of tidewaiter's API; default: through the API server's service proxy
    #[arg(long, env = "TIDEWAITER_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
}

/// Why there is no cluster to scan in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unavailable {
    /// No kubeconfig, or no context in it.
    #[error("no cluster is configured (no kubeconfig); set KUBECONFIG or use --kubeconfig")]
    NoCluster,
    /// It does not answer.
    #[error("the cluster cannot be used ({0}); check the context and the network")]
    NoAnswer(String),
    /// It answers, without tidewaiter.
    #[error(
        "the cluster has no tidewaiter ({GROUP} is not served); install it with: kubectl apply -f deploy/crds.yaml, then kubectl apply -f deploy/"
    )]
    NotInstalled,
}

/// A connection.
pub(crate) struct Cluster {
    runtime: Runtime,
    pub(crate) client: Client,
    pub(crate) namespace: String,
    server: Option<String>,
}

/// Connects, and makes sure that tidewaiter's resources are served.
pub(crate) fn with_tidewaiter(args: &ClusterArgs) -> Result<Cluster, Unavailable> {
    let broken = |e: &dyn std::fmt::Display| Unavailable::NoAnswer(e.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(&e))?;
    let config = runtime.block_on(config(args))?;
    let (client, namespace) = runtime.block_on(async {
        let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(|e| broken(&e))?;
        let version = format!("{GROUP}/v1alpha1");
        let found = client.list_api_group_resources(&version);
        match tokio::time::timeout(CONNECT * 2, found).await {
            Ok(Ok(_)) => Ok((client, namespace)),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(Unavailable::NotInstalled),
            Ok(Err(e)) => Err(broken(&e)),
            Err(_) => Err(Unavailable::NoAnswer("it does not answer".to_owned())),
        }
    })?;
    Ok(Cluster { runtime, client, namespace, server: args.server.clone() })
}

async fn config(args: &ClusterArgs) -> Result<Config, Unavailable> {
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let found = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).map_err(|e| Unavailable::NoAnswer(e.to_string()))?,
        None => match Kubeconfig::read() {
            Ok(found) => found,
            Err(_) => return Config::incluster().map_err(|_| Unavailable::NoCluster),
        },
    };
    if found.contexts.is_empty() {
        return Err(Unavailable::NoCluster);
    }
    let config = Config::from_custom_kubeconfig(found, &options).await;
    let mut config = config.map_err(|e| Unavailable::NoAnswer(e.to_string()))?;
    config.connect_timeout = Some(CONNECT);
    Ok(config)
}

impl Cluster {
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

    /// The WorkloadScan of an object.
    pub(crate) async fn workload(&self, kind: &str, name: &str, uid: &str) -> Result<Option<WorkloadScan>> {
        let api: Api<WorkloadScan> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(&workload_scan::name(kind, name, uid)).await.context("reading the WorkloadScan")?;
        Ok(found.filter(|w| w.spec.uid == uid))
    }

    /// A full report, by its key.
    pub(crate) async fn report(&self, key: &str) -> Result<Report> {
        let path = format!("/api/v1/reports/{key}");
        let text = match self.server.clone() {
            Some(server) => {
                tokio::task::spawn_blocking(move || fetch(&format!("{}{path}", server.trim_end_matches('/')))).await??
            }
            None => {
                let url = format!("/api/v1/namespaces/{NAMESPACE}/services/http:tidewaiter:8080/proxy{path}");
                let request = http::Request::get(&url).body(Vec::new())?;
                let text = self.client.request_text(request).await;
                text.context("the server's API, through the API server's service proxy (or give --server URL)")?
            }
        };
        serde_json::from_str(&text).context("the server's report is not one this version reads; use the same version")
    }
}

fn fetch(url: &str) -> Result<String> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().new_agent();
    let mut answer = agent.get(url).call().map_err(|e| anyhow!("{url}: {e}"))?;
    answer.body_mut().with_config().limit(256 << 20).read_to_string().map_err(|e| anyhow!("{url}: {e}"))
}
