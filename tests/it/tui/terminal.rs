//! The terminal itself: a mouse, a slow line, other sizes, nothing to do, and a hard end.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::*;

const SHOWN_AGAIN: &str = "\u{1b}[?25h";

/// A click on words of the screen.
fn click(tui: &mut Tui, words: &str) {
    let screen = tui.shows(words);
    let rows = || screen.lines().zip(1..);
    let (line, row) = rows().find(|(line, _)| line.contains(words)).unwrap();
    let column = line.split(words).next().unwrap().chars().count() + 1;
    tui.press(&format!("\u{1b}[<0;{column};{row}M\u{1b}[<0;{column};{row}m"));
}

#[test]
fn the_mouse_chooses_screens_runs_views_and_lines_and_its_wheel_scrolls() {
    let product = Product::start();
    product.model.respond(|request| {
        if !request.tool_results().is_empty() {
            let lines: Vec<_> = (0..40).map(|line| format!("- line {line}")).collect();
            return Reply::text(lines.join("\n"));
        }
        Reply::tool("bash", &shell("printf 'printed%s' here"))
    });
    let mut rpc = product.rpc();
    for prompt in ["first one", "second one"] {
        let run = product.submit(&mut rpc, prompt, json!({}));
        let watched = rpc.subscribe("run.watch", &json!({"run": run}));
        rpc.events_to_end(&watched);
    }
    let running = product.ctl().start_on_one_terminal(["tui", "--mouse"]);
    let mut tui = Tui { running, size: (80, 24) };
    tui.shows_all(&["> ✓ chat    second one", "DONE 2"]);
    click(&mut tui, "first one");
    tui.shows("> ✓ chat    first one");
    click(&mut tui, "first one");
    tui.shows_all(&["✓ done chat", "line 39"]);

    let wheel = |tui: &mut Tui, button: u8, times: usize| {
        tui.press(&format!("\u{1b}[<{button};10;10M").repeat(times));
    };
    wheel(&mut tui, 64, 30);
    tui.shows_all(&["> first one", "printedhere", "more ↓"]);
    // The tool is looked at by one click, and closed by the next.
    click(&mut tui, "✓ bash");
    tui.wait("with the tool's line marked", |screen| {
        screen.lines().any(|line| line.starts_with("> ✓ bash"))
    });
    click(&mut tui, "✓ bash");
    tui.shows("+2 lines");
    tui.hides("│ printedhere");
    wheel(&mut tui, 65, 30);
    tui.hides("more ↓");
    click(&mut tui, " Answer ");
    tui.hides("✓ bash");
    click(&mut tui, " 4 Pool ");
    tui.shows_all(&["runtimes", "breakers"]);
    click(&mut tui, " 1 Runs ");
    tui.shows("DONE 2");
    tui.press("q");
    let shown = tui.running.wait().expect_code(0).stdout;
    assert!(shown.contains("\u{1b}[?1006l"), "the mouse is given back");
}

#[test]
fn a_tool_is_opened_and_closed_by_itself() {
    let product = Product::start();
    product.model.respond(|request| {
        if !request.tool_results().is_empty() {
            return Reply::text("both are done");
        }
        let tool = |words: &str| shell(&format!("printf '%s{words}' some"));
        Reply::stream().call("bash", &tool("one")).call("bash", &tool("two"))
    });
    let ctl = product.ctl().with(|launch| launch.env("COPEX_UI_DENSITY", "compact"));
    let mut tui = Tui::start(&ctl);
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "print them", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_to_end(&watched);
    tui.shows("✓ chat");
    tui.press(ENTER);
    let screen = tui.shows_all(&["both are done", "done after"]);
    assert_eq!(screen.matches("+2 lines").count(), 2, "{screen}");
    // Nothing is looked at: the last one that can be opened.
    tui.press("x");
    let screen = tui.shows("│ sometwo");
    assert!(!screen.contains("│ someone"), "{screen}");
    assert!(screen.lines().any(|line| line.starts_with("> ✓ bash")), "{screen}");
    tui.press("k");
    tui.press(" ");
    tui.shows_all(&["│ someone", "│ sometwo"]);
    tui.press(ENTER);
    let screen = tui.hides("│ someone");
    assert!(screen.contains("│ sometwo"), "{screen}");
    // All of them at once, and again none.
    tui.press("\u{14}");
    tui.shows_all(&["│ someone", "│ sometwo"]);
    tui.press("\u{14}");
    tui.hides("│ some");
    tui.press("\u{1b}[H");
    tui.press("x");
    tui.shows("can be opened");
}

#[test]
fn a_panic_is_told_on_a_terminal_that_can_be_used() {
    let product = Product::start();
    let ctl = product.ctl().with(|launch| launch.env("COPEX_TUI_PANICS", "1"));
    let shown = ctl.start_on_one_terminal(["tui"]).wait().expect_code(101).stdout;
    let left = shown.rfind(LEAVE).expect("the other screen is left");
    let told = shown.find("a test asked for this panic").expect("the panic is told");
    assert!(left < told || shown.find(LEAVE).unwrap() < told, "it is told where it stays: {shown}");
    assert!(shown.contains(SHOWN_AGAIN) && shown.contains("\u{1b}[?2004l"), "{shown}");
    // Each line begins at the left: the terminal is not raw any more.
    let after = &shown[told..];
    assert!(after.matches('\n').count() == after.matches("\r\n").count(), "{after:?}");
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let product = Product::start();
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        let tui = Tui::start(&product.ctl());
        tui.running.signal(signal);
        let shown = tui.running.wait().expect_code(128 + signal as i32).stdout;
        assert!(shown.contains(LEAVE) && shown.contains(SHOWN_AGAIN), "{signal}: {shown}");
    }
}

#[test]
fn a_dialog_outlives_every_size_of_the_window() {
    let product = Product::start();
    let mut tui = Tui::start(&product.ctl());
    tui.press("n");
    tui.shows("new run");
    tui.press("paint the door");
    for (columns, rows) in [(60, 15), (41, 11), (120, 40)] {
        tui.resize(columns, rows);
        let edge = format!("─{}┘", "─".repeat(usize::from(columns.min(90)) - 3));
        tui.shows_all(&["> paint the door", &edge]);
    }
    tui.resize(30, 8);
    let screen = tui.shows_all(&["too small", "30×8", "40×10"]);
    assert!(!screen.contains("paint"), "{screen}");
    // What is typed meanwhile is not lost, and nothing is started by it.
    tui.press(" red");
    tui.resize(80, 24);
    tui.shows_all(&["new run", "> paint the door red"]);
    let runs = product.rpc().call("run.list", &json!({}));
    assert_eq!(runs["runs"], json!([]));
}

/// Processor time in clock ticks, and how often it went to sleep.
fn effort(tui: &Tui) -> (u64, u64) {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/{}/{name}", tui.running.pid())).unwrap()
    };
    let stat = read("stat");
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    let status = read("status");
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    (ticks(11) + ticks(12), sleeps.unwrap().trim().parse().unwrap())
}

#[test]
fn a_screen_on_which_nothing_happens_sleeps() {
    // Longer than between two ticks of any clock that is drawn.
    const WHILE: Duration = Duration::from_millis(1_200);
    let product = Product::start();
    product.model.respond(|_| Reply::text("hello from the model"));
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "say hello", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_to_end(&watched);
    let mut tui = Tui::start(&product.ctl());
    tui.shows("DONE 1");
    for (key, words) in [
        ("", "DONE 1"),
        (ENTER, "done after"),
        ("2", "nothing waits"),
        ("3", "in all"),
        ("4", "runs at work"),
        ("n", "new run"),
    ] {
        tui.press(key);
        tui.shows(words);
        // What is still on its way may come first; a clock, or a look at anything, would come
        // in every while.
        let on_its_way = Duration::from_millis(200);
        while !tui.running.output_after(tui.running.stdout().len(), on_its_way).is_empty() {}
        let slept = (0..4).any(|_| {
            let (shown, before) = (tui.running.stdout().len(), effort(&tui));
            let written = tui.running.output_after(shown, WHILE);
            written.is_empty() && effort(&tui) == before
        });
        assert!(slept, "something goes on where one sees `{words}`");
    }
}

/// Reads what the terminal was sent, a kilobyte at a time, until the screen has these words;
/// how many bytes that were.
fn read_slowly(line: &mut File, (columns, rows): (u16, u16), words: &str) -> usize {
    let size = |count: u16| NonZeroU16::new(count).unwrap();
    let mut parser = vt100::Parser::new(size(rows), size(columns), 0);
    let (mut piece, mut read) = ([0; 1024], 0);
    loop {
        let count = line.read(&mut piece).expect("more of the screen");
        read += count;
        parser.process(&piece[..count]);
        if parser.screen().contents().contains(words) {
            return read;
        }
    }
}

#[test]
fn a_line_that_nobody_reads_holds_no_end() {
    let product = Product::start();
    let size = (80, 24);
    for (end, code) in [(Some(Signal::SIGTERM), 143), (Some(Signal::SIGHUP), 129), (None, 0)] {
        let (tui, mut line) = product.ctl().launch(["tui"]).start_unread(size.1, size.0);
        read_slowly(&mut line, size, "no runs yet");
        // Another who writes there, until the line takes nothing more.
        let mut options = File::options();
        options.write(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
        let mut other = options.open(format!("/proc/{}/fd/1", tui.pid())).unwrap();
        let full = loop {
            if let Err(error) = other.write(b"words of somebody else") {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
        match end {
            Some(signal) => tui.signal(signal),
            None => line.write_all(CTRL_D.as_bytes()).unwrap(),
        }
        assert_eq!(tui.wait().code(), code);
    }
}

#[test]
fn on_a_slow_line_frames_are_left_out_and_keys_are_heard() {
    // What the kernel keeps of a terminal, the frame that is on its way, and the newest.
    const MOST: usize = 96 * 1024;
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |_| {
        let mut reply = Reply::stream();
        for line in 0..300 {
            let words = format!("{line} is a line that fills a wide screen ").repeat(3);
            reply = reply.say(format!("- {words}\n")).pause(Duration::from_millis(8));
        }
        reply.say("all of it\n").wait(&held)
    });
    let ctl = product.ctl();
    let size = (200, 60);
    let mut rpc = product.rpc();
    let run = product.submit(&mut rpc, "flood", json!({}));
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    rpc.events_until(&watched, "message_delta");
    let (tui, mut line) = ctl.launch(["tui"]).start_unread(size.1, size.0);
    read_slowly(&mut line, size, "flood");
    line.write_all(ENTER.as_bytes()).unwrap();
    read_slowly(&mut line, size, "● running");

    // From here on nobody reads; the screen moves on some 70 times.
    let last = |event: &serde_json::Value| {
        event["text"].as_str().is_some_and(|text| text.contains("all of it"))
    };
    while !last(&rpc.next_event(&watched)) {}
    line.write_all(CTRL_C.as_bytes()).unwrap();
    line.write_all(b"y").unwrap();
    let events = rpc.events_to_end(&watched);
    assert_eq!(events.last().unwrap()["type"], "cancelled", "a key was heard");

    // Then the line is there again: old bytes, and the newest frame at once.
    let read = read_slowly(&mut line, size, "- cancelled chat");
    assert!(read < MOST, "{read} bytes were queued");
    line.write_all(CTRL_D.as_bytes()).unwrap();
    let mut rest = Vec::new();
    // Its end closes the line, which is an error to whoever reads there.
    let _closed = line.read_to_end(&mut rest);
    assert!(String::from_utf8_lossy(&rest).contains(LEAVE));
    assert_eq!(tui.wait().code(), 0);
}
