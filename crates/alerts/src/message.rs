//! What a destination is sent for an outgoing alert.

use crate::alert::Outgoing;
use crate::destination::Destination;
use crate::http_message::HttpMessage;
use crate::{alertmanager, cloud_events, opsgenie, pagerduty, slack, teams};
use jiff::Timestamp;
use tidewaiter_crd::alert::AlertService;

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
