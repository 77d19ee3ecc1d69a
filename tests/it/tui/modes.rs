//! Every mode is started from the form, and its parts are seen while they happen.

use super::*;

const RIGHT: &str = "\u{1b}[C";
const LEFT: &str = "\u{1b}[D";

/// Opens the form, types the prompt, and goes so many modes on.
fn new_run(tui: &mut Tui, prompt: &str, modes: &str, name: &str) {
    tui.press("n");
    tui.shows("new run");
    tui.press(prompt);
    tui.shows(&format!("> {prompt}"));
    tui.press("\t");
    tui.press(modes);
    tui.shows(&format!("> mode    ‹ {name} ›"));
}

/// Whether the newest message is what a tool gave back.
fn has_run(request: &RecordedRequest) -> bool {
    request.messages().last().is_some_and(|message| message["role"] == "tool")
}

/// Plans two steps; carries each out, the second once the gate is open.
fn planner(request: &RecordedRequest, gate: &Gate) -> Reply {
    let first = request.user_messages().into_iter().next().unwrap_or_default();
    let step = first.split_once("Do step ").and_then(|(_, rest)| rest.chars().next());
    match step {
        None => {
            let steps = json!({"steps": [
                {"title": "Open the *door*", "verify": "test -e 1"},
                {"title": "Close it", "depends_on": [1]},
            ]});
            Reply::text(format!("I **looked**.\n```json\n{steps}\n```"))
        }
        Some(step) if has_run(request) => {
            Reply::text(format!("It is `done`.\n<promise>Step {step} complete</promise>"))
        }
        Some('2') => Reply::tool("bash", &shell("echo line >> 2")).wait_before_head(gate),
        Some(step) => Reply::tool("bash", &shell(&format!("echo line >> {step}"))),
    }
}

#[test]
fn a_plan_is_made_read_approved_and_watched() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| planner(request, &held));
    let mut tui = Tui::start(&product.ctl());
    new_run(&mut tui, "work on it", &RIGHT.repeat(2), "plan");
    tui.press(ENTER);
    let screen = tui.shows_all(&["? asking plan", "Carry out this plan?", "I looked."]);
    assert!(!screen.contains("**"), "words are laid out: {screen}");

    // All of the plan is in the inbox, laid out, with the keys that answer.
    tui.press("2");
    let screen = tui.shows_all(&["☐ 1. Open the", "verify: test -e 1", "y yes · n no · E edit"]);
    assert!(!screen.contains("- [ ]"), "{screen}");
    tui.press("y");
    tui.shows("nothing waits for you");

    // Its steps: one that is done with its check, one at work.
    tui.press("1");
    tui.press(ENTER);
    tui.press("\t");
    tui.shows_all(&["[✓]  1 Open the", "1 iteration ", "✓ test -e 1", "[●]  2 Close it"]);
    gate.open();
    tui.shows_all(&["✓ done plan", "2/2 steps", "[✓]  2 Close it"]);

    // One step alone, then what came of it.
    tui.press(ENTER);
    let screen = tui.shows_all(&["only 1; Esc: all", "It is done.", "check test -e 1"]);
    assert!(!screen.contains("[2/1]"), "{screen}");
    tui.press(ESC);
    tui.hides("only 1");
    tui.press("\t");
    tui.shows_all(&["☑ 1. Open the door", "☑ 2. Close it"]);
    for number in ["1", "2"] {
        let text = std::fs::read_to_string(product.daemon.sandbox().work().join(number));
        assert_eq!(text.unwrap(), "line\n", "each step once");
    }
}

#[test]
fn a_loop_shows_its_iterations_and_their_checks() {
    let product = Product::start();
    product.model.respond(|request| {
        let fixes = request.prompt().contains("[Iteration 2 ") && !has_run(request);
        if fixes { Reply::tool("bash", &shell("touch fixed")) } else { Reply::text("I _tried_.") }
    });
    let mut tui = Tui::start(&product.ctl());
    new_run(&mut tui, "fix it", RIGHT, "ralph");
    tui.shows("until its limit: give it a check");
    tui.press("\t\t\t");
    tui.press("test -e fixed");
    tui.shows_all(&["> check   test -e fixed", "until the check passes"]);
    tui.press(ENTER);
    let screen = tui.shows_all(&["✓ done ralph", "✗ [1] check test -e fixed", "✓ [2] check"]);
    assert!(screen.contains("I tried."), "{screen}");
    tui.press("\t");
    let screen = tui.shows_all(&["✗ iteration 1", "✓ iteration 2"]);
    assert_eq!(screen.matches("test -e fixed").count(), 2, "{screen}");
}

/// What a council says: opinions, ballots, the chair's words.
pub(super) fn councillor(request: &RecordedRequest) -> Reply {
    let prompt = request.prompt();
    if prompt.contains("# Your decision") {
        let decision = json!({"decision": "Take **sled**.", "reasons": ["it is small"],
            "confidence": 0.9, "dissent": [], "next_steps": []});
        return Reply::text(decision.to_string());
    }
    if prompt.contains("# Your review") {
        let letters: Vec<&str> =
            prompt.lines().filter_map(|line| line.strip_prefix("# Opinion ")).collect();
        let review = json!({"ranking": letters, "agree": true, "comments": {}});
        return Reply::text(format!("```json\n{review}\n```"));
    }
    Reply::text("# Mine\n\nTake *sled*.")
}

#[test]
fn a_council_is_watched_member_by_member() {
    let council = "[council]\nmembers = [\"alpha-1\", \"beta-2\"]\nchair = \"omega-9\"\n";
    let product = Product::with(|builder| builder.config(council));
    product.model.respond(councillor);
    let mut tui = Tui::start(&product.ctl());
    new_run(&mut tui, "Which store?", LEFT, "council");
    tui.press(ENTER);
    tui.shows_all(&["✓ done council", "chair"]);
    tui.press("\t");
    let screen =
        tui.shows_all(&["✓ alpha-1", "✓ beta-2", "✓ chair", "ballots", "decision of omega-9"]);
    assert!(screen.contains("Take sled."), "{screen}");
    tui.press(ENTER);
    tui.shows_all(&["only alpha-1; Esc: all", "Take sled."]);
    tui.press(ESC);
    tui.hides("only alpha-1");
    tui.press("\t");
    let screen = tui.shows_all(&["Take sled.", "by omega-9", "(alpha-1)"]);
    assert!(!screen.contains("**") && !screen.contains("## "), "{screen}");
}

#[test]
fn a_council_without_members_says_how_to_get_some() {
    let product = Product::start();
    let mut tui = Tui::start(&product.ctl());
    new_run(&mut tui, "Which store?", LEFT, "council");
    tui.press(ENTER);
    tui.shows("a council needs two members at least");
    tui.press("n");
    tui.shows("> Which store?");
}

#[test]
fn themes_flags_and_keys_are_those_of_every_command() {
    let config = "screen_reader = true\n";
    let product = Product::with(|builder| builder.config(config));
    let read = product.ctl().start_on_one_terminal(["tui"]);
    let shown = read.wait().expect_code(2).stdout;
    assert!(shown.contains("read aloud") && shown.contains("screen_reader"), "{shown}");

    let config = "ui_theme = \"tokyo\"\nui_density = \"compact\"\n";
    let product = Product::with(|builder| builder.config(config));
    product.model.respond(|request| {
        if has_run(request) {
            return Reply::text("```rust\nlet a = 1;\n```");
        }
        Reply::tool("bash", &shell("printf 'printed%s' here"))
    });
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "print it", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_to_end(&watched);
    let colour = |tui: &Tui, word: &str| {
        let terminal = tui.terminal(tui.running.stdout().as_bytes());
        let screen = terminal.screen();
        let (row, line) =
            (0..).zip(screen.rows(0, 80)).find(|(_, row)| row.contains(word)).unwrap();
        let column = u16::try_from(line.split(word).next().unwrap().chars().count()).unwrap();
        screen.cell(row, column).unwrap().fgcolor()
    };
    let looks: [(&[(&str, &str)], vt100::Color); 4] = [
        (&[("TERM", "xterm-256color")], vt100::Color::Idx(141)),
        (&[("COLORTERM", "truecolor")], vt100::Color::Rgb(0xbb, 0x9a, 0xf7)),
        (&[("COLORTERM", "truecolor"), ("COLORFGBG", "0;15")], vt100::Color::Rgb(0x5d, 0x4d, 0x7b)),
        (&[("NO_COLOR", "1")], vt100::Color::Default),
    ];
    for (variables, wanted) in looks {
        let ctl = product.ctl().with(|launch| {
            variables.iter().fold(launch, |launch, (name, value)| launch.env(name, value))
        });
        let mut tui = Tui::start(&ctl);
        tui.shows("✓ chat");
        tui.press(ENTER);
        let screen = tui.shows_all(&["let a = 1;", "done after"]);
        assert!(!screen.contains("printedhere"), "compact: {screen}");
        assert_eq!(colour(&tui, "let a"), wanted, "{variables:?}");
        tui.press("\u{14}");
        tui.shows("printedhere");
        tui.press("qq");
        tui.running.wait().ok();
    }
}

#[test]
fn a_run_that_waits_for_a_key_has_it_from_the_screen() {
    const NAME: &str = "COPILOT_PROVIDER_API_KEY";
    let mut product = Product::with(|builder| builder.env(NAME, ""));
    product.model.respond(|_| Reply::stream().say("half an ").hang());
    product
        .ctl()
        .with(|launch| launch.env(NAME, API_KEY))
        .run(["chat", "--detach", "tell me"])
        .ok();
    product.model.wait_for_requests(1);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let mut tui = Tui::start(&product.ctl().with(|launch| launch.env(NAME, API_KEY)));
    tui.shows("needs the key in COPILOT_PROVIDER_API_KEY");
    product.model.respond(|_| Reply::text("a whole answer"));
    tui.press("r");
    tui.shows("it goes on now");
    tui.press(ENTER);
    tui.shows_all(&["a whole answer", "✓ done chat"]);
    let asked = product.model.requests().pop().unwrap();
    assert!(asked.headers.get("authorization").is_some_and(|it| it.ends_with(API_KEY)));
}
