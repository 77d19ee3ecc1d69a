//! `fleet`: many tasks side by side, in the order that their dependencies leave.

mod clean;
mod tasks;

use std::fmt::Write as _;

use copex_proto::fleet::{self, FleetError, FleetFile};
use copex_proto::run::{FleetRequest, FleetTask, Isolation, Mode, RunRequest};
use copex_proto::spend::SpendLimits;
use serde_json::{Value, json};

use crate::cli::{ChatFlags, FleetArgs, FleetCommand, FleetFlags};
use crate::commands::{again, chat};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::keep::Keep;
use crate::render::{self, brief};
use crate::settings::Settings;
use crate::{request, snapshot};

/// Tasks at once when nothing else is said; the daemon's default.
const CONCURRENT: u32 = 5;

/// Starts the fleet, or does what one left undone, and shows how it goes.
pub(crate) fn run(mut ctx: Context, args: FleetArgs) -> Result<Exit> {
    let FleetArgs { command, prompts, resume, rerun_failed, flags: of_fleet, mut turn } = args;
    if let Some(FleetCommand::Clean(args)) = command {
        return clean::run(&ctx, &args);
    }
    if let Some((flag, way)) = of_fleet.another() {
        return Err(Failure::usage(format!("fleet has no {flag}")).with_hint(way));
    }
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", "the working folder".as_ref(), &error))?;
    let absolute = |path: std::path::PathBuf| here.join(path);
    let mut keep = Keep {
        folder: turn.output.output.take().map(absolute),
        artifact: of_fleet.artifact.clone().map(absolute),
        request: None,
    };
    let wanted = keep.folder.is_some() || keep.artifact.is_some();
    if wanted && turn.detach {
        return Err(Failure::usage("--detach does not go with --output-dir or --artifact")
            .with_hint("fetch the results with `copexctl runs attach RUN --json`"));
    }
    if let Some(run) = resume {
        if wanted {
            keep.prepare()?;
            turn.output.keep = Some(keep);
        }
        return again::run_anew(&ctx, (Mode::Fleet, rerun_failed), &run, &turn);
    }
    if rerun_failed {
        return Err(Failure::usage(
            "--rerun-failed goes with --resume: it is about a fleet that ended",
        )
        .with_hint("copexctl fleet --resume [RUN] --rerun-failed"));
    }
    let dry_run = std::mem::take(&mut turn.approval.dry_run);
    // Here it is the time of a task, as in Python copex.
    let task_timeout = turn.timeout.take();
    let mut flags = ChatFlags { turn, ..ChatFlags::default() };
    let settings = chat::settle(&mut ctx, &flags)?;
    let (whence, mut file) = tasks::gather(&prompts, &of_fleet, flags.turn.stdin, &settings)?;
    tasks::complete(&mut file.tasks, &of_fleet, &settings.cwd)?;
    fleet::check(&file.tasks).map_err(|error| wrong(&whence, error))?;
    tasks::check_folders(&file.tasks).map_err(|words| wrong(&whence, words))?;
    let mut options = request::options(&ctx, &settings, &flags)?;
    for task in &file.tasks {
        options.secrets.extend(snapshot::referenced(&ctx.env, &task.mcp_servers));
    }
    let request = request_of(file, (&of_fleet, task_timeout), &settings, options)?;
    if dry_run {
        return show(&request, &flags);
    }
    if wanted {
        keep.prepare()?;
        keep.request = Some(Box::new(request.clone()));
        flags.turn.output.keep = Some(keep);
    }
    chat::launch(&ctx, &RunRequest::Fleet(request), &settings, &flags)
}

fn wrong(whence: &str, error: FleetError) -> Failure {
    let failure = Failure::usage(format!("{whence}: {}", error.reason));
    match error.hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// The request: flags before the file, the file before the configuration.
fn request_of(
    file: FleetFile,
    (flags, timeout): (&FleetFlags, Option<f64>),
    settings: &Settings,
    options: copex_proto::run::RunOptions,
) -> Result<FleetRequest> {
    let key = |name: &str| settings.merged.entry(name).map(|entry| entry.value.clone());
    let wide = key("fleet.max_concurrent").and_then(|it| it.as_u64());
    let named = key("fleet.isolation").and_then(|it| serde_json::from_value(it).ok());
    let isolation = if flags.worktree {
        Isolation::Worktree
    } else {
        flags.isolation.map(Isolation::from).or(named).unwrap_or_default()
    };
    let max_concurrent = flags.max_concurrent.or(file.max_concurrent);
    let max_concurrent = max_concurrent.or_else(|| wide.and_then(|it| u32::try_from(it).ok()));
    if let Some(wide) = max_concurrent.filter(|it| !(1..=fleet::MOST_CONCURRENT).contains(it)) {
        let most = fleet::MOST_CONCURRENT;
        return Err(Failure::usage(format!("max_concurrent is {wide}; it is from 1 to {most}")));
    }
    let by_key = || key("fleet.fail_fast").and_then(|it| it.as_bool()).unwrap_or_default();
    let task_timeout_s =
        timeout.or(file.timeout).or_else(|| key("fleet.timeout").and_then(|it| it.as_f64()));
    if let Some(timeout) = task_timeout_s.filter(|it| !(it.is_finite() && *it > 0.0)) {
        return Err(Failure::usage(format!("the timeout is {timeout}; it must be more than 0")));
    }
    let text = |name: &str| key(name).and_then(|it| it.as_str().map(str::to_owned));
    let number = |name: &str| key(name).and_then(|it| it.as_f64());
    let setup = if flags.no_worktree_setup {
        Vec::new()
    } else if flags.worktree_setup.is_empty() {
        let by_key = key("fleet.worktree_setup").and_then(|it| serde_json::from_value(it).ok());
        file.worktree_setup.or(by_key).unwrap_or_default()
    } else {
        flags.worktree_setup.clone()
    };
    Ok(FleetRequest {
        tasks: file.tasks,
        max_concurrent,
        fail_fast: flags.fail_fast || file.fail_fast.unwrap_or_else(by_key),
        shared_context: flags.shared_context.clone().or(file.shared_context),
        task_timeout_s,
        max_iterations: flags.max_iterations,
        verify_timeout_s: flags.verify_timeout,
        isolation,
        git_finalize: flags.git_finalize || flags.git_message.is_some(),
        git_message: flags.git_message.clone(),
        merge_gate: flags
            .merge_gate
            .clone()
            .or(file.merge_gate)
            .or_else(|| text("fleet.merge_gate")),
        merge_gate_timeout_s: flags
            .merge_gate_timeout
            .or_else(|| number("fleet.merge_gate_timeout")),
        worktree_setup: setup,
        resolve_conflicts: flags.resolve_conflicts || file.resolve_conflicts.unwrap_or(false),
        task_limits: SpendLimits {
            max_cost: flags.task_max_cost,
            max_ai_credits: flags.task_max_ai_credits,
            max_tokens: flags.task_max_tokens,
        },
        setup_timeout_s: flags.setup_timeout.or_else(|| number("fleet.setup_timeout")),
        options,
    })
}

/// What would be done. No daemon is needed for it.
fn show(request: &FleetRequest, flags: &ChatFlags) -> Result<Exit> {
    let waves = fleet::waves(&request.tasks);
    let output = &flags.turn.output;
    if output.json || output.jsonl {
        let id = |index: &usize| Value::from(request.tasks[*index].id.as_str());
        let waves: Vec<Vec<Value>> =
            waves.iter().map(|wave| wave.iter().map(id).collect()).collect();
        render::value(&json!({
            "tasks": request.tasks,
            "waves": waves,
            "max_concurrent": request.max_concurrent.unwrap_or(CONCURRENT),
            "isolation": request.isolation,
            "worktree_setup": request.worktree_setup,
            "merge_gate": request.merge_gate,
            "resolve_conflicts": request.resolve_conflicts,
            "git_finalize": request.git_finalize,
            "git_message": request.git_message,
        }))?;
        return Ok(Exit::Done);
    }
    let many = if request.tasks.len() == 1 { "task" } else { "tasks" };
    let mut text = format!(
        "{} {many} in {} {}, {} at once at most, isolation {}\n",
        request.tasks.len(),
        waves.len(),
        if waves.len() == 1 { "wave" } else { "waves" },
        request.max_concurrent.unwrap_or(CONCURRENT),
        serde_json::to_value(request.isolation).unwrap_or_default().as_str().unwrap_or_default(),
    );
    text.push_str(&around(request));
    for (wave, number) in waves.iter().zip(1..) {
        // A String takes every write.
        let _ = write!(text, "\nwave {number}\n");
        let rows: Vec<Vec<String>> =
            wave.iter().map(|index| row(request, &request.tasks[*index])).collect();
        text.push_str(&render::table(&rows));
    }
    render::text(text.as_bytes())?;
    Ok(Exit::Done)
}

/// A prompt of several lines, such as one for several items, in one.
fn one_line(prompt: &str) -> String {
    prompt.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is done before, between and after the tasks, a line for each.
fn around(request: &FleetRequest) -> String {
    let mut text = String::new();
    let mut say = |what: &str, how: &str| {
        // A String takes every write.
        let _ = writeln!(text, "{what}: {}", brief(how, 100));
    };
    if !request.worktree_setup.is_empty() {
        say("each worktree is prepared by", &request.worktree_setup.join(" · "));
    }
    if let Some(gate) = &request.merge_gate {
        say("a merge counts when this exits with 0", gate);
    }
    if request.resolve_conflicts {
        say("what does not fit", "a further turn settles it");
    }
    if request.git_finalize {
        let how = request.git_message.as_deref().unwrap_or("a fast-forward or one commit");
        say("at the end the branch that is checked out gets it", how);
    }
    text
}

fn row(request: &FleetRequest, task: &FleetTask) -> Vec<String> {
    let after = task.depends_on.join(", ");
    let after = if after.is_empty() { "-".to_owned() } else { format!("after {after}") };
    let model = task.model.as_ref().or(request.options.model.as_ref());
    let mut about = Vec::new();
    about.extend(task.cwd.as_ref().map(|cwd| format!("in {cwd}")));
    about.extend(task.timeout_sec.map(|seconds| format!("{seconds} s")));
    if !task.verify.is_empty() {
        about.push(format!("check {}", task.verify.join(" · ")));
    }
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    vec![
        format!("  {}", task.id),
        after,
        model.map_or("default model", String::as_str).to_owned(),
        format!("{}{about}", brief(&one_line(&task.prompt), 60)),
    ]
}
