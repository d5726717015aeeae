//! `feeds.toml`: which feeds make a database, and what each is complete for.

mod placeholder;

pub use placeholder::{ReleaseName, Releases, Years};

use crate::error::FeedError;
use crate::format::{FeedContext, FeedFormat};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tidewaiter_core::ecosystem::Ecosystem;

/// The feeds `kubectl scan db build` reads when none are named: the upstream addresses.
pub const DEFAULT: &str = include_str!("../default-feeds.toml");

/// All feeds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedsConfig {
    /// In order.
    #[serde(rename = "feed")]
    pub feeds: Vec<Feed>,
}

/// One feed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Its name, which findings carry.
    pub name: String,
    /// Its format.
    pub format: &'static FeedFormat,
    /// A directory, file or archive; relative to the file that names it. Exclusive with `url`.
    pub path: Option<PathBuf>,
    /// An http(s) address, maybe with a placeholder: then the row is a feed for each of its values. Exclusive with `path`.
    pub url: Option<String>,
    /// What `{year}` stands for.
    pub years: Option<Years>,
    /// What `{release}` stands for.
    pub releases: Option<Releases>,
    /// Ecosystems and releases (`Debian:12`, `npm`) it is complete for; `Alpine:*` is every release that it has rows of,
    /// `Alpine:{release}` that of the placeholder.
    #[serde(default)]
    pub ecosystems: Vec<Ecosystem>,
    /// Whether its records rate the vulnerabilities of these ecosystems.
    #[serde(default)]
    pub rates: bool,
    /// Whether its fixes are for subscribers of extended support: a version that has one is not vulnerable, and none is offered.
    #[serde(default)]
    pub paid: bool,
    /// Licence of the data.
    #[serde(default)]
    pub licence: String,
    /// Most bytes to download.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
}

fn is_http(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

fn max_bytes() -> u64 {
    // Bounds what a wrong address can write to a disk; a feed that is larger says so (`max_bytes`).
    2 << 30
}

impl Feed {
    /// What readers of its documents need to know.
    pub fn context(&self) -> FeedContext {
        // A reader needs names of releases.
        let named = self.ecosystems.iter().filter(|ecosystem| !ecosystem.is_every_release());
        FeedContext { name: self.name.clone(), ecosystems: named.cloned().collect() }
    }

    /// Path or URL, as the user wrote it.
    pub fn location(&self) -> String {
        match (&self.path, &self.url) {
            (Some(path), _) => path.display().to_string(),
            (_, Some(url)) => url.clone(),
            _ => String::new(),
        }
    }
}

impl FeedsConfig {
    /// Reads `text`, the content of `path`; relative paths become relative to its folder.
    ///
    /// # Errors
    /// With the line at fault.
    pub fn parse(text: &str, path: &Path) -> Result<Self, FeedError> {
        let error = |cause: String| FeedError::Config { path: path.to_owned(), cause };
        let mut config: FeedsConfig = toml::from_str(text).map_err(|e| error(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for feed in &mut config.feeds {
            match (&feed.path, &feed.url) {
                (Some(relative), None) => feed.path = Some(folder.join(relative)),
                (None, Some(url)) if is_http(url) => {}
                _ => return Err(error(format!("feed {}: give either path or an http(s) url", feed.name))),
            }
            feed.check_placeholders().map_err(|cause| error(format!("feed {}: {cause}", feed.name)))?;
        }
        // The name is the folder of its downloads and what findings carry: two feeds of one name would be mixed up.
        let mut names: Vec<&str> = config.feeds.iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(error(format!("two feeds are named {}", pair[0])));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_parses() {
        assert!(FeedsConfig::parse(DEFAULT, Path::new("default")).unwrap().feeds.len() > 5);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |text: &str, expected: &str| {
            let error = FeedsConfig::parse(text, Path::new("feeds.toml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("[[feed]]\nname = \"a\"\nformat = \"osv\"\npth = \"x\"\n", "pth");
        check("[[feed]]\nname = \"a\"\nformat = \"osv\"\n", "give either path or");
        check("[[feed]]\nname = \"a\"\nformat = \"csv\"\npath = \"x\"\n", "unknown format \"csv\"; write one of osv, ");
        let twice = "[[feed]]\nname = \"a\"\nformat = \"osv\"\npath = \"x\"\n".repeat(2);
        check(&twice, "two feeds are named a");
    }
}
