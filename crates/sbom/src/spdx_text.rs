//! What tools write into the free text of SPDX, for lack of fields.

use crate::component::SbomComponent;

/// What tidewaiter writes above the gaps of its scan.
const GAP: &str = "tidewaiter:gap=";

/// The gaps that the comment of a document tells.
pub(crate) fn gaps(comment: &str) -> impl Iterator<Item = String> {
    comment.lines().filter_map(|line| line.strip_prefix(GAP)).map(str::to_owned)
}

impl SbomComponent {
    /// Takes facts from a comment: lines `NAME=VALUE`. Other lines are a description.
    pub(crate) fn comment(&mut self, comment: &str) {
        for line in comment.lines() {
            match line.split_once('=').filter(|(name, _)| name.starts_with("tidewaiter:")) {
                Some((name, value)) => self.fact(name, value.to_owned()),
                None if self.description.is_empty() => line.clone_into(&mut self.description),
                None => {}
            }
        }
    }

    /// Takes what Trivy writes as an attribution or an annotation: `LayerDiffID: sha256:…`.
    pub(crate) fn attribution(&mut self, text: &str) {
        if let Some((name, value)) = text.split_once(": ") {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            if is_name {
                self.fact(&format!("aquasecurity:trivy:{name}"), value.to_owned());
            }
        }
    }

    /// Takes `sourceInfo`: where tidewaiter and Syft found it, or Trivy's source package.
    pub(crate) fn source_info(&mut self, text: &str) {
        if let Some(places) = text.strip_prefix("found in: ") {
            self.places(places);
        } else if let Some(source) = text.strip_prefix("built package from: ") {
            self.fact("aquasecurity:trivy:Source", source.to_owned());
        } else if let Some((_, paths)) =
            text.split_once(": ").filter(|_| text.starts_with("acquired package info from"))
        {
            paths.split(", ").for_each(|path| self.place(path.to_owned()));
        }
    }

    /// `PATH (layer N), PATH (layer N)`; layers are counted from 1.
    fn places(&mut self, text: &str) {
        for place in text.split_inclusive("), ") {
            let place = place.trim_end_matches(", ").trim_end_matches(')');
            let (path, number) = place.rsplit_once(" (layer ").unwrap_or((place, "?"));
            self.place(path.to_owned());
            self.fact("tidewaiter:layer", number.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: impl Fn(&mut SbomComponent), expected: &[&str], paths: &[&str]) {
        let mut component = SbomComponent::default();
        read(&mut component);
        let facts: Vec<String> = component.facts.iter().map(|fact| format!("{}={}", fact.name, fact.value)).collect();
        assert_eq!(
            (facts, component.paths),
            (expected.iter().map(|s| (*s).to_owned()).collect(), paths.iter().map(|s| (*s).to_owned()).collect())
        );
    }

    #[test]
    fn free_text_holds_facts() {
        check(
            |c| c.comment("tidewaiter:arch=amd64\ntidewaiter:own=true"),
            &["tidewaiter:arch=amd64", "tidewaiter:own=true"],
            &[],
        );
        check(|c| c.comment("see https://example.com/?a=b"), &[], &[]);
        check(|c| c.attribution("LayerDiffID: sha256:0"), &["aquasecurity:trivy:LayerDiffID=sha256:0"], &[]);
        check(|c| c.attribution("Copyright (c): them"), &[], &[]);
        check(
            |c| c.source_info("built package from: openssl 3.0.11-1"),
            &["aquasecurity:trivy:Source=openssl 3.0.11-1"],
            &[],
        );
        let layers = ["tidewaiter:layer=1", "tidewaiter:layer=3"];
        check(
            |c| c.source_info("found in: var/lib/dpkg/status (layer 1), a, b (c) (layer 3)"),
            &layers,
            &["var/lib/dpkg/status", "a, b (c)"],
        );
        let syft = "acquired package info from DPKG DB: /var/lib/dpkg/status, /usr/share/doc/a/copyright";
        check(|c| c.source_info(syft), &[], &["/var/lib/dpkg/status", "/usr/share/doc/a/copyright"]);
        check(|c| c.source_info("app/Gemfile.lock"), &[], &[]);
        assert_eq!(gaps("This document is incomplete.\ntidewaiter:gap=a: b: c").collect::<Vec<_>>(), ["a: b: c"]);
    }
}
