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
        if word.contains("/work") || word.contains("127.0.0.1") {
            return "[PLACE]".to_owned();
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
    let text = text.join(" ").replace("N.N", "N");
    ["N ms", "N:N min", "N min N s"].iter().fold(text, |text, time| text.replace(time, "N s"))
}

#[expect(clippy::disallowed_methods, reason = "a test asks how it was started")]
fn golden(name: &str, screen: &str) {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/it/tui/captures"));
    let (file, text) = (folder.join(format!("{name}.txt")), filtered(screen));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == text, "{name} is another; UPDATE=1 writes it anew\n{text}\nas it was\n{kept}");
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

#[test]
fn each_screen_is_as_it_was_looked_at() {
    let gate = Gate::new();
    let product = house(&gate);
    for (look, sizes) in [("dark", [(80, 24), (200, 60)]), ("mono", [(80, 24), (200, 60)])] {
        let ctl = product
            .ctl()
            .with(|launch| if look == "mono" { launch.env("NO_COLOR", "1") } else { launch });
        for (columns, rows) in sizes {
            let mut tui = Tui::start(&ctl);
            let shown = format!("{columns}x{rows}");
            let name = |screen: &str| format!("{screen}-{shown}");
            tui.resize(columns, rows);
            let edge = "─".repeat(usize::from(columns));
            let words = ["NEEDS YOU 1", "WORKING 2", "DONE 1", "1/3", edge.as_str()];
            // Both that work say so.
            let runs = tui.wait("of all runs", |screen| {
                let all = words.iter().all(|words| screen.contains(words));
                all && screen.matches(edge.as_str()).count() == 2
                    && screen.matches("“so far so good").count() == 2
            });
            golden(&name("runs"), &runs);
            tui.press(ENTER);
            golden(&name("run"), &tui.shows_all(&["? asking", "a: answer it", "▸ bash"]));
            tui.press("2");
            golden(&name("inbox"), &tui.shows_all(&["y yes", "denied by itself"]));
            // The fleet is the newest of those at work.
            tui.press("1");
            tui.press("\u{1b}[H");
            tui.press(DOWN);
            tui.press(ENTER);
            tui.shows_all(&["fleet", "second is at work"]);
            tui.press("\t");
            golden(&name("fleet"), &tui.shows_all(&["who waits for whom", "after second"]));
            tui.press("3");
            golden(&name("spend"), &tui.shows_all(&["today", "in all"]));
            tui.press("4");
            tui.shows_all(&["runtimes", "breakers", "retries left"]);
            assert_eq!(coloured(&tui), look == "dark", "{look}");
            tui.press("q");
            tui.running.wait().ok();
        }
    }
    gate.open();
}
