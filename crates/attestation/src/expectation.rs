//! What an attestation must fulfil to count: the one place where something signed is believed.

use crate::envelope::{Envelope, VerifiedPayload};
use crate::key::VerifyingKey;
use crate::refusal::Refusal;
use crate::statement::InTotoStatement;
use crate::verdict::{VERDICT, VerdictPredicate};
use crate::vulnerabilities::{ScanRecord, VULNERABILITIES};
use jiff::{SignedDuration, Timestamp};
use tidewaiter_core::image::Digest;

/// How far the clock of whoever signed may be ahead. Less than any useful age limit, which it extends.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Whose word counts, of what, and for how long.
#[derive(Clone, Copy)]
pub struct Expectation<'a> {
    /// The key that must have signed it.
    pub key: &'a VerifyingKey,
    /// The digest that it must be about.
    pub digest: &'a Digest,
    /// The present.
    pub now: Timestamp,
    /// How old it may be; `None`: of any age.
    pub max_age: Option<SignedDuration>,
}

impl Expectation<'_> {
    /// The verdict in an envelope.
    ///
    /// # Errors
    /// When it does not count.
    pub fn verdict(&self, envelope: &Envelope) -> Result<VerdictPredicate, Refusal> {
        let payload = envelope.open(self.key)?;
        let verdict: VerdictPredicate = self.statement(&payload, VERDICT)?.predicate()?;
        self.check_age(verdict.evaluated)?;
        // Signed today, it says no more than the scan that it was made from.
        self.check_age(verdict.scanned)?;
        Ok(verdict)
    }

    /// The scan in an envelope.
    ///
    /// # Errors
    /// When it does not count.
    pub fn scan(&self, envelope: &Envelope) -> Result<ScanRecord, Refusal> {
        let payload = envelope.open(self.key)?;
        let statement = self.statement(&payload, VULNERABILITIES)?;
        let scan = ScanRecord::read(&statement)?;
        self.check_age(scan.finished)?;
        // A report of another image says nothing of this one, whoever signed that it does.
        let (subjects, images) =
            (statement.digests(), || scan.reports.iter().map(|report| &report.inventory.image.digest));
        match scan.reports.is_empty() || images().any(|digest| !subjects.contains(digest)) {
            true => Err(Refusal::OtherSubject(images().cloned().collect())),
            false => Ok(scan),
        }
    }

    /// The signed statement, if it is about the digest and of the type.
    fn statement<'p>(
        &self,
        payload: &'p VerifiedPayload,
        predicate_type: &str,
    ) -> Result<InTotoStatement<'p>, Refusal> {
        let statement = InTotoStatement::read(payload)?;
        if statement.predicate_type != predicate_type {
            return Err(Refusal::OtherPredicate(statement.predicate_type));
        }
        let digests = statement.digests();
        if !digests.contains(self.digest) {
            return Err(Refusal::OtherSubject(digests));
        }
        Ok(statement)
    }

    fn check_age(&self, made: Timestamp) -> Result<(), Refusal> {
        let age = self.now.duration_since(made);
        match self.max_age {
            _ if age < -CLOCK_TOLERANCE => Err(Refusal::FromTheFuture(made)),
            Some(limit) if age > limit => Err(Refusal::TooOld { made, limit }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::UnsignedEnvelope;
    use crate::key::tests::{EC_KEY, EC_PUB, ED_KEY, ED_PUB, signing, verifying};
    use crate::statement::StatementSubject;
    use tidewaiter_core::policy::{Outcome, Policy, Verdict};
    use tidewaiter_core::report::{DatabaseInfo, Gap, GapKind, ImageInfo, Inventory, Report};

    const NOW: &str = "2026-11-30T12:00:00Z";

    fn digest(byte: u8) -> Digest {
        Digest::from_sha256([byte; 32])
    }

    fn subject(byte: u8) -> StatementSubject {
        StatementSubject { name: "registry.example/app".to_owned(), digest: digest(byte) }
    }

    fn report(byte: u8) -> Report {
        let image = ImageInfo::new("app", digest(byte), digest(byte), "linux/amd64".parse().unwrap());
        let gap = Gap { kind: GapKind::UnsupportedOs, subject: "os".to_owned(), message: "none".to_owned() };
        let inventory = Inventory { image, layers: vec![], os: None, packages: vec![], gaps: vec![gap] };
        Report::new(inventory, DatabaseInfo { id: "db".to_owned(), ..DatabaseInfo::default() }, vec![], vec![])
    }

    fn verdict() -> VerdictPredicate {
        let now = NOW.parse().unwrap();
        VerdictPredicate::of(&scan(1), Verdict::of(Outcome::Violated), &Policy::default(), now, "0.1.0").unwrap()
    }

    fn scan(byte: u8) -> ScanRecord {
        let finished = NOW.parse().unwrap();
        ScanRecord { started: finished, finished, analyzers: Some(7), reports: vec![report(byte)] }
    }

    fn signed(unsigned: &UnsignedEnvelope, pem: &str) -> Envelope {
        unsigned.sign(&signing(pem)).unwrap()
    }

    /// As verified by a key for the first image, so long after it was made.
    fn read<T>(pem: &str, after: &str, read: impl Fn(&Expectation<'_>) -> Result<T, Refusal>) -> Result<T, String> {
        let (key, digest) = (verifying(pem), digest(1));
        let now = NOW.parse::<Timestamp>().unwrap() + after.parse::<SignedDuration>().unwrap();
        let max_age = Some(SignedDuration::from_hours(24));
        read(&Expectation { key: &key, digest: &digest, now, max_age }).map_err(|refusal| refusal.to_string())
    }

    #[track_caller]
    fn check<T: PartialEq + std::fmt::Debug>(found: Result<T, String>, expected: Result<T, &str>) {
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(said), Err(words)) => assert!(said.contains(words), "{said}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_verdict_counts_by_key_subject_and_age() {
        let check = |subject_byte: u8, pem: &str, after: &str, expected: Result<VerdictPredicate, &str>| {
            let envelope = signed(&verdict().statement(&[subject(9), subject(subject_byte)]).unwrap(), ED_KEY);
            check(read(pem, after, |expectation| expectation.verdict(&envelope)), expected);
        };
        check(1, ED_PUB, "0s", Ok(verdict()));
        check(1, ED_PUB, "24h", Ok(verdict()));
        check(1, ED_PUB, "24h 1s", Err("may be 24h old at most"));
        check(1, ED_PUB, "-5m", Ok(verdict()));
        check(1, ED_PUB, "-6m", Err("in the future"));
        check(1, EC_PUB, "0s", Err("not signed by the key sha256:"));
        check(2, ED_PUB, "0s", Err("about another image: sha256:0909"));
    }

    #[test]
    fn a_verdict_is_as_old_as_its_scan() {
        let check = |scanned: &str, expected: Result<(), &str>| {
            let verdict = VerdictPredicate { scanned: scanned.parse().unwrap(), ..verdict() };
            let envelope = signed(&verdict.statement(&[subject(1)]).unwrap(), ED_KEY);
            check(read(ED_PUB, "0s", |expectation| expectation.verdict(&envelope).map(drop)), expected);
        };
        check(NOW, Ok(()));
        check("2026-11-29T12:00:00Z", Ok(()));
        check("2026-11-29T11:59:59Z", Err("it was made at 2026-11-29T11:59:59Z, and may be 24h old at most"));
        check("2026-11-30T12:06:00Z", Err("in the future"));
    }

    #[test]
    fn a_scan_says_of_a_manifest_what_its_own_report_does() {
        let check = |byte: u8, expected: &[u8]| {
            let both = ScanRecord { reports: vec![report(1), report(2)], ..scan(1) };
            let expected: Vec<Report> = expected.iter().copied().map(report).collect();
            assert_eq!(both.about(&digest(byte)).reports, expected);
        };
        check(1, &[1]);
        check(2, &[2]);
        // An index.
        check(9, &[1, 2]);
    }

    #[test]
    fn a_scan_counts_by_its_own_image_too() {
        let check = |image: u8, subjects: &[StatementSubject], expected: Result<ScanRecord, &str>| {
            let envelope = signed(&scan(image).statement(subjects, "0.1.0").unwrap(), EC_KEY);
            check(read(EC_PUB, "0s", |expectation| expectation.scan(&envelope)), expected);
        };
        check(1, &[subject(1)], Ok(scan(1)));
        // An index, and the one platform of it.
        check(2, &[subject(2), subject(1)], Ok(scan(2)));
        check(2, &[subject(1)], Err("about another image: sha256:0202"));
        check(1, &[subject(2)], Err("about another image: sha256:0202"));
        check(1, &[], Err("about another image"));
        let none = ScanRecord { reports: vec![], ..scan(1) };
        let empty = signed(&none.statement(&[subject(1)], "0.1.0").unwrap(), EC_KEY);
        super::tests::check(read(EC_PUB, "0s", |expectation| expectation.scan(&empty)), Err("about another image"));
    }

    #[test]
    fn one_thing_is_never_read_as_another() {
        let (verdict, scan) =
            (verdict().statement(&[subject(1)]).unwrap(), scan(1).statement(&[subject(1)], "1").unwrap());
        let (verdict, scan) = (signed(&verdict, ED_KEY), signed(&scan, ED_KEY));
        check(read(ED_PUB, "0s", |expectation| expectation.verdict(&scan)), Err("vuln/v1"));
        check(read(ED_PUB, "0s", |expectation| expectation.scan(&verdict)), Err("verdict/v1"));
    }

    #[test]
    fn what_is_signed_and_no_statement_is_refused() {
        let written = verdict().statement(&[subject(1)]).unwrap();
        let statement = String::from_utf8(written.payload().to_vec()).unwrap();
        let check = |from: &str, to: &str, words: &str| {
            assert!(statement.contains(from), "{from}");
            let envelope = signed(&UnsignedEnvelope::of_payload(statement.replacen(from, to, 1).into_bytes()), ED_KEY);
            check(read(ED_PUB, "0s", |expectation| expectation.verdict(&envelope)), Err(words));
        };
        check("{", "", "cannot be read");
        check("Statement/v1", "Statement/v9", "unknown type");
        check("\"sha256\"", "\"sha512\"", "about another image");
        check("\"outcome\":\"Violated\"", "\"outcome\":\"Fine\"", "unknown variant `Fine`");
        // Two values of one field would be one thing to this program and another to the next.
        check("\"outcome\":\"Violated\"", "\"outcome\":\"Pass\",\"outcome\":\"Violated\"", "duplicate field");
        check("\"_type\"", "\"predicateType\":\"x\",\"_type\"", "duplicate field");
    }

    #[test]
    fn a_verdict_says_what_it_was_made_from() {
        let found = verdict();
        assert_eq!(
            (found.outcome, found.gaps.len(), found.images[0].database.id.as_str()),
            (Outcome::Violated, 1, "db")
        );
        assert_eq!(found.policy.content["blockAt"], "CRITICAL");
        let other = Policy { max_database_age_days: None, ..Policy::default() };
        let none = ScanRecord { reports: vec![], ..scan(1) };
        let other = VerdictPredicate::of(&none, Verdict::of(Outcome::Pass), &other, NOW.parse().unwrap(), "1").unwrap();
        assert_ne!(found.policy.digest, other.policy.digest);
    }
}
