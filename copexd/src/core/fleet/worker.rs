//! Who carries a task out: a turn, or a loop until its checks are green.

use super::progress::TaskProgress;
use super::{Fleet, TaskSpec};
use crate::core::chat::{self, Chat, ChatSpec};
use crate::core::machine::{Effect, Input, Lane, Machine as _};
use crate::core::moment::Moment;
use crate::core::ralph::{Context, Ralph, RalphSpec};

/// Who carries a task out.
#[derive(Debug)]
pub(super) enum Worker {
    Chat(Box<Chat>),
    Ralph(Box<Ralph>),
}

impl Worker {
    pub(super) fn handle(&mut self, input: Input, moment: Moment) -> Vec<Effect> {
        match self {
            Self::Chat(chat) => chat.handle(input, moment),
            Self::Ralph(ralph) => ralph.handle(input, moment),
        }
    }

    /// Closes what it left open, when it has ended.
    pub(super) fn close(&mut self) -> Vec<Effect> {
        match self {
            Self::Chat(chat) => chat.close(),
            // It has done so itself.
            Self::Ralph(_) => Vec::new(),
        }
    }

    /// How its present turn stands.
    pub(super) fn turn(&self) -> chat::Progress {
        match self {
            Self::Chat(chat) => chat.progress(),
            Self::Ralph(ralph) => ralph.progress().turn,
        }
    }

    /// Puts where it stands into the task's progress.
    pub(super) fn store(&self, task: &mut TaskProgress) {
        match self {
            Self::Chat(chat) => task.chat = Some(Box::new(chat.progress())),
            Self::Ralph(ralph) => task.ralph = Some(Box::new(ralph.progress())),
        }
    }

    /// Whether it ended because its own limits were reached or the agent is blocked.
    pub(super) fn gave_up(&self) -> bool {
        match self {
            Self::Chat(_) => false,
            Self::Ralph(ralph) => ralph.gave_up(),
        }
    }
}

impl Fleet {
    /// The worker of a task, where it stands.
    pub(super) fn worker(&self, lane: Lane) -> Option<Worker> {
        let task = self.task(lane)?;
        let known = self.progress.tasks.get(&lane)?;
        if let Some(united) = self.united(lane) {
            let progress = known.chat.as_deref().cloned().unwrap_or_default();
            let chat = Chat::restored(self.resolver(lane, task, united), progress);
            return Some(Worker::Chat(Box::new(chat)));
        }
        let prompt = self.prompt(lane);
        // The fleet keeps the time, and has told what there is to tell.
        let mut chat =
            ChatSpec { max_duration_ms: None, warnings: Vec::new(), ..task.chat.clone() };
        if let Some(folder) = known.folder.as_deref().filter(|_| self.apart(lane)) {
            chat.policy = chat.policy.within(folder);
        }
        if task.gates.is_empty() {
            let progress = known.chat.as_deref().cloned().unwrap_or_default();
            let chat = Chat::restored(ChatSpec { prompt, ..chat }, progress);
            return Some(Worker::Chat(Box::new(chat)));
        }
        let progress = known.ralph.as_deref().cloned().unwrap_or_default();
        let ralph = Ralph::restored(looped(task, chat, prompt), progress);
        Some(Worker::Ralph(Box::new(ralph)))
    }
}

fn looped(task: &TaskSpec, chat: ChatSpec, prompt: String) -> RalphSpec {
    RalphSpec {
        chat,
        task: prompt,
        promise: None,
        gates: task.gates.clone(),
        gate_timeout_ms: task.gate_timeout_ms,
        max_iterations: task.max_iterations,
        context: Context::Same,
        max_errors: task.max_errors,
        delay_ms: 0,
        commit: None,
        pause: false,
    }
}
