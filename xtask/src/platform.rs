//! The platforms that programs are built for, by the names of OCI, kubectl and krew (`linux/arm64`: those of Go).

use crate::install::{command, output, program};
use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How the programs are linked (ADR 0024): they need no library of the machine that they run on, and start in three quarters of the
/// time.
const STATIC: [&str; 2] = ["-C", "target-feature=+crt-static"];
/// Relative relocations take a byte or two instead of 24 each: 0.8 MB.
const PACKED: [&str; 2] = ["-C", "link-arg=-Wl,-z,pack-relative-relocs"];

/// A platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgramPlatform {
    os: &'static str,
    /// As Go calls it.
    arch: &'static str,
    /// How programs are built for it where it is not this machine's.
    cross: Option<CrossBuild>,
}

/// How programs for another platform are built on Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CrossBuild {
    /// The target of the Rust compiler.
    triple: &'static str,
    /// The C compiler, which links, too.
    compiler: &'static str,
    /// Debian's package of it.
    package: &'static str,
}

/// What can be built on a machine of the other architecture.
const CROSS: [(&str, CrossBuild); 2] = [
    (
        "arm64",
        CrossBuild {
            triple: "aarch64-unknown-linux-gnu",
            compiler: "aarch64-linux-gnu-gcc",
            package: "gcc-aarch64-linux-gnu",
        },
    ),
    (
        "amd64",
        CrossBuild {
            triple: "x86_64-unknown-linux-gnu",
            compiler: "x86_64-linux-gnu-gcc",
            package: "gcc-x86-64-linux-gnu",
        },
    ),
];

impl ProgramPlatform {
    /// That of this machine.
    ///
    /// # Errors
    /// When it is none of a release.
    pub(crate) fn here() -> Result<Self> {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            other => other,
        };
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => bail!("{other} is no platform of a release"),
        };
        Ok(ProgramPlatform { os, arch, cross: None })
    }

    pub(crate) fn os(&self) -> &'static str {
        self.os
    }

    pub(crate) fn arch(&self) -> &'static str {
        self.arch
    }

    /// Below cargo's folder.
    pub(crate) fn folder(&self) -> &'static str {
        self.cross.map_or("", |cross| cross.triple)
    }

    pub(crate) fn cargo_flags(&self) -> Vec<&'static str> {
        self.cross.map(|cross| vec!["--target", cross.triple]).unwrap_or_default()
    }

    /// Flags of the compiler for the program alone.
    pub(crate) fn linker_flags(&self) -> Vec<&'static str> {
        let is_gnu = self.os == "linux" && cfg!(target_env = "gnu");
        match self.arch {
            _ if !is_gnu => Vec::new(),
            // Linkers of other architectures may not know the packed form, nor does glibc before 2.36.
            "amd64" => [STATIC, PACKED].concat(),
            _ => STATIC.to_vec(),
        }
    }

    /// Variables by which cargo and build scripts find the compiler for another platform.
    ///
    /// # Errors
    /// When this machine has none, or no standard library for it.
    pub(crate) fn cross_compiler(&self) -> Result<Vec<(String, String)>> {
        let Some(CrossBuild { triple, compiler, package }) = self.cross else { return Ok(Vec::new()) };
        program(compiler, package)?;
        let library = output(&mut command("rustc", &["--print", "target-libdir", "--target", triple]))?;
        if !Path::new(library.trim()).is_dir() {
            bail!("no standard library of Rust for {self}; install it: rustup target add {triple}");
        }
        let name = triple.replace('-', "_");
        Ok(vec![
            (format!("CC_{name}"), compiler.to_owned()),
            (format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), compiler.to_owned()),
        ])
    }
}

impl fmt::Display for ProgramPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)
    }
}

impl FromStr for ProgramPlatform {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let here = Self::here()?;
        if name == here.to_string() {
            return Ok(here);
        }
        let cross = CROSS.iter().find(|(arch, _)| here.os == "linux" && name.strip_prefix("linux/") == Some(arch));
        match cross {
            Some((arch, cross)) => Ok(ProgramPlatform { os: "linux", arch, cross: Some(*cross) }),
            None => bail!("{name} cannot be built on {here}; linux/amd64 and linux/arm64 can be built on either"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_by_their_names() {
        let check = |name: &str, expected: &str| {
            let found = name.parse::<ProgramPlatform>().map(|found| (found.to_string(), found.folder()));
            assert_eq!(format!("{found:?}"), expected, "{name}");
        };
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            check("linux/amd64", r#"Ok(("linux/amd64", ""))"#);
            check("linux/arm64", r#"Ok(("linux/arm64", "aarch64-unknown-linux-gnu"))"#);
            assert!("darwin/arm64".parse::<ProgramPlatform>().is_err());
        }
        assert!("".parse::<ProgramPlatform>().is_err() && "linux/".parse::<ProgramPlatform>().is_err());
    }
}
