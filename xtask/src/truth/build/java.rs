//! Jars that Maven resolves for a POM, listed by the coordinates that Maven stores them under: some as they are, some in a
//! WAR in an EAR, some in a jar in that WAR, and a few unpacked into one jar.

use super::Listed;
use crate::install::{self, text};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const WANTED: [&str; 24] = [
    "org.springframework.boot:spring-boot-starter-web:3.2.3",
    "org.springframework.boot:spring-boot-starter-data-jpa:3.2.3",
    "org.springframework.boot:spring-boot-starter-security:3.2.3",
    "org.apache.kafka:kafka_2.13:3.6.1",
    "org.apache.solr:solr-solrj:9.4.1",
    "org.apache.camel:camel-core:4.4.0",
    "org.apache.lucene:lucene-queryparser:9.9.2",
    "org.apache.poi:poi-ooxml:5.2.5",
    "org.apache.logging.log4j:log4j-core:2.22.1",
    "org.apache.cxf:cxf-rt-frontend-jaxws:4.0.4",
    "com.squareup.retrofit2:retrofit:2.9.0",
    "io.grpc:grpc-netty:1.60.0",
    "io.vertx:vertx-web:4.5.4",
    "software.amazon.awssdk:s3:2.24.0",
    "org.eclipse.jetty:jetty-webapp:11.0.20",
    "com.h2database:h2:2.2.224",
    "org.postgresql:postgresql:42.7.2",
    "com.mysql:mysql-connector-j:8.3.0",
    "org.mongodb:mongodb-driver-sync:4.11.1",
    "redis.clients:jedis:5.1.0",
    "org.junit.jupiter:junit-jupiter:5.10.2",
    "org.mockito:mockito-core:5.10.0",
    "commons-io:commons-io:2.15.1",
    "org.quartz-scheduler:quartz:2.3.2",
];

/// Largest jar in bytes that is put into others: the engine buffers nested archives in memory up to a limit, and reports
/// larger ones as a gap.
const NESTED: usize = 150_000;

/// A jar with its coordinates.
struct Jar {
    file: String,
    bytes: Vec<u8>,
    listed: Listed,
    /// Every `pom.properties` in it, by the coordinates of its path.
    poms: Vec<(String, Vec<u8>)>,
}

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    let jars = download(work)?;
    let app = image.join("app/lib");
    fs::create_dir_all(&app)?;
    let mut out = Vec::new();
    // Only small jars are nested: see `NESTED`.
    let place = |index: usize, jar: &Jar| if jar.bytes.len() < NESTED { index % 3 } else { 0 };
    let part = |n: usize| jars.iter().enumerate().filter(move |(i, jar)| place(*i, jar) == n).map(|(_, jar)| jar);
    for jar in part(0) {
        fs::write(app.join(&jar.file), &jar.bytes)?;
        out.extend(jar.listed_at(&format!("app/lib/{}", jar.file))?);
    }
    let mut war = Vec::new();
    for jar in part(1) {
        war.push((format!("WEB-INF/lib/{}", jar.file), jar.bytes.clone()));
        out.extend(jar.listed_at(&format!("app/all.ear!/web.war!/WEB-INF/lib/{}", jar.file))?);
    }
    let mut fat = Vec::new();
    for jar in part(2) {
        fat.push((format!("BOOT-INF/lib/{}", jar.file), jar.bytes.clone()));
        out.extend(jar.listed_at(&format!("app/all.ear!/web.war!/WEB-INF/lib/fat.jar!/BOOT-INF/lib/{}", jar.file))?);
    }
    war.push(("WEB-INF/lib/fat.jar".to_owned(), zipped(&fat)?));
    fs::write(image.join("app/all.ear"), zipped(&[("web.war".to_owned(), zipped(&war)?)])?)?;
    let shaded: Vec<&Jar> = jars.iter().filter(|jar| jar.poms.len() == 1).take(4).collect();
    let poms: Vec<(String, Vec<u8>)> = shaded.iter().flat_map(|jar| jar.poms.clone()).collect();
    fs::write(image.join("app/shaded.jar"), zipped(&poms)?)?;
    for (name, text) in &poms {
        out.push(pom(name, text, "app/shaded.jar")?);
    }
    Ok(out)
}

fn download(work: &Path) -> Result<Vec<Jar>> {
    let stored = work.join("stored");
    install::jars(work, &stored, &WANTED)?.iter().map(|file| jar(&stored, file)).collect()
}

/// `GROUP/ARTIFACT/VERSION/FILE`, where the group's dots are slashes.
fn jar(stored: &Path, path: &Path) -> Result<Jar> {
    let inside = text(path.strip_prefix(stored)?)?;
    let mut parts: Vec<&str> = inside.split('/').collect();
    let (file, version, artifact) = (parts.pop(), parts.pop(), parts.pop());
    let (Some(file), Some(version), Some(artifact)) = (file, version, artifact) else {
        anyhow::bail!("{inside}: not a path of a Maven repository");
    };
    let bytes = fs::read(path)?;
    let listed = maven(&parts.join("."), artifact, version, "");
    let poms = poms(File::open(path)?).with_context(|| inside.to_owned())?;
    Ok(Jar { file: file.to_owned(), bytes, listed, poms })
}

pub(super) fn maven(group: &str, artifact: &str, version: &str, path: &str) -> Listed {
    Listed {
        kind: "maven".into(),
        name: format!("{group}:{artifact}"),
        version: version.into(),
        path: path.into(),
        ..Listed::default()
    }
}

pub(super) fn poms(file: File) -> Result<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(file)?;
    let mut out = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if name.starts_with("META-INF/maven/") && name.ends_with("/pom.properties") {
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            out.push((name, text));
        }
    }
    Ok(out)
}

/// Parses a `pom.properties`.
pub(super) fn pom(name: &str, text: &[u8], path: &str) -> Result<Listed> {
    let text = String::from_utf8_lossy(text).into_owned();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        line.map(str::trim).with_context(|| format!("{path}!/{name} has no {key}"))
    };
    Ok(maven(value("groupId")?, value("artifactId")?, value("version")?, path))
}

impl Jar {
    /// The jar itself, and the jars that were unpacked into it.
    fn listed_at(&self, path: &str) -> Result<Vec<Listed>> {
        let own = Listed { path: path.to_owned(), kind: "maven".into(), ..self.listed.clone() };
        let others = self.poms.iter().map(|(name, text)| pom(name, text, path));
        let others: Vec<Listed> = others.collect::<Result<_>>()?;
        let others: Vec<Listed> = others.into_iter().filter(|other| other.name != own.name).collect();
        Ok([own].into_iter().chain(others).collect())
    }
}

fn zipped(files: &[(String, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        zip.start_file(name.as_str(), options)?;
        zip.write_all(bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
