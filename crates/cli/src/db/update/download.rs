//! Files of a web server: a database, tried again where its transfer breaks off, and the small text of its signature.

use super::super::artifact::MAX_BYTES;
use super::trust::MAX_SIGNATURE;
use crate::progress::ByteBar;
use anyhow::{Context, Result, anyhow, bail};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tidewaiter_http::ureq::Body;
use tidewaiter_http::ureq::http::Response;
use tidewaiter_http::{Client, RequestFailure};

/// Tries of one download.
const TRIES: u32 = 3;

/// Downloads a file, and shows its progress.
pub(super) fn to_file(client: &Client, url: &str, to: &Path) -> Result<()> {
    let mut left = TRIES;
    loop {
        left -= 1;
        match attempt(client, url, to) {
            Err(error) if left > 0 && error.is::<io::Error>() => {}
            other => return other.with_context(|| url.to_owned()),
        }
    }
}

fn attempt(client: &Client, url: &str, to: &Path) -> Result<()> {
    let response = answer(client, url)?;
    let length = response.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let bar = ByteBar::new(length);
    let mut file =
        File::create(to).map_err(|e| anyhow!("{}: {e}; make room, or name another file with --db", to.display()))?;
    let copied = io::copy(&mut bar.read(response.into_body().into_reader().take(MAX_BYTES)), &mut file);
    bar.clear();
    let copied = copied?;
    if length.is_some_and(|length: u64| length != copied) {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

/// Downloads a text no larger than a signature.
pub(super) fn text(client: &Client, url: &str) -> Result<String> {
    let response = answer(client, url).with_context(|| url.to_owned())?;
    let mut text = String::new();
    response.into_body().into_reader().take(MAX_SIGNATURE).read_to_string(&mut text).with_context(|| url.to_owned())?;
    Ok(text)
}

fn answer(client: &Client, url: &str) -> Result<Response<Body>> {
    let response = client.follow(url, &[]).map_err(|failure: RequestFailure| anyhow!("{failure}"))?;
    match response.status().as_u16() {
        200 => Ok(response),
        status => bail!("the server answers {status}; check the address"),
    }
}
