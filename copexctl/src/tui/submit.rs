//! A draft becomes a complete request, as the command of its mode would make it.

use copex_proto::fleet;
use copex_proto::run::{CouncilRequest, FleetRequest, FleetTask, Mode, PlanRequest, RunRequest};

use super::model::form::Draft;
use crate::cli::{ChatFlags, LoopFlags};
use crate::commands::chat;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::request;

/// Members of a council, at least.
const LEAST_MEMBERS: usize = 2;

/// The request. Files and environment are read anew: what was changed meanwhile holds.
pub(crate) fn request(ctx: &Context, flags: &ChatFlags, draft: &Draft) -> Result<RunRequest> {
    let mut flags = flags.clone();
    flags.turn.model.clone_from(&draft.model);
    flags.turn.reasoning = draft.effort.map(|effort| effort.as_str().to_owned());
    let settings = chat::settle(&mut ctx.clone(), &flags)?;
    let checks: Vec<String> = draft.check.iter().cloned().collect();
    let prompt = draft.prompt.clone();
    let options = || request::options(ctx, &settings, &flags);
    match draft.mode {
        Mode::Chat => request::chat(ctx, &settings, &flags, prompt),
        Mode::Ralph => {
            let of_loop = LoopFlags { verify: checks, ..LoopFlags::default() };
            request::ralph(ctx, &settings, (of_loop, &flags), prompt)
        }
        Mode::Plan => Ok(RunRequest::Plan(PlanRequest {
            task: prompt,
            review: true,
            options: options()?,
            ..PlanRequest::default()
        })),
        Mode::Fleet => {
            let tasks = tasks(&prompt, &checks);
            fleet::check(&tasks).map_err(|error| Failure::usage(error.reason))?;
            Ok(RunRequest::Fleet(FleetRequest {
                tasks,
                options: options()?,
                ..FleetRequest::default()
            }))
        }
        Mode::Council => {
            let members = settings.config.council_members.clone();
            if members.len() < LEAST_MEMBERS {
                return Err(Failure::usage("a council needs two members at least")
                    .with_hint("copexctl config set council.members '[\"MODEL\", \"MODEL\"]'"));
            }
            Ok(RunRequest::Council(CouncilRequest {
                task: prompt,
                members,
                chair: settings.config.council_chair.clone(),
                options: options()?,
                ..CouncilRequest::default()
            }))
        }
    }
}

/// A task in each line that says something.
fn tasks(prompt: &str, checks: &[String]) -> Vec<FleetTask> {
    let lines = prompt.lines().map(str::trim).filter(|line| !line.is_empty());
    let task = |(line, number): (&str, usize)| FleetTask {
        id: format!("task-{number}"),
        prompt: line.to_owned(),
        verify: checks.to_vec(),
        ..FleetTask::default()
    };
    lines.zip(1..).map(task).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_fleet_is_a_task() {
        let tasks = tasks("paint the door\n\n  oil the gate ", &["make".to_owned()]);
        let told: Vec<_> = tasks.iter().map(|it| (it.id.as_str(), it.prompt.as_str())).collect();
        assert_eq!(told, [("task-1", "paint the door"), ("task-2", "oil the gate")]);
        assert_eq!(tasks[1].verify, ["make"]);
    }
}
