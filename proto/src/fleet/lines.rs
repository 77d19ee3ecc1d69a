//! Tasks line by line: JSONL, as in Python copex, or bare prompts.

use serde_json::Value;

use super::read::{Table, common, effort_of};
use super::{FleetError, FleetFile};
use crate::run::FleetTask;

/// Whether a line says nothing.
pub(super) fn skipped(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with("//")
}

/// One object for each task, on a line of its own.
pub(super) fn read(text: &str) -> Result<FleetFile, FleetError> {
    let mut file = FleetFile::default();
    for (line, number) in text.lines().zip(1..) {
        if skipped(line) {
            continue;
        }
        let what = format!("line {number}");
        let value: Value = serde_json::from_str(line)
            .map_err(|error| FleetError::new(format!("{what}: broken JSON: {error}")))?;
        let mut table = Table::new(&what, value)?;
        let id = table.text("id")?.unwrap_or_else(|| format!("jsonl-{number}"));
        let prompt = match table.text("task")? {
            Some(prompt) => Some(prompt),
            None => table.text("prompt")?,
        };
        let effort = match table.text("reasoning")? {
            Some(effort) => Some(effort),
            None => table.text("reasoning_effort")?,
        };
        let timeout = match table.number("timeout")? {
            Some(timeout) => Some(timeout),
            None => table.number("timeout_sec")?,
        };
        let task = common(&mut table)?;
        table.end()?;
        let prompt = prompt.ok_or_else(|| table.wrong("it has no `task`"))?;
        let reasoning_effort = effort.map(|it| effort_of(&table, &it)).transpose()?;
        file.tasks.push(FleetTask { id, prompt, reasoning_effort, timeout_sec: timeout, ..task });
    }
    Ok(file)
}

/// A prompt on each line.
pub(super) fn prompts(text: &str) -> FleetFile {
    let prompts = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let task = |(prompt, number): (&str, usize)| FleetTask {
        id: format!("task-{number}"),
        prompt: prompt.to_owned(),
        ..FleetTask::default()
    };
    FleetFile { tasks: prompts.zip(1..).map(task).collect(), ..FleetFile::default() }
}
