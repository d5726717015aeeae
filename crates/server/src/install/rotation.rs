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
    AuthorityId, LeafTerm, RotationStep, RotationView, SecretFinding, is_leaf_due, is_steady, judge_secret, look_pause,
    may_show, next_step,
};
use crate::peers;
use anyhow::{Context as _, Result};
use axum_server::tls_rustls::RustlsConfig;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tidewaiter_crd::names::{CA_SECRET, NAMESPACE, SERVER, WEBHOOKS};

/// Reads the authorities, which the first process makes, and issues this process's certificate. `unfenced` may write before this
/// process leads.
///
/// # Errors
/// When the Secret cannot be used.
pub(crate) async fn begin(ctx: &ServerContext, unfenced: &Client) -> Result<RustlsConfig> {
    let (ring, now) = (authority::open(unfenced, &ctx.settings.lifetimes).await?, Timestamp::now());
    let (term, certificate, key) = match &ctx.settings.certificate_folder {
        Some(folder) => {
            let mounted = MountedCertificate::read(folder, &names(ctx), now)?;
            ctx.trust.note_mounted(&mounted, now);
            ctx.trust.set_shown(&mounted);
            (mounted_term(&ring, &mounted), mounted.certificate, mounted.key)
        }
        None => {
            let leaf = ring.signing.leaf(names(ctx), &ctx.settings.lifetimes, now)?;
            (leaf.term, leaf.certificate, leaf.key)
        }
    };
    let tls = RustlsConfig::from_pem(certificate.into_bytes(), key.into_bytes()).await?;
    let _ = ctx.tls.set(tls.clone());
    ctx.trust.set_leaf(term);
    ctx.trust.set_ring(ring);
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
/// When something cannot be read or written.
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
    match &ctx.settings.certificate_folder {
        Some(folder) => show_mounted(ctx, &ring, folder).await,
        None => renew_leaf(ctx, &ring).await,
    }
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
            let step = next(ctx, &found).await?;
            if step == RotationStep::Wait {
                return Ok(found);
            }
            tracing::info!(?step, "the webhooks' authority changes");
            let after = found.after(step, lifetimes, now)?;
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
    // Where somebody was faster, the next look sees what they wrote.
    Ok(if authority::write(&ctx.client, &stored, &after).await? { after } else { before })
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

/// Issues a new certificate for this process, where it is time, and swaps it under the listener: connections go on, new ones see it.
async fn renew_leaf(ctx: &ServerContext, ring: &AuthorityRing) -> Result<()> {
    let (Some(leaf), Some(tls), now) = (ctx.trust.leaf(), ctx.tls.get(), Timestamp::now()) else { return Ok(()) };
    let signing = ring.signing_term();
    // Asked only where it matters.
    let registered = match leaf.by == signing.id {
        true => None,
        false => registered(ctx).await?.as_ref().and_then(trusted_by_all),
    };
    if !is_leaf_due(&leaf, signing, registered.as_ref(), now) {
        return Ok(());
    }
    let leaf = ring.signing.leaf(names(ctx), &ctx.settings.lifetimes, now)?;
    let swapped = tls.reload_from_pem(leaf.certificate.into_bytes(), leaf.key.into_bytes()).await;
    swapped.context("using a new certificate")?;
    tracing::info!(until = %leaf.term.period.until, "the webhooks' certificate was renewed");
    ctx.trust.set_leaf(leaf.term);
    Ok(())
}

/// Shows what is mounted, once API servers take it.
async fn show_mounted(ctx: &ServerContext, ring: &AuthorityRing, folder: &Path) -> Result<()> {
    let (Some(tls), now) = (ctx.tls.get(), Timestamp::now()) else { return Ok(()) };
    let mounted = MountedCertificate::read(folder, &names(ctx), now)?;
    if ctx.trust.note_mounted(&mounted, now) && ctx.fence.is_open() {
        register(ctx, ring).await?;
    }
    if !ctx.trust.is_shown(&mounted) {
        let registered = registered(ctx).await?.as_ref().and_then(trusted_by_all);
        let has_ended = ctx.trust.leaf().is_some_and(|shown| shown.period.is_over(now));
        if !has_ended && !may_show(&mounted.ids(), registered.as_ref()) {
            return Ok(());
        }
        let swapped =
            tls.reload_from_pem(mounted.certificate.clone().into_bytes(), mounted.key.clone().into_bytes()).await;
        swapped.with_context(|| format!("using {}", folder.display()))?;
        tracing::info!(until = %mounted.period.until, "the webhooks' mounted certificate has changed");
        ctx.trust.set_shown(&mounted);
    }
    ctx.trust.set_leaf(mounted_term(ring, &mounted));
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
