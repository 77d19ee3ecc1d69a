//! The matrix: each fault, once and always, in a new session and in one that goes on, with
//! another model to fall back to and without.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use copex_tests::model::{RecordedRequest, Reply};
use serde_json::{Value, json};

use super::rows::{Row, Wanted, rows};
use super::{FIRST, SECOND, Seen, chat, merged, provider, quick, requests_to};
use crate::product::Product;

/// How often the fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Once; then the model is well.
    Once,
    /// Whenever the first model is asked.
    Always,
}

/// One cell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) fault: Fault,
    pub(super) resumed: bool,
    pub(super) fallback: bool,
}

const BEFORE: &str = "what came before";
const PROMPT: &str = "the question";
const ANSWER: &str = "the answer";

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for fault in [Fault::Once, Fault::Always] {
        for resumed in [false, true] {
            for fallback in [false, true] {
                cells.push(Cell { fault, resumed, fallback });
            }
        }
    }
    cells
}

fn name(row: &Row, cell: Cell) -> String {
    let how = if cell.fault == Fault::Once { "once" } else { "always" };
    let session = if cell.resumed { "resumed" } else { "new" };
    let chain = if cell.fallback { "fallback" } else { "alone" };
    format!("{}-{how}-{session}-{chain}", row.name)
}

/// Whether a request is about the question: nothing said before, and no question of the
/// Copilot CLI's own, which makes a conversation smaller.
fn asks(request: &RecordedRequest) -> bool {
    let prompt = request.prompt();
    prompt.contains(PROMPT) && !prompt.contains("summary of the conversation")
}

/// How often the user's words are in what the model was sent.
fn said(request: &RecordedRequest) -> [usize; 2] {
    let all = request.user_messages().join("\n");
    [BEFORE, PROMPT].map(|words| all.matches(words).count())
}

/// The scripts of all cells, by the name in the path.
#[derive(Default)]
struct Scripts {
    faults: HashMap<String, (Reply, Fault)>,
    asked: Mutex<HashMap<String, usize>>,
}

impl Scripts {
    fn reply(&self, request: &RecordedRequest) -> Reply {
        let name = request.path.split('/').nth(2).unwrap_or_default();
        let Some((fault, how)) = self.faults.get(name) else { return Reply::text("no such cell") };
        if !asks(request) {
            return Reply::text(if request.prompt() == BEFORE { "before" } else { "a summary" });
        }
        if request.model() != FIRST {
            return Reply::text(ANSWER);
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry(name.to_owned()).or_default();
        *count += 1;
        if *how == Fault::Always || *count == 1 { fault.clone() } else { Reply::text(ANSWER) }
    }
}

/// Plays the rows of one group, several cells at once, and says which cells went wrong. A
/// group is small: its daemon's budget of retries must not run out.
fn play(names: &[&str]) {
    let rows: Vec<Row> = rows().into_iter().filter(|row| names.contains(&row.name)).collect();
    assert_eq!(rows.len(), names.len(), "every name is a row's");
    let mut scripts = Scripts::default();
    let mut todo = Vec::new();
    for row in &rows {
        for cell in cells() {
            scripts.faults.insert(name(row, cell), (row.fault.clone(), cell.fault));
            todo.push((row, cell));
        }
    }
    let product = Product::start();
    let scripts = Arc::new(scripts);
    product.model.respond(move |request| scripts.reply(request));
    // The runtime is there before the cells ask for it all at once.
    let _warm = product.chat(["hi", "-q"]).ok();
    let todo = Mutex::new(todo);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((row, cell)) = next else { return };
                    if let Err(why) = play_cell(&product, row, cell) {
                        let why = format!("{}: {why}", name(row, cell));
                        wrong.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(wrong.is_empty(), "{} cells went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn play_cell(product: &Product, row: &Row, cell: Cell) -> Result<(), String> {
    let name = name(row, cell);
    let cwd = product.daemon.sandbox().path(format!("work/{name}"));
    std::fs::create_dir(&cwd).map_err(|error| error.to_string())?;
    let own = json!({"provider": provider(&product.model, &name), "cwd": cwd, "no_park": true});
    let base = merged(merged(quick(), own), row.more.clone());
    if cell.resumed {
        let first = chat(product, BEFORE, base.clone());
        if first.end()["content"] != "before" {
            return Err(format!("the turn before failed: {}", first.end()));
        }
    }
    let mut more = json!({});
    if cell.resumed {
        more["session"] = json!("continue");
    }
    if cell.fallback {
        more["fallback_chain"] = json!([SECOND]);
    }
    let seen = chat(product, PROMPT, merged(base, more));
    let asked: Vec<RecordedRequest> =
        requests_to(product, &name).into_iter().filter(asks).collect();
    check(&(row.wanted)(cell), cell, &seen, &asked)
}

/// Whether the cell went as wanted; all that is wrong with it otherwise.
fn check(
    wanted: &Wanted,
    cell: Cell,
    seen: &Seen,
    asked: &[RecordedRequest],
) -> Result<(), String> {
    let mut wrong = Vec::new();
    let mut same = |what: &str, is: Value, wanted: Value| {
        if is != wanted {
            wrong.push(format!("{what} is {is}, not {wanted}"));
        }
    };
    let of = |model: &str| asked.iter().filter(|request| request.model() == model).count();
    same("requests to the first", json!(of(FIRST)), json!(wanted.first));
    same("requests to the second", json!(of(SECOND)), json!(wanted.second));
    same("retrying", json!(seen.count("retrying")), json!(wanted.retrying));
    same("restarted", json!(seen.count("restarted")), json!(wanted.restarted));
    same("fallback", json!(seen.count("fallback")), json!(wanted.second.min(1)));
    same("parked", json!(seen.count("parked")), json!(0));
    let end = seen.end();
    same("the end", end["type"].clone(), json!(wanted.end.0));
    same("the class", end["error"]["class"].clone(), json!(wanted.end.1));
    same("the exit code", json!(seen.output.code()), json!(wanted.end.2));
    if wanted.end.0 == "done" {
        same("stdout", json!(seen.output.stdout), json!(format!("{ANSWER}\n")));
        same("stderr", json!(seen.output.stderr), json!(""));
        same("the text", json!(seen.text()), json!(ANSWER));
        let model = if wanted.second > 0 { SECOND } else { FIRST };
        same("the model", end["model"].clone(), json!(model));
    } else {
        same("stdout", json!(seen.output.stdout), json!(""));
        let message = end["error"]["message"].as_str().unwrap_or_default();
        let told = seen.output.stderr.matches(message).count();
        same("times the error is told", json!(told), json!(1));
        same("words", json!(message.contains(wanted.words)), json!(true));
    }
    for request in asked {
        same("the history", json!(said(request)), json!([usize::from(cell.resumed), 1]));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n    {}", wrong.join("; "), crate::product::types(&seen.events).join(" ")))
}

#[test]
fn servers_that_fail() {
    play(&["500", "502"]);
}

#[test]
fn servers_that_are_not_there_or_overloaded() {
    play(&["503", "529"]);
}

#[test]
fn answers_without_a_word() {
    play(&["bodyless-400", "error-event"]);
}

#[test]
fn connections_that_end_before_the_answer() {
    play(&["fin-before-head", "reset-before-head"]);
}

#[test]
fn streams_that_say_nothing() {
    play(&["empty-stream", "garbage"]);
}

#[test]
fn streams_that_break() {
    play(&["fin-after-words", "reset-after-words"]);
}

#[test]
fn streams_without_an_end() {
    play(&["no-end"]);
}

#[test]
fn silence() {
    play(&["silent-head", "silent-stream", "silent-middle"]);
}

#[test]
fn refusals_that_asking_again_does_not_help() {
    play(&["401", "403", "402", "quota", "400", "404", "content-filter"]);
}

#[test]
fn conversations_that_are_too_long() {
    play(&["context"]);
}

#[test]
fn limits_of_one_model() {
    play(&["model-soon", "model-unknown", "model-late"]);
}

#[test]
fn limits_of_the_account() {
    play(&["account-soon", "account-unknown", "account-late", "429"]);
}

#[test]
fn limits_of_the_week_and_of_the_integration() {
    play(&["weekly-soon", "weekly-unknown", "integration-soon", "integration-late"]);
}
