//! Who may ask: whoever has the token of a file, which Harbor sends as `Authorization: Bearer` or `X-ScannerAdapter-API-Key`.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use std::net::SocketAddr;

/// The header of Harbor's "API key".
const API_KEY: &str = "x-scanneradapter-api-key";
/// Shortest token: 16 characters of base64 are 96 bits.
const SHORTEST: usize = 16;

/// The hash of the token: two hashes are compared in a time that says nothing about the token, and no copy of it can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessToken([u8; 32]);

impl AccessToken {
    /// Of the content of a file.
    ///
    /// # Errors
    /// When it is too short to be a secret, or no text for a header.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let token = text.trim();
        if token.len() < SHORTEST {
            let next = "make one with: openssl rand -base64 32";
            return Err(format!("the token has {} characters, and must have at least {SHORTEST}; {next}", token.len()));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("the token has a character that is not printable ASCII, or a space".to_owned());
        }
        Ok(AccessToken(hash(token)))
    }

    /// Whether a request has it.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.to_str().ok()?));
        let key = headers.get_all(API_KEY).iter().filter_map(|value| value.to_str().ok());
        bearer.chain(key).any(|given| hash(given.trim()) == self.0)
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

/// Whether the adapter may listen there. Whoever reaches one without a token learns what is in artifacts whose digest and login they
/// have, and occupies it.
///
/// # Errors
/// With what to do.
pub(crate) fn may_listen(address: SocketAddr, has_token: bool, may_be_open: bool) -> Result<(), String> {
    if has_token || may_be_open || address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    let next = "give it one with --token-file, listen on loopback, or allow it with --allow-unauthenticated";
    Err(format!("{address} is reached by others, and there is no token; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn requests_have_the_token_in_one_of_two_headers() {
        let token = AccessToken::parse(&format!("{TOKEN}\n")).unwrap();
        let check = |headers: &[(&'static str, &str)], expected: bool| {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(token.admits(&headers), expected, "{headers:?}");
        };
        check(&[("authorization", &format!("Bearer {TOKEN}"))], true);
        check(&[("authorization", &format!("bearer {TOKEN}"))], true);
        check(&[("x-scanneradapter-api-key", TOKEN)], true);
        check(&[], false);
        check(&[("authorization", TOKEN)], false);
        check(&[("authorization", "Bearer ")], false);
        check(&[("authorization", &format!("Bearer {TOKEN}0"))], false);
        check(&[("authorization", &format!("Basic {TOKEN}"))], false);
        check(&[("x-scanneradapter-api-key", &TOKEN[1..])], false);
        check(&[("x-api-key", TOKEN)], false);
    }

    #[test]
    fn a_token_is_a_secret() {
        let check = |text: &str, expected: Result<(), &str>| match (AccessToken::parse(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(why), Err(expected)) => assert!(why.contains(expected) && !why.contains("hunter2"), "{why}"),
            (found, expected) => panic!("{text:?}: {found:?} {expected:?}"),
        };
        check("0123456789abcdef", Ok(()));
        check("  0123456789abcdef\n", Ok(()));
        check("", Err("0 characters"));
        check("hunter2", Err("7 characters"));
        check("hunter2 hunter2 hunter2", Err("a space"));
        check("hunter2hunter2hunter2ä", Err("printable"));
    }

    #[test]
    fn without_a_token_it_listens_on_loopback() {
        let check = |address: &str, token: bool, open: bool, expected: bool| {
            assert_eq!(may_listen(address.parse().unwrap(), token, open).is_ok(), expected, "{address} {token} {open}");
        };
        check("127.0.0.1:8090", false, false, true);
        check("[::1]:8090", false, false, true);
        check("[::ffff:127.0.0.1]:8090", false, false, true);
        check("0.0.0.0:8090", false, false, false);
        check("[::]:8090", false, false, false);
        check("10.0.0.1:8090", false, false, false);
        check("0.0.0.0:8090", true, false, true);
        check("0.0.0.0:8090", false, true, true);
    }
}
