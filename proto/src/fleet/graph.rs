//! Who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use crate::run::FleetTask;

/// Tasks that depend on each other, the first of them once more at the end.
pub(super) fn circle(tasks: &[FleetTask]) -> Option<Vec<&str>> {
    let mut left: BTreeMap<&str, &[String]> =
        tasks.iter().map(|task| (task.id.as_str(), task.depends_on.as_slice())).collect();
    loop {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, needed)| needed.iter().all(|id| !left.contains_key(id.as_str())))
            .map(|(id, _)| *id)
            .collect();
        if free.is_empty() {
            break;
        }
        for id in free {
            left.remove(id);
        }
    }
    // Whoever is left needs somebody who is left: go on until one comes again.
    let mut path = vec![*left.keys().next()?];
    loop {
        let last = *path.last()?;
        let next = left.get(last)?.iter().find(|id| left.contains_key(id.as_str()))?.as_str();
        let before = path.iter().position(|id| *id == next);
        path.push(next);
        if let Some(before) = before {
            return Some(path.split_off(before));
        }
    }
}

/// Everything that a task depends on, directly or not.
pub(super) fn before<'a>(tasks: &'a [FleetTask], id: &'a str) -> BTreeSet<&'a str> {
    let (mut found, mut open) = (BTreeSet::new(), vec![id]);
    while let Some(id) = open.pop() {
        let task = tasks.iter().find(|task| task.id == id);
        for needed in task.iter().flat_map(|task| &task.depends_on) {
            if found.insert(needed.as_str()) {
                open.push(needed);
            }
        }
    }
    found
}

/// How many tasks in a row come before each, at most; in the order of the tasks.
pub fn depths(tasks: &[FleetTask]) -> Vec<usize> {
    let mut depths = vec![0; tasks.len()];
    for (depth, wave) in waves(tasks).into_iter().enumerate() {
        for index in wave {
            depths[index] = depth;
        }
    }
    depths
}

/// The tasks by their places in groups: those of a group depend on earlier groups alone, and
/// may be done side by side. Tasks in a circle are in none.
pub fn waves(tasks: &[FleetTask]) -> Vec<Vec<usize>> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut left: Vec<usize> = (0..tasks.len()).collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let ready = |index: &usize| {
            tasks[*index].depends_on.iter().all(|needed| done.contains(needed.as_str()))
        };
        let (wave, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(ready);
        if wave.is_empty() {
            break;
        }
        done.extend(wave.iter().map(|index| tasks[*index].id.as_str()));
        left = rest;
        waves.push(wave);
    }
    waves
}
