//! Platforms and which image serves which platform.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Operating system, architecture and variant an image is made for, written `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system as Go names it, for example `linux`.
    pub os: String,
    /// Architecture as Go names it, for example `amd64`.
    pub architecture: String,
    /// Variant of the architecture, for example `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a platform; write os/architecture or os/architecture/variant, for example linux/arm64/v8")]
pub struct PlatformError(String);

impl Platform {
    /// A platform without variant.
    #[must_use]
    pub fn new(os: &str, architecture: &str) -> Self {
        Self { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Whether an image made for `candidate` runs on this platform, by containerd's rules:
    /// other spellings of an architecture are equal, arm64 means v8, the variant of amd64 is ignored,
    /// 32-bit arm means v7 and runs lower variants too.
    #[must_use]
    pub fn matches(&self, candidate: &Self) -> bool {
        let (wanted, offered) = (self.normalised(), candidate.normalised());
        if wanted.os != offered.os || wanted.architecture != offered.architecture {
            return false;
        }
        match wanted.architecture.as_str() {
            "amd64" => true,
            "arm" => match (wanted.variant_number(), offered.variant_number()) {
                (Some(wanted), Some(offered)) => offered <= wanted,
                _ => wanted.variant == offered.variant,
            },
            _ => wanted.variant == offered.variant,
        }
    }

    /// The same platform in containerd's spelling, so that equal platforms compare equal.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let os = match self.os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.as_deref().map(str::to_ascii_lowercase).filter(|v| !v.is_empty());
        let (architecture, variant) = match architecture.as_str() {
            "amd64" | "x86_64" | "x86-64" => ("amd64", variant.filter(|v| v != "v1")),
            "i386" | "386" => ("386", None),
            "arm64" | "aarch64" => ("arm64", variant.filter(|v| v != "8" && v != "v8")),
            "armhf" => ("arm", Some("v7".to_owned())),
            "armel" => ("arm", Some("v6".to_owned())),
            "arm" => ("arm", Some(with_v(variant.as_deref().unwrap_or("v7")))),
            other => (other, variant),
        };
        Self { os, architecture: architecture.to_owned(), variant }
    }

    /// What a node of this platform runs, best first (containerd's default matcher): 64-bit machines also take
    /// images for their 32-bit predecessors.
    #[must_use]
    pub fn runs(&self) -> Vec<Self> {
        let this = self.normalised();
        let older = match this.architecture.as_str() {
            "amd64" => vec![Self::new(&this.os, "386")],
            "arm64" => vec![Self { variant: Some("v8".to_owned()), ..Self::new(&this.os, "arm") }],
            _ => vec![],
        };
        std::iter::once(this).chain(older).collect()
    }

    fn variant_number(&self) -> Option<u8> {
        self.variant.as_deref()?.strip_prefix('v')?.parse().ok()
    }
}

fn with_v(variant: &str) -> String {
    if variant.starts_with('v') { variant.to_owned() } else { format!("v{variant}") }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let valid = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let parts: Vec<&str> = text.split('/').collect();
        if !parts.iter().all(valid) {
            return Err(PlatformError(text.to_owned()));
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture)),
            [os, architecture, variant] => {
                Ok(Self { variant: Some(variant.to_owned()), ..Self::new(os, architecture) })
            }
            _ => Err(PlatformError(text.to_owned())),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for bad in ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }

    #[test]
    fn matching() {
        for (wanted, offered, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/x86_64/v2", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/aarch64", true),
            ("linux/arm64", "linux/arm64/v9", false),
            ("linux/arm64", "linux/arm/v7", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/386", "linux/i386", true),
        ] {
            let (a, b): (Platform, Platform) = (wanted.parse().unwrap(), offered.parse().unwrap());
            assert_eq!(a.matches(&b), expected, "{wanted} {offered}");
        }
    }
}
