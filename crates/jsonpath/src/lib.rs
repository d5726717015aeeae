//! Singular queries of JSONPath ([RFC 9535, section 2.3.5.1](https://www.rfc-editor.org/rfc/rfc9535#section-2.3.5.1)):
//! `$`, member names and indexes. A query has one node at most.
//!
//! It stands in for the crate of the same name, which kube-client uses for one purpose: to find a token and its expiry in
//! what the command of a kubeconfig's `auth-provider: gcp` prints (ADR 0019).

use serde_json::Value;
use std::fmt;

/// Queries a JSON value.
pub trait JsonPath {
    /// The nodes that `path` selects: one, or none.
    ///
    /// # Errors
    /// A path that is no singular query.
    fn query(&self, path: &str) -> Result<Vec<&Value>, UnsupportedPath>;
}

/// A path that is no singular query; holds what could not be read, from its first character on.
#[derive(Debug, PartialEq, Eq)]
pub struct UnsupportedPath(String);

impl fmt::Display for UnsupportedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "only member names and indexes are supported, as in $.credential.items[0]; not {:?}", self.0)
    }
}

impl std::error::Error for UnsupportedPath {}

impl JsonPath for Value {
    fn query(&self, path: &str) -> Result<Vec<&Value>, UnsupportedPath> {
        let mut rest = path.strip_prefix('$').ok_or_else(|| UnsupportedPath(path.to_owned()))?;
        let mut node = Some(self);
        while !rest.trim_start().is_empty() {
            let (segment, after) = Segment::read(rest.trim_start()).ok_or_else(|| UnsupportedPath(rest.to_owned()))?;
            node = node.and_then(|node| segment.select(node));
            rest = after;
        }
        Ok(node.into_iter().collect())
    }
}

enum Segment<'a> {
    Name(&'a str),
    /// Counted from the end where it is negative.
    Index(isize),
}

impl<'a> Segment<'a> {
    /// The segment that `text` begins with, and what follows it.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        if let Some(text) = text.strip_prefix('.') {
            let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            return (!name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()))
                .then_some((Self::Name(name), rest));
        }
        let text = text.strip_prefix('[')?.trim_start();
        let (segment, rest) = match text.chars().next()? {
            quote @ ('\'' | '"') => {
                let (name, rest) = text[1..].split_once(quote)?;
                (Self::Name(Some(name).filter(|name| !name.contains('\\'))?), rest)
            }
            _ => {
                let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-'))?;
                (Self::Index(text[..end].parse().ok()?), &text[end..])
            }
        };
        Some((segment, rest.trim_start().strip_prefix(']')?))
    }

    fn select<'node>(&self, node: &'node Value) -> Option<&'node Value> {
        match *self {
            Self::Name(name) => node.as_object()?.get(name),
            Self::Index(index) => {
                let items = node.as_array()?;
                items.get(if index < 0 { items.len().checked_add_signed(index)? } else { index.unsigned_abs() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_queries() {
        let json = serde_json::json!({
            "credential": {"access_token": "t", "token-expiry": "2026", "list": ["a", {"b": 1}]},
            "odd": {"a b": 2, "": 3}
        });
        let check = |path: &str, expected: Option<Value>| {
            assert_eq!(json.query(path).unwrap(), expected.iter().collect::<Vec<_>>(), "{path}");
        };
        check("$.credential.access_token", Some("t".into()));
        check("$['credential'][\"token-expiry\"]", Some("2026".into()));
        check("$.credential.list[0]", Some("a".into()));
        check("$.credential.list[ -1 ].b", Some(1.into()));
        check("$ .odd ['a b']", Some(2.into()));
        check("$.odd['']", Some(3.into()));
        check("$", Some(json.clone()));
        check("$.credential.list[2]", None);
        check("$.credential.list[-3]", None);
        check("$.credential.list.b", None);
        check("$.credential[0]", None);
        check("$.nothing.below", None);
    }

    #[test]
    fn other_paths_are_errors() {
        let check = |path: &str, rest: &str| {
            assert_eq!(Value::Null.query(path), Err(UnsupportedPath(rest.to_owned())), "{path}");
        };
        check("", "");
        check("credential", "credential");
        check("$.a..b", "..b");
        check("$.*", ".*");
        check("$.a[*]", "[*]");
        check("$.a[0:1]", "[0:1]");
        check("$.a['b\\'c']", "['b\\'c']");
        check("$.a['b", "['b");
        check("$.a[", "[");
        check("$.a[-]", "[-]");
        check("$.1", ".1");
        check("$.token-key", "-key");
        check("$.a[?@.b]", "[?@.b]");
    }
}
