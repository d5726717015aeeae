//! Ecosystems whose coverage differs between two databases.

use crate::meta::Meta;
use serde::Serialize;
use std::collections::BTreeSet;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::SupportPeriod;

/// A database's coverage of one ecosystem.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// Whether a feed is declared complete for it.
    pub complete: bool,
    /// Whether its vulnerabilities are rated.
    pub rated: bool,
    /// Until when the release gets fixes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support: Option<SupportPeriod>,
}

impl Coverage {
    pub(super) fn of(meta: &Meta, ecosystem: &Ecosystem) -> Self {
        Coverage {
            complete: meta.covers(ecosystem),
            rated: meta.rates(ecosystem),
            support: meta.support_of(ecosystem).cloned(),
        }
    }
}

/// An ecosystem whose coverage differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageChange {
    /// The ecosystem, release included.
    pub ecosystem: Ecosystem,
    /// Before.
    pub old: Coverage,
    /// After.
    pub new: Coverage,
}

pub(super) fn changes(old: &Meta, new: &Meta) -> Vec<CoverageChange> {
    let of_feeds = [old, new].into_iter().flat_map(|meta| meta.feeds.iter().flat_map(|feed| &feed.ecosystems));
    let of_support = [old, new].into_iter().flat_map(|meta| meta.support.iter().map(|support| &support.ecosystem));
    let mut out = Vec::new();
    for ecosystem in of_feeds.chain(of_support).collect::<BTreeSet<_>>() {
        let (before, after) = (Coverage::of(old, ecosystem), Coverage::of(new, ecosystem));
        if before != after {
            out.push(CoverageChange { ecosystem: ecosystem.clone(), old: before, new: after });
        }
    }
    out
}
