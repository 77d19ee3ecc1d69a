//! A council survives the death of its daemon, whenever it comes.

use std::collections::BTreeMap;

use copex_tests::kills::points;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::*;

/// Kills in the standing test; `COPEX_KILLS` asks for more.
const KILLS: usize = 8;

/// Events that such a council has, about.
const EVENTS: u64 = 60;

fn assert_once(events: &[Tapped], context: &str) {
    assert_whole(events);
    assert_eq!(kinds(events).last(), Some(&"done"), "{context}");
    let mut done: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "member").map(Tapped::value) {
        if event["state"] == "done" {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            *done.entry((text("name"), text("stage"))).or_default() += 1;
        }
    }
    assert_eq!(done.len(), 7, "three opinions, three reviews, one decision: {context}");
    assert!(done.values().all(|count| *count == 1), "{done:?}: {context}");
    let told = events.last().unwrap().value();
    assert_eq!(told["council"]["missing"], json!([]), "{context}");
    let usages = kinds(events).iter().filter(|kind| **kind == "usage").count();
    assert_eq!(told["usage"]["calls"], json!(usages), "{context}");
}

#[test]
fn kills_repeat_no_opinion_and_the_chair_decides_once() {
    let mut product = Product::start();
    product.model.respond(|request| match part(request) {
        Part::Review => review(request, true),
        Part::Decision => decision("Take sled.", 0.9),
        _ => Reply::chunks(["I say ", "sled."]),
    });
    for (index, point) in points(KILLS, EVENTS).into_iter().enumerate() {
        let wide = if index % 2 == 0 { "3" } else { "1" };
        let args = words(&MEMBERS[..3], ["Which?", "--max-concurrent", wide, "--detach"]);
        let run = product.ctl().run(args).ok().trim().to_owned();
        let mut seen = 0;
        let first = Tap::watch(&product.daemon.socket(), &run, 0).until(|event| {
            seen += 1;
            seen >= point || event.is_terminal()
        });
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
        let context = format!("killed after {point} of {}: {:#?}", all.len(), kinds(&all));
        assert_eq!(first, all[..first.len()], "{context}");
        assert_once(&all, &context);
    }
}

#[test]
fn an_opinion_that_ended_is_not_asked_for_again() {
    let mut product = Product::start();
    product.model.respond(usual);
    let args = words(&MEMBERS[..3], ["Which?", "--max-concurrent", "1", "--detach"]);
    let run = product.ctl().run(args).ok().trim().to_owned();
    let ended = |event: &Tapped| event.kind == "member" && event.value()["state"] == "done";
    let _seen = Tap::watch(&product.daemon.socket(), &run, 0).until(ended);
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let all = Tap::watch(&product.daemon.socket(), &run, 0).follow();
    assert_once(&all, "after the first opinion");
    let asked = asked(&product, Part::Opinion);
    let of_first = asked.iter().filter(|request| request.model() == MEMBERS[0]).count();
    assert_eq!(of_first, 1, "it had ended");
}
