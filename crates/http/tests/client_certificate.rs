//! A server that lets in those alone who present a certificate.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use tidewaiter_http::{Client, Settings};
use tidewaiter_testkit::authority::Authority;

/// Its address; clients are of the same authority.
fn server(authority: &Authority) -> String {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = authority.leaf(&["127.0.0.1"]);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut tcp in listener.incoming().map_while(Result::ok) {
            let mut connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = Stream::new(&mut connection, &mut tcp);
            let read = BufReader::new(&mut stream).lines().map_while(Result::ok).find(String::is_empty);
            if read.is_some() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        }
    });
    format!("https://{address}/")
}

#[test]
fn a_client_presents_its_certificate() {
    let (authority, other) = (Authority::new(), Authority::new());
    let url = server(&authority);
    let check = |certificate: Option<(String, String)>, expected: bool| {
        let roots = vec![authority.pem().as_bytes().to_vec()];
        let settings = Settings { extra_roots: roots, client_certificate: certificate, ..Settings::default() };
        let answered = Client::new(&settings).unwrap().get(&url).call();
        assert_eq!(answered.is_ok_and(|answer| answer.status() == 200), expected);
    };
    check(Some(authority.leaf(&["client"])), true);
    check(Some(other.leaf(&["client"])), false);
    check(None, false);
}

#[test]
fn a_certificate_without_a_key_is_told() {
    let (certificate, key) = Authority::new().leaf(&["client"]);
    let check = |certificate: &str, key: &str, words: &str| {
        let client_certificate = Some((certificate.to_owned(), key.to_owned()));
        let said = Client::new(&Settings { client_certificate, ..Settings::default() }).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    };
    check(&certificate, "no key", "BEGIN PRIVATE KEY");
    check(&certificate, &certificate, "BEGIN PRIVATE KEY");
    check(&key, &key, "BEGIN CERTIFICATE");
}
