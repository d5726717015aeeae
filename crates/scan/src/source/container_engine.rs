//! Images of a Docker or Podman on this machine (`docker:`, `podman:`), through the API on their socket: the engine exports an
//! archive as `docker save` does (Docker Engine API, "Export an image"; Podman has the same path).

use super::files::{Files, TarArchive};
use super::{Image, SourceError, docker_archive};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;
use tidewaiter_core::image::Platform;
use tidewaiter_http::socket;
use tidewaiter_http::ureq::http::{Response, StatusCode};
use tidewaiter_http::ureq::{self, Body};

/// Longest message of an engine that is shown.
const MAX_MESSAGE: u64 = 4 << 10;

/// Opens an image that an engine has under this name.
///
/// `engine` is its name for messages, `sockets` the places to look for it, of which the first that exists is used.
///
/// # Errors
/// When there is no socket, the engine does not have the image, or the image is damaged.
pub fn open(engine: &str, sockets: &[PathBuf], name: &str, platform: Option<&Platform>) -> Result<Image, SourceError> {
    let Some(path) = sockets.iter().find(|path| path.exists()) else {
        let tried: Vec<String> = sockets.iter().map(|path| path.display().to_string()).collect();
        let cause = format!("there is none at {}; is it running?", tried.join(", "));
        return Err(SourceError::NotFound { what: format!("the socket of {engine}"), cause });
    };
    let what = format!("{name} in {engine}");
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b)) {
        return Err(SourceError::bad(&what, "it is not the name of an image"));
    }
    let response = socket::agent(path).get(format!("http://127.0.0.1/images/{name}/get")).call();
    let response = response.map_err(|error| at_socket(&what, path, &error))?;
    let exported = export(response, &what)?;
    docker_archive::open_files(Arc::new(exported), name, platform)
}

fn at_socket(what: &str, path: &Path, error: &ureq::Error) -> SourceError {
    SourceError::bad(what, format!("{}: {error}", path.display()))
}

/// An archive that is deleted with its last reader.
struct ExportedArchive {
    archive: TarArchive,
    _directory: TempDir,
}

impl Files for ExportedArchive {
    fn open(&self, path: &str) -> Result<(Box<dyn Read + Send>, u64), SourceError> {
        self.archive.open(path)
    }

    fn has(&self, path: &str) -> bool {
        self.archive.has(path)
    }
}

fn export(mut response: Response<Body>, what: &str) -> Result<ExportedArchive, SourceError> {
    match response.status() {
        StatusCode::OK => {}
        status => {
            let said = response.body_mut().with_config().limit(MAX_MESSAGE).read_to_string().unwrap_or_default();
            let cause = message(&said).unwrap_or_else(|| format!("it answers {status}"));
            let what = what.to_owned();
            return Err(if status == StatusCode::NOT_FOUND {
                SourceError::NotFound { what, cause }
            } else {
                SourceError::BadImage { what, cause }
            });
        }
    }
    let failed = |error: io::Error| SourceError::bad(what, format!("it cannot be exported: {error}"));
    let directory = TempDir::new().map_err(failed)?;
    let path = directory.path().join("image.tar");
    let mut file = File::create(&path).map_err(failed)?;
    io::copy(&mut response.body_mut().as_reader(), &mut file).map_err(failed)?;
    Ok(ExportedArchive { archive: TarArchive::index(&path)?, _directory: directory })
}

/// `{"message": "…"}`.
fn message(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(value.get("message")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;
    use tidewaiter_testkit::demo::clean;
    use tidewaiter_testkit::layout;

    /// An engine that answers one request.
    fn engine(path: &Path, status: &str, body: Vec<u8>) -> std::thread::JoinHandle<String> {
        let listener = UnixListener::bind(path).unwrap();
        let status = status.to_owned();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut request = String::new();
            reader.read_line(&mut request).unwrap();
            let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/x-tar\r\nConnection: close\r\n\r\n");
            (&stream).write_all(head.as_bytes()).unwrap();
            (&stream).write_all(&body).unwrap();
            request
        })
    }

    fn archive(image: &tidewaiter_testkit::image::ImageFixture) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        layout::write(folder.path(), image);
        let mut tar = tar::Builder::new(Vec::new());
        tar.append_dir_all("", folder.path()).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn an_image_is_exported_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (absent, path) = (folder.path().join("absent"), folder.path().join("engine.sock"));
        let image = clean().build();
        let served = engine(&path, "200 OK", archive(&image));
        let opened = open("Docker", &[absent, path], "team/app:v1", None).unwrap();
        assert_eq!(served.join().unwrap().trim(), "GET /images/team/app:v1/get HTTP/1.1");
        assert_eq!(
            (opened.manifest_digest.as_str(), opened.reference.as_str()),
            (image.digest().as_str(), "team/app:v1")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |name: &str, answer: Option<(&str, &str)>, words: &str| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("engine.sock");
            let served = answer.map(|(status, body)| engine(&path, status, body.as_bytes().to_vec()));
            let error = open("Podman", &[path], name, None).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(words), "{error}");
            served.map(std::thread::JoinHandle::join);
        };
        check("app:v1", None, "engine.sock; is it running?");
        check("app:v1", Some(("404 Not Found", r#"{"message":"No such image: app:v1"}"#)), "No such image: app:v1");
        check("app:v1", Some(("500 Internal Server Error", "oops")), "it answers 500");
        check("app:v1", Some(("200 OK", "not a tar")), "tar");
    }

    #[test]
    fn names_are_names() {
        let folder = tempfile::tempdir().unwrap();
        let error = open("Docker", &[folder.path().to_owned()], "app?x=/../", None).err().unwrap().to_string();
        assert!(error.contains("not the name of an image"), "{error}");
    }
}
