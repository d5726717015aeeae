//! A mail server (SMTP, RFC 5321) on loopback that keeps what it is given. It knows what one sender needs: EHLO, STARTTLS, AUTH PLAIN,
//! MAIL, RCPT, DATA, QUIT.

use crate::authority::Authority;
use crate::serve::pair;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Listens on loopback; its thread ends with the process.
#[derive(Debug)]
pub struct MailServer {
    port: u16,
    state: Arc<PostOffice>,
}

#[derive(Debug, Default)]
struct PostOffice {
    mails: Mutex<Vec<Mail>>,
    /// Answers to the next RCPT commands.
    refusals: Mutex<Vec<String>>,
    /// What AUTH PLAIN must say, in base64; none: nobody logs in.
    login: Option<String>,
    tls: Option<Arc<ServerConfig>>,
    wrapped: bool,
}

/// What was accepted.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Addresses of the recipients.
    pub to: Vec<String>,
    /// Headers and body, with line feeds.
    pub data: String,
    /// Whether it came over TLS.
    pub encrypted: bool,
}

impl MailServer {
    /// A server without TLS.
    pub fn plain() -> Self {
        Self::start(PostOffice::default())
    }

    /// A server with TLS, from the beginning (`wrapped`) or after STARTTLS, that wants this login (AUTH PLAIN in base64).
    pub fn with_tls(authority: &Authority, wrapped: bool, login: Option<&str>) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (certificate, key) = pair(authority);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let login = login.map(str::to_owned);
        Self::start(PostOffice { tls: Some(Arc::new(config)), wrapped, login, ..PostOffice::default() })
    }

    fn start(state: PostOffice) -> Self {
        let state = Arc::new(state);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client that leaves ends its conversation alone.
                thread::spawn(move || drop(accept(&state, stream)));
            }
        });
        MailServer { port, state }
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Answers one more RCPT like this: `550 5.1.1 no such user`.
    pub fn refuse(&self, answer: &str) {
        self.state.refusals.lock().unwrap().insert(0, answer.to_owned());
    }

    /// Everything accepted so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.mails.lock().unwrap().clone()
    }
}

fn accept(state: &PostOffice, mut stream: TcpStream) -> std::io::Result<()> {
    match &state.tls {
        Some(config) if state.wrapped => talk(state, &mut encrypted(config, stream), true, true).map(drop),
        _ => {
            if talk(state, &mut stream, false, true)?
                && let Some(config) = &state.tls
            {
                talk(state, &mut encrypted(config, stream), true, false)?;
            }
            Ok(())
        }
    }
}

fn encrypted(config: &Arc<ServerConfig>, stream: TcpStream) -> StreamOwned<ServerConnection, TcpStream> {
    StreamOwned::new(ServerConnection::new(Arc::clone(config)).unwrap(), stream)
}

/// One conversation; true where it goes on with TLS.
fn talk<S: Read + Write>(state: &PostOffice, stream: &mut S, encrypted: bool, greets: bool) -> std::io::Result<bool> {
    let mut stream = BufReader::new(stream);
    let say = |stream: &mut BufReader<&mut S>, text: &str| write!(stream.get_mut(), "{text}\r\n");
    if greets {
        say(&mut stream, "220 testkit")?;
    }
    let (mut to, mut line) = (Vec::new(), String::new());
    let mut is_known = state.login.is_none();
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let command = line.trim_end();
        let word = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match word.as_str() {
            "EHLO" => {
                if state.tls.is_some() && !encrypted {
                    say(&mut stream, "250-testkit\r\n250 STARTTLS")?;
                } else {
                    say(&mut stream, "250-testkit\r\n250 AUTH PLAIN")?;
                }
            }
            "STARTTLS" => {
                say(&mut stream, "220 go on")?;
                return Ok(true);
            }
            "AUTH" => {
                is_known = state.login.as_deref().is_some_and(|login| command.ends_with(&format!(" {login}")));
                say(&mut stream, if is_known { "235 welcome" } else { "535 5.7.8 who is that" })?;
            }
            "MAIL" if !is_known => say(&mut stream, "530 5.7.0 log in first")?,
            "RCPT" => match state.refusals.lock().unwrap().pop() {
                Some(refusal) => say(&mut stream, &refusal)?,
                None => {
                    let address = command.split(['<', '>']).nth(1).unwrap_or_default();
                    to.push(address.to_owned());
                    say(&mut stream, "250 ok")?;
                }
            },
            "DATA" => {
                say(&mut stream, "354 go on")?;
                let data = data(&mut stream)?;
                state.mails.lock().unwrap().push(Mail { to: std::mem::take(&mut to), data, encrypted });
                say(&mut stream, "250 ok")?;
            }
            "QUIT" => {
                say(&mut stream, "221 bye")?;
                return Ok(false);
            }
            _ => say(&mut stream, "250 ok")?,
        }
    }
}

/// Lines up to the one with a dot alone.
fn data(stream: &mut impl std::io::BufRead) -> std::io::Result<String> {
    let mut data = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 || line == ".\r\n" {
            return Ok(data);
        }
        data.push_str(line.strip_prefix('.').unwrap_or(&line).trim_end_matches(['\r', '\n']));
        data.push('\n');
    }
}
