//! Long results: a part of each is kept, and all of one while a person has it open.

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::Seq;

use super::{Block, Kind, Log};
use crate::render::{bytes, tools};

/// Bytes of a result that are kept: what a person looks at before opening it.
pub(super) const PART: usize = 4 * 1024;

/// Bytes of a result that is open, at most: more is read with an editor, and not on a screen.
const WHOLE: usize = 1024 * 1024;

/// Whether more than the part that is kept is there.
pub(super) fn is_more(text: &str) -> bool {
    text.len() > PART
}

/// The end of a long text: what failed stands there.
pub(super) fn clip(text: &str) -> String {
    end(text, PART)
}

/// The begin of a change: which file it is of stands there.
pub(super) fn head(text: &str) -> String {
    begin(text, PART)
}

fn end(text: &str, most: usize) -> String {
    let text = text.trim_end();
    if text.len() <= most {
        return text.to_owned();
    }
    let from = text.ceil_char_boundary(text.len() - most);
    if most == PART {
        return format!("…{}", &text[from..]);
    }
    format!("… {} before this: {WAY}\n{}", bytes(len(from)), &text[from..])
}

fn begin(text: &str, most: usize) -> String {
    let text = text.trim_matches('\n');
    let to = text.floor_char_boundary(most);
    if most == PART || to == text.len() {
        return text[..to].to_owned();
    }
    format!("{}\n… {} behind this: {WAY}", &text[..to], bytes(len(text.len() - to)))
}

/// What has all of it.
const WAY: &str = "copexctl runs logs RUN --jsonl";

fn len(bytes: usize) -> u64 {
    bytes.try_into().unwrap_or(u64::MAX)
}

impl Block {
    /// Whether only a part of what it shows is here.
    pub(crate) fn is_part(&self) -> bool {
        self.rest.is_some() && !self.is_whole
    }

    /// The event to be read for all of what is shown, while it is open and only a part is here.
    pub(crate) fn wanted(&self) -> Option<Seq> {
        self.rest.filter(|_| self.by_hand == Some(true) && self.is_part())
    }

    /// Only the part is kept once it is closed.
    pub(super) fn shorten(&mut self) {
        if !std::mem::take(&mut self.is_whole) {
            return;
        }
        match &mut self.kind {
            Kind::Tool { result, change, .. } => {
                *result = clip(result);
                *change = change.as_deref().map(head);
            }
            Kind::Gate { output, .. } => *output = clip(output),
            _ => {}
        }
        self.wrapped.forget();
    }
}

impl Log {
    /// Takes an event that was read for all of what a block shows.
    pub(crate) fn whole(&mut self, event: &RunEvent) {
        let of = |block: &&mut Block| block.wanted() == Some(event.seq);
        let Some(block) = self.blocks.iter_mut().find(of) else { return };
        match (&event.body, &mut block.kind) {
            (EventBody::ToolStart(tool), Kind::Tool { change: Some(change), .. }) => {
                *change = begin(&tools::change(tool).unwrap_or_default(), WHOLE);
            }
            (
                EventBody::ToolEnd(tool),
                Kind::Tool { change: Some(change), end: Some((true, _)), .. },
            ) => {
                *change = begin(&tool.result, WHOLE);
            }
            (EventBody::ToolEnd(tool), Kind::Tool { result, .. }) => {
                *result = end(&tool.result, WHOLE);
            }
            (EventBody::Gate { output, .. }, Kind::Gate { output: kept, .. }) => {
                *kept = end(output, WHOLE);
            }
            _ => return,
        }
        block.is_whole = true;
        block.wrapped.forget();
    }

    /// Nothing is open by itself any more.
    pub(crate) fn close_all(&mut self) {
        for block in &mut self.blocks {
            block.by_hand = None;
            block.shorten();
        }
    }
}
