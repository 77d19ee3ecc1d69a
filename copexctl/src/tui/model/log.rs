//! What happened in a run, as blocks that a person reads from top to bottom.

mod line;
mod whole;

use std::cell::Cell;
use std::collections::VecDeque;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::Seq;
use copex_proto::run::Mode;

use super::Shown;
use crate::render::markdown::code::is_diff;
use crate::render::said::{self, Piece};
use crate::render::tools;
use crate::render::{brief, telling};
use crate::tui::draw::prose::Prose;
use crate::tui::draw::text::Wrapped;
use line::line;
use whole::{clip, head, is_more};

/// Blocks that are kept: hours of a loop. Earlier ones are in `runs logs`.
const BLOCKS: usize = 4_000;

/// Bytes of text that are kept in all blocks together.
const BYTES: usize = 8 * 1024 * 1024;

/// Characters of a line about something.
const LINE: usize = 300;

/// Lines of an output that are shown where all are.
pub(crate) const OUTPUT: usize = 12;

/// How far back a piece of text looks for the block that it goes on with.
const NEAR: usize = 256;

/// What kind of block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// The agent's words; `whole` once nothing is added to them.
    Words {
        /// Whether the message is over.
        whole: bool,
    },
    /// The model's reasoning.
    Thoughts,
    /// A tool.
    Tool {
        /// Names the call.
        call: String,
        /// How it ended: whether well, and how long it took.
        end: Option<(bool, u64)>,
        /// What it gave back.
        result: String,
        /// The change that it makes or shows, as lines of a diff.
        change: Option<String>,
    },
    /// A check.
    Gate {
        /// How it ended: its exit status, and how long it took.
        end: Option<(Option<i32>, u64)>,
        /// What it printed.
        output: String,
    },
    /// A line about the run.
    Mark(Mark),
}

/// What a line about the run is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Something begins.
    Head,
    /// Something to know.
    Note,
    /// It went well.
    Good,
    /// It did not.
    Bad,
    /// A person is asked.
    Asks,
    /// A person spoke.
    Said,
}

/// A block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Where inside a composite run.
    pub(crate) path: Option<String>,
    /// What kind.
    pub(crate) kind: Kind,
    /// Its text.
    pub(crate) text: String,
    /// Its lines as they were drawn last.
    pub(crate) wrapped: Wrapped,
    /// The same of the agent's words.
    pub(crate) prose: Prose,
    /// Whether a person opened or closed it by itself.
    pub(crate) by_hand: Option<bool>,
    /// The event that has all of what it shows when it is open, where only a part is here.
    rest: Option<Seq>,
    /// Whether all of it is here.
    is_whole: bool,
    /// Whether all of so many bytes, the last of them or not, are words for people.
    plain: Cell<Option<(usize, bool, bool)>>,
}

impl Block {
    /// It is to be drawn anew.
    pub(crate) fn forget(&mut self) {
        self.wrapped.forget();
        self.prose.forget();
        self.plain.set(None);
    }

    /// Whether all of its words are for people. A text is looked through once, not each time
    /// that it is drawn.
    pub(crate) fn is_plain(&self, mode: Mode, whole: bool) -> bool {
        match self.plain.get() {
            Some((length, end, plain)) if (length, end) == (self.text.len(), whole) => plain,
            _ => {
                let plain = said::pieces(mode, &self.text, whole).is_none();
                self.plain.set(Some((self.text.len(), whole, plain)));
                plain
            }
        }
    }

    /// Whether all of it is shown, and not a line.
    pub(crate) fn is_open(&self, shown: Shown) -> bool {
        let red = match &self.kind {
            Kind::Tool { end, .. } => matches!(end, Some((false, _))),
            Kind::Gate { end, .. } => matches!(end, Some((code, _)) if *code != Some(0)),
            _ => false,
        };
        self.by_hand.unwrap_or(shown.results || red)
    }

    /// Opens or closes it. One that was open with all others is shown to its end first.
    pub(crate) fn unfold(&mut self, shown: Shown) {
        let (text, most) = match &self.kind {
            Kind::Tool { change: Some(change), .. } => (change.as_str(), tools::CHANGE),
            Kind::Tool { result: text, .. } | Kind::Gate { output: text, .. } => {
                (text.as_str(), OUTPUT)
            }
            _ => ("", OUTPUT),
        };
        let more = self.by_hand.is_none() && text.lines().count() > most;
        self.by_hand = Some(more || !self.is_open(shown));
        if self.by_hand == Some(false) {
            self.shorten();
        }
        self.wrapped.forget();
    }

    /// Whether there is more of it than a line.
    pub(crate) fn opens(&self, mode: Mode) -> bool {
        match &self.kind {
            Kind::Tool { result, change, .. } => change.is_some() || !result.is_empty(),
            Kind::Gate { output, .. } => !output.is_empty(),
            Kind::Words { whole } => {
                let pieces = said::pieces(mode, &self.text, *whole).unwrap_or_default();
                pieces.iter().any(|piece| matches!(piece, Piece::Plan(_)))
            }
            Kind::Thoughts | Kind::Mark(_) => false,
        }
    }
}

/// The blocks.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// From the first to the last.
    pub(crate) blocks: VecDeque<Block>,
    bytes: usize,
    /// How many earlier ones were let go: the number of the first that is there.
    pub(crate) gone: u64,
}

impl Log {
    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        let (path, seq) = (event.path.as_deref(), event.seq);
        match &event.body {
            EventBody::MessageDelta { text } => self.say(path, text),
            EventBody::Message { text } => self.said(path, text),
            EventBody::ReasoningDelta { text } => self.think(path, text),
            EventBody::Restarted { .. } => {
                if let Some(block) = self.open_words(path) {
                    block.text.clear();
                    block.forget();
                }
            }
            EventBody::ToolStart(tool) => {
                self.close_words(path);
                let about = brief(telling(tool).unwrap_or_default(), LINE);
                let call = tool.call.clone();
                let change = tools::change(tool);
                let rest = change.as_deref().is_some_and(is_more).then_some(seq);
                let change = change.map(|text| head(&text));
                let kind = Kind::Tool { call, end: None, result: String::new(), change };
                let block =
                    self.push(path, kind, format!("{} {about}", tool.name).trim_end().to_owned());
                block.rest = rest;
            }
            EventBody::ToolEnd(tool) => {
                let ended = |block: &mut Block| match &mut block.kind {
                    Kind::Tool { call, end, result, change } if *call == tool.call => {
                        let red = tools::exit_code(tool).is_some_and(|code| code != 0);
                        let well = tool.success && !red;
                        *end = Some((well, tool.duration_ms));
                        // What it was given to change is what is shown, when it did.
                        if change.is_none() || !well {
                            block.rest = is_more(&tool.result).then_some(seq);
                            block.is_whole = false;
                        }
                        if change.is_none() && is_diff(&tool.result) {
                            *change = Some(head(&tool.result));
                        }
                        *result = clip(&tool.result);
                        true
                    }
                    _ => false,
                };
                self.change(ended);
            }
            EventBody::GateStart { command } => {
                self.close_words(path);
                self.push(path, Kind::Gate { end: None, output: String::new() }, command.clone());
            }
            EventBody::Gate { command, exit_code, output, duration_ms } => {
                let told = Some((*exit_code, *duration_ms));
                let ended = |block: &mut Block| match &mut block.kind {
                    Kind::Gate { end: end @ None, output: kept } if block.text == *command => {
                        (*end, *kept) = (told, clip(output));
                        block.rest = is_more(output).then_some(seq);
                        true
                    }
                    _ => false,
                };
                if !self.change(ended) {
                    let kind = Kind::Gate { end: told, output: clip(output) };
                    let block = self.push(path, kind, command.clone());
                    block.rest = is_more(output).then_some(seq);
                }
            }
            body => {
                if let Some((mark, text)) = line(body) {
                    self.close_words(path);
                    self.push(path, Kind::Mark(mark), text);
                }
            }
        }
    }

    /// The block of this number, while it is there.
    pub(crate) fn block(&mut self, number: u64) -> Option<&mut Block> {
        self.blocks.get_mut(usize::try_from(number.checked_sub(self.gone)?).ok()?)
    }

    fn push(&mut self, path: Option<&str>, kind: Kind, text: String) -> &mut Block {
        self.bytes += text.len();
        let path = path.map(str::to_owned);
        let (wrapped, prose) = (Wrapped::default(), Prose::default());
        self.blocks.push_back(Block {
            path,
            kind,
            text,
            wrapped,
            prose,
            by_hand: None,
            rest: None,
            is_whole: false,
            plain: Cell::default(),
        });
        while self.blocks.len() > BLOCKS || (self.bytes > BYTES && self.blocks.len() > 1) {
            let Some(first) = self.blocks.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(first.text.len());
            self.gone += 1;
        }
        // The last one is never let go.
        let last = self.blocks.len() - 1;
        &mut self.blocks[last]
    }

    /// Changes the last block that `change` takes; whether there is one.
    fn change(&mut self, mut change: impl FnMut(&mut Block) -> bool) -> bool {
        for block in self.blocks.iter_mut().rev() {
            if change(block) {
                block.forget();
                return true;
            }
        }
        false
    }

    fn open_words(&mut self, path: Option<&str>) -> Option<&mut Block> {
        let open = |block: &&mut Block| {
            block.path.as_deref() == path && block.kind == Kind::Words { whole: false }
        };
        self.blocks.iter_mut().rev().take(NEAR).find(open)
    }

    fn close_words(&mut self, path: Option<&str>) {
        if let Some(block) = self.open_words(path) {
            block.kind = Kind::Words { whole: true };
            block.wrapped.forget();
        }
    }

    fn say(&mut self, path: Option<&str>, text: &str) {
        self.bytes += text.len();
        if let Some(block) = self.open_words(path) {
            // Its lines stay: what is added comes behind them.
            block.text.push_str(text);
            block.wrapped.forget();
        } else {
            self.bytes -= text.len();
            self.push(path, Kind::Words { whole: false }, text.to_owned());
        }
    }

    fn said(&mut self, path: Option<&str>, text: &str) {
        if let Some(block) = self.open_words(path) {
            if block.text != text {
                text.clone_into(&mut block.text);
                block.forget();
            }
            block.kind = Kind::Words { whole: true };
            block.wrapped.forget();
        } else if !text.is_empty() {
            self.push(path, Kind::Words { whole: true }, text.to_owned());
        }
    }

    fn think(&mut self, path: Option<&str>, text: &str) {
        let last = self.blocks.back_mut();
        if let Some(block) = last.filter(|it| it.path.as_deref() == path)
            && block.kind == Kind::Thoughts
        {
            block.text.push_str(text);
            block.forget();
            self.bytes += text.len();
        } else {
            self.push(path, Kind::Thoughts, text.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::event::{ToolEnd, ToolStart};
    use copex_proto::id::RunId;
    use serde_json::json;

    use super::*;

    fn feed(log: &mut Log, path: Option<&str>, body: EventBody) {
        let path = path.map(str::to_owned);
        log.apply(&RunEvent { run: RunId::new(1, 1), seq: 1, at: 1, path, body });
    }

    fn delta(text: &str) -> EventBody {
        EventBody::MessageDelta { text: text.to_owned() }
    }

    #[test]
    fn pieces_of_two_lanes_do_not_mix_and_whole_messages_replace_them() {
        let mut log = Log::default();
        for (path, text) in [("a", "one "), ("b", "x"), ("a", "two"), ("b", "y")] {
            feed(&mut log, Some(path), delta(text));
        }
        feed(&mut log, Some("a"), EventBody::Message { text: "One two.".to_owned() });
        feed(&mut log, Some("a"), delta("three"));
        let texts: Vec<&str> = log.blocks.iter().map(|block| block.text.as_str()).collect();
        assert_eq!(texts, ["One two.", "xy", "three"]);
        feed(&mut log, Some("b"), EventBody::Restarted { reason: String::new() });
        assert_eq!(log.blocks[1].text, "");
    }

    #[test]
    fn a_tool_is_one_block_from_its_beginning_to_its_end() {
        let mut log = Log::default();
        let (call, name) = ("c".to_owned(), "bash".to_owned());
        let arguments = json!({ "command": "make test" });
        let start = ToolStart { call: call.clone(), name: name.clone(), arguments };
        feed(&mut log, None, EventBody::ToolStart(start));
        let result = "x".repeat(9_000);
        let end = ToolEnd { call, name, success: false, result, duration_ms: 5 };
        feed(&mut log, None, EventBody::ToolEnd(end));
        assert_eq!(log.blocks.len(), 1);
        assert_eq!(log.blocks[0].text, "bash make test");
        let Kind::Tool { end, result, .. } = &log.blocks[0].kind else { panic!("{log:?}") };
        assert_eq!(*end, Some((false, 5)));
        assert!(result.len() < whole::PART + 10, "{}", result.len());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut log = Log::default();
        for number in 0..BLOCKS + 10 {
            feed(&mut log, None, EventBody::Message { text: number.to_string() });
        }
        assert_eq!(log.blocks.len(), BLOCKS);
        assert!(log.gone > 0 && log.blocks[0].text == "10");
    }
}
