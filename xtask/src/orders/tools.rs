//! The tools: what each defines the order of, how it is installed and how it is run.

use super::folder::ToolFolder;
use super::intended;
use super::shapes::{self, Shape};
use crate::install::{command, output, program};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::{env, fs};
use tidewaiter_testkit::cluster::which;

/// A tool that defines an order, and how to ask it.
pub(super) struct OrderTool {
    /// The ecosystem, as files of vectors are named by.
    pub(super) ecosystem: &'static str,
    pub(super) name: &'static str,
    /// The version that is installed; empty: that of the machine's Debian release, or on PATH.
    version: &'static str,
    pub(super) shape: Shape,
    /// Installs the tool of this version.
    install: fn(&ToolFolder, &str) -> Result<InstalledTool>,
    /// Whether our difference on two versions is intended.
    pub(super) intended: fn(&str, &str) -> bool,
}

/// A command that reads lines `A<tab>B` and answers each by a line: `<`, `=`, `>`, or `?` if it refuses one of both.
pub(super) struct InstalledTool {
    pub(super) version: String,
    pub(super) command: Command,
}

impl OrderTool {
    pub(super) fn installed(&self, folder: &ToolFolder) -> Result<InstalledTool> {
        (self.install)(folder, self.version)
    }
}

pub(super) const TOOLS: &[OrderTool] = &[
    OrderTool { install: dpkg, intended: intended::dpkg, ..row("debian", "dpkg", "", shapes::DEB) },
    OrderTool { install: rpm, ..row("redhat", "rpm", "", shapes::RPM) },
    OrderTool { install: apk, ..row("alpine", "apk-tools", "", shapes::APK) },
    OrderTool { install: pacman, intended: intended::pacman, ..row("arch", "pacman", "", shapes::RPM) },
    OrderTool {
        install: node_semver,
        intended: intended::node_semver,
        ..row("npm", "node-semver", "7.8.6", shapes::NPM)
    },
    OrderTool { install: elixir, ..row("hex", "Elixir's Version", "", shapes::HEX) },
    OrderTool { install: go_modules, ..row("go", "x/mod/semver", "v0.43.0", shapes::GO_MODULE) },
    OrderTool {
        install: go_toolchains,
        intended: intended::go_toolchain,
        ..row("go", "go/version", "", shapes::GO_TOOLCHAIN)
    },
    OrderTool { install: packaging, ..row("pypi", "packaging", "26.4", shapes::PYPI) },
    OrderTool { install: packaging, ..row("pypi", "packaging (LegacyVersion)", "21.3", shapes::PYPI_LEGACY) },
    OrderTool { install: maven, ..row("maven", "ComparableVersion", "3.8.6", shapes::MAVEN) },
    OrderTool {
        install: maven,
        intended: intended::maven_3_9,
        ..row("maven", "ComparableVersion", "3.9.16", shapes::MAVEN)
    },
    OrderTool {
        install: maven,
        intended: intended::maven_4,
        ..row("maven", "ComparableVersion", "4.0.0-rc-6", shapes::MAVEN)
    },
    OrderTool { install: ruby, ..row("rubygems", "Gem::Version", "", shapes::RUBYGEMS) },
    OrderTool { install: php, intended: intended::php, ..row("packagist", "version_compare", "", shapes::PHP) },
    OrderTool {
        install: composer,
        intended: intended::composer,
        ..row("packagist", "composer/semver", "", shapes::COMPOSER)
    },
    OrderTool { install: r, ..row("cran", "compareVersion", "", shapes::CRAN) },
];

/// Tools that no registry we use has: (ecosystem, tool, what it would need).
pub(super) const UNREACHABLE: &[(&str, &str, &str)] = &[
    ("nuget", "NuGet.Versioning", "needs the .NET SDK and a package of nuget.org"),
    ("pub", "pub_semver", "needs the Dart SDK and a package of pub.dev"),
    ("julia", "VersionNumber", "needs Julia"),
    ("hackage", "Data.Version", "needs GHC"),
];

const fn row(ecosystem: &'static str, name: &'static str, version: &'static str, shape: Shape) -> OrderTool {
    OrderTool { ecosystem, name, version, shape, install: apk, intended: intended::never }
}

fn dpkg(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["libdpkg-dev"])?;
    let program = folder.c("dpkg.c", include_str!("dpkg.c"), &unpacked, &["-ldpkg", "-lmd"])?;
    Ok(InstalledTool { version: unpacked.version, command: command(program, &[]) })
}

fn rpm(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    library(folder, "librpmio9", "librpmio.so.9")
}

fn pacman(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    library(folder, "libalpm13", "libalpm.so.13")
}

fn library(folder: &ToolFolder, package: &str, file: &str) -> Result<InstalledTool> {
    let python = program("python3", "python3")?;
    let unpacked = folder.debian(&[package])?;
    let mut command = unpacked.command(python)?;
    command.arg(folder.script("library.py", include_str!("library.py"))?).arg(unpacked.file(file)?);
    Ok(InstalledTool { version: unpacked.version, command })
}

fn apk(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let apk = which("apk").context("no apk on this machine; run this on Alpine")?;
    let version = output(&mut command(apk, &["--version"]))?;
    let script = folder.script("apk.sh", include_str!("apk.sh"))?;
    let mut command = command("sh", &[]);
    command.arg(script);
    Ok(InstalledTool { version: version.trim().to_owned(), command })
}

fn node_semver(folder: &ToolFolder, version: &str) -> Result<InstalledTool> {
    let modules = folder.npm("semver", version)?.join("node_modules");
    let mut command = command(program("node", "nodejs")?, &[]);
    command.arg(folder.script("semver.js", include_str!("semver.js"))?).env("NODE_PATH", modules);
    Ok(InstalledTool { version: version.to_owned(), command })
}

/// Elixir runs in the unpacked Erlang, whose own start script has its place fixed.
fn elixir(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["elixir"])?;
    let erlang = unpacked.path("usr/lib/erlang");
    let mut command = unpacked.command(unpacked.file("erlexec")?)?;
    command.env("ROOTDIR", &erlang).env("BINDIR", unpacked.folder("erlexec")?);
    command.env("EMU", "beam").env("PROGNAME", "erl").env("LC_ALL", "C.UTF-8");
    command.arg("-boot").arg(erlang.join("bin/start_clean")).args(["-noshell", "-s", "elixir", "start_cli", "-pa"]);
    command.arg(unpacked.folder("elixir.beam")?).arg("-extra");
    command.arg(folder.script("version.exs", include_str!("version.exs"))?);
    Ok(InstalledTool { version: unpacked.version, command })
}

fn go_modules(folder: &ToolFolder, version: &str) -> Result<InstalledTool> {
    let program = folder.go("modules", include_str!("modules.go"), "golang.org/x/mod", version)?;
    Ok(InstalledTool { version: version.to_owned(), command: command(program, &[]) })
}

fn go_toolchains(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let version = output(&mut command(program("go", "golang")?, &["env", "GOVERSION"]))?;
    let version = version.trim().to_owned();
    let program = folder.go("toolchains", include_str!("toolchains.go"), "", &version)?;
    Ok(InstalledTool { version, command: command(program, &[]) })
}

fn packaging(folder: &ToolFolder, version: &str) -> Result<InstalledTool> {
    let python = program("python3", "python3")?;
    let packages = folder.pip("packaging", version)?;
    let mut command = command(python, &[]);
    command
        .arg(folder.script("pep440.py", include_str!("pep440.py"))?)
        .env("PYTHONPATH", packages)
        .env("PYTHONUTF8", "1");
    Ok(InstalledTool { version: version.to_owned(), command })
}

fn maven(folder: &ToolFolder, version: &str) -> Result<InstalledTool> {
    let mut command = command(program("java", "default-jdk-headless")?, &["-cp"]);
    command.arg(folder.maven("org.apache.maven:maven-artifact", version)?);
    command.arg(folder.script("comparable_version.java", include_str!("comparable_version.java"))?);
    Ok(InstalledTool { version: version.to_owned(), command })
}

fn ruby(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["ruby-rubygems", "ruby"])?;
    let mut command = unpacked.command(unpacked.path("usr/bin/ruby"))?;
    // RubyGems itself, Ruby's own library, and the part of it that is built for this processor.
    let libraries = ["vendor_ruby/rubygems.rb", "ruby/*/singleton.rb", "ruby/*/rbconfig.rb"];
    let libraries: Vec<&Path> = libraries.iter().map(|file| unpacked.folder(file)).collect::<Result<_>>()?;
    command.env("RUBYLIB", env::join_paths(libraries)?).env("LC_ALL", "C.UTF-8");
    command.arg(folder.script("gem_version.rb", include_str!("gem_version.rb"))?);
    Ok(InstalledTool { version: unpacked.version, command })
}

fn php(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["php-cli"])?;
    let mut command = unpacked.command(unpacked.file("bin/php*")?)?;
    command.arg("-n").arg(folder.script("version_compare.php", include_str!("version_compare.php"))?);
    Ok(InstalledTool { version: unpacked.version, command })
}

fn composer(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["php-composer-semver", "php-cli"])?;
    let mut command = unpacked.command(unpacked.file("bin/php*")?)?;
    command.arg("-n").arg(folder.script("composer_semver.php", include_str!("composer_semver.php"))?);
    command.arg(unpacked.folder("Semver/Comparator.php")?);
    Ok(InstalledTool { version: unpacked.version, command })
}

fn r(folder: &ToolFolder, _: &str) -> Result<InstalledTool> {
    let unpacked = folder.debian(&["r-base-core"])?;
    let home = unpacked.path("usr/lib/R");
    let mut command = unpacked.command(home.join("bin/exec/R"))?;
    // The package's own script would write this file; without it R complains on standard output.
    fs::write(unpacked.path("etc/R/Renviron"), "")?;
    // Without an editor the package `utils` does not load.
    command.env("R_HOME", home).env("R_DEFAULT_PACKAGES", "utils").env("EDITOR", "vi").env("LC_ALL", "C.UTF-8");
    command.args(["--vanilla", "--no-echo", "-f"]);
    command.arg(folder.script("compare_version.R", include_str!("compare_version.R"))?);
    Ok(InstalledTool { version: unpacked.version, command })
}
