//! Each step by what is seen, and whole rotations in which every process may die at any moment.

use super::*;
use RotationStep::{Date, Introduce, Promote, Replace, Retire, Wait};
use std::collections::BTreeMap;

const DAY: i64 = 24 * 3600;
const LIFETIMES: CertificateLifetimes = CertificateLifetimes {
    authority: Duration::from_secs(365 * DAY.unsigned_abs()),
    leaf: Duration::from_secs(7 * DAY.unsigned_abs()),
};

/// A moment, in seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn id(name: &str) -> AuthorityId {
    AuthorityId(name.to_owned())
}

/// An authority that was made at a moment.
fn term(name: &str, from: i64) -> AuthorityTerm {
    AuthorityTerm { id: id(name), period: ValidityPeriod::starting(at(from), LIFETIMES.authority) }
}

/// One of an earlier version, which has no end.
fn endless(name: &str) -> AuthorityTerm {
    let (from, until) = (Timestamp::from_second(157_770_000).unwrap(), Timestamp::from_second(67_093_490_000).unwrap());
    AuthorityTerm { id: id(name), period: ValidityPeriod { from, until } }
}

fn steady(signing: AuthorityTerm) -> RotationState {
    RotationState { signing, next: None, previous: None, since: Some(at(0)) }
}

/// A process that trusts these and shows a certificate of one.
fn process(trusts: &[&str], serves: &str) -> Option<ProcessTrust> {
    Some(ProcessTrust { trusts: trusts.iter().map(|name| id(name)).collect(), serves: Some(id(serves)) })
}

fn view(is_registered: bool, processes: &[Option<ProcessTrust>]) -> RotationView {
    RotationView { is_registered, processes: processes.to_vec() }
}

#[test]
fn an_authority_is_replaced_long_before_its_end() {
    let check = |state: &RotationState, now: i64, expected: RotationStep| {
        assert_eq!(next_step(state, &RotationView::default(), &LIFETIMES, at(now)), expected, "{now}");
        assert_eq!(is_steady(state, &LIFETIMES, at(now)), expected == Wait, "{now}");
    };
    let young = steady(term("a", 0));
    check(&young, 0, Wait);
    check(&young, 243 * DAY, Wait);
    check(&young, 244 * DAY, Introduce);
    check(&young, 364 * DAY, Introduce);
    // Ended: nobody takes its certificates, and nothing is to be waited for.
    check(&young, 365 * DAY, Replace);
    check(&young, 3650 * DAY, Replace);
    // The clock of who made it was ahead: by less than certificates allow for, and by more.
    check(&young, -3599, Wait);
    check(&young, -3601, Introduce);
    check(&steady(endless("a")), 0, Introduce);
}

#[test]
fn the_one_that_comes_signs_when_everybody_knows_it() {
    let state = RotationState { next: Some(term("b", 0)), ..steady(term("a", -250 * DAY)) };
    let (known, unknown) = (process(&["a", "b"], "a"), process(&["a"], "a"));
    let check = |registered: bool, processes: &[&Option<ProcessTrust>], now: i64, expected: RotationStep| {
        let processes: Vec<_> = processes.iter().map(|&process| process.clone()).collect();
        let found = next_step(&state, &view(registered, &processes), &LIFETIMES, at(now));
        assert_eq!(found, expected, "{registered} {processes:?} {now}");
    };
    check(true, &[&known, &known], 600, Promote);
    check(true, &[&known], 600, Promote);
    // Another API server may have read the registration before.
    check(true, &[&known], 599, Wait);
    check(false, &[&known, &known], 600, Wait);
    check(true, &[&known, &unknown], 600, Wait);
    // One that does not answer, or is of an earlier version: for as long as its certificate may live.
    check(true, &[&known, &None], 600, Wait);
    check(true, &[&known, &None], 7 * DAY - 1, Wait);
    check(true, &[&known, &None], 7 * DAY, Promote);
    check(true, &[&known, &unknown], 7 * DAY, Promote);
    // What is not registered is never used, but where the other one has ended.
    check(false, &[&known], 100 * DAY, Wait);
    check(false, &[&None], 115 * DAY, Promote);
    check(true, &[&None], 250 * DAY, Promote);
    // Nothing presses where the one that signs has no end.
    let first = RotationState { signing: endless("a"), ..state.clone() };
    let patient = |other: &Option<ProcessTrust>| {
        next_step(&first, &view(true, &[known.clone(), other.clone()]), &LIFETIMES, at(100 * DAY))
    };
    assert_eq!([patient(&None), patient(&unknown), patient(&known)], [Wait, Wait, Promote]);
    // It waited so long that it is due itself.
    let late = RotationState { signing: term("a", 0), ..state.clone() };
    let found = next_step(&late, &view(true, &[known]), &LIFETIMES, at(250 * DAY));
    assert_eq!(found, Introduce);
}

#[test]
fn the_one_that_went_is_trusted_until_nobody_shows_it() {
    let state = RotationState { previous: Some(term("a", -250 * DAY)), ..steady(term("b", -1)) };
    let (after, before) = (process(&["b", "a"], "b"), process(&["a", "b"], "a"));
    let check = |registered: bool, processes: &[&Option<ProcessTrust>], now: i64, expected: RotationStep| {
        let processes: Vec<_> = processes.iter().map(|&process| process.clone()).collect();
        let found = next_step(&state, &view(registered, &processes), &LIFETIMES, at(now));
        assert_eq!(found, expected, "{registered} {processes:?} {now}");
    };
    check(true, &[&after, &after], 600, Retire);
    check(true, &[&after, &after], 599, Wait);
    check(true, &[&after, &before], 600, Wait);
    // Its secrets are in the registered paths.
    check(false, &[&after], 600, Wait);
    check(true, &[&after, &None], 600, Wait);
    check(true, &[&after, &None], 7 * DAY, Retire);
    check(true, &[&after, &before], 7 * DAY, Retire);
    let three = RotationState { next: Some(term("c", 0)), ..state };
    let found = next_step(&three, &view(true, &[process(&["a", "b", "c"], "b")]), &LIFETIMES, at(600));
    assert_eq!(found, Retire, "first");
}

/// By an edit, by an earlier version, or by a clock that was ahead.
#[test]
fn a_time_that_cannot_be_counted_from_is_written_anew() {
    let all = [process(&["a", "b"], "a")];
    let check = |since: Option<i64>, expected: RotationStep| {
        let state = RotationState { next: Some(term("b", 0)), since: since.map(at), ..steady(term("a", -250 * DAY)) };
        assert_eq!(next_step(&state, &view(true, &all), &LIFETIMES, at(1000)), expected, "{since:?}");
    };
    check(None, Date);
    check(Some(1001), Date);
    check(Some(1000), Wait);
    check(Some(400), Promote);
    // Where nothing waits, nothing is counted.
    let state = RotationState { since: None, ..steady(term("a", 0)) };
    assert_eq!(next_step(&state, &RotationView::default(), &LIFETIMES, at(1)), Wait);
}

#[test]
fn what_strangers_do_to_the_secret_is_mended() {
    use SecretFinding::{Keep, PutBack, Take};
    let mine = steady(term("a", 0));
    let other = steady(term("x", 0));
    let rotated = RotationState { previous: Some(term("a", 0)), ..steady(term("b", 0)) };
    let check = |found: Option<&RotationState>, led: bool, leads: bool, now: i64, expected: SecretFinding| {
        let finding = judge_secret(&mine, found, (led, leads), at(now));
        assert_eq!(finding, expected, "{found:?} {led} {leads} {now}");
    };
    check(Some(&mine), true, true, 0, Take);
    check(Some(&rotated), true, true, 0, Take);
    check(None, true, true, 0, PutBack);
    check(None, false, true, 0, PutBack);
    check(None, false, false, 0, Keep);
    check(Some(&other), true, true, 0, PutBack);
    // Who led meanwhile may have finished a rotation.
    check(Some(&other), false, true, 0, Take);
    check(Some(&other), false, false, 0, Take);
    // Nothing is worth to be put back.
    check(Some(&other), true, true, 365 * DAY, Take);
}

#[test]
fn a_certificate_is_renewed_after_two_thirds() {
    let signing = term("a", 0);
    let leaf =
        |by: &str, from: i64| LeafTerm { by: id(by), period: leaf_period(&signing.period, &LIFETIMES, at(from)) };
    let known = |names: &[&str]| Some(names.iter().map(|name| id(name)).collect::<BTreeSet<_>>());
    let check = |leaf: LeafTerm, registered: Option<BTreeSet<AuthorityId>>, now: i64, expected: bool| {
        assert_eq!(is_leaf_due(&leaf, &signing, registered.as_ref(), at(now)), expected, "{leaf:?} {now}");
    };
    check(leaf("a", 0), None, 0, false);
    check(leaf("a", 0), None, 4 * DAY, false);
    check(leaf("a", 0), None, 5 * DAY, true);
    check(leaf("a", 0), None, 50 * DAY, true);
    // The clock was set back.
    check(leaf("a", 0), None, -3600, false);
    check(leaf("a", 0), None, -3601, true);
    // By another authority: as soon as API servers take the new one, or take the old one no more.
    check(leaf("x", 0), known(&["x"]), 0, false);
    check(leaf("x", 0), known(&["x", "a"]), 0, true);
    check(leaf("x", 0), None, 0, true);
    check(leaf("x", 0), known(&["x"]), 7 * DAY, true);
    // An authority that has ended helps nobody.
    check(leaf("a", 360 * DAY), None, 366 * DAY, false);
    assert_eq!(leaf("a", 364 * DAY).period.until, signing.period.until);
}

#[test]
fn what_others_issue_is_shown_once_its_authorities_are_registered() {
    let all = |names: &[&str]| names.iter().map(|name| id(name)).collect::<BTreeSet<_>>();
    let check = |authorities: &[&str], registered: Option<&[&str]>, expected: bool| {
        let found = may_show(&all(authorities), registered.map(all).as_ref());
        assert_eq!(found, expected, "{authorities:?} {registered:?}");
    };
    check(&["a"], None, false);
    check(&["a"], Some(&[]), false);
    check(&["a"], Some(&["b"]), false);
    check(&["a"], Some(&["b", "a"]), true);
    check(&["a", "b"], Some(&["a"]), false);
}

/// A process that made another authority, because somebody deleted the Secret, is not ready.
#[test]
fn what_no_registration_names_is_not_taken() {
    let leaf = LeafTerm { by: id("a"), period: ValidityPeriod::starting(at(0), LIFETIMES.leaf) };
    let check = |registered: Option<&[&str]>, expected: bool| {
        let registered = registered.map(|names| names.iter().map(|name| id(name)).collect::<BTreeSet<_>>());
        assert_eq!(is_taken(&leaf, registered.as_ref()), expected, "{registered:?}");
    };
    check(None, true);
    check(Some(&[]), false);
    check(Some(&["b"]), false);
    check(Some(&["b", "a"]), true);
}

/// Processes, registrations and the Secret, as they change together.
struct SimulatedInstallation {
    now: i64,
    stored: RotationState,
    /// What API servers trust, since when, and whose paths they use.
    registered: (BTreeSet<AuthorityId>, AuthorityId),
    processes: BTreeMap<&'static str, SimulatedProcess>,
    made: u32,
    /// Steps that were taken.
    taken: BTreeMap<String, u32>,
}

struct SimulatedProcess {
    known: RotationState,
    leaf: LeafTerm,
}

fn trusted(state: &RotationState) -> BTreeSet<AuthorityId> {
    [Some(&state.signing), state.next.as_ref(), state.previous.as_ref()]
        .into_iter()
        .flatten()
        .map(|one| one.id.clone())
        .collect()
}

impl SimulatedInstallation {
    fn new() -> Self {
        let stored = steady(term("a0", 0));
        let mut world = SimulatedInstallation {
            now: 0,
            registered: (trusted(&stored), stored.signing.id.clone()),
            stored,
            processes: BTreeMap::new(),
            made: 0,
            taken: BTreeMap::new(),
        };
        world.start("one");
        world.start("two");
        world
    }

    /// A process starts, or dies and starts again.
    fn start(&mut self, name: &'static str) {
        let known = self.stored.clone();
        let period = leaf_period(&known.signing.period, &LIFETIMES, at(self.now));
        let leaf = LeafTerm { by: known.signing.id.clone(), period };
        self.processes.insert(name, SimulatedProcess { known, leaf });
    }

    fn make(&mut self) -> AuthorityTerm {
        self.made += 1;
        term(&format!("a{}", self.made), self.now)
    }

    /// What `install::rotation::look` does, up to a point: 0 nothing, 1 the Secret, 2 all of it.
    fn look(&mut self, name: &'static str, leads: bool, up_to: u32) -> RotationStep {
        let mut step = Wait;
        if leads && up_to > 0 {
            let report = |one: &SimulatedProcess| ProcessTrust {
                trusts: trusted(&one.known),
                serves: Some(one.leaf.by.clone()),
            };
            let processes = self.processes.values().map(|one| Some(report(one))).collect();
            let is_registered = self.registered == (trusted(&self.stored), self.stored.signing.id.clone());
            let view = RotationView { is_registered, processes };
            step = next_step(&self.stored, &view, &LIFETIMES, at(self.now));
            self.take(step);
        }
        if up_to > 1 {
            let (stored, now) = (self.stored.clone(), at(self.now));
            let registered = self.registered.0.clone();
            let one = self.processes.get_mut(name).unwrap();
            one.known = stored;
            if is_leaf_due(&one.leaf, &one.known.signing, Some(&registered), now) {
                let period = leaf_period(&one.known.signing.period, &LIFETIMES, now);
                one.leaf = LeafTerm { by: one.known.signing.id.clone(), period };
            }
        }
        step
    }

    fn take(&mut self, step: RotationStep) {
        let (state, since) = (self.stored.clone(), Some(at(self.now)));
        *self.taken.entry(format!("{step:?}")).or_default() += 1;
        self.stored = match step {
            Wait => state,
            Date => RotationState { since, ..state },
            Replace => RotationState { since, ..steady(self.make()) },
            Introduce => RotationState { next: Some(self.make()), since, ..state },
            Promote => {
                RotationState { signing: state.next.clone().unwrap(), next: None, previous: Some(state.signing), since }
            }
            Retire => RotationState { previous: None, since, ..state },
        };
    }

    /// The process that leads registers what it knows.
    fn register(&mut self, leader: &'static str) {
        let known = &self.processes[leader].known;
        self.registered = (trusted(known), known.signing.id.clone());
    }

    /// Every request is answered: API servers take every certificate, and every process knows the paths that they use; processes
    /// take each other's certificates.
    #[track_caller]
    fn check(&self) {
        for (name, one) in &self.processes {
            assert!(self.registered.0.contains(&one.leaf.by), "{name} at {}: {:?}", self.now, self.stored);
            assert!(!one.leaf.period.is_over(at(self.now)), "{name} at {}", self.now);
            assert!(trusted(&one.known).contains(&self.registered.1), "{name} at {}: {:?}", self.now, self.stored);
            for other in self.processes.values() {
                assert!(trusted(&one.known).contains(&other.leaf.by), "{name} at {}", self.now);
                assert!(trusted(&other.known).contains(&one.known.signing.id), "{name} at {}", self.now);
            }
        }
    }
}

/// Two years in which processes die at every point of a look, and lead in turns.
#[test]
fn no_request_is_refused_wherever_processes_die() {
    for seed in 0..8_u64 {
        let mut world = SimulatedInstallation::new();
        let mut dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut roll = |sides: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % sides
        };
        let mut leader = "one";
        while world.now < 600 * DAY {
            world.now += i64::try_from(roll(4 * 3600)).unwrap();
            for name in ["one", "two"] {
                let up_to = u32::try_from(roll(3)).unwrap();
                world.look(name, name == leader, up_to);
                if roll(20) == 0 {
                    world.start(name);
                }
                if roll(30) == 0 {
                    // Who begins to lead looks before it registers.
                    leader = if leader == "one" { "two" } else { "one" };
                    world.look(leader, true, 2);
                }
                if roll(3) > 0 {
                    world.register(leader);
                }
                world.check();
            }
        }
        for step in ["Introduce", "Promote", "Retire"] {
            assert!(world.taken.get(step).is_some_and(|times| *times >= 2), "{seed}: {:?}", world.taken);
        }
        assert_eq!(world.taken.get("Replace"), None, "{seed}");
    }
}

/// Nobody looked for years: what is there has ended, and heals at once.
#[test]
fn an_installation_that_slept_heals() {
    let mut world = SimulatedInstallation::new();
    world.now = 2000 * DAY;
    assert_eq!(world.look("one", true, 2), Replace);
    world.register("one");
    world.look("two", false, 2);
    world.check();
    // In the middle of a rotation: the one that comes had not ended.
    let mut world = SimulatedInstallation::new();
    world.now = 300 * DAY;
    assert_eq!(world.look("one", true, 2), Introduce);
    world.now = 366 * DAY;
    assert_eq!(world.look("one", true, 2), Promote);
    world.register("one");
    world.look("two", false, 2);
    world.check();
}
