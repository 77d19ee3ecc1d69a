//! From a fleet request to its machine and to whom its tasks ask.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::fleet::template::{self, pieces};
use copex_proto::fleet::{self as wire, MOST_CONCURRENT};
use copex_proto::run::{
    self as wire_run, FleetRequest, FleetTask, OnDependencyFailure, RunOptions, SessionChoice,
};

use super::Engine;
use super::chain::{self, Chain};
use super::crew::Crew;
use super::prepare::{self, millis};
use super::registry::Live;
use crate::core::chat::ChatSpec;
use crate::core::fleet::{Field, Fleet, FleetSpec, Isolation, Landing, Merging, Piece, TaskSpec};
use crate::core::machine::Lane;
use crate::core::spend::Caps;
use crate::core::stored::Stored;
use crate::core::worktrees::Step;

/// Tasks at once when nothing else is said.
const CONCURRENT: u32 = 5;

/// How long a task may work, in seconds, when nothing else is said.
const TASK_TIMEOUT_S: f64 = 3_600.0;

/// Iterations of a task with checks when nothing else is said.
const ITERATIONS: u32 = 10;

/// Iterations of a task, at most: one that needs more is not one task.
const MOST_ITERATIONS: u32 = 1_000;

/// Failed iterations in a row that end a task.
const ERRORS: u32 = 3;

/// How long a check command may run, in seconds, when nothing else is said.
const GATE_TIMEOUT_S: f64 = 600.0;

/// How long the preparation of a worktree, or the check of a merge, may take in seconds when
/// nothing else is said.
const STEP_TIMEOUT_S: f64 = 600.0;

/// Bytes of one of these commands, and of a commit's message, at most: both are small texts.
const TEXT_BYTES: usize = 64 * 1024;

/// Commands that prepare a worktree, at most.
const MOST_SETUP: usize = 32;

/// Prompts that a commit's message names where there is none, and characters of each; as in
/// Python copex.
const NAMED: usize = 5;
const NAME_CHARS: usize = 50;

/// Bytes of what every task is told, at most: it is part of every prompt.
const SHARED_BYTES: usize = 256 * 1024;

/// Checks what only a fleet has. Looks at the disk.
///
/// # Errors
/// `Usage`, with words that name what is wrong.
pub(super) fn check(request: &FleetRequest) -> Result<(), ErrorInfo> {
    wire::check(&request.tasks).map_err(|error| {
        let info = ErrorInfo::new(ErrorClass::Usage, error.reason);
        match error.hint {
            Some(hint) => info.with_hint(hint),
            None => info,
        }
    })?;
    numbers(request).map_err(|message| ErrorInfo::new(ErrorClass::Usage, message))?;
    for task in &request.tasks {
        let wrong = |info: ErrorInfo| ErrorInfo {
            message: format!("task `{}`: {}", task.id, info.message),
            ..info
        };
        folders(task).map_err(|why| wrong(ErrorInfo::new(ErrorClass::Usage, why)))?;
        chain::links(&options(request, task)).map_err(wrong)?;
    }
    Ok(())
}

fn numbers(request: &FleetRequest) -> Result<(), String> {
    let within = |name: &str, value: Option<u32>, most: u32| match value {
        Some(value) if !(1..=most).contains(&value) => {
            Err(format!("{name} is {value}; it must be from 1 to {most}"))
        }
        _ => Ok(()),
    };
    within("max_concurrent", request.max_concurrent, MOST_CONCURRENT)?;
    within("max_iterations", request.max_iterations, MOST_ITERATIONS)?;
    let times = [
        ("task_timeout_s", request.task_timeout_s),
        ("verify_timeout_s", request.verify_timeout_s),
        ("merge_gate_timeout_s", request.merge_gate_timeout_s),
        ("setup_timeout_s", request.setup_timeout_s),
    ];
    for (name, value) in times {
        if let Some(value) = value.filter(|it| !(it.is_finite() && *it > 0.0)) {
            return Err(format!("{name} is {value}; it must be more than 0"));
        }
    }
    if request.shared_context.as_ref().is_some_and(|text| text.len() > SHARED_BYTES) {
        return Err(format!("shared_context is longer than {SHARED_BYTES} bytes"));
    }
    let limits = request.task_limits;
    for (name, value) in [("max_cost", limits.max_cost), ("max_ai_credits", limits.max_ai_credits)]
    {
        if let Some(value) = value.filter(|it| !(it.is_finite() && *it >= 0.0)) {
            return Err(format!("{name} of a task is {value}; it must be 0 or more"));
        }
    }
    texts(request)?;
    if request.options.session != SessionChoice::New {
        return Err("a fleet begins sessions of its own; it does not go on in one".to_owned());
    }
    Ok(())
}

/// Commands and messages must say something, and not too much.
fn texts(request: &FleetRequest) -> Result<(), String> {
    let setup = request.worktree_setup.iter().map(|text| ("worktree_setup", text));
    let gate = request.merge_gate.iter().map(|text| ("merge_gate", text));
    let message = request.git_message.iter().map(|text| ("git_message", text));
    for (name, text) in setup.chain(gate).chain(message) {
        if text.trim().is_empty() {
            return Err(format!("{name} is empty"));
        }
        if text.len() > TEXT_BYTES {
            return Err(format!("{name} is longer than {TEXT_BYTES} bytes"));
        }
    }
    if request.worktree_setup.len() > MOST_SETUP {
        return Err(format!("worktree_setup has more than {MOST_SETUP} commands"));
    }
    Ok(())
}

/// The folders that a task names must be there.
fn folders(task: &FleetTask) -> Result<(), String> {
    let named = task.cwd.iter().map(|it| ("cwd", it));
    for (name, folder) in named.chain(task.skills_dirs.iter().map(|it| ("skills_dirs", it))) {
        let path = Path::new(folder);
        if path.is_relative() {
            return Err(format!("{name} wants an absolute path, not {folder}"));
        }
        if !path.is_dir() {
            return Err(format!("{name}: there is no folder {folder}"));
        }
    }
    Ok(())
}

/// The options of a task: the fleet's, with what it says itself.
pub(super) fn options(request: &FleetRequest, task: &FleetTask) -> RunOptions {
    let mut options = request.options.clone();
    if task.model.is_some() {
        options.model.clone_from(&task.model);
    }
    if task.reasoning_effort.is_some() {
        options.reasoning_effort = task.reasoning_effort;
    }
    options.excluded_tools.extend(task.exclude_tools.iter().cloned());
    options.skill_directories.extend(task.skills_dirs.iter().cloned());
    if task.skills.is_some() {
        options.skills.clone_from(&task.skills);
    }
    options.mcp_servers.extend(task.mcp_servers.clone());
    options
}

/// The lane of a task's events, by its id.
pub(super) fn lane(request: &FleetRequest, id: &str) -> Option<Lane> {
    // Another turn may work for it: no id has a colon.
    let id = id.split(':').next().unwrap_or(id);
    let index = request.tasks.iter().position(|task| task.id == id)?;
    Lane::try_from(index + 1).ok()
}

impl Engine {
    /// The crew of a fleet, new or where it stood.
    ///
    /// # Errors
    /// `Usage` for what cannot work, though it was checked.
    pub(super) async fn fleet_crew(
        &self,
        request: &FleetRequest,
        (mut chat, cwd): (ChatSpec, &str),
        live: &Live,
        progress: Option<Stored>,
    ) -> Result<Crew, ErrorInfo> {
        let mut chains: BTreeMap<Lane, Arc<Chain>> = BTreeMap::new();
        // Tasks that want the same share it.
        let mut known: Vec<(RunOptions, Arc<Chain>)> = Vec::new();
        for (task, lane) in request.tasks.iter().zip(1..) {
            let options = options(request, task);
            if options == request.options {
                continue;
            }
            let same = known.iter().find(|(it, _)| *it == options).map(|(_, chain)| chain.clone());
            if let Some(chain) = same {
                chains.insert(lane, chain);
                continue;
            }
            let chain = Arc::new(self.chain(&options, live).await?);
            let warning = chain.choices.first().and_then(|first| first.warning.clone());
            chat.warnings.extend(warning.map(|text| ("effort_lowered".to_owned(), text)));
            known.push((options, chain.clone()));
            chains.insert(lane, chain);
        }
        let spec = spec(request, (chat, cwd), &chains)?;
        let fleet = match progress {
            Some(Stored::Fleet(progress)) => Fleet::restored(spec, *progress),
            _ => Fleet::new(spec),
        };
        Ok(Crew { machine: Box::new(fleet), chains })
    }
}

fn spec(
    request: &FleetRequest,
    (mut chat, cwd): (ChatSpec, &str),
    chains: &BTreeMap<Lane, Arc<Chain>>,
) -> Result<FleetSpec, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let checks: Vec<String> = request
        .tasks
        .iter()
        .filter(|task| !task.verify.is_empty())
        .map(|task| format!("{}: {}", task.id, task.verify.join(" · ")))
        .collect();
    if !checks.is_empty() {
        let message = format!("gates of the tasks: {}", checks.join(" · "));
        chat.warnings.push(("gates".to_owned(), message));
    }
    let steps = request.worktree_setup.iter().chain(&request.merge_gate);
    let steps: Vec<&str> = steps.map(String::as_str).collect();
    if !steps.is_empty() {
        let message = format!("commands for worktrees and merges: {}", steps.join(" · "));
        chat.warnings.push(("gates".to_owned(), message));
    }
    let depths = wire::depths(&request.tasks);
    let mut tasks = Vec::with_capacity(request.tasks.len());
    for ((task, lane), depth) in request.tasks.iter().zip(1..).zip(depths) {
        let own = task.cwd.as_deref().unwrap_or(cwd);
        let choices = chains.get(&lane).map_or(&chat.choices, |chain| &chain.choices);
        let timeout = task.timeout_sec.or(request.task_timeout_s);
        let depends_on = task.depends_on.iter().filter_map(|id| self::lane(request, id));
        tasks.push(TaskSpec {
            id: task.id.clone(),
            chat: ChatSpec {
                asks: format!("{}-t{lane}", chat.run),
                policy: prepare::policy(&request.options.approval, own).map_err(usage)?,
                choices: choices.clone(),
                ..chat.clone()
            },
            prompt: prompt(request, task),
            depends_on: depends_on.collect(),
            goes_on: task.on_dependency_failure == OnDependencyFailure::Continue,
            priority: task.priority,
            depth,
            timeout_ms: millis(timeout.unwrap_or(TASK_TIMEOUT_S)),
            gates: task.verify.clone(),
            gate_timeout_ms: millis(request.verify_timeout_s.unwrap_or(GATE_TIMEOUT_S)),
            max_iterations: request.max_iterations.unwrap_or(ITERATIONS),
            max_errors: ERRORS,
            folder: task.cwd.clone(),
            caps: caps(request, task),
        });
    }
    Ok(FleetSpec {
        chat,
        tasks,
        max_concurrent: request.max_concurrent.unwrap_or(CONCURRENT) as usize,
        fail_fast: request.fail_fast,
        isolation: match request.isolation {
            wire_run::Isolation::Auto => Isolation::Auto,
            wire_run::Isolation::Worktree => Isolation::Worktree,
            wire_run::Isolation::None => Isolation::None,
        },
        merging: merging(request),
        landing: request
            .git_finalize
            .then(|| Landing { message: request.git_message.clone(), fallback: title(request) }),
    })
}

fn merging(request: &FleetRequest) -> Merging {
    let ms = |seconds: Option<f64>| millis(seconds.unwrap_or(STEP_TIMEOUT_S));
    let gate = request
        .merge_gate
        .clone()
        .map(|command| Step { command, timeout_ms: ms(request.merge_gate_timeout_s) });
    let setup = match request.worktree_setup.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        // Each ends by itself: an `exit 0` of one is not the end of all.
        many => {
            let each: Vec<String> = many.iter().map(|one| format!("(\n{one}\n)")).collect();
            Some(each.join(" && "))
        }
    };
    let timeout_ms = ms(request.setup_timeout_s);
    let setup = setup.map(|command| Step { command, timeout_ms });
    Merging { setup, gate, resolve: request.resolve_conflicts }
}

/// What a task may spend by itself.
fn caps(request: &FleetRequest, task: &FleetTask) -> Caps {
    let (own, all) = (task.limits, request.task_limits);
    Caps {
        max_cost: own.max_cost.or(all.max_cost),
        max_ai_credits: own.max_ai_credits.or(all.max_ai_credits),
        max_tokens: own.max_tokens.or(all.max_tokens),
    }
}

/// What a commit of all that a fleet changed is called, as in Python copex.
fn title(request: &FleetRequest) -> String {
    let name = |task: &FleetTask| -> String {
        let line = task.prompt.split_whitespace().collect::<Vec<_>>().join(" ");
        line.chars().take(NAME_CHARS).collect()
    };
    let named: Vec<String> = request.tasks.iter().take(NAMED).map(name).collect();
    format!("fleet: {}", named.join("; "))
}

fn prompt(request: &FleetRequest, task: &FleetTask) -> Vec<Piece> {
    let shared = request.shared_context.as_ref().filter(|text| !text.trim().is_empty());
    let shared = shared.map(|text| Piece::Text(format!("{}\n\n", text.trim_end())));
    // It was checked; what could not be read would be said as it is.
    let read = pieces(&task.prompt).unwrap_or_else(|_| vec![template::Piece::Text(&task.prompt)]);
    let piece = |piece: template::Piece<'_>| match piece {
        template::Piece::Text(text) => Some(Piece::Text(text.to_owned())),
        template::Piece::Of { id, field } => Some(Piece::Of(lane(request, id)?, core(field))),
    };
    shared.into_iter().chain(read.into_iter().filter_map(piece)).collect()
}

fn core(field: template::Field) -> Field {
    match field {
        template::Field::Content => Field::Content,
        template::Field::Reasoning => Field::Reasoning,
        template::Field::Success => Field::Success,
        template::Field::Error => Field::Error,
        template::Field::DurationMs => Field::DurationMs,
        template::Field::PromptTokens => Field::PromptTokens,
        template::Field::CompletionTokens => Field::CompletionTokens,
        template::Field::TotalTokens => Field::TotalTokens,
        template::Field::Model => Field::Model,
        template::Field::Attempts => Field::Attempts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut FleetRequest)) -> String {
        let task =
            FleetTask { id: "a".to_owned(), prompt: "go".to_owned(), ..FleetTask::default() };
        let mut request = FleetRequest { tasks: vec![task], ..FleetRequest::default() };
        assert_eq!(check(&request), Ok(()));
        change(&mut request);
        check(&request).unwrap_err().message
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(refused(|it| it.tasks.clear()).contains("no task"));
        assert!(refused(|it| it.max_concurrent = Some(33)).starts_with("max_concurrent is 33"));
        assert!(refused(|it| it.max_concurrent = Some(0)).starts_with("max_concurrent is 0"));
        assert!(refused(|it| it.task_timeout_s = Some(0.0)).starts_with("task_timeout_s"));
        assert!(refused(|it| it.verify_timeout_s = Some(-1.0)).starts_with("verify_timeout_s"));
        assert!(refused(|it| it.max_iterations = Some(0)).starts_with("max_iterations"));
        assert!(refused(|it| it.options.session = SessionChoice::Continue).contains("sessions"));
        let none = refused(|it| it.tasks[0].cwd = Some("/none/of/it".to_owned()));
        assert_eq!(none, "task `a`: cwd: there is no folder /none/of/it");
        assert!(refused(|it| it.tasks[0].cwd = Some("x".to_owned())).contains("absolute"));
        let skills = refused(|it| it.tasks[0].skills_dirs = vec!["/none/of/it".to_owned()]);
        assert!(skills.contains("skills_dirs"), "{skills}");
        let model = refused(|it| it.tasks[0].model = Some("provider:x".to_owned()));
        assert!(model.starts_with("task `a`: `provider:x`"), "{model}");
    }

    #[test]
    fn a_task_has_the_fleets_options_and_its_own() {
        let task = FleetTask {
            model: Some("m".to_owned()),
            exclude_tools: vec!["bash".to_owned()],
            ..FleetTask::default()
        };
        let mut request = FleetRequest::default();
        request.options.excluded_tools = vec!["edit".to_owned()];
        let own = options(&request, &task);
        assert_eq!((own.model.as_deref(), own.excluded_tools.len()), (Some("m"), 2));
        assert_eq!(options(&request, &FleetTask::default()), request.options);
    }
}
