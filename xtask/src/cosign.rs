//! Verifies what `kubectl scan attest` attaches by cosign's own programs. One that also takes what was signed by another key, or of
//! another image, proves nothing, so each is given both.

use crate::install::{command, once, output, text};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use tidewaiter_testkit::demo::{distinct, vulnerable};
use tidewaiter_testkit::image::{INDEX, ImageFixture, MANIFEST, Manifest};
use tidewaiter_testkit::registry::Registry;

/// A released cosign, and the form of attestations that it is given.
struct CosignForm {
    version: &'static str,
    form: AttachedForm,
    /// What it needs to be offline.
    args: &'static [&'static str],
}

/// How attestations are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AttachedForm {
    /// As `kubectl scan attest` leaves it: bundles, and layers of the manifest with the tag.
    Both,
    /// The manifest with the tag alone, as older versions read it.
    Tag,
}

/// Roots of the public instance: 2.6 asks for some where it finds bundles, also with a key.
const ROOTS: &[&str] = &["--trusted-root", "crates/cli/tests/data/trusted_root.json"];

const FORMS: [CosignForm; 4] = [
    CosignForm { version: "v2.6.5", form: AttachedForm::Tag, args: &[] },
    CosignForm { version: "v2.6.5", form: AttachedForm::Both, args: ROOTS },
    CosignForm { version: "v3.1.3", form: AttachedForm::Tag, args: &[] },
    CosignForm { version: "v3.1.3", form: AttachedForm::Both, args: &[] },
];

/// The types of our statements, as cosign names them.
const TYPES: [(&str, &str); 2] = [("scan", "vuln"), ("verdict", "https://tidewaiter.dev/attestations/verdict/v1")];

/// The type of bundles.
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Algorithms of keys, as OpenSSL names them.
const KEYS: [(&str, &[&str]); 2] =
    [("P-256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("ed25519", &["-algorithm", "ed25519"])];

/// Attests and verifies; true if cosign takes ours and nothing else.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let (tools, work) = (root.join("target/tools/cosign"), tempfile::tempdir()?);
    fs::create_dir_all(&tools)?;
    let bench = CosignBench { program: build(root)?, root: root.to_owned(), work: work.path().to_owned() };
    let feeds = root.join("demo/feeds.toml");
    bench.scan(&["db", "build", "--feeds", text(&feeds)?])?;
    for (name, algorithm) in KEYS {
        let (private, public) = (bench.key(name, "key"), bench.key(name, "pub"));
        output(command("openssl", &["genpkey", "-out", &private]).args(algorithm))?;
        output(&mut command("openssl", &["pkey", "-in", &private, "-pubout", "-out", &public]))?;
    }
    let (plain, listing) = (Registry::start(), Registry::start());
    listing.serve_referrers();
    let mut good = true;
    println!(
        "{:8} {:7} {:15} {:8} {:8} {:9} {:10} OTHER IMAGE",
        "COSIGN", "FORM", "REGISTRY", "KEY", "TYPE", "RESULT", "OTHER KEY"
    );
    for (registry, kind) in [(&plain, "tags alone"), (&listing, "lists referrers")] {
        for (key, _) in KEYS {
            let (image, other) = (vulnerable().label("key", key).build(), distinct(key));
            let attested = AttestedImages::make(&bench, registry, key, &image, &other)?;
            for form in &FORMS {
                let cosign = installed(&tools, form)?;
                for (name, of_type) in TYPES {
                    let verify = |image: &str, key: &str| bench.verify(&cosign, form, of_type, image, key);
                    let image = attested.of(form.form);
                    let problem = verify(image, key)?;
                    let other_key = KEYS.iter().find(|(other, _)| *other != key).context("there are two")?.0;
                    let refused = (verify(image, other_key)?.is_some(), verify(&attested.stolen, key)?.is_some());
                    let word = |refused: bool| if refused { "refused" } else { "TAKEN" };
                    let result = if problem.is_none() { "verified" } else { "REFUSED" };
                    let (version, form) = (form.version, if form.form == AttachedForm::Tag { "tag" } else { "both" });
                    println!(
                        "{version:8} {form:7} {kind:15} {key:8} {name:8} {result:9} {:10} {}",
                        word(refused.0),
                        word(refused.1)
                    );
                    problem.iter().for_each(|problem| println!("{problem}"));
                    good &= problem.is_none() && refused == (true, true);
                }
            }
        }
    }
    Ok(good)
}

/// Builds the program as tests do.
fn build(root: &Path) -> Result<PathBuf> {
    output(command(env!("CARGO"), &["build", "--quiet", "-p", "kubectl-scan"]).current_dir(root))?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/kubectl-scan"))
}

/// Builds cosign, unless it is there: four minutes for each.
fn installed(tools: &Path, form: &CosignForm) -> Result<PathBuf> {
    let major = form.version.split('.').next().unwrap_or_default();
    let module = format!("github.com/sigstore/cosign/{major}/cmd/cosign@{}", form.version);
    let folder = once(tools, form.version, |folder| {
        println!("building {module}");
        let mut install = command("go", &["install", "-trimpath", &module]);
        output(install.env("GOBIN", folder).env("CGO_ENABLED", "0")).map(|_| ())
    })?;
    Ok(folder.join("cosign"))
}

/// Where everything is.
struct CosignBench {
    program: PathBuf,
    root: PathBuf,
    work: PathBuf,
}

impl CosignBench {
    fn key(&self, name: &str, extension: &str) -> String {
        self.work.join(format!("{name}.{extension}")).display().to_string()
    }

    fn scan(&self, args: &[&str]) -> Result<String> {
        output(command(&self.program, args).env("HOME", &self.work).env("TIDEWAITER_DB", self.work.join("db")))
    }

    /// What cosign says where it does not verify an image's attestation; `None` where it does.
    fn verify(
        &self,
        cosign: &Path,
        form: &CosignForm,
        of_type: &str,
        image: &str,
        key: &str,
    ) -> Result<Option<String>> {
        let args =
            ["verify-attestation", "--insecure-ignore-tlog=true", "--type", of_type, "--key", &self.key(key, "pub")];
        let mut said = command(cosign, &args);
        said.args(form.args).arg(image).env("HOME", &self.work);
        let said = said.current_dir(&self.root).output().with_context(|| cosign.display().to_string())?;
        let text = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Ok((!said.status.success()).then_some(text))
    }
}

/// An image with attestations, the same with those of the tag alone, and one with those of another.
struct AttestedImages {
    image: String,
    tagged: String,
    stolen: String,
}

impl AttestedImages {
    fn make(
        bench: &CosignBench,
        registry: &Registry,
        key: &str,
        image: &ImageFixture,
        other: &ImageFixture,
    ) -> Result<Self> {
        let name = key.to_lowercase();
        let attested = registry.push(&name, "attested", image);
        bench.scan(&["attest", &attested, "--key", &bench.key(key, "key")])?;
        let (tagged, stolen) = (format!("{name}-tagged"), format!("{name}-stolen"));
        let of = AttestedImages {
            image: attested,
            tagged: registry.push(&tagged, "attested", image),
            stolen: registry.push(&stolen, "other", other),
        };
        let tag = |image: &ImageFixture, suffix: &str| format!("{}{suffix}", image.digest().replace(':', "-"));
        let layers = registry.manifest(&name, &tag(image, ".att"));
        registry.put_manifest(&tagged, &tag(image, ".att"), MANIFEST, &layers);
        // With all that its lists name, into a repository where nothing else refers to the other image.
        for (selector, document) in registry.manifests(&name) {
            registry.put_manifest(&stolen, &selector, &document.media_type, &document.bytes);
        }
        registry.put_manifest(&stolen, &tag(other, ".att"), MANIFEST, &layers);
        let stored = registry.manifests(&name);
        let list = stored.get(&tag(image, "")).map(|list| list.bytes.clone());
        let list = list.unwrap_or_else(|| referrers(&stored));
        registry.put_manifest(&stolen, &tag(other, ""), INDEX, &list);
        Ok(of)
    }

    fn of(&self, form: AttachedForm) -> &str {
        match form {
            AttachedForm::Both => &self.image,
            AttachedForm::Tag => &self.tagged,
        }
    }
}

/// A list of everything that refers to something, as a thief would write it.
fn referrers(stored: &BTreeMap<String, Manifest>) -> Vec<u8> {
    let entry = |(digest, document): (&String, &Manifest)| {
        let text = String::from_utf8_lossy(&document.bytes);
        text.contains("\"subject\"").then(|| {
            json!({"mediaType": document.media_type, "digest": digest, "size": document.bytes.len(), "artifactType": BUNDLE})
        })
    };
    let all: Vec<Value> = stored.iter().filter_map(entry).collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all}).to_string().into_bytes()
}
