//! What goes wrong before or instead of a run: words, a way out, an exit code.

use std::io;
use std::path::Path;

use copex_proto::config::Problem;
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::id::RunId;

use crate::exit::{self, Exit};

/// Why a command stops.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Failure {
    /// To be told, with its exit code.
    #[error("{info}")]
    Told {
        /// The exit code.
        exit: Exit,
        /// What and why.
        info: Box<ErrorInfo>,
        /// The run it belongs to, once known.
        run: Option<RunId>,
    },
    /// Nobody reads our output any more: nothing to tell.
    #[error("the output was closed")]
    OutputClosed,
}

/// What commands give back.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure of a kind.
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        ErrorInfo::new(class, message).into()
    }

    /// The caller's input is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Usage, message)
    }

    /// The daemon cannot serve.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unavailable, message)
    }

    /// Something on the way failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Unknown, message)
    }

    /// A file could not be read or written.
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::usage(format!("cannot {doing} {}: {}", path.display(), reason(error)))
    }

    /// Known, and not in this version.
    pub(crate) fn not_available(what: &str) -> Self {
        Self::new(ErrorClass::NotAvailable, format!("{what} is not available in this version"))
    }

    /// Adds the way out.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told { info, .. } = &mut self {
            info.hint = Some(hint.into());
        }
        self
    }

    /// Names the run it belongs to.
    pub(crate) fn of_run(mut self, known: Option<RunId>) -> Self {
        if let Self::Told { run, .. } = &mut self {
            *run = known;
        }
        self
    }

    /// The exit code. A closed output is not an error of a command that only prints.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Told { exit, .. } => *exit,
            Self::OutputClosed => Exit::Done,
        }
    }
}

impl From<ErrorInfo> for Failure {
    fn from(info: ErrorInfo) -> Self {
        Self::Told { exit: exit::of_class(info.class), info: Box::new(info), run: None }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let failure = Self::usage(problem.to_string());
        match problem.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Errors of writing to the standard streams.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::failed(format!("cannot write the output: {}", reason(&error)))
        }
    }
}

/// The words of an operating system error without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_lowercase(),
        None => text,
    }
}
