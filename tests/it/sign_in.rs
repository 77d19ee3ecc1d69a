//! Nobody is signed in: every mode says so, exits 77 and names the next command.

use copex_tests::daemon::TestDaemon;
use copex_tests::model::ModelServer;
use copex_tests::process::Output;
use copex_tests::screen::Screen;

/// The command that signs in, and what is named beside it.
const WAYS: [&str; 2] = ["copexctl login", "[provider]"];

/// A daemon with neither an account nor a provider, and GitHub not to be reached.
fn nobody(model: &ModelServer) -> TestDaemon {
    let mut builder = TestDaemon::builder(copex_tests::bins!()).model(model);
    for (name, _) in model.provider_env() {
        builder = builder.env(&name, "");
    }
    builder.env("COPILOT_DEBUG_GITHUB_API_URL", "http://127.0.0.1:1").start()
}

#[test]
fn each_mode_names_the_next_command() {
    let model = ModelServer::start();
    let daemon = nobody(&model);
    let modes: [&[&str]; 6] = [
        &["chat", "go"],
        &["ralph", "go", "-p", "done"],
        &["plan", "go"],
        &["plan", "go", "-e", "--trust-plan"],
        &["fleet", "go", "come"],
        &["council", "go", "--member", "gpt-5,gpt-5-mini"],
    ];
    for way in [&[][..], &["--use-cli"]] {
        for mode in modes {
            let run = |more: &[&str]| -> Output {
                daemon.ctl().run(mode.iter().chain(way).chain(more)).expect_code(77)
            };
            let told = run(&[]);
            let last = told.stderr.lines().rev().find(|line| line.starts_with("hint: "));
            let last = last.unwrap_or_else(|| panic!("{mode:?} {way:?}: {}", told.stderr));
            assert!(WAYS.iter().all(|it| last.contains(it)), "{mode:?} {way:?}: {last}");
            // A process for each: one is enough to see that both forms say the same.
            if !way.is_empty() && mode[0] != "chat" {
                continue;
            }
            let error = &run(&["--json"]).json()["error"];
            assert_eq!(error["class"], "auth", "{mode:?} {way:?}: {error}");
            let hint = error["hint"].as_str().unwrap_or_default();
            assert!(WAYS.iter().all(|it| hint.contains(it)), "{mode:?} {way:?}: {error}");
        }
    }
    assert_eq!(model.all_requests().len(), 0, "nobody is asked");
}

#[test]
fn what_looks_at_the_sign_in_names_the_next_command() {
    let model = ModelServer::start();
    let daemon = nobody(&model);
    for (words, code) in [(&["models"][..], 0), (&["status"], 0), (&["doctor"], 0)] {
        // The sign-in is known once a runtime was asked: `status` waits for nobody.
        daemon.rpc().call("auth.status", &serde_json::json!({}));
        let told = daemon.ctl().run(words);
        let text = format!("{}{}", told.stdout, told.stderr);
        assert!(text.contains("copexctl login"), "{words:?}: {text}");
        assert_eq!(told.code(), code, "{words:?}: {text}");
    }
    let mut screen: Screen = daemon.ctl().screen(["interactive"]);
    screen.wait("/help");
    screen.line("go").wait("copexctl login");
    screen.keys("half").wait("> half");
}
