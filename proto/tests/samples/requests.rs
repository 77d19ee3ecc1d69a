//! What clients ask for.

use std::collections::BTreeMap;

use copex_proto::run::{
    Approval, ApprovalMode, ChatRequest, CouncilPreset, CouncilRequest, Effort, FleetRequest,
    FleetTask, Isolation, KeySource, OnDependencyFailure, OnLostSession, OnStepFailure,
    PlanRequest, Provider, ProviderKind, RalphContext, RalphRequest, RetryOptions, RunOptions,
    RunRequest, SessionChoice, SystemMessage, SystemMessageMode,
};
use copex_proto::secret::Secret;
use copex_proto::spend::{Price, SpendLimits};
use serde_json::json;

use super::{Frame, frame, text};

fn map<V>(name: &str, value: V) -> BTreeMap<String, V> {
    BTreeMap::from([(name.to_owned(), value)])
}

fn everything() -> RunOptions {
    RunOptions {
        cwd: Some(text("/home/ada/project")),
        model: Some(text("gpt-5.4")),
        reasoning_effort: Some(Effort::Xhigh),
        strict_model: true,
        provider: Some(Provider {
            kind: ProviderKind::Azure,
            base_url: text("https://example.org/v1"),
            wire_api: Some(text("responses")),
            key: Some(KeySource::Env(text("API_KEY"))),
            azure_api_version: Some(text("2026-01-01")),
            headers: map("x-team", text("red")),
            max_prompt_tokens: Some(128_000),
            reasoning_efforts: Some(vec![Effort::Low, Effort::High]),
        }),
        secrets: map("API_KEY", Secret::new("only in memory")),
        demo: true,
        demo_fallback: true,
        system_message: Some(SystemMessage {
            mode: SystemMessageMode::Replace,
            text: text("Be brief."),
        }),
        available_tools: Some(vec![text("bash")]),
        excluded_tools: vec![text("web_fetch")],
        skill_directories: vec![text("/home/ada/skills")],
        disabled_skills: vec![text("deploy")],
        mcp_servers: map("files", json!({"command": "mcp-files", "args": ["--ro"]})),
        streaming: Some(false),
        approval: Approval {
            mode: ApprovalMode::Ask,
            allow: vec![text("shell(git:*)")],
            deny: vec![text("shell(rm:*)")],
            ask_timeout_s: Some(600),
        },
        env: Some(map("PATH", text("/usr/bin"))),
        session: SessionChoice::Resume(text("0198c7f2")),
        cli_path: Some(text("/usr/local/bin/copilot")),
        use_cli: true,
        timeout_s: Some(300.5),
        max_retries: Some(5),
        retry: RetryOptions {
            base_delay_s: Some(1.5),
            max_delay_s: Some(30.0),
            exponential_base: Some(2.5),
            first_event_timeout_s: None,
        },
        context_budget: Some(100_000),
        // Not together with a demonstration: they have frames of their own.
        record: None,
        replay: None,
        replay_speed: None,
        max_cost: Some(12.5),
        max_ai_credits: Some(100.0),
        max_tokens: Some(2_000_000),
        prices: map("gpt-5.4", Price { input: 1.25, output: 10.0, cached: Some(0.125) }),
        foreground: true,
        outlives_client: true,
        ..RunOptions::default()
    }
}

fn resilient() -> RunOptions {
    RunOptions {
        retry: RetryOptions { first_event_timeout_s: Some(60.0), ..RetryOptions::default() },
        fallback_chain: Some(vec![text("gpt-5"), text("provider:qwen3:8b")]),
        on_content_filter: true,
        on_lost_session: OnLostSession::Restart,
        auto_continue: true,
        no_park: true,
        max_parks: Some(3),
        max_duration_s: Some(3_600.0),
        ..RunOptions::default()
    }
}

fn whole_plan() -> PlanRequest {
    PlanRequest {
        task: text("Add a login page"),
        execute: true,
        review: true,
        load: Some(text("/home/ada/plan.md")),
        plan: Some(text("- [ ] **1. Add the page**\n")),
        file: Some(text("/home/ada/new.md")),
        from_step: Some(2),
        max_iterations: Some(5),
        verify_timeout_s: Some(60.0),
        max_errors: Some(2),
        parallel: Some(3),
        plan_model: Some(text("gpt-5.4")),
        plan_tools: vec![text("docs-search")],
        trust: true,
        commit: true,
        on_failure: OnStepFailure::Stop,
        options: RunOptions::default(),
    }
}

fn whole_council() -> CouncilRequest {
    CouncilRequest {
        task: text("Which database?"),
        members: vec![text("gpt-5.4:high"), text("claude-sonnet-5")],
        chair: Some(text("claude-opus-5:high")),
        quorum: Some(2),
        straggler_timeout_s: Some(60.5),
        max_concurrent: Some(2),
        debate: Some(2),
        escalate: true,
        preset: Some(CouncilPreset::Architecture),
        shared_context: Some(text("It runs on one machine.")),
        options: RunOptions::default(),
    }
}

fn whole_fleet() -> FleetRequest {
    FleetRequest {
        tasks: vec![FleetTask {
            id: text("build"),
            prompt: text("Build it."),
            depends_on: Vec::new(),
            on_dependency_failure: OnDependencyFailure::Continue,
            priority: 3,
            verify: vec![text("cargo test")],
            model: Some(text("gpt-5.4")),
            reasoning_effort: Some(Effort::High),
            cwd: Some(text("/home/ada/app")),
            exclude_tools: vec![text("bash")],
            skills_dirs: vec![text("/home/ada/skills")],
            mcp_servers: [(text("docs"), json!({"command": "docs"}))].into(),
            timeout_sec: Some(60.0),
        }],
        max_concurrent: Some(3),
        fail_fast: true,
        shared_context: Some(text("Be brief.")),
        task_timeout_s: Some(600.0),
        max_iterations: Some(5),
        verify_timeout_s: Some(60.0),
        isolation: Isolation::None,
        options: RunOptions::default(),
    }
}

fn say(options: RunOptions) -> ChatRequest {
    ChatRequest { prompt: text("Hello"), options, ..ChatRequest::default() }
}

fn compaction() -> RunRequest {
    let session = SessionChoice::Resume(text("4f2c"));
    let options = RunOptions { session, ..RunOptions::default() };
    RunRequest::Chat(ChatRequest { compact: true, options, ..ChatRequest::default() })
}

pub(super) fn all() -> Vec<Frame> {
    let options = RunOptions::default;
    let request =
        |request: RunRequest| frame(format!("request.{}", request.mode().as_str()), &request);
    let task = |id: &str, depends_on: Vec<String>| FleetTask {
        id: text(id),
        prompt: format!("do {id}"),
        depends_on,
        ..FleetTask::default()
    };
    let chat = ChatRequest { prompt: text("Why is the sky blue?"), ..say(everything()) };
    let patient = say(resilient());
    let small = say(options());
    let file = || Some(text("/home/ada/bug.jsonl"));
    let record = RunOptions { record: file(), ..options() };
    let replay = RunOptions { replay: file(), replay_speed: Some(2.5), ..options() };
    let with = |options| RunRequest::Chat(say(options));
    vec![
        request(RunRequest::Chat(chat.clone())),
        frame("request.chat.limits", &RunRequest::Chat(chat)),
        frame(
            "spend.limits",
            &SpendLimits {
                max_cost: Some(12.5),
                max_ai_credits: Some(100.0),
                max_tokens: Some(2_000_000),
            },
        ),
        frame("request.chat.compact", &compaction()),
        frame("request.chat.resilience", &RunRequest::Chat(patient)),
        frame("request.chat.record", &with(record)),
        frame("request.chat.replay", &with(replay)),
        frame("request.chat.small", &RunRequest::Chat(small)),
        request(RunRequest::Ralph(RalphRequest {
            prompt: text("Make the tests pass."),
            promise: Some(text("DONE")),
            verify: vec![text("cargo test")],
            max_iterations: Some(10),
            options: options(),
            ..RalphRequest::default()
        })),
        frame(
            "request.ralph.whole",
            &RunRequest::Ralph(RalphRequest {
                prompt: text("Make the tests pass."),
                promise: Some(text("DONE")),
                verify: vec![text("cargo test"), text("cargo clippy")],
                max_iterations: Some(10),
                verify_timeout_s: Some(120.0),
                context: RalphContext::FreshEvery(3),
                max_errors: Some(5),
                delay_s: Some(1.5),
                commit: true,
                pause: true,
                options: options(),
            }),
        ),
        request(RunRequest::Plan(PlanRequest {
            task: text("Add a login page"),
            execute: true,
            options: options(),
            ..PlanRequest::default()
        })),
        frame("request.plan.whole", &RunRequest::Plan(whole_plan())),
        request(RunRequest::Fleet(FleetRequest {
            tasks: vec![task("build", vec![]), task("test", vec![text("build")])],
            max_concurrent: Some(3),
            options: options(),
            ..FleetRequest::default()
        })),
        frame("request.fleet.whole", &RunRequest::Fleet(whole_fleet())),
        request(RunRequest::Council(CouncilRequest {
            task: text("Which database?"),
            members: vec![text("gpt-5.4:high"), text("claude-sonnet-5")],
            options: options(),
            ..CouncilRequest::default()
        })),
        frame("request.council.whole", &RunRequest::Council(whole_council())),
    ]
}
