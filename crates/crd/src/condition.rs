//! Conditions, as every Kubernetes object has them (API conventions, "Typical status properties").

use crate::time::ObjectTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewaiter_core::status::ImageStatus;

/// Condition of an ImageScan: whether it has a result.
pub const SCANNED: &str = "Scanned";
/// Condition of a WorkloadScan: whether every image may run.
pub const IMAGE_APPROVED: &str = "ImageApproved";

/// One aspect of an object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Name of the aspect.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Cause, as one CamelCase word.
    pub reason: String,
    /// Cause, for people.
    #[serde(default)]
    pub message: String,
    /// RFC 3339 time of the last change of `status`.
    pub last_transition_time: ObjectTime,
    /// Generation of the object that the condition describes.
    #[serde(default)]
    pub observed_generation: i64,
}

/// Adds or replaces a condition; its time changes only with its status, as the API conventions demand.
pub fn set(all: &mut Vec<Condition>, mut new: Condition) {
    match all.iter_mut().find(|c| c.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time.clone_from(&old.last_transition_time);
            }
            *old = new;
        }
        None => all.push(new),
    }
}

/// Status of a condition that is about an image: `Unknown` until it is scanned.
pub fn status(image: ImageStatus, reached: bool) -> &'static str {
    match image {
        ImageStatus::NotScanned | ImageStatus::Scanning => "Unknown",
        _ if reached => "True",
        _ => "False",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(status: &str, message: &str, time: &str) -> Condition {
        let text = |s: &str| s.to_owned();
        Condition {
            type_: text(SCANNED),
            status: text(status),
            reason: text("R"),
            message: text(message),
            last_transition_time: ObjectTime::from(text(time)),
            observed_generation: 1,
        }
    }

    #[test]
    fn the_time_changes_only_with_the_status() {
        let mut all = Vec::new();
        set(&mut all, condition("Unknown", "a", "1"));
        set(&mut all, condition("Unknown", "b", "2"));
        assert_eq!(all, [condition("Unknown", "b", "1")]);
        set(&mut all, condition("True", "c", "3"));
        assert_eq!(all, [condition("True", "c", "3")]);
    }
}
