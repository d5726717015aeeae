//! RFC 822-like stanzas, as dpkg and Python write them.

/// The fields of one stanza: case-insensitive names, continuation lines joined.
#[derive(Debug, Default)]
pub(super) struct Stanza {
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// The first field of that name, trimmed.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim())
    }

    /// Reads lines up to the first empty one. `Err` is a line that is neither field nor continuation.
    pub(super) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, &'a str> {
        let mut stanza = Stanza::default();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = stanza.fields.last_mut() {
                    value.push('\n');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                stanza.fields.push((name.trim().to_owned(), value.to_owned()));
            } else {
                return Err(line);
            }
        }
        Ok(stanza)
    }
}
