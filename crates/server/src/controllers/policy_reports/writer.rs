//! The reports of one API: what is there, what is written and removed, and what is said where that cannot be done.

use super::failures::Failures;
use super::written::{WrittenKey, WrittenReport, listed};
use crate::context::ServerContext;
use crate::decide::workload_report::{ReportApi, WorkloadReport};
use crate::error::ReconcileError;
use crate::metrics::Metrics;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectList, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client};
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;
use tidewaiter_crd::names::{FIELD_MANAGER, MANAGED_BY};

/// Reports without what they say.
type ReportList = ObjectList<PartialObjectMeta<DynamicObject>>;

/// Whether reports can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ApiState {
    Unknown,
    Served,
    /// The API server has no such kind.
    Absent,
    /// The server's account may not list them.
    Refused,
    /// It may list, and not write them: one write after each look shows whether it may now.
    ReadOnly {
        may_try: bool,
    },
}

impl ApiState {
    /// Whether one that was just listed can be written, as far as that is known.
    fn listed(self) -> Self {
        match self {
            ApiState::ReadOnly { .. } => ApiState::ReadOnly { may_try: true },
            _ => ApiState::Served,
        }
    }

    /// Whether a write makes sense now.
    fn is_written(self) -> bool {
        matches!(self, ApiState::Served | ApiState::ReadOnly { may_try: true })
    }
}

/// Writes the reports of one API.
#[derive(Debug)]
pub(super) struct ReportWriter {
    api: ReportApi,
    state: ApiState,
    written: HashMap<WrittenKey, WrittenReport>,
    failures: Failures,
    /// Whether it was said that they cannot be listed.
    has_told: bool,
}

impl ReportWriter {
    /// One that has not looked yet.
    pub(super) fn new(api: ReportApi) -> Self {
        ReportWriter {
            api,
            state: ApiState::Unknown,
            written: HashMap::new(),
            failures: Failures::default(),
            has_told: false,
        }
    }

    /// Reads which reports there are, and whether there can be any; `exist`: those that there should be.
    pub(super) async fn look(&mut self, ctx: &ServerContext, exist: &BTreeSet<WrittenKey>) {
        let untold = self.failures.looked(|key| exist.contains(key) || self.written.contains_key(key));
        if untold > 0 {
            tracing::warn!("{untold} further policy reports of {} could not be written or removed", self.api.group());
        }
        match self.list(ctx, ListParams::default().match_any()).await {
            Ok(found) => {
                self.enter(self.state.listed());
                self.has_told = false;
                self.note(found);
            }
            Err(error) => self.failed(error),
        }
    }

    async fn list(&self, ctx: &ServerContext, params: ListParams) -> kube::Result<ReportList> {
        let (label, value) = MANAGED_BY;
        let own = params.labels(&format!("{label}={value}"));
        let all: Api<DynamicObject> = Api::all_with(ctx.client.clone(), &resource(self.api));
        all.list_metadata(&own).await
    }

    fn note(&mut self, found: ReportList) {
        self.written = listed(std::mem::take(&mut self.written), found);
    }

    /// Whether a report may have to be written: what it follows from changed.
    pub(super) fn is_due(&self, key: &WrittenKey, input: u64) -> bool {
        let is_new = || self.written.get(key).is_none_or(|written| written.input != Some(input));
        self.state.is_written() && is_new() && !self.failures.waits(key, Instant::now())
    }

    /// Writes a report unless it is there as it should be.
    pub(super) async fn write(&mut self, ctx: &ServerContext, key: &WrittenKey, input: u64, report: &WorkloadReport) {
        let object = report.object(self.api);
        if let Some(written) = self.written.get_mut(key)
            && written.content.as_ref() == Some(&object.content)
        {
            written.input = Some(input);
            return;
        }
        // Forced: what somebody else took over of it is taken back.
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match namespaced(&ctx.client, self.api, &key.namespace)
            .patch(&key.name, &params, &Patch::Apply(&object.body))
            .await
        {
            Ok(now) => {
                self.enter(ApiState::Served);
                self.failures.succeeded(key);
                let version = now.metadata.resource_version;
                let written = WrittenReport { version, content: Some(object.content), input: Some(input) };
                self.written.insert(key.clone(), written);
            }
            Err(error) => self.failed_for(key, error),
        }
    }

    /// Removes the reports that are not among these.
    pub(super) async fn remove_others(&mut self, ctx: &ServerContext, exist: &BTreeSet<WrittenKey>) {
        let others: Vec<WrittenKey> = self.written.keys().filter(|key| !exist.contains(key)).cloned().collect();
        self.remove(ctx, others).await;
    }

    /// Removes all reports; true when none is left, or there can be none.
    pub(super) async fn remove_all(&mut self, ctx: &ServerContext) -> bool {
        // Not of any version: after an empty list nobody looks again.
        match self.list(ctx, ListParams::default()).await {
            Ok(found) => self.note(found),
            // Without the kind, and without the permission, nothing was written.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => return true,
            Err(error) => {
                self.tell(&format!(
                    "whether there are policy reports to remove is not known: {}",
                    ReconcileError::Api(error)
                ));
                return false;
            }
        }
        let all: Vec<WrittenKey> = self.written.keys().cloned().collect();
        self.remove(ctx, all).await;
        self.written.is_empty()
    }

    async fn remove(&mut self, ctx: &ServerContext, keys: Vec<WrittenKey>) {
        let now = Instant::now();
        for key in keys.into_iter().filter(|key| !self.failures.waits(key, now)).collect::<Vec<_>>() {
            let api = namespaced(&ctx.client, self.api, &key.namespace);
            match api.delete(&key.name, &DeleteParams::default()).await.map_err(ReconcileError::Api) {
                Err(error) if !error.is_gone() => self.tell_of(&key, "was not removed", &error),
                _ => {
                    self.written.remove(&key);
                    self.failures.succeeded(&key);
                }
            }
        }
    }

    /// Shows whether there are reports, and how many.
    pub(super) fn show(&self, metrics: &Metrics) {
        let written = self.written.values().filter(|report| report.content.is_some()).count();
        metrics.policy_reports(self.api.group(), self.state == ApiState::Served, written);
    }

    fn failed(&mut self, error: kube::Error) {
        match &error {
            kube::Error::Api(status) if status.code == 404 => self.enter(ApiState::Absent),
            kube::Error::Api(status) if status.code == 403 => self.enter(ApiState::Refused),
            _ => self.tell(&ReconcileError::Api(error).to_string()),
        }
    }

    /// Where the namespace is gone, so is the report; and where the kind is, the next look says so.
    fn failed_for(&mut self, key: &WrittenKey, error: kube::Error) {
        let error = ReconcileError::Api(error);
        if error.is_not_permitted() {
            return self.enter(ApiState::ReadOnly { may_try: false });
        }
        if self.state != ApiState::Served {
            self.enter(if is_answer(&error) { ApiState::Served } else { ApiState::ReadOnly { may_try: false } });
        }
        if error.is_gone() {
            self.failures.add(key, true, Instant::now());
        } else {
            self.tell_of(key, "was not written", &error);
        }
    }

    fn enter(&mut self, state: ApiState) {
        let before = std::mem::replace(&mut self.state, state);
        if std::mem::discriminant(&before) == std::mem::discriminant(&state) {
            return;
        }
        let kind = format!("{}.{}/{}", self.api.plural(), self.api.group(), self.api.version());
        match state {
            ApiState::Served => tracing::info!("policy reports are written: {kind}"),
            ApiState::Absent => {
                self.written.clear();
                tracing::warn!(
                    "no policy reports: the API server does not know {kind}; install its definition \
                     (docs/policy-reports.md), which is noticed within {LOOK} s",
                    LOOK = super::LOOK_PAUSE.as_secs()
                );
            }
            ApiState::Refused => {
                tracing::warn!("no policy reports: the server may not list {kind}; apply deploy/rbac.yaml");
            }
            ApiState::ReadOnly { .. } => tracing::warn!(
                "no policy reports: the server may not write {kind}; apply deploy/optional/policy-reports.yaml, which is noticed \
                 within {LOOK} s",
                LOOK = super::LOOK_PAUSE.as_secs()
            ),
            ApiState::Unknown => {}
        }
    }

    /// Says that nothing is known of any report, once for as long as that is so.
    fn tell(&mut self, problem: &str) {
        if !std::mem::replace(&mut self.has_told, true) {
            tracing::warn!("policy reports of {}: {problem}", self.api.group());
        }
    }

    /// Notes, and says, what failed at one report.
    fn tell_of(&mut self, key: &WrittenKey, what: &str, error: &ReconcileError) {
        self.failures.add(key, is_answer(error), Instant::now());
        if self.failures.tells(key) {
            let (label, value) = MANAGED_BY;
            let (kind, WrittenKey { namespace, name }) = (format!("{}.{}", self.api.plural(), self.api.group()), key);
            tracing::warn!(
                "policy report {kind} {namespace}/{name} {what}, and is tried again: {error}; if it is not tidewaiter's (without \
                 the label {label}={value}) or stays: kubectl delete {kind} -n {namespace} {name}"
            );
        }
    }
}

/// Whether the API server itself answered.
fn is_answer(error: &ReconcileError) -> bool {
    matches!(error, ReconcileError::Api(kube::Error::Api(_)))
}

/// The kind of an API.
pub(crate) fn resource(api: ReportApi) -> ApiResource {
    ApiResource {
        group: api.group().to_owned(),
        version: api.version().to_owned(),
        api_version: api.api_version(),
        kind: api.kind().to_owned(),
        plural: api.plural().to_owned(),
    }
}

fn namespaced(client: &Client, api: ReportApi, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(api))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_role_there_is_one_write_after_each_look() {
        let mut writer = ReportWriter::new(ReportApi::OpenReports);
        let key = WrittenKey { namespace: "n".to_owned(), name: "r".to_owned() };
        let may_not = r#"{"code": 403, "message": "r is forbidden: User \"u\" cannot patch resource \"reports\" in"}"#;
        let refusal = || kube::Error::Api(serde_json::from_str(may_not).unwrap());
        let look = |writer: &mut ReportWriter| writer.enter(writer.state.listed());
        look(&mut writer);
        assert_eq!((writer.state, writer.is_due(&key, 1)), (ApiState::Served, true));
        for _ in 0..2 {
            writer.failed_for(&key, refusal());
            assert_eq!((writer.state, writer.is_due(&key, 1)), (ApiState::ReadOnly { may_try: false }, false));
            look(&mut writer);
            assert_eq!((writer.state, writer.is_due(&key, 1)), (ApiState::ReadOnly { may_try: true }, true));
        }
        // It is another report's own fault.
        let quota = r#"{"code": 403, "message": "r is forbidden: exceeded quota: q"}"#;
        writer.failed_for(&key, kube::Error::Api(serde_json::from_str(quota).unwrap()));
        look(&mut writer);
        assert_eq!(writer.state, ApiState::Served);
        let other = WrittenKey { name: "other".to_owned(), ..key.clone() };
        assert_eq!((writer.is_due(&key, 1), writer.is_due(&other, 1)), (false, true));
    }
}
