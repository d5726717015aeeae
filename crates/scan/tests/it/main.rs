//! The engine on images made in code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod cached;
mod content;
mod deterministic;
mod fixture;
mod keyring;
mod layers;
mod local;
mod logins;
mod mirrors;
mod real;
mod registry;
mod shared;
mod stored;
