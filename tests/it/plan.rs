//! Plans: made without changing anything, kept in a file that a person may edit, and carried
//! out step by step.

use std::collections::BTreeSet;
use std::path::PathBuf;

use copex_tests::model::{Gate, RecordedRequest, Reply};
use copex_tests::process::{Launch, Output};
use serde_json::{Value, json};

use crate::product::{Product, of_type, shell};

mod crashes;
mod people;

/// `copexctl plan ARGS`, to its end.
fn plan<const N: usize>(product: &Product, args: [&str; N]) -> Output {
    product.ctl().run(["plan"].into_iter().chain(args))
}

/// The step that a request belongs to; none where it is about planning.
pub(crate) fn step(request: &RecordedRequest) -> Option<usize> {
    let prompt = request.user_messages().into_iter().next()?;
    let (_, rest) = prompt.split_once("Do step ")?;
    rest.split_once(' ').and_then(|(number, _)| number.parse().ok())
}

/// Whether the step of this request has run its tool already.
fn has_run(request: &RecordedRequest) -> bool {
    request.messages().last().is_some_and(|message| message["role"] == "tool")
}

/// An answer with a plan: what each step depends on, and its check command.
pub(crate) fn answer(steps: &[(&[usize], &str)]) -> Reply {
    let steps: Vec<Value> = steps
        .iter()
        .zip(1..)
        .map(|((depends_on, verify), number)| {
            let title = format!("Part {number}");
            let verify = (!verify.is_empty()).then_some(verify);
            json!({"title": title, "depends_on": depends_on, "verify": verify})
        })
        .collect();
    let text = json!({"steps": steps}).to_string();
    Reply::text(format!("I looked.\n```json\n{text}\n```"))
}

/// A model that plans these steps and carries each out with a line in a file of its number.
fn respond(product: &Product, steps: &'static [(&'static [usize], &'static str)]) {
    product.model.respond(move |request| match step(request) {
        None => answer(steps),
        Some(number) => work(request, number),
    });
}

/// What is done in a step: a line, then the promise.
pub(crate) fn work(request: &RecordedRequest, number: usize) -> Reply {
    if has_run(request) {
        return kept(number);
    }
    Reply::tool("bash", &shell(&format!("echo line >> {number}")))
}

fn kept(number: usize) -> Reply {
    Reply::text(format!("It is done.\n<promise>Step {number} complete</promise>"))
}

fn file(product: &Product, name: &str) -> PathBuf {
    product.daemon.sandbox().work().join(name)
}

fn lines(product: &Product, name: &str) -> usize {
    std::fs::read_to_string(file(product, name)).unwrap_or_default().lines().count()
}

#[test]
fn a_plan_is_made_without_changing_anything() {
    let product = Product::start();
    respond(&product, &[(&[], "test -e 1"), (&[1], "")]);
    let made = plan(&product, ["Build it"]);
    let text = made.ok();
    assert!(text.starts_with("# Plan\n\nBuild it\n\n- [ ] **1. Part 1**\n"), "{text}");
    assert!(text.contains("  - depends_on: 1\n"), "{text}");
    let first = &product.model.requests()[0];
    let offered: BTreeSet<&str> = first.tools().into_iter().collect();
    assert_eq!(offered, ["view", "grep", "glob"].into(), "nothing that writes or runs is offered");
    assert_eq!(product.model.requests().len(), 1);
    let kept = plan(&product, ["Build it", "-o", "plan.md", "--json"]).expect_code(0).json();
    let on_disk = std::fs::read_to_string(file(&product, "plan.md")).unwrap();
    assert_eq!((&kept["content"], &json!(on_disk)), (&json!(text), &json!(text)), "{kept}");
    let steps = kept["plan"]["steps"].as_array().unwrap();
    assert_eq!((steps.len(), &steps[0]["verify"]), (2, &json!(["test -e 1"])), "{kept}");
    assert!(kept["plan"]["file"].as_str().unwrap().ends_with("/plan.md"), "{kept}");
}

#[test]
fn a_plan_is_carried_out_in_order_and_ticked() {
    let product = Product::start();
    respond(&product, &[(&[], "test -e 1"), (&[1], "test -e 2"), (&[2], "")]);
    let events = plan(&product, ["Build it", "-e", "--trust-plan", "-o", "plan.md", "--jsonl"])
        .expect_code(0)
        .json_lines();
    let told: Vec<String> = of_type(&events, "step")
        .into_iter()
        .map(|step| format!("{} {}", step["number"], step["state"].as_str().unwrap()))
        .collect();
    let wanted = [
        "1 pending",
        "2 pending",
        "3 pending",
        "1 running",
        "1 done",
        "2 running",
        "2 done",
        "3 running",
        "3 done",
    ];
    assert_eq!(told, wanted);
    let gates: Vec<&Value> = of_type(&events, "gate").iter().map(|gate| &gate["path"]).collect();
    assert_eq!(gates, ["1/1", "2/1"], "step and iteration");
    let told = of_type(&events, "warning").into_iter().find(|event| event["code"] == "gates");
    assert!(told.unwrap()["message"].as_str().unwrap().contains("1: test -e 1"));
    assert_eq!([1, 2, 3].map(|number| lines(&product, &number.to_string())), [1; 3]);
    let text = std::fs::read_to_string(file(&product, "plan.md")).unwrap();
    assert_eq!(text.matches("- [x] ").count(), 3, "{text}");
    let done = events.last().unwrap();
    assert_eq!((&done["type"], &done["content"]), (&json!("done"), &json!(text)), "{done}");
    assert_eq!(done["usage"]["calls"], 7, "one for the plan, two for each step");
    let last = product.last_request();
    assert!(last.prompt().contains("1. Part 1 (done)"), "{}", last.prompt());
}

#[test]
fn gates_that_nobody_approved_are_not_run() {
    let product = Product::start();
    respond(&product, &[(&[], "touch ran")]);
    let told = plan(&product, ["Build it", "-e", "--json"]).expect_code(0).json();
    assert!(!file(&product, "ran").exists());
    let warned = told["warnings"].as_array().unwrap();
    let warned = warned.iter().find(|it| it["code"] == "gates_not_run").unwrap();
    assert!(warned["message"].as_str().unwrap().contains("touch ran"), "{warned}");
}

#[test]
fn a_promise_while_the_gate_is_red_does_not_end_a_step() {
    let product = Product::start();
    product.model.respond(|request| match step(request) {
        None => answer(&[(&[], "echo broken; exit 3"), (&[1], ""), (&[], "")]),
        Some(number) => kept(number),
    });
    let args = ["Build it", "-e", "--trust-plan", "-n", "2", "-o", "plan.md", "--json"];
    let told = plan(&product, args).expect_code(4).json();
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("2 iterations are over") && message.contains("exit 3"), "{message}");
    let text = std::fs::read_to_string(file(&product, "plan.md")).unwrap();
    let boxes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("- ")).collect();
    let boxes: Vec<&str> = boxes.iter().filter_map(|line| line.get(..3)).collect();
    assert_eq!(boxes[..], ["[!]", "[ ]", "[x]"], "what does not need it is done: {text}");
    // Mended, the same run goes on with what is left.
    let run = told["run"].as_str().unwrap();
    std::fs::write(file(&product, "plan.md"), text.replace("echo broken; exit 3", "true")).unwrap();
    let before = product.model.requests().len();
    let _ended = product.runs(["resume", run, "--json"]).expect_code(0);
    let text = std::fs::read_to_string(file(&product, "plan.md")).unwrap();
    assert_eq!(text.matches("- [x] ").count(), 3, "{text}");
    assert_eq!(product.model.requests().len() - before, 2, "step 3 is done, and stays so");
}

#[test]
fn steps_that_do_not_need_each_other_run_side_by_side() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match step(request) {
        None => answer(&[(&[], ""), (&[1], ""), (&[1], ""), (&[2, 3], "")]),
        Some(number @ (2 | 3)) if has_run(request) => kept(number).wait_before_head(&held),
        Some(number) => work(request, number),
    });
    let run = plan(&product, ["Build it", "-e", "--parallel", "2", "--detach"]).ok();
    // One for the plan, two for step 1, and both of step 2 and 3 before either has ended.
    product.model.wait_for_requests(7);
    gate.open();
    let shown = product.runs(["attach", run.trim(), "--jsonl"]).expect_code(0).json_lines();
    assert_eq!([1, 2, 3, 4].map(|number| lines(&product, &number.to_string())), [1; 4]);
    let paths: BTreeSet<&str> =
        of_type(&shown, "tool_start").iter().filter_map(|tool| tool["path"].as_str()).collect();
    assert_eq!(paths, BTreeSet::from(["1/1", "2/1", "3/1", "4/1"]));
}

#[test]
fn another_model_may_plan() {
    let product = Product::start();
    respond(&product, &[(&[], "")]);
    plan(&product, ["Build it", "-e", "--plan-model", "planner", "--plan-tool", "bash"]).ok();
    let models: Vec<String> =
        product.model.requests().iter().map(|request| request.model().to_owned()).collect();
    assert_eq!(models[0], "planner");
    assert!(models[1..].iter().all(|model| model != "planner"), "{models:?}");
    assert!(product.model.requests()[0].tools().contains(&"bash"), "it was named");
}

#[test]
fn what_is_offered_for_planning_cannot_write_whatever_it_is() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("touch written")));
    respond(&product, &[(&[], "")]);
    plan(&product, ["Build it", "--plan-tool", "bash", "--allow-all"]).ok();
    assert!(!file(&product, "written").exists());
}

#[test]
fn each_step_is_committed_on_a_branch_of_its_own() {
    let product = Product::start();
    respond(&product, &[(&[], ""), (&[1], "")]);
    let git = |script: &str| {
        let sandbox = product.daemon.sandbox();
        let output = Launch::inside(sandbox, "/bin/sh").args(["-c", script]).run();
        output.ok().trim().to_owned()
    };
    git("git init -q . && git config user.name ada && git config user.email a@b && \
         echo mine > mine && git add -A && git commit -qm first && echo more >> mine");
    let before = git("git status --porcelain; git rev-parse HEAD; git branch --show-current");
    let args = ["Build it", "-e", "--commit", "--json"];
    let told = plan(&product, args).expect_code(0).json();
    let branch = format!("copex/plan/{}", told["run"].as_str().unwrap());
    let log = git(&format!("git log --format=%s --name-only {branch}"));
    assert_eq!(log, "plan 2: Part 2\n\n2\nplan 1: Part 1\n\n1\nfirst\n\nmine");
    let after = git("git status --porcelain; git rev-parse HEAD; git branch --show-current");
    let made = after.lines().filter(|line| !line.starts_with("?? ")).collect::<Vec<_>>();
    assert_eq!(made.join("\n"), before, "nothing of the user's is touched");
}

#[test]
fn an_ended_plan_is_gone_on_with_by_its_mode() {
    let product = Product::start();
    product.model.respond(|request| match step(request) {
        None => answer(&[(&[], "test -e go"), (&[1], "")]),
        Some(number) => work(request, number),
    });
    let args = ["Build it", "-e", "--trust-plan", "-n", "1"];
    let _ended = plan(&product, args).expect_code(4);
    std::fs::write(file(&product, "go"), "").unwrap();
    let text = plan(&product, ["--resume"]).ok();
    assert_eq!(text.matches("- [x] ").count(), 2, "{text}");
    let nothing = plan(&product, ["--resume"]).expect_code(2);
    assert!(nothing.stderr.contains("nothing to resume"), "{nothing:?}");
}

#[test]
fn a_model_that_does_not_plan_is_asked_again_and_then_given_up() {
    let product = Product::start();
    product.model.push(Reply::text("I would rather not."));
    product.model.push(Reply::text("STEP 1: Write it\nSTEP 2: Test it"));
    let text = plan(&product, ["Build it"]).ok();
    assert!(text.contains("**2. Test it**\n  - depends_on: 1\n"), "{text}");
    let again = product.last_request();
    assert!(again.prompt().contains("no JSON object with `steps`"), "{}", again.prompt());
    product.model.respond(|_| Reply::text("no"));
    let told = plan(&product, ["Build it", "--json"]).expect_code(1).json();
    assert!(told["error"]["message"].as_str().unwrap().contains("3 answers"), "{told}");
}

#[test]
fn a_failed_model_fails_the_plan_with_its_own_code() {
    let product = Product::start();
    product.model.respond(|_| Reply::error(401, "unauthorized", "who are you"));
    let _ended = plan(&product, ["Build it", "-e"]).expect_code(77);
    product.model.respond(|request| match step(request) {
        None => answer(&[(&[], ""), (&[], "")]),
        Some(_) => Reply::rate_limited("rate_limited", Some(3_600)),
    });
    let _ended = plan(&product, ["Build it", "-e", "--no-park"]).expect_code(5);
    // The limit is known there now: another daemon.
    let product = Product::start();
    product.model.respond(|request| match step(request) {
        None => answer(&[(&[], "")]),
        Some(_) => Reply::text("<blocked>there is no network</blocked>"),
    });
    let told = plan(&product, ["Build it", "-e", "--json"]).expect_code(3).json();
    assert!(told["error"]["message"].as_str().unwrap().contains("no network"), "{told}");
}

#[test]
fn a_spent_budget_ends_the_plan_and_not_a_step() {
    let product = Product::start();
    respond(&product, &[(&[], ""), (&[], "")]);
    let told = plan(&product, ["Build it", "-e", "--max-tokens", "1", "--json"]).expect_code(4);
    let told = told.json();
    assert_eq!(told["error"]["class"], "limit", "{told}");
    assert_eq!(lines(&product, "1"), 0);
}

#[test]
fn a_plan_that_is_there_needs_no_daemon_to_be_looked_at() {
    let product = Product::start();
    let text = "# Plan\n\nBuild it\n\n- [x] **1. One**\n\n- [ ] **2. Two**\n  - depends_on: 1\n  \
                - verify: `cargo test`\n\n- [ ] **3. Three**\n  - depends_on: 1\n";
    std::fs::write(file(&product, "plan.md"), text).unwrap();
    assert_eq!(plan(&product, ["-l", "plan.md"]).ok(), text);
    let tree = plan(&product, ["-l", "plan.md", "-V", "tree"]).ok();
    assert!(tree.contains("├─ [ ] 2. Two (after 1)"), "{tree}");
    for (format, begin) in [("ascii", "+-"), ("mermaid", "graph TD"), ("dot", "digraph plan")] {
        let drawn = plan(&product, ["-l", "plan.md", "-V", format]).ok();
        assert!(drawn.starts_with(begin), "{drawn}");
    }
    let dry = plan(&product, ["-l", "plan.md", "-e", "--dry-run", "--parallel", "2"]);
    let dry = dry.expect_code(0);
    assert_eq!(dry.stdout, text);
    assert!(dry.stderr.contains("2 steps would be") && dry.stderr.contains("  2, 3"), "{dry:?}");
    assert!(dry.stderr.contains("gates of step 2: cargo test"), "{dry:?}");
    let json = plan(&product, ["-l", "plan.md", "--json"]).json();
    assert_eq!(json["plan"]["steps"][0]["mark"], "done", "{json}");
    assert_eq!(product.model.requests().len(), 0);
}

#[test]
fn bad_plans_and_flags_are_refused_before_anything_runs() {
    let product = Product::start();
    std::fs::write(file(&product, "bad.md"), "# Plan\n\n- [ ] 1. a\n  depends_on: 7\n").unwrap();
    let refused = |args: &[&str], words: &str| {
        let output = product.ctl().run(["plan"].iter().chain(args)).expect_code(2);
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    };
    refused(&["-l", "bad.md", "-e"], "bad.md: line 3: step 1 depends on step 7");
    refused(&["-l", "none.md", "-e"], "none.md");
    refused(&["x", "-l", "bad.md"], "cannot be used with");
    refused(&["x", "-V", "circle"], "it is ascii, tree, mermaid or dot");
    refused(&["x", "-e", "--parallel", "0"], "parallel is 0");
    refused(&["x", "-e", "-n", "0"], "max_iterations is 0");
    refused(&[""], "the prompt is empty");
    std::fs::write(file(&product, "good.md"), "- [ ] 1. a\n").unwrap();
    refused(&["-l", "good.md", "-e", "-o", "other.md"], "kept where it is");
    assert_eq!(product.model.requests().len(), 0);
}

#[test]
fn a_plan_of_python_copex_goes_on_where_it_was() {
    let product = Product::start();
    respond(&product, &[]);
    let saved = json!({"task": "Build it", "steps": [
        {"number": 1, "description": "one", "status": "completed"},
        {"number": 2, "description": "two", "status": "pending"}]});
    std::fs::write(file(&product, "plan.json"), saved.to_string()).unwrap();
    plan(&product, ["--load", "plan.json", "-e", "-o", "plan.md"]).ok();
    assert_eq!([1, 2].map(|number| lines(&product, &number.to_string())), [0, 1]);
    let text = std::fs::read_to_string(file(&product, "plan.md")).unwrap();
    assert!(text.contains("- [x] **2. two**"), "{text}");
    let saved_now = std::fs::read_to_string(file(&product, "plan.json")).unwrap();
    assert_eq!(saved_now, saved.to_string(), "it is not ours to write to");
}
