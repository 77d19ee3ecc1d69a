//! The loop's machine, effect by effect. No IO, no async.

use proptest::prelude::*;

use super::*;
use crate::core::chat::Choice;
use crate::core::machine::{Found, GateResult, MAIN, Opened};
use crate::core::player::chat_spec;
use crate::core::policy::{Next, Otherwise};
use crate::core::signal::{CallUsage, Signal};

mod commit;
mod crashes;
mod pause;

const NOW: Moment = Moment { now_ms: 10_000, chance: 0.5 };
const KEPT: &str = "<promise>DONE</promise>";

fn spec() -> RalphSpec {
    RalphSpec {
        chat: ChatSpec {
            choices: vec![Choice { model: Some("m".to_owned()), ..Choice::default() }],
            patient: false,
            ..chat_spec("r", "m")
        },
        task: "the task".to_owned(),
        promise: Some("done".to_owned()),
        gates: Vec::new(),
        gate_timeout_ms: 60_000,
        max_iterations: 5,
        context: Context::Same,
        max_errors: 2,
        delay_ms: 0,
        commit: None,
        pause: false,
    }
}

fn gated() -> RalphSpec {
    RalphSpec { gates: vec!["one".to_owned(), "two".to_owned()], ..spec() }
}

/// A loop, and the folder that it works in.
struct Rig {
    ralph: Ralph,
    tree: u32,
    moves: u32,
    effects: Vec<Effect>,
    prompts: Vec<String>,
}

impl Rig {
    fn of(ralph: Ralph) -> Self {
        Self { ralph, tree: 0, moves: 1, effects: Vec::new(), prompts: Vec::new() }
    }

    fn start(spec: RalphSpec) -> Self {
        let mut rig = Self::of(Ralph::new(spec));
        rig.hear(Input::Start);
        rig
    }

    /// Tells it something and does what needs no world.
    fn hear(&mut self, input: Input) {
        let effects = self.ralph.handle(input, NOW);
        for effect in &effects {
            match effect {
                Effect::Send(prompt) => self.prompts.push(prompt.clone()),
                Effect::Sense => {
                    self.tree += self.moves;
                    let tree = Some(self.tree.to_string());
                    self.effects.extend(effects.clone());
                    return self.hear(Input::Sensed(tree));
                }
                Effect::Judge(_) => {
                    self.effects.extend(effects.clone());
                    let (why, otherwise) = ("", Otherwise::Fail);
                    return self.hear(Input::Judged(Next::GiveUp { why, otherwise }));
                }
                _ => {}
            }
        }
        self.effects.extend(effects);
    }

    fn open(&mut self) {
        let session = self.ralph.turn(MAIN).session;
        let opened = Opened {
            session: session.unwrap_or_else(|| format!("s{}", self.ralph.progress.iteration)),
            user_messages: 0,
            backend: "sdk".to_owned(),
            found: Found::Nothing,
            candidate: 0,
            reason: None,
            can_rerun: true,
            can_steer: true,
            said: Vec::new(),
            repaired: None,
        };
        self.hear(Input::Opened(opened));
        self.hear(Input::Sent("m".to_owned()));
    }

    fn answer(&mut self, text: &str) {
        self.open();
        self.hear(Input::Signal(Signal::Usage(CallUsage { calls: 1, ..CallUsage::default() })));
        let text = text.to_owned();
        self.hear(Input::Signal(Signal::Message { text, answers: Some("m".to_owned()) }));
        self.hear(Input::Signal(Signal::Idle));
    }

    fn fail(&mut self, class: FailureClass) {
        self.open();
        self.hear(Input::Signal(Signal::Failed(Failure::new(class, "no luck"))));
        self.hear(Input::Signal(Signal::Idle));
    }

    fn gate(&mut self, index: usize, code: i32) {
        let wanted = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Gate { index, .. } => Some(*index),
            _ => None,
        });
        assert_eq!(wanted, Some(index), "the gate was asked for");
        let output = format!("gate {index} says {code}");
        let exit_code = Some(code);
        self.hear(Input::Gated(GateResult { index, exit_code, output, duration_ms: 1 }));
    }

    fn end(&self) -> Option<&End> {
        self.effects
            .iter()
            .find_map(|effect| if let Effect::Finish(end) = effect { Some(end) } else { None })
    }

    fn verdict(&self) -> &Verdict {
        &self.end().expect("the loop has ended").verdict
    }

    fn iterations(&self) -> usize {
        let begun = |effect: &&Effect| matches!(effect, Effect::Emit(Fact::Iteration { .. }));
        self.effects.iter().filter(begun).count()
    }

    fn exhausted(&self) -> String {
        match self.verdict() {
            Verdict::Exhausted(failure) => failure.message.clone(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_loop_goes_round_until_the_promise() {
    let mut rig = Rig::start(spec());
    rig.answer("not yet");
    rig.answer("still not");
    assert_eq!(rig.end(), None);
    rig.answer(KEPT);
    assert_eq!(rig.verdict(), &Verdict::Done);
    let outcome = &rig.end().unwrap().outcome;
    assert_eq!((outcome.iterations, outcome.usage.calls), (Some(3), 3));
    assert_eq!(outcome.content, KEPT);
    assert!(rig.prompts.iter().all(|prompt| prompt.ends_with("\nthe task")));
    assert!(rig.prompts[2].starts_with("[Iteration 3 of at most 5]"), "{}", rig.prompts[2]);
    assert_eq!(rig.effects.iter().filter(|it| matches!(it, Effect::Sense)).count(), 2);
}

#[test]
fn the_promise_counts_only_once_every_gate_is_green() {
    let mut rig = Rig::start(gated());
    rig.answer(KEPT);
    rig.gate(0, 0);
    rig.gate(1, 3);
    assert_eq!(rig.end(), None);
    rig.answer(KEPT);
    let told = &rig.prompts[1];
    assert!(told.contains("`two` exited with 3") && told.contains("gate 1 says 3"), "{told}");
    assert!(told.contains("You promised") && !told.contains("gate 0 says"), "{told}");
    rig.gate(0, 0);
    rig.gate(1, 0);
    assert_eq!(rig.verdict(), &Verdict::Done);
}

#[test]
fn green_gates_without_the_promise_ask_for_it() {
    let mut rig = Rig::start(gated());
    rig.answer("all done");
    rig.gate(0, 0);
    rig.gate(1, 0);
    rig.open();
    assert!(rig.prompts[1].contains("the promise is missing"), "{}", rig.prompts[1]);
    let mut rig = Rig::start(RalphSpec { promise: None, ..gated() });
    rig.answer("all done");
    rig.gate(0, 0);
    rig.gate(1, 0);
    assert_eq!(rig.verdict(), &Verdict::Done);
}

#[test]
fn the_promise_of_the_last_iteration_counts_and_nothing_later() {
    let mut rig = Rig::start(RalphSpec { max_iterations: 2, ..spec() });
    rig.answer("no");
    rig.answer(KEPT);
    assert_eq!(rig.verdict(), &Verdict::Done);
    let mut rig = Rig::start(RalphSpec { max_iterations: 2, ..spec() });
    rig.answer("no");
    rig.answer("no");
    assert!(rig.exhausted().contains("2 iterations are over, and the promise"));
    assert_eq!(rig.iterations(), 2);
}

#[test]
fn failures_in_a_row_end_the_loop_and_others_do_not() {
    let mut rig = Rig::start(spec());
    rig.fail(FailureClass::Server);
    rig.answer("on we go");
    assert!(rig.prompts[1].contains("It broke off: no luck"), "{}", rig.prompts[1]);
    rig.fail(FailureClass::Server);
    assert_eq!(rig.end(), None);
    rig.fail(FailureClass::Network);
    assert!(rig.exhausted().contains("2 iterations in a row failed"), "{}", rig.exhausted());
}

#[test]
fn what_only_a_person_can_change_ends_the_loop_at_once() {
    for class in [FailureClass::Unavailable, FailureClass::Auth, FailureClass::Quota] {
        let mut rig = Rig::start(spec());
        rig.fail(class);
        assert!(matches!(rig.verdict(), Verdict::Failed(_)), "{class:?}");
    }
}

#[test]
fn a_blocked_loop_ends_with_the_reason() {
    let mut rig = Rig::start(gated());
    rig.answer("<blocked>no network</blocked>");
    assert!(matches!(rig.verdict(), Verdict::Blocked(it) if it.message.contains("no network")));
}

#[test]
fn a_question_waits_for_a_person_and_the_answer_goes_on() {
    let mut rig = Rig::start(spec());
    rig.answer("<needs-human>Which port?</needs-human>");
    let asked = rig.effects.iter().find_map(|effect| match effect {
        Effect::Emit(Fact::Ask(question)) => Some(question.clone()),
        _ => None,
    });
    let asked = asked.unwrap();
    assert_eq!((asked.ask.as_str(), asked.title.as_str()), ("r-1", "Which port?"));
    let answer = Reply::Text("8080".to_owned());
    rig.hear(Input::Answered(Resolution { ask: asked.ask, answer, by_client: true }));
    rig.open();
    assert!(rig.prompts[1].contains("A person answers: 8080"), "{}", rig.prompts[1]);

    let mut rig = Rig::start(spec());
    rig.answer("<needs-human>Which port?</needs-human>");
    rig.hear(Input::Timer(Timer::Ask("r-1".to_owned())));
    assert!(matches!(rig.verdict(), Verdict::Blocked(it) if it.message.contains("Which port?")));
}

#[test]
fn a_loop_that_gets_nowhere_is_told_once_and_then_stopped() {
    let mut rig = Rig::start(RalphSpec { max_iterations: 30, ..spec() });
    rig.moves = 0;
    for _ in 0..7 {
        rig.answer("working on it");
    }
    assert!(rig.exhausted().contains("no progress"), "{}", rig.exhausted());
    assert_eq!(rig.iterations(), 7);
    let pivots: Vec<_> =
        rig.prompts.iter().map(|prompt| prompt.contains("quite different")).collect();
    assert_eq!(pivots, [false, false, false, false, true, false, false]);
}

#[test]
fn a_session_is_kept_or_left_as_the_context_says() {
    let sessions = |context| {
        let mut rig = Rig::start(RalphSpec { context, ..spec() });
        let mut sessions = Vec::new();
        for _ in 0..4 {
            rig.open();
            sessions.extend(rig.ralph.turn(MAIN).session);
            let text = "no".to_owned();
            rig.hear(Input::Signal(Signal::Message { text, answers: None }));
            rig.hear(Input::Signal(Signal::Idle));
        }
        sessions
    };
    assert_eq!(sessions(Context::Same), ["s1", "s1", "s1", "s1"]);
    assert_eq!(sessions(Context::Fresh), ["s1", "s2", "s3", "s4"]);
    assert_eq!(sessions(Context::FreshEvery(2)), ["s1", "s1", "s3", "s3"]);
}

#[test]
fn a_cancel_ends_the_loop_wherever_it_is() {
    let mut rig = Rig::start(gated());
    rig.answer(KEPT);
    rig.hear(Input::Cancel);
    assert!(matches!(rig.verdict(), Verdict::Cancelled(_)));
    let release = Effect::Release { poisoned: false };
    assert_eq!(rig.effects.last(), Some(&release), "the gate is killed");
    rig.gate(0, 0);
    let ends = rig.effects.iter().filter(|it| matches!(it, Effect::Finish(_))).count();
    assert_eq!(ends, 1);
}

#[test]
fn the_time_of_all_iterations_together_is_limited() {
    let mut chat = spec().chat;
    chat.max_duration_ms = Some(60_000);
    let mut rig = Rig::start(RalphSpec { chat, delay_ms: 500, ..spec() });
    let total = Effect::Wait(Timer::Total, 60_000);
    rig.answer("no");
    assert_eq!(rig.effects.iter().filter(|it| **it == total).count(), 1);
    assert!(rig.effects.contains(&Effect::Wait(Timer::Pause, 500)));
    rig.hear(Input::Timer(Timer::Pause));
    rig.open();
    assert_eq!(rig.ralph.turn(MAIN).deadline, Some(70_000));
    rig.answer("no");
    rig.hear(Input::Timer(Timer::Total));
    assert!(rig.exhausted().contains("60 s"), "{}", rig.exhausted());
}

proptest! {
    /// The promise comes in pieces, wherever they are cut.
    #[test]
    fn pieces_make_no_difference(cuts in prop::collection::vec(0_usize..60, 0..6)) {
        let text = "All is well.\n<promise> DONE </promise>\nReally.";
        let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| *at < text.len()).collect();
        cuts.sort_unstable();
        let mut rig = Rig::start(spec());
        rig.open();
        let mut from = 0;
        for at in cuts.into_iter().chain([text.len()]) {
            rig.hear(Input::Signal(Signal::MessageDelta(text[from..at].to_owned())));
            from = at;
        }
        prop_assert_eq!(rig.end(), None);
        let whole = Signal::Message { text: text.to_owned(), answers: None };
        rig.hear(Input::Signal(whole));
        rig.hear(Input::Signal(Signal::Idle));
        prop_assert_eq!(rig.verdict(), &Verdict::Done);
    }
}
