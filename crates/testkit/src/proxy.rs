//! An HTTP proxy on loopback that tunnels (CONNECT, RFC 9110 §9.3.6) to servers of this machine, whatever their names.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Longest head of a request.
const MAX_HEAD: usize = 16 << 10;

/// Tunnels until the process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Connects each `host:port` to a port of this machine, and refuses all others with 403.
    pub fn start(routes: &[(&str, u16)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let routes: Arc<BTreeMap<String, u16>> =
            Arc::new(routes.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || accept(&listener, &routes, &log));
        Proxy { address, asked }
    }

    /// Its address, for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every `host:port` that was requested.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn accept(listener: &TcpListener, routes: &Arc<BTreeMap<String, u16>>, log: &Arc<Mutex<Vec<String>>>) {
    for client in listener.incoming().flatten() {
        let (routes, log) = (Arc::clone(routes), Arc::clone(log));
        // A client that goes away ends its own tunnel alone.
        thread::spawn(move || tunnel(client, &routes, &log));
    }
}

fn tunnel(mut client: TcpStream, routes: &BTreeMap<String, u16>, log: &Mutex<Vec<String>>) -> io::Result<()> {
    let head = head(&mut client)?;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    log.lock().unwrap().push(target.to_owned());
    let Some(port) = routes.get(target) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(("127.0.0.1", *port))?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass_on(from_client, to_server));
    pass_on(server, client)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}

/// Byte by byte, so that nothing of what follows is taken.
fn head(client: &mut TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") && bytes.len() < MAX_HEAD {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        bytes.extend(byte);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
