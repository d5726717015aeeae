//! Documents of every format and version, as the tools write them.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use tidewaiter_core::package::Package;
use tidewaiter_core::report::Inventory;

/// `FORMAT | IMAGE | SYSTEM | PACKAGES | gaps`, each package `TYPE NAME VERSION`, with its source where it has one.
fn said(inventory: &Inventory) -> String {
    let of = |p: &Package| {
        let source =
            if p.source_name.is_empty() { String::new() } else { format!(" <{} {}>", p.source_name, p.source_version) };
        let copy = if p.is_foreign_copy() { " (copy)" } else { "" };
        format!("{} {} {}{source}{copy}", p.kind.purl_type(), p.name, p.version)
    };
    let packages: Vec<String> = inventory.packages.iter().map(of).collect();
    let gaps: Vec<String> = inventory.gaps.iter().map(|gap| format!("{:?}", gap.kind)).collect();
    let os = inventory.os.as_ref().map(|os| format!("{} {}", os.id, os.version_id)).unwrap_or_default();
    let format = inventory.image.sbom.as_ref().map(|sbom| sbom.format.as_str()).unwrap_or_default();
    format!("{format} | {} | {os} | {} | {}", inventory.image.name, packages.join(", "), gaps.join(", "))
}

fn read(text: &str) -> Result<Inventory, String> {
    tidewaiter_sbom::read(&mut text.as_bytes(), "FILE").map_err(|error| error.to_string())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(said(&read(text).unwrap()), expected, "{text}");
}

#[track_caller]
fn refuses(text: &str, words: &[&str]) {
    let error = read(text).map(|inventory| said(&inventory)).unwrap_err();
    words.iter().for_each(|word| assert!(error.contains(word), "{error:?} does not say {word:?}"));
}

fn cyclonedx(version: &str, members: &str) -> String {
    format!(r#"{{"bomFormat":"CycloneDX","specVersion":"{version}",{members}}}"#)
}

#[test]
fn cyclonedx_in_json() {
    let components = |list: &str| cyclonedx("1.6", &format!(r#""components":[{list}]"#));
    let parts = |list: &str, expected: &str| check(&components(list), &format!("CycloneDX 1.6 | FILE |  | {expected}"));
    parts(r#"{"type":"library","name":"x","purl":"pkg:maven/org.x/y@1.0?type=jar"}"#, "maven org.x:y 1.0 | ");
    parts(r#"{"version":"2","purl":"pkg:npm/a"}"#, "npm a 2 | ");
    parts(r#"{"purl":"pkg:npm/a@1","components":[{"purl":"pkg:npm/b@2"}]}"#, "npm a 1, npm b 2 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"purl":"pkg:npm/a@1"}"#, "npm a 1 | ");
    // Not a part, nor what is inside, wherever that is said.
    parts(
        r#"{"purl":"pkg:npm/a@1"},{"components":[{"purl":"pkg:npm/b@2"},{"name":"c"}],"scope":"excluded"}"#,
        "npm a 1 | ",
    );
    parts(r#"{"purl":"pkg:npm/a@1"},{"isExternal":true,"purl":"pkg:npm/b@2"}"#, "npm a 1 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"scope":"optional","purl":"pkg:npm/b@2"}"#, "npm a 1, npm b 2 | ");
    // No gap: a file, a place, an image.
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"file","name":"f","version":"1"}"#, "npm a 1 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"application","name":"app/package-lock.json"}"#, "npm a 1 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"library","name":"i","purl":"pkg:oci/i@1"}"#, "npm a 1 | ");
    parts(r#"{"type":"library","name":"m","purl":"pkg:golang/example.com/m"}"#, "golang example.com/m (devel) | ");
    // Gaps.
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"library","name":"b","version":"1"}"#, "npm a 1 | Unclear");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"application","name":"b","version":"1"}"#, "npm a 1 | Unclear");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"firmware","name":"b"}"#, "npm a 1 | Unclear");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"platform","name":"b"}"#, "npm a 1 | Unclear");
    parts(r#"{"type":"container","name":"FILE","purl":"pkg:npm/a@1"}"#, "npm a 1 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"container","name":"FILE","purl":"pkg:cpan/b@1"}"#, "npm a 1 | NotCovered");
    parts(r#"{"purl":"pkg:npm/a@1"},{"type":"machine-learning-model","name":"b"}"#, "npm a 1 | ");
    parts(r#"{"purl":"pkg:npm/a@1"},{"name":"b","purl":"npm:b"}"#, "npm a 1 | Unclear");
    parts(r#"{"purl":"pkg:npm/a@1"},{"name":"b","purl":"pkg:cpan/b@1"}"#, "npm a 1 | NotCovered");
    parts(r#"{"purl":"pkg:npm/a@1"},{"name":"b","purl":"pkg:generic/b@1"}"#, "npm a 1 | NotCovered");
    parts("", " | NothingRecognized");
    for version in ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"] {
        let text = cyclonedx(version, r#""components":[{"purl":"pkg:gem/a@1"}]"#);
        check(&text, &format!("CycloneDX {version} | FILE |  | gem a 1 | "));
    }
    // What it is about, before or after; a program may be affected itself.
    let about = r#""components":null,"metadata":{"component":{"type":"application","name":"app","version":"1","purl":"pkg:pypi/app@1"}}"#;
    check(&cyclonedx("1.5", about), "CycloneDX 1.5 | app |  | pypi app 1 | ");
    check(
        &cyclonedx("1.5", r#""metadata":{"component":{"type":"application","name":"app"}}"#),
        "CycloneDX 1.5 | app |  |  | NothingRecognized",
    );
}

#[test]
fn what_is_said_to_be_incomplete_is_a_gap() {
    let check = |composition: &str, is_gap: bool| {
        let members = format!(r#""components":[{{"purl":"pkg:gem/a@1"}}],"compositions":[{composition}]"#);
        let gaps = read(&cyclonedx("1.6", &members)).unwrap().gaps;
        assert_eq!(gaps.iter().any(|gap| gap.message.contains("does not list everything")), is_gap, "{composition}");
    };
    check(r#"{"aggregate":"incomplete","assemblies":["a"]}"#, true);
    check(r#"{"aggregate":"incomplete"}"#, true);
    check(r#"{"aggregate":"incomplete_third_party_only","dependencies":["a"]}"#, true);
    check(r#"{"aggregate":"incomplete","vulnerabilities":["v"]}"#, false);
    check(r#"{"aggregate":"unknown"}"#, false);
    check(r#"{"aggregate":"complete","assemblies":["a"]}"#, false);
    check("", false);
}

#[test]
fn gaps_that_are_not_understood_are_gaps() {
    let kinds = |line: &str| {
        let members = format!(
            r#""metadata":{{"properties":[{{"name":"tidewaiter:gap","value":"{line}"}}]}},
            "components":[{{"purl":"pkg:gem/a@1"}}],"compositions":[{{"aggregate":"incomplete"}}]"#
        );
        let gaps = read(&cyclonedx("1.6", &members)).unwrap().gaps;
        gaps.iter().map(|gap| format!("{:?} {}", gap.kind, gap.subject)).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(kinds("UnreadableFile: a/b: it is damaged"), "UnreadableFile a/b");
    assert_eq!(kinds("Nonsense: a/b: it is damaged"), "UnreadableFile SBOM, Unclear SBOM");
    assert_eq!(kinds("something"), "UnreadableFile SBOM, Unclear SBOM");
}

#[test]
fn cyclonedx_in_xml() {
    for version in ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"] {
        let text = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <b:bom xmlns:b="http://cyclonedx.org/schema/bom/{version}" version="1">
              <b:metadata>
                <b:tools><b:components><b:component type="application"><b:name>tool</b:name><b:version>1</b:version></b:component></b:components></b:tools>
                <b:component type="container"><b:name>app&amp;co</b:name></b:component>
              </b:metadata>
              <b:components>
                <b:component type="operating-system"><b:name>alpine</b:name><b:version>3.18.4</b:version></b:component>
                <b:component type="library"><b:name>libssl3</b:name><b:purl>pkg:apk/alpine/libssl3@3.1-r0</b:purl>
                  <b:pedigree><b:ancestors><b:component><b:name>x</b:name><b:purl>pkg:npm/x@1</b:purl></b:component></b:ancestors></b:pedigree>
                  <b:properties><b:property name="aquasecurity:trivy:SrcName">openssl</b:property></b:properties>
                  <b:components><b:component type="library"><b:name>b</b:name><b:purl>pkg:npm/b@2</b:purl></b:component></b:components>
                </b:component>
                <b:component type="library"><b:components><b:component><b:purl>pkg:npm/c@3</b:purl></b:component></b:components>
                  <b:scope>excluded</b:scope></b:component>
                <b:component type="library"><b:name>unnamed</b:name><b:version>1</b:version></b:component>
              </b:components>
              <b:compositions><b:composition><b:aggregate>incomplete</b:aggregate></b:composition></b:compositions>
            </b:bom>"#
        );
        check(
            &text,
            &format!(
                "CycloneDX {version} | app&co | alpine 3.18.4 | apk libssl3 3.1-r0 <openssl 3.1-r0>, npm b 2 | UnreadableFile, Unclear"
            ),
        );
    }
    refuses("<html><body>", &["XML whose root is `html`", "CycloneDX 1.2 to 1.7"]);
    refuses("<bom xmlns='http://cyclonedx.org/schema/bom/1.1'/>", &["CycloneDX 1.1, a version that is not read"]);
    refuses("<bom xmlns='http://cyclonedx.org/schema/bom/1.4'>\n<components>\n</bom>", &["damaged: line 3, column "]);
    refuses("<bom/>", &["XML whose root is `bom`"]);
}

fn spdx(version: &str, members: &str) -> String {
    format!(r#"{{"packages":[{members}],"name":"DOC","spdxVersion":"{version}"}}"#)
}

fn spdx_package(name: &str, purl: &str, more: &str) -> String {
    let reference =
        format!(r#"{{"referenceCategory":"PACKAGE_MANAGER","referenceType":"purl","referenceLocator":"{purl}"}}"#);
    format!(r#"{{"SPDXID":"SPDXRef-{name}","name":"{name}","externalRefs":[{reference}]{more}}}"#)
}

#[test]
fn spdx_2() {
    let os = r#"{"SPDXID":"SPDXRef-OperatingSystem-1","name":"debian","versionInfo":"12.5"}"#;
    let image = r#"{"SPDXID":"SPDXRef-ContainerImage-1","name":"debian:12"}"#;
    let lock = r#"{"SPDXID":"SPDXRef-Application-1","name":"npm"}"#;
    let deb = spdx_package(
        "libc6",
        "pkg:deb/debian/libc6@2.36-9?distro=debian-12.5",
        r#","sourceInfo":"built package from: glibc 2.36-9""#,
    );
    let all = [os, image, lock, &deb].join(",");
    let debian = "debian 12.5 | deb libc6 2.36-9 <glibc 2.36-9>";
    check(&spdx("SPDX-2.2", &all), &format!("SPDX 2.2 | debian:12 | {debian} | "));
    check(&spdx("SPDX-2.3", &all), &format!("SPDX 2.3 | debian:12 | {debian} | "));
    let github = format!(r#"{{"sbom":{}}}"#, spdx("SPDX-2.3", &spdx_package("a", "pkg:npm/a@1", "")));
    check(&github, "SPDX 2.3 (GitHub) | DOC |  | npm a 1 | ");
    check(
        &spdx("SPDX-2.3", &spdx_package("a", "pkg:npm/a", r#","versionInfo":"2""#)),
        "SPDX 2.3 | DOC |  | npm a 2 | ",
    );
    for remarks in [
        r#","attributionTexts":["SrcName: b"]"#,
        r#","annotations":[{"annotator":"Tool: trivy","comment":"SrcName: b"}]"#,
    ] {
        let package = spdx_package("a", "pkg:apk/alpine/a@1?distro=3.18.4", remarks);
        check(&spdx("SPDX-2.3", &package), "SPDX 2.3 | DOC | alpine 3.18.4 | apk a 1 <b 1> | ");
    }
    let unnamed = r#"{"SPDXID":"SPDXRef-root","name":"app","versionInfo":"1"}"#;
    check(&spdx("SPDX-2.3", unnamed), "SPDX 2.3 | DOC |  |  | Unclear");
    let describes =
        r#"{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-root"}"#;
    let by_relationship =
        format!(r#"{{"spdxVersion":"SPDX-2.3","packages":[{unnamed}],"relationships":[{describes}]}}"#);
    check(&by_relationship, "SPDX 2.3 | FILE |  |  | NothingRecognized");
    let purls: Vec<String> = (0..17)
        .map(|n| format!(r#"{{"referenceType":"purl","referenceLocator":"pkg:gem/a@{}"}}"#, n.min(16)))
        .collect();
    let many = format!(r#"{{"SPDXID":"SPDXRef-a","name":"a","externalRefs":[{}]}}"#, purls.join(","));
    let many = read(&spdx("SPDX-2.3", &many)).unwrap();
    let gaps: Vec<&str> = many.gaps.iter().map(|gap| gap.message.as_str()).collect();
    assert_eq!(
        (many.packages.len(), gaps.as_slice()),
        (16, ["components with more than 16 purls are matched by the first ones alone: 1 (a)"].as_slice())
    );
    // Several things that it is about are its parts.
    let both = format!(
        r#"{{"documentDescribes":["SPDXRef-root","SPDXRef-a"],"spdxVersion":"SPDX-2.3","packages":[{unnamed},{}]}}"#,
        spdx_package("a", "pkg:npm/a@1", "")
    );
    check(&both, "SPDX 2.3 | FILE |  | npm a 1 | Unclear");
    for (purpose, gap) in
        [("INSTALL", "Unclear"), ("SOURCE", "Unclear"), ("ARCHIVE", "Unclear"), ("OTHER", "Unclear"), ("FILE", "")]
    {
        let b = format!(r#"{{"SPDXID":"SPDXRef-b","name":"b","primaryPackagePurpose":"{purpose}"}}"#);
        let text = spdx("SPDX-2.3", &format!("{},{b}", spdx_package("a", "pkg:npm/a@1", "")));
        check(&text, &format!("SPDX 2.3 | DOC |  | npm a 1 | {gap}"));
    }
    let elsewhere = format!(
        r#"{{"spdxVersion":"SPDX-2.3","packages":[{}],"relationships":[{{"spdxElementId":"SPDXRef-a",
        "relationshipType":"DEPENDS_ON","relatedSpdxElement":"DocumentRef-lib:SPDXRef-b"}}]}}"#,
        spdx_package("a", "pkg:npm/a@1", "")
    );
    check(&elsewhere, "SPDX 2.3 | FILE |  | npm a 1 | Unclear");
    let by_member =
        format!(r#"{{"documentDescribes":["SPDXRef-root"],"spdxVersion":"SPDX-2.3","packages":[{unnamed}]}}"#);
    check(&by_member, "SPDX 2.3 | FILE |  |  | NothingRecognized");
    refuses(&spdx("SPDX-2.1", ""), &["SPDX 2.1, a version that is not read"]);
    refuses("SPDXVersion: SPDX-2.3\n", &["tags and values", "write it as JSON"]);
}

#[test]
fn spdx_3() {
    let graph = |version: &str, elements: &str| {
        format!(
            r#"{{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[{elements},
            {{"type":"CreationInfo","specVersion":"{version}"}},{{"type":"SpdxDocument","name":"DOC","rootElement":["s"]}}]}}"#
        )
    };
    let package = r#"{"type":"software_Package","spdxId":"a","name":"a","software_packageUrl":"pkg:gem/a","software_packageVersion":"1"}"#;
    let identified = r#"{"type":"software_Package","externalIdentifier":["_:x",{"type":"ExternalIdentifier",
        "externalIdentifierType":"packageUrl","identifier":"pkg:gem/b@1"}]}"#;
    check(&graph("3.0.1", &format!("{package},{identified}")), "SPDX 3.0.1 | DOC |  | gem a 1, gem b 1 | ");
    check(&graph("3.0.0", package), "SPDX 3.0.0 | DOC |  | gem a 1 | ");
    let os = r#"{"type":"software_Package","name":"wolfi","software_primaryPurpose":"operatingSystem"}"#;
    let image = r#"{"type":"software_Package","spdxId":"s","name":"app:1","software_primaryPurpose":"container"}"#;
    let apk = r#"{"type":"software_Package","software_packageUrl":"pkg:apk/wolfi/a@1-r0?upstream=b"}"#;
    check(&graph("3.0.1", &[os, image, apk].join(",")), "SPDX 3.0.1 | app:1 | wolfi  | apk a 1-r0 <b 1-r0> | ");
    let incomplete = r#"{"type":"Relationship","relationshipType":"contains","completeness":"incomplete"}"#;
    check(&graph("3.0.1", &format!("{package},{incomplete}")), "SPDX 3.0.1 | DOC |  | gem a 1 | UnreadableFile");
    let root = r#"{"type":"software_Package","spdxId":"r","name":"r","software_primaryPurpose":"install"},
        {"type":"software_Sbom","spdxId":"s","rootElement":["r"]}"#;
    check(&graph("3.0.1", &format!("{package},{root}")), "SPDX 3.0.1 | DOC |  | gem a 1 | ");
    let part = r#"{"type":"software_Package","spdxId":"p","name":"p","software_primaryPurpose":"executable"}"#;
    check(&graph("3.0.1", &format!("{package},{root},{part}")), "SPDX 3.0.1 | DOC |  | gem a 1 | Unclear");
    refuses(&graph("3.1.0", package), &["SPDX 3.1.0, a version that is not read"]);
}

#[test]
fn syft_and_github() {
    let artifact = |purl: &str, more: &str| format!(r#"{{"id":"1","name":"n","version":"9","purl":"{purl}"{more}}}"#);
    let deb = artifact(
        "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12",
        r#","metadata":{"source":"glibc","sourceVersion":"","files":[{"path":"/x"}]},"locations":[{"path":"/var/lib/dpkg/status","layerID":"L"}]"#,
    );
    let syft = |members: &str| {
        format!(
            r#"{{"artifacts":[{members}],"source":{{"name":"debian","version":"12","type":"image","metadata":{{"imageID":"x","os":"linux","architecture":"arm64"}}}},
            "distro":{{"prettyName":"Debian GNU/Linux 12 (bookworm)","id":"debian","versionID":"12","idLike":["x"]}},
            "descriptor":{{"name":"syft"}},"schema":{{"version":"16.0.24","url":"https://example.com/anchore/syft/schema-16.0.24.json"}}}}"#
        )
    };
    check(&syft(&deb), "Syft 16.0.24 | debian | debian 12 | deb libc6 2.36-9 <glibc 2.36-9> | ");
    assert_eq!(read(&syft(&deb)).unwrap().image.platform.to_string(), "linux/arm64");
    let unknown = r#"{"name":"jre","version":"17","type":"UnknownPackage","purl":""}"#;
    check(
        &syft(&format!("{deb},{unknown}")),
        "Syft 16.0.24 | debian | debian 12 | deb libc6 2.36-9 <glibc 2.36-9> | Unclear",
    );
    let folder = r#"{"artifacts":[{"name":"a","version":"1","purl":"pkg:npm/a@1"}],"source":{"type":"directory","target":"./app"},
        "distro":{},"schema":{"version":"3.0.0","url":"https://example.com/anchore/syft/3"}}"#;
    check(folder, "Syft 3.0.0 | ./app |  | npm a 1 | ");
    let old = r#"{"artifacts":[],"distro":{"name":"debian","version":"11","idLike":"x"},"schema":{"version":"1.0.0","url":"syft"}}"#;
    check(old, "Syft 1.0.0 | FILE | debian 11 |  | NoPackageDatabase");
    let both = r#"{"artifacts":[],"distro":{"id":"debian","version":"11 (bullseye)","versionID":"11"},"schema":{"version":"16.0.0","url":"syft"}}"#;
    check(both, "Syft 16.0.0 | FILE | debian 11 |  | NoPackageDatabase");
    refuses(r#"{"artifacts":[]}"#, &["JSON of another kind"]);
    let snapshot = r#"{"version":0,"detector":{"name":"d"},"manifests":{"package-lock.json":{"name":"x","resolved":{
        "a":{"package_url":"pkg:npm/a@1","relationship":"direct","scope":"runtime"},
        "b":{"package_url":"pkg:npm/b@1","scope":"development"}}}}}"#;
    check(snapshot, "GitHub dependency submission | FILE |  | npm a 1 | ");
    assert_eq!(read(snapshot).unwrap().packages[0].locations[0].path, "package-lock.json");
}

#[test]
fn packages_of_systems_have_their_distribution() {
    let check = |purls: &[&str], os: &str, expected: &str| {
        let components: Vec<String> = purls.iter().map(|purl| format!(r#"{{"purl":"{purl}"}}"#)).collect();
        let os = if os.is_empty() {
            String::new()
        } else {
            format!(r#"{{"type":"operating-system","name":"{os}","version":"12"}},"#)
        };
        let text = cyclonedx("1.6", &format!(r#""components":[{os}{}]"#, components.join(",")));
        let found = said(&read(&text).unwrap());
        assert_eq!(found.splitn(3, " | ").nth(2), Some(expected), "{purls:?}");
    };
    let debian = "pkg:deb/debian/a@1?distro=debian-12&upstream=b";
    check(&[debian], "", "debian 12 | deb a 1 <b 1> | ");
    check(&["pkg:deb/debian/a@1?upstream=b"], "", "debian  | deb a 1 <b 1> | UnsupportedOs");
    check(&["pkg:deb/a@1?upstream=b"], "", " | deb a 1 <b 1> | UnsupportedOs");
    check(&["pkg:apk/wolfi/a@1"], "", "wolfi  | apk a 1 <a 1> | Unclear");
    check(&["pkg:apk/wolfi/a@1", "pkg:apk/wolfi/b@1?upstream=c"], "", "wolfi  | apk a 1 <a 1>, apk b 1 <c 1> | ");
    // A source of the same name shows nothing of what is left out.
    check(
        &["pkg:deb/debian/a@1?distro=debian-12&upstream=a", "pkg:deb/debian/b@1?distro=debian-12"],
        "",
        "debian 12 | deb a 1 <a 1>, deb b 1 <b 1> | Unclear",
    );
    // A file of another distribution is listed, and not judged.
    let copied = "pkg:rpm/almalinux/c@1-1?distro=almalinux-8";
    check(&[debian, debian, copied], "", "debian 12 | deb a 1 <b 1>, rpm c 1-1 (copy) | NotCovered");
    check(
        &[debian, "pkg:deb/ubuntu/c@1?distro=ubuntu-22.04"],
        "debian",
        "debian 12 | deb a 1 <b 1>, deb c 1 <c 1> (copy) | NotCovered",
    );
    check(
        &[debian, "pkg:deb/debian/c@1?distro=debian-11"],
        "debian",
        "debian 12 | deb a 1 <b 1>, deb c 1 <c 1> (copy) | NotCovered",
    );
    check(&[debian, "pkg:rpm/c@1-1"], "debian", "debian 12 | deb a 1 <b 1>, rpm c 1-1 (copy) | NotCovered");
    check(&[debian, "pkg:deb/example/c@1"], "debian", "debian 12 | deb a 1 <b 1>, deb c 1 <c 1> | Unclear");
    check(&[debian], "unheard-of", "unheard-of 12 | deb a 1 <b 1> | UnsupportedOs");
    check(&["pkg:npm/a@1"], "debian", "debian 12 | npm a 1 | NoPackageDatabase");
    check(&["pkg:deb/debian/a@1"], "debian", "debian 12 | deb a 1 <a 1> | Unclear");
}

#[test]
fn what_is_no_sbom_says_what_it_is() {
    refuses("", &["it is empty, and no SBOM that is read: CycloneDX 1.2 to 1.7"]);
    refuses("hello", &["neither JSON nor XML"]);
    refuses("\u{1f}\u{8b}", &["neither JSON nor XML"]);
    refuses("[]", &["JSON of another kind"]);
    refuses("{}", &["JSON of another kind"]);
    refuses(r#"{"name":"app","lockfileVersion":3,"packages":{"":{"name":"app"}}}"#, &["a lock file of npm"]);
    refuses(r#"{"SchemaVersion":2,"ArtifactName":"x","Results":[]}"#, &["a report of Trivy", "--format cyclonedx"]);
    refuses(
        r#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","predicate":{}}"#,
        &["in-toto", "predicate"],
    );
    refuses(r#"{"bomFormat":"CycloneDX","specVersion":"2.0"}"#, &["CycloneDX 2.0, a version that is not read"]);
    refuses(r#"{"bomFormat":"CycloneDX"}"#, &["CycloneDX without a version"]);
    refuses("{\"bomFormat\":\"CycloneDX\",\n\"components\":[}", &["damaged:", "line 2 column 15"]);
    refuses("{\"bomFormat\":\"CycloneDX\",\"components\":{}}", &["damaged:", "expected a list", "line 1 column"]);
    refuses(
        &cyclonedx("1.6", r#""components":[{"purl":"pkg:npm/a@1","purl":"pkg:npm/b@1"}]"#),
        &["two members of one name"],
    );
    let deep = format!("{}{}", r#"{"components":["#.repeat(200), "]}".repeat(200));
    refuses(&cyclonedx("1.6", &format!(r#""components":[{deep}]"#)), &["recursion limit", "line 1 column"]);
    refuses(&format!("{} trailing", cyclonedx("1.6", r#""components":[]"#)), &["trailing characters"]);
}

#[test]
fn a_document_is_read_however_its_bytes_arrive() {
    let text = format!("\u{feff} \n{}", cyclonedx("1.6", r#""components":[{"purl":"pkg:npm/%40a/é@1"}]"#));
    let whole = read(&text).unwrap();
    let mut slow = text.as_bytes().chunks(1).fold(Box::new(std::io::empty()) as Box<dyn std::io::Read>, |all, byte| {
        Box::new(std::io::Read::chain(all, byte))
    });
    let slow = tidewaiter_sbom::read(&mut *slow, "FILE").unwrap();
    assert_eq!(slow, whole);
    assert_eq!(whole.packages[0].name, "@a/é");
    let image = &whole.image;
    assert_eq!((image.digest.clone(), &image.sbom.as_ref().unwrap().digest), (image.digest.clone(), &image.digest));
}
