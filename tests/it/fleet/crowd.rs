//! Two hundred tasks that depend on each other by chance.

use std::collections::BTreeMap;

use super::*;

/// Tasks.
const TASKS: usize = 200;

/// Dependencies of a task, at most.
const DEPENDENCIES: usize = 3;

/// Begins the sequence of chances; the same tasks come of it each time.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// Tasks with dependencies on earlier ones, in an order that hides which those are.
fn crowd() -> Vec<(String, Vec<String>)> {
    let mut state = SEED;
    let mut below = |most: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most as u64).unwrap()
    };
    let id = |number: usize| format!("t{number:03}");
    let mut tasks: Vec<(String, Vec<String>)> = (0..TASKS)
        .map(|number| {
            let wanted = if number == 0 { 0 } else { below(DEPENDENCIES + 1) };
            let needs: BTreeSet<String> = (0..wanted).map(|_| id(below(number))).collect();
            (id(number), needs.into_iter().collect())
        })
        .collect();
    for at in (1..TASKS).rev() {
        tasks.swap(at, below(at + 1));
    }
    tasks
}

/// What only this task's answer says.
fn marker(id: &str) -> String {
    format!("marker-{id}-{}", id.bytes().map(u32::from).sum::<u32>() * 7_919)
}

#[test]
fn two_hundred_tasks_finish_in_a_valid_order_and_no_answer_is_anothers() {
    let product = Product::start();
    product.model.respond(|request| Reply::text(marker(&task(request))));
    let tasks = crowd();
    let needs: Vec<Vec<&str>> =
        tasks.iter().map(|(_, needs)| needs.iter().map(String::as_str).collect()).collect();
    let listed: Vec<(&str, &[&str], &str)> =
        tasks.iter().zip(&needs).map(|((id, _), needs)| (id.as_str(), &needs[..], "")).collect();
    put(&product, "tasks.toml", &toml(&listed));
    let args = ["--file", "tasks.toml", "--max-concurrent", "16", "--jsonl", "-o", "out"];
    let events = fleet(&product, args).expect_code(0).json_lines();
    let mut at: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    let (mut working, mut widest) = (BTreeSet::new(), 0);
    for (place, event) in events.iter().enumerate().filter(|(_, event)| event["type"] == "task") {
        let (id, state) = (event["id"].as_str().unwrap(), event["state"].as_str().unwrap());
        at.entry((id, state)).or_default().push(place);
        if state == "running" {
            working.insert(id)
        } else {
            working.remove(id)
        };
        widest = widest.max(working.len());
    }
    assert!(working.is_empty() && (2..=16).contains(&widest), "{widest}");
    let once = |id: &str, state: &str| {
        let places = at.get(&(id, state)).map(Vec::as_slice).unwrap_or_default();
        let [place] = places else { panic!("{id} is {state} at {places:?}") };
        *place
    };
    for (id, needs) in &tasks {
        for needed in needs {
            assert!(once(needed, "done") < once(id, "running"), "{id} needs {needed}");
        }
        assert_eq!(read(&product, &format!("out/{id}.md")).trim(), marker(id));
    }
    let messages = of_type(&events, "message");
    assert_eq!(messages.len(), TASKS);
    for message in messages {
        let id = message["path"].as_str().unwrap();
        assert_eq!(message["text"], marker(id), "no answer on another task");
    }
    let requests = product.model.requests();
    let asked: BTreeSet<String> = requests.iter().map(task).collect();
    assert_eq!((requests.len(), asked.len()), (TASKS, TASKS), "each is asked for once");
}
