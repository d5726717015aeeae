//! Why a scan has no result, in one word that programs compare.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Defines [`Reason`] and its text form in one table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why a scan failed or does not start: the `reason` of statuses, conditions, metrics and the API (Kubernetes API
        /// conventions, "Typical status properties": one CamelCase word). Its text form is the name of the variant.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
            /// A reason that another version of tidewaiter wrote.
            Other(String),
        }

        impl Reason {
            /// Every reason that this version writes.
            pub const ALL: &[Reason] = &[$(Reason::$name,)*];

            /// The word itself.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Reason::$name => stringify!($name),)*
                    Reason::Other(word) => word,
                }
            }
        }
    };
}

reasons! {
    // The image and its registry.
    /// The image string is not an image reference.
    BadReference,
    /// The registry has no such image, or the file does not exist.
    ImageNotFound,
    /// The registry refused the credentials, or wants some.
    Unauthorized,
    /// The registry did not answer, or not usefully.
    RegistryUnreachable,
    /// The registry refuses more requests for a while.
    RateLimited,
    /// The settings of proxies or certificates cannot be used.
    BadNetworkSettings,
    /// The registry's address is one that images must not make us connect to.
    HostNotAllowed,
    /// A pull secret cannot be read from the cluster.
    PullSecretUnreadable,
    /// A pull secret was read and is not one.
    BadPullSecret,
    /// The registry refused access, and a credential provider gave no login.
    CredentialProviderFailed,
    // The bytes of the image.
    /// A layer ended before its size.
    LayerTruncated,
    /// A layer cannot be decompressed, or is not a tar archive.
    BadLayer,
    /// A blob has another digest than its descriptor.
    DigestMismatch,
    /// A layer's content has another digest than the config's diff ID.
    DiffIdMismatch,
    /// A document of the image is of a type that nothing here reads.
    UnsupportedMediaType,
    /// The index has no manifest for the platform.
    NoMatchingPlatform,
    /// A document of the image is malformed.
    BadImage,
    /// The image exceeds a limit on sizes or numbers.
    LimitExceeded,
    // The database.
    /// There is no database yet.
    NoDatabase,
    /// The database cannot be read.
    DatabaseUnavailable,
    /// The database is damaged.
    DatabaseCorrupt,
    /// The database was written by a newer version.
    DatabaseNewerFormat,
    /// The database would exceed its format's limits.
    DatabaseTooLarge,
    // The scan itself.
    /// The report has gaps and policy does not allow that.
    Incomplete,
    /// The caller cancelled.
    Cancelled,
    /// The scan took longer than its limit.
    ScanTimeout,
    /// The scan's process ended without a result.
    ScannerStopped,
    /// The scanner did not answer.
    ScannerUnreachable,
    /// The scan's process gave a result of something else than its job.
    BadScanResult,
    /// The server could not keep the report.
    ReportNotStored,
    /// A fault of this program.
    Internal,
    // The API of reports.
    /// The server has no such report, or no longer.
    ReportNotFound,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<String> for Reason {
    fn from(word: String) -> Self {
        let known = Reason::ALL.iter().find(|reason| reason.as_str() == word);
        known.cloned().unwrap_or(Reason::Other(word))
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips() {
        let check = |word: &str, expected: Reason| {
            let reason: Reason = serde_json::from_value(word.into()).unwrap();
            assert_eq!((&reason, reason.as_str()), (&expected, word));
            assert_eq!(serde_json::to_value(reason).unwrap(), word);
        };
        for reason in Reason::ALL {
            check(reason.as_str(), reason.clone());
        }
        check("RegistryUnreachable", Reason::RegistryUnreachable);
        check("OfTomorrow", Reason::Other("OfTomorrow".to_owned()));
    }
}
