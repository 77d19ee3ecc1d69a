//! Runs survive the death of their daemon, whenever it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use copex_tests::daemon::TestDaemon;
use copex_tests::kills;
use copex_tests::model::{Gate, ModelServer, RecordedRequest, Reply};
use copex_tests::process::marked;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};
use serde_json::json;

fn daemon(server: &ModelServer) -> TestDaemon {
    TestDaemon::builder(copex_tests::bins!()).model(server).start()
}

/// Starts a run in the background and returns its id.
fn submit(daemon: &TestDaemon, prompt: &str) -> String {
    daemon.ctl().run(["chat", prompt, "--detach"]).ok().trim().to_owned()
}

fn content(end: &Tapped) -> String {
    end.value()["content"].as_str().unwrap_or_default().to_owned()
}

/// No request's history holds the prompt twice.
fn assert_said_once(requests: &[RecordedRequest], prompt: &str) {
    let mine = requests.iter().filter(|request| says(request, prompt));
    let counts: Vec<usize> = mine
        .map(|request| request.user_messages().iter().filter(|said| *said == prompt).count())
        .collect();
    assert!(!counts.is_empty() && counts.iter().all(|count| *count == 1), "{prompt}: {counts:?}");
}

fn says(request: &RecordedRequest, prompt: &str) -> bool {
    request.user_messages().iter().any(|said| said == prompt)
}

#[test]
fn a_run_goes_on_after_its_daemon_was_killed_in_the_middle_of_the_answer() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("half an ").wait(&gate).say("answer"));
    server.push(Reply::chunks(["a whole ", "answer"]));
    let mut daemon = daemon(&server);
    let run = submit(&daemon, "tell me");
    let mut tap = Tap::watch(&daemon.socket(), &run, 0);
    let before = tap.until(|event| event.kind == "message_delta");
    let _killed = daemon.kill9();
    daemon.restart();

    // A client that saw everything up to the kill misses nothing and sees nothing twice.
    let last = before.last().unwrap().seq;
    let after = Tap::watch(&daemon.socket(), &run, last).follow();
    let all = Tap::watch(&daemon.socket(), &run, 0).follow();
    let joined: Vec<Tapped> = before.into_iter().chain(after).collect();
    assert_eq!(joined, all, "the same number, the same bytes");
    assert_whole(&all);
    assert_eq!(kinds(&all).last(), Some(&"done"));
    assert_eq!(content(all.last().unwrap()), "a whole answer");
    assert!(kinds(&all).contains(&"restarted"), "{:?}", kinds(&all));
    assert_said_once(&server.requests(), "tell me");

    let attached = daemon.ctl().run(["runs", "attach", &run]).expect_code(0);
    assert!(attached.stdout.ends_with("a whole answer\n"), "{attached:?}");
    let quiet = daemon.ctl().run(["runs", "attach", &run, "-q"]);
    assert_eq!(quiet.ok(), "a whole answer\n");
}

#[test]
fn a_foreground_chat_reconnects_by_itself_and_starts_the_daemon_again() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("half an ").wait(&gate).say("answer"));
    server.push(Reply::chunks(["a whole ", "answer"]));
    let daemon = daemon(&server);
    let chat = daemon.ctl().start(["chat", "tell me", "--json"]);
    server.wait_for_requests(1);
    gate.wait_reached(1);
    let _killed = daemon.kill9();

    let output = chat.wait().expect_code(0);
    assert_eq!(output.json()["content"], "a whole answer", "{output:?}");
    assert!(output.stderr.contains("copexd started"), "{}", output.stderr);
    assert_said_once(&server.requests(), "tell me");
    let _stopped = daemon.ctl().run(["daemon", "stop"]).expect_code(0);
}

#[test]
fn a_stopped_daemon_leaves_its_run_unfinished_and_no_process_behind() {
    let (server, gate) = (ModelServer::start(), Gate::new());
    server.push(Reply::stream().say("half an ").wait(&gate).say("answer"));
    server.push(Reply::text("a whole answer"));
    let mut daemon = daemon(&server);
    let run = submit(&daemon, "tell me");
    let before = Tap::watch(&daemon.socket(), &run, 0).until(|e| e.kind == "message_delta");
    let stopped = daemon.ctl().run(["daemon", "stop"]).expect_code(0);
    assert!(stopped.stderr.contains("1 run"), "{}", stopped.stderr);
    let _ended = daemon.process().wait().expect_code(0);
    let left = marked(daemon.sandbox().marker());
    assert!(left.is_empty(), "{left:?}");

    daemon.restart();
    let after = Tap::watch(&daemon.socket(), &run, before.last().unwrap().seq).follow();
    assert_eq!(content(after.last().unwrap()), "a whole answer");
    assert_said_once(&server.requests(), "tell me");
}

#[test]
fn a_tool_that_outlived_its_daemon_is_ended_by_the_next() {
    let server = ModelServer::start();
    let command = "echo began >> tool.txt; sleep 345 & wait";
    server.push(Reply::tool("bash", &json!({"command": command, "description": "wait"})));
    server.push(Reply::text("it was interrupted"));
    let mut daemon = daemon(&server);
    let run = submit(&daemon, "run it");
    let sleeps = |daemon: &TestDaemon| {
        let all = marked(daemon.sandbox().marker()).into_iter();
        all.filter(|(_, line)| line.starts_with("sleep 345")).count()
    };
    Tap::watch(&daemon.socket(), &run, 0).until(|event| event.kind == "tool_start");
    let _killed = daemon.kill9();
    daemon.restart();
    let all = Tap::watch(&daemon.socket(), &run, 0).follow();
    assert_whole(&all);
    assert_eq!(sleeps(&daemon), 0, "no orphan is left");
    assert_eq!(content(all.last().unwrap()), "it was interrupted");
    let end = all.iter().find(|event| event.kind == "tool_end").unwrap().value();
    assert_eq!(end["success"], false, "{end}");
    let results = server.requests().last().unwrap().tool_results();
    // Killed before the permission was given, the CLI tells it in its own words.
    let told = ["interrupted", "permission host call failed"];
    assert!(told.iter().any(|words| results[0].contains(words)), "{results:?}");
    let lines = std::fs::read_to_string(daemon.sandbox().work().join("tool.txt"));
    assert!(lines.unwrap_or_default().len() <= "began\n".len(), "it ran at most once");
}

/// Where in a run the daemon is killed.
#[derive(Debug, Clone, Copy)]
enum Point {
    /// After this many events, whatever they are.
    Events(usize),
    /// The model has the prompt and has not answered yet.
    Asked,
    /// The model is in the middle of its last answer.
    MidStream,
    /// A tool is at work.
    InTool,
    /// The model has the tool's result.
    AfterTool,
    /// The whole answer is there, the end perhaps not.
    Message,
}

/// What the model does in each run of the long test: a tool call, then an answer. Until the
/// run's daemon was killed it stops at the run's point.
struct Script {
    runs: BTreeMap<String, (Point, Gate)>,
    killed: Mutex<BTreeSet<String>>,
}

impl Script {
    fn answer(&self, request: &RecordedRequest) -> Reply {
        let prompt = request.prompt();
        let Some((point, gate)) = self.runs.get(&prompt) else { return Reply::text("?") };
        let killed = self.killed.lock().unwrap().contains(&prompt);
        let asked = !request.tool_results().is_empty();
        match (asked, point) {
            (false, Point::Asked) if !killed => call(&prompt, "").wait_before_head(gate),
            (false, Point::InTool) if !killed => call(&prompt, "; sleep 300"),
            (false, _) => call(&prompt, ""),
            (true, Point::AfterTool) if !killed => Reply::text("never").wait_before_head(gate),
            (true, Point::MidStream) if !killed => {
                Reply::chunks(["do", "ne "]).wait(gate).say("never")
            }
            (true, _) => Reply::chunks(["done ", "with ", &prompt]),
        }
    }

    fn kill(&self, daemon: &TestDaemon, prompt: &str) {
        self.killed.lock().unwrap().insert(prompt.to_owned());
        let _killed = daemon.kill9();
    }
}

fn call(prompt: &str, then: &str) -> Reply {
    let command = format!("echo line >> '{prompt}.txt'{then}");
    let call = json!({"command": command, "description": "a line"});
    Reply::stream().think("hm").say("I will. ").call("bash", &call)
}

/// Points in an order that looks random and is the same each time.
fn points(count: usize) -> Vec<Point> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below).unwrap_or(0)
    };
    let fixed = [
        Point::Events(1),
        Point::Events(2),
        Point::Events(3),
        Point::Asked,
        Point::MidStream,
        Point::InTool,
        Point::AfterTool,
        Point::Message,
    ];
    let mut all = fixed.to_vec();
    while all.len() < count {
        all.push(if next(2) == 0 { Point::Events(next(16) + 1) } else { fixed[next(8)] });
    }
    all
}

/// Watches until the run is at its point.
fn reach(daemon: &TestDaemon, run: &str, point: Point, gate: &Gate) -> Vec<Tapped> {
    let mut tap = Tap::watch(&daemon.socket(), run, 0);
    let (mut count, mut answered) = (0, false);
    let seen = tap.until(|event| {
        count += 1;
        answered |= event.kind == "tool_end";
        match point {
            Point::Events(most) => count >= most,
            Point::Asked => event.kind == "attempt",
            Point::MidStream => answered && event.kind == "message_delta",
            Point::InTool => event.kind == "tool_start",
            Point::AfterTool => event.kind == "tool_end",
            Point::Message => answered && event.kind == "message",
        }
    });
    if matches!(point, Point::Asked | Point::AfterTool) {
        gate.wait_reached(1);
    }
    seen
}

/// What a client has at the end, by the rule of the log: text since the last whole message
/// is void after `restarted`.
fn shown(events: &[Tapped]) -> Vec<String> {
    let mut messages = Vec::new();
    for event in events.iter().filter(|event| event.kind == "message") {
        messages.push(event.value()["text"].as_str().unwrap_or_default().to_owned());
    }
    messages
}

fn tool_lines(work: &Path, prompt: &str) -> usize {
    let text = std::fs::read_to_string(work.join(format!("{prompt}.txt")));
    text.unwrap_or_default().lines().count()
}

#[test]
fn twenty_five_kills_lose_nothing_and_repeat_nothing() {
    let server = ModelServer::start();
    let points = points(kills::asked().unwrap_or(25));
    let name = |index: usize| format!("task {index:02}");
    let of = |(index, point): (usize, &Point)| (name(index), (*point, Gate::new()));
    let runs = points.iter().enumerate().map(of).collect();
    let script = Arc::new(Script { runs, killed: Mutex::default() });
    let model = Arc::clone(&script);
    server.respond(move |request| model.answer(request));
    let mut daemon = daemon(&server);
    let mut runs = Vec::new();
    for (prompt, (point, gate)) in &script.runs {
        let run = submit(&daemon, prompt);
        let before = reach(&daemon, &run, *point, gate);
        script.kill(&daemon, prompt);
        daemon.restart();
        let last = before.last().map_or(0, |event| event.seq);
        let after = match before.last() {
            Some(event) if event.is_terminal() => Vec::new(),
            _ => Tap::watch(&daemon.socket(), &run, last).follow(),
        };
        runs.push((run, before.into_iter().chain(after).collect::<Vec<_>>()));
    }
    let requests = server.requests();
    let work = daemon.sandbox().work();
    for (index, (run, joined)) in runs.iter().enumerate() {
        let (prompt, point) = (name(index), points[index]);
        let all = Tap::watch(&daemon.socket(), run, 0).follow();
        let context = format!("{prompt} {point:?}: {all:#?}");
        assert_eq!(*joined, all, "{context}");
        assert_whole(&all);
        assert_eq!(all.last().unwrap().kind, "done", "{context}");
        assert_eq!(content(all.last().unwrap()), format!("done with {prompt}"), "{context}");
        assert_said_once(&requests, &prompt);
        let usages = all.iter().filter(|event| event.kind == "usage").count();
        assert_eq!(all.last().unwrap().value()["usage"]["calls"], json!(usages), "{context}");
        let answers = shown(&all).iter().filter(|text| text.starts_with("done")).count();
        assert_eq!(answers, 1, "the answer is told once: {context}");
        let lines = tool_lines(&work, &prompt);
        let ends: Vec<_> = all.iter().filter(|event| event.kind == "tool_end").collect();
        let starts = all.iter().filter(|event| event.kind == "tool_start").count();
        assert_eq!(starts, ends.len(), "every tool that began has ended: {context}");
        let interrupted = ends.iter().any(|end| end.value()["success"] == false);
        assert!(lines == 1 || (interrupted && lines == 0), "{lines} lines: {context}");
    }
}
