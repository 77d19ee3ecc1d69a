//! Councils in which something goes wrong, and what is refused before anybody is asked.

use copex_tests::model::Gate;
use copex_tests::process::Launch;
use copex_tests::tap::Tap;

use super::*;

/// Far less than the silence that ends a turn by itself (300 s), in milliseconds.
const SOON_MS: u64 = 60_000;

#[test]
fn who_fails_hangs_or_babbles_does_not_keep_the_others_from_a_decision() {
    let product = Product::start();
    product.model.respond(|request| match (request.model(), part(request)) {
        ("alpha-1", _) => Reply::error(400, "bad", "no such thing"),
        ("beta-2", _) => Reply::hang_before_head(),
        ("gamma-3", Part::Review) => Reply::text("They are all fine."),
        _ => usual(request),
    });
    let how = ["Which?", "--quorum", "2", "--straggler-timeout", "1", "--max-concurrent", "4"];
    let mut args = words(&MEMBERS, how);
    args.push("--json".to_owned());
    let told = product.ctl().run(args).expect_code(0).json();
    assert!(told["duration_ms"].as_u64().unwrap() < SOON_MS, "{told}");
    assert_eq!(told["decision"]["decision"], "Take sled.", "{told}");
    let missing: Vec<(&str, &str)> = told["council"]["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["name"].as_str().unwrap(), it["stage"].as_str().unwrap()))
        .collect();
    let wanted = [("alpha-1", "opinion"), ("beta-2", "opinion"), ("gamma-3", "review")];
    assert_eq!(missing, wanted, "{told}");
    let content = told["content"].as_str().unwrap();
    assert!(content.contains("opinion of beta-2: it was not ready 1 s after"), "{content}");
}

#[test]
fn who_hangs_before_the_quorum_is_there_holds_nobody() {
    let product = Product::start();
    product.model.respond(|request| match request.model() {
        "beta-2" => Reply::hang_before_head(),
        _ => usual(request),
    });
    // Both are needed: the quorum of two is two.
    let how = ["Which?", "--straggler-timeout", "1", "--json"];
    let told = council(&product, &MEMBERS[..2], how).expect_code(1).json();
    assert!(told["duration_ms"].as_u64().unwrap() < SOON_MS, "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    let wanted =
        "no quorum: 2 of 2 opinions are needed, 1 came; beta-2: nothing was heard of it for 1 s";
    assert!(message.starts_with(wanted), "{message}");
    assert!(told["error"]["hint"].as_str().unwrap().contains("council --resume"), "{told}");
    assert_eq!(told["council"]["missing"][0]["name"], "beta-2", "{told}");
    assert!(asked(&product, Part::Decision).is_empty());
    // With a quorum of one it is enough that somebody has answered.
    let how = ["Which?", "--straggler-timeout", "1", "--quorum", "1", "--json"];
    let told = council(&product, &MEMBERS[..2], how).expect_code(0).json();
    assert_eq!(told["decision"]["decision"], "Take sled.", "{told}");
    // One fails, one hangs: nobody is left to be waited for.
    product.model.respond(|request| match request.model() {
        "beta-2" => Reply::hang_before_head(),
        _ => Reply::error(400, "bad", "no such thing"),
    });
    let told = council(&product, &MEMBERS[..2], how).expect_code(1).json();
    assert!(told["duration_ms"].as_u64().unwrap() < SOON_MS, "{told}");
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.contains("0 came; alpha-1: ") && message.contains("; beta-2: "), "{message}");
}

#[test]
fn nobody_who_answers_holds_the_council_no_longer_than_silence_may_last() {
    let product = Product::start();
    product.model.respond(|_| Reply::stream().say("I think ").hang());
    product.daemon.sandbox().write_config("[retry]\nfirst_event_timeout = 2\n");
    let how = ["Which?", "--straggler-timeout", "1", "--json"];
    let told = council(&product, &MEMBERS[..3], how).expect_code(1).json();
    assert!(told["duration_ms"].as_u64().unwrap() < SOON_MS, "{told}");
    // The last of them is compared with the others, when there can be no quorum any more.
    let message = told["error"]["message"].as_str().unwrap();
    let (_, members) = message.split_once("0 came; ").unwrap_or_else(|| panic!("{message}"));
    let reasons: Vec<_> = members.split("; ").map(|it| it.split_once(": ").unwrap().1).collect();
    let silent = reasons.iter().filter(|it| **it == "nothing was heard of it for 2 s").count();
    let late = reasons.iter().filter(|it| **it == "it was not ready 1 s after the others").count();
    assert!((silent, late) == (3, 0) || (silent, late) == (2, 1), "{message}");
}

#[test]
fn who_is_at_work_finishes_when_the_quorum_is_out_of_reach() {
    let (product, gate) = (Product::start(), Gate::new());
    let hold = gate.clone();
    product.model.respond(move |request| match request.model() {
        "alpha-1" => Reply::error(400, "bad", "no such thing"),
        _ => usual(request).wait_before_head(&hold),
    });
    let how = ["Which?", "--quorum", "3", "--max-concurrent", "2", "--detach"];
    let run = product.ctl().run(words(&MEMBERS[..3], how)).ok().trim().to_owned();
    // The first has failed, and the second is still at work; the third had no room yet.
    Tap::watch(&product.daemon.socket(), &run, 0)
        .until(|event| event.kind == "member" && event.value()["state"] == "failed");
    gate.open();
    let ended = Tap::watch(&product.daemon.socket(), &run, 0).follow().pop().unwrap().value();
    assert_eq!(ended["type"], "failed", "{ended}");
    let missing = ended["outcome"]["council"]["missing"].as_array().unwrap();
    let told: Vec<_> = missing.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(told, ["alpha-1", "gamma-3"], "{ended}");
    assert!(missing[1]["reason"].as_str().unwrap().contains("was not asked"), "{ended}");
    product.model.respond(usual);
    let before = asked(&product, Part::Opinion).len();
    let resumed = product.ctl().run(["council", "--resume", &run, "--json"]).expect_code(0).json();
    assert_eq!(resumed["council"]["missing"], json!([]), "{resumed}");
    let asked = asked(&product, Part::Opinion).len() - before;
    assert_eq!(asked, 2, "beta-2 is not asked again");
}

#[test]
fn a_review_that_hangs_is_done_without() {
    let product = Product::start();
    product.model.respond(|request| match (request.model(), part(request)) {
        ("beta-2", Part::Review) => Reply::hang_before_head(),
        _ => usual(request),
    });
    let how = ["Which?", "--straggler-timeout", "1", "--json"];
    let told = council(&product, &MEMBERS[..2], how).expect_code(0).json();
    assert!(told["duration_ms"].as_u64().unwrap() < SOON_MS, "{told}");
    assert_eq!(told["council"]["missing"][0]["stage"], "review", "{told}");
}

#[test]
fn of_two_members_nobody_is_ranked() {
    let product = Product::start();
    product.model.respond(usual);
    let told = council(&product, &MEMBERS[..2], ["Which?", "--json"]).expect_code(0).json();
    assert_eq!(told["council"]["ranking"], json!([]), "{told}");
    let content = told["content"].as_str().unwrap();
    assert!(content.contains("## Ranking\n\nNone: each member judged one opinion"), "{content}");
    assert!(!content.contains("0.00"), "{content}");
    let chair = asked(&product, Part::Decision)[0].prompt();
    assert!(!chair.contains("Borda") && chair.contains("is well argued"), "{chair}");
}

#[test]
fn flags_of_python_copex_are_honoured_or_refused_with_the_reason() {
    let product = Product::start();
    product.model.respond(usual);
    for flag in [&["--git-finalize"][..], &["--git-message", "done"]] {
        let args = words(&MEMBERS[..2], ["Which?"]).into_iter();
        let refused = product.ctl().run(args.chain(flag.iter().map(|it| (*it).to_owned())));
        let told = refused.expect_code(2).stderr;
        assert!(told.contains(flag[0]) && told.contains("changes nothing to commit"), "{told}");
    }
    assert!(product.model.requests().is_empty());
    let skill = product.daemon.sandbox().work().join("own/reviewing");
    std::fs::create_dir_all(&skill).unwrap();
    let text = "---\nname: reviewing\ndescription: How we review.\n---\nBe kind.\n";
    std::fs::write(skill.join("SKILL.md"), text).unwrap();
    let how = ["Which?", "--no-git-finalize", "--skills", "own", "--exclude-tools", "grep"];
    council(&product, &MEMBERS[..2], how).ok();
    for request in product.model.requests() {
        assert!(!request.tools().contains(&"grep"), "{:?}", request.tools());
        let all = format!("{}{}", request.system_message(), request.user_messages().join("\n"));
        assert!(all.contains("How we review."), "the skill is offered: {all}");
    }
}

#[test]
fn too_few_opinions_decide_nothing_and_the_council_can_go_on() {
    let product = Product::start();
    product.model.respond(|request| match request.model() {
        "alpha-1" | "beta-2" => Reply::error(400, "bad", "no such thing"),
        _ => usual(request),
    });
    // One after the other, the one that answers first: else it may be stopped midway.
    let members = [MEMBERS[2], MEMBERS[0], MEMBERS[1]];
    let args = ["Which?", "--max-concurrent", "1", "--json"];
    let told = council(&product, &members, args).expect_code(1).json();
    let message = told["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("no quorum: 2 of 3 opinions are needed"), "{message}");
    assert!(message.contains("alpha-1: "), "{message}");
    assert_eq!(told["decision"], Value::Null, "{told}");
    assert!(asked(&product, Part::Decision).is_empty());
    let before = product.model.requests().len();
    product.model.respond(usual);
    let run = told["run"].as_str().unwrap();
    let told = product.ctl().run(["council", "--resume", run, "--json"]).expect_code(0).json();
    assert_eq!(told["council"]["missing"], json!([]), "{told}");
    let again: Vec<String> = product.model.requests()[before..]
        .iter()
        .filter(|request| part(request) == Part::Opinion)
        .map(|request| request.model().to_owned())
        .collect();
    assert!(!again.contains(&"gamma-3".to_owned()), "its opinion is there: {again:?}");
}

#[test]
fn a_debate_ends_when_they_agree() {
    let product = Product::start();
    product.model.respond(|request| match part(request) {
        Part::Review => {
            let revised =
                request.user_messages().iter().any(|it| it.contains("# Your opinion now"));
            review(request, revised)
        }
        _ => usual(request),
    });
    let told = council(&product, &MEMBERS[..2], ["Which?", "--debate=3", "--json"]);
    let told = told.expect_code(0).json();
    assert_eq!((&told["council"]["rounds"], &told["council"]["agreed"]), (&json!(1), &json!(true)));
    assert_eq!(asked(&product, Part::Revision).len(), 2, "one round of two members");
    assert_eq!(told["council"]["members"][0]["opinion"], "I still say sled.", "{told}");
    let told = council(&product, &MEMBERS[..2], ["Which?", "--json"]).expect_code(0).json();
    assert_eq!(told["council"]["rounds"], 0, "nobody wanted a debate: {told}");
}

#[test]
fn only_a_chair_that_is_not_sure_is_asked_again() {
    let product = Product::start();
    product.model.respond(|request| match part(request) {
        Part::Decision if request.prompt().contains("# A first decision") => {
            decision("Wait a week.", 0.8)
        }
        Part::Decision => decision("Take sled.", 0.4),
        _ => usual(request),
    });
    let run = |args: [&str; 3]| council(&product, &MEMBERS[..2], args).expect_code(0).json();
    let told = run(["Which?", "--escalate", "--json"]);
    assert_eq!(told["decision"]["decision"], "Wait a week.", "{told}");
    assert_eq!(told["council"]["escalated"], true, "{told}");
    let told = run(["Which?", "--quiet", "--json"]);
    assert_eq!(told["decision"]["decision"], "Take sled.", "nobody wanted it: {told}");
    product.model.respond(usual);
    assert_eq!(run(["Which?", "--escalate", "--json"])["council"]["escalated"], false);
}

#[test]
fn a_decision_that_cannot_be_read_is_asked_for_once_more_and_no_member_speaks_for_the_chair() {
    let product = Product::start();
    product.model.respond(|request| match part(request) {
        Part::Decision if request.prompt().contains("cannot be read") => usual(request),
        Part::Decision => Reply::text("Sled, I think."),
        _ => usual(request),
    });
    let told = council(&product, &MEMBERS[..2], ["Which?", "--json"]).expect_code(0).json();
    assert_eq!(told["decision"]["decision"], "Take sled.", "{told}");
    product.model.respond(|request| match part(request) {
        Part::Decision => Reply::text("Sled, I think."),
        _ => usual(request),
    });
    let failed = council(&product, &MEMBERS[..2], ["Which?"]);
    let failed = failed.expect_code(1);
    assert_eq!(failed.stdout, "", "nothing is decided");
    assert!(failed.stderr.contains("no decision that can be read, twice"), "{}", failed.stderr);
}

#[test]
fn nobody_in_a_council_can_write_whatever_is_allowed() {
    let product = Product::start();
    product.model.respond(|request| match part(request) {
        Part::Opinion if request.tool_results().is_empty() => {
            Reply::tool("bash", &shell("touch written"))
        }
        _ => usual(request),
    });
    council(&product, &MEMBERS[..2], ["Which?", "--allow-all"]).ok();
    assert!(!product.daemon.sandbox().work().join("written").exists());
}

#[test]
fn a_member_may_ask_a_person_while_the_others_work() {
    let product = Product::start();
    product.model.respond(|request| match (request.model(), part(request)) {
        ("alpha-1", Part::Opinion) if request.tool_results().is_empty() => {
            Reply::tool("view", &json!({"path": "/etc/hostname"}))
        }
        _ => usual(request),
    });
    let how = ["Which?", "--detach"];
    let run = product.ctl().run(words(&MEMBERS[..2], how)).ok().trim().to_owned();
    let ask = Tap::watch(&product.daemon.socket(), &run, 0).until(|event| event.kind == "ask");
    let ask = ask.last().unwrap().value();
    assert_eq!(ask["path"], "alpha-1", "it says who asks: {ask}");
    product.ctl().run(["inbox", "answer", ask["ask"].as_str().unwrap(), "no"]).ok();
    let told = product.runs(["attach", &run, "--json"]).expect_code(0).json();
    assert_eq!(told["council"]["missing"], json!([]), "{told}");
}

#[test]
fn a_limit_ends_the_whole_council() {
    let product = Product::start();
    product.model.respond(usual);
    let _ended = council(&product, &MEMBERS[..2], ["Which?", "--max-tokens", "30"]).expect_code(4);
    assert!(asked(&product, Part::Decision).is_empty());
}

#[test]
fn what_is_to_be_judged_reaches_everybody() {
    let product = Product::start();
    product.model.respond(usual);
    let sandbox = product.daemon.sandbox();
    let git = |script: &str| Launch::inside(sandbox, "/bin/sh").args(["-c", script]).run().ok();
    git("git init -q . && git config user.name ada && git config user.email a@b && \
         echo one > f && git add -A && git commit -qm first && echo two > f && \
         echo 'Step one: rewrite f' > plan.md");
    let args =
        ["--diff", "--plan", "plan.md", "--preset", "security", "--shared-context", "Be bold"];
    council(&product, &MEMBERS[..2], args).ok();
    for request in product.model.requests() {
        let all = request.user_messages().join("\n");
        for words in
            ["+two", "Step one: rewrite f", "Judge this change against the plan", "Be bold"]
        {
            assert!(all.contains(words), "{words} is missing in {all}");
        }
    }
    assert!(asked(&product, Part::Opinion)[0].prompt().contains("what an attacker controls"));
    assert!(!asked(&product, Part::Decision)[0].prompt().contains("what an attacker controls"));
}

#[test]
fn the_decision_is_printed_first_and_everything_can_be_had() {
    let product = Product::start();
    product.model.respond(usual);
    let work = product.daemon.sandbox().work().clone();
    let args = ["Which?", "-v", "-o", "answer.md", "--artifact", "all.json"];
    let shown = council(&product, &MEMBERS[..2], args);
    let text = shown.ok();
    assert!(text.starts_with("Take sled.\n\nConfidence 0.90, by omega-9;"), "{text}");
    let order =
        ["## Reasons", "## Ranking", "## Dissent", "## Next steps", "## Opinion", "## Review"];
    let places: Vec<_> = order.iter().map(|head| text.find(head)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} in {text}");
    assert_eq!(std::fs::read_to_string(work.join("answer.md")).unwrap(), text);
    let all = std::fs::read_to_string(work.join("all.json")).unwrap();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["decision"]["confidence"], 0.9, "{all}");
    let plain = council(&product, &MEMBERS[..2], ["Which?", "-q"]).ok();
    assert!(!plain.contains("## Opinion"), "{plain}");
    let events =
        council(&product, &MEMBERS[..2], ["Which?", "--jsonl"]).expect_code(0).json_lines();
    let paths: BTreeSet<&str> =
        of_type(&events, "message").iter().filter_map(|it| it["path"].as_str()).collect();
    assert_eq!(paths, ["alpha-1", "beta-2", "chair"].into());
}

#[test]
fn bad_input_is_refused_before_anybody_is_asked() {
    let product = Product::start();
    product.model.respond(usual);
    let cases: [(&[&str], &str); 10] = [
        (&["x", "--member", "a,b", "--preset", "nonsense"], "nonsense"),
        (&["x", "--member", "a,b:hihg"], "did you mean `b:high`"),
        (&["x", "--member", "a,:high"], "no model"),
        (&["x", "--member", "a,b", "--chair-model", "c:"], "no effort after the colon"),
        (&["x"], "no members"),
        (&["x", "--opus-model", "a"], "one member, a, is no council"),
        (&["--member", "a,b", "--plan", "none.md"], "none.md"),
        (&["--member", "a,b", "--diff"], "in no git repository"),
        (&["x", "--member", "a,b", "--quorum", "3"], "quorum is 3"),
        (&["x", "--member", "a,b", "--straggler-timeout", "-1"], "straggler_timeout_s is -1"),
    ];
    for (args, words) in cases {
        let refused = product.ctl().run(["council"].iter().chain(args)).expect_code(2);
        let told = &refused.stderr;
        assert!(told.contains(words), "{args:?}: {told}");
        assert_eq!(refused.stdout, "", "{args:?}");
    }
    let dry = product.ctl().run(["council", "x", "--member", "a,b", "--dry-run"]).ok();
    assert!(dry.contains("- a\n- b\n") && dry.contains("Turns: 6 at most"), "{dry}");
    assert!(product.model.requests().is_empty());
}
