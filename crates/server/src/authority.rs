//! The webhooks' certificates: authorities of the installation's own, in a Secret, and a certificate that each process gives
//! itself. When they change, and in which steps, is decided in `decide::authority`; `install::rotation` takes the steps.
//!
//! Where a folder with certificates of somebody else is given (cert-manager's), those are shown while every registration names their
//! authority. The installation's own authorities give the secrets of paths, stay trusted, and sign what is shown otherwise: so a
//! process with that folder takes what one without it shows. One without it does not take what is mounted: while only some processes
//! have the folder, it asks those in vain.
//!
//! What the paths of webhooks and of other servers end with follows from an authority's key, and changes with it. So each process
//! answers at the paths of all authorities that it trusts, and uses those of the one that signs.

mod certificate;
mod mounted;
mod path_secrets;
mod ring;
mod stored;
mod trust;

#[cfg(test)]
pub(crate) use certificate::WebhookAuthority;
pub(crate) use certificate::ids_of;
pub(crate) use mounted::MountedCertificate;
pub(crate) use path_secrets::PathSecrets;
pub(crate) use ring::AuthorityRing;
pub(crate) use stored::{StoredRing, open, read, write};
pub(crate) use trust::WebhookTrust;
