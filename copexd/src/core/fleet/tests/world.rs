//! A world for the fleet's machine: a model, checks and a repository, all of them scripted.

use std::collections::VecDeque;

use super::super::*;
use crate::core::failure::Scope;
use crate::core::machine::{GateResult, TaskState};
use crate::core::player::{Sessions, chat_spec};
use crate::core::policy::{Next, Otherwise};
use crate::core::signal::Signal;
use crate::core::stored::Stored;
use crate::core::worktrees::{
    Clash, Committed, Created, Finalized, Merged, Report, Settled, United, Uniting, Worktree,
};

pub(super) const NOW: Moment = Moment { now_ms: 10_000, chance: 0.5 };

pub(super) fn task(id: &str, depends_on: &[Lane]) -> TaskSpec {
    TaskSpec {
        id: id.to_owned(),
        chat: chat_spec(&format!("r-{id}"), "m"),
        prompt: vec![Piece::Text(format!("do {id}"))],
        depends_on: depends_on.to_vec(),
        goes_on: false,
        priority: 0,
        depth: 0,
        timeout_ms: 60_000,
        gates: Vec::new(),
        gate_timeout_ms: 1_000,
        max_iterations: 2,
        max_errors: 3,
        folder: None,
        caps: Caps::default(),
    }
}

/// a before b and c, those before d; e by itself, with a check.
pub(super) fn spec() -> FleetSpec {
    let mut tasks =
        vec![task("a", &[]), task("b", &[1]), task("c", &[1]), task("d", &[2, 3]), task("e", &[])];
    tasks[3].prompt.push(Piece::Of(2, Field::Content));
    for (task, depth) in tasks.iter_mut().zip([0, 1, 1, 2, 0]) {
        task.depth = depth;
    }
    tasks[4].gates = vec!["true".to_owned()];
    FleetSpec {
        chat: chat_spec("r", "m"),
        tasks,
        max_concurrent: 3,
        fail_fast: false,
        isolation: Isolation::None,
        merging: Merging::default(),
        landing: None,
    }
}

/// What outlasts a crash: what the sessions and the repository have.
#[derive(Default)]
pub(super) struct World {
    pub(super) sessions: Sessions,
    /// Tasks in the order in which their prompts came.
    pub(super) prompts: Vec<Lane>,
    /// Tasks that fail.
    pub(super) bad: Vec<Lane>,
    /// Tasks whose branch does not fit.
    pub(super) unfit: Vec<Lane>,
    /// Tasks whose conflicts nobody settles.
    pub(super) marked: Vec<Lane>,
    /// Why there can be no worktrees.
    pub(super) problem: Option<crate::core::worktrees::Problem>,
    /// Worktrees: the task, and what it starts from.
    pub(super) trees: BTreeMap<String, Vec<String>>,
    /// Tasks in the run's branch.
    pub(super) merged: Vec<String>,
    /// How often the result was brought to the user's branch.
    pub(super) landed: usize,
    /// How often the worktrees were cleaned up.
    pub(super) cleaned: usize,
    /// The most tasks at once.
    pub(super) wide: usize,
}

pub(super) struct Rig {
    pub(super) fleet: Fleet,
    pub(super) world: World,
    pub(super) stored: Vec<u8>,
    pub(super) facts: Vec<Fact>,
    /// Effects to be performed.
    pub(super) queue: VecDeque<(Lane, Effect)>,
    /// Timers that are set.
    pub(super) timers: Vec<(Lane, Timer)>,
    /// Where to crash: after so many commits.
    pub(super) crash_after: Option<usize>,
    pub(super) commits: usize,
    pub(super) end: Option<End>,
}

impl Rig {
    pub(super) fn start(spec: FleetSpec, world: World) -> Self {
        Self::going_on(spec, Progress::default(), world)
    }

    pub(super) fn going_on(spec: FleetSpec, progress: Progress, world: World) -> Self {
        let mut rig = Self {
            fleet: Fleet::restored(spec, progress),
            world,
            stored: Vec::new(),
            facts: Vec::new(),
            queue: VecDeque::new(),
            timers: Vec::new(),
            crash_after: None,
            commits: 0,
            end: None,
        };
        rig.hear(Input::Start);
        rig
    }

    pub(super) fn run(spec: FleetSpec, world: World) -> Self {
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
        let effects = self.fleet.handle(input, NOW);
        self.commits += 1;
        for effect in effects {
            let (lane, effect) = match effect {
                Effect::Of(lane, effect) => (lane, *effect),
                effect => (MAIN, effect),
            };
            match effect {
                Effect::Emit(fact) => self.facts.push(fact),
                Effect::Checkpoint => {
                    self.stored = serde_json::to_vec(&self.fleet.checkpoint()).unwrap();
                }
                Effect::Finish(end) => {
                    self.stored = serde_json::to_vec(&self.fleet.checkpoint()).unwrap();
                    assert!(self.end.replace(end).is_none(), "it ends once");
                }
                Effect::Wait(timer, _) => self.timers.push((lane, timer)),
                Effect::Unwait(timer) => self.timers.retain(|it| *it != (lane, timer.clone())),
                other => self.queue.push_back((lane, other)),
            }
        }
        self.world.wide = self.world.wide.max(self.fleet.at_work().len());
        if self.crash_after.take_if(|after| self.commits >= *after).is_some() {
            self.crash();
        }
    }

    pub(super) fn progress(&self) -> Progress {
        match Stored::read(&self.stored) {
            Some(Stored::Fleet(progress)) => *progress,
            _ => Progress::default(),
        }
    }

    /// The daemon dies and is started again.
    pub(super) fn crash(&mut self) {
        if self.end.is_some() {
            return;
        }
        self.queue.clear();
        self.timers.clear();
        self.fleet = Fleet::restored(self.fleet.spec.clone(), self.progress());
        self.hear(Input::Recover(Tail::default()));
    }

    pub(super) fn of(&mut self, lane: Lane, input: Input) {
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
            Effect::Baseline { .. } => {
                self.of(lane, Input::Based(Ok(crate::core::commits::Baseline::default())));
            }
            Effect::Sense => self.of(lane, Input::Sensed(None)),
            Effect::Tree(wish) => {
                let told = self.tree(lane, wish.what);
                self.of(lane, Input::Tree(Box::new(told)));
            }
            // The sessions of this world end at once.
            Effect::Abort => self.of(lane, Input::Signal(Signal::Idle)),
            _ => {}
        }
    }

    fn tree(&mut self, lane: Lane, what: What) -> Told {
        let world = &mut self.world;
        match what {
            What::Check => Told::Checked(Report {
                head: "base".to_owned(),
                problems: world.problem.iter().cloned().collect(),
                ..Report::default()
            }),
            What::Create(order) => {
                for needed in &order.after {
                    assert!(world.merged.contains(needed), "{needed} before {}", order.task);
                }
                world.trees.insert(order.task.clone(), order.after);
                let folder = format!("/trees/{}", order.task).into();
                Told::Created(Ok(Created::Ready(Worktree {
                    branch: order.task,
                    path: "/trees".into(),
                    folder,
                    tip: String::new(),
                    adopted: false,
                })))
            }
            What::Commit(_) => Told::Committed(Ok(Committed::default())),
            What::Unite(order) => {
                let name = format!("{}:merge:c", order.task);
                Told::United(Ok(Uniting::Ready(United { name, ..United::default() })))
            }
            What::Settle(_) if world.marked.contains(&lane) => {
                Told::Settled(Ok(Settled::Markers(vec!["f".to_owned()])))
            }
            What::Settle(_) => Told::Settled(Ok(Settled::Done)),
            What::Merge(order) if world.unfit.contains(&lane) && !order.task.contains(':') => {
                let clash = Clash { files: vec!["f".to_owned()], ..Clash::default() };
                Told::Merged(Ok(Merged::Conflict(clash)))
            }
            What::Merge(order) => {
                if !world.merged.contains(&order.task) {
                    world.merged.push(order.task);
                }
                Told::Merged(Ok(Merged::Done { commit: "c".to_owned() }))
            }
            What::Finalize(_) | What::Land(_) => {
                world.landed += 1;
                Told::Finalized(Ok(Finalized::Forwarded {
                    on: "main".to_owned(),
                    commit: "c".to_owned(),
                    left_out: Vec::new(),
                }))
            }
            What::Clean => {
                world.cleaned += 1;
                Told::Cleaned(Vec::new())
            }
        }
    }

    fn open(&mut self, lane: Lane) {
        let opened = self.world.sessions.open(&self.fleet.turn(lane));
        self.of(lane, Input::Opened(opened));
    }

    fn send(&mut self, lane: Lane, prompt: String) {
        self.world.prompts.push(lane);
        let gates = self.fleet.spec.tasks[lane as usize - 1].gates.len();
        if gates == 0 && self.world.bad.contains(&lane) {
            // What the policy says to a request that is wrong.
            let failure = Failure::new(FailureClass::Client, "it is bad");
            self.of(lane, Input::Signal(Signal::Failed(failure)));
            self.of(lane, Input::Signal(Signal::Idle));
            let next = Next::GiveUp { why: "wrong", otherwise: Otherwise::Fail };
            self.of(lane, Input::Judged(next));
            return;
        }
        let answer = format!("did {}", self.fleet.id(lane));
        let said = self.world.sessions.answer(&self.fleet.turn(lane), prompt, answer);
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

    /// The model throttles a task.
    pub(super) fn throttle(&mut self, lane: Lane) {
        let failure = Failure::new(FailureClass::RateLimit(Scope::Account), "slow down");
        self.of(lane, Input::Signal(Signal::Waiting { attempt: 2, failure, delay_ms: 5 }));
    }

    /// Performs until this many tasks are at work, with their prompts not sent yet.
    pub(super) fn until_at_work(&mut self, many: usize) {
        let mut late = VecDeque::new();
        while let Some((lane, effect)) = self.queue.pop_front() {
            match effect {
                Effect::Send(_) => late.push_back((lane, effect)),
                effect => self.perform(lane, effect),
            }
        }
        assert_eq!(self.fleet.at_work().len(), many);
        self.queue = late;
    }

    pub(super) fn done(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.verdict == Verdict::Done)
    }

    /// The states that clients were told of a task.
    pub(super) fn states(&self, lane: Lane) -> Vec<TaskState> {
        let told = self.facts.iter().filter_map(|fact| match fact {
            Fact::Task(task) if task.number == lane => Some(task.state),
            _ => None,
        });
        told.collect()
    }

    pub(super) fn note(&self, lane: Lane) -> String {
        let told = self.facts.iter().rev().find_map(|fact| match fact {
            Fact::Task(task) if task.number == lane => Some(task.note.clone()),
            _ => None,
        });
        told.flatten().unwrap_or_default()
    }
}
