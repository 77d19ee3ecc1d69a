//! Sessions that are played, for tests of machines that drive chats.

use super::approval::{Mode, Policy};
use super::chat::{ChatSpec, Choice, OnLostSession, Progress};
use super::machine::{Found, Opened};
use super::signal::Signal;

/// What a chat needs whose questions begin so, on a model of this name.
pub(super) fn chat_spec(asks: &str, label: &str) -> ChatSpec {
    ChatSpec {
        run: "r".to_owned(),
        asks: asks.to_owned(),
        prompt: String::new(),
        compact: false,
        policy: Policy::try_new(Mode::Workspace, &[], &[], "/repo").unwrap(),
        choices: vec![Choice { label: label.to_owned(), ..Choice::default() }],
        strict_model: false,
        idle_ms: 300_000,
        ask_timeout_ms: 1_000,
        patient: true,
        max_duration_ms: None,
        on_lost_session: OnLostSession::Ask,
        warnings: Vec::new(),
    }
}

/// Prompts of each session, with their answers. They outlast a crash.
#[derive(Debug, Default)]
pub(super) struct Sessions(Vec<Vec<(String, String)>>);

impl std::ops::Deref for Sessions {
    type Target = Vec<Vec<(String, String)>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Sessions {
    /// Opens the session of a turn, and says what it has of it.
    pub(super) fn open(&mut self, turn: &Progress) -> Opened {
        let known = turn.session.as_ref().and_then(|it| it.parse::<usize>().ok());
        let session = known.unwrap_or_else(|| {
            self.0.push(Vec::new());
            self.0.len() - 1
        });
        let messages = &self.0[session];
        let before = usize::try_from(turn.user_messages).unwrap();
        let found = match messages.get(before) {
            Some((_, answer)) if turn.sent => Found::Finished { messages: vec![answer.clone()] },
            _ => Found::Nothing,
        };
        let user_messages = match found {
            Found::Nothing => messages.len() as u64,
            _ => turn.user_messages,
        };
        Opened {
            session: session.to_string(),
            user_messages,
            backend: "scripted".to_owned(),
            found,
            candidate: 0,
            reason: None,
            can_rerun: true,
            can_steer: true,
            said: Vec::new(),
            repaired: None,
        }
    }

    /// Answers a prompt in the session of a turn: what the machine hears of it.
    pub(super) fn answer(
        &mut self,
        turn: &Progress,
        prompt: String,
        answer: String,
    ) -> [Signal; 2] {
        let session: usize = turn.session.as_ref().unwrap().parse().unwrap();
        self.0[session].push((prompt, answer.clone()));
        [Signal::Message { text: answer, answers: Some("m".to_owned()) }, Signal::Idle]
    }
}
