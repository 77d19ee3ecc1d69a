//! What a run needs that works by one Copilot CLI process per turn, and what it has to be told.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::run::{Approval, ApprovalMode, RetryOptions, RunOptions};

use super::prepare;
use crate::backend::cli::{reads_by_command, widened};
use crate::backend::spec::CliSpec;

/// Refuses what has no meaning there.
///
/// # Errors
/// `Usage`: the demonstration model lives in a runtime of ours.
pub(super) fn check(options: &RunOptions) -> Result<(), ErrorInfo> {
    if options.demo || (options.demo_fallback && options.provider.is_none()) {
        let message = "the demonstration model cannot answer with use_cli";
        let hint = "leave out use_cli, or --demo and --or-demo";
        return Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint));
    }
    if options.record.is_some() || options.replay.is_some() {
        let message = "with use_cli the Copilot CLI's model requests are not seen here: they can \
                       neither be recorded nor replayed";
        let hint = "leave out use_cli, or --record and --replay";
        return Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(hint));
    }
    Ok(())
}

/// The rules that its processes get beforehand.
pub(super) fn rules(approval: &Approval) -> CliSpec {
    CliSpec {
        approval: prepare::mode(approval),
        allow: approval.allow.clone(),
        deny: approval.deny.clone(),
    }
}

/// What is not as it is elsewhere, as warnings: code and words.
pub(super) fn warnings(options: &RunOptions) -> Vec<(String, String)> {
    let mut warnings = Vec::new();
    let mut warn = |code: &str, text: String| warnings.push((code.to_owned(), text));
    let approval = &options.approval;
    if matches!(approval.mode, ApprovalMode::Workspace | ApprovalMode::Ask) {
        let text = "with use_cli nobody can be asked: a tool that would ask is denied; allow it \
                    beforehand with --allow-tool, or everything with --approval auto";
        warn("asks_denied", text.to_owned());
    }
    if reads_by_command(&rules(approval)) {
        let text = "with use_cli, commands that only read in the working folder run without being \
                    allowed, since some command is";
        warn("reads_allowed", text.to_owned());
    }
    let wide = widened(&approval.deny);
    if !wide.is_empty() {
        let names = wide.join(", ");
        let text = format!("with use_cli a path in a deny pattern denies its whole kind: {names}");
        warn("deny_widened", text);
    }
    if options.max_retries.is_some() || options.retry != RetryOptions::default() {
        let text = "the retry settings have no effect on failed model requests with use_cli: the \
                    Copilot CLI asks again by itself, up to five times";
        warn("not_honoured", text.to_owned());
    }
    warnings
}
