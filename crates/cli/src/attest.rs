//! `kubectl scan attest`: signs what a scan found and what policy says of it, and attaches both to the image.

mod attach;
mod record;
mod subjects;

use crate::args::{AttestArgs, OutputTarget};
use crate::exit::{Exit, UsageError};
use crate::keys;
use crate::output;
use crate::source::ImageSource;
use crate::terminal::printable;
use anyhow::Result;
use attach::AttestationTarget;
use jiff::Timestamp;
use std::io::{self, Write};
use tidewaiter_attestation::{
    Envelope, ScanRecord, SigningKey, StatementSubject, VERDICT, VULNERABILITIES, VerdictPredicate,
};
use tidewaiter_core::image::Reference;
use tidewaiter_core::policy::Policy;
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Something signed.
struct SignedStatement {
    predicate_type: &'static str,
    envelope: Envelope,
}

/// Where to attach.
struct AttestationPlace {
    config: RegistryConfig,
    repository: ArtifactRepository,
}

/// Scans or reads, judges, signs, attaches.
pub(crate) fn run(args: &AttestArgs) -> Result<Exit> {
    let policy = args.local.judge.criteria()?.of_every_image()?;
    let key = keys::signing(&args.key)?;
    let file = OutputTarget { format: (), file: args.output.clone() };
    output::check(std::slice::from_ref(&file), args.report.as_deref())?;
    let place = place(args)?;
    let repository = place.as_ref().map(|place| &place.repository);
    let scan = record::make(args, repository)?;
    let subjects = subjects::of(&scan.reports, repository, args.all_platforms)?;
    let verdict = judge(&scan, &policy)?;
    let signed = sign(&scan, &verdict, &subjects, &key)?;
    if args.output.is_some() || args.no_push {
        output::write_all(&[file], |(), _, out| write_lines(&signed, out))?;
    }
    if let Some(AttestationPlace { config, repository }) = place.filter(|_| !args.no_push) {
        let target = AttestationTarget::new(&config, &repository, key.verifying_key())?;
        subjects.iter().try_for_each(|subject| target.attach(&subject.digest, &signed))?;
        for StatementSubject { name, digest } in &subjects {
            let name = printable(name);
            writeln!(io::stdout(), "{name}@{digest}: {}, signed by the key {}", verdict.outcome, target.key())?;
        }
    }
    Ok(Exit::Clean)
}

/// The image in its registry; `None` where the image is on this machine, to which nothing can be attached.
fn place(args: &AttestArgs) -> Result<Option<AttestationPlace>> {
    let image = &args.image;
    let (ImageSource::Registry(name) | ImageSource::Reference(name)) = ImageSource::parse(image) else {
        return match (args.no_push, args.all_platforms) {
            (true, false) => Ok(None),
            (true, true) => Err(UsageError(format!("{image}: --all-platforms reads an index of a registry")).into()),
            (false, _) => {
                let advice = "name it as a registry does, or give --no-push";
                let why = format!("{image}: only an image in a registry can have something attached; {advice}");
                Err(UsageError(why).into())
            }
        };
    };
    let reference: Reference = name.parse().map_err(|e| UsageError(format!("{name}: {e}")))?;
    let config = args.local.registry.config(&reference)?;
    let repository = ArtifactRepository::new(&config, &reference)?;
    Ok(Some(AttestationPlace { config, repository }))
}

fn judge(scan: &ScanRecord, policy: &Policy) -> Result<VerdictPredicate> {
    let now = Timestamp::now();
    let verdict = policy.compile().decide_all(&scan.reports, now);
    Ok(VerdictPredicate::of(&scan.reports, verdict, policy, now, VERSION)?)
}

/// Signs both statements. The verdict is the last: whoever finds it finds the scan.
fn sign(
    scan: &ScanRecord,
    verdict: &VerdictPredicate,
    subjects: &[StatementSubject],
    key: &SigningKey,
) -> Result<Vec<SignedStatement>> {
    let scan = scan.statement(subjects, VERSION)?.sign(key)?;
    let verdict = verdict.statement(subjects)?.sign(key)?;
    Ok(vec![
        SignedStatement { predicate_type: VULNERABILITIES, envelope: scan },
        SignedStatement { predicate_type: VERDICT, envelope: verdict },
    ])
}

/// JSON lines, as in-toto's bundles are (`spec/v1/bundle.md`).
fn write_lines(signed: &[SignedStatement], out: &mut dyn Write) -> Result<()> {
    for statement in signed {
        out.write_all(&statement.envelope.to_json())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
