//! What becomes of the work of tasks: prepared, checked, merged, taken over, cleaned up.

use super::trees::{git, repository};
use super::*;

mod again;
mod clean;
mod finalize;
mod gates;
mod keys;
mod resolve;

/// A repository with nothing in it that is not committed. Task files are ignored.
fn clean_repository(product: &Product) {
    repository(product);
    git(
        product,
        "git checkout -q mine; echo '*.toml' > .gitignore; git add . && git commit -qm second",
    );
}

/// What a task does: a shell command, before it answers.
type Does = (&'static str, &'static str);

/// Each task runs its command, then answers.
fn respond(product: &Product, does: &'static [Does]) {
    product.model.respond(move |request| {
        let id = task(request);
        match does.iter().find(|(known, _)| *known == id) {
            Some((_, command)) if request.tool_results().is_empty() => {
                Reply::tool("bash", &shell(command))
            }
            _ => Reply::text(format!("answer of {id}")),
        }
    });
}

/// Puts a task file into the working folder: ids, what they depend on, further lines.
fn tasks(product: &Product, tasks: &[(&str, &[&str], &str)]) {
    put(product, "tasks.toml", &toml(tasks));
}

/// The run of these events.
fn run_of(events: &[Value]) -> String {
    events[0]["run"].as_str().expect("a run's id").to_owned()
}

/// The messages of the warnings with this code.
fn warned(events: &[Value], code: &str) -> Vec<String> {
    let those = of_type(events, "warning").into_iter().filter(|it| it["code"] == code);
    those.map(|it| it["message"].as_str().unwrap().to_owned()).collect()
}

/// What was said last of a task.
fn note(events: &[Value], id: &str) -> String {
    let last = of_type(events, "task").into_iter().rfind(|task| task["id"] == id);
    last.and_then(|task| task["note"].as_str()).unwrap_or_default().to_owned()
}
