//! What came of each task of a fleet, folded from the run's events. Pure.

use copex_proto::event::{EventBody, RunEvent, Task, Usage};
use copex_proto::run::{FleetRequest, RunState};
use serde_json::{Value, json};

use crate::render::{brief, cost, duration, table};

/// Characters of an answer in the artifact, as in Python copex.
const PREVIEW_CHARS: usize = 500;

/// Characters of the reason why a task is not done, below its row; the report has all of it.
const WHY_CHARS: usize = 160;

/// What stands in a column that has nothing for a task.
const NONE: &str = "-";

/// The tasks of a fleet as far as their events are known.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The tasks, in the order of the request.
    pub(crate) tasks: Vec<Entry>,
    /// The folder of the run.
    pub(crate) cwd: String,
    /// The branch that was checked out and has the result, and its last commit.
    finalized: Option<(String, String)>,
    /// What was said of that.
    finalize: Option<String>,
}

/// A task.
#[derive(Debug)]
pub(crate) struct Entry {
    /// How it stands.
    pub(crate) task: Task,
    /// Its last message.
    pub(crate) content: String,
    /// The branch that its changes were merged into.
    pub(crate) branch: Option<String>,
    /// The commits before and after what it changed, where it has commits of its own.
    pub(crate) changes: Option<(String, String)>,
}

impl Entry {
    fn new(task: Task) -> Self {
        Self { task, content: String::new(), branch: None, changes: None }
    }

    /// The model that answered.
    fn model(&self) -> Option<&str> {
        self.task.usage.as_ref()?.model.as_deref()
    }

    fn usage(&self) -> Usage {
        self.task.usage.clone().unwrap_or_default()
    }

    fn error(&self) -> Option<&str> {
        let bad = self.task.state.is_terminal() && self.task.state != RunState::Done;
        self.task.note.as_deref().filter(|_| bad)
    }
}

impl Tally {
    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        match &event.body {
            EventBody::Task(task) => self.task(task),
            EventBody::Artifact { file, kind } if kind == "finalized" => {
                let parts = file.rsplit_once(' ');
                self.finalized = parts.map(|(on, commit)| (on.to_owned(), commit.to_owned()));
            }
            EventBody::Artifact { file, kind } if kind == "changes" => {
                let id = event.path.as_deref().and_then(|path| path.split('/').next());
                let (Some(id), Some((from, to))) = (id, file.split_once("..")) else { return };
                let changes = Some((from.to_owned(), to.to_owned()));
                self.entry(id).changes = changes;
            }
            EventBody::Accepted(accepted) => self.cwd.clone_from(&accepted.cwd),
            EventBody::Warning { code, message } if code == "finalize" => {
                self.finalize = Some(message.clone());
            }
            EventBody::Message { text } => {
                // What a turn says that settles a merge is not the task's answer.
                if let Some(entry) = self.of(event) {
                    entry.content.clone_from(text);
                }
            }
            EventBody::Artifact { file, kind } if kind == "commit" => {
                let branch = file.rsplit_once(' ').map(|(branch, _)| branch.to_owned());
                if let Some(entry) = self.of(event) {
                    entry.branch = branch;
                }
            }
            _ => {}
        }
    }

    /// The task that an event is of; none for a turn that settles a merge.
    fn of(&mut self, event: &RunEvent) -> Option<&mut Entry> {
        let id = event.path.as_deref()?.split('/').next()?;
        (!id.contains(':')).then(|| self.entry(id))
    }

    /// A task by its id. What is told before its task is that of a run that is gone on with.
    fn entry(&mut self, id: &str) -> &mut Entry {
        let known = self.tasks.iter().position(|entry| entry.task.id == id);
        let at = known.unwrap_or_else(|| {
            self.tasks.push(Entry::new(Task { id: id.to_owned(), ..unknown() }));
            self.tasks.len() - 1
        });
        &mut self.tasks[at]
    }

    fn task(&mut self, task: &Task) {
        self.entry(&task.id).task.clone_from(task);
        self.tasks.sort_by_key(|entry| entry.task.number);
    }

    /// What became of the branch that is checked out, as Python copex tells it.
    pub(crate) fn finalize(&self, request: Option<&FleetRequest>) -> Value {
        let (on, commit) = self.finalized.clone().unzip();
        let known = request.is_some_and(|request| request.git_finalize);
        json!({
            "enabled": known || commit.is_some() || self.finalize.is_some(),
            "success": commit.is_some(),
            "message": request.and_then(|request| request.git_message.as_deref()),
            "branch": on,
            "commit_hash": commit,
            "error": self.finalize,
        })
    }

    /// Tasks in this state.
    pub(crate) fn count(&self, state: RunState) -> usize {
        self.tasks.iter().filter(|entry| entry.task.state == state).count()
    }

    /// A table for people; nothing where no task was begun. A column that nobody has anything in is left out.
    pub(crate) fn table(&self) -> String {
        if self.count(RunState::Queued) == self.tasks.len() {
            return String::new();
        }
        let head = ["task", "state", "attempts", "model", "in", "out", "spend", "time", "branch"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for entry in &self.tasks {
            let (task, usage) = (&entry.task, entry.usage());
            rows.push(vec![
                task.id.clone(),
                state(task.state),
                task.attempts.to_string(),
                entry.model().unwrap_or(NONE).to_owned(),
                usage.input_tokens.to_string(),
                usage.output_tokens.to_string(),
                cost(&usage).unwrap_or_else(|| NONE.to_owned()),
                task.duration_ms.map_or_else(|| NONE.to_owned(), duration),
                entry.branch.clone().unwrap_or_else(|| NONE.to_owned()),
            ]);
        }
        for optional in ["branch", "spend"] {
            let column = head.iter().position(|name| *name == optional);
            let unused = |at: &usize| rows.iter().skip(1).all(|row| row[*at] == NONE);
            if let Some(column) = column.filter(unused) {
                for row in &mut rows {
                    row.remove(column);
                }
            }
        }
        let table = table(&rows);
        let (head, lines) = table.split_once('\n').unwrap_or((&table, ""));
        let mut text = format!("{head}\n");
        for (line, entry) in lines.lines().zip(&self.tasks) {
            // Below, so that a narrow terminal keeps the columns.
            let why = entry.error().filter(|error| **error != state(entry.task.state));
            let why = why.map(|error| format!("  {}\n", brief(error, WHY_CHARS)));
            text.extend([line, "\n"]);
            text.extend(why);
        }
        text
    }

    /// The tasks for programs; `file` tells where an answer was written.
    pub(crate) fn json(&self, file: impl Fn(&Entry, &str) -> Option<String>) -> Vec<Value> {
        let object = |entry: &Entry| {
            let (task, usage) = (&entry.task, entry.usage());
            json!({
                "id": task.id,
                "status": state(task.state),
                "success": task.state == RunState::Done,
                "depends_on": task.depends_on,
                "model": entry.model(),
                "attempts": task.attempts,
                "duration_ms": task.duration_ms,
                "error": entry.error(),
                "tokens": usage.input_tokens + usage.output_tokens,
                "usage": {
                    "prompt_tokens": usage.input_tokens,
                    "completion_tokens": usage.output_tokens,
                    "input_tokens": usage.input_tokens,
                    "output_tokens": usage.output_tokens,
                    "cached_tokens": usage.cached_tokens,
                    "premium_requests": usage.premium_requests,
                    "estimated_cost": usage.estimated_cost,
                },
                "folder": task.folder,
                "branch": entry.branch,
                "output_file": file(entry, "md"),
                "patch_file": file(entry, "patch"),
                "changes": entry.changes.as_ref().map(|(from, to)| format!("{from}..{to}")),
                "content_preview": entry.content.chars().take(PREVIEW_CHARS).collect::<String>(),
                "content": entry.content,
            })
        };
        self.tasks.iter().map(object).collect()
    }
}

/// A task of which nothing is known yet.
fn unknown() -> Task {
    Task {
        id: String::new(),
        state: RunState::Queued,
        number: u32::MAX,
        total: 0,
        at_once: 0,
        depends_on: Vec::new(),
        note: None,
        attempts: 0,
        duration_ms: None,
        usage: None,
        folder: None,
    }
}

fn state(state: RunState) -> String {
    crate::commands::runs::state_name(state)
}

/// How something stands, behind its name.
pub(crate) fn standing(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "waits",
        RunState::Running => "is at work",
        RunState::Asking => "waits for an answer",
        RunState::Parked => "is parked",
        RunState::Done => "is done",
        RunState::Failed => "failed",
        RunState::Blocked => "is blocked",
        RunState::Exhausted => "reached a limit",
        RunState::Cancelled => "was stopped",
    }
}

/// A task's new state in a line; nothing for one that waits for its turn.
pub(crate) fn line(task: &Task) -> Option<String> {
    let Task { id, state, number, total, note, duration_ms, .. } = task;
    if *state == RunState::Queued {
        return None;
    }
    let words = standing(*state);
    let note = note.as_ref().map(|note| format!(": {}", brief(note, 200))).unwrap_or_default();
    let took = duration_ms.map(|ms| format!(" ({})", duration(ms))).unwrap_or_default();
    Some(format!("── {id} ({number} of {total}) {words}{note}{took} ──"))
}

#[cfg(test)]
mod tests {
    use copex_proto::id::RunId;

    use super::*;

    fn event(path: Option<&str>, body: EventBody) -> RunEvent {
        RunEvent { run: RunId::new(1, 1), seq: 1, at: 1, path: path.map(str::to_owned), body }
    }

    fn task(id: &str, number: u32, state: RunState) -> EventBody {
        let usage =
            Some(Usage { input_tokens: 7, model: Some("m".to_owned()), ..Usage::default() });
        let note = (state == RunState::Failed).then(|| "it broke".to_owned());
        EventBody::Task(Task { id: id.to_owned(), number, state, usage, note, ..unknown() })
    }

    #[test]
    fn what_tasks_said_and_took_is_kept_by_id() {
        let mut tally = Tally::default();
        let said = |text: &str| EventBody::Message { text: text.to_owned() };
        tally.apply(&event(Some("b"), said("kept")));
        for body in [task("a", 1, RunState::Queued), task("b", 2, RunState::Done)] {
            tally.apply(&event(None, body));
        }
        tally.apply(&event(Some("a/1"), said("first")));
        tally.apply(&event(Some("a/2"), said("second")));
        tally.apply(&event(None, task("a", 1, RunState::Failed)));
        let contents: Vec<&str> = tally.tasks.iter().map(|it| it.content.as_str()).collect();
        assert_eq!(contents, ["second", "kept"]);
        assert_eq!((tally.count(RunState::Done), tally.count(RunState::Failed)), (1, 1));
        let table = tally.table();
        assert!(table.contains("a     failed") && table.contains("\n  it broke\n"), "{table}");
        assert!(!table.contains("branch") && !table.contains("spend"), "{table}");
        let file = "copex/fleet/r 0123abc".to_owned();
        let commit = EventBody::Artifact { file, kind: "commit".to_owned() };
        tally.apply(&event(Some("b"), commit));
        let table = tally.table();
        assert!(table.lines().next().unwrap().ends_with("  branch"), "{table}");
        assert!(table.contains(" copex/fleet/r\n"), "{table}");
        let json = tally.json(|entry, end| Some(format!("{}.{end}", entry.task.id)));
        assert_eq!(
            (&json[0]["error"], &json[1]["output_file"]),
            (&json!("it broke"), &json!("b.md"))
        );
        assert_eq!(json[1]["error"], Value::Null);
    }

    #[test]
    fn a_task_in_a_line() {
        let EventBody::Task(task) = task("a", 1, RunState::Failed) else { panic!() };
        assert_eq!(line(&task).unwrap(), "── a (1 of 0) failed: it broke ──");
        assert_eq!(line(&Task { state: RunState::Queued, ..task }), None);
    }
}
