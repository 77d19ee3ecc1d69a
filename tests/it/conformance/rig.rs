//! A backend for one case, and a way to say what its model does next.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use copex_tests::cli::CopilotCli;
use copex_tests::model::{API_KEY, MODEL, ModelServer, Reply};
use copex_tests::sandbox::Sandbox;
use copexd::backend::cli::CliBackend;
use copexd::backend::errand::{Activity, Errand};
use copexd::backend::process::Owner;
use copexd::backend::scripted::{ScriptedBackend, Step, Strictness};
use copexd::backend::sdk::runtime::SdkBackend;
use copexd::backend::spec::{CliSpec, ProviderSpec, RuntimeSpec, SecretText, SessionSpec};
use copexd::backend::upstream::Upstream;
use copexd::backend::{Backend, Opening, Session};
use copexd::core::admission::Priority;
use copexd::core::failure::{Failure, FailureClass};
use copexd::core::governor::{Memory, Setup};
use copexd::core::machine::Decision;
use copexd::core::policy::Policy;
use copexd::core::signal::{Signal, Wish};
use copexd::core::target::{Candidate, Target};
use copexd::pool::{Pool, PoolLimits};
use copexd::runtime::meter::Meter;
use copexd::runtime::tasks::Tasks;
use serde_json::json;

/// Who plays the model.
enum Stage {
    /// A server, in front of a Copilot CLI.
    Model(ModelServer),
    /// The backend itself.
    Script(Arc<ScriptedBackend>),
}

/// A backend under test.
pub(super) struct Rig {
    // Dropped first: what it started may still be asking the model.
    pub(super) backend: Arc<dyn Backend>,
    _pool: Option<Pool>,
    pub(super) spec: SessionSpec,
    stage: Stage,
    sandbox: Sandbox,
}

/// What was said in a turn, to its end.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) message: String,
    pub(super) signals: Vec<Signal>,
}

impl Rig {
    /// The official SDK over `copilot-runtime`.
    pub(super) async fn sdk() -> Self {
        let (sandbox, model, spec) = real(false);
        let (owner, tasks) = (Owner::here("conformance"), Tasks::default());
        let upstream = Upstream::new(Setup::default(), Memory::default(), Meter::default());
        let pool = Pool::new(owner, tasks.clone(), PoolLimits::default(), upstream);
        let runtime = pool.runtime(&spec.runtime).await.unwrap();
        let backend = Arc::new(SdkBackend { runtime, tasks });
        Self { backend, _pool: Some(pool), spec, stage: Stage::Model(model), sandbox }
    }

    /// One `copilot` process per turn.
    pub(super) fn cli() -> Self {
        let (sandbox, model, spec) = real(true);
        let (owner, tasks) = (Owner::here("conformance"), Tasks::default());
        let backend = Arc::new(CliBackend { owner, tasks });
        Self { backend, _pool: None, spec, stage: Stage::Model(model), sandbox }
    }

    /// The strict one.
    pub(super) fn scripted() -> Self {
        let backend = Arc::new(ScriptedBackend::new(Strictness::Panics));
        let sandbox = Sandbox::new();
        let spec = spec(&sandbox, None, false);
        let stage = Stage::Script(backend.clone());
        Self { backend, _pool: None, spec, stage, sandbox }
    }

    /// The folder that the agent works in.
    pub(super) fn work(&self) -> PathBuf {
        self.sandbox.work()
    }

    pub(super) async fn open(&self, opening: Opening) -> Arc<dyn Session> {
        self.backend.open(&self.spec, &opening).await.unwrap()
    }

    pub(super) async fn open_new(&self) -> Arc<dyn Session> {
        self.open(Opening::New).await
    }

    /// The next turn's answer.
    pub(super) fn will_answer(&self, text: &str) {
        match &self.stage {
            Stage::Model(model) => {
                let middle = text.len() / 2;
                model.push(Reply::chunks([&text[..middle], &text[middle..]]));
            }
            Stage::Script(script) => {
                script.script([Step::Answer(text.to_owned())]);
            }
        }
    }

    /// The next turn begins and does not go on.
    pub(super) fn will_hang(&self) {
        match &self.stage {
            Stage::Model(model) => {
                model.push(Reply::stream().say("begun").hang());
            }
            Stage::Script(script) => {
                script.script([Step::Say(Signal::MessageDelta("begun".to_owned())), Step::Hang]);
            }
        }
    }

    /// The next turn's model request fails for good.
    pub(super) fn will_fail(&self, status: u16, class: FailureClass) {
        match &self.stage {
            Stage::Model(model) => {
                model.push(Reply::error(status, "scripted", "scripted").no_cli_retry());
            }
            Stage::Script(script) => {
                let failure = Failure::new(class, "scripted").with_status(Some(status));
                script.script([Step::Say(Signal::Failed(failure))]);
            }
        }
    }

    /// The next turn makes a file by a shell command, and then answers.
    pub(super) fn will_make(&self, file: &Path, answer: &str) {
        let command = format!("echo made > {}", file.display());
        match &self.stage {
            Stage::Model(model) => {
                let arguments = json!({"command": command, "description": "make a file"});
                model.push(Reply::tool("bash", &arguments));
                model.push(Reply::text(answer));
            }
            Stage::Script(script) => {
                std::fs::write(file, "made").unwrap();
                let (call, name) = ("c".to_owned(), "bash".to_owned());
                let ends = |success| {
                    let (call, result) = (call.clone(), String::new());
                    vec![Step::Say(Signal::ToolEnd { call, success, result })]
                };
                let wish = Wish::Shell {
                    command,
                    segments: Vec::new(),
                    paths: Vec::new(),
                    urls: Vec::new(),
                };
                let arguments = json!({});
                script.script([
                    Step::Say(Signal::ToolStart { call: call.clone(), name, arguments }),
                    Step::Ask {
                        request: "r".to_owned(),
                        wish,
                        allowed: ends(true),
                        denied: ends(false),
                    },
                    Step::Answer(answer.to_owned()),
                ]);
            }
        }
    }

    /// What the model was told in its last request, where there is a model.
    pub(super) fn told(&self) -> Option<Vec<String>> {
        match &self.stage {
            Stage::Model(model) => model.requests().pop().map(|request| request.user_messages()),
            Stage::Script(_) => None,
        }
    }

    /// Whether the Copilot CLI itself is at work.
    pub(super) fn is_real(&self) -> bool {
        matches!(self.stage, Stage::Model(_))
    }
}

/// A run that asks once: how often a request is asked again is not this suite's matter.
fn errand(session: &dyn Session) -> Errand {
    let (backend, endpoint) = (session.backend().to_owned(), "scripted".to_owned());
    let target = Target { backend, endpoint, model: MODEL.to_owned() };
    Errand {
        policy: Policy { attempts: 1, ..Policy::default() },
        priority: Priority::Interactive,
        candidates: [Candidate { target, context_tokens: None }].into(),
        current: 0,
        excluded: Vec::new(),
        forced: false,
        idle_ms: 300_000,
        patient: false,
        tries: 0,
        after: None,
        purse: None,
        activity: Activity::default(),
    }
}

/// Sends a prompt and hears the turn to its end, deciding about tools on the way.
pub(super) async fn turn(session: &dyn Session, prompt: &str, decision: &Decision) -> Heard {
    session.begin(errand(session));
    let message = session.send(prompt).await.unwrap();
    let signals = hear(session, decision).await;
    Heard { message, signals }
}

/// Hears the turn to its end.
pub(super) async fn hear(session: &dyn Session, decision: &Decision) -> Vec<Signal> {
    let mut signals = Vec::new();
    loop {
        let signal = session.next().await;
        if let Signal::Permission { request, .. } = &signal {
            session.decide(request, decision).await.unwrap();
        }
        let over = matches!(signal, Signal::Idle | Signal::Closed(_));
        signals.push(signal);
        if over {
            return signals;
        }
    }
}

impl Heard {
    /// The last whole message.
    pub(super) fn answer(&self) -> &str {
        let messages = self.signals.iter().rev().filter_map(|signal| match signal {
            Signal::Message { text, .. } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        });
        messages.into_iter().next().unwrap_or_default()
    }

    /// Why it failed.
    pub(super) fn failure(&self) -> Option<&Failure> {
        self.signals.iter().find_map(|signal| match signal {
            Signal::Failed(failure) => Some(failure),
            _ => None,
        })
    }
}

fn real(use_cli: bool) -> (Sandbox, ModelServer, SessionSpec) {
    let model = ModelServer::start();
    let mut sandbox = Sandbox::with_cli(CopilotCli::install());
    sandbox.set("COPILOT_OFFLINE", "true");
    let spec = spec(&sandbox, Some(&model), use_cli);
    (sandbox, model, spec)
}

fn spec(sandbox: &Sandbox, model: Option<&ModelServer>, use_cli: bool) -> SessionSpec {
    let text = |text: std::ffi::OsString| text.into_string().unwrap();
    let env = sandbox.env().into_iter().map(|(name, value)| (text(name), text(value))).collect();
    let provider = model.map(|model| ProviderSpec {
        kind: "openai".to_owned(),
        base_url: model.base_url(),
        wire_api: None,
        key: Some(SecretText::new(API_KEY)),
        bearer: false,
        azure_api_version: None,
        headers: BTreeMap::new(),
        max_prompt_tokens: None,
    });
    SessionSpec {
        runtime: RuntimeSpec { cli_path: None, env, secret_env: BTreeMap::new(), demo: false },
        cwd: sandbox.work(),
        model: Some(MODEL.to_owned()),
        effort: None,
        provider,
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
        cli: use_cli.then(CliSpec::default),
    }
}
