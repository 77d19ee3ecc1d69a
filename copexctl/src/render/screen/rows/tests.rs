//! Fleets and councils on the screen, at several sizes.

use copex_proto::event::{EventBody, RunEvent, Task, Usage};
use copex_proto::id::RunId;

use super::super::layout::{Frame, frame};
use super::super::model::Model;
use super::super::model::tests::{AT, accepted, says, tool};
use super::super::parts;
use super::*;

fn texts(frame: &Frame) -> Vec<String> {
    frame.lines.iter().map(|line| line.plain().trim_end().to_owned()).collect()
}

fn take(model: &mut Model, seconds: u64, path: Option<&str>, body: EventBody) {
    let at = AT + seconds * 1_000;
    let path = path.map(str::to_owned);
    model.apply(&RunEvent { run: RunId::new(1, 1), seq: 1, at, path, body });
}

fn task(number: u32, state: RunState) -> Task {
    Task {
        id: format!("t{number:03}"),
        state,
        number,
        total: 0,
        at_once: 5,
        depends_on: Vec::new(),
        note: None,
        attempts: 0,
        duration_ms: None,
        usage: None,
        folder: None,
    }
}

/// A fleet of so many tasks, of which these went through some states; each that depends on
/// somebody depends on the five before it.
fn fleet(tasks: u32, went: &[(u32, &[RunState])]) -> Model {
    let mut model = Model::default();
    take(&mut model, 0, None, accepted(Mode::Fleet));
    let whole = |number: u32, state| Task {
        depends_on: match number {
            0..=20 => Vec::new(),
            _ => (number - 5..number).map(|number| format!("t{number:03}")).collect(),
        },
        ..task(number, state)
    };
    for number in 1..=tasks {
        take(&mut model, 0, None, EventBody::Task(whole(number, RunState::Queued)));
    }
    for (number, states) in went {
        for state in *states {
            let over = state.is_terminal();
            let task = Task {
                note: (BAD.contains(state)).then(|| "it broke".to_owned()),
                duration_ms: over.then_some(7_000),
                ..whole(*number, *state)
            };
            take(&mut model, 3, None, EventBody::Task(task));
        }
    }
    model
}

const RUNS: &[RunState] = &[RunState::Running];
const ENDS: &[RunState] = &[RunState::Running, RunState::Done];

fn busy() -> Model {
    let mut model = fleet(
        20,
        &[
            (1, ENDS),
            (2, &[RunState::Running, RunState::Failed]),
            (3, RUNS),
            (4, RUNS),
            (5, &[RunState::Running, RunState::Asking]),
            (6, &[RunState::Running, RunState::Parked]),
            (7, RUNS),
            (8, &[RunState::Blocked]),
        ],
    );
    let usage = Usage { input_tokens: 12_000, output_tokens: 345, ..Usage::default() };
    take(&mut model, 4, Some("t003"), EventBody::Usage(usage));
    take(&mut model, 4, Some("t003"), tool());
    take(&mut model, 5, Some("t004/2"), EventBody::Iteration { number: 2, max: 10 });
    take(&mut model, 5, Some("t004/2"), says("one line\nI look at the "));
    let until = Some(AT + 95_000);
    let parked = EventBody::Parked { reason: "slow down".to_owned(), until, needs_key: None };
    take(&mut model, 6, None, parked);
    let warning = EventBody::Warning { code: "x".to_owned(), message: "look out".to_owned() };
    take(&mut model, 6, Some("t007"), warning);
    model
}

#[test]
fn a_fleet_on_a_usual_terminal() {
    let shown = frame(&busy(), AT + 15_000, (80, 24));
    let rule = "─".repeat(79);
    let free = "waits for a free place: 5 at once";
    let mut wanted = vec![
        "fleet · 1 of 20 done · 4 at work · 1 parked · 12 waiting · 2 not done      15 s"
            .to_owned(),
        "make it work".to_owned(),
        "5 at once · 12000 in, 345 out tokens".to_owned(),
        rule,
        format!("‖ parked, goes on in 1 min 20 s{:>48}", "9 s"),
        "  slow down".to_owned(),
        "  to go on now: copexctl runs resume --now 0000000080001".to_owned(),
        format!("? t005  waits for an answer{:>52}", "12 s"),
        format!("▸ t003  bash  cargo test{:>55}", "12 k tok · 12 s"),
        format!("▸ t004  I look at the{:>58}", "iteration 2/10 · 12 s"),
        format!("▸ t007  starting{:>63}", "12 s"),
        format!("‖ t006  parked{:>65}", "12 s"),
        format!("✗ t002  failed: it broke{:>55}", "7 s"),
    ];
    wanted.extend((9..=16).map(|number| format!("· t{number:03}  {free}")));
    wanted.push("… 5 more: 1 not done, 4 waiting".to_owned());
    wanted.push("✓ 1 done".to_owned());
    wanted.push("[t007] warning: look out".to_owned());
    assert_eq!(texts(&shown), wanted);
}

/// Two hundred tasks, of which a few are at work and half are done.
fn crowd() -> Model {
    let ended = (1..=100).map(|number| (number, ENDS));
    let at_work = (101..=105).map(|number| (number, RUNS));
    fleet(200, &ended.chain(at_work).collect::<Vec<_>>())
}

#[test]
fn two_hundred_tasks_fit_and_those_without_a_row_are_counted() {
    let model = crowd();
    let small = texts(&frame(&model, AT + 9_000, (80, 24)));
    assert_eq!(small.len(), 24);
    assert!(
        small[0].starts_with("fleet · 100 of 200 done · 5 at work · 95 waiting · "),
        "{small:#?}"
    );
    for (row, number) in small[4..9].iter().zip(101..) {
        assert!(row.starts_with(&format!("▸ t{number}  ")), "{small:#?}");
    }
    assert_eq!(small[9], "· t106  after t101, t102, t103 and 2 more");
    assert_eq!(small[10], "· t107  after t102, t103, t104 and 2 more");
    assert_eq!(small[22..], ["… 82 more: 82 waiting", "✓ 100 done"]);
    let large = texts(&frame(&model, AT + 9_000, (200, 60)));
    assert_eq!(large.len(), 60);
    assert_eq!(large[58..], ["… 46 more: 46 waiting", "✓ 100 done"]);
    let one = fleet(200, &(1..=200).map(|number| (number, ENDS)).collect::<Vec<_>>());
    assert_eq!(texts(&frame(&one, AT, (80, 24)))[4], "✓ 200 done");
}

#[test]
fn a_terminal_of_any_size_has_counts_and_no_line_too_much() {
    for model in [busy(), crowd(), fleet(1, &[]), fleet(0, &[])] {
        for (columns, rows) in [(80, 24), (200, 60), (40, 10), (20, 5), (10, 3), (5, 1), (0, 0)] {
            let shown = frame(&model, AT + 9_000, (columns, rows));
            assert!(shown.lines.len() <= rows.max(1), "{columns}x{rows}: {:#?}", texts(&shown));
            let most = columns.max(20) - 1;
            assert!(shown.lines.iter().all(|line| line.width() <= most), "{columns}x{rows}");
            assert!(texts(&shown)[0].starts_with("fleet"), "{columns}x{rows}");
        }
    }
}

#[test]
fn one_event_of_many_tasks_changes_a_row() {
    let mut model = crowd();
    let before = frame(&model, AT + 9_000, (200, 60));
    take(&mut model, 9, Some("t103"), says("hello"));
    let after = frame(&model, AT + 9_000, (200, 60));
    let rows = before.lines.iter().zip(&after.lines);
    assert_eq!(rows.filter(|(before, after)| before != after).count(), 1);
}

#[test]
fn a_throttled_fleet_says_how_wide_it_is() {
    let mut model = fleet(20, &[(1, RUNS)]);
    let slow = Task { at_once: 2, ..task(2, RunState::Running) };
    take(&mut model, 5, None, EventBody::Task(slow));
    let shown = texts(&frame(&model, AT + 9_000, (80, 24)));
    assert!(shown[2].starts_with("2 of 5 at once, throttled · "), "{shown:#?}");
    assert_eq!(shown[6], "· t003  waits for a free place: 2 of 5 at once, throttled");
    // A daemon that does not tell it.
    take(&mut model, 5, None, EventBody::Task(Task { at_once: 0, ..task(2, RunState::Done) }));
    let shown = texts(&frame(&model, AT + 9_000, (80, 24)));
    assert_eq!((&*shown[2], &*shown[5]), ("0 in, 0 out tokens", "· t003  waits for a free place"));
}

#[test]
fn members_that_have_not_begun_are_counted() {
    let mut model = Model::default();
    take(&mut model, 0, None, accepted(Mode::Council));
    let states = [("a", RunState::Running), ("b", RunState::Queued), ("c", RunState::Queued)];
    for (name, state) in states.into_iter().chain([("c", RunState::Failed)]) {
        let (name, stage) = (name.to_owned(), Some("opinion".to_owned()));
        take(&mut model, 1, None, EventBody::Member { name, state, stage, note: None });
    }
    let shown = texts(&frame(&model, AT + 2_000, (80, 24)));
    let head = "council · opinion · 1 at work · 1 waiting · 1 missing · ";
    assert!(shown[0].starts_with(head), "{shown:#?}");
    assert_eq!(
        shown[5..7],
        ["· b     opinion · waits for a free place", "✗ c     opinion ✗ failed"]
    );
}

#[test]
fn a_council_has_the_stages_of_its_members() {
    let mut model = Model::default();
    take(&mut model, 0, None, accepted(Mode::Council));
    let mut member = |seconds, name: &str, stage: &str, state, note: Option<&str>| {
        let (name, stage) = (name.to_owned(), Some(stage.to_owned()));
        let note = note.map(str::to_owned);
        take(&mut model, seconds, None, EventBody::Member { name, state, stage, note });
    };
    member(1, "maker/alpha", "opinion", RunState::Running, None);
    member(1, "beta", "opinion", RunState::Queued, None);
    member(1, "beta", "opinion", RunState::Running, None);
    member(2, "gamma", "opinion", RunState::Running, None);
    member(5, "gamma", "opinion", RunState::Failed, Some("it said nothing"));
    member(6, "maker/alpha", "opinion", RunState::Done, None);
    member(7, "beta", "opinion", RunState::Done, None);
    member(7, "maker/alpha", "review", RunState::Running, None);
    member(9, "maker/alpha", "review", RunState::Done, None);
    member(9, "chair", "decision", RunState::Running, None);
    take(&mut model, 9, Some("maker/alpha"), says("I say"));
    take(&mut model, 9, Some("chair"), tool());
    let shown = texts(&frame(&model, AT + 15_000, (80, 24)));
    assert!(shown[0].starts_with("council · decision · 1 at work · 1 missing · "), "{shown:#?}");
    let row = |words: &str, right: &str| {
        format!("{words}{right:>width$}", width = 79 - words.chars().count())
    };
    let wanted = [
        row("✓ maker/alpha  opinion ✓ review ✓", "2 s"),
        row("✓ beta         opinion ✓", "6 s"),
        row("✗ gamma        opinion ✗ failed: it said nothing", "3 s"),
        row("▸ chair        decision ▸ bash  cargo test", "6 s"),
    ];
    assert_eq!(shown[4..8], wanted);
    for columns in [40, 80, 120] {
        let left = parts::summary(&model, columns);
        let left: Vec<String> = left.iter().map(Line::plain).collect();
        assert!(left[2].starts_with("  ✓ beta         opinion ✓ "), "{left:#?}");
        assert!(left[1..].iter().all(|line| line.chars().count() <= columns), "{left:#?}");
    }
}
