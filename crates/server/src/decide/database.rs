//! The vulnerability database as the server knows it, and what a new one means for finished scans.

use crate::store::RematchSummary;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidewaiter_core::image::Platform;
use tidewaiter_core::report::{DatabaseInfo, Report, StaleFeed};
use tidewaiter_crd::ImageScan;

use super::image_scan;

/// What is known of the database file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseState {
    /// Its id, and when it was built.
    Ready(DatabaseInfo),
    /// Why there is none, and what to do.
    Missing(String),
}

impl DatabaseState {
    /// A database that can be used.
    pub(crate) fn info(&self) -> Option<&DatabaseInfo> {
        match self {
            DatabaseState::Ready(info) => Some(info),
            DatabaseState::Missing(_) => None,
        }
    }

    /// The id of a database that can be used.
    pub(crate) fn id(&self) -> Option<&str> {
        self.info().map(|info| info.id.as_str())
    }

    /// Seconds since it was built.
    pub(crate) fn age(&self, now: Timestamp) -> Option<i64> {
        Some(now.duration_since(self.info()?.built?).as_secs())
    }

    /// Seconds since the oldest of the feeds that cover something was read: those that did not fail, when it was built.
    pub(crate) fn feed_age(&self, now: Timestamp) -> Option<i64> {
        let read = self.oldest_feed().map(|feed| now.duration_since(feed.read).as_secs());
        read.max(self.age(now))
    }

    /// The feed that could not be read for the longest time, if one could not.
    pub(crate) fn oldest_feed(&self) -> Option<&StaleFeed> {
        self.info()?.stale.iter().min_by_key(|feed| feed.read)
    }

    /// Makes what a report says of its database as young as this one, if this one has the same facts: they were seen again
    /// when it was built again, but for those of stale feeds. `compared` is the database that its ImageScan names: a re-match found
    /// the same by that one, and the copy of another process's store does not say so.
    pub(crate) fn confirm(&self, report: &mut Report, compared: Option<&str>) {
        let is_of = |id: &str| report.database.id == id || compared == Some(id);
        if let Some(info) = self.info().filter(|info| is_of(&info.id)) {
            report.database = info.clone().for_inventory(&report.inventory);
        }
    }
}

/// A finished re-match: reports of database `from` are valid for `to`, except those that were found changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DatabaseChange {
    /// Id of the previous database.
    pub(crate) from: String,
    /// The new database.
    pub(crate) to: DatabaseInfo,
    /// The inventories that were compared.
    pub(crate) summary: RematchSummary,
}

/// Progress of the re-match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RematchState {
    /// None: images of another database are scanned again.
    None,
    /// The two databases are being compared.
    Running {
        /// Id of the previous database.
        from: String,
    },
    /// The changes are known.
    Done(Arc<DatabaseChange>),
}

impl RematchState {
    /// The state when a database is found; `matched` is the one that all reports were matched with.
    pub(crate) fn begin(matched: Option<String>, found: &DatabaseState) -> Self {
        match matched {
            Some(from) if found.id() != Some(from.as_str()) => RematchState::Running { from },
            _ => RematchState::None,
        }
    }
}

/// Id of the database of which a finished scan must be: the one at hand, but that of its result where a process that led before had
/// a `newest` one, which is younger. By an older one less is known, and what is blocked would be released.
pub(crate) fn judged_by<'a>(
    own: &'a DatabaseInfo,
    newest: Option<Timestamp>,
    scan: &'a ImageScan,
    now: Timestamp,
) -> &'a str {
    // A clock that was wrong when one was built must not end renewals.
    let has_newer = newest.is_some_and(|newest| newest <= now && own.built.is_some_and(|built| built < newest));
    let known = scan.status.as_ref().and_then(|status| status.database.as_deref());
    known.filter(|_| has_newer).unwrap_or(&own.id)
}

/// How a finished scan comes to the current database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NextResult {
    /// The re-match will say.
    Wait,
    /// By the changes that the re-match found.
    Rematch(Arc<DatabaseChange>),
    /// Only a scan can say.
    Rescan,
}

/// Decides how an ImageScan comes to `database`, which it is not of.
pub(crate) fn next_result(
    scan: &ImageScan,
    platforms: &[Platform],
    rematch: &RematchState,
    database: &str,
) -> NextResult {
    let status = scan.status.as_ref().filter(|status| image_scan::has_result(scan, status, platforms));
    let Some(known) = status.and_then(|status| status.database.as_deref()) else { return NextResult::Rescan };
    match rematch {
        RematchState::Running { from } if known == from => NextResult::Wait,
        RematchState::Done(change) if known == change.from && change.to.id == database => {
            NextResult::Rematch(Arc::clone(change))
        }
        // Also for a result of an older database than the one that was compared.
        _ => NextResult::Rescan,
    }
}

/// A database that another server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerDatabase {
    pub(crate) id: String,
    pub(crate) built: Option<Timestamp>,
    /// Size of the file.
    pub(crate) bytes: u64,
}

/// Whether a database that is offered should replace the one that is there: also one of the same facts that was built again, which
/// confirms them.
pub(crate) fn is_newer(own: &DatabaseState, offered: &PeerDatabase) -> bool {
    match own {
        DatabaseState::Missing(_) => true,
        DatabaseState::Ready(info) => info.built < offered.built,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::fixtures::{digest, image_scan};
    use serde_json::{Value, json};
    use tidewaiter_core::package::{Package, PackageType};
    use tidewaiter_core::report::{FeedContent, ImageInfo, Inventory};

    fn ready(id: &str) -> DatabaseState {
        let built = "2026-01-01T00:00:00Z".parse().ok();
        DatabaseState::Ready(DatabaseInfo { id: id.to_owned(), built, ..DatabaseInfo::default() })
    }

    /// As [`ready`]; the feed of npm was last read a month before.
    fn stale(id: &str) -> DatabaseState {
        let DatabaseState::Ready(info) = ready(id) else { return ready(id) };
        let feed = |name: &str, read: &str, ecosystem: &str| StaleFeed {
            name: name.to_owned(),
            read: read.parse().unwrap(),
            ecosystems: vec![ecosystem.into()],
            content: FeedContent::Advisories,
        };
        let npm = feed("npm", "2025-12-01T00:00:00Z", "npm");
        DatabaseState::Ready(DatabaseInfo { stale: vec![feed("pypi", "2025-12-09T00:00:00Z", "PyPI"), npm], ..info })
    }

    fn report(id: &str) -> Report {
        let digest: tidewaiter_core::image::Digest = digest(1).parse().unwrap();
        let image = ImageInfo::new("i", digest.clone(), digest, "linux/amd64".parse().unwrap());
        let packages = vec![Package::new(PackageType::Npm, "a", "1")];
        let inventory = Inventory { image, layers: vec![], os: None, packages, gaps: vec![] };
        let built = "2025-01-01T00:00:00Z".parse().ok();
        Report::new(inventory, DatabaseInfo { id: id.to_owned(), built, ..DatabaseInfo::default() }, vec![], vec![])
    }

    #[test]
    fn a_rematch_begins_with_another_database() {
        let check = |matched: Option<&str>, found: &DatabaseState, expected: RematchState| {
            assert_eq!(RematchState::begin(matched.map(str::to_owned), found), expected, "{matched:?} {found:?}");
        };
        let running = RematchState::Running { from: "one".to_owned() };
        check(None, &ready("one"), RematchState::None);
        check(Some("one"), &ready("one"), RematchState::None);
        check(Some("one"), &ready("two"), running.clone());
        // A file that is broken for a while: finished scans wait for the next one.
        check(Some("one"), &DatabaseState::Missing("why".to_owned()), running);
    }

    #[test]
    fn a_database_ages_and_confirms_reports_of_its_facts() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert_eq!(ready("one").age(at("2026-01-01T01:00:00Z")), Some(3600));
        assert_eq!(DatabaseState::Missing("why".to_owned()).age(at("2026-01-01T01:00:00Z")), None);
        let check_compared =
            |id: &str, compared: Option<&str>, state: &DatabaseState, expected: &str, stale: &[&str]| {
                let mut known = report(id);
                state.confirm(&mut known, compared);
                let feeds: Vec<&str> = known.database.stale.iter().map(|feed| feed.name.as_str()).collect();
                assert_eq!(
                    (known.database.built, feeds.as_slice()),
                    (Some(at(expected)), stale),
                    "{id} {compared:?} {state:?}"
                );
            };
        let check = |id: &str, state: &DatabaseState, expected: &str, stale: &[&str]| {
            check_compared(id, None, state, expected, stale);
        };
        check("one", &ready("one"), "2026-01-01T00:00:00Z", &[]);
        check("one", &ready("two"), "2025-01-01T00:00:00Z", &[]);
        check("one", &DatabaseState::Missing("why".to_owned()), "2025-01-01T00:00:00Z", &[]);
        // Of the feeds that failed since, those of the image.
        check("one", &stale("one"), "2026-01-01T00:00:00Z", &["npm"]);
        check("one", &stale("two"), "2025-01-01T00:00:00Z", &[]);
        // A copy from before a re-match that changed nothing: its ImageScan names the database that was compared.
        check_compared("one", Some("two"), &ready("two"), "2026-01-01T00:00:00Z", &[]);
        check_compared("one", Some("two"), &stale("two"), "2026-01-01T00:00:00Z", &["npm"]);
        check_compared("one", Some("two"), &ready("three"), "2025-01-01T00:00:00Z", &[]);
        assert_eq!(ready("one").feed_age(at("2026-01-01T01:00:00Z")), Some(3600));
        assert_eq!(stale("one").feed_age(at("2025-12-01T01:00:00Z")), Some(3600));
    }

    #[test]
    fn an_older_database_takes_nothing_back() {
        let check = |known: Value, newest: Option<&str>, expected: &str| {
            let status = json!({"imageStatus": "NoVulnerabilities", "observedGeneration": 1, "database": known});
            let scan = image_scan("i", status);
            let newest: Option<Timestamp> = newest.map(|newest| newest.parse().unwrap());
            let now = "2026-01-05T00:00:00Z".parse().unwrap();
            // Built on the first of January.
            let DatabaseState::Ready(own) = ready("own") else { return };
            assert_eq!(judged_by(&own, newest, &scan, now), expected, "{known:?} {newest:?}");
        };
        check(json!("other"), None, "own");
        check(json!("other"), Some("2025-12-31T00:00:00Z"), "own");
        check(json!("other"), Some("2026-01-01T00:00:00Z"), "own");
        check(json!("other"), Some("2026-01-02T00:00:00Z"), "other");
        check(json!("own"), Some("2026-01-02T00:00:00Z"), "own");
        // What has no result yet gets the one that is possible.
        check(Value::Null, Some("2026-01-02T00:00:00Z"), "own");
        // Built by a wrong clock.
        check(json!("other"), Some("2099-01-01T00:00:00Z"), "own");
    }

    fn change(from: &str, to: &str) -> Arc<DatabaseChange> {
        let to = DatabaseInfo { id: to.to_owned(), ..DatabaseInfo::default() };
        let summary = RematchSummary { database: to.id.clone(), last: 1, inventories: 1, visited: 1, changed: 0 };
        Arc::new(DatabaseChange { from: from.to_owned(), to, summary })
    }

    #[test]
    fn a_finished_scan_follows_the_database_without_a_scan() {
        let amd64: Platform = "linux/amd64".parse().unwrap();
        let arm64: Platform = "linux/arm64".parse().unwrap();
        let status = |change: Value| {
            let mut status = json!({"imageStatus": "NoVulnerabilities", "observedGeneration": 1, "digest": digest(1),
                "nodePlatforms": ["linux/amd64"], "database": "one"});
            change.as_object().unwrap().iter().for_each(|(key, value)| status[key] = value.clone());
            status
        };
        let check = |status: Value, platforms: &[&Platform], rematch: &RematchState, expected: NextResult| {
            let platforms: Vec<Platform> = platforms.iter().map(|p| (*p).clone()).collect();
            let scan = image_scan("i", status);
            assert_eq!(next_result(&scan, &platforms, rematch, "two"), expected, "{:?} {rematch:?}", scan.status);
        };
        let same = || status(json!({}));
        let running = RematchState::Running { from: "one".to_owned() };
        let done = RematchState::Done(change("one", "two"));
        check(same(), &[&amd64], &running, NextResult::Wait);
        check(same(), &[&amd64], &done, NextResult::Rematch(change("one", "two")));
        check(same(), &[&amd64], &RematchState::None, NextResult::Rescan);
        // Of a database before that one, or a re-match to a database that was replaced since.
        check(status(json!({"database": "zero"})), &[&amd64], &running, NextResult::Rescan);
        check(status(json!({"database": "zero"})), &[&amd64], &done, NextResult::Rescan);
        check(same(), &[&amd64], &RematchState::Done(change("one", "three")), NextResult::Rescan);
        // Without a result for every node, of this generation.
        check(same(), &[&amd64, &arm64], &done, NextResult::Rescan);
        check(status(json!({"digest": null})), &[&amd64], &running, NextResult::Rescan);
        check(status(json!({"observedGeneration": 0})), &[&amd64], &done, NextResult::Rescan);
        check(status(json!({"imageStatus": "Scanning"})), &[&amd64], &done, NextResult::Rescan);
        check(Value::Null, &[&amd64], &done, NextResult::Rescan);
    }

    #[test]
    fn the_newer_database_replaces_the_older_one() {
        let at = |second: Option<i64>| second.map(|second| Timestamp::from_second(second).unwrap());
        let check = |own: Option<(&str, Option<i64>)>, id: &str, built: Option<i64>, expected: bool| {
            let state = own.map_or(DatabaseState::Missing("none".to_owned()), |(id, built)| {
                DatabaseState::Ready(DatabaseInfo { id: id.to_owned(), built: at(built), ..DatabaseInfo::default() })
            });
            let offered = PeerDatabase { id: id.to_owned(), built: at(built), bytes: 1 };
            assert_eq!(is_newer(&state, &offered), expected, "{own:?} {id} {built:?}");
        };
        check(None, "a", None, true);
        check(Some(("a", Some(1))), "b", Some(2), true);
        check(Some(("a", Some(2))), "b", Some(1), false);
        check(Some(("a", Some(1))), "b", Some(1), false);
        // The same facts, built again.
        check(Some(("a", Some(1))), "a", Some(2), true);
        check(Some(("a", Some(2))), "a", Some(2), false);
        check(Some(("a", None)), "b", Some(1), true);
        check(Some(("a", Some(1))), "b", None, false);
    }
}
