//! Skills: what a folder tells an agent to do well, as `NAME/SKILL.md`.
//!
//! Folders are in order, and the first skill of a name wins, as in the Copilot CLI. A folder
//! that has a `SKILL.md` itself is one skill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the file that makes a folder a skill.
pub const SKILL_FILE: &str = "SKILL.md";

/// Where `skill.list` and `skill.get` look, as a run would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SkillQuery {
    /// Absolute folders that hold skills, those that come first win. At most 256.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skill_directories: Vec<String>,
    /// Skills that are not offered, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disabled_skills: Vec<String>,
    /// Only these are offered, by name. Absent: every one that is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<Vec<String>>,
}

/// Whether a skill is offered to the agent, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SkillState {
    /// It is.
    Offered,
    /// A folder that comes earlier has one of the same name.
    Shadowed,
    /// It is left out by name.
    Disabled,
    /// Others are named, and it is not among them.
    NotNamed,
}

/// A skill as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkillInfo {
    /// Its name.
    pub name: String,
    /// What it is for, in the words that the agent is told.
    pub description: String,
    /// Its file.
    pub path: String,
    /// The folder of the query that holds it.
    pub directory: String,
    /// Whether it is offered.
    pub state: SkillState,
    /// The file that is taken in its place, where it is shadowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadowed_by: Option<String>,
}

/// A folder or file that is no skill, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkillProblem {
    /// Which.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// Answer to `skill.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkillList {
    /// The skills, in the order of their folders, then by name.
    pub skills: Vec<SkillInfo>,
    /// What is no skill. A run goes on without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<SkillProblem>,
}

/// Answer to `skill.get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkillDetail {
    /// The one that is taken.
    pub skill: SkillInfo,
    /// Its file, whole.
    pub text: String,
    /// Those of the same name that it shadows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<SkillInfo>,
}
