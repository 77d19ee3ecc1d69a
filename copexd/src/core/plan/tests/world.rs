//! A world for the plan's machine: a file, a model and gates, all of them scripted.

use std::collections::VecDeque;

use super::super::*;
use crate::core::commits::{Baseline, Made};
use crate::core::machine::{GateResult, StepState};
use crate::core::player::{Sessions, chat_spec};
use crate::core::signal::Signal;
use crate::core::stored::Stored;

pub(super) const NOW: Moment = Moment { now_ms: 10_000, chance: 0.5 };

pub(super) fn spec() -> PlanSpec {
    PlanSpec {
        chat: chat_spec("r", "m"),
        draft: ChatSpec { asks: "r-d".to_owned(), ..chat_spec("r", "m") },
        task: "build it".to_owned(),
        file: "/plans/r.md".to_owned(),
        given: Given::Nothing,
        review: false,
        execute: true,
        trust: true,
        from_step: 1,
        parallel: 1,
        on_failure: OnFailure::Ask,
        commit: None,
        max_iterations: 2,
        gate_timeout_ms: 1_000,
        max_errors: 3,
    }
}

pub(super) fn step(number: u32, depends_on: &[u32]) -> Step {
    Step { number, title: format!("t{number}"), depends_on: depends_on.to_vec(), ..Step::default() }
}

/// 1 before 2 and 3, those before 4; 5 by itself.
pub(super) fn outline() -> Outline {
    let steps = vec![step(1, &[]), step(2, &[1]), step(3, &[1]), step(4, &[2, 3]), step(5, &[])];
    Outline { task: "build it".to_owned(), steps, text: "the plan".to_owned() }
}

/// What outlasts a crash: the file, and what the sessions have.
#[derive(Default)]
pub(super) struct World {
    pub(super) file: Option<Result<Outline, String>>,
    pub(super) sessions: Sessions,
    /// Steps in the order in which their prompts came.
    pub(super) prompts: Vec<u32>,
    /// Answers in a row that are no plan.
    pub(super) nonsense: usize,
    /// Steps that never succeed.
    pub(super) bad: Vec<u32>,
    /// How often a step's prompt was answered.
    pub(super) tried: BTreeMap<u32, usize>,
    /// Messages of commits; the same message is one commit.
    pub(super) commits: Vec<String>,
    /// The most steps at once.
    pub(super) wide: usize,
}

pub(super) struct Rig {
    pub(super) plan: Plan,
    pub(super) world: World,
    pub(super) stored: Vec<u8>,
    pub(super) facts: Vec<Fact>,
    /// Effects to be performed.
    pub(super) queue: VecDeque<(Lane, Effect)>,
    /// Where to crash: after so many commits.
    pub(super) crash_after: Option<usize>,
    pub(super) commits: usize,
    pub(super) end: Option<End>,
    pub(super) questions: Vec<String>,
}

impl Rig {
    pub(super) fn start(spec: PlanSpec, world: World) -> Self {
        let mut rig = Self {
            plan: Plan::new(spec),
            world,
            stored: Vec::new(),
            facts: Vec::new(),
            queue: VecDeque::new(),
            crash_after: None,
            commits: 0,
            end: None,
            questions: Vec::new(),
        };
        rig.hear(Input::Start);
        rig
    }

    pub(super) fn run(spec: PlanSpec, world: World) -> Self {
        let mut rig = Self::start(spec, world);
        rig.go_on();
        rig
    }

    /// Performs what there is to perform, until nothing is.
    pub(super) fn go_on(&mut self) {
        while let Some((lane, effect)) = self.queue.pop_front() {
            self.perform(lane, effect);
        }
    }

    /// One input: its facts and its checkpoint are kept together, as the engine keeps them.
    pub(super) fn hear(&mut self, input: Input) {
        let effects = self.plan.handle(input, NOW);
        self.commits += 1;
        for effect in effects {
            let (lane, effect) = match effect {
                Effect::Of(lane, effect) => (lane, *effect),
                effect => (MAIN, effect),
            };
            match effect {
                Effect::Emit(Fact::Ask(question)) => self.questions.push(question.ask),
                Effect::Emit(fact) => self.facts.push(fact),
                Effect::Checkpoint => {
                    self.stored = serde_json::to_vec(&self.plan.checkpoint()).unwrap();
                }
                Effect::Finish(end) => {
                    self.stored = serde_json::to_vec(&self.plan.checkpoint()).unwrap();
                    self.end = Some(end);
                }
                other => self.queue.push_back((lane, other)),
            }
        }
        self.world.wide = self.world.wide.max(self.plan.running.len());
        if self.crash_after.take_if(|after| self.commits >= *after).is_some() {
            self.crash();
        }
    }

    /// The daemon dies and is started again.
    pub(super) fn crash(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.queue.clear();
        let progress = match Stored::read(&self.stored) {
            Some(Stored::Plan(progress)) => *progress,
            _ => Progress::default(),
        };
        self.plan = Plan::restored(self.plan.spec.clone(), progress);
        self.hear(Input::Recover(Tail::default()));
    }

    fn of(&mut self, lane: Lane, input: Input) {
        self.hear(if lane == MAIN { input } else { Input::Of(lane, Box::new(input)) });
    }

    pub(super) fn perform(&mut self, lane: Lane, effect: Effect) {
        match effect {
            Effect::Open => self.open(lane),
            Effect::Send(prompt) => self.send(lane, prompt),
            Effect::Gate { index, .. } => {
                let bad = self.world.bad.contains(&lane);
                let result =
                    GateResult { index, exit_code: Some(i32::from(bad)), ..GateResult::default() };
                self.of(lane, Input::Gated(result));
            }
            Effect::Sense => self.of(lane, Input::Sensed(None)),
            Effect::ReadPlan { answer, .. } => {
                let read = if answer == "a plan" {
                    Ok(outline())
                } else {
                    Err("it is nonsense".to_owned())
                };
                self.hear(Input::Drafted(read));
            }
            Effect::WritePlan { outline, .. } => {
                self.world.file = Some(Ok(outline.clone()));
                self.hear(Input::Loaded(Ok(outline)));
            }
            Effect::LoadPlan { .. } => self.load(),
            Effect::MarkPlan { number, mark, .. } => {
                if let Some(Ok(outline)) = &mut self.world.file {
                    outline.mark(number, mark);
                }
                self.load();
            }
            Effect::Baseline { .. } => self.hear(Input::Based(Ok(Baseline::default()))),
            Effect::Commit(order) => {
                if !self.world.commits.contains(&order.message) {
                    self.world.commits.push(order.message);
                }
                let commit = Some(self.world.commits.len().to_string());
                self.hear(Input::Committed(Ok(Made { commit, left_out: Vec::new() })));
            }
            // The sessions of this world end at once.
            Effect::Abort => self.of(lane, Input::Signal(Signal::Idle)),
            _ => {}
        }
    }

    fn load(&mut self) {
        let file = self.world.file.clone();
        self.hear(Input::Loaded(file.unwrap_or_else(|| Err("it is not there".to_owned()))));
    }

    fn open(&mut self, lane: Lane) {
        let opened = self.world.sessions.open(&self.plan.turn(lane));
        self.of(lane, Input::Opened(opened));
    }

    fn send(&mut self, lane: Lane, prompt: String) {
        let answer = self.answer(lane, &prompt);
        let said = self.world.sessions.answer(&self.plan.turn(lane), prompt, answer);
        let commits = self.commits;
        self.of(lane, Input::Sent("m".to_owned()));
        for signal in said {
            // What a dead daemon would have heard is read from the transcript.
            if self.commits > commits + 2 || self.end.is_some() {
                return;
            }
            self.of(lane, Input::Signal(signal));
        }
    }

    fn answer(&mut self, lane: Lane, prompt: &str) -> String {
        if lane == MAIN {
            if self.world.nonsense > 0 {
                self.world.nonsense -= 1;
                return "hm".to_owned();
            }
            return "a plan".to_owned();
        }
        self.world.prompts.push(lane);
        *self.world.tried.entry(lane).or_default() += 1;
        assert!(prompt.contains(&format!("Do step {lane} now")), "{prompt}");
        if self.world.bad.contains(&lane) {
            return "I cannot".to_owned();
        }
        format!("did {lane} <promise>Step {lane} complete</promise>")
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        let ask = self.questions.last().cloned().expect("a question");
        self.hear(Input::Answered(Resolution { ask, answer: reply, by_client: true }));
        self.go_on();
    }

    pub(super) fn say(&mut self, text: &str) {
        self.reply(Reply::Text(text.to_owned()));
    }

    pub(super) fn done(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.verdict == Verdict::Done)
    }

    pub(super) fn states(&self, number: u32) -> Vec<StepState> {
        let of_step = self.facts.iter().filter_map(|fact| match fact {
            Fact::Step(step) if step.number == number => Some(step.state),
            _ => None,
        });
        of_step.collect()
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let Some(Ok(outline)) = &self.world.file else { panic!("no file") };
        outline.steps.iter().map(|step| step.mark).collect()
    }
}
