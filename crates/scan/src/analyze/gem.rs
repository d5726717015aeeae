//! Ruby gems: the specification that RubyGems writes for each installed gem (rubygems `Gem::Specification#to_ruby`).

pub(super) mod bundler;

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::Listing;
use super::parsed::failed;
use tidewaiter_core::package::PackageType;

/// Only `specifications` directories of a gem home name what is installed; other gemspecs are sources of gems.
pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Ruby gems",
    files: &["**/specifications/*.gemspec", "**/specifications/default/*.gemspec"],
    types: &[PackageType::Gem],
    version: 1,
    accepts: all,
    read: parse,
};

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let text = String::from_utf8_lossy(bytes);
    let stub = stub(&text);
    let name = assigned(&text, "name").or(stub.map(|(name, _)| name));
    let version = assigned(&text, "version").or(stub.map(|(_, version)| version));
    let (Some(name), Some(version)) = (name, version) else {
        return failed(path, "it does not name a gem and its version in plain words");
    };
    let mut listing = Listing::new(path);
    listing.add(PackageType::Gem, name, version);
    listing.done()
}

/// `# stub: NAME VERSION PLATFORM PATHS`, which RubyGems reads instead of running the file.
fn stub(text: &str) -> Option<(&str, &str)> {
    let mut words = text.lines().find_map(|line| line.strip_prefix("# stub: "))?.split(' ');
    Some((words.next()?, words.next()?))
}

/// What the first `VARIABLE.FIELD = VALUE` assigns, where that is a literal. The platform is a field of its own.
fn assigned<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| assigned_in(line, field))
}

fn assigned_in<'a>(line: &'a str, field: &str) -> Option<&'a str> {
    let (left, right) = line.split_once('=')?;
    let (variable, name) = left.trim().split_once('.')?;
    let is_plain = variable.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_plain && name == field).then(|| literal(right.trim())).flatten()
}

/// `"x".freeze`, `'x'`, `%q{x}`, and `Gem::Version.new("x")` around any of them.
fn literal(value: &str) -> Option<&str> {
    let value =
        ["Gem::Version.new(", "Gem::Version.create("].iter().find_map(|c| value.strip_prefix(c)).unwrap_or(value);
    let value = value.trim_start();
    let (rest, end) = match value.strip_prefix("%q{") {
        Some(rest) => (rest, '}'),
        None => {
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            (value.get(1..)?, quote)
        }
    };
    let text = rest.split_once(end)?.0;
    // A computed value is not known: `"#{version}"`.
    (!text.is_empty() && !text.contains(['#', '\\', ' '])).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn only_installed_gems_are_wanted() {
        let check = |path: &str, expected: bool| assert_eq!(wants(path), expected, "{path}");
        check("usr/lib/ruby/gems/3.1.0/specifications/rack-2.2.3.gemspec", true);
        check("usr/lib/ruby/gems/3.1.0/specifications/default/json-2.6.1.gemspec", true);
        check("usr/share/rubygems-integration/all/specifications/rake-13.0.6.gemspec", true);
        check("usr/lib/ruby/gems/3.1.0/gems/rack-2.2.3/rack.gemspec", false);
        check("app/rack.gemspec", false);
        check("my-specifications/rack-1.gemspec", false);
        check("rack.gemspec", false);
    }

    #[test]
    fn specifications_become_gems() {
        let check = |text: &str, expected: &str, gaps: usize| {
            assert_eq!(summary(&parse("x.gemspec", text.as_bytes())), (expected.to_owned(), gaps), "{text}");
        };
        let spec = |body: &str| format!("# -*- encoding: utf-8 -*-\n\nGem::Specification.new do |s|\n{body}end\n");
        check(&spec("  s.name = \"rack\".freeze\n  s.version = \"2.2.3\"\n"), "rack 2.2.3", 0);
        check(&spec("  s.name = 'a'\n  s.version = Gem::Version.new(\"1.0.rc1\")\n"), "a 1.0.rc1", 0);
        check(&spec("  s.name = %q{a}\n  s.version = Gem::Version.new(%q{1})\n"), "a 1", 0);
        check(&spec("  gem.name     = \"a\"\n  gem.version  = '1'\n"), "a 1", 0);
        check("# stub: nokogiri 1.16.2 x86_64-linux lib\n# stub: ext/x\n", "nokogiri 1.16.2", 0);
        let platform = "  s.name = \"a\"\n  s.version = \"1\"\n  s.platform = \"x86_64-linux\"\n";
        check(&spec(&format!("  s.required_rubygems_version = \">= 0\"\n{platform}")), "a 1", 0);
        check(&format!("# stub: a 1 ruby lib\n{}", spec("  s.name = \"a\"\n  s.version = A::VERSION\n")), "a 1", 0);
        check(&spec("  s.name = \"a\"\n  s.version = \"#{A}\"\n"), "", 1);
        check(&spec("  s.name = \"a\"\n"), "", 1);
        check("", "", 1);
        assert_eq!(parse("x", b"# stub: \xff 1 ruby lib\n").gaps.len(), 1);
    }
}
