//! Credential helpers: `docker-credential-NAME get` reads the address of a registry from standard input and writes its login
//! as JSON (docker-credential-helpers, "Development").

use super::credentials::Login;
use serde::Deserialize;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Time of a helper: some ask a service of a cloud, and some a person.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of a helper's output that are read: tokens have a few kilobytes.
const MAX_OUTPUT: u64 = 1 << 20;
/// Characters of a helper's message that an error quotes.
const QUOTED: usize = 200;
/// The user that means: the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// Pause between two looks at a helper that runs.
const PAUSE: Duration = Duration::from_millis(10);

/// Output of `get`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Output and status of a helper that ended.
struct Ended {
    status: ExitStatus,
    output: String,
    errors: String,
}

/// The name of a helper's program.
pub(super) fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

/// The login that a helper has for the address of a registry; `None` if it has none.
///
/// # Errors
/// The cause, and what to do, when it cannot be run, fails, or does not answer in time or as it must.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<Login>, String> {
    get_within(helper, server, PATIENCE)
}

fn get_within(helper: &str, server: &str, patience: Duration) -> Result<Option<Login>, String> {
    // With a separator it would be a path, and PATH would not be searched.
    if helper.contains(['/', '\\']) {
        return Err("its name is a path; name a program on PATH".to_owned());
    }
    let Ended { status, output, errors } = run(Command::new(program(helper)).arg("get"), server, patience)?;
    if !status.success() {
        let said = if output.trim().is_empty() { errors.trim() } else { output.trim() };
        // "credentials not found in native keychain", by which Docker too tells it from failures.
        if said.to_ascii_lowercase().contains("credentials not found") {
            return Ok(None);
        }
        let said: String = said.chars().filter(|char| !char.is_control()).take(QUOTED).collect();
        return Err(format!("it fails ({status}): {said}; log in again, or remove it from the file"));
    }
    let malformed = |_| "its output is not a login; run it by hand with `get`".to_owned();
    let answer: Answer = serde_json::from_str(&output).map_err(malformed)?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        (TOKEN_USER, token) => Some(Login::IdentityToken(token)),
        (user, password) => Some(Login::Password { user: user.to_owned(), password }),
    })
}

/// Runs a program with this input until it ends or its time is over.
fn run(command: &mut Command, input: &str, patience: Duration) -> Result<Ended, String> {
    let began = Instant::now();
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "it is not on PATH; install it, or remove it from the file".to_owned(),
        _ => format!("it cannot be run: {error}"),
    })?;
    let (output, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    // One that answers without reading has closed the pipe. Dropped at once: some read to its end.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let ended = end(&mut child, began, patience);
    let left = || patience.saturating_sub(began.elapsed());
    // Not joined: a process that the helper left behind may hold the pipes.
    let late = || format!("it does not end within {} s; run it by hand with `get`", patience.as_secs());
    let status = ended.ok_or_else(late)?;
    let output = output.recv_timeout(left()).map_err(|_| late())?;
    let errors = errors.recv_timeout(left()).unwrap_or_default();
    Ok(Ended { status, output, errors })
}

/// Waits for a process and ends it when its time is over: then `None`.
fn end(child: &mut Child, began: Instant, patience: Duration) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if began.elapsed() < patience => thread::sleep(PAUSE),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    }
}

/// Reads a pipe to its end, in a thread of its own.
fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.map(|pipe| pipe.take(MAX_OUTPUT).read_to_end(&mut bytes));
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_bounded_in_time_and_output() {
        let check = |script: &str, expected: Result<(bool, usize), &str>| {
            let ended = run(Command::new("sh").args(["-c", script]), "host", Duration::from_secs(2));
            match (ended, expected) {
                (Ok(ended), Ok(expected)) => assert_eq!((ended.status.success(), ended.output.len()), expected),
                (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
                (found, _) => panic!("{script}: {:?}", found.map(|ended| ended.output)),
            }
        };
        check("cat", Ok((true, 4)));
        check("exit 1", Ok((false, 0)));
        check("sleep 60", Err("does not end within 2 s"));
        check("sleep 5 & exit 0", Err("does not end within 2 s"));
        // Where nobody reads on, a pipe is closed.
        check("head -c 9000000 /dev/zero", Ok((false, 1 << 20)));
    }

    #[test]
    fn names_are_programs_on_the_path() {
        let check = |helper: &str, words: &str| {
            let error = get(helper, "r.example").unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        check("../x", "its name is a path");
        check("there-is-no-such-helper", "it is not on PATH; install it");
    }
}
