//! Whether a loop gets anywhere.
//!
//! An iteration is still when the folder holds what it held before, the gates say what they
//! said before, and the answer is much like the last one: all of it, where it can be told.
//! A folder that is no repository cannot be looked at; a loop in one is never called stuck,
//! and ends by its other limits.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::core::machine::GateResult;
use crate::core::turn::clip;

/// Iterations that are looked at.
const WINDOW: usize = 4;

/// Still ones among them that are too many.
pub(super) const TOO_MANY: usize = 3;

/// How many of a hundred different words two texts share that are alike.
const ALIKE_PERCENT: usize = 80;

/// Bytes of a text that is compared with the next one.
const COMPARED_BYTES: usize = 4 * 1024;

/// What the last iterations left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stillness {
    tree: Option<String>,
    gates: Vec<(Option<i32>, String)>,
    answer: String,
    /// Whether each of the last iterations was still.
    recent: Vec<bool>,
    /// Whether the loop was told to try something else and has not moved since.
    pivoted: bool,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// Nothing.
    GoOn,
    /// Tell the agent to try something else.
    Pivot,
    /// Give up.
    Stuck,
}

impl Stillness {
    /// Takes note of an iteration that ended.
    pub fn note(&mut self, tree: Option<String>, gates: &[GateResult], answer: &str) -> Sense {
        let clipped = |text: &str| clip(text, COMPARED_BYTES);
        let gates: Vec<_> =
            gates.iter().map(|gate| (gate.exit_code, clipped(&gate.output))).collect();
        let answer = clipped(answer);
        let moved = tree.is_none() || tree != self.tree;
        let same_gates = gates.len() == self.gates.len()
            && gates
                .iter()
                .zip(&self.gates)
                .all(|(one, two)| one.0 == two.0 && alike(&one.1, &two.1));
        let still = !moved && same_gates && alike(&answer, &self.answer);
        (self.tree, self.gates, self.answer) = (tree, gates, answer);
        if moved {
            self.pivoted = false;
        }
        self.recent.push(still);
        if self.recent.len() > WINDOW {
            self.recent.remove(0);
        }
        if self.recent.iter().filter(|still| **still).count() < TOO_MANY {
            return Sense::GoOn;
        }
        self.recent.clear();
        if std::mem::replace(&mut self.pivoted, true) { Sense::Stuck } else { Sense::Pivot }
    }
}

/// Whether two texts have most of their words in common. Numbers are all the same: times
/// and counts change without meaning anything.
fn alike(one: &str, two: &str) -> bool {
    let words = |text: &str| -> BTreeSet<String> {
        let word = |word: &str| word.replace(|c: char| c.is_ascii_digit(), "0").to_lowercase();
        text.split_whitespace().map(word).collect()
    };
    let (one, two) = (words(one), words(two));
    let shared = one.intersection(&two).count();
    let all = one.union(&two).count();
    shared * 100 >= all * ALIKE_PERCENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(code: i32, output: &str) -> GateResult {
        GateResult { exit_code: Some(code), output: output.to_owned(), ..GateResult::default() }
    }

    fn run(iterations: impl Iterator<Item = (Option<String>, i32, String)>) -> Vec<Sense> {
        let mut stillness = Stillness::default();
        iterations
            .map(|(tree, code, answer)| {
                stillness.note(tree, &[gate(code, "1 failed in 0.3 s")], &answer)
            })
            .collect()
    }

    #[test]
    fn nothing_new_pivots_once_and_then_gives_up() {
        let same =
            (0..7).map(|number| (Some("t".to_owned()), 1, format!("still at it, {number} times")));
        let sensed = run(same);
        let wanted = [
            Sense::GoOn,
            Sense::GoOn,
            Sense::GoOn,
            Sense::Pivot,
            Sense::GoOn,
            Sense::GoOn,
            Sense::Stuck,
        ];
        assert_eq!(sensed, wanted);
    }

    #[test]
    fn a_loop_that_does_something_is_not_stuck() {
        let go_on = |sensed: Vec<Sense>| sensed.iter().all(|sense| *sense == Sense::GoOn);
        let answer = || "still at it".to_owned();
        // It commits in each iteration.
        assert!(go_on(run((0..30).map(|n| (Some(n.to_string()), 1, answer())))));
        // Its folder is no repository.
        assert!(go_on(run((0..30).map(|_| (None, 1, answer())))));
        // It only plans.
        let plan = |n: usize| ["a", "b", "c"].map(|step| step.repeat(n + 1)).join(" ");
        assert!(go_on(run((0..30).map(|n| (Some("t".to_owned()), 1, plan(n))))));
        // The gates say something else each time.
        assert!(go_on(run((0..30).map(|n| (Some("t".to_owned()), n, answer())))));
    }

    #[test]
    fn a_loop_that_moves_after_the_pivot_has_another_one() {
        let mut stillness = Stillness::default();
        let mut after = |text: &str| -> Vec<Sense> {
            (0..4).map(|_| stillness.note(Some(text.to_owned()), &[], "at it")).collect()
        };
        assert_eq!(after("a")[3], Sense::Pivot);
        assert_eq!(after("b")[3], Sense::Pivot);
    }
}
