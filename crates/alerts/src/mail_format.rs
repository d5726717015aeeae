//! A mail as it is sent (RFC 5322, RFC 2045): header fields and a text, in lines that every server takes.

use crate::mail::MailText;
use email_encoding::body::base64;
use email_encoding::headers::writer::EmailWriter;
use email_encoding::headers::{quoted_string, rfc2047};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::fmt::{self, Write as _};

/// Characters of a line, at most (RFC 5322 §2.1.1).
const MAX_LINE: usize = 998;

/// A person or a list: `name <address>`, or an address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MailPerson {
    pub(crate) name: String,
    pub(crate) address: String,
}

impl MailPerson {
    pub(crate) fn parse(text: &str) -> Self {
        let named = text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<'));
        let (name, address) = named.unwrap_or(("", text));
        MailPerson { name: name.trim().trim_matches('"').to_owned(), address: address.trim().to_owned() }
    }
}

/// Header fields and text. Names and subject are encoded where they are not plain; none of them begins a new field.
///
/// # Errors
/// Never for what is written to memory.
pub(crate) fn written(
    mail: &MailText,
    from: &MailPerson,
    to: &[MailPerson],
    now: Timestamp,
) -> Result<String, fmt::Error> {
    let mut out = String::new();
    field(&mut out, "From", |writer| person(from, writer))?;
    field(&mut out, "To", |writer| people(to, writer))?;
    field(&mut out, "Subject", |writer| plain_or_encoded(&mail.subject, writer))?;
    let date = rfc2822::DateTimePrinter::new().timestamp_to_string(&now).unwrap_or_default();
    let domain = from.address.rsplit_once('@').map_or("tidewaiter", |(_, domain)| domain);
    write!(out, "Date: {date}\r\nMessage-ID: <{}@{domain}>\r\n", mail.id)?;
    // RFC 3834: no out-of-office note answers it.
    out.push_str("Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n");
    if mail.text.is_ascii() && mail.text.lines().all(|line| line.len() <= MAX_LINE) {
        out.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        mail.text.lines().try_for_each(|line| write!(out, "{line}\r\n"))?;
    } else {
        out.push_str("Content-Transfer-Encoding: base64\r\n\r\n");
        base64::encode(mail.text.as_bytes(), &mut out)?;
        out.push_str("\r\n");
    }
    Ok(out)
}

fn field(out: &mut String, name: &str, value: impl FnOnce(&mut EmailWriter<'_>) -> fmt::Result) -> fmt::Result {
    write!(out, "{name}: ")?;
    let written = name.len() + 2;
    value(&mut EmailWriter::new(out, written, 0, false))?;
    out.push_str("\r\n");
    Ok(())
}

fn people(all: &[MailPerson], writer: &mut EmailWriter<'_>) -> fmt::Result {
    for (place, one) in all.iter().enumerate() {
        if place > 0 {
            writer.write_char(',')?;
            writer.space();
        }
        person(one, writer)?;
    }
    Ok(())
}

fn person(one: &MailPerson, writer: &mut EmailWriter<'_>) -> fmt::Result {
    if one.name.is_empty() {
        return writer.write_str(&one.address);
    }
    quoted_string::encode(&one.name, writer)?;
    writer.space();
    write!(writer, "<{}>", one.address)
}

fn plain_or_encoded(text: &str, writer: &mut EmailWriter<'_>) -> fmt::Result {
    if text.chars().all(|c| matches!(c, ' '..='~')) { writer.write_str(text) } else { rfc2047::encode(text, writer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, text: &str) -> String {
        let mail = MailText { subject: subject.to_owned(), text: text.to_owned(), id: "id".to_owned() };
        let to = [MailPerson::parse("a@b.example"), MailPerson::parse("Team Ü <c@d.example>")];
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        written(&mail, &MailPerson::parse("The gate <gate@shop.example>"), &to, now).unwrap()
    }

    #[test]
    fn people_are_named_or_not() {
        let check = |text: &str, name: &str, address: &str| {
            let expected = MailPerson { name: name.to_owned(), address: address.to_owned() };
            assert_eq!(MailPerson::parse(text), expected, "{text}");
        };
        check("a@b", "", "a@b");
        check("<a@b>", "", "a@b");
        check("A B <a@b>", "A B", "a@b");
        check("\"A, B\" <a@b>", "A, B", "a@b");
        // Not an address, which the transport refuses.
        check("A <a@b", "", "A <a@b");
    }

    #[test]
    fn a_plain_mail() {
        let expected = "From: \"The gate\" <gate@shop.example>\r\n\
            To: a@b.example, =?utf-8?b?VGVhbSDDnA==?= <c@d.example>\r\n\
            Subject: [tidewaiter] Held\r\n\
            Date: Mon, 30 Nov 2026 12:00:00 -0000\r\n\
            Message-ID: <id@shop.example>\r\n\
            Auto-Submitted: auto-generated\r\n\
            MIME-Version: 1.0\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: 7bit\r\n\r\none\r\ntwo\r\n";
        assert_eq!(mail("[tidewaiter] Held", "one\ntwo\n"), expected);
    }

    /// A tenant's text never ends a field, and no line is longer than servers take.
    #[test]
    fn what_is_not_plain_is_encoded() {
        for (subject, text) in
            [("Ü\r\nBcc: c@example", "text"), ("s", "ü"), ("s", &*"x".repeat(5000)), (&*"Ü".repeat(150), "t")]
        {
            let mail = mail(subject, text);
            assert!(mail.lines().all(|line| line.len() <= MAX_LINE), "{mail}");
            assert!(!mail.contains("\nBcc"), "{mail}");
            assert!(mail.is_ascii(), "{mail}");
        }
        assert!(mail("s", "ü").contains("base64\r\n\r\nw7w=\r\n"));
    }
}
