//! Logs for people: lines of a log become entries ([`read`], [`copilot`]), entries become text as
//! a run is shown, or blocks ([`fold`]) of Markdown ([`markdown`]) and of a page ([`html`]).

pub(crate) mod copilot;
pub(crate) mod fold;
pub(crate) mod html;
pub(crate) mod markdown;
pub(crate) mod read;

use copex_proto::event::EventBody;

/// One entry of a log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// When, in Unix milliseconds, where the log says.
    pub(crate) at: Option<u64>,
    /// Where inside a composite run.
    pub(crate) path: Option<String>,
    /// What happened.
    pub(crate) body: Body,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// A person said something.
    User(String),
    /// As in a run's log.
    Event(Box<EventBody>),
    /// Nothing that a person wants to see.
    Silent,
}

/// What an entry is, for filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Class {
    /// Prompts.
    User,
    /// Words of the agent.
    Answer,
    /// The model's reasoning.
    Reasoning,
    /// Tools and checks.
    Tool,
    /// Questions and their answers.
    Ask,
    /// Retries, fallbacks and waits.
    Retry,
    /// Steps, iterations, tasks, members and what was made.
    Progress,
    /// Warnings.
    Warning,
    /// How it ended.
    End,
}

impl Entry {
    /// What it is; none when it is never shown.
    pub(crate) fn class(&self) -> Option<Class> {
        let body = match &self.body {
            Body::User(_) => return Some(Class::User),
            Body::Silent => return None,
            Body::Event(body) => body.as_ref(),
        };
        Some(match body {
            EventBody::Accepted(_) => Class::User,
            EventBody::MessageDelta { .. } | EventBody::Message { .. } => Class::Answer,
            EventBody::ReasoningDelta { .. } => Class::Reasoning,
            EventBody::ToolStart(_)
            | EventBody::ToolEnd(_)
            | EventBody::GateStart { .. }
            | EventBody::Gate { .. } => Class::Tool,
            EventBody::Ask(_) | EventBody::Answered { .. } => Class::Ask,
            EventBody::Retrying(_)
            | EventBody::Restarted { .. }
            | EventBody::Fallback { .. }
            | EventBody::Parked { .. } => Class::Retry,
            EventBody::Iteration { .. }
            | EventBody::Step(_)
            | EventBody::Task(_)
            | EventBody::Member { .. }
            | EventBody::Artifact { .. } => Class::Progress,
            EventBody::Warning { .. } => Class::Warning,
            body if body.is_terminal() => Class::End,
            _ => return None,
        })
    }
}
