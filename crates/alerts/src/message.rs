//! What a destination is sent for an outgoing alert.

use crate::alert::Outgoing;
use crate::destination::Destination;
use crate::{alertmanager, cloud_events, opsgenie, pagerduty, slack, teams};
use jiff::Timestamp;
use serde_json::Value;
use tidewaiter_crd::alert::AlertService;

/// One POST.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HttpMessage {
    /// Added to the destination's address.
    pub(crate) path: String,
    pub(crate) content_type: &'static str,
    pub(crate) body: Value,
}

impl HttpMessage {
    /// JSON, to the destination's own address.
    pub(crate) fn json(body: Value) -> Self {
        HttpMessage { path: String::new(), content_type: "application/json", body }
    }
}

/// The requests, in their order; `now` is when they are sent.
pub(crate) fn messages(to: &Destination, what: Outgoing<'_>, now: Timestamp) -> Vec<HttpMessage> {
    match to.service {
        AlertService::CloudEvents => cloud_events::messages(what),
        AlertService::Slack => vec![slack::message(what)],
        AlertService::MicrosoftTeams => vec![teams::message(what)],
        AlertService::PagerDuty => pagerduty::messages(what, to.token()),
        AlertService::Opsgenie => opsgenie::messages(what),
        AlertService::Alertmanager => vec![alertmanager::message(what, now)],
        // By SMTP.
        AlertService::Email => Vec::new(),
    }
}
