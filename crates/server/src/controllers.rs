//! Runs the controllers: each takes keys from its queue and looks at what the index says now.

use crate::context::Context;
use crate::queues::Queue;
use crate::workload::Error;
use crate::{allowlist, pods, scans, workload};
use futures::stream::{self, StreamExt as _};
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Somebody wrote at the same time: look again at once.
const AFTER_CONFLICT: Duration = Duration::from_millis(50);
/// The API server refused or failed.
const AFTER_ERROR: Duration = Duration::from_secs(2);
/// Objects of one kind looked at at once.
const CONCURRENCY: u16 = 16;

/// ImageScans are looked at without bound: most looks only compare, and scans are bounded by their slots, so that an
/// urgent one never stands behind others that wait.
const UNBOUNDED: u16 = 0;

/// Starts all of them.
pub(crate) fn start(ctx: &Arc<Context>) {
    let (index, queues) = (&ctx.index, &ctx.queues);
    run(ctx, &index.deployments, &queues.deployments, CONCURRENCY, |d, c| {
        Box::pin(workload::deployment::reconcile(d, c))
    });
    run(ctx, &index.workloads, &queues.workloads, CONCURRENCY, |w, c| Box::pin(workload::others::reconcile(w, c)));
    run(ctx, &index.gated, &queues.pods, CONCURRENCY, |p, c| Box::pin(pods::reconcile(p, c)));
    run(ctx, &index.namespaces, &queues.namespaces, CONCURRENCY, |n, c| Box::pin(allowlist::reconcile(n, c)));
    run(ctx, &index.images, &queues.images, UNBOUNDED, |i, c| {
        Box::pin(async { scans::reconcile(i, c).await.map_err(Error::from) })
    });
    tokio::spawn(workload::requests::follow_unheld(Arc::clone(ctx)));
}

fn run<K, F>(
    ctx: &Arc<Context>,
    store: &Store<K>,
    queue: &Queue<ObjectRef<K>>,
    concurrency: u16,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash,
    F: Future<Output = Result<Action, Error>> + Unpin + Send + 'static,
{
    let keys = stream::unfold(queue.clone(), |queue| async move { Some((queue.next().await?, queue)) });
    let keys = Box::pin(keys.map(Ok::<_, Infallible>));
    let config = Config::default().concurrency(concurrency);
    let work = applier(reconcile, after_error, Arc::clone(ctx), store.clone(), keys, config);
    tokio::spawn(async move {
        let mut work = Box::pin(work);
        while work.next().await.is_some() {}
        tracing::error!("the controller of {} ended", K::kind(&()));
    });
}

fn after_error<K: Resource<DynamicType = ()>>(object: Arc<K>, error: &Error, _: Arc<Context>) -> Action {
    if error.is_conflict() {
        return Action::requeue(AFTER_CONFLICT);
    }
    let namespace = object.namespace().unwrap_or_default();
    tracing::warn!("{} {namespace}/{}: {error}", K::kind(&()), object.name_any());
    Action::requeue(AFTER_ERROR)
}
