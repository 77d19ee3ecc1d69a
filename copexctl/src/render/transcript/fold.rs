//! Entries become blocks: what belongs together, once it is whole.

use std::collections::VecDeque;

use copex_proto::event::{Ask, EventBody, Outcome, ToolEnd, ToolStart};
use copex_proto::run::RunState;

use super::{Body, Entry};
use crate::render::words;
use crate::render::{clean, duration};

/// Tools at work that are remembered.
const MOST: usize = 256;

/// What stands together in a document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Block {
    /// A prompt.
    User(String),
    /// Markdown of the agent.
    Answer(String),
    /// The model's reasoning.
    Reasoning(String),
    /// A tool, with what it was given.
    Tool(Option<ToolStart>, ToolEnd),
    /// Something in a line.
    Note(String),
}

/// Gathers the pieces of a block.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    answer: String,
    reasoning: String,
    last: String,
    tools: VecDeque<ToolStart>,
}

impl Fold {
    /// The blocks that are whole with this entry.
    pub(crate) fn entry(&mut self, entry: &Entry) -> Vec<Block> {
        match &entry.body {
            Body::Silent => Vec::new(),
            Body::User(text) => self.then(Block::User(text.clone())),
            Body::Event(body) => self.event(body),
        }
    }

    /// What is left at the end.
    pub(crate) fn end(&mut self) -> Vec<Block> {
        let (answer, reasoning) =
            (std::mem::take(&mut self.answer), std::mem::take(&mut self.reasoning));
        let mut blocks = Vec::new();
        if !reasoning.trim().is_empty() {
            blocks.push(Block::Reasoning(reasoning));
        }
        if !answer.trim().is_empty() {
            self.last.clone_from(&answer);
            blocks.push(Block::Answer(answer));
        }
        blocks
    }

    fn then(&mut self, block: Block) -> Vec<Block> {
        let mut blocks = self.end();
        blocks.push(block);
        blocks
    }

    fn event(&mut self, body: &EventBody) -> Vec<Block> {
        match body {
            EventBody::Accepted(accepted) => self.then(Block::User(accepted.title.clone())),
            EventBody::MessageDelta { text } => {
                self.answer.push_str(text);
                Vec::new()
            }
            EventBody::Message { text } => {
                self.answer.clone_from(text);
                self.end()
            }
            EventBody::ReasoningDelta { text } => {
                self.reasoning.push_str(text);
                Vec::new()
            }
            EventBody::ToolStart(tool) => {
                if self.tools.len() == MOST {
                    self.tools.pop_front();
                }
                self.tools.push_back(tool.clone());
                self.end()
            }
            EventBody::ToolEnd(tool) => {
                let at = self.tools.iter().position(|start| start.call == tool.call);
                let start = at.and_then(|at| self.tools.remove(at));
                self.then(Block::Tool(start, tool.clone()))
            }
            EventBody::Restarted { .. } => {
                self.answer.clear();
                Vec::new()
            }
            EventBody::Done(outcome) => self.done(outcome),
            body => match note(body) {
                Some(note) => self.then(Block::Note(note)),
                None => Vec::new(),
            },
        }
    }

    fn done(&mut self, outcome: &Outcome) -> Vec<Block> {
        let mut blocks = self.end();
        let content = &outcome.content;
        if !content.trim().is_empty() && !content.trim_end().ends_with(self.last.trim_end()) {
            blocks.push(Block::Answer(content.clone()));
        }
        blocks.push(Block::Note(words::summary(outcome)));
        blocks
    }
}

/// An event in a line, where it has one.
pub(crate) fn note(body: &EventBody) -> Option<String> {
    let note = match body {
        EventBody::Gate { command, exit_code, output, duration_ms } => {
            words::gate(command, *exit_code, output, *duration_ms)
        }
        EventBody::Retrying(retry) => words::retry_line(retry),
        EventBody::Fallback { from, to, reason } => {
            format!("{to} takes over from {from}: {reason}")
        }
        EventBody::Parked { reason, .. } => format!("parked: {reason}"),
        EventBody::Iteration { number, max } => format!("iteration {number} of {max}"),
        EventBody::Step(step) => words::step_line(step),
        EventBody::Task(task) => return crate::render::tally::line(task),
        EventBody::Member { state: RunState::Queued, .. } => return None,
        EventBody::Member { name, state, stage, note } => {
            words::member_line(name, *state, stage.as_deref().unwrap_or("part"), note.as_deref())
        }
        EventBody::Artifact { file, kind } => format!("{kind}: {file}"),
        EventBody::Warning { message, .. } => format!("warning: {message}"),
        EventBody::Ask(ask) => asked(ask),
        EventBody::Answered { answer, .. } => {
            let answer = serde_json::to_value(answer).unwrap_or_default();
            let said = ["text", "feedback", "kind"].iter().find_map(|it| answer.get(it)?.as_str());
            format!("answered: {}", said.unwrap_or_default())
        }
        body => {
            let ending = body.ending()?;
            format!("error: {} ({})", ending.error.message, duration(ending.outcome.duration_ms))
        }
    };
    Some(clean(&note))
}

fn asked(ask: &Ask) -> String {
    format!("? {}", crate::answer::about(ask))
}
