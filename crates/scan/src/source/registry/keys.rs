//! Keys that logins are stored under, as kubelets read them (Kubernetes, "Interpretation of config.json";
//! `pkg/credentialprovider`): a host whose labels may be patterns, with its port, and the beginning of a path.

use tidewaiter_core::image::Reference;

/// Hosts that logins of Docker Hub are stored under. Kubelets know the first one; older tools wrote the others.
const HUB: [&str; 3] = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// The key of a login: `host[:port][/path]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CredentialKey {
    /// Host and path, by which kubelets order keys: what another one begins with comes after it.
    text: String,
    /// Where the path begins.
    host: usize,
}

impl CredentialKey {
    /// Reads a key, which may be a URL of either version of the protocol (`https://registry.example/v1/`).
    pub(super) fn new(text: &str) -> Self {
        let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        // What a URL has after its path is no part of it.
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = match path {
            "/v1" | "/v2" => "",
            path if path.starts_with("/v1/") || path.starts_with("/v2/") => path.get(3..).unwrap_or_default(),
            path => path,
        };
        let path = if path == "/" { "" } else { path };
        CredentialKey { text: format!("{host}{path}"), host: host.len() }
    }

    /// Whether the login is for this image.
    pub(super) fn fits(&self, reference: &Reference) -> bool {
        let (host, path) = self.text.split_at(self.host);
        let (pattern, port) = split_port(host);
        let (name, named_port) = split_port(reference.registry());
        // Kubelets compare paths by their characters: `/team` is the beginning of `/teams/app`, too.
        let is_below = path.strip_prefix('/').is_none_or(|path| reference.repository().starts_with(path));
        port == named_port && is_below && fits_host(pattern, name)
    }

    /// The rank among the keys of Docker Hub, which count where no key fits; `None` for other hosts.
    pub(super) fn hub_rank(&self) -> Option<usize> {
        HUB.iter().position(|host| *host == self.text)
    }
}

/// As many labels in both, each of which fits: `*.example` is neither `example` nor `a.b.example`.
fn fits_host(pattern: &str, host: &str) -> bool {
    let labels = pattern.split('.').count() == host.split('.').count();
    labels && pattern.split('.').zip(host.split('.')).all(|(pattern, label)| fits_label(pattern, label))
}

/// As Go's `net.SplitHostPort`; a host without a port, or with several colons outside brackets, is all host.
fn split_port(host: &str) -> (&str, &str) {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some(found) => found,
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if port.contains(':') { (host, "") } else { (name, port) }
}

/// As Go's `path.Match` of a name without separators: `*`, `?` and `[a-z]`. A malformed pattern fits nothing.
fn fits_label(pattern: &str, label: &str) -> bool {
    let (mut pattern, mut rest) = (pattern, label);
    // What follows the last `*`, and where the label continues for it.
    let mut star: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            (pattern, star) = (after, Some((after, rest)));
        } else if let Some(next) = step(pattern, rest) {
            (pattern, rest) = next;
        } else if pattern.is_empty() && rest.is_empty() {
            return true;
        } else {
            // The last `*` takes one character more.
            let Some((after, from)) = star else { return false };
            let mut from = from.chars();
            if from.next().is_none() {
                return false;
            }
            (pattern, rest, star) = (after, from.as_str(), Some((after, from.as_str())));
        }
    }
}

/// Takes one character of a label by one element of a pattern.
fn step<'a>(pattern: &'a str, label: &'a str) -> Option<(&'a str, &'a str)> {
    let mut rest = label.chars();
    let char = rest.next()?;
    let mut after = pattern.chars();
    match after.next()? {
        '?' => Some((after.as_str(), rest.as_str())),
        '[' => Some((class(after.as_str(), char)?, rest.as_str())),
        other => (other == char).then_some((after.as_str(), rest.as_str())),
    }
}

/// What follows a class of characters (`a-z]`, `^0-9]`), if it holds this one.
fn class(text: &str, char: char) -> Option<&str> {
    let (is_negated, text) = text.strip_prefix('^').map_or((false, text), |text| (true, text));
    // The first character of a class may not end it.
    let end = text.char_indices().skip(1).find(|(_, char)| *char == ']').map(|(at, _)| at)?;
    let (mut members, after) = (text.get(..end)?.chars(), text.get(end + 1..)?);
    let mut holds = false;
    while let Some(low) = members.next() {
        let range = members.as_str().strip_prefix('-');
        let high = match range {
            Some(range) => {
                members = range.chars();
                members.next()?
            }
            None => low,
        };
        holds |= (low..=high).contains(&char);
    }
    (holds != is_negated).then_some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fit_images_as_kubelets_have_it() {
        let check = |key: &str, image: &str, expected: bool| {
            assert_eq!(CredentialKey::new(key).fits(&image.parse().unwrap()), expected, "{key} {image}");
        };
        check("r.example", "r.example/app", true);
        check("r.example", "r.example.evil.org/app", false);
        check("r.example", "r.example:5000/app", false);
        check("r.example:5000", "r.example:5000/app", true);
        check("r.example:5000", "r.example/app", false);
        check("https://r.example", "r.example/app", true);
        check("http://r.example/", "r.example/app", true);
        check("https://r.example/v1/", "r.example/app", true);
        check("https://r.example/v2", "r.example/app", true);
        check("https://r.example/v2/team", "r.example/team/app", true);
        check("https://r.example/v2/team", "r.example/app", false);
        check("user@r.example", "r.example/app", true);
        // Hosts: as many labels, each by its pattern.
        check("*.kubernetes.io", "a.kubernetes.io/app", true);
        check("*.kubernetes.io", "kubernetes.io/app", false);
        check("*.kubernetes.io", "a.b.kubernetes.io/app", false);
        check("*.*.kubernetes.io", "a.b.kubernetes.io/app", true);
        check("prefix.*.io", "prefix.kubernetes.io/app", true);
        check("*-good.kubernetes.io", "prefix-good.kubernetes.io/app", true);
        check("*-good.kubernetes.io", "prefix-bad.kubernetes.io/app", false);
        check("k8s.*", "k8s.io/app", true);
        check("*kubernetes.io", "my.kubernetes.io/app", false);
        check("*.0.0.1:5998", "127.0.0.1:5998/app", true);
        check("127.0.0.*:5998", "127.0.0.1:5998/app", true);
        check("127.0.0.*:5999", "127.0.0.1:5998/app", false);
        check("127.0.0.*:*", "127.0.0.1:5998/app", false);
        check("*", "r.example/app", false);
        check("registry?.example", "registry7.example/app", true);
        check("registry?.example", "registry.example/app", false);
        check("registry[0-9].example", "registry7.example/app", true);
        check("registry[^0-9].example", "registry7.example/app", false);
        check("registry[0-9.example", "registry7.example/app", false);
        // Paths: how they begin, without patterns.
        check("r.example/team", "r.example/team/app", true);
        check("r.example/team", "r.example/teams/app", true);
        check("r.example/team/", "r.example/teams/app", false);
        check("r.example/team", "r.example/other/team", false);
        check("r.example/*/app", "r.example/team/app", false);
        check("*.example/team", "r.example/team/app", true);
        check("docker.io", "nginx", true);
        check("docker.io/library/nginx", "nginx", true);
        check("docker.io/team", "nginx", false);
    }

    #[test]
    fn labels_fit_patterns() {
        let check = |pattern: &str, label: &str, expected: bool| {
            assert_eq!(fits_label(pattern, label), expected, "{pattern} {label}");
        };
        check("", "", true);
        check("*", "", true);
        check("a*b*c", "axbxbc", true);
        check("a*b*c", "axbxb", false);
        check("*ab", "aab", true);
        check("**", "a", true);
        check("[a-c]*", "cx", true);
        check("[]a]", "]", true);
        check("[a-]", "a", false);
        check("[]", "a", false);
        check("a", "", false);
        check("", "a", false);
        check(&"*a".repeat(50), &"a".repeat(49), false);
    }
}
