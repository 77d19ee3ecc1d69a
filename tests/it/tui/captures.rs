//! Each screen during real runs, at two sizes, in colour and without: kept as it was looked
//! at. `UPDATE=1` writes anew. What differs from run to run (times, numbers, names of folders)
//! is filtered; where things stand is tested in the client's own tests.

use std::path::PathBuf;

use super::*;

/// A screen without what differs each time.
fn filtered(screen: &str) -> String {
    let mut lines: Vec<String> = screen.lines().map(line).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

fn line(text: &str) -> String {
    let word = |word: &str| {
        if word.contains("/cpx-") || word.contains("127.0.0.1") {
            return "[PLACE]".to_owned();
        }
        let of_id = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if word.len() > 12 && word.chars().all(of_id) && word.chars().any(|c| c.is_ascii_digit()) {
            return "[ID]".to_owned();
        }
        let mut out = String::new();
        for c in word.chars() {
            let c = if c.is_ascii_digit() { 'N' } else { c };
            if !(c == 'N' && out.ends_with('N')) {
                out.push(c);
            }
        }
        out
    };
    let text: Vec<String> = text.split_whitespace().map(word).collect();
    // The letters of opinions are drawn by lot.
    let text = text.join(" ").replace("N.N", "N").replace("ranks B", "ranks A");
    ["N ms", "N:N min", "N min N s"].iter().fold(text, |text, time| text.replace(time, "N s"))
}

/// Waits until the screen is as it was looked at. With `UPDATE=1` it is kept as it is once
/// these words are on it.
#[expect(clippy::disallowed_methods, reason = "a test asks how it was started")]
fn golden(tui: &Tui, name: &str, words: &[&str]) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/it/tui/captures"));
    let file = folder.join(format!("{name}-{}x{}.txt", tui.size.0, tui.size.1));
    if std::env::var_os("UPDATE").is_some() {
        let screen = tui.shows_all(words);
        if let Some(raw) = std::env::var_os("RAW") {
            let raw = PathBuf::from(raw).join(file.file_name().unwrap());
            std::fs::write(raw, &screen).unwrap();
        }
        std::fs::write(&file, filtered(&screen)).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    tui.wait(&format!("like {}:\n{kept}", file.display()), |screen| filtered(screen) == kept);
}

/// Whether a cell of the screen has a colour.
fn coloured(tui: &Tui) -> bool {
    let terminal = tui.terminal(tui.running.stdout().as_bytes());
    let screen = terminal.screen();
    let cells = (0..tui.size.1).flat_map(|row| (0..tui.size.0).map(move |column| (row, column)));
    cells
        .filter_map(|(row, column)| screen.cell(row, column))
        .any(|cell| cell.fgcolor() != vt100::Color::Default)
}

/// A house with a run that is over, one that works, one that asks, and a fleet.
fn house(gate: &Gate) -> Product {
    let product = Product::start();
    product.model.respond(model(gate));
    let mut rpc = product.rpc();
    let done = product.submit(&mut rpc, "say hello", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": done}));
    rpc.events_to_end(&watched);
    let waits = product.submit(&mut rpc, "wait for it", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": waits}));
    rpc.events_until(&watched, "message_delta");
    let asks = product.submit(&mut rpc, "push it", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": asks}));
    rpc.events_until(&watched, "ask");
    let tasks = json!([
        {"id": "first", "prompt": "say hello"},
        {"id": "second", "prompt": "wait in a task", "depends_on": ["first"]},
        {"id": "third", "prompt": "say hello", "depends_on": ["second"]},
    ]);
    let mut request = product.request("", json!({"mode": "fleet", "tasks": tasks}));
    request.as_object_mut().unwrap().remove("prompt");
    let fleet = rpc.call("run.submit", &json!({"request": request}));
    let watched = rpc.subscribe("run.watch", &json!({"run": fleet["run"]}));
    let works =
        |event: &serde_json::Value| event["type"] == "message_delta" && event["path"] == "second";
    while !works(&rpc.next_event(&watched)) {}
    product
}

/// The client at each size, in colour and without.
fn each_look(product: &Product, look_at: impl Fn(&mut Tui)) {
    for look in ["dark", "mono"] {
        let ctl = product
            .ctl()
            .with(|launch| if look == "mono" { launch.env("NO_COLOR", "1") } else { launch });
        for (columns, rows) in [(80, 24), (200, 60)] {
            let mut tui = Tui::start(&ctl);
            tui.resize(columns, rows);
            let edge = "─".repeat(usize::from(columns));
            tui.wait("of that size", |screen| screen.matches(&edge).count() == 2);
            look_at(&mut tui);
            assert_eq!(coloured(&tui), look == "dark", "{look}");
            tui.press(CTRL_D);
            tui.running.wait().ok();
        }
    }
}

#[test]
fn each_screen_is_as_it_was_looked_at() {
    let gate = Gate::new();
    let product = house(&gate);
    each_look(&product, |tui| {
        // Both that work say so.
        let words = ["NEEDS YOU 1", "WORKING 2", "DONE 1", "1/3"];
        tui.wait("of all runs", |screen| {
            words.iter().all(|words| screen.contains(words))
                && screen.matches("“so far so good").count() == 2
        });
        golden(tui, "runs", &words);
        tui.press(ENTER);
        golden(tui, "run", &["? asking", "a: answer it", "▸ bash"]);
        tui.press("\t\t");
        golden(tui, "about", &["folder", "asked"]);
        tui.press("a");
        golden(tui, "question", &["[y]es, [n]o (with words)"]);
        tui.press(ESC);
        tui.hides("[y]es, [n]o");
        tui.press("2");
        golden(tui, "inbox", &["y yes", "denied by itself"]);
        // The fleet is the newest of those at work.
        tui.press("1");
        tui.press("\u{1b}[H");
        tui.press(DOWN);
        tui.press(ENTER);
        tui.shows_all(&["fleet", "second is at work"]);
        tui.press("\t");
        golden(tui, "fleet", &["who waits for whom", "after second"]);
        tui.press(CTRL_P);
        golden(tui, "palette", &["commands", "all runs"]);
        tui.press(ESC);
        tui.hides("commands");
        tui.press("?");
        golden(tui, "help", &["keys", "Esc close"]);
        tui.press(ESC);
        tui.hides("Esc close");
        tui.press("n");
        golden(tui, "form", &["new run", "one prompt, one answer"]);
        tui.press(ESC);
        tui.hides("new run");
    });
    gate.open();
}

/// A model behind every mode at once: what waits, waits at a gate.
fn everything(request: &RecordedRequest, gates: &[Gate; 2]) -> Reply {
    let prompt = request.prompt();
    let first = request.user_messages().into_iter().next().unwrap_or_default();
    if request.model() == "broken-1" {
        return Reply::error(503, "overloaded", "out of order");
    }
    if prompt.contains("# Your decision") {
        return modes::councillor(request).wait_before_head(&gates[1]);
    }
    if prompt.contains("Which store?") || prompt.contains("# Your review") {
        return modes::councillor(request);
    }
    if let Some((_, step)) = first.split_once("Do step ") {
        let step: String = step.chars().take_while(char::is_ascii_digit).collect();
        return Reply::text(format!("It is done.\n<promise>Step {step} complete</promise>"));
    }
    if first.contains("mend it") {
        return if prompt.contains("[Iteration 2 ") {
            Reply::stream().say("I try _again_").wait(&gates[0])
        } else {
            Reply::text("I tried.\n\n<promise>ALL TESTS PASSING</promise>")
        };
    }
    let steps = json!({"steps": [
        {"title": "Open the *door*", "verify": "true"},
        {"title": "Carry the sofa in", "depends_on": [1], "verify": "cat held"},
        {"title": "Sweep the floor", "depends_on": [1]},
        {"title": "Close the door", "depends_on": [2, 3]},
    ]});
    Reply::text(format!("I **looked**.\n```json\n{steps}\n```"))
}

/// Opens the run with these letters.
fn open(tui: &mut Tui, words: &str) {
    tui.press("1");
    tui.shows("n new");
    tui.press(&format!("/\u{15}{words}\r"));
    tui.shows_all(&["n new", &format!("/{words}")]);
    tui.press(ENTER);
    tui.shows("Tab view");
}

#[test]
fn each_mode_and_the_house_around_it_are_as_they_were_looked_at() {
    let config = "[council]\nmembers = [\"alpha-1\", \"beta-2\"]\nchair = \"omega-9\"\n\
                  [limits]\nmax_cost_per_day = 1\n";
    let product = Product::with(|builder| builder.config(config));
    let gates = [Gate::new(), Gate::new()];
    let held = gates.clone();
    product.model.respond(move |request| everything(request, &held));
    // A check that waits: for somebody to write.
    let pipe = product.daemon.sandbox().work().join("held");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();

    let mut rpc = product.rpc();
    let start = |rpc: &mut copex_tests::rpc::Rpc, more: serde_json::Value| {
        let mut request = product.request("", more);
        let fields = request.as_object_mut().unwrap();
        let price = json!({"scripted-1": {"input": 1000, "output": 10_000}});
        fields.insert("prices".to_owned(), price);
        if fields.contains_key("task") {
            fields.remove("prompt");
        }
        let run = rpc.call("run.submit", &json!({"request": request}));
        rpc.subscribe("run.watch", &json!({"run": run["run"]}))
    };
    let quick = json!({"prompt": "hello?", "model": "broken-1", "fallback_chain": [],
        "foreground": true, "retry": {"base_delay_s": 0.05, "max_delay_s": 0.2}});
    let broken = start(&mut rpc, quick);
    rpc.events_to_end(&broken);
    let mend = json!({"mode": "ralph", "prompt": "mend it", "verify": ["test -e mended"],
        "promise": "ALL TESTS PASSING", "max_iterations": 5});
    let mend = start(&mut rpc, mend);
    let again =
        |event: &serde_json::Value| event["type"] == "message_delta" && event["path"] == "2";
    while !again(&rpc.next_event(&mend)) {}
    let plan =
        start(&mut rpc, json!({"mode": "plan", "task": "move in", "execute": true, "trust": true}));
    let checks =
        |event: &serde_json::Value| event["type"] == "gate_start" && event["command"] == "cat held";
    while !checks(&rpc.next_event(&plan)) {}
    let council = json!({"mode": "council", "task": "Which store?",
        "members": ["alpha-1", "beta-2"], "chair": "omega-9"});
    let council = start(&mut rpc, council);
    gates[1].wait_reached(1);

    each_look(&product, |tui| {
        tui.shows_all(&["WORKING 3", "DONE 1"]);
        golden(tui, "modes", &["1/4", "2/5", "check cat held", "2/3"]);
        open(tui, "mend it");
        golden(tui, "loop-log", &["promise: ALL TESTS PASSING", "exit 1"]);
        tui.press("\t");
        golden(tui, "loop", &["✗ test -e mended", "● iteration 2"]);
        open(tui, "move in");
        golden(tui, "plan-log", &["▸ [2/1] check cat held"]);
        tui.press("\t");
        golden(tui, "plan", &["▸ cat held", "who waits for whom"]);
        open(tui, "Which store?");
        tui.press("\t");
        golden(tui, "council", &["decision", "ranks"]);
        open(tui, "hello?");
        golden(tui, "failed", &["✗ failed chat"]);
        tui.press("3");
        golden(tui, "spend-limit", &["a day", "in all"]);
        tui.press("4");
        golden(tui, "pool", &["open", "broken-1", "runs at work"]);
    });
    gates[1].open();
    rpc.events_to_end(&council);
    each_look(&product, |tui| {
        open(tui, "Which store?");
        tui.press("\t");
        golden(tui, "council-ballots", &["ballots", "decision of omega-9"]);
        // What members say at once comes in any order: the chair alone.
        tui.press(&DOWN.repeat(2));
        tui.press(ENTER);
        golden(tui, "council-log", &["only chair", "decision:"]);
    });
    std::fs::write(&pipe, "go on\n").unwrap();
    rpc.events_to_end(&plan);
    gates[0].open();
}
