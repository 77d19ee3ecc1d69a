//! The rows of the table, each a function from the binaries to lines.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use serde_json::json;

use super::measure::{Line, Value, middle, time};
use crate::cli::CopilotCli;
use crate::clock;
use crate::ctl::{Bins, Ctl};
use crate::daemon::TestDaemon;
use crate::model::{ModelServer, Reply};
use crate::process::{Launch, Running};
use crate::rpc::Rpc;
use crate::sandbox::Sandbox;

/// Measures one row, which may be several lines.
type Row = fn(&Bins) -> Vec<Line>;

/// Rows by name, in the order of DESIGN section 11.
pub(super) const ROWS: [(&str, Row); 6] = [
    ("version", version),
    ("warm", warm),
    ("cold", cold),
    ("start", start),
    ("roundtrip", roundtrip),
    ("fanout", fanout),
];

/// Cheap things are measured often, things that start processes a few times.
const MANY: usize = 40;
const FEW: usize = 9;

/// Calls in one round of the round-trip row: one alone is shorter than the clock is good.
const CALLS: u32 = 2_000;

/// Watchers of one run in the fan-out row.
const WATCHERS: usize = 100;

/// Pieces of the answer that the watchers get.
const PIECES: usize = 2_000;

fn version(bins: &Bins) -> Vec<Line> {
    let cli = CopilotCli::install();
    let daemon = TestDaemon::builder(bins.clone()).start();
    let run = |launch: Launch| move || time(|| drop(launch.clone().run().ok()));
    let ctl = |args: &str| Launch::inside(daemon.sandbox(), &bins.copexctl).args([args]);
    let rival = middle(FEW, run(cli.launch(daemon.sandbox(), Vec::new()).args(["--version"])));
    let rival = Some(("copilot --version", Value::Time(rival)));
    let line = |what, target, ours| Line { what, ours: Value::Time(ours), target, rival };
    vec![
        line("copexctl --version", "≤ 3 ms", middle(MANY, run(ctl("--version")))),
        line("copexctl status, daemon up", "≤ 6 ms", middle(MANY, run(ctl("status")))),
    ]
}

/// From the start of a process to its first byte on stdout, without the model's own time.
fn first_byte(server: &ModelServer, start: impl FnOnce() -> Running) -> Duration {
    let request = server.all_requests().len();
    let began = clock::now();
    let running = start();
    assert!(running.wait_first_byte(), "no answer\n{}", running.seen());
    let total = clock::now() - began;
    let models = server.times(request).map_or(Duration::ZERO, |(came, left)| left - came);
    let _output = running.wait();
    total.saturating_sub(models)
}

/// `copilot -p` on the same server. Its first byte is part of the answer in text mode.
fn rival_first_byte(server: &ModelServer) -> Duration {
    let cli = CopilotCli::install();
    let sandbox = Sandbox::new();
    let launch = cli.launch(&sandbox, server.provider_env()).args(["-p", "hi", "--silent"]);
    middle(FEW, || first_byte(server, || launch.clone().start()))
}

fn warm(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::text("hello"));
    let daemon = TestDaemon::builder(bins.clone()).model(&server).start();
    let ctl = daemon.ctl();
    let ours = middle(FEW, || first_byte(&server, || ctl.start(["chat", "-q", "hi"])));
    vec![Line {
        what: "chat, warm: start to first token, without the model",
        ours: Value::Time(ours),
        target: "≤ 20 ms",
        rival: Some(("copilot -p", Value::Time(rival_first_byte(&server)))),
    }]
}

fn cold(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::text("hello"));
    let ours = middle(FEW, || {
        // Nothing runs and nothing is stored, but the runtime is unpacked.
        let mut sandbox = Sandbox::with_cli(CopilotCli::install());
        sandbox.set_all(server.provider_env());
        let ctl = Ctl::new(bins, &sandbox);
        first_byte(&server, || ctl.start(["chat", "-q", "hi"]))
    });
    vec![Line {
        what: "the same, cold: daemon, runtime, session, first token",
        ours: Value::Time(ours),
        target: "≤ 350 ms",
        rival: Some(("copilot -p", Value::Time(rival_first_byte(&server)))),
    }]
}

fn start(bins: &Bins) -> Vec<Line> {
    let ours = middle(FEW, || {
        let builder = TestDaemon::builder(bins.clone());
        let mut started = None;
        let took = time(|| {
            let daemon = builder.start();
            daemon.rpc().call("hello", &json!({}));
            started = Some(daemon);
        });
        drop(started);
        took
    });
    vec![Line {
        what: "daemon: cold start to an answer on the socket",
        ours: Value::Time(ours),
        target: "≤ 20 ms",
        rival: None,
    }]
}

fn roundtrip(bins: &Bins) -> Vec<Line> {
    let daemon = TestDaemon::builder(bins.clone()).start();
    let mut rpc = daemon.rpc();
    let call = || {
        for _ in 0..CALLS {
            rpc.call("hello", &json!({}));
        }
    };
    let mut call = call;
    let ours = middle(FEW, || time(&mut call)) / CALLS;
    vec![Line {
        what: "JSON-RPC round trip, blocking client",
        ours: Value::Time(ours),
        target: "≤ 2 × echo",
        rival: Some(("raw Unix-socket echo", Value::Time(echo(daemon.sandbox())))),
    }]
}

/// One line there and back over a Unix socket, with a thread on the other side.
fn echo(sandbox: &Sandbox) -> Duration {
    let path = sandbox.path("echo.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (stream, _) = listener.accept()?;
        let mut writer = stream.try_clone()?;
        let (mut reader, mut line) = (BufReader::new(stream), Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 {
            writer.write_all(&line)?;
            line.clear();
        }
        Ok(())
    });
    let mut stream = UnixStream::connect(&path).expect("the echo listens");
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let frame =
        format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": "hello", "params": {}}));
    let mut line = Vec::new();
    let took = middle(FEW, || {
        time(|| {
            for _ in 0..CALLS {
                stream.write_all(frame.as_bytes()).expect("the echo reads");
                line.clear();
                reader.read_until(b'\n', &mut line).expect("the echo answers");
            }
        })
    });
    drop((stream, reader));
    let _ended = server.join();
    took / CALLS
}

/// Each watcher reads the whole log of one run; every event must have come, in order.
fn fanout(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::chunks((0..PIECES).map(|n| format!("{n} "))));
    let daemon = TestDaemon::builder(bins.clone()).model(&server).start();
    let submitted =
        daemon.rpc().call("run.submit", &json!({"request": {"mode": "chat", "prompt": "count"}}));
    let run = submitted["run"].clone();
    let events = std::sync::atomic::AtomicUsize::new(0);
    let took = time(|| {
        std::thread::scope(|scope| {
            for _ in 0..WATCHERS {
                let (run, events, socket) = (&run, &events, daemon.socket());
                scope.spawn(move || {
                    let mut rpc = Rpc::connect(&socket);
                    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
                    let seen = rpc.events_to_end(&watched);
                    for (event, seq) in seen.iter().zip(1_u64..) {
                        assert_eq!(event["seq"], seq, "an event was lost");
                    }
                    events.fetch_add(seen.len(), std::sync::atomic::Ordering::Relaxed);
                });
            }
        });
    });
    let delivered = u32::try_from(events.into_inner()).unwrap_or(u32::MAX);
    vec![Line {
        what: "event fan-out, 100 watchers on one run",
        ours: Value::Rate(f64::from(delivered) / took.as_secs_f64()),
        target: "≥ 200,000/s",
        rival: None,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rivals_can_be_measured() {
        let server = ModelServer::with(|_| Reply::text("hello"));
        assert!(rival_first_byte(&server) > Duration::from_millis(20));
        assert_eq!(server.requests().len(), FEW + 1);
        assert!(echo(&Sandbox::new()) < Duration::from_millis(20));
    }
}
