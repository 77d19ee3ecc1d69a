//! A session's transcript (`events.jsonl`): what is wrong with it, and what a sound one is.
//!
//! A repair only leaves out what the Copilot CLI cannot read, cuts readable events out of a
//! line that holds more than one, and puts the missing first event in front. It never changes
//! an event: what the agent was told stays what it was told.
//!
//! What the CLI makes of each fault was measured with version 1.0.102; see the table in
//! `ARCHITECTURE.md`.
//!
//! Not here: files, locks, backups (`backend::disk`).

mod event;
pub mod peek;
pub mod talk;
#[cfg(test)]
mod tests;
pub mod workspace;

use std::collections::HashMap;
use std::ops::Range;

use serde_json::json;

use event::{Judged, judge};

/// Tool calls without an end that are remembered while a transcript is read. An agent has a
/// few at once; a transcript that names more is not judged in this respect.
const MOST_OPEN_TOOLS: usize = 10_000;

/// Events that are cut out of one line. Two writers make two; this is a bound, not a hope.
const MOST_PIECES: usize = 64;

/// What can be wrong with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The last record was cut off.
    TornEnd,
    /// Bytes of zero, as a power cut leaves them.
    Nuls,
    /// A line in the middle that is no JSON, or holds more than one record.
    Unreadable,
    /// A record that lacks what every record of its kind has.
    Misfit,
    /// The record that begins every session is not there.
    NoStart,
    /// There is no record at all.
    NoEvents,
    /// There is no record, and there never was one.
    Unused,
    /// A tool that was begun and has not ended.
    OpenTool,
    /// A lock of a process that is gone.
    DeadLock,
    /// The file that describes the session is not there.
    NoWorkspace,
    /// That file cannot be read.
    BadWorkspace,
}

/// How much a fault matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The CLI looks after it by itself.
    Harmless,
    /// The CLI opens the session without what it cannot read, and does not fork it.
    Loses,
    /// The CLI does not open the session.
    Breaks,
}

impl Fault {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TornEnd => "torn_end",
            Self::Nuls => "nul_bytes",
            Self::Unreadable => "unreadable_line",
            Self::Misfit => "misfit_event",
            Self::NoStart => "no_start",
            Self::NoEvents => "no_events",
            Self::Unused => "unused",
            Self::OpenTool => "open_tool",
            Self::DeadLock => "dead_lock",
            Self::NoWorkspace => "workspace_missing",
            Self::BadWorkspace => "workspace_unreadable",
        }
    }

    /// How much it matters.
    pub fn weight(self) -> Weight {
        match self {
            Self::Misfit | Self::NoStart | Self::NoEvents | Self::BadWorkspace => Weight::Breaks,
            Self::TornEnd | Self::Nuls | Self::Unreadable => Weight::Loses,
            Self::Unused | Self::OpenTool | Self::DeadLock | Self::NoWorkspace => Weight::Harmless,
        }
    }

    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::TornEnd => "its last record was cut off",
            Self::Nuls => "bytes of zero lie between or behind its records",
            Self::Unreadable => "a line of its transcript is not one record",
            Self::Misfit => "a record lacks what the Copilot CLI wants of its kind",
            Self::NoStart => "the record that begins every session is not there",
            Self::NoEvents => "its transcript is missing or holds no record",
            Self::Unused => "nobody has spoken in it; the Copilot CLI does not open it",
            Self::OpenTool => "a tool was begun and has not ended; the agent is told so",
            Self::DeadLock => "a process that is gone has left its lock",
            Self::NoWorkspace => "workspace.yaml is missing; the Copilot CLI makes a new one",
            Self::BadWorkspace => "workspace.yaml cannot be read",
        }
    }
}

/// A fault that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub fault: Fault,
    /// The first line that has it, from 1.
    pub line: Option<u64>,
    /// How many times it is there.
    pub count: u64,
}

/// What was found in a transcript.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The faults, the worst first.
    pub findings: Vec<Finding>,
    /// Records that stay.
    pub events: u64,
    /// Records of what the user said that do not stay.
    pub lost_prompts: u64,
    /// The first record that stays: the one before it, if it names one, and its moment.
    first: Option<(Option<String>, String)>,
    started: bool,
}

impl Verdict {
    /// How much the worst of it matters.
    pub fn weight(&self) -> Weight {
        let weights = self.findings.iter().map(|finding| finding.fault.weight());
        weights.max().unwrap_or(Weight::Harmless)
    }

    /// Whether something is left to be repaired with.
    pub fn mendable(&self) -> bool {
        self.events > 0
    }
}

/// What stays of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// All of it, as it is.
    Whole,
    /// These parts, each a record.
    Pieces(Vec<Range<usize>>),
}

/// Reads a transcript line by line.
#[derive(Debug, Default)]
pub struct Examiner {
    line: u64,
    verdict: Verdict,
    open: HashMap<String, u64>,
}

impl Examiner {
    /// Judges the next line, without its line end. `ended` says whether it had one: only the
    /// last may lack it.
    pub fn line(&mut self, bytes: &[u8], ended: bool) -> Keep {
        self.line += 1;
        match judge(bytes) {
            Judged::Event(event) => {
                self.take(event);
                Keep::Whole
            }
            Judged::Blank | Judged::Ignored => Keep::Whole,
            Judged::Misfit { prompt } => {
                self.verdict.lost_prompts += u64::from(prompt);
                self.found(Fault::Misfit, Some(self.line));
                Keep::Pieces(Vec::new())
            }
            Judged::Unreadable => {
                let nuls = bytes.contains(&0);
                let fault = match (nuls, ended) {
                    (true, _) => Fault::Nuls,
                    (false, true) => Fault::Unreadable,
                    (false, false) => Fault::TornEnd,
                };
                self.found(fault, Some(self.line));
                Keep::Pieces(self.pieces(bytes))
            }
        }
    }

    /// What was found in all.
    pub fn finish(mut self) -> Verdict {
        if self.verdict.events == 0 {
            self.found(Fault::NoEvents, None);
        } else if !self.verdict.started {
            self.found(Fault::NoStart, Some(1));
        }
        if self.open.len() < MOST_OPEN_TOOLS
            && let Some(line) = self.open.values().min().copied()
        {
            let count = self.open.len() as u64;
            self.verdict.findings.push(Finding { fault: Fault::OpenTool, line: Some(line), count });
        }
        self.verdict
            .findings
            .sort_by_key(|finding| (std::cmp::Reverse(finding.fault.weight()), finding.fault));
        self.verdict
    }

    fn take(&mut self, event: event::Event) {
        self.verdict.events += 1;
        self.verdict.started |= event.kind == "session.start";
        if self.verdict.first.is_none() {
            self.verdict.first = Some((event.parent, event.at));
        }
        match (event.kind.as_str(), event.tool) {
            ("tool.execution_start", Some(tool)) if self.open.len() < MOST_OPEN_TOOLS => {
                self.open.insert(tool, self.line);
            }
            ("tool.execution_complete", Some(tool)) => {
                self.open.remove(&tool);
            }
            _ => {}
        }
    }

    fn found(&mut self, fault: Fault, line: Option<u64>) {
        let findings = &mut self.verdict.findings;
        match findings.iter_mut().find(|finding| finding.fault == fault) {
            Some(finding) => finding.count += 1,
            None => findings.push(Finding { fault, line, count: 1 }),
        }
    }

    /// The whole records inside a line that is not one: after a write that was cut off, the
    /// next record stands on the same line.
    fn pieces(&mut self, bytes: &[u8]) -> Vec<Range<usize>> {
        const BEGINNING: &[u8] = b"{\"type\":\"";
        let mut pieces = Vec::new();
        let mut at = 0;
        for _ in 0..MOST_PIECES {
            let rest = &bytes[at..];
            let Some(begin) = rest.windows(BEGINNING.len()).position(|part| part == BEGINNING)
            else {
                break;
            };
            let rest = &rest[begin..];
            let mut values =
                serde_json::Deserializer::from_slice(rest).into_iter::<serde::de::IgnoredAny>();
            let whole = matches!(values.next(), Some(Ok(_)));
            let end = if whole { values.byte_offset() } else { 1 };
            let range = at + begin..at + begin + end;
            if whole && let Judged::Event(event) = judge(&bytes[range.clone()]) {
                self.take(event);
                pieces.push(range.clone());
            }
            at = range.end;
        }
        pieces
    }
}

/// What is known of a session beside its transcript.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Its id.
    pub session: String,
    /// Its working folder.
    pub cwd: Option<String>,
    /// An id for the record that is put in front, when none follows from the others.
    pub fresh_id: String,
}

/// The record to be put in front of a transcript that has lost its own; nothing where it has
/// one, or nothing else is left. It is the parent of the first record that stays.
pub fn start_of(verdict: &Verdict, known: &Known) -> Option<Vec<u8>> {
    let (parent, at) = verdict.first.as_ref()?;
    if verdict.started {
        return None;
    }
    let mut data = json!({
        "sessionId": known.session,
        "version": 1,
        "producer": "copilot-agent",
        "copilotVersion": "unknown",
        "startTime": at,
    });
    if let Some(cwd) = &known.cwd {
        data["context"] = json!({ "cwd": cwd });
    }
    let id = parent.as_ref().unwrap_or(&known.fresh_id);
    let start = json!({
        "type": "session.start", "data": data, "id": id, "timestamp": at, "parentId": null,
    });
    Some(format!("{start}\n").into_bytes())
}

/// A line with the session's id in place of another's, if it is the record that begins the
/// session.
pub fn named(line: &[u8], session: &str) -> Option<Vec<u8>> {
    let mut value: serde_json::Value = serde_json::from_slice(line).ok()?;
    if value["type"] != "session.start" {
        return None;
    }
    value["data"]["sessionId"] = session.into();
    Some(value.to_string().into_bytes())
}

/// A transcript in memory: what is wrong with it, and the sound one, unless nothing that
/// matters is wrong or nothing is left.
pub fn mend(bytes: &[u8], known: &Known) -> (Verdict, Option<Vec<u8>>) {
    let mut examiner = Examiner::default();
    let mut sound = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        keep(&mut sound, text, &examiner.line(text, text.len() < line.len()));
    }
    let verdict = examiner.finish();
    if verdict.weight() == Weight::Harmless || !verdict.mendable() {
        return (verdict, None);
    }
    let mut whole = start_of(&verdict, known).unwrap_or_default();
    whole.extend(sound);
    (verdict, Some(whole))
}

/// Appends what stays of a line, each record on a line of its own.
pub fn keep(sound: &mut Vec<u8>, line: &[u8], what: &Keep) {
    match what {
        Keep::Whole => {
            sound.extend_from_slice(line);
            sound.push(b'\n');
        }
        Keep::Pieces(pieces) => {
            for piece in pieces {
                sound.extend_from_slice(&line[piece.clone()]);
                sound.push(b'\n');
            }
        }
    }
}
