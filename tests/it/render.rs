//! What a person sees on a terminal, and logs shown to people.

use copex_tests::cli::CopilotCli;
use copex_tests::model::{ModelServer, Reply};
use copex_tests::sandbox::Sandbox;

use crate::product::{Product, shell};

const ANSWER: &str = "# Title\n\nSome **bold** words and `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n\
                      ```rust\nfn x() {}\n```\n\n<script>x</script> \u{1b}]0;title\u{7}\n";

#[test]
fn an_answer_on_a_terminal_is_rendered_and_in_a_pipe_it_is_as_it_came() {
    let product = Product::start();
    product.model.respond(|_| Reply::chunks(ANSWER.split_inclusive(' ')));
    let chat = ["chat", "hi"];
    assert_eq!(product.ctl().run(chat).ok(), ANSWER);
    let colour = product.ctl().with(|launch| launch.env("TERM", "xterm-256color"));
    let shown = colour.start_on_terminal(chat).wait().expect_code(0).stdout;
    for words in
        ["\u{1b}[1;36mTitle\u{1b}[0m", "\u{1b}[1mbold\u{1b}[0m", "\u{1b}[35mfn\u{1b}[0m", "──┼──"]
    {
        assert!(shown.contains(words), "{words}: {shown:?}");
    }
    assert!(
        !shown.contains("**") && !shown.contains("\u{1b}]") && !shown.contains('\u{7}'),
        "{shown:?}"
    );
    let without = |name: &str, value: &str| {
        let ctl = colour.clone().with(|launch| launch.env(name, value));
        ctl.start_on_terminal(chat).wait().expect_code(0).stdout
    };
    let plain = without("NO_COLOR", "1");
    assert!(plain.contains("# Title") && plain.contains("──┼──"), "{plain:?}");
    assert!(!plain.contains('\u{1b}') && !plain.contains("**"), "{plain:?}");
    let dumb = without("TERM", "dumb");
    assert!(dumb.contains("Some **bold** words") && !dumb.contains('\u{1b}'), "{dumb:?}");
    let reader = without("COPEX_SCREEN_READER", "true");
    assert!(reader.contains("a: 1") && !reader.contains('─'), "{reader:?}");
    let mono = without("COPEX_UI_THEME", "mono");
    assert!(mono.contains("\u{1b}[1;4mTitle\u{1b}[0m") && !mono.contains("\u{1b}[3"), "{mono:?}");
    let raw = colour.start_on_terminal(["chat", "hi", "--raw"]).wait().expect_code(0).stdout;
    assert!(raw.contains("Some **bold** words"), "{raw:?}");
    let wrong = product.ctl().run(["chat", "hi", "--ui-theme", "pink"]).expect_code(2);
    assert!(
        wrong.stderr.contains("--ui-theme: `pink`") && wrong.stderr.contains("midnight"),
        "{wrong:?}"
    );
}

#[test]
fn a_tool_is_told_with_what_came_of_it() {
    let product = Product::start();
    let command = "printf '1\\n2\\n3\\n4\\n5\\n6\\n7\\n'";
    product.model.respond(move |request| {
        if request.tool_results().is_empty() {
            Reply::tool("bash", &shell(command))
        } else {
            Reply::text("It counts.")
        }
    });
    let ctl = product.ctl().with(|launch| launch.env("TERM", "xterm").env("NO_COLOR", "1"));
    let shown = |density: &str| {
        let args = ["chat", "count", "--auto-approve", "--ui-density", density];
        ctl.start_on_one_terminal(args).wait().expect_code(0).stdout.replace('\r', "")
    };
    let extended = shown("extended");
    assert!(
        extended.contains("✓ bash  printf") && extended.contains("\n  1\n  2\n  3\n"),
        "{extended}"
    );
    assert!(extended.contains(" more lines\nIt counts.\n"), "{extended}");
    let compact = shown("compact");
    assert!(compact.contains("✓ bash  printf") && !compact.contains("\n  1\n"), "{compact}");
}

#[test]
fn a_reader_of_screens_has_plain_lines_also_of_a_loop() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("<promise>ALL TESTS PASSING</promise>"));
    let args = ["ralph", "fix it", "-p", "All tests passing", "--screen-reader"];
    let shown = product.ctl().start_on_one_terminal(args).wait().expect_code(0).stdout;
    assert!(!shown.contains("\u{1b}[?1049h") && shown.contains("iteration 1 of 30"), "{shown}");
}

#[test]
fn a_log_of_copexd_is_rendered_and_bad_lines_are_skipped() {
    let product = Product::start();
    product.model.respond(|_| Reply::text(ANSWER));
    let mut log = product.ctl().run(["chat", "say <b>it</b>", "--jsonl"]).ok();
    log.insert_str(0, "{broken\n");
    let file = product.daemon.sandbox().work().join("log.jsonl");
    std::fs::write(&file, &log).unwrap();
    let file = file.display().to_string();
    let rendered = product.ctl().run(["render", "-i", &file]).expect_code(0);
    assert!(rendered.stderr.contains("log.jsonl:1: no JSON"), "{rendered:?}");
    let text = rendered.stdout;
    assert!(text.starts_with("› say <b>it</b>\n# Title\n") && text.contains("1 │ 2"), "{text}");
    assert!(!text.contains("**") && !text.contains('\u{1b}'), "{text:?}");
    let again = product.ctl().stdin(log.clone()).run(["render", "-"]).expect_code(0);
    assert_eq!(again.stdout, text);
    let only = product.ctl().run(["render", &file, "--only", "user"]).expect_code(0).stdout;
    assert_eq!(only, "› say <b>it</b>\n");
    let markdown =
        product.ctl().run(["render", &file, "--format", "markdown"]).expect_code(0).stdout;
    assert!(markdown.contains("## Copilot\n\n# Title\n\nSome **bold** words"), "{markdown}");
    let page = product.ctl().run(["render", &file, "--format", "html"]).expect_code(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"), "{page}");
    assert!(
        page.contains("<h1>Title</h1>") && !page.contains("<script") && !page.contains("<b>it"),
        "{page}"
    );
    let missing = product.ctl().run(["render", "-i", "/none"]).expect_code(2);
    assert!(missing.stderr.contains("cannot read /none: no such file"), "{missing:?}");
    let none = product.ctl().stdin("x\n").run(["render", "-"]).expect_code(1);
    assert!(none.stderr.contains("stdin is no log"), "{none:?}");
    let nobody = product.ctl().start_on_one_terminal(["render"]).wait().expect_code(2);
    assert!(nobody.stdout.contains("there is nothing to render"), "{}", nobody.stdout);
    let empty = product.ctl().stdin("").run(["render", "-"]).expect_code(0);
    assert!(empty.stderr.contains("stdin has no events"), "{empty:?}");
}

#[test]
fn a_log_is_followed_to_the_end_of_its_run() {
    use std::io::Write as _;
    let product = Product::start();
    product.model.respond(|_| Reply::text(ANSWER));
    let log = product.ctl().run(["chat", "hi", "--jsonl"]).ok();
    let (first, rest) = log.split_at(log.len() / 2);
    let path = product.daemon.sandbox().work().join("log.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(first.as_bytes()).unwrap();
    let running = product.ctl().start(["render", "--follow", &path.display().to_string()]);
    running.wait_stdout("› hi\n");
    file.write_all(rest.as_bytes()).unwrap();
    let shown = running.wait().expect_code(0).stdout;
    assert!(shown.contains("# Title"), "{shown}");
}

#[test]
fn logs_of_the_copilot_cli_are_rendered() {
    let (sandbox, server) = (Sandbox::new(), ModelServer::start());
    let product = Product::start();
    server.respond(|request| match request.tool_results().len() {
        0 => Reply::tool("bash", &shell("echo from the shell")),
        _ => Reply::text(ANSWER),
    });
    let args = ["-p", "say it", "--allow-all-tools", "--output-format", "json"];
    let cli = CopilotCli::install().launch(&sandbox, server.provider_env()).args(args).run();
    let log = cli.expect_code(0).stdout;
    let id =
        log.lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let id = id.unwrap()["sessionId"].as_str().unwrap().to_owned();
    let shown = product.ctl().stdin(log).run(["render"]).expect_code(0).stdout;
    let kept = sandbox.path("copilot/session-state").join(id).join("events.jsonl");
    let session = product.ctl().run(["render", &kept.display().to_string()]).expect_code(0).stdout;
    for text in [&shown, &session] {
        assert!(text.starts_with("› say it\n✓ bash  echo from the shell"), "{text}");
        assert!(text.contains("  from the shell\n") && text.contains("# Title\n"), "{text}");
    }
    assert!(shown.contains(" · 1 tool\n"), "{shown}");
}
