//! Gems that Bundler took from repositories and folders, which no `specifications` directory names (Bundler, "How to install
//! gems from git repositories"; `gemfile.lock(5)`).

use super::super::ParsedFile;
use super::super::analyzer::Analyzer;
use super::super::listing::Listing;
use super::super::parsed::failed;
use super::{assigned, stub};
use crate::path;
use tidewaiter_core::package::PackageType::Gem;

/// Bundler clones a repository to `bundler/gems/NAME-REVISION` or `vendor/cache/NAME-REVISION`, and writes each gemspec in it
/// again, evaluated and with a stub line. It looks no deeper than these patterns (`{,*,*/*}.gemspec`).
pub(in crate::analyze) const CHECKOUTS: Analyzer = Analyzer {
    name: "Ruby gems of git repositories",
    files: &[
        "**/bundler/gems/*-*/*.gemspec",
        "**/bundler/gems/*-*/*/*.gemspec",
        "**/bundler/gems/*-*/*/*/*.gemspec",
        "**/vendor/cache/*-*/*.gemspec",
        "**/vendor/cache/*-*/*/*.gemspec",
        "**/vendor/cache/*-*/*/*/*.gemspec",
    ],
    types: &[Gem],
    version: 1,
    accepts: is_checkout,
    read: checkout,
};

/// Only what is from a folder is read of a lock file: everything else names its gem where it is installed.
pub(in crate::analyze) const LOCK: Analyzer = Analyzer {
    name: "Ruby gems of folders",
    files: &["**/Gemfile.lock", "**/gems.locked"],
    types: &[Gem],
    version: 1,
    accepts: is_project,
    read: lock,
};

/// The directory of the checkout that a gemspec is in, and how many directories deeper it is.
fn checkout_of(path: &str) -> Option<(&str, usize)> {
    let below = ["bundler/gems/", "vendor/cache/"].iter().filter_map(|dir| path.rsplit_once(dir)).map(|(_, rest)| rest);
    let (name, rest) = below.min_by_key(|rest| rest.len())?.split_once('/')?;
    Some((name, rest.matches('/').count()))
}

/// Whether the directory is named by a revision: gems from elsewhere are unpacked next to it under their version.
fn is_checkout(path: &str) -> bool {
    let revision = checkout_of(path).and_then(|(name, _)| name.rsplit_once('-')).map_or("", |(_, revision)| revision);
    !revision.is_empty() && revision.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Gemspecs below the root of a checkout that Bundler did not write are fixtures of its tests.
fn checkout(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let literal = || assigned(&text, "name").zip(assigned(&text, "version"));
    let Some((name, version)) = stub(&text).or_else(literal) else {
        let is_root = checkout_of(path).is_some_and(|(_, depth)| depth == 0);
        return match is_root {
            true => failed(path, "it does not name a gem and its version in plain words"),
            false => ParsedFile::default(),
        };
    };
    let mut listing = Listing::new(path);
    listing.add(Gem, name, version);
    listing.done()
}

/// Installed gems have lock files of their own development, which are not used there.
fn is_project(path: &str) -> bool {
    !format!("/{}/", path::split(path).0).contains("/gems/")
}

/// The gems of the section `PATH`: four spaces, the name, and the version in parentheses.
fn lock(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let mut listing = Listing::new(path);
    let mut section = "";
    for line in text.lines() {
        if !line.starts_with(' ') {
            section = line.trim_end();
        }
        let spec = line.strip_prefix("    ").filter(|rest| section == "PATH" && !rest.starts_with(' '));
        if let Some((name, version)) = spec.and_then(|spec| spec.trim_end().strip_suffix(')')?.split_once(" (")) {
            listing.own(Gem, name, version);
        }
    }
    listing.done()
}

#[cfg(test)]
mod tests {
    use super::super::super::listing::summary;
    use super::super::super::wants;
    use super::*;

    #[test]
    fn checkouts_are_installed_gems() {
        let check = |path: &str, text: &str, expected: &str, gaps: usize| {
            assert!(wants(path), "{path}");
            assert_eq!(summary(&checkout(path, text.as_bytes())), (expected.to_owned(), gaps), "{path} {text}");
        };
        let gems = "app/vendor/bundle/ruby/3.1.0/bundler/gems";
        let written = "# -*- encoding: utf-8 -*-\n# stub: rack 2.2.3 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \
                       \"rack\".freeze\n  s.version = \"2.2.3\".freeze\nend\n";
        check(&format!("{gems}/gem-0f4c21d8b5a3/rack.gemspec"), written, "rack 2.2.3", 0);
        check(&format!("{gems}/rails-0f4c21d8b5a3/activejob/rack.gemspec"), written, "rack 2.2.3", 0);
        check("app/vendor/cache/gem-0f4c21d8b5a3/rack.gemspec", written, "rack 2.2.3", 0);
        let source = "Gem::Specification.new do |s|\n  s.name = 'rack'\n  s.version = Rack::RELEASE\nend\n";
        check(&format!("{gems}/gem-0f4c21d8b5a3/rack.gemspec"), source, "", 1);
        check(&format!("{gems}/gem-0f4c21d8b5a3/spec/a/rack.gemspec"), source, "", 0);
        assert!(!wants("app/vendor/cache/rack-2.2.3/rack.gemspec"));
        assert!(!wants(&format!("{gems}/gem-0f4c21d8b5a3/a/b/c/rack.gemspec")));
    }

    #[test]
    fn gems_of_folders_are_own_code() {
        let check = |text: &str, expected: &str| {
            assert_eq!(summary(&lock("app/Gemfile.lock", text.as_bytes())), (expected.to_owned(), 0), "{text}");
        };
        let rest = "GEM\n  remote: https://rubygems.org/\n  specs:\n    rack (2.2.3)\n\nDEPENDENCIES\n  core!\n";
        let path = "PATH\n  remote: engines/core\n  specs:\n    core (0.1.0)\n      rack (>= 2)\n\n";
        check(&format!("{path}{rest}"), "core 0.1.0 (own)");
        check(rest, "");
        check("", "");
        assert!(wants("app/Gemfile.lock") && wants("Gemfile.lock") && wants("app/gems.locked"));
        assert!(!wants("usr/lib/ruby/gems/3.1.0/gems/rack-2.2.3/Gemfile.lock"));
    }
}
