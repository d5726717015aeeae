//! SBOMs in place of an image, by the real program: what was found in an image is found in its SBOM, and what can be wrong with
//! one.
#![allow(clippy::unwrap_used, reason = "a test may panic, and says why")]

use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tidewaiter_formats::SbomFormat;
use tidewaiter_testkit::cluster::{Said, run};
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::image::ImageBuilder;
use tidewaiter_testkit::layer::LayerBuilder;
use tidewaiter_testkit::packages::{debian, npm, python};
use tidewaiter_testkit::{layout, skip};

/// A machine without a cluster, with the demo's database.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Machine { dir: tempfile::tempdir().unwrap() };
        let feeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/feeds.toml");
        machine.scan(&["db", "build", "--feeds", &feeds.display().to_string()]).ok();
        machine
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-scan"));
        command.args(args).current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("TIDEWAITER_DB", "tidewaiter.db").env("SOURCE_DATE_EPOCH", "1769947200");
        command
    }

    fn scan(&self, args: &[&str]) -> Said {
        run(&mut self.command(args))
    }

    #[track_caller]
    fn check(&self, args: &[&str], code: i32, words: &[&str]) {
        let said = self.scan(args);
        assert_eq!(said.code, code, "{args:?}: {}", said.text);
        words
            .iter()
            .for_each(|word| assert!(said.text.contains(word), "{args:?} does not say {word:?}: {}", said.text));
        assert!(!said.text.contains("panicked"), "{}", said.text);
    }

    /// The report of an image, with the exit code, and without what an SBOM does not tell: sizes and instructions of layers.
    fn report(&self, image: &str) -> (i32, Value) {
        let said = self.scan(&["image", image, "-o", "json=report.json"]);
        let mut report: Value = serde_json::from_str(&self.read("report.json")).unwrap();
        report["image"].as_object_mut().unwrap().remove("sbom");
        for layer in report["layers"].as_array_mut().unwrap() {
            let layer = layer.as_object_mut().unwrap();
            layer.remove("size");
            layer.remove("createdBy");
        }
        (said.code, report)
    }
}

#[test]
fn the_same_is_found_in_an_image_and_in_its_sbom() {
    let machine = Machine::new();
    let put = |name: &str, image: ImageBuilder| layout::write(&machine.dir.path().join(name), &image.build());
    put("clean", clean());
    put("vulnerable", vulnerable());
    let app = python(npm(npm(LayerBuilder::new(), "left-pad", "1.0.0"), "@a/b", "2.0.0"), "Flask_Login", "0.5");
    put("gaps", ImageBuilder::new().layer("ADD", debian("99", &[("zlib", "1:1.3.1-1")])).layer("COPY", app));
    put("empty", ImageBuilder::new().layer("ADD", LayerBuilder::new()));
    for image in ["clean", "vulnerable", "gaps", "empty"] {
        let from_image = machine.report(&format!("oci:{image}"));
        for format in SbomFormat::ALL {
            // With the findings, or without a database: both are lists of packages.
            machine.scan(&["sbom", &format!("oci:{image}"), "-o", &format!("{}=list.json", format.name())]);
            machine.scan(&["image", &format!("oci:{image}"), "-o", &format!("{}=judged.json", format.name())]);
            for file in ["list", "judged"] {
                let from_sbom = machine.report(&format!("sbom:{file}.json"));
                let named = format!("{image} {file} {}", format.name());
                assert_eq!(from_sbom.0, from_image.0, "{named}");
                assert_eq!(without_name(from_sbom.1), without_name(from_image.1.clone()), "{named}");
            }
        }
    }
}

/// Without the name of the image: an OCI layout is named by its path, which is the document's name too.
fn without_name(mut report: Value) -> Value {
    report["image"].as_object_mut().unwrap().remove("name");
    report
}

#[test]
fn real_images_are_the_same_in_every_format() {
    let Some(images) = skip::shared("images") else { return };
    let machine = Machine::new();
    let layouts = fs::read_dir(images).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for image in layouts.filter(|path| path.join("index.json").exists()) {
        let image = format!("oci:{}", image.display());
        machine.scan(&[
            "sbom",
            &image,
            "-o",
            "cyclonedx=first.json",
            "-o",
            "spdx=spdx.json",
            "-o",
            "spdx-3=spdx3.json",
        ]);
        for source in ["first", "spdx", "spdx3"] {
            machine.scan(&["sbom", &format!("sbom:{source}.json"), "-o", "cyclonedx=again.json"]);
            assert_eq!(machine.read("again.json"), machine.read("first.json"), "{image} {source}");
        }
        count += 1;
    }
    assert!(count >= 10, "{count}");
}

/// A document of another tool, about the demo's packages.
fn foreign(more: Value) -> String {
    let mut components = vec![
        json!({"type": "operating-system", "name": "debian", "version": "99"}),
        json!({"type": "library", "name": "zlib1g", "version": "1:1.2.11.dfsg-4",
            "purl": "pkg:deb/debian/zlib1g@1%3A1.2.11.dfsg-4?arch=amd64&distro=debian-99",
            "properties": [{"name": "aquasecurity:trivy:SrcName", "value": "zlib"}]}),
    ];
    components.extend(more.as_array().unwrap().iter().cloned());
    let about = json!({"component": {"type": "container", "name": "registry.example/app:v1"}});
    json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "metadata": about, "components": components}).to_string()
}

#[test]
fn sboms_of_others_are_judged() {
    let machine = Machine::new();
    machine.write("app.cdx.json", &foreign(json!([])));
    let judged =
        ["registry.example/app:v1 (unknown/unknown, debian 99), 1 packages in its SBOM (CycloneDX 1.5)", "zlib"];
    machine.check(&["image", "sbom:app.cdx.json"], 1, &judged);
    machine.check(&["fix", "sbom:app.cdx.json"], 1, &["layer unknown", "zlib"]);
    machine.check(
        &["diff", "sbom:app.cdx.json", "sbom:app.cdx.json"],
        1,
        &["The packages are the same", "The findings are the same"],
    );
    let mut command = machine.command(&["image", "sbom:-", "-o", "csv"]);
    let said =
        command.stdin(Stdio::from(File::open(machine.dir.path().join("app.cdx.json")).unwrap())).output().unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(said.status.code() == Some(1) && text.contains("zlib"), "{text}");
    // Another format, and the same packages.
    machine.check(&["sbom", "sbom:app.cdx.json", "-o", "spdx=app.spdx.json"], 0, &[]);
    machine.check(&["image", "sbom:app.spdx.json"], 1, &["1 packages in its SBOM (SPDX 2.3)", "zlib"]);
    // What cannot be matched is no finding, and not clean.
    let unnamed: Vec<Value> = (0..7).map(|n| json!({"type": "library", "name": format!("part-{n}")})).collect();
    machine.write("gaps.cdx.json", &foreign(Value::Array(unnamed)));
    let words = [
        "without a purl are not matched: 7 (part-0, part-1, part-2, part-3, part-4 and 2 more)",
        "cannot be called clean",
    ];
    machine.check(&["image", "sbom:gaps.cdx.json"], 1, &words);
    machine.write("nothing.json", r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}"#);
    machine.check(
        &["image", "sbom:nothing.json"],
        3,
        &["nothing.json (unknown/unknown", "lists nothing that can be matched"],
    );
}

#[test]
fn what_can_be_wrong_with_an_sbom() {
    let machine = Machine::new();
    let check = |text: &str, words: &[&str]| {
        machine.write("x.json", text);
        let words: Vec<&str> = words.iter().copied().chain(["error: x.json: it is "]).collect();
        machine.check(&["image", "sbom:x.json"], 3, &words);
    };
    check("", &["empty, and no SBOM that is read: CycloneDX 1.2 to 1.7"]);
    check("{}", &["JSON of another kind"]);
    check(r#"{"bomFormat":"CycloneDX","specVersion":"1.8"}"#, &["CycloneDX 1.8, a version that is not read"]);
    check("{\"bomFormat\":\"CycloneDX\",\n\"components\":[{]}", &["damaged", "line 2 column 16"]);
    check("<bom xmlns='http://cyclonedx.org/schema/bom/1.6'>\n<a></b></bom>", &["damaged: line 2, column "]);
    machine.check(&["image", "sbom:none.json"], 3, &["error: none.json: No such file"]);
    machine.check(&["image", "sbom:./none"], 3, &["error: ./none: No such file"]);
    machine.write("app.json", &foreign(json!([])));
    machine.check(&["image", "sbom:app.json", "--base", "oci:x"], 2, &["--base compares layers, and an SBOM has none"]);
    machine.check(&["image", "sbom:app.json", "-o", "json=app.json"], 2, &["app.json"]);
    let arm = json!([]);
    let arm = foreign(arm)
        .replace("\"name\":\"registry.example/app:v1\"", "\"name\":\"a\",\"purl\":\"pkg:oci/a@1?arch=arm64\"");
    machine.write("arm.json", &arm);
    machine.check(
        &["image", "sbom:arm.json", "--platform", "linux/amd64"],
        2,
        &["linux/arm64", "--platform asks for linux/amd64"],
    );
}
