//! `fleet clean`: what fleets left on the disk, removed where nothing is lost.

use copex_proto::fleet::{CleanTarget, FleetCleaned, FleetItem};
use serde_json::json;

use crate::cli::CleanArgs;
use crate::commands::runs::find;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::{self, clean};

/// Has it removed, and tells what went and what stayed.
pub(super) fn run(ctx: &Context, args: &CleanArgs) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let run = args.run.as_deref().map(|run| find(&mut connection, run)).transpose()?;
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", "the working folder".as_ref(), &error))?;
    // A run that nobody knows any more may have been one of this folder.
    let cwd = (!args.all).then(|| here.display().to_string());
    let params = json!({ "target": CleanTarget { run, cwd }, "force": args.force });
    let cleaned: FleetCleaned = connection.call("fleet.clean", &params)?;
    if args.json {
        render::value(&cleaned)?;
        return Ok(Exit::Done);
    }
    let removed = cleaned.removed.iter().map(|item| row("removed", item));
    let kept = cleaned.kept.iter().map(|item| row("kept", item));
    let rows: Vec<Vec<String>> = removed.chain(kept).collect();
    render::text(render::table(&rows).as_bytes())?;
    render::note(&sum(&cleaned, args.force));
    Ok(Exit::Done)
}

fn row(what: &str, item: &FleetItem) -> Vec<String> {
    let task = item.task.as_deref().unwrap_or("-");
    let size = item.path.as_ref().map_or_else(|| "-".to_owned(), |_| render::bytes(item.bytes));
    let place = item.path.as_deref().or(item.branch.as_deref()).unwrap_or("-");
    let reason = item.reason.as_deref().unwrap_or_default();
    [what, &item.run, task, &size, place, reason].map(clean).to_vec()
}

fn sum(cleaned: &FleetCleaned, force: bool) -> String {
    let FleetCleaned { removed, kept, freed_bytes } = cleaned;
    if removed.is_empty() && kept.is_empty() {
        return "fleets left nothing here".to_owned();
    }
    let size = render::bytes(*freed_bytes);
    let way = if kept.is_empty() || force { "" } else { "; --force removes those too, for good" };
    format!("{} removed ({size} freed), {} kept{way}", removed.len(), kept.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_has_its_reason_and_the_sum_says_how_to_go_on() {
        let item = FleetItem {
            run: "r".to_owned(),
            task: Some("a".to_owned()),
            branch: Some("copex/fleet-task/r/a".to_owned()),
            reason: Some("unmerged".to_owned()),
            ..FleetItem::default()
        };
        let cells = row("kept", &item).join("|");
        assert_eq!(cells, "kept|r|a|-|copex/fleet-task/r/a|unmerged");
        let mut cleaned = FleetCleaned::default();
        assert_eq!(sum(&cleaned, false), "fleets left nothing here");
        cleaned.kept.push(item);
        assert!(sum(&cleaned, false).ends_with("1 kept; --force removes those too, for good"));
        assert!(sum(&cleaned, true).ends_with("1 kept"));
    }
}
