//! A long answer on a terminal, beside `cat`.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::json;

use super::measure::{Line, Value, time};
use crate::ctl::{Bins, Ctl};
use crate::process::Launch;
use crate::sandbox::Sandbox;

/// Bytes of the answer: more than any model gives in one.
const BYTES: usize = 1_000_000;

/// Bytes of a piece, as models stream them, or a little more.
const PIECE: usize = 200;

/// Rounds; each takes about a second.
const ROUNDS: usize = 5;

/// Words, a list, a table and code, again and again.
fn answer() -> String {
    let mut text = String::new();
    let mut part = 0;
    while text.len() < BYTES {
        part += 1;
        let _ = write!(
            text,
            "## Part {part}\n\nSome **plain words** with `code` and a [link](https://example.com/{part}), \
             long enough to be wrapped at the end of a line of eighty columns.\n\n\
             - one\n- two\n  - and a half\n\n| a | b |\n|---|---|\n| {part} | wide 漢字 |\n\n\
             ```rust\nfn part_{part}(x: u32) -> u32 {{ x + {part} }} // a comment\n```\n\n"
        );
    }
    text
}

/// The log of a run that said it.
fn log(answer: &str) -> String {
    let mut log = String::new();
    let mut rest = answer;
    let mut seq = 0;
    while !rest.is_empty() {
        let mut end = PIECE.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, after) = rest.split_at(end);
        seq += 1;
        let event = json!({"run": "css0pc000002d", "seq": seq, "at": seq,
            "type": "message_delta", "text": piece});
        let _ = writeln!(log, "{event}");
        rest = after;
    }
    log
}

/// The middle time and the middle CPU time of a command that fills a terminal.
fn filled(launch: &Launch) -> (Duration, Duration) {
    let mut rounds: Vec<(Duration, Duration)> = (0..=ROUNDS).map(|_| once(launch)).collect();
    rounds.remove(0);
    let middle = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2]
    };
    let (times, cpus) = rounds.into_iter().unzip();
    (middle(times), middle(cpus))
}

fn once(launch: &Launch) -> (Duration, Duration) {
    let before = children();
    let took = time(|| drop(launch.clone().start_on_terminal().wait().expect_code(0)));
    (took, children().saturating_sub(before))
}

/// CPU time of the processes that have ended and were waited for.
fn children() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let spent = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(spent.try_into().unwrap_or_default())
}

/// Measures it.
pub(super) fn page(bins: &Bins) -> Vec<Line> {
    let sandbox = Sandbox::new();
    let text = answer();
    let (page, events) = (sandbox.path("work/answer.md"), sandbox.path("work/run.jsonl"));
    fs::write(&page, &text).expect("a file with the answer");
    fs::write(&events, log(&text)).expect("a file with the log");
    let ours = Ctl::new(bins, &sandbox).launch(["render".as_ref(), events.as_os_str()]);
    let cat = Launch::inside(&sandbox, "cat").args([page]);
    let ((ours, our_cpu), (cat, cat_cpu)) = (filled(&ours), filled(&cat));
    let line = |what, ours, rival, theirs| Line {
        what,
        ours: Value::Time(ours),
        target: "smooth",
        rival: Some((rival, Value::Time(theirs))),
    };
    vec![
        line("1 MB of Markdown, rendered on a terminal", ours, "cat", cat),
        line("the same, CPU", our_cpu, "cat", cat_cpu),
    ]
}
