//! The daemon around the engine: its phases, what it says of itself, and how it stops.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use copex_proto::PROTOCOL_VERSION;
use copex_proto::error::ErrorInfo;
use copex_proto::health::{DaemonPhase, DaemonStatus};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backend::process;
use crate::engine::Engine;
use crate::runtime::tasks::Tasks;
use crate::store::Health;

/// How far the daemon is.
pub enum Phase {
    /// The socket answers; the store is not open yet.
    Starting,
    /// It serves.
    Ready(Engine),
    /// The store does not open. The socket stays long enough to say so.
    Broken(ErrorInfo),
}

/// What the daemon knows of itself.
#[derive(Debug, Clone)]
pub struct About {
    /// Where it listens.
    pub socket: PathBuf,
    /// Where its store is.
    pub state_dir: PathBuf,
    /// When it started, in Unix milliseconds.
    pub started_at: u64,
    /// Whether systemd watches over it.
    pub supervised: bool,
    /// Its own settings and where each came from.
    pub settings: serde_json::Value,
}

/// A handle on the daemon. Clones are one daemon.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    about: About,
    phase: watch::Sender<Phase>,
    stop: CancellationToken,
    draining: CancellationToken,
    notes: Mutex<Vec<String>>,
    tasks: Tasks,
}

impl Control {
    /// A daemon that is starting.
    pub fn new(about: About, tasks: Tasks) -> Self {
        let (phase, _) = watch::channel(Phase::Starting);
        let stop = CancellationToken::new();
        let draining = CancellationToken::new();
        let notes = Mutex::default();
        Self { inner: Arc::new(Inner { about, phase, stop, draining, notes, tasks }) }
    }

    /// How far it is, now and later.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.inner.phase.subscribe()
    }

    /// It got further.
    pub fn enter(&self, phase: Phase) {
        self.inner.phase.send_replace(phase);
    }

    /// Something that `daemon.status` should say from now on.
    pub fn note(&self, note: String) {
        self.inner.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    /// Stops the daemon. Unfinished runs go on when one starts again.
    pub fn stop(&self) {
        self.inner.stop.cancel();
    }

    /// Fires when it is to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.inner.stop.clone()
    }

    /// Takes no new runs, and stops when the present ones have ended.
    pub fn drain(&self, engine: &Engine) {
        engine.drain();
        if self.inner.draining.is_cancelled() {
            return;
        }
        self.inner.draining.cancel();
        let (engine, control) = (engine.clone(), self.clone());
        let stopping = self.inner.tasks.stopping();
        self.inner.tasks.spawn("drain", async move {
            tokio::select! {
                () = engine.drained() => control.stop(),
                () = stopping.cancelled() => {}
            }
        });
    }

    /// Its own settings and where each came from.
    pub fn settings(&self) -> serde_json::Value {
        self.inner.about.settings.clone()
    }

    /// How it is.
    pub fn status(&self, connections: u32) -> DaemonStatus {
        let about = &self.inner.about;
        let mut notes = self.inner.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let phase = self.inner.phase.borrow();
        let (phase, engine) = match &*phase {
            Phase::Starting => (DaemonPhase::Starting, None),
            Phase::Broken(error) => {
                notes.push(error.message.clone());
                (DaemonPhase::Starting, None)
            }
            Phase::Ready(engine) if self.inner.draining.is_cancelled() => {
                (DaemonPhase::Draining, Some(engine))
            }
            Phase::Ready(engine) => (DaemonPhase::Ready, Some(engine)),
        };
        if let Some(engine) = engine
            && let Health::Frozen(error) = &*engine.store().health().borrow()
        {
            notes.push(format!("the store is frozen: {error}"));
        }
        let pid = std::process::id();
        DaemonStatus {
            phase,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL_VERSION,
            pid,
            started_at: about.started_at,
            socket: about.socket.display().to_string(),
            state_dir: about.state_dir.display().to_string(),
            rss_bytes: process::rss_bytes(pid),
            connections,
            active_runs: engine.map_or(0, Engine::active_runs),
            epoch: engine.map(|engine| engine.store().epoch().to_owned()).unwrap_or_default(),
            supervisor: if about.supervised { "systemd" } else { "none" }.to_owned(),
            notes,
        }
    }
}
