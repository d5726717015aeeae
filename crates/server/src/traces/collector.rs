//! The collector of traces, reached as all else is: by the proxies of the environment, with rustls.

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use axum::body::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidewaiter_http::{Client, Settings};

/// Longest time of a request: the specification's default.
const LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of an answer: it says at most what was not taken.
const ANSWER: u64 = 64 << 10;

/// A client for one collector.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client,
    /// Whether the last spans were not taken: said once, and once when it is over.
    is_away: AtomicBool,
}

impl Collector {
    pub(super) fn new() -> Result<Self> {
        let client = Client::new(&Settings { total: Some(LIMIT), ..Settings::default() });
        Ok(Collector { client: client.context("the collector of traces")?, is_away: AtomicBool::new(false) })
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let url = request.uri().to_string();
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.to_vec());
        let mut response = self.client.run(request).map_err(|error| self.client.failure(&url, &error).to_string())?;
        let body = response.body_mut().with_config().limit(ANSWER).read_to_vec();
        let body = body.map_err(|error| self.client.failure(&url, &error).to_string())?;
        let (head, _) = response.into_parts();
        match head.status.is_success() {
            true => Ok(Response::from_parts(head, body.into())),
            false => Err(format!("{url} answers {}: {}", head.status, String::from_utf8_lossy(&body))),
        }
    }

    /// What people are told of an attempt; `None` where it ended as the one before.
    fn news(&self, outcome: &Result<Response<Bytes>, String>) -> Option<String> {
        let was_away = self.is_away.swap(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Err(why) if !was_away => Some(format!("traces are lost: {why}")),
            Ok(_) if was_away => Some("traces are sent again".to_owned()),
            Ok(_) | Err(_) => None,
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    /// Blocks: what sends spans has a thread of its own.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outcome = self.send(request);
        if let Some(news) = self.news(&outcome) {
            tracing::warn!("{news}");
        }
        outcome.map_err(HttpError::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_is_away_is_told_once() {
        let collector = Collector::new().unwrap();
        let check = |outcome: Result<(), &str>, expected: Option<&str>| {
            let outcome = outcome.map(|()| Response::new(Bytes::new())).map_err(str::to_owned);
            assert_eq!(collector.news(&outcome).as_deref(), expected);
        };
        check(Ok(()), None);
        check(Err("no route"), Some("traces are lost: no route"));
        check(Err("no route"), None);
        check(Ok(()), Some("traces are sent again"));
        check(Ok(()), None);
    }
}
