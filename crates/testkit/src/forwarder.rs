//! A way to a server that can be cut, so that neither old nor new connections answer, or go silent, so that old ones say nothing and
//! stay open.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Bytes that are passed on at once.
const PART: usize = 64 << 10;

/// Passes connections on until the process ends.
#[derive(Debug)]
pub struct Forwarder {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

#[derive(Debug, Default)]
struct Way {
    is_cut: bool,
    open: Vec<TcpStream>,
    /// Set when the connections that are open go silent.
    silence: Arc<AtomicBool>,
}

impl Forwarder {
    /// Listens on a port of loopback, in the network of the calling thread, for the server at `to`.
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Mutex::new(Way::default()));
        let passed = Arc::clone(&way);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let way = Arc::clone(&passed);
                thread::spawn(move || connect(&client, to, &way));
            }
        });
        Forwarder { address, way }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and refuses new ones.
    pub fn cut(&self) {
        let mut way = self.way.lock().unwrap();
        way.is_cut = true;
        way.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    /// Swallows what is said on connections that are open, without closing them; new ones are passed on.
    pub fn silence(&self) {
        let mut way = self.way.lock().unwrap();
        way.silence.store(true, Ordering::Relaxed);
        way.silence = Arc::default();
    }

    /// Passes new connections on again.
    pub fn mend(&self) {
        self.way.lock().unwrap().is_cut = false;
    }
}

fn connect(client: &TcpStream, to: SocketAddr, way: &Mutex<Way>) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    let silence = {
        let mut way = way.lock().unwrap();
        if way.is_cut {
            return client.shutdown(Shutdown::Both);
        }
        way.open.extend([client.try_clone()?, server.try_clone()?]);
        Arc::clone(&way.silence)
    };
    let (from_client, to_server, silent) = (client.try_clone()?, server.try_clone()?, Arc::clone(&silence));
    thread::spawn(move || pass_on(from_client, to_server, &silent));
    pass_on(server, client.try_clone()?, &silence)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, silence: &AtomicBool) -> io::Result<()> {
    let mut part = vec![0; PART];
    loop {
        let read = from.read(&mut part)?;
        match silence.load(Ordering::Relaxed) {
            true if read == 0 => return Ok(()),
            true => {}
            false if read == 0 => return to.shutdown(Shutdown::Write),
            false => to.write_all(&part[..read])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_open_goes_silent_and_what_is_new_does_not() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Forwarder::start(server.local_addr().unwrap());
        // Says everything twice.
        thread::spawn(move || {
            for mut client in server.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while client.read_exact(&mut byte).is_ok() {
                        client.write_all(&[byte[0], byte[0]]).unwrap();
                    }
                });
            }
        });
        let open = || {
            let client = TcpStream::connect(way.address()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            client
        };
        let ask = |client: &mut TcpStream| {
            client.write_all(b"a").unwrap();
            let mut answer = [0; 2];
            client.read_exact(&mut answer).map(|()| answer)
        };
        let mut before = open();
        assert_eq!(ask(&mut before).unwrap(), *b"aa");
        way.silence();
        let mut after = open();
        assert_eq!(ask(&mut after).unwrap(), *b"aa");
        let silent = ask(&mut before).unwrap_err().kind();
        assert!(matches!(silent, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{silent}");
    }

    #[test]
    fn a_way_is_cut_and_mended() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Forwarder::start(server.local_addr().unwrap());
        thread::spawn(move || {
            for mut client in server.incoming().flatten() {
                client.write_all(b"a").unwrap();
                thread::park();
            }
        });
        let mut byte = [0];
        let mut open = TcpStream::connect(way.address()).unwrap();
        open.read_exact(&mut byte).unwrap();
        way.cut();
        assert_eq!(open.read(&mut byte).unwrap_or(0), 0);
        let refused = TcpStream::connect(way.address()).and_then(|mut client| client.read(&mut byte));
        assert_eq!(refused.unwrap_or(0), 0);
    }
}
