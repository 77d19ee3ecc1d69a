//! What the daemon answers.

use std::collections::BTreeMap;

use copex_proto::event::{Answer, AnsweredBy, EventBody, RunEvent};
use copex_proto::health::{
    AnswerResponse, AuthStatus, BackendQuery, CancelResponse, ClientInfo, DaemonPhase,
    DaemonStatus, EventsResponse, HelloResponse, Latency, ListResponse, ModelInfo, ModelList,
    OfferResponse, PoolStatus, Quota, Recycled, RunFilter, RunsChanged, RuntimeStatus,
    SteerResponse, StopResponse, SubmitResponse, TreeUsage, Warmth,
};
use copex_proto::id::{AskId, SessionId};
use copex_proto::mcp::{McpCheck, McpChecked, McpReport, McpTool};
use copex_proto::run::{Effort, Mode, Provider, ProviderKind, RunDetail, RunState, RunSummary};
use copex_proto::secret::Secret;
use copex_proto::skill::{SkillDetail, SkillInfo, SkillList, SkillProblem, SkillQuery, SkillState};
use serde_json::json;

use super::events::{error, outcome, usage};
use super::{Frame, frame, run, text};

fn summary() -> RunSummary {
    RunSummary {
        run: run(),
        mode: Mode::Fleet,
        state: RunState::Exhausted,
        title: text("do build"),
        cwd: text("/home/ada/project"),
        model: Some(text("gpt-5.4")),
        session: Some(SessionId(text("0198c7f2"))),
        last_seq: 42,
        accepted_at: 1_760_000_000_000,
        ended_at: Some(1_760_000_004_200),
        resumed_from: Some(run()),
        needs_key: None,
    }
}

fn runs() -> Vec<Frame> {
    let state = EventBody::State { state: RunState::Parked };
    let event = RunEvent { run: run(), seq: 1, at: 1_760_000_000_000, path: None, body: state };
    let filter = RunFilter {
        states: vec![RunState::Running, RunState::Asking],
        cwd: Some(text("/home/ada/project")),
    };
    let detail = RunDetail {
        summary: summary(),
        request: json!({"mode": "chat", "prompt": "Hello"}),
        secrets: vec![text("MY_API_KEY")],
        asks: vec![AskId(text("ask-1"))],
        usage: usage(),
        outcome: Some(outcome()),
        error: Some(error()),
    };
    let answer = AnswerResponse {
        ask: AskId(text("ask-1")),
        answer: Answer::AllowAlways,
        by: AnsweredBy::Timeout,
        accepted: false,
    };
    vec![
        frame("run.submit", &SubmitResponse { run: run(), created: true }),
        frame(
            "run.events",
            &EventsResponse { events: vec![event], next_after: 1, ended: false, epoch: text("e1") },
        ),
        frame("run.filter", &filter),
        frame("run.list", &ListResponse { runs: vec![summary()], cursor: Some(run()) }),
        frame("run.get", &detail),
        frame("run.cancel", &CancelResponse { run: run(), state: RunState::Cancelled }),
        frame("run.watch_all", &RunsChanged { runs: vec![summary()], waiting: 1 }),
        frame("run.steer", &SteerResponse { run: run() }),
        frame("run.offer", &OfferResponse { run: run(), taken: true }),
        frame("run.answer", &answer),
    ]
}

fn backends() -> Vec<Frame> {
    let provider = Provider {
        kind: ProviderKind::Openai,
        base_url: text("http://127.0.0.1:11434/v1"),
        wire_api: None,
        key: None,
        azure_api_version: None,
        headers: BTreeMap::new(),
        max_prompt_tokens: None,
        reasoning_efforts: None,
    };
    let query = BackendQuery {
        cli_path: Some(text("/usr/local/bin/copilot")),
        env: Some(BTreeMap::from([(text("PATH"), text("/usr/bin"))])),
        provider: Some(provider),
        secrets: BTreeMap::from([(text("KEY"), Secret::new("only in memory"))]),
    };
    let model = ModelInfo {
        id: text("gpt-5.4"),
        name: Some(text("GPT-5.4")),
        source: text("account"),
        efforts: vec![Effort::Minimal, Effort::Max],
        multiplier: Some(0.33),
        context_tokens: Some(400_000),
    };
    let auth = AuthStatus {
        authenticated: true,
        login: Some(text("octocat")),
        method: Some(text("user")),
        host: Some(text("https://github.com")),
        quota: vec![Quota {
            kind: text("premium_interactions"),
            unlimited: false,
            entitlement: 300,
            used: 151,
            remaining_percent: 49.5,
            overage_allowed: false,
            reset_date: Some(text("2026-12-01T00:00:00Z")),
        }],
        message: text("signed in as octocat"),
    };
    let runtime = RuntimeStatus {
        pid: 4242,
        program: text("copilot-runtime"),
        version: Some(text("1.0.28")),
        busy_sessions: 1,
        idle_sessions: 2,
        spare_sessions: 3,
        rss_bytes: 90_000_000,
        started_at: 1_760_000_000_000,
        leaving: None,
        tree: None,
        latency: None,
    };
    let measured = RuntimeStatus {
        leaving: Some(text("age")),
        tree: Some(TreeUsage { processes: 4, rss_bytes: 120_000_000, cpu_ms: 5_300 }),
        latency: Some(Latency { baseline_us: 700, latest_us: 900 }),
        ..runtime.clone()
    };
    let pool =
        PoolStatus { runtimes: vec![runtime], problem: Some(error()), ..PoolStatus::default() };
    let counted = PoolStatus {
        runtimes: vec![measured],
        problem: None,
        warm: Some(Warmth { spare_hits: 4, spare_misses: 3, idle_hits: 2, idle_misses: 1 }),
        recycled: vec![Recycled { reason: text("memory"), count: 1, last_at: 1_760_000_000_000 }],
        open_files: Some(31),
    };
    vec![
        frame("backend.query", &query),
        frame("model.list", &ModelList { models: vec![model], notes: vec![text("not signed in")] }),
        frame("auth.status", &auth),
        frame("auth.status.quota", &auth),
        frame("pool.status", &pool),
        frame("pool.status.counted", &counted),
    ]
}

fn given() -> Vec<Frame> {
    vec![
        frame("skill.query", &skill_query()),
        frame("skill.list", &skills()),
        frame("skill.get", &skill()),
        frame("mcp.check", &mcp_check()),
        frame("mcp.report", &mcp_report()),
    ]
}

fn skill_query() -> SkillQuery {
    SkillQuery {
        skill_directories: vec![text("/home/ada/skills")],
        disabled_skills: vec![text("deploy")],
        skills: Some(vec![text("review")]),
    }
}

fn skill_info(folder: &str, state: SkillState) -> SkillInfo {
    SkillInfo {
        name: text("review"),
        description: text("How we review."),
        path: format!("{folder}/review/SKILL.md"),
        directory: text(folder),
        state,
        shadowed_by: (state == SkillState::Shadowed).then(|| text("/repo/review/SKILL.md")),
    }
}

fn skills() -> SkillList {
    let problem = SkillProblem { path: text("/repo/odd"), message: text("there is no SKILL.md") };
    SkillList {
        skills: vec![
            skill_info("/repo", SkillState::Offered),
            skill_info("/home/ada/skills", SkillState::Shadowed),
        ],
        problems: vec![problem],
    }
}

fn skill() -> SkillDetail {
    SkillDetail {
        skill: skill_info("/repo", SkillState::NotNamed),
        text: text("---\nname: review\n---\n"),
        shadows: vec![skill_info("/home/ada/skills", SkillState::Shadowed)],
    }
}

fn mcp_check() -> McpCheck {
    McpCheck {
        servers: [(text("docs"), json!({"command": "docs"}))].into(),
        cwd: Some(text("/repo")),
        timeout_s: Some(10.0),
        query: BackendQuery::default(),
    }
}

fn mcp_report() -> McpReport {
    let ok = McpChecked {
        name: text("docs"),
        transport: text("stdio"),
        ok: true,
        took_ms: 120,
        tools: vec![McpTool { name: text("search"), description: Some(text("Searches.")) }],
        error: None,
    };
    let error = Some(text("failed to spawn MCP server process"));
    let failed = McpChecked { ok: false, tools: Vec::new(), error, ..ok.clone() };
    McpReport { servers: vec![ok, failed] }
}

pub(super) fn all() -> Vec<Frame> {
    let client = ClientInfo { name: text("copexctl"), version: text("0.1.0"), protocol: 1 };
    let hello = HelloResponse {
        version: text("0.1.0"),
        protocol: 1,
        min_protocol: 1,
        epoch: text("e1"),
        max_message_bytes: 33_554_432,
    };
    let status = DaemonStatus {
        phase: DaemonPhase::Draining,
        version: text("0.1.0"),
        protocol: 1,
        pid: 4241,
        started_at: 1_760_000_000_000,
        socket: text("/run/user/1000/copex/copexd.sock"),
        state_dir: text("/home/octocat/.local/state/copex"),
        rss_bytes: 12_000_000,
        connections: 3,
        active_runs: 2,
        epoch: text("e1"),
        supervisor: text("systemd"),
        notes: vec![text("the disk is nearly full")],
    };
    let mut frames = vec![
        frame("client", &client),
        frame("hello", &hello),
        frame("daemon.status", &status),
        frame("daemon.stop", &StopResponse { active_runs: 2 }),
    ];
    frames.extend(runs());
    frames.extend(backends());
    frames.extend(given());
    frames
}
