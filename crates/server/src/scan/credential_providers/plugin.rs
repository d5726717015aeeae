//! One run of a provider's plugin (`credentialprovider.kubelet.k8s.io/v1`): it reads a CredentialProviderRequest and writes a
//! CredentialProviderResponse.

use super::config::{PLUGIN_VERSION, ProviderConfig, duration_of};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tidewaiter_core::image::Reference;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};

/// Time of a run. Kubelets give a minute; here a scan's slot waits, and the scan is tried again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of an answer: logins have a few kilobytes.
const MAX_OUTPUT: u64 = 1 << 20;
/// Bytes of the plugin's log that are read.
const MAX_LOG: u64 = 64 << 10;
/// Characters of its log that ours quotes.
const QUOTED: usize = 300;
/// What begins so is the server's own configuration, and concerns no plugin.
const OWN_VARIABLES: &str = "TIDEWAITER_";

/// What an answer's logins are kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum CacheKeyType {
    Image,
    Registry,
    Global,
}

/// Logins of a provider.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ProviderAnswer {
    pub(super) kind: CacheKeyType,
    /// How long they are kept; none: the provider's default.
    pub(super) cached_for: Option<Duration>,
    /// Key, user name and password.
    pub(super) logins: Vec<(String, String, String)>,
}

/// Without passwords.
impl std::fmt::Debug for ProviderAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<&str> = self.logins.iter().map(|(key, ..)| key.as_str()).collect();
        write!(f, "ProviderAnswer({:?}, {:?}, {keys:?})", self.kind, self.cached_for)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    api_version: String,
    kind: String,
    cache_key_type: CacheKeyType,
    cache_duration: Option<String>,
    auth: Option<BTreeMap<String, AuthConfig>>,
}

#[derive(Deserialize)]
struct AuthConfig {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

/// The processes of a run: killed when it is over, however it ends, with those that the plugin started.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn end(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.end();
    }
}

/// Output and end of a run.
struct Ended {
    status: ExitStatus,
    output: Vec<u8>,
    log: Vec<u8>,
}

/// Asks a plugin for the logins of an image.
///
/// # Errors
/// Why it gave none, in words that every user may read; its own words are in the server's log alone.
pub(super) async fn ask(folder: &Path, provider: &ProviderConfig, image: &Reference) -> Result<ProviderAnswer, String> {
    ask_within(folder, provider, image, PATIENCE).await
}

async fn ask_within(
    folder: &Path,
    provider: &ProviderConfig,
    image: &Reference,
    patience: Duration,
) -> Result<ProviderAnswer, String> {
    let request = json!({"apiVersion": PLUGIN_VERSION, "kind": "CredentialProviderRequest", "image": image.name()});
    let late = |_| format!("it does not end within {} s", patience.as_secs());
    let ended = tokio::time::timeout(patience, run(folder, provider, request.to_string())).await.map_err(late)??;
    if !ended.status.success() {
        // Some tell of their work, too, which is of use to nobody here.
        let said = String::from_utf8_lossy(&ended.log);
        let said: String = said.chars().filter(|char| !char.is_control()).take(QUOTED).collect();
        tracing::warn!("the credential provider {} fails for {}: {said}", provider.name, image.name());
        return Err(format!("it fails ({})", ended.status));
    }
    if ended.output.len() as u64 > MAX_OUTPUT {
        return Err(format!("its answer is larger than {} KiB", MAX_OUTPUT >> 10));
    }
    answer_of(&ended.output)
}

async fn run(folder: &Path, provider: &ProviderConfig, request: String) -> Result<Ended, String> {
    let mut command = Command::new(folder.join(&provider.name));
    command.args(&provider.args).current_dir("/");
    command.env_clear().envs(std::env::vars_os().filter(is_for_plugins));
    command.envs(provider.env.iter().map(|variable| (&variable.name, &variable.value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts ends with it.
    let mut child =
        command.process_group(0).kill_on_drop(true).spawn().map_err(|e| format!("it does not start: {e}"))?;
    let group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
    let (input, output, log) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Concurrently: who fills one pipe waits until it is read.
    let (status, (), output, log) =
        tokio::join!(end(child, group), write(input, request), read(output, MAX_OUTPUT + 1), read_log(log));
    Ok(Ended { status: status.map_err(|e| format!("its end is not seen: {e}"))?, output, log })
}

/// Whether a variable of this process is one of a plugin's: its identity and its proxies are, as a kubelet's are.
fn is_for_plugins((name, _): &(OsString, OsString)) -> bool {
    !name.to_string_lossy().starts_with(OWN_VARIABLES)
}

/// Waits for the plugin, then ends what it left behind, which may hold the pipes.
async fn end(mut child: Child, mut group: ProcessGroup) -> std::io::Result<ExitStatus> {
    let status = child.wait().await;
    group.end();
    status
}

/// One that answers without reading has closed the pipe.
async fn write(pipe: Option<ChildStdin>, request: String) {
    if let Some(mut pipe) = pipe {
        let _ = pipe.write_all(request.as_bytes()).await;
    }
}

/// Reads a log to its end, of which its beginning is kept: a closed pipe would end a plugin that says much.
async fn read_log(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(MAX_LOG).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    bytes
}

/// Reads so many bytes, and then closes the pipe: who writes more ends.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Reads an answer. Messages do not quote it: it has passwords.
fn answer_of(output: &[u8]) -> Result<ProviderAnswer, String> {
    let response: Response = serde_json::from_slice(output).map_err(|e| {
        format!("its answer is no CredentialProviderResponse (line {}, column {})", e.line(), e.column())
    })?;
    if response.kind != "CredentialProviderResponse" || response.api_version != PLUGIN_VERSION {
        return Err(format!("its answer is not a CredentialProviderResponse of {PLUGIN_VERSION}"));
    }
    let wrong = |_| "its answer has a cacheDuration that is no duration".to_owned();
    let cached_for = response.cache_duration.as_deref().map(duration_of).transpose().map_err(wrong)?;
    let logins = response.auth.unwrap_or_default().into_iter().map(|(key, auth)| (key, auth.username, auth.password));
    Ok(ProviderAnswer { kind: response.cache_key_type, cached_for, logins: logins.collect() })
}

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
