//! Where an image is: `SCHEME:WHERE`, or a reference, which means a registry.
//!
//! `docker:27` and `registry:2` are images of Docker Hub that many Pods name, and `docker:NAME` is one of the local Docker. What
//! follows the colon tells them apart where it holds a slash, a colon or an `@`, which no tag does; a bare word is looked for
//! on this machine first.

use std::path::Path;

/// A kind of place on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    OciLayout,
    OciArchive,
    DockerArchive,
    Directory,
    Containerd,
    Docker,
    Podman,
    Sbom,
}

/// Each scheme with its word.
const SCHEMES: [(&str, Scheme); 8] = [
    ("oci", Scheme::OciLayout),
    ("oci-archive", Scheme::OciArchive),
    ("docker-archive", Scheme::DockerArchive),
    ("dir", Scheme::Directory),
    ("containerd", Scheme::Containerd),
    ("docker", Scheme::Docker),
    ("podman", Scheme::Podman),
    ("sbom", Scheme::Sbom),
];
/// Standard input, as the place of an SBOM.
pub(crate) const STDIN: &str = "-";
/// Asks for a local scan of an image in a registry.
const REGISTRY: &str = "registry";

impl Scheme {
    /// Whether a path follows, and not an image's name.
    fn has_path(self) -> bool {
        matches!(
            self,
            Scheme::OciLayout | Scheme::OciArchive | Scheme::DockerArchive | Scheme::Directory | Scheme::Sbom
        )
    }

    /// Whether a place could be nothing else: no tag is a dash, and none is named like a document.
    fn is_certain(self, place: &str) -> bool {
        let is_document = place == STDIN || [".json", ".xml"].iter().any(|end| place.ends_with(end));
        self == Scheme::Sbom && is_document
    }
}

/// Where an image is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageSource<'a> {
    /// On this machine, at this place.
    Here(Scheme, &'a str),
    /// On this machine if it is there; else the whole text is a reference.
    HereOrReference(Scheme, &'a str),
    /// In a registry, read from here.
    Registry(&'a str),
    /// A reference: in a registry, which the cluster may read.
    Reference(&'a str),
}

impl<'a> ImageSource<'a> {
    /// The file or folder that it is read from, where it is one.
    pub(crate) fn path(self) -> Option<&'a Path> {
        match self {
            ImageSource::Here(Scheme::Sbom, STDIN) => None,
            ImageSource::Here(scheme, place) if scheme.has_path() => Some(Path::new(place)),
            ImageSource::HereOrReference(scheme, place) if scheme.has_path() => {
                Some(Path::new(place)).filter(|path| path.exists())
            }
            _ => None,
        }
    }

    /// Reads what a user names.
    pub(crate) fn parse(text: &'a str) -> Self {
        let Some((word, place)) = text.split_once(':') else { return ImageSource::Reference(text) };
        let is_tag = !place.is_empty() && !place.contains(['/', ':', '@']);
        let scheme = SCHEMES.iter().find(|(known, _)| *known == word).map(|(_, scheme)| *scheme);
        match scheme {
            Some(scheme) if is_tag && !scheme.is_certain(place) => ImageSource::HereOrReference(scheme, place),
            Some(scheme) => ImageSource::Here(scheme, place),
            None if word == REGISTRY && !is_tag => ImageSource::Registry(place),
            None => ImageSource::Reference(text),
        }
    }

    /// Whether only a scan on this machine can be meant.
    pub(crate) fn is_here(self) -> bool {
        match self {
            ImageSource::Here(..) | ImageSource::Registry(_) => true,
            // An engine is asked by the scan itself.
            ImageSource::HereOrReference(scheme, place) => !scheme.has_path() || Path::new(place).exists(),
            ImageSource::Reference(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ImageSource::{Here, HereOrReference, Reference, Registry};

    #[test]
    fn every_text_that_a_pod_can_hold_is_a_reference() {
        let check = |text: &str, expected: ImageSource<'_>| assert_eq!(ImageSource::parse(text), expected, "{text}");
        for text in [
            "nginx",
            "nginx:1.27",
            "registry:2",
            "docker.io/library/docker:27",
            "oci/x:1",
            "localhost:5000/dir",
            "docker@sha256:0",
            "Oci:1",
        ] {
            check(text, Reference(text));
        }
        check("docker:27-dind", HereOrReference(Scheme::Docker, "27-dind"));
        check("docker:myapp:v1", Here(Scheme::Docker, "myapp:v1"));
        check("docker:library/myapp", Here(Scheme::Docker, "library/myapp"));
        check("podman:x@sha256:0", Here(Scheme::Podman, "x@sha256:0"));
        check("registry:localhost:5000/x:1", Registry("localhost:5000/x:1"));
        check("oci:./layout", Here(Scheme::OciLayout, "./layout"));
        check("oci:layout", HereOrReference(Scheme::OciLayout, "layout"));
        check("dir:/", Here(Scheme::Directory, "/"));
        check("dir:", Here(Scheme::Directory, ""));
        check("sbom:-", Here(Scheme::Sbom, "-"));
        check("sbom:app.cdx.json", Here(Scheme::Sbom, "app.cdx.json"));
        check("sbom:out/app", Here(Scheme::Sbom, "out/app"));
        check("sbom:1.0", HereOrReference(Scheme::Sbom, "1.0"));
    }

    #[test]
    fn what_is_on_this_machine_is_scanned_here() {
        let check = |text: &str, expected: bool| assert_eq!(ImageSource::parse(text).is_here(), expected, "{text}");
        check("nginx:1", false);
        check("registry:2", false);
        check("registry:r.example/x", true);
        check("docker:27", true);
        check("dir:/does/not/exist", true);
        // Of the folder that tests run in.
        check("dir:src", true);
        check("dir:does-not-exist", false);
    }
}
