//! `fleet clean`: what fleets left, removed where nothing is lost.

use super::*;

/// `copexctl fleet clean ARGS --json`.
fn clean<const N: usize>(product: &Product, args: [&str; N]) -> Value {
    let words = ["fleet", "clean", "--json"].into_iter().chain(args);
    product.ctl().run(words).expect_code(0).json()
}

fn tasks_of(items: &Value) -> Vec<String> {
    let name = |item: &Value| item["task"].as_str().unwrap_or("-").to_owned();
    items.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn what_is_merged_goes_and_the_rest_stays_until_it_is_forced() {
    let product = Product::start();
    clean_repository(&product);
    let none = product.ctl().run(["fleet", "clean"]).expect_code(0);
    assert!(none.stdout.is_empty() && none.stderr.contains("left nothing"), "{none:?}");
    respond(
        &product,
        &[("a", "echo a > same"), ("b", "echo b > same; head -c 200000 /dev/zero > big")],
    );
    tasks(&product, &[("a", &[], ""), ("b", &[], ""), ("c", &[], "")]);
    let args = ["-f", "tasks.toml", "--max-concurrent", "1", "-w", "--jsonl"];
    let events = fleet(&product, args).expect_code(1).json_lines();
    let run = run_of(&events);
    let first = clean(&product, []);
    assert_eq!(tasks_of(&first["removed"]), [""; 0], "the end of the run removed it: {first}");
    assert_eq!(tasks_of(&first["kept"]), ["b", "-"], "{first}");
    assert!(first["kept"][0]["bytes"].as_u64().unwrap() > 200_000, "{first}");
    let reason = first["kept"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("is merged into no other branch"), "{reason}");
    // Once the run's branch is merged, it goes; by a person's words.
    git(&product, &format!("git merge -q copex/fleet/{run}"));
    let told = product.ctl().run(["fleet", "clean", &run]).expect_code(0);
    assert!(told.stdout.starts_with("removed"), "{told:?}");
    assert!(told.stdout.contains("kept"), "{told:?}");
    assert!(told.stderr.contains("1 removed (0 kB freed), 1 kept; --force"), "{told:?}");
    assert_eq!(git(&product, "git branch --list 'copex/fleet/*'"), "");
    // From anywhere else.
    let elsewhere = |args: &[&str]| {
        let ctl = product.ctl().with(|launch| launch.cwd(std::env::temp_dir()));
        ctl.run(["fleet", "clean"].iter().chain(args))
    };
    let refused = elsewhere(&[]).expect_code(2);
    assert!(refused.stderr.contains("not a git repository"), "{refused:?}");
    assert!(refused.stderr.contains("--all"), "{refused:?}");
    let all = elsewhere(&["--all", "--json"]).expect_code(0).json();
    assert_eq!(tasks_of(&all["kept"]), ["b"], "{all}");
    let forced = elsewhere(&["--all", "--force", "--json"]).expect_code(0).json();
    assert_eq!(tasks_of(&forced["removed"]), ["b"], "{forced}");
    assert!(forced["freed_bytes"].as_u64().unwrap() > 200_000, "{forced}");
    assert_eq!(git(&product, "git branch --list 'copex/*'; git worktree list | wc -l"), "1");
}

#[test]
fn a_fleet_at_work_is_left_alone_also_by_force() {
    let product = Product::start();
    clean_repository(&product);
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| {
        let id = task(request);
        if request.tool_results().is_empty() {
            return Reply::tool("bash", &shell(&format!("echo {id} > {id}")));
        }
        Reply::text(format!("answer of {id}")).wait_before_head(&held)
    });
    let run = fleet(&product, ["I am a.", "I am b.", "--detach"]).ok().trim().to_owned();
    let _asked = product.model.wait_for_requests(4);
    let cleaned = clean(&product, ["--force"]);
    assert_eq!(tasks_of(&cleaned["kept"]), ["task-1", "task-2"], "{cleaned}");
    assert_eq!(cleaned["kept"][0]["reason"], "its run is at work");
    let refused = product.ctl().run(["fleet", "clean", &run, "--force"]).expect_code(1);
    assert!(refused.stderr.contains("has not ended"), "{refused:?}");
    gate.open();
    let _events = product.runs(["attach", &run]).expect_code(0);
    assert_eq!(git(&product, &format!("git show copex/fleet/{run}:a copex/fleet/{run}:b")), "a\nb");
}

#[test]
fn clean_is_a_prompt_where_it_is_said_to_be_one() {
    let product = Product::start();
    product.model.respond(|request| Reply::text(request.user_messages().concat()));
    let told = fleet(&product, ["--json", "--", "clean"]).expect_code(0).json();
    assert_eq!(told["tasks"][0]["success"], true, "{told}");
}
