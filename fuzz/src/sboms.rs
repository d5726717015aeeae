//! SBOMs that are given in place of an image.

use crate::Target;

/// One of each format.
pub(crate) const TARGETS: &[Target] = &[
    ("sbom-cyclonedx", cyclonedx, read),
    ("sbom-cyclonedx-xml", xml, read),
    ("sbom-spdx", spdx, read),
    ("sbom-spdx-3", spdx3, read),
    ("sbom-syft", syft, read),
    ("sbom-github", github, read),
];

/// What is read is sorted, each package once, and every place in a layer that there is.
fn read(bytes: &[u8]) {
    let mut rest = bytes;
    let Ok(inventory) = tidewaiter_sbom::read(&mut rest, "FILE") else { return };
    assert!(inventory.packages.is_sorted());
    assert!(!inventory.packages.is_empty() || !inventory.gaps.is_empty());
    let places = inventory.packages.iter().flat_map(|package| &package.locations);
    let layers = inventory.layers.len();
    assert!(places.filter_map(|place| tidewaiter_core::package::layer_number(place.layer)).all(|n| n <= layers));
}

fn cyclonedx() -> Vec<u8> {
    br#"{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"container","name":"a","properties":
    [{"name":"aquasecurity:trivy:DiffID","value":"sha256:00"}]},"properties":[{"name":"tidewaiter:gap","value":"Unclear: a: b"}]},
    "components":[{"type":"operating-system","name":"debian","version":"12"},{"type":"library","name":"a","purl":
    "pkg:deb/debian/a@1?distro=debian-12&upstream=b%402","components":[{"purl":"pkg:npm/c@1","scope":"excluded"}],
    "evidence":{"occurrences":[{"location":"x"}]}}],"compositions":[{"aggregate":"incomplete"}]}"#
        .to_vec()
}

fn xml() -> Vec<u8> {
    br#"<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><metadata><component type="container"><name>a</name></component>
    </metadata><components><component type="library"><name>a</name><purl>pkg:rpm/redhat/a@1-1?epoch=1&amp;rpmmod=m:1</purl>
    <properties><property name="syft:location:0:path">x</property></properties><components><component><scope>excluded</scope>
    </component></components></component></components></bom>"#
        .to_vec()
}

fn spdx() -> Vec<u8> {
    br#"{"spdxVersion":"SPDX-2.3","name":"d","comment":"tidewaiter:gap=Unclear: a: b","packages":[{"SPDXID":"SPDXRef-a","name":"a",
    "versionInfo":"1","primaryPackagePurpose":"LIBRARY","sourceInfo":"found in: x (layer 1), y (layer 2)","comment":
    "tidewaiter:platform=linux/amd64","attributionTexts":["LayerDiffID: x"],"checksums":[{"algorithm":"SHA256"}],"externalRefs":
    [{"referenceType":"purl","referenceLocator":"pkg:gem/a@1"}]}],"relationships":[{"relationshipType":"DESCRIBES"}]}"#
        .to_vec()
}

fn spdx3() -> Vec<u8> {
    br#"{"@graph":[{"type":"CreationInfo","specVersion":"3.0.1"},{"type":"SpdxDocument","rootElement":["a"]},{"type":
    "software_Package","spdxId":"a","software_packageUrl":"pkg:gem/a@1","externalIdentifier":["x",{"externalIdentifierType":
    "packageUrl","identifier":"pkg:gem/b@1"}],"verifiedUsing":[{"algorithm":"sha256","hashValue":"0"}]}]}"#
        .to_vec()
}

fn syft() -> Vec<u8> {
    br#"{"artifacts":[{"name":"a","version":"1","purl":"pkg:apk/alpine/a@1?distro=alpine-3.18","locations":[{"path":"x","layerID":
    "y"}],"metadata":{"originPackage":"b"}}],"source":{"type":"image","metadata":{"imageID":"x","layers":[{"digest":"y"}]}},
    "distro":{"id":"alpine","idLike":["x"]},"schema":{"version":"16","url":"syft"}}"#
        .to_vec()
}

fn github() -> Vec<u8> {
    br#"{"detector":{},"manifests":{"a":{"resolved":{"b":{"package_url":"pkg:npm/a@1","scope":"runtime"}}}}}"#.to_vec()
}
