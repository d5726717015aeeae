//! What is told, whoever is told.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tidewaiter_core::hex;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::status::WorkloadStatus;
use tidewaiter_crd::alert::AlertState;

/// Characters of the text: chat systems cut longer ones, and the report holds all.
pub(crate) const MAX_TEXT: usize = 2000;

/// One alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Hash of the content: the same news twice are one alert.
    pub id: String,
    /// The workload it is about.
    pub workload: AlertedWorkload,
    /// What happened.
    pub state: AlertState,
    /// The end of CloudEvents' type.
    pub event: String,
    /// The worst severity that was found; `None` where it is not about findings.
    pub severity: Option<Severity>,
    /// The statuses of the workload.
    pub status: WorkloadStatus,
    /// What policy has against the images.
    pub reasons: Vec<String>,
    /// State, cause and next step, for people.
    pub message: String,
    /// Since when.
    pub time: Timestamp,
    /// Whether it says that the cause of earlier ones is over.
    pub is_over: bool,
}

/// The workload that an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlertedWorkload {
    /// Its namespace.
    pub namespace: String,
    /// Kind and name: `deployment/web`.
    pub label: String,
    /// Its UID: another workload of the same name has alerts of its own.
    pub uid: String,
}

impl AlertedWorkload {
    /// What services that keep an alert open know it by: one for each workload.
    pub(crate) fn key(&self) -> String {
        // Users write the UIDs of owner references, with any text; this one is part of addresses.
        let hash: [u8; 32] = Sha256::digest(format!("{}\n{}\n{}", self.namespace, self.label, self.uid)).into();
        format!("tidewaiter-{}", hex(&hash[..16]))
    }
}

impl Alert {
    /// One line: what happened to what, where.
    pub fn title(&self) -> String {
        let what = match self.state {
            _ if self.is_over => "Over",
            AlertState::Created => "Held until scanned",
            AlertState::Blocked => "Held",
            AlertState::PendingApproval => "Waits for approval",
            AlertState::RollingOut => "Released",
            AlertState::Deployed => "Deployed",
            AlertState::ApprovalLost => "Not allowed any more",
            AlertState::BreakGlass => "Policy overridden",
        };
        format!("{what}: {}", self.subject())
    }

    /// The same news without what users and images wrote, for a receiver that refuses its text.
    pub(crate) fn without_text_of_others(&self) -> Self {
        let namespace = &self.workload.namespace;
        let message = format!(
            "The receiver did not take the text of this alert. It is shown by: kubectl scan status -n {namespace}"
        );
        Alert { message, reasons: Vec::new(), ..self.clone() }
    }

    /// What it is about: `deployment/web in shop`.
    pub fn subject(&self) -> String {
        format!("{} in {}", self.workload.label, self.workload.namespace)
    }
}

/// What is sent to a receiver in one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// One alert.
    News(&'a Alert),
    /// Several, in one message.
    Digest(&'a [Alert]),
    /// The cause of an alert is over; the message says how.
    Over(&'a Alert),
    /// Everything that is open: for services that forget.
    Open(&'a [Alert]),
    /// A message that is marked as a test, with a name of its own.
    Test(&'a str, Timestamp),
}

impl<'a> Outgoing<'a> {
    /// What a queue gives to send.
    pub fn of(batch: &'a [Alert]) -> Self {
        match batch {
            [alert] if alert.is_over => Outgoing::Over(alert),
            [alert] => Outgoing::News(alert),
            several => Outgoing::Digest(several),
        }
    }
}

/// What a test message says.
pub(crate) const TEST_TITLE: &str = "Test message of tidewaiter";
/// And in more words.
pub(crate) const TEST_TEXT: &str =
    "Somebody ran kubectl scan alert test: alerts reach this place. Nothing is held, and nothing is to be done.";

#[cfg(test)]
pub(crate) mod examples {
    use super::*;
    use tidewaiter_core::status::{DeploymentStatus, ImageStatus};

    /// Text that a tenant can write into the name of an image, with the marks of every service.
    pub(crate) const HOSTILE: &str = "<!channel> <https://evil.example|see> @here [x](https://evil.example) **b** <at>All</at> <b>&\u{202e}\r\nBcc: c@example";

    pub(crate) fn alert(message: &str) -> Alert {
        Alert {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            workload: AlertedWorkload {
                namespace: "shop".to_owned(),
                label: "deployment/web".to_owned(),
                uid: "u-1".to_owned(),
            },
            state: AlertState::Blocked,
            event: "Blocked".to_owned(),
            severity: Some(Severity::Critical),
            status: WorkloadStatus { image: ImageStatus::VulnerabilitiesFound, deployment: DeploymentStatus::Blocked },
            reasons: vec!["CVE-2025-1 in a 1 is CRITICAL".to_owned()],
            message: message.to_owned(),
            time: "2026-11-30T12:00:00Z".parse().expect("a time"),
            is_over: false,
        }
    }
}
