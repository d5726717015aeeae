//! How distributions name their releases, from what os-release says.

use super::super::{AlpineBranch, Os, debian as debian_releases};

pub(super) fn full(os: &Os) -> Option<String> {
    Some(os.version_id.clone()).filter(|version| !version.is_empty())
}

pub(super) fn major(os: &Os) -> Option<String> {
    os.version_id.split('.').next().filter(|major| !major.is_empty()).map(str::to_owned)
}

/// Testing and unstable carry no VERSION_ID; their codename is all there is, and both have that of testing.
pub(super) fn debian(os: &Os) -> Option<String> {
    let named = Some(os.codename.as_str()).filter(|codename| !codename.is_empty());
    let release = named.map(|codename| debian_releases::release(codename).unwrap_or(codename).to_owned());
    let sid = || os.pretty_name.rsplit('/').next().filter(|c| *c == "sid").map(str::to_owned);
    major(os).or(release).or_else(sid)
}

/// Every second April release is long-term support, and the ecosystem's name says so.
pub(super) fn ubuntu(os: &Os) -> Option<String> {
    let (year, month) = os.version_id.split_once('.')?;
    let lts = month == "04" && year.parse::<u16>().is_ok_and(|y| y % 2 == 0);
    Some(if lts { format!("{}:LTS", os.version_id) } else { os.version_id.clone() })
}

pub(super) fn alpine(branch: AlpineBranch) -> String {
    branch.to_string()
}

/// The first one was numbered by dates, up to 2018.03; later ones may name their minor release: `2023.8.20250721`.
pub(super) fn amazon(os: &Os) -> Option<String> {
    let year = os.version_id.split_once('.').map_or("", |(year, _)| year);
    let first = ("2010".."2019").contains(&year);
    if first { Some("1".to_owned()) } else { major(os) }
}

/// The names by <https://github.com/docker-hardened-images/advisories>, "Package Identity and Versioning".
pub(super) fn docker_debian(os: &Os) -> Option<String> {
    debian(os).map(|release| format!("Debian:{release}"))
}

pub(super) fn docker_alpine(branch: AlpineBranch) -> String {
    format!("Alpine:{}", branch.to_string().trim_start_matches('v'))
}

/// Its `VERSION_ID` is the day of its packages; advisories are of the product, as its CPE is.
pub(super) fn hummingbird(_: &Os) -> Option<String> {
    Some("hummingbird:1".to_owned())
}

/// The CPE of the base repository: `enterprise_linux:9::baseos`. Older releases name their minor version and "GA"
/// where the advisories name the repository: `enterprise_linux:7.7:GA:server`.
pub(super) fn red_hat(os: &Os) -> Option<String> {
    let major = major(os)?;
    let own = os.cpe_name.strip_prefix("cpe:/o:redhat:").unwrap_or_default();
    if own.split(':').nth(2) == Some("") && own.split(':').count() > 3 {
        return Some(own.to_owned());
    }
    let repository = if major.parse::<u16>().ok()? < 8 { "server" } else { "baseos" };
    let repository = own.split(':').nth(3).filter(|r| !r.is_empty()).unwrap_or(repository);
    Some(format!("enterprise_linux:{major}::{repository}"))
}

pub(super) fn open_euler(os: &Os) -> Option<String> {
    after(os, "openEuler ").map(|release| release.replace(" (", "-").replace(')', ""))
}

pub(super) fn open_suse(os: &Os) -> Option<String> {
    match os.id.as_str() {
        "opensuse-tumbleweed" => Some("Tumbleweed".to_owned()),
        "opensuse-leap" => full(os).map(|version| format!("Leap {version}")),
        _ => after(os, "openSUSE "),
    }
}

pub(super) fn suse(os: &Os) -> Option<String> {
    after(os, "SUSE ")
}

/// Debian for a processor that Debian's own builds do not run on: the same sources and versions, some changed (`+rpi1`).
pub(super) fn original_of_raspbian(os: &Os) -> Os {
    Os { id: "debian".to_owned(), ..os.clone() }
}

/// It installs from Alpine's repositories beside its own (<https://wiki.postmarketos.org/wiki/Releases>): `v25.06` from
/// 3.22, and a branch later every half year.
pub(super) fn original_of_postmarket_os(os: &Os) -> Os {
    let version_id = branch_of_postmarket_os(&os.version_id).map(|minor| format!("3.{minor}.0")).unwrap_or_default();
    Os { id: "alpine".to_owned(), version_id, ..os.clone() }
}

/// The minor version of Alpine's branch; `None` for `edge`. The first one that was a half year after the last is 21.06.
fn branch_of_postmarket_os(version: &str) -> Option<u16> {
    let mut parts = version.strip_prefix('v')?.split('.');
    let (year, month) = (parts.next()?.parse::<u16>().ok()?, parts.next()?);
    let half = [("06", 0), ("12", 1)].into_iter().find(|(name, _)| *name == month)?.1;
    Some(14 + year.checked_sub(21)? * 2 + half)
}

/// `PRETTY_NAME` without the distribution's name, which the ecosystem's base says already.
fn after(os: &Os, name: &str) -> Option<String> {
    os.pretty_name.strip_prefix(name).filter(|release| !release.is_empty()).map(str::to_owned)
}
