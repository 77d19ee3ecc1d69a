use std::fmt::Write as _;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::config::key::{KEYS, Kind};
use crate::config::merge::environment;
use crate::notify::NoticeEvent;
use crate::run::{ApprovalMode, Effort, KeySource};

fn place(origin: Origin) -> Place<'static> {
    Place { origin, base: Path::new("/base"), home: Path::new("/home/me") }
}

fn user(text: &str) -> Layer {
    Layer::parse(text, &place(Origin::User("/c/config.toml".into()))).unwrap()
}

fn project(text: &str) -> Layer {
    Layer::parse(text, &place(Origin::Project("/p/.copex/config.toml".into()))).unwrap()
}

fn env(pairs: &[(&str, &str)], below: &Merged) -> Layer {
    let get = |name: &str| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    environment(get, below, &place(Origin::Default)).unwrap()
}

#[test]
fn names_are_unique_and_tables_never_clash_with_keys() {
    for (index, key) in KEYS.iter().enumerate() {
        assert!(!KEYS[..index].iter().any(|other| other.name == key.name), "{}", key.name);
        assert!(!key::is_table(key.name), "{}", key.name);
    }
}

#[test]
fn later_layers_win_and_are_remembered() {
    let mut flags = Layer::default();
    flags.set("timeout", json!(20), &place(Origin::Flag("--timeout".into()))).unwrap();
    let files = Merged::new([user("model = 'a'\ntimeout = 30"), project("model = 'b'")]);
    let variables = env(&[("COPEX_MODEL", "c"), ("COPEX_REASONING", "xh")], &files);
    let merged = Merged::new([
        user("model = 'a'\ntimeout = 30\nstreaming = false"),
        project("model = 'b'"),
        variables,
        flags,
    ]);
    let config = ClientConfig::from_merged(&merged).unwrap();
    assert_eq!(config.model.as_deref(), Some("c"));
    assert_eq!(config.reasoning_effort, Some(Effort::Xhigh));
    assert_eq!(config.timeout_s, Some(20.0));
    assert!(!config.streaming);
    assert_eq!(merged.entry("model").unwrap().origin.to_string(), "$COPEX_MODEL");
    assert_eq!(merged.entry("timeout").unwrap().origin.to_string(), "--timeout");
    assert_eq!(merged.entry("streaming").unwrap().line, Some(3));
}

#[test]
fn a_project_narrows_and_never_widens() {
    let merged = Merged::new([
        user("available_tools = ['view', 'bash']\n[approval]\nmode = 'ask'\ndeny = ['a']"),
        project(
            "cli_path = '/evil'\navailable_tools = ['view', 'net']\nexcluded_tools = ['x']\n\
             [approval]\nmode = 'auto'\nallow = ['shell']\ndeny = ['b']\n\
             [provider]\nbase_url = 'http://evil'\n[notify]\ncommand = 'evil'",
        ),
    ]);
    let config = ClientConfig::from_merged(&merged).unwrap();
    assert_eq!(config.approval.mode, ApprovalMode::Ask);
    assert_eq!(config.approval.deny, ["a", "b"]);
    assert_eq!(config.approval.allow, Vec::<String>::new());
    assert_eq!(config.available_tools.unwrap(), ["view"]);
    assert_eq!(config.excluded_tools, ["x"]);
    assert_eq!((config.cli_path, config.provider), (None, None));
    let ignored: Vec<_> =
        merged.problems().iter().filter_map(|problem| problem.key.as_deref()).collect();
    for key in
        ["cli_path", "approval.allow", "approval.mode", "provider.base_url", "notify.command"]
    {
        assert!(ignored.contains(&key), "{key}: {ignored:?}");
    }
    let stricter = Merged::new([project("[approval]\nmode = 'deny'")]);
    assert_eq!(ClientConfig::from_merged(&stricter).unwrap().approval.mode, ApprovalMode::Deny);
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_a_guess() {
    let layer = user("model = 'a'\n\n[retry]\nmax_retrys = 3\n");
    let problem = &layer.problems[0];
    assert_eq!(problem.severity, Severity::Unknown);
    assert_eq!(problem.to_string(), "/c/config.toml:4:1: unknown key `retry.max_retrys`");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `retry.max_retries`?"));
    assert!(ClientConfig::from_merged(&Merged::new([layer])).is_ok());
}

#[test]
fn broken_toml_is_an_error_with_its_place() {
    let problem = Layer::parse("a = 1\nmodel = \n", &place(Origin::User("/c".into()))).unwrap_err();
    assert_eq!((problem.severity, problem.line), (Severity::Error, Some(2)), "{problem}");
    assert!(problem.column.is_some());
}

#[test]
fn values_are_checked() {
    let wrong = [
        ("timeout = 5", "10 to 86400"),
        ("timeout = 'x'", "a number is needed, not text"),
        ("retry.max_retries = 21", "0 to 20"),
        ("reasoning_effort = 'huge'", "not a reasoning effort"),
        ("streaming = 'yes'", "true or false is needed"),
        ("approval.mode = 'yolo'", "workspace, ask, auto, deny"),
        ("skill_directories = 'x'", "a list is needed"),
        ("model = ''", "it is empty"),
        ("retry = 3", "is a table"),
        ("ui_theme = 'pink'", "midnight"),
        ("mcp_servers = [{command = 'x'}]", "has no `name`"),
        ("limits.max_cost = -1", "out of range"),
        ("limits.max_tokens = 0", "out of range"),
        ("prices = 3", "a table by model is needed"),
        ("[prices]\n\"m\" = 3", "`m`: a table is needed, not the number 3"),
        (
            "[prices.\"m\"]\ninput = 1\noutptu = 2",
            "`m`: unknown key `outptu`; did you mean `output`?",
        ),
        ("[prices.\"m\"]\ninput = 1", "`m`: `output` is missing"),
        ("[prices.\"m\"]\ninput = 1\noutput = -2", "`m`: `output`: -2 is out of range"),
        ("use_cli = 'yes'", "true or false is needed"),
        ("provider.base_url = 'ftp://x'", "not an http"),
        ("provider = {base_url = 'http://x', key_env = 'A', key_file = 'B'}", "more than one"),
    ];
    for (text, words) in wrong {
        let problem = ClientConfig::from_merged(&Merged::new([user(text)])).unwrap_err();
        assert!(problem.to_string().contains(words), "{text}: {problem}");
    }
}

#[test]
fn python_keys_say_what_they_do_now() {
    let layer = user(
        "auto_continue = true\nui_theme = 'mono'\napproval_mode = 'manual'\n\
         [retry]\nretry_on_any_error = true\nbase_delay = 1.0",
    );
    assert_eq!(layer.problems.len(), 4, "{:?}", layer.problems);
    assert!(layer.problems.iter().all(|problem| problem.severity == Severity::Warning));
    let config = ClientConfig::from_merged(&Merged::new([layer])).unwrap();
    assert_eq!(config.approval.mode, ApprovalMode::Ask);
}

#[test]
fn the_example_of_the_readme_of_python_copex_works() {
    let layer = user(
        "model = 'claude-opus-4.6'\nreasoning_effort = 'high'\nstreaming = true\nuse_cli = false\n\
         timeout = 300.0\nauto_continue = true\nui_theme = 'default'\nui_density = 'extended'\n\
         skills = ['code-review']\n[retry]\nmax_retries = 5\nbase_delay = 1.0\nmax_delay = 30.0\n\
         exponential_base = 2.0\n",
    );
    let config = ClientConfig::from_merged(&Merged::new([layer])).unwrap();
    assert_eq!(config.max_retries, Some(5));
    assert_eq!(config.timeout_s, Some(300.0));
}

#[test]
fn provider_variables_are_defaults_as_one_group() {
    let variables = [
        ("COPILOT_PROVIDER_BASE_URL", "http://127.0.0.1:1/v1"),
        ("COPILOT_PROVIDER_API_KEY", "secret-secret-secret"),
        ("COPILOT_MODEL", "m"),
    ];
    let none = Merged::default();
    let config = ClientConfig::from_merged(&Merged::new([env(&variables, &none)])).unwrap();
    let provider = config.provider.unwrap();
    assert_eq!(provider.base_url, "http://127.0.0.1:1/v1");
    assert_eq!(provider.key, Some(KeySource::Env("COPILOT_PROVIDER_API_KEY".into())));
    assert_eq!(config.model.as_deref(), Some("m"));

    let file = user("provider.base_url = 'http://mine/v1'");
    let below = Merged::new([file.clone()]);
    let merged = Merged::new([file, env(&variables, &below)]);
    let config = ClientConfig::from_merged(&merged).unwrap();
    assert_eq!(config.provider.unwrap().key, None);
    assert_eq!(config.model, None);

    let lonely = env(&[("COPILOT_MODEL", "m")], &none);
    assert_eq!(ClientConfig::from_merged(&Merged::new([lonely])).unwrap().model, None);
}

#[test]
fn the_model_of_this_very_call_wins_over_the_providers() {
    let file = user("model = 'gpt'\nprovider = {base_url = 'http://x/v1', model = 'llama'}");
    let merged = Merged::new([file.clone()]);
    assert_eq!(ClientConfig::from_merged(&merged).unwrap().model.as_deref(), Some("llama"));
    let now = env(&[("COPEX_MODEL", "qwen")], &merged);
    let merged = Merged::new([file, now]);
    assert_eq!(ClientConfig::from_merged(&merged).unwrap().model.as_deref(), Some("qwen"));
}

#[test]
fn paths_start_at_the_file_and_tokens_are_never_shown() {
    let layer = user("skill_directories = ['s', '~/t', '/u']\ngithub_token = 'ghp_secret'");
    let merged = Merged::new([layer]);
    let config = ClientConfig::from_merged(&merged).unwrap();
    assert_eq!(config.skill_directories, ["/base/s", "/home/me/t", "/u"]);
    let shown = format!("{:?}", merged.show());
    assert!(!shown.contains("ghp_secret") && shown.contains("[secret]"));
    assert!(!format!("{config:?}").contains("ghp_secret"));
}

#[test]
fn the_daemon_reads_its_own_tables_only() {
    let config = DaemonConfig::from_toml(
        "model = 3\nbogus = 1\n[pool]\nmax_runtimes = 2\n[store]\nretention_days = 7\n\
         [telemetry]\nlog_level = 'debug'\n[limits]\nmax_queued = 9",
    )
    .unwrap();
    assert_eq!(config.pool.max_runtimes, 2);
    assert_eq!(config.store.retention_days, 7);
    assert_eq!(config.limits.max_queued, 9);
    assert_eq!(config.telemetry.log_level, "debug");
    assert_eq!(config.warnings.len(), 1);
    let told = DaemonConfig::from_toml("[notify]\ncommand = 'x'\non = ['ask', 'done']").unwrap();
    assert_eq!(told.notify.command.as_deref(), Some("x"));
    assert_eq!(told.notify.on, [NoticeEvent::Ask, NoticeEvent::Done]);
    let wrong = DaemonConfig::from_toml("[notify]\non = ['cancelled']").unwrap_err();
    assert!(wrong.to_string().contains("`cancelled` is not one of ask, parked"), "{wrong}");
    assert_eq!(DaemonConfig::from_toml("").unwrap(), DaemonConfig::default());
    assert!(DaemonConfig::from_toml("[pool]\nmax_runtimes = 0").is_err());
    assert!(DaemonConfig::from_toml("[pool").is_err());
}

#[test]
fn the_defaults_in_words_are_the_defaults_in_force() {
    let mut text = String::new();
    let set = |key: &&key::Key| key.scope == key::Scope::Daemon && key.default != "none";
    for key in KEYS.iter().filter(set) {
        let quote = if matches!(key.kind, Kind::Choice(_)) { "'" } else { "" };
        writeln!(text, "{} = {quote}{}{quote}", key.name, key.default).unwrap();
    }
    assert_eq!(DaemonConfig::from_toml(&text).unwrap(), DaemonConfig::default());
}

#[test]
fn the_documentation_names_every_key() {
    let text = doc::markdown();
    assert!(KEYS.iter().all(|key| text.contains(&format!("`{}`", key.name))));
}

#[test]
fn limits_and_prices_are_the_users_and_the_daily_limit_is_the_daemons() {
    let text = "[limits]\nmax_cost = 2\nmax_ai_credits = 30.5\nmax_tokens = 5000\n\
                max_cost_per_day = 9\n[prices.\"gpt-5.4\"]\ninput = 1.25\noutput = 10\n\
                [prices.small]\ninput = 0.1\noutput = 0.2\ncached = 0.01\n";
    let config = ClientConfig::from_merged(&Merged::new([user(text)])).unwrap();
    let limits = config.limits;
    assert_eq!(
        (limits.max_cost, limits.max_ai_credits, limits.max_tokens),
        (Some(2.0), Some(30.5), Some(5000))
    );
    assert_eq!((config.prices["gpt-5.4"].output, config.prices["gpt-5.4"].cached), (10.0, None));
    assert_eq!(config.prices["small"].cached, Some(0.01));
    let daemon = DaemonConfig::from_toml(text).unwrap();
    assert_eq!(daemon.limits.max_cost_per_day, Some(9.0));
    // A client's key that does not fit does not stop the daemon; its own does.
    assert!(DaemonConfig::from_toml("[limits]\nmax_cost = -1").is_ok());
    assert!(DaemonConfig::from_toml("[limits]\nmax_cost_per_day = -1").is_err());
    let project = Merged::new([project(text)]);
    let config = ClientConfig::from_merged(&project).unwrap();
    assert_eq!((config.limits.max_cost, config.prices.len()), (None, 0));
}
