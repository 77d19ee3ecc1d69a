//! A plan in a model's answer.

use serde::Deserialize;

use super::{Plan, PlanError, PlanStep};

/// The form that is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default, rename = "task")]
    _task: Option<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Steps are numbered as they come; one that says something else is not believed.
    #[serde(default)]
    number: Option<u32>,
    title: String,
    #[serde(default, alias = "description")]
    detail: Option<String>,
    #[serde(default)]
    depends_on: Option<Vec<u32>>,
    #[serde(default)]
    verify: Option<Verify>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Verify {
    One(String),
    Many(Vec<String>),
}

/// Reads the answer.
pub(super) fn plan(task: &str, answer: &str) -> Result<Plan, PlanError> {
    let json = json(answer);
    if let Some(text) = json {
        return read(task, text);
    }
    let steps = lines(answer);
    if steps.is_empty() {
        let reason = "the answer has no JSON object with `steps`, and no lines `STEP 1: …`";
        return Err(PlanError::new(reason));
    }
    Plan::new(task, steps)
}

/// The JSON in an answer: the last fenced block that begins like an object, else all from the
/// first brace at the beginning of a line to the last brace.
fn json(answer: &str) -> Option<&str> {
    let mut last = None;
    let mut rest = answer;
    while let Some((_, fenced)) = rest.split_once("```") {
        let body = fenced.split_once('\n').map_or("", |(_, body)| body);
        // A fence in a string inside the block does not stand at the beginning of a line.
        let Some((body, after)) = body.split_once("\n```") else { break };
        if body.trim_start().starts_with('{') {
            last = Some(body);
        }
        rest = after;
    }
    last.or_else(|| {
        let begin = if answer.starts_with('{') { 0 } else { answer.find("\n{")? + 1 };
        let end = answer.rfind('}')?;
        answer.get(begin..=end)
    })
}

fn read(task: &str, text: &str) -> Result<Plan, PlanError> {
    let answer: Answer = serde_json::from_str(text)
        .map_err(|error| PlanError::new(format!("its JSON cannot be read: {error}")))?;
    let mut steps = Vec::with_capacity(answer.steps.len());
    for (step, number) in answer.steps.into_iter().zip(1..) {
        if step.number.is_some_and(|said| said != number) {
            let reason = format!("step {number} of the list has the number {:?}", step.number);
            return Err(PlanError::new(reason));
        }
        let verify = match step.verify {
            None => Vec::new(),
            Some(Verify::One(command)) => vec![command],
            Some(Verify::Many(commands)) => commands,
        };
        steps.push(PlanStep {
            number,
            title: step.title,
            detail: step.detail.unwrap_or_default(),
            depends_on: step.depends_on.unwrap_or_default(),
            verify,
            ..PlanStep::default()
        });
    }
    Plan::new(task, steps)
}

/// Lines `STEP 1: text`, with the lines that follow as the detail. They follow each other.
fn lines(answer: &str) -> Vec<PlanStep> {
    let mut steps: Vec<PlanStep> = Vec::new();
    for line in answer.lines() {
        if let Some(title) = step_line(line) {
            let number = u32::try_from(steps.len()).unwrap_or(u32::MAX).saturating_add(1);
            let depends_on = if number > 1 { vec![number - 1] } else { Vec::new() };
            let title = title.to_owned();
            steps.push(PlanStep { number, title, depends_on, ..PlanStep::default() });
        } else if let Some(step) = steps.last_mut() {
            step.detail.push_str(line);
            step.detail.push('\n');
        }
    }
    steps
}

/// The text of a line that begins a step, as Python copex reads it.
fn step_line(line: &str) -> Option<&str> {
    let line = line.trim().trim_start_matches(['*', '#', '-', ' ']);
    let word = line.get(..4).filter(|word| word.eq_ignore_ascii_case("step"))?;
    let rest = line[word.len()..].trim_start();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let text = rest.get(digits..)?.trim_start_matches('*').strip_prefix([':', '.', ')', '-'])?;
    let text = text.trim().trim_matches('*').trim();
    (digits > 0 && !text.is_empty()).then_some(text)
}
