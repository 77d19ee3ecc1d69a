//! Tool patterns, in the syntax of the Copilot CLI's `--allow-tool` and `--deny-tool`.
//!
//! `shell` any command · `shell(git push)` that command, with any further arguments ·
//! `shell(git:*)` every command that begins with `git` · `write`, `write(PATH)` ·
//! `read` · `url`, `url(HOST)` · `SERVER` every tool of that MCP server ·
//! `SERVER(TOOL)` one of them.

use super::signal::Wish;

/// One parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    kind: String,
    argument: Option<String>,
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.argument {
            Some(argument) => write!(f, "{}({argument})", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// The reason, when the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let fail = |why: &str| Err(format!("`{text}` is not a tool pattern: {why}"));
        if text.is_empty() {
            return fail("it is empty; use for example `shell(git push)` or `write`");
        }
        let Some((kind, rest)) = text.split_once('(') else {
            if text.contains(')') {
                return fail("the `(` is missing");
            }
            return Ok(Self { kind: text.to_owned(), argument: None });
        };
        let Some(argument) = rest.strip_suffix(')') else {
            return fail("the `)` at the end is missing");
        };
        if kind.is_empty() {
            return fail("nothing stands before the `(`");
        }
        let argument = argument.trim();
        let argument = (!argument.is_empty() && argument != "*").then(|| argument.to_owned());
        Ok(Self { kind: kind.to_owned(), argument })
    }

    /// What it is about: `shell`, `write`, `read`, `url`, or the name of an MCP server.
    pub fn kind(&self) -> &str {
        if self.kind == "bash" { "shell" } else { &self.kind }
    }

    /// Which of that kind; none for all.
    pub fn argument(&self) -> Option<&str> {
        self.argument.as_deref()
    }

    /// Whether any part of the wish matches: the reading for deny patterns.
    pub fn touches(&self, wish: &Wish) -> bool {
        if let (Wish::Shell { .. }, "shell" | "bash") = (wish, self.kind.as_str()) {
            return self.argument.is_none() || commands(wish).iter().any(|c| self.command_fits(c));
        }
        self.fits_whole(wish)
    }

    /// Whether the whole wish matches: the reading for allow patterns.
    pub fn covers(&self, wish: &Wish) -> bool {
        if let (Wish::Shell { .. }, "shell" | "bash") = (wish, self.kind.as_str()) {
            let commands = commands(wish);
            return self.argument.is_none()
                || (!commands.is_empty() && commands.iter().all(|c| self.command_fits(c)));
        }
        self.fits_whole(wish)
    }

    fn fits_whole(&self, wish: &Wish) -> bool {
        let argument = self.argument.as_deref();
        match wish {
            Wish::Shell { .. } => false,
            Wish::Write { path, .. } => self.kind == "write" && path_fits(argument, path),
            Wish::Read { path } => self.kind == "read" && path_fits(argument, path),
            Wish::Url { url } => self.kind == "url" && argument.is_none_or(|a| url_fits(a, url)),
            Wish::Mcp { server, tool, .. } => {
                self.kind == *server && argument.is_none_or(|name| name == tool)
            }
            Wish::Other { kind, .. } => self.kind == *kind && argument.is_none(),
        }
    }

    fn command_fits(&self, command: &str) -> bool {
        let Some(argument) = self.argument.as_deref() else { return true };
        let command = command.trim();
        if let Some(prefix) = argument.strip_suffix(":*") {
            return command.split_whitespace().next() == Some(prefix)
                || begins_with_words(command, prefix);
        }
        begins_with_words(command, argument)
    }
}

/// The single commands of a shell wish. Where the backend did not take the line apart,
/// it is cut at the operators that join commands, so that `a && rm b` is two.
pub fn commands(wish: &Wish) -> Vec<String> {
    let Wish::Shell { command, segments, .. } = wish else { return Vec::new() };
    if !segments.is_empty() {
        return segments.clone();
    }
    command
        .split(['\n', ';', '|', '&'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Whether `command` begins with the words of `start`.
pub fn begins_with_words(command: &str, start: &str) -> bool {
    let mut words = command.split_whitespace();
    start.split_whitespace().all(|word| words.next() == Some(word))
}

fn path_fits(argument: Option<&str>, path: &str) -> bool {
    argument.is_none_or(|argument| {
        let argument = argument.trim_end_matches("/**").trim_end_matches('/');
        path == argument
            || path.strip_prefix(argument).is_some_and(|rest| rest.starts_with('/'))
            || path.strip_suffix(argument).is_some_and(|rest| rest.ends_with('/'))
    })
}

fn url_fits(argument: &str, url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or("");
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let bare = host.split(':').next().unwrap_or(host);
    let wanted = argument.split_once("://").map_or(argument, |(_, rest)| rest);
    wanted == host
        || wanted == bare
        || wanted
            .strip_prefix("*.")
            .is_some_and(|domain| bare.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(command: &str) -> Wish {
        Wish::Shell {
            command: command.to_owned(),
            segments: Vec::new(),
            paths: Vec::new(),
            urls: Vec::new(),
        }
    }

    #[test]
    fn one_bad_command_in_a_line_is_enough_to_deny_but_not_to_allow() {
        let push = Pattern::parse("shell(git push)").unwrap();
        let line = shell("cargo test && git push origin main");
        assert!(push.touches(&line));
        assert!(!push.covers(&line));
        assert!(push.covers(&shell("git push --force")));
        assert!(!push.touches(&shell("git pushy")));
    }

    #[test]
    fn the_star_form_takes_every_verb() {
        let git = Pattern::parse("shell(git:*)").unwrap();
        assert!(git.covers(&shell("git status")));
        assert!(!git.covers(&shell("gitk")));
    }

    #[test]
    fn other_kinds_match_by_name_and_argument() {
        let host = Pattern::parse("url(*.example.org)").unwrap();
        assert!(host.covers(&Wish::Url { url: "https://api.example.org/x".into() }));
        assert!(!host.covers(&Wish::Url { url: "https://evil.org/?u=api.example.org".into() }));
        let tool = Pattern::parse("files(read_file)").unwrap();
        let wish = |tool: &str| Wish::Mcp {
            server: "files".into(),
            tool: tool.into(),
            arguments: String::new(),
        };
        assert!(tool.covers(&wish("read_file")));
        assert!(!tool.covers(&wish("delete_file")));
        let write = Pattern::parse("write(/repo/src)").unwrap();
        assert!(write.covers(&Wish::Write { path: "/repo/src/a.rs".into(), diff: String::new() }));
        assert!(!write.covers(&Wish::Write { path: "/repo/src2".into(), diff: String::new() }));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        for text in ["", "shell(git", "shell)", "(x)"] {
            assert!(Pattern::parse(text).unwrap_err().contains("not a tool pattern"), "{text}");
        }
    }
}
