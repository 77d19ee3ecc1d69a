//! Fleets: many tasks side by side, in the order that their dependencies leave.

use std::collections::{BTreeMap, BTreeSet};

use copex_tests::model::{Gate, RecordedRequest, Reply};
use copex_tests::process::Output;
use serde_json::{Value, json};

use crate::product::{Product, of_type, shell};

mod apart;
mod crashes;
mod crowd;
mod input;
mod landings;
mod merges;
mod screen;
mod trees;
mod waits;

/// `copexctl fleet ARGS`, to its end.
fn fleet<const N: usize>(product: &Product, args: [&str; N]) -> Output {
    product.ctl().run(["fleet"].into_iter().chain(args))
}

/// Puts a file into the working folder.
fn put(product: &Product, name: &str, text: &str) {
    std::fs::write(product.daemon.sandbox().work().join(name), text).unwrap();
}

fn read(product: &Product, name: &str) -> String {
    std::fs::read_to_string(product.daemon.sandbox().work().join(name)).unwrap_or_default()
}

/// The task that a request is about: its prompt says `I am ID.`
fn task(request: &RecordedRequest) -> String {
    let prompt = request.user_messages().into_iter().next().unwrap_or_default();
    let rest = prompt.split_once("I am ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    rest.split('.').next().unwrap_or_default().to_owned()
}

/// A task file in TOML: ids, what they depend on, and further lines.
fn toml(tasks: &[(&str, &[&str], &str)]) -> String {
    let one = |(id, depends_on, more): &(&str, &[&str], &str)| {
        let depends_on = json!(depends_on);
        format!(
            "[[task]]\nid = \"{id}\"\nprompt = \"I am {id}.\"\ndepends_on = {depends_on}\n{more}\n"
        )
    };
    tasks.iter().map(one).collect()
}

/// The states that a task went through.
fn states(events: &[Value], id: &str) -> Vec<String> {
    let of_task = of_type(events, "task").into_iter().filter(|task| task["id"] == id);
    of_task.filter_map(|task| Some(task["state"].as_str()?.to_owned())).collect()
}

#[test]
fn prompts_are_tasks_and_everybody_has_an_answer_of_its_own() {
    let product = Product::start();
    product.model.respond(|request| Reply::text(format!("answer of {}", task(request))));
    let args = ["I am x.", "I am y.", "-o", "out", "--artifact", "all.json"];
    let ended = fleet(&product, args).expect_code(0);
    assert!(ended.stdout.starts_with("# Fleet: 2 of 2 tasks done\n"), "{ended:?}");
    assert!(ended.stdout.contains("## task-2 (is done)\n\nanswer of y\n"), "{ended:?}");
    assert!(ended.stderr.contains("── task-1 (1 of 2) is at work ──"), "{ended:?}");
    assert!(ended.stderr.contains("task    state  attempts"), "{ended:?}");
    assert_eq!(read(&product, "out/task-1.md"), "answer of x\n");
    let artifact: Value = serde_json::from_str(&read(&product, "all.json")).unwrap();
    assert_eq!(artifact["summary"]["succeeded"], 2, "{artifact}");
    let last = &artifact["tasks"][1];
    assert_eq!((&last["id"], &last["success"]), (&json!("task-2"), &json!(true)));
    assert_eq!(last["content_preview"], "answer of y");
    assert!(last["output_file"].as_str().unwrap().ends_with("/out/task-2.md"), "{last}");
    let told = fleet(&product, ["I am x.", "--json"]).expect_code(0).json();
    assert_eq!(told["tasks"][0]["content"], "answer of x", "{told}");
}

#[test]
fn twenty_tasks_five_wide_run_in_a_valid_order() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| {
        Reply::text(format!("answer of {}", task(request))).wait_before_head(&held)
    });
    let ids: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    // Four layers of five; each task needs two of the layer before.
    let needs: Vec<Vec<&str>> = (0..20_usize)
        .map(|number| match number {
            0..5 => Vec::new(),
            _ => vec![ids[number - 5].as_str(), ids[5 * (number / 5) - 1].as_str()],
        })
        .collect();
    let tasks: Vec<(&str, &[&str], &str)> =
        ids.iter().zip(&needs).map(|(id, needs)| (id.as_str(), needs.as_slice(), "")).collect();
    put(&product, "tasks.toml", &toml(&tasks));
    let run = fleet(&product, ["--file", "tasks.toml", "--detach"]).ok().trim().to_owned();
    // All of the first layer are asked for before anybody is answered.
    let first: BTreeSet<String> = product.model.wait_for_requests(5).iter().map(task).collect();
    assert_eq!(first, ids[..5].iter().cloned().collect());
    gate.open();
    let events = product.runs(["attach", &run, "--jsonl"]).expect_code(0).json_lines();
    let at: BTreeMap<(String, String), usize> = events
        .iter()
        .enumerate()
        .filter(|(_, event)| event["type"] == "task")
        .map(|(at, event)| {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            ((text("id"), text("state")), at)
        })
        .collect();
    let when = |id: &str, state: &str| at[&(id.to_owned(), state.to_owned())];
    for (id, needs) in ids.iter().zip(&needs) {
        for needed in needs {
            assert!(when(needed, "done") < when(id, "running"), "{id} needs {needed}");
        }
    }
    for message in of_type(&events, "message") {
        let id = message["path"].as_str().unwrap();
        assert_eq!(message["text"], format!("answer of {id}"), "no answer on another task");
    }
    let mut wide = BTreeSet::new();
    for event in of_type(&events, "task") {
        let id = event["id"].as_str().unwrap().to_owned();
        match event["state"].as_str().unwrap() {
            "running" => wide.insert(id),
            _ => wide.remove(&id),
        };
        assert!(wide.len() <= 5, "{wide:?}");
    }
    assert_eq!(product.model.requests().len(), 20);
}

#[test]
fn what_came_of_a_task_is_put_into_a_prompt() {
    let product = Product::start();
    product.model.respond(|request| match task(request).as_str() {
        "bad" => Reply::error(400, "bad_request", "no"),
        id => Reply::text(format!("answer of {id}")),
    });
    let text = "{{task:a.content}}, {{task:bad.success}} {{ task }}, {{task:a.prompt_tokens}} tokens: {{task:bad.error}}";
    let sum = format!(
        "[[task]]\nid = \"sum\"\nprompt = \"I am sum. {text}\"\ndepends_on = [\"a\", \"bad\"]\n\
         on_dependency_failure = \"continue\"\n"
    );
    put(&product, "tasks.toml", &format!("{}{sum}", toml(&[("a", &[], ""), ("bad", &[], "")])));
    let args = ["--file", "tasks.toml", "--shared-context", "Be brief.", "--json"];
    let told = fleet(&product, args).expect_code(1).json();
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("1 of 3 tasks is not done: bad failed: "),
        "{told}"
    );
    let prompt = product.last_request().user_messages().remove(0);
    assert!(
        prompt.starts_with("Be brief.\n\nI am sum. answer of a, false {{ task }}, "),
        "{prompt}"
    );
    assert!(!prompt.contains("{{task:") && prompt.contains(" tokens: "), "{prompt}");
}

#[test]
fn a_failed_dependency_blocks_or_does_not() {
    let product = Product::start();
    product.model.respond(|request| match task(request).as_str() {
        "bad" => Reply::error(400, "bad_request", "no"),
        id => Reply::text(format!("answer of {id}")),
    });
    let goes_on = "on_dependency_failure = \"continue\"";
    let tasks: [(&str, &[&str], &str); 5] = [
        ("bad", &[], ""),
        ("blocked", &["bad"], ""),
        ("too", &["blocked"], ""),
        ("goes-on", &["blocked"], goes_on),
        ("free", &[], ""),
    ];
    put(&product, "tasks.toml", &toml(&tasks));
    let events = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(1).json_lines();
    assert_eq!(states(&events, "bad"), ["queued", "running", "failed"]);
    assert_eq!(states(&events, "blocked"), ["queued", "blocked"]);
    assert_eq!(states(&events, "too"), ["queued", "blocked"]);
    assert_eq!(states(&events, "goes-on").last().unwrap(), "done");
    assert_eq!(states(&events, "free").last().unwrap(), "done");
    let told = of_type(&events, "task").into_iter().rfind(|task| task["id"] == "blocked");
    assert_eq!(told.unwrap()["duration_ms"], Value::Null, "it never began");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "failed", "{last}");
    let report = last["outcome"]["content"].as_str().unwrap();
    assert!(
        report.contains("## blocked (is blocked)\n\nit depends on bad, which failed"),
        "{report}"
    );
    assert!(last["error"]["hint"].as_str().unwrap().contains("fleet --resume"), "{last}");
    assert_eq!(product.model.requests().len(), 3);
}

#[test]
fn the_first_failure_stops_all_where_that_is_wanted() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match task(request).as_str() {
        "bad" => Reply::error(400, "bad_request", "no").wait_before_head(&held),
        _ => Reply::hang_before_head(),
    });
    let tasks: [(&str, &[&str], &str); 3] =
        [("bad", &[], ""), ("other", &[], ""), ("later", &["other"], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let args = ["--file", "tasks.toml", "--fail-fast", "--detach"];
    let run = fleet(&product, args).ok().trim().to_owned();
    product.model.wait_for_requests(2);
    gate.open();
    let events = product.runs(["attach", &run, "--jsonl"]).expect_code(1).json_lines();
    assert_eq!(states(&events, "other"), ["queued", "running", "cancelled"]);
    assert_eq!(states(&events, "later"), ["queued", "cancelled"]);
    let notes: Vec<&str> =
        of_type(&events, "task").iter().filter_map(|task| task["note"].as_str()).collect();
    assert!(notes.contains(&"stopped: bad failed"), "{notes:?}");
    assert!(notes.contains(&"not begun: bad failed"), "{notes:?}");
}

#[test]
fn a_storm_of_limits_narrows_the_fleet_and_loses_nothing() {
    let product = Product::start();
    let asked = std::sync::Mutex::new(BTreeMap::<String, u32>::new());
    product.model.respond(move |request| {
        let id = task(request);
        let mut asked = asked.lock().unwrap();
        let tries = asked.entry(id.clone()).or_default();
        *tries += 1;
        if *tries == 1 {
            return Reply::rate_limited("rate_limited", Some(1));
        }
        Reply::text(format!("answer of {id}"))
    });
    let ids: Vec<String> = (0..6).map(|number| format!("t{number}")).collect();
    let tasks: Vec<(&str, &[&str], &str)> =
        ids.iter().map(|id| (id.as_str(), &[][..], "")).collect();
    put(&product, "tasks.toml", &toml(&tasks));
    let events = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(0).json_lines();
    for id in &ids {
        assert_eq!(states(&events, id).last().unwrap(), "done");
    }
    let warned: Vec<&str> = of_type(&events, "warning")
        .iter()
        .filter(|event| event["code"] == "throttled")
        .filter_map(|event| event["message"].as_str())
        .collect();
    assert!(warned[0].contains("2 of 5 tasks at once"), "{warned:?}");
}

#[test]
fn a_task_with_checks_is_tried_until_they_are_green() {
    let product = Product::start();
    product.model.respond(|request| {
        let ran = request.messages().last().is_some_and(|message| message["role"] == "tool");
        if ran {
            return Reply::text("done");
        }
        Reply::tool("bash", &shell("echo line >> lines"))
    });
    let checks = "verify = [\"test $(wc -l < lines) -ge 2\"]";
    put(&product, "tasks.toml", &toml(&[("a", &[], checks)]));
    let events = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(0).json_lines();
    let gates: Vec<&Value> = of_type(&events, "gate").iter().map(|gate| &gate["path"]).collect();
    assert_eq!(gates, ["a/1", "a/2"], "task and iteration");
    let done = of_type(&events, "task").pop().unwrap();
    assert_eq!((&done["state"], &done["attempts"]), (&json!("done"), &json!(2)), "{done}");
    let told = fleet(&product, ["x", "--verify", "exit 3", "-n", "1", "--json"]);
    let told = told.expect_code(1).json();
    assert!(
        told["error"]["message"].as_str().unwrap().contains("task-1 reached a limit"),
        "{told}"
    );
}

#[test]
fn a_task_that_takes_too_long_is_stopped_and_the_others_are_not() {
    let product = Product::start();
    product.model.respond(|request| match task(request).as_str() {
        "slow" => Reply::hang_before_head(),
        id => Reply::text(format!("answer of {id}")),
    });
    let tasks: [(&str, &[&str], &str); 2] = [("slow", &[], "timeout_sec = 1"), ("fast", &[], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let events = fleet(&product, ["--file", "tasks.toml", "--jsonl"]).expect_code(1).json_lines();
    assert_eq!(states(&events, "slow"), ["queued", "running", "exhausted"]);
    assert_eq!(states(&events, "fast"), ["queued", "running", "done"]);
    let message = events.last().unwrap()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("slow reached a limit: it worked longer than the 1 s"), "{message}");
}

#[test]
fn what_ends_one_task_like_all_ends_the_run_with_its_code() {
    let product = Product::start();
    product.model.respond(|_| Reply::error(401, "unauthorized", "who are you"));
    let _ended = fleet(&product, ["a", "b"]).expect_code(77);
    let product = Product::start();
    let told = fleet(&product, ["a", "b", "--max-tokens", "1", "--max-concurrent", "1", "--json"]);
    assert_eq!(told.expect_code(4).json()["error"]["class"], "limit");
    product.model.respond(|_| Reply::rate_limited("rate_limited", Some(3_600)));
    let _ended = fleet(&product, ["a", "b", "--no-park"]).expect_code(5);
}

#[test]
fn tasks_have_models_folders_and_tools_of_their_own() {
    let product = Product::start();
    std::fs::create_dir(product.daemon.sandbox().work().join("sub")).unwrap();
    product.model.respond(|request| {
        let ran = request.messages().last().is_some_and(|message| message["role"] == "tool");
        match task(request).as_str() {
            "b" if !ran => Reply::tool("bash", &shell("echo here > made")),
            id => Reply::text(format!("answer of {id}")),
        }
    });
    let tasks: [(&str, &[&str], &str); 2] =
        [("a", &[], "model = \"other\"\nexclude_tools = \"bash\""), ("b", &["a"], "cwd = \"sub\"")];
    put(&product, "tasks.toml", &toml(&tasks));
    fleet(&product, ["--file", "tasks.toml"]).ok();
    assert_eq!(read(&product, "sub/made"), "here\n");
    let requests = product.model.requests();
    let [a, b] = ["a", "b"].map(|id| requests.iter().find(|it| task(it) == id).unwrap());
    assert_eq!(a.model(), "other");
    assert!(!a.tools().contains(&"bash") && b.tools().contains(&"bash"));
    assert_ne!(b.model(), "other");
}

#[test]
fn a_fleet_that_is_resumed_does_what_is_left() {
    let product = Product::start();
    product.model.respond(|request| match task(request).as_str() {
        "b" => Reply::error(400, "bad_request", "no"),
        id => Reply::text(format!("answer of {id}")),
    });
    let sum = "[[task]]\nid = \"sum\"\nprompt = \"I am sum. {{task:a.content}}\"\ndepends_on = [\"a\", \"b\"]\n";
    put(&product, "tasks.toml", &format!("{}{sum}", toml(&[("a", &[], ""), ("b", &[], "")])));
    let _ended = fleet(&product, ["--file", "tasks.toml"]).expect_code(1);
    product.model.respond(|request| Reply::text(format!("again {}", task(request))));
    let before = product.model.requests().len();
    let told = fleet(&product, ["--resume", "--json", "-o", "out"]).expect_code(0).json();
    let asked: BTreeSet<String> = product.model.requests()[before..].iter().map(task).collect();
    assert_eq!(asked, ["b".to_owned(), "sum".to_owned()].into());
    assert_eq!(told["tasks"][0]["content"], "answer of a", "kept: {told}");
    assert_eq!(read(&product, "out/a.md"), "answer of a\n");
    assert_eq!(read(&product, "out/b.md"), "again b\n");
    let prompt = product.last_request().user_messages().remove(0);
    assert_eq!(prompt, "I am sum. answer of a");
    let nothing = fleet(&product, ["--resume"]).expect_code(2);
    assert!(nothing.stderr.contains("nothing to resume"), "{nothing:?}");
}
