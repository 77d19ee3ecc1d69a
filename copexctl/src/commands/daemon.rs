//! `daemon`: start, stop, restart, logs.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use copex_proto::health::{DaemonStatus, HelloResponse, StopResponse};
use serde_json::json;

use crate::cli::DaemonCommand;
use crate::commands::status;
use crate::connect::{self, Connection, start};
use crate::context::Context;
use crate::error::{Failure, Result, reason};
use crate::exit::Exit;
use crate::{process, render};

/// The daemon drains before it goes.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// How often a followed log is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The most of a log that is read for its last lines.
const TAIL: u64 = 4 << 20;

/// Carries out one of the verbs.
pub(crate) fn run(ctx: &Context, command: DaemonCommand) -> Result<Exit> {
    match command {
        DaemonCommand::Start { foreground: true } => foreground(ctx),
        DaemonCommand::Start { foreground: false } => launch(ctx),
        DaemonCommand::Stop => stop(ctx),
        DaemonCommand::Restart => {
            stop(ctx)?;
            launch(ctx)
        }
        DaemonCommand::Status(flag) => status::run(ctx, &flag),
        DaemonCommand::Logs { follow, lines } => logs(ctx, lines, follow.into()),
    }
}

fn foreground(ctx: &Context) -> Result<Exit> {
    let program = ctx.daemon_program()?;
    let error = process::command(&program).exec();
    Err(Failure::unavailable(format!("cannot start {}: {}", program.display(), reason(&error))))
}

fn launch(ctx: &Context) -> Result<Exit> {
    if let Ok(Some(mut connection)) = Connection::running(ctx) {
        serving(&mut connection)?;
        let status: DaemonStatus = connection.call("daemon.status", &json!({}))?;
        render::line(&format!("copexd {} runs, pid {}", status.version, status.pid))?;
        return Ok(Exit::Done);
    }
    if ctx.systemd_owns() {
        let error =
            process::command("systemctl").args(["--user", "start", "copexd.service"]).exec();
        return Err(Failure::unavailable(format!("cannot start systemctl: {}", reason(&error))));
    }
    serving(&mut Connection::open(ctx)?)?;
    Ok(Exit::Done)
}

/// Waits until the daemon serves: one that finds its store unusable has not started.
fn serving(connection: &mut Connection) -> Result<()> {
    let _told: HelloResponse = connection.call("hello", &connect::hello())?;
    Ok(())
}

fn stop(ctx: &Context) -> Result<Exit> {
    // A daemon of another protocol is stopped too: no version check stands in the way.
    let Some(mut connection) = Connection::any_running(ctx)? else {
        render::note("copexd is not running");
        return Ok(Exit::Done);
    };
    let answer: StopResponse = connection.call("daemon.stop", &json!({}))?;
    if !connection.wait_for_end(STOP_PATIENCE) {
        let words = format!("copexd did not stop within {} s", STOP_PATIENCE.as_secs());
        return Err(Failure::unavailable(words).with_hint("copexctl daemon logs"));
    }
    start::wait_until_gone(ctx, STOP_PATIENCE)?;
    if answer.active_runs > 0 {
        let words = format!("{} runs go on when copexd starts again", answer.active_runs);
        render::note(&words);
    }
    render::note("copexd stopped");
    Ok(Exit::Done)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    End,
    Follow,
}

impl From<bool> for Then {
    fn from(follow: bool) -> Self {
        if follow { Self::Follow } else { Self::End }
    }
}

fn logs(ctx: &Context, lines: usize, then: Then) -> Result<Exit> {
    if ctx.systemd_owns() {
        let follow = if then == Then::Follow { "-f" } else { "--no-pager" };
        let count = lines.to_string();
        let error = process::command("journalctl")
            .args(["--user", "-u", "copexd", "-n", &count, follow])
            .exec();
        let words = format!("cannot start journalctl: {}", reason(&error));
        return Err(Failure::unavailable(words).with_hint("journalctl --user -u copexd"));
    }
    let path = ctx.log_file();
    let wrong = |error: std::io::Error| Failure::file("read", &path, &error);
    let mut file = File::open(&path).map_err(wrong)?;
    let length = file.metadata().map_err(wrong)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).map_err(wrong)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(wrong)?;
    render::text(last_lines(&text, lines))?;
    if then == Then::End {
        return Ok(Exit::Done);
    }
    loop {
        std::thread::sleep(LOOK);
        text.clear();
        file.read_to_end(&mut text).map_err(wrong)?;
        if !text.is_empty() {
            render::text(&text)?;
        }
    }
}

fn last_lines(text: &[u8], count: usize) -> &[u8] {
    if count == 0 {
        return &[];
    }
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let start = body
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(count - 1)
        .map_or(0, |(index, _)| index + 1);
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole() {
        let text = b"a\nb\nc\n";
        assert_eq!(last_lines(text, 2), b"b\nc\n");
        assert_eq!(last_lines(text, 9), text);
        assert_eq!(last_lines(text, 0), b"");
        assert_eq!(last_lines(b"", 3), b"");
        assert_eq!(last_lines(b"a\nb", 1), b"b");
    }
}
