//! What a reader of screens is given: plain lines, each said once, in every mode.

use copex_tests::model::Reply;
use serde_json::json;

use crate::interactive::modes::model;
use crate::product::Product;

/// Fails where a terminal was drawn on, or a line was said twice.
fn plain(what: &str, shown: &str) {
    assert!(!shown.contains('\x1b'), "{what}: an escape sequence\n{shown:?}");
    let drawn = shown.chars().find(|char| ('\u{2500}'..='\u{257f}').contains(char));
    assert_eq!(drawn, None, "{what}: a line is drawn\n{shown}");
    let text = shown.replace("\r\n", "\n");
    assert!(!text.contains('\r'), "{what}: a line is written over\n{shown:?}");
    let mut lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let count = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), count, "{what}: a line is said twice\n{text}");
}

#[test]
fn each_mode_says_plain_lines_once() {
    let product = Product::with(|builder| builder.config("screen_reader = true\n"));
    product.model.respond(|request| {
        if request.prompt().contains("ask me") && request.tool_results().is_empty() {
            let question = json!({"question": "Which way?", "choices": ["left", "right"]});
            return Reply::tool("ask_user", &question);
        }
        model(request)
    });
    let ctl = product.ctl().with(|launch| launch.env("TERM", "xterm-256color"));
    let members = ["council", "Which store?", "--member", "alpha-1,beta-2"];
    let promise = ["ralph", "until it holds", "-p", "all done", "--verify", "test -e held"];
    let modes: [(&[&str], &str); 6] = [
        (&["chat", "hello"], "echo: hello"),
        (&promise, "iteration 1 of 30"),
        (&["plan", "Build the house"], "Lay the base"),
        (&["plan", "Build the house", "-e", "--trust-plan"], "Raise the walls"),
        (&["fleet", "make file one", "make file two"], "made two"),
        (&members, "Take sled."),
    ];
    for (args, words) in modes {
        let shown = ctl.start_on_one_terminal(args).wait().expect_code(0).stdout;
        plain(&args.join(" "), &shown);
        assert!(shown.contains(words), "{args:?}: {shown}");
        // The same once more, from its log.
        let runs = product.runs(["list", "--json"]).json();
        let run = runs["runs"][0]["run"].as_str().unwrap();
        let again = ctl.start_on_one_terminal(["runs", "attach", run]).wait().expect_code(0);
        plain(&format!("attach: {}", args.join(" ")), &again.stdout);
        assert!(again.stdout.contains(words), "{args:?}: {again:?}");
    }
    let mut asked = ctl.start_on_one_terminal(["chat", "ask me"]);
    asked.wait_stdout("Which way?");
    asked.type_in("left\n");
    plain("a question", &asked.wait().expect_code(0).stdout);
    let mut talk = ctl.start_on_one_terminal(["interactive"]);
    talk.wait_stdout("> ");
    talk.type_in("hello again\n");
    talk.wait_stdout("echo: hello again");
    talk.type_in("/exit\n");
    plain("interactive", &talk.wait().expect_code(0).stdout);
    let waiting = product.ctl().run(["chat", "ask me now", "--detach"]).ok();
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &json!({"run": waiting.trim()}));
    rpc.events_until(&watched, "ask");
    for (args, words) in [
        (&["inbox"][..], "Which way?"),
        (&["runs", "list"], "asking"),
        (&["sessions", "list"], "hello"),
        (&["status"], "copexd"),
        (&["models"], "provider"),
    ] {
        let shown = ctl.start_on_one_terminal(args).wait().expect_code(0).stdout;
        // Two rows may have the same words; what is indented is the rest of a row.
        plain(&args.join(" "), &shown.replace("\r\n ", " "));
        assert!(shown.contains(words), "{args:?}: {shown}");
    }
}
