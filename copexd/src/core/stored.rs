//! A run's checkpoint as it is stored, whatever its mode.

use super::{chat, ralph};

/// The field that names the mode; a chat's checkpoint has none.
const MODE: &str = "mode";

/// A checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Of a chat.
    Chat(Box<chat::Progress>),
    /// Of a loop.
    Ralph(Box<ralph::Progress>),
}

impl Stored {
    /// Reads a checkpoint; nothing where it cannot be read.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        if value[MODE] == "ralph" {
            return serde_json::from_value(value).ok().map(Self::Ralph);
        }
        serde_json::from_value(value).ok().map(Self::Chat)
    }

    /// The checkpoint for the store.
    pub fn value(&self) -> serde_json::Value {
        match self {
            Self::Chat(progress) => serde_json::to_value(progress).unwrap_or_default(),
            Self::Ralph(progress) => {
                let mut value = serde_json::to_value(progress).unwrap_or_default();
                value[MODE] = "ralph".into();
                value
            }
        }
    }

    /// The present turn.
    pub fn turn(&self) -> &chat::Progress {
        match self {
            Self::Chat(progress) => progress,
            Self::Ralph(progress) => &progress.turn,
        }
    }

    /// Where an ended run stands for the run that goes on with it.
    pub fn taken_up(self) -> Self {
        match self {
            Self::Chat(progress) => Self::Chat(Box::new(progress.taken_up())),
            Self::Ralph(progress) => Self::Ralph(Box::new(progress.taken_up())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let chat = chat::Progress { sent: true, asked: 3, ..chat::Progress::default() };
        let ralph = ralph::Progress {
            iteration: 4,
            stage: ralph::Stage::Pausing { until: 7 },
            turn: chat.clone(),
            ..ralph::Progress::default()
        };
        for stored in [Stored::Chat(Box::new(chat)), Stored::Ralph(Box::new(ralph))] {
            let bytes = serde_json::to_vec(&stored.value()).unwrap();
            assert_eq!(Stored::read(&bytes), Some(stored));
        }
    }

    #[test]
    fn checkpoints_of_earlier_versions_are_chats() {
        let old = br#"{"sent":true,"session":"s","user_messages":2}"#;
        let Some(Stored::Chat(progress)) = Stored::read(old) else { panic!() };
        assert_eq!((progress.sent, progress.user_messages), (true, 2));
        assert_eq!(Stored::read(b"{"), None);
    }
}
