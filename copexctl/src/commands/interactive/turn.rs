//! One turn of a conversation: followed to its end, while the person types.

use std::io;

use copex_proto::event::{EventBody, RunEvent};

use crate::asks::{Asks, Terminal};
use crate::commands::watch;
use crate::connect::start;
use crate::conversation::Conversation;
use crate::conversation::composer::Composer;
use crate::conversation::editor::Editor;
use crate::error::Result;
use crate::exit::Exit;
use crate::follow::{Ended, Follow, OnInterrupt, Source, Try, View};
use crate::interrupt::Interrupts;
use crate::render;
use crate::render::styled::Line;

/// How a turn ended.
pub(super) struct Turn {
    /// As it would end a command.
    pub(super) exit: Exit,
    /// Whether the person left before.
    pub(super) left: bool,
    /// What was typed and not sent.
    pub(super) begun: String,
}

/// A view that lets the conversation know what happens.
struct Learning<'a> {
    inner: Box<dyn View>,
    conversation: &'a mut Conversation,
}

impl View for Learning<'_> {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.conversation.event(event);
        self.inner.event(event, raw)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.inner.note(text)
    }

    fn question(&mut self, lines: &[Line]) -> io::Result<()> {
        self.inner.question(lines)
    }

    fn rest(&mut self) -> io::Result<Option<std::time::Duration>> {
        self.inner.rest()
    }

    fn suspend(&mut self) {
        self.inner.suspend();
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

/// Follows a turn. With an `editor`, the person types below it; `begun` is what the line has.
pub(super) fn follow(
    conversation: &mut Conversation,
    source: Source,
    editor: Option<&mut Editor>,
    begun: String,
) -> Result<Turn> {
    let ctx = conversation.ctx.clone();
    let output = conversation.flags.turn.output.clone();
    let person = if watch::person() { Terminal::Person } else { Terminal::Nobody };
    let asks = Asks::new(person, watch::editor(&ctx));
    let interrupts = Interrupts::catch()?;
    let inner = watch::view(&ctx, &output, &[])?;
    let bell = watch::bell(&ctx, &output)?;
    let mut connect = |wanted| match wanted {
        Try::First => start::connect(&ctx),
        Try::Again => start::reconnect(&ctx),
    };
    let (outcome, begun) = if let Some(editor) = editor {
        let mut view = Composer::new(inner, conversation, editor, &begun)?;
        let follow = Follow::new(source, &mut view, &mut connect, asks);
        let outcome = follow.catch(interrupts, OnInterrupt::Cancel).keys(&ctx.env).ring(bell).run();
        view.close();
        (outcome, view.leave())
    } else {
        let mut view = Learning { inner, conversation };
        let follow = Follow::new(source, &mut view, &mut connect, asks);
        let outcome = follow.catch(interrupts, OnInterrupt::Cancel).keys(&ctx.env).ring(bell).run();
        view.close();
        (outcome, begun)
    };
    match outcome? {
        Ended::Terminal(event) => {
            let exit = if matches!(event.body, EventBody::Cancelled { .. }) {
                // What the person wanted is no error.
                render::note("cancelled");
                Exit::Interrupted
            } else {
                watch::ended(&event, &output)
            };
            Ok(Turn { exit, left: false, begun })
        }
        Ended::Left(run) => {
            if let Some(run) = run {
                render::note(&format!("{run} goes on: copexctl interactive --continue"));
            }
            Ok(Turn { exit: Exit::Interrupted, left: true, begun })
        }
    }
}
