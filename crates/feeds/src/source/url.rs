//! Downloads: resumed where they broke, retried with back-off, bounded in size.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How to download.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries in all.
    pub tries: u32,
    /// Pause after the first failure; doubled after each further one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { tries: 5, pause: Duration::from_secs(1) }
    }
}

/// Downloads `url` into `folder` and returns the file. `progress` is told (bytes so far, all bytes where known).
///
/// # Errors
/// When the last try failed, or more than `max_bytes` came.
pub fn download(
    url: &str,
    folder: &Path,
    max_bytes: u64,
    retry: Retry,
    progress: &dyn Fn(u64, Option<u64>),
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let name = url.rsplit('/').next().filter(|n| n.contains('.')).unwrap_or("download.json");
    let target = folder.join(name.split(['?', '#']).next().unwrap_or(name));
    let part = target.with_extension("part");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .http_status_as_error(false)
        .build()
        .into();
    let _ = fs::remove_file(&part);
    let mut pause = retry.pause;
    for attempt in 1.. {
        match attempt_download(&agent, url, &part, max_bytes, progress) {
            Ok(()) => break,
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Again(error)) if attempt >= retry.tries => return Err(error),
            Err(Attempt::Again(_)) => {
                thread::sleep(pause);
                pause = pause.saturating_mul(2);
            }
        }
    }
    fs::rename(&part, &target)?;
    Ok(target)
}

enum Attempt {
    Again(io::Error),
    Final(io::Error),
}

fn attempt_download(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    max_bytes: u64,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), Attempt> {
    let have = fs::metadata(part).map_or(0, |m| m.len());
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let response = request.call().map_err(|e| Attempt::Again(io::Error::other(e)))?;
    let status = response.status().as_u16();
    let append = match status {
        200 => false,
        206 => true,
        429 | 500..=599 => return Err(Attempt::Again(io::Error::other(format!("the server answers {status}")))),
        _ => return Err(Attempt::Final(io::Error::other(format!("the server answers {status}")))),
    };
    let length =
        response.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let start = if append { have } else { 0 };
    let total = length.map(|l| l + start);
    if total.is_some_and(|t| t > max_bytes) {
        return Err(Attempt::Final(io::Error::other(format!("it has more than max_bytes = {max_bytes} bytes"))));
    }
    let mut file = open(part, append).map_err(Attempt::Final)?;
    let mut body = response.into_body().into_reader();
    copy(&mut body, &mut file, start, total, max_bytes, progress)
}

fn open(part: &Path, append: bool) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(part)
}

fn copy(
    body: &mut impl Read,
    file: &mut File,
    mut have: u64,
    total: Option<u64>,
    max_bytes: u64,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), Attempt> {
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        let n = body.read(&mut buffer).map_err(Attempt::Again)?;
        if n == 0 {
            break;
        }
        have += n as u64;
        if have > max_bytes {
            return Err(Attempt::Final(io::Error::other(format!("it has more than max_bytes = {max_bytes} bytes"))));
        }
        file.write_all(buffer.get(..n).unwrap_or_default()).map_err(Attempt::Final)?;
        progress(have, total);
    }
    if total.is_some_and(|t| have < t) {
        return Err(Attempt::Again(io::Error::other("the connection ended early")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// Serves one canned answer per connection and returns the requests' Range headers.
    fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/feed.json", listener.local_addr().unwrap());
        let handle = thread::spawn(move || {
            let mut ranges = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|l| l.unwrap());
                let head: Vec<String> = lines.take_while(|l| !l.is_empty()).collect();
                let range = head.iter().find(|l| l.to_lowercase().starts_with("range:"));
                ranges.push(range.cloned().unwrap_or_default().to_lowercase());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            ranges
        });
        (url, handle)
    }

    fn answer(status: &str, length: usize, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    const RETRY: Retry = Retry { tries: 3, pause: Duration::from_millis(1) };

    #[test]
    fn broken_downloads_resume_and_busy_servers_are_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let (url, server) = serve(vec![
            answer("429 Too Many Requests", 0, ""),
            answer("200 OK", 10, "01234"),
            answer("206 Partial Content", 5, "56789"),
        ]);
        let file = download(&url, dir.path(), 100, RETRY, &|_, _| {}).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "0123456789");
        assert_eq!(server.join().unwrap(), ["", "", "range: bytes=5-"]);
    }

    #[test]
    fn limits_and_refusals_end_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let check = |answer: String, expected: &str| {
            let (url, server) = serve(vec![answer]);
            let error = download(&url, dir.path(), 8, RETRY, &|_, _| {}).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            server.join().unwrap();
        };
        check(answer("200 OK", 10, "0123456789"), "max_bytes");
        check(answer("404 Not Found", 0, ""), "404");
    }
}
