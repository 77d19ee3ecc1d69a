//! `init`: a starter file, never over an existing one.

use crate::cli::InitArgs;
use crate::commands::config;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render;

const STARTER: &str = r#"# copex: what holds unless a project, a variable or a flag says otherwise.
# Every key: copexctl config show. After a change: copexctl config check.

# model = "gpt-5"
# reasoning_effort = "high"     # none, minimal, low, medium, high, xhigh, max
# timeout = 300                 # seconds without a sign of life

# [retry]
# max_retries = 5

# [approval]
# mode = "workspace"            # workspace, ask, auto, deny
# deny = ["shell(git push)"]

# A model endpoint of your own: no GitHub account needed.
# [provider]
# base_url = "http://127.0.0.1:11434/v1"
# model = "llama3.1"
# key_env = "MY_API_KEY"
"#;

/// Writes it.
pub(crate) fn run(ctx: &Context, args: &InitArgs) -> Result<Exit> {
    let path = args.path.clone().unwrap_or_else(|| ctx.config_file());
    if path.exists() && !args.force {
        return Err(Failure::usage(format!("{} exists already", path.display()))
            .with_hint("--force overwrites it; copexctl config set changes one key"));
    }
    config::write(&path, STARTER)?;
    render::line(&path.display().to_string())?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use copex_proto::config::{Layer, Origin, Place};

    use super::*;

    #[test]
    fn the_starter_is_valid_with_and_without_its_comments() {
        let root = Path::new("/");
        let place = Place { origin: Origin::Default, base: root, home: root };
        let lines = STARTER.lines().map(|line| {
            let bare = line.strip_prefix("# ").unwrap_or(line);
            if bare.starts_with('[') || bare.contains(" = ") { bare } else { line }
        });
        let bare = lines.collect::<Vec<_>>().join("\n");
        for text in [STARTER, &bare] {
            let layer = Layer::parse(text, &place).unwrap();
            assert_eq!(layer.problems, [], "{text}");
        }
        assert!(Layer::parse(&bare, &place).unwrap().entries.len() > 6);
    }
}
