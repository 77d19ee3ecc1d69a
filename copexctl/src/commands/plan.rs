//! `plan`: a task becomes steps, and the steps are carried out.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use copex_proto::plan::{Drawing, Plan, waves};
use copex_proto::run::{Mode, OnStepFailure, PlanRequest, RunRequest};
use serde_json::json;

use crate::cli::{ChatFlags, PlanArgs, PlanFlags};
use crate::commands::{again, chat};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::{render, request};

/// Makes a plan, shows it, and carries it out.
pub(crate) fn run(mut ctx: Context, args: PlanArgs) -> Result<Exit> {
    let PlanArgs { task, resume, flags: of_plan, mut turn } = args;
    turn.output.drawing = of_plan.visualize;
    if let Some(wanted) = resume {
        return again::run(&ctx, Mode::Plan, &wanted, &turn);
    }
    // Python copex: never executes.
    let dry_run = std::mem::take(&mut turn.approval.dry_run);
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", "the working folder".as_ref(), &error))?;
    let output = turn.output.output.take().map(|file| here.join(file));
    let loaded = of_plan.load.as_deref().map(|file| load(&here.join(file))).transpose()?;
    let execute = (of_plan.execute || of_plan.review) && !dry_run;
    if let (Some(loaded), false) = (&loaded, execute) {
        return show(&loaded.plan, (&turn.output, dry_run), &of_plan);
    }
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let settings = chat::settle(&mut ctx, &flags)?;
    let task = match &loaded {
        Some(loaded) => loaded.plan.task.clone(),
        None => chat::prompt(task.as_deref(), &flags, &here)?,
    };
    let person = io::stdin().is_terminal() && io::stderr().is_terminal();
    let unattended = !person && !flags.turn.detach;
    let on_failure = of_plan.on_failure.map(OnStepFailure::from);
    let (load, plan) = match loaded {
        Some(Loaded { file, python: false, .. }) => (Some(file.display().to_string()), None),
        Some(Loaded { plan, .. }) => (None, Some(plan.print())),
        None => (None, None),
    };
    let file = output.map(|file| file.display().to_string());
    if let (Some(load), Some(file)) = (&load, &file) {
        return Err(Failure::usage(format!("{load} is kept where it is, and not in {file}"))
            .with_hint("leave --output out, or copy the plan first"));
    }
    let request = PlanRequest {
        task,
        execute: execute && !of_plan.review,
        review: of_plan.review && execute,
        load,
        plan,
        file,
        from_step: of_plan.from_step,
        max_iterations: of_plan.max_iterations,
        verify_timeout_s: of_plan.verify_timeout,
        max_errors: of_plan.max_errors,
        parallel: of_plan.parallel,
        plan_model: of_plan.plan_model,
        plan_tools: of_plan.plan_tool,
        trust: of_plan.trust_plan,
        commit: of_plan.commit,
        on_failure: on_failure.unwrap_or(if unattended {
            OnStepFailure::Stop
        } else {
            OnStepFailure::Ask
        }),
        options: request::options(&ctx, &settings, &flags)?,
    };
    chat::launch(&ctx, &RunRequest::Plan(request), &settings, &flags)
}

/// A plan that was given as a file.
struct Loaded {
    file: PathBuf,
    plan: Plan,
    /// Whether it is one of Python copex's, which we do not write to.
    python: bool,
}

fn load(file: &Path) -> Result<Loaded> {
    let bytes = fs::read(file).map_err(|error| Failure::file("read", file, &error))?;
    let wrong =
        |why: &dyn std::fmt::Display| Failure::usage(format!("the plan {}: {why}", file.display()));
    let text = String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8"))?;
    let python = text.trim_start().starts_with('{');
    let plan = if python { Plan::from_python(&text) } else { Plan::read(&text) };
    let plan = plan.map_err(|error| wrong(&error))?;
    let file = fs::canonicalize(file).map_err(|error| Failure::file("read", file, &error))?;
    Ok(Loaded { file, plan, python })
}

/// Shows a plan that is there already. No daemon is needed for it.
fn show(
    plan: &Plan,
    (output, dry_run): (&crate::cli::OutputFlags, bool),
    flags: &PlanFlags,
) -> Result<Exit> {
    if output.json || output.jsonl {
        render::value(&json!({ "content": plan.print(), "plan": plan }))?;
        return Ok(Exit::Done);
    }
    render::text(picture(plan, flags.visualize).as_bytes())?;
    if dry_run {
        for line in order(plan, flags) {
            render::note(&line);
        }
    }
    Ok(Exit::Done)
}

/// The plan as it is shown.
fn picture(plan: &Plan, drawing: Option<Drawing>) -> String {
    drawing.map_or_else(|| plan.print(), |drawing| plan.draw(drawing))
}

/// What carrying it out would do.
fn order(plan: &Plan, flags: &PlanFlags) -> Vec<String> {
    let from = flags.from_step.unwrap_or(1);
    let open: Vec<_> = plan
        .steps
        .iter()
        .filter(|step| !step.mark.settled() && step.number >= from)
        .cloned()
        .map(|mut step| {
            step.depends_on.retain(|needed| {
                *needed >= from && plan.step(*needed).is_some_and(|it| !it.mark.settled())
            });
            step
        })
        .collect();
    if open.is_empty() {
        return vec!["nothing is left to do".to_owned()];
    }
    let wide = flags.parallel.unwrap_or(1).max(1) as usize;
    let mut lines = vec![format!("{} steps would be carried out, in this order:", open.len())];
    for wave in waves(&open) {
        for some in wave.chunks(wide) {
            let numbers: Vec<String> = some.iter().map(u32::to_string).collect();
            lines.push(format!("  {}", numbers.join(", ")));
        }
    }
    for step in open.iter().filter(|step| !step.verify.is_empty()) {
        lines.push(format!("gates of step {}: {}", step.number, step.verify.join(" · ")));
    }
    lines
}
