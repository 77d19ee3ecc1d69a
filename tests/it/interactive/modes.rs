//! The other modes from the prompt, each to a good end, and what is typed wrong.

use copex_tests::model::RecordedRequest;
use copex_tests::process::Launch;
use serde_json::json;

use super::*;
use crate::product::shell;

/// A model that plans two steps and carries them out, makes the file that a task names, reviews
/// and decides, and keeps a loop's promise.
pub(crate) fn model(request: &RecordedRequest) -> Reply {
    let (first, prompt) = (request.user_messages().swap_remove(0), request.prompt());
    let ran = request.messages().last().is_some_and(|message| message["role"] == "tool");
    let after = |text: &str, words: &str| {
        let (_, rest) = text.split_once(words)?;
        rest.split([' ', '\n']).next().map(str::to_owned)
    };
    if prompt.contains("# Your decision") {
        let decision = json!({"decision": "Take sled.", "reasons": ["it is simple"],
            "confidence": 0.9, "dissent": [], "next_steps": []});
        Reply::text(decision.to_string())
    } else if prompt.contains("# Your review") {
        let letters: Vec<&str> =
            prompt.lines().filter_map(|it| it.strip_prefix("# Opinion ")).collect();
        let comments: serde_json::Map<_, _> =
            letters.iter().map(|it| ((*it).to_owned(), json!("well argued"))).collect();
        let review = json!({"ranking": letters, "agree": true, "comments": comments});
        Reply::text(format!("```json\n{review}\n```"))
    } else if prompt.contains("Which store") {
        Reply::text("sled")
    } else if let Some(number) = after(&first, "Do step ") {
        if ran {
            return Reply::text(format!("<promise>Step {number} complete</promise>"));
        }
        Reply::tool("bash", &shell(&format!("echo line >> step{number}")))
    } else if let Some(name) = after(&first, "make file ") {
        if ran {
            return Reply::text(format!("made {name}"));
        }
        Reply::tool("bash", &shell(&format!("echo {name} > {name}")))
    } else if prompt.contains("Build the house") {
        let steps = json!({"steps": [{"title": "Lay the base", "verify": "test -e step1"},
            {"title": "Raise the walls", "depends_on": [1], "verify": "test -e step2"}]});
        Reply::text(format!("```json\n{steps}\n```"))
    } else if prompt.contains("until it holds") {
        if ran {
            return Reply::text("<promise>all done</promise>");
        }
        Reply::tool("bash", &shell("touch held"))
    } else {
        Reply::text(format!("echo: {prompt}"))
    }
}

/// Each mode in a conversation, on a terminal of this size.
fn each_mode_ends_well(rows: u16, columns: u16) {
    let product = Product::start();
    product.model.respond(model);
    let git = |script: &str| {
        let sandbox = product.daemon.sandbox();
        Launch::inside(sandbox, "/bin/sh").args(["-c", script]).run().ok().trim().to_owned()
    };
    git("git init -q -b main . && git -c user.name=a -c user.email=b commit -q --allow-empty -m c");
    let mut screen = product.ctl().screen(["interactive"]);
    screen.resize(rows, columns);
    screen.wait("/help");
    ready(&mut screen);
    let mut says = |line: &str, answer: Option<&str>, words: &[&str]| {
        screen.line(line);
        if let Some(answer) = answer {
            screen.wait("[y]es");
            screen.line(answer);
        }
        let shown = screen
            .wait_for(&words.join(", "), |shown| words.iter().all(|words| shown.contains(words)));
        ready(&mut screen);
        screen.line("/clear");
        screen.wait_for("an empty screen", |shown| !shown.contains(words[0]));
        ready(&mut screen);
        shown
    };
    says("hello", None, &["echo: hello"]);
    let words = ["done: Build the house", "✓  1 Lay the base", "✓  2 Raise the walls"];
    says("/plan Build the house --review --execute", Some("y"), &words);
    assert_eq!(git("cat step1 step2"), "line\nline", "the steps were carried out");
    let fleet = "/fleet 'make file one' 'make file two' --isolation worktree";
    let shown = says(fleet, None, &["2 of 2 tasks done", "made one", "2 tasks are merged on"]);
    assert!(shown.contains("made two"), "{shown}");
    let merged = "git show --format= --name-only $(git branch --list --format='%(refname)' \
                  'copex/fleet/*' | head -1) --first-parent -m -2 | sort";
    assert_eq!(git(merged).split_whitespace().collect::<Vec<_>>(), ["one", "two"]);
    says("/council Which store? --member alpha-1,beta-2", None, &["Take sled.", "Confidence 0.90"]);
    let promise = "/ralph until it holds -p 'all done' --verify 'test -e held'";
    says(promise, None, &["done: until it holds", "✓ iteration 1"]);
    says("and now", None, &["echo: and now"]);
    assert_eq!(product.last_request().user_messages(), ["hello", "and now"], "one conversation");
    let shown = says("/cost", None, &["this conversation", "today, in all", "126 out"]);
    let has = |start: &str, rest: &str| {
        let line = shown.lines().find(|line| line.starts_with(start)).unwrap_or_default();
        assert!(line.split_whitespace().collect::<Vec<_>>().join(" ").contains(rest), "{shown}");
    };
    has("this conversation", "2 turns, 22 tokens in, 14 out");
    // The plan 1 + 2 × 2, the fleet 2 × 2, the council 2 + 2 + 1, the loop 2.
    has("runs begun here", "4 runs, 176 tokens in, 112 out");
    has("today, in all", "198 tokens in, 126 out");
    screen.line("/exit");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn each_mode_ends_well_on_a_small_terminal() {
    each_mode_ends_well(24, 80);
}

#[test]
fn each_mode_ends_well_on_a_large_terminal() {
    each_mode_ends_well(60, 200);
}

#[test]
fn what_is_typed_wrong_is_told_in_a_line() {
    let product = Product::start();
    let mut screen = begin(&product, []);
    screen.resize(24, 120).line("/clear");
    screen.wait_for("an empty screen", |shown| !shown.contains("copexctl: "));
    ready(&mut screen);
    for (line, words) in [
        ("/plan", "error: /plan takes a task"),
        ("/ralph", "error: /ralph takes a task"),
        ("/fleet", "error: /fleet takes a task"),
        ("/council", "error: /council takes a task"),
        ("/council Which?", "error: no members: a council needs two at least"),
        ("/council Which? --member", "error: /council: a value is required for '--member"),
        ("/fleet --nope x", "error: /fleet: unexpected argument '--nope' found"),
        ("/plan x --excute", "unexpected argument '--excute' found; did you mean --execute?"),
        ("/ralph x -n many", "error: /ralph: invalid value 'many' for '--max-iterations <N>'"),
        ("/sessions lst", "error: /sessions: unrecognized subcommand 'lst'; did you mean list?"),
        ("/plan don't", "error: /plan: a quote or a backslash has no end"),
        ("/concil x", "error: /concil is no command; did you mean /council?"),
        ("/xyzzyx", "error: /xyzzyx is no command; /help names them"),
        ("/resume 0123abcd", "error: there is no session `0123abcd` on the disk"),
        ("/model two words", "error: /model takes one name"),
        ("/model scripted", "asks scripted, which no list of models has; did you mean scripted-"),
        ("/skills nothing", "error: no skill is called `nothing`"),
    ] {
        screen.line(line);
        let shown = screen.wait(words);
        ready(&mut screen);
        let told: Vec<&str> = shown.lines().filter(|it| it.contains("copexctl: ")).collect();
        assert_eq!(told.len(), 1, "{line}: {shown}");
        assert!(!shown.contains("Usage:") && !shown.contains("For more"), "{line}: {shown}");
        screen.line("/clear");
        screen.wait_for("an empty screen", |shown| !shown.contains("copexctl: "));
        ready(&mut screen);
    }
    assert!(product.model.requests().is_empty(), "nothing of it reached the model");
    screen.line("/plan --help").wait("Most tokens that the run may send");
}
