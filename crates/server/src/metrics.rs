//! The server's metrics: counters of what happened, and what is true at the moment of a scrape (`cluster`).

mod cluster;

pub(crate) use cluster::{ClusterMoment, count};

use crate::decide::alert_route::ReceiverKey;
use cluster::ClusterGauges;
use jiff::Timestamp;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;
use tidewaiter_core::Reason;
use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
use tidewaiter_crd::image_scan::ImageScanStatus;
use tidewaiter_scan::cache::LayerCounts;

/// Layers of a scan that are counted, and their bytes: more than images have for all platforms.
const MOST_LAYERS: u64 = 10_000;
const MOST_BYTES: u64 = 1 << 40;

type Labels = Vec<(String, String)>;

/// Upper bounds in seconds: an unchanged image takes tenths, one of gigabytes minutes.
const SCAN_SECONDS: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Upper bounds in seconds: half a millisecond is usual, and API servers give up after ten seconds.
const ADMISSION_SECONDS: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// What became of an attempt to send an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AlertAttempt {
    /// The receiver has it.
    Delivered,
    /// It is tried again.
    Failed,
    /// It is not tried any more.
    GivenUp,
}

/// All metrics; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    transitions: Family<Labels, Counter>,
    scans: Family<Labels, Counter>,
    running: Gauge,
    scan_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    interruptions: Counter,
    admissions: Family<Labels, Counter>,
    admission_seconds: Family<Labels, Histogram, fn() -> Histogram>,
    alerts: Family<Labels, Counter>,
    cluster: ClusterGauges,
    layers: Family<Labels, Counter>,
    layer_bytes: Counter,
    unstored_layers: Counter,
    /// Without labels; empty while there is no database.
    database_age: Family<Labels, Gauge>,
    feed_age: Family<Labels, Gauge>,
    leader: Gauge,
    policy_reports: Family<Labels, Gauge>,
    policy_reports_served: Family<Labels, Gauge>,
    certificates: Family<Labels, Gauge>,
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
        let scan_seconds = Family::new_with_constructor(scan_histogram as fn() -> Histogram);
        registry.register("scan_duration_seconds", "Seconds that finished scans ran", scan_seconds.clone());
        let admission_seconds = Family::new_with_constructor(admission_histogram as fn() -> Histogram);
        let text = "Seconds from an admission request to its answer, by resource";
        registry.register("admission_duration_seconds", text, admission_seconds.clone());
        let alerts = Family::<Labels, Counter>::default();
        registry.register(
            "alerts",
            "Attempts to send an alert, by receiver (policy and name) and result",
            alerts.clone(),
        );
        let cluster = ClusterGauges::default();
        cluster.register(&mut registry);
        let layers = Family::<Labels, Counter>::default();
        let text = "Layers of scanned images, by where they came from: their registry, or the cache of layers";
        registry.register("layers", text, layers.clone());
        let layer_bytes = Counter::default();
        registry.register("layer_read_bytes", "Stored bytes of layers that registries sent", layer_bytes.clone());
        let unstored_layers = Counter::default();
        let text = "Layers that the cache of layers has no room for, or cannot be written for";
        registry.register("layers_unstored", text, unstored_layers.clone());
        let database_age = Family::<Labels, Gauge>::default();
        let age = "Seconds since the vulnerability database was built; absent while there is none";
        registry.register("database_age_seconds", age, database_age.clone());
        let feed_age = Family::<Labels, Gauge>::default();
        let age = "Seconds since the oldest feed of the vulnerability database that covers an ecosystem was read";
        registry.register("feed_age_seconds", age, feed_age.clone());
        let leader = Gauge::default();
        registry.register("leader", "1 where this process leads: it decides, scans and writes", leader.clone());
        let policy_reports = Family::<Labels, Gauge>::default();
        registry.register("policy_reports", "Policy reports that are written, by API group", policy_reports.clone());
        let served = Family::<Labels, Gauge>::default();
        let text =
            "1 where policy reports can be written in an API group, 0 where its definition or a permission is missing";
        registry.register("policy_reports_served", text, served.clone());
        let certificates = Family::<Labels, Gauge>::default();
        let text = "When the webhooks' certificate that this process shows ends, and its authority, as Unix time";
        registry.register("certificate_expiration_timestamp_seconds", text, certificates.clone());
        Metrics {
            registry: Arc::new(registry),
            transitions,
            scans,
            running,
            scan_seconds,
            interruptions,
            admissions,
            admission_seconds,
            alerts,
            cluster,
            layers,
            layer_bytes,
            unstored_layers,
            database_age,
            feed_age,
            leader,
            policy_reports,
            policy_reports_served: served,
            certificates,
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

    /// Counts a scan that ends, which ran for `duration`.
    pub(crate) fn scan_ended(&self, status: &ImageScanStatus, duration: Duration) {
        self.running.dec();
        let reason = status.reason.as_ref().map_or("", Reason::as_str);
        let image_status = status.image_status.to_string();
        self.scans.get_or_create(&labels(&[("status", &image_status), ("reason", reason)])).inc();
        self.scan_seconds.get_or_create(&labels(&[("status", &image_status)])).observe(duration.as_secs_f64());
    }

    /// Counts the layers of a scan. A worker says what they are, which an image may have taken over: the counters are for people
    /// and alerts, and one scan moves them by no more than images have.
    pub(crate) fn layers(&self, counts: &LayerCounts) {
        for (from, number) in [("cache", counts.cached), ("registry", counts.read)] {
            self.layers.get_or_create(&labels(&[("from", from)])).inc_by(number.min(MOST_LAYERS));
        }
        self.layer_bytes.inc_by(counts.read_bytes.min(MOST_BYTES));
        self.unstored_layers.inc_by(counts.unstored.min(MOST_LAYERS));
    }

    /// Counts an interruption of what the API server enforces.
    pub(crate) fn enforcement_interrupted(&self) {
        self.interruptions.inc();
    }

    /// Counts a scan that was cancelled.
    pub(crate) fn scan_cancelled(&self) {
        self.running.dec();
    }

    /// Counts the response to an admission request, which took `duration`.
    pub(crate) fn admission(&self, resource: &'static str, answer: &'static str, duration: Duration) {
        self.admissions.get_or_create(&labels(&[("resource", resource), ("answer", answer)])).inc();
        self.admission_seconds.get_or_create(&labels(&[("resource", resource)])).observe(duration.as_secs_f64());
    }

    /// Counts an attempt to send an alert.
    pub(crate) fn alert(&self, attempt: AlertAttempt, receiver: &ReceiverKey) {
        let result = match attempt {
            AlertAttempt::Delivered => "delivered",
            AlertAttempt::Failed => "failed",
            AlertAttempt::GivenUp => "given_up",
        };
        self.alerts.get_or_create(&labels(&[("receiver", &receiver.to_string()), ("result", result)])).inc();
    }

    /// Sets what is true at this moment.
    pub(crate) fn set_cluster(&self, moment: &ClusterMoment) {
        self.cluster.set(moment);
    }

    /// Sets how many policy reports there are of an API group, and whether there can be any.
    pub(crate) fn policy_reports(&self, group: &str, served: bool, number: usize) {
        let labels = labels(&[("group", group)]);
        self.policy_reports.get_or_create(&labels).set(i64::try_from(number).unwrap_or(i64::MAX));
        self.policy_reports_served.get_or_create(&labels).set(i64::from(served));
    }

    /// Sets whether this process leads.
    pub(crate) fn set_leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Sets when certificates end; one that does not exist yet has no metric.
    pub(crate) fn set_certificates(&self, ends: impl IntoIterator<Item = (&'static str, Option<Timestamp>)>) {
        for (certificate, end) in ends {
            if let Some(end) = end {
                self.certificates.get_or_create(&labels(&[("certificate", certificate)])).set(end.as_second());
            }
        }
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

fn scan_histogram() -> Histogram {
    Histogram::new(SCAN_SECONDS)
}

fn admission_histogram() -> Histogram {
    Histogram::new(ADMISSION_SECONDS)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_alerts_are_counted() {
        let metrics = Metrics::new();
        metrics.scan_started();
        metrics.scan_ended(&ImageScanStatus::default(), Duration::from_secs(3));
        metrics.admission("pods", "passed", Duration::from_micros(700));
        let receiver = ReceiverKey { policy: "default".to_owned(), name: "team".to_owned(), address: None };
        metrics.alert(AlertAttempt::Failed, &receiver);
        metrics.alert(AlertAttempt::GivenUp, &receiver);
        let text = metrics.text(None, None);
        for line in [
            "tidewaiter_scans_running 0",
            r#"tidewaiter_scan_duration_seconds_bucket{le="2.5",status="NotScanned"} 0"#,
            r#"tidewaiter_scan_duration_seconds_bucket{le="5.0",status="NotScanned"} 1"#,
            r#"tidewaiter_admission_duration_seconds_bucket{le="0.0005",resource="pods"} 0"#,
            r#"tidewaiter_admission_duration_seconds_bucket{le="0.001",resource="pods"} 1"#,
            r#"tidewaiter_alerts_total{receiver="default/team",result="failed"} 1"#,
            r#"tidewaiter_alerts_total{receiver="default/team",result="given_up"} 1"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn policy_reports_are_counted_where_they_are_wanted() {
        let metrics = Metrics::new();
        assert!(!metrics.text(None, None).contains("tidewaiter_policy_reports{"));
        metrics.policy_reports("openreports.io", true, 3);
        metrics.policy_reports("wgpolicyk8s.io", false, 0);
        let text = metrics.text(None, None);
        for line in [
            r#"tidewaiter_policy_reports{group="openreports.io"} 3"#,
            r#"tidewaiter_policy_reports_served{group="openreports.io"} 1"#,
            r#"tidewaiter_policy_reports_served{group="wgpolicyk8s.io"} 0"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_ends_of_certificates_are_times() {
        let metrics = Metrics::new();
        metrics.set_certificates([("serving", Timestamp::from_second(1_800_000_000).ok()), ("authority", None)]);
        let text = metrics.text(None, None);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("_expiration_timestamp_seconds{")).collect();
        let serving = r#"tidewaiter_certificate_expiration_timestamp_seconds{certificate="serving"} 1800000000"#;
        assert_eq!(lines, [serving]);
    }

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

    #[test]
    fn a_scan_moves_the_counters_of_layers_by_what_images_have() {
        let metrics = Metrics::new();
        let check = |counts: LayerCounts, expected: [u64; 4]| {
            metrics.layers(&counts);
            let text = metrics.text(None, None);
            let names = [
                r#"tidewaiter_layers_total{from="cache"}"#,
                r#"tidewaiter_layers_total{from="registry"}"#,
                "tidewaiter_layer_read_bytes_total",
                "tidewaiter_layers_unstored_total",
            ];
            let values = names.map(|name| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()));
            assert_eq!(values, expected.map(Some), "{text}");
        };
        check(LayerCounts { cached: 4, read: 1, read_bytes: 1000, unstored: 1 }, [4, 1, 1000, 1]);
        check(LayerCounts { cached: 1, ..LayerCounts::default() }, [5, 1, 1000, 1]);
        let lie = LayerCounts { cached: u64::MAX, read: u64::MAX, read_bytes: u64::MAX, unstored: u64::MAX };
        check(lie, [5 + MOST_LAYERS, 1 + MOST_LAYERS, 1000 + MOST_BYTES, 1 + MOST_LAYERS]);
    }
}
