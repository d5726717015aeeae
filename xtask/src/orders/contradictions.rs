//! Finds where a tool's answer to a pair contradicts its answers to others, so that no order can agree with it: a version
//! that differs from itself, an answer that depends on the direction, or a version between both that shows a cycle.

use super::pairs::VersionPair;
use anyhow::Result;
use std::cmp::Ordering;

/// Differing pairs of a tool that are looked into: the rest counts as differing.
const MOST: usize = 5_000;

/// A tool's answers to pairs; none where it refuses.
type Answers = Vec<Option<Ordering>>;

/// For each of these pairs with the tool's answer: whether the tool contradicts it.
pub(super) fn find(
    pairs: &[(&VersionPair, Ordering)],
    mut ask: impl FnMut(&[VersionPair]) -> Result<Answers>,
) -> Result<Vec<bool>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let looked = pairs.get(..MOST).unwrap_or(pairs);
    let questions: Vec<Vec<VersionPair>> = looked.iter().map(|(pair, _)| questions(pair)).collect();
    let mut answers = ask(&questions.concat())?.into_iter();
    let found = looked.iter().zip(&questions).map(|((_, answer), questions)| {
        let answers: Answers = answers.by_ref().take(questions.len()).collect();
        contradicts(*answer, &answers)
    });
    let mut found: Vec<bool> = found.collect();
    found.resize(pairs.len(), false);
    Ok(found)
}

/// Both with themselves, both turned around; then, for every beginning C of one of them, A with C and C with B: versions
/// differ in what follows a common beginning, and the beginning alone is often between them.
fn questions((a, b): &VersionPair) -> Vec<VersionPair> {
    let own = [(a, a), (b, b), (b, a)].map(|(x, y)| (x.clone(), y.clone()));
    let beginnings = [a, b].into_iter().flat_map(|text| text.char_indices().map(|(at, _)| text.split_at(at).0));
    let between = beginnings.filter(|c| !c.is_empty());
    let between = between.flat_map(|c| [(a.clone(), c.to_owned()), (c.to_owned(), b.clone())]);
    own.into_iter().chain(between).collect()
}

fn contradicts(answer: Ordering, answers: &[Option<Ordering>]) -> bool {
    let (own, between) = answers.split_at(answers.len().min(3));
    let expected = [Ordering::Equal, Ordering::Equal, answer.reverse()];
    let consistent = own.iter().zip(expected).all(|(answer, expected)| answer.is_none_or(|answer| answer == expected));
    !consistent || between.chunks(2).any(|two| shows_cycle(answer, two))
}

/// Whether what A is to B cannot follow from what A is to C and C to B.
fn shows_cycle(answer: Ordering, two: &[Option<Ordering>]) -> bool {
    match two {
        [Some(first), Some(second)] => follows(*first, *second).is_some_and(|follows| follows != answer),
        _ => false,
    }
}

/// What A is to B, if `first` is what A is to C and `second` what C is to B; none if that leaves it open.
fn follows(first: Ordering, second: Ordering) -> Option<Ordering> {
    match (first, second) {
        (Ordering::Equal, other) | (other, Ordering::Equal) => Some(other),
        (first, second) => (first == second).then_some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn answers_that_no_order_can_agree_with() {
        let check = |answer: Ordering, answers: &[Ordering], expected: bool| {
            let answers: Answers = answers.iter().copied().map(Some).collect();
            assert_eq!(contradicts(answer, &answers), expected, "{answer:?} {answers:?}");
        };
        check(Less, &[Equal, Equal, Greater], false);
        check(Less, &[Equal, Less, Greater], true);
        check(Less, &[Equal, Equal, Less], true);
        check(Less, &[Equal, Equal, Greater, Less, Less], false);
        check(Less, &[Equal, Equal, Greater, Less, Greater], false);
        check(Less, &[Equal, Equal, Greater, Greater, Greater], true);
        check(Equal, &[Equal, Equal, Equal, Equal, Less], true);
    }
}
