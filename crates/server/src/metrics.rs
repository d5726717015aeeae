//! The server's metrics.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use tidewaiter_core::Reason;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::image_scan::ImageScanStatus;

type Labels = Vec<(String, String)>;

/// All metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    transitions: Family<Labels, Counter>,
    scans: Family<Labels, Counter>,
    running: Gauge,
    interruptions: Counter,
    admissions: Family<Labels, Counter>,
    /// Without labels; empty while there is no database.
    database_age: Family<Labels, Gauge>,
    feed_age: Family<Labels, Gauge>,
}

impl Metrics {
    /// A registry without any count.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidewaiter");
        let transitions = Family::<Labels, Counter>::default();
        let scans = Family::<Labels, Counter>::default();
        let admissions = Family::<Labels, Counter>::default();
        let running = Gauge::default();
        let interruptions = Counter::default();
        let text = "Times that policies or bindings of the server were deleted or changed by others";
        registry.register("enforcement_interruptions", text, interruptions.clone());
        registry.register("workload_transitions", "Changes of a workload's statuses", transitions.clone());
        registry.register("scans", "Finished scans by their image status and reason", scans.clone());
        registry.register("scans_running", "Running scans", running.clone());
        registry.register("admissions", "Admission requests by resource and answer", admissions.clone());
        let database_age = Family::<Labels, Gauge>::default();
        let age = "Seconds since the vulnerability database was built; absent while there is none";
        registry.register("database_age_seconds", age, database_age.clone());
        let feed_age = Family::<Labels, Gauge>::default();
        let age = "Seconds since the oldest feed of the vulnerability database that covers an ecosystem was read";
        registry.register("feed_age_seconds", age, feed_age.clone());
        Metrics {
            registry: Arc::new(registry),
            transitions,
            scans,
            running,
            interruptions,
            admissions,
            database_age,
            feed_age,
        }
    }

    /// Counts a change of a workload's statuses.
    pub(crate) fn transition(&self, from: (ImageStatus, DeploymentStatus), to: WorkloadStatus) {
        let labels = labels(&[
            ("from_image", &from.0.to_string()),
            ("from_deployment", &from.1.to_string()),
            ("to_image", &to.image.to_string()),
            ("to_deployment", &to.deployment.to_string()),
        ]);
        self.transitions.get_or_create(&labels).inc();
    }

    /// Counts a scan that begins.
    pub(crate) fn scan_started(&self) {
        self.running.inc();
    }

    /// Counts a scan that ends.
    pub(crate) fn scan_ended(&self, status: &ImageScanStatus) {
        self.running.dec();
        let reason = status.reason.as_ref().map_or("", Reason::as_str);
        self.scans.get_or_create(&labels(&[("status", &status.image_status.to_string()), ("reason", reason)])).inc();
    }

    /// Counts an interruption of what the API server enforces.
    pub(crate) fn enforcement_interrupted(&self) {
        self.interruptions.inc();
    }

    /// Counts a scan that was cancelled.
    pub(crate) fn scan_cancelled(&self) {
        self.running.dec();
    }

    /// Counts the response to an admission request.
    pub(crate) fn admission(&self, resource: &'static str, answer: &'static str) {
        self.admissions.get_or_create(&labels(&[("resource", resource), ("answer", answer)])).inc();
    }

    /// All metrics in the OpenMetrics text format; the ages of the database and of its oldest feed are those of this moment.
    pub(crate) fn text(&self, database_age: Option<i64>, feed_age: Option<i64>) -> String {
        for (gauge, age) in [(&self.database_age, database_age), (&self.feed_age, feed_age)] {
            match age {
                Some(seconds) => drop(gauge.get_or_create(&Labels::new()).set(seconds)),
                None => drop(gauge.remove(&Labels::new())),
            }
        }
        let mut out = String::new();
        match encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(e) => format!("# {e}\n"),
        }
    }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_database_is_a_metric_while_there_is_one() {
        let metrics = Metrics::new();
        let check = |database: Option<i64>, feed: Option<i64>, expected: &[&str]| {
            let text = metrics.text(database, feed);
            let ages: Vec<&str> = text.lines().filter(|line| line.contains("_age_seconds{}")).collect();
            assert_eq!(ages, expected);
        };
        check(None, None, &[]);
        let both = ["tidewaiter_database_age_seconds{} 3600", "tidewaiter_feed_age_seconds{} 7200"];
        check(Some(3600), Some(7200), &both);
        check(None, None, &[]);
    }
}
