//! The file of credential providers: a `CredentialProviderConfig` of `kubelet.config.k8s.io/v1`, as kubelets read it.

use jiff::SignedDuration;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::time::Duration;
use tidewaiter_core::image::Reference;
use tidewaiter_scan::source::registry::credentials::key_fits;

/// Version and kind of the file.
const API_VERSION: &str = "kubelet.config.k8s.io/v1";
const KIND: &str = "CredentialProviderConfig";
/// Version of the protocol between kubelet and plugin.
pub(super) const PLUGIN_VERSION: &str = "credentialprovider.kubelet.k8s.io/v1";

/// One provider: its program, and the images that it is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProviderConfig {
    /// Name of the program in the folder of plugins.
    pub(super) name: String,
    /// How long its logins are used where its answer does not say.
    pub(super) cached_for: Duration,
    pub(super) args: Vec<String>,
    /// Variables beside those of the server.
    pub(super) env: Vec<EnvVar>,
    match_images: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvVar {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigFile {
    api_version: String,
    kind: String,
    #[serde(default)]
    providers: Vec<ProviderEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProviderEntry {
    name: String,
    #[serde(default)]
    match_images: Vec<String>,
    default_cache_duration: Option<String>,
    api_version: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<EnvVar>,
    token_attributes: Option<IgnoredAny>,
}

impl ProviderConfig {
    /// Reads the file, YAML or JSON.
    ///
    /// # Errors
    /// With the provider, what is wrong with it, and what to write: what is not understood must not be a login that is missing later.
    pub(super) fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let file: ConfigFile = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        if (file.api_version.as_str(), file.kind.as_str()) != (API_VERSION, KIND) {
            return Err(format!(
                "it is a {} of {:?}; write kind: {KIND} and apiVersion: {API_VERSION}",
                file.kind, file.api_version
            ));
        }
        if file.providers.is_empty() {
            return Err("providers: name at least one".to_owned());
        }
        let mut names = BTreeSet::new();
        let read = |entry: ProviderEntry| {
            let name = entry.name.clone();
            if !names.insert(name.clone()) {
                return Err(format!("provider {name:?}: it is named twice; give each a name of its own"));
            }
            Self::new(entry).map_err(|why| format!("provider {name:?}: {why}"))
        };
        file.providers.into_iter().map(read).collect()
    }

    fn new(entry: ProviderEntry) -> Result<Self, String> {
        let name = entry.name;
        if name.is_empty() || name == "." || name == ".." || name.contains(['/', ' ']) {
            return Err("name: write that of a program in the folder of plugins, without / and spaces".to_owned());
        }
        if entry.api_version != PLUGIN_VERSION {
            return Err(format!("apiVersion: {:?} is not spoken here; write {PLUGIN_VERSION}", entry.api_version));
        }
        if entry.token_attributes.is_some() {
            // Such a token is bound to a Pod, and images are scanned before there is one.
            return Err(
                "tokenAttributes: service account tokens of Pods are not given to plugins, because images are \
                        scanned before their Pod exists; take it out, and let the plugin log in as tidewaiter itself"
                    .to_owned(),
            );
        }
        if entry.match_images.is_empty() {
            return Err("matchImages: name the images that it is asked about, as *.registry.example".to_owned());
        }
        if let Some(bad) = entry.match_images.iter().find(|pattern| pattern.is_empty() || pattern.contains("://")) {
            return Err(format!("matchImages: {bad:?} is no host[:port][/path]; write it without https://"));
        }
        let duration = entry.default_cache_duration.ok_or("defaultCacheDuration: it is required, as 12h or 0s")?;
        let cached_for = duration_of(&duration).map_err(|why| format!("defaultCacheDuration: {why}"))?;
        Ok(ProviderConfig { name, cached_for, args: entry.args, env: entry.env, match_images: entry.match_images })
    }

    /// Whether it is asked about an image.
    pub(super) fn is_for(&self, image: &Reference) -> bool {
        self.match_images.iter().any(|pattern| key_fits(pattern, image))
    }
}

/// A duration as Go writes it (`1h30m`, `0s`, `0`).
pub(super) fn duration_of(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || format!("{text:?} is no duration of zero or more; write it as 12h, 10m or 0s");
    let found: SignedDuration = text.parse().map_err(|_| wrong())?;
    found.try_into().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n";

    fn provider(change: &str) -> String {
        let lines = [
            "name: ecr-credential-provider",
            "matchImages: ['*.dkr.ecr.*.amazonaws.com']",
            "defaultCacheDuration: 12h",
            "apiVersion: credentialprovider.kubelet.k8s.io/v1",
        ];
        let field = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let kept = lines.iter().filter(|line| field(line) != field(change) && format!("-{}", field(line)) != change);
        let mut all: Vec<String> = kept.map(|line| format!("  {line}\n")).collect();
        if !change.is_empty() && !change.starts_with('-') {
            all.push(format!("  {change}\n"));
        }
        format!("-{}", &all.concat()[1..])
    }

    #[test]
    fn files_are_those_of_kubelets() {
        let check = |text: &str, expected: Result<usize, &str>| match (ProviderConfig::parse_all(text), expected) {
            (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{text}"),
            (Err(said), Err(words)) => assert!(said.contains(words), "{text}: {said}"),
            (found, _) => panic!("{text}: {found:?}"),
        };
        let with = |change: &str| format!("{HEAD}{}", provider(change));
        check(&with(""), Ok(1));
        check(&with("args: [get-credentials]"), Ok(1));
        check(&with("env: [{name: AWS_PROFILE, value: nodes}]"), Ok(1));
        check(&with("defaultCacheDuration: 0s"), Ok(1));
        check(&with("defaultCacheDuration: '0'"), Ok(1));
        check(&format!("{}{}", with(""), provider("name: other")), Ok(2));
        check(
            r#"{"apiVersion":"kubelet.config.k8s.io/v1","kind":"CredentialProviderConfig","providers":[{"name":"a","matchImages":["r.example"],"defaultCacheDuration":"1m","apiVersion":"credentialprovider.kubelet.k8s.io/v1"}]}"#,
            Ok(1),
        );
        check(&format!("{}{}", with(""), provider("")), Err("named twice"));
        check(HEAD.trim_end_matches("providers:\n"), Err("at least one"));
        check(
            &with("").replace("config.k8s.io/v1", "config.k8s.io/v1beta1"),
            Err("apiVersion: kubelet.config.k8s.io/v1"),
        );
        check(&with("name: a/b"), Err("without / and spaces"));
        check(&with("name: .."), Err("without / and spaces"));
        check(&with("apiVersion: credentialprovider.kubelet.k8s.io/v1beta1"), Err("is not spoken here"));
        check(&with("matchImages: []"), Err("matchImages: name the images"));
        check(&with("matchImages: ['https://r.example']"), Err("without https://"));
        check(&with("-defaultCacheDuration"), Err("it is required"));
        check(&with("defaultCacheDuration: soon"), Err("no duration"));
        check(&with("defaultCacheDuration: -1h"), Err("no duration"));
        let attributes =
            "tokenAttributes: {serviceAccountTokenAudience: a, cacheType: Token, requireServiceAccount: true}";
        check(&with(attributes), Err("provider \"ecr-credential-provider\": tokenAttributes"));
        check(&with("unknown: 1"), Err("unknown"));
    }

    #[test]
    fn a_provider_is_asked_about_its_images() {
        let check = |pattern: &str, image: &str, expected: bool| {
            let text = format!("{HEAD}{}", provider(&format!("matchImages: ['{pattern}']")));
            let provider = ProviderConfig::parse_all(&text).unwrap().remove(0);
            assert_eq!(provider.is_for(&image.parse().unwrap()), expected, "{pattern} {image}");
        };
        check("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com/app:1", true);
        check("*.dkr.ecr.*.amazonaws.com", "dkr.ecr.eu-west-1.amazonaws.com/app:1", false);
        check("*.dkr.ecr.*.amazonaws.com", "1.dkr.ecr.eu-west-1.amazonaws.com.evil.example/app", false);
        check("r.example:5000/team", "r.example:5000/team/app", true);
        check("r.example:5000/team", "r.example/team/app", false);
        check("docker.io", "nginx", true);
    }

    #[test]
    fn durations_are_those_of_go() {
        let check = |text: &str, expected: Option<u64>| {
            let found = duration_of(text).ok();
            assert_eq!(found, expected.map(Duration::from_millis), "{text}");
        };
        check("12h", Some(12 * 3_600_000));
        check("1h30m", Some(5_400_000));
        check("5h0m0s", Some(18_000_000));
        check("1.5h", Some(5_400_000));
        check("300ms", Some(300));
        check("0s", Some(0));
        check("0", Some(0));
        check("-1s", None);
        check("12", None);
        check("", None);
    }
}
