//! Reads the reports of an image: one at a time, on a thread on which no request waits, and in turns with those who ask for whole
//! reports, so that no workload's images fill the memory.

use super::inputs::PolicyOfNamespace;
use crate::context::ServerContext;
use crate::controllers::image_scan::current_report;
use crate::decide::workload_report::{ImageTally, ReportJudge, RevisionImage, WorstResults};
use crate::peers;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::sync::Arc;

/// An image of a namespace whose reports are judged at one moment.
pub(super) struct ImageReading {
    pub(super) namespace: String,
    pub(super) image: RevisionImage,
    pub(super) policy: Arc<PolicyOfNamespace>,
    pub(super) now: Timestamp,
}

impl ImageReading {
    /// What is said of the image; `None` while one of its reports is in no store.
    pub(super) async fn results(self, ctx: &Arc<ServerContext>) -> Option<WorstResults> {
        let (reading, tally) = (Arc::new(self), Arc::new(Mutex::new(ImageTally::default())));
        let status = &reading.image.status;
        for platform in status.platforms.iter().filter(|_| status.verdict.is_some()) {
            if !reading.read(ctx, &tally, &platform.report_key).await {
                // Another process led, and stored it.
                drop(peers::copied(ctx, platform).await?);
                reading.read(ctx, &tally, &platform.report_key).await.then_some(())?;
            }
        }
        let all = std::mem::take(&mut *tally.lock());
        Some(all.end(&reading.judge(), &reading.image))
    }

    /// Adds what a report of this process's store says; false where there is none.
    async fn read(self: &Arc<Self>, ctx: &Arc<ServerContext>, tally: &Arc<Mutex<ImageTally>>, key: &str) -> bool {
        let Ok(turn) = Arc::clone(&ctx.report_reads).acquire_owned().await else { return false };
        let (reading, ctx, tally, key) = (Arc::clone(self), Arc::clone(ctx), Arc::clone(tally), key.to_owned());
        let read = move || {
            let found = reading.add(&ctx, &mut tally.lock(), &key);
            drop(turn);
            found.is_some()
        };
        tokio::task::spawn_blocking(read).await.unwrap_or(false)
    }

    fn add(&self, ctx: &ServerContext, tally: &mut ImageTally, key: &str) -> Option<()> {
        let of = (self.namespace.as_str(), &self.policy.effective);
        let report = current_report(ctx, of, (&self.image.status, key), self.now)?;
        tally.read(&self.judge(), &self.image, &report);
        Some(())
    }

    fn judge(&self) -> ReportJudge<'_> {
        ReportJudge::new(&self.policy.names, &self.policy.effective.criteria, self.now)
    }
}
