//! What is no fleet is refused before anything runs, and what is one can be looked at.

use super::*;

#[test]
fn what_is_no_fleet_is_refused_before_anything_runs() {
    let product = Product::start();
    let refused = |text: &str, name: &str, words: &str| {
        put(&product, name, text);
        for more in [&[][..], &["--dry-run"][..]] {
            let args = ["fleet", "--file", name];
            let output = product.ctl().run(args.iter().chain(more)).expect_code(2);
            let errors = output.stderr.matches("copexctl: error: ").count();
            assert!(errors == 1 && output.stderr.contains(words), "{words}: {output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
        }
    };
    let round: [(&str, &[&str], &str); 3] =
        [("a", &["c"], ""), ("b", &["a"], ""), ("c", &["b"], "")];
    refused(&toml(&round), "round.toml", "in a circle: a → c → b → a");
    refused(&toml(&[("a", &["b"], "")]), "missing.toml", "depends on `b`, which is not there");
    let twice: [(&str, &[&str], &str); 2] = [("a", &[], ""), ("a", &[], "")];
    refused(&toml(&twice), "twice.toml", "the id `a` is there twice");
    let named = "[[task]]\nprompt = \"{{task:x.content}}\"\n";
    refused(named, "template.toml", "{{task:x.content}} names a task that is not there");
    refused(&toml(&[("a", &[], "cwd = \"none\"")]), "cwd.toml", "there is no folder");
    refused("", "empty.toml", "empty.toml: it is empty");
    refused("{\"jobs\": []}", "schema.json", "`jobs` is not a key");
    refused("{\"tasks\": [{\"promt\": \"x\"}]}", "key.json", "did you mean `prompt`?");
    refused("[[task]\n", "broken.toml", "line 1: broken TOML");
    let wrong = |args: &[&str], words: &str| {
        let output = product.ctl().run(["fleet"].iter().chain(args)).expect_code(2);
        assert!(output.stderr.contains(words), "{args:?}: {output:?}");
    };
    wrong(&["x", "--max-concurrent", "33"], "max_concurrent is 33");
    wrong(&["x", "--timeout", "0"], "the timeout is 0");
    wrong(&["x", " "], "task `task-2`: the prompt is empty");
    wrong(&["--file", "none.toml"], "none.toml");
    wrong(&["--discover", "true", "--template", "{item}"], "it printed nothing");
    wrong(&["--discover", "exit 3", "--template", "{item}"], "exit status: 3");
    wrong(&["--discover", "ls", "--template", "x"], "has no {item}");
    wrong(&["x", "-o", "out", "--detach"], "--detach does not go with");
    assert_eq!(product.model.requests().len(), 0);
}

#[test]
fn a_dry_run_shows_the_waves_and_does_nothing() {
    let product = Product::start();
    let tasks: [(&str, &[&str], &str); 3] =
        [("a", &[], "timeout_sec = 5"), ("b", &["a"], "verify = \"true\""), ("c", &["a"], "")];
    put(&product, "tasks.toml", &toml(&tasks));
    let shown = fleet(&product, ["--file", "tasks.toml", "--dry-run"]).ok();
    assert!(
        shown.starts_with("3 tasks in 2 waves, 5 at once at most, isolation auto\n"),
        "{shown}"
    );
    assert!(shown.contains("\nwave 2\n  b  after a  "), "{shown}");
    assert!(shown.contains("I am b. (check true)"), "{shown}");
    let json = fleet(&product, ["--file", "tasks.toml", "--dry-run", "--json"]).json();
    assert_eq!(json["waves"], json!([["a"], ["b", "c"]]), "{json}");
    let merges = ["x\ny", "--merge-gate", "true", "--git-message", "All", "--resolve-conflicts"];
    let shown = product.ctl().run(["fleet", "--dry-run"].into_iter().chain(merges)).ok();
    assert!(shown.starts_with("1 task in 1 wave, "), "{shown}");
    for line in [
        "\na merge counts when this exits with 0: true\n",
        "\nat the end the branch that is checked out gets it: All\n",
        "\nwhat does not fit: a further turn settles it\n",
        "  x y\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert_eq!(product.model.requests().len(), 0);
}

#[test]
fn tasks_come_from_files_commands_and_pipes() {
    let product = Product::start();
    put(
        &product,
        "tasks.jsonl",
        "# two\n{\"id\": \"a\", \"task\": \"I am a.\"}\n{\"task\": \"I am b.\", \"depends_on\": \"a\"}\n",
    );
    let told = fleet(&product, ["--file", "tasks.jsonl", "--json"]).expect_code(0).json();
    assert_eq!(told["tasks"][1]["id"], "jsonl-3", "{told}");
    let args = [
        "--discover",
        "printf 'x\\ny\\nz\\n'",
        "--template",
        "Look at {item}",
        "-b",
        "2",
        "--json",
    ];
    let told = fleet(&product, args).expect_code(0).json();
    assert_eq!(told["tasks"].as_array().unwrap().len(), 2, "{told}");
    let prompts: BTreeSet<String> =
        product.model.requests().iter().map(|it| it.user_messages().remove(0)).collect();
    assert!(prompts.contains("Look at x\ny") && prompts.contains("Look at z"), "{prompts:?}");
    let piped = product.ctl().stdin("I am p.\nI am q.\n").run(["fleet", "--json"]).json();
    assert_eq!(piped["tasks"][1]["id"], "task-2", "{piped}");
    let piped = "{\"tasks\": [{\"id\": \"j\", \"prompt\": \"I am j.\"}]}";
    let piped = product.ctl().stdin(piped).run(["fleet", "-f", "-", "--json"]).json();
    assert_eq!(piped["tasks"][0]["id"], "j", "{piped}");
}
