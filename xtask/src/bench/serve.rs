//! A registry on loopback that serves a layout's files: the kernel copies them, so that it takes next to no CPU time from the scan.

use super::images::blob;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// The first byte of a TLS connection (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Serves a layout until this process ends; returns the image's reference.
pub(crate) fn start(layout: &Path) -> Result<String> {
    let index = std::fs::read(layout.join("index.json")).with_context(|| layout.display().to_string())?;
    let index: serde_json::Value = serde_json::from_slice(&index)?;
    let root = blob(&index["manifests"][0])?.to_owned();
    let blobs = layout.join("blobs/sha256");
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || accept(&listener, &blobs, &root));
    Ok(format!("{address}/bench:latest"))
}

fn accept(listener: &TcpListener, blobs: &Path, root: &str) {
    for connection in listener.incoming().flatten() {
        let (blobs, root) = (blobs.to_owned(), root.to_owned());
        thread::spawn(move || answer(&connection, &blobs, &root));
    }
}

/// Answers requests until the client leaves.
fn answer(connection: &TcpStream, blobs: &Path, root: &str) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut first = [0];
    if connection.peek(&mut first)? == 1 && first[0] == TLS_HANDSHAKE {
        // As a web server does: the client learns that this is plain HTTP, and comes back.
        let mut connection = connection;
        return connection.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    let mut reader = BufReader::new(connection);
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let mut words = first.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        respond(connection, method, &file(path, blobs, root))?;
    }
}

/// The file that a path of the distribution protocol names.
fn file(path: &str, blobs: &Path, root: &str) -> (PathBuf, &'static str) {
    let last = path.rsplit('/').next().unwrap_or_default();
    let hex = last.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if path.contains("/manifests/") {
        (blobs.join(hex.unwrap_or(root)), "application/vnd.oci.image.manifest.v1+json")
    } else {
        (blobs.join(hex.unwrap_or("none")), "application/octet-stream")
    }
}

fn respond(mut connection: &TcpStream, method: &str, (path, kind): &(PathBuf, &str)) -> io::Result<()> {
    let Ok(file) = File::open(path) else {
        return connection.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let len = file.metadata()?.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    if method != "HEAD" {
        io::copy(&mut file.take(len), &mut connection)?;
    }
    Ok(())
}
