//! What a software bill of materials is made of.

use crate::fingerprint;
use crate::packages::NamedPackages;
use crate::stamp::Stamp;
use crate::view::JudgedReport;
use tidewaiter_core::image::Reference;
use tidewaiter_core::report::{Gap, ImageInfo, Inventory};

/// An inventory, and what was found in it where it was matched with a database.
pub(crate) struct BillOfMaterials<'a> {
    pub(crate) inventory: &'a Inventory,
    pub(crate) judged: Option<JudgedReport<'a>>,
    pub(crate) packages: NamedPackages<'a>,
    pub(crate) stamp: &'a Stamp,
}

impl<'a> BillOfMaterials<'a> {
    pub(crate) fn of_inventory(inventory: &'a Inventory, stamp: &'a Stamp) -> Self {
        BillOfMaterials { inventory, judged: None, packages: NamedPackages::new(inventory), stamp }
    }

    pub(crate) fn of_report(judged: JudgedReport<'a>, stamp: &'a Stamp) -> Self {
        BillOfMaterials { judged: Some(judged), ..Self::of_inventory(&judged.report.inventory, stamp) }
    }

    pub(crate) fn gaps(&self) -> impl Iterator<Item = &'a Gap> {
        let of_day = self.judged.iter().flat_map(|judged| &judged.verdict.gaps);
        self.inventory.gaps.iter().chain(of_day)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.gaps().next().is_none() && self.judged.is_none_or(JudgedReport::is_complete)
    }

    /// The UUID of the document: another one for each format, content and time.
    pub(crate) fn uuid(&self, format: &str) -> String {
        let image = &self.inventory.image;
        let time = self.stamp.rfc3339();
        let mut parts = vec![format, &image.name, image.digest.as_str(), &time];
        parts.extend(self.judged.map(|judged| judged.report.database.id.as_str()));
        // An exception or another policy makes another document of the same report.
        let (outcome, suppressed) = self.judged.map_or_else(Default::default, |judged| {
            let names = judged
                .report
                .suppressed
                .iter()
                .map(|of| format!("{} {}", of.finding.vulnerability, of.finding.package));
            (judged.verdict.outcome.to_string(), names.collect::<Vec<_>>().join("\n"))
        });
        parts.extend([outcome.as_str(), &suppressed]);
        fingerprint::uuid(&parts)
    }
}

/// The purl of an image whose name says which registry it is in (purl-spec, type `oci`); none for one of this machine.
pub(crate) fn image_purl(image: &ImageInfo) -> Option<String> {
    let reference: Reference = image.name.parse().ok()?;
    let registry = reference.registry();
    // The digest of an SBOM that names none is the document's.
    let is_named = image.sbom.as_ref().is_none_or(|sbom| sbom.digest != image.digest);
    if !is_named || !image.name.starts_with(registry) {
        return None;
    }
    let repository = reference.repository();
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let tag = reference.tag().map(|tag| format!("&tag={tag}")).unwrap_or_default();
    Some(format!(
        "pkg:oci/{name}@sha256%3A{}?arch={}&repository_url={registry}/{repository}{tag}",
        image.digest.hex(),
        image.platform.architecture,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::image::Digest;

    #[test]
    fn images_of_registries_have_purls() {
        let digest = Digest::from_sha256([0x0a; 32]);
        let check = |name: &str, expected: Option<&str>| {
            let image = ImageInfo::new(name, digest.clone(), digest.clone(), "linux/arm64".parse().unwrap());
            let expected = expected.map(|rest| format!("pkg:oci/app@sha256%3A{}?arch=arm64&{rest}", digest.hex()));
            assert_eq!(image_purl(&image), expected, "{name}");
        };
        check("registry.example/team/app:v1", Some("repository_url=registry.example/team/app&tag=v1"));
        let pinned = format!("localhost:5000/app@{digest}");
        check(&pinned, Some("repository_url=localhost:5000/app"));
        check("app", None);
        check("./layout", None);
        check("", None);
    }
}
