//! Certificates and keys: how authorities and the certificates of processes are made and read.

use super::path_secrets::PathSecrets;
use crate::decide::authority::{
    AuthorityId, AuthorityTerm, CLOCK_LAG, LeafTerm, ValidityPeriod, after, before, leaf_period,
};
use crate::settings::CertificateLifetimes;
use anyhow::{Context as _, Result, anyhow, ensure};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::time::Duration;
use tidewaiter_core::hex;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// An authority, and its key. Without `Debug`: no log has the key.
pub(crate) struct WebhookAuthority {
    /// Its certificate, for API servers.
    pub(crate) pem: String,
    /// Its key, for the Secret.
    pub(super) key_pem: String,
    pub(crate) term: AuthorityTerm,
    /// What paths end with while it signs.
    pub(crate) secrets: PathSecrets,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
pub(crate) struct LeafCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) term: LeafTerm,
}

impl WebhookAuthority {
    /// Makes a new one.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub(crate) fn make(lifetimes: &CertificateLifetimes, now: Timestamp) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = params()?;
        limit(&mut params, ValidityPeriod::starting(now, lifetimes.authority));
        let certificate = params.self_signed(&key)?;
        Self::read(certificate.pem(), key.serialize_pem())
    }

    /// One as earlier versions made them: without an end.
    #[cfg(test)]
    pub(super) fn endless() -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params().unwrap().self_signed(&key).unwrap().pem();
        Self::read(pem, key.serialize_pem()).unwrap()
    }

    /// Reads one from its certificate and its key.
    ///
    /// # Errors
    /// When one of them is not what it should be, or they are not of each other.
    pub(super) fn read(pem: String, key_pem: String) -> Result<Self> {
        let key = KeyPair::from_pem(&key_pem).context("its key")?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).context("its certificate")?;
        let certificate = certificate_of(&der).context("its certificate")?;
        let public = &certificate.tbs_certificate.subject_public_key_info.subject_public_key;
        ensure!(public.raw_bytes() == key.public_key_raw(), "its key is not that of its certificate");
        let term = AuthorityTerm { id: id_of(&der), period: period_of(&certificate) };
        let secrets = PathSecrets::of(&key_pem);
        Ok(WebhookAuthority { pem, key_pem, term, secrets, issuer: Issuer::new(params()?, key) })
    }

    /// Issues a certificate for the names by which API servers and other processes reach this one.
    ///
    /// # Errors
    /// When a name is invalid.
    pub(crate) fn leaf(
        &self,
        names: Vec<String>,
        lifetimes: &CertificateLifetimes,
        now: Timestamp,
    ) -> Result<LeafCertificate> {
        let period = leaf_period(&self.term.period, lifetimes, now);
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        limit(&mut params, period);
        // All authorities have one name: their keys tell them apart.
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let term = LeafTerm { by: self.term.id.clone(), period };
        Ok(LeafCertificate { certificate: certificate.pem(), key: key.serialize_pem(), term })
    }
}

/// The same for every authority: the issuer's name in a certificate must be its authority's.
fn params() -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "tidewaiter webhook CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn limit(params: &mut CertificateParams, period: ValidityPeriod) {
    let epoch = date_time_ymd(1970, 1, 1);
    let at = |time: Timestamp| epoch + Duration::from_secs(u64::try_from(time.as_second()).unwrap_or_default());
    params.not_before = at(before(period.from, CLOCK_LAG));
    params.not_after = at(period.until);
}

fn period_of(certificate: &Certificate) -> ValidityPeriod {
    let validity = &certificate.tbs_certificate.validity;
    let (begins, until) = (time(validity.not_before), time(validity.not_after));
    ValidityPeriod { from: after(begins, CLOCK_LAG).min(until), until }
}

/// The period of the first certificate of a file in PEM.
pub(super) fn period_of_pem(pem: &str) -> Result<ValidityPeriod> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes())?;
    Ok(period_of(&certificate_of(&der)?))
}

/// The last time that there is for later ones: RFC 5280 has 9999-12-31T23:59:59Z for no end.
fn time(time: x509_cert::time::Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

fn certificate_of(der: &[u8]) -> Result<Certificate> {
    Certificate::from_der(der).map_err(|error| anyhow!("{error}"))
}

fn id_of(certificate: &[u8]) -> AuthorityId {
    AuthorityId(hex(&Sha256::digest(certificate)))
}

/// The certificates of a bundle in PEM; what is no certificate is none of them.
pub(crate) fn ids_of(bundle: &[u8]) -> BTreeSet<AuthorityId> {
    CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).map(|der| id_of(&der)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::sync::Arc;

    const LIFETIMES: CertificateLifetimes =
        CertificateLifetimes { authority: Duration::from_secs(9000), leaf: Duration::from_secs(600) };

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    /// Whether who trusts these authorities takes a certificate at a time, in seconds from now on.
    fn takes(trusted: &[&WebhookAuthority], leaf: &LeafCertificate, after: i64) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let der = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs((now().as_second() + after).unsigned_abs()));
        let name = ServerName::try_from("tidewaiter.tidewaiter-system.svc").unwrap();
        verifier.verify_server_cert(&der, &[], &name, &[], at).is_ok()
    }

    #[test]
    fn a_certificate_is_taken_while_it_and_its_authority_are_valid() {
        let (a, b) = (WebhookAuthority::make(&LIFETIMES, now()), WebhookAuthority::make(&LIFETIMES, now()));
        let (a, b) = (a.unwrap(), b.unwrap());
        let leaf = a.leaf(vec!["tidewaiter.tidewaiter-system.svc".to_owned()], &LIFETIMES, now()).unwrap();
        let check = |trusted: &[&WebhookAuthority], after: i64, expected: bool| {
            assert_eq!(takes(trusted, &leaf, after), expected, "{} at {after}", trusted.len());
        };
        check(&[&a], 0, true);
        check(&[&a, &b], 0, true);
        check(&[&b, &a], 0, true);
        check(&[&b], 0, false);
        check(&[&a], 599, true);
        check(&[&a], 601, false);
        // A clock that is behind.
        check(&[&a], -3599, true);
        check(&[&a], -3601, false);
        // One that is issued near its authority's end ends with it.
        let late = now() + Duration::from_secs(8900);
        let leaf = a.leaf(vec!["tidewaiter.tidewaiter-system.svc".to_owned()], &LIFETIMES, late).unwrap();
        assert_eq!(leaf.term.period.until, a.term.period.until);
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let made = WebhookAuthority::make(&LIFETIMES, now()).unwrap();
        let read = WebhookAuthority::read(made.pem.clone(), made.key_pem.clone()).unwrap();
        assert_eq!((&read.term, &read.secrets), (&made.term, &made.secrets));
        assert_eq!(read.term.period, ValidityPeriod::starting(now(), LIFETIMES.authority));
        assert_eq!(ids_of(made.pem.as_bytes()), BTreeSet::from([made.term.id.clone()]));
        let other = WebhookAuthority::make(&LIFETIMES, now()).unwrap();
        let both = ids_of(format!("{}\n{}", made.pem, other.pem).as_bytes());
        assert_eq!(both, BTreeSet::from([made.term.id, other.term.id]));
        assert_eq!(ids_of(b"none"), BTreeSet::new());
    }

    #[test]
    fn what_does_not_belong_together_is_no_authority() {
        let (a, b) = (WebhookAuthority::make(&LIFETIMES, now()), WebhookAuthority::make(&LIFETIMES, now()));
        let (a, b) = (a.unwrap(), b.unwrap());
        let check = |pem: &str, key: &str, expected: &str| {
            let error = WebhookAuthority::read(pem.to_owned(), key.to_owned()).err().unwrap();
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        };
        check(&a.pem, &b.key_pem, "not that of its certificate");
        check("", &a.key_pem, "its certificate");
        check(&a.pem, "", "its key");
        check(&a.key_pem, &a.key_pem, "its certificate");
    }

    /// Those of earlier versions, which rcgen gives no end.
    #[test]
    fn an_authority_without_an_end_is_read() {
        let read = WebhookAuthority::endless();
        assert!(!read.term.period.is_over(now()) && read.term.period.until > now() + Duration::from_secs(1 << 33));
    }
}
