//! The rows of the matrix: the fault, and what each of its cells is to come to.

use copex_tests::model::{Cut, Reply};
use serde_json::{Value, json};

use super::matrix::{Cell, Fault};

/// One fault.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) fault: Reply,
    /// Further fields of the request.
    pub(super) more: Value,
    pub(super) wanted: Box<dyn Fn(Cell) -> Wanted + Send + Sync>,
}

/// What comes of a cell.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Requests to the model asked for.
    pub(super) first: usize,
    /// Requests to the one that follows.
    pub(super) second: usize,
    pub(super) retrying: usize,
    pub(super) restarted: usize,
    /// The last event, the error's class and the exit code.
    pub(super) end: (&'static str, Value, i32),
    /// Words of the error.
    pub(super) words: &'static str,
}

impl Wanted {
    /// The answer, from the first model after so many tries.
    fn answer(first: usize) -> Self {
        let (retrying, end) = (first - 1, ("done", Value::Null, 0));
        Self { first, second: 0, retrying, restarted: 0, end, words: "" }
    }

    /// The answer, from the second model.
    fn fallback(first: usize) -> Self {
        Self { second: 1, ..Self::answer(first) }
    }

    /// An error after so many tries.
    fn error(first: usize, end: &'static str, class: &'static str, code: i32) -> Self {
        Self { end: (end, json!(class), code), ..Self::answer(first) }
    }

    fn words(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    /// Each try had shown some text, the last one too unless it is the answer or the error.
    fn after_words(self) -> Self {
        let shown = if self.second > 0 { self.first } else { self.retrying };
        Self { restarted: shown, ..self }
    }
}

fn row(
    name: &'static str,
    fault: Reply,
    wanted: impl Fn(Cell) -> Wanted + Send + Sync + 'static,
) -> Row {
    Row { name, fault, more: json!({}), wanted: Box::new(wanted) }
}

/// Counted by the breaker, which opens with the fifth outcome; another model after three
/// failures. In front of somebody, an open breaker ends the run.
fn unwell(cell: Cell, class: &'static str) -> Wanted {
    match (cell.fault, cell.fallback) {
        (Fault::Once, _) => Wanted::answer(2),
        (Fault::Always, true) => Wanted::fallback(3),
        (Fault::Always, false) => {
            let tries = if cell.resumed { 4 } else { 5 };
            Wanted::error(tries, "failed", class, 1).words("failed too often")
        }
    }
}

/// Breaks off after some words: the same, turn by turn. The last `retrying` is of the turn
/// that the open breaker then refuses.
fn broken(cell: Cell) -> Wanted {
    let wanted = unwell(cell, "network");
    let refused = usize::from(wanted.end.0 == "failed");
    let retrying = wanted.retrying + refused;
    Wanted { retrying, ..wanted }.after_words()
}

/// Said nothing in time: twice is enough.
fn silent(cell: Cell) -> Wanted {
    match (cell.fault, cell.fallback) {
        (Fault::Once, _) => Wanted::answer(2),
        (Fault::Always, true) => Wanted::fallback(2),
        (Fault::Always, false) => Wanted::error(2, "failed", "timeout", 1),
    }
}

/// A limit that is soon over is waited for, within two retries; then another model helps
/// where the limit is one of the model's.
fn soon(cell: Cell, others: bool) -> Wanted {
    match (cell.fault, cell.fallback && others) {
        (Fault::Once, _) => Wanted::answer(2),
        (Fault::Always, true) => Wanted::fallback(3),
        (Fault::Always, false) => limited(3),
    }
}

/// A limit that is not waited for in place: parked, were it allowed.
fn limited(tries: usize) -> Wanted {
    Wanted::error(tries, "failed", "rate_limit", 5).words("too many requests")
}

fn limits() -> Vec<Row> {
    let model = "user_model_rate_limited";
    let account = "user_global_rate_limited";
    let week = "user_weekly_rate_limited";
    let integration = "integration_rate_limited";
    let now = |cell: Cell| if cell.fallback { Wanted::fallback(1) } else { limited(1) };
    let none = |_: Cell| limited(1);
    let rows = [
        row("model-soon", Reply::rate_limited(model, Some(1)), |cell| soon(cell, true)),
        row("model-unknown", Reply::rate_limited(model, None), |cell| {
            if cell.fallback { Wanted::fallback(1) } else { soon(cell, false) }
        }),
        row("model-late", Reply::rate_limited(model, Some(90)), now),
        row("account-soon", Reply::rate_limited(account, Some(1)), |cell| soon(cell, false)),
        row("account-unknown", Reply::rate_limited(account, None), |cell| soon(cell, false)),
        row("account-late", Reply::rate_limited(account, Some(90)), none),
        row("429", Reply::rate_limited("slow_down", Some(1)), |cell| soon(cell, false)),
        row("weekly-soon", Reply::rate_limited(week, Some(1)), none),
        row("weekly-unknown", Reply::rate_limited(week, None), none),
        row("integration-soon", Reply::rate_limited(integration, Some(1)), none),
        row("integration-late", Reply::rate_limited(integration, Some(90)), none),
    ];
    let two_retries = |row: Row| Row { more: json!({"max_retries": 2}), ..row };
    rows.into_iter().map(two_retries).collect()
}

fn refusals() -> Vec<Row> {
    let refused = |status, code: &str| Reply::error(status, code, "the server's own words");
    let one = |end, class, exit| {
        move |_: Cell| Wanted::error(1, end, class, exit).words("the server's own words")
    };
    vec![
        row("401", refused(401, "invalid_api_key"), one("blocked", "auth", 77)),
        row("403", refused(403, "forbidden"), one("blocked", "auth", 77)),
        row("402", refused(402, "payment_required"), one("blocked", "quota", 3)),
        row("quota", refused(429, "quota_exceeded"), one("blocked", "quota", 3)),
        row("400", refused(400, "invalid_request"), one("failed", "client", 1)),
        row("404", refused(404, "model_not_found"), one("failed", "client", 1)),
        row("content-filter", refused(400, "content_filter"), one("failed", "content_filter", 1)),
        row("context", refused(400, "context_length_exceeded"), |cell| {
            // A conversation of one question cannot be made smaller.
            let tries = if cell.resumed { 2 } else { 1 };
            let wanted = match (cell.fault, cell.fallback) {
                (Fault::Once, _) if cell.resumed => Wanted::answer(tries),
                (_, true) => Wanted::fallback(tries),
                (_, false) => Wanted::error(tries, "failed", "context_limit", 1),
            };
            Wanted { retrying: 0, ..wanted.words("the server's own words") }
        }),
    ]
}

fn failures() -> Vec<Row> {
    let status = |status| Reply::error(status, "internal", "out of order");
    let error = "data: {\"error\": {\"message\": \"overloaded\", \"code\": \"overloaded\"}}\n\n";
    let role = json!({"content": ""});
    let half = || Reply::chunks(["half ", "an answer"]);
    let hang = json!({"timeout_s": 2.0});
    vec![
        row("500", status(500), |cell| unwell(cell, "server")),
        row("502", status(502), |cell| unwell(cell, "server")),
        row("503", status(503), |cell| unwell(cell, "server")),
        row("529", status(529), |cell| unwell(cell, "server")),
        row("bodyless-400", Reply::status(400, ""), |cell| unwell(cell, "server")),
        row("error-event", Reply::stream().raw(error).truncated(), |cell| unwell(cell, "server")),
        row("fin-before-head", Reply::cut_before_head(Cut::Fin), |cell| unwell(cell, "network")),
        row("reset-before-head", Reply::cut_before_head(Cut::Reset), |cell| {
            unwell(cell, "network")
        }),
        row("empty-stream", Reply::stream().truncated(), |cell| unwell(cell, "network")),
        row("garbage", Reply::garbage(), |cell| unwell(cell, "network")),
        row("fin-after-words", half().cut(Cut::Fin), broken),
        row("reset-after-words", half().cut(Cut::Reset), broken),
        row("no-end", half().truncated(), broken),
        row("silent-head", Reply::hang_before_head(), silent),
        row("silent-stream", Reply::stream().delta(role).hang(), silent),
        Row {
            more: hang,
            ..row("silent-middle", half().hang(), |cell| silent(cell).after_words())
        },
    ]
}

/// Every row.
pub(super) fn rows() -> Vec<Row> {
    [failures(), refusals(), limits()].into_iter().flatten().collect()
}
