//! `tidewaiter harbor-adapter`: a scanner that Harbor asks (pluggable-scanner-spec 1.2, ADR 0038). It needs no cluster.
//!
//! ```text
//! Harbor → routes → request (pure) → queue (pure) → adapter → scan::process → store
//!            ↑                          ↓
//!         access               answer (pure), formats::harbor
//! ```
//!
//! What Harbor sends with an artifact lets its holder pull from Harbor: it is in memory until the artifact was scanned, is sent to the
//! registries that the administrator named and to no other host, and is in no log.

mod access;
mod adapter;
mod answer;
pub(crate) mod args;
mod database;
mod listen;
mod metadata;
mod problem;
mod queue;
mod registry;
mod request;
mod routes;

pub(crate) use listen::run;
