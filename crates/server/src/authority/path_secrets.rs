//! What paths end with that only some may know: secrets that follow from an authority's key.

use sha2::{Digest as _, Sha256};
use tidewaiter_core::hex;

/// The secrets that follow from one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathSecrets {
    /// What only the API server, and who reads its registrations or the Secret, knows: the same for every process.
    pub(crate) webhooks: String,
    /// The same for the path of ImageReports, which API servers name to whoever asks in vain.
    pub(crate) reports: String,
    /// What only servers, and who reads the Secret, know: the secret in the path by which they reach each other. It is registered
    /// nowhere, and does not follow from what is.
    pub(crate) peers: String,
}

impl PathSecrets {
    /// Those that follow from a key, as it is stored.
    pub(super) fn of(key: &str) -> Self {
        let webhooks = secret_of("tidewaiter webhook path", key);
        let reports = reports_token(&webhooks);
        // From the key, as that of the webhooks: whoever may read webhook configurations reads that one, and what follows from it.
        PathSecrets { reports, peers: secret_of("tidewaiter path of other servers", key), webhooks }
    }
}

/// The secret in the path of ImageReports, which follows from that of the other paths and does not lead to it: API servers name a
/// webhook's whole address to whoever asks while it does not answer, and the others are never named.
fn reports_token(webhooks: &str) -> String {
    secret_of("tidewaiter path of reports", webhooks)
}

/// A secret of 128 bits that follows from another one and says nothing about it.
fn secret_of(label: &str, secret: &str) -> String {
    let hash: [u8; 32] = Sha256::new().chain_update(label).chain_update(secret).finalize().into();
    hex(&hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who may read webhook configurations knows the two registered secrets, how they were made, and no other one.
    #[test]
    fn the_secret_of_servers_follows_from_nothing_registered() {
        const LABELS: [&str; 3] =
            ["tidewaiter webhook path", "tidewaiter path of reports", "tidewaiter path of other servers"];
        let secrets = PathSecrets::of("key");
        for known in [&secrets.webhooks, &secrets.reports] {
            assert_ne!(*known, secrets.peers);
            for label in LABELS {
                assert_ne!(secret_of(label, known), secrets.peers, "{label}");
            }
        }
        // The same for every server that reads the Secret, and others for another key.
        assert_eq!(PathSecrets::of("key"), secrets);
        let other = PathSecrets::of("other");
        assert!(other.webhooks != secrets.webhooks && other.reports != secrets.reports && other.peers != secrets.peers);
    }

    /// Those of a key must not change: another version of the server may be the other process.
    #[test]
    fn every_version_derives_the_same() {
        let secrets = PathSecrets::of("key");
        assert_eq!(secrets.webhooks, "0d30a7112f3bb57d46e58dc1182f865c");
        assert_eq!(secrets.reports, "11893e3bbcba31fc1a7dff567c6006bc");
        assert_eq!(secrets.peers, "fb713b31185561d92a926b73a653e184");
    }
}
