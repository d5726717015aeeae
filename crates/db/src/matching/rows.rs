//! The rows of a database by ecosystem, found once: an image has packages of few ecosystems, and hundreds of each.

use super::hit;
use crate::reader::{Database, EcosystemPackages};
use std::cell::RefCell;
use std::rc::Rc;
use tidewaiter_core::ecosystem::Ecosystem;

/// The rows that packages of one image are looked up in.
pub(super) struct EcosystemRows<'a> {
    pub(super) db: &'a Database,
    found: RefCell<Vec<(Ecosystem, Rc<[EcosystemPackages<'a>]>)>>,
}

impl<'a> EcosystemRows<'a> {
    pub(super) fn new(db: &'a Database) -> Self {
        EcosystemRows { db, found: RefCell::default() }
    }

    /// Where rows about packages of an ecosystem are: those of its release, and those of all its releases.
    pub(super) fn of(&self, ecosystem: &Ecosystem) -> Rc<[EcosystemPackages<'a>]> {
        let mut found = self.found.borrow_mut();
        if let Some((_, packages)) = found.iter().find(|(known, _)| known == ecosystem) {
            return Rc::clone(packages);
        }
        let packages: Rc<[_]> = hit::ecosystems(ecosystem).iter().map(|name| self.db.packages_of(name)).collect();
        found.push((ecosystem.clone(), Rc::clone(&packages)));
        packages
    }
}
