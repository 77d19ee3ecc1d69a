//! What makes steps a plan.

use std::collections::{BTreeMap, BTreeSet};

use super::{MOST_CHECKS, MOST_STEPS, PlanError, PlanStep};

/// Bytes of a title, at most.
const TITLE_BYTES: usize = 500;

/// Bytes of a check command, at most. It is part of prompts.
const CHECK_BYTES: usize = 4 * 1024;

/// The highest number of a step.
const MOST_NUMBER: u32 = 99_999;

/// Checks steps that are in order already; `line` tells where a step stands.
pub(super) fn check(
    steps: &[PlanStep],
    line: impl Fn(usize) -> Option<usize>,
) -> Result<(), PlanError> {
    if steps.is_empty() {
        let reason = "there is no step; one looks like `- [ ] **1. Title**`";
        return Err(PlanError::new(reason));
    }
    if steps.len() > MOST_STEPS {
        let reason = format!("there are {} steps; {MOST_STEPS} at most", steps.len());
        return Err(PlanError::new(reason));
    }
    let mut seen: BTreeMap<u32, usize> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let wrong = |reason: String| PlanError { line: line(index), reason };
        one(step).map_err(&wrong)?;
        if seen.insert(step.number, index).is_some() {
            return Err(wrong(format!("there is another step {}", step.number)));
        }
    }
    for (index, step) in steps.iter().enumerate() {
        for needed in &step.depends_on {
            let wrong = |reason: String| PlanError { line: line(index), reason };
            if *needed == step.number {
                return Err(wrong(format!("step {needed} depends on itself")));
            }
            if !seen.contains_key(needed) {
                let reason =
                    format!("step {} depends on step {needed}, which is not there", step.number);
                return Err(wrong(reason));
            }
        }
    }
    if let Some(circle) = circle(steps) {
        let first = seen.get(&circle[0]).copied().unwrap_or_default();
        let round: Vec<String> = circle.iter().map(u32::to_string).collect();
        let reason = format!("steps depend on each other in a circle: {}", round.join(" → "));
        return Err(PlanError { line: line(first), reason });
    }
    Ok(())
}

fn one(step: &PlanStep) -> Result<(), String> {
    let number = step.number;
    if !(1..=MOST_NUMBER).contains(&number) {
        return Err(format!("a step has the number {number}; it goes from 1 to {MOST_NUMBER}"));
    }
    if step.title.is_empty() {
        return Err(format!("step {number} has no title"));
    }
    if step.title.len() > TITLE_BYTES {
        return Err(format!("the title of step {number} is longer than {TITLE_BYTES} bytes"));
    }
    if step.verify.len() > MOST_CHECKS {
        return Err(format!("step {number} has more than {MOST_CHECKS} verify commands"));
    }
    for command in &step.verify {
        if command.contains(['\n', '\r']) {
            return Err(format!("a verify command of step {number} has more than one line"));
        }
        if command.len() > CHECK_BYTES {
            return Err(format!(
                "a verify command of step {number} is longer than {CHECK_BYTES} bytes"
            ));
        }
    }
    Ok(())
}

/// Steps that depend on each other, the first of them once more at the end.
fn circle(steps: &[PlanStep]) -> Option<Vec<u32>> {
    let mut left: BTreeMap<u32, &[u32]> =
        steps.iter().map(|step| (step.number, step.depends_on.as_slice())).collect();
    loop {
        let free: Vec<u32> = left
            .iter()
            .filter(|(_, needed)| needed.iter().all(|number| !left.contains_key(number)))
            .map(|(number, _)| *number)
            .collect();
        if free.is_empty() {
            break;
        }
        for number in free {
            left.remove(&number);
        }
    }
    // Whoever is left needs somebody who is left: go on until one comes again.
    let mut path = vec![*left.keys().next()?];
    loop {
        let last = *path.last()?;
        let next = *left.get(&last)?.iter().find(|number| left.contains_key(number))?;
        let before = path.iter().position(|number| *number == next);
        path.push(next);
        if let Some(before) = before {
            return Some(path.split_off(before));
        }
    }
}

/// The steps in groups: those of a group depend on earlier groups alone, and may be done side
/// by side.
pub fn waves(steps: &[PlanStep]) -> Vec<Vec<u32>> {
    let mut done: BTreeSet<u32> = BTreeSet::new();
    let mut waves = Vec::new();
    while done.len() < steps.len() {
        let wave: Vec<u32> = steps
            .iter()
            .filter(|step| !done.contains(&step.number))
            .filter(|step| step.depends_on.iter().all(|needed| done.contains(needed)))
            .map(|step| step.number)
            .collect();
        if wave.is_empty() {
            break;
        }
        done.extend(&wave);
        waves.push(wave);
    }
    waves
}
