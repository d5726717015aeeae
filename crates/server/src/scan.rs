//! Scans and re-matches in processes of their own, which no image can make this one pay for.
//!
//! ```text
//! ImageScan + pull secrets → process ─ ScanJob → scanner: bridge → worker ─ ScanOutput → process → check
//! previous + new database  → rematch ─ RematchJob → rematch worker (child) ─ changed reports → store
//! ```
//!
//! The scanner is a container of its own (ADR 0021). Where there is none, the bridge runs in this process.

mod bridge;
mod check;
pub(crate) mod credential_providers;
pub(crate) mod database;
pub(crate) mod layer_cache;
pub(crate) mod mirrors;
mod platforms;
pub(crate) mod process;
pub(crate) mod protocol;
pub(crate) mod pull_secrets;
pub(crate) mod rematch;
pub(crate) mod sandbox;
pub(crate) mod scanner;
pub(crate) mod signed;
pub(crate) mod slots;
mod turns;
pub(crate) mod worker;
