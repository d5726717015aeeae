//! The error of making a client.

/// Why no client could be made. Every text names the file or variable, the cause and the next step.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The proxy in the environment cannot be used.
    #[error("{variable} holds no proxy address ({cause}); give it as http://HOST:PORT, or unset it")]
    Proxy {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with it; without the address, which may hold a password.
        cause: String,
    },
    /// A named authority cannot be read.
    #[error("the CA file holds no certificate in PEM form ({cause}); give one that begins with BEGIN CERTIFICATE")]
    Roots {
        /// What is wrong with it.
        cause: String,
    },
    /// The client's own certificate cannot be used.
    #[error(
        "the client certificate's key is none in PEM form; give one that begins with BEGIN PRIVATE KEY, and is not encrypted"
    )]
    ClientKey,
}
