//! One prompt, one answer: what `copexctl chat` sends and what it prints.

use copex_tests::model::{Cut, Gate, Reply, Usage};
use serde_json::{Value, json};

use crate::product::{Product, follow, of_type, shell, types};

/// A provider whose model takes more than a book.
const LARGE: &str = "[provider]\nmax_prompt_tokens = 8000000\n";

#[test]
fn text_reaches_a_pipe_while_the_model_is_still_writing() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("one ").wait(&gate).say("two"));
    let running = product.ctl().start(["chat", "count"]);
    gate.wait_reached(1);
    assert_eq!(running.wait_stdout("one "), "one ");
    assert!(!running.has_ended());
    gate.release();
    assert_eq!(running.wait().ok(), "one two\n");
    assert_eq!(product.model.user_messages(0), ["count"]);
}

#[test]
fn json_has_every_documented_field() {
    let product = Product::start();
    let usage = Usage { input: 40, output: 3, cached: 8, reasoning: 2 };
    product.model.push(Reply::chunks(["fo", "ur"]).usage(usage));
    let object = product.chat(["2+2?", "--json"]).expect_code(0).json();
    assert_eq!(object["content"], "four", "{object}");
    assert_eq!(object["model"], "scripted-1", "{object}");
    assert_eq!(object["requested_model"], "scripted-1", "{object}");
    assert_eq!(object["usage"]["calls"], 1, "{object}");
    assert_eq!(object["usage"]["input_tokens"], 40, "{object}");
    assert_eq!(object["usage"]["output_tokens"], 3, "{object}");
    assert_eq!(object["usage"]["cached_tokens"], 8, "{object}");
    assert_eq!(object["usage"]["reasoning_tokens"], 2, "{object}");
    assert_eq!((&object["retries"], &object["fallbacks"]), (&json!(0), &json!(0)), "{object}");
    assert!(object["cost"]["premium_requests"].is_number(), "{object}");
    for field in ["run", "session"] {
        assert!(object[field].as_str().is_some_and(|id| id.len() > 8), "{field}: {object}");
    }
    for field in ["reasoning_effort", "duration_ms", "tools", "warnings"] {
        assert!(object.get(field).is_some(), "{field}: {object}");
    }
    assert!(object.get("error").is_none(), "{object}");
}

#[test]
fn json_is_an_object_on_failure_too() {
    let product = Product::start();
    product.model.push(Reply::error(400, "bad", "the words of the server").no_cli_retry());
    let output = product.chat(["go", "--json"]).expect_code(1);
    let object = output.json();
    assert_eq!(object["error"]["class"], "client", "{object}");
    let message = object["error"]["message"].as_str().unwrap();
    assert!(message.contains("the words of the server"), "{object}");
    assert!(object["error"].get("hint").is_some(), "{object}");
    assert!(object["run"].is_string(), "{object}");

    // The same before there is a run.
    let object = product.chat(["go", "--json", "-C", "absent.txt"]).expect_code(2).json();
    assert_eq!(object["error"]["class"], "usage", "{object}");
    let object = product.chat(["go", "--json", "--resume", ""]).expect_code(2).json();
    assert_eq!(object["error"]["class"], "usage", "{object}");
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn jsonl_is_numbered_without_gaps_and_has_one_end() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::chunks(["do", "ne"]));
    for (reply, code) in [(None, 0), (Some(Reply::error(400, "bad", "no").no_cli_retry()), 1)] {
        if let Some(reply) = reply {
            product.model.push(reply);
        }
        let events = product.chat(["go", "--jsonl"]).expect_code(code).json_lines();
        let numbers: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
        assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
        let kinds = types(&events);
        let terminal = ["done", "failed", "blocked", "exhausted", "cancelled"];
        let ends: Vec<_> = kinds.iter().filter(|kind| terminal.contains(kind)).collect();
        assert_eq!(ends.len(), 1, "{kinds:?}");
        assert_eq!(kinds.last(), Some(ends[0]), "{kinds:?}");
        assert_eq!(kinds[0], "accepted");
        assert!(
            events.iter().all(|event| event["run"] == events[0]["run"] && event["at"].is_u64())
        );
    }
}

#[test]
fn quiet_raw_and_unstreamed_answers_are_the_answer_alone() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::text("quiet answer"));
    let output = product.chat(["go", "-q"]).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("quiet answer\n", ""));

    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::text("raw answer"));
    let output = product.chat(["go", "--raw"]).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("raw answer\n", ""));

    product.model.push(Reply::tool("bash", &shell("echo made")));
    product.model.push(Reply::text("plain answer"));
    let output = product.chat(["go"]).expect_code(0);
    assert_eq!(output.stdout, "plain answer\n");
    assert!(output.stderr.contains("bash echo made"), "{}", output.stderr);

    product.model.push(Reply::text("whole answer"));
    let events = product.chat(["go", "--no-stream", "--jsonl"]).expect_code(0).json_lines();
    assert_eq!(of_type(&events, "message_delta").len(), 0, "{events:?}");
    assert_eq!(of_type(&events, "message")[0]["text"], "whole answer");
}

#[test]
fn an_answer_file_is_written_whole_or_not_at_all() {
    let (product, gate) = (Product::start(), Gate::new());
    let file = product.daemon.sandbox().work().join("answer.txt");
    std::fs::write(&file, "old").unwrap();
    product.model.push(Reply::stream().say("new ").wait(&gate).say("text"));
    let running = product.ctl().start(["chat", "go", "-o", "answer.txt"]);
    running.wait_stdout("new ");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    gate.release();
    assert_eq!(running.wait().ok(), "new text\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new text\n");

    product.model.push(Reply::error(400, "bad", "no").no_cli_retry());
    let _failed = product.chat(["go", "-o", "answer.txt"]).expect_code(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new text\n");
    let names = std::fs::read_dir(product.daemon.sandbox().work()).unwrap().flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["answer.txt"], "nothing is left beside it");
}

#[test]
fn what_is_piped_in_is_the_prompt_or_follows_it() {
    let product = Product::start();
    let piped = |args: &[&str], text: &str| product.ctl().stdin(text).run(args);
    assert_eq!(piped(&["chat", "-q"], "only this\n").ok(), "echo: only this\n");
    let answer = piped(&["chat", "-q", "summarise"], "the data\n").ok();
    assert_eq!(answer, "echo: summarise\n\n<stdin>\nthe data\n</stdin>\n");
    for (args, text) in [(["chat", "-q"].as_slice(), "  \n"), (&["chat", "-q", ""], "data")] {
        let output = piped(args, text).expect_code(2);
        assert!(output.stderr.contains("the prompt is empty"), "{}", output.stderr);
    }
    assert_eq!(product.model.requests().len(), 2, "an empty prompt asks nobody");
}

#[test]
fn a_prompt_of_two_megabytes_arrives_whole() {
    let product = Product::with(|builder| builder.config(LARGE));
    let line = |number| format!("line {number} of a long prompt, ünïcödé included\n");
    let text: String = (0..50_000).map(line).collect();
    assert!(text.len() > 2 << 20);
    product.model.push(Reply::text("read"));
    let output = product.ctl().stdin(text.clone()).run(["chat", "-q"]);
    assert_eq!(output.ok(), "read\n");
    assert_eq!(product.model.user_messages(0), [text.trim()]);
}

#[test]
fn context_files_go_along_and_bad_ones_stop_everything() {
    let product = Product::start();
    let work = product.daemon.sandbox().work();
    std::fs::write(work.join("a.rs"), "fn a() {}").unwrap();
    std::fs::write(work.join("b.txt"), "two\nlines\n").unwrap();
    std::fs::write(work.join("image"), [0, 159, 146, 150]).unwrap();
    let answer = product.chat(["-q", "why?", "-C", "a.rs", "-C", "b.txt"]).ok();
    let expected = "Context files:\n\n<file path=\"a.rs\">\nfn a() {}\n</file>\n\n\
                    <file path=\"b.txt\">\ntwo\nlines\n</file>\n\nwhy?";
    assert_eq!(answer, format!("echo: {expected}\n"));
    for (name, why) in [("absent", "no such file"), ("image", "not UTF-8 text")] {
        let output = product.chat(["why?", "-C", name]).expect_code(2);
        assert!(output.stderr.contains(name) && output.stderr.contains(why), "{}", output.stderr);
    }
    assert_eq!(product.model.requests().len(), 1);
}

#[test]
fn usage_is_summed_over_the_calls_of_a_turn() {
    let product = Product::start();
    let usage = |input, output| Usage { input, output, ..Usage::default() };
    product.model.push(Reply::tool("bash", &shell("echo one")).usage(usage(100, 10)));
    product.model.push(Reply::tool("bash", &shell("echo two")).usage(usage(200, 20)));
    product.model.push(Reply::text("both").usage(usage(300, 30)));
    let object = product.chat(["go", "--json"]).expect_code(0).json();
    let sum = |name: &str| object["usage"][name].as_u64().unwrap();
    assert_eq!((sum("calls"), sum("input_tokens"), sum("output_tokens")), (3, 600, 60));
    assert_eq!((&object["tools"], &object["content"]), (&json!(2), &json!("both")));
    let run = object["run"].as_str().unwrap();
    let detail = product.rpc().call("run.get", &json!({"run": run}));
    assert_eq!(detail["usage"]["input_tokens"], 600);
}

#[test]
fn reasoning_comes_apart_from_the_answer() {
    let product = Product::start();
    product.model.push(Reply::stream().think("let me ").think("see").say("yes"));
    let events = product.chat(["go", "--jsonl"]).expect_code(0).json_lines();
    let thought = of_type(&events, "reasoning_delta");
    let thought: String = thought.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(thought, "let me see");
    assert_eq!(events.last().unwrap()["content"], "yes");
}

#[test]
fn text_of_a_broken_attempt_is_withdrawn() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("Hel").wait(&gate).cut(Cut::Fin));
    product.model.push(Reply::chunks(["Hello ", "there"]));
    let running = product.ctl().start(["chat", "go", "--json"]);
    gate.wait_reached(1);
    gate.release();
    let object = running.wait().expect_code(0).json();
    assert_eq!(object["content"], "Hello there");

    let run = object["run"].as_str().unwrap();
    let log = product.runs(["logs", run, "--jsonl"]).expect_code(0).json_lines();
    let told: Vec<&Value> = log
        .iter()
        .filter(|event| {
            let kind = event["type"].as_str().unwrap_or_default();
            kind.starts_with("message") || kind == "restarted"
        })
        .collect();
    assert_eq!((&told[0]["text"], &told[1]["type"]), (&json!("Hel"), &json!("restarted")));
    let again: String =
        told[2..told.len() - 1].iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(again, "Hello there");
    assert_eq!(told.last().unwrap()["text"], "Hello there");
    assert_eq!(product.model.user_messages(1), ["go"], "the prompt is not said twice");

    // For people: the withdrawn text is ended, the answer stands on a line of its own.
    let output = product.runs(["attach", run]).expect_code(0);
    assert_eq!(output.stdout, "Hel\nHello there\n");
    assert!(output.stderr.contains("starting again"), "{}", output.stderr);
    assert_eq!(product.runs(["attach", run, "-q"]).ok(), "Hello there\n");
}

#[test]
fn a_turn_takes_the_time_of_its_own_and_not_of_those_before_it() {
    let (mut product, gate) = (Product::start(), Gate::new());
    let mut rpc = product.rpc();
    let first = product.submit(&mut rpc, "first", json!({}));
    let session = follow(&mut rpc, &first).last().unwrap()["session"].clone();
    let same = || json!({"session": {"resume": session}});
    product.model.push(Reply::stream().say("second").wait(&gate));
    product.model.push(Reply::stream().say("third, and ").wait(&gate).hang());
    let second = product.submit(&mut rpc, "second", same());
    let third = product.submit(&mut rpc, "third", same());
    let cancelled = product.submit(&mut rpc, "fourth", same());
    gate.wait_reached(1);
    // One that ends before its turn has come took no time.
    rpc.call("run.cancel", &json!({"run": cancelled}));
    let end = follow(&mut rpc, &cancelled).pop().unwrap();
    let told = (&end["type"], &end["outcome"]["duration_ms"]);
    assert_eq!(told, (&json!("cancelled"), &json!(0)), "{end}");
    gate.release();
    let ended_at = |events: &[Value]| events.last().unwrap()["at"].as_u64().unwrap();
    let before = ended_at(&follow(&mut rpc, &second));
    gate.wait_reached(2);
    // The work under way counts over a restart.
    let watched = rpc.subscribe("run.watch", &json!({"run": third}));
    rpc.events_until(&watched, "message_delta");
    let _killed = product.daemon.kill9();
    product.model.push(Reply::text("third"));
    product.daemon.restart();
    let events = follow(&mut product.rpc(), &third);
    let took = events.last().unwrap()["duration_ms"].as_u64().unwrap();
    let asked = of_type(&events, "attempt")[0]["at"].as_u64().unwrap();
    let (least, most) = (ended_at(&events) - asked, ended_at(&events) - before);
    assert!((least..=most).contains(&took), "{least}..={most}: {took}: {events:#?}");
}
