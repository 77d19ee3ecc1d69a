//! Each key of a task has its effect: told by what the model got.

use super::*;

#[test]
fn each_key_of_a_task_reaches_its_session_and_no_other() {
    let product = Product::with(|builder| {
        builder.config("[provider]\nreasoning_efforts = [\"low\", \"high\"]\n")
    });
    let sandbox = product.daemon.sandbox();
    let calls = sandbox.path("calls.txt");
    let script = sandbox.write("mcp_server.py", include_str!("../../mcp_server.py"));
    std::fs::create_dir(sandbox.work().join("deep")).unwrap();
    product.model.respond(|request| match task(request).as_str() {
        id if !request.tool_results().is_empty() => Reply::text(format!("answer of {id}")),
        "here" | "there" => Reply::tool("bash", &shell("pwd")),
        id => Reply::text(format!("answer of {id}")),
    });
    let server = format!(
        "mcp_servers = {{ adder = {{ command = \"python3\", args = [\"{}\", \"{}\"] }} }}",
        script.display(),
        calls.display()
    );
    tasks(
        &product,
        &[
            ("here", &[], ""),
            ("there", &[], "cwd = \"deep\""),
            ("model", &[], "model = \"scripted-2\""),
            ("effort", &[], "reasoning_effort = \"low\""),
            ("tools", &[], "exclude_tools = \"edit, create\""),
            ("mcp", &[], &server),
            ("checked", &[], "verify = \"test -e nothing\""),
        ],
    );
    let args = ["-f", "tasks.toml", "-r", "high", "-n", "2", "--jsonl"];
    let events = fleet(&product, args).expect_code(1).json_lines();
    let requests = product.model.requests();
    let of = |id: &str| requests.iter().rfind(|request| task(request) == id).unwrap();
    for id in ["here", "there", "model", "effort", "tools", "mcp", "checked"] {
        let request = of(id);
        let model = if id == "model" { "scripted-2" } else { "scripted-1" };
        assert_eq!(request.model(), model, "{id}");
        let effort = if id == "effort" { "low" } else { "high" };
        assert_eq!(request.reasoning_effort(), Some(effort), "{id}");
        assert_eq!(request.tools().contains(&"adder-add"), id == "mcp", "{id}");
        assert_eq!(request.tools().contains(&"create"), id != "tools", "{id}");
    }
    let folder = |id: &str| of(id).tool_results().concat();
    assert!(folder("there").contains("/deep\n"), "{}", folder("there"));
    assert!(folder("here").contains("work\n"), "{}", folder("here"));
    let asked = requests.iter().filter(|request| task(request) == "checked").count();
    assert_eq!(asked, 2, "tried again until its check is green, or its iterations are over");
    assert_eq!(states(&events, "checked").last().unwrap(), "exhausted");
    for id in ["here", "there", "model", "effort", "tools", "mcp"] {
        assert_eq!(states(&events, id).last().unwrap(), "done", "{id}");
    }
}

#[test]
fn flags_of_python_copex_are_taken_or_refused_with_the_way_out() {
    let product = Product::start();
    put(&product, "mcp.json", "{\"mcpServers\": {}}");
    let taken = "-m scripted-1 -r high --max-concurrent 2 --fail-fast --mcp-config mcp.json \
                 --shared-context x --timeout 600 -v -P -o out --artifact a.json --no-git-finalize \
                 --exclude-tools edit,bash --dry-run";
    let shown = product
        .ctl()
        .run(["fleet", "I am a."].into_iter().chain(taken.split(' ').filter(|it| !it.is_empty())));
    assert!(shown.ok().contains("1 task in 1 wave,"));
    let refused = [
        ("--retry 3", "--verify CMD"),
        ("--skills docs", "--skill-dir DIR"),
        ("--approval-dry-run", "--approval deny"),
        ("--audit", "runs attach RUN"),
    ];
    for (flags, way) in refused {
        let words = ["fleet", "I am a."].into_iter().chain(flags.split(' '));
        let output = product.ctl().run(words).expect_code(2);
        assert!(
            output.stderr.contains("fleet has no --") && output.stderr.contains(way),
            "{output:?}"
        );
    }
    assert_eq!(product.model.requests().len(), 0);
}

#[test]
fn a_task_that_works_too_long_is_stopped_by_its_own_time() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match task(request).as_str() {
        "slow" => Reply::text("late").wait_before_head(&held),
        id => Reply::text(format!("answer of {id}")),
    });
    tasks(&product, &[("slow", &[], "timeout_sec = 1.5"), ("quick", &[], "")]);
    let events = fleet(&product, ["-f", "tasks.toml", "--jsonl"]).expect_code(1).json_lines();
    assert_eq!(states(&events, "slow").last().unwrap(), "exhausted");
    assert!(note(&events, "slow").contains("it worked longer than"), "{}", note(&events, "slow"));
    assert_eq!(states(&events, "quick").last().unwrap(), "done");
    gate.open();
}
