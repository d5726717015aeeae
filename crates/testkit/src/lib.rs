//! The environment of tests and the demo, made in code: images, a registry on loopback, a real control plane, receivers.
//!
//! ```text
//! layer → image → registry (or OCI layout) → the programs under test → cluster
//! ```
//!
//! Development only: no program depends on it, and it depends on none of tidewaiter's crates, so that it implements the
//! formats independently of the code under test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a test may panic, and says why")]

pub mod audit;
pub mod authority;
pub mod cert_manager;
pub mod cluster;
pub mod confined;
pub mod controlplane;
pub mod demo;
mod digest;
pub mod earlier;
pub mod forwarder;
pub mod generated;
pub mod gitops;
mod go_program;
pub mod https;
pub mod image;
pub mod kubernetes;
pub mod lab;
pub mod layer;
pub mod layout;
pub mod mail_server;
pub mod monitoring;
pub mod noop_webhook;
pub mod packages;
pub mod people;
pub mod program_image;
pub mod proxy;
mod quiet;
pub mod quotes;
pub mod readme;
pub mod receiver;
pub mod registry;
pub mod report_definitions;
mod serve;
pub mod skip;
pub mod stranger;
pub mod upstream;
pub mod web;

pub use digest::sha256;
