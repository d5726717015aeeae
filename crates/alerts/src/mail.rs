//! The text of a mail: plain text (no HTML, so that nothing in it is markup), and a subject of one line.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::text::{clean, short};

/// Characters of a subject: a line of RFC 5322 §2.1.1 has 78, and clients show fewer.
const MAX_SUBJECT: usize = 150;
/// News of a digest that are shown, and the characters of each.
const MAX_NEWS: usize = 100;
const MAX_LINE: usize = 1000;
const MAX_REASONS: usize = 50;

/// A mail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MailText {
    pub(crate) subject: String,
    pub(crate) text: String,
    /// What its Message-ID begins with: the same news have the same.
    pub(crate) id: String,
}

pub(crate) fn mail(what: Outgoing<'_>) -> MailText {
    match what {
        Outgoing::News(alert) | Outgoing::Over(alert) => one(&alert.title(), alert),

        Outgoing::Digest(all) | Outgoing::Open(all) => digest(all),
        Outgoing::Test(name, _) => {
            MailText { subject: TEST_TITLE.to_owned(), text: format!("{TEST_TEXT}\n"), id: format!("test-{name}") }
        }
    }
}

fn one(title: &str, alert: &Alert) -> MailText {
    let reasons = alert.reasons.iter().take(MAX_REASONS).map(|reason| format!("- {}\n", short(reason, MAX_LINE)));
    let reasons: String = reasons.collect();
    let text = format!(
        "{}\n\n{reasons}\nNamespace: {}\nWorkload: {}\n",
        clean(&alert.message),
        clean(&alert.workload.namespace),
        clean(&alert.workload.label)
    );
    MailText { subject: short(&format!("[tidewaiter] {title}"), MAX_SUBJECT), text, id: alert.id.clone() }
}

fn digest(all: &[Alert]) -> MailText {
    let line = |alert: &Alert| format!("- {}\n", short(&format!("{}. {}", alert.title(), alert.message), MAX_LINE));
    let mut text: String = all.iter().take(MAX_NEWS).map(line).collect();
    if let Some(more) = all.len().checked_sub(MAX_NEWS).filter(|more| *more > 0) {
        text.push_str(&format!("and {more} more; all of them: kubectl scan status -A\n"));
    }
    let ends = |alert: Option<&Alert>| alert.map(|alert| alert.id.clone()).unwrap_or_default();
    MailText {
        subject: format!("[tidewaiter] {} news of workloads", all.len()),
        text,
        id: format!("digest-{}-{}", ends(all.first()), ends(all.last())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    #[test]
    fn a_mail_is_plain_text() {
        let found = mail(Outgoing::News(&alert("3 critical")));
        assert_eq!(found.subject, "[tidewaiter] Held: deployment/web in shop");
        let expected = "3 critical\n\n- CVE-2025-1 in a 1 is CRITICAL\n\nNamespace: shop\nWorkload: deployment/web\n";
        assert_eq!(found.text, expected);
        assert_eq!(
            mail(Outgoing::Over(&Alert { is_over: true, ..alert("ok") })).subject,
            "[tidewaiter] Over: deployment/web in shop"
        );
    }

    #[test]
    fn text_of_tenants_adds_no_header_and_no_line() {
        let mut hostile = alert(HOSTILE);
        hostile.workload.label = format!("deployment/{HOSTILE}");
        let lines = mail(Outgoing::News(&alert("x"))).text.lines().count();
        let found = mail(Outgoing::News(&hostile));
        assert!(!found.subject.contains(['\r', '\n']), "{}", found.subject);
        assert_eq!(found.text.lines().count(), lines, "{}", found.text);
        let long = mail(Outgoing::Digest(&vec![alert(&"x".repeat(5000)); 500]));
        assert_eq!(long.text.lines().count(), MAX_NEWS + 1);
        assert!(long.text.len() < 2 * MAX_NEWS * MAX_LINE, "{}", long.text.len());
    }
}
