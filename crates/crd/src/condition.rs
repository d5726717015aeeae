//! Conditions, as every Kubernetes object has them (API conventions, "Typical status properties").

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewaiter_core::status::ImageStatus;

/// Of an ImageScan: whether there is a result that counts.
pub const SCANNED: &str = "Scanned";
/// Of a WorkloadScan: whether every image may run.
pub const IMAGE_APPROVED: &str = "ImageApproved";

/// One aspect of an object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, as one CamelCase word.
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
    /// RFC 3339 time of the last change of `status`.
    pub last_transition_time: String,
    /// The generation of the object that this is of.
    #[serde(default)]
    pub observed_generation: i64,
}

/// Puts a condition in its place; its time changes only with its status.
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

/// `True` when the good end is reached, `False` when something stands against it, `Unknown` while nobody can tell.
pub fn word(image: ImageStatus, good: bool) -> &'static str {
    match image {
        ImageStatus::NotScanned | ImageStatus::Scanning => "Unknown",
        _ if good => "True",
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
            last_transition_time: text(time),
            observed_generation: 1,
        }
    }

    #[test]
    fn the_time_is_of_the_last_change_of_status() {
        let mut all = Vec::new();
        set(&mut all, condition("Unknown", "a", "1"));
        set(&mut all, condition("Unknown", "b", "2"));
        assert_eq!(all, [condition("Unknown", "b", "1")]);
        set(&mut all, condition("True", "c", "3"));
        assert_eq!(all, [condition("True", "c", "3")]);
    }
}
