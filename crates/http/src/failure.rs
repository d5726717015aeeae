//! Why a request failed: the cause, and the next step.

use crate::proxy::Named;
use std::error::Error as _;
use std::fmt;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFailure {
    /// The kind of the cause.
    pub kind: FailureKind,
    /// The cause, in words.
    pub cause: String,
}

/// Kinds of causes, each with its own next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server does not use TLS.
    PlainHttp,
    /// The server's certificate is not signed by a trusted authority, or is for another name or time.
    Certificate,
    /// The proxy refuses, or does not respond.
    Proxy,
    /// The name is unknown.
    Name,
    /// Redirects lead nowhere, or from https to http.
    Astray,
    /// Any other failure of the network.
    Network,
}

impl FailureKind {
    /// Whether another try cannot succeed.
    pub const fn lasts(self) -> bool {
        matches!(self, FailureKind::PlainHttp | FailureKind::Certificate | FailureKind::Proxy | FailureKind::Astray)
    }

    /// The next step.
    pub const fn advice(self) -> &'static str {
        match self {
            FailureKind::PlainHttp => "check the port, or write http:// if plain HTTP is meant",
            FailureKind::Certificate => "trust its authority: set SSL_CERT_FILE to a PEM file that holds it",
            FailureKind::Proxy => "check the proxy, or take the host out of it with NO_PROXY",
            FailureKind::Astray => "check the address, or name the one that it should lead to",
            FailureKind::Name => "check the name, the network and HTTPS_PROXY",
            FailureKind::Network => "check the address, the network and HTTPS_PROXY, then try again",
        }
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.kind.advice())
    }
}

impl RequestFailure {
    /// Of redirects.
    pub(crate) fn astray(url: &str, cause: &str) -> Self {
        RequestFailure { kind: FailureKind::Astray, cause: format!("{url}: {cause}") }
    }

    /// Of an error, on the way through a proxy where there is one.
    pub(crate) fn of(error: &ureq::Error, proxy: Option<&Named>) -> Self {
        let tls = tls(error);
        let (kind, cause) = match (error, &tls) {
            (_, Some(rustls::Error::InvalidMessage(_))) => (FailureKind::PlainHttp, "it does not use TLS".to_owned()),
            (_, Some(rustls::Error::InvalidCertificate(why))) => (FailureKind::Certificate, certificate(why)),
            (_, Some(rustls::Error::General(why))) => {
                (FailureKind::Certificate, format!("no authority could be loaded to verify its certificate ({why})"))
            }
            (ureq::Error::ConnectProxyFailed(why), _) => (FailureKind::Proxy, by(proxy, why)),
            (error, _) if unknown_name(error) => match proxy {
                Some(_) => (FailureKind::Proxy, by(proxy, "its name is unknown")),
                None => (FailureKind::Name, "the host's name is unknown".to_owned()),
            },
            (ureq::Error::Io(why), None) if proxy.is_some() && refused(why) => {
                (FailureKind::Proxy, by(proxy, "it cannot be reached"))
            }
            (ureq::Error::Timeout(_), _) => (FailureKind::Network, "it does not answer in time".to_owned()),
            _ => (FailureKind::Network, plain(error)),
        };
        RequestFailure { kind, cause }
    }
}

/// Without credentials.
fn by(proxy: Option<&Named>, why: &str) -> String {
    match proxy {
        Some(Named { variable, proxy }) => format!("the proxy {}:{} of {variable}: {why}", proxy.host(), proxy.port()),
        None => format!("the proxy: {why}"),
    }
}

fn certificate(why: &rustls::CertificateError) -> String {
    match why {
        // The second: signed by another authority of the same name.
        rustls::CertificateError::UnknownIssuer | rustls::CertificateError::BadSignature => {
            "its certificate is signed by no authority that is trusted here".to_owned()
        }
        other => format!("its certificate cannot be accepted: {other}"),
    }
}

/// The system's resolver reports it as text only.
fn unknown_name(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound => true,
        ureq::Error::Io(io) => io.to_string().starts_with("failed to lookup address information"),
        _ => false,
    }
}

fn refused(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut)
}

/// Whether the other side closed the connection.
pub(crate) fn is_closed(error: &ureq::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let kinds = [UnexpectedEof, ConnectionReset, ConnectionAborted, BrokenPipe];
    matches!(error, ureq::Error::Io(io) if kinds.contains(&io.kind()))
}

/// The error of TLS inside, if that is what it is.
fn tls(error: &ureq::Error) -> Option<rustls::Error> {
    match error {
        ureq::Error::Rustls(inside) => Some(inside.clone()),
        ureq::Error::Io(io) => io.get_ref()?.downcast_ref().cloned(),
        _ => None,
    }
}

/// The library's message without its prefix, which names the kind of error.
fn plain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(io) => io.to_string(),
        ureq::Error::Other(other) => other.to_string(),
        other => match other.source() {
            Some(inside) => inside.to_string(),
            None => other.to_string(),
        },
    }
}
