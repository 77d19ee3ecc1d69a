//! Who waits for whom: a tree in which each part stands below the last of those that it needs.

use std::collections::HashMap;

/// Columns of a step to the right.
const INDENT: usize = 3;

/// Levels that are drawn to the right; deeper ones stand below each other.
const DEEPEST: usize = 8;

/// A row: what leads to the part, the part's place, and what it needs beside the one above it.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) branch: String,
    pub(super) part: usize,
    pub(super) also: Vec<String>,
}

/// The rows for these parts: a name, and the names of those that must be done first. Nothing
/// when nobody waits for anybody.
pub(super) fn rows(parts: &[(String, Vec<String>)]) -> Vec<Row> {
    let place: HashMap<&str, usize> =
        parts.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let needs: Vec<Vec<usize>> = parts
        .iter()
        .map(|(_, needed)| needed.iter().filter_map(|it| place.get(it.as_str())).copied().collect())
        .collect();
    if needs.iter().all(Vec::is_empty) {
        return Vec::new();
    }
    let depths = depths(&needs);
    // The part above: the deepest, and the first of equals.
    let above = |at: usize| needs[at].iter().copied().rev().max_by_key(|needed| depths[*needed]);
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    let mut roots = Vec::new();
    for at in 0..parts.len() {
        match above(at).filter(|above| depths[*above] < depths[at]) {
            Some(above) => below[above].push(at),
            None => roots.push(at),
        }
    }
    let mut rows = Vec::with_capacity(parts.len());
    let mut stack: Vec<(usize, String, String)> =
        roots.into_iter().rev().map(|root| (root, String::new(), String::new())).collect();
    while let Some((at, branch, margin)) = stack.pop() {
        let over = above(at);
        let also = needs[at].iter().filter(|needed| Some(**needed) != over);
        let also = also.map(|needed| parts[*needed].0.clone()).collect();
        rows.push(Row { branch, part: at, also });
        let flat = margin.chars().count() >= DEEPEST * INDENT;
        for (place, child) in below[at].iter().enumerate().rev() {
            let last = place + 1 == below[at].len();
            let (sign, bar) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let further = if flat { margin.clone() } else { format!("{margin}{bar}") };
            stack.push((*child, format!("{margin}{sign}"), further));
        }
    }
    rows
}

/// How many stand above each. A circle, which the daemon refuses, ends somewhere.
fn depths(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0; needs.len()];
    for _ in 0..needs.len() {
        let mut changed = false;
        for (at, needed) in needs.iter().enumerate() {
            let depth = needed.iter().map(|it| depths[*it] + 1).max().unwrap_or(0);
            changed |= depth > depths[at];
            depths[at] = depths[at].max(depth.min(needs.len()));
        }
        if !changed {
            break;
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(parts: &[(&str, &[&str])]) -> Vec<String> {
        let parts: Vec<(String, Vec<String>)> = parts
            .iter()
            .map(|(name, needs)| {
                ((*name).to_owned(), needs.iter().map(|it| (*it).to_owned()).collect())
            })
            .collect();
        let row = |row: Row| format!("{}{} {}", row.branch, parts[row.part].0, row.also.join(","));
        rows(&parts).into_iter().map(|it| row(it).trim_end().to_owned()).collect()
    }

    #[test]
    fn each_part_stands_once_below_the_last_that_it_needs() {
        let parts: [(&str, &[&str]); 6] = [
            ("parse", &[]),
            ("lex", &[]),
            ("check", &["parse"]),
            ("print", &["parse"]),
            ("emit", &["lex", "check"]),
            ("alone", &[]),
        ];
        let wanted = ["parse", "├─ check", "│  └─ emit lex", "└─ print", "lex", "alone"];
        assert_eq!(drawn(&parts), wanted);
        assert_eq!(drawn(&[("a", &[]), ("b", &[])]), [""; 0], "nobody waits");
    }

    #[test]
    fn a_long_chain_stays_on_the_screen_and_a_circle_ends() {
        let names: Vec<String> = (0..50).map(|at| format!("step {at}")).collect();
        let parts: Vec<(String, Vec<String>)> = names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.clone(), names[at.saturating_sub(1)..at].to_vec()))
            .collect();
        let rows = rows(&parts);
        assert_eq!(rows.len(), 50);
        assert!(rows.iter().all(|row| row.branch.chars().count() <= (DEEPEST + 1) * INDENT));
        drawn(&[("a", &["b"]), ("b", &["a"]), ("c", &[])]);
    }
}
