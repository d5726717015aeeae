//! Placeholders: a row of `feeds.toml` with `{year}` or `{release}` in its address is as many feeds as there are years or
//! releases, each with a name, a download and a part of its own. So nobody edits `feeds.toml` for a new year or release, and
//! one that changed is read again alone.

use super::Feed;
use serde::Deserialize;
use std::fmt;
use tidewaiter_core::ecosystem::Ecosystem;

/// The first year of the oldest list of CVEs; an earlier one is a slip of the pen.
const FIRST_YEAR: i16 = 1999;

/// The years of `{year}`: from this one to the current one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Years {
    /// The first one.
    pub from: i16,
}

/// The releases of `{release}`: those that an index lists.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// The http(s) address of the index: a web server's page of folders, one for each release, Bodhi's list of releases, or the
    /// catalog of Amazon's extras, whose topics are its releases.
    pub index: String,
    /// The first one that counts; those without a number (`edge`) always do.
    pub from: Option<ReleaseName>,
}

impl fmt::Display for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let index = self.index.split('?').next().unwrap_or_default();
        match &self.from {
            Some(from) => write!(f, "from {from} on, those that {index} lists"),
            None => write!(f, "those that {index} lists"),
        }
    }
}

/// The longest name of a topic; Amazon's have up to thirty characters.
const TOPIC_LENGTH: usize = 64;

/// The name of a release as indexes list them: `v3.24`, `edge`, `42`, of Amazon's extras `docker`, `kernel-5.10`. It becomes
/// part of addresses and folders, so it is nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ReleaseName(String);

impl ReleaseName {
    /// `None` when `text` does not name a release.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        (text == "edge" || numbers(text).is_some()).then(|| ReleaseName(text.to_owned()))
    }

    /// `None` when `text` does not name a topic.
    pub(crate) fn of_topic(text: &str) -> Option<Self> {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        (begins && text.len() <= TOPIC_LENGTH && text.bytes().all(is_part)).then(|| ReleaseName(text.to_owned()))
    }

    /// Whether it is `first` or a later one, or has no number.
    pub(crate) fn is_from(&self, first: &Self) -> bool {
        numbers(&self.0).is_none_or(|own| Some(own) >= numbers(&first.0))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// `v3.24` → 3, 24.
fn numbers(text: &str) -> Option<Vec<u16>> {
    let parts = text.strip_prefix('v').unwrap_or(text).split('.');
    parts.map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?).collect()
}

impl TryFrom<String> for ReleaseName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a release; write it as v3.18 or 42"))
    }
}

impl fmt::Display for ReleaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a row has a placeholder for, with the field that says what it stands for.
const PLACEHOLDERS: [(&str, &str); 2] = [("{year}", "years"), ("{release}", "releases")];

impl Feed {
    /// The feed of this year.
    pub(crate) fn of_year(&self, year: i16) -> Feed {
        Feed { years: None, ..self.with("{year}", &year.to_string()) }
    }

    /// The feed of this release.
    pub(crate) fn of_release(&self, release: &ReleaseName) -> Feed {
        Feed { releases: None, ..self.with("{release}", release.as_str()) }
    }

    fn with(&self, placeholder: &str, value: &str) -> Feed {
        let replace = |text: &String| text.replace(placeholder, value);
        let ecosystem = |ecosystem: &Ecosystem| Ecosystem::from(replace(&ecosystem.to_string()));
        Feed {
            name: replace(&self.name),
            url: self.url.as_ref().map(replace),
            ecosystems: self.ecosystems.iter().map(ecosystem).collect(),
            ..self.clone()
        }
    }

    /// Checks that the row's placeholders are those that its fields explain.
    ///
    /// # Errors
    /// With what is wrong and what to write.
    pub(super) fn check_placeholders(&self) -> Result<(), String> {
        let url = self.url.as_deref().unwrap_or_default();
        let explained = [self.years.is_some(), self.releases.is_some()];
        if explained == [true, true] {
            return Err("give either years or releases".to_owned());
        }
        for ((placeholder, field), explained) in PLACEHOLDERS.into_iter().zip(explained) {
            let ecosystems = self.ecosystems.iter().any(|ecosystem| ecosystem.to_string().contains(placeholder));
            match (explained, url.contains(placeholder), self.name.contains(placeholder)) {
                (true, false, _) => return Err(format!("{field} needs {placeholder} in its url")),
                (true, _, false) => return Err(format!("{placeholder} must be in its name too: each needs its own")),
                (false, true, _) | (false, _, true) => return Err(format!("{placeholder} needs {field} = {{ … }}")),
                (false, ..) if ecosystems => return Err(format!("{placeholder} needs {field} = {{ … }}")),
                _ => {}
            }
        }
        if self.years.as_ref().is_some_and(|years| years.from < FIRST_YEAR) {
            return Err(format!("years begin in {FIRST_YEAR} or later"));
        }
        let index = self.releases.as_ref().map(|releases| releases.index.as_str());
        if index.is_some_and(|index| !super::is_http(index)) {
            return Err("the index of releases is an http(s) address".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FeedsConfig;
    use std::path::Path;

    fn row(more: &str) -> Result<FeedsConfig, String> {
        let text = format!("[[feed]]\nformat = \"osv\"\n{more}");
        FeedsConfig::parse(&text, Path::new("feeds.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn placeholders_are_explained() {
        let check = |name: &str, url: &str, more: &str, expected: Option<&str>| {
            let result = row(&format!("name = \"{name}\"\nurl = \"https://{url}\"\n{more}"));
            match expected {
                Some(cause) => assert!(result.as_ref().is_err_and(|error| error.contains(cause)), "{result:?}"),
                None => assert!(result.is_ok(), "{result:?}"),
            }
        };
        let (years, releases) = ("years = { from = 2002 }", "releases = { index = \"https://a/\", from = \"v3.18\" }");
        check("a-{year}", "a/{year}.json", years, None);
        check("a-{release}", "a/{release}/x.json", releases, None);
        check(
            "a-{release}",
            "a/{release}",
            "releases = { index = \"https://a/\" }\necosystems = [\"A:{release}\"]",
            None,
        );
        check("a-{year}", "a/{year}.json", "", Some("feed a-{year}: {year} needs years = { … }"));
        check("a", "a/x", "ecosystems = [\"Alpine:{release}\"]", Some("{release} needs releases"));
        check("a", "a/{year}.json", years, Some("must be in its name too"));
        check("a-{year}", "a/x.json", years, Some("years needs {year} in its url"));
        check("a-{year}-{release}", "a/{year}/{release}", &format!("{years}\n{releases}"), Some("either years or"));
        check("a-{year}", "a/{year}", "years = { from = 202 }", Some("years begin in 1999"));
        check("a-{release}", "a/{release}", "releases = { index = \"a\" }", Some("an http(s) address"));
        check(
            "a-{release}",
            "a/{release}",
            "releases = { index = \"https://a\", from = \"x\" }",
            Some("write it as v3.18"),
        );
        let path = row("name = \"a-{year}\"\npath = \"{year}\"\nyears = { from = 2002 }");
        assert!(path.unwrap_err().contains("years needs {year} in its url"));
    }

    #[test]
    fn each_value_is_a_feed() {
        let text = "name = \"a-{release}-main\"\nurl = \"https://a/{release}/main.json\"\necosystems = [\"Alpine:{release}\", \"npm\"]\n\
                    releases = { index = \"https://a/\" }";
        let feed = row(text).unwrap().feeds.remove(0).of_release(&ReleaseName::parse("v3.24").unwrap());
        let ecosystems: Vec<String> = feed.ecosystems.iter().map(ToString::to_string).collect();
        assert_eq!((feed.name.as_str(), feed.location().as_str()), ("a-v3.24-main", "https://a/v3.24/main.json"));
        assert_eq!((ecosystems, feed.releases), (vec!["Alpine:v3.24".to_owned(), "npm".to_owned()], None));
        let text = "name = \"nvd-{year}\"\nurl = \"https://a/{year}.json\"\nyears = { from = 2002 }";
        assert_eq!(row(text).unwrap().feeds[0].of_year(2027).location(), "https://a/2027.json");
    }

    #[test]
    fn topics_are_parts_of_addresses_and_nothing_else() {
        for topic in ["docker", "kernel-5.10", "BCC", "lamp-mariadb10.2-php7.2", "R3.4", "42"] {
            assert_eq!(ReleaseName::of_topic(topic).unwrap().as_str(), topic);
        }
        for other in ["", ".", "..", "../a", "a/b", "a b", "a%2fb", "-a", "{release}", "ä", &"a".repeat(65)] {
            assert_eq!(ReleaseName::of_topic(other), None, "{other}");
        }
    }

    #[test]
    fn releases_are_named_and_ordered_by_their_numbers() {
        let check = |name: &str, from: &str, expected: Option<bool>| {
            let from = ReleaseName::parse(from).unwrap();
            assert_eq!(ReleaseName::parse(name).map(|name| name.is_from(&from)), expected, "{name}");
        };
        check("v3.9", "v3.18", Some(false));
        check("v3.18", "v3.18", Some(true));
        check("v3.100", "v3.18", Some(true));
        check("v4.0", "v3.18", Some(true));
        check("edge", "v3.18", Some(true));
        check("42", "41", Some(true));
        for other in ["", "v", "..", "v3.", "v3.18/", "V3.1", "v3.1-rc", "3.+1", "stable", "v3.99999999"] {
            check(other, "v3.18", None);
        }
    }
}
