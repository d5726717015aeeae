//! Users without an administrator's rights.

use crate::lab;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::Lab;

/// The roles that Kubernetes ships are enough for everything a developer does.
#[test]
fn a_developer_reads_reports() {
    let lab = lab();
    let bad = lab.registry.push("bad", "v1", &vulnerable().build());
    let said = lab.kubectl(&["scan", "image", &bad]);
    assert_eq!(said.code, 1, "{}", said.text);
    assert!(
        said.text.contains("CVE-2022-1292   openssl") && said.text.contains("3 critical, 5 medium"),
        "{}",
        said.text
    );
    let said = lab.kubectl(&["scan", "report", &bad, "-o", "json"]).ok();
    assert!(said.contains("CVE-2022-1292"), "{said}");
    // They reach nothing else in the server's namespace: no other port of its Service, and metrics are not at this one.
    let proxy = "/api/v1/namespaces/tidewaiter-system/services";
    for (path, word) in [
        ("https:tidewaiter:443/proxy/pods", "forbidden"),
        ("http:tidewaiter:9090/proxy/metrics", "forbidden"),
        ("http:tidewaiter:8080/proxy/metrics", "could not find the requested resource"),
    ] {
        let said = lab.kubectl(&["get", "--raw", &format!("{proxy}/{path}")]).refused();
        assert!(said.contains(word), "{path}: {said}");
    }
    let metrics = lab.admin(&["get", "--raw", &format!("{proxy}/http:tidewaiter:9090/proxy/metrics")]).ok();
    assert!(metrics.contains("tidewaiter_scans"), "{metrics}");
    // Without that right they still read the verdict, as text and as exit code.
    lab.admin(&["delete", "rolebinding", "tidewaiter-reports", "-n", "tidewaiter-system"]).ok();
    let said = lab.kubectl(&["scan", "image", &bad]);
    assert_eq!(said.code, 1, "{}", said.text);
    for word in ["only its summary", "bind the role tidewaiter-reports", "3 critical, 5 medium", "CVE-2022-1292"] {
        assert!(said.text.contains(word), "{word}: {}", said.text);
    }
    assert!(!said.text.contains("Status {"), "{}", said.text);
    let said = lab.kubectl(&["scan", "report", &bad]).refused();
    assert!(said.contains("the report cannot be read") && !said.contains("Status {"), "{said}");
}

/// A report that a newer scan replaces during the request: the newer one is shown.
#[test]
fn a_report_that_is_replaced_meanwhile() {
    let lab = lab();
    let image = lab.registry.push("good", "v1", &clean().build());
    lab.kubectl(&["scan", "image", &image]).ok();
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", between.local_addr().unwrap());
    let said = std::thread::scope(|scope| {
        scope.spawn(|| replace_then_pass_on(&lab, &between));
        lab.kubectl(&["scan", "report", &image, "--server", &url])
    });
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(said.text.contains("No vulnerabilities found"), "{}", said.text);
}

/// Requests a rescan before the first request reaches the server, then forwards two requests.
fn replace_then_pass_on(lab: &Lab, between: &TcpListener) {
    let key = || lab.field("imagescans", ".items[0].status.platforms[0].reportKey");
    for request in 0..2 {
        let (mut client, _) = between.accept().unwrap();
        let mut head = Vec::new();
        for line in BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok) {
            if line.is_empty() {
                break;
            }
            // The end of the response is the end of the connection.
            if !line.to_ascii_lowercase().starts_with("connection:") {
                head.push(line);
            }
        }
        if request == 0 {
            let old = key();
            let scan = lab.field("imagescans", ".items[0].metadata.name");
            lab.kubectl(&["patch", "imagescan", &scan, "--type=merge", "-p", r#"{"spec":{"rescan":"now"}}"#]).ok();
            crate::within(tidewaiter_testkit::lab::PATIENCE, "another report", || !key().is_empty() && key() != old);
        }
        let server = lab.server_url();
        let mut server = TcpStream::connect(server.trim_start_matches("http://")).unwrap();
        write!(server, "{}\r\nConnection: close\r\n\r\n", head.join("\r\n")).unwrap();
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).unwrap();
        client.write_all(&answer).unwrap();
    }
}
