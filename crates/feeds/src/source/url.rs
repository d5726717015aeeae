//! Downloads: resumed after an interruption, retried with back-off, limited in size, and not repeated while the server says that
//! its file is the one from the last time (RFC 9110 §13).

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
    /// The repository has no advisories.
    #[error("its index names no updateinfo")]
    NoUpdates,
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
            DownloadError::Status(_)
            | DownloadError::Broken(_)
            | DownloadError::Contradicted(_)
            | DownloadError::NoUpdates => "check its address in feeds.toml, or try again later".to_owned(),
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

/// Downloads the file at an address.
pub type Get<'a> = &'a dyn Fn(&str) -> Result<PathBuf, DownloadError>;

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

/// The header that asks for a file only if it changed, by the one that names its version.
const VALIDATORS: [(&str, &str); 2] = [("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")];
/// Bodhi answers with a page for people where JSON is not preferred; servers of files do not look at it.
const ACCEPT: (&str, &str) = ("Accept", "application/json, */*;q=0.8");
/// The end of the name of the file that holds that header.
const VALIDATOR: &str = "validator";

/// Downloads `url` into `folder` and returns the file: the one from the last time if the server's has not changed. Calls `progress` with the bytes so far and, where known, all bytes.
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
    let beside = target.with_extension(VALIDATOR);
    // The validator is of the file at this address.
    let validator = fs::read_to_string(&beside).ok().filter(|_| target.is_file());
    let mut lines = validator.as_deref().unwrap_or_default().splitn(3, '\n');
    let known = match (lines.next(), lines.next(), lines.next()) {
        (Some(of), Some(name), Some(value)) if of == url => Some((name, value)),
        _ => None,
    };
    let delays = ExponentialBuilder::new().with_min_delay(retry.pause).with_max_times(retry.tries.saturating_sub(1));
    let attempt = || attempt_download(client, url, &part, known, max_bytes, progress);
    let Downloaded::New(validator) = attempt.retry(delays).when(DownloadError::is_transient).call()? else {
        return Ok(target);
    };
    let _ = fs::remove_file(&beside);
    fs::rename(&part, &target).map_err(|e| DownloadError::disk(&target, e))?;
    if let Some((name, value)) = validator {
        fs::write(&beside, format!("{url}\n{name}\n{value}")).map_err(|e| DownloadError::disk(&beside, e))?;
    }
    Ok(target)
}

/// What a server sent.
enum Downloaded {
    /// The file, and the header that asks for it only if it changed.
    New(Option<(&'static str, String)>),
    /// The file is the one from the last time.
    Unchanged,
}

fn attempt_download(
    client: &Client,
    url: &str,
    part: &Path,
    known: Option<(&str, &str)>,
    max_bytes: u64,
    progress: &dyn Fn(u64, Option<u64>),
) -> Result<Downloaded, DownloadError> {
    let have = fs::metadata(part).map_or(0, |m| m.len());
    let range = format!("bytes={have}-");
    let condition = if have > 0 { Some(("Range", range.as_str())) } else { known };
    let headers: Vec<(&str, &str)> = std::iter::once(ACCEPT).chain(condition).collect();
    let response = client.follow(url, &headers).map_err(DownloadError::NotReached)?;
    let status = response.status().as_u16();
    let append = match status {
        304 if have == 0 && known.is_some() => return Ok(Downloaded::Unchanged),
        // Everything, although only the rest was asked for: the file begins anew.
        200 => false,
        206 => true,
        _ => return Err(DownloadError::Status(status)),
    };
    let length =
        response.headers().get("content-length").and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let validator = VALIDATORS.iter().find_map(|(name, ask)| Some((*ask, header(name)?)));
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
        Ok(()) => Ok(Downloaded::New(validator)),
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

    /// Serves one canned answer per connection and returns the requests' conditions: Range, If-None-Match, If-Modified-Since.
    fn serve(answers: Vec<String>) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/feed.json", listener.local_addr().unwrap());
        let handle = thread::spawn(move || {
            let mut ranges = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(|l| l.unwrap());
                let head: Vec<String> = lines.take_while(|l| !l.is_empty()).collect();
                let is_condition = |line: &&String| line.starts_with("range:") || line.starts_with("if-");
                let head: Vec<String> = head.iter().map(|line| line.to_lowercase()).collect();
                ranges.push(head.iter().find(is_condition).cloned().unwrap_or_default());
                let accepted: Vec<&String> = head.iter().filter(|line| line.starts_with("accept:")).collect();
                assert_eq!(accepted, ["accept: application/json, */*;q=0.8"]);
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
    fn an_unchanged_file_is_not_sent_again() {
        let dir = tempfile::tempdir().unwrap();
        let with = |header: &str, body: &str| {
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        };
        let unchanged = || "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_owned();
        let (url, server) = serve(vec![
            with("ETag: \"a\"\r\n", "one"),
            unchanged(),
            with("Last-Modified: Mon\r\n", "two"),
            with("", "three"),
            with("", "four"),
        ]);
        for expected in ["one", "one", "two", "three", "four"] {
            let file = download(&client(), &url, dir.path(), 100, RETRY, &|_, _| {}).unwrap();
            assert_eq!(fs::read_to_string(file).unwrap(), expected);
        }
        let conditions = ["", "if-none-match: \"a\"", "if-none-match: \"a\"", "if-modified-since: mon", ""];
        assert_eq!(server.join().unwrap(), conditions);
        // Another address with a file of the same name.
        let (url, server) = serve(vec![with("ETag: \"a\"\r\n", "one"), with("", "two")]);
        download(&client(), &url, dir.path(), 100, RETRY, &|_, _| {}).unwrap();
        download(&client(), &format!("{url}?other"), dir.path(), 100, RETRY, &|_, _| {}).unwrap();
        assert_eq!(server.join().unwrap(), ["", ""]);
    }

    #[test]
    fn a_server_that_stalls_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/feed.json", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            // Held open until the client is gone.
            let streams: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
            for mut stream in streams {
                let _ = stream.write_all(answer("200 OK", 10, "01234").as_bytes());
                let _ = stream.read_to_end(&mut Vec::new());
            }
        });
        let settings = Settings { stall: Some(Duration::from_millis(100)), ..Settings::default() };
        let retry = Retry { tries: 2, ..RETRY };
        let error = download(&Client::new(&settings).unwrap(), &url, dir.path(), 100, retry, &|_, _| {}).unwrap_err();
        assert!(matches!(error, DownloadError::NotReached(_) | DownloadError::Broken(_)), "{error}");
        server.join().unwrap();
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
