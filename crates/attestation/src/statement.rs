//! In-toto statements, version 1 (`in-toto/attestation`, `spec/v1/statement.md`): what is said, of which digests.

use crate::envelope::{UnsignedEnvelope, VerifiedPayload};
use crate::refusal::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use tidewaiter_core::image::Digest;

/// The version that is written.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The versions that are read: cosign writes the older one, whose fields are the same.
const KNOWN: [&str; 2] = [STATEMENT, "https://in-toto.io/Statement/v0.1"];
/// The only algorithm of digests, in a subject's map of them.
const SHA256: &str = "sha256";

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementSubject {
    /// The repository, for people: an image has the same digest everywhere.
    pub name: String,
    /// The manifest, or the index.
    pub digest: Digest,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenStatement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<WrittenSubject<'a>>,
    predicate_type: &'a str,
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct WrittenSubject<'a> {
    name: &'a str,
    digest: BTreeMap<&'static str, &'a str>,
}

impl<'a> WrittenSubject<'a> {
    fn of(subject: &'a StatementSubject) -> Self {
        WrittenSubject { name: &subject.name, digest: BTreeMap::from([(SHA256, subject.digest.hex())]) }
    }
}

/// A signed statement. It borrows from the payload: the predicate may have megabytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InTotoStatement<'a> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<ReadSubject>,
    pub(crate) predicate_type: String,
    #[serde(borrow)]
    predicate: &'a RawValue,
}

#[derive(Deserialize)]
struct ReadSubject {
    /// A subject without one (a file's name) is allowed, and is no image.
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

/// Writes a statement; `predicate` is its JSON.
///
/// # Errors
/// When the predicate is not JSON.
pub(crate) fn write(
    subjects: &[StatementSubject],
    predicate_type: &str,
    predicate: Vec<u8>,
) -> serde_json::Result<UnsignedEnvelope> {
    let predicate = raw(predicate)?;
    let subject = subjects.iter().map(WrittenSubject::of).collect();
    let statement = WrittenStatement { kind: STATEMENT, subject, predicate_type, predicate: &predicate };
    Ok(UnsignedEnvelope::of_payload(serde_json::to_vec(&statement)?))
}

/// JSON that is written as it is.
pub(crate) fn raw(json: Vec<u8>) -> serde_json::Result<Box<RawValue>> {
    let text = String::from_utf8(json).map_err(serde::ser::Error::custom)?;
    RawValue::from_string(text)
}

impl<'a> InTotoStatement<'a> {
    /// Reads a signed payload.
    pub(crate) fn read(payload: &'a VerifiedPayload) -> Result<Self, Refusal> {
        let statement: InTotoStatement<'a> = serde_json::from_slice(payload.bytes()).map_err(unreadable)?;
        match KNOWN.contains(&statement.kind.as_str()) {
            true => Ok(statement),
            false => Err(Refusal::Unreadable(format!("a statement of the unknown type {:?}", statement.kind))),
        }
    }

    /// The digests that it is about.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        let hex = self.subject.iter().filter_map(|subject| subject.digest.get(SHA256));
        hex.filter_map(|hex| format!("{SHA256}:{hex}").parse().ok()).collect()
    }

    /// What it says.
    pub(crate) fn predicate<T: Deserialize<'a>>(&self) -> Result<T, Refusal> {
        serde_json::from_str(self.predicate.get()).map_err(unreadable)
    }
}

pub(crate) fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::Unreadable(error.to_string())
}
