//! From a session's specification to arguments, environment and files of one process.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::{home, permission};
use crate::backend::locate;
use crate::backend::process;
use crate::backend::sdk::options;
use crate::backend::spec::{ProviderSpec, SessionSpec};
use crate::core::failure::{Failure, FailureClass};

/// Stands for no tool at all: an empty list would mean all of them.
const NO_TOOL: &str = "none";

/// Variables that would let a process do more than the run allows, or ask elsewhere.
const LEFT_OUT: [&str; 2] = ["COPILOT_ALLOW_ALL", "COPILOT_ASSISTED_APPROVAL"];

/// Variables of an endpoint of the user's own begin so; they come from the session's options.
const PROVIDER: &str = "COPILOT_PROVIDER_";

/// One process to start.
#[derive(Debug)]
pub(super) struct Invocation {
    /// Its arguments; never the prompt.
    pub args: Vec<String>,
    /// Its whole environment.
    pub env: Vec<(String, String)>,
    /// Its files, removed with it.
    pub files: Files,
}

/// Files that go with a process.
#[derive(Debug)]
pub(super) struct Files {
    folder: TempDir,
}

impl Files {
    /// Where the process says what it has cost.
    pub(super) fn usage(&self) -> PathBuf {
        self.folder.path().join("usage.json")
    }

    fn mcp(&self) -> PathBuf {
        self.folder.path().join("mcp.json")
    }

    /// Removes what may hold secrets: the process has read it.
    pub(super) fn forget_secrets(&self) {
        // Without MCP servers there is none.
        let _ = std::fs::remove_file(self.mcp());
    }
}

/// Refuses what a process per turn cannot be told.
///
/// # Errors
/// `Usage`, naming it.
pub(super) fn check(spec: &SessionSpec) -> Result<(), Failure> {
    let refuse = |what: &str| {
        let message = format!("{what} cannot be had with one Copilot CLI process per turn");
        Err(Failure::new(FailureClass::Usage, message).with_hint("leave it out, or use_cli"))
    };
    if spec.runtime.demo {
        return refuse("the demonstration model");
    }
    if spec.system_message.as_ref().is_some_and(|(_, replaces)| *replaces) {
        return refuse("a system message of one's own in place of the Copilot CLI's");
    }
    if spec.skill_directories.iter().any(|path| path.to_string_lossy().contains(',')) {
        return refuse("a folder of skills with a comma in its path");
    }
    let headers = spec.provider.iter().flat_map(|provider| &provider.headers);
    if headers.into_iter().any(|(name, value)| {
        [name, value].iter().any(|text| text.contains('\n') || text.contains("\\n"))
    }) {
        return refuse("a provider's header with a line break");
    }
    permissions(spec).map(drop)
}

fn permissions(spec: &SessionSpec) -> Result<Vec<String>, Failure> {
    let rules = spec.cli.clone().unwrap_or_default();
    permission::flags(&rules).map_err(|message| Failure::new(FailureClass::Usage, message))
}

/// Removes files of processes whose daemon is gone. The store must be open and what the dead
/// daemon started ended: then nobody else has files in `folder`.
pub fn sweep(folder: &Path) {
    if !is_ours(folder) {
        return;
    }
    let Ok(left) = std::fs::read_dir(folder) else { return };
    for entry in left.flatten() {
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(%error, path = %entry.path().display(), "files of a turn stay");
        }
    }
}

/// Whether a folder is one that nobody else can have put there: where `XDG_RUNTIME_DIR` is a
/// folder that others write in, a link of theirs would have us remove what it leads to.
fn is_ours(folder: &Path) -> bool {
    let me = nix::unistd::geteuid().as_raw();
    folder.symlink_metadata().is_ok_and(|data| data.is_dir() && data.uid() == me)
}

/// The process of one turn in the session `id`, `known` once it has a transcript. Its files go
/// into `folder`.
///
/// # Errors
/// As [`check`]; `Unavailable` when its files cannot be written.
pub(super) fn prepare(
    spec: &SessionSpec,
    (id, known): (&str, bool),
    folder: &Path,
) -> Result<Invocation, Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(files_failed)?;
    if !is_ours(folder) {
        let why = format!("{} is a link, or another user's", folder.display());
        return Err(files_failed(std::io::Error::other(why)));
    }
    let private = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("turn-").permissions(private).tempdir_in(folder);
    let files = Files { folder: folder.map_err(files_failed)? };
    let mut args: Vec<String> =
        ["--no-auto-update", "--no-color", "--output-format=json"].map(str::to_owned).into();
    args.push(format!("--stream={}", if spec.streaming { "on" } else { "off" }));
    args.push(format!("--usage-output-file={}", files.usage().display()));
    args.push(if known { format!("--resume={id}") } else { format!("--session-id={id}") });
    args.extend(spec.model.iter().map(|model| format!("--model={model}")));
    args.extend(spec.effort.iter().map(|effort| format!("--reasoning-effort={effort}")));
    if let Some(tools) = &spec.available_tools {
        // What is both excluded and available would be available.
        let offered = tools.iter().filter(|tool| !spec.excluded_tools.contains(tool));
        let mut offered: Vec<&str> = offered.map(String::as_str).collect();
        if offered.is_empty() {
            offered.push(NO_TOOL);
        }
        args.extend(offered.iter().map(|tool| format!("--available-tools={tool}")));
    }
    args.extend(spec.excluded_tools.iter().map(|tool| format!("--excluded-tools={tool}")));
    if !spec.mcp_servers.is_empty() {
        let servers = options::mcp_servers(spec)?.unwrap_or_default();
        write(&files.mcp(), &json!({ "mcpServers": servers }).to_string())?;
        args.push(format!("--additional-mcp-config=@{}", files.mcp().display()));
    }
    args.extend(permissions(spec)?);
    let env = environment(spec, &files)?;
    Ok(Invocation { args, env, files })
}

fn environment(spec: &SessionSpec, files: &Files) -> Result<Vec<(String, String)>, Failure> {
    let mut env: Vec<(String, String)> = process::child_env(&spec.runtime.env)
        .into_iter()
        .filter(|(name, _)| !LEFT_OUT.contains(name) && !name.starts_with(PROVIDER))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let secrets = spec.runtime.secret_env.iter();
    env.extend(secrets.map(|(name, secret)| (name.clone(), secret.reveal().to_owned())));
    if let Some(provider) = &spec.provider {
        env.extend(provider_env(provider, spec.context_budget));
    }
    let folders = spec.skill_directories.iter().map(|path| path.display().to_string());
    add_to_list(&mut env, "COPILOT_SKILLS_DIRS", folders.collect());
    let disabled = disabled_skills(spec);
    if let Some(own) = spec.runtime.copilot_home().filter(|_| !disabled.is_empty()) {
        let folder = files.folder.path().join("home");
        home::make(&own, &folder, &disabled)?;
        env.retain(|(name, _)| name != "COPILOT_HOME");
        env.push(("COPILOT_HOME".to_owned(), folder.display().to_string()));
    }
    if let Some((text, _)) = &spec.system_message {
        let folder = files.folder.path().join("instructions");
        std::fs::create_dir(&folder).map_err(files_failed)?;
        write(&folder.join("copex.instructions.md"), text)?;
        let folder = folder.display().to_string();
        add_to_list(&mut env, "COPILOT_CUSTOM_INSTRUCTIONS_DIRS", vec![folder]);
    }
    Ok(env)
}

/// The skills that are left out, those that come with the CLI among them.
fn disabled_skills(spec: &SessionSpec) -> Vec<String> {
    let mut names = spec.disabled_skills.clone();
    if let Some(wanted) = &spec.built_in_skills {
        let built_in = locate::built_in_skills(&spec.runtime);
        names.extend(built_in.into_iter().filter(|name| !wanted.contains(name)));
    }
    names
}

fn provider_env(provider: &ProviderSpec, budget: Option<u64>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    let mut set = |name: &str, value: Option<String>| {
        env.extend(value.map(|value| (format!("{PROVIDER}{name}"), value)));
    };
    set("TYPE", Some(provider.kind.clone()));
    set("BASE_URL", Some(provider.base_url.clone()));
    set("WIRE_API", provider.wire_api.clone());
    set("AZURE_API_VERSION", provider.azure_api_version.clone());
    let key = provider.key.as_ref().map(|key| key.reveal().to_owned());
    set(if provider.bearer { "BEARER_TOKEN" } else { "API_KEY" }, key);
    let headers: Vec<String> =
        provider.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    set("HEADERS", (!headers.is_empty()).then(|| headers.join("\n")));
    let most = [provider.max_prompt_tokens, budget].into_iter().flatten().min();
    set("MAX_PROMPT_TOKENS", most.map(|tokens| tokens.to_string()));
    env
}

/// Adds to a variable that holds a list, before what the user has in it.
fn add_to_list(env: &mut Vec<(String, String)>, name: &str, mut items: Vec<String>) {
    if items.is_empty() {
        return;
    }
    let own = env.iter().position(|(known, _)| known == name).map(|at| env.remove(at).1);
    items.extend(own.filter(|own| !own.is_empty()));
    env.push((name.to_owned(), items.join(",")));
}

/// Writes a file for one process of this user and nobody else.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(files_failed)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that map_err takes")]
pub(super) fn files_failed(error: std::io::Error) -> Failure {
    let message = format!("the files of a Copilot CLI process cannot be written: {error}");
    let hint = "look at the space and the rights of the folder for files of processes";
    Failure::new(FailureClass::Unavailable, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backend::spec::{CliSpec, RuntimeSpec, SecretText};

    fn spec(env: &[(&str, &str)]) -> SessionSpec {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        SessionSpec {
            runtime: RuntimeSpec { cli_path: None, env, secret_env: BTreeMap::new(), demo: false },
            cwd: PathBuf::from("/"),
            model: None,
            effort: None,
            provider: None,
            system_message: None,
            available_tools: None,
            excluded_tools: Vec::new(),
            skill_directories: Vec::new(),
            disabled_skills: Vec::new(),
            built_in_skills: None,
            mcp_servers: BTreeMap::new(),
            streaming: true,
            context_budget: None,
            tape: None,
            cli: Some(CliSpec::default()),
        }
    }

    fn here(spec: &SessionSpec, known: bool) -> Result<Invocation, Failure> {
        let folder = std::env::temp_dir().join(format!("copex-turns-{}", std::process::id()));
        prepare(spec, ("id", known), &folder)
    }

    fn variable<'a>(invocation: &'a Invocation, name: &str) -> Option<&'a str> {
        let mut found = invocation.env.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is set twice");
        value
    }

    #[test]
    fn a_key_and_a_servers_secrets_are_never_arguments() {
        let mut spec = spec(&[("COPILOT_PROVIDER_API_KEY", "stale")]);
        spec.provider = Some(ProviderSpec {
            kind: "openai".to_owned(),
            base_url: "http://localhost/v1".to_owned(),
            wire_api: None,
            key: Some(SecretText::new("the-key")),
            bearer: false,
            azure_api_version: None,
            headers: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
            max_prompt_tokens: Some(9),
        });
        spec.context_budget = Some(7);
        let server = json!({"command": "x", "env": {"TOKEN": "the-token"}});
        spec.mcp_servers = [("s".to_owned(), server)].into();
        let invocation = here(&spec, false).unwrap();
        let args = invocation.args.join(" ");
        assert!(!args.contains("the-key") && !args.contains("the-token"), "{args}");
        assert!(args.contains("--session-id=id") && !args.contains("--resume"), "{args}");
        let expected = [
            ("API_KEY", Some("the-key")),
            ("HEADERS", Some("a: 1\nb: 2")),
            ("MAX_PROMPT_TOKENS", Some("7")),
            ("BEARER_TOKEN", None),
        ];
        for (name, value) in expected {
            assert_eq!(variable(&invocation, &format!("{PROVIDER}{name}")), value, "{name}");
        }
        let config = std::fs::read_to_string(invocation.files.mcp()).unwrap();
        assert!(config.contains("the-token") && config.contains("mcpServers"), "{config}");
        invocation.files.forget_secrets();
        assert!(!invocation.files.mcp().exists());
    }

    #[test]
    fn the_environment_cannot_widen_what_the_run_allows() {
        let spec = spec(&[("COPILOT_ALLOW_ALL", "true"), ("PATH", "/bin")]);
        let invocation = here(&spec, true).unwrap();
        assert_eq!(variable(&invocation, "COPILOT_ALLOW_ALL"), None);
        assert_eq!(variable(&invocation, "PATH"), Some("/bin"));
        assert!(invocation.args.contains(&"--resume=id".to_owned()));
    }

    #[test]
    fn no_tool_at_all_is_not_every_tool_and_lists_of_the_user_stay() {
        let mut spec = spec(&[("COPILOT_SKILLS_DIRS", "/mine")]);
        spec.available_tools = Some(Vec::new());
        spec.skill_directories = vec!["/a".into(), "/b".into()];
        spec.system_message = Some(("be brief".to_owned(), false));
        let invocation = here(&spec, false).unwrap();
        assert!(invocation.args.contains(&"--available-tools=none".to_owned()));
        spec.available_tools = Some(vec!["bash".to_owned()]);
        spec.excluded_tools = vec!["bash".to_owned()];
        let args = here(&spec, false).unwrap().args;
        assert!(args.contains(&"--available-tools=none".to_owned()), "{args:?}");
        assert_eq!(variable(&invocation, "COPILOT_SKILLS_DIRS"), Some("/a,/b,/mine"));
        let folder = variable(&invocation, "COPILOT_CUSTOM_INSTRUCTIONS_DIRS").unwrap();
        let text = std::fs::read_to_string(Path::new(folder).join("copex.instructions.md"));
        assert_eq!(text.unwrap(), "be brief");
    }

    #[test]
    fn what_a_process_cannot_be_told_is_refused_by_name() {
        let refused = |change: fn(&mut SessionSpec), name: &str| {
            let mut spec = spec(&[]);
            change(&mut spec);
            let failure = check(&spec).unwrap_err();
            assert_eq!(failure.class, FailureClass::Usage);
            assert!(failure.message.contains(name), "{failure}");
        };
        refused(|spec| spec.runtime.demo = true, "demonstration");
        refused(|spec| spec.system_message = Some((String::new(), true)), "system message");
        refused(|spec| spec.skill_directories.push("/a,b".into()), "comma");
        assert_eq!(check(&spec(&[])), Ok(()));
    }

    #[test]
    fn a_link_in_the_place_of_the_folder_is_not_followed() {
        let there = tempfile::tempdir().unwrap();
        let (kept, link) = (there.path().join("kept/deep"), there.path().join("turns"));
        std::fs::create_dir_all(&kept).unwrap();
        std::os::unix::fs::symlink(there.path().join("kept"), &link).unwrap();
        sweep(&link);
        assert!(kept.is_dir(), "what it leads to is not ours to remove");
        let refused = prepare(&spec(&[]), ("id", false), &link).unwrap_err();
        assert!(refused.message.contains("is a link"), "{refused}");
        std::fs::remove_file(&link).unwrap();
        std::fs::create_dir_all(link.join("turn-1")).unwrap();
        sweep(&link);
        assert!(!link.join("turn-1").exists());
    }
}
