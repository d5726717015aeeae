//! Microsoft Teams: a webhook of the app Workflows takes a message with an Adaptive Card (learn.microsoft.com, "Create incoming
//! webhooks with Workflows for Microsoft Teams"; adaptivecards.microsoft.com, RichTextBlock).
//!
//! All text is in runs of RichTextBlocks: a TextBlock and the values of a FactSet know Markdown, a run does not. A mention needs an
//! entity in the card, and there is none.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::http_message::HttpMessage;
use crate::text::without_brackets;
use serde_json::{Value, json};

/// A message has at most 28 kB: so many characters of four bytes each, with room for what is around them.
const MAX_TITLE: usize = 200;
const MAX_TEXT: usize = 3000;
const MAX_NEWS: usize = 20;
const MAX_LINE: usize = 250;

pub(crate) fn message(what: Outgoing<'_>) -> HttpMessage {
    HttpMessage::json(match what {
        Outgoing::News(alert) | Outgoing::Over(alert) => one(&alert.title(), &alert.message),

        Outgoing::Digest(all) | Outgoing::Open(all) => digest(all),
        Outgoing::Test(_, _) => one(TEST_TITLE, TEST_TEXT),
    })
}

fn one(title: &str, text: &str) -> Value {
    card(title, &[paragraph(text, MAX_TEXT)])
}

fn digest(all: &[Alert]) -> Value {
    let line = |alert: &Alert| paragraph(&format!("{}. {}", alert.title(), alert.message), MAX_LINE);
    let mut lines: Vec<Value> = all.iter().take(MAX_NEWS).map(line).collect();
    if let Some(more) = all.len().checked_sub(MAX_NEWS).filter(|more| *more > 0) {
        lines.push(paragraph(&format!("and {more} more; all of them: kubectl scan status -A"), MAX_LINE));
    }
    card(&format!("{} news of workloads", all.len()), &lines)
}

fn card(title: &str, paragraphs: &[Value]) -> Value {
    let title = json!({"type": "RichTextBlock",
        "inlines": [{"type": "TextRun", "text": without_brackets(title, MAX_TITLE), "weight": "Bolder", "size": "Medium"}]});
    let body: Vec<Value> = std::iter::once(title).chain(paragraphs.iter().cloned()).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

fn paragraph(text: &str, most: usize) -> Value {
    json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": without_brackets(text, most)}]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    /// What Teams takes of one message.
    const MAX_BYTES: usize = 28 * 1024;

    #[test]
    fn a_message_has_an_adaptive_card() {
        let body = message(Outgoing::News(&alert("3 critical"))).body;
        let check = |pointer: &str, expected: Value| assert_eq!(body.pointer(pointer), Some(&expected), "{pointer}");
        check("/type", json!("message"));
        check("/attachments/0/contentType", json!("application/vnd.microsoft.card.adaptive"));
        check("/attachments/0/content/type", json!("AdaptiveCard"));
        check("/attachments/0/content/body/0/inlines/0/text", json!("Held: deployment/web in shop"));
        check(
            "/attachments/0/content/body/1",
            json!({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "3 critical"}]}),
        );
    }

    /// Markdown is shown as it is written in runs, which are the only objects with text.
    #[test]
    fn text_of_tenants_is_neither_link_nor_mention() {
        let hostile = alert(HOSTILE);
        for what in [Outgoing::News(&hostile), Outgoing::Digest(std::slice::from_ref(&hostile))] {
            let body = message(what).body.to_string();
            assert!(!body.contains("TextBlock\",\"text") && !body.contains("FactSet"), "{body}");
            assert!(!body.contains(['<', '>']) && !body.contains("entities"), "{body}");
        }
    }

    #[test]
    fn a_message_is_never_too_large() {
        let long = alert(&"\u{1F6A2}".repeat(10_000));
        for what in [Outgoing::News(&long), Outgoing::Digest(&vec![long.clone(); 500])] {
            let length = message(what).body.to_string().len();
            assert!(length < MAX_BYTES, "{length}");
        }
    }
}
