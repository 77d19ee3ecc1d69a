//! Exit codes: the contract with scripts.

use std::process::ExitCode;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::EventBody;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, with an answer.
    Done = 0,
    /// It failed, or the answer was empty.
    Failed = 1,
    /// The caller's input is wrong, or names something this version does not have.
    Usage = 2,
    /// Blocked, or waits for a person.
    Blocked = 3,
    /// A limit was reached: iterations, time, spend.
    Limit = 4,
    /// Limited until a time, and the caller does not wait.
    Parked = 5,
    /// The daemon or the Copilot CLI is unavailable.
    Unavailable = 69,
    /// Not authenticated.
    Auth = 77,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The code of an error that came before or instead of a run.
pub(crate) fn of_class(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Auth => Exit::Auth,
        ErrorClass::Unavailable | ErrorClass::Overloaded => Exit::Unavailable,
        ErrorClass::Usage | ErrorClass::NotAvailable => Exit::Usage,
        ErrorClass::Cancelled => Exit::Interrupted,
        ErrorClass::Limit => Exit::Limit,
        ErrorClass::RateLimit
        | ErrorClass::Quota
        | ErrorClass::Network
        | ErrorClass::Server
        | ErrorClass::Timeout
        | ErrorClass::Client
        | ErrorClass::ContextLimit
        | ErrorClass::ContentFilter
        | ErrorClass::RuntimeDied
        | ErrorClass::SessionCorrupt
        | ErrorClass::NotFound
        | ErrorClass::Conflict
        | ErrorClass::Store
        | ErrorClass::Unknown => Exit::Failed,
    }
}

/// The code of a run's last event.
pub(crate) fn of_event(body: &EventBody) -> Exit {
    match body {
        EventBody::Done(outcome) if outcome.content.trim().is_empty() => Exit::Failed,
        EventBody::Done(_) => Exit::Done,
        // Who waits is not told of limits: the run parks. This one was not to wait.
        EventBody::Failed(ending) if ending.error.class == ErrorClass::RateLimit => Exit::Parked,
        EventBody::Failed(ending) => of_class(ending.error.class),
        EventBody::Blocked(ending) if ending.error.class == ErrorClass::Auth => Exit::Auth,
        EventBody::Blocked(_) => Exit::Blocked,
        EventBody::Exhausted(_) => Exit::Limit,
        EventBody::Cancelled(_) => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

/// What to tell of a run's last event, if it did not end well.
pub(crate) fn error_of(body: &EventBody) -> Option<ErrorInfo> {
    match body {
        EventBody::Done(outcome) if outcome.content.trim().is_empty() => {
            Some(ErrorInfo::new(ErrorClass::Unknown, "the model gave an empty answer"))
        }
        body => body.ending().map(|ending| ending.error.clone()),
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::event::{Ending, Outcome};

    use super::*;

    fn ending(class: ErrorClass) -> Ending {
        Ending { error: ErrorInfo::new(class, "x"), outcome: Outcome::default() }
    }

    #[test]
    fn a_runs_end_decides() {
        let done = |text: &str| {
            EventBody::Done(Outcome { content: text.to_owned(), ..Outcome::default() })
        };
        let cases = [
            (done("hi"), 0),
            (done(" \n"), 1),
            (EventBody::Failed(ending(ErrorClass::Server)), 1),
            (EventBody::Failed(ending(ErrorClass::RateLimit)), 5),
            (EventBody::Failed(ending(ErrorClass::Auth)), 77),
            (EventBody::Failed(ending(ErrorClass::Unavailable)), 69),
            (EventBody::Failed(ending(ErrorClass::Usage)), 2),
            (EventBody::Blocked(ending(ErrorClass::Quota)), 3),
            (EventBody::Blocked(ending(ErrorClass::Auth)), 77),
            (EventBody::Exhausted(ending(ErrorClass::Limit)), 4),
            (EventBody::Cancelled(ending(ErrorClass::Cancelled)), 130),
        ];
        for (body, code) in cases {
            assert_eq!(of_event(&body) as u8, code, "{body:?}");
            assert_eq!(error_of(&body).is_none(), code == 0, "{body:?}");
        }
    }
}
