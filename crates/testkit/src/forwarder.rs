//! A way to a server that can be cut: connections are passed on until then, and from then on neither old nor new ones answer.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

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

    /// Passes new connections on again.
    pub fn mend(&self) {
        self.way.lock().unwrap().is_cut = false;
    }
}

fn connect(client: &TcpStream, to: SocketAddr, way: &Mutex<Way>) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    {
        let mut way = way.lock().unwrap();
        if way.is_cut {
            return client.shutdown(Shutdown::Both);
        }
        way.open.extend([client.try_clone()?, server.try_clone()?]);
    }
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pass_on(from_client, to_server));
    pass_on(server, client.try_clone()?)
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

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
