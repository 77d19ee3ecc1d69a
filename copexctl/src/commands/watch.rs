//! Following a run from a command: the view that the flags ask for, Ctrl-C, the exit code.

use std::io::{self, IsTerminal as _};

use copex_proto::config::Ui;
use copex_proto::event::{Outcome, RunEvent};
use copex_proto::id::RunId;

use crate::asks::{Asks, Terminal};
use crate::cli::OutputFlags;
use crate::connect::start;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::{self, Exit};
use crate::follow::{Ended, Follow, OnInterrupt, Source, Try, View};
use crate::interrupt::Interrupts;
use crate::render;
use crate::render::bell::Bell;
use crate::render::countdown::Countdown;
use crate::render::json::{Json, Jsonl};
use crate::render::keep::Keeping;
use crate::render::screen::Live;
use crate::render::text::{AnswerStyle, Shown, Style, Text};
use crate::render::theme::Look;
use crate::request;

/// Follows `source` to its end.
pub(crate) fn watch(
    ctx: &Context,
    source: Source,
    flags: &OutputFlags,
    on_interrupt: OnInterrupt,
    warnings: &[String],
) -> Result<Exit> {
    let target = flags.output.as_deref().map(answer_file::open).transpose()?;
    let artifact = flags.artifact.as_deref().map(answer_file::open).transpose()?;
    let mut view = view(ctx, flags, warnings)?;
    let bell = bell(ctx, flags)?;
    if !flags.quiet && !flags.json {
        for text in warnings {
            view.note(text)?;
        }
    }
    let mut connect = |wanted| match wanted {
        Try::First => start::connect(ctx),
        Try::Again => start::reconnect(ctx),
    };
    let asks = Asks::new(if person() { Terminal::Person } else { Terminal::Nobody }, editor(ctx));
    let interrupts = Interrupts::catch()?;
    let mut kept = Ok(());
    let outcome = if let Some(keep) = &flags.keep {
        let mut keeping = Keeping::new(keep, &mut *view);
        let follow = Follow::new(source, &mut keeping, &mut connect, asks);
        let outcome = follow.catch(interrupts, on_interrupt).keys(&ctx.env).ring(bell).run();
        kept = keeping.failed.map_or(Ok(()), Err);
        outcome
    } else {
        let follow = Follow::new(source, &mut *view, &mut connect, asks);
        follow.catch(interrupts, on_interrupt).keys(&ctx.env).ring(bell).run()
    };
    view.close();
    // What it draws for the moment is gone before anything else is told.
    drop(view);
    let run = match &outcome {
        Ok(Ended::Terminal(event)) => Some(event.run),
        Ok(Ended::Left(run)) => *run,
        Err(_) => None,
    };
    if let Some(run) = run {
        ctx.meet(run);
    }
    match outcome {
        Ok(Ended::Terminal(event)) => {
            if let Some(artifact) = artifact {
                artifact.write(&format!("{:#}", render::json::whole(&event)))?;
            }
            if let Some(target) = target
                && exit::of_event(&event.body) == Exit::Done
            {
                let nothing = Outcome::default();
                let outcome = event.body.outcome().unwrap_or(&nothing);
                target.write(&render::answer(outcome, flags.whole))?;
            }
            kept.and(Ok(ended(&event, flags)))
        }
        Ok(Ended::Left(run)) => Ok(left(run, flags, on_interrupt)),
        // Nobody reads the answer any more: the run ends with our connection.
        Err(Failure::OutputClosed) => Ok(Exit::Interrupted),
        Err(failure) => Err(failure),
    }
}

/// Whether a person sits in front of us, who can be asked.
pub(super) fn person() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The user's editor, as git and others find it.
pub(crate) fn editor(ctx: &Context) -> String {
    let named = ctx.env.get("VISUAL").or_else(|| ctx.env.get("EDITOR"));
    named.unwrap_or("vi").to_owned()
}

/// Tells how a run ended, and the exit code.
pub(super) fn ended(event: &RunEvent, flags: &OutputFlags) -> Exit {
    if let Some(info) = exit::error_of(&event.body)
        && !flags.json
        && !flags.jsonl
    {
        render::error(&info);
    }
    exit::of_event(&event.body)
}

fn left(run: Option<RunId>, flags: &OutputFlags, on_interrupt: OnInterrupt) -> Exit {
    let words = match (run, on_interrupt) {
        (Some(run), OnInterrupt::Leave) => {
            format!("left; the run goes on: copexctl runs attach {run}, or runs cancel {run}")
        }
        (Some(run), OnInterrupt::Cancel) => format!("left; go on with: copexctl runs resume {run}"),
        (None, _) => "left before the run began".to_owned(),
    };
    if flags.json || flags.jsonl {
        let info = copex_proto::error::ErrorInfo::new(
            copex_proto::error::ErrorClass::Cancelled,
            "interrupted",
        );
        // Leaving already.
        let _ = render::value(&render::json::failure(&info.with_hint(words), run));
    } else {
        render::note(&words);
    }
    Exit::Interrupted
}

/// The view that these flags ask for.
pub(super) fn view(
    ctx: &Context,
    flags: &OutputFlags,
    warnings: &[String],
) -> Result<Box<dyn View>> {
    let ui = ui(ctx, flags)?;
    if flags.json {
        return Ok(Box::new(Json::new(io::stdout(), warnings)));
    }
    if flags.jsonl {
        return Ok(Box::new(Jsonl::new(io::stdout())));
    }
    let (terminal, err_terminal) = (io::stdout().is_terminal(), io::stderr().is_terminal());
    let plain = flags.quiet || flags.raw;
    let able = ctx.env.get("TERM").is_some_and(|term| term != "dumb");
    let look = |terminal: bool| {
        let look = Look::of(&ctx.env, ui, terminal);
        (terminal && !plain && (able || ui.screen_reader)).then_some(look)
    };
    let style = Style {
        answer: if flags.quiet { AnswerStyle::AtTheEnd } else { AnswerStyle::Stream },
        progress: Shown::from(!plain),
        summary: Shown::from(!plain && err_terminal),
        reasoning: Shown::from(flags.show_reasoning && !plain && err_terminal),
        notes: Shown::from(!flags.quiet),
        terminal: Shown::from(terminal),
        color: Shown::from(
            err_terminal
                && able
                && !(flags.raw || ui.screen_reader)
                && ctx.env.get("NO_COLOR").is_none(),
        ),
        drawing: flags.drawing,
        whole: Shown::from(flags.whole),
        // A picture of a plan is no Markdown.
        look: look(terminal).filter(|_| flags.drawing.is_none()),
        asides: look(err_terminal),
        results: Shown::No,
    };
    let drawn = err_terminal && able && !plain && !ui.screen_reader;
    if drawn && !(flags.show_reasoning || piped()) {
        return Ok(Box::new(Live::new(style)));
    }
    let text = Text::new(io::stdout(), io::stderr(), style);
    Ok(if drawn { Box::new(Countdown::new(text, io::stderr())) } else { Box::new(text) })
}

fn ui(ctx: &Context, flags: &OutputFlags) -> Result<Ui> {
    ctx.ui.map_or_else(|| request::ui(ctx, &flags.ui), Ok)
}

/// The bell, where one is wanted and somebody may hear it.
pub(super) fn bell(ctx: &Context, flags: &OutputFlags) -> Result<Option<Bell>> {
    let silent = flags.quiet || flags.json || flags.jsonl || !io::stderr().is_terminal();
    let wanted = !silent && (flags.bell || ui(ctx, flags)?.bell);
    Ok(wanted.then(Bell::new))
}

/// Whether another program reads the answer: it may write on the same terminal.
fn piped() -> bool {
    use nix::sys::stat::{SFlag, fstat};
    let kind = fstat(io::stdout()).map(|stat| SFlag::from_bits_truncate(stat.st_mode));
    kind.is_ok_and(|kind| [SFlag::S_IFIFO, SFlag::S_IFSOCK].contains(&(kind & SFlag::S_IFMT)))
}

mod answer_file {
    //! The answer in a file: whole or not at all.

    use std::io::Write as _;
    use std::path::{Path, PathBuf};

    use tempfile::NamedTempFile;

    use crate::error::{Failure, Result};

    /// A file beside the one wanted, so that the last step is a rename.
    pub(super) struct AnswerFile {
        path: PathBuf,
        beside: NamedTempFile,
    }

    /// Finds out before the run starts whether the file can be written.
    pub(super) fn open(path: &Path) -> Result<AnswerFile> {
        if path.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", path.display())));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let beside = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| Failure::file("write", path, &error))?;
        Ok(AnswerFile { path: path.to_owned(), beside })
    }

    impl AnswerFile {
        /// Writes the answer and puts it in place.
        pub(super) fn write(mut self, content: &str) -> Result<()> {
            use std::os::unix::fs::PermissionsExt as _;
            let wrong = |error: std::io::Error| {
                Failure::failed(format!("cannot write {}: {error}", self.path.display()))
            };
            let end = if content.ends_with('\n') { "" } else { "\n" };
            self.beside.write_all(content.as_bytes()).map_err(wrong)?;
            self.beside.write_all(end.as_bytes()).map_err(wrong)?;
            // A file that exists keeps its mode; a new one is like any other the user makes.
            let mode = self.path.metadata().map_or(0o644, |meta| meta.permissions().mode());
            let mode = std::fs::Permissions::from_mode(mode);
            self.beside.as_file().set_permissions(mode).map_err(wrong)?;
            self.beside.persist(&self.path).map_err(|error| wrong(error.error))?;
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_file_is_whole_or_untouched() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a");
            drop(open(&path).unwrap());
            assert!(!path.exists());
            open(&path).unwrap().write("hi").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "hi\n");
            assert!(open(&folder.path().join("none/a")).is_err());
        }
    }
}
