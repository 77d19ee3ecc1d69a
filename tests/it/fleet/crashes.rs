//! A fleet survives the death of its daemon, whenever it comes.

use copex_tests::kills::points;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::*;

/// What each task depends on.
const SHAPE: [(&str, &[&str]); 8] = [
    ("a", &[]),
    ("b", &["a"]),
    ("c", &["a"]),
    ("d", &["b", "c"]),
    ("e", &[]),
    ("f", &["d", "e"]),
    ("g", &["f"]),
    ("h", &[]),
];

/// Kills in the standing test; `COPEX_KILLS` asks for more.
const KILLS: usize = 10;

/// Events that a run of this fleet has, about.
const EVENTS: u64 = 110;

fn model(request: &RecordedRequest, folder: &str) -> Reply {
    let id = task(request);
    if request.tool_results().is_empty() {
        let command = format!("mkdir -p {folder}; echo line >> {folder}/{id}");
        return Reply::stream().say("On it. ").call("bash", &shell(&command));
    }
    let text = format!("answer of {id}");
    Reply::chunks([&text[..4], &text[4..]])
}

fn assert_once(events: &[Tapped], product: &Product, folder: &str, context: &str) {
    assert_whole(events);
    assert_eq!(kinds(events).last(), Some(&"done"), "{context}");
    let of = |kind: &str| -> Vec<Value> {
        events.iter().filter(|event| event.kind == kind).map(Tapped::value).collect()
    };
    let told = |state: &str| -> Vec<String> {
        let told = of("task").into_iter().filter(|task| task["state"] == state);
        told.filter_map(|task| Some(task["id"].as_str()?.to_owned())).collect()
    };
    for state in ["running", "done"] {
        let told = told(state);
        let once: BTreeSet<&String> = told.iter().collect();
        assert_eq!((told.len(), once.len()), (SHAPE.len(), SHAPE.len()), "{state}: {context}");
    }
    let last = events.last().unwrap().value();
    assert_eq!(last["usage"]["calls"], json!(of("usage").len()), "{context}");
    let mut cut_off = 0;
    for (id, _) in SHAPE {
        let answers: Vec<Value> =
            of("message").into_iter().filter(|event| event["path"] == id).collect();
        assert!(
            answers.iter().any(|event| event["text"] == format!("answer of {id}")),
            "{id}: {context}"
        );
        let foreign = |event: &Value| {
            let text = event["text"].as_str().unwrap_or_default();
            text.starts_with("answer of ") && text != format!("answer of {id}")
        };
        assert!(!answers.iter().any(foreign), "{id}: {context}");
        let ends: Vec<Value> =
            of("tool_end").into_iter().filter(|event| event["path"] == id).collect();
        // A tool that was cut off is told to the model as interrupted, and not run again.
        let ran = ends.iter().any(|end| end["success"] == true);
        let lines = read(product, &format!("{folder}/{id}")).lines().count();
        assert!(lines == 1 || (!ran && lines == 0), "{id}: {lines} lines: {context}");
        cut_off += usize::from(!ran);
    }
    assert!(cut_off <= 3, "{cut_off} tools were cut off, and 3 tasks run at once: {context}");
}

#[test]
fn kills_repeat_no_task_and_lose_none() {
    let mut product = Product::start();
    let tasks: Vec<(&str, &[&str], &str)> =
        SHAPE.iter().map(|(id, depends_on)| (*id, *depends_on, "")).collect();
    put(&product, "tasks.toml", &toml(&tasks));
    for (index, point) in points(KILLS, EVENTS).into_iter().enumerate() {
        let folder = format!("run{index}");
        let for_model = folder.clone();
        product.model.respond(move |request| model(request, &for_model));
        let args = ["--file", "tasks.toml", "--max-concurrent", "3", "--detach"];
        let run = fleet(&product, args).ok().trim().to_owned();
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
        assert_once(&all, &product, &folder, &context);
    }
}
