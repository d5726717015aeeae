//! Records of Root and TuxCare, who build packages of others again.

use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::EcosystemBase as Base;

/// Whether a record is about an update without a vulnerability: TuxCare publishes those, too.
pub(super) fn is_update(advisory: &Advisory) -> bool {
    let mut affected = advisory.affected.iter();
    let rebuilt = affected.any(|row| matches!(row.ecosystem.base(), Base::Root | Base::TuxCare));
    rebuilt && !advisory.vulnerabilities().iter().any(|id| id.starts_with("CVE-") || id.starts_with("GHSA-"))
}

/// The CVE in an id of Root's, whose older records name it nowhere else: `ROOT-OS-DEBIAN-13-CVE-2026-8458`.
pub(super) fn cve(id: &str) -> Option<&str> {
    let id = id.strip_prefix("ROOT-")?;
    id.find("CVE-").and_then(|at| id.get(at..))
}

#[cfg(test)]
mod tests {
    use crate::format::testing::feed;
    use crate::format::{Records, osv};
    use tidewaiter_core::advisory::KeyKind;

    /// Each row as `ECOSYSTEM KEY NAME < FIX`, after the vulnerabilities.
    fn rows(json: &str) -> Vec<String> {
        let mut records = Records::default();
        assert!(osv::parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
        let mut out = Vec::new();
        for advisory in &records.advisories {
            for row in &advisory.affected {
                let key = if row.key == KeyKind::Source { "source" } else { "binary" };
                let fixed: Vec<_> = row.intervals.iter().map(|i| i.end.clone()).collect();
                let names = advisory.vulnerabilities().join(" ");
                out.push(format!("{names}: {} {key} {} {fixed:?}", row.ecosystem, row.package));
            }
        }
        out
    }

    fn check(id: &str, upstream: &str, packages: &[(&str, &str, &str)], expected: &[&str]) {
        let one = |(ecosystem, name, fixed): &(&str, &str, &str)| {
            format!(
                r#"{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},
                "ranges":[{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}},{{"fixed":"{fixed}"}}]}}]}}"#
            )
        };
        let affected: Vec<String> = packages.iter().map(one).collect();
        let json = format!(r#"{{"id":"{id}","upstream":{upstream},"affected":[{}]}}"#, affected.join(","));
        assert_eq!(rows(&json), expected, "{id}");
    }

    #[test]
    fn a_package_and_its_build_under_another_name_are_one() {
        let curl = "8.14.1-2+deb13u4.aikido.14";
        check(
            "ROOT-OS-DEBIAN-13-CVE-2026-8458",
            "[]",
            &[("Root:Debian:13", "curl", curl), ("Root:Debian:13", "rootio-curl", curl)],
            &[r#"CVE-2026-8458: Root:Debian:13 source curl [Fixed("8.14.1-2+deb13u4.aikido.14")]"#],
        );
        check(
            "ROOT-APP-NPM-CVE-2022-25883",
            r#"["CVE-2022-25883"]"#,
            &[("Root:npm", "@rootio/semver", "7.5.2-root.io.1")],
            &[r#"CVE-2022-25883: Root:npm binary semver [Fixed("7.5.2-root.io.1")]"#],
        );
        check(
            "ROOT-OS-ALPINE-324-CVE-2026-7383",
            "[]",
            &[("Root:Alpine:3.24", "openssl", "3.5.7-r00071")],
            &[r#"CVE-2026-7383: Root:Alpine:3.24 source openssl [Fixed("3.5.7-r00071")]"#],
        );
    }

    #[test]
    fn records_of_tuxcare_name_binary_packages_and_cves() {
        check(
            "CLSA-2024-1735126310",
            r#"["CVE-2023-46724"]"#,
            &[("TuxCare:AlmaLinux:9.2", "squid", "7:5.5-5.el9_2.1.tuxcare.els1")],
            &[r#"CVE-2023-46724: TuxCare:AlmaLinux:9.2 binary squid [Fixed("7:5.5-5.el9_2.1.tuxcare.els1")]"#],
        );
        check(
            "CLSA-2023-1688677755",
            r#"["CVE-2023-2828"]"#,
            &[("TuxCare:Ubuntu:18.04", "dnsutils", "1:9.11.3+dfsg-1ubuntu1.18+tuxcare.els1")],
            &[
                r#"CVE-2023-2828: TuxCare:Ubuntu:18.04 binary dnsutils [Fixed("1:9.11.3+dfsg-1ubuntu1.18+tuxcare.els1")]"#,
            ],
        );
        check("CLSA-2025-1759937401", "[]", &[("TuxCare:Debian:10", "els-os-release", "1.0.0-2")], &[]);
    }
}
