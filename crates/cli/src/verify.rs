//! `kubectl scan verify`: the signed verdict about an image, or what another policy says of its signed report.

mod show;

use crate::args::{JudgeArgs, VerifyArgs};
use crate::exit::{self, Exit, UsageError};
use crate::keys;
use crate::source::ImageSource;
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;
use tidewaiter_attestation::{Expectation, Refusal, ScanRecord, VERDICT, VULNERABILITIES, VerdictPredicate};
use tidewaiter_core::image::{Digest, Reference};
use tidewaiter_core::policy::{Policy, Verdict};
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;
use tidewaiter_scan::source::registry::attestations::{AttestationCandidates, RefusedAttestation};
use tidewaiter_scan::source::registry::{self, RegistryConfig};

/// What was verified.
enum VerifiedWord {
    /// The verdict that was signed.
    Verdict(VerdictPredicate),
    /// What the policy of the command line says of the report that was signed.
    Judged(ScanRecord, Verdict),
}

/// A verified word, of what, by whom, and what did not count.
struct Verification {
    image: String,
    digest: Digest,
    key: Digest,
    word: VerifiedWord,
    refused: Vec<RefusedAttestation>,
}

/// What IMAGE names.
struct NamedSubject {
    digest: Digest,
    is_index: bool,
}

impl NamedSubject {
    /// What a scan says of it: whether another platform of its index passes is no matter.
    fn scan(&self, scan: ScanRecord) -> Result<ScanRecord, Refusal> {
        let about = scan.about(&self.digest);
        let mut digests = about.reports.iter().map(|report| &report.inventory.image.digest);
        match self.is_index || digests.all(|digest| *digest == self.digest) {
            true => Ok(about),
            false => Err(Refusal::OtherSubject(
                scan.reports.into_iter().map(|report| report.inventory.image.digest).collect(),
            )),
        }
    }
}

/// Looks, verifies and prints.
pub(crate) fn run(args: &VerifyArgs) -> Result<Exit> {
    let key = keys::verifying(&args.key)?;
    if args.max_age <= SignedDuration::ZERO {
        return Err(UsageError(format!("--max-age {:#}: give a duration above zero, as 24h", args.max_age)).into());
    }
    let policy = given_policy(&args.judge)?;
    let reference = reference(&args.image)?;
    let config = args.registry.config(&reference)?;
    let repository = ArtifactRepository::new(&config, &reference)?;
    let subject = named(args, &repository, &config, &reference)?;
    let now = Timestamp::now();
    let expectation = Expectation { key: &key, digest: &subject.digest, now, max_age: Some(args.max_age) };
    let find = |predicate_type: &str| AttestationCandidates::find(&repository, &subject.digest, predicate_type);
    let (word, refused) = match policy {
        None => {
            let (verdict, refused) =
                newest(find(VERDICT)?.read(|one| expectation.verdict(one)), |verdict| verdict.evaluated);
            (verdict.map(VerifiedWord::Verdict), refused)
        }
        Some(policy) => {
            let (scan, refused) =
                newest(find(VULNERABILITIES)?.read(|one| subject.scan(expectation.scan(one)?)), |scan| scan.finished);
            (scan.map(|scan| judged(scan, &policy, now)), refused)
        }
    };
    let Some(word) = word else {
        anyhow::bail!("{}", nothing_counts(&args.image, &subject, &refused, args.platform.is_none()));
    };
    let exit = exit::of(word.outcome());
    let verification =
        Verification { image: args.image.clone(), digest: subject.digest, key: key.fingerprint(), word, refused };
    verification.show(args.output, now)?;
    Ok(exit)
}

/// The policy of the command line, if there is one.
fn given_policy(judge: &JudgeArgs) -> Result<Option<Policy>> {
    // Exhaustive: a new option must be considered here.
    let JudgeArgs { fail_on, baseline, block_at, policy, max_database_age } = judge;
    let is_given = !fail_on.is_empty()
        || baseline.is_some()
        || block_at.is_some()
        || policy.is_some()
        || max_database_age.is_some();
    Ok(if is_given { Some(judge.criteria()?.of_every_image()?) } else { None })
}

fn judged(scan: ScanRecord, policy: &Policy, now: Timestamp) -> VerifiedWord {
    let verdict = policy.compile().decide_all(&scan.reports, now);
    VerifiedWord::Judged(scan, verdict)
}

fn reference(image: &str) -> Result<Reference> {
    let (ImageSource::Registry(name) | ImageSource::Reference(name)) = ImageSource::parse(image) else {
        return Err(UsageError(format!(
            "{image}: only an image in a registry has something attached; name it as a registry does"
        ))
        .into());
    };
    name.parse().map_err(|e| UsageError(format!("{name}: {e}")).into())
}

/// The digest that must have been signed: what IMAGE names, or its manifest for a platform.
fn named(
    args: &VerifyArgs,
    repository: &ArtifactRepository,
    config: &RegistryConfig,
    reference: &Reference,
) -> Result<NamedSubject> {
    let (bytes, digest) = repository.manifest()?;
    let Some(platform) = &args.platform else {
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        return Ok(NamedSubject { digest, is_index: document["manifests"].is_array() });
    };
    // By digest: the tag may name something else by now.
    let image = registry::open(config, &reference.pinned(&digest), Some(platform))?;
    Ok(NamedSubject { digest: image.manifest_digest, is_index: false })
}

/// The newest of those that count, and the others.
fn newest<T>(
    read: (Vec<T>, Vec<RefusedAttestation>),
    made: impl Fn(&T) -> Timestamp,
) -> (Option<T>, Vec<RefusedAttestation>) {
    let (counting, refused) = read;
    (counting.into_iter().max_by_key(made), refused)
}

/// Why there is no verdict, with the reason of each attestation that was found.
fn nothing_counts(
    image: &str,
    subject: &NamedSubject,
    refused: &[RefusedAttestation],
    may_name_platform: bool,
) -> String {
    let digest = &subject.digest;
    let mut text = match refused {
        [] => format!(
            "{image} ({digest}): nothing signed is attached; attest it with: kubectl scan attest {image} --key KEY"
        ),
        _ => format!("{image} ({digest}): nothing that is attached counts"),
    };
    for RefusedAttestation { place, why } in refused {
        let _ = write!(text, "\n  {place}: {why}");
    }
    if subject.is_index && may_name_platform {
        text.push_str("\n  it names an index: what is signed of one platform is found with --platform, of all with: kubectl scan attest --all-platforms");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, Report};

    fn report(byte: u8) -> Report {
        let digest = Digest::from_sha256([byte; 32]);
        let image = ImageInfo::new("app", digest.clone(), digest, "linux/amd64".parse().unwrap());
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![] };
        Report::new(inventory, DatabaseInfo::default(), vec![], vec![])
    }

    #[test]
    fn a_manifest_is_judged_by_its_own_report() {
        let check = |byte: u8, is_index: bool, expected: Option<&[u8]>| {
            let subject = NamedSubject { digest: Digest::from_sha256([byte; 32]), is_index };
            let now = Timestamp::now();
            let scan = ScanRecord { started: now, finished: now, analyzers: None, reports: vec![report(1), report(2)] };
            let found = subject.scan(scan).ok().map(|scan| scan.reports);
            assert_eq!(found, expected.map(|bytes| bytes.iter().copied().map(report).collect()));
        };
        check(1, false, Some(&[1]));
        check(2, false, Some(&[2]));
        check(9, true, Some(&[1, 2]));
        check(9, false, None);
    }

    #[test]
    fn the_reason_of_each_is_said() {
        let check = |is_index: bool, refused: &[&str], may_name: bool, words: &[&str], absent: &str| {
            let subject = NamedSubject { digest: Digest::from_sha256([1; 32]), is_index };
            let refused: Vec<RefusedAttestation> = refused
                .iter()
                .map(|why| RefusedAttestation { place: "tag x".to_owned(), why: (*why).to_owned() })
                .collect();
            let said = nothing_counts("app", &subject, &refused, may_name);
            words.iter().for_each(|word| assert!(said.contains(word), "{said}"));
            assert!(absent.is_empty() || !said.contains(absent), "{said}");
        };
        check(false, &[], true, &["nothing signed is attached", "kubectl scan attest app"], "--platform");
        check(false, &["a", "b"], true, &["nothing that is attached counts", "tag x: a", "tag x: b"], "--platform");
        check(true, &[], true, &["--platform", "--all-platforms"], "");
        check(true, &[], false, &[], "--platform");
    }
}
