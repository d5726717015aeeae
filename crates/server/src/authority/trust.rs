//! What this process trusts and shows at this moment.

use super::mounted::{MountedAuthorities, MountedCertificate};
use super::ring::AuthorityRing;
use crate::decide::authority::{LeafTerm, ProcessTrust};
use jiff::Timestamp;
use parking_lot::RwLock;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The authorities and the certificate of this process; empty while it starts.
#[derive(Default)]
pub(crate) struct WebhookTrust {
    ring: RwLock<Option<Arc<AuthorityRing>>>,
    leaf: RwLock<Option<LeafTerm>>,
    mounted: RwLock<MountedAuthorities>,
    /// The mounted certificate that is shown.
    shown: RwLock<Option<String>>,
    /// The turn of who looks at the Secret, with whether this process led at the last look.
    pub(crate) turn: Mutex<bool>,
}

impl WebhookTrust {
    /// The authorities.
    pub(crate) fn ring(&self) -> Option<Arc<AuthorityRing>> {
        self.ring.read().clone()
    }

    /// Trusts these authorities from now on.
    pub(crate) fn set_ring(&self, ring: AuthorityRing) {
        *self.ring.write() = Some(Arc::new(ring));
    }

    /// Everything that is trusted, as PEM.
    pub(crate) fn bundle(&self, ring: &AuthorityRing) -> String {
        ring.bundle() + &self.mounted.read().bundle()
    }

    /// Trusts the authorities of what is mounted; true where it trusted others before.
    pub(crate) fn note_mounted(&self, mounted: &MountedCertificate, now: Timestamp) -> bool {
        self.mounted.write().note(&mounted.authorities, now)
    }

    /// Whether this mounted certificate is the one that is shown.
    pub(crate) fn is_shown(&self, mounted: &MountedCertificate) -> bool {
        self.shown.read().as_ref() == Some(&mounted.certificate)
    }

    /// Whether a mounted certificate is shown.
    pub(crate) fn shows_mounted(&self) -> bool {
        self.shown.read().is_some()
    }

    /// Notes that this mounted certificate is shown from now on.
    pub(crate) fn show_mounted(&self, mounted: &MountedCertificate, term: LeafTerm) {
        *self.shown.write() = Some(mounted.certificate.clone());
        *self.leaf.write() = Some(term);
    }

    /// Notes that a certificate of the installation's own is shown from now on.
    pub(crate) fn show_own(&self, leaf: LeafTerm) {
        *self.shown.write() = None;
        *self.leaf.write() = Some(leaf);
    }

    /// The certificate that is shown.
    pub(crate) fn leaf(&self) -> Option<LeafTerm> {
        self.leaf.read().clone()
    }

    /// What this process says of itself to others.
    pub(crate) fn report(&self) -> ProcessTrust {
        let trusts = self.ring().map(|ring| ring.ids()).unwrap_or_default();
        ProcessTrust { trusts, serves: self.leaf().map(|leaf| leaf.by) }
    }

    /// Whether a path ends with what only the API server knows.
    pub(crate) fn knows_webhook(&self, given: &str) -> bool {
        self.ring().is_some_and(|ring| any(ring.all().map(|one| one.secrets.webhooks.as_str()), given))
    }

    /// The same for the path of reports.
    pub(crate) fn knows_reports(&self, given: &str) -> bool {
        self.ring().is_some_and(|ring| any(ring.all().map(|one| one.secrets.reports.as_str()), given))
    }

    /// The same for what only the servers know.
    pub(crate) fn knows_peers(&self, given: &str) -> bool {
        self.ring().is_some_and(|ring| any(ring.all().map(|one| one.secrets.peers.as_str()), given))
    }

    /// When the certificate that is shown ends, and when the authority that signs does.
    pub(crate) fn ends(&self) -> [(&'static str, Option<Timestamp>); 2] {
        let authority = self.ring().map(|ring| ring.signing_term().period.until);
        [("serving", self.leaf().map(|leaf| leaf.period.until)), ("authority", authority)]
    }
}

/// Whether a secret is one of these, in a time that says nothing about where they differ.
fn any<'a>(known: impl Iterator<Item = &'a str>, given: &str) -> bool {
    known.fold(false, |found, known| found | is_same(known, given))
}

fn is_same(known: &str, given: &str) -> bool {
    known.len() == given.len() && known.bytes().zip(given.bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::authority::RotationStep;
    use crate::settings::CertificateLifetimes;

    /// Who asks may know the secrets of the authority before or after the one that signs here.
    #[test]
    fn all_trusted_authorities_open_the_paths() {
        let (lifetimes, now) = (CertificateLifetimes::default(), Timestamp::UNIX_EPOCH);
        let trust = WebhookTrust::default();
        let both = AuthorityRing::make(&lifetimes, now).unwrap();
        let both = both.after(RotationStep::Introduce, &lifetimes, now).unwrap();
        let secrets: Vec<_> = both.all().map(|one| one.secrets.clone()).collect();
        let check = |expected: [bool; 2]| {
            for (secrets, expected) in secrets.iter().zip(expected) {
                let found = [
                    trust.knows_webhook(&secrets.webhooks),
                    trust.knows_reports(&secrets.reports),
                    trust.knows_peers(&secrets.peers),
                ];
                assert_eq!(found, [expected; 3]);
                assert!(!trust.knows_peers(&secrets.webhooks) && !trust.knows_webhook(&secrets.reports));
            }
            assert!(!trust.knows_peers("") && !trust.knows_webhook("") && !trust.knows_reports("0"));
        };
        check([false, false]);
        trust.set_ring(both.clone());
        check([true, true]);
        let promoted = both.after(RotationStep::Promote, &lifetimes, now).unwrap();
        trust.set_ring(promoted.clone());
        check([true, true]);
        trust.set_ring(promoted.after(RotationStep::Retire, &lifetimes, now).unwrap());
        check([false, true]);
    }
}
