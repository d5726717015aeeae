//! The webhooks' certificate authority over its life: when another one takes its place, and in which steps.
//!
//! An API server that meets a certificate of an authority it does not know calls no webhook, and a process that does so tells its
//! peer nothing. So each step waits until whoever must know of the one before knows of it:
//!
//! ```text
//!              signs   comes   went   trusted by API servers and processes
//! steady       A                      A
//!   introduce                           A is due
//! introduced   A       B              A, B
//!   promote                             B is in every registration, and every process trusts it
//! promoted     B               A      B, A
//!   retire                              every process shows a certificate of B
//! steady       B                      B
//! ```
//!
//! One Secret holds all of it, and each step is one write over the version that was read: a process that dies between two steps
//! leaves one of these states behind, from which whoever leads goes on. Nothing but what is seen now is an input: a step that was
//! taken and a step that somebody undid look alike.
//!
//! Only who leads takes steps. An authority that has ended is trusted by nobody, and is replaced without waiting.

use crate::settings::CertificateLifetimes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How far clocks of API servers may be behind: a new certificate is valid since that long ago.
pub(crate) const CLOCK_LAG: Duration = Duration::from_secs(3600);
/// How long a step waits at most for API servers that have read a registration before its last change.
const LONGEST_SETTLE: Duration = Duration::from_secs(600);
/// The longest pause between two looks.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// An authority's certificate: the SHA-256 of it, in hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AuthorityId(pub(crate) String);

/// From when until when something is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValidityPeriod {
    /// When it was issued; its certificate says [`CLOCK_LAG`] before.
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl ValidityPeriod {
    /// That of something that is issued now.
    pub(crate) fn starting(now: Timestamp, lifetime: Duration) -> Self {
        ValidityPeriod { from: now, until: after(now, lifetime) }
    }

    /// When it is renewed: after two thirds, so that a third is left for what may go wrong.
    fn renewal(&self) -> Timestamp {
        after(self.from, self.total() / 3 * 2)
    }

    /// Whether it is not valid any more.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }

    /// Whether it should be replaced. One that begins later was issued by a clock that was set back since.
    fn is_due(&self, now: Timestamp) -> bool {
        now >= self.renewal() || now < before(self.from, CLOCK_LAG)
    }

    fn total(&self) -> Duration {
        Duration::try_from(self.until.duration_since(self.from)).unwrap_or_default()
    }
}

/// An authority, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthorityTerm {
    pub(crate) id: AuthorityId,
    pub(crate) period: ValidityPeriod,
}

impl AuthorityTerm {
    /// Whether another one should take its place. One that lives longer than this version has it was made by an earlier version,
    /// without an end.
    fn is_due(&self, lifetimes: &CertificateLifetimes, now: Timestamp) -> bool {
        self.period.is_due(now) || self.is_endless(lifetimes)
    }

    fn is_endless(&self, lifetimes: &CertificateLifetimes) -> bool {
        self.period.total() > lifetimes.authority + CLOCK_LAG
    }
}

/// All authorities of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RotationState {
    /// The one that signs.
    pub(crate) signing: AuthorityTerm,
    /// The one that will.
    pub(crate) next: Option<AuthorityTerm>,
    /// The one that did.
    pub(crate) previous: Option<AuthorityTerm>,
    /// When the last step was taken, by the clock of who took it; none where the Secret does not say.
    pub(crate) since: Option<Timestamp>,
}

impl RotationState {
    /// Whether an authority is one of them.
    pub(crate) fn has(&self, id: &AuthorityId) -> bool {
        [Some(&self.signing), self.next.as_ref(), self.previous.as_ref()].into_iter().flatten().any(|one| one.id == *id)
    }

    /// How long ago the last step was; none where that is not known, or lies ahead.
    fn age(&self, now: Timestamp) -> Option<Duration> {
        Duration::try_from(now.duration_since(self.since?)).ok()
    }
}

/// What a process says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessTrust {
    /// The authorities whose certificates it takes from other processes.
    pub(crate) trusts: BTreeSet<AuthorityId>,
    /// The authority of the certificate that it shows.
    pub(crate) serves: Option<AuthorityId>,
}

/// What is seen of the installation during a rotation.
#[derive(Debug, Clone, Default)]
pub(crate) struct RotationView {
    /// Whether every registration is as these authorities have it: all of them are trusted, and the paths have the secret of the
    /// one that signs.
    pub(crate) is_registered: bool,
    /// Every process, this one included; none for one that does not answer, or is of an earlier version.
    pub(crate) processes: Vec<Option<ProcessTrust>>,
}

impl RotationView {
    fn all(&self, is_so: impl Fn(&ProcessTrust) -> bool) -> bool {
        self.processes.iter().all(|process| process.as_ref().is_some_and(&is_so))
    }
}

/// What the process that leads does about the authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RotationStep {
    /// Nothing, yet.
    Wait,
    /// Note the time, from which waiting counts.
    Date,
    /// Make another one that signs at once: nobody trusts the one that does.
    Replace,
    /// Make the one that comes.
    Introduce,
    /// The one that comes signs.
    Promote,
    /// The one that went is forgotten.
    Retire,
}

/// The step of who leads. In a steady state the view is not read: see [`is_steady`].
pub(crate) fn next_step(
    state: &RotationState,
    view: &RotationView,
    lifetimes: &CertificateLifetimes,
    now: Timestamp,
) -> RotationStep {
    if state.signing.period.is_over(now) {
        let is_ready = state.next.as_ref().is_some_and(|next| !next.period.is_over(now));
        return if is_ready { RotationStep::Promote } else { RotationStep::Replace };
    }
    if is_steady(state, lifetimes, now) {
        return RotationStep::Wait;
    }
    let (next, previous) = (&state.next, &state.previous);
    if previous.is_none() && next.as_ref().is_none_or(|next| next.is_due(lifetimes, now)) {
        return RotationStep::Introduce;
    }
    let Some(age) = state.age(now) else { return RotationStep::Date };
    let is_settled = view.is_registered && age >= settle(lifetimes);
    // Who did not look for as long as a certificate lives has none that anybody takes: nobody waits for it longer. One of an earlier
    // version has a certificate without an end, and nothing presses while the authority that signs has none.
    let is_patient = age < lifetimes.leaf || state.signing.is_endless(lifetimes);
    let (step, is_known) = match (previous, next) {
        (Some(_), _) => (RotationStep::Retire, view.all(|process| process.serves.as_ref() == Some(&state.signing.id))),
        (None, Some(next)) => (RotationStep::Promote, view.all(|process| process.trusts.contains(&next.id))),
        (None, None) => return RotationStep::Wait,
    };
    if is_settled && (is_known || !is_patient) { step } else { RotationStep::Wait }
}

/// Whether nothing is to be done, whatever is seen elsewhere.
pub(crate) fn is_steady(state: &RotationState, lifetimes: &CertificateLifetimes, now: Timestamp) -> bool {
    state.next.is_none() && state.previous.is_none() && !state.signing.is_due(lifetimes, now)
}

/// What a process does about the Secret, as it finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecretFinding {
    /// It is the truth.
    Take,
    /// The process goes on with what it knows, until who leads has mended it.
    Keep,
    /// Somebody else deleted or replaced it: what is in use is put back, and what is found there instead comes next, if anything.
    PutBack,
}

/// Compares the Secret with what this process uses. `leads` says whether it leads, and `led` whether it did at its last look as
/// well: then nobody but a stranger changed the Secret in between.
pub(crate) fn judge_secret(
    known: &RotationState,
    found: Option<&RotationState>,
    (led, leads): (bool, bool),
    now: Timestamp,
) -> SecretFinding {
    let is_of_use = !known.signing.period.is_over(now);
    match found {
        None if leads => SecretFinding::PutBack,
        None => SecretFinding::Keep,
        Some(found) if led && leads && is_of_use && !found.has(&known.signing.id) => SecretFinding::PutBack,
        Some(_) => SecretFinding::Take,
    }
}

/// The certificate that a process shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeafTerm {
    /// The authority that signed it.
    pub(crate) by: AuthorityId,
    pub(crate) period: ValidityPeriod,
}

/// Whether a process should have a new certificate of the authority that signs. `registered` are the authorities that every
/// registration names; none where there is no registration, and nobody asks.
pub(crate) fn is_leaf_due(
    leaf: &LeafTerm,
    signing: &AuthorityTerm,
    registered: Option<&BTreeSet<AuthorityId>>,
    now: Timestamp,
) -> bool {
    if leaf.by == signing.id {
        return leaf.period.is_due(now) && !signing.period.is_over(now);
    }
    leaf.period.is_over(now) || registered.is_none_or(|registered| registered.contains(&signing.id))
}

/// Whether a process shows a certificate that somebody else issued: while every registration names its authorities. Where nothing is
/// registered, who does it may not have them.
pub(crate) fn may_show(authorities: &BTreeSet<AuthorityId>, registered: Option<&BTreeSet<AuthorityId>>) -> bool {
    registered.is_some_and(|registered| authorities.is_subset(registered))
}

/// Whether API servers take a certificate; where nothing is registered, nobody asks.
pub(crate) fn is_taken(leaf: &LeafTerm, registered: Option<&BTreeSet<AuthorityId>>) -> bool {
    registered.is_none_or(|registered| registered.contains(&leaf.by))
}

/// The period of a new certificate: it does not outlive its authority, after which nobody would take it.
pub(crate) fn leaf_period(
    signing: &ValidityPeriod,
    lifetimes: &CertificateLifetimes,
    now: Timestamp,
) -> ValidityPeriod {
    let period = ValidityPeriod::starting(now, lifetimes.leaf);
    ValidityPeriod { until: period.until.min(signing.until), ..period }
}

/// Pause between two looks at the Secret: many of them while a certificate lives.
pub(crate) fn look_pause(lifetimes: &CertificateLifetimes) -> Duration {
    (lifetimes.leaf / 20).min(LONGEST_LOOK)
}

/// How long a step waits for every API server to have read what another one answers.
fn settle(lifetimes: &CertificateLifetimes) -> Duration {
    (lifetimes.leaf / 6).min(LONGEST_SETTLE)
}

/// A time later, or the last one that there is.
pub(crate) fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_add(signed(duration)).unwrap_or(Timestamp::MAX)
}

/// A time before, or the first one that there is.
pub(crate) fn before(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_sub(signed(duration)).unwrap_or(Timestamp::MIN)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
#[path = "authority_tests.rs"]
mod tests;
