//! Follows approvals to their end: no event of the API server tells that a time has come.

use crate::context::ServerContext;
use crate::decide::approval;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_crd::ObjectTime;

/// Pause between two looks; a look compares times, and an end is given in minutes at best.
const LOOK_PAUSE: Duration = Duration::from_secs(5);

/// Enqueues what each approval decided about when that ends, until the process ends.
pub(super) async fn follow_ends(ctx: Arc<ServerContext>) {
    let mut last = Timestamp::now();
    loop {
        tokio::time::sleep(LOOK_PAUSE).await;
        let now = Timestamp::now();
        let ended = ctx.index.approvals.state_filter(|approval| {
            let end = approval::end(approval).and_then(|end| ObjectTime::timestamp(&end));
            end.is_some_and(|end| last < end && end <= now)
        });
        ended.iter().for_each(|approval| ctx.index.approval_changed(approval));
        last = now;
    }
}
