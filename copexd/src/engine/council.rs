//! From a council's request to its machine, and from what came of it to the wire.

use std::collections::BTreeMap;
use std::sync::Arc;

use copex_proto::council as wire;
use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::EventBody;
use copex_proto::run::{
    CouncilPreset, CouncilRequest, Effort, RunOptions, RunState, Seat, SessionChoice,
};

use super::chain::{self, Chain};
use super::prepare::{self, millis};
use super::registry::Live;
use super::{Engine, read_only};
use crate::core::chat::ChatSpec;
use crate::core::council::{
    CHAIR, Chair, Council, CouncilSpec, Decision, ESCALATION, Preset, Report, Review,
};
use crate::core::machine::{Lane, Machine, MemberFact, MemberState};
use crate::core::stored::Stored;
use crate::core::target::Target;

/// Members, at most: each reads what all the others wrote, and that must fit into a prompt.
const MOST_MEMBERS: usize = 12;

/// Members, at least: one has nobody to be judged by.
const LEAST_MEMBERS: usize = 2;

/// Members at work at once when nothing else is said, as in Python copex.
const CONCURRENT: u32 = 3;

/// Members at work at once, at most: all of them.
const MOST_CONCURRENT: u32 = 12;

/// Rounds of debate, at most: who does not agree by then will not.
const MOST_ROUNDS: u32 = 5;

/// How long the others have once the quorum is there, in seconds, when nothing else is said: a
/// model that thinks hard and reads files needs minutes, and the quorum shows how long it takes.
const STRAGGLER_S: f64 = 180.0;

/// How long that may be, in seconds, at most: a day.
const MOST_STRAGGLER_S: f64 = 86_400.0;

/// Bytes of the words for everybody beside the task: they are in each member's prompt.
const MOST_SHARED_BYTES: usize = 64 * 1024;

/// Checks what only a council has.
///
/// # Errors
/// `Usage`, with words that name what is wrong.
pub(super) fn check(request: &CouncilRequest) -> Result<(), ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let count = request.members.len();
    if !(LEAST_MEMBERS..=MOST_MEMBERS).contains(&count) {
        let message = format!(
            "a council has {LEAST_MEMBERS} to {MOST_MEMBERS} members, and {count} are named"
        );
        return Err(usage(message).with_hint(
            "name each with --member MODEL[:EFFORT], or set council.members in the configuration",
        ));
    }
    for text in request.members.iter().chain(&request.chair) {
        let seat = Seat::read(text).map_err(usage)?;
        chain::links(&options(request, &seat))?;
    }
    let within = |name: &str, value: Option<u32>, least: u32, most: u32| match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(usage(format!("{name} is {value}; it must be from {least} to {most}")))
        }
        _ => Ok(()),
    };
    within("quorum", request.quorum, 1, u32::try_from(count).unwrap_or(u32::MAX))?;
    within("max_concurrent", request.max_concurrent, 1, MOST_CONCURRENT)?;
    within("debate", request.debate, 0, MOST_ROUNDS)?;
    if let Some(seconds) = request.straggler_timeout_s
        && !(seconds > 0.0 && seconds <= MOST_STRAGGLER_S)
    {
        return Err(usage(format!(
            "straggler_timeout_s is {seconds}; it must be more than 0, and {MOST_STRAGGLER_S} at most"
        )));
    }
    if request.shared_context.as_ref().is_some_and(|text| text.len() > MOST_SHARED_BYTES) {
        return Err(usage(format!("shared_context has more than {MOST_SHARED_BYTES} bytes")));
    }
    if request.options.session != SessionChoice::New {
        let message = "a council begins sessions of its own; it does not go on in one";
        return Err(usage(message.to_owned()));
    }
    Ok(())
}

/// The options of somebody who sits in the council: nothing that changes anything is offered.
fn options(request: &CouncilRequest, seat: &Seat) -> RunOptions {
    let mut options = read_only::options(&request.options, &request.council_tools);
    options.model = Some(seat.model.clone());
    options.reasoning_effort = seat.effort.or(options.reasoning_effort);
    options
}

/// The options of everybody by lane: the members, the chair, and the chair at a higher effort.
fn seats(request: &CouncilRequest) -> Result<Vec<RunOptions>, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    let mut all = Vec::with_capacity(request.members.len() + 2);
    for text in &request.members {
        all.push(options(request, &Seat::read(text).map_err(usage)?));
    }
    let own = read_only::options(&request.options, &request.council_tools);
    let chair = match (&request.chair, all.first()) {
        (Some(text), _) => options(request, &Seat::read(text).map_err(usage)?),
        (None, Some(first)) if own.model.is_none() => first.clone(),
        (None, _) => own,
    };
    let effort = match chair.reasoning_effort {
        Some(Effort::Xhigh | Effort::Max) => Effort::Max,
        _ => Effort::Xhigh,
    };
    all.push(chair.clone());
    if request.escalate {
        all.push(RunOptions { reasoning_effort: Some(effort), ..chair });
    }
    Ok(all)
}

/// Everybody whom a council may ask; nothing where that cannot be read any more.
pub(super) fn targets(request: &CouncilRequest) -> Vec<Target> {
    seats(request).unwrap_or_default().iter().flat_map(chain::targets).collect()
}

/// Whom the lanes of a council ask.
///
/// # Errors
/// `Usage` for what cannot work, though it was checked: models change.
pub(super) async fn chains(
    engine: &Engine,
    request: &CouncilRequest,
    live: &Live,
) -> Result<BTreeMap<Lane, Arc<Chain>>, ErrorInfo> {
    let mut chains = BTreeMap::new();
    for (lane, options) in (1..).zip(seats(request)?) {
        chains.insert(lane, Arc::new(engine.chain(&options, live).await?));
    }
    Ok(chains)
}

/// The lane of what has this path in the log.
pub(super) fn lane(request: &CouncilRequest, path: &str) -> Option<Lane> {
    let mut names = request.names();
    names.extend([CHAIR, ESCALATION].map(str::to_owned));
    (1..).zip(names).find(|(_, name)| name == path).map(|(lane, _)| lane)
}

/// The machine of a council, new or where it stood.
///
/// # Errors
/// `Usage`, when a pattern cannot be read.
pub(super) fn machine(
    request: &CouncilRequest,
    (mut chat, chains, cwd): (ChatSpec, &BTreeMap<Lane, Arc<Chain>>, &str),
    progress: Option<Stored>,
) -> Result<Box<dyn Machine>, ErrorInfo> {
    let approval = read_only::options(&request.options, &request.council_tools).approval;
    let policy = prepare::policy(&approval, cwd)
        .map_err(|message| ErrorInfo::new(ErrorClass::Usage, message))?;
    let mut warnings = std::mem::take(&mut chat.warnings);
    let names = request.names();
    let mut seats = Vec::with_capacity(chains.len());
    for (lane, chain) in chains {
        let index = usize::try_from(*lane).unwrap_or_default().saturating_sub(1);
        let model = chain.choices.first().map(|choice| choice.label.clone()).unwrap_or_default();
        let name = names.get(index).cloned().unwrap_or(model);
        if let Some(text) = chain.choices.first().and_then(|choice| choice.warning.clone()) {
            warnings.push(("effort_lowered".to_owned(), text));
        }
        let models = chain.choices.iter().filter_map(|choice| choice.model.clone()).collect();
        let chat = ChatSpec {
            asks: format!("{}-m{lane}", chat.run),
            policy: policy.clone(),
            choices: chain.choices.clone(),
            // The council keeps the time, and tells what there is to tell.
            max_duration_ms: None,
            ..chat.clone()
        };
        seats.push(Chair { name, models, chat });
    }
    let rest = seats.split_off(names.len().min(seats.len()));
    let mut rest = rest.into_iter();
    let Some(chair) = rest.next() else {
        return Err(ErrorInfo::new(ErrorClass::Usage, "a council needs a chair"));
    };
    warnings.extend(one_family(&seats));
    chat.warnings = warnings;
    let members = seats.len();
    let spec = CouncilSpec {
        seed: seed(&chat.run),
        task: request.task.clone(),
        shared_context: request.shared_context.clone(),
        preset: request.preset.map(preset),
        members: seats,
        chair,
        escalation: rest.next(),
        quorum: request.quorum.map_or(members / 2 + 1, |quorum| quorum as usize),
        straggler_ms: millis(request.straggler_timeout_s.unwrap_or(STRAGGLER_S)),
        first_word_ms: prepare::retry_policy(&request.options).first_event_ms,
        max_concurrent: request.max_concurrent.unwrap_or(CONCURRENT) as usize,
        debate: request.debate.unwrap_or_default(),
        chat,
    };
    Ok(match progress {
        Some(Stored::Council(progress)) => Box::new(Council::restored(spec, *progress)),
        _ => Box::new(Council::new(spec)),
    })
}

/// A number that follows from a run's name alone (FNV-1a), so that a run that goes on after a
/// crash has the same letters.
fn seed(run: &str) -> u64 {
    run.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A warning where all members are of one family: they tend to be wrong in the same way.
fn one_family(members: &[Chair]) -> Option<(String, String)> {
    let mut families = members.iter().map(|seat| family(seat.models.first()?));
    let first = families.next()??;
    if !families.all(|other| other.as_ref() == Some(&first)) {
        return None;
    }
    let message = format!(
        "all members are of one family ({first}): they tend to be wrong in the same way; take \
         models of several makers"
    );
    Some(("one_family".to_owned(), message))
}

/// Whose model it is, by its name: the word that it begins with.
fn family(model: &str) -> Option<String> {
    let bare = model.rsplit('/').next().unwrap_or(model).to_lowercase();
    let end = bare.find(|char: char| !char.is_ascii_alphabetic()).unwrap_or(bare.len());
    let word = &bare[..end];
    let made_by = match word {
        "o" | "codex" | "chatgpt" => "gpt",
        "opus" | "sonnet" | "haiku" => "claude",
        word => word,
    };
    (!made_by.is_empty()).then(|| made_by.to_owned())
}

fn preset(preset: CouncilPreset) -> Preset {
    match preset {
        CouncilPreset::Security => Preset::Security,
        CouncilPreset::Architecture => Preset::Architecture,
        CouncilPreset::Refactor => Preset::Refactor,
        CouncilPreset::Review => Preset::Review,
    }
}

/// A member's new state on the wire.
pub(super) fn wire_member(member: MemberFact) -> EventBody {
    let MemberFact { name, state, stage, note } = member;
    let state = match state {
        MemberState::Queued => RunState::Queued,
        MemberState::Running => RunState::Running,
        MemberState::Done => RunState::Done,
        MemberState::Failed => RunState::Failed,
    };
    EventBody::Member { name, state, stage: Some(stage), note }
}

/// What came of a council, on the wire.
pub(super) fn wire_report(report: Report) -> wire::CouncilReport {
    let name = |index: usize| report.members.get(index).map(|it| it.name.clone());
    let ranking = report.ranking.iter().map(|row| wire::Ranked {
        rank: row.rank,
        label: row.label.clone(),
        name: name(row.member).unwrap_or_default(),
        score: row.score,
    });
    let ranking = ranking.collect();
    let members = report.members.into_iter().map(|member| wire::MemberReport {
        name: member.name,
        label: member.label,
        opinion: member.opinion,
        review: member.review.map(wire_review),
    });
    let missing = report.missing.into_iter().map(|missing| wire::Missing {
        name: missing.name,
        stage: missing.stage,
        reason: missing.reason,
    });
    wire::CouncilReport {
        decision: report.decision.map(wire_decision),
        chair: report.chair,
        escalated: report.escalated,
        rounds: report.rounds,
        agreed: report.agreed,
        ranking,
        members: members.collect(),
        missing: missing.collect(),
    }
}

fn wire_decision(decision: Decision) -> wire::Decision {
    let Decision { decision, reasons, confidence, dissent, next_steps } = decision;
    wire::Decision { decision, reasons, confidence, dissent, next_steps }
}

fn wire_review(review: Review) -> wire::Review {
    let Review { ranking, agree, comments } = review;
    wire::Review { ranking, agree, comments }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut CouncilRequest)) -> String {
        let members = vec!["a".to_owned(), "b".to_owned()];
        let mut request =
            CouncilRequest { task: "go".to_owned(), members, ..CouncilRequest::default() };
        assert_eq!(check(&request), Ok(()));
        change(&mut request);
        check(&request).unwrap_err().message
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert!(refused(|it| it.members.clear()).contains("and 0 are named"));
        assert!(refused(|it| it.members.truncate(1)).contains("2 to 12 members"));
        assert!(refused(|it| it.members[0] = "a:hihg".to_owned()).contains("a:high"));
        assert!(refused(|it| it.chair = Some(":high".to_owned())).contains("no model"));
        assert!(refused(|it| it.quorum = Some(3)).starts_with("quorum is 3"));
        assert!(refused(|it| it.max_concurrent = Some(0)).starts_with("max_concurrent"));
        assert!(refused(|it| it.debate = Some(6)).starts_with("debate is 6"));
        for wrong in [0.0, -1.0, f64::NAN, 1e9] {
            let words = refused(|it| it.straggler_timeout_s = Some(wrong));
            assert!(words.starts_with("straggler_timeout_s"), "{words}");
        }
        assert!(refused(|it| it.options.session = SessionChoice::Continue).contains("sessions"));
    }

    #[test]
    fn the_chair_is_named_or_the_runs_own_or_the_first() {
        let members = vec!["a:low".to_owned(), "b".to_owned()];
        let mut request = CouncilRequest { members, escalate: true, ..CouncilRequest::default() };
        let chair = |request: &CouncilRequest| {
            let all = seats(request).unwrap();
            let told = |it: &RunOptions| (it.model.clone().unwrap(), it.reasoning_effort);
            (told(&all[2]), told(&all[3]).1)
        };
        let named = |model: &str, effort| (model.to_owned(), effort);
        let of_first = (named("a", Some(Effort::Low)), Some(Effort::Xhigh));
        assert_eq!(chair(&request), of_first);
        request.options.model = Some("own".to_owned());
        assert_eq!(chair(&request).0, named("own", None));
        request.chair = Some("c:xhigh".to_owned());
        assert_eq!(chair(&request), (named("c", Some(Effort::Xhigh)), Some(Effort::Max)));
        assert_eq!(lane(&request, "b"), Some(2));
        assert_eq!(lane(&request, CHAIR), Some(3));
        assert_eq!(lane(&request, "nobody"), None);
    }

    #[test]
    fn families_are_told_by_the_first_word() {
        let of = |name: &str| family(name).unwrap_or_default();
        assert_eq!([of("gpt-5.2-codex"), of("o3-mini")], ["gpt", "gpt"]);
        assert_eq!([of("claude-opus-4.6"), of("anthropic/claude-x")], ["claude", "claude"]);
        assert_ne!(of("gemini-3-pro"), of("gpt-5"));
    }
}
