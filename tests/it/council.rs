//! Councils: several models are asked, judge each other without names, and a chair decides.

use std::collections::BTreeSet;

use copex_tests::model::{RecordedRequest, Reply};
use copex_tests::process::Output;
use serde_json::{Value, json};

use crate::product::{Product, of_type, shell};

mod crashes;
mod screen;
mod trouble;

/// The members of most tests, by model.
const MEMBERS: [&str; 4] = ["alpha-1", "beta-2", "gamma-3", "delta-4"];

/// The chair.
const CHAIR: &str = "omega-9";

/// What somebody is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Opinion,
    Review,
    Revision,
    Decision,
}

/// What the newest prompt of a request asks for.
fn part(request: &RecordedRequest) -> Part {
    let prompt = request.prompt();
    let has = |words: &str| prompt.contains(words);
    if has("# Your decision") || has("cannot be read as the decision") {
        Part::Decision
    } else if has("# Your opinion now") {
        Part::Revision
    } else if has("# Your review") {
        Part::Review
    } else {
        Part::Opinion
    }
}

/// The letters of the opinions in a prompt.
fn letters(prompt: &str) -> Vec<String> {
    let heads = prompt.lines().filter_map(|line| line.strip_prefix("# Opinion "));
    heads.map(str::to_owned).collect()
}

/// A review that ranks the opinions as they stand.
fn review(request: &RecordedRequest, agree: bool) -> Reply {
    let letters = letters(&request.prompt());
    let comments: serde_json::Map<String, Value> =
        letters.iter().map(|it| (it.clone(), json!(format!("{it} is well argued")))).collect();
    let text = json!({"ranking": letters, "agree": agree, "comments": comments}).to_string();
    Reply::text(format!("I read them.\n```json\n{text}\n```"))
}

/// The chair's words.
fn decision(words: &str, confidence: f64) -> Reply {
    let text = json!({
        "decision": words,
        "reasons": ["it is simple"],
        "confidence": confidence,
        "dissent": ["A would rather wait"],
        "next_steps": ["write it down"],
    });
    Reply::text(text.to_string())
}

/// What a model says that is asked nothing special.
pub(crate) fn usual(request: &RecordedRequest) -> Reply {
    match part(request) {
        Part::Opinion => Reply::text(format!("I am {}: take sled.", request.model())),
        Part::Revision => Reply::text("I still say sled."),
        Part::Review => review(request, true),
        Part::Decision => decision("Take sled.", 0.9),
    }
}

/// `copexctl council ARGS` with these members, to its end.
fn council<const N: usize>(product: &Product, members: &[&str], args: [&str; N]) -> Output {
    product.ctl().run(words(members, args))
}

pub(crate) fn words<const N: usize>(members: &[&str], args: [&str; N]) -> Vec<String> {
    let mut words = vec!["council".to_owned()];
    words.extend(args.map(str::to_owned));
    words.extend(["--member".to_owned(), members.join(",")]);
    words.extend(["--chair-model".to_owned(), CHAIR.to_owned()]);
    words
}

/// The requests of one part.
fn asked(product: &Product, wanted: Part) -> Vec<RecordedRequest> {
    product.model.requests().into_iter().filter(|request| part(request) == wanted).collect()
}

#[test]
fn a_council_decides_and_names_nobody_to_its_members() {
    let product = Product::start();
    product.model.respond(usual);
    let members = &MEMBERS[..3];
    let told = council(&product, members, ["Which store?", "--json"]).expect_code(0).json();
    assert_eq!(told["decision"]["decision"], "Take sled.", "{told}");
    assert!(told["content"].as_str().unwrap().starts_with("Take sled.\n"), "{told}");
    let report = &told["council"];
    assert_eq!(report["members"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(report["ranking"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!((&report["missing"], &report["agreed"]), (&json!([]), &json!(true)), "{told}");
    assert_eq!(told["usage"]["calls"], 7, "three opinions, three reviews, one decision");
    for request in product.model.requests() {
        let offered: BTreeSet<&str> = request.tools().into_iter().collect();
        assert_eq!(offered, ["view", "grep", "glob"].into(), "nothing writes or runs");
        let prompt = request.prompt();
        for name in MEMBERS.iter().chain([&CHAIR]) {
            assert!(!prompt.contains(name), "{name} is in {prompt}");
        }
    }
    let reviews = asked(&product, Part::Review);
    let models: BTreeSet<&str> = reviews.iter().map(RecordedRequest::model).collect();
    assert_eq!(models, members.iter().copied().collect());
    for request in &reviews {
        assert_eq!(letters(&request.prompt()).len(), 2, "its own is not among them");
        assert!(request.prompt().contains("I am [a member]: take sled."));
    }
    assert_eq!(asked(&product, Part::Decision)[0].model(), CHAIR);
}
