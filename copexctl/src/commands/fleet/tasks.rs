//! Where the tasks of a fleet come from.

use std::fs;
use std::path::Path;

use copex_proto::fleet::{FleetError, FleetFile, Format, read};
use copex_proto::run::FleetTask;

use crate::cli::FleetFlags;
use crate::error::{Failure, Result};
use crate::process;
use crate::prompt;
use crate::settings::Settings;

/// What stands for an item in a template.
const ITEM: &str = "{item}";

/// The tasks, and where they are from in words.
pub(super) fn gather(
    prompts: &[String],
    flags: &FleetFlags,
    stdin: bool,
    settings: &Settings,
) -> Result<(String, FleetFile)> {
    if let Some(command) = &flags.discover {
        return discover(command, flags, &settings.cwd);
    }
    let piped = flags.file.as_deref() == Some(Path::new("-"));
    if let Some(path) = flags.file.as_deref().filter(|_| !piped) {
        let bytes = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        let whence = path.display().to_string();
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::usage(format!("{whence}: it is not UTF-8")))?;
        return parse(whence, &text);
    }
    if piped || stdin || prompts.is_empty() {
        if stdin && !prompts.is_empty() {
            return Err(Failure::usage("--stdin and prompts do not go together"));
        }
        let text = prompt::stdin_alone("no tasks: give prompts or --file, or pipe them in")?;
        return parse("stdin".to_owned(), &text);
    }
    let task = |(prompt, number): (&String, usize)| FleetTask {
        id: format!("task-{number}"),
        prompt: prompt.clone(),
        ..FleetTask::default()
    };
    let tasks = prompts.iter().zip(1..).map(task).collect();
    Ok(("the tasks".to_owned(), FleetFile { tasks, ..FleetFile::default() }))
}

fn parse(whence: String, text: &str) -> Result<(String, FleetFile)> {
    let file = read(text, Format::of(&whence, text)).map_err(|e| super::wrong(&whence, e))?;
    Ok((whence, file))
}

/// A task for each item, or for some, that a command prints.
fn discover(command: &str, flags: &FleetFlags, cwd: &Path) -> Result<(String, FleetFile)> {
    let whence = format!("--discover `{command}`");
    let wrong = |words: String| Failure::usage(format!("{whence}: {words}"));
    let template = flags.template.as_deref().unwrap_or(ITEM);
    if !template.contains(ITEM) {
        return Err(Failure::usage(format!("--template has no {ITEM} in it"))
            .with_hint("for example --template \"Fix the warnings in {item}\""));
    }
    let size = flags.batch_size.unwrap_or(1);
    if size == 0 {
        return Err(Failure::usage("--batch-size is 0; it must be 1 or more"));
    }
    let output = process::output(command, cwd).map_err(wrong)?;
    let items: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if items.is_empty() {
        return Err(wrong("it printed nothing; there is nothing to do".to_owned()));
    }
    let task = |(items, number): (&[&str], usize)| FleetTask {
        id: format!("task-{number}"),
        prompt: template.replace(ITEM, &items.join("\n")),
        ..FleetTask::default()
    };
    let tasks = items.chunks(size).zip(1..).map(task).collect();
    Ok((whence, FleetFile { tasks, ..FleetFile::default() }))
}

/// Puts in what the flags say for all, and makes paths absolute. They start at the folder
/// that the run works in.
pub(super) fn complete(tasks: &mut [FleetTask], flags: &FleetFlags, cwd: &Path) -> Result<()> {
    for task in tasks {
        if task.verify.is_empty() {
            task.verify.clone_from(&flags.verify);
        }
        for path in task.cwd.iter_mut().chain(&mut task.skills_dirs) {
            let whole = cwd.join(&*path);
            let text = whole.to_str().map(str::to_owned);
            *path = text.ok_or_else(|| Failure::usage(format!("the path {path} is not UTF-8")))?;
        }
    }
    Ok(())
}

/// The folders that tasks name must be there.
pub(super) fn check_folders(tasks: &[FleetTask]) -> std::result::Result<(), FleetError> {
    for task in tasks {
        let cwd = task.cwd.iter().map(|folder| ("cwd", folder));
        let skills = task.skills_dirs.iter().map(|folder| ("skills_dirs", folder));
        if let Some((name, folder)) = cwd.chain(skills).find(|(_, it)| !Path::new(it).is_dir()) {
            return Err(FleetError {
                reason: format!("task `{}`: {name}: there is no folder {folder}", task.id),
                hint: None,
            });
        }
    }
    Ok(())
}
