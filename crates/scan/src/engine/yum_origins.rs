//! Which packages are of a repository with advisories of its own, by yum's records.

use crate::analyze::yumdb;
use crate::engine::contents::PresentSince;
use crate::engine::sqlite_wal::FilesInView;
use std::collections::HashMap;
use tidewaiter_core::package::Package;

/// Notes the repository of each package that a record says one of.
pub(super) fn noted(since: PresentSince, files: &FilesInView<'_>) -> PresentSince {
    let records =
        files.iter().filter_map(|(path, (_, parsed))| Some((yumdb::recorded(path)?, parsed.origin.as_deref()?)));
    let records: HashMap<&str, &str> = records.collect();
    if records.is_empty() {
        return since;
    }
    since.into_iter().map(|((package, path), layer)| ((with_origin(package, &records), path), layer)).collect()
}

fn with_origin(package: Package, records: &HashMap<&str, &str>) -> Package {
    let repository = yumdb::record_name(&package).and_then(|name| records.get(name.as_str()));
    match repository {
        Some(repository) => Package { tag: (*repository).to_owned(), ..package },
        None => package,
    }
}
