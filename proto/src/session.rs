//! Copilot sessions on the disk: lists, conversations, forks, and what is wrong with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{RunId, SessionId};

/// Which sessions `session.list` gives. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionFilter {
    /// Only sessions of this absolute folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// A living process that has a session open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Whether it is a runtime of this daemon: a run in the session waits for its turn then.
    /// Another process' session can be forked, not shared.
    pub ours: bool,
}

/// A session as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionSummary {
    /// Its id.
    pub session: SessionId,
    /// The first words that the user said in it.
    pub title: String,
    /// Its working folder, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// How often the user said something. Absent where the transcript is too long to be
    /// counted for a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// When it was last written to, in Unix milliseconds.
    pub used_at: u64,
    /// What its folder takes on the disk, in bytes.
    pub size_bytes: u64,
    /// The run that used it last, unless the daemon does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The living process that has it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Holder>,
}

/// Answer to `session.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// The sessions, last used first.
    pub sessions: Vec<SessionSummary>,
    /// Whether there are more.
    pub more: bool,
}

/// Who speaks in an entry of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The user.
    User,
    /// The agent.
    Assistant,
    /// A tool that the agent called.
    Tool,
}

/// One entry of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionEntry {
    /// Who speaks.
    pub by: Speaker,
    /// When, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What was said, or what a tool was called with; at most 4,000 characters.
    pub text: String,
    /// The tool's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What the tool gave back; at most 4,000 characters. Absent while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Whether the tool succeeded. Absent while it has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Whether a text of it was cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clipped: bool,
}

/// Answer to `session.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionDetail {
    /// As a list shows it.
    pub summary: SessionSummary,
    /// Its folder on the disk.
    pub folder: String,
    /// When it began, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<u64>,
    /// The version of the Copilot CLI that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copilot_version: Option<String>,
    /// The end of the conversation, oldest entry first: at most 500 entries, of the last
    /// 4 MiB of the transcript.
    pub entries: Vec<SessionEntry>,
    /// Whether the conversation began earlier than the first entry.
    pub more: bool,
}

/// Answer to `session.fork`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForkResponse {
    /// The new session.
    pub session: SessionId,
    /// The session it was made of, which stays as it was.
    pub from: SessionId,
    /// Who made it.
    pub by: Forker,
}

/// Who made a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Forker {
    /// The Copilot CLI.
    Copilot,
    /// copexd, from what can be read of a broken session.
    Copex,
}

/// Answer to `session.delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeletedSession {
    /// The session that is gone.
    pub session: SessionId,
    /// What it took on the disk, in bytes.
    pub freed_bytes: u64,
}

/// How much a fault matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The Copilot CLI does not open the session.
    Breaks,
    /// The Copilot CLI opens it without what cannot be read, and does not fork it.
    Loses,
    /// The Copilot CLI looks after it by itself.
    Harmless,
}

/// Something that is wrong with a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionFinding {
    /// A stable name: `torn_end`, `nul_bytes`, `unreadable_line`, `misfit_event`,
    /// `no_start`, `no_events`, `unused`, `open_tool`, `dead_lock`, `workspace_missing`,
    /// `workspace_unreadable`.
    pub fault: String,
    /// How much it matters.
    pub severity: Severity,
    /// The first line of the transcript that has it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// How many times it is there.
    pub count: u64,
    /// What it is, in words.
    pub message: String,
}

/// How a session stands after a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Nothing that matters is wrong.
    Sound,
    /// It wants a repair.
    Broken,
    /// It was broken and is sound now.
    Repaired,
    /// It is open in another process and stays as it is; what can be read of it is in a fork.
    Forked,
    /// Nothing of its conversation can be read.
    Lost,
}

/// What was found in one session, and done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionHealth {
    /// The session.
    pub session: SessionId,
    /// How it stands now.
    pub state: SessionState,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<SessionFinding>,
    /// The files as they were, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backups: Vec<String>,
    /// The fork that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<SessionId>,
    /// Why nothing was done, and the way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Answer to `session.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionsReport {
    /// Sessions that something was found in; the one that was named in any case.
    pub sessions: Vec<SessionHealth>,
    /// How many were looked at.
    pub checked: u64,
}
