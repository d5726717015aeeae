//! Judging again, with a new database.

use super::judge;
use crate::Error;
use crate::delta::Delta;
use tidewaiter_core::report::{Inventory, Report};

/// Judges an inventory with both databases: the new report, if it says anything else than the old one. Which database
/// judged is no difference.
///
/// # Errors
/// When a database file is corrupt.
pub fn rejudge(inventory: Inventory, delta: &Delta<'_>) -> Result<Option<Report>, Error> {
    let old = judge(inventory.clone(), delta.old())?;
    let new = judge(inventory, delta.new_database())?;
    let old = Report { database: new.database.clone(), ..old };
    Ok((new != old).then_some(new))
}
