//! A Debian server with more than 300 packages, installed by the machine's apt and dpkg in a root of its own; listed by
//! dpkg-query.

use super::Listed;
use crate::install::{self, command, output, text};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Requested packages; apt adds their dependencies.
const WANTED: &str = "?essential apt nginx postgresql redis-server haproxy php-fpm php-mysql php-gd ruby-sinatra \
                      python3-django curl git openssh-server cron rsyslog supervisor memcached apache2 bind9 postfix \
                      dovecot-imapd squid vim";

pub(super) fn make(image: &Path, work: &Path) -> Result<Vec<Listed>> {
    if !nix::unistd::geteuid().is_root() {
        bail!("dpkg unpacks files of several users, which needs root");
    }
    // An empty state: packages of this machine must not count as installed.
    let status = work.join("status");
    fs::write(&status, "")?;
    let wanted: Vec<&str> = WANTED.split_whitespace().collect();
    let archives = install::debian_archives(work, Some(&status), &wanted)?;
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
