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
    Envelope, ScanRecord, SigningKey, StatementSubject, UnsignedEnvelope, VERDICT, VULNERABILITIES, VerdictPredicate,
};
use tidewaiter_core::image::Reference;
use tidewaiter_core::policy::{Outcome, Policy};
use tidewaiter_scan::source::registry::RegistryConfig;
use tidewaiter_scan::source::registry::artifact::ArtifactRepository;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Something signed.
struct SignedStatement {
    predicate_type: &'static str,
    envelope: Envelope,
}

/// What policy says of a subject, signed.
struct SignedVerdict<'a> {
    subject: &'a StatementSubject,
    outcome: Outcome,
    statement: SignedStatement,
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
    for read in [args.report.as_deref(), Some(args.key.as_path())] {
        output::check(std::slice::from_ref(&file), read)?;
    }
    let place = place(args)?;
    let repository = place.as_ref().map(|place| &place.repository);
    let scan = record::make(args, repository)?;
    let subjects = subjects::of(&scan.reports, repository, args.all_platforms)?;
    let signed_scan = sign(VULNERABILITIES, &scan.statement(&subjects, VERSION)?, &key)?;
    let judged = |subject| SignedVerdict::of(&scan, subject, &policy, &key);
    let verdicts: Vec<SignedVerdict<'_>> = subjects.iter().map(judged).collect::<Result<_>>()?;
    if args.output.is_some() || args.no_push {
        output::write_all(&[file], |(), _, out| write_lines(&signed_scan, &verdicts, out))?;
    }
    if let Some(AttestationPlace { config, repository }) = place.filter(|_| !args.no_push) {
        let target = AttestationTarget::new(&config, &repository, key.verifying_key())?;
        for SignedVerdict { subject, statement, .. } in &verdicts {
            // The verdict is the last: whoever finds it finds the scan.
            target.attach(&subject.digest, &[&signed_scan, statement])?;
        }
        for SignedVerdict { subject: StatementSubject { name, digest }, outcome, .. } in &verdicts {
            writeln!(io::stdout(), "{}@{digest}: {outcome}, signed by the key {}", printable(name), target.key())?;
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
    let config = args.local.registry.own.config(&reference)?;
    let repository = ArtifactRepository::new(&config, &reference)?;
    Ok(Some(AttestationPlace { config, repository }))
}

impl<'a> SignedVerdict<'a> {
    /// About one subject alone: a platform must neither pass nor fail by what another one has.
    fn of(scan: &ScanRecord, subject: &'a StatementSubject, policy: &Policy, key: &SigningKey) -> Result<Self> {
        let (scan, now) = (scan.about(&subject.digest), Timestamp::now());
        let verdict = policy.compile().decide_all(&scan.reports, now);
        let verdict = VerdictPredicate::of(&scan, verdict, policy, now, VERSION)?;
        let statement = sign(VERDICT, &verdict.statement(std::slice::from_ref(subject))?, key)?;
        Ok(SignedVerdict { subject, outcome: verdict.outcome, statement })
    }
}

fn sign(predicate_type: &'static str, unsigned: &UnsignedEnvelope, key: &SigningKey) -> Result<SignedStatement> {
    Ok(SignedStatement { predicate_type, envelope: unsigned.sign(key)? })
}

/// JSON lines, as in-toto's bundles are (`spec/v1/bundle.md`).
fn write_lines(scan: &SignedStatement, verdicts: &[SignedVerdict<'_>], out: &mut dyn Write) -> Result<()> {
    for statement in std::iter::once(scan).chain(verdicts.iter().map(|verdict| &verdict.statement)) {
        out.write_all(&statement.envelope.to_json())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
