//! `inbox`: the questions of all runs that wait for a person.

use copex_proto::ask::{AskClosed, AskEntry, AskList};
use copex_proto::error::ErrorClass;
use copex_proto::event::{Answer, AnsweredBy, AskKind};
use copex_proto::health::AnswerResponse;
use copex_proto::id::RunId;
use serde_json::{Value, json};

use crate::answer;
use crate::cli::{InboxCommand, InboxList};
use crate::clock;
use crate::commands::runs;
use crate::connect::{Connection, Pending};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::{self, brief, clean, duration};
use crate::when::moment;

/// Questions asked for at once: the most that copexd gives.
const MOST: u32 = 500;

/// The shortest part of an id.
const SHORTEST: usize = 4;

/// Carries out one of the verbs.
pub(crate) fn run(ctx: &Context, list: &InboxList, command: Option<InboxCommand>) -> Result<Exit> {
    match command {
        None => print(ctx, list),
        Some(InboxCommand::List(list)) => print(ctx, &list),
        Some(InboxCommand::Show { id, json }) => show(ctx, &id, json),
        Some(InboxCommand::Answer { id, answer, text }) => reply(ctx, &id, &answer, text),
    }
}

/// Asks how many questions wait, beside other calls.
pub(crate) fn count(connection: &mut Connection) -> Result<Pending> {
    connection.send("ask.list", &json!({ "limit": 1 }))
}

/// How many questions wait, and what to do about it; nothing when none does.
pub(crate) fn waiting(count: u32) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 question waits for an answer: copexctl inbox".to_owned()),
        many => Some(format!("{many} questions wait for an answer: copexctl inbox")),
    }
}

fn print(ctx: &Context, flags: &InboxList) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let run = match &flags.run {
        Some(id) => Some(runs::find(&mut connection, id)?),
        None => None,
    };
    let list = fetch(&mut connection, run, flags.closed)?;
    if flags.json {
        render::value(&list)?;
        return Ok(Exit::Done);
    }
    render::text(list_text(&list, clock::unix_ms()).as_bytes())?;
    if list.asks.is_empty() {
        render::note("nothing waits for an answer");
    } else if list.waiting > 0 {
        render::note("answer with: copexctl inbox answer ID yes|always|no|NUMBER|TEXT");
    }
    if list.more {
        render::note("there are more: --run RUN shows those of one run");
    }
    Ok(Exit::Done)
}

fn fetch(connection: &mut Connection, run: Option<RunId>, closed: bool) -> Result<AskList> {
    let filter: Value = json!({ "run": run, "closed": closed });
    connection.call("ask.list", &json!({ "filter": filter, "limit": MOST }))
}

fn list_text(list: &AskList, now: u64) -> String {
    let cells = |entry: &AskEntry| {
        vec![
            entry.ask.ask.to_string(),
            entry.mode.as_str().to_owned(),
            kind(entry.ask.kind).to_owned(),
            format!("{} old", duration(now.saturating_sub(entry.asked_at))),
            standing(entry, now),
            answer::about(&entry.ask),
        ]
    };
    let rows: Vec<_> = list.asks.iter().map(cells).collect();
    let table = render::table(&rows);
    let mut text = String::new();
    for (line, entry) in table.lines().zip(&list.asks) {
        text.push_str(line);
        text.push('\n');
        if entry.closed.is_none() {
            text.extend(choices(entry).map(|choice| format!("    {choice}\n")));
        }
    }
    text
}

fn choices(entry: &AskEntry) -> impl Iterator<Item = String> + '_ {
    let choices = entry.ask.choices.iter().enumerate();
    choices.map(|(index, choice)| format!("{}. {}", index + 1, brief(choice, 100)))
}

fn kind(kind: AskKind) -> &'static str {
    match kind {
        AskKind::Permission => "permission",
        AskKind::UserInput => "question",
        AskKind::PlanApproval => "plan",
        AskKind::Unknown => "unknown",
    }
}

/// How long it waits on, or how it was closed.
fn standing(entry: &AskEntry, now: u64) -> String {
    match (&entry.closed, entry.ask.expires_at) {
        (Some(closed), _) => outcome(closed),
        (None, Some(at)) => format!("{} left", duration(at.saturating_sub(now))),
        (None, None) => "no end".to_owned(),
    }
}

fn outcome(closed: &AskClosed) -> String {
    let answer = match &closed.answer {
        None => return "dropped: its run ended".to_owned(),
        Some(answer) => words(answer),
    };
    match closed.by {
        Some(AnsweredBy::Timeout) => format!("{answer}; nobody answered"),
        _ => answer,
    }
}

/// An answer for people.
fn words(answer: &Answer) -> String {
    match answer {
        Answer::Allow => "yes".to_owned(),
        Answer::AllowAlways => "always".to_owned(),
        Answer::Deny { feedback: None } => "no".to_owned(),
        Answer::Deny { feedback: Some(words) } => format!("no, \"{}\"", brief(words, 60)),
        Answer::Text { text } => format!("\"{}\"", brief(text, 60)),
    }
}

fn show(ctx: &Context, id: &str, json: bool) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let entry = find(&mut connection, id)?;
    if json {
        render::value(&entry)?;
    } else {
        render::text(entry_text(&entry, clock::unix_ms()).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn entry_text(entry: &AskEntry, now: u64) -> String {
    let ask = &entry.ask;
    let mut rows = vec![
        vec!["question".to_owned(), ask.ask.to_string()],
        vec!["kind".to_owned(), kind(ask.kind).to_owned()],
        vec!["title".to_owned(), brief(&ask.title, 200)],
    ];
    let mut add = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    for choice in choices(entry) {
        add("", choice);
    }
    add("run", format!("{} {} {}", entry.run, entry.mode.as_str(), brief(&entry.run_title, 80)));
    add("folder", clean(&entry.cwd));
    add("asked", moment(entry.asked_at));
    if let Some(closed) = &entry.closed {
        add("closed", moment(closed.at));
        add("answer", outcome(closed));
    } else {
        if let Some(at) = ask.expires_at {
            let left = duration(at.saturating_sub(now));
            add("expires", format!("{}, in {left}; then it counts as denied", moment(at)));
        }
        add("to answer", format!("copexctl inbox answer {} {}", ask.ask, answer::ways(ask)));
    }
    let mut text = render::table(&rows);
    if !ask.detail.is_empty() && ask.detail != ask.title {
        text.push('\n');
        text.push_str(clean(&ask.detail).trim_end());
        text.push('\n');
    }
    text
}

/// Answers a question; says how to follow its run.
pub(crate) fn reply(
    ctx: &Context,
    id: &str,
    said: &[String],
    text: Option<String>,
) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let entry = find(&mut connection, id)?;
    if let Some(closed) = &entry.closed {
        return Err(too_late(&entry, closed));
    }
    let answer = answer::read(&entry.ask, said, text)?;
    let params = json!({ "ask": entry.ask.ask, "answer": answer });
    let given: AnswerResponse = connection.call("run.answer", &params)?;
    if !given.accepted {
        let (answer, by) = (Some(given.answer), Some(given.by));
        return Err(too_late(&entry, &AskClosed { at: clock::unix_ms(), answer, by }));
    }
    render::line(&format!("{} answered", entry.ask.ask))?;
    render::note(&format!("the run goes on; follow it with: copexctl runs attach {}", entry.run));
    Ok(Exit::Done)
}

fn too_late(entry: &AskEntry, closed: &AskClosed) -> Failure {
    let ask = &entry.ask.ask;
    let message = match closed.answer {
        Some(_) => format!("{ask} was answered before: {}", outcome(closed)),
        None => format!("nobody waits for {ask} any more: its run ended"),
    };
    let hint = format!("copexctl runs show {}", entry.run);
    Failure::new(ErrorClass::Conflict, message).with_hint(hint)
}

/// The question that `id` names: by its id, by four or more characters of its beginning, or by
/// its run. One that waits comes before those that were closed.
fn find(connection: &mut Connection, id: &str) -> Result<AskEntry> {
    let run = id.split('-').next().and_then(|run| run.parse::<RunId>().ok());
    let list = match fetch(connection, run, true) {
        // No such run: there is no such question either.
        Err(Failure::Told { info, .. }) if info.class == ErrorClass::NotFound => AskList::default(),
        list => list?,
    };
    let exact = list.asks.iter().find(|entry| entry.ask.ask.0 == id).cloned();
    if let Some(exact) = exact {
        return Ok(exact);
    }
    if id.len() < SHORTEST {
        return Err(Failure::usage(format!(
            "`{id}` is too short: give {SHORTEST} characters of the id"
        )));
    }
    let (open, closed): (Vec<_>, Vec<_>) =
        list.asks.into_iter().filter(|it| named(it, id)).partition(|it| it.closed.is_none());
    let mut found = if open.is_empty() { closed } else { open };
    match found.as_slice() {
        [] => {
            let message = format!("no question `{id}` waits, or was closed in the last 24 hours");
            Err(Failure::new(ErrorClass::NotFound, message).with_hint("copexctl inbox"))
        }
        [_] => Ok(found.remove(0)),
        [first, second, ..] => Err(Failure::usage(format!(
            "`{id}` names more than one question: {}, {}",
            first.ask.ask, second.ask.ask
        ))),
    }
}

fn named(entry: &AskEntry, id: &str) -> bool {
    let ask = entry.ask.ask.0.as_str();
    // Ids begin with the time, so it is their ends that people tell apart.
    ask.starts_with(id) || ask.ends_with(id) || entry.run.as_str().ends_with(id)
}

#[cfg(test)]
mod tests {
    use copex_proto::event::Ask;
    use copex_proto::id::AskId;
    use copex_proto::run::Mode;

    use super::*;

    fn entry(choices: &[&str]) -> AskEntry {
        AskEntry {
            ask: Ask {
                ask: AskId(format!("{}-1", RunId::new(1, 1))),
                kind: AskKind::UserInput,
                title: "Which \u{1b}[2Jcolour?".to_owned(),
                detail: String::new(),
                choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
                always: None,
                expires_at: Some(70_000),
            },
            run: RunId::new(1, 1),
            mode: Mode::Ralph,
            run_title: "paint".to_owned(),
            cwd: "/somewhere".to_owned(),
            asked_at: 1_000,
            closed: None,
        }
    }

    #[test]
    fn a_list_has_what_is_needed_to_answer_and_no_control_characters() {
        let asks = vec![entry(&["red", "blue"])];
        let text = list_text(&AskList { asks, waiting: 1, more: false }, 11_000);
        let lines: Vec<_> = text.lines().collect();
        let expected = "-1  ralph  question  10.0 s old  59.0 s left  Which [2Jcolour?";
        assert!(lines[0].ends_with(expected), "{text}");
        assert_eq!(&lines[1..], ["    1. red", "    2. blue"]);
    }

    #[test]
    fn a_question_says_how_to_answer_it_until_it_is_closed() {
        let open = entry(&["red", "blue"]);
        let text = entry_text(&open, 11_000);
        assert!(text.contains("-1 1|2, or \"SOME WORDS\""), "{text}");
        let answer = Some(Answer::Deny { feedback: None });
        let closed = AskClosed { at: 5, answer, by: Some(AnsweredBy::Timeout) };
        let text = entry_text(&AskEntry { closed: Some(closed), ..open }, 11_000);
        assert!(text.contains("no; nobody answered") && !text.contains("to answer"), "{text}");
    }

    #[test]
    fn a_question_is_named_by_its_beginning_its_end_or_its_run() {
        let entry = entry(&[]);
        let ask = entry.ask.ask.0.clone();
        for id in [ask.as_str(), &ask[..5], &ask[6..], &ask[6..13]] {
            assert!(named(&entry, id), "{id}");
        }
        assert!(!named(&entry, "zzzz"));
    }
}
