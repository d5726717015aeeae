//! The one place that makes HTTP clients: trusted authorities, proxies, time limits, and the `User-Agent`.
//!
//! ```text
//! Settings, environment → Client → the agent of an address's route → response, or Failure (cause and advice)
//! ```
//!
//! All other crates use [`Client`]; clippy forbids making an agent elsewhere (`clippy.toml`). Before the first request a
//! program installs one rustls provider for the process.

mod client;
pub mod failure;
pub mod proxy;
mod roots;

pub use client::{Client, Settings, absolute};
pub use failure::{Failure, Kind};
pub use ureq;

/// Why no client could be made. Every text names the file or variable, the cause and the next step.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The proxy in the environment cannot be used.
    #[error("{variable} holds no proxy address ({cause}); give it as http://HOST:PORT, or unset it")]
    Proxy {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it; without the address, which may hold a password.
        cause: String,
    },
    /// A named authority cannot be read.
    #[error("the CA file holds no certificate in PEM form ({cause}); give one that begins with BEGIN CERTIFICATE")]
    Roots {
        /// What is wrong with it.
        cause: String,
    },
}
