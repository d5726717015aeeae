//! Mail by SMTP (RFC 5321), with TLS from its beginning or after the greeting. A connection for each mail: they are few, and a server
//! closes one that is idle.

use crate::alert::Outgoing;
use crate::answer::{DeliveryFailure, FailureClass};
use crate::destination::{Destination, MailRoute};
use crate::mail::mail;
use crate::mail_format::{self, MailPerson};
use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Address, SmtpTransport, Transport as _};
use std::time::Duration;
use tidewaiter_crd::alert::MailTls;

/// Sends a mail to each recipient. One that has it is enough: servers refuse addresses one by one, and who asks again would tell
/// the others twice.
pub(crate) fn send(to: &Destination, what: Outgoing<'_>, limit: Duration) -> Result<(), DeliveryFailure> {
    let route = to.mail.as_ref().ok_or_else(|| DeliveryFailure::refused("email is not configured"))?;
    let (envelopes, text) = message(route, what)?;
    let transport = transport(route, to.ca_bundle.as_deref(), limit)?;
    let mut last = Err(DeliveryFailure::passing("the mail has no recipient"));
    for envelope in &envelopes {
        match transport.send_raw(envelope, text.as_bytes()) {
            Ok(_) => last = Ok(()),
            Err(error) if last.is_err() => {
                let failure = failure(&error);
                // The next address would wait as long for a server that is away.
                if failure.class == FailureClass::Passing {
                    return Err(failure);
                }
                last = Err(failure);
            }
            Err(_) => {}
        }
    }
    last
}

/// The addresses of a mail, and its bytes. An address that is wrong is corrected by people while the alert waits.
fn message(route: &MailRoute, what: Outgoing<'_>) -> Result<(Vec<Envelope>, String), DeliveryFailure> {
    let (from, to) = (MailPerson::parse(&route.from), route.to.iter().map(|to| MailPerson::parse(to)));
    let to: Vec<MailPerson> = to.collect();
    let sender = address(&from.address)?;
    let envelope = |person: &MailPerson| {
        let envelope = Envelope::new(Some(sender.clone()), vec![address(&person.address)?]);
        envelope.map_err(|error| DeliveryFailure::passing(format!("the mail has no recipient: {error}")))
    };
    let envelopes = to.iter().map(envelope).collect::<Result<_, _>>()?;
    let written = mail_format::written(&mail(what), &from, &to, Timestamp::now());
    let written = written.map_err(|error| DeliveryFailure::passing(format!("the mail cannot be written: {error}")))?;
    Ok((envelopes, written))
}

fn address(text: &str) -> Result<Address, DeliveryFailure> {
    text.parse().map_err(|error| DeliveryFailure::passing(format!("{text} is no mail address: {error}")))
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
