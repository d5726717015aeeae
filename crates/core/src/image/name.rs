//! Images as reports name them: a reference, or `SCHEME:WHERE` of this machine.

use super::Reference;

/// Schemes of images that are files: what follows is a path, which has no tag.
const OF_FILES: [&str; 4] = ["oci:", "oci-archive:", "docker-archive:", "dir:"];
/// Schemes of engines: a reference follows.
const OF_ENGINES: [&str; 3] = ["docker:", "podman:", "containerd:"];

/// A name without its tag and digest, as far as it has them: `oci:./layout` and `docker-archive:app.tar` are of files.
#[must_use]
pub fn without_tag(name: &str) -> &str {
    let begin = of_engine(name);
    if reference(name).is_none() {
        return name;
    }
    let named = name.split('@').next().unwrap_or(name);
    match named.rfind(':') {
        Some(at) if at >= begin && !named[at..].contains('/') => &named[..at],
        _ => named,
    }
}

/// Whether two names are of one image, in whichever version: `nginx:1.27` and `docker.io/library/nginx@sha256:…` are.
#[must_use]
pub fn is_same_image(a: &str, b: &str) -> bool {
    let (a, b) = (without_tag(a), without_tag(b));
    let repository = |name: &str| reference(name).map(|reference| reference.name());
    a == b || repository(a).is_some_and(|one| repository(b) == Some(one))
}

/// The reference that a name is, or that follows the scheme of an engine.
fn reference(name: &str) -> Option<Reference> {
    let is_of_file = OF_FILES.iter().any(|scheme| name.starts_with(scheme));
    name[of_engine(name)..].parse().ok().filter(|_| !is_of_file)
}

/// Where the name begins after the scheme of an engine.
fn of_engine(name: &str) -> usize {
    OF_ENGINES.iter().find(|scheme| name.starts_with(**scheme)).map_or(0, |scheme| scheme.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_image() {
        let check = |a: &str, b: &str, expected: bool| {
            assert_eq!((is_same_image(a, b), is_same_image(b, a)), (expected, expected), "{a} {b}");
        };
        let digest = format!("sha256:{}", "0".repeat(64));
        check("registry.example/team/app:v1", "registry.example/team/app:v2", true);
        check("registry.example/team/app:v1", &format!("registry.example/team/app@{digest}"), true);
        check("nginx:1.27", "docker.io/library/nginx:1.28", true);
        check("docker:app:ci-1", "app:ci-2", true);
        check("registry.example/app:v1", "other.example/app:v1", false);
        check("registry.example/app:v1", "registry.example/app2:v1", false);
        check("oci:./layout", "oci:./layout", true);
        // A path names a place.
        check("oci:./a", "oci:./b", false);
        check("docker-archive:app-1.tar", "docker-archive:app-2.tar", false);
    }
}
