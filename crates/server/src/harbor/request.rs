//! A request to scan, and what is wrong with one. The login in it is checked, and never quoted.

use super::answer::ARTIFACTS;
use super::problem::AdapterProblem;
use super::registry::HarborRegistry;
use crate::scan::protocol::PullSecret;
use serde::Deserialize;
use serde_json::json;
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_formats::HarborArtifact;
use tidewaiter_scan::source::registry::credentials::Credentials;

/// What Harbor sends. Fields of later versions are ignored.
#[derive(Deserialize)]
struct ScanForm {
    registry: RegistryForm,
    artifact: ArtifactForm,
    enabled_capabilities: Option<Vec<CapabilityForm>>,
}

#[derive(Deserialize)]
struct RegistryForm {
    url: String,
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct ArtifactForm {
    repository: String,
    digest: String,
    tag: Option<String>,
    mime_type: Option<String>,
}

#[derive(Deserialize)]
struct CapabilityForm {
    r#type: String,
}

/// A scan that was asked for, by somebody who may ask, of a registry that is scanned.
#[derive(Debug, Clone)]
pub(crate) struct HarborScanRequest {
    /// The registry.
    pub(crate) registry: HarborRegistry,
    /// The image, by its digest.
    pub(crate) image: Reference,
    /// That digest.
    pub(crate) digest: Digest,
    /// The artifact, in Harbor's words.
    pub(crate) artifact: HarborArtifact,
    /// What lets its holder pull the image, and nothing else here.
    pub(crate) login: Option<PullSecret>,
}

impl HarborScanRequest {
    /// Reads a request; `known` are the registries that are scanned.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub(crate) fn parse(body: &[u8], known: &[HarborRegistry]) -> Result<Self, AdapterProblem> {
        let form: ScanForm = serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        let registry = registry(&form.registry.url, known)?;
        let digest: Digest =
            form.artifact.digest.parse().map_err(|_| invalid("artifact.digest is not a sha256 digest"))?;
        let image = image(registry, &form.artifact.repository, &digest)?;
        check_capabilities(form.artifact.mime_type.as_deref(), form.enabled_capabilities.as_deref())?;
        let login = form.registry.authorization.filter(|value| !value.trim().is_empty());
        let login = login.map(|value| login_for(&image, &value)).transpose()?;
        let ArtifactForm { repository, tag, mime_type, .. } = form.artifact;
        let tag = tag.filter(|tag| !tag.is_empty());
        let artifact = HarborArtifact { repository, digest: digest.to_string(), tag, mime_type };
        Ok(HarborScanRequest { registry: registry.clone(), image, digest, artifact, login })
    }
}

/// Where the document is wrong, and not what is there: that may be the login.
fn malformed(error: &serde_json::Error) -> AdapterProblem {
    let (line, column) = (error.line(), error.column());
    AdapterProblem::new(400, format!("the body is not a scan request in JSON: line {line}, column {column}"))
}

fn invalid(message: impl Into<String>) -> AdapterProblem {
    AdapterProblem::new(422, message)
}

/// The named registry: whoever asks chooses among those that the administrator chose.
fn registry<'a>(url: &str, known: &'a [HarborRegistry]) -> Result<&'a HarborRegistry, AdapterProblem> {
    let asked: HarborRegistry = url.parse().map_err(|why| invalid(format!("registry.url cannot be used: {why}")))?;
    let found = known.iter().find(|registry| **registry == asked);
    found.ok_or_else(|| {
        invalid(format!(
            "registry.url {asked} is not a registry that is scanned; if it is Harbor's, add --registry {asked}"
        ))
    })
}

fn image(registry: &HarborRegistry, repository: &str, digest: &Digest) -> Result<Reference, AdapterProblem> {
    let wrong = || invalid("artifact.repository is not the name of a repository");
    let image: Reference = format!("{}/{repository}@{digest}", registry.name()).parse().map_err(|_| wrong())?;
    // A tag in it, or anything else that would be read as another part of the reference.
    let is_whole = image.registry() == registry.name() && image.repository() == repository && image.tag().is_none();
    is_whole.then_some(image).ok_or_else(wrong)
}

fn check_capabilities(media_type: Option<&str>, enabled: Option<&[CapabilityForm]>) -> Result<(), AdapterProblem> {
    if media_type.is_some_and(|named| !named.is_empty() && !ARTIFACTS.contains(&named)) {
        let what = ARTIFACTS.join(" or ");
        return Err(AdapterProblem::new(
            501,
            format!("artifact.mime_type: only manifests of one image are scanned: {what}"),
        ));
    }
    let is_made = |capability: &CapabilityForm| matches!(&*capability.r#type, "vulnerability" | "sbom");
    match enabled.is_none_or(|all| all.iter().all(is_made)) {
        true => Ok(()),
        false => Err(AdapterProblem::new(501, "enabled_capabilities: vulnerability and sbom are made here")),
    }
}

/// The value of an `Authorization` header as the login of one repository: kept in that form, it is sent by the rules for logins, and so to
/// no other host than the registry's own and its token service.
fn login_for(image: &Reference, value: &str) -> Result<PullSecret, AdapterProblem> {
    let (scheme, login) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let login = login.trim();
    let entry = match scheme.to_ascii_lowercase().as_str() {
        "basic" => json!({"auth": login}),
        "bearer" => json!({"registrytoken": login}),
        _ => return Err(invalid("registry.authorization begins with neither Basic nor Bearer")),
    };
    let document = json!({"auths": {image.name(): entry}}).to_string();
    let is_login = Credentials::parse(document.as_bytes()).is_ok_and(|found| !found.logins(image).is_empty());
    let is_header = login.bytes().all(|byte| byte.is_ascii_graphic());
    match is_login && is_header {
        true => Ok(PullSecret { legacy: false, document }),
        false => {
            Err(invalid("registry.authorization has no login: Basic is the base64 of user:password, Bearer a token"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

    fn parsed(request: &Value) -> Result<HarborScanRequest, AdapterProblem> {
        let known = ["https://harbor.example", "http://core:8080"].map(|url| url.parse().unwrap());
        HarborScanRequest::parse(request.to_string().as_bytes(), &known)
    }

    /// A request with some members replaced, by JSON pointers.
    fn request(replaced: &[(&str, Value)]) -> Value {
        let mut request = json!({
            "registry": {"url": "https://harbor.example", "authorization": "Basic cm9ib3Q6aHVudGVyMg=="},
            "artifact": {
                "repository": "library/mongo", "digest": DIGEST, "tag": "3.14",
                "mime_type": "application/vnd.oci.image.manifest.v1+json",
            },
            "enabled_capabilities": [{"type": "sbom", "parameters": {"sbom_media_types": ["application/spdx+json"]}}],
        });
        for (pointer, value) in replaced {
            *request.pointer_mut(pointer).unwrap() = value.clone();
        }
        request
    }

    #[test]
    fn what_is_scanned_is_one_image_by_its_digest() {
        let check = |replaced: &[(&str, Value)], expected: &str| {
            let scan = parsed(&request(replaced)).unwrap();
            assert_eq!(scan.image.to_string(), format!("{expected}@{DIGEST}"), "{replaced:?}");
        };
        check(&[], "harbor.example/library/mongo");
        check(&[("/registry/url", json!("https://harbor.example:443/"))], "harbor.example/library/mongo");
        check(&[("/registry/url", json!("http://core:8080"))], "core:8080/library/mongo");
        check(&[("/artifact/mime_type", json!(null))], "harbor.example/library/mongo");
        check(&[("/artifact/tag", json!(""))], "harbor.example/library/mongo");
        check(&[("/artifact/repository", json!("a/b/c/d"))], "harbor.example/a/b/c/d");
        check(&[("/enabled_capabilities", json!(null))], "harbor.example/library/mongo");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |pointer: &str, value: Value, status: u16, word: &str| {
            let problem = parsed(&request(&[(pointer, value.clone())])).unwrap_err();
            assert_eq!(problem.status, status, "{value}: {problem:?}");
            assert!(problem.message.contains(word) && !problem.message.contains("hunter2"), "{problem:?}");
        };
        check("/registry", json!(null), 400, "not a scan request");
        check("/registry/authorization", json!({"hunter2": 1}), 400, "line 1");
        check("/artifact", json!({"repository": "a"}), 400, "not a scan request");
        // What an attacker would have it connect to.
        for url in
            ["http://169.254.169.254", "https://evil.example", "http://harbor.example", "https://harbor.example:8443"]
        {
            check("/registry/url", json!(url), 422, "--registry");
        }
        check("/registry/url", json!("file:///etc/passwd"), 422, "registry.url");
        check("/registry/url", json!("https://robot:hunter2@harbor.example"), 422, "user name");
        check("/artifact/digest", json!("latest"), 422, "artifact.digest");
        check("/artifact/digest", json!(""), 422, "artifact.digest");
        for repository in ["", "a:tag", "../a", "A/b", "a@b", "a//b", "a/b?x=1", "a\nb"] {
            check("/artifact/repository", json!(repository), 422, "artifact.repository");
        }
        check("/artifact/mime_type", json!("application/vnd.oci.image.index.v1+json"), 501, "one image");
        check("/artifact/mime_type", json!("application/vnd.cncf.helm.config.v1+json"), 501, "one image");
        check("/enabled_capabilities", json!([{"type": "secret"}]), 501, "enabled_capabilities");
        for authorization in
            ["Digest hunter2", "Basic", "Basic aHVudGVyMg==", "Basic hunter2", "Bearer ", "Bearer a b", "hunter2"]
        {
            check("/registry/authorization", json!(authorization), 422, "registry.authorization");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_not_quoted() {
        let problem = HarborScanRequest::parse(b"{\"registry\": hunter2}", &[]).unwrap_err();
        assert_eq!((problem.status, problem.message.contains("hunter2")), (400, false));
    }

    #[test]
    fn a_login_is_for_the_one_repository() {
        let check = |authorization: Value, image: &str, expected: &str| {
            let scan = parsed(&request(&[("/registry/authorization", authorization.clone())])).unwrap();
            let all =
                scan.login.map(|login| Credentials::parse(login.document.as_bytes()).unwrap()).unwrap_or_default();
            assert_eq!(format!("{:?}", all.logins(&image.parse().unwrap())), expected, "{authorization} {image}");
        };
        let basic = json!("Basic cm9ib3Q6aHVudGVyMg==");
        check(basic.clone(), "harbor.example/library/mongo", "[Login(robot, …)]");
        check(basic.clone(), "harbor.example/other", "[]");
        check(basic, "evil.example/library/mongo", "[]");
        check(json!("bearer abc.def"), "harbor.example/library/mongo", "[Login(registry token)]");
        check(json!(null), "harbor.example/library/mongo", "[]");
        check(json!(""), "harbor.example/library/mongo", "[]");
    }

    #[test]
    fn no_text_of_a_request_has_its_login() {
        let scan = parsed(&request(&[])).unwrap();
        let said = format!("{scan:?}");
        assert!(!said.contains("cm9ib3Q6aHVudGVyMg") && !said.contains("hunter2"), "{said}");
    }
}
