//! The rows of the table, each a function from the binaries to lines.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::measure::{Line, Value, middle, time};
use super::page::page;
use crate::cli::CopilotCli;
use crate::clock::{self, Deadline, PATIENCE};
use crate::ctl::{Bins, Ctl};
use crate::daemon::TestDaemon;
use crate::model::{Gate, MODEL, ModelServer, Reply};
use crate::process::{Launch, Running};
use crate::rpc::Rpc;
use crate::sandbox::Sandbox;

/// Measures one row, which may be several lines.
type Row = fn(&Bins) -> Vec<Line>;

/// Rows by name, in the order in which they are printed.
pub(super) const ROWS: [(&str, Row); 10] = [
    ("version", version),
    ("warm", warm),
    ("cold", cold),
    ("start", start),
    ("roundtrip", roundtrip),
    ("fanout", fanout),
    ("size", size),
    ("submit", submit),
    ("fleet", fleet),
    ("page", page),
];

/// Cheap things are measured often, things that start processes a few times.
const MANY: usize = 40;
const FEW: usize = 9;

/// Calls in one round of the round-trip row: one alone is shorter than the clock is good.
const CALLS: u32 = 2_000;

/// Rounds of what takes seconds.
const FEWEST: usize = 3;

/// Tasks of the fleet, how many are at work at once, and how long the model takes for each.
const TASKS: u32 = 20;
const WIDE: u32 = 5;
const ANSWER: Duration = Duration::from_secs(1);

/// What twenty such tasks took Python copex, five at once, in times of the ideal: 8.5 s. It was
/// measured once, on another machine, against a shim in place of the Copilot CLI.
const PYTHON_FLEET: f64 = 8.5 / 4.0;

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
    let (ctl, mut rpc) = (daemon.ctl(), daemon.rpc());
    let ours = middle(FEW, || {
        let took = first_byte(&server, || ctl.start(["chat", "--raw", "hi"]));
        // A person's next question comes later than the next warm session does.
        wait_for_spare(&mut rpc);
        took
    });
    vec![Line {
        what: "chat, warm: start to first token, without the model",
        ours: Value::Time(ours),
        target: "≤ 20 ms",
        rival: Some(("copilot -p", Value::Time(rival_first_byte(&server)))),
    }]
}

fn wait_for_spare(rpc: &mut Rpc) {
    let deadline = Deadline::after(PATIENCE);
    while rpc.call("pool.status", &json!({}))["runtimes"][0]["spare_sessions"] != 1 {
        assert!(deadline.left().is_some(), "no warm session");
        std::thread::yield_now();
    }
}

fn cold(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::text("hello"));
    let ours = middle(FEW, || {
        // Nothing runs and nothing is stored, but the runtime is unpacked.
        let mut sandbox = Sandbox::with_cli(CopilotCli::install());
        sandbox.set_all(server.provider_env());
        let ctl = Ctl::new(bins, &sandbox);
        first_byte(&server, || ctl.start(["chat", "--raw", "hi"]))
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
            let daemon = builder.start_only();
            while UnixStream::connect(daemon.socket()).is_err() {
                assert!(!daemon.process().has_ended(), "{}", daemon.process().seen());
                std::thread::yield_now();
            }
            // Answers while the store is being opened, too.
            daemon.rpc().call("daemon.status", &json!({}));
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

/// Watchers of one run at work; each must get every event, in order.
fn fanout(bins: &Bins) -> Vec<Line> {
    let gate = Gate::new();
    let held = gate.clone();
    let server = ModelServer::with(move |_| {
        // Pieces of two kinds in turn: neighbours of one kind would be merged.
        (0..PIECES).fold(Reply::stream().wait(&held), |reply, n| match n % 2 {
            0 => reply.think(format!("{n} ")),
            _ => reply.say(format!("{n} ")),
        })
    });
    let daemon = TestDaemon::builder(bins.clone()).model(&server).start();
    let submitted = daemon.rpc().call("run.submit", &chat(&server));
    let run = submitted["run"].as_str().expect("a run's id").to_owned();
    let _asked = server.wait_for_requests(1);
    let socket = daemon.socket();
    let watchers: Vec<_> = (0..WATCHERS).map(|_| subscribed(&socket, &run)).collect();
    let live = read_all(watchers, || gate.open());
    let watchers = (0..WATCHERS).map(|_| subscribed(&socket, &run)).collect();
    let replayed = read_all(watchers, || ());
    let line =
        |what, rate| Line { what, ours: Value::Rate(rate), target: "≥ 200,000/s", rival: None };
    vec![
        line("event fan-out, 100 watchers, at the pace of one run at work", live),
        line("the same, from its log after its end", replayed),
    ]
}

/// The parameters of a chat with this model.
fn chat(server: &ModelServer) -> serde_json::Value {
    let key = json!({"env": "COPILOT_PROVIDER_API_KEY"});
    let provider = json!({"base_url": server.base_url(), "key": key});
    json!({"request": {"mode": "chat", "prompt": "hi", "model": MODEL, "provider": provider}})
}

/// A connection that has asked for a run's events.
fn subscribed(socket: &Path, run: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the daemon listens");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "run.watch", "params": {"run": run}});
    stream.write_all(format!("{call}\n").as_bytes()).expect("the daemon reads");
    stream
}

/// Events per second over all watchers, from the first event after `begin` to the last
/// watcher's end. The watchers look at no more of a frame than they must: they share the
/// machine with the daemon.
fn read_all(watchers: Vec<UnixStream>, begin: impl FnOnce()) -> f64 {
    let (mut events, mut first, mut last) = (0, None, None);
    std::thread::scope(|scope| {
        let readers: Vec<_> =
            watchers.into_iter().map(|stream| scope.spawn(move || read_to_end(stream))).collect();
        begin();
        for reader in readers {
            let (count, began, ended) = reader.join().expect("a watcher");
            events += count;
            first = Some(first.map_or(began, |first: Instant| first.min(began)));
            last = Some(last.map_or(ended, |last: Instant| last.max(ended)));
        }
    });
    let took = last.zip(first).map_or(Duration::MAX, |(last, first)| last - first);
    f64::from(events) / took.as_secs_f64()
}

/// How many deltas and later events there were, and when the first and the last came.
fn read_to_end(stream: UnixStream) -> (u32, Instant, Instant) {
    let (mut reader, mut line) = (BufReader::with_capacity(1 << 18, stream), Vec::new());
    let (mut seq, mut count, mut began) = (0, 0, None);
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).expect("the daemon answers");
        assert!(read > 0, "the connection ended after event {seq}");
        let text = String::from_utf8_lossy(&line);
        let Some((_, after)) = text.split_once("\"seq\":") else { continue };
        seq += 1;
        assert!(after.starts_with(&format!("{seq},")), "an event was lost before {text}");
        if began.is_none() && text.contains("_delta\"") {
            began = Some(clock::now());
        }
        count += u32::from(began.is_some());
        if text.contains("\"type\":\"done\"") {
            return (count, began.unwrap_or_else(clock::now), clock::now());
        }
    }
}

fn size(bins: &Bins) -> Vec<Line> {
    let daemon = TestDaemon::builder(bins.clone()).start();
    let status = daemon.rpc().call("daemon.status", &json!({}));
    let rss = status["rss_bytes"].as_u64().unwrap_or_default();
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let line = |what, ours, target| Line { what, ours: Value::Bytes(ours), target, rival: None };
    vec![
        line("idle daemon, fresh store: resident memory", rss, "≤ 15 MB"),
        line("both binaries", bytes(&bins.copexd) + bytes(&bins.copexctl), "≤ 20 MB"),
    ]
}

/// A run taken for good, beside what the disk alone takes to write that much for good.
fn submit(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::text("hello"));
    let daemon = TestDaemon::builder(bins.clone()).model(&server).start();
    let mut rpc = daemon.rpc();
    let ours = middle(MANY, || {
        let mut run = serde_json::Value::Null;
        let took = time(|| run = rpc.call("run.submit", &chat(&server))["run"].take());
        let watched = rpc.subscribe("run.watch", &json!({"run": run}));
        let _events = rpc.events_to_end(&watched);
        // The next one is not to be measured beside the making of a warm session.
        wait_for_spare(&mut rpc);
        took
    });
    let mut file = std::fs::File::create(daemon.sandbox().path("flush")).expect("a file");
    let flush = middle(MANY, || {
        time(|| {
            file.write_all(&[0; 4096]).expect("space on the disk");
            file.sync_data().expect("a disk");
        })
    });
    vec![Line {
        what: "run.submit, durable",
        ours: Value::Time(ours),
        target: "≤ 2 ms + flush",
        rival: Some(("write and sync 4 KiB", Value::Time(flush))),
    }]
}

/// Tasks that take a second each, from the start of the client to its end.
fn fleet(bins: &Bins) -> Vec<Line> {
    let server = ModelServer::with(|_| Reply::stream().pause(ANSWER).say("done"));
    let daemon = TestDaemon::builder(bins.clone()).model(&server).start();
    let ctl = daemon.ctl();
    let tasks: Vec<String> = (0..TASKS).map(|number| format!("task {number}")).collect();
    let wide = WIDE.to_string();
    let flags = ["--max-concurrent", &wide, "--isolation", "none", "-q"];
    let words = ["fleet"].into_iter().chain(tasks.iter().map(String::as_str)).chain(flags);
    let words: Vec<&str> = words.collect();
    let took = middle(FEWEST, || time(|| drop(ctl.run(&words).ok())));
    let ideal = ANSWER * TASKS.div_ceil(WIDE);
    vec![Line {
        what: "fleet: 20 one-second tasks, 5 wide",
        ours: Value::Ideal(took.as_secs_f64() / ideal.as_secs_f64()),
        target: "≤ 1.1 × ideal",
        rival: Some(("Python copex, measured elsewhere", Value::Ideal(PYTHON_FLEET))),
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
