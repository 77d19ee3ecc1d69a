//! Long use: memory and descriptors stay where they are.

use serde_json::{Value, json};

use super::{await_pool, chat, product, resume, runtimes, status, sum};

fn descriptors(pid: i64) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What is used: the daemon's descriptors and memory, the runtime's descriptors and memory.
struct Use {
    daemon_files: u64,
    daemon_rss: u64,
    runtime_files: usize,
    runtime_rss: u64,
}

#[test]
fn two_hundred_turns_leave_memory_and_descriptors_flat() {
    let product = product("");
    let mut rpc = product.rpc();
    let mut session = Value::Null;
    let mut seen: Vec<Use> = Vec::new();
    let mut one = None;
    for turn in 0..200 {
        // A conversation of fifty turns and ten short ones, again and again.
        if turn % 5 == 0 && turn > 0 {
            chat(&product, &mut rpc, "by the way", json!({}));
        } else if session.is_null() {
            session = chat(&product, &mut rpc, "turn 0", json!({}));
        } else {
            chat(&product, &mut rpc, &format!("turn {turn}"), resume(&session));
        }
        if turn % 50 != 49 {
            continue;
        }
        let resting =
            |pool: &Value| sum(pool, "busy_sessions") == 0 && sum(pool, "spare_sessions") == 1;
        let pool = await_pool(&mut rpc, "at rest", resting);
        assert_eq!(runtimes(&pool).len(), 1, "{pool}");
        let pid = runtimes(&pool)[0]["pid"].as_i64().unwrap();
        assert_eq!(*one.get_or_insert(pid), pid, "one runtime served all");
        seen.push(Use {
            daemon_files: pool["open_files"].as_u64().unwrap(),
            daemon_rss: rpc.call("daemon.status", &json!({}))["rss_bytes"].as_u64().unwrap(),
            runtime_files: descriptors(pid),
            runtime_rss: runtimes(&pool)[0]["rss_bytes"].as_u64().unwrap(),
        });
    }
    for one in &seen {
        println!(
            "daemon {} files {} MB, runtime {} files {} MB",
            one.daemon_files,
            one.daemon_rss >> 20,
            one.runtime_files,
            one.runtime_rss >> 20
        );
    }
    let (first, last) = (&seen[0], &seen[3]);
    // The model server keeps connections open; a few more or less say nothing.
    assert!(last.daemon_files <= first.daemon_files + 4, "the daemon's descriptors grow");
    assert!(last.runtime_files <= first.runtime_files + 4, "the runtime's descriptors grow");
    assert!(last.daemon_rss <= first.daemon_rss * 3 / 2, "the daemon grows");
    assert!(last.runtime_rss <= first.runtime_rss * 3 / 2, "the runtime grows");
    let said = product.model.requests();
    let longest = said.iter().map(|request| request.user_messages().len()).max();
    assert_eq!(longest, Some(161), "the conversation is whole, closed and resumed as it was");
    assert!(status(&mut rpc)["warm"]["idle_misses"].as_u64() >= Some(3), "it was resumed");
}
