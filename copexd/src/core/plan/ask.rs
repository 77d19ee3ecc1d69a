//! Questions to a person: is the plan good, and what to do where it does not go on.

use super::progress::{About, Ending, Stage, StepProgress, Waiting};
use super::{Filing, OnFailure, Plan, prompt};
use crate::core::failure::{Failure, FailureClass};
use crate::core::machine::{Effect, Fact, Question, Reply, Resolution, Timer};
use crate::core::moment::Moment;
use crate::core::plan::Mark;
use crate::core::turn::clip;

/// Bytes of the reason in a question's title; all of it stands in the detail.
const REASON_BYTES: usize = 160;

impl Plan {
    /// Asks whether the plan is good; `problem` is what was wrong with it just now.
    pub(super) fn ask_for_review(&mut self, problem: Option<&str>, moment: Moment) -> Vec<Effect> {
        self.progress.stage = Stage::Reviewing;
        let file = self.file();
        let title = match problem {
            Some(problem) => format!("The plan cannot be read, {problem}: mend {file}"),
            None => "Carry out this plan?".to_owned(),
        };
        let detail = format!("{}\n({file})", self.progress.outline.text.trim_end());
        self.ask(About::Review, title, detail, &[], moment)
    }

    /// Asks what to do about a file that cannot be read.
    pub(super) fn ask_about_file(&mut self, problem: &str, moment: Moment) -> Vec<Effect> {
        let file = self.file();
        if self.spec.on_failure == OnFailure::Stop {
            let hint = format!("mend it, then `copexctl runs resume {}`", self.spec.chat.run);
            let message = format!("the plan {file} cannot be read, {problem}");
            let failure = Failure::new(FailureClass::Usage, message).with_hint(hint);
            return self.end_with(Ending::Blocked(failure), moment);
        }
        let title = format!("The plan cannot be read, {problem}: mend {file}");
        self.ask(About::Broken, title, String::new(), &["read again", "restore", "stop"], moment)
    }

    /// Asks what to do about a step that failed.
    pub(super) fn ask_about_step(
        &mut self,
        number: u32,
        why: &Failure,
        moment: Moment,
    ) -> Vec<Effect> {
        let waiting = self.blocked_by(number);
        let numbers: Vec<String> = waiting.iter().map(u32::to_string).collect();
        let wait = match numbers.as_slice() {
            [] => String::new(),
            numbers => format!("\nSteps that wait for it: {}", numbers.join(", ")),
        };
        let reason = clip(&why.message, REASON_BYTES);
        let whole = if reason == why.message { "" } else { why.message.as_str() };
        let detail = format!("{whole}{wait}\nThe plan: {}", self.file());
        let detail = detail.trim_start().to_owned();
        let title = format!("Step {number} failed: {reason}");
        let choices = ["retry", "skip", "edit the plan, then go on", "stop"];
        self.ask(About::Failed(number), title, detail, &choices, moment)
    }

    fn ask(
        &mut self,
        about: About,
        title: String,
        detail: String,
        choices: &[&str],
        moment: Moment,
    ) -> Vec<Effect> {
        self.progress.asked += 1;
        let ask = format!("{}-{}", self.spec.chat.run, self.progress.asked);
        let timeout = self.spec.chat.ask_timeout_ms;
        let expires_at = moment.now_ms.saturating_add(timeout);
        self.progress.question = Some(Waiting { ask: ask.clone(), about, expires_at });
        let question = Question {
            ask: ask.clone(),
            permission: false,
            approval: about == About::Review,
            title,
            detail,
            choices: choices.iter().map(|it| (*it).to_owned()).collect(),
            always: None,
            expires_at,
        };
        vec![
            Effect::Emit(Fact::Ask(question)),
            Effect::Emit(Fact::Asking),
            Effect::Checkpoint,
            Effect::Wait(Timer::Ask(ask), timeout),
        ]
    }

    /// Whether this is the question that waits.
    pub(super) fn asks(&self, ask: &str) -> bool {
        self.progress.question.as_ref().is_some_and(|waiting| waiting.ask == ask)
    }

    /// Closes the question that waits, if one does, since the run ends.
    pub(super) fn withdraw(&mut self) -> Vec<Effect> {
        let Some(Waiting { ask, .. }) = self.progress.question.take() else { return Vec::new() };
        let answer = Reply::Deny(Some("withdrawn: the run ends".to_owned()));
        let resolution = Resolution { ask: ask.clone(), answer, by_client: false };
        vec![Effect::Unwait(Timer::Ask(ask)), Effect::Emit(Fact::Answered(resolution))]
    }

    /// A person answered the question that waits, or nobody did in time.
    pub(super) fn answered(&mut self, resolution: Resolution, moment: Moment) -> Vec<Effect> {
        let Some(Waiting { ask, about, .. }) = self.progress.question.take() else {
            return Vec::new();
        };
        let (reply, in_time) = (resolution.answer.clone(), resolution.by_client);
        let mut effects = vec![
            Effect::Unwait(Timer::Ask(ask)),
            Effect::Emit(Fact::Answered(resolution)),
            Effect::Emit(Fact::Running),
        ];
        effects.extend(match about {
            About::Review => self.reviewed(reply, moment),
            About::Broken => self.mended(&reply, in_time, moment),
            About::Failed(number) => self.decided(number, &reply, moment),
        });
        effects
    }

    fn reviewed(&mut self, reply: Reply, moment: Moment) -> Vec<Effect> {
        match reply {
            Reply::Allow | Reply::AllowAlways => self.reread(Stage::Approving),
            Reply::Deny(why) => {
                let why = why.map(|why| format!(": {why}")).unwrap_or_default();
                let message = format!("the plan was not approved{why}");
                let run = &self.spec.chat.run;
                let hint = format!("`copexctl runs resume {run}` asks again");
                let failure = Failure::new(FailureClass::Unknown, message).with_hint(hint);
                self.progress.stage = Stage::Loading;
                self.end_with(Ending::Blocked(failure), moment)
            }
            Reply::Text(words) => match words.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" | "approve" | "ok" => self.reread(Stage::Approving),
                "n" | "no" | "reject" => self.reviewed(Reply::Deny(None), moment),
                _ => self.reread(Stage::Rereading { words }),
            },
        }
    }

    fn reread(&mut self, stage: Stage) -> Vec<Effect> {
        self.progress.stage = stage;
        let mut effects = vec![Effect::Checkpoint];
        effects.extend(self.load());
        effects
    }

    fn mended(&mut self, reply: &Reply, in_time: bool, moment: Moment) -> Vec<Effect> {
        let word = match reply {
            Reply::Allow | Reply::AllowAlways => "read",
            Reply::Text(text) => first_word(text).0,
            Reply::Deny(_) => "stop",
        };
        match word.to_ascii_lowercase().as_str() {
            "stop" => {
                let nobody = if in_time { "" } else { ", and nobody mended it in time" };
                let message = format!("the plan {} cannot be read{nobody}", self.file());
                let failure = Failure::new(FailureClass::Usage, message);
                self.end_with(Ending::Blocked(failure), moment)
            }
            "restore" => {
                self.filing = Some(Filing::Write);
                let outline = self.progress.outline.clone();
                vec![Effect::Checkpoint, Effect::WritePlan { file: self.file(), outline }]
            }
            _ => {
                let mut effects = vec![Effect::Checkpoint];
                effects.extend(self.next_file_work());
                effects
            }
        }
    }

    fn decided(&mut self, number: u32, reply: &Reply, moment: Moment) -> Vec<Effect> {
        let text = match reply {
            Reply::Allow | Reply::AllowAlways => "retry",
            Reply::Text(text) => text.trim(),
            Reply::Deny(_) => "stop",
        };
        let (word, rest) = first_word(text);
        let step = self.progress.steps.entry(number).or_default();
        match word.to_ascii_lowercase().as_str() {
            "stop" => {
                let ending = step.failed.clone();
                return match ending {
                    Some(ending) => self.end_with(ending, moment),
                    None => self.advance(moment),
                };
            }
            "skip" => {
                step.failed = None;
                step.ralph = None;
                self.set_mark(number, Mark::Skipped);
            }
            "edit" => step.try_again(""),
            "retry" => step.try_again(rest),
            // Whatever else is said is said to whoever tries it again.
            _ => step.try_again(text),
        }
        let mut effects = self.tell_steps();
        effects.push(Effect::Checkpoint);
        // The plan may have been edited meanwhile.
        effects.extend(self.next_file_work());
        effects
    }
}

impl StepProgress {
    /// Forgets that it failed, and goes on where it was.
    fn try_again(&mut self, words: &str) {
        self.failed = None;
        if let Some(ralph) = self.ralph.take() {
            let mut ralph = ralph.taken_up();
            if !words.is_empty() {
                ralph.feedback.push_str(&prompt::advice(words));
            }
            self.ralph = Some(Box::new(ralph));
        }
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word.trim_end_matches([':', ',']), rest.trim())
}
