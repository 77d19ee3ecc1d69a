//! The command lines of `skills` and `mcp`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `skills`.
#[derive(Debug, Subcommand)]
pub(crate) enum SkillsCommand {
    /// List skills in the order in which they win, and what keeps one from being offered.
    List {
        /// Where to look.
        #[command(flatten)]
        folders: SkillFolders,
    },
    /// Show a skill: where it is from, what it shadows, and its text.
    Show {
        /// The skill.
        name: String,
        /// Where to look.
        #[command(flatten)]
        folders: SkillFolders,
    },
}

/// Where skills are looked for; the same as in a run.
#[derive(Debug, Args)]
pub(crate) struct SkillFolders {
    /// Folder that holds skills, or is one.
    #[arg(short = 'S', long = "skill-dir", value_name = "DIR")]
    pub(crate) skill_dir: Vec<PathBuf>,
    /// Skill that is not offered.
    #[arg(long, value_name = "NAME")]
    pub(crate) disable_skill: Vec<String>,
    /// Skill that is offered, and no other.
    #[arg(long, value_name = "NAME")]
    pub(crate) skill: Vec<String>,
    /// Do not look in the usual folders.
    #[arg(long, alias = "no-auto")]
    pub(crate) no_auto_skills: bool,
    /// Working folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Configuration file instead of the user's own.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `mcp`.
#[derive(Debug, Subcommand)]
pub(crate) enum McpCommand {
    /// List servers and where they are from. Nothing is started.
    List {
        /// Where they are described.
        #[command(flatten)]
        from: McpFrom,
    },
    /// Start servers as a run would, list their tools and time it. Exit 1 when one fails.
    Check {
        /// Only these; all when absent.
        name: Vec<String>,
        /// Seconds that each may take to start, 60 at most.
        #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
        timeout: f64,
        /// Where they are described.
        #[command(flatten)]
        from: McpFrom,
    },
}

/// Where servers are described; the same as in a run.
#[derive(Debug, Args)]
pub(crate) struct McpFrom {
    /// MCP servers: a JSON file as the Copilot CLI, VS Code or Python copex write it, or JSON.
    #[arg(long, value_name = "PATH|JSON")]
    pub(crate) mcp_config: Vec<String>,
    /// Working folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Configuration file instead of the user's own.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// One JSON object on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}
