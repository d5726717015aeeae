//! What an image is called: digests, references and platforms.
//!
//! References follow the grammar of the distribution project and the normalisation every container
//! runtime applies (`nginx` is `docker.io/library/nginx:latest`), so that the gate and the kubelet
//! mean the same image by the same text.

mod digest;
mod name;
mod platform;
mod reference;

pub use digest::{Digest, DigestError};
pub use name::{is_same_image, without_tag};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
