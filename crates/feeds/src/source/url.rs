//! Downloads: resumed after an interruption, retried with back-off, limited in size.

use backon::{BlockingRetryable as _, ExponentialBuilder};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewaiter_http::{Client, RequestFailure};

/// Why a file could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The request failed.
    #[error("{}", .0.cause)]
    NotReached(RequestFailure),
    /// The server refuses.
    #[error("the server answers {0}")]
    Status(u16),
    /// It is longer than the feed allows.
    #[error("it has more than max_bytes = {0} bytes")]
    TooLong(u64),
    /// The connection broke.
    #[error("{0}")]
    Broken(io::Error),
    /// The file does not match the size or digest that was announced.
    #[error("{0}")]
    Contradicted(String),
    /// The local file cannot be written.
    #[error("{}: {cause}", path.display())]
    Disk {
        /// File or folder.
        path: PathBuf,
        /// The operating system's error.
        cause: io::Error,
    },
}

impl DownloadError {
    /// The next step.
    pub fn advice(&self) -> String {
        match self {
            DownloadError::NotReached(failure) => failure.kind.advice().to_owned(),
            DownloadError::Status(401 | 403 | 407) => "check whether the address needs a login, or a proxy".to_owned(),
            DownloadError::Status(_) | DownloadError::Broken(_) | DownloadError::Contradicted(_) => {
                "check its address in feeds.toml, or try again later".to_owned()
            }
            DownloadError::TooLong(_) => "raise max_bytes in feeds.toml if the feed has grown".to_owned(),
            DownloadError::Disk { .. } => "name a writable folder with --downloads DIR, or make room".to_owned(),
        }
    }

    /// Whether another try may succeed.
    fn is_transient(&self) -> bool {
        match self {
            DownloadError::NotReached(failure) => !failure.kind.lasts(),
            DownloadError::Status(status) => matches!(status, 429 | 500..=599),
            DownloadError::Broken(_) => true,
            _ => false,
        }
    }

    pub(crate) fn disk(path: &Path, cause: io::Error) -> Self {
        DownloadError::Disk { path: path.to_owned(), cause }
    }
}

/// How to download.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries in all.
    pub tries: usize,
    /// Pause after the first failure; doubled after each further one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        // Pauses of 1, 2, 4 and 8 s: a build runs unattended, and a feed that is missing ends it.
        Retry { tries: 5, pause: Duration::from_secs(1) }
    }
}

/// Downloads `url` into `folder` and returns the file. Calls `progress` with the bytes so far and, where known, all bytes.
///
/// # Errors
/// When the last try fails, the file exceeds `max_bytes`, or the folder cannot be written.
pub fn download(
    client: &Client,
    url: &str,
    folder: &Path,
    max_bytes: u64,
    retry: Retry,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<PathBuf, DownloadError> {
    fs::create_dir_all(folder).map_err(|e| DownloadError::disk(folder, e))?;
    let name = url.rsplit('/').next().filter(|n| n.contains('.')).unwrap_or("download.json");
    let target = folder.join(name.split(['?', '#']).next().unwrap_or(name));
    let part = target.with_extension("part");
    // What an earlier build left may be of another version of the file.
    let _ = fs::remove_file(&part);
    let delays = ExponentialBuilder::new().with_min_delay(retry.pause).with_max_times(retry.tries.saturating_sub(1));
    let attempt = || attempt_download(client, url, &part, max_bytes, progress);
    attempt.retry(delays).when(DownloadError::is_transient).call()?;
    fs::rename(&part, &target).map_err(|e| DownloadError::disk(&target, e))?;
    Ok(target)
}

fn attempt_download(
    client: &Client,
    url: &str,
    part: &Path,
    max_bytes: u64,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let have = fs::metadata(part).map_or(0, |m| m.len());
    let range = format!("bytes={have}-");
    let headers = [("Range", range.as_str())];
    let response = client.follow(url, if have > 0 { &headers } else { &[] }).map_err(DownloadError::NotReached)?;
    let status = response.status().as_u16();
    let append = match status {
        // Everything, although only the rest was asked for: the file begins anew.
        200 => false,
        206 => true,
        _ => return Err(DownloadError::Status(status)),
    };
    let length =
        response.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let start = if append { have } else { 0 };
    let total = length.map(|l| l + start);
    if total.is_some_and(|t| t > max_bytes) {
        return Err(DownloadError::TooLong(max_bytes));
    }
    let file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(part);
    let mut file = file.map_err(|e| DownloadError::disk(part, e))?;
    let mut body = response.into_body().into_reader();
    match copy(&mut body, &mut file, start, total, max_bytes, progress) {
        Err(Copied::Read(error)) => Err(DownloadError::Broken(error)),
        Err(Copied::Write(error)) => Err(DownloadError::disk(part, error)),
        Err(Copied::TooLong) => Err(DownloadError::TooLong(max_bytes)),
        Ok(()) => Ok(()),
    }
}

/// Why a body was not copied to its end.
enum Copied {
    Read(io::Error),
    Write(io::Error),
    TooLong,
}

fn copy(
    body: &mut impl Read,
    file: &mut File,
    mut have: u64,
    total: Option<u64>,
    max_bytes: u64,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<(), Copied> {
    let mut buffer = vec![0_u8; 64 << 10];
    loop {
        let n = body.read(&mut buffer).map_err(Copied::Read)?;
        if n == 0 {
            break;
        }
        have += n as u64;
        if have > max_bytes {
            return Err(Copied::TooLong);
        }
        file.write_all(buffer.get(..n).unwrap_or_default()).map_err(Copied::Write)?;
        progress(have, total);
    }
    // A body without a length ends with its connection, broken or not; one with a length tells.
    if total.is_some_and(|t| have < t) {
        return Err(Copied::Read(io::Error::other("the connection ended early")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;
    use tidewaiter_http::Settings;

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

    fn client() -> Client {
        Client::new(&Settings::default()).unwrap()
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
        let file = download(&client(), &url, dir.path(), 100, RETRY, &|_, _| {}).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap(), "0123456789");
        assert_eq!(server.join().unwrap(), ["", "", "range: bytes=5-"]);
    }

    #[test]
    fn limits_and_refusals_end_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let check = |answer: String, expected: &str| {
            let (url, server) = serve(vec![answer]);
            let error = download(&client(), &url, dir.path(), 8, RETRY, &|_, _| {}).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            server.join().unwrap();
        };
        check(answer("200 OK", 10, "0123456789"), "max_bytes");
        check(answer("404 Not Found", 0, ""), "404");
    }
}
