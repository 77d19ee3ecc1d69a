//! What people do to a plan: approve it, edit it, change it by words, and decide about steps
//! that failed.

use copex_tests::tap::Tap;

use super::*;

/// Starts a plan and waits for its question; the run and the question.
fn asked(product: &Product, args: &[&str]) -> (String, Value) {
    let args = ["plan", "Build it", "-o", "plan.md", "--detach"].iter().chain(args);
    let run = product.ctl().run(args).ok().trim().to_owned();
    let ask = next_ask(product, &run, 0);
    (run, ask)
}

fn next_ask(product: &Product, run: &str, after: u64) -> Value {
    let socket = product.daemon.socket();
    let seen = Tap::watch(&socket, run, after).until(|it| it.kind == "ask" || it.is_terminal());
    let ask = seen.last().unwrap().value();
    assert_eq!(ask["type"], "ask", "{ask}");
    ask
}

fn say(product: &Product, ask: &Value, words: &str) {
    product.runs(["answer", ask["ask"].as_str().unwrap(), words]).ok();
}

fn text(product: &Product) -> String {
    std::fs::read_to_string(file(product, "plan.md")).unwrap()
}

#[test]
fn a_plan_waits_for_approval_and_is_carried_out_as_it_was_left() {
    let product = Product::start();
    respond(&product, &[(&[], "touch gate"), (&[1], "")]);
    let (run, ask) = asked(&product, &["--review"]);
    assert_eq!(ask["kind"], "plan_approval", "{ask}");
    assert!(ask["detail"].as_str().unwrap().contains("**2. Part 2**"), "{ask}");
    assert_eq!(product.model.requests().len(), 1, "nothing runs before");
    let edited = format!("{}\n- [ ] **3. By hand**\n", text(&product));
    std::fs::write(file(&product, "plan.md"), edited).unwrap();
    say(&product, &ask, "allow");
    product.runs(["attach", &run]).ok();
    assert_eq!([1, 2, 3].map(|number| lines(&product, &number.to_string())), [1; 3]);
    assert!(file(&product, "gate").exists(), "an approved gate runs");
    assert_eq!(text(&product).matches("- [x] ").count(), 3);
}

#[test]
fn one_step_is_changed_by_words_and_the_others_stay() {
    let product = Product::start();
    product.model.respond(|request| match step(request) {
        Some(number) => work(request, number),
        None if request.prompt().contains("use sqlite") => {
            let steps = json!({"steps": [
                {"title": "Something else"}, {"title": "Use sqlite", "depends_on": [1]}]});
            Reply::text(format!("```json\n{steps}\n```"))
        }
        None => answer(&[(&[], ""), (&[1], "")]),
    });
    let (run, ask) = asked(&product, &["--review"]);
    say(&product, &ask, "2: use sqlite");
    let ask = next_ask(&product, &run, ask["seq"].as_u64().unwrap());
    let detail = ask["detail"].as_str().unwrap();
    assert!(detail.contains("**1. Part 1**") && detail.contains("**2. Use sqlite**"), "{detail}");
    say(&product, &ask, "deny");
    let told = product.runs(["attach", &run, "--json"]).expect_code(3).json();
    assert!(told["error"]["message"].as_str().unwrap().contains("not approved"), "{told}");
    assert_eq!(lines(&product, "1"), 0);
}

#[test]
fn a_broken_edit_is_refused_with_its_line_and_nothing_is_lost() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match step(request) {
        None => answer(&[(&[], ""), (&[1], "")]),
        Some(1) if has_run(request) => kept(1).wait_before_head(&held),
        Some(number) => work(request, number),
    });
    let args = ["plan", "Build it", "-o", "plan.md", "-e", "--detach"];
    let run = product.ctl().run(args).ok().trim().to_owned();
    product.model.wait_for_requests(3);
    let good = text(&product);
    std::fs::write(file(&product, "plan.md"), good.replace("- [ ] **2.", "- [?] **2.")).unwrap();
    gate.open();
    let ask = next_ask(&product, &run, 0);
    let title = ask["title"].as_str().unwrap();
    let line = good.lines().position(|line| line.contains("**2.")).unwrap() + 1;
    assert!(title.contains(&format!("line {line}: `[?]` is no box")), "{title}");
    std::fs::write(file(&product, "plan.md"), good.replace("Part 2", "Part two")).unwrap();
    say(&product, &ask, "read again");
    let shown = product.runs(["attach", &run, "--jsonl"]).expect_code(0).json_lines();
    let told = of_type(&shown, "step");
    assert!(told.iter().any(|step| step["title"] == "Part two" && step["state"] == "done"));
    assert_eq!([lines(&product, "1"), lines(&product, "2")], [1, 1]);
    assert!(text(&product).contains("- [x] **1. Part 1**"), "{}", text(&product));
}

#[test]
fn a_failed_step_is_retried_with_a_persons_words() {
    let product = Product::start();
    product.model.respond(|request| match step(request) {
        None => answer(&[(&[], "test -e 1"), (&[1], "")]),
        Some(1) if !request.prompt().contains("says: with care") && !has_run(request) => {
            Reply::text("<promise>Step 1 complete</promise>")
        }
        Some(number) => work(request, number),
    });
    let (run, ask) = asked(&product, &["-e", "--trust-plan", "-n", "1"]);
    let title = ask["title"].as_str().unwrap();
    assert!(title.starts_with("Step 1 failed: 1 iteration is over"), "{title}");
    assert!(ask["detail"].as_str().unwrap().contains("wait for it: 2"), "{ask}");
    assert_eq!(ask["choices"][1], "skip", "{ask}");
    say(&product, &ask, "retry with care");
    product.runs(["attach", &run]).ok();
    assert_eq!([lines(&product, "1"), lines(&product, "2")], [1, 1]);
}

#[test]
fn a_person_at_a_terminal_edits_and_approves_the_plan() {
    let product = Product::start();
    respond(&product, &[(&[], ""), (&[1], "")]);
    let script = "printf '\\n- [ ] **3. By hand**\\n' >>";
    let mut running = product
        .ctl()
        .with(|launch| launch.env("EDITOR", script))
        .start_on_one_terminal(["plan", "Build it", "--review", "-o", "plan.md"]);
    running.wait_stdout("[e]dit");
    running.type_in("e\n");
    running.wait_stdout("3. By hand");
    running.type_in("y\n");
    let _ended = running.wait().expect_code(0);
    assert_eq!([1, 2, 3].map(|number| lines(&product, &number.to_string())), [1; 3]);
}
