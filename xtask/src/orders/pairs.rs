//! The pairs that a tool is asked for: neighbours among real versions, and made ones.

use super::shapes::{self, Shape, Slot};
use crate::dice::Dice;

/// Two versions to compare.
pub(super) type VersionPair = (String, String);

/// Neighbours of the known versions, and `made` pairs of a shape; those of a seed are always the same.
pub(super) fn of(known: &[&str], shape: Shape, made: usize, seed: u64) -> Vec<VersionPair> {
    let slots = shapes::slots(shape);
    let neighbours = known.windows(2).filter_map(|two| Some((two.first()?.to_string(), two.get(1)?.to_string())));
    neighbours.chain((0..made).map(|number| pair(&mut Dice::of(seed, number), known, &slots))).collect()
}

/// Most pairs differ in one place: what comes first hides the rest.
fn pair(dice: &mut Dice, known: &[&str], shape: &[Slot]) -> VersionPair {
    if !known.is_empty() && dice.below(4) == 0 {
        let base = dice.one(known);
        return (base.to_owned(), edited(dice, base, shape));
    }
    let base: Vec<String> = shape.iter().map(|slot| filled(dice, slot)).collect();
    let (mut other, text) = (base.clone(), base.concat());
    match dice.below(10) {
        0 => other = shape.iter().map(|slot| filled(dice, slot)).collect(),
        1 => return (text.clone(), edited(dice, &text, shape)),
        kind => {
            let changes = if kind < 4 { 2 } else { 1 };
            (0..changes).for_each(|_| change(dice, &mut other, shape));
        }
    }
    (text, other.concat())
}

fn change(dice: &mut Dice, parts: &mut [String], shape: &[Slot]) {
    let place = dice.below(shape.len());
    if let (Some(part), Some(slot)) = (parts.get_mut(place), shape.get(place)) {
        *part = filled(dice, slot);
    }
}

fn filled(dice: &mut Dice, slot: &Slot) -> String {
    if dice.below(100) >= slot.percent {
        return String::new();
    }
    let count = dice.below(slot.most) + 1;
    (0..count).map(|_| dice.one(&slot.tokens)).collect()
}

/// A version with a character less, or with a token more.
fn edited(dice: &mut Dice, version: &str, shape: &[Slot]) -> String {
    let mut chars: Vec<String> = version.chars().map(String::from).collect();
    let place = dice.below(chars.len() + 1);
    if place < chars.len() && dice.below(2) == 0 {
        chars.remove(place);
    } else if let Some(slot) = shape.get(dice.below(shape.len())) {
        chars.insert(place, dice.one(&slot.tokens).to_owned());
    }
    chars.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_seed_are_always_the_same_and_mostly_close() {
        let known = ["1.0", "1.1", "2.0"];
        let pairs = of(&known, shapes::DEB, 1000, 1);
        assert_eq!(pairs.len(), 1002);
        assert_eq!(pairs, of(&known, shapes::DEB, 1000, 1));
        assert_ne!(pairs, of(&known, shapes::DEB, 1000, 2));
        assert_eq!(pairs[1], ("1.1".to_owned(), "2.0".to_owned()));
        let same_start = pairs.iter().filter(|(a, b)| a.get(..1) == b.get(..1)).count();
        assert!(same_start > 700, "{same_start}");
    }
}
