//! The operating system of an image, and what is wrong with it.

use crate::analyze;
use crate::walk::merge::MergedView;
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::{ApkRepository, Os};
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, GapKind};

/// Most repositories of Alpine that count: each package is compared with the advisories of every branch.
const MAX_REPOSITORIES: usize = 16;

/// The operating system by the first os-release that names one, and by the repositories of its package manager.
pub(super) fn of_view(view: &MergedView) -> Option<Os> {
    let os = analyze::OS_RELEASE.iter().find_map(|path| view.get(path).and_then(|parsed| parsed.os.clone()))?;
    let mut repositories = repositories(view);
    // The newest stay, which apk prefers.
    while repositories.len() > MAX_REPOSITORIES {
        repositories.pop_first();
    }
    Some(Os { repositories: repositories.into_iter().collect(), ..os })
}

fn repositories(view: &MergedView) -> BTreeSet<ApkRepository> {
    view.files().flat_map(|(_, _, parsed)| parsed.repositories.clone()).collect()
}

/// The gap of repositories that do not count.
pub(super) fn repositories_gap(view: &MergedView) -> Option<Gap> {
    let all = repositories(view).len();
    let message = format!(
        "apk installs from {all} repositories of Alpine, and packages are compared with the advisories of \
         {MAX_REPOSITORIES} of them; remove those that are not used"
    );
    some_gap(GapKind::LimitReached, "etc/apk/repositories", &message).filter(|_| all > MAX_REPOSITORIES)
}

/// The gap of an operating system whose packages cannot be matched. An image in which nothing is recognised has one too:
/// it must never look clean.
pub(super) fn gap(view: &MergedView, os: Option<&Os>, packages: &[Package]) -> Option<Gap> {
    let Some(os) = os else {
        // Whoever deletes os-release must not get the packages of the distribution passed over.
        if view.files().any(|(_, _, parsed)| parsed.database.is_some()) {
            let message = "there is none, so the distribution's packages cannot be matched";
            return some_gap(GapKind::UnsupportedOs, "etc/os-release", message);
        }
        let nothing = some_gap(GapKind::NothingRecognized, "image", "it holds nothing that can be scanned");
        return nothing.filter(|_| packages.is_empty());
    };
    let named = if os.pretty_name.is_empty() { &os.id } else { &os.pretty_name };
    let Some(expected) = os.package_type() else {
        let message = "this distribution is not supported yet; its packages are not matched";
        return some_gap(GapKind::UnsupportedOs, named, message);
    };
    if os.ecosystem().is_none() {
        return some_gap(GapKind::UnsupportedOs, named, "os-release does not name its release");
    }
    // Before the check of its own packages: those of the other database are judged by no advisory.
    let of_os = || packages.iter().filter(|p| p.kind.is_os() && !p.is_foreign_copy());
    if of_os().any(|p| p.kind != expected) {
        let message = "its os-release does not fit the package database of another distribution next to it";
        return some_gap(GapKind::UnsupportedOs, named, message);
    }
    if of_os().any(|p| p.kind == expected) {
        return None;
    }
    let present = view.files().any(|(_, _, parsed)| parsed.database == Some(expected));
    let state = if present { "lists nothing" } else { "is absent" };
    let message = format!("its package database {state}, so its packages cannot be scanned");
    some_gap(GapKind::NoPackageDatabase, named, &message)
}

fn some_gap(kind: GapKind, subject: &str, message: &str) -> Option<Gap> {
    Some(Gap { kind, subject: subject.to_owned(), message: message.to_owned() })
}
