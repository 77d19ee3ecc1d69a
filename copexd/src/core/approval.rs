//! May this tool do that? The approval policy of a run.
//!
//! Deny patterns win over everything, allow patterns over the mode. `workspace` is a
//! convenience and not a sandbox: a command line can always reach further than its
//! text shows.

use serde::{Deserialize, Serialize};

use super::pattern::{Pattern, begins_with_words, commands};
use super::signal::Wish;

/// The rule for what no pattern names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Inside the working folder yes; outside it, URLs and dangerous commands ask.
    #[default]
    Workspace,
    /// Everything that is not a read inside the folder asks.
    Ask,
    /// Everything is allowed.
    Auto,
    /// Everything is denied.
    Deny,
}

/// Commands that ask even inside the workspace: they reach beyond it by their nature.
pub const COMMANDS_THAT_ASK: [&str; 22] = [
    "sudo",
    "su",
    "doas",
    "pkexec",
    "git push",
    "npm publish",
    "yarn publish",
    "pnpm publish",
    "cargo publish",
    "twine upload",
    "gem push",
    "docker push",
    "gh release",
    "dd",
    "mkfs",
    "fdisk",
    "parted",
    "mount",
    "umount",
    "shutdown",
    "reboot",
    "rm -rf /",
];

/// What the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// No, with words for the agent.
    Deny(String),
    /// A person must say.
    Ask,
}

/// The policy of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    allow: Vec<Pattern>,
    deny: Vec<Pattern>,
    folder: String,
}

impl Policy {
    /// A policy for work in `folder` (absolute).
    ///
    /// # Errors
    /// The reason, when a pattern cannot be read.
    pub fn try_new(
        mode: Mode,
        allow: &[String],
        deny: &[String],
        folder: &str,
    ) -> Result<Self, String> {
        let parse = |list: &[String]| -> Result<Vec<Pattern>, String> {
            list.iter().map(|text| Pattern::parse(text)).collect()
        };
        Ok(Self { mode, allow: parse(allow)?, deny: parse(deny)?, folder: folder.to_owned() })
    }

    /// The same for work in another folder (absolute).
    pub fn within(self, folder: &str) -> Self {
        Self { folder: folder.to_owned(), ..self }
    }

    /// Decides about one wish; `always` are wishes a person allowed for the rest of the run.
    pub fn decide(&self, wish: &Wish, always: &[String]) -> Verdict {
        if let Some(pattern) = self.deny.iter().find(|pattern| pattern.touches(wish)) {
            return Verdict::Deny(format!("this run denies {pattern}"));
        }
        if self.allow.iter().any(|pattern| pattern.covers(wish)) {
            return Verdict::Allow;
        }
        if always.contains(&key(wish)) {
            return Verdict::Allow;
        }
        match self.mode {
            Mode::Auto => Verdict::Allow,
            Mode::Deny => Verdict::Deny("this run denies every tool".to_owned()),
            Mode::Ask => match wish {
                Wish::Read { path } if self.inside(path) => Verdict::Allow,
                _ => Verdict::Ask,
            },
            Mode::Workspace => self.workspace(wish),
        }
    }

    fn workspace(&self, wish: &Wish) -> Verdict {
        match wish {
            Wish::Read { path } | Wish::Write { path, .. } => {
                if self.inside(path) {
                    Verdict::Allow
                } else {
                    Verdict::Ask
                }
            }
            Wish::Shell { paths, .. } => {
                let dangerous = commands(wish).iter().any(|command| {
                    COMMANDS_THAT_ASK.iter().any(|start| begins_with_words(command, start))
                });
                let outside = paths.iter().any(|path| path.starts_with('/') && !self.inside(path));
                if dangerous || outside { Verdict::Ask } else { Verdict::Allow }
            }
            Wish::Url { .. } | Wish::Mcp { .. } | Wish::Other { .. } => Verdict::Ask,
        }
    }

    /// Whether a path lies in the working folder. `..` is resolved by its text, since
    /// the path need not exist yet; a symbolic link out of the folder is not seen here.
    fn inside(&self, path: &str) -> bool {
        let joined =
            if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.folder) };
        let mut parts: Vec<&str> = Vec::new();
        for part in joined.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                other => parts.push(other),
            }
        }
        let clean = format!("/{}", parts.join("/"));
        let folder = self.folder.trim_end_matches('/');
        clean == folder || clean.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// What "always" remembers of a wish: enough to know the same wish again.
pub fn key(wish: &Wish) -> String {
    match wish {
        Wish::Shell { .. } => {
            let words =
                |command: &String| command.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
            format!("shell:{}", commands(wish).iter().map(words).collect::<Vec<_>>().join(";"))
        }
        Wish::Write { path, .. } => format!("write:{path}"),
        Wish::Read { path } => format!("read:{path}"),
        Wish::Url { url } => {
            let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            format!("url:{}", host.split('/').next().unwrap_or(""))
        }
        Wish::Mcp { server, tool, .. } => format!("mcp:{server}:{tool}"),
        Wish::Other { kind, .. } => format!("other:{kind}"),
    }
}

/// A pattern that allows what [`key`] remembers, for a run that comes after this one; none where
/// no pattern says the same.
pub fn pattern(wish: &Wish) -> Option<String> {
    let text = match wish {
        Wish::Shell { .. } => {
            let commands = commands(wish);
            let mut words = commands.first()?.split_whitespace();
            // Of one word alone it would be a pattern for every use of the program.
            format!("shell({} {})", words.next()?, words.next()?)
        }
        Wish::Write { path, .. } => format!("write({path})"),
        Wish::Read { path } => format!("read({path})"),
        Wish::Url { .. } => {
            let key = key(wish);
            format!("url({})", key.strip_prefix("url:")?)
        }
        Wish::Mcp { server, tool, .. } => format!("{server}({tool})"),
        Wish::Other { kind, .. } => kind.clone(),
    };
    Pattern::parse(&text).is_ok_and(|pattern| pattern.covers(wish)).then_some(text)
}

/// The question about a wish: one line, and what there is to look at.
pub fn question(wish: &Wish) -> (String, String) {
    match wish {
        Wish::Shell { command, .. } => ("Run this command?".to_owned(), command.clone()),
        Wish::Write { path, diff } => (format!("Write {path}?"), diff.clone()),
        Wish::Read { path } => (format!("Read {path}?"), String::new()),
        Wish::Url { url } => (format!("Fetch {url}?"), String::new()),
        Wish::Mcp { server, tool, arguments } => {
            (format!("Call {tool} of the MCP server {server}?"), arguments.clone())
        }
        Wish::Other { kind, detail } => (format!("Allow {kind}?"), detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode, allow: &[&str], deny: &[&str]) -> Policy {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Policy::try_new(mode, &owned(allow), &owned(deny), "/repo").unwrap()
    }

    fn shell(command: &str, paths: &[&str]) -> Wish {
        Wish::Shell {
            command: command.to_owned(),
            segments: Vec::new(),
            paths: paths.iter().map(|s| (*s).to_owned()).collect(),
            urls: Vec::new(),
        }
    }

    fn read(path: &str) -> Wish {
        Wish::Read { path: path.to_owned() }
    }

    #[test]
    fn the_workspace_is_free_and_everything_else_asks() {
        let policy = policy(Mode::Workspace, &[], &[]);
        let table = [
            (read("/repo/src/a.rs"), Verdict::Allow),
            (read("src/a.rs"), Verdict::Allow),
            (read("/repo2/a"), Verdict::Ask),
            (read("/repo/../etc/passwd"), Verdict::Ask),
            (shell("cargo test", &[]), Verdict::Allow),
            (shell("cargo test && sudo rm x", &[]), Verdict::Ask),
            (shell("git push", &[]), Verdict::Ask),
            (shell("touch /etc/x", &["/etc/x"]), Verdict::Ask),
            (Wish::Url { url: "https://example.org".into() }, Verdict::Ask),
        ];
        for (wish, expected) in table {
            assert_eq!(policy.decide(&wish, &[]), expected, "{wish:?}");
        }
    }

    #[test]
    fn deny_beats_allow_and_every_mode() {
        let policy = policy(Mode::Auto, &["shell"], &["shell(git push)"]);
        assert!(matches!(policy.decide(&shell("git push", &[]), &[]), Verdict::Deny(_)));
        assert_eq!(policy.decide(&shell("git pull", &[]), &[]), Verdict::Allow);
    }

    #[test]
    fn ask_lets_only_reads_inside_through() {
        let policy = policy(Mode::Ask, &["shell(cargo:*)"], &[]);
        assert_eq!(policy.decide(&read("/repo/x"), &[]), Verdict::Allow);
        assert_eq!(policy.decide(&read("/x"), &[]), Verdict::Ask);
        assert_eq!(policy.decide(&shell("ls", &[]), &[]), Verdict::Ask);
        assert_eq!(policy.decide(&shell("cargo test", &[]), &[]), Verdict::Allow);
    }

    #[test]
    fn always_covers_the_same_wish_again_but_no_other() {
        let policy = policy(Mode::Ask, &[], &[]);
        let always = [key(&shell("git push origin", &[]))];
        assert_eq!(policy.decide(&shell("git push other", &[]), &always), Verdict::Allow);
        assert_eq!(policy.decide(&shell("git pull", &[]), &always), Verdict::Ask);
    }

    #[test]
    fn what_always_remembers_is_a_pattern_where_one_says_the_same() {
        let url = |url: &str| Wish::Url { url: url.to_owned() };
        let mcp = Wish::Mcp {
            server: "docs".to_owned(),
            tool: "search".to_owned(),
            arguments: String::new(),
        };
        let write = Wish::Write { path: "/etc/x (1)".to_owned(), diff: String::new() };
        let table = [
            (shell("git push origin main", &[]), Some("shell(git push)")),
            (shell("git push a && git push b", &[]), Some("shell(git push)")),
            (shell("git pull && git push", &[]), None),
            (shell("reboot", &[]), None),
            (shell("sudo (x", &[]), Some("shell(sudo (x)")),
            (read("/etc/passwd"), Some("read(/etc/passwd)")),
            (write, Some("write(/etc/x (1))")),
            (url("https://example.org/a"), Some("url(example.org)")),
            (mcp, Some("docs(search)")),
            (Wish::Other { kind: "memory".to_owned(), detail: String::new() }, Some("memory")),
        ];
        for (wish, expected) in table {
            let text = pattern(&wish);
            assert_eq!(text.as_deref(), expected, "{wish:?}");
            if let Some(text) = text {
                let policy = policy(Mode::Ask, &[&text], &[]);
                assert_eq!(policy.decide(&wish, &[]), Verdict::Allow, "{text}");
                assert_eq!(policy.decide(&shell("git pull", &[]), &[]), Verdict::Ask, "{text}");
            }
        }
    }
}
