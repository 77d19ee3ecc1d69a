//! From a ralph request to its machine.

use copex_proto::run::{RalphContext, RalphRequest, SessionChoice};

use super::prepare::millis;
use crate::core::chat::ChatSpec;
use crate::core::machine::Machine;
use crate::core::ralph::{Context, Ralph, RalphSpec};
use crate::core::stored::Stored;

/// Iterations when nothing else is said.
const ITERATIONS: u32 = 30;

/// Iterations, at most: a loop that needs more is not getting anywhere.
const MOST_ITERATIONS: u32 = 10_000;

/// Failed iterations in a row when nothing else is said.
const ERRORS: u32 = 3;

/// How long a gate may run, in seconds, when nothing else is said.
const GATE_TIMEOUT_S: f64 = 600.0;

/// Gates of a loop, at most: each of them runs after each iteration.
const MOST_GATES: usize = 32;

/// Bytes of a promise or a gate command, at most. They are part of every prompt.
const MOST_BYTES: usize = 4 * 1024;

/// Checks what only a loop has.
///
/// # Errors
/// With words that name what is wrong.
pub(super) fn check(request: &RalphRequest) -> Result<(), String> {
    let iterations = request.max_iterations.unwrap_or(ITERATIONS);
    if !(1..=MOST_ITERATIONS).contains(&iterations) {
        return Err(format!(
            "max_iterations is {iterations}; it must be from 1 to {MOST_ITERATIONS}"
        ));
    }
    if request.max_errors == Some(0) {
        return Err("max_errors is 0; it must be 1 or more".to_owned());
    }
    if request.context == RalphContext::FreshEvery(0) {
        return Err("fresh_every is 0; it must be 1 or more".to_owned());
    }
    if request.context != RalphContext::Same && request.options.session != SessionChoice::New {
        return Err("a session to go on in goes with the context `same` only".to_owned());
    }
    if let Some(timeout) = request.verify_timeout_s
        && !(timeout.is_finite() && timeout > 0.0)
    {
        return Err(format!("verify_timeout_s is {timeout}; it must be more than 0"));
    }
    if let Some(delay) = request.delay_s
        && !(delay.is_finite() && delay >= 0.0)
    {
        return Err(format!("delay_s is {delay}; it must be 0 or more"));
    }
    if request.verify.len() > MOST_GATES {
        return Err(format!("verify has {} commands; {MOST_GATES} at most", request.verify.len()));
    }
    let promise = request.promise.iter().map(|promise| ("promise", promise));
    let gates = request.verify.iter().map(|command| ("verify", command));
    for (name, text) in promise.chain(gates) {
        if text.trim().is_empty() {
            return Err(format!("{name} is empty"));
        }
        if text.len() > MOST_BYTES {
            return Err(format!("{name} has {} bytes; {MOST_BYTES} at most", text.len()));
        }
    }
    if request.promise.as_ref().is_some_and(|promise| promise.contains('<')) {
        return Err("promise holds a `<`: give the text alone, without the tag".to_owned());
    }
    Ok(())
}

/// The machine of a loop, new or where it stood.
pub(super) fn machine(
    request: &RalphRequest,
    mut chat: ChatSpec,
    progress: Option<Stored>,
) -> Box<dyn Machine> {
    if !request.verify.is_empty() {
        let message = format!("gates after each iteration: {}", request.verify.join(" · "));
        chat.warnings.push(("gates".to_owned(), message));
    }
    let branch = format!("copex/ralph/{}", chat.run);
    let spec = RalphSpec {
        chat,
        task: request.prompt.clone(),
        promise: request.promise.clone(),
        gates: request.verify.clone(),
        gate_timeout_ms: millis(request.verify_timeout_s.unwrap_or(GATE_TIMEOUT_S)),
        max_iterations: request.max_iterations.unwrap_or(ITERATIONS),
        context: match request.context {
            RalphContext::Same => Context::Same,
            RalphContext::Fresh => Context::Fresh,
            RalphContext::FreshEvery(many) => Context::FreshEvery(many),
        },
        max_errors: request.max_errors.unwrap_or(ERRORS),
        delay_ms: millis(request.delay_s.unwrap_or_default()),
        commit: request.commit.then_some(branch),
        pause: request.pause,
    };
    match progress {
        Some(Stored::Ralph(progress)) => Box::new(Ralph::restored(spec, *progress)),
        _ => Box::new(Ralph::new(spec)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut RalphRequest)) -> String {
        let mut request = RalphRequest { prompt: "go".to_owned(), ..RalphRequest::default() };
        assert_eq!(check(&request), Ok(()));
        change(&mut request);
        check(&request).unwrap_err()
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(refused(|it| it.max_iterations = Some(0)).starts_with("max_iterations"));
        assert!(refused(|it| it.max_errors = Some(0)).starts_with("max_errors"));
        assert!(refused(|it| it.verify_timeout_s = Some(0.0)).starts_with("verify_timeout_s"));
        assert!(refused(|it| it.delay_s = Some(f64::NAN)).starts_with("delay_s"));
        assert!(refused(|it| it.verify = vec![" ".to_owned()]).starts_with("verify is empty"));
        assert!(refused(|it| it.verify = vec!["x".to_owned(); 33]).starts_with("verify has 33"));
        assert!(refused(|it| it.promise = Some(String::new())).starts_with("promise is empty"));
        assert!(refused(|it| it.promise = Some("<x>".to_owned())).contains("without the tag"));
        assert!(refused(|it| it.context = RalphContext::FreshEvery(0)).starts_with("fresh_every"));
        let both = refused(|it| {
            it.context = RalphContext::Fresh;
            it.options.session = SessionChoice::Continue;
        });
        assert!(both.contains("`same`"), "{both}");
    }
}
