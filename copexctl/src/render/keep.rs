//! What is kept of a fleet in files: an answer for each task, and one artifact of all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use copex_proto::event::RunEvent;
use copex_proto::run::{FleetRequest, RunState};
use serde_json::{Value, json};

use crate::error::{Failure, Result};
use crate::follow::View;
use crate::render::tally::{Entry, Tally};

/// Where a fleet's results go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keep {
    /// A folder for the answers.
    pub(crate) folder: Option<PathBuf>,
    /// A file for the artifact.
    pub(crate) artifact: Option<PathBuf>,
    /// What was asked for, where that is known.
    pub(crate) request: Option<Box<FleetRequest>>,
}

impl Keep {
    /// Finds out before anything runs whether it can be written.
    pub(crate) fn prepare(&self) -> Result<()> {
        if let Some(folder) = &self.folder {
            fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        }
        let Some(artifact) = &self.artifact else { return Ok(()) };
        if artifact.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", artifact.display())));
        }
        let parent = artifact.parent().filter(|it| !it.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        tempfile::NamedTempFile::new_in(parent)
            .map(drop)
            .map_err(|error| Failure::file("write", artifact, &error))
    }

    /// The file of a task for what has this ending, where there is something for it.
    fn file(&self, entry: &Entry, ending: &str) -> Option<PathBuf> {
        let there = match ending {
            "patch" => entry.changes.is_some(),
            _ => !entry.content.is_empty(),
        };
        let folder = self.folder.as_ref().filter(|_| there)?;
        Some(folder.join(format!("{}.{ending}", entry.task.id)))
    }

    fn write(&self, tally: &Tally, last: &RunEvent) -> Result<()> {
        for entry in &tally.tasks {
            if let (Some(file), Some(changes)) = (self.file(entry, "patch"), &entry.changes) {
                patch(&file, &tally.cwd, changes)?;
            }
            if let Some(file) = self.file(entry, "md") {
                let end = if entry.content.ends_with('\n') { "" } else { "\n" };
                replace(&file, &format!("{}{end}", entry.content))?;
            }
        }
        if let Some(artifact) = &self.artifact {
            let text = serde_json::to_string_pretty(&self.artifact_of(tally, last));
            let text = text.map_err(|error| Failure::failed(error.to_string()))?;
            replace(artifact, &format!("{text}\n"))?;
        }
        Ok(())
    }

    fn artifact_of(&self, tally: &Tally, last: &RunEvent) -> Value {
        let outcome = last.body.outcome().cloned().unwrap_or_default();
        let done = tally.count(RunState::Done);
        let mut tasks =
            tally.json(|entry, end| self.file(entry, end).map(|file| file.display().to_string()));
        let request = self.request.as_deref();
        for task in &mut tasks {
            let known = request.and_then(|it| it.tasks.iter().find(|it| task["id"] == it.id));
            if let Some(known) = known {
                task["on_dependency_failure"] = json!(known.on_dependency_failure);
                task["reasoning_effort"] = json!(known.reasoning_effort);
                task["requested_model"] = json!(known.model);
            }
        }
        let seconds = std::time::Duration::from_millis(outcome.duration_ms).as_secs_f64();
        json!({
            "run": last.run,
            "created_at": crate::when::stamp(last.at),
            "summary": {
                "total_tasks": tally.tasks.len(),
                "succeeded": done,
                "failed": tally.tasks.len() - done,
                "duration_seconds": seconds,
                "prompt_tokens": outcome.usage.input_tokens,
                "completion_tokens": outcome.usage.output_tokens,
                "premium_requests": outcome.usage.premium_requests,
                "estimated_cost": outcome.usage.estimated_cost,
            },
            "run_config": request.map(|request| json!({
                "max_concurrent": request.max_concurrent,
                "fail_fast": request.fail_fast,
                "shared_context": request.shared_context,
                "timeout": request.task_timeout_s,
                "isolation": request.isolation,
                "worktree_setup": request.worktree_setup,
                "merge_gate": request.merge_gate,
                "model": request.options.model,
                "reasoning_effort": request.options.reasoning_effort,
                "cwd": request.options.cwd,
            })),
            "git_finalize": tally.finalize(request),
            "error": crate::exit::error_of(&last.body),
            "tasks": tasks,
        })
    }
}

/// Puts a text in a file's place: there is the one or the other.
fn replace(path: &Path, text: &str) -> Result<()> {
    let wrong = |error: io::Error| Failure::file("write", path, &error);
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
    io::Write::write_all(&mut beside, text.as_bytes()).map_err(wrong)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    beside.as_file().set_permissions(mode).map_err(wrong)?;
    beside.persist(path).map_err(|error| wrong(error.error))?;
    Ok(())
}

/// Writes what a task changed as a patch. It is git that knows: commits stay where they are.
fn patch(path: &Path, cwd: &str, (from, to): &(String, String)) -> Result<()> {
    let wrong = |error: io::Error| Failure::file("write", path, &error);
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
    let out = beside.as_file().try_clone().map_err(wrong)?;
    let diff = ["diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv"];
    let mut git = crate::process::command("git");
    git.current_dir(cwd).args(diff).args([from, to, "--"]);
    git.stdin(std::process::Stdio::null()).stdout(out);
    let ended = git.output().map_err(|error| {
        Failure::failed(format!("{}: git cannot be run: {error}", path.display()))
    })?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        let words = words.lines().next_back().unwrap_or("git diff failed").to_owned();
        return Err(Failure::failed(format!("{}: {words}", path.display())));
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    beside.as_file().set_permissions(mode).map_err(wrong)?;
    beside.persist(path).map_err(|error| wrong(error.error))?;
    Ok(())
}

/// A view whose run is kept in files once it has ended.
pub(crate) struct Keeping<'a> {
    keep: &'a Keep,
    view: &'a mut dyn View,
    tally: Tally,
    /// What went wrong with the files.
    pub(crate) failed: Option<Failure>,
}

impl<'a> Keeping<'a> {
    /// Nothing is known yet.
    pub(crate) fn new(keep: &'a Keep, view: &'a mut dyn View) -> Self {
        Self { keep, view, tally: Tally::default(), failed: None }
    }
}

impl View for Keeping<'_> {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.tally.apply(event);
        if event.body.is_terminal() {
            self.failed = self.keep.write(&self.tally, event).err();
        }
        self.view.event(event, raw)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.view.note(text)
    }

    fn question(&mut self, lines: &[super::styled::Line]) -> io::Result<()> {
        self.view.question(lines)
    }

    fn answered_elsewhere(&mut self) -> io::Result<()> {
        self.view.answered_elsewhere()
    }

    fn rest(&mut self) -> io::Result<Option<std::time::Duration>> {
        self.view.rest()
    }

    fn wakes(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.view.wakes()
    }

    fn suspend(&mut self) {
        self.view.suspend();
    }

    fn close(&mut self) {
        self.view.close();
    }
}
