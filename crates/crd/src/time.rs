//! Times in objects.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An RFC 3339 time in an object. The schema admits any text, so that people can write one that is not a time: it is kept
/// as it is, because an error would make every list and watch of the kind fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
pub enum ObjectTime {
    /// A time.
    At(Timestamp),
    /// Text that is not a time.
    Unreadable(String),
}

impl ObjectTime {
    /// The time; `None` for other text.
    pub fn timestamp(&self) -> Option<Timestamp> {
        match self {
            ObjectTime::At(time) => Some(*time),
            ObjectTime::Unreadable(_) => None,
        }
    }
}

impl From<Timestamp> for ObjectTime {
    fn from(time: Timestamp) -> Self {
        ObjectTime::At(time)
    }
}

impl From<String> for ObjectTime {
    fn from(text: String) -> Self {
        text.parse().map_or(ObjectTime::Unreadable(text), ObjectTime::At)
    }
}

impl From<ObjectTime> for String {
    fn from(time: ObjectTime) -> Self {
        match time {
            ObjectTime::At(time) => time.to_string(),
            ObjectTime::Unreadable(text) => text,
        }
    }
}

impl fmt::Display for ObjectTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ObjectTime::At(time) => time.fmt(f),
            ObjectTime::Unreadable(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_text_is_read_and_written_as_it_was() {
        let check = |text: &str, readable: bool| {
            let time: ObjectTime = serde_json::from_value(json!(text)).expect("any text is read");
            assert_eq!(time.timestamp().is_some(), readable, "{text}");
            assert_eq!(serde_json::to_value(&time).expect("a time is JSON"), json!(text));
            assert_eq!(time.to_string(), text);
        };
        check("2026-01-02T00:00:00Z", true);
        check("2026-01-02T00:00:00.123456789Z", true);
        check("tomorrow", false);
        check("2026-01-02", false);
        check("", false);
    }
}
