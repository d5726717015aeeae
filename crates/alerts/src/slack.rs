//! Slack's incoming webhooks: Block Kit with a fallback text (docs.slack.dev, "Sending messages using incoming webhooks", "Blocks",
//! "Formatting message text").
//!
//! All text is in objects of type `plain_text`, which know neither links nor mentions. The fallback text is read as `mrkdwn` by
//! clients that show notifications, so that `&`, `<` and `>` are escaped everywhere: without `<` there is no link and no mention.

use crate::alert::{Alert, Outgoing, TEST_TEXT, TEST_TITLE};
use crate::http_message::HttpMessage;
use crate::text::escaped;
use serde_json::{Value, json};

/// Characters of a header block, and of a section's text.
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3000;
/// News of a digest that are shown, and the characters of each: a message has at most 50 blocks.
const MAX_NEWS: usize = 20;
const MAX_LINE: usize = 500;

pub(crate) fn message(what: Outgoing<'_>) -> HttpMessage {
    HttpMessage::json(match what {
        Outgoing::News(alert) | Outgoing::Over(alert) => one(&alert.title(), &alert.message),

        Outgoing::Digest(all) | Outgoing::Open(all) => digest(all),
        Outgoing::Test(_, _) => one(TEST_TITLE, TEST_TEXT),
    })
}

fn one(title: &str, text: &str) -> Value {
    blocks(title, vec![section(text, MAX_SECTION)])
}

fn digest(all: &[Alert]) -> Value {
    let line = |alert: &Alert| section(&format!("{}. {}", alert.title(), alert.message), MAX_LINE);
    let mut shown: Vec<Value> = all.iter().take(MAX_NEWS).map(line).collect();
    if let Some(more) = all.len().checked_sub(MAX_NEWS).filter(|more| *more > 0) {
        shown.push(section(&format!("and {more} more; all of them: kubectl scan status -A"), MAX_LINE));
    }
    blocks(&format!("{} news of workloads", all.len()), shown)
}

fn blocks(title: &str, sections: Vec<Value>) -> Value {
    let header = json!({"type": "header", "text": plain(title, MAX_HEADER)});
    let blocks: Vec<Value> = std::iter::once(header).chain(sections).collect();
    json!({"text": escape(title, MAX_SECTION), "blocks": blocks, "unfurl_links": false, "unfurl_media": false})
}

fn section(text: &str, most: usize) -> Value {
    json!({"type": "section", "text": plain(text, most)})
}

fn plain(text: &str, most: usize) -> Value {
    json!({"type": "plain_text", "text": escape(text, most), "emoji": false})
}

fn escape(text: &str, most: usize) -> String {
    escaped(text, most, |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::examples::{HOSTILE, alert};

    #[test]
    fn a_message_has_blocks_and_a_fallback() {
        let body = message(Outgoing::News(&alert("3 critical"))).body;
        let expected = json!({
            "text": "Held: deployment/web in shop",
            "blocks": [
                {"type": "header", "text": {"type": "plain_text", "text": "Held: deployment/web in shop", "emoji": false}},
                {"type": "section", "text": {"type": "plain_text", "text": "3 critical", "emoji": false}},
            ],
            "unfurl_links": false, "unfurl_media": false,
        });
        assert_eq!(body, expected);
        let over = message(Outgoing::Over(&Alert { is_over: true, ..alert("every image is approved") })).body;
        assert_eq!(over["text"], "Over: deployment/web in shop");
    }

    #[test]
    fn text_of_tenants_is_neither_link_nor_mention() {
        let mut hostile = alert(HOSTILE);
        hostile.workload.label = format!("deployment/{HOSTILE}");
        for what in
            [Outgoing::News(&hostile), Outgoing::Digest(std::slice::from_ref(&hostile)), Outgoing::Over(&hostile)]
        {
            let body = message(what).body.to_string();
            assert!(!body.contains(['<', '>']) && !body.contains("mrkdwn"), "{body}");
            assert!(body.contains("&lt;!channel&gt;"), "{body}");
        }
    }

    #[test]
    fn limits_of_the_service_hold() {
        let long = alert(&"&".repeat(10_000));
        let body = message(Outgoing::News(&long)).body;
        let text = body.pointer("/blocks/1/text/text").and_then(Value::as_str).unwrap();
        assert!(text.chars().count() <= MAX_SECTION && text.ends_with("&amp;…"), "{}", text.len());
        let body = message(Outgoing::Digest(&vec![long; 500])).body;
        assert_eq!(body["blocks"].as_array().unwrap().len(), MAX_NEWS + 2);
        assert!(body.to_string().contains("and 480 more"), "{body}");
    }
}
