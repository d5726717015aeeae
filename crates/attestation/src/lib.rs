//! Signed statements about images: what a report says and what policy says of it, as in-toto statements in DSSE envelopes
//! (`docs/attestations.md`).
//!
//! ```text
//! reports, verdict → vulnerabilities, verdict → statement → envelope (signed by a key) → bundle → layout of a registry
//! bytes of a registry → bundle, envelope → expectation: key, subject, type, age → verdict, reports
//! ```
//!
//! Nothing of an envelope can be read before its signature was verified: [`Expectation`] alone gives predicates out. Everything
//! here is a pure function, but for [`VerifyingKey::verifies_file`]. This crate must never know about the network, the clock or
//! Kubernetes.

mod bundle;
mod compact;
mod envelope;
mod expectation;
mod key;
mod layout;
mod refusal;
mod statement;
mod verdict;
mod vulnerabilities;

pub use bundle::SigstoreBundle;
pub use envelope::{Envelope, UnsignedEnvelope};
pub use expectation::Expectation;
pub use key::{KeyError, SigningFailed, SigningKey, VerifyingKey};
pub use layout::{
    AttachedLayer, AttestationManifest, BUNDLE, BundleManifest, EMPTY_CONFIG, MANIFEST, SubjectDescriptor,
    attestation_tag, bundle_layer, image_config,
};
pub use refusal::Refusal;
pub use statement::StatementSubject;
pub use verdict::{DatabaseUsed, ExceptionUsed, JudgedImage, PolicyUsed, ScannerUsed, VERDICT, VerdictPredicate};
pub use vulnerabilities::{ScanRecord, VULNERABILITIES};
