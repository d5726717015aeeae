//! Mail by SMTP (RFC 5321), with TLS from its beginning or after the greeting. A connection for each mail: they are few, and a server
//! closes one that is idle.

use crate::alert::Outgoing;
use crate::answer::{DeliveryFailure, FailureClass};
use crate::destination::{Destination, MailRoute};
use crate::mail::mail;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport as _};
use std::time::Duration;
use tidewaiter_crd::alert::MailTls;

pub(crate) fn send(to: &Destination, what: Outgoing<'_>, limit: Duration) -> Result<(), DeliveryFailure> {
    let route = to.mail.as_ref().ok_or_else(|| DeliveryFailure::refused("email is not configured"))?;
    let message = message(route, what)?;
    let transport = transport(route, to.ca_bundle.as_deref(), limit)?;
    match transport.send(&message) {
        Ok(_) => Ok(()),
        Err(error) => Err(failure(&error)),
    }
}

fn message(route: &MailRoute, what: Outgoing<'_>) -> Result<Message, DeliveryFailure> {
    let mail = mail(what);
    let mut builder = Message::builder().from(mailbox(&route.from)?);
    for to in &route.to {
        builder = builder.to(mailbox(to)?);
    }
    let domain = route.from.rsplit_once('@').map_or("tidewaiter", |(_, domain)| domain.trim_end_matches('>'));
    let message = builder
        .subject(mail.subject)
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        // RFC 3834: no out-of-office note answers it.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text);
    message.map_err(|error| DeliveryFailure::passing(format!("the mail cannot be written: {error}")))
}

/// An address that is wrong is corrected by people while the alert waits.
fn mailbox(address: &str) -> Result<Mailbox, DeliveryFailure> {
    address.parse().map_err(|error| DeliveryFailure::passing(format!("{address} is no mail address: {error}")))
}

fn transport(route: &MailRoute, ca_bundle: Option<&str>, limit: Duration) -> Result<SmtpTransport, DeliveryFailure> {
    let tls = match route.tls {
        MailTls::None => Tls::None,
        // Required: a server, or somebody before it, who offers no TLS gets neither password nor mail.
        MailTls::StartTls => Tls::Required(parameters(&route.host, ca_bundle)?),
        MailTls::Tls => Tls::Wrapper(parameters(&route.host, ca_bundle)?),
    };
    let builder = SmtpTransport::builder_dangerous(&route.host).port(route.port).tls(tls).timeout(Some(limit));
    Ok(match &route.login {
        Some((user, password)) => builder.credentials(Credentials::new(user.clone(), password.clone())),
        None => builder,
    }
    .build())
}

fn parameters(host: &str, ca_bundle: Option<&str>) -> Result<TlsParameters, DeliveryFailure> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(pem) = ca_bundle {
        let certificate = Certificate::from_pem(pem.as_bytes());
        builder = builder.add_root_certificate(
            certificate.map_err(|error| DeliveryFailure::passing(format!("caBundle cannot be read: {error}")))?,
        );
    }
    builder.build().map_err(|error| DeliveryFailure::passing(format!("TLS cannot be used: {error}")))
}

/// A permanent answer (5yz, RFC 5321 §4.2.1) is about the mail, or about the login, which people correct (RFC 4954: 530, 534, 535,
/// 538).
fn failure(error: &lettre::transport::smtp::Error) -> DeliveryFailure {
    let code = error.status().map(|code| code.to_string());
    let is_login = matches!(code.as_deref(), Some("530" | "534" | "535" | "538"));
    let class = if error.is_permanent() && !is_login { FailureClass::Refused } else { FailureClass::Passing };
    let mut causes = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        causes.push(inner.to_string());
        source = inner.source();
    }
    causes.dedup();
    DeliveryFailure { cause: format!("the mail server: {}", causes.join(": ")), class }
}
