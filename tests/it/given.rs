//! What a run is given reaches the model, in every mode and by both ways to run a turn: a
//! skill, instructions of the user's, those of the project, and a tool of a real MCP server.

use copex_tests::cli;
use copex_tests::model::{RecordedRequest, Reply};
use serde_json::{Value, json};

use crate::product::Product;

/// The tool as the agent is offered it.
const TOOL: &str = "everything-echo";

/// What is looked for in the requests, and where it was written.
const MARKERS: [&str; 3] = ["MARK-OF-THE-SKILL", "MARK-OF-INSTRUCTIONS", "MARK-OF-THE-PROJECT"];

/// What the server gives back.
const ECHO: &str = "Echo: MARK-OF-THE-TOOL";

fn product() -> Product {
    let server = cli::mcp_everything();
    let config = format!(
        "instructions = \"MARK-OF-INSTRUCTIONS\"\n[mcp_servers.everything]\n\
         command = \"{}\"\nargs = [\"stdio\"]\n",
        server.display()
    );
    let product = Product::with(|builder| builder.config(&config));
    let sandbox = product.daemon.sandbox();
    let skill = "---\ndescription: MARK-OF-THE-SKILL\nname: tides\n---\nThe tide.\n";
    sandbox.write("work/.github/skills/tides/SKILL.md", skill);
    sandbox.write("work/AGENTS.md", "MARK-OF-THE-PROJECT\n");
    product.model.respond(answer);
    product
}

/// Calls the tool once where it is offered, then says what the mode waits for.
fn answer(request: &RecordedRequest) -> Reply {
    let last = request.messages().last().map(|message| message["role"].clone());
    if request.tools().contains(&TOOL) && last != Some(json!("tool")) {
        return Reply::tool(TOOL, &json!({"message": "MARK-OF-THE-TOOL"}));
    }
    let prompt = request.prompt();
    let has = |words: &str| request.user_messages().iter().any(|text| text.contains(words));
    if prompt.contains("# Your review") {
        return Reply::text(json!({"ranking": ["A", "B"], "agree": true}).to_string());
    }
    if prompt.contains("# Your decision") {
        let decision = json!({"decision": "yes", "reasons": ["r"], "confidence": 0.9,
            "dissent": [], "next_steps": []});
        return Reply::text(decision.to_string());
    }
    if has("Do step 1 ") {
        return Reply::text("<promise>Step 1 complete</promise>");
    }
    if has("a plan of this") {
        let steps = json!({"steps": [{"title": "Part 1", "depends_on": []}]});
        return Reply::text(format!("```json\n{steps}\n```"));
    }
    Reply::text("It is so.\n<promise>DONE</promise>")
}

/// Every mode's command line.
fn modes() -> [(&'static str, Vec<&'static str>); 5] {
    [
        ("chat", vec!["chat", "go"]),
        ("ralph", vec!["ralph", "go", "-p", "DONE"]),
        ("plan", vec!["plan", "a plan of this", "--execute", "--plan-tool", TOOL]),
        ("fleet", vec!["fleet", "go", "--isolation", "none"]),
        ("council", vec!["council", "go", "--member", "alpha-1,beta-2", "--council-tool", TOOL]),
    ]
}

fn shown(way: &[&str]) {
    let product = product();
    for (mode, words) in modes() {
        let before = product.model.requests().len();
        let rest = ["--allow-tool", "everything", "--json"];
        let output = product.ctl().run(words.iter().chain(way).chain(&rest));
        let output = output.expect_code(0);
        let asked = product.model.requests().split_off(before);
        let first = asked.first().unwrap_or_else(|| panic!("{mode} {way:?}: {output:?}"));
        for request in &asked {
            let body = request.body.to_string();
            for marker in MARKERS {
                assert!(body.contains(marker), "{mode} {way:?}: {marker} is missing");
            }
        }
        assert!(first.tools().contains(&TOOL), "{mode} {way:?}: {:?}", first.tools());
        let told: Vec<String> = asked.iter().flat_map(RecordedRequest::tool_results).collect();
        assert!(told.iter().any(|text| text.contains(ECHO)), "{mode} {way:?}: {told:?}");
    }
}

#[test]
fn every_mode_is_given_skills_instructions_and_mcp_tools() {
    shown(&[]);
}

#[test]
fn every_mode_is_given_the_same_by_one_process_per_turn() {
    shown(&["--use-cli"]);
}

#[test]
fn a_task_of_a_fleet_has_skills_and_servers_of_its_own() {
    let product = Product::start();
    let sandbox = product.daemon.sandbox();
    for name in ["tides", "stars", "winds"] {
        let text = format!("---\nname: {name}\ndescription: Knows the {name}.\n---\nx\n");
        sandbox.write(format!("work/.claude/skills/{name}/SKILL.md"), &text);
    }
    let server = cli::mcp_everything();
    let tasks = json!({"tasks": [
        {"id": "a", "prompt": "I am a.", "skills": ["tides"],
         "mcp_servers": {"everything": {"command": server, "transport": "stdio"}}},
        {"id": "b", "prompt": "I am b."},
    ]});
    sandbox.write("work/tasks.json", &tasks.to_string());
    let words = ["fleet", "-f", "tasks.json", "--isolation", "none", "--disable-skill", "winds"];
    for way in [&[][..], &["--use-cli"]] {
        let before = product.model.requests().len();
        let _told = product.ctl().run(words.iter().chain(way)).expect_code(0);
        let asked = product.model.requests().split_off(before);
        let of = |task: &str| {
            let named = format!("I am {task}.");
            let mine = |it: &&RecordedRequest| it.prompt().contains(&named);
            asked.iter().find(mine).unwrap_or_else(|| panic!("{way:?}: nothing of {task}"))
        };
        let skills = |task: &str| {
            let body = of(task).body.to_string();
            ["tides", "stars", "winds"].map(|name| body.contains(&format!("Knows the {name}.")))
        };
        assert_eq!(skills("a"), [true, false, false], "{way:?}");
        assert_eq!(skills("b"), [true, true, false], "{way:?}");
        assert!(of("a").tools().contains(&TOOL) && !of("b").tools().contains(&TOOL), "{way:?}");
    }
    let wrong = json!({"tasks": [{"id": "a", "prompt": "x", "skills": ["moons"]}]});
    sandbox.write("work/tasks.json", &wrong.to_string());
    let output = product.ctl().run(["fleet", "-f", "tasks.json"]).expect_code(2);
    for words in ["task `a`", "`moons`", "tides"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
    let _: Value = tasks;
}
