//! Keeps the webhooks' certificates valid: looks at the Secret again and again, and does what `decide::authority` decides.
//!
//! ```text
//! every process   Secret → what it trusts → its own certificate, swapped under the listener
//! who leads       registrations, other processes → the next step → Secret → registrations
//! ```

use super::{manifests, registration};
use crate::authority::{self, AuthorityRing, MountedCertificate, StoredRing, ids_of};
use crate::context::ServerContext;
use crate::decide::authority::{
    AuthorityId, LeafTerm, RotationStep, RotationView, SecretFinding, is_leaf_due, is_steady, is_taken, judge_secret,
    look_pause, may_show, next_step,
};
use crate::peers;
use anyhow::{Context as _, Error, Result, ensure};
use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidewaiter_crd::names::{CA_SECRET, NAMESPACE, SERVER, WEBHOOKS};

/// Reads the authorities, which the first process makes, and issues this process's certificate, also where another one is mounted:
/// every registration names the authority that signs, and the mounted one perhaps not yet. `unfenced` may write before this process
/// leads.
///
/// # Errors
/// When the Secret cannot be used.
pub(crate) async fn begin(ctx: &ServerContext, unfenced: &Client) -> Result<RustlsConfig> {
    let (ring, now) = (authority::open(unfenced, &ctx.settings.lifetimes).await?, Timestamp::now());
    let leaf = ring.signing.leaf(names(ctx), &ctx.settings.lifetimes, now)?;
    let tls = RustlsConfig::from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await?;
    let _ = ctx.tls.set(tls.clone());
    ctx.trust.show_own(leaf.term);
    ctx.trust.set_ring(ring.clone());
    if let Err(error) = show(ctx, &ring).await {
        tracing::error!("the mounted certificate is not shown yet: {error:#}");
    }
    Ok(tls)
}

/// Looks until the process ends.
pub(crate) async fn keep(ctx: Arc<ServerContext>) {
    loop {
        tokio::time::sleep(look_pause(&ctx.settings.lifetimes)).await;
        if let Err(error) = look(&ctx).await {
            tracing::error!("the webhooks' certificates were not looked after, and are again soon: {error:#}");
        }
    }
}

/// Looks once. Who begins to lead does so first: what it registers is then what the Secret says.
///
/// # Errors
/// When something cannot be read or written; what this process trusts and shows is as good as before then.
pub(crate) async fn look(ctx: &ServerContext) -> Result<()> {
    let mut turn = ctx.trust.turn.lock().await;
    let leads = ctx.fence.is_open();
    let led = std::mem::replace(&mut *turn, leads);
    let known = ctx.trust.ring().context("the server is starting")?;
    let stored = authority::read(&ctx.client).await?;
    let ring = settle(ctx, &known, stored, (led, leads)).await?;
    if ring.state() != known.state() {
        ctx.trust.set_ring(ring.clone());
        if leads {
            register(ctx, &ring).await?;
        }
    }
    show(ctx, &ring).await
}

/// Looks before everything is registered. What a look fails for is no reason to register nothing: this process has authorities.
pub(crate) async fn look_before_registering(ctx: &ServerContext) {
    if let Err(error) = look(ctx).await {
        tracing::error!("webhooks are registered with the authorities that were known before: {error:#}");
    }
}

/// Whether API servers take the certificate that this process shows: not where somebody deleted the Secret, this process made another
/// one, and who leads has not mended it yet.
///
/// # Errors
/// When they do not, or that cannot be read.
pub(crate) async fn in_force(ctx: &ServerContext) -> Result<()> {
    let leaf = ctx.trust.leaf().context("the server is starting")?;
    let registered = registered(ctx).await?.as_ref().and_then(trusted_by_all);
    ensure!(
        is_taken(&leaf, registered.as_ref()),
        "the webhooks are registered without the authority of this process's certificate; it is put right within minutes, see \
         kubectl get secret -n {NAMESPACE} {CA_SECRET}"
    );
    Ok(())
}

/// What the Secret says from now on.
async fn settle(
    ctx: &ServerContext,
    known: &AuthorityRing,
    stored: StoredRing,
    (led, leads): (bool, bool),
) -> Result<AuthorityRing> {
    let (lifetimes, now) = (&ctx.settings.lifetimes, Timestamp::now());
    let found = stored.ring.clone();
    let finding = judge_secret(&known.state(), found.as_ref().map(AuthorityRing::state).as_ref(), (led, leads), now);
    let (before, after) = match (finding, found) {
        (SecretFinding::Take, Some(found)) if leads => {
            let step = next(ctx, &found).await.unwrap_or_else(wait);
            if step == RotationStep::Wait {
                return Ok(found);
            }
            let after = found.after(step, lifetimes, now)?;
            tracing::info!(?step, "the webhooks' authority changes");
            (found, after)
        }
        (SecretFinding::Take, Some(found)) => return Ok(found),
        (SecretFinding::PutBack, found) => {
            tracing::warn!(
                "somebody deleted or replaced the Secret {NAMESPACE}/{CA_SECRET}: the webhooks' authority is put back, and another one \
                 takes its place step by step"
            );
            (known.clone(), known.put_back(found.as_ref(), lifetimes, now)?)
        }
        (SecretFinding::Keep | SecretFinding::Take, _) => return Ok(known.clone()),
    };
    // Where somebody was faster, the next look sees what they wrote. A step that cannot be written is not taken, and what is in the
    // Secret is the truth all the same.
    let is_written = authority::write(&ctx.client, &stored, &after).await.unwrap_or_else(not_written);
    Ok(if is_written { after } else { before })
}

/// A step that something fails for is taken later.
fn wait(error: Error) -> RotationStep {
    tracing::error!("the webhooks' authority does not change yet: {error:#}");
    RotationStep::Wait
}

fn not_written(error: Error) -> bool {
    wait(error);
    false
}

/// The next step, by what is seen of the installation while there is one to take.
async fn next(ctx: &ServerContext, ring: &AuthorityRing) -> Result<RotationStep> {
    let (state, lifetimes, now) = (ring.state(), &ctx.settings.lifetimes, Timestamp::now());
    if is_steady(&state, lifetimes, now) {
        return Ok(RotationStep::Wait);
    }
    let mut processes = peers::trust::of_others(ctx).await?;
    processes.push(Some(ctx.trust.report()));
    let view = RotationView { is_registered: is_registered(ctx, ring).await?, processes };
    Ok(next_step(&state, &view, lifetimes, now))
}

/// Whether webhooks are registered as these authorities have them.
async fn is_registered(ctx: &ServerContext, ring: &AuthorityRing) -> Result<bool> {
    let wanted = manifests::webhooks(&ctx.settings, &ctx.trust.bundle(ring), &ring.signing.secrets);
    let Some(found) = registered(ctx).await? else { return Ok(false) };
    Ok(registration::holds(&serde_json::to_value(found)?, &wanted))
}

/// Corrects the webhooks at once: what others change is answered ever later, and would delay the steps. Where nothing is registered
/// yet, what runs must be retained first.
async fn register(ctx: &ServerContext, ring: &AuthorityRing) -> Result<()> {
    // Again later, should this fail.
    ctx.queues.policies.add(());
    if registered(ctx).await?.is_none() {
        return Ok(());
    }
    let wanted = manifests::webhooks(&ctx.settings, &ctx.trust.bundle(ring), &ring.signing.secrets);
    let api: Api<MutatingWebhookConfiguration> = Api::all(ctx.client.clone());
    registration::put(&api, "MutatingWebhookConfiguration", wanted, None).await
}

async fn registered(ctx: &ServerContext) -> Result<Option<MutatingWebhookConfiguration>> {
    let api: Api<MutatingWebhookConfiguration> = Api::all(ctx.client.clone());
    api.get_opt(WEBHOOKS).await.with_context(|| format!("the MutatingWebhookConfiguration {WEBHOOKS}"))
}

/// The authorities that every webhook names; none where no webhook is registered.
fn trusted_by_all(found: &MutatingWebhookConfiguration) -> Option<BTreeSet<AuthorityId>> {
    let webhooks = found.webhooks.iter().flatten();
    let bundles =
        webhooks.map(|webhook| ids_of(webhook.client_config.ca_bundle.as_ref().map_or(&[][..], |ca| ca.0.as_slice())));
    bundles.reduce(|all, one| &all & &one)
}

/// Shows what is mounted while API servers take it, and otherwise a certificate of the installation's own, which they always do.
async fn show(ctx: &ServerContext, ring: &AuthorityRing) -> Result<()> {
    match usable_mounted(ctx, ring).await? {
        Some(mounted) => show_mounted(ctx, ring, &mounted).await,
        None => show_own(ctx, ring).await,
    }
}

/// What is mounted, if it can be used and every registration names its authorities, which who leads sees to.
async fn usable_mounted(ctx: &ServerContext, ring: &AuthorityRing) -> Result<Option<MountedCertificate>> {
    let (Some(folder), now) = (&ctx.settings.certificate_folder, Timestamp::now()) else { return Ok(None) };
    let mounted = match MountedCertificate::read(folder, &names(ctx), now) {
        Ok(mounted) => mounted,
        Err(error) => {
            tracing::error!("a certificate of the server's own is shown, and not the mounted one: {error:#}");
            return Ok(None);
        }
    };
    if ctx.trust.note_mounted(&mounted, now) && ctx.fence.is_open() {
        register(ctx, ring).await?;
    }
    let registered = registered(ctx).await?.as_ref().and_then(trusted_by_all);
    Ok(may_show(&mounted.ids(), registered.as_ref()).then_some(mounted))
}

/// Swaps what is mounted under the listener.
async fn show_mounted(ctx: &ServerContext, ring: &AuthorityRing, mounted: &MountedCertificate) -> Result<()> {
    if !ctx.trust.is_shown(mounted) {
        let Some(tls) = ctx.tls.get() else { return Ok(()) };
        let (certificate, key) = (mounted.certificate.clone(), mounted.key.clone());
        let swapped = tls.reload_from_pem(certificate.into_bytes(), key.into_bytes()).await;
        swapped.context("using the mounted certificate")?;
        tracing::info!(until = %mounted.period.until, "the webhooks' mounted certificate is shown");
    }
    ctx.trust.show_mounted(mounted, mounted_term(ring, mounted));
    Ok(())
}

/// Issues a new certificate for this process, where it is time or another one was shown, and swaps it under the listener: connections
/// go on, new ones see it.
async fn show_own(ctx: &ServerContext, ring: &AuthorityRing) -> Result<()> {
    let (Some(leaf), Some(tls), now) = (ctx.trust.leaf(), ctx.tls.get(), Timestamp::now()) else { return Ok(()) };
    let signing = ring.signing_term();
    // Asked only where it matters.
    let registered = match leaf.by == signing.id {
        true => None,
        false => registered(ctx).await?.as_ref().and_then(trusted_by_all),
    };
    if !ctx.trust.shows_mounted() && !is_leaf_due(&leaf, signing, registered.as_ref(), now) {
        return Ok(());
    }
    let leaf = ring.signing.leaf(names(ctx), &ctx.settings.lifetimes, now)?;
    let swapped = tls.reload_from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await;
    swapped.context("using a new certificate")?;
    tracing::info!(until = %leaf.term.period.until, "the webhooks' certificate was renewed");
    ctx.trust.show_own(leaf.term);
    Ok(())
}

/// What others may know of a mounted certificate: in a rotation of the installation's own authority, none of that is shown.
fn mounted_term(ring: &AuthorityRing, mounted: &MountedCertificate) -> LeafTerm {
    LeafTerm { by: ring.signing_term().id.clone(), period: mounted.period }
}

/// The names by which this process is reached.
fn names(ctx: &ServerContext) -> Vec<String> {
    let mut names = vec![format!("{SERVER}.{NAMESPACE}.svc")];
    let url = ctx.settings.webhook_url.as_deref().and_then(|url| url.parse::<axum::http::Uri>().ok());
    names.extend(url.as_ref().and_then(|url| url.host()).map(str::to_owned));
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::CertificateLifetimes;
    use k8s_openapi::ByteString;
    use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;

    #[test]
    fn what_every_webhook_trusts_is_known() {
        let lifetimes = CertificateLifetimes::default();
        let make = || authority::WebhookAuthority::make(&lifetimes, Timestamp::now()).unwrap();
        let (a, b) = (make(), make());
        let (pem_a, pem_b, both) = (a.pem.clone(), b.pem.clone(), format!("{}{}", a.pem, b.pem));
        let check = |bundles: &[&str], expected: Option<&[&authority::WebhookAuthority]>| {
            let webhook = |bundle: &&str| {
                let mut webhook = MutatingWebhook::default();
                webhook.client_config.ca_bundle = Some(ByteString(bundle.as_bytes().to_vec()));
                webhook
            };
            let webhooks = Some(bundles.iter().map(webhook).collect());
            let found = trusted_by_all(&MutatingWebhookConfiguration { webhooks, ..Default::default() });
            let expected = expected.map(|all| all.iter().map(|one| one.term.id.clone()).collect::<BTreeSet<_>>());
            assert_eq!(found, expected);
        };
        check(&[], None);
        check(&[&pem_a], Some(&[&a]));
        check(&[&both, &both], Some(&[&a, &b]));
        check(&[&both, &pem_b], Some(&[&b]));
        check(&[&pem_a, &pem_b], Some(&[]));
        check(&[&both, ""], Some(&[]));
    }
}
