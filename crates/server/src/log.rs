//! The log: lines on a terminal, JSON for collectors. Entries of the audit log are events of the target `audit` whose `fields`
//! are the entry itself, not a text in which it is quoted.

use jiff::Timestamp;
use serde::Serialize;
use std::fmt::{self, Debug, Write as _};
use std::io::IsTerminal as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The target of the audit log.
const AUDIT: &str = "audit";

/// Logs to standard error from now on.
pub(crate) fn start() {
    let builder = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        builder.init();
    } else {
        builder.fmt_fields(JsonFields::new()).event_format(JsonLines(Format::default().json())).init();
    }
}

/// Logs an entry of the audit log.
pub(crate) fn audit(entry: &impl Serialize) {
    match serde_json::to_string(entry) {
        Ok(entry) => tracing::info!(target: AUDIT, "{entry}"),
        Err(error) => tracing::error!("an entry of the audit log cannot be written: {error}"),
    }
}

/// As `tracing_subscriber` formats JSON, except for the audit log.
struct JsonLines(Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != AUDIT {
            return self.0.format_event(ctx, writer, event);
        }
        let mut entry = AuditText::default();
        event.record(&mut entry);
        writeln!(writer, "{}", audit_line(Timestamp::now(), &entry.0))
    }
}

/// The line of an entry, with the keys of all other lines.
fn audit_line(now: Timestamp, entry: &str) -> String {
    format!(r#"{{"timestamp":"{now:.6}","level":"INFO","fields":{entry},"target":"{AUDIT}"}}"#)
}

/// The message of an event.
#[derive(Default)]
struct AuditText(String);

impl Visit for AuditText {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            // A string takes all of it.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_entry_is_a_line_of_json_like_all_others() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format = JsonLines(Format::default().json());
        let builder = tracing_subscriber::fmt().with_writer(move || writer.clone()).fmt_fields(JsonFields::new());
        tracing::subscriber::with_default(builder.event_format(format).finish(), || {
            audit(&json!({"decision": "Held", "reason": "a \"quoted\"\nline {}"}));
            tracing::info!("ready");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [entry, other] = &lines[..] else { panic!("{text}") };
        assert_eq!(entry["fields"], json!({"decision": "Held", "reason": "a \"quoted\"\nline {}"}));
        assert_eq!((&entry["target"], &entry["level"]), (&json!("audit"), &json!("INFO")));
        assert_eq!(other["fields"], json!({"message": "ready"}));
        let keys = |line: &Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(entry), keys(other));
        assert!(entry["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }
}
