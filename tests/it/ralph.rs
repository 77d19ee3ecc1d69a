//! Loops: they end when it is true, and not when the model says so.

use std::path::PathBuf;

use copex_tests::model::{RecordedRequest, Reply};
use copex_tests::process::Output;
use serde_json::Value;

use crate::product::{Product, of_type, shell};

mod again;
mod commits;
mod crashes;
mod parking;
mod screen;

const PROMISE: &str = "<promise>ALL TESTS PASSING</promise>";

/// `copexctl ralph ARGS` with the promise, to its end.
fn ralph<const N: usize>(product: &Product, args: [&str; N]) -> Output {
    product.ctl().run(["ralph", "fix it", "-p", "All tests passing"].into_iter().chain(args))
}

/// The iteration that a request belongs to: the number in its newest prompt.
fn iteration(request: &RecordedRequest) -> usize {
    let prompt = request.prompt();
    let number = prompt.split_once("[Iteration ").and_then(|(_, rest)| rest.split_once(' '));
    number.and_then(|(number, _)| number.parse().ok()).expect("an iteration's prompt")
}

/// Whether the iteration of this request has run its tool already.
fn has_run(request: &RecordedRequest) -> bool {
    request.messages().last().is_some_and(|message| message["role"] == "tool")
}

fn work(product: &Product, file: &str) -> PathBuf {
    product.daemon.sandbox().work().join(file)
}

fn lines(product: &Product, file: &str) -> usize {
    std::fs::read_to_string(work(product, file)).unwrap_or_default().lines().count()
}

#[test]
fn a_promise_while_the_gate_is_red_never_ends_the_loop_well() {
    let product = Product::start();
    product.model.respond(|_| Reply::text(PROMISE));
    let args = ["--verify", "echo broken; exit 3", "-n", "3", "--json"];
    let told = ralph(&product, args).expect_code(4).json();
    assert_eq!(told["error"]["class"], "limit", "{told}");
    assert_eq!((&told["iterations"], &told["usage"]["calls"]), (&3.into(), &3.into()), "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("3 iterations") && message.contains("exit 3"), "{message}");
    let second = &product.model.requests()[1];
    assert!(second.prompt().contains("exited with 3. It printed:\nbroken"), "{second:?}");
}

#[test]
fn the_loop_ends_in_the_iteration_in_which_the_gate_turns_green() {
    let product = Product::start();
    product.model.respond(|request| {
        let fixed = iteration(request) == 2 && !has_run(request);
        if fixed { Reply::tool("bash", &shell("touch fixed")) } else { Reply::text(PROMISE) }
    });
    let args = ["--verify", "echo checked >> gate; test -e fixed", "-n", "9", "--jsonl"];
    let events = ralph(&product, args).expect_code(0).json_lines();
    let gates: Vec<&Value> =
        of_type(&events, "gate").into_iter().map(|gate| &gate["exit_code"]).collect();
    assert_eq!(gates, [1, 0]);
    let numbers: Vec<&Value> =
        of_type(&events, "iteration").into_iter().map(|it| &it["number"]).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(lines(&product, "gate"), 2, "each result is asked for once");
    let told = of_type(&events, "warning").into_iter().find(|event| event["code"] == "gates");
    let first = of_type(&events, "attempt")[0];
    assert!(told.unwrap()["seq"].as_u64() < first["seq"].as_u64(), "gates are told first");
    let tool = of_type(&events, "tool_start")[0];
    assert_eq!(tool["path"], "2", "{tool}");
    let done = events.last().unwrap();
    assert_eq!((&done["iterations"], done.get("path")), (&2.into(), None), "{done}");
}

#[test]
fn a_quoted_promise_does_not_count_and_one_in_pieces_does() {
    let product = Product::start();
    let replies = [
        Reply::text(format!("```\n{PROMISE}\n```")),
        Reply::text(format!("> {PROMISE}")),
        Reply::text(format!("I will say `{PROMISE}` then.")),
        Reply::text(format!("I end my answer with a line of its own that says {PROMISE}")),
        Reply::chunks(["Now it is true. <pro", "mise>all", " tests\n pass", "ing</prom", "ise>"]),
    ];
    for reply in replies {
        product.model.push(reply);
    }
    let told = ralph(&product, ["--json"]).expect_code(0).json();
    assert_eq!(told["iterations"], 5, "{told}");
}

#[test]
fn a_terminal_shows_iterations_and_gates_beside_the_answers() {
    let product = Product::start();
    product.model.respond(|_| Reply::text(format!("ok {PROMISE}")));
    let shown = ralph(&product, ["--verify", "test -e marker || { touch marker; false; }"]);
    let shown = shown.expect_code(0);
    for words in ["iteration 1 of 30", "iteration 2 of 30", "✗ test -e", "exit 1", "✓ test -e"]
    {
        assert!(shown.stderr.contains(words), "{words}: {}", shown.stderr);
    }
    assert_eq!(shown.stdout, format!("ok {PROMISE}\nok {PROMISE}\n"));
    let quiet = ralph(&product, ["-q", "-o", "answer"]).expect_code(0);
    assert_eq!((quiet.stdout, quiet.stderr.as_str()), (format!("ok {PROMISE}\n"), ""));
    let answer = std::fs::read_to_string(work(&product, "answer")).unwrap();
    assert_eq!(answer, format!("ok {PROMISE}\n"));
}

#[test]
fn failed_iterations_in_a_row_end_the_loop() {
    let product = Product::start();
    product.model.respond(|_| Reply::error(400, "bad_request", "no such thing"));
    let told = ralph(&product, ["--max-errors", "2", "--json"]).expect_code(4).json();
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("2 iterations in a row failed"), "{message}");
    assert!(message.contains("no such thing"), "{message}");
    assert_eq!(told["iterations"], 2, "{told}");
}

#[test]
fn a_limit_that_nobody_waits_for_ends_the_loop_at_once() {
    let product = Product::start();
    product.model.push(Reply::text("on it"));
    product.model.respond(|_| Reply::rate_limited("rate_limited", Some(3_600)));
    let told = ralph(&product, ["--no-park", "--json"]).expect_code(5).json();
    assert_eq!((&told["error"]["class"], &told["iterations"]), (&"rate_limit".into(), &2.into()));
}

#[test]
fn a_blocked_agent_ends_the_loop_with_its_reason() {
    let product = Product::start();
    product.model.push(Reply::text("<blocked>there is no network</blocked>"));
    let told = ralph(&product, ["--verify", "touch ran", "--json"]).expect_code(3).json();
    assert!(told["error"]["message"].as_str().unwrap().contains("there is no network"), "{told}");
    assert!(!work(&product, "ran").exists(), "no gate runs for it");
}

#[test]
fn a_question_waits_in_the_run_and_its_answer_goes_into_the_next_iteration() {
    let product = Product::start();
    product.model.push(Reply::text("<needs-human>Which port?</needs-human>"));
    product.model.push(Reply::text(PROMISE));
    let running = product.ctl().start(["ralph", "serve", "-p", "all tests passing", "--jsonl"]);
    let seen = running.wait_stdout("\"type\":\"ask\"");
    let ask: Value = seen
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["type"] == "ask")
        .unwrap();
    assert_eq!(ask["title"], "Which port?", "{ask}");
    product.runs(["answer", ask["ask"].as_str().unwrap(), "8080"]).ok();
    let events = running.wait().expect_code(0).json_lines();
    assert_eq!(of_type(&events, "answered").len(), 1);
    let prompt = product.last_request().prompt();
    assert!(prompt.contains("You asked: Which port?\nA person answers: 8080"), "{prompt}");
}

#[test]
fn the_context_says_what_the_model_remembers() {
    let product = Product::start();
    let prompts = |context: &str| {
        let before = product.model.requests().len();
        product.model.respond(|request| {
            Reply::text(if iteration(request) == 4 { PROMISE } else { "not yet" })
        });
        ralph(&product, ["--context", context]).ok();
        let requests = product.model.requests().split_off(before);
        requests.iter().map(|request| request.user_messages().len()).collect::<Vec<_>>()
    };
    assert_eq!(prompts("same"), [1, 2, 3, 4]);
    assert_eq!(prompts("fresh"), [1, 1, 1, 1]);
    assert_eq!(prompts("fresh-every=2"), [1, 2, 1, 2]);
}

#[test]
fn a_loop_in_a_folder_that_is_no_repository_or_that_commits_is_not_stuck() {
    let product = Product::start();
    let commit = "git init -q . && git add -A && git -c user.name=a -c user.email=a@b \
                  commit -q --allow-empty -m x";
    product.model.respond(|_| Reply::text("on it"));
    let told = ralph(&product, ["-n", "9", "--json"]).expect_code(4).json();
    assert_eq!(told["iterations"], 9, "{told}");
    // The gate stands for the agent here: it is the one who commits.
    let told = ralph(&product, ["-n", "9", "--verify", commit, "--json"]).expect_code(4).json();
    assert_eq!(told["iterations"], 9, "{told}");
    // And nobody does anything at all.
    let told = ralph(&product, ["-n", "9", "--json"]).expect_code(4).json();
    assert_eq!(told["iterations"], 7, "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("no progress"), "{message}");
    assert!(product.model.requests().iter().any(|it| it.prompt().contains("quite different")));
}

#[test]
fn an_ended_loop_goes_on_at_its_iteration() {
    let product = Product::start();
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 3 { PROMISE } else { "not yet" }));
    let first = ralph(&product, ["-n", "2", "--json"]).expect_code(4).json();
    let run = first["run"].as_str().unwrap();
    let second = product.runs(["resume", run, "--json"]).expect_code(0).json();
    assert_eq!((&second["iterations"], &second["usage"]["calls"]), (&3.into(), &1.into()));
    assert_eq!(second["session"], first["session"]);
    let shown = product.runs(["show", run, "--json"]).expect_code(0).json();
    assert_eq!(
        (&shown["summary"]["mode"], &shown["summary"]["state"]),
        (&"ralph".into(), &"exhausted".into()),
        "{shown}"
    );
}

#[test]
fn a_gate_is_killed_with_all_it_started_when_the_run_is_cancelled() {
    let product = Product::start();
    product.model.respond(|_| Reply::text(PROMISE));
    let fifo = work(&product, "begun");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let verify = "echo begun > begun; sleep 321 & wait";
    let args = ["ralph", "x", "-p", "all tests passing", "--verify", verify, "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "begun\n");
    let waits = product.runs(["explain", &run, "--json"]).expect_code(0).json();
    assert_eq!(waits["waits"][0]["kind"], "gate", "{waits}");
    let _cancelled = product.runs(["cancel", &run]).expect_code(0);
    let _ended = product.runs(["attach", &run]).expect_code(130);
    let marker = product.daemon.sandbox().marker();
    let left = copex_tests::process::marked(marker);
    assert!(!left.iter().any(|(_, line)| line.starts_with("sleep 321")), "{left:?}");
}

#[test]
fn a_gate_runs_in_the_runs_folder_with_the_runs_environment() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("done"));
    std::fs::create_dir(work(&product, "inner")).unwrap();
    let ctl = product.ctl().with(|launch| launch.env("FLAVOUR", "sour"));
    let gate = "pwd; echo $FLAVOUR; echo ${COPILOT_PROVIDER_API_KEY:-no key}; read x; exit 1";
    let args = ["ralph", "x", "--cwd", "inner", "--verify", gate, "-n", "1", "--jsonl"];
    let events = ctl.run(args).expect_code(4).json_lines();
    let output = of_type(&events, "gate")[0]["output"].as_str().unwrap();
    assert!(output.ends_with("/inner\nsour\nno key\n"), "{output}");
}

#[test]
fn green_gates_end_a_loop_without_a_promise_and_one_that_takes_too_long_is_red() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("done"));
    let loop_with = |gate: &str, code: i32| {
        let args = ["ralph", "x", "--verify", gate, "--verify-timeout", "0.3", "-n", "1", "--json"];
        product.ctl().run(args).expect_code(code).json()
    };
    assert_eq!(loop_with("true", 0)["content"], "done");
    let late = loop_with("sleep 323", 4);
    assert!(late["error"]["message"].as_str().unwrap().contains("sleep 323"), "{late}");
}

#[test]
fn what_a_loop_may_spend_is_spent_by_all_its_iterations_together() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("on it"));
    // Each iteration takes 18 tokens.
    let told = ralph(&product, ["--max-tokens", "60", "--json"]).expect_code(4).json();
    assert_eq!(told["error"]["class"], "limit", "{told}");
    assert_eq!(product.model.requests().len(), 3, "{told}");
    let run = told["run"].as_str().unwrap();
    product.model.respond(|_| Reply::text(PROMISE));
    let args = ["resume", run, "--max-tokens", "100", "--json"];
    let more = product.runs(args).expect_code(0).json();
    assert_eq!(more["iterations"], 4, "{more}");
}

#[test]
fn a_loop_goes_round_with_one_process_per_turn_as_well() {
    let product = Product::start();
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 3 { PROMISE } else { "not yet" }));
    let told = ralph(&product, ["--use-cli", "--json"]).expect_code(0).json();
    assert_eq!(told["iterations"], 3, "{told}");
    assert_eq!(product.last_request().user_messages().len(), 3, "all in one session");
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_runs() {
    let product = Product::start();
    let table: [(&[&str], &str); 6] = [
        (&["-n", "0"], "max_iterations"),
        (&["--max-errors", "0"], "max_errors"),
        (&["--verify", " "], "verify is empty"),
        (&["--verify-timeout", "0"], "verify_timeout"),
        (&["--delay", "-1"], "delay_s"),
        (&["--context", "fresh-every=0"], "fresh-every"),
    ];
    for (args, words) in table {
        let told = product.ctl().run(["ralph", "x"].iter().chain(args)).expect_code(2);
        assert!(told.stderr.contains(words), "{args:?}: {}", told.stderr);
    }
    assert_eq!(product.model.requests().len(), 0);
}
