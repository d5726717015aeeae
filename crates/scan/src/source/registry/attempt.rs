//! Tries of requests to a registry: why one failed, and whether the next one may not.

use super::SourceError;
use super::address::RefusedAddress;
use super::pace;
use std::time::Duration;
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;
use tidewaiter_http::{Client as Http, FailureKind, RequestFailure, ureq};

/// The result of one try.
pub(super) type Attempt<T> = Result<T, FailedAttempt>;

/// A try that failed, and whether the next one may not.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) error: Box<SourceError>,
    pub(super) is_transient: bool,
    /// The pause that the registry asks for.
    pub(super) retry_after: Option<Duration>,
}

/// An error that another try would get again.
impl From<SourceError> for FailedAttempt {
    fn from(error: SourceError) -> Self {
        FailedAttempt { error: Box::new(error), is_transient: false, retry_after: None }
    }
}

/// Too many requests, or a server's failure.
pub(super) fn is_busy(status: u16) -> bool {
    // All others are answers about this request, and would be given again.
    matches!(status, 429 | 500..=599)
}

/// The failure of a service that is busy; `logged_in` says whether it was asked with a login.
pub(super) fn busy(what: &str, response: &Response<Body>, who: &str, logged_in: bool) -> FailedAttempt {
    let (status, retry_after) = (response.status().as_u16(), pace::retry_after(response));
    let cause = format!("{who} answers {status}");
    let error = match status {
        429 => SourceError::RateLimited { what: what.to_owned(), cause, retry_after, logged_in },
        _ => SourceError::unreachable(what, cause),
    };
    FailedAttempt { error: Box::new(error), is_transient: true, retry_after }
}

/// Why there is no answer. A forbidden address is not a failure of the network: it ends the scan, as does whatever
/// would fail again.
pub(super) fn failed(http: &Http, url: &str, error: ureq::Error, what: &str) -> FailedAttempt {
    match error {
        ureq::Error::Other(error) if error.is::<RefusedAddress>() => {
            let advice =
                "allow its network with --allow-registry-network CIDR of tidewaiter serve, or use another registry";
            SourceError::HostNotAllowed { what: what.to_owned(), cause: error.to_string(), advice }.into()
        }
        error => {
            let failure = http.failure(url, &error);
            let is_transient = !failure.kind.lasts();
            FailedAttempt { error: Box::new(not_reached(what, failure)), is_transient, retry_after: None }
        }
    }
}

pub(super) fn refusal(status: u16, what: &str) -> SourceError {
    let cause = format!("it answers {status}");
    match status {
        401 | 403 => SourceError::Unauthorized { what: what.to_owned(), cause },
        404 => not_there(status, what),
        _ => SourceError::unreachable(what, cause),
    }
}

pub(super) fn not_there(status: u16, what: &str) -> SourceError {
    SourceError::NotFound { what: what.to_owned(), cause: format!("it answers {status}") }
}

pub(super) fn in_the_clear(what: &str, cause: &str) -> SourceError {
    let advice = "have it answer over https, or use another registry";
    SourceError::HostNotAllowed { what: what.to_owned(), cause: cause.to_owned(), advice }
}

pub(super) fn not_reached(what: &str, RequestFailure { kind, cause }: RequestFailure) -> SourceError {
    let advice = match kind {
        FailureKind::PlainHttp => {
            "if plain HTTP is meant: --plain-http of kubectl scan, --plain-http-registry HOST of tidewaiter serve"
        }
        FailureKind::Certificate => {
            "give its authority: --ca-file of kubectl scan, --registry-ca of tidewaiter serve, or SSL_CERT_FILE"
        }
        other => other.advice(),
    };
    SourceError::Unreachable { what: what.to_owned(), cause, advice }
}
