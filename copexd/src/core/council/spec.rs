//! What a council needs to know of its request.

use crate::core::chat::ChatSpec;

/// A chair that is less sure than this is asked again, where that is wanted.
pub const SURE: f64 = 0.7;

/// What a council needs to know of its request.
#[derive(Debug, Clone)]
pub struct CouncilSpec {
    /// What holds for the whole run.
    pub chat: ChatSpec,
    /// What is to be decided.
    pub task: String,
    /// Words for everybody beside it.
    pub shared_context: Option<String>,
    /// What the members look at first.
    pub preset: Option<Preset>,
    /// The members. At least two.
    pub members: Vec<Chair>,
    /// Who decides.
    pub chair: Chair,
    /// The same at a higher effort, where a chair that is not sure is asked again.
    pub escalation: Option<Chair>,
    /// Opinions without which nothing is decided. From 1 to the number of members.
    pub quorum: usize,
    /// How long the others have once the quorum is there, in milliseconds; anew after each end.
    pub straggler_ms: u64,
    /// How long a model may take to its first word, in milliseconds: while nobody has answered,
    /// nobody is late sooner.
    pub first_word_ms: u64,
    /// Members at work at once. At least 1.
    pub max_concurrent: usize,
    /// Rounds of debate, at most.
    pub debate: u32,
    /// From which the letters of the opinions follow.
    pub seed: u64,
}

/// Somebody who sits in the council.
#[derive(Debug, Clone)]
pub struct Chair {
    /// Its name in the log.
    pub name: String,
    /// The models that it may be, by name.
    pub models: Vec<String>,
    /// What each of its turns needs; the prompt is made anew for each.
    pub chat: ChatSpec,
}

impl Chair {
    /// Everything that would give it away.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().chain([&self.name]).map(String::as_str)
    }
}

/// What the members of a council look at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// What an attacker could do.
    Security,
    /// Structure, boundaries, growth.
    Architecture,
    /// Simpler code that does the same.
    Refactor,
    /// Whether a change is right.
    Review,
}
