//! What a worker cannot do, whatever an image makes of it.

/// One line about what the kernel has.
pub(crate) fn support() -> &'static str {
    "no sandbox yet"
}
