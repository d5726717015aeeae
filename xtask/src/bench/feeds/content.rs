//! Records of feeds, made in code: as many, as long and with as many rows as upstream's of autumn 2026; names are invented.

use crate::dice::Dice;
use std::fmt::Write as _;

/// Words of descriptions: compression and parsing depend on text, not on its meaning.
const WORDS: [&str; 48] = [
    "a",
    "allows",
    "and",
    "arbitrary",
    "attacker",
    "authentication",
    "before",
    "bounds",
    "buffer",
    "bypass",
    "by",
    "cause",
    "certain",
    "code",
    "component",
    "configuration",
    "could",
    "crafted",
    "denial",
    "devices",
    "discovered",
    "during",
    "execution",
    "file",
    "fix",
    "flaw",
    "from",
    "function",
    "handling",
    "heap",
    "improper",
    "in",
    "information",
    "input",
    "issue",
    "kernel",
    "leading",
    "memory",
    "missing",
    "of",
    "overflow",
    "packet",
    "parsing",
    "remote",
    "server",
    "service",
    "validation",
    "via",
];
const VECTORS: [&str; 5] = [
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N",
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
];

fn sentence(dice: &mut Dice, words: usize) -> String {
    let mut out = String::new();
    for _ in 0..words {
        let _ = write!(out, "{} ", dice.one(&WORDS));
        if dice.below(12) == 0 {
            let _ = write!(out, "{:x} ", dice.below(1 << 24));
        }
    }
    out
}

/// The CVE with this number; numbers grow by year as they do.
pub(super) fn cve(number: usize) -> String {
    format!("CVE-{}-{}", 2016 + number / 31_000, 1000 + number % 31_000)
}

/// Products of Ubuntu, of which images name the first four.
const UBUNTU: [&str; 10] = [
    "Ubuntu:22.04:LTS",
    "Ubuntu:24.04:LTS",
    "Ubuntu:25.10",
    "Ubuntu:26.04:LTS",
    "Ubuntu:Pro:18.04:LTS",
    "Ubuntu:Pro:20.04:LTS",
    "Ubuntu:Pro:FIPS:22.04:LTS",
    "Ubuntu:Pro:FIPS-updates:22.04:LTS",
    "Ubuntu:Pro:Realtime:22.04:LTS",
    "Ubuntu:Pro:16.04:LTS",
];
const FLAVOURS: [&str; 5] = ["linux", "linux-aws", "linux-azure", "linux-gcp", "linux-oracle"];
/// Versions of each of the fifty rows of a kernel's record.
const KERNEL_VERSIONS: usize = 160;

/// A record of Ubuntu's OSV feed; one in six is of the kernel and lists 8,000 versions.
pub(super) fn ubuntu(number: usize) -> (String, String) {
    let mut dice = Dice::of(1, number);
    let is_kernel = number.is_multiple_of(6);
    let mut affected = Vec::new();
    for (place, product) in UBUNTU.iter().enumerate() {
        let packages: Vec<String> = match is_kernel {
            true => FLAVOURS.map(str::to_owned).to_vec(),
            false => (0..=dice.below(2)).map(|n| format!("package-{}", (number + n * 7) % 4000)).collect(),
        };
        for package in packages {
            let count = if is_kernel { KERNEL_VERSIONS } else { 3 + dice.below(12) };
            let abi = 15 + place * 3;
            let kernel = |n: usize| format!("5.{abi}.0-{}.{}", 10 + n, 20 + n);
            let other = |n: usize| format!("1.{}.{n}-{}ubuntu0.{}", number % 30, place + 1, n % 7);
            let version = |n: usize| if is_kernel { kernel(n) } else { other(n) };
            let mut versions = String::new();
            (0..count).for_each(|n| {
                let _ = write!(versions, "{}\"{}\"", if n > 0 { "," } else { "" }, version(n));
            });
            let fixed = match dice.below(3) {
                0 => String::new(),
                _ => format!(",{{\"fixed\":\"{}\"}}", version(count)),
            };
            affected.push(format!(
                "{{\"package\":{{\"ecosystem\":\"{product}\",\"name\":\"{package}\",\"purl\":\"pkg:deb/ubuntu/{package}?arch=source&distro=x\"}},\
                 \"ranges\":[{{\"type\":\"ECOSYSTEM\",\"events\":[{{\"introduced\":\"0\"}}{fixed}]}}],\"versions\":[{versions}],\
                 \"ecosystem_specific\":{{\"binaries\":[{{\"binary_name\":\"{package}-bin\",\"binary_version\":\"{}\"}}],\
                 \"availability\":\"No subscription required\"}},\"database_specific\":{{\"source\":\"https://feeds.invalid/{number}.json\"}}}}",
                version(count)
            ));
        }
    }
    let (id, level) = (cve(number * 5), dice.one(&["low", "medium", "high", "negligible"]));
    let text = format!(
        "{{\"schema_version\":\"1.7.0\",\"id\":\"UBUNTU-{id}\",\"details\":\"{}\",\"upstream\":[\"{id}\"],\
         \"modified\":\"2026-10-{:02}T10:00:00Z\",\"published\":\"2024-03-04T10:00:00Z\",\
         \"severity\":[{{\"type\":\"CVSS_V3\",\"score\":\"{}\"}},{{\"type\":\"Ubuntu\",\"score\":\"{level}\"}}],\
         \"references\":[{{\"type\":\"REPORT\",\"url\":\"https://feeds.invalid/security/{id}\"}},\
         {{\"type\":\"REPORT\",\"url\":\"https://cve.invalid/{id}\"}}],\"affected\":[{}]}}",
        sentence(&mut dice, 60),
        1 + number % 28,
        dice.one(&VECTORS),
        affected.join(",")
    );
    (format!("UBUNTU-{id}.json"), text)
}

/// A record of npm's OSV feed: one in thirty is a vulnerability, the others are malware.
pub(super) fn npm(number: usize) -> (String, String) {
    let mut dice = Dice::of(2, number);
    let is_malware = !number.is_multiple_of(30);
    let package = format!("{}-{}-{}", dice.one(&WORDS), dice.one(&WORDS), number / 2);
    let (id, summary, aliases, ranges, severity) = if is_malware {
        let (range, none) = ("", "");
        (
            format!("MAL-2025-{number}"),
            format!("Malicious code in {package} (npm)"),
            String::new(),
            range.to_owned(),
            none.to_owned(),
        )
    } else {
        let fixed = format!("{}.{}.0", 1 + dice.below(9), dice.below(20));
        (
            format!("GHSA-{:04x}-{:04x}-{:04x}", number % 65_536, dice.below(65_536), dice.below(65_536)),
            sentence(&mut dice, 9),
            format!("\"aliases\":[\"{}\"],", cve(number)),
            format!(
                "\"ranges\":[{{\"type\":\"SEMVER\",\"events\":[{{\"introduced\":\"0\"}},{{\"fixed\":\"{fixed}\"}}]}}],"
            ),
            format!("\"severity\":[{{\"type\":\"CVSS_V3\",\"score\":\"{}\"}}],", dice.one(&VECTORS)),
        )
    };
    let versions: Vec<String> =
        (0..if is_malware { 1 + dice.below(3) } else { 0 }).map(|n| format!("\"1.0.{n}\"")).collect();
    let text = format!(
        "{{\"modified\":\"2026-09-{:02}T01:02:03Z\",\"published\":\"2025-05-06T07:08:09Z\",\"schema_version\":\"1.7.0\",\"id\":\"{id}\",\
         {aliases}\"summary\":\"{summary}\",\"details\":\"{}\",{severity}\"affected\":[{{\"package\":{{\"ecosystem\":\"npm\",\
         \"name\":\"{package}\",\"purl\":\"pkg:npm/{package}\"}},{ranges}\"versions\":[{}],\"database_specific\":{{\"cwes\":[{{\"cweId\":\"CWE-506\",\
         \"name\":\"Embedded Malicious Code\",\"description\":\"The product contains code that appears to be malicious in nature.\"}}],\
         \"source\":\"https://feeds.invalid/npm/{number}.json\"}}}}],\"references\":[{{\"type\":\"WEB\",\"url\":\"https://feeds.invalid/{package}\"}}],\
         \"credits\":[{{\"name\":\"a research team\",\"type\":\"FINDER\",\"contact\":[\"https://feeds.invalid\"]}}],\
         \"database_specific\":{{\"malicious-packages-origins\":[{{\"source\":\"reported\",\"sha256\":\"{:064x}\",\"import_time\":\"2025-06-01T00:00:00Z\"}}]}}}}",
        1 + number % 28,
        sentence(&mut dice, 45),
        versions.join(","),
        dice.below(1 << 31),
    );
    (format!("{id}.json"), text)
}

fn metric(source: &str, kind: &str, vector: &str) -> String {
    format!(
        "{{\"source\":\"{source}\",\"type\":\"{kind}\",\"cvssData\":{{\"version\":\"3.1\",\"vectorString\":\"{vector}\",\"baseScore\":7.5,\
         \"baseSeverity\":\"HIGH\",\"attackVector\":\"NETWORK\",\"attackComplexity\":\"LOW\",\"privilegesRequired\":\"NONE\",\
         \"userInteraction\":\"NONE\",\"scope\":\"UNCHANGED\",\"confidentialityImpact\":\"NONE\",\"integrityImpact\":\"NONE\",\
         \"availabilityImpact\":\"HIGH\"}},\"exploitabilityScore\":3.9,\"impactScore\":3.6}}"
    )
}

/// An element of NVD's `vulnerabilities`.
pub(super) fn nvd(number: usize) -> String {
    let mut dice = Dice::of(3, number);
    let id = cve(number);
    let mut metrics = vec![metric("nvd@nist.gov", "Primary", dice.one(&VECTORS))];
    if dice.below(2) == 0 {
        metrics.push(metric(&format!("cna-{}@example.org", dice.below(300)), "Secondary", dice.one(&VECTORS)));
    }
    let mut matches = String::new();
    for n in 0..6 + dice.below(28) {
        let _ = write!(
            matches,
            "{}{{\"vulnerable\":true,\"criteria\":\"cpe:2.3:o:vendor{}:product_{}:*:*:*:*:*:*:*:*\",\"versionStartIncluding\":\"{}.{n}\",\
             \"versionEndExcluding\":\"{}.{n}.4\",\"matchCriteriaId\":\"{:08X}-1C2D-4E5F-8A9B-{:012X}\"}}",
            if n > 0 { "," } else { "" },
            dice.below(4000),
            dice.below(9000),
            dice.below(20),
            dice.below(20),
            dice.below(1 << 31),
            dice.below(1 << 31)
        );
    }
    let mut references = String::new();
    for n in 0..3 + dice.below(8) {
        let separator = if n > 0 { "," } else { "" };
        let _ = write!(
            references,
            "{separator}{{\"url\":\"https://reference{}.invalid/{}/commit/{:x}\",\"source\":\"cna@example.org\",\"tags\":[\"Patch\"]}}",
            dice.below(900),
            dice.one(&WORDS),
            dice.below(1 << 31)
        );
    }
    let (english, spanish) = (sentence(&mut dice, 80), sentence(&mut dice, 90));
    format!(
        "{{\"cve\":{{\"id\":\"{id}\",\"sourceIdentifier\":\"cna@example.org\",\"published\":\"2024-02-20T13:15:00.000\",\
         \"lastModified\":\"2026-03-10T17:39:00.000\",\"vulnStatus\":\"Analyzed\",\"cveTags\":[],\"descriptions\":[{{\"lang\":\"en\",\"value\":\"{english}\"}},\
         {{\"lang\":\"es\",\"value\":\"{spanish}\"}}],\"metrics\":{{\"cvssMetricV31\":[{}]}},\"weaknesses\":[{{\"source\":\"nvd@nist.gov\",\
         \"type\":\"Primary\",\"description\":[{{\"lang\":\"en\",\"value\":\"CWE-787\"}}]}}],\"configurations\":[{{\"nodes\":[{{\"operator\":\"OR\",\
         \"negate\":false,\"cpeMatch\":[{matches}]}}]}}],\"references\":[{references}]}}}}",
        metrics.join(",")
    )
}

/// Products of Red Hat by CPE, of which images name the first three.
const RED_HAT: [&str; 12] = [
    "enterprise_linux:9::baseos",
    "enterprise_linux:9::appstream",
    "enterprise_linux:8::baseos",
    "rhel_eus:9.2::baseos",
    "rhel_eus:9.4::appstream",
    "rhel_aus:8.6::baseos",
    "rhel_e4s:9.0::appstream",
    "rhel_tus:8.8::baseos",
    "openshift:4.14::el9",
    "openshift:4.16::el9",
    "rhel_eus:8.8::baseos",
    "rhel_e4s:8.6::appstream",
];
const ARCHES: [&str; 5] = ["x86_64", "aarch64", "s390x", "ppc64le", "src"];

/// Adds the relationship of a component to a product; returns the id of both together.
fn related(relationships: &mut String, product: usize, component: &str) -> String {
    let separator = if relationships.is_empty() { "" } else { "," };
    let _ = write!(
        relationships,
        "{separator}{{\"category\":\"default_component_of\",\"full_product_name\":{{\"name\":\"{component} as a component of Product {product}\",\
         \"product_id\":\"P{product}:{component}\"}},\"product_reference\":\"{component}\",\"relates_to_product_reference\":\"P{product}\"}}"
    );
    format!("P{product}:{component}")
}

/// A VEX document of Red Hat: most are short, one in fifty lists hundreds of builds.
pub(super) fn vex(number: usize) -> (String, String) {
    let mut dice = Dice::of(4, number);
    let (products, builds) = match number % 50 {
        0 => (RED_HAT.len(), 12),
        1..=7 => (8, 4),
        _ => (3, 0),
    };
    let id = cve(number);
    let unfixed = 6 + dice.below(12);
    let (mut branches, mut relationships) = (String::new(), String::new());
    let mut fixed: Vec<String> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    for (place, cpe) in RED_HAT.iter().enumerate().take(products) {
        let _ = write!(
            branches,
            "{}{{\"category\":\"product_name\",\"name\":\"Product {place}\",\"product\":{{\"name\":\"Product {place}\",\"product_id\":\"P{place}\",\
             \"product_identification_helper\":{{\"cpe\":\"cpe:/a:redhat:{cpe}\"}}}}}}",
            if place > 0 { "," } else { "" }
        );
    }
    for n in 0..builds {
        let package = format!("package{}-part{n}", number % 3000);
        for arch in ARCHES {
            for product in 0..products {
                let version = format!("{}.{}-{}.el{}", 1 + number % 7, n, 10 + product, 8 + product % 2);
                let component = format!("{package}-0:{version}.{arch}");
                let _ = write!(
                    branches,
                    ",{{\"category\":\"product_version\",\"name\":\"{component}\",\"product\":{{\"name\":\"{component}\",\"product_id\":\"{component}\",\
                     \"product_identification_helper\":{{\"purl\":\"pkg:rpm/redhat/{package}@{version}?arch={arch}\"}}}}}}"
                );
                fixed.push(related(&mut relationships, product, &component));
            }
        }
    }
    for n in 0..unfixed {
        let package = format!("package{}", (number + n * 11) % 3000);
        let _ = write!(
            branches,
            ",{{\"category\":\"product_version\",\"name\":\"{package}\",\"product\":{{\"name\":\"{package}\",\"product_id\":\"{package}\",\
             \"product_identification_helper\":{{\"purl\":\"pkg:rpm/redhat/{package}\"}}}}}}"
        );
        (0..products.min(4)).for_each(|product| open.push(related(&mut relationships, product, &package)));
    }
    let quoted = |ids: &[String]| ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",");
    let (not, affected) = open.split_at(open.len() / 2);
    let notes = sentence(&mut dice, 160);
    let all: Vec<String> = fixed.iter().chain(affected).cloned().collect();
    let text = format!(
        "{{\"document\":{{\"aggregate_severity\":{{\"namespace\":\"https://feeds.invalid/classification/\",\"text\":\"{}\"}},\"category\":\"csaf_vex\",\
         \"csaf_version\":\"2.0\",\"lang\":\"en\",\"notes\":[{{\"category\":\"legal_disclaimer\",\"text\":\"{notes}\",\"title\":\"Terms of Use\"}}],\
         \"publisher\":{{\"category\":\"vendor\",\"name\":\"A vendor\",\"namespace\":\"https://feeds.invalid\"}},\"title\":\"a flaw\",\
         \"tracking\":{{\"current_release_date\":\"2026-10-{:02}T14:02:13+00:00\",\"id\":\"{id}\",\"status\":\"final\",\"version\":\"3\"}}}},\
         \"product_tree\":{{\"branches\":[{{\"category\":\"vendor\",\"name\":\"Red Hat\",\"branches\":[{branches}]}}],\"relationships\":[{relationships}]}},\
         \"vulnerabilities\":[{{\"cve\":\"{id}\",\"cwe\":{{\"id\":\"CWE-787\",\"name\":\"Out-of-bounds Write\"}},\"notes\":[{{\"category\":\"description\",\
         \"text\":\"{}\",\"title\":\"Vulnerability description\"}}],\"product_status\":{{\"fixed\":[{}],\"known_affected\":[{}],\"known_not_affected\":[{}]}},\
         \"references\":[{{\"category\":\"self\",\"summary\":\"Canonical URL\",\"url\":\"https://feeds.invalid/vex/{id}.json\"}}],\
         \"remediations\":[{{\"category\":\"vendor_fix\",\"details\":\"Before applying this update, make sure all previously released errata relevant to your system have been applied.\",\
         \"product_ids\":[{}],\"url\":\"https://feeds.invalid/errata/{number}\"}},{{\"category\":\"no_fix_planned\",\"details\":\"Will not fix\",\"product_ids\":[{}]}}],\
         \"scores\":[{{\"cvss_v3\":{{\"baseScore\":7.5,\"baseSeverity\":\"HIGH\",\"vectorString\":\"{}\",\"version\":\"3.1\"}},\"products\":[{}]}}],\
         \"threats\":[{{\"category\":\"impact\",\"details\":\"Moderate\",\"product_ids\":[{}]}}],\"title\":\"{}\"}}]}}",
        dice.one(&["Important", "Moderate", "Low", "Critical"]),
        1 + number % 28,
        sentence(&mut dice, 80),
        quoted(&fixed),
        quoted(affected),
        quoted(not),
        quoted(&fixed),
        quoted(affected),
        dice.one(&VECTORS),
        quoted(&all),
        quoted(&all),
        sentence(&mut dice, 8)
    );
    (format!("{}/{}.json", id.get(4..8).unwrap_or_default(), id.to_lowercase()), text)
}

/// Products of SUSE; half of them are for extended support, which images do not name.
const SUSE: [&str; 10] = [
    "Linux Enterprise Server 15 SP6",
    "Linux Enterprise Server 15 SP7",
    "Linux Enterprise Module for Basesystem 15 SP6",
    "Linux Enterprise Module for Development Tools 15 SP7",
    "Linux Enterprise Micro 5.5",
    "Linux Enterprise Server 15 SP3-LTSS",
    "Linux Enterprise Server 15 SP4-LTSS",
    "Linux Enterprise High Performance Computing 15 SP4-ESPOS",
    "Manager Server 4.3",
    "Linux Enterprise Server 15 SP5-LTSS",
];

/// A record of SUSE's OSV feed: an update with dozens of packages of ten products.
pub(super) fn suse(number: usize) -> (String, String) {
    let mut dice = Dice::of(5, number);
    let mut affected = Vec::new();
    let packages = 2 + dice.below(8);
    for product in SUSE {
        for n in 0..packages {
            let package = format!("source{}-{n}", number % 2500);
            let binaries: Vec<String> =
                (0..6).map(|b| format!("\"{package}-sub{b}\":\"{}.{b}-150600.1.2\"", number % 9)).collect();
            affected.push(format!(
                "{{\"package\":{{\"ecosystem\":\"SUSE:{product}\",\"name\":\"{package}\",\"purl\":\"pkg:rpm/suse/{package}&distro=x\"}},\
                 \"ranges\":[{{\"type\":\"ECOSYSTEM\",\"events\":[{{\"introduced\":\"0\"}},{{\"fixed\":\"{}.{}-150600.{}.1\"}}]}}],\
                 \"ecosystem_specific\":{{\"binaries\":[{{{}}}]}},\"database_specific\":{{\"source\":\"https://feeds.invalid/suse/{number}.json\"}}}}",
                number % 9,
                dice.below(30),
                dice.below(50),
                binaries.join(",")
            ));
        }
    }
    let cves: Vec<String> = (0..1 + dice.below(6)).map(|_| format!("\"{}\"", cve(dice.below(340_000)))).collect();
    let id = format!("SUSE-SU-{}:{number:05}-1", 2018 + number % 9);
    let text = format!(
        "{{\"id\":\"{id}\",\"modified\":\"2026-08-{:02}T08:32:13Z\",\"published\":\"2025-07-08T08:32:13Z\",\"related\":[{}],\"schema_version\":\"1.7.0\",\
         \"summary\":\"Security update for source{}\",\"details\":\"{}\",\"affected\":[{}],\"references\":[{{\"type\":\"ADVISORY\",\
         \"url\":\"https://feeds.invalid/suse/{id}\"}}]}}",
        1 + number % 28,
        cves.join(","),
        number % 2500,
        sentence(&mut dice, 120),
        affected.join(",")
    );
    (format!("{id}.json"), text)
}

/// The entry of a source package in Debian's tracker: its name, and some twenty CVEs in five releases. Another `edition` has
/// other fixed versions.
pub(super) fn debian(number: usize, edition: usize) -> String {
    let mut dice = Dice::of(6, number);
    let mut cves = String::new();
    let count = if number == 0 { 8000 } else { 2 + dice.below(34) };
    let mut last = dice.below(300);
    for n in 0..count {
        last += 1 + dice.below(if number == 0 { 40 } else { 9000 });
        let mut releases = String::new();
        for (place, release) in ["bookworm", "bullseye", "forky", "sid", "trixie"].iter().enumerate() {
            let separator = if place > 0 { "," } else { "" };
            let state = match dice.below(4) {
                0 => "\"status\":\"open\",\"urgency\":\"not yet assigned\"".to_owned(),
                1 => "\"status\":\"resolved\",\"fixed_version\":\"0\",\"urgency\":\"unimportant\"".to_owned(),
                _ => format!(
                    "\"status\":\"resolved\",\"fixed_version\":\"{}.{}-{}+deb{}u{}\",\"urgency\":\"not yet assigned\"",
                    1 + number % 9,
                    n % 40,
                    1 + edition,
                    11 + place,
                    dice.below(9)
                ),
            };
            let _ = write!(
                releases,
                "{separator}\"{release}\":{{\"repositories\":{{\"{release}\":\"{}.{}-1\"}},{state}}}",
                1 + number % 9,
                n % 40
            );
        }
        let _ = write!(
            cves,
            "{}\"{}\":{{\"description\":\"{}\",\"scope\":\"local\",\"releases\":{{{releases}}}}}",
            if n > 0 { "," } else { "" },
            cve(last % 340_000),
            sentence(&mut dice, 25)
        );
    }
    format!("\"source-{number}\":{{{cves}}}")
}
