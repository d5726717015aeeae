//! Whether a database may take the place of another one, by the times at which both were built.

use crate::render;
use anyhow::{Result, bail};
use jiff::Timestamp;
use tidewaiter_core::report::DatabaseInfo;

/// Which databases are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AcceptedAge {
    /// None that is older than the one in place: an old one, signed as it may be, would bring back what it does not know.
    NotOlder,
    /// Any: whoever asks for it means it.
    Any,
}

impl AcceptedAge {
    /// Of the option `--allow-older`.
    pub(super) fn of(allow_older: bool) -> Self {
        if allow_older { AcceptedAge::Any } else { AcceptedAge::NotOlder }
    }

    /// Refuses `found`, which comes from `source`, where it must not replace `current`.
    ///
    /// One from the future is refused always: no age limit would apply to it, and each correct database would be older. One
    /// that is in place is replaced by any other for the same reason.
    pub(super) fn check(
        self,
        source: &str,
        found: &DatabaseInfo,
        current: Option<&DatabaseInfo>,
        now: Timestamp,
    ) -> Result<()> {
        let built = render::built(found.built);
        if found.is_from_the_future(now) {
            bail!(
                "{source}: built {built}, and this machine's clock says {now}; correct the clock that is wrong, or have \
                 the database built again"
            );
        }
        let Some(current) = current.filter(|current| !current.is_from_the_future(now)) else { return Ok(()) };
        if self == AcceptedAge::Any || found.built >= current.built {
            return Ok(());
        }
        let there = render::built(current.built);
        bail!(
            "{source}: built {built}, older than the current database, built {there}; to take it anyway, use --allow-older"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_replaced_by_a_younger_one_of_the_past() {
        use AcceptedAge::{Any, NotOlder};
        let info = |built: &str| DatabaseInfo { built: built.parse().ok(), ..DatabaseInfo::default() };
        let check = |age: AcceptedAge, found: &str, current: Option<&str>, expected: Result<(), &str>| {
            let current = current.map(info);
            let now = "2026-11-10T12:00:00Z".parse().unwrap();
            match (age.check("file", &info(found), current.as_ref(), now), expected) {
                (Ok(()), Ok(())) => {}
                (Err(said), Err(words)) => assert!(said.to_string().contains(words), "{said}"),
                (said, _) => panic!("{found} for {current:?}: {said:?}"),
            }
        };
        let (monday, tuesday) = ("2026-11-09T12:00:00Z", "2026-11-10T11:00:00Z");
        check(NotOlder, monday, None, Ok(()));
        check(NotOlder, tuesday, Some(monday), Ok(()));
        check(NotOlder, monday, Some(monday), Ok(()));
        check(NotOlder, monday, Some(tuesday), Err("older than the current database"));
        check(NotOlder, "", Some(tuesday), Err("older than the current database"));
        check(NotOlder, monday, Some(""), Ok(()));
        check(Any, monday, Some(tuesday), Ok(()));
        // A clock that is ahead by hours is one of many; one that is ahead by years is wrong.
        let (ahead, wrong) = ("2026-11-11T12:00:00Z", "2099-01-01T00:00:00Z");
        check(NotOlder, ahead, Some(monday), Ok(()));
        check(NotOlder, wrong, None, Err("clock says 2026-11-10"));
        check(Any, wrong, Some(wrong), Err("correct the clock"));
        check(NotOlder, monday, Some(wrong), Ok(()));
    }
}
