//! Socket activation as systemd does it: the socket exists first, the daemon comes with
//! the first client, and knows nothing of the user's shell.

use std::os::unix::fs::PermissionsExt as _;

use copex_tests::cli::CopilotCli;
use copex_tests::ctl::{Bins, Ctl};
use copex_tests::model::{ModelServer, Reply};
use copex_tests::process::{Launch, Running};
use copex_tests::rpc::Rpc;
use copex_tests::sandbox::Sandbox;
use copex_tests::tool;
use serde_json::json;

/// What a systemd user manager knows without anybody's shell, and so what the daemon gets.
const BARE: [&str; 6] =
    ["HOME", "PATH", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"];

/// Runs the daemon under `systemd-socket-activate`; `None` where that is not installed.
fn activate(bins: &Bins, sandbox: &Sandbox) -> Option<Running> {
    let program = tool::find("systemd-socket-activate")?;
    let socket = sandbox.socket();
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    // It hands on only the variables that it is told to.
    let variables = sandbox.env().into_iter().filter_map(|(name, value)| {
        let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
        BARE.contains(&name.as_str()).then(|| format!("--setenv={name}={value}"))
    });
    let running = Launch::inside(sandbox, program)
        .args(["-l".as_ref(), socket.as_os_str()])
        .args(["--fdname=copexd", "--setenv=ONLY_THE_DAEMONS=leaked"])
        .args(variables)
        .args([&bins.copexd])
        .start();
    running.wait_stderr("Listening on");
    Some(running)
}

#[test]
fn the_first_client_starts_the_daemon_on_the_socket_that_was_there() {
    let sandbox = Sandbox::new();
    let Some(activator) = activate(&copex_tests::bins!(), &sandbox) else { return };
    let socket = sandbox.socket();
    let mode = || socket.metadata().unwrap().permissions().mode() & 0o777;
    assert_ne!(mode(), 0o600, "the activator does not care");
    let mut rpc = Rpc::connect(&socket);
    let hello = rpc.call("hello", &json!({}));
    assert_eq!(hello["protocol"], copex_proto::PROTOCOL_VERSION, "{hello}");
    assert_eq!(mode(), 0o600, "the daemon does");
    let status = rpc.call("daemon.status", &json!({}));
    assert_eq!(status["pid"], activator.pid().as_raw());
    assert_eq!(status["socket"], socket.to_str().unwrap());

    // The activator has become the daemon: stopping it leaves systemd's socket alone.
    rpc.call("daemon.stop", &json!({}));
    let _output = activator.wait().expect_code(0);
    assert!(socket.exists(), "the socket belongs to systemd");
}

#[test]
fn tools_have_the_clients_environment_and_nothing_of_the_daemons() {
    let (server, mut sandbox) = (ModelServer::start(), Sandbox::new());
    let Some(activator) = activate(&copex_tests::bins!(), &sandbox) else { return };
    let cli = CopilotCli::install();
    sandbox.set_all(server.provider_env());
    sandbox.set("COPILOT_CLI_PATH", cli.copilot());
    sandbox.set("COPILOT_CACHE_HOME", cli.cache_home());
    sandbox.set("MARKER", "from the client's shell");
    let script = "echo \"[$MARKER][$ONLY_THE_DAEMONS][$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES]\"";
    server.push(Reply::tool("bash", &json!({"command": script, "description": "look"})));
    server.push(Reply::text("seen"));
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    let output = ctl.run(["chat", "-q", "look around"]).expect_code(0);
    assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("seen", ""));
    let results = server.requests()[1].tool_results();
    assert!(results[0].contains("[from the client's shell][][]"), "{results:?}");

    // Another shell, another environment, the same daemon.
    server.push(Reply::tool("bash", &json!({"command": script, "description": "look"})));
    server.push(Reply::text("seen"));
    let ctl = ctl.with(|launch| launch.env("MARKER", "another shell"));
    let _output = ctl.run(["chat", "-q", "look again"]).expect_code(0);
    let results = server.requests()[3].tool_results();
    assert!(results[0].contains("[another shell][][]"), "{results:?}");
    assert!(!activator.has_ended(), "{}", activator.seen());
}

#[test]
fn what_speaks_to_the_daemon_alone_reaches_no_tool() {
    // A request without an environment gets the daemon's own, which has all of these.
    let server = ModelServer::start();
    let script = "echo \"[$OWN][$NOTIFY_SOCKET$WATCHDOG_USEC]\"";
    server.push(Reply::tool("bash", &json!({"command": script, "description": "look"})));
    server.push(Reply::text("seen"));
    let daemon = copex_tests::daemon::TestDaemon::builder(copex_tests::bins!())
        .model(&server)
        .env("OWN", "of the daemon")
        .env("WATCHDOG_USEC", "30000000")
        .start();
    let request = json!({
        "mode": "chat",
        "prompt": "look",
        "cwd": daemon.sandbox().work(),
        "model": copex_tests::model::MODEL,
        "provider": {
            "base_url": server.base_url(),
            "key": {"env": "COPILOT_PROVIDER_API_KEY"},
        },
    });
    let mut rpc = daemon.rpc();
    let started = rpc.subscribe("run.start", &json!({"request": request}));
    assert_eq!(rpc.events_to_end(&started).pop().unwrap()["type"], "done");
    let results = server.requests()[1].tool_results();
    assert!(results[0].contains("[of the daemon][]"), "{results:?}");
}
