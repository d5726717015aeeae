//! Receivers of alerts in a ClusterScanPolicy: where each is, what it is told, and what became of that.

use crate::namespace::{ChosenNamespace, NamespaceSelector};
use crate::schema;
use crate::time::ObjectTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tidewaiter_core::pattern;
use tidewaiter_core::severity::Severity;

/// Type of the Secrets that receivers may name: no other leaves the server, so that who may write policies cannot have other
/// Secrets sent to an address of their own.
pub const SECRET_TYPE: &str = "tidewaiter.dev/alerts";

/// Newest subjects that a receiver's status lists of what was given up.
pub const MAX_SUBJECTS: usize = 5;

/// One receiver of alerts. What it needs depends on its type (docs/alerts.md).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::receiver_rules()))]
pub struct AlertReceiver {
    /// Name in status, metrics and logs; without one it is its place: `alerts[0]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: Option<String>,
    /// What it understands.
    #[serde(rename = "type", default)]
    pub service: AlertService,
    /// http(s) address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub url: Option<String>,
    /// The address, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_from: Option<SecretKey>,
    /// PagerDuty's integration key, Opsgenie's API key, or a bearer token for CloudEvents and Alertmanager.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_from: Option<SecretKey>,
    /// Key of the signature (HMAC-SHA256) of CloudEvents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac_from: Option<SecretKey>,
    /// More headers, for CloudEvents and Alertmanager.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub headers: Vec<AlertHeader>,
    /// PEM certificates of authorities that are trusted in addition to the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub ca_bundle: Option<String>,
    /// Server, sender and recipients of Email.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<AlertMail>,
    /// Namespaces it is told about, by name, with wildcards, of those that the policy applies to. Without names and selector: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 253)))]
    pub namespaces: Vec<String>,
    /// Namespaces it is told about by their labels, in addition to those it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// States it is told; without any: Blocked, ApprovalLost and BreakGlass. PagerDuty, Opsgenie and Alertmanager, which keep an
    /// alert open, are told only of these and of PendingApproval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub states: Vec<AlertState>,
    /// Lowest severity it is told, of the worst finding. What is not about findings is told whatever this says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::severity")]
    pub minimum_severity: Option<Severity>,
    /// How long news are collected for one message: `10m`, `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^([1-9][0-9]{0,2}m|[1-9][0-9]?h)$"))]
    pub digest: Option<String>,
    /// How often what is still held is told again: `24h`. Without it: once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), regex(pattern = r"^[1-9][0-9]{0,2}h$"))]
    pub repeat_every: Option<String>,
}

/// The services whose messages are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
pub enum AlertService {
    /// Any receiver: CloudEvents 1.0 as JSON, by POST.
    #[default]
    CloudEvents,
    /// An incoming webhook of Slack.
    Slack,
    /// A webhook of a workflow in Microsoft Teams.
    MicrosoftTeams,
    /// Events API v2 of PagerDuty.
    PagerDuty,
    /// Alert API of Opsgenie.
    Opsgenie,
    /// API v2 of Prometheus' Alertmanager.
    Alertmanager,
    /// SMTP.
    Email,
}

impl AlertService {
    /// Whether it keeps an alert open until it is told that its cause is over.
    pub fn keeps_open(self) -> bool {
        matches!(self, AlertService::PagerDuty | AlertService::Opsgenie | AlertService::Alertmanager)
    }
}

/// What a workload's news are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum AlertState {
    /// Held until its images are scanned.
    Created,
    /// Held by policy.
    Blocked,
    /// Held until a person approves.
    PendingApproval,
    /// Released, and rolling out.
    RollingOut,
    /// Released, and running.
    Deployed,
    /// It runs, and would not be allowed any more.
    ApprovalLost,
    /// A person lets it run whatever policy says.
    BreakGlass,
}

impl AlertState {
    /// States that are told where a receiver names none: those in which somebody has to do something.
    pub const DEFAULT: [AlertState; 3] = [AlertState::Blocked, AlertState::ApprovalLost, AlertState::BreakGlass];

    /// Whether it lasts until somebody does something.
    pub fn waits_for_people(self) -> bool {
        Self::DEFAULT.contains(&self) || self == AlertState::PendingApproval
    }
}

/// A key of a Secret of type `tidewaiter.dev/alerts` in `tidewaiter-system`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKey {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub secret: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A header of HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::header_rules()))]
pub struct AlertHeader {
    /// Name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[-A-Za-z0-9_]+$"))]
    pub name: String,
    /// Value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^[ -~]*$"))]
    pub value: Option<String>,
    /// Value, from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<SecretKey>,
}

/// How mail is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = schema::mail_rules()))]
pub struct AlertMail {
    /// Host and port of the server: `smtp.example:587`.
    #[schemars(length(max = 260), regex(pattern = r"^(\[[0-9a-fA-F:.]+\]|[^\s:/@]+):[0-9]{1,5}$"))]
    pub server: String,
    /// When TLS begins.
    #[serde(default)]
    pub tls: MailTls,
    /// Address of the sender.
    #[schemars(length(min = 3, max = 320))]
    pub from: String,
    /// Addresses of the recipients.
    #[schemars(length(min = 1, max = 20), inner(length(min = 3, max = 320)))]
    pub to: Vec<String>,
    /// User, where the server wants a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 320))]
    pub username: Option<String>,
    /// Password of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_from: Option<SecretKey>,
}

/// When TLS begins on a connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MailTls {
    /// After the greeting (RFC 3207); a server that does not offer it gets no mail.
    #[default]
    StartTls,
    /// At once (RFC 8314).
    Tls,
    /// Never: for a relay on the same network. No password is sent then.
    None,
}

/// What became of a policy's alerts; written by the server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterScanPolicyStatus {
    /// One for each receiver that was told something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<ReceiverStatus>,
}

/// What became of the alerts to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReceiverStatus {
    /// Its name.
    pub name: String,
    /// RFC 3339 time of the last delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<ObjectTime>,
    /// The last failure; gone with the next delivery, as long as nothing was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<AlertFailure>,
    /// Alerts that are tried again.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "schema::number")]
    pub waiting: u32,
    /// Alerts that were given up since the last test message that was delivered.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(schema_with = "schema::number")]
    pub undelivered: u32,
    /// What the newest of those were about, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undelivered_subjects: Vec<String>,
    /// The last test message (`kubectl scan alert test`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<AlertTest>,
}

/// Why an alert was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertFailure {
    /// RFC 3339 time.
    pub time: ObjectTime,
    /// The cause, without addresses and secrets.
    pub cause: String,
}

/// What became of a test message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertTest {
    /// What the request named it.
    pub nonce: String,
    /// RFC 3339 time.
    pub time: ObjectTime,
    /// Why it was not delivered; absent where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl AlertReceiver {
    /// Its name, or its place among the receivers of its policy.
    pub fn name(&self, place: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("alerts[{place}]"))
    }

    /// Whether it is told about a namespace that its policy applies to.
    pub fn concerns(&self, namespace: ChosenNamespace<'_>) -> bool {
        let is_every = self.namespaces.is_empty() && self.namespace_selector.is_none();
        is_every
            || self.namespaces.iter().any(|name| pattern::matches(name, namespace.name))
            || self.namespace_selector.as_ref().is_some_and(|selector| namespace.is_selected_by(selector))
    }

    /// Whether it is told of a state. Where an alert stays open until its cause is over, only of one that ends: a rule of the schema
    /// says so, and receivers from before it may name others.
    pub fn is_told(&self, state: AlertState) -> bool {
        if self.service.keeps_open() && !state.waits_for_people() {
            return false;
        }
        if self.states.is_empty() { AlertState::DEFAULT.contains(&state) } else { self.states.contains(&state) }
    }

    /// How long news are collected for one message.
    pub fn digest(&self) -> Option<Duration> {
        self.digest.as_deref().and_then(duration)
    }

    /// How often what is still held is told again.
    pub fn repeat_every(&self) -> Option<Duration> {
        self.repeat_every.as_deref().and_then(duration)
    }

    /// Whether it is told where this is the worst severity; `None`: what is not about findings. Where nothing is rated, anything
    /// may be bad.
    pub fn is_told_of(&self, worst: Option<Severity>) -> bool {
        match (self.minimum_severity, worst) {
            (Some(minimum), Some(worst)) => worst >= minimum || worst == Severity::Unknown,
            _ => true,
        }
    }
}

/// `10m`, `2h`; `None` for text that the schema refuses.
fn duration(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.strip_suffix('h') {
        Some(hours) => (hours, 3600),
        None => (text.strip_suffix('m')?, 60),
    };
    number
        .parse::<u32>()
        .ok()
        .filter(|number| *number > 0)
        .map(|number| Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests;
