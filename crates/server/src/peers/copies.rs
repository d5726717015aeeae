//! Reports that other servers have: each store is its process's own, and one that leads next should not read every image again.

use super::ask::{AskError, get_all, others};
use crate::context::ServerContext;
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::report::Report;
use tidewaiter_crd::image_scan::PlatformResult;

/// Bytes of a report, at most: JSON of the largest images is tens of megabytes.
const MOST_BYTES: u64 = 256 << 20;
/// Pause between two looks at what is to be copied.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Pauses before further attempts, where some server that may have it did not answer.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// What the other servers said.
enum Answered {
    Found(Vec<u8>),
    /// All of them answered that they do not have it.
    Nowhere,
    /// Some did not answer: these cannot be reached, and others failed.
    Unknown {
        away: Vec<IpAddr>,
    },
}

/// Copies the report of a result from another server into the store of this one, and returns it; `None` where no other has it, or
/// who may have it does not answer.
pub(crate) async fn copied(ctx: &ServerContext, result: &PlatformResult) -> Option<Report> {
    let access = ctx.peers.get()?;
    let _turn = access.copying(&result.report_key).await;
    // While this one waited for its turn.
    if let Some(report) = stored_here(ctx, &result.report_key).await {
        return Some(report);
    }
    let mut pauses = PAUSES.into_iter();
    loop {
        match asked(ctx, &result.report_key).await {
            Answered::Found(bytes) => return stored(ctx, result.clone(), bytes).await,
            Answered::Nowhere => return None,
            Answered::Unknown { away } => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => {
                    // The next report does not wait for them.
                    away.into_iter().for_each(|address| access.note_away(address));
                    return None;
                }
            },
        }
    }
}

/// Asks the other servers, one after the other.
async fn asked(ctx: &ServerContext, key: &str) -> Answered {
    let (mut away, mut failed) = (Vec::new(), false);
    let addresses = match others(ctx).await {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::warn!("no other server is asked: {error:#}");
            return Answered::Unknown { away };
        }
    };
    let is_away = |address: &IpAddr| ctx.peers.get().is_some_and(|access| access.is_away(*address));
    for address in addresses.into_iter().filter(|address| !is_away(address)) {
        match get_all(ctx, address, &format!("reports/{key}"), MOST_BYTES).await {
            Ok(bytes) => return Answered::Found(bytes),
            Err(AskError::NotThere(_)) => {}
            Err(error) => {
                tracing::warn!("report {key}: {error}");
                match error {
                    AskError::Away(..) => away.push(address),
                    _ => failed = true,
                }
            }
        }
    }
    if failed || !away.is_empty() { Answered::Unknown { away } } else { Answered::Nowhere }
}

async fn stored_here(ctx: &ServerContext, key: &str) -> Option<Report> {
    let (store, key) = (Arc::clone(&ctx.store), key.to_owned());
    tokio::task::spawn_blocking(move || store.report(&key)).await.ok().flatten()
}

async fn stored(ctx: &ServerContext, result: PlatformResult, bytes: Vec<u8>) -> Option<Report> {
    let store = Arc::clone(&ctx.store);
    let work = move || {
        let report = Report::from_json(&bytes).inspect_err(|error| tracing::warn!("a copied report: {error}")).ok()?;
        // What was signed is not what is in the image, as far as others ask.
        if result.signed_by.is_none()
            && let Err(error) = store.put_inventory(&report.inventory)
        {
            tracing::warn!("an inventory was not stored: {error}");
        }
        if let Err(error) = store.put_report_as(&result.report_key, &report) {
            tracing::warn!("a report was not stored: {error}");
        }
        Some(report)
    };
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

/// Copies what ImageScans name, in a process that does not lead.
pub(crate) async fn keep_copies(ctx: Arc<ServerContext>) {
    // A report that nobody has is asked for again: who leads scans its image, and then another one is named.
    let mut here: BTreeSet<String> = BTreeSet::new();
    loop {
        for result in absent(&ctx, &mut here) {
            if copied(&ctx, &result).await.is_some() {
                here.insert(result.report_key);
            }
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

/// The results whose reports are not known to be here; forgets those that nothing names any more.
fn absent(ctx: &ServerContext, here: &mut BTreeSet<String>) -> Vec<PlatformResult> {
    let scans = ctx.index.images.state();
    let named = || scans.iter().filter_map(|scan| scan.status.as_ref()).flat_map(|status| &status.platforms);
    let keys: HashSet<&str> = named().map(|result| result.report_key.as_str()).collect();
    here.retain(|key| keys.contains(key.as_str()));
    named().filter(|result| !here.contains(&result.report_key)).cloned().collect()
}
