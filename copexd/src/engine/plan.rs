//! From a plan request to its machine.

use std::path::Path;
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::run::{OnStepFailure, PlanRequest, RunOptions, SessionChoice};

use super::chain::Chain;
use super::prepare::{self, Ambient, millis};
use super::{Engine, plan_file, read_only};
use crate::core::chat::ChatSpec;
use crate::core::machine::Machine;
use crate::core::plan::{Given, OnFailure, Plan, PlanSpec};
use crate::core::stored::Stored;

/// Iterations of a step when nothing else is said.
const ITERATIONS: u32 = 10;

/// Iterations of a step, at most: one that needs more is not one step.
const MOST_ITERATIONS: u32 = 1_000;

/// Failed iterations in a row when nothing else is said.
const ERRORS: u32 = 3;

/// How long a check command may run, in seconds, when nothing else is said.
const GATE_TIMEOUT_S: f64 = 600.0;

/// Steps at work at once, at most: each has a session, and they share one folder.
const MOST_PARALLEL: u32 = 16;

/// The folder for plans whose file nobody named, in the state folder.
const FOLDER: &str = "plans";

/// Checks what only a plan has.
///
/// # Errors
/// With words that name what is wrong.
pub(super) fn check(request: &PlanRequest) -> Result<(), String> {
    let given = [request.load.is_some(), request.plan.is_some()];
    if given == [true, true] {
        return Err("load and plan do not go together".to_owned());
    }
    if request.load.is_some() && request.file.is_some() {
        return Err("load and file do not go together: a loaded plan is kept where it is".into());
    }
    for (name, path) in [("load", &request.load), ("file", &request.file)] {
        if let Some(path) = path.as_ref().filter(|path| Path::new(path).is_relative()) {
            return Err(format!("{name} wants an absolute path, not {path}"));
        }
    }
    if let Some(text) = &request.plan {
        plan_file::of_text(text).map_err(|why| format!("plan cannot be read: {why}"))?;
    }
    let within = |name: &str, value: Option<u32>, most: u32| match value {
        Some(value) if !(1..=most).contains(&value) => {
            Err(format!("{name} is {value}; it must be from 1 to {most}"))
        }
        _ => Ok(()),
    };
    within("max_iterations", request.max_iterations, MOST_ITERATIONS)?;
    within("parallel", request.parallel, MOST_PARALLEL)?;
    within("from_step", request.from_step, u32::MAX)?;
    within("max_errors", request.max_errors, u32::MAX)?;
    if let Some(timeout) = request.verify_timeout_s
        && !(timeout.is_finite() && timeout > 0.0)
    {
        return Err(format!("verify_timeout_s is {timeout}; it must be more than 0"));
    }
    if request.options.session != SessionChoice::New {
        return Err("a plan begins sessions of its own; it does not go on in one".to_owned());
    }
    Ok(())
}

/// The options for planning: nothing that changes anything is offered.
pub(super) fn draft_options(request: &PlanRequest) -> RunOptions {
    let mut options = read_only::options(&request.options, &request.plan_tools);
    if let Some(model) = &request.plan_model {
        options.model = Some(model.clone());
    }
    options
}

impl Engine {
    /// Removes plans in the state folder that nobody touched for `age`; how many. Blocks.
    pub fn retain_plans(&self, age: Duration) -> usize {
        plan_file::retain(&self.inner.ambient.state.join(FOLDER), age)
    }
}

/// The machine of a plan, new or where it stood.
///
/// # Errors
/// `Usage`, when a pattern cannot be read.
pub(super) fn machine(
    request: &PlanRequest,
    (chat, planning, cwd): (ChatSpec, &Chain, &str),
    ambient: &Ambient,
    progress: Option<Stored>,
) -> Result<Box<dyn Machine>, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let options = draft_options(request);
    let draft = ChatSpec {
        asks: format!("{}-d", chat.run),
        policy: prepare::policy(&options.approval, cwd).map_err(usage)?,
        choices: planning.choices.clone(),
        ..chat.clone()
    };
    let given = match (&request.load, &request.plan) {
        (Some(_), _) => Given::File,
        (None, Some(text)) => Given::Plan(plan_file::of_text(text).map_err(usage)?),
        (None, None) => Given::Nothing,
    };
    let named = request.load.as_ref().or(request.file.as_ref());
    let own = || ambient.state.join(FOLDER).join(format!("{}.md", chat.run));
    let file = named.cloned().unwrap_or_else(|| own().to_string_lossy().into_owned());
    let spec = PlanSpec {
        draft,
        task: request.task.clone(),
        file,
        review: request.review,
        execute: request.execute || request.review,
        trust: request.trust || given != Given::Nothing,
        given,
        from_step: request.from_step.unwrap_or(1),
        parallel: request.parallel.unwrap_or(1) as usize,
        on_failure: match request.on_failure {
            OnStepFailure::Ask => OnFailure::Ask,
            OnStepFailure::Stop => OnFailure::Stop,
        },
        commit: request.commit.then(|| format!("copex/plan/{}", chat.run)),
        max_iterations: request.max_iterations.unwrap_or(ITERATIONS),
        gate_timeout_ms: millis(request.verify_timeout_s.unwrap_or(GATE_TIMEOUT_S)),
        max_errors: request.max_errors.unwrap_or(ERRORS),
        chat,
    };
    Ok(match progress {
        Some(Stored::Plan(progress)) => Box::new(Plan::restored(spec, *progress)),
        _ => Box::new(Plan::new(spec)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut PlanRequest)) -> String {
        let mut request = PlanRequest { task: "go".to_owned(), ..PlanRequest::default() };
        assert_eq!(check(&request), Ok(()));
        change(&mut request);
        check(&request).unwrap_err()
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(refused(|it| it.load = Some("plan.md".to_owned())).starts_with("load wants"));
        assert!(refused(|it| it.file = Some("plan.md".to_owned())).starts_with("file wants"));
        assert!(refused(|it| it.plan = Some("- [ ] 1.".to_owned())).contains("line 1: "));
        assert!(refused(|it| it.max_iterations = Some(0)).starts_with("max_iterations"));
        assert!(refused(|it| it.parallel = Some(17)).starts_with("parallel is 17"));
        assert!(refused(|it| it.from_step = Some(0)).starts_with("from_step"));
        assert!(refused(|it| it.max_errors = Some(0)).starts_with("max_errors"));
        assert!(refused(|it| it.verify_timeout_s = Some(-1.0)).starts_with("verify_timeout_s"));
        assert!(refused(|it| it.options.session = SessionChoice::Continue).contains("sessions"));
        let both = refused(|it| {
            it.load = Some("/a".to_owned());
            it.file = Some("/b".to_owned());
        });
        assert!(both.contains("do not go together"), "{both}");
    }

    #[test]
    fn only_planning_is_kept_from_changing_anything() {
        let request = PlanRequest::default();
        assert!(draft_options(&request).approval.deny.contains(&"shell".to_owned()));
        assert_eq!(request.options.approval.deny, Vec::<String>::new(), "steps may do more");
    }
}
