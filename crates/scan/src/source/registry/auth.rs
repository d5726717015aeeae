//! `WWW-Authenticate` challenges (RFC 9110 §11.6.1, distribution token authentication).

use std::collections::BTreeMap;

/// Parameters of a challenge, by their lower-case names.
pub type Parameters = BTreeMap<String, String>;

/// What a registry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password.
    Basic,
    /// A token of the service that the parameters name.
    Bearer(Parameters),
}

/// Parses a challenge; `None` for other schemes than these two.
pub fn parse(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    scheme.eq_ignore_ascii_case("bearer").then(|| Challenge::Bearer(parameters(rest)))
}

/// `key="value",key=value`; quoted values may contain commas.
fn parameters(mut rest: &str) -> Parameters {
    let mut out = BTreeMap::new();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => {
                after.split_once(',').map_or((after, ""), |(value, _)| (value, after.get(value.len()..).unwrap_or("")))
            }
        };
        out.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = next.trim_start().trim_start_matches(',');
    }
    out
}

/// A query value, percent-encoded (RFC 3986 unreserved characters stay).
pub fn encode(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = parse(r#"Bearer realm="https://a/t",service="r",scope="repository:x:pull,push""#);
        let Some(Challenge::Bearer(p)) = bearer else { panic!("no bearer") };
        assert_eq!((p["realm"].as_str(), p["scope"].as_str()), ("https://a/t", "repository:x:pull,push"));
        assert_eq!(parse("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(parse("Negotiate"), None);
        assert_eq!(encode("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
    }
}
