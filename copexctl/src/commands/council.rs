//! `council`: several models are asked, judge each other without names, and a chair decides.

mod estimate;
mod material;

use copex_proto::run::{CouncilRequest, Mode, RunRequest, Seat};

use crate::cli::{ChatFlags, CouncilArgs, CouncilFlags};
use crate::commands::{again, chat};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::settings::Settings;
use crate::{render, request};
use estimate::Estimate;

/// Members, at least.
const LEAST_MEMBERS: usize = 2;

/// Convenes a council and shows its decision.
pub(crate) fn run(mut ctx: Context, args: CouncilArgs) -> Result<Exit> {
    let CouncilArgs { task, resume, flags: mut of_council, mut turn } = args;
    no_commit(&of_council)?;
    turn.tools.skill_dir.append(&mut of_council.skills);
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", "the working folder".as_ref(), &error))?;
    turn.output.whole = of_council.verbose;
    turn.output.artifact = of_council.artifact.as_ref().map(|file| here.join(file));
    if let Some(wanted) = resume {
        return again::run(&ctx, Mode::Council, &wanted, &turn);
    }
    if turn.detach && of_council.artifact.is_some() {
        return Err(Failure::usage("--artifact and --detach do not go together")
            .with_hint("`copexctl runs attach RUN --json` has the same once it has ended"));
    }
    // Python copex: asks nobody.
    let dry_run = std::mem::take(&mut turn.approval.dry_run);
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let settings = chat::settle(&mut ctx, &flags)?;
    let members = members(&of_council, &settings)?;
    let material = material::read(&of_council, &here, &settings.cwd)?;
    let task = match (&task, &material) {
        (None, Some(material)) if !flags.turn.stdin => material.task.to_owned(),
        _ => chat::prompt(task.as_deref(), &flags, &here)?,
    };
    let task = match material {
        Some(material) => format!("{task}\n\n{}", material.text),
        None => task,
    };
    let config = &settings.config;
    let request = CouncilRequest {
        task,
        members,
        chair: of_council.chair_model.or_else(|| config.council_chair.clone()),
        quorum: of_council.quorum,
        straggler_timeout_s: of_council.straggler_timeout,
        max_concurrent: of_council.max_concurrent,
        debate: of_council.debate,
        escalate: of_council.escalate,
        preset: of_council.preset.map(Into::into),
        council_tools: of_council.council_tool.clone(),
        shared_context: of_council.shared_context,
        options: request::options(&ctx, &settings, &flags)?,
    };
    let estimate = Estimate::of(&request).map_err(Failure::usage)?;
    let output = &flags.turn.output;
    if dry_run {
        if output.json || output.jsonl {
            render::value(&estimate.json())?;
        } else {
            render::text(estimate.print().as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    if let Some(line) = estimate.price()
        && !(output.quiet || output.json || output.jsonl)
    {
        render::note(&line);
    }
    chat::launch(&ctx, &RunRequest::Council(request), &settings, &flags)
}

/// Refuses what Python copex does with git after a council.
fn no_commit(flags: &CouncilFlags) -> Result<()> {
    let named = match flags {
        CouncilFlags { git_finalize: true, .. } => "--git-finalize",
        CouncilFlags { git_message: Some(_), .. } => "--git-message",
        _ => return Ok(()),
    };
    let words = format!("{named}: a council reads and decides, and changes nothing to commit");
    Err(Failure::usage(words).with_hint("leave it out; `fleet` and `plan --commit` make commits"))
}

/// The members: those of the command line, else those of the configuration.
fn members(flags: &CouncilFlags, settings: &Settings) -> Result<Vec<String>> {
    let of_python =
        [&flags.investigator_model, &flags.codex_model, &flags.gemini_model, &flags.opus_model];
    let mut members = flags.member.clone();
    members.extend(of_python.into_iter().flatten().cloned());
    if members.is_empty() {
        members.clone_from(&settings.config.council_members);
    }
    if members.len() < LEAST_MEMBERS {
        let words = match members.len() {
            0 => "no members: a council needs two at least".to_owned(),
            _ => format!("one member, {}, is no council: it needs two at least", members[0]),
        };
        return Err(Failure::usage(words).with_hint(
            "name each with --member MODEL[:EFFORT], or set council.members in the configuration",
        ));
    }
    for member in members.iter().chain(&flags.chair_model) {
        Seat::read(member).map_err(Failure::usage)?;
    }
    Ok(members)
}
