//! Programs that no package manager installed, detected by a file's name and by text inside it ([`table`]).

mod mark;
mod table;

use super::ParsedFile;
use super::pattern::split;
use mark::Mark;
use memchr::memmem;
use std::borrow::Cow;
use std::sync::LazyLock;
use table::{PROGRAMS, Program};
use tidewaiter_core::package::{Package, PackageType};

/// In a mark, the version in the file's name.
const FILE: &str = "{file}";

/// The kind of file that a row of the table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramFile {
    /// ELF, PE or Mach-O.
    Executable,
    /// A Java archive, detected by its name alone.
    Archive,
    /// Anything else, read because of its name.
    Text,
}

/// The programs that are known without a package manager: the name, and ends of paths (`*` is anything in one name, `{}`
/// a version).
pub fn programs() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    PROGRAMS.iter().map(|program| (program.name, program.files))
}

/// Whether a file is read because of its name.
pub(super) fn wants(path: &str) -> bool {
    rows(path, ProgramFile::Text).next().is_some()
}

/// Reads a file that is wanted by its name.
pub(super) fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let mut search = ProgramSearch::new(path, ProgramFile::Text);
    search.part(bytes);
    ParsedFile { packages: search.packages(), ..ParsedFile::default() }
}

/// The rows whose file this may be, each with the version in the file's name.
fn rows(path: &str, kind: ProgramFile) -> impl Iterator<Item = (&'static Program, &str)> {
    let first = split(path).1.bytes().next().unwrap_or_default();
    let some = BY_FIRST.get(usize::from(first)).map(Vec::as_slice).unwrap_or_default();
    some.iter().copied().filter(move |program| program.kind == kind).filter_map(move |program| {
        let version = program.files.iter().find_map(|pattern| mark::fits(pattern, path))?;
        Some((program, version))
    })
}

/// The table by the first byte of the file's name: every file of an image is looked up.
static BY_FIRST: LazyLock<Vec<Vec<&'static Program>>> = LazyLock::new(|| {
    (0..=u8::MAX).map(|first| PROGRAMS.iter().filter(|program| may_begin(program, first)).collect()).collect()
});

/// Whether one of the program's files may have a name with this first byte.
fn may_begin(program: &Program, first: u8) -> bool {
    let mut names = program.files.iter().filter_map(|pattern| pattern.rsplit('/').next()?.bytes().next());
    names.any(|byte| byte == first || matches!(byte, b'*' | b'{'))
}

/// Searches a file for the programs that it may be, whole or window by window.
pub(super) struct ProgramSearch<'p> {
    candidates: Vec<Candidate<'p>>,
}

/// A program that a file may be, by its name.
struct Candidate<'p> {
    program: &'static Program,
    /// The version in the file's name.
    named: &'p str,
    /// The version, and which of the program's marks it is next to: the first one counts, in whichever window it is.
    found: Option<(usize, String)>,
    /// Whether the program's sign was found.
    signed: bool,
}

impl<'p> ProgramSearch<'p> {
    pub(super) fn new(path: &'p str, kind: ProgramFile) -> Self {
        let candidates = rows(path, kind).map(|(program, named)| Candidate::new(program, named));
        ProgramSearch { candidates: candidates.collect() }
    }

    /// Searches the next part.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.candidates.iter_mut().for_each(|candidate| candidate.search(bytes));
    }

    /// What was found. A file that is one of the programs by its name and by its sign, and has no version, is a package
    /// without one: it cannot be matched, which is a gap of the report unless the operating system answers for the file.
    pub(super) fn packages(self) -> Vec<Package> {
        // `mysqld` is that of MariaDB or of MySQL: with a version, it is known which.
        let known = self.candidates.iter().any(|candidate| candidate.found.is_some());
        let found = self.candidates.into_iter().filter_map(|candidate| match candidate.found {
            Some((_, version)) => Some((candidate.program, version)),
            None => (candidate.signed && !known).then(|| (candidate.program, String::new())),
        });
        found.map(|(program, version)| Package::new(PackageType::Generic, program.name, version)).collect()
    }
}

impl<'p> Candidate<'p> {
    fn new(program: &'static Program, named: &'p str) -> Self {
        let version = program.marks.is_empty().then(|| mark::version(named)).flatten();
        let found = version.filter(|version| is_long(version, program)).map(|version| (0, version));
        Candidate { program, named, found, signed: false }
    }

    fn search(&mut self, bytes: &[u8]) {
        let better = self.found.as_ref().map_or(self.program.marks.len(), |(mark, _)| *mark);
        let mut marks = self.program.marks.iter().take(better).enumerate();
        let first = marks.find_map(|(at, mark)| Some((at, marked_version(mark, self.program, self.named, bytes)?)));
        self.found = first.or(self.found.take());
        if self.found.is_none() && !self.signed {
            self.signed = self.program.sign.is_some_and(|sign| memmem::find(bytes, sign.as_bytes()).is_some());
        }
    }
}

/// The version next to a mark of a program whose file is named `named`.
fn marked_version(mark: &str, program: &Program, named: &str, bytes: &[u8]) -> Option<String> {
    let captured = mark.contains(FILE);
    let text = if captured { Cow::Owned(mark.replace(FILE, named)) } else { Cow::Borrowed(mark) };
    // The version in the file's name and the dot after it are the beginning of the whole one.
    let own = if captured { named.len() + 1 } else { 0 };
    let mark = Mark::of(&text, own)?;
    mark.versions(bytes).find(|version| is_long(version, program))
}

/// Whether a version has as many numbers as the program's versions have: `Apache/2.4` is not one.
fn is_long(version: &str, program: &Program) -> bool {
    let numbers = version.split('-').next().unwrap_or_default();
    numbers.split('.').count() >= program.numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, kind: ProgramFile, bytes: &[u8], expected: &[&str]) {
        let mut search = ProgramSearch::new(path, kind);
        search.part(bytes);
        let found: Vec<String> = search.packages().iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn programs_by_their_text() {
        let check =
            |path: &str, text: &str, expected: &[&str]| check(path, ProgramFile::Executable, text.as_bytes(), expected);
        check("usr/local/bin/node", "x\0node.js/v20.11.1\0x", &["node 20.11.1"]);
        check("usr/local/bin/nodes", "x\0node.js/v20.11.1\0x", &[]);
        check("usr/local/bin/python3.12", "\x003.1.2\x003.12.1\0", &["python 3.12.1"]);
        check("usr/local/lib/libpython3.13.so.1.0", "\x003.13.0rc1\0", &["python 3.13.0-rc1"]);
        check("usr/local/lib/libpython3.6m.so.1.0", "\x003.6.15\0", &["python 3.6.15"]);
        check("usr/local/bin/ruby", "for ruby 1.8)\0ruby 3.1.2p20 (2022-04-12", &["ruby 3.1.2"]);
        check("usr/sbin/nginx", "\0nginx version: nginx/1.25.3\n\0", &["nginx 1.25.3"]);
        check("usr/sbin/nginx", "\0nginx version: openresty/1.25.3.1\n\0", &["openresty 1.25.3"]);
        check("usr/local/apache2/bin/httpd", "Apache/2.4\0Apache/2.4.58 (Unix)", &["apache 2.4.58"]);
        check("usr/local/bin/redis-cli", "\x007.0.0\0x\x007.2.4\0 (git:%s\0", &["redis 7.2.4"]);
        check("usr/bin/valkey-benchmark", "\x009.1.2\x0000000000\0 (git:%s\0", &["valkey 9.1.2"]);
        check("usr/local/bin/php", "X-Powered-By: PHP/8.3.2\0", &["php 8.3.2"]);
        check("usr/local/bin/postgres", "to PostgreSQL 9.1.\0PostgreSQL 16.1 (Debian", &["postgresql 16.1"]);
        check("usr/sbin/mariadbd", "\x0011.2.2-MariaDB\0", &["mariadb 11.2.2"]);
        check(
            "usr/local/sbin/haproxy",
            "HAProxy version 2.5.\n version 2.9.4-4e071ad, released 2024",
            &["haproxy 2.9.4"],
        );
        check("usr/sbin/varnishd", "\0(varnish-7.1.1 revision 7cee", &["varnish 7.1.1"]);
        check("usr/local/bin/envoy", "\0a1b2/1.29.1/Clean/RELEASE/BoringSSL\0", &["envoy 1.29.1"]);
        check("usr/local/bin/envoy", "\x001.0.0\x006.0.0\0x\x001.40.0\0 so a non-default", &["envoy 1.40.0"]);
        check("usr/bin/mongod", "\0%s\x006.0.27\0tcmalloc\0", &["mongodb 6.0.27"]);
        check("usr/bin/mongod", "\x007.0.28\0heap_size\0", &["mongodb 7.0.28"]);
        check("usr/bin/mongos", "\x008.0.17\0\0cppdefines\0", &["mongodb 8.0.17"]);
        check("usr/bin/openssl", "\0OpenSSL 1.1.1w  11 Sep 2023\0", &["openssl 1.1.1w"]);
        check("bin/bash", "@(#)Bash version 5.2.15(1) release GNU", &["bash 5.2.15"]);
        check("usr/bin/deno", "OTLP-Exporter-Deno/0.80.0x Deno/2.9.6Deno/2.9.6+e518fbd", &["deno 2.9.6"]);
        check("usr/lib/ghc/bin/ghc", "libHSbase-4.15.1.0-ghc9.0.2.so\0", &["ghc 9.0.2"]);
        check("opt/julia/lib/libjulia.so.1.9.3", "", &["julia 1.9.3"]);
        check("usr/lib/libjulia.so.1.5", "option `%s`\x001.5.3\0julia version %s", &["julia 1.5.3"]);
        check("usr/local/bin/node", "", &[]);
    }

    #[test]
    fn programs_without_a_version() {
        let check =
            |path: &str, text: &str, expected: &[&str]| check(path, ProgramFile::Executable, text.as_bytes(), expected);
        check("usr/bin/mongod", "\0MongoDB starting\0", &["mongodb "]);
        check("usr/local/bin/envoy", "envoy.config.bootstrap.v3.Bootstrap", &["envoy "]);
        check("usr/sbin/nginx", "nginx version: custom\0ngx_http_core_module", &["nginx "]);
        // Another row of the same file knows.
        check("usr/sbin/nginx", "ngx_http\0nginx version: openresty/1.25.3.1\0", &["openresty 1.25.3"]);
        check("usr/sbin/mysqld", "innodb_\0MariaDB\x0011.2.2-MariaDB\0", &["mariadb 11.2.2"]);
        check("usr/sbin/mysqld", "innodb_buffer_pool_size\0", &["mysql "]);
        // Wrappers, launchers, and libraries of a similar name.
        check("usr/bin/node", "libnode.so.108", &[]);
        check("usr/bin/redis-cli", "exec redis", &[]);
        check("usr/bin/named", "dnsmasq", &[]);
        check("usr/lib/libphpcpp.so.2.2", "zend_parse_parameters", &[]);
        check("usr/bin/mongo", "MongoDB shell", &[]);
        let script = ProgramSearch::new("usr/bin/mongod", ProgramFile::Text);
        assert!(script.candidates.is_empty());
    }

    #[test]
    fn the_first_mark_counts_in_whichever_window_it_is() {
        let mut search = ProgramSearch::new("usr/bin/deno", ProgramFile::Executable);
        search.part(b"OTel-OTLP-Exporter-Deno/0.82.0grpc-timeout DENO_DIR");
        search.part(b"Deno/2.9.8Deno/2.9.8+fe7ed01");
        search.part(b"Deno/1.1.1");
        let found: Vec<String> = search.packages().into_iter().map(|package| package.version).collect();
        assert_eq!(found, ["2.9.8"]);
    }

    #[test]
    fn programs_by_their_files() {
        let text = |path: &str, text: &str, expected: &[&str]| {
            assert!(wants(path), "{path}");
            check(path, ProgramFile::Text, text.as_bytes(), expected);
        };
        text("opt/java/openjdk/release", "JAVA_VERSION=\"17.0.10\"\n", &["java 17.0.10"]);
        text("opt/java/openjdk/release", "JAVA_VERSION=\"1.8.0_402\"\n", &["java 8.0.402"]);
        text("opt/java/openjdk/release", "JAVA_VERSION=\"17.0.4.1\"\n", &["java 17.0.4"]);
        text("opt/java/openjdk/release", "JAVA_VERSION=\"21\"\n", &["java 21"]);
        text("usr/local/lib/erlang/releases/26/OTP_VERSION", "26.2.1\n", &["erlang 26.2.1"]);
        text("opt/gitlab/embedded/service/gitlab-rails/VERSION", "16.7.0-ee\n", &["gitlab 16.7.0"]);
        text("usr/src/wordpress/wp-includes/version.php", "$wp_version = '6.4.3';", &["wordpress 6.4.3"]);
        text("opt/drupal/web/core/lib/Drupal.php", "  const VERSION = '10.2.3';", &["drupal 10.2.3"]);
        text("usr/local/tomcat/RELEASE-NOTES", " Apache Tomcat Version 10.1.18\n", &["tomcat 10.1.18"]);
        text("usr/share/kibana/package.json", "{\"name\": \"kibana\",\n\"version\": \"8.12.0\"}", &["kibana 8.12.0"]);
        let dotnet = "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json";
        text(dotnet, "{}", &["dotnet 8.0.1"]);
        let archive = |path: &str, expected: &[&str]| check(path, ProgramFile::Archive, b"", expected);
        archive("opt/kafka/libs/kafka_2.13-3.6.1.jar", &["kafka 3.6.1"]);
        archive("usr/share/elasticsearch/lib/elasticsearch-8.12.0.jar", &["elasticsearch 8.12.0"]);
        archive("app/lib/other-8.12.0.jar", &[]);
        archive("usr/local/jetty/lib/jetty-server-12.0.5.jar", &["jetty 12.0.5"]);
        archive("usr/local/jetty/lib/jetty-server-9.4.53.v20231009.jar", &["jetty 9.4.53"]);
        archive("opt/sonarqube/lib/sonar-application-10.3.0.82913.jar", &["sonarqube 10.3.0"]);
        archive("opt/flink/lib/flink-dist-1.18.1.jar", &["flink 1.18.1"]);
        text("opt/couchdb/lib/couch-3.3.3/ebin/couch.app", "", &["couchdb 3.3.3"]);
        text(
            "usr/local/lib/elixir/lib/elixir/ebin/elixir.app",
            "{application,elixir,\n [{vsn,\"1.16.0\"},",
            &["elixir 1.16.0"],
        );
        text("var/lib/ghost/versions/5.79.0/package.json", "{}", &["ghost 5.79.0"]);
        assert!(!wants("usr/share/doc/release.txt") && !wants("release/notes"));
    }

    #[test]
    fn every_row_can_be_evaluated() {
        for program in PROGRAMS {
            assert!(!program.files.is_empty() && program.numbers > 0, "{}", program.name);
            for mark in program.marks {
                assert!(Mark::of(mark, 0).is_some_and(|mark| mark.is_selective()), "{}: {mark:?}", program.name);
            }
            let named = program.files.iter().all(|file| file.contains("{}"));
            assert!(named || !program.marks.is_empty(), "{}", program.name);
            let captured = program.marks.iter().filter(|mark| mark.contains(FILE));
            let begins = captured.clone().all(|mark| mark.contains("{file}.{}"));
            assert!(begins && (named || captured.count() == 0), "{}", program.name);
        }
    }
}
