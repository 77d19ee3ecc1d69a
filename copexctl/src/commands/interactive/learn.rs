//! Names that only the daemon knows, for Tab at the prompt.

use std::time::Duration;

use copex_proto::health::ModelList;
use copex_proto::skill::SkillList;
use serde_json::json;

use super::Desk;
use crate::commands::models;
use crate::connect::Connection;
use crate::skills;

/// How long the one prompt that asks may wait for each answer: they take milliseconds, and a
/// machine that is busy longer than this must not keep a person from typing.
const PATIENCE: Duration = Duration::from_secs(2);

impl Desk {
    /// Asks once, when the first turn was made: the daemon is up then, and its answers are at
    /// hand. What does not come in time is not completed; nothing else depends on it.
    pub(super) fn learn(&mut self) {
        if self.learned || self.conversation.session_id().is_none() {
            return;
        }
        self.learned = true;
        let (ctx, settings) = (&self.conversation.ctx, &self.conversation.settings);
        let Ok(Some(mut connection)) = Connection::running(ctx) else { return };
        connection.patience(PATIENCE);
        let query = skills::query(ctx, settings);
        let skills = connection.call::<SkillList>("skill.list", &json!({ "query": query }));
        let models = json!({ "query": models::query(ctx, settings) });
        let models = connection.call::<ModelList>("model.list", &models);
        let Ok(mut known) = self.known.lock() else { return };
        if let Ok(list) = skills {
            known.skills = list.skills.into_iter().map(|it| (it.name, it.description)).collect();
        }
        if let Ok(list) = models {
            known.models = list.models.into_iter().map(|it| it.id).collect();
        }
    }
}
