//! What is held and was told: for receivers that want to hear of it again, and for those that keep an alert open until they are told
//! that it is over. In memory; every reconciliation of a held workload adds it anew.

use crate::decide::alert_route::{PolicyReceiver, ReceiverKey};
use crate::decide::workload_ref::WorkloadRef;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use tidewaiter_alerts::Alert;
use tidewaiter_crd::alert::AlertService;

/// How often Alertmanager is told what is open: it forgets what it is not told for a quarter of an hour, and all at its own restart.
const REFRESH: SignedDuration = SignedDuration::from_mins(5);

/// The open alerts, by the UID of their workload.
#[derive(Debug, Default)]
pub(crate) struct OpenAlerts {
    all: BTreeMap<String, OpenAlert>,
    refreshed: Option<Timestamp>,
}

#[derive(Debug)]
struct OpenAlert {
    workload: WorkloadRef,
    alert: Alert,
    /// Since when the workload has been in this state: repetitions are counted from here, also after a restart of the server.
    since: Timestamp,
    receivers: Vec<FollowingReceiver>,
    /// Until when repetitions were sent.
    repeated: Timestamp,
}

/// What is to be known of a receiver: not all of it, of which its certificates alone may be 64 KiB, for each open alert.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FollowingReceiver {
    key: ReceiverKey,
    service: AlertService,
    repeat_every: Option<Duration>,
}

impl FollowingReceiver {
    /// `None` for one that is told once, and not of the end.
    fn of(one: &PolicyReceiver) -> Option<Self> {
        let (service, repeat_every) = (one.receiver.service, one.receiver.repeat_every());
        let follows = repeat_every.is_some() || service.keeps_open();
        follows.then(|| FollowingReceiver { key: one.key.clone(), service, repeat_every })
    }
}

/// What is to be sent.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct OpenNews {
    /// Alerts, each for one receiver: repetitions, and the end of what is gone.
    pub(crate) single: Vec<(Alert, ReceiverKey)>,
    /// All that is open for a receiver that forgets.
    pub(crate) refreshed: Vec<(ReceiverKey, Vec<Alert>)>,
}

impl OpenAlerts {
    /// A workload is held, or has lost its approval, and these receivers are told. Those that were told of an earlier state, and
    /// keep an alert open, are still to hear of the end.
    pub(crate) fn add(
        &mut self,
        workload: &WorkloadRef,
        alert: &Alert,
        receivers: &[PolicyReceiver],
        since: Timestamp,
        now: Timestamp,
    ) {
        let mut receivers: Vec<FollowingReceiver> = receivers.iter().filter_map(FollowingReceiver::of).collect();
        let known = self.all.remove(&workload.uid);
        let keeping = known.iter().flat_map(|known| &known.receivers).filter(|one| one.service.keeps_open());
        let earlier: Vec<FollowingReceiver> =
            keeping.filter(|one| receivers.iter().all(|told| told.key != one.key)).cloned().collect();
        receivers.extend(earlier);
        if receivers.is_empty() {
            return;
        }
        let same = known.filter(|known| known.alert.id == alert.id);
        // The time between a restart and the first reconciliation is lost: nothing is told twice.
        let repeated = same.map_or(now, |known| known.repeated);
        let open = OpenAlert { workload: workload.clone(), alert: alert.clone(), since, receivers, repeated };
        self.all.insert(workload.uid.clone(), open);
    }

    /// Nothing is to be done about a workload any more.
    pub(crate) fn remove(&mut self, uid: &str) {
        self.all.remove(uid);
    }

    /// What is due. `exists` says whether a workload still has a record: one that was deleted while it was held is over.
    pub(crate) fn due(&mut self, now: Timestamp, exists: impl Fn(&WorkloadRef) -> bool) -> OpenNews {
        let mut news = OpenNews::default();
        let gone: Vec<String> =
            self.all.iter().filter(|(_, open)| !exists(&open.workload)).map(|(uid, _)| uid.clone()).collect();
        for open in gone.iter().filter_map(|uid| self.all.remove(uid)) {
            news.single.extend(open.ended(now));
        }
        for open in self.all.values_mut() {
            news.single.extend(open.repetitions(now));
            open.repeated = now;
        }
        if self.refreshed.is_none_or(|last| now.duration_since(last) >= REFRESH) {
            self.refreshed = Some(now);
            news.refreshed = self.refreshes();
        }
        news
    }

    fn refreshes(&self) -> Vec<(ReceiverKey, Vec<Alert>)> {
        let mut all: BTreeMap<ReceiverKey, Vec<Alert>> = BTreeMap::new();
        for open in self.all.values() {
            let forgetful = open.receivers.iter().filter(|one| one.service == AlertService::Alertmanager);
            for receiver in forgetful {
                all.entry(receiver.key.clone()).or_default().push(open.alert.clone());
            }
        }
        all.into_iter().collect()
    }
}

impl OpenAlert {
    fn repetitions(&self, now: Timestamp) -> Vec<(Alert, ReceiverKey)> {
        let repeats = self.receivers.iter().filter_map(|one| Some((&one.key, one.repeat_every?)));
        let due = repeats.filter_map(|(key, every)| {
            let number = times(self.since, now, every);
            (number > times(self.since, self.repeated, every)).then(|| {
                let id = format!("{}-again-{number}", self.alert.id);
                (Alert { id, ..self.alert.clone() }, key.clone())
            })
        });
        due.collect()
    }

    fn ended(self, now: Timestamp) -> Vec<(Alert, ReceiverKey)> {
        let id = format!("{}-gone", self.alert.id);
        let message = "the workload was deleted".to_owned();
        let over = Alert { id, message, is_over: true, time: now, ..self.alert };
        let keeping = self.receivers.into_iter().filter(|one| one.service.keeps_open());
        keeping.map(|one| (over.clone(), one.key)).collect()
    }
}

/// How often a time has passed between two moments.
fn times(since: Timestamp, until: Timestamp, every: Duration) -> u64 {
    let passed = u64::try_from(until.duration_since(since).as_secs()).unwrap_or_default();
    passed / every.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::news::news;
    use crate::decide::alert_route::all_of;
    use crate::decide::evaluation::Evaluation;
    use crate::decide::message::WorkloadNews;
    use serde_json::{Value, json};
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus, WorkloadStatus};
    use tidewaiter_crd::ClusterScanPolicy;

    fn workload(name: &str) -> WorkloadRef {
        WorkloadRef {
            namespace: "n".to_owned(),
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".into(),
            name: name.to_owned(),
            uid: format!("uid-{name}"),
        }
    }

    fn receivers() -> Vec<PolicyReceiver> {
        let token = json!({"secret": "s", "key": "k"});
        let all: Value = json!([
            {"name": "once", "url": "http://a"},
            {"name": "again", "url": "http://a", "repeatEvery": "1h"},
            {"name": "page", "type": "PagerDuty", "tokenFrom": token},
            {"name": "prom", "type": "Alertmanager", "url": "http://a"}]);
        all_of(&ClusterScanPolicy::new("p", serde_json::from_value(json!({"alerts": all})).unwrap())).collect()
    }

    fn alert(workload: &WorkloadRef) -> Alert {
        let status = WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment: DeploymentStatus::Blocked };
        let evaluation = Evaluation::default();
        news(&WorkloadNews::new(workload, "t", &evaluation, status), "text", at(0), &[])
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + minutes * 60).unwrap()
    }

    fn shown(news: &OpenNews) -> Vec<String> {
        let single = news.single.iter().map(|(alert, one)| {
            let what = if alert.is_over { "over" } else { "again" };
            format!("{} {what} {}", one.name, alert.workload.label)
        });
        let refreshed = news.refreshed.iter().map(|(one, alerts)| format!("{} {}", one.name, alerts.len()));
        single.chain(refreshed).collect()
    }

    #[test]
    fn what_stays_open_is_told_again_and_refreshed() {
        let mut open = OpenAlerts::default();
        let (web, api) = (workload("web"), workload("api"));
        open.add(&web, &alert(&web), &receivers(), at(0), at(0));
        open.add(&api, &alert(&api), &receivers()[2..], at(0), at(0));
        let mut check = |minutes: i64, expected: &[&str]| {
            assert_eq!(shown(&open.due(at(minutes), |_| true)), expected, "{minutes}");
        };
        check(0, &["prom 2"]);
        check(4, &[]);
        check(5, &["prom 2"]);
        check(59, &["prom 2"]);
        check(60, &["again again deployment/web"]);
        check(61, &[]);
        check(64, &["prom 2"]);
        // The server was busy: what is due is told once.
        check(300, &["again again deployment/web", "prom 2"]);
    }

    #[test]
    fn a_restart_of_the_server_repeats_nothing_and_keeps_the_hours() {
        let mut open = OpenAlerts::default();
        let web = workload("web");
        open.add(&web, &alert(&web), &receivers(), at(0), at(90));
        assert_eq!(shown(&open.due(at(91), |_| true)), ["prom 1"]);
        // Another reconciliation changes nothing.
        open.add(&web, &alert(&web), &receivers(), at(0), at(119));
        assert_eq!(shown(&open.due(at(120), |_| true)), ["again again deployment/web", "prom 1"]);
    }

    /// An incident that was opened is resolved, also where a state came in between that its receiver is not told of.
    #[test]
    fn who_keeps_an_alert_open_hears_of_its_end_whatever_it_was_told_since() {
        let mut open = OpenAlerts::default();
        let web = workload("web");
        open.add(&web, &alert(&web), &receivers(), at(0), at(0));
        open.add(&web, &Alert { id: "other".to_owned(), ..alert(&web) }, &[], at(1), at(1));
        // It is not told again: nobody else is told of this state.
        assert_eq!(shown(&open.due(at(70), |_| true)), ["prom 1"]);
        assert_eq!(shown(&open.due(at(71), |_| false)), ["page over deployment/web", "prom over deployment/web"]);
        open.add(&web, &alert(&web), &receivers()[..1], at(80), at(80));
        assert_eq!(shown(&open.due(at(81), |_| false)), Vec::<String>::new());
    }

    #[test]
    fn what_was_deleted_or_released_is_no_longer_open() {
        let mut open = OpenAlerts::default();
        let (web, api) = (workload("web"), workload("api"));
        open.add(&web, &alert(&web), &receivers(), at(0), at(0));
        open.add(&api, &alert(&api), &receivers(), at(0), at(0));
        open.remove(&api.uid);
        let news = open.due(at(60), |_| false);
        assert_eq!(shown(&news), ["page over deployment/web", "prom over deployment/web"]);
        assert_eq!(shown(&open.due(at(180), |_| false)), Vec::<String>::new());
    }
}
