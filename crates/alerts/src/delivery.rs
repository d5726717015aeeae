//! One attempt to deliver.

use crate::alert::Outgoing;
use crate::answer::{self, DeliveryFailure};
use crate::destination::Destination;
use crate::http_message::HttpMessage;
use crate::message::messages;
use crate::text::short;
use crate::{signature, smtp};
use jiff::Timestamp;
use std::time::Duration;
use tidewaiter_crd::alert::AlertService;
use tidewaiter_http::{Client, Settings};

/// Time limit of one request.
const LIMIT: Duration = Duration::from_secs(15);
/// Bytes of an answer that are read: what a receiver says of a failure.
const MAX_ANSWER: u64 = 4096;
/// Characters of a cause.
const MAX_CAUSE: usize = 500;

/// Delivers once, and waits for it: HTTP through the proxies of the environment, mail directly. Redirects are not followed.
///
/// # Errors
/// Why not, and whether another attempt is of use; no secret is in it.
pub fn deliver(to: &Destination, what: Outgoing<'_>) -> Result<(), DeliveryFailure> {
    let delivered = match to.service {
        AlertService::Email => smtp::send(to, what, LIMIT),
        _ => post_all(to, what),
    };
    delivered.map_err(|failure| DeliveryFailure {
        cause: short(&to.without_secrets(&failure.cause), MAX_CAUSE),
        class: failure.class,
    })
}

fn post_all(to: &Destination, what: Outgoing<'_>) -> Result<(), DeliveryFailure> {
    let roots = to.ca_bundle.iter().map(|pem| pem.clone().into_bytes()).collect();
    let settings = Settings { extra_roots: roots, total: Some(LIMIT), ..Settings::default() };
    let client = Client::new(&settings).map_err(|error| DeliveryFailure::passing(error.to_string()))?;
    messages(to, what, Timestamp::now()).iter().try_for_each(|message| post(&client, to, message))
}

fn post(client: &Client, to: &Destination, message: &HttpMessage) -> Result<(), DeliveryFailure> {
    let now = Timestamp::now();
    let url = format!("{}{}", to.url.trim_end_matches('/'), message.path);
    // Not where nothing is added: the slash at its end may matter.
    let url = if message.path.is_empty() { &to.url } else { &url };
    let body = message.body.to_string();
    let mut request = client.post(url).header("Content-Type", message.content_type);
    for (name, value) in &to.headers {
        request = request.header(name, value);
    }
    if let Some(value) = to.authorization() {
        request = request.header("Authorization", value);
    }
    if let Some(key) = &to.hmac {
        request = request.header(signature::HEADER, signature::signature(key, &body, now));
    }
    let mut response = match request.send(&body) {
        Ok(response) => response,
        Err(error) => return Err(DeliveryFailure::passing(client.failure(url, &error).to_string())),
    };
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let words = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string().unwrap_or_default();
    // Before they are cut: a part of a secret is one, too.
    answer::of_status(status, retry_after.as_deref(), &to.without_secrets(&words), now)
}
