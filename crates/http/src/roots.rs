//! Trusted certificate authorities: the system's, and those that were named; and the certificate of the client itself.

use crate::error::ClientError;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// The system's certificate authorities, and those of these PEM documents in addition.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's, as they do for OpenSSL.
///
/// # Errors
/// When a document holds no certificate, or no key.
pub(crate) fn tls(extra: &[Vec<u8>], client: Option<&(String, String)>) -> Result<TlsConfig, ClientError> {
    let client = client.map(|(certificate, key)| own(certificate, key)).transpose()?;
    Ok(TlsConfig::builder().root_certs(roots(extra)?).client_cert(client).build())
}

/// What a client presents itself by.
fn own(certificate: &str, key: &str) -> Result<ClientCert, ClientError> {
    let chain = certificates(certificate.as_bytes())?;
    // Its cause is not kept: it may quote the key.
    let key = PrivateKey::from_pem(key.as_bytes()).map_err(|_| ClientError::ClientKey)?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn roots(extra: &[Vec<u8>]) -> Result<RootCerts, ClientError> {
    if extra.is_empty() {
        return Ok(RootCerts::PlatformVerifier);
    }
    // Certificates that the system's store cannot provide are missing for every program; the named ones still count.
    let native = rustls_native_certs::load_native_certs().certs;
    let mut all: Vec<Certificate<'static>> = native.iter().map(|c| Certificate::from_der(c).to_owned()).collect();
    for pem in extra {
        all.extend(certificates(pem)?);
    }
    Ok(RootCerts::new_with_certs(&all))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, ClientError> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(ClientError::Roots { cause: error.to_string() }),
        }
    }
    if found.is_empty() {
        return Err(ClientError::Roots { cause: "there is none in it".to_owned() });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_told_apart() {
        let check = |pem: &str, expected: &str| {
            let error = tls(&[pem.as_bytes().to_vec()], None).unwrap_err().to_string();
            assert!(error.contains(expected), "{pem:?}: {error}");
        };
        check("", "there is none in it");
        check("hello", "there is none in it");
        check("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "no certificate in PEM form");
    }
}
