//! The environment that travels with a request, for tools and gates.
//!
//! Runtimes are keyed by its digest, so what differs between two shells of one user for no
//! good reason stays out; so does what looks like a secret, since requests are stored.
//! `SSH_AUTH_SOCK` stays: it is a path, not a secret, and `git push` over ssh needs it.

use std::collections::BTreeMap;

use copex_proto::mcp::{self, Servers};
use copex_proto::run::{KeySource, Provider};
use copex_proto::secret::{Secret, looks_secret};

use crate::env::Env;

/// Names that say where a shell or a service stands, not how the user works.
const VOLATILE: &[&str] = &[
    "PWD",
    "OLDPWD",
    "SHLVL",
    "_",
    "COLUMNS",
    "LINES",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "WINDOWID",
    "TMUX",
    "TMUX_PANE",
    "STY",
    "WINDOW",
    "VTE_VERSION",
    "DESKTOP_STARTUP_ID",
    "XDG_ACTIVATION_TOKEN",
    "XDG_SESSION_ID",
    "XDG_VTNR",
    "SSH_CLIENT",
    "SSH_CONNECTION",
    "SSH_TTY",
    "GPG_TTY",
    "NOTIFY_SOCKET",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "COPILOT_MODEL",
    "BASH_EXECUTION_STRING",
];

/// The same, by the beginning of the name.
const VOLATILE_PREFIXES: &[&str] = &[
    "COPEX_",
    "COPILOT_PROVIDER_",
    "WATCHDOG_",
    "LISTEN_",
    "MEMORY_PRESSURE_",
    "TERM_",
    "ITERM_",
    "WT_",
    "KITTY_",
    "WEZTERM_",
    "ALACRITTY_",
    "KONSOLE_",
    "GHOSTTY_",
    "GNOME_TERMINAL_",
    "ZELLIJ",
];

/// Where the Copilot CLI looks for a GitHub token, in its order.
pub(crate) const GITHUB_TOKENS: [&str; 3] = ["COPILOT_GITHUB_TOKEN", "GH_TOKEN", "GITHUB_TOKEN"];

/// The environment to send.
pub(crate) fn take(env: &Env) -> BTreeMap<String, String> {
    env.iter()
        .filter(|(name, _)| !is_volatile(name) && !looks_secret(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The secrets to send by name, in memory only: the provider's key and the sign-in.
pub(crate) fn secrets(
    env: &Env,
    provider: Option<&Provider>,
    github_token: Option<&Secret>,
) -> BTreeMap<String, Secret> {
    let mut names = GITHUB_TOKENS.map(str::to_owned).to_vec();
    if let Some(KeySource::Env(name)) = provider.and_then(|provider| provider.key.as_ref()) {
        names.push(name.clone());
    }
    let mut secrets: BTreeMap<_, _> = names
        .into_iter()
        .filter_map(|name| env.get(&name).map(Secret::new).map(|secret| (name, secret)))
        .collect();
    if let Some(token) = github_token {
        secrets.insert(GITHUB_TOKENS[0].to_owned(), token.clone());
    }
    secrets
}

/// What MCP servers refer to, as far as it is set.
pub(crate) fn referenced(env: &Env, servers: &Servers) -> BTreeMap<String, Secret> {
    named(env, mcp::references(servers))
}

/// Secrets by name, as far as they are set.
pub(crate) fn named(
    env: &Env,
    names: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Secret> {
    let value = |name: String| env.get(&name).map(Secret::new).map(|secret| (name, secret));
    names.into_iter().filter_map(value).collect()
}

fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name) || VOLATILE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_shells_of_one_user_send_the_same() {
        let first = Env::of(&[
            ("PATH", "/bin"),
            ("HOME", "/h"),
            ("PWD", "/a"),
            ("SHLVL", "1"),
            ("TMUX", "x"),
            ("TERM", "xterm"),
            ("COPEX_MODEL", "m"),
            ("TERM_SESSION_ID", "1"),
            ("_", "/bin/x"),
        ]);
        let second = Env::of(&[("PATH", "/bin"), ("HOME", "/h"), ("PWD", "/b"), ("SHLVL", "2")]);
        assert_eq!(take(&first), take(&second));
        assert_eq!(take(&first).len(), 2);
    }

    #[test]
    fn secrets_stay_out_and_settings_of_the_runtime_stay_in() {
        let out = [
            "GH_TOKEN",
            "NPM_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "OPENAI_API_KEY",
            "MYSQL_PWD",
            "db_password",
            "COPILOT_PROVIDER_API_KEY",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "SSH_TTY",
            "COPILOT_GITHUB_TOKEN",
            "TOKEN",
        ];
        let within = [
            "COPILOT_HOME",
            "COPILOT_OFFLINE",
            "COPILOT_API_URL",
            "COPILOT_DEBUG_GITHUB_API_URL",
            "COPILOT_CACHE_HOME",
            "SSH_AUTH_SOCK",
            "LANG",
            "CARGO_HOME",
            "KEYBOARD",
            "HTTPS_PROXY",
        ];
        let pairs: Vec<_> = out.iter().chain(&within).map(|name| (*name, "x")).collect();
        let taken = take(&Env::of(&pairs));
        assert_eq!(taken.keys().map(String::as_str).collect::<Vec<_>>(), {
            let mut names = within.to_vec();
            names.sort_unstable();
            names
        });
    }

    #[test]
    fn secrets_travel_by_name() {
        let env = Env::of(&[("GH_TOKEN", "a"), ("MY_KEY", "b"), ("OTHER_KEY", "c")]);
        let provider = Provider {
            kind: copex_proto::run::ProviderKind::Openai,
            base_url: "http://x".to_owned(),
            wire_api: None,
            key: Some(KeySource::Env("MY_KEY".to_owned())),
            azure_api_version: None,
            headers: BTreeMap::new(),
            max_prompt_tokens: None,
            reasoning_efforts: None,
        };
        let token = Secret::new("t");
        let secrets = secrets(&env, Some(&provider), Some(&token));
        let names: Vec<_> = secrets.keys().map(String::as_str).collect();
        assert_eq!(names, ["COPILOT_GITHUB_TOKEN", "GH_TOKEN", "MY_KEY"]);
    }
}
