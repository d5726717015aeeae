//! JSON without what people need to read it.

/// Removes the white space between the tokens of a JSON text (RFC 8259 §2): a report is written indented, and a third of it is
/// indentation.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for &byte in json {
        if in_text {
            in_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_text = byte == b'"';
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_space_between_tokens_is_removed() {
        let check = |text: &str, expected: &str| assert_eq!(compact(text.as_bytes()), expected.as_bytes(), "{text}");
        check("{\n  \"a b\": [ 1, 2 ]\r\n}\n", r#"{"a b":[1,2]}"#);
        check(r#"{ "a \" b" : "\\" , "c d": 1 }"#, r#"{"a \" b":"\\","c d":1}"#);
        check("", "");
    }
}
