//! The table of programs.
//!
//! To add a program, add a row:
//! - `name`: Bitnami's name of the component, where it has one (its advisories use that name), else the project's;
//! - `kind`: what the file is ([`ProgramFile`]). Text files are read because of their name, so it must be distinctive;
//! - `files`: ends of paths. `*` is anything in one name, `{}` is a version;
//! - `marks`: text in the file around the version, `before{}after`; the first one that is found counts. `{file}` is the
//!   version in the file's name. Text should be in every build of the program and not in others: a user agent, the
//!   answer to `--version`; `^` is the beginning of the file. Without marks the version is the one in the file's name;
//!   `{1.##.}` is a version that begins like this (`#` is a digit), where text around it does not tell it from others;
//! - `numbers`: how many numbers its versions have at least, so that `Apache/2.4` is not taken for `Apache/2.4.58`;
//! - `signed`: text that every build of the program has, whatever its version is written like, and that no other program
//!   of that name has. A file with the name and the sign and without a version makes a report incomplete, so a row has
//!   none where libraries or wrappers share the name.
//!
//! Programs written in Go need no row: their build info is better evidence.

use super::ProgramFile;

/// A row.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) kind: ProgramFile,
    pub(super) files: &'static [&'static str],
    pub(super) marks: &'static [&'static str],
    pub(super) numbers: usize,
    pub(super) sign: Option<&'static str>,
}

impl Program {
    const fn signed(self, sign: &'static str) -> Self {
        Program { sign: Some(sign), ..self }
    }
}

const fn executable(
    name: &'static str,
    files: &'static [&'static str],
    marks: &'static [&'static str],
    numbers: usize,
) -> Program {
    Program { name, kind: ProgramFile::Executable, files, marks, numbers, sign: None }
}

const fn archive(name: &'static str, files: &'static [&'static str]) -> Program {
    Program { name, kind: ProgramFile::Archive, files, marks: &[], numbers: 2, sign: None }
}

const fn text(
    name: &'static str,
    files: &'static [&'static str],
    marks: &'static [&'static str],
    numbers: usize,
) -> Program {
    Program { name, kind: ProgramFile::Text, files, marks, numbers, sign: None }
}

pub(super) const PROGRAMS: &[Program] = &[
    // Languages.
    executable("node", &["node", "nodejs", "libnode.so*"], &["node.js/v{}", "/node-v{}.tar.gz"], 3)
        .signed("NODE_OPTIONS"),
    executable("deno", &["deno"], &["Deno/{}+", "Deno/{}"], 3).signed("DENO_DIR"),
    executable(
        "python",
        &["python{}", "python{}m", "libpython{}.so*", "libpython{}m.so*"],
        &["\0{file}.{}\0", "/Python-{file}.{}\0"],
        3,
    ),
    executable("ruby", &["ruby", "ruby{}", "libruby*.so*"], &["ruby {} ("], 3),
    executable("php", &["php", "php{}", "php-fpm*", "php-cgi*", "libphp*.so*"], &["X-Powered-By: PHP/{}"], 3)
        .signed("PHP_INI_SCAN_DIR"),
    executable("perl", &["perl", "perl{}", "libperl.so*"], &["/perl5/{}\0", "/perl/{}\0", "/perl5/{}/"], 3),
    executable("lua", &["lua", "lua{}", "liblua*.so*"], &["Lua {}  Copyright"], 3),
    executable("rust", &["rustc", "librustc_driver-*.so"], &["rustc version {}"], 3),
    executable("julia", &["libjulia.so.{}"], &[], 3),
    executable("julia", &["libjulia*.so*"], &["\0{}\0julia version %s", "__init__\0{}\0verify"], 3),
    text("java", &["release"], &["JAVA_VERSION=\"1.{}\"", "JAVA_VERSION=\"{}\""], 1),
    text("erlang", &["releases/*/OTP_VERSION"], &["^{}"], 1),
    text("elixir", &["elixir/ebin/elixir.app"], &["{vsn,\"{}\"}", "{vsn, \"{}\"}"], 3),
    executable("ghc", &["bin/ghc", "bin/ghc-{}"], &["-ghc{}.so"], 3),
    text("dotnet", &["shared/Microsoft.NETCore.App/{}/Microsoft.NETCore.App.deps.json"], &[], 3),
    text("aspnet-core", &["shared/Microsoft.AspNetCore.App/{}/Microsoft.AspNetCore.App.deps.json"], &[], 3),
    text("composer", &["bin/composer", "bin/composer.phar"], &["const VERSION = '{}'"], 3),
    // Web servers and proxies.
    executable("nginx", &["nginx", "nginx-debug"], &["nginx version: nginx/{}"], 3).signed("ngx_"),
    executable("openresty", &["nginx", "openresty"], &["nginx version: openresty/{}"], 3),
    executable("apache", &["httpd", "apache2"], &["Apache/{}"], 3).signed("mod_so.c"),
    executable("haproxy", &["haproxy"], &[" version {}, released 20"], 3).signed("haproxy.org"),
    // Its version is joined with the commit and the kind of build only when it runs.
    executable("envoy", &["envoy"], &["/{}/Clean/RELEASE", "\0{1.##.}\0"], 3).signed("envoy.config.bootstrap"),
    executable("lighttpd", &["lighttpd"], &["lighttpd/{}"], 3).signed("server.document-root"),
    executable("varnish", &["varnishd"], &["varnish-{} revision"], 3).signed("VCL"),
    executable("squid", &["squid", "squid-gnutls", "squid-openssl"], &["squid/{}\0"], 2).signed("squid.conf"),
    text("tomcat", &["RELEASE-NOTES"], &["Apache Tomcat Version {}"], 3),
    // Databases, caches, queues.
    executable(
        "postgresql",
        &["postgres", "psql"],
        &["psql (PostgreSQL) {}", "PostgreSQL {} (", "PostgreSQL {} on "],
        2,
    )
    .signed("pg_catalog"),
    executable("mariadb", &["mariadbd", "mysqld", "mariadb", "mysql"], &["\0{}-MariaDB"], 3).signed("MariaDB"),
    executable("mysql", &["mysqld"], &["/mysql-{}/"], 3).signed("innodb_"),
    executable("mysql-client", &["mysql"], &["/mysql-{}/"], 3),
    executable("redis", &["redis-cli", "redis-benchmark"], &["\0{}\0 (git:%s", "\0{}\x0000000000\0 (git:%s"], 3)
        .signed("REDISCLI_AUTH"),
    executable("valkey", &["valkey-cli", "valkey-benchmark"], &["\0{}\0 (git:%s", "\0{}\x0000000000\0 (git:%s"], 3)
        .signed("valkey-cli"),
    executable("keydb", &["keydb-cli", "keydb-benchmark"], &["\0{}\0 (git:%s"], 3),
    // Next to its version are names of its build info: the allocator's, or what comes after where that is elsewhere.
    executable(
        "mongodb",
        &["mongod", "mongos"],
        &[
            "\0{}\0tcmalloc",
            "\0{}\0heap_size",
            "\0{}\0\0heap_size",
            "\0{}\0\0\0heap_size",
            "\0{}\0cppdefines",
            "\0{}\0\0cppdefines",
            "\0{}\0\0\0cppdefines",
        ],
        3,
    )
    .signed("MongoDB"),
    executable("memcached", &["memcached"], &["memcached {}"], 3).signed("slabs"),
    executable("pgbouncer", &["pgbouncer"], &["PgBouncer {}\0"], 3).signed("auth_query"),
    executable("pgpool", &["pgpool"], &["\0{}\0pgpool-II"], 3).signed("pgpool.conf"),
    text("rabbitmq", &["plugins/rabbit-{}/ebin/rabbit.app"], &[], 3),
    archive("activemq", &["lib/activemq-broker-{}.jar"]),
    archive("cassandra", &["lib/apache-cassandra-{}.jar"]),
    text("couchdb", &["lib/couch-{}/ebin/couch.app"], &[], 3),
    archive("elasticsearch", &["elasticsearch*/lib/elasticsearch-{}.jar"]),
    archive("flink", &["lib/flink-dist-{}.jar"]),
    archive("jetty", &["lib/jetty-server-{}*.jar"]),
    archive("kafka", &["libs/kafka_*-{}.jar"]),
    archive("neo4j", &["lib/neo4j-kernel-{}.jar"]),
    archive("solr", &["WEB-INF/lib/solr-core-{}.jar"]),
    archive("sonarqube", &["lib/sonar-application-{}*.jar"]),
    archive("spark", &["jars/spark-core_*-{}.jar"]),
    archive("zookeeper", &["*zookeeper*/lib/zookeeper-{}.jar"]),
    text("kibana", &["kibana/package.json"], &["\"version\": \"{}\"", "\"version\":\"{}\""], 3),
    text("logstash", &["logstash/logstash-core/versions-gem-copy.yml"], &["logstash: {}"], 3),
    // Tools.
    executable("busybox", &["busybox"], &["BusyBox v{}"], 3).signed("BusyBox"),
    executable("bash", &["bash"], &["@(#)Bash version {}"], 3).signed("BASH_VERSINFO"),
    executable("openssl", &["openssl", "libcrypto.so*"], &["OpenSSL {} "], 3),
    executable("curl", &["curl", "libcurl.so*"], &["libcurl/{}\0", "curl/{}\0"], 3),
    executable("git", &["git"], &["git/{}\0"], 3).signed("GIT_OBJECT_DIRECTORY"),
    executable("bind", &["named"], &["BIND {}"], 3).signed("isc.org"),
    executable("unbound", &["unbound"], &["unbound {}\0"], 3).signed("unbound.conf"),
    // Applications.
    text("wordpress", &["wp-includes/version.php"], &["$wp_version = '{}'"], 2),
    text("drupal", &["core/lib/Drupal.php"], &["const VERSION = '{}'"], 3),
    text("joomla", &["administrator/manifests/files/joomla.xml"], &["<version>{}</version>"], 3),
    text("nextcloud", &["version.php"], &["$OC_VersionString = '{}'"], 3),
    text("phpmyadmin", &["libraries/classes/Version.php", "src/Version.php"], &["VERSION = '{}"], 3),
    text("ghost", &["ghost/versions/{}/package.json"], &[], 3),
    text("gitlab", &["gitlab-rails/VERSION"], &["^{}"], 3),
];
