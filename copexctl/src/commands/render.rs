//! `render`: a log for people.

mod lines;

use std::io::{self, IsTerminal as _, Stdout};
use std::path::Path;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::RunId;

use crate::cli::{Format, RenderArgs};
use crate::clock;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::follow::View as _;
use crate::render;
use crate::render::text::{AnswerStyle, Shown, Style, Text};
use crate::render::theme::Look;
use crate::render::transcript::fold::{Block, Fold, note};
use crate::render::transcript::read::Reader;
use crate::render::transcript::{Body, Class, Entry, html, markdown};
use crate::request;
use crate::when;
use lines::{Input, Lines};

/// Bad lines that are told of; a file that is no log at all must not fill the screen.
const TOLD: u64 = 20;

/// Renders the log.
pub(crate) fn run(ctx: &Context, args: &RenderArgs) -> Result<Exit> {
    if args.follow && args.format != Format::Text {
        return Err(Failure::usage("--follow goes with --format text"));
    }
    let path = args.file.as_deref().or(args.input.as_deref());
    if path.is_none() && io::stdin().is_terminal() {
        return Err(Failure::usage("there is nothing to render")
            .with_hint("copexctl render FILE, or a log through a pipe"));
    }
    let path = path.unwrap_or(Path::new("-"));
    let since =
        args.since.as_deref().map(|text| when::since(text, clock::unix_ms())).transpose()?;
    let ui = request::ui(ctx, &args.ui)?;
    let input = Input::open(path, args.follow)?;
    let name = if path == Path::new("-") { "stdin".into() } else { path.display().to_string() };
    let mut shown: Box<dyn Show> = match args.format {
        Format::Text => {
            Box::new(Told::new(Look::of(&ctx.env, ui, io::stdout().is_terminal()), args))
        }
        Format::Markdown => Box::new(Document::new(markdown::block, "", "")?),
        Format::Html => Box::new(Document::new(html::block, html::HEAD, html::FOOT)?),
    };
    let (mut reader, mut good, mut bad) = (Reader::default(), 0_u64, 0_u64);
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        let entry = line.text.and_then(|text| reader.line(&text));
        let entry = match entry {
            Ok(entry) => entry,
            Err(words) => {
                bad += 1;
                if bad <= TOLD {
                    render::note(&format!("{name}:{}: {words}; skipped", line.number));
                }
                continue;
            }
        };
        good += 1;
        let ended = matches!(&entry.body, Body::Event(body) if body.is_terminal());
        let late = since.is_none_or(|since| entry.at.is_none_or(|at| at >= since));
        if late && entry.class().is_some_and(|class| wanted(args, class)) {
            shown.entry(&entry)?;
        }
        if ended && args.follow {
            break;
        }
    }
    shown.end()?;
    if bad > TOLD {
        render::note(&format!("{bad} lines in all were skipped"));
    }
    if good == 0 && bad > 0 {
        return Err(Failure::failed(format!("{name} is no log: no line of it is an event")));
    }
    if good == 0 {
        render::note(&format!("{name} has no events"));
    }
    Ok(Exit::Done)
}

fn wanted(args: &RenderArgs, class: Class) -> bool {
    if args.only.is_empty() { !args.without.contains(&class) } else { args.only.contains(&class) }
}

/// What becomes of entries.
trait Show {
    fn entry(&mut self, entry: &Entry) -> Result<()>;
    fn end(&mut self) -> Result<()>;
}

/// As a run is told while it works, all of it on stdout.
struct Told {
    text: Text<Stdout, Stdout>,
    run: RunId,
    seq: u64,
}

impl Told {
    fn new(look: Look, args: &RenderArgs) -> Self {
        let style = Style {
            answer: AnswerStyle::Stream,
            progress: Shown::Yes,
            summary: Shown::Yes,
            reasoning: Shown::Yes,
            notes: Shown::Yes,
            terminal: Shown::Yes,
            color: Shown::from(look.depth != crate::render::theme::Depth::None),
            drawing: None,
            whole: Shown::from(args.expand),
            look: Some(look),
            asides: Some(look),
            results: Shown::from(args.expand),
        };
        Self { text: Text::new(io::stdout(), io::stdout(), style), run: RunId::new(0, 0), seq: 0 }
    }
}

impl Show for Told {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let body = match &entry.body {
            Body::User(text) => return Ok(self.text.user(text)?),
            Body::Silent => return Ok(()),
            Body::Event(body) => body.as_ref().clone(),
        };
        match &body {
            EventBody::Accepted(accepted) => self.text.user(&accepted.title)?,
            EventBody::Ask(_) | EventBody::Answered { .. } => {
                note(&body).map_or(Ok(()), |words| self.text.say(&words))?;
            }
            _ => {}
        }
        self.seq += 1;
        let ended = body.ending().and_then(|_| note(&body));
        let (path, at) = (entry.path.clone(), entry.at.unwrap_or(0));
        self.text.event(&RunEvent { run: self.run, seq: self.seq, at, path, body }, "")?;
        Ok(ended.map_or(Ok(()), |words| self.text.say(&words))?)
    }

    fn end(&mut self) -> Result<()> {
        Ok(self.text.end()?)
    }
}

/// A document of blocks.
struct Document {
    fold: Fold,
    block: fn(&Block) -> String,
    foot: &'static str,
}

impl Document {
    fn new(block: fn(&Block) -> String, head: &str, foot: &'static str) -> Result<Self> {
        render::text(head.as_bytes())?;
        Ok(Self { fold: Fold::default(), block, foot })
    }

    fn print(&self, blocks: &[Block]) -> Result<()> {
        let text: String = blocks.iter().map(self.block).collect();
        Ok(render::text(text.as_bytes())?)
    }
}

impl Show for Document {
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let blocks = self.fold.entry(entry);
        self.print(&blocks)
    }

    fn end(&mut self) -> Result<()> {
        let blocks = self.fold.end();
        self.print(&blocks)?;
        Ok(render::text(self.foot.as_bytes())?)
    }
}
