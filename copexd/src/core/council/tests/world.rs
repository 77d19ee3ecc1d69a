//! A world for the council's machine: sessions that answer as they are told.

use std::collections::{BTreeMap, VecDeque};

use super::super::*;
use crate::core::player::{Sessions, chat_spec};
use crate::core::policy::{Next, Otherwise};
use crate::core::signal::Signal;
use crate::core::stored::Stored;

pub(super) const NOW: Moment = Moment { now_ms: 10_000, chance: 0.5 };

fn seat(name: &str, asks: &str) -> Chair {
    let chat = chat_spec(asks, name);
    Chair { name: name.to_owned(), models: vec![name.to_owned()], chat }
}

/// Three members and a chair.
pub(super) fn spec() -> CouncilSpec {
    CouncilSpec {
        chat: seat("run", "r").chat,
        task: "decide it".to_owned(),
        shared_context: None,
        preset: None,
        members: ["model-one", "model-two", "model-three"]
            .iter()
            .zip(1..)
            .map(|(name, lane)| seat(name, &format!("r-m{lane}")))
            .collect(),
        chair: seat("model-chair", "r-c"),
        escalation: None,
        quorum: 2,
        straggler_ms: 1_000,
        first_word_ms: 5_000,
        max_concurrent: 3,
        debate: 0,
        seed: 7,
    }
}

/// The same with a chair that is asked again when it is not sure.
pub(super) fn escalating() -> CouncilSpec {
    CouncilSpec { escalation: Some(seat("model-chair", "r-e")), ..spec() }
}

/// How somebody behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// It fails.
    Fails,
    /// It is limited for an hour.
    Parks,
    /// It never answers.
    Hangs,
    /// What it says cannot be read.
    Babbles,
}

/// What outlasts a crash: what the sessions have.
#[derive(Default)]
pub(super) struct World {
    pub(super) sessions: Sessions,
    /// Prompts by lane and what they ask for.
    pub(super) asked: Vec<(Lane, &'static str, String)>,
    /// How lanes behave that do not do as they should: from this prompt of theirs on.
    pub(super) ways: BTreeMap<Lane, (Way, usize)>,
    /// Reviews disagree, so many times in all.
    pub(super) disputes: usize,
    /// How sure the chair is.
    pub(super) confidence: f64,
    /// Answers of the chair that are no decision.
    pub(super) nonsense: usize,
}

pub(super) struct Rig {
    pub(super) council: Council,
    pub(super) world: World,
    pub(super) stored: Vec<u8>,
    pub(super) facts: Vec<(Lane, Fact)>,
    /// Effects to be performed.
    pub(super) queue: VecDeque<(Lane, Effect)>,
    /// Timers that run.
    pub(super) timers: Vec<(Lane, Timer)>,
    /// Where to crash: after so many commits.
    pub(super) crash_after: Option<usize>,
    pub(super) commits: usize,
    pub(super) end: Option<End>,
    /// The most members at work at once.
    pub(super) wide: usize,
    /// Whether silence ends a turn.
    pub(super) watched: bool,
    /// What time it is. It passes while everybody waits for those who are late.
    pub(super) now: Moment,
}

impl Rig {
    pub(super) fn start(spec: CouncilSpec, world: World) -> Self {
        let world = World {
            confidence: if world.confidence > 0.0 { world.confidence } else { 0.9 },
            ..world
        };
        let mut rig = Self {
            council: Council::new(spec),
            world,
            stored: Vec::new(),
            facts: Vec::new(),
            queue: VecDeque::new(),
            timers: Vec::new(),
            crash_after: None,
            commits: 0,
            end: None,
            wide: 0,
            watched: false,
            now: NOW,
        };
        rig.hear(Input::Start);
        rig
    }

    pub(super) fn run(spec: CouncilSpec, world: World) -> Self {
        let mut rig = Self::start(spec, world);
        rig.go_on();
        rig
    }

    /// Performs what there is to perform; when nothing is, time passes for those who are late.
    pub(super) fn go_on(&mut self) {
        loop {
            self.perform_all();
            let expired = self.end.is_some() || self.expire(&Timer::Straggler);
            if self.end.is_some() || !(expired || self.watched && self.expire(&Timer::Idle)) {
                return;
            }
        }
    }

    /// Performs what there is to perform; no time passes.
    pub(super) fn perform_all(&mut self) {
        while let Some((lane, effect)) = self.queue.pop_front() {
            self.perform(lane, effect);
        }
    }

    /// Lets the first such timer fire; whether there was one.
    pub(super) fn expire(&mut self, timer: &Timer) -> bool {
        let known = self.timers.iter().position(|(_, known)| known == timer);
        let Some(at) = known else { return false };
        let (lane, timer) = self.timers.remove(at);
        if timer == Timer::Straggler {
            self.now.now_ms += self.council.spec.straggler_ms;
        }
        let input = Input::Timer(timer);
        self.hear(if lane == MAIN { input } else { Input::Of(lane, Box::new(input)) });
        true
    }

    /// One input: its facts and its checkpoint are kept together, as the engine keeps them.
    pub(super) fn hear(&mut self, input: Input) {
        let effects = self.council.handle(input, self.now);
        self.commits += 1;
        for effect in effects {
            let (lane, effect) = match effect {
                Effect::Of(lane, effect) => (lane, *effect),
                effect => (MAIN, effect),
            };
            match effect {
                Effect::Emit(fact) => self.facts.push((lane, fact)),
                Effect::Checkpoint => self.store(),
                Effect::Finish(end) => {
                    assert_eq!(self.end, None, "it ends once");
                    self.store();
                    self.end = Some(end);
                }
                other => self.queue.push_back((lane, other)),
            }
        }
        let working = |it: &&Member| it.part == Part::Working;
        self.wide = self.wide.max(self.council.progress.members.iter().filter(working).count());
        if self.crash_after.take_if(|after| self.commits >= *after).is_some() {
            self.crash();
        }
    }

    fn store(&mut self) {
        self.stored = serde_json::to_vec(&self.council.checkpoint()).unwrap();
    }

    fn progress(&self) -> Progress {
        match Stored::read(&self.stored) {
            Some(Stored::Council(progress)) => *progress,
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
        self.council = Council::restored(self.council.spec.clone(), self.progress());
        self.hear(Input::Recover(Tail::default()));
    }

    /// A new run goes on with the one that ended.
    pub(super) fn resume(&mut self) {
        self.end = None;
        self.queue.clear();
        self.timers.clear();
        let progress = self.progress().taken_up();
        self.council = Council::restored(self.council.spec.clone(), progress);
        self.hear(Input::Start);
        self.go_on();
    }

    pub(super) fn of(&mut self, lane: Lane, input: Input) {
        self.hear(Input::Of(lane, Box::new(input)));
    }

    fn perform(&mut self, lane: Lane, effect: Effect) {
        match effect {
            Effect::Open => self.open(lane),
            Effect::Send(prompt) => self.send(lane, prompt),
            Effect::Judge(_) => {
                let parks = self.world.ways.get(&lane).is_some_and(|(way, _)| *way == Way::Parks);
                let next = if parks {
                    Next::Park { until: Some(NOW.now_ms + 3_600_000) }
                } else {
                    Next::GiveUp { why: "it cannot", otherwise: Otherwise::Fail }
                };
                self.of(lane, Input::Judged(next));
            }
            // The sessions of this world end at once.
            Effect::Abort => self.of(lane, Input::Signal(Signal::Idle)),
            Effect::Wait(timer, _) => {
                self.timers.retain(|known| *known != (lane, timer.clone()));
                self.timers.push((lane, timer));
            }
            Effect::Unwait(timer) => self.timers.retain(|known| *known != (lane, timer.clone())),
            _ => {}
        }
    }

    fn open(&mut self, lane: Lane) {
        let opened = self.world.sessions.open(&self.council.turn(lane));
        self.of(lane, Input::Opened(opened));
    }

    fn send(&mut self, lane: Lane, prompt: String) {
        let wanted = wanted(&prompt);
        let before = self.world.asked.iter().filter(|(other, ..)| *other == lane).count();
        let way = self.world.ways.get(&lane).filter(|(_, from)| before >= *from);
        let way = way.map(|(way, _)| *way);
        self.world.asked.push((lane, wanted, prompt.clone()));
        if matches!(way, Some(Way::Fails | Way::Parks)) {
            let failure = Failure::new(FailureClass::Client, "it cannot");
            return self.of(lane, Input::Refused(failure));
        }
        if way == Some(Way::Hangs) {
            return self.of(lane, Input::Sent("m".to_owned()));
        }
        let answer = match way {
            Some(_) => "hm".to_owned(),
            None => self.answer(lane, wanted, &prompt),
        };
        let said = self.world.sessions.answer(&self.council.turn(lane), prompt, answer);
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

    fn answer(&mut self, lane: Lane, wanted: &str, prompt: &str) -> String {
        match wanted {
            "review" => {
                let heads = prompt.lines().filter_map(|line| line.strip_prefix("# Opinion "));
                let mut ranking: Vec<&str> = heads.collect();
                let agree = self.world.disputes == 0;
                if !agree {
                    self.world.disputes -= 1;
                    // The one after its own comes first: nobody is the first of all.
                    let own = ["A", "B", "C"].iter().position(|it| !ranking.contains(it));
                    let next = own.map_or(0, |own| own % ranking.len());
                    ranking.rotate_left(next);
                }
                serde_json::json!({"ranking": ranking, "agree": agree}).to_string()
            }
            "decision" if self.world.nonsense > 0 => {
                self.world.nonsense -= 1;
                "I would rather not".to_owned()
            }
            "decision" => serde_json::json!({
                "decision": format!("decided in lane {lane}"),
                "reasons": [],
                "confidence": self.world.confidence,
                "dissent": [],
                "next_steps": [],
            })
            .to_string(),
            _ => format!("I, MODEL-ONE or model-three, say {lane}"),
        }
    }

    pub(super) fn done(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.verdict == Verdict::Done)
    }

    pub(super) fn report(&self) -> Report {
        *self.end.clone().expect("an end").outcome.council.expect("a report")
    }

    /// How often lanes were asked for something.
    pub(super) fn count(&self, wanted: &str) -> usize {
        self.world.asked.iter().filter(|(_, it, _)| *it == wanted).count()
    }

    /// Who is missing, and at what.
    pub(super) fn missing(&self) -> Vec<(String, String)> {
        self.report().missing.into_iter().map(|it| (it.name, it.stage)).collect()
    }
}

/// What a prompt asks for.
fn wanted(prompt: &str) -> &'static str {
    let has = |words: &str| prompt.contains(words);
    if has("# Your decision") || has("cannot be read as the decision") {
        "decision"
    } else if has("# Your opinion now") {
        "revision"
    } else if has("# Your review") {
        "review"
    } else {
        "opinion"
    }
}
