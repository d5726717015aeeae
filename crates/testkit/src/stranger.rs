//! A stranger who reaches the admission webhooks: TLS, and no certificate of their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// POSTs JSON to a path of a webhook, whose authority (`caBundle`) everybody can read; returns the response.
pub fn post(address: SocketAddr, name: &str, bundle: &str, path: &str, body: &str) -> String {
    let pem = String::from_utf8(STANDARD.decode(bundle).unwrap()).unwrap();
    post_trusting(address, name, &pem, path, body)
}

/// The same for who trusts these authorities, in PEM; empty where the webhook shows no certificate of theirs.
pub fn post_trusting(address: SocketAddr, name: &str, authorities: &str, path: &str, body: &str) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    // Several, while one takes the place of another.
    CertificateDer::pem_slice_iter(authorities.as_bytes()).for_each(|authority| roots.add(authority.unwrap()).unwrap());
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: webhook\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // What is refused is answered before it is read.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    let mut answer = Vec::new();
    // The server may end the connection without a farewell.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
