//! `kill -9`, for real: this test binary runs itself as the victim.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const VICTIM: &str = "COPEX_TEST_STORE_VICTIM";

/// Not a test by itself: the process that is killed. Appends to three runs, prints what
/// was acknowledged.
#[test]
#[expect(clippy::disallowed_methods, reason = "the parent test hands the folder on this way")]
fn victim() {
    use std::io::Write;
    let Some(dir) = std::env::var_os(VICTIM) else { return };
    let (store, _) = open(Path::new(&dir));
    let mut out = std::io::stdout();
    let mut next = [1, 2, 3].map(|n| store.last_seq(id(n)).unwrap() + 1);
    loop {
        let mut answers = Vec::new();
        for (slot, n) in next.iter_mut().zip(1..) {
            let large = "x".repeat(if *slot % 50 == 0 { 30_000 } else { 200 });
            let mut summary = run(n);
            summary.last_seq = *slot;
            let ops = vec![Op::PutRun(summary), event(n, *slot, &large)];
            answers.push((n, *slot, store.enqueue(Commit::flushed(ops)).unwrap()));
            *slot += 1;
        }
        for (n, seq, answer) in answers {
            answer.blocking_recv().unwrap().unwrap();
            writeln!(out, "acked {n} {seq}").unwrap();
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the victim is this very binary")]
fn no_acknowledged_event_is_lost_to_kill_9() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("store");
    let mut acked = [0; 3];
    for round in 0..10_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::kill::victim", "--nocapture"])
            .env(VICTIM, &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed while it works, after another count each time; then all it said is read.
        let mut wanted = 1 + round * 37 % 211;
        while let Some(Ok(line)) = lines.next() {
            let words: Vec<_> = line.split(' ').collect();
            let ["acked", n, seq] = words[..] else { continue };
            acked[n.parse::<usize>().unwrap() - 1] = seq.parse::<u64>().unwrap();
            wanted = wanted.saturating_sub(1);
            if wanted == 0 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert_eq!(wanted, 0, "the victim ended before it was killed");

        let (store, report) = open(&dir);
        assert!(!report.was_clean && report.salvaged.is_none(), "{report:?}");
        for (n, acked) in (1..).zip(acked) {
            let events = store.events(id(n), 0, usize::MAX, usize::MAX).unwrap();
            let seqs: Vec<_> = events.iter().map(|(seq, _)| *seq).collect();
            let last = store.last_seq(id(n)).unwrap();
            assert_eq!(seqs, (1..=last).collect::<Vec<_>>(), "a gap in run {n}");
            assert!(last >= acked, "run {n} has {last}, {acked} was acknowledged");
            // The summary went with the event: all of a commit or nothing.
            let summary = store.get_run(id(n)).unwrap().map_or(0, |run| run.last_seq);
            assert_eq!(summary, last);
        }
    }
}
