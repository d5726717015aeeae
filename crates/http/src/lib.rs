//! The one place that makes HTTP clients: trusted authorities, proxies, time limits, and the `User-Agent`.
//!
//! ```text
//! Settings, environment → Client → the agent of an address's route → response, or RequestFailure (cause and advice)
//! ```
//!
//! All other crates use [`Client`]; clippy forbids making an agent elsewhere (`clippy.toml`). Before the first request a
//! program installs one rustls provider for the process.

mod client;
mod error;
pub mod failure;
pub mod names;
pub mod proxy;
mod roots;
pub mod socket;

pub use client::{Client, Settings, absolute};
pub use error::ClientError;
pub use failure::{FailureKind, RequestFailure};
pub use ureq;
