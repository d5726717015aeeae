//! os-release(5).

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use tidewaiter_core::ecosystem::Os;

/// The paths of os-release(5), the one that counts first.
pub(super) const PATHS: &[&str] = &["etc/os-release", "usr/lib/os-release"];

pub(super) const ANALYZER: Analyzer =
    Analyzer { name: "operating system", files: PATHS, types: &[], version: 1, accepts: all, read: parse };

fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let mut os = Os::default();
    for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
        let value = unquote(value);
        match key {
            // Lower case by the specification; another case must not hide the distribution.
            "ID" => os.id = value.to_ascii_lowercase(),
            "VERSION_ID" => os.version_id = value,
            "VERSION_CODENAME" => os.codename = value,
            "ID_LIKE" => os.id_like = value.to_ascii_lowercase(),
            "CPE_NAME" => os.cpe_name = value,
            "PRETTY_NAME" => os.pretty_name = value,
            _ => {}
        }
    }
    ParsedFile { os: (!os.id.is_empty()).then_some(os), ..ParsedFile::default() }
}

fn unquote(value: &str) -> String {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return inner.replace("\\\"", "\"").replace("\\$", "$");
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted() {
        let os = parse("", b"ID=alpine\nVERSION_ID=\"3.18.4\"\nPRETTY_NAME='Alpine Linux v3.18'\n").os.unwrap();
        assert_eq!(
            (os.id.as_str(), os.version_id.as_str(), os.pretty_name.as_str()),
            ("alpine", "3.18.4", "Alpine Linux v3.18")
        );
        assert!(parse("", b"").os.is_none());
    }
}
