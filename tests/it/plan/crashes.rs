//! A plan survives the death of its daemon, whenever it comes.

use copex_tests::kills::points;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::*;

/// Steps of the plan.
const STEPS: usize = 8;

/// What each depends on: some may run side by side.
const SHAPE: [(&[usize], &str); STEPS] = [
    (&[], "true"),
    (&[1], "true"),
    (&[1], "true"),
    (&[2, 3], "true"),
    (&[], "true"),
    (&[4, 5], "true"),
    (&[6], "true"),
    (&[7], "true"),
];

/// Kills in the standing test; `COPEX_KILLS` asks for more.
const KILLS: usize = 50;

/// Events that a run of this plan has, about.
const EVENTS: u64 = 150;

fn model(request: &RecordedRequest, folder: &str) -> Reply {
    let Some(number) = step(request) else { return answer(&SHAPE) };
    if request.tool_results().is_empty() {
        let command = format!("mkdir -p {folder}; echo line >> {folder}/{number}");
        return Reply::stream().say("On it. ").call("bash", &shell(&command));
    }
    let promise = format!("It is done. <promise>Step {number} complete</promise>");
    Reply::chunks([&promise[..5], &promise[5..]])
}

fn assert_once(events: &[Tapped], product: &Product, folder: &str, context: &str) {
    assert_whole(events);
    assert_eq!(kinds(events).last(), Some(&"done"), "{context}");
    let of = |kind: &str| -> Vec<Value> {
        events.iter().filter(|event| event.kind == kind).map(Tapped::value).collect()
    };
    let done: Vec<u64> = of("step")
        .iter()
        .filter(|step| step["state"] == "done")
        .filter_map(|step| step["number"].as_u64())
        .collect();
    let once: BTreeSet<u64> = done.iter().copied().collect();
    assert_eq!((done.len(), once.len()), (STEPS, STEPS), "{context}");
    let begun = of("step").iter().filter(|step| step["state"] == "running").count();
    assert_eq!(begun, STEPS, "no step is begun twice: {context}");
    let gates: BTreeSet<String> = of("gate").iter().map(|gate| gate["path"].to_string()).collect();
    assert_eq!((of("gate").len(), gates.len()), (STEPS, STEPS), "{context}");
    let told = events.last().unwrap().value();
    assert_eq!(told["usage"]["calls"], json!(of("usage").len()), "{context}");
    assert_eq!(told["content"].as_str().unwrap().matches("- [x] ").count(), STEPS, "{context}");
    let mut cut_off = 0;
    for number in 1..=STEPS {
        let path = format!("{number}/1");
        let in_it =
            |kind: &str| of(kind).into_iter().filter(|event| event["path"] == path.as_str());
        let ends: Vec<Value> = in_it("tool_end").collect();
        assert_eq!(in_it("tool_start").count(), ends.len(), "{number}: {context}");
        // A tool that was cut off is told to the model as interrupted, and not run again.
        let ran = ends.iter().any(|end| end["success"] == true);
        let lines = lines(product, &format!("{folder}/{number}"));
        assert!(lines == 1 || (!ran && lines == 0), "{number}: {lines} lines: {context}");
        cut_off += usize::from(!ran);
    }
    assert!(cut_off <= 2, "{cut_off} tools were cut off, and 2 steps run at once: {context}");
}

#[test]
fn kills_repeat_no_step_and_lose_none() {
    let mut product = Product::start();
    for (index, point) in points(KILLS, EVENTS).into_iter().enumerate() {
        let before = product.model.requests().len();
        let folder = format!("run{index}");
        let for_model = folder.clone();
        product.model.respond(move |request| model(request, &for_model));
        let review = index % 2 == 0;
        let how = if review { "--review" } else { "--trust-plan" };
        let parallel = if index % 3 == 0 { "2" } else { "1" };
        let args = ["plan", "Build it", "-e", how, "--parallel", parallel, "--detach"];
        let run = product.ctl().run(args).ok().trim().to_owned();
        let first = up_to(&product, &run, point, review);
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let rest = up_to(&product, &run, usize::MAX, review);
        let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
        let context = format!("killed after {point} of {}: {:#?}", all.len(), kinds(&all));
        assert_eq!(rest.len(), all.len(), "{context}");
        assert_eq!(first, all[..first.len()], "{context}");
        assert_once(&all, &product, &folder, &context);
        let prompts = product.model.requests()[before..].iter().filter_map(step).count();
        assert!(prompts <= 2 * STEPS + 4, "{prompts} requests for {STEPS} steps: {context}");
    }
}

/// Watches the run up to its event of this number, and approves its plan when asked.
fn up_to(product: &Product, run: &str, point: usize, review: bool) -> Vec<Tapped> {
    let socket = product.daemon.socket();
    let watch = |point: usize| {
        let mut seen = 0;
        Tap::watch(&socket, run, 0).until(|event| {
            seen += 1;
            seen >= point || event.is_terminal() || event.kind == "ask"
        })
    };
    let first = watch(point);
    let last = first.last().unwrap();
    if first.len() >= point || last.is_terminal() || !review {
        return first;
    }
    let ask = last.value()["ask"].as_str().unwrap().to_owned();
    // It may have been answered before the daemon was killed.
    let _told = product.runs(["answer", &ask, "allow"]);
    let mut seen = 0;
    Tap::watch(&socket, run, 0).until(|event| {
        seen += 1;
        seen >= point || event.is_terminal()
    })
}

#[test]
fn a_kill_between_the_box_and_the_next_step_changes_nothing() {
    let mut product = Product::start();
    respond(&product, &[(&[], ""), (&[1], "")]);
    for name in ["a", "b"] {
        let args = ["plan", "Build it", "-e", "-o", name, "--detach"];
        let run = product.ctl().run(args).ok().trim().to_owned();
        let done = |event: &Tapped| event.kind == "step" && event.value()["state"] == "done";
        let _seen = Tap::watch(&product.daemon.socket(), &run, 0).until(done);
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
        assert_whole(&all);
        assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
    }
    assert_eq!([lines(&product, "1"), lines(&product, "2")], [2, 2]);
}
