//! The file of a plan: written whole or not at all, and read as it is.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use copex_proto::plan::{self as wire, MOST_BYTES, Plan, PlanStep};

use crate::core::plan::{Mark, Outline, Step};

/// Reads a model's answer as a plan.
pub(super) fn of_answer(task: &str, answer: &str) -> Result<Outline, String> {
    let plan = Plan::from_answer(task, answer).map_err(|error| error.to_string())?;
    Ok(outline(&plan, plan.print()))
}

/// Reads the text of a plan file.
pub(super) fn of_text(text: &str) -> Result<Outline, String> {
    let plan = Plan::read(text).map_err(|error| error.to_string())?;
    Ok(outline(&plan, text.to_owned()))
}

/// Reads a plan's file.
pub(super) async fn load(file: String) -> Result<Outline, String> {
    blocking(move || of_text(&read(Path::new(&file))?)).await
}

/// Writes a plan to its file.
pub(super) async fn write(file: String, outline: Outline) -> Result<Outline, String> {
    blocking(move || {
        let text = printed(&outline);
        replace(Path::new(&file), &text)?;
        of_text(&text)
    })
    .await
}

/// Puts a sign into the box of a step, and leaves the rest as a person made it.
pub(super) async fn mark(file: String, number: u32, mark: Mark) -> Result<Outline, String> {
    blocking(move || {
        let path = Path::new(&file);
        let text = read(path)?;
        // A broken file is nobody's to write to but the person's who broke it.
        of_text(&text)?;
        let Some(marked) = wire::mark(&text, number, wire_mark(mark)) else {
            return of_text(&text);
        };
        if marked != text {
            replace(path, &marked)?;
        }
        of_text(&marked)
    })
    .await
}

/// Removes plans from `folder` that nobody touched for `age`; how many. Blocks.
pub(super) fn retain(folder: &Path, age: Duration) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let old = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let touched = fs::metadata(path).and_then(|meta| meta.modified()).ok();
        let untouched = touched.and_then(|touched| touched.elapsed().ok());
        let plan = path.extension().is_some_and(|it| it == "md");
        plan && untouched.is_some_and(|untouched| untouched > age)
    });
    old.filter(|path| fs::remove_file(path).is_ok()).count()
}

async fn blocking<F>(work: F) -> Result<Outline, String>
where
    F: FnOnce() -> Result<Outline, String> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(format!("the file could not be worked on: {error}")))
}

fn read(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map(|meta| meta.len());
    let bytes = match size {
        Ok(size) if size > MOST_BYTES as u64 => {
            return Err(format!("it is longer than {MOST_BYTES} bytes"));
        }
        Ok(_) => fs::read(path),
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "it is not there any more".to_owned(),
        _ => error.to_string(),
    })?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// Puts a text in a file's place: after a crash there is the one or the other.
fn replace(path: &Path, text: &str) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("it cannot be written: {error}");
    // What a link points to is the file.
    let path: PathBuf = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(wrong)?;
    let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(wrong)?;
    beside.write_all(text.as_bytes()).map_err(wrong)?;
    if let Ok(meta) = fs::metadata(&path) {
        fs::set_permissions(beside.path(), meta.permissions()).map_err(wrong)?;
    }
    beside.as_file().sync_all().map_err(wrong)?;
    beside.persist(&path).map_err(|error| wrong(error.error))?;
    // The name must outlast a power cut too; where a folder cannot be opened, it may not.
    if let Ok(folder) = fs::File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// The plan's text with the signs as the machine has them.
fn printed(outline: &Outline) -> String {
    if let Ok(plan) = Plan::read(&outline.text)
        && same_steps(&plan, outline)
    {
        let mark = |text: String, step: &Step| {
            wire::mark(&text, step.number, wire_mark(step.mark)).unwrap_or(text)
        };
        return outline.steps.iter().fold(outline.text.clone(), mark);
    }
    let steps = outline.steps.iter().map(wire_step).collect();
    Plan { task: outline.task.clone(), steps }.print()
}

/// Whether they differ in their signs at most.
fn same_steps(plan: &Plan, outline: &Outline) -> bool {
    let bare = |step: &PlanStep| PlanStep { mark: wire::Mark::Open, ..step.clone() };
    let ours: Vec<PlanStep> = outline.steps.iter().map(wire_step).map(|it| bare(&it)).collect();
    plan.task == outline.task && plan.steps.iter().map(bare).eq(ours)
}

fn outline(plan: &Plan, text: String) -> Outline {
    let steps = plan.steps.iter().map(|step| Step {
        number: step.number,
        title: step.title.clone(),
        detail: step.detail.clone(),
        depends_on: step.depends_on.clone(),
        verify: step.verify.clone(),
        mark: match step.mark {
            wire::Mark::Open => Mark::Open,
            wire::Mark::Done => Mark::Done,
            wire::Mark::Failed => Mark::Failed,
            wire::Mark::Skipped => Mark::Skipped,
        },
    });
    Outline { task: plan.task.clone(), steps: steps.collect(), text }
}

fn wire_step(step: &Step) -> PlanStep {
    PlanStep {
        number: step.number,
        title: step.title.clone(),
        detail: step.detail.clone(),
        depends_on: step.depends_on.clone(),
        verify: step.verify.clone(),
        mark: wire_mark(step.mark),
    }
}

fn wire_mark(mark: Mark) -> wire::Mark {
    match mark {
        Mark::Open => wire::Mark::Open,
        Mark::Done => wire::Mark::Done,
        Mark::Failed => wire::Mark::Failed,
        Mark::Skipped => wire::Mark::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "# Plan\n\ngo\n\n* [ ] 1) one\n* [ ] 2) two\n  needs: 1\n";

    #[tokio::test]
    async fn a_box_is_ticked_in_the_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/plan.md");
        let file = path.display().to_string();
        assert_eq!(load(file.clone()).await, Err("it is not there any more".to_owned()));
        let written = write(file.clone(), of_text(PLAN).unwrap()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), PLAN, "a person's form stays");
        let marked = mark(file.clone(), 2, Mark::Done).await.unwrap();
        assert_eq!(marked.steps[1].mark, Mark::Done);
        assert_eq!(marked.text, PLAN.replace("[ ] 2)", "[x] 2)"));
        assert_eq!(mark(file.clone(), 7, Mark::Done).await, Ok(marked.clone()), "not in there");
        assert_eq!(load(file.clone()).await, Ok(marked));
        assert_eq!(write(file.clone(), written).await.unwrap().text, PLAN, "marks are taken back");
    }

    #[tokio::test]
    async fn a_broken_file_is_left_alone_and_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.md");
        let file = path.display().to_string();
        fs::write(&path, "- [?] 1. one\n").unwrap();
        let wrong = mark(file.clone(), 1, Mark::Done).await.unwrap_err();
        assert!(wrong.starts_with("line 1: "), "{wrong}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "- [?] 1. one\n");
        fs::write(&path, b"- [ ] 1. \xff\n").unwrap();
        assert_eq!(load(file).await, Err("it is not UTF-8".to_owned()));
    }

    #[test]
    fn plans_that_nobody_touches_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (plan, other) = (folder.path().join("a.md"), folder.path().join("a.txt"));
        fs::write(&plan, PLAN).unwrap();
        fs::write(&other, PLAN).unwrap();
        assert_eq!(retain(folder.path(), Duration::from_hours(1)), 0);
        let long_ago = std::time::SystemTime::UNIX_EPOCH;
        for path in [&plan, &other] {
            fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
        }
        assert_eq!(retain(folder.path(), Duration::from_hours(1)), 1);
        assert!(!plan.exists() && other.exists());
        assert_eq!(retain(&folder.path().join("none"), Duration::ZERO), 0);
    }

    #[tokio::test]
    async fn a_plan_that_was_changed_is_printed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plan.md").display().to_string();
        let mut plan = of_text(PLAN).unwrap();
        plan.steps[0].title = "first".to_owned();
        let written = write(file, plan).await.unwrap();
        assert_eq!(written.steps[0].title, "first");
        assert!(written.text.contains("- [ ] **1. first**\n"), "{}", written.text);
    }
}
