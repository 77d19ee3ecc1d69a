//! A run's approval policy as flags of the CLI.
//!
//! Nobody can be asked, so what would ask is denied. Where the CLI's patterns reach less far
//! than ours, a permission becomes narrower and a prohibition wider, never the reverse:
//! files outside the working folder are reached in the mode `auto` only, and a denied path
//! denies its whole kind. One thing cannot be said: commands that only read run without a
//! word, unless every command is denied; [`reads_by_command`] tells when that happens.

use crate::backend::spec::CliSpec;
use crate::core::approval::{COMMANDS_THAT_ASK, Mode};
use crate::core::pattern::Pattern;
use crate::core::signal::Wish;

/// The flags.
///
/// # Errors
/// The reason, when a pattern cannot be read.
pub(super) fn flags(spec: &CliSpec) -> Result<Vec<String>, String> {
    let (allow, deny) = (parse(&spec.allow)?, parse(&spec.deny)?);
    let mut flags = Vec::new();
    let mut add = |flag: &str, tool: &str| flags.push(format!("--{flag}-tool={tool}"));
    match spec.approval {
        Mode::Auto => {}
        Mode::Workspace => {
            add("allow", "shell");
            add("allow", "write");
            for command in COMMANDS_THAT_ASK.iter().filter(|it| !allows(&allow, it)) {
                add("deny", &format!("shell({command})"));
                add("deny", &format!("shell({command}:*)"));
            }
        }
        Mode::Ask | Mode::Deny => {
            if !allow.iter().any(|it| it.kind() == "shell") {
                add("deny", "shell");
            }
            let reads = allow.iter().any(|it| it.kind() == "read" && it.argument().is_none());
            if spec.approval == Mode::Deny && !reads {
                // The CLI reads inside the folder without a word.
                add("deny", "read");
            }
        }
    }
    for pattern in &allow {
        for form in allowed(pattern) {
            add("allow", &form);
        }
    }
    for pattern in &deny {
        for form in denied(pattern) {
            add("deny", &form);
        }
    }
    let base = if spec.approval == Mode::Auto { "--allow-all" } else { "--disallow-temp-dir" };
    flags.insert(0, base.to_owned());
    Ok(flags)
}

/// Patterns that deny more here than they say: a path denies its whole kind.
pub fn widened(deny: &[String]) -> Vec<String> {
    let wide = |text: &&String| Pattern::parse(text).is_ok_and(|pattern| is_path(&pattern));
    deny.iter().filter(wide).cloned().collect()
}

/// Whether commands that only read run although no rule allows them: where some commands are
/// allowed, the others cannot all be denied.
pub fn reads_by_command(spec: &CliSpec) -> bool {
    let of_shell = |text: &String| Pattern::parse(text).is_ok_and(|it| it.kind() == "shell");
    matches!(spec.approval, Mode::Ask | Mode::Deny) && spec.allow.iter().any(of_shell)
}

fn parse(list: &[String]) -> Result<Vec<Pattern>, String> {
    list.iter().map(|text| Pattern::parse(text)).collect()
}

fn allows(allow: &[Pattern], command: &str) -> bool {
    let wish = Wish::Shell {
        command: command.to_owned(),
        segments: vec![command.to_owned()],
        paths: Vec::new(),
        urls: Vec::new(),
    };
    // `shell` alone allows what no rule names, as it does where a person could be asked.
    allow.iter().any(|pattern| pattern.covers(&wish))
}

fn is_path(pattern: &Pattern) -> bool {
    matches!(pattern.kind(), "write" | "read") && pattern.argument().is_some()
}

fn allowed(pattern: &Pattern) -> Vec<String> {
    match (pattern.kind(), pattern.argument()) {
        ("shell", Some(command)) => with_arguments(command),
        (kind, None) => vec![kind.to_owned()],
        (kind, Some(argument)) => vec![format!("{kind}({argument})")],
    }
}

fn denied(pattern: &Pattern) -> Vec<String> {
    match (pattern.kind(), pattern.argument()) {
        ("shell", Some(command)) => with_arguments(command),
        // The CLI takes a URL without a scheme for https.
        ("url", Some(host)) if !host.contains("://") => {
            vec![format!("url(https://{host})"), format!("url(http://{host})")]
        }
        (kind, None) => vec![kind.to_owned()],
        (kind, Some(_)) if is_path(pattern) => vec![kind.to_owned()],
        (kind, Some(argument)) => vec![format!("{kind}({argument})")],
    }
}

/// A command alone and with further words, which the CLI tells apart.
fn with_arguments(command: &str) -> Vec<String> {
    if command.ends_with(":*") {
        return vec![format!("shell({command})")];
    }
    vec![format!("shell({command})"), format!("shell({command}:*)")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(approval: Mode, allow: &[&str], deny: &[&str]) -> Vec<String> {
        let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
        flags(&CliSpec { approval, allow: owned(allow), deny: owned(deny) }).unwrap()
    }

    #[test]
    fn each_mode_allows_what_it_allows_outright() {
        assert_eq!(of(Mode::Auto, &[], &[]), ["--allow-all"]);
        assert_eq!(of(Mode::Ask, &[], &[]), ["--disallow-temp-dir", "--deny-tool=shell"]);
        let nothing = ["--disallow-temp-dir", "--deny-tool=shell", "--deny-tool=read"];
        assert_eq!(of(Mode::Deny, &[], &[]), nothing);
        let workspace = of(Mode::Workspace, &[], &[]);
        for flag in ["--allow-tool=shell", "--allow-tool=write", "--deny-tool=shell(git push:*)"] {
            assert!(workspace.iter().any(|it| it == flag), "{flag}: {workspace:?}");
        }
        assert!(!workspace.iter().any(|it| it.contains("allow-all") || it.contains("url")));
    }

    #[test]
    fn a_pattern_that_allows_a_dangerous_command_takes_its_prohibition_away() {
        let flags = of(Mode::Workspace, &["shell(git:*)"], &[]);
        assert!(flags.iter().any(|flag| flag == "--allow-tool=shell(git:*)"));
        assert!(!flags.iter().any(|flag| flag.contains("git push")), "{flags:?}");
        assert!(flags.iter().any(|flag| flag == "--deny-tool=shell(sudo)"));
    }

    #[test]
    fn what_cannot_be_said_exactly_is_denied_more_widely_and_allowed_more_narrowly() {
        let denied = of(Mode::Auto, &[], &["write(secrets)", "url(example.org)", "bash(rm)", "db"]);
        let expected = [
            "--allow-all",
            "--deny-tool=write",
            "--deny-tool=url(https://example.org)",
            "--deny-tool=url(http://example.org)",
            "--deny-tool=shell(rm)",
            "--deny-tool=shell(rm:*)",
            "--deny-tool=db",
        ];
        assert_eq!(denied, expected);
        let texts = ["write(secrets)".to_owned(), "write".to_owned(), "db(x)".to_owned()];
        assert_eq!(widened(&texts), ["write(secrets)"]);
        let allowed = of(Mode::Deny, &["read", "db(get)", "write(a.txt)"], &[]);
        let flags = ["read", "db(get)", "write(a.txt)"].map(|it| format!("--allow-tool={it}"));
        assert_eq!(allowed[2..], flags);
    }

    #[test]
    fn some_commands_cannot_be_allowed_without_those_that_read() {
        let spec = |approval, allow: &[&str]| CliSpec {
            approval,
            allow: allow.iter().map(|it| (*it).to_owned()).collect(),
            deny: Vec::new(),
        };
        assert!(reads_by_command(&spec(Mode::Ask, &["shell(cargo:*)"])));
        assert!(!reads_by_command(&spec(Mode::Ask, &["write"])));
        assert!(!reads_by_command(&spec(Mode::Workspace, &["shell(cargo:*)"])));
        let flags = of(Mode::Ask, &["shell(cargo:*)"], &[]);
        assert_eq!(flags, ["--disallow-temp-dir", "--allow-tool=shell(cargo:*)"]);
    }

    #[test]
    fn nonsense_is_refused() {
        let spec = CliSpec { allow: vec!["shell(".to_owned()], ..CliSpec::default() };
        assert!(flags(&spec).unwrap_err().contains("not a tool pattern"));
    }
}
