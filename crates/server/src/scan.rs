//! Scans and re-matches in processes of their own, which no image can make this one pay for.
//!
//! ```text
//! ImageScan + pull secrets → process → ScanJob → worker (child) → ScanOutput → process
//! previous + new database  → rematch → RematchJob → rematch worker (child) → changed reports → store
//! ```

pub(crate) mod database;
pub(crate) mod process;
pub(crate) mod pull_secrets;
pub(crate) mod rematch;
pub(crate) mod slots;
mod turns;
pub(crate) mod worker;
