//! The authorities of the installation: the one that signs, and in a rotation a second one.

use super::certificate::WebhookAuthority;
use crate::decide::authority::{AuthorityId, AuthorityTerm, RotationState, RotationStep};
use crate::settings::CertificateLifetimes;
use anyhow::Result;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All authorities; what `decide::authority` decides about. Clones share them.
#[derive(Clone)]
pub(crate) struct AuthorityRing {
    /// The one that signs.
    pub(crate) signing: Arc<WebhookAuthority>,
    /// The one that will.
    pub(super) next: Option<Arc<WebhookAuthority>>,
    /// The one that did.
    pub(super) previous: Option<Arc<WebhookAuthority>>,
    /// When the last step was taken.
    pub(super) since: Option<Timestamp>,
}

impl AuthorityRing {
    /// A new authority alone.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(super) fn make(lifetimes: &CertificateLifetimes, now: Timestamp) -> Result<Self> {
        let signing = Arc::new(WebhookAuthority::make(lifetimes, now)?);
        Ok(AuthorityRing { signing, next: None, previous: None, since: Some(now) })
    }

    /// The same without keys.
    pub(crate) fn state(&self) -> RotationState {
        let term = |one: &Option<Arc<WebhookAuthority>>| one.as_ref().map(|one| one.term.clone());
        RotationState {
            signing: self.signing.term.clone(),
            next: term(&self.next),
            previous: term(&self.previous),
            since: self.since,
        }
    }

    /// Every authority that is trusted.
    pub(crate) fn all(&self) -> impl Iterator<Item = &WebhookAuthority> {
        [Some(&self.signing), self.next.as_ref(), self.previous.as_ref()].into_iter().flatten().map(Arc::as_ref)
    }

    /// Their certificates, in PEM.
    pub(crate) fn bundle(&self) -> String {
        self.all().map(|authority| authority.pem.as_str()).collect()
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> BTreeSet<AuthorityId> {
        self.all().map(|authority| authority.term.id.clone()).collect()
    }

    /// The authorities after a step.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn after(
        &self,
        step: RotationStep,
        lifetimes: &CertificateLifetimes,
        now: Timestamp,
    ) -> Result<AuthorityRing> {
        let since = Some(now);
        let ring = self.clone();
        Ok(match (step, &self.next) {
            (RotationStep::Wait, _) => ring,
            (RotationStep::Date, _) => AuthorityRing { since, ..ring },
            (RotationStep::Replace, _) | (RotationStep::Promote, None) => AuthorityRing::make(lifetimes, now)?,
            (RotationStep::Introduce, _) => {
                AuthorityRing { next: Some(Arc::new(WebhookAuthority::make(lifetimes, now)?)), since, ..ring }
            }
            (RotationStep::Promote, Some(next)) => {
                AuthorityRing { signing: Arc::clone(next), next: None, previous: Some(ring.signing), since }
            }
            (RotationStep::Retire, _) => AuthorityRing { previous: None, since, ..ring },
        })
    }

    /// These authorities again, after somebody replaced them by others, if any: those come next.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn put_back(
        &self,
        found: Option<&AuthorityRing>,
        lifetimes: &CertificateLifetimes,
        now: Timestamp,
    ) -> Result<AuthorityRing> {
        let next = match (found, &self.next) {
            (Some(found), _) => Arc::clone(&found.signing),
            (None, Some(next)) => Arc::clone(next),
            (None, None) => Arc::new(WebhookAuthority::make(lifetimes, now)?),
        };
        Ok(AuthorityRing { next: Some(next), since: Some(now), ..self.clone() })
    }

    /// The one that signs.
    pub(crate) fn signing_term(&self) -> &AuthorityTerm {
        &self.signing.term
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIFETIMES: CertificateLifetimes =
        CertificateLifetimes { authority: Duration::from_secs(9000), leaf: Duration::from_secs(600) };

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_rotation_passes_the_signature_on() {
        let first = AuthorityRing::make(&LIFETIMES, now()).unwrap();
        let a = first.signing.term.id.clone();
        let mut ring = first.clone();
        let mut check = |step: RotationStep, expected: &[bool], bundle: usize| {
            ring = ring.after(step, &LIFETIMES, now()).unwrap();
            // Which of them is the first authority.
            let is_first: Vec<bool> = ring.all().map(|one| one.term.id == a).collect();
            assert_eq!(is_first, expected, "{step:?}");
            assert_eq!(ring.bundle().matches("BEGIN CERTIFICATE").count(), bundle);
            assert_eq!(ring.ids().len(), bundle);
        };
        check(RotationStep::Wait, &[true], 1);
        check(RotationStep::Date, &[true], 1);
        check(RotationStep::Introduce, &[true, false], 2);
        check(RotationStep::Promote, &[false, true], 2);
        check(RotationStep::Retire, &[false], 1);
        check(RotationStep::Replace, &[false], 1);
    }

    #[test]
    fn what_a_stranger_put_there_comes_next() {
        let (mine, found) = (AuthorityRing::make(&LIFETIMES, now()), AuthorityRing::make(&LIFETIMES, now()));
        let (mine, found) = (mine.unwrap(), found.unwrap());
        let back = mine.put_back(Some(&found), &LIFETIMES, now()).unwrap();
        assert_eq!((back.state().signing, back.state().next), (mine.state().signing, Some(found.state().signing)));
        // Who deletes the Secret wants another authority.
        let back = mine.put_back(None, &LIFETIMES, now()).unwrap();
        assert_eq!(back.state().signing, mine.state().signing);
        assert!(back.state().next.is_some());
    }
}
