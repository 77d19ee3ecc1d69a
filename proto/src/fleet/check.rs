//! What makes tasks a fleet.

use std::collections::BTreeMap;

use super::template::{Piece, pieces};
use super::{FleetError, MOST_CHECKS, MOST_TASKS, graph};
use crate::mcp;
use crate::run::FleetTask;

/// Characters of an id, at most: it is shown in tables and names files.
const ID_CHARS: usize = 64;

/// Bytes of a prompt, at most.
const PROMPT_BYTES: usize = 1024 * 1024;

/// Bytes of a check command, at most. It is part of prompts.
const CHECK_BYTES: usize = 4 * 1024;

/// Checks tasks together: ids, dependencies, templates and numbers. Whether folders exist is
/// not known here.
///
/// # Errors
/// With the first thing that is wrong.
pub fn check(tasks: &[FleetTask]) -> Result<(), FleetError> {
    if tasks.is_empty() {
        return Err(FleetError::new("there is no task")
            .with_hint("give prompts as arguments, or a file with --file"));
    }
    if tasks.len() > MOST_TASKS {
        return Err(FleetError::new(format!("{} tasks; {MOST_TASKS} at most", tasks.len()))
            .with_hint("make several fleets of them, one after the other"));
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, task) in tasks.iter().enumerate() {
        one(task).map_err(|reason| FleetError::new(format!("task {}: {reason}", name(task))))?;
        if let Some(first) = seen.insert(&task.id, index) {
            let (first, second) = (first + 1, index + 1);
            let reason =
                format!("the id {} is there twice: tasks {first} and {second}", name(task));
            return Err(FleetError::new(reason).with_hint("give each task an id of its own"));
        }
    }
    for task in tasks {
        dependencies(task, &seen)?;
    }
    if let Some(circle) = graph::circle(tasks) {
        let reason = format!("tasks depend on each other in a circle: {}", circle.join(" → "));
        return Err(FleetError::new(reason).with_hint("take one of these dependencies out"));
    }
    tasks.iter().try_for_each(|task| templates(tasks, task, &seen))
}

fn name(task: &FleetTask) -> String {
    format!("`{}`", task.id)
}

fn one(task: &FleetTask) -> Result<(), String> {
    id(&task.id)?;
    if task.prompt.trim().is_empty() {
        return Err("the prompt is empty".to_owned());
    }
    if task.prompt.len() > PROMPT_BYTES {
        return Err(format!("the prompt is longer than {PROMPT_BYTES} bytes"));
    }
    if let Some(timeout) = task.timeout_sec
        && !(timeout.is_finite() && timeout > 0.0)
    {
        return Err(format!("timeout_sec is {timeout}; it must be more than 0"));
    }
    let limits =
        [("max_cost", task.limits.max_cost), ("max_ai_credits", task.limits.max_ai_credits)];
    for (name, value) in limits {
        if let Some(value) = value.filter(|it| !(it.is_finite() && *it >= 0.0)) {
            return Err(format!("{name} is {value}; it must be 0 or more"));
        }
    }
    if task.verify.len() > MOST_CHECKS {
        return Err(format!("it has more than {MOST_CHECKS} verify commands"));
    }
    for command in &task.verify {
        if command.trim().is_empty() {
            return Err("a verify command is empty".to_owned());
        }
        if command.len() > CHECK_BYTES {
            return Err(format!("a verify command is longer than {CHECK_BYTES} bytes"));
        }
    }
    for (name, server) in &task.mcp_servers {
        mcp::normalise(name, server.clone()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn id(id: &str) -> Result<(), String> {
    if id.trim() != id || id.is_empty() {
        return Err("an id is not empty and has no space around it".to_owned());
    }
    if id.chars().count() > ID_CHARS {
        return Err(format!("an id has {ID_CHARS} characters at most"));
    }
    let odd = |it: char| it.is_control() || "/\\:{}".contains(it);
    match id.chars().find(|it| odd(*it)) {
        Some(odd) => Err(format!("an id must not have `{}` in it", odd.escape_default())),
        None if id.starts_with('.') => Err("an id does not begin with a dot".to_owned()),
        None => Ok(()),
    }
}

fn dependencies(task: &FleetTask, seen: &BTreeMap<&str, usize>) -> Result<(), FleetError> {
    for needed in &task.depends_on {
        if *needed == task.id {
            let reason = format!("task {} depends on itself", name(task));
            return Err(FleetError::new(reason));
        }
        if !seen.contains_key(needed.as_str()) {
            let reason = format!("task {} depends on `{needed}`, which is not there", name(task));
            return Err(nearest(FleetError::new(reason), needed, seen));
        }
    }
    Ok(())
}

fn templates(
    tasks: &[FleetTask],
    task: &FleetTask,
    seen: &BTreeMap<&str, usize>,
) -> Result<(), FleetError> {
    let wrong = |error: FleetError| FleetError {
        reason: format!("task {}: {}", name(task), error.reason),
        ..error
    };
    for piece in pieces(&task.prompt).map_err(wrong)? {
        let Piece::Of { id, field } = piece else { continue };
        let whole = format!("{{{{task:{id}.{}}}}}", field.name());
        if id == task.id {
            return Err(wrong(FleetError::new(format!("{whole} is the task itself"))));
        }
        if !seen.contains_key(id) {
            let reason = format!("{whole} names a task that is not there");
            return Err(nearest(wrong(FleetError::new(reason)), id, seen));
        }
        if !graph::before(tasks, &task.id).contains(id) {
            let reason = format!("{whole} names a task that need not be over by then");
            let hint = format!("add `{id}` to depends_on of {}", name(task));
            return Err(wrong(FleetError::new(reason)).with_hint(hint));
        }
    }
    Ok(())
}

fn nearest(error: FleetError, id: &str, seen: &BTreeMap<&str, usize>) -> FleetError {
    match crate::config::nearest(id, seen.keys().copied()) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error,
    }
}
