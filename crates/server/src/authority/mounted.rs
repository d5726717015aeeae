//! Certificates that somebody else issues: a folder as the kubelet mounts the Secrets of cert-manager.
//!
//! Each process reads the files by itself, and sees them change at another moment. So a certificate is shown while every webhook is
//! registered with its authority, which the process that leads sees to, and authorities that were there before stay trusted for
//! longer than any kubelet needs.

use super::certificate::{ids_of, period_of_pem};
use crate::decide::authority::{AuthorityId, ValidityPeriod, after};
use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long an authority that is not mounted any more stays trusted: kubelets renew mounted Secrets within two minutes.
const KEPT: Duration = Duration::from_secs(3600);

/// What the folder has.
pub(crate) struct MountedCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// The authorities, as PEM.
    pub(crate) authorities: String,
    pub(crate) period: ValidityPeriod,
}

impl MountedCertificate {
    /// Reads the folder.
    ///
    /// # Errors
    /// When a file is not there, or the certificate is not one of these authorities for these names at this time.
    pub(crate) fn read(folder: &Path, names: &[String], now: Timestamp) -> Result<Self> {
        let file = |file: &str| {
            let path = folder.join(file);
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let authorities = file("ca.crt").context(
            "the authority of the certificates, which API servers are told to trust: an issuer that gives none (ACME) cannot be used",
        )?;
        let (certificate, key) = (file("tls.crt")?, file("tls.key")?);
        let period = period_of_pem(&certificate).with_context(|| folder.join("tls.crt").display().to_string())?;
        let mounted = MountedCertificate { certificate, key, authorities, period };
        for name in names {
            let hint = || format!("{} does not have a certificate for {name}", folder.display());
            mounted.verify(name, now).with_context(hint)?;
        }
        Ok(mounted)
    }

    /// Verifies it as API servers do.
    fn verify(&self, name: &str, now: Timestamp) -> Result<()> {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            roots.add(authority.context("ca.crt")?).context("ca.crt")?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().context("ca.crt")?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect();
        let chain = chain.context("tls.crt")?;
        let Some((leaf, between)) = chain.split_first() else { bail!("tls.crt has no certificate") };
        let (name, at) = (ServerName::try_from(name.to_owned())?, u64::try_from(now.as_second()).unwrap_or_default());
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verifier.verify_server_cert(leaf, between, &name, &[], at).context("tls.crt")?;
        Ok(())
    }

    /// The authorities.
    pub(crate) fn ids(&self) -> BTreeSet<AuthorityId> {
        ids_of(self.authorities.as_bytes())
    }
}

/// The authorities that are mounted, or were lately.
#[derive(Default)]
pub(super) struct MountedAuthorities(BTreeMap<String, Timestamp>);

impl MountedAuthorities {
    /// Notes what is mounted now; true where other authorities are trusted than before.
    pub(super) fn note(&mut self, mounted: &str, now: Timestamp) -> bool {
        let before: Vec<String> = self.0.keys().cloned().collect();
        self.0.retain(|_, seen| now < after(*seen, KEPT));
        self.0.insert(mounted.to_owned(), now);
        !self.0.keys().eq(&before)
    }

    /// All of them, as PEM.
    pub(super) fn bundle(&self) -> String {
        self.0.keys().map(|one| format!("{}\n", one.trim_end())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::WebhookAuthority;
    use crate::settings::CertificateLifetimes;
    use std::fs;

    const NAME: &str = "tidewaiter.tidewaiter-system.svc";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn what_is_mounted_is_verified_as_api_servers_do() {
        let lifetimes = CertificateLifetimes::default();
        let make = || WebhookAuthority::make(&lifetimes, at(0)).unwrap();
        let (authority, other) = (make(), make());
        let leaf = authority.leaf(vec![NAME.to_owned()], &lifetimes, at(0)).unwrap();
        let foreign = authority.leaf(vec!["other.svc".to_owned()], &lifetimes, at(0)).unwrap();
        let check = |ca: Option<&str>, certificate: &str, now: i64, expected: Result<(), &str>| {
            let folder = tempfile::tempdir().unwrap();
            ca.iter().for_each(|ca| fs::write(folder.path().join("ca.crt"), ca).unwrap());
            fs::write(folder.path().join("tls.crt"), certificate).unwrap();
            fs::write(folder.path().join("tls.key"), &leaf.key).unwrap();
            let read = MountedCertificate::read(folder.path(), &[NAME.to_owned()], at(now));
            match (read.map_err(|error| format!("{error:#}")), expected) {
                (Ok(read), Ok(())) => assert_eq!(read.period.until, leaf.term.period.until),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
                (read, expected) => panic!("{:?} {expected:?}", read.err()),
            }
        };
        check(Some(&authority.pem), &leaf.certificate, 0, Ok(()));
        check(Some(&format!("{}{}", other.pem, authority.pem)), &leaf.certificate, 0, Ok(()));
        check(Some(&other.pem), &leaf.certificate, 0, Err("tls.crt"));
        check(Some(&authority.pem), &foreign.certificate, 0, Err(NAME));
        check(Some(&authority.pem), &leaf.certificate, 8 * 24 * 3600, Err("xpired"));
        check(Some(&authority.pem), "", 0, Err("tls.crt"));
        check(Some("none"), &leaf.certificate, 0, Err("ca.crt"));
        check(None, &leaf.certificate, 0, Err("an issuer that gives none"));
    }

    #[test]
    fn authorities_that_were_mounted_stay_trusted_for_a_while() {
        let mut mounted = MountedAuthorities::default();
        let mut check = |pem: &str, now: i64, changes: bool, expected: &str| {
            assert_eq!(mounted.note(pem, at(now)), changes, "{pem} {now}");
            assert_eq!(mounted.bundle(), expected, "{pem} {now}");
        };
        check("a", 0, true, "a\n");
        check("a\n", 1, true, "a\na\n");
        check("a", 3600, false, "a\na\n");
        check("b", 3601, true, "a\nb\n");
        check("b", 7199, false, "a\nb\n");
        check("b", 7200, true, "b\n");
        check("b", 7201, false, "b\n");
    }
}
