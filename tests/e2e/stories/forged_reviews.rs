//! Reviews that no API server sent: whoever reaches the admission port chooses their text, and takes no memory by it.

use crate::lab;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use tidewaiter_testkit::lab::Lab;

/// A review of a Pod, whose resource has any name.
fn review(resource: &str) -> String {
    format!(
        r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","kind":{{"group":"",
        "version":"v1","kind":"Pod"}},"resource":{{"group":"","version":"v1","resource":"{resource}"}},"name":"p","namespace":
        "default","operation":"CREATE","userInfo":{{}},"object":{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p"}},
        "spec":{{"containers":[{{"name":"c","image":"r.example/x:1"}}]}}}}}}}}"#
    )
}

/// The admission port, as any Pod reaches it.
struct Port {
    address: String,
    tls: Arc<ClientConfig>,
}

impl Port {
    fn of(lab: &Lab) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let pods = [
            "get",
            "endpointslices",
            "-n",
            "tidewaiter-system",
            "-o",
            "jsonpath={.items[0].endpoints[0].addresses[0]}",
        ];
        let address = format!("{}:8443", lab.admin(&pods).ok());
        let bundle = lab.field("mutatingwebhookconfiguration/tidewaiter", ".webhooks[0].clientConfig.caBundle");
        let pem = BASE64_STANDARD.decode(bundle).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).map(Result::unwrap));
        let tls = Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth());
        Port { address, tls }
    }

    /// Status line and body of the answer.
    fn post(&self, body: &str) -> String {
        let name = ServerName::try_from("tidewaiter.tidewaiter-system.svc").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        let mut stream = StreamOwned::new(connection, TcpStream::connect(&self.address).unwrap());
        let head = format!(
            "POST /pods HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // One that is refused is answered before it is read.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn their_texts_are_no_labels_of_metrics() {
    let lab = lab();
    let metrics = || {
        let path = "/api/v1/namespaces/tidewaiter-system/services/http:tidewaiter:9090/proxy/metrics";
        lab.admin(&["get", "--raw", path]).ok()
    };
    let port = Port::of(&lab);
    let before = metrics().len();
    for i in 0..20 {
        let said = port.post(&review(&format!("{i}{}", "x".repeat(200_000))));
        assert!(said.starts_with("HTTP/1.1 200") && said.contains(r#""allowed":true"#), "{said}");
    }
    let after = metrics();
    assert!(after.len() < before + 1000, "{} grew from {before}", after.len());
    assert!(after.contains(r#"tidewaiter_admissions_total{resource="pods",answer="changed"} 20"#), "{after}");
    // Larger than any object that an API server accepts.
    let said = port.post(&review(&"x".repeat(9 << 20)));
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 413"), "{said}");
    // Requests of the API server are answered as before.
    let good = lab.registry.push("good", "v1", &tidewaiter_testkit::demo::clean().build());
    crate::create(&lab, "good", &good);
    crate::rolled_out(&lab, "good");
}
