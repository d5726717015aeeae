//! The JSON form of a limit that may be absent: a severity, or `NEVER`. Not `none`, which vendors use for a severity.

use crate::severity::Severity;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

/// The text for no limit.
const NEVER: &str = "NEVER";

/// Writes the severity, or `NEVER`.
///
/// # Errors
/// When the serializer refuses a text.
#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
pub fn serialize<S: Serializer>(limit: &Option<Severity>, serializer: S) -> Result<S::Ok, S::Error> {
    match limit {
        Some(severity) => severity.serialize(serializer),
        None => serializer.serialize_str(NEVER),
    }
}

/// Reads what [`serialize`] wrote; a severity in any case.
///
/// # Errors
/// When it is neither a severity nor `NEVER`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Severity>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == NEVER {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{error}, or {NEVER}")))
}
