//! What transfers and builds that were killed left next to a database: files as large as it is, on the same volume.

use rustix::process::{Pid, getpid, test_kill_process};
use std::fs;
use std::path::Path;

/// What the names end with that a process gives its files and folders, after that of the database and its own number
/// (`tidewaiter_io::replace`, `TransferFile`, the folder of a build's parts).
const ENDS: [&str; 5] = ["new", "download", "last", "parts", "delta"];

/// Removes what dead processes left next to the database, or next to the files that are named after it.
pub(super) fn remove(database: &Path) {
    let Some((folder, name)) = database.parent().zip(database.file_name().and_then(|n| n.to_str())) else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = entry.file_name();
        let owner = found.to_str().and_then(|found| owner(found, name));
        if !owner.is_some_and(is_dead) {
            continue;
        }
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(entry.path()),
            _ => fs::remove_file(entry.path()),
        };
    }
}

/// The number of the process that made a file next to `database`, if it is one that a process leaves when it is killed:
/// `a.db.7-0.new`, `a.db.inputs.7-0.new`, `a.db.7.delta-1`, `a.db.7.parts`.
fn owner(found: &str, database: &str) -> Option<i32> {
    let rest = found.strip_prefix(database)?.strip_prefix('.')?;
    let (before, end) = rest.rsplit_once('.')?;
    let kind = end.split_once('-').map_or(end, |(kind, _)| kind);
    let process = before.rsplit_once('.').map_or(before, |(_, process)| process);
    let number = process.split_once('-').map_or(process, |(number, _)| number);
    ENDS.contains(&kind).then(|| number.parse().ok())?
}

/// Whether no process has this number. This one counts as dead: it is between two renewals, and as the first process of a
/// container it has the number of the one before it.
fn is_dead(number: i32) -> bool {
    let Some(pid) = Pid::from_raw(number) else { return true };
    pid == getpid() || test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_process_made_a_file() {
        let check = |found: &str, expected: Option<i32>| assert_eq!(owner(found, "a.db"), expected, "{found}");
        check("a.db.7-0.new", Some(7));
        check("a.db.inputs.7-12.new", Some(7));
        check("a.db.7.download", Some(7));
        check("a.db.7.last", Some(7));
        check("a.db.7.delta-3", Some(7));
        check("a.db.7.parts", Some(7));
        check("a.db", None);
        check("a.db.inputs", None);
        check("a.db.sig", None);
        check("a.db.7", None);
        check("a.db.20261129.gz", None);
        check("a.db.new", None);
        check("a.db.my.new", None);
        check("a.db2.7-0.new", None);
        check("b.db.7-0.new", None);
    }

    #[test]
    fn only_leftovers_of_dead_processes_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        // The largest number of a process is 4194304 (`/proc/sys/kernel/pid_max`); the first process is always there.
        let (dead, alive, own) = (5_000_000, 1, std::process::id());
        let left = [format!("a.db.{dead}-0.new"), format!("a.db.{dead}.delta-0"), format!("a.db.{own}-0.new")];
        let stay = ["a.db".to_owned(), "a.db.inputs".to_owned(), format!("a.db.{alive}.download")];
        for name in left.iter().chain(&stay) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = dir.path().join(format!("a.db.{dead}.parts/feed"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("records.sorted"), "").unwrap();
        remove(&dir.path().join("a.db"));
        let mut found: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        let mut stay = stay.to_vec();
        stay.sort();
        assert_eq!(found, stay);
    }
}
