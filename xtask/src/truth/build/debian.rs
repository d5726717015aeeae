//! A Debian server with more than 300 packages, installed by the machine's apt and dpkg in a root of its own; listed by
//! dpkg-query.

use super::{Listed, command, output, text};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Requested packages; apt adds their dependencies.
const WANTED: &str = "?essential apt nginx postgresql redis-server haproxy php-fpm php-mysql php-gd ruby-sinatra \
                      python3-django curl git openssh-server cron rsyslog supervisor memcached apache2 bind9 postfix \
                      dovecot-imapd squid vim";

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    if !nix::unistd::geteuid().is_root() {
        bail!("dpkg unpacks files of several users, which needs root");
    }
    let archives = download(work)?;
    let admin = image.join("var/lib/dpkg");
    fs::create_dir_all(admin.join("info"))?;
    fs::create_dir_all(admin.join("updates"))?;
    fs::write(admin.join("status"), "")?;
    // All files first: scripts that run before a package is unpacked need a system to run in.
    for archive in &archives {
        output(&mut command("dpkg-deb", &["-x", text(archive)?, text(image)?]))?;
    }
    let mut unpack = command("dpkg", &["--root", text(image)?, "--force-depends,unsafe-io", "--unpack"]);
    output(unpack.args(&archives).env("DEBIAN_FRONTEND", "noninteractive"))?;
    list(&admin)
}

/// Downloads with an empty state: packages of this machine must not count as installed.
fn download(work: &Path) -> Result<Vec<PathBuf>> {
    let archives = work.join("cache/archives");
    fs::create_dir_all(work.join("lists/partial"))?;
    fs::create_dir_all(archives.join("partial"))?;
    fs::write(work.join("status"), "")?;
    let state = format!("Dir::State={}", work.display());
    let status = format!("Dir::State::status={}", work.join("status").display());
    let cache = format!("Dir::Cache={}", work.join("cache").display());
    let apt = || command("apt-get", &["-q", "-y", "-o", &state, "-o", &status, "-o", &cache]);
    output(apt().arg("update"))?;
    let mut install = apt();
    install.args(["install", "--no-install-recommends", "--download-only"]).args(WANTED.split_whitespace());
    output(&mut install)?;
    let files = fs::read_dir(archives)?.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    let mut files: Vec<PathBuf> = files.into_iter().filter(|f| f.extension().is_some_and(|e| e == "deb")).collect();
    files.sort();
    Ok(files)
}

fn list(admin: &Path) -> Result<Vec<Listed>> {
    let format = "${Package}\t${Version}\t${Architecture}\n";
    let lines = output(&mut command("dpkg-query", &["--admindir", text(admin)?, "--show", "--showformat", format]))?;
    lines.lines().map(listed).collect::<Option<_>>().context("dpkg-query printed other fields than requested")
}

fn listed(line: &str) -> Option<Listed> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, version, arch] = fields[..] else { return None };
    Some(Listed {
        kind: "deb".into(),
        name: name.into(),
        version: version.into(),
        arch: arch.into(),
        ..Listed::default()
    })
}
