//! The database is built once and handed on: a process without a builder takes the newest one that others have.

use super::ask::{get, get_all, others};
use crate::context::ServerContext;
use crate::decide::database::{DatabaseState, PeerDatabase, is_newer};
use anyhow::{Context as _, Result, ensure};
use futures::io::{AsyncRead, AsyncReadExt as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_db::Database;
use tidewaiter_io::replace_if;
use tokio::runtime::Handle;

/// Pause between two questions.
const PAUSE: Duration = Duration::from_secs(10);
/// Time limit of one part of the file.
const PART_LIMIT: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const PART: usize = 256 << 10;
/// Bytes of an offer.
const MOST_BYTES: u64 = 64 << 10;

/// What this process offers; none while it has no database.
pub(crate) fn offered(ctx: &ServerContext) -> Option<PeerDatabase> {
    let DatabaseState::Ready(info) = ctx.database.state() else { return None };
    let bytes = std::fs::metadata(ctx.database.path()).ok()?.len();
    Some(PeerDatabase { id: info.id, built: info.built, bytes })
}

/// Takes newer databases of others until the process ends.
pub(crate) async fn take_from_others(ctx: Arc<ServerContext>) {
    loop {
        if let Err(error) = look(&ctx).await {
            tracing::warn!("the database of another server was not taken: {error:#}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(ctx: &Arc<ServerContext>) -> Result<()> {
    for address in others(ctx).await? {
        // One that is starting, or has none.
        let Ok(offer) = get_all(ctx, address, "database/offer", MOST_BYTES).await else { continue };
        let offer: PeerDatabase = serde_json::from_slice(&offer).context("what another server offers")?;
        if is_newer(&ctx.database.state(), &offer) {
            take(ctx, address, offer).await?;
        }
    }
    Ok(())
}

async fn take(ctx: &Arc<ServerContext>, from: IpAddr, offer: PeerDatabase) -> Result<()> {
    let body = get(ctx, from, "database").await?;
    let (path, runtime, id) = (ctx.database.path().to_owned(), Handle::current(), offer.id.clone());
    let work = move || {
        // On a new volume.
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let write = |file: &mut File| runtime.block_on(write(body, file, offer.bytes));
        replace_if(&path, write, |new| check(new, &offer.id))
    };
    tokio::task::spawn_blocking(work).await?.with_context(|| format!("from the server at {from}"))?;
    tracing::info!(id, "took the database of the server at {from}");
    Ok(())
}

async fn write(mut body: impl AsyncRead + Unpin, file: &mut File, bytes: u64) -> Result<()> {
    let (mut part, mut left) = (vec![0; PART], bytes);
    loop {
        let read = tokio::time::timeout(PART_LIMIT, body.read(&mut part)).await.context("it sends too slowly")??;
        if read == 0 {
            break;
        }
        left = left.checked_sub(read as u64).context("it sends more than it said")?;
        file.write_all(&part[..read])?;
    }
    ensure!(left == 0, "it sent {left} bytes less than it said");
    file.sync_all().map_err(io::Error::into)
}

/// Every byte matches the checksum in it, and it is the one that was offered.
fn check(new: &Path, id: &str) -> Result<()> {
    let database = Database::open_verified(new)?;
    ensure!(database.id() == id, "it sent the database {}, and offered {id}", database.id());
    Ok(())
}
