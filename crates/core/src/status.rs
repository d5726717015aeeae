//! The two state machines: what an image and a workload can be, how a workload's state follows from its containers'.

use crate::finding::Counts;
use crate::policy::Outcome;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The status of an image in a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum ImageStatus {
    /// No scan has started.
    #[default]
    NotScanned,
    /// A scan runs.
    Scanning,
    /// A scan could not be completed, or the policy holds its report as incomplete.
    ScanFailed,
    /// Vulnerabilities were found.
    VulnerabilitiesFound,
    /// None were found.
    NoVulnerabilities,
    /// The workload may run it.
    Approved,
}

impl ImageStatus {
    /// The status of an image whose report was evaluated: a report that policy refuses as incomplete is a failed scan.
    pub fn of(outcome: Outcome, counts: Counts) -> Self {
        match outcome {
            Outcome::Incomplete => ImageStatus::ScanFailed,
            _ if counts.total() > 0 => ImageStatus::VulnerabilitiesFound,
            _ => ImageStatus::NoVulnerabilities,
        }
    }
}

impl fmt::Display for ImageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The status of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
pub enum DeploymentStatus {
    /// There is none.
    #[default]
    NotCreated,
    /// Held: its images are not evaluated yet.
    Created,
    /// Held: policy blocks, or a scan failed.
    Blocked,
    /// Held: policy allows, a person must approve.
    PendingApproval,
    /// Released, not complete.
    RollingOut,
    /// Released and complete.
    Deployed,
}

impl fmt::Display for DeploymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The state of one container's image, as policy evaluated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EvaluatedImage {
    /// The scan's status (never `Approved`: that belongs to a workload).
    pub scan: ImageStatus,
    /// Whether the policy lets the result pass.
    pub allowed: bool,
}

/// Whether an approval is needed, and given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Approval {
    /// Policy approves by itself.
    Automatic,
    /// A person must approve, and has not.
    Awaited,
    /// A person approved exactly these images.
    Given,
}

/// How far a released rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RolloutProgress {
    /// `kubectl rollout status` still waits.
    Running,
    /// `kubectl rollout status` succeeds.
    Complete,
}

/// Both statuses of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadStatus {
    /// The worst of its containers' images.
    pub image: ImageStatus,
    /// The workload itself.
    pub deployment: DeploymentStatus,
}

/// Derives both statuses of an existing workload. Pure: the same input gives the same status, whatever happened before,
/// so a restart loses nothing and no transition can be skipped over.
pub fn derive(images: &[EvaluatedImage], approval: Approval, rollout: RolloutProgress) -> WorkloadStatus {
    // Ties within a rank are broken, so that the order of containers does not matter.
    let worst = images.iter().copied().min_by_key(|fact| (rank(*fact), fact.scan != ImageStatus::VulnerabilitiesFound));
    let Some(worst) = worst else {
        return WorkloadStatus { image: ImageStatus::NotScanned, deployment: DeploymentStatus::Created };
    };
    match (worst.scan, worst.allowed) {
        (ImageStatus::NotScanned | ImageStatus::Scanning, _) => {
            WorkloadStatus { image: worst.scan, deployment: DeploymentStatus::Created }
        }
        (ImageStatus::ScanFailed, _) | (_, false) => {
            WorkloadStatus { image: worst.scan, deployment: DeploymentStatus::Blocked }
        }
        (_, true) if approval == Approval::Awaited => {
            WorkloadStatus { image: worst.scan, deployment: DeploymentStatus::PendingApproval }
        }
        (_, true) => {
            let deployment = match rollout {
                RolloutProgress::Running => DeploymentStatus::RollingOut,
                RolloutProgress::Complete => DeploymentStatus::Deployed,
            };
            WorkloadStatus { image: ImageStatus::Approved, deployment }
        }
    }
}

/// Worst first: ScanFailed, VulnerabilitiesFound (blocking), Scanning, NotScanned, VulnerabilitiesFound (allowed),
/// NoVulnerabilities, Approved.
const fn rank(fact: EvaluatedImage) -> u8 {
    match (fact.scan, fact.allowed) {
        (ImageStatus::ScanFailed, _) => 0,
        (ImageStatus::VulnerabilitiesFound | ImageStatus::NoVulnerabilities | ImageStatus::Approved, false) => 1,
        (ImageStatus::Scanning, _) => 2,
        (ImageStatus::NotScanned, _) => 3,
        (ImageStatus::VulnerabilitiesFound, true) => 4,
        (ImageStatus::NoVulnerabilities, true) => 5,
        (ImageStatus::Approved, true) => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Approval::{Automatic, Awaited, Given};
    use DeploymentStatus::{Blocked, Created, Deployed, PendingApproval, RollingOut};
    use ImageStatus::{Approved, NoVulnerabilities, NotScanned, ScanFailed, Scanning, VulnerabilitiesFound};
    use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};

    const fn fact(scan: ImageStatus, allowed: bool) -> EvaluatedImage {
        EvaluatedImage { scan, allowed }
    }

    #[test]
    fn the_worst_container_decides() {
        let check = |images: &[EvaluatedImage], approval, rollout, image, deployment| {
            assert_eq!(derive(images, approval, rollout), WorkloadStatus { image, deployment }, "{images:?}");
        };
        let clean = fact(NoVulnerabilities, true);
        let medium = fact(VulnerabilitiesFound, true);
        let critical = fact(VulnerabilitiesFound, false);
        check(&[], Automatic, RolloutProgress::Running, NotScanned, Created);
        check(&[clean, fact(NotScanned, false)], Automatic, RolloutProgress::Running, NotScanned, Created);
        check(
            &[fact(Scanning, false), fact(NotScanned, false)],
            Automatic,
            RolloutProgress::Running,
            Scanning,
            Created,
        );
        check(
            &[clean, critical, fact(Scanning, false)],
            Given,
            RolloutProgress::Running,
            VulnerabilitiesFound,
            Blocked,
        );
        check(&[critical, fact(ScanFailed, false)], Automatic, RolloutProgress::Running, ScanFailed, Blocked);
        check(&[clean, medium], Awaited, RolloutProgress::Running, VulnerabilitiesFound, PendingApproval);
        check(&[clean], Awaited, RolloutProgress::Running, NoVulnerabilities, PendingApproval);
        check(&[medium], Automatic, RolloutProgress::Running, Approved, RollingOut);
        check(&[clean], Given, RolloutProgress::Complete, Approved, Deployed);
    }

    fn facts() -> impl Strategy<Value = Vec<EvaluatedImage>> {
        let status = prop_oneof![
            Just(NotScanned),
            Just(Scanning),
            Just(ScanFailed),
            Just(VulnerabilitiesFound),
            Just(NoVulnerabilities)
        ];
        prop::collection::vec(
            (status, any::<bool>()).prop_map(|(scan, allowed)| EvaluatedImage { scan, allowed }),
            1..5,
        )
    }

    proptest! {
        #[test]
        fn nothing_is_released_that_was_not_scanned_and_allowed(images in facts(), automatic: bool, complete: bool) {
            let approval = if automatic { Automatic } else { Awaited };
            let rollout = if complete { RolloutProgress::Complete } else { RolloutProgress::Running };
            let status = derive(&images, approval, rollout);
            let good = images.iter().all(|f| f.allowed && matches!(f.scan, NoVulnerabilities | VulnerabilitiesFound));
            let released = matches!(status.deployment, RollingOut | Deployed);
            prop_assert!(released == (good && automatic), "{:?} {:?}", images, status);
            prop_assert!((status.image == Approved) == released);
        }

        #[test]
        fn the_order_of_containers_does_not_matter(mut images in facts()) {
            let before = derive(&images, Automatic, RolloutProgress::Running);
            images.reverse();
            prop_assert!(before == derive(&images, Automatic, RolloutProgress::Running));
        }
    }
}
