//! What images and workloads may do: pure functions over what is known in memory.
//!
//! ```text
//! ImageScan + nodes + policy          → image_scan: scan, re-evaluate, retry or delete
//! ScanExceptions + report              → exception: findings that do not count
//! Pod template + ImageScans           → evaluation: one fact, pin and line for each container
//! evaluation + approval + revision    → revision: approved, retained or held
//! all revisions of a namespace        → allowlist
//! record before and after             → audit: the entries of the audit log
//! the Lease, as it was seen             → lease: take, renew, wait
//! certificates, as they are seen         → authority: introduce, promote, retire
//! traces of an installation           → first_policy
//! policies and labels of namespaces   → policy, enforced: what applies where, and is bound
//! decision                            → message, pause, release, gate
//! news + receivers of the policies    → alert_route: who is told
//! record + reports                    → workload_report: what tools that show policy reports are told
//! ```
//!
//! No network, no clock, no file, no API call: the import check keeps it so, and the time is an argument. Whatever decides
//! can therefore be tested by a table of its inputs. `admission` asks the same questions inside a request.

pub(crate) mod alert_route;
pub(crate) mod alerted;
pub(crate) mod allowlist;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod database;
pub(crate) mod enforced;
pub(crate) mod evaluation;
pub(crate) mod exception;
pub(crate) mod first_policy;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod holdable;
pub(crate) mod image_scan;
pub(crate) mod images;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod marks;
pub(crate) mod message;
pub(crate) mod pause;
pub(crate) mod pins;
pub(crate) mod pod;
pub(crate) mod pod_owner;
pub(crate) mod policy;
pub(crate) mod prune;
pub(crate) mod record;
pub(crate) mod refused;
pub(crate) mod revision;
pub(crate) mod rollout;
pub(crate) mod workload_ref;
pub(crate) mod workload_report;
