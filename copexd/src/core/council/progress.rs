//! What a council must know after a crash.

use serde::{Deserialize, Serialize};

use super::report::{Decision, Review};
use crate::core::chat;
use crate::core::machine::Outcome;
use crate::core::plan::Ending;

/// The stored part of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// From which the letters of the opinions follow.
    pub seed: Option<u64>,
    /// Rounds of debate that were begun.
    pub round: u32,
    /// The members, in their order.
    pub members: Vec<Member>,
    /// When those who are at work are late, in Unix milliseconds.
    pub late_at: Option<u64>,
    /// The chair's turn.
    pub chair: chat::Progress,
    /// Why the chair's last answer was no decision.
    pub unreadable: Option<String>,
    /// The chair's decision.
    pub decision: Option<Decision>,
    /// The chair's second turn, at a higher effort.
    pub escalation: chat::Progress,
    /// Whether the decision is that of the second turn.
    pub escalated: bool,
    /// What all turns of this run that ended took together.
    pub sum: Outcome,
    /// How the run ends once the turns that are at work have ended.
    pub ending: Option<Ending>,
    /// When the run must be over, in Unix milliseconds.
    pub deadline: Option<u64>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing yet.
    #[default]
    New,
    /// The members give their opinions.
    Opinions,
    /// They judge each other.
    Reviews,
    /// They may change their opinions.
    Revisions,
    /// The chair decides.
    Chair,
    /// The chair decides again, at a higher effort.
    Escalation,
}

impl Stage {
    /// What is made in it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New | Self::Opinions => "opinion",
            Self::Reviews => "review",
            Self::Revisions => "revision",
            Self::Chair | Self::Escalation => "decision",
        }
    }
}

/// A member.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Member {
    /// Its part in the present stage.
    pub part: Part,
    /// Its turn: the present one, or where the next begins.
    pub turn: chat::Progress,
    /// Whether the present turn begins a session: it is told everything then.
    pub fresh: bool,
    /// The letter of its opinion.
    pub label: Option<String>,
    /// Its opinion, clipped.
    pub opinion: Option<String>,
    /// Its review of the others.
    pub review: Option<Review>,
    /// What of it did not come.
    pub missing: Vec<Missed>,
}

/// A member's part in a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// None.
    #[default]
    None,
    /// It waits until there is room.
    Waiting,
    /// It is at work.
    Working,
    /// It has done what was wanted.
    Done,
}

/// Something that did not come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// In which stage.
    pub stage: Stage,
    /// How its turn ended.
    pub ending: Ending,
}

impl Progress {
    /// The present turn: that of the chair, else of the first member at work.
    pub fn turn(&self) -> &chat::Progress {
        let at_work = self.members.iter().find(|member| member.part == Part::Working);
        match (self.stage, at_work) {
            (Stage::Escalation, _) => &self.escalation,
            (_, Some(member)) => &member.turn,
            _ => &self.chair,
        }
    }

    /// Where an ended council stands for the run that goes on with it: what was said stays,
    /// what is missing is asked for again, and nothing of what the ended run spent, asked or
    /// allowed counts.
    pub fn taken_up(self) -> Self {
        let stage = self.stage;
        let member = |member: Member| {
            let part = match (stage, &member) {
                (Stage::Opinions, Member { opinion: Some(_), .. })
                | (Stage::Reviews, Member { review: Some(_), .. })
                | (Stage::Revisions, Member { part: Part::Done, .. }) => Part::Done,
                (Stage::Opinions, _)
                | (Stage::Reviews | Stage::Revisions, Member { opinion: Some(_), .. }) => {
                    Part::Waiting
                }
                _ => Part::None,
            };
            let again = |missed: &Missed| part != Part::Waiting || missed.stage != stage;
            let missing = member.missing.iter().filter(|it| again(it)).cloned().collect();
            Member { part, turn: member.turn.taken_up(), missing, ..member }
        };
        Self {
            stage,
            seed: self.seed,
            round: self.round,
            members: self.members.into_iter().map(member).collect(),
            chair: self.chair.taken_up(),
            decision: self.decision,
            escalation: self.escalation.taken_up(),
            ..Self::default()
        }
    }
}
