//! Plans as Python copex saves them (`-o FILE`), and its checkpoint's notion of done.

use serde::Deserialize;

use super::{Mark, Plan, PlanError, PlanStep};

#[derive(Deserialize)]
struct Saved {
    #[serde(default)]
    task: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    number: u32,
    description: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    depends_on: Option<Vec<u32>>,
}

/// Reads it. Its steps are one line each and follow each other, unless they say otherwise.
pub(super) fn plan(json: &str) -> Result<Plan, PlanError> {
    let saved: Saved = serde_json::from_str(json).map_err(|error| PlanError {
        line: Some(error.line()).filter(|line| *line > 0),
        reason: format!("it is no plan of Python copex: {error}"),
    })?;
    let mut before = None;
    let mut steps = Vec::with_capacity(saved.steps.len());
    for step in saved.steps {
        let (title, detail) = match step.description.trim().split_once('\n') {
            Some((title, detail)) => (title.to_owned(), detail.to_owned()),
            None => (step.description.trim().to_owned(), String::new()),
        };
        let depends_on = step.depends_on.filter(|needed| !needed.is_empty());
        steps.push(PlanStep {
            number: step.number,
            title,
            detail,
            depends_on: depends_on.unwrap_or_else(|| before.into_iter().collect()),
            verify: Vec::new(),
            mark: match step.status.as_str() {
                "completed" => Mark::Done,
                "skipped" => Mark::Skipped,
                "failed" => Mark::Failed,
                _ => Mark::Open,
            },
        });
        before = Some(step.number);
    }
    Plan::new(&saved.task, steps)
}
