//! Registers webhooks and admission policies in the cluster, once the server knows what runs there.
//!
//! ```text
//! first policy → retain what runs in namespaces that become enforced → webhooks → policies → bindings
//! → gate in the API server → in force
//! ```
//!
//! What is not there as it should be is applied again when policies change, when something of it is deleted or changed, and every
//! minute.

mod enforced;
pub(crate) mod exclusions;
pub(crate) mod first_policy;
mod gate;
mod manifests;
pub(crate) mod nudge;
mod registration;
mod reports;
mod retain;
pub(crate) mod rotation;
mod stop;
pub(crate) mod uninstall;
mod watch;

use crate::context::ServerContext;
use crate::controllers::allowlist;
use crate::decide::enforced::{self as decided, NamespaceSelection};
use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidewaiter_crd::ImageScan;
use tidewaiter_crd::image_scan::ImageScanSpec;
use tidewaiter_crd::names::{CLUSTER_ROLES, NAMESPACE};

/// Pause between two applications of everything, should a watch miss a change.
const APPLY_PAUSE: Duration = Duration::from_secs(60);
/// Changes in a row are one: whoever deletes everything deletes one object after the other.
const SETTLE_PAUSE: Duration = Duration::from_secs(1);
/// Policies are in force within a second or two; on a busy API server within some more.
const IN_FORCE_ATTEMPTS: u32 = 300;
const IN_FORCE_PAUSE: Duration = Duration::from_millis(100);

/// When registrations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Application {
    /// By a server that starts: an earlier version may have written something else.
    First,
    /// By a server that runs, and has written them before: what differs was changed by somebody.
    Repeated,
}

/// Registers everything and waits until it is in force.
pub(crate) async fn install(ctx: &Arc<ServerContext>) -> Result<()> {
    // What was enqueued while the cluster was listed is read by this application.
    ctx.queues.policies.clear().await;
    apply(ctx, Application::First).await?;
    in_force(ctx).await?;
    // Nothing waits for it: while the server runs, it decides.
    tokio::spawn(gate::report(Arc::clone(ctx)));
    Ok(())
}

/// Waits until the API server enforces the policies, which it compiles asynchronously: the one that is bound last refuses a
/// dry run that nothing else refuses.
pub(crate) async fn in_force(ctx: &ServerContext) -> Result<()> {
    let api: Api<ImageScan> = Api::namespaced(ctx.client.clone(), NAMESPACE);
    let spec = ImageScanSpec { image: "none".to_owned(), platforms: vec![], pull_secrets: vec![], rescan: None };
    let probe = ImageScan::new("in-force", spec);
    let dry = PostParams { dry_run: true, field_manager: None };
    for _ in 0..IN_FORCE_ATTEMPTS {
        match api.create(&dry, &probe).await {
            Err(kube::Error::Api(status)) if status.message.contains(manifests::IN_FORCE) => return Ok(()),
            Err(error) => return Err(error).context("asking whether the admission policies are in force"),
            Ok(_) => tokio::time::sleep(IN_FORCE_PAUSE).await,
        }
    }
    bail!("the API server does not enforce the admission policies; see: kubectl describe validatingadmissionpolicies")
}

/// Keeps everything registered until the process ends.
pub(crate) async fn keep(ctx: Arc<ServerContext>) {
    watch::start(&ctx);
    let (mut pause, mut refreshed) = (SETTLE_PAUSE, Instant::now());
    loop {
        let waited = Instant::now();
        let _ = tokio::time::timeout(APPLY_PAUSE, ctx.queues.policies.next()).await;
        pause = settle_pause(pause, waited.elapsed());
        tokio::time::sleep(pause).await;
        ctx.queues.policies.clear().await;
        if let Err(error) = apply(&ctx, Application::Repeated).await {
            tracing::error!("registering webhooks and policies: {error:#}");
        }
        if refreshed.elapsed() >= APPLY_PAUSE {
            refreshed = Instant::now();
            allowlist::refresh(&ctx);
        }
    }
}

/// The pause before changes are answered: longer each time while they go on, up to that between two applications. Another
/// controller may change what is registered, and change it again.
fn settle_pause(last: Duration, quiet: Duration) -> Duration {
    if quiet > last { SETTLE_PAUSE } else { (last * 2).min(APPLY_PAUSE) }
}

async fn apply(ctx: &Arc<ServerContext>, application: Application) -> Result<()> {
    // Before the webhooks: what runs must be known as retained when the first Pod is judged.
    let news = retain(ctx, application).await?;
    let owner = owner(ctx).await;
    let owner = owner.as_deref();
    let authorities = ctx.trust.ring().context("the webhooks have no authority")?;
    let webhooks = manifests::webhooks(&ctx.settings, &ctx.trust.bundle(&authorities), &authorities.signing.secrets);
    put::<MutatingWebhookConfiguration>(ctx, webhooks, owner).await?;
    for policy in manifests::policies(&ctx.settings.excluded)? {
        put::<ValidatingAdmissionPolicy>(ctx, policy, owner).await?;
    }
    let enforced = enforced_namespaces(ctx);
    for binding in manifests::bindings(&enforced) {
        put::<ValidatingAdmissionPolicyBinding>(ctx, binding, owner).await?;
    }
    // After the backstop, which judges what it does. An upgrade of the cluster is noticed by one of these applications.
    gate::apply(ctx, &enforced, owner).await?;
    // Last: until it is bound, it is not enforced.
    if let Some(news) = news {
        enforced::remember(ctx, &news).await?;
    }
    Ok(())
}

/// The namespaces that the policies of this moment enforce.
fn enforced_namespaces(ctx: &ServerContext) -> NamespaceSelection {
    let (policies, own) = (ctx.index.policies.state(), ctx.index.namespaced_policies.state());
    decided::enforced_namespaces(&policies, &own, &ctx.index.namespaces.state(), &ctx.settings.excluded)
}

/// The owner of everything that is registered: the server's ClusterRole, which `kubectl delete -f deploy/` deletes. The
/// garbage collector takes the registrations along; without their server they would refuse every new Pod. `None` where it
/// cannot be read just now: then who owns them stays as it is.
async fn owner(ctx: &ServerContext) -> Option<Vec<OwnerReference>> {
    let roles: Api<ClusterRole> = Api::all(ctx.client.clone());
    let found = roles.get_metadata(CLUSTER_ROLES[0]).await;
    if let Err(error) = &found {
        tracing::warn!(
            "webhooks and policies may remain when deploy/ is deleted before `tidewaiter uninstall`: the ClusterRole {} cannot \
             be read (see deploy/rbac.yaml): {error}",
            CLUSTER_ROLES[0]
        );
    }
    owner_by(found.map(|role| role.uid().unwrap_or_default()))
}

/// The owner by what the API server says of its UID.
fn owner_by(uid: kube::Result<String>) -> Option<Vec<OwnerReference>> {
    match uid {
        Ok(uid) => Some(vec![manifests::owner(uid)]),
        Err(kube::Error::Api(status)) if status.code == 404 => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Retains what runs in namespaces that are about to be enforced for the first time. Which ones were enforced until now is
/// read from the cluster, so that a restart in between loses nothing. Returns what to remember once it is bound.
async fn retain(ctx: &Arc<ServerContext>, application: Application) -> Result<Option<NamespaceSelection>> {
    let remembered = enforced::remembered(&ctx.client).await?;
    let after = enforced_namespaces(ctx);
    let before = decided::enforced_before(remembered.clone(), enforced::bound(ctx, application).await?, &after);
    if let Some(enforced) = before.namespaces.as_ref().filter(|_| before.interrupted) {
        enforced::report_interruption(ctx, enforced).await;
    }
    if let Some(remembered) = &remembered {
        report_exclusions(ctx, remembered);
    }
    let news = (remembered.as_ref() != Some(&after)).then(|| after.clone());
    let before = before.namespaces;
    if before.as_ref() == Some(&after) {
        return Ok(news);
    }
    let new = |namespace: &str| after.contains(namespace) && !before.as_ref().is_some_and(|b| b.contains(namespace));
    let retained = retain::retain(ctx, &new).await.context("retaining what already runs")?;
    let (workloads, not_retained) = (retained.workloads.len(), retained.not_retained.len());
    tracing::info!(workloads, not_retained, "what runs in newly enforced namespaces is retained");
    tokio::spawn(retain::follow(Arc::clone(ctx), retained));
    Ok(news)
}

/// Says which enforced namespaces are excluded from now on.
fn report_exclusions(ctx: &ServerContext, remembered: &NamespaceSelection) {
    let exist = ctx.index.namespaces.state();
    let names = decided::newly_excluded(&ctx.settings.excluded, &exist, remembered);
    if !names.is_empty() {
        tracing::warn!(
            "{} were enforced and are excluded from now on (--exclude-enforced-namespaces): what is held there is released; take \
             them out of TIDEWAITER_EXCLUDE_NAMESPACES to enforce them again",
            names.join(", ")
        );
    }
}

async fn put<K>(ctx: &ServerContext, wanted: Value, owner: Option<&[OwnerReference]>) -> Result<()>
where
    K: kube::Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + Debug,
{
    registration::put(&Api::<K>::all(ctx.client.clone()), &K::kind(&()), wanted, owner).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn an_owner_that_cannot_be_read_stays() {
        let check = |uid: Result<&str, u16>, expected: Option<&[&str]>| {
            let failed = |code: u16| kube::Error::Api(Box::new(Status::failure("", "").with_code(code)));
            let found = owner_by(uid.map(str::to_owned).map_err(failed));
            let uids: Option<Vec<String>> = found.map(|owners| owners.into_iter().map(|owner| owner.uid).collect());
            let expected: Option<Vec<String>> = expected.map(|uids| uids.iter().map(|u| (*u).to_owned()).collect());
            assert_eq!(uids, expected, "{uid:?}");
        };
        check(Ok("u"), Some(&["u"]));
        check(Err(404), Some(&[]));
        for code in [403, 429, 500, 503, 504] {
            check(Err(code), None);
        }
    }

    #[test]
    fn who_changes_registrations_again_is_answered_ever_later() {
        let check = |last: u64, quiet: u64, expected: u64| {
            let pause = settle_pause(Duration::from_secs(last), Duration::from_secs(quiet));
            assert_eq!(pause, Duration::from_secs(expected), "{last} {quiet}");
        };
        check(1, 60, 1);
        check(1, 0, 2);
        check(2, 1, 4);
        check(32, 30, 60);
        check(60, 60, 60);
        check(32, 33, 1);
    }
}
