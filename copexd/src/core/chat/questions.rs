//! Questions that only a person may answer: asked, answered, and never asked twice.

use serde::{Deserialize, Serialize};

use super::Chat;
use super::Phase;
use crate::core::approval;
use crate::core::machine::{Decision, Effect, Fact, Question, Reply, Resolution, Timer};
use crate::core::moment::Moment;
use crate::core::signal::Wish;
use crate::core::turn;

/// A question that waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenQuestion {
    /// Its name.
    pub ask: String,
    /// The backend's request.
    pub request: String,
    /// What it is about, when it is about a tool.
    pub wish: Option<Wish>,
    /// When it counts as denied.
    pub expires_at: u64,
}

impl Chat {
    /// Questions that died with the last attempt are closed, so that nobody answers them in
    /// vain; where the agent still wants to know, it asks again.
    pub(super) fn drop_questions(&mut self, still_wait: &[String]) -> Vec<Effect> {
        let dead = |open: &mut OpenQuestion| !still_wait.contains(&open.request);
        let dead: Vec<_> = self.progress.open.extract_if(.., dead).collect();
        let mut effects = Vec::new();
        for OpenQuestion { ask, .. } in dead {
            effects.push(Effect::Unwait(Timer::Ask(ask.clone())));
            let answer = Reply::Deny(Some("withdrawn: the agent was interrupted".to_owned()));
            let resolution = Resolution { ask, answer, by_client: false };
            effects.push(Effect::Emit(Fact::Answered(resolution)));
        }
        effects
    }

    pub(super) fn permission(
        &mut self,
        request: String,
        wish: Wish,
        moment: Moment,
    ) -> Vec<Effect> {
        match self.spec.policy.decide(&wish, &self.progress.always) {
            approval::Verdict::Allow => {
                return vec![Effect::Decide { request, decision: Decision::Allow }];
            }
            approval::Verdict::Deny(why) => {
                let (title, detail) = approval::question(&wish);
                let message = format!("{why} ({title} {})", turn::clip(&detail, 200));
                return vec![
                    Effect::Emit(Fact::Warning { code: "tool_denied".to_owned(), message }),
                    Effect::Decide { request, decision: Decision::Deny(why) },
                ];
            }
            approval::Verdict::Ask => {}
        }
        // The same question may come again after a restart: a recorded answer is never
        // asked for twice, and a waiting question keeps its name.
        if let Some(at) = self.progress.decided.iter().position(|(known, _)| *known == wish) {
            let (_, reply) = self.progress.decided.remove(at);
            return vec![
                Effect::Checkpoint,
                Effect::Decide { request, decision: decision_of(&reply) },
            ];
        }
        let waiting = self.progress.open.iter_mut().find(|open| open.wish.as_ref() == Some(&wish));
        if let Some(open) = waiting {
            open.request = request;
            let left = open.expires_at.saturating_sub(moment.now_ms);
            let timer = Timer::Ask(open.ask.clone());
            return vec![Effect::Checkpoint, Effect::Emit(Fact::Asking), Effect::Wait(timer, left)];
        }
        let question = approval::question(&wish);
        self.ask(request, Some(wish), question, Vec::new(), moment)
    }

    pub(super) fn ask(
        &mut self,
        request: String,
        wish: Option<Wish>,
        (title, detail): (String, String),
        choices: Vec<String>,
        moment: Moment,
    ) -> Vec<Effect> {
        self.progress.asked += 1;
        let ask = format!("{}-{}", self.spec.asks, self.progress.asked);
        let expires_at = moment.now_ms + self.spec.ask_timeout_ms;
        let permission = wish.is_some();
        let always = wish.as_ref().and_then(approval::pattern);
        self.progress.open.push(OpenQuestion { ask: ask.clone(), request, wish, expires_at });
        let detail = turn::clip(&detail, turn::TOOL_RESULT_BYTES);
        let question = Question {
            ask: ask.clone(),
            permission,
            approval: false,
            title,
            detail,
            choices,
            always,
            expires_at,
        };
        vec![
            Effect::Emit(Fact::Ask(question)),
            Effect::Emit(Fact::Asking),
            Effect::Checkpoint,
            Effect::Unwait(Timer::Idle),
            Effect::Wait(Timer::Ask(ask), self.spec.ask_timeout_ms),
        ]
    }

    pub(super) fn answered(&mut self, resolution: Resolution, moment: Moment) -> Vec<Effect> {
        let Some(at) = self.progress.open.iter().position(|open| open.ask == resolution.ask) else {
            return Vec::new();
        };
        let open = self.progress.open.remove(at);
        let reply = resolution.answer.clone();
        let mut effects =
            vec![Effect::Unwait(Timer::Ask(open.ask)), Effect::Emit(Fact::Answered(resolution))];
        if self.progress.open.is_empty() {
            effects.push(Effect::Emit(Fact::Running));
        }
        let working = self.phase == Phase::Working;
        if let Some(wish) = open.wish {
            if reply == Reply::AllowAlways {
                self.progress.always.push(approval::key(&wish));
            }
            let decision = decision_of(&reply);
            if !working {
                // The backend is away just now; it will ask again, and this answer counts.
                self.progress.decided.push((wish, reply));
            }
            effects.push(Effect::Checkpoint);
            if working {
                effects.push(Effect::Decide { request: open.request, decision });
            }
        } else {
            let text = if let Reply::Text(text) = reply { Some(text) } else { None };
            if Self::is_about_loss(&open.request) {
                effects.extend(self.lost_answered(text.as_deref(), moment));
                return effects;
            }
            effects.push(Effect::Checkpoint);
            effects.push(Effect::Reply { request: open.request, text });
        }
        effects
    }
}

fn decision_of(reply: &Reply) -> Decision {
    match reply {
        Reply::Allow | Reply::AllowAlways => Decision::Allow,
        Reply::Deny(feedback) => {
            Decision::Deny(feedback.clone().unwrap_or_else(|| "the user said no".to_owned()))
        }
        Reply::Text(text) => Decision::Deny(text.clone()),
    }
}
